"""Dynamic weight averaging (Liu, Johns, Davison 2019, "End-to-end multi-task learning with attention", eq. 7).

    w_i(t) = k exp(r_i(t-1) / T) / sum_j exp(r_j(t-1) / T),   r_i(t-1) = L_i(t-1) / L_i(t-2),

with L_i(t) the mean loss of epoch t, and r_i = 1 in the first two epochs: a task whose loss falls slowly gets more weight.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.refusals import refuse_zero_before
from mtlrepro.training.per_run import RunValue, of_task
from mtlrepro.training.weighting import Step, Weighting


class DynamicWeightAverage(Weighting):
    """Weights, summing to k, from the ratio of each task's losses in the last two epochs.

    temperature: T, a number or (runs,); 2 in the paper, larger is more even. of: which losses; "training" is the paper's,
    "validation" is our reading of what CO-TASK compares with: the validation metrics must then be the losses' negatives (larger
    is better), and the two signs cancel in the ratio. `weights` is (..., tasks), None (every weight 1) before two epochs ended.
    Raises BadValue for any other `of`, or where nothing was validated.
    """

    def __init__(self, temperature: float | Tensor = 2.0, of: Literal["training", "validation"] = "training") -> None:
        if of not in ("training", "validation"):
            raise BadValue(f"of must be training or validation, not {of!r}.")
        self.temperature, self.of = RunValue("temperature", temperature, low=1e-6), of
        self.last: Tensor | None = None
        self.weights: Tensor | None = None

    def __call__(self, step: Step) -> Tensor:
        """(..., k), as the step's losses."""
        return torch.ones_like(step.losses) if self.weights is None else of_task(self.weights, step)

    def end_epoch(self, losses: Tensor, validation: Tensor | None) -> None:
        """Take the epoch's losses (..., tasks) into account."""
        latest = losses if self.of == "training" else validation
        if latest is None:
            raise BadValue("dwa of validation losses needs a validation function.")
        refuse_zero_before("DynamicWeightAverage", self.last)
        if self.last is not None:
            shares = torch.softmax(latest / self.last / self.temperature.along(latest), dim=-1)
            self.weights = latest.shape[-1] * shares
        self.last = latest.clone()
