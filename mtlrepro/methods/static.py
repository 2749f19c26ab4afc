"""Static weights: the total loss is sum_i w_i L_i with weights fixed beforehand; w = 1 is plain multi-task learning."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtlrepro.training.weighting import Step, Weighting


class Static(Weighting):
    """Fixed task weights.

    weights: (tasks,), or (runs, tasks) for a batch of runs that differ in them; None: every task counts 1.
    """

    def __init__(self, weights: Tensor | Sequence[float] | None = None) -> None:
        self.fixed = None if weights is None else torch.as_tensor(weights)

    def __call__(self, step: Step) -> Tensor:
        """(k,) or (runs, k), as the step's losses."""
        if self.fixed is None:
            return torch.ones_like(step.losses)
        if self.fixed.device != step.losses.device or self.fixed.dtype != step.losses.dtype:
            self.fixed = self.fixed.to(step.losses)  # once, at the first step
        weights = self.fixed if step.task is None else self.fixed[..., step.task : step.task + 1]
        return weights.expand_as(step.losses)
