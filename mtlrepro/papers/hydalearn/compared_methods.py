"""The methods that the HydaLearn paper compares, each with the grid it is tuned on."""

from __future__ import annotations

import math
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
from mtlrepro.papers.hydalearn.training.tuned_runs import Builder, Runs
from mtlrepro.training.weighting import Weighting

# ---------------------------------------------------------------------------------------------------------------------
# The methods that are compared, and what is tuned of each
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Method:
    """A way to train the main task. parameter: what is tuned beside the learning rate, at `values`; "" for nothing."""

    title: str
    build: Builder
    parameter: str = ""
    values: tuple[float, ...] = ()

    def grid(self, low: float, high: float, size: int) -> list[dict[str, float]]:
        """`size` grid points: every value at rates evenly spaced in logarithm from `low` to `high`.

        A method with nothing else to tune gets as many more rates. Raises BadValue where `size` is no multiple of the values.
        """
        values = self.values or (0.0,)
        if size % len(values):
            raise BadValue(f"a grid of {size} points cannot hold the {len(values)} values of {self.title}.")
        rates = torch.logspace(math.log10(low), math.log10(high), size // len(values)).tolist()
        own = [{self.parameter: value} for value in values] if self.parameter else [{}]
        return [{"rate": rate} | point for rate in rates for point in own]


def _fixed(main: Tensor, total: float = 2.0) -> Weighting:
    return Static(torch.stack([main, total - main], -1))


def _single(weight: float) -> Builder:
    return lambda runs: Static(torch.tensor([weight, 0.0], device=runs.settings["rate"].device))


def _hydalearn(**switches: bool) -> Builder:
    return lambda runs: HydaLearn(
        runs.loss if switches.get("first_order") else runs.metric,
        maximise=runs.maximise and not switches.get("first_order", False),
        beta=runs.settings["beta"],
        **switches,
    )


def _uncertainty(runs: Runs) -> Weighting:
    kinds = ["classification" if kind == "cross-entropy" else "regression" for kind in runs.kinds]
    return Uncertainty(kinds, rate=runs.settings["log-variance rate"])  # type: ignore[arg-type]


def _random(runs: Runs) -> Weighting:
    return RandomWeights([generator(seed, "weights") for seed in runs.seeds], total=2.0)


_BETAS = (1.0, 6.0)
# The total weight is W = 2 wherever a method has one, for the single task too: a weight is a factor on the learning rate.
METHODS: dict[str, Method] = {
    "stl": Method("single task", _single(2.0)),
    "stl, weight 1": Method("single task, weight 1", _single(1.0)),
    "equal": Method("equal weights", lambda runs: _fixed(torch.ones_like(runs.settings["rate"]))),
    "static": Method("static, tuned", lambda runs: _fixed(runs.settings["main weight"]), "main weight", (1.5, 1.9)),
    "uncertainty": Method("uncertainty", _uncertainty, "log-variance rate", (0.001, 0.01)),
    "gradnorm": Method("GradNorm", lambda runs: GradNorm(runs.settings["alpha"]), "alpha", (0.5, 1.5)),
    "dwa": Method("DWA", lambda runs: DynamicWeightAverage(runs.settings["temperature"]), "temperature", (1.0, 2.0)),
    "cosine": Method("gradient cosine", lambda runs: GradientCosine(scale=runs.settings["scale"]), "scale", (1.0, 2.0)),
    "weighted cosine": Method(
        "gradient cosine, weighted", lambda runs: GradientCosine(True, scale=runs.settings["scale"]), "scale", (1.0, 2.0)
    ),
    "olaux": Method("OL-AUX", lambda runs: OLAux(runs.settings["step size"]), "step size", (0.01, 0.1)),
    "random": Method("random weights", _random),
    "hydalearn": Method("HydaLearn", _hydalearn(), "beta", _BETAS),
    "first order": Method("HydaLearn, first order", _hydalearn(first_order=True), "beta", _BETAS),
    "raw fake steps": Method("HydaLearn, fake steps not normalised", _hydalearn(normalise=False), "beta", _BETAS),
    "no downscaling": Method("HydaLearn, total not scaled down", _hydalearn(downscale=False), "beta", _BETAS),
    "inverted": Method("HydaLearn, inverted", _hydalearn(invert_negative=True), "beta", _BETAS),
    "carried": Method("HydaLearn, reference carried over", _hydalearn(carried=True), "beta", _BETAS),
}
