"""Gradient aggregation as task weights, computed by TorchJD (the optional extra `torchjd`).

Each rule replaces the sum of the tasks' gradients g_i on the shared parameters by a combination sum_i w_i g_i whose weights
depend on the Gramian G = (<g_i, g_j>) alone, and TorchJD gives these weights:

    PCGrad   sum_i of g_i, with its conflicting part along each other g_j taken out in turn (Yu et al. 2020, Algorithm 1)
    MGDA     argmin |sum_i w_i g_i|, w >= 0, sum_i w_i = 1 (Desideri 2012; Frank-Wolfe of Sener and Koltun 2018, Algorithm 2)
    CAGrad   argmax_d min_i <g_i, d> with |d - mean g| <= c |mean g| (Liu et al. 2021, Algorithm 1)
    UPGrad   mean over i of g_i projected onto the cone {d: <g_j, d> >= 0 for all j} (Quinton and Rey 2024)
    IMTLG    d with equal projections on all g_i / |g_i|, sum_i w_i = 1 (Liu et al. 2021, "Towards impartial MTL", eq. 2 to 5)

A rule that TorchJD computes from the Gramian needs no code here: a row of `mtlrepro.methods.registry` names it.
"""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mtlrepro.device import seeded
from mtlrepro.errors import BadValue, MtlreproError, UnknownName
from mtlrepro.training.per_run import RunValue, all_losses
from mtlrepro.training.weighting import Step, Weighting

# Gramian (k, k) of one run -> weights (k,).
Solver = Callable[[Tensor], Tensor]


class GramianWeighting(Weighting):
    """Weights of the shared parameters that follow from the Gramian of the tasks' gradients; every head follows its own loss.

    rule: how errors name it. It is solved on the host, run by run: a step waits for the host and cannot be captured in a CUDA
    graph. A run whose gradients are not finite gets NaN. Raises BadValue for batches of one task.
    """

    weight_heads = False

    def __init__(self, rule: str) -> None:
        self.rule = rule

    def __call__(self, step: Step) -> Tensor:
        """(k,) or (runs, k)."""
        losses = all_losses(step, self.rule)
        gramians = (step.jacobian @ step.jacobian.mT).detach()
        gramians = gramians if losses.ndim == 2 else gramians[None]
        weights = [
            solve(gramian) if bool(gramian.isfinite().all()) else torch.full_like(gramian[0], torch.nan)
            for solve, gramian in zip(self.solvers(*gramians.shape[:2]), gramians, strict=True)
        ]
        return torch.stack(weights).to(losses).reshape(losses.shape)

    @abstractmethod
    def solvers(self, runs: int, tasks: int) -> Sequence[Solver]:
        """One solver per run, for one step."""


class Aggregation(GramianWeighting):
    """The weights of one of TorchJD's rules.

    rule: its name in TorchJD, such as "MGDA" for `torchjd.aggregation.MGDAWeighting`. c: CAGrad's radius, a number or (runs,); 0
    is the mean gradient, and below 1 it stops only where the mean gradient is 0. generators: for PCGrad, whose order of the other
    tasks is random: one, or one per run, on the CPU; two tasks have no order and need none.

    What the weights sum to is the rule's: two tasks without conflict get 1 each from PCGrad, 1/2 from UPGrad. The papers work
    on all parameters or on a shared representation; our reading is the shared parameters, as for the other methods here.
    Raises UnknownName for a rule that TorchJD lacks, MtlreproError where TorchJD or one of its solvers is not installed, BadValue
    for CAGrad without `c` or another rule with it; at a step, for values or generators that are not one per run.
    """

    def __init__(
        self,
        rule: str,
        c: float | Tensor | None = None,
        generators: torch.Generator | Sequence[torch.Generator] | None = None,
    ) -> None:
        super().__init__(rule)
        if (c is not None) != (rule == "CAGrad"):
            raise BadValue("c is the radius of CAGrad: give it there, and nowhere else.")
        if c is not None:
            RunValue("c", c, low=0)  # raises where it is out of range
        options = [{}] if c is None else [{"c": radius} for radius in (c.tolist() if isinstance(c, Tensor) else [c])]
        self.each = [torchjd(f"{rule}Weighting", **one) for one in options]
        self.generators = generators

    def solvers(self, runs: int, tasks: int) -> list[Solver]:
        """One solver per run, for one step."""
        if len(self.each) not in (1, runs):
            raise BadValue(f"c is for {len(self.each)} runs, the losses are of {runs}.")
        each = self.each if len(self.each) == runs else self.each * runs
        return [partial(_seeded, *one) for one in zip(each, self._seeds(runs, tasks), strict=True)]

    def _seeds(self, runs: int, tasks: int) -> list[int]:
        """One seed per run for this step."""
        if self.rule != "PCGrad" or tasks == 2:
            return [0] * runs
        each = [self.generators] if isinstance(self.generators, torch.Generator) else list(self.generators or [])
        if len(each) != runs:
            raise BadValue(f"PCGrad of {tasks} tasks needs one generator per run: got {len(each)} for {runs} runs.")
        return [int(torch.randint(2**31, (), generator=g)) for g in each]


def _seeded(solver: Solver, seed: int, gramian: Tensor) -> Tensor:
    with seeded(seed):  # TorchJD draws from torch's global generator
        return solver(gramian)


def torchjd(name: str, **options: Any) -> Any:
    """An object of the class `name` of `torchjd.aggregation`. Raises MtlreproError where it, or a solver that it needs, is not
    installed, and UnknownName for a class that it lacks."""
    try:
        module = importlib.import_module("torchjd.aggregation")
        if not hasattr(module, name):
            raise UnknownName("class of torchjd.aggregation", name, [each for each in dir(module) if each[0].isupper()])
        return getattr(module, name)(**options)
    except ImportError:
        raise MtlreproError(f'{name} needs TorchJD and its solvers: python -m pip install -e ".[torchjd]".') from None
