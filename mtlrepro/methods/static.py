"""Weights fixed beforehand: the total loss is sum_i w_i L_i with constant w; equal weights are plain multi-task learning."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.refusals import refuse_main, refuse_weights
from mtlrepro.training.per_run import RunValue, of_task
from mtlrepro.training.weighting import Equal, Step, Weighting

__all__ = ["Equal", "MainShare", "Static"]


class Static(Weighting):
    """Given task weights.

    weights: (tasks,), or (runs, tasks) for a batch of runs that differ in them. BadValue at the first step for another number.
    """

    def __init__(self, weights: Tensor | Sequence[float]) -> None:
        self.fixed = torch.as_tensor(weights)

    def __call__(self, step: Step) -> Tensor:
        """(k,) or (runs, k), as the step's losses."""
        refuse_weights(self.fixed, step)
        if self.fixed.device != step.losses.device or self.fixed.dtype != step.losses.dtype:
            self.fixed = self.fixed.to(step.losses)  # once, at the first step
        return of_task(self.fixed, step).expand_as(step.losses)


class MainShare(Weighting):
    """The main task gets a share of the total weight; the others divide the rest equally among them.

    share: in [0, 1]; 1 is single-task learning, 1 / k equal weights. total: what the weights sum to; None: the number of tasks
    k, as equal weights do. Both are numbers or (runs,). main: index of the main task. tasks: their number, needed only where a
    batch holds one task. Raises BadValue for a value out of range; at the first step, where `tasks` is needed and not given.
    """

    def __init__(
        self, share: float | Tensor, total: float | Tensor | None = None, main: int = 0, tasks: int | None = None
    ) -> None:
        self.share = RunValue("share", share, 0, 1)
        self.total = None if total is None else RunValue("total", total, low=0)
        self.main, self.tasks = main, tasks
        self.weights: Tensor | None = None

    def __call__(self, step: Step) -> Tensor:
        """(k,) or (runs, k), as the step's losses."""
        if self.weights is None:
            self.weights = self._fixed(step)
        return of_task(self.weights, step).clone()

    def _fixed(self, step: Step) -> Tensor:
        """(..., tasks)."""
        tasks = self.tasks if step.task is not None else step.losses.shape[-1]
        if tasks is None:
            raise BadValue("a share of the total needs the number of tasks where a batch holds one: pass tasks.")
        refuse_main(self.main, step, tasks)
        share = self.share.along(step.losses)
        weights = step.losses.detach().new_zeros((*step.losses.shape[:-1], tasks)) + (1 - share) / max(tasks - 1, 1)
        weights[..., self.main : self.main + 1] = share
        return weights * (tasks if self.total is None else self.total.along(step.losses))
