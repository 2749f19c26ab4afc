"""Nash-MTL (Navon et al. 2022, "Multi-task learning as a bargaining game", Algorithm 1), computed by TorchJD.

The update sum_i w_i g_i is the Nash bargaining solution of tasks that gain <g_i, d> by a step d of bounded length: with the
gradients' Gramian G it has

    G w = 1 / w,   w > 0    (Claim 3.1),

so that w_i g_i does not depend on the unit of any task's loss. The length of sum_i w_i g_i is then cut to `max_norm`.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from mtlrepro.methods.torchjd_aggregation import GramianWeighting, Solver, torchjd


class NashMTL(GramianWeighting):
    """The weights w.

    max_norm: of sum_i w_i g_i, 0 for no bound. iterations: of the concave-convex procedure within a step, which starts from the
    weights of the step before; as in the authors' code, a step that ECOS fails to solve keeps the weights of the last one.
    Raises MtlreproError where TorchJD or ECOS is not installed (ECOS has no build for Python 3.13).
    """

    def __init__(self, max_norm: float = 1.0, iterations: int = 20) -> None:
        super().__init__("Nash-MTL")
        self.options = {"max_norm": max_norm, "optim_niter": iterations}
        torchjd("NashMTL", n_tasks=1, **self.options)  # raises at once where something is missing
        self.each: list[Solver] = []

    def solvers(self, runs: int, tasks: int) -> list[Solver]:
        """The same ones at every step, one per run: each starts from its own last weights."""
        if not self.each:
            self.each = [_from_gramian(tasks, **self.options) for _ in range(runs)]
        return self.each


def _from_gramian(tasks: int, **options: float) -> Solver:
    weighting = torchjd("NashMTL", n_tasks=tasks, **options).weighting

    def solve(gramian: Tensor) -> Tensor:
        # TorchJD asks for the gradients; any rows with the same inner products serve.
        values, directions = torch.linalg.eigh(gramian.double())
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "You are solving a parameterized problem that is not DPP")
            weights: Tensor = weighting(directions * values.clamp_min(0).sqrt())
        return weights

    return solve
