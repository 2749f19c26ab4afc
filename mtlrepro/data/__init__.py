"""Data: manifests, and one loader for each data set that ends in the same canonical arrays whatever the source.

`open` follows a set's manifest: the set itself where it is here, else its stand-in.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtlrepro.data.opening import Opened, checked_source, open, sources, which

__all__ = ["Opened", "checked_source", "open", "sources", "which"]


def __getattr__(name: str) -> Any:
    """Imported at first use: listing data sets must not wait for torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mtlrepro.data import opening

    return getattr(opening, name)
