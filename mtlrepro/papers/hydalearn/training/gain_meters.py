"""What a step along each task's gradient gains on the main metric, at every step of a training.

A meter is a `HydaLearn` that measures and is not obeyed: whatever trains the network, its `gains` say what its fake updates
would bring, by the rule it was built with (unit-length, raw or first-order steps, any metric). All seeds train as one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mtlrepro.methods.hydalearn import HydaLearn
from mtlrepro.papers.hydalearn.data.toys import Parts
from mtlrepro.papers.hydalearn.training.tuned_runs import METRICS, Builder, Chosen, GridRuns, Point, TrainingConfig, tune
from mtlrepro.training.weighting import Step, Weighting, WeightingWrapper

Meter = Callable[[GridRuns], HydaLearn]


def meter(**switches: bool) -> Meter:
    """A meter with the metric and the samples that the weighting itself sees; switches: as of `HydaLearn`."""
    return lambda runs: HydaLearn(runs.metric, maximise=runs.maximise, **switches)


def on_samples(parts: Parts, config: TrainingConfig, samples: slice, normalise: bool = True) -> Meter:
    """A meter on validation samples of its own, with the metric averaged in double precision.

    In single precision the gain of a short step, a difference of two means, can drown in their rounding.
    """
    score, maximise = METRICS[config.metric]
    x, targets = parts.validation.x[:, samples], parts.validation.main[:, samples].double()
    return lambda _: HydaLearn(lambda call: score(call(x, 0).double(), targets), maximise=maximise, normalise=normalise)


class Metered(WeightingWrapper):
    """Another weighting, with what each of `meters` measures in `gains`: name -> list of (runs, tasks).

    Measured are the last `burst` steps of every period of `every` steps.
    """

    def __init__(self, inner: Weighting, meters: Mapping[str, HydaLearn], every: int = 1, burst: int = 1) -> None:
        super().__init__(inner)
        self.meters, self.every, self.burst = meters, every, burst
        self._steps = 0
        self.gains: dict[str, list[Tensor]] = {name: [] for name in meters}

    def __call__(self, step: Step) -> Tensor:
        """What the inner weighting gives."""
        assert step.gradients  # taken in every step, so that the training is the same to the bit whether one measures or not
        if self._steps % self.every >= self.every - self.burst:
            for name, meter in self.meters.items():
                meter(step)
                assert meter.gains is not None
                self.gains[name].append(meter.gains.detach())
        self._steps += 1
        return self.inner(step)


@dataclass(frozen=True)
class Trace:
    """gains: meter -> (measured steps, seeds, 2), main task first, larger is better, NaN where a run diverged."""

    gains: dict[str, Tensor] = field(repr=False)
    chosen: Chosen = field(repr=False)


def trace(
    parts: Parts,
    seeds: Sequence[int],
    config: TrainingConfig,
    build: Builder,
    point: Point,
    meters: Mapping[str, Meter],
    matched: bool = False,
    every: int = 1,
    burst: int = 1,
) -> Trace:
    """Train every seed once at the settings of `point`, and measure the gains in the last `burst` of `every` steps.

    build: the weighting that trains (`METHODS[name].build`). matched: train scale-matched; gains of raw steps are then those
    along the rescaled gradients. The rest is as in `tune`.
    """
    weightings: list[Metered] = []

    def metered(runs: GridRuns) -> Weighting:
        weightings.append(Metered(build(runs), {name: meter(runs) for name, meter in meters.items()}, every, burst))
        return weightings[0]

    chosen = tune(parts, seeds, [point], metered, config, matched)
    return Trace({name: torch.stack(gains) for name, gains in weightings[0].gains.items()}, chosen)
