"""The methods that the HydaLearn paper is compared with, by the names that its rows have, each with the grid it is tuned on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mtlrepro.device import generator
from mtlrepro.errors import BadValue
from mtlrepro.methods import registry
from mtlrepro.papers.hydalearn.training.tuned_runs import GridRuns, Point
from mtlrepro.training.weighting import Weighting


@dataclass(frozen=True)
class ComparedMethod:
    """A method of the registry. registered: its name there. total: what its weights sum to, where it has such a setting.

    A weight is a factor on the learning rate, so W = 2 for all, the single task too.
    """

    registered: str
    total: float = 2.0

    @property
    def title(self) -> str:
        """For readers."""
        title = registry.METHODS[self.registered].title
        return title if self.total == 2.0 else f"{title}, weight {self.total:g}"

    @property
    def parameter(self) -> str:
        """What is tuned beside the learning rate; "" for nothing."""
        return next(iter(registry.METHODS[self.registered].grid), "")

    def build(self, runs: GridRuns) -> Weighting:
        """The weighting of a batch of runs; one that needs a slope is given the main loss in place of the metric."""
        slope = "slope" in registry.METHODS[self.registered].needs
        kinds = ["classification" if kind == "cross-entropy" else "regression" for kind in runs.kinds]
        offered = {
            "metric": runs.loss if slope else runs.metric,
            "maximise": runs.maximise and not slope,
            "kinds": kinds,
            "generators": [generator(seed, "weights") for seed in runs.seeds],
            "total": self.total,
        }
        own = {self.parameter: runs.settings[self.parameter]} if self.parameter else {}
        return registry.build(self.registered, offered, **own)

    def value(self, point: Point) -> float | None:
        """A grid point's own parameter; of constant weights the main one, as in Table 6."""
        own = point.get(self.parameter)
        return own * self.total if own is not None and self.parameter == "share" else own

    def grid(self, low: float, high: float, size: int) -> list[Point]:
        """`size` grid points: every value at rates evenly spaced in logarithm from `low` to `high`.

        A method with nothing else to tune gets as many more rates. Raises BadValue where `size` is no multiple of the values.
        """
        own = registry.METHODS[self.registered].points()
        if size % len(own):
            raise BadValue(f"a grid of {size} points cannot hold the {len(own)} values of {self.title}.")
        return [{"learning_rate": rate} | values for rate in learning_rates(low, high, size // len(own)) for values in own]


def inside(chosen: Point, tried: Sequence[Point]) -> bool:
    """Whether every setting of a chosen grid point lies strictly between the least and the largest that were tried."""
    return all(min(point[name] for point in tried) < chosen[name] < max(point[name] for point in tried) for name in chosen)


def learning_rates(low: float, high: float, size: int) -> list[float]:
    """`size` rates from `low` to `high`, evenly spaced in logarithm."""
    rates: list[float] = torch.logspace(math.log10(low), math.log10(high), size).tolist()
    return rates


METHODS = {
    "stl": ComparedMethod("single_task"),
    "stl, weight 1": ComparedMethod("single_task", total=1.0),
    "equal": ComparedMethod("equal"),
    "static": ComparedMethod("static"),
    "uncertainty": ComparedMethod("uncertainty"),
    "gradnorm": ComparedMethod("gradnorm"),
    "dwa": ComparedMethod("dwa"),
    "cosine": ComparedMethod("gradient_cosine"),
    "weighted cosine": ComparedMethod("gradient_cosine_weighted"),
    "olaux": ComparedMethod("ol_aux"),
    "famo": ComparedMethod("famo"),
    "random": ComparedMethod("random_weights"),
    "hydalearn": ComparedMethod("hydalearn"),
    "first order": ComparedMethod("hydalearn_first_order"),
    "raw fake steps": ComparedMethod("hydalearn_raw"),
    "no downscaling": ComparedMethod("hydalearn_no_downscaling"),
    "inverted": ComparedMethod("hydalearn_inverted"),
    "carried": ComparedMethod("hydalearn_carried"),
}
