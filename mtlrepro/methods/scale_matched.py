"""Scale matching: every auxiliary task's gradient on the shared parameters gets the main one's norm before tasks are weighted.

The HydaLearn paper normalises its fake updates but leaves open the scale of the real one. This wrapper closes that for any
weighting: L_i is replaced by c_i L_i with the constants c_i = |g_main| / |g_i| of the step (Euclidean norms of the gradients of
the shared parameters, each run its own), so that weights compare directions and not units.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.refusals import refuse_main
from mtlrepro.training.weighting import Step, Weighting, WeightingWrapper


class ScaleMatched(WeightingWrapper):
    """Any weighting, shown losses and gradients at the main task's scale.

    inner: the weighting; its `weight_heads` holds here too, and where that is true a head gets c_i w_i times its own gradient,
    as the loss c_i L_i says. main: index of the main task. A gradient of norm zero keeps its scale.
    The weights returned are those on the losses as they are, c_i w_i; `factors` holds the last step's c_i, (..., tasks).
    Raises BadValue for a batch of one task alone, where there is nothing to match.
    """

    def __init__(self, inner: Weighting, main: int = 0) -> None:
        super().__init__(inner)
        self.main = main
        self.factors: Tensor | None = None

    def __call__(self, step: Step) -> Tensor:
        """As the step's losses."""
        if step.task is not None:
            raise BadValue("scale matching compares the tasks of one batch: give batches that hold every task.")
        refuse_main(self.main, step)
        norms = step.jacobian.norm(dim=-1)
        # Squares of smaller entries underflow: such a norm is zero but for rounding.
        nonzero = norms > torch.finfo(norms.dtype).tiny ** 0.5
        reference = norms[..., self.main : self.main + 1]
        self.factors = torch.where(nonzero, reference / norms.where(nonzero, 1.0), 1.0)
        return self.inner(step.scaled(self.factors)) * self.factors

    def after_update(self, new_losses: Callable[[], Tensor]) -> None:
        """Passed on, at the scale of the losses before the update."""
        factors = self.factors
        self.inner.after_update(new_losses if factors is None else lambda: new_losses() * factors)
