"""The methods that the HydaLearn paper compares, each with the grid it is tuned on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtlrepro.device import generator
from mtlrepro.errors import BadValue
from mtlrepro.methods.dwa import DynamicWeightAverage
from mtlrepro.methods.gradient_cosine import GradientCosine
from mtlrepro.methods.gradnorm import GradNorm
from mtlrepro.methods.hydalearn import HydaLearn
from mtlrepro.methods.ol_aux import OLAux
from mtlrepro.methods.random_weights import RandomWeights
from mtlrepro.methods.static import Static
from mtlrepro.methods.uncertainty import Uncertainty
from mtlrepro.papers.hydalearn.training.tuned_runs import Builder, GridRuns, Point
from mtlrepro.training.weighting import Weighting


@dataclass(frozen=True)
class ComparedMethod:
    """A way to train the main task. parameter: what is tuned beside the learning rate, at `values`; "" for nothing."""

    title: str
    build: Builder
    parameter: str = ""
    values: tuple[float, ...] = ()

    def point(self, rate: float, value: float | None = None) -> Point:
        """A grid point: the learning rate, and the method's own parameter where it has one."""
        return {"rate": rate} | ({self.parameter: value} if self.parameter and value is not None else {})

    def grid(self, low: float, high: float, size: int) -> list[Point]:
        """`size` grid points: every value at rates evenly spaced in logarithm from `low` to `high`.

        A method with nothing else to tune gets as many more rates. Raises BadValue where `size` is no multiple of the values.
        """
        values = self.values or (None,)
        if size % len(values):
            raise BadValue(f"a grid of {size} points cannot hold the {len(values)} values of {self.title}.")
        return [self.point(rate, value) for rate in learning_rates(low, high, size // len(values)) for value in values]


def inside(chosen: Point, tried: Sequence[Point]) -> bool:
    """Whether every setting of a chosen grid point lies strictly between the least and the largest that were tried."""
    return all(min(point[name] for point in tried) < chosen[name] < max(point[name] for point in tried) for name in chosen)


def learning_rates(low: float, high: float, size: int) -> list[float]:
    """`size` rates from `low` to `high`, evenly spaced in logarithm."""
    rates: list[float] = torch.logspace(math.log10(low), math.log10(high), size).tolist()
    return rates


def _fixed(main: Tensor, total: float = 2.0) -> Weighting:
    return Static(torch.stack([main, total - main], -1))


def _single(weight: float) -> Builder:
    return lambda runs: Static(torch.tensor([weight, 0.0], device=runs.settings["rate"].device))


def _hydalearn(**switches: bool) -> Builder:
    first_order = switches.get("first_order", False)
    return lambda runs: HydaLearn(
        runs.loss if first_order else runs.metric,
        maximise=runs.maximise and not first_order,
        beta=runs.settings["beta"],
        **switches,
    )


def _uncertainty(runs: GridRuns) -> Weighting:
    kinds = ["classification" if kind == "cross-entropy" else "regression" for kind in runs.kinds]
    return Uncertainty(kinds, rate=runs.settings["log-variance rate"])  # type: ignore[arg-type]


def _random(runs: GridRuns) -> Weighting:
    return RandomWeights([generator(seed, "weights") for seed in runs.seeds], total=2.0)


def _cosine(weighted: bool) -> Builder:
    return lambda runs: GradientCosine(weighted, scale=runs.settings["scale"])


_BETA = ("beta", (1.0, 6.0))
_SCALE = ("scale", (1.0, 2.0))
# The total weight is W = 2 wherever a method has one, for the single task too: a weight is a factor on the learning rate.
METHODS: dict[str, ComparedMethod] = {
    "stl": ComparedMethod("single task", _single(2.0)),
    "stl, weight 1": ComparedMethod("single task, weight 1", _single(1.0)),
    "equal": ComparedMethod("equal weights", lambda runs: _fixed(torch.ones_like(runs.settings["rate"]))),
    "static": ComparedMethod("static, tuned", lambda runs: _fixed(runs.settings["main weight"]), "main weight", (1.5, 1.9)),
    "uncertainty": ComparedMethod("uncertainty", _uncertainty, "log-variance rate", (0.001, 0.01)),
    "gradnorm": ComparedMethod("GradNorm", lambda runs: GradNorm(runs.settings["alpha"]), "alpha", (0.5, 1.5)),
    "dwa": ComparedMethod("DWA", lambda runs: DynamicWeightAverage(runs.settings["temperature"]), "temperature", (1.0, 2.0)),
    "cosine": ComparedMethod("gradient cosine", _cosine(False), *_SCALE),
    "weighted cosine": ComparedMethod("gradient cosine, weighted", _cosine(True), *_SCALE),
    "olaux": ComparedMethod("OL-AUX", lambda runs: OLAux(runs.settings["step size"]), "step size", (0.01, 0.1)),
    "random": ComparedMethod("random weights", _random),
    "hydalearn": ComparedMethod("HydaLearn", _hydalearn(), *_BETA),
    "first order": ComparedMethod("HydaLearn, first order", _hydalearn(first_order=True), *_BETA),
    "raw fake steps": ComparedMethod("HydaLearn, fake steps not normalised", _hydalearn(normalise=False), *_BETA),
    "no downscaling": ComparedMethod("HydaLearn, total not scaled down", _hydalearn(downscale=False), *_BETA),
    "inverted": ComparedMethod("HydaLearn, inverted", _hydalearn(invert_negative=True), *_BETA),
    "carried": ComparedMethod("HydaLearn, reference carried over", _hydalearn(carried=True), *_BETA),
}
