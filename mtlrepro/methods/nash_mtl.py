"""Nash-MTL (Navon et al. 2022, "Multi-task learning as a bargaining game", Algorithm 1).

The update sum_i w_i g_i is the Nash bargaining solution of tasks that gain <g_i, d> by a step d of bounded length: with the
gradients' Gramian G it has

    G w = 1 / w,   w > 0    (Claim 3.1),

so that w_i g_i does not depend on the unit of any task's loss. The length of sum_i w_i g_i is then cut to `max_norm`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.training.per_run import all_losses
from mtlrepro.training.weighting import Step, Weighting

# Added to the Gramian of unit gradients: where no step helps every task the equation has no solution, and w would have no bound.
_RIDGE = 1e-8
# Damped Newton needs some ten where a step helps every task; where none does, weights grow for as long as it goes on.
_NEWTON_STEPS = 40


class NashMTL(Weighting):
    """The weights w of the shared parameters; every head follows its own loss.

    max_norm: of sum_i w_i g_i, 0 for no bound.

    Claim 3.1's equation is the stationarity of the convex w^T G w / 2 - sum_i log w_i, which damped Newton minimises for all runs
    at once; the authors, and TorchJD with them, linearise the equation and solve it run by run. A run whose gradients
    are not finite gets NaN. Raises BadValue for fewer than two tasks.
    """

    weight_heads = False

    def __init__(self, max_norm: float = 1.0) -> None:
        self.max_norm = max_norm

    def __call__(self, step: Step) -> Tensor:
        """(k,) or (runs, k)."""
        losses = all_losses(step, "Nash-MTL")
        if losses.shape[-1] < 2:
            raise BadValue("Nash-MTL is a bargain between tasks: give it two or more.")
        rows = step.jacobian.detach().double()
        sizes: Tensor = rows.norm(dim=-1)
        sizes = sizes.where(sizes != 0, 1.0)
        rows = rows / sizes[..., None]
        weights = bargain(rows @ rows.mT)
        if self.max_norm:
            length = (weights[..., None, :] @ rows).norm(dim=-1)
            weights = weights * (self.max_norm / length).clamp_max(1.0)
        return (weights / sizes).to(losses)


def bargain(gramian: Tensor) -> Tensor:
    """(..., k): w > 0 with (G + a small ridge) w = 1 / w. gramian: (..., k, k) of unit vectors; NaN where it is not finite."""
    k = gramian.shape[-1]
    gramian = gramian + _RIDGE * torch.eye(k, dtype=gramian.dtype, device=gramian.device)
    w = gramian.new_ones(gramian.shape[:-1])
    for _ in range(_NEWTON_STEPS):
        slope = (gramian @ w[..., None])[..., 0] - 1 / w
        factor = torch.linalg.cholesky_ex(gramian + torch.diag_embed(w**-2)).L
        newton = torch.cholesky_solve(slope[..., None], factor)[..., 0]
        decrement = (newton * slope).sum(-1, keepdim=True).clamp_min(0).sqrt()
        w = w - newton / (1 + decrement)  # stays positive: the function is self-concordant (Nesterov 1994)
    return w
