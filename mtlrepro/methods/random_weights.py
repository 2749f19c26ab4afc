"""Random loss weighting (Lin, Ye, Zhang, Tsang 2022, "Reasonable effectiveness of random weighting", section 3).

w = softmax(z),   z_i ~ N(0, 1) drawn afresh each step: the sanity check that any weighting has to beat.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.training.per_run import RunValue, all_losses
from mtlrepro.training.weighting import Step, Weighting


class RandomWeights(Weighting):
    """A fresh random weight for each task in each step.

    generators: one for a single model, or one a run, so that a run draws as it would alone; on the losses' device, else every
    step copies between the two. total: what the weights sum to. spread: standard deviation of z. Both are numbers or (runs,), 1
    in the paper. Raises BadValue where the generators are not one a run, and for batches of one task.
    """

    def __init__(
        self,
        generators: torch.Generator | Sequence[torch.Generator],
        total: float | Tensor = 1.0,
        spread: float | Tensor = 1.0,
    ) -> None:
        self.generators = generators
        self.total, self.spread = RunValue("total", total, low=0), RunValue("spread", spread, low=0)

    def __call__(self, step: Step) -> Tensor:
        """(k,) or (runs, k)."""
        losses = all_losses(step, "random_weights")
        draws = normal_draws(self.generators, losses)
        return torch.softmax(draws * self.spread.along(losses), dim=-1) * self.total.along(losses)


def normal_draws(generators: torch.Generator | Sequence[torch.Generator], like: Tensor) -> Tensor:
    """Standard normal draws of the shape of `like`, (k,) from one generator or (runs, k) from one a run."""
    single = isinstance(generators, torch.Generator)
    if single != (like.ndim == 1) or (not single and len(generators) != len(like)):  # type: ignore[arg-type]
        count = "one generator" if single else f"{len(generators)} generators"  # type: ignore[arg-type]
        raise BadValue(f"pass one generator a run: got {count} for losses of shape {tuple(like.shape)}.")
    each = [generators] if isinstance(generators, torch.Generator) else generators
    drawn = [torch.randn(like.shape[-1:], generator=g, dtype=like.dtype, device=g.device) for g in each]
    return (drawn[0] if single else torch.stack(drawn)).to(like.device)
