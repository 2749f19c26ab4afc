"""Uncertainty weighting (Kendall, Gal, Cipolla 2018, "Multi-task learning using uncertainty to weigh losses", eq. 7 and 10).

Each task has a noise sigma_i that is learnt along with the network by minimising

    sum_i L_i / (2 sigma_i^2) + log sigma_i    (regression, L_i a mean squared error)
    sum_i L_i / sigma_i^2 + log sigma_i        (classification, L_i a cross-entropy)

With s_i = log sigma_i^2 the weight of task i is exp(-s_i) / 2 or exp(-s_i). The extra term s_i / 2 has no gradient in the
network; it only keeps s_i from growing, so that s_i is at rest where sigma_i^2 = L_i, or 2 L_i for classification.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.training.per_run import RunValue, of_task
from mtlrepro.training.weighting import Step, Weighting

Kind = Literal["regression", "classification"]
_FACTORS = {"regression": 0.5, "classification": 1.0}


class Uncertainty(Weighting):
    """Weights from learnt log-variances.

    kinds: of all tasks, or one a task. rate: of the gradient descent on the log-variances, a number or (runs,).
    start: initial log-variance s. tasks: their number, needed only where a batch holds one task.
    `log_variances` is (..., tasks), None before the first step. One object serves one training.

    The paper: s is learnt by the network's optimiser on the joint loss. Our reading: plain gradient descent with a rate of its
    own, which is the joint SGD of the paper where both rates are equal; a step's weights come from s before its update.
    Raises BadValue for an unknown kind or a number of kinds that is not that of the tasks.
    """

    def __init__(
        self,
        kinds: Kind | Sequence[Kind] = "regression",
        rate: float | Tensor = 0.025,
        start: float | Tensor = 0.0,
        tasks: int | None = None,
    ) -> None:
        self.kinds: list[str] = [kinds] if isinstance(kinds, str) else list(kinds)
        if not set(self.kinds) <= set(_FACTORS):
            raise BadValue(f"kinds are regression and classification, not {', '.join(sorted(set(self.kinds) - set(_FACTORS)))}.")
        self.rate, self.start = RunValue("rate", rate, low=0), RunValue("start", start)
        self.tasks = tasks
        self.log_variances: Tensor | None = None

    def __call__(self, step: Step) -> Tensor:
        """(..., k), as the step's losses: half or all of exp(-s)."""
        losses = step.losses.detach()
        if self.log_variances is None:
            self._begin(step)
        assert self.log_variances is not None
        s = of_task(self.log_variances, step)
        weights = of_task(self.factors, step) * torch.exp(-s)
        s -= self.rate.along(losses) * (0.5 - weights * losses)
        return weights

    def _begin(self, step: Step) -> None:
        tasks = self.tasks if step.task is not None else step.losses.shape[-1]
        if tasks is None:
            raise BadValue("uncertainty weighting needs the number of tasks where a batch holds one: pass tasks.")
        if len(self.kinds) not in (1, tasks):
            raise BadValue(f"{len(self.kinds)} kinds were given for {tasks} tasks.")
        like = step.losses.detach()
        factors = [_FACTORS[kind] for kind in self.kinds]
        self.factors = torch.tensor(factors, dtype=like.dtype, device=like.device).expand(tasks)
        self.log_variances = like.new_zeros((*like.shape[:-1], tasks)) + self.start.along(like)
