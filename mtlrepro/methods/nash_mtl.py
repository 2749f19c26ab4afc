"""Nash-MTL (Navon et al. 2022, "Multi-task learning as a bargaining game", Algorithm 1), computed by TorchJD.

The update sum_i w_i g_i is the Nash bargaining solution of tasks that gain <g_i, d> by a step d of bounded length: with the
gradients' Gramian G it has

    G w = 1 / w,   w > 0    (Claim 3.1),

so that w_i g_i does not depend on the unit of any task's loss. The length of sum_i w_i g_i is then cut to `max_norm`.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.methods.pareto_mtl import smallest_combination
from mtlrepro.methods.torchjd_aggregation import GramianWeighting, Solver, torchjd

# Less of a gain along unit gradients counts as none; also added to starting weights, which must not be 0.
_POSITIVE = 1e-3


class NashMTL(GramianWeighting):
    """The weights w.

    max_norm: of sum_i w_i g_i, 0 for no bound. iterations: of the concave-convex procedure within a step.

    As in the authors' code a step starts from the weights of the last one, and keeps them where ECOS fails. It fails where some
    task gains nothing by the start, such as equal weights on gradients in conflict, and where gradients differ much in length.
    Our reading, which leaves the solution what it is: gradients are brought to unit length, and a start by which some task gains
    nothing is replaced by the weights of their shortest convex combination, along which every task gains if any step allows it.
    Raises MtlreproError where TorchJD or ECOS is not installed (ECOS has no build for Python 3.13).
    """

    def __init__(self, max_norm: float = 1.0, iterations: int = 20) -> None:
        super().__init__("Nash-MTL")
        self.options = {"max_norm": max_norm, "optim_niter": iterations}
        torchjd("NashMTL", n_tasks=1, **self.options)  # raises at once where something is missing
        self.each: list[Solver] = []

    def solvers(self, runs: int, tasks: int) -> list[Solver]:
        """The same ones at every step, one per run: each starts from its own last weights. Raises BadValue for one task."""
        if tasks < 2:
            raise BadValue("Nash-MTL is a bargain between tasks: give it two or more.")
        if not self.each:
            self.each = [_from_gramian(tasks, **self.options) for _ in range(runs)]
        return self.each


def _from_gramian(tasks: int, **options: float) -> Solver:
    weighting = torchjd("NashMTL", n_tasks=tasks, **options).weighting

    def solve(gramian: Tensor) -> Tensor:
        gramian = gramian.double().cpu()
        sizes = gramian.diagonal().sqrt()
        sizes = sizes.where(sizes > 0, 1.0)
        cosines = (gramian / sizes / sizes[:, None]).fill_diagonal_(
            1.0
        )  # of 1 too for a gradient of zero, which none conflicts with
        # TorchJD asks for the gradients; any rows with the same inner products serve.
        values, directions = torch.linalg.eigh(cosines)
        rows = directions * values.clamp_min(0).sqrt()
        start, products = weighting.prvs_alpha, cosines.numpy()
        if (products @ start <= _POSITIVE).any():
            start = smallest_combination(rows.numpy()) + _POSITIVE
        weighting.prvs_alpha = start * np.sqrt(
            tasks / max(start @ products @ start, 1e-12)
        )  # the update's length at the solution
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of CVXPY, about speed and accuracy
            weights: Tensor = weighting(rows) / sizes
        return weights

    return solve
