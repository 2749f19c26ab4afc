"""Gradient aggregation as task weights, computed by TorchJD (the optional extra `torchjd`).

Each rule replaces the sum of the tasks' gradients g_i on the shared parameters by a combination sum_i w_i g_i whose weights
depend on the Gramian G = (<g_i, g_j>) alone, and TorchJD gives these weights:

    pcgrad   sum_i of g_i, with its conflicting part along each other g_j taken out in turn (Yu et al. 2020, Algorithm 1)
    mgda     argmin |sum_i w_i g_i|, w >= 0, sum_i w_i = 1 (Desideri 2012; Frank-Wolfe of Sener and Koltun 2018, Algorithm 2)
    cagrad   argmax_d min_i <g_i, d> with |d - mean g| <= c |mean g| (Liu et al. 2021, Algorithm 1)
    upgrad   mean over i of g_i projected onto the cone {d: <g_j, d> >= 0 for all j} (Quinton and Rey 2024)
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mtlrepro.device import seeded
from mtlrepro.errors import BadValue, MtlreproError, UnknownName
from mtlrepro.training.per_run import RunValue, all_losses
from mtlrepro.training.weighting import Step, Weighting

RULES = {"pcgrad": "PCGradWeighting", "mgda": "MGDAWeighting", "cagrad": "CAGradWeighting", "upgrad": "UPGradWeighting"}


class Aggregation(Weighting):
    """The weights of one of the rules above on the shared parameters; every head follows its own loss.

    rule: pcgrad, mgda, cagrad or upgrad. c: cagrad's radius, a number or (runs,); 0 is the mean gradient, and below 1 it
    stops only where the mean gradient is 0. generators: for pcgrad, whose order of the other tasks is random: one, or one a run,
    on the CPU; two tasks have no order and need none.

    What the weights sum to is the rule's: two tasks without conflict get 1 each from pcgrad, 1/2 from upgrad. The papers work
    on all parameters or on a shared representation; our reading is the shared parameters, as for the other methods here.
    TorchJD solves on the host, run by run: unlike with every other method here a step waits for the host and cannot be captured
    in a CUDA graph. A run whose gradients are not finite gets NaN. Raises UnknownName for another rule, MtlreproError where
    TorchJD is not installed, BadValue for batches of one task or where generators are not one a run.
    """

    weight_heads = False

    def __init__(
        self,
        rule: str,
        c: float | Tensor = 0.4,
        generators: torch.Generator | Sequence[torch.Generator] | None = None,
    ) -> None:
        if rule not in RULES:
            raise UnknownName("aggregation rule", rule, RULES)
        self.rule, self.generators = rule, generators
        self.c = RunValue("c", c, low=0)
        radii = [{"c": radius} for radius in (c.tolist() if isinstance(c, Tensor) else [c])] if rule == "cagrad" else [{}]
        self.solvers = [_solver(rule, **options) for options in radii]

    def __call__(self, step: Step) -> Tensor:
        """(k,) or (runs, k)."""
        losses = all_losses(step, self.rule)
        self.c.along(losses)
        gramians = (step.jacobian @ step.jacobian.mT).detach()
        gramians = gramians if losses.ndim == 2 else gramians[None]
        solvers = self.solvers if len(self.solvers) > 1 else self.solvers * len(gramians)
        seeds = self._seeds(losses)
        found = torch.stack([self._solve(*each) for each in zip(solvers, gramians, seeds, strict=True)])
        return found.to(losses) if losses.ndim == 2 else found[0].to(losses)

    def _solve(self, solver: Callable[[Tensor], Tensor], gramian: Tensor, seed: int) -> Tensor:
        if not bool(gramian.isfinite().all()):
            return torch.full_like(gramian[0], torch.nan)
        with seeded(seed):  # TorchJD draws from torch's global generator
            return solver(gramian)

    def _seeds(self, losses: Tensor) -> list[int]:
        """One seed a run for this step."""
        runs = len(losses) if losses.ndim == 2 else 1
        if self.rule != "pcgrad" or losses.shape[-1] == 2:
            return [0] * runs
        each = [self.generators] if isinstance(self.generators, torch.Generator) else list(self.generators or [])
        if len(each) != runs:
            raise BadValue(f"pcgrad of {losses.shape[-1]} tasks needs one generator a run: got {len(each)} for {runs} runs.")
        return [int(torch.randint(2**31, (), generator=g)) for g in each]


def _solver(rule: str, **options: Any) -> Callable[[Tensor], Tensor]:
    try:
        made: Callable[[Tensor], Tensor] = getattr(importlib.import_module("torchjd.aggregation"), RULES[rule])(**options)
    except ImportError:
        raise MtlreproError(f'{rule} needs TorchJD: python -m pip install -e ".[torchjd]".') from None
    return made
