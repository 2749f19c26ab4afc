"""OL-AUX (Lin, Baweja, Kantor, Held 2019, "Adaptive auxiliary task weighting for reinforcement learning").

The loss is L_main + sum_a w_a L_a. Every N steps

    w_a <- max(0, w_a + step_size · mean over these N steps of <grad L_main, grad L_a>),

gradients in the shared parameters: an auxiliary task whose updates lower the main loss, to first order, gets more weight.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtlrepro.refusals import refuse_main
from mtlrepro.training.per_run import RunValue, all_losses
from mtlrepro.training.weighting import Step, Weighting


class OLAux(Weighting):
    """Auxiliary weights by gradient descent of the main loss in them; the main task's weight is 1.

    step_size: of that descent; every: N, in steps; start: initial auxiliary weights; each a number or (runs,). main: index of the
    main task. `weights` is (..., tasks), None before the first step.

    The paper's derivation leads to the sum of the products times the learning rate, with the main gradient taken one update after
    the auxiliary one. Our reading: the mean, of gradients of the same step. The first only rescales step_size; the second is the
    same to first order in the learning rate, but for the batch. The new weight holds from the step after the N-th.
    Raises BadValue for batches of one task.
    """

    def __init__(
        self,
        step_size: float | Tensor = 1.0,
        every: int | Tensor = 5,
        start: float | Tensor = 1.0,
        main: int = 0,
    ) -> None:
        self.step_size, self.every = RunValue("step_size", step_size, low=0), RunValue("every", every, low=1)
        self.start, self.main = RunValue("start", start, low=0), main
        self.weights: Tensor | None = None

    def __call__(self, step: Step) -> Tensor:
        """(k,) or (runs, k); 1 for the main task."""
        losses = all_losses(step, "ol_aux")
        refuse_main(self.main, step)
        every = self.every.along(losses)
        if self.weights is None:
            self.weights = torch.zeros_like(losses) + self.start.along(losses)
            self.weights[..., self.main] = 1.0
            self.products, self.steps = torch.zeros_like(losses), torch.zeros_like(losses)
        weights = self.weights.clone()
        gradients = step.jacobian
        self.products += (gradients * gradients[..., self.main, None, :]).sum(-1)
        self.steps += 1
        due = self.steps >= every
        moved = (weights + self.step_size.along(losses) * self.products / every).clamp_min(0)
        moved[..., self.main] = 1.0
        self.weights.copy_(torch.where(due, moved, weights))
        self.products.masked_fill_(due, 0)
        self.steps.masked_fill_(due, 0)
        return weights
