"""FAMO (Liu, Feng, Stone, Liu 2023, "FAMO: Fast adaptive multitask optimization", Algorithm 1).

With logits xi, z = softmax(xi), rate beta and decay gamma, a step t is

    theta <- theta - alpha · sum_i (c z_i / L_i) grad L_i,   c = 1 / sum_i (z_i / L_i)
    xi <- xi - beta (delta + gamma xi),   delta = (dz / dxi)^T (log L(theta_t) - log L(theta_t+1)),

both losses on the same batch: a task whose loss fell by a larger factor than the others' gets less weight. The weights
c z_i / L_i, which sum to 1, are softmax(xi - log L); and (dz / dxi)^T d = z (d - sum_j z_j d_j).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.training.per_run import RunValue, all_losses
from mtlrepro.training.weighting import Step, Weighting


class FAMO(Weighting):
    """Weights that make the losses fall at equal rates, from losses alone: one more forward pass a step, no gradient per task.

    rate: beta, of the logits' descent. decay: gamma, their pull to 0. total: what the weights sum to, 1 in the paper: a factor on
    the learning rate. Each is a number or (runs,). Losses must be positive: one below 0 gives NaN in its run, one of exactly
    0 counts as the smallest positive number. `logits` is xi, (..., tasks), None before the first step.

    The authors' code moves xi by Adam at rate 0.025 with weight decay 0.01. Our reading: Algorithm 1 as printed, which is plain
    gradient descent; the two numbers are kept. Raises BadValue for batches of one task, for a value below 0, and where a
    training takes a second step without having called `after_update`.
    """

    def __init__(self, rate: float | Tensor = 0.025, decay: float | Tensor = 0.01, total: float | Tensor = 1.0) -> None:
        self.rate, self.decay, self.total = (
            RunValue(name, value, low=0) for name, value in (("rate", rate), ("decay", decay), ("total", total))
        )
        self.logits: Tensor | None = None
        self._before: Tensor | None = None  # log losses of a step whose update is not known yet

    def __call__(self, step: Step) -> Tensor:
        """(k,) or (runs, k), positive, summing to `total`."""
        losses = all_losses(step, "famo")
        if self._before is not None:
            raise BadValue("famo needs the losses after each update: call after_update, as mtlrepro.training.fit does.")
        if self.logits is None:
            self.logits = torch.zeros_like(losses)
        self._before = _log(losses)
        return self.total.along(losses) * torch.softmax(self.logits - self._before, dim=-1)

    def after_update(self, new_losses: Callable[[], Tensor]) -> None:
        """Move the logits."""
        if self.logits is None or self._before is None:
            raise BadValue("famo has no step to update from.")
        gains = self._before - _log(new_losses())
        z = torch.softmax(self.logits, dim=-1)
        delta = z * (gains - (z * gains).sum(-1, keepdim=True))
        self.logits -= self.rate.along(gains) * (delta + self.decay.along(gains) * self.logits)
        self._before = None


def _log(losses: Tensor) -> Tensor:
    return losses.where(losses != 0, torch.finfo(losses.dtype).tiny).log()
