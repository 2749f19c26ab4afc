"""GradNorm (Chen, Badrinarayanan, Lee, Rabinovich 2018, eq. 1 and 2, Algorithm 1).

    G_i = |grad_W w_i L_i|,   r_i = (L_i / L_i(0)) / mean_j (L_j / L_j(0)),
    L_grad(w) = sum_i | G_i - mean_j G_j · r_i^alpha |,

the second term taken as a constant. A step of gradient descent on L_grad in w, then w is scaled so that sum_i w_i = k.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.training.per_run import RunValue, all_losses
from mtlrepro.training.weighting import Step, Weighting


class GradNorm(Weighting):
    """Weights that bring the tasks' gradient norms to one size, larger for a task that learns slower.

    alpha: strength of the pull towards equal rates of learning, 0 for equal norms; 1.5 in the paper. rate: of the descent on
    L_grad; both a number or (runs,). parameters: names of the shared parameters W whose gradients count; the paper takes the
    last shared layer, None takes all of them. initial: (tasks,) losses that stand for L(0) (the paper: log C for a cross-entropy
    of C classes), None for the losses of the first step. `weights` is (..., tasks), None before the first step.

    As in Algorithm 1 the step itself is taken with the weights before their update. The paper leaves open which optimiser
    moves w and what happens at w < 0. Our reading: plain gradient descent, and w is kept at 0 or above, where it grows again; a
    step that would bring every w there is not taken. A task whose L(0) is 0 counts as one that learns at the pace L = L(0).
    Raises BadValue for an unknown parameter name or batches of one task.
    """

    def __init__(
        self,
        alpha: float | Tensor = 1.5,
        rate: float | Tensor = 0.025,
        parameters: Sequence[str] | None = None,
        initial: Tensor | Sequence[float] | None = None,
    ) -> None:
        self.alpha, self.rate = RunValue("alpha", alpha, low=0), RunValue("rate", rate, low=0)
        self.parameters = parameters
        self.initial = None if initial is None else torch.as_tensor(initial)
        self.weights: Tensor | None = None

    def __call__(self, step: Step) -> Tensor:
        """(k,) or (runs, k), summing to k."""
        losses = all_losses(step, "gradnorm")
        if self.weights is None:
            self.weights = torch.ones_like(losses)
            self.initial = losses.clone() if self.initial is None else self.initial.to(losses).expand_as(losses).clone()
        assert self.initial is not None
        weights = self.weights.clone()
        norms = self._norms(step)
        sizes = weights * norms
        progress = torch.where(self.initial == 0, 1.0, losses / self.initial)
        pace = progress / progress.mean(-1, keepdim=True)
        target = sizes.mean(-1, keepdim=True) * pace ** self.alpha.along(losses)
        moved = (weights - self.rate.along(losses) * torch.sign(sizes - target) * norms).clamp_min(0)
        total = moved.sum(-1, keepdim=True)
        self.weights.copy_(torch.where(total == 0, weights, moved * losses.shape[-1] / total))
        return weights

    def _norms(self, step: Step) -> Tensor:
        """|grad_W L_i|: (..., k)."""
        if self.parameters is None:
            sizes: Tensor = step.jacobian.norm(dim=-1)
            return sizes
        unknown = set(self.parameters) - set(step.gradients)
        if unknown:
            raise BadValue(
                f"not among the shared parameters: {', '.join(sorted(unknown))}; they are {', '.join(step.gradients)}."
            )
        ahead = step.losses.ndim  # tasks, and runs where there are any
        each = [step.gradients[name].flatten(ahead).norm(dim=-1) for name in self.parameters]
        sizes = torch.stack(each, -1).norm(dim=-1).movedim(0, -1)
        return sizes
