"""A table of methods that a finished run may read only where its key says so.

A run's key holds the rows of the table that the run's code or setting names (`mtlrepro.results.digest`), not the whole table:
otherwise one more method would make every comparison's finished runs stale. `MethodTable` sees to it that nothing else is read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from mtlrepro.errors import BadValue, UnknownName

Row = TypeVar("Row")

# The rows that the run now in progress may read; None outside of runs.
_readable: frozenset[str] | None = None


@contextmanager
def reading_only(names: Iterable[str]) -> Iterator[None]:
    """While a finished run is computed: only the rows called `names` may be read, in this process."""
    global _readable
    before, _readable = _readable, frozenset(names)
    try:
        yield
    finally:
        _readable = before


class MethodTable(Mapping[str, Row]):
    """Name -> row. Reading raises UnknownName for a name that it does not have, with the nearest that it has.

    Raises BadValue where a run reads a row that its key does not hold, or lists the table, and where a module of ours reads
    the table while it is imported: what it keeps would be in no key.
    """

    def __init__(self, rows: Mapping[str, Row], kind: str = "weighting method") -> None:
        self._rows = dict(rows)
        self._kind = kind

    def __getitem__(self, name: str) -> Row:
        if name not in self._rows:
            raise UnknownName(self._kind, name, self._rows)
        self._refuse_unlisted([name])
        return self._rows[name]

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        self._refuse_unlisted(self._rows)
        return iter(self._rows)

    def __len__(self) -> int:
        self._refuse_unlisted(self._rows)
        return len(self._rows)

    def _refuse_unlisted(self, names: Iterable[str]) -> None:
        importing = _module_being_imported()
        if importing:
            raise BadValue(f"{importing} reads the table of {self._kind}s while it is imported: read it inside a function.")
        unlisted = [] if _readable is None else sorted(set(names) - _readable)
        if unlisted:
            raise BadValue(
                f"this run reads {self._kind} {', '.join(map(repr, unlisted))}, which neither its setting nor its code names: "
                "pass each name whole in the setting."
            )


def _module_being_imported() -> str | None:
    """The module of ours whose top level is being executed by the caller's caller, if any."""
    package = __name__.partition(".")[0] + "."
    frame = sys._getframe(1)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if frame.f_code.co_name == "<module>" and name.startswith(package):
            return name
        frame = frame.f_back  # type: ignore[assignment]
    return None
