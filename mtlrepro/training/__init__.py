"""Training: one loop, many runs at once, one place for devices."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtlrepro.training.loop import Fit, RunwiseSGD, fit, labelled, minibatches, mixed, task_losses
    from mtlrepro.training.weighting import Batch

__all__ = ["Batch", "Fit", "RunwiseSGD", "fit", "labelled", "minibatches", "mixed", "task_losses"]


def __getattr__(name: str) -> Any:
    """The loop's names, imported at first use: listing and showing results must not wait for torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mtlrepro.training import loop

    return getattr(loop, name)
