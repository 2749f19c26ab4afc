"""What every task weighting needs to serve one run or a batch of runs: parameters with one value per run, and tasks by index."""

from __future__ import annotations

import math

from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.training.weighting import Step


class RunValue:
    """A parameter of a method: one number for every run, or a tensor (runs,), so that a tuning grid is one batch of runs.

    low, high: the values allowed, ends included. Raises BadValue outside of them, or for a tensor of another shape.
    """

    def __init__(self, name: str, value: float | Tensor, low: float = -math.inf, high: float = math.inf) -> None:
        if isinstance(value, Tensor) and value.ndim != 1:
            raise BadValue(f"{name} must be a number or one value a run, not a tensor of shape {tuple(value.shape)}.")
        for number in value.tolist() if isinstance(value, Tensor) else [value]:
            if not low <= number <= high:
                raise BadValue(f"{name} must be between {low:g} and {high:g}, not {number:g}.")
        self.name, self.value = name, value

    def along(self, losses: Tensor) -> float | Tensor:
        """The number, or (runs, 1) where runs differ, to stand beside losses (runs, tasks). Raises BadValue for other runs."""
        if not isinstance(self.value, Tensor):
            return self.value
        if losses.ndim != 2 or losses.shape[0] != self.value.shape[0]:
            raise BadValue(f"{self.name} is for {self.value.shape[0]} runs, the losses have shape {tuple(losses.shape)}.")
        if self.value.device != losses.device or self.value.dtype != losses.dtype:
            self.value = self.value.to(losses)  # once, at the first step
        return self.value[:, None]


def all_losses(step: Step, method: str) -> Tensor:
    """The step's losses (..., tasks), detached. Raises BadValue where the batch is for one task alone."""
    if step.task is not None:
        raise BadValue(f"{method} compares the tasks within a step: every batch must hold all of them.")
    return step.losses.detach()


def of_task(weights: Tensor, step: Step) -> Tensor:
    """Of weights (..., tasks) those of the step's losses: all, or (..., 1) where its batch is for one task."""
    return weights if step.task is None else weights[..., step.task : step.task + 1]
