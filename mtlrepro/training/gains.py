"""What a step along each task's gradient gains on the main metric, at every step of a training.

A meter is a `HydaLearn` that measures and is not obeyed: whatever trains the network, its `gains` say what its fake updates
would bring, by the rule it was built with (unit-length, raw or first-order steps, any metric). All seeds train as one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mtlrepro.data.toys import Parts
from mtlrepro.errors import BadValue
from mtlrepro.methods.hydalearn import HydaLearn
from mtlrepro.methods.weighting import Step, Weighting
from mtlrepro.training.auxiliary import METRICS, Builder, Chosen, Point, Runs, Setup, tune

Meter = Callable[[Runs], HydaLearn]
# On the samples that the weighting itself sees: fake updates of unit length times the rate (Algorithm 1), raw ones, and the
# first-order gain on the main loss.
METERS: dict[str, Meter] = {
    "unit": lambda runs: HydaLearn(runs.metric, maximise=runs.maximise),
    "raw": lambda runs: HydaLearn(runs.metric, maximise=runs.maximise, normalise=False),
    "first order": lambda runs: HydaLearn(runs.loss, maximise=False, first_order=True),
}


class Metered(Weighting):
    """Another weighting, with what each of `meters` measures in `gains`: name -> list of (runs, tasks).

    Measured are the last `burst` steps of every period of `every` steps.
    """

    def __init__(self, inner: Weighting, meters: Mapping[str, HydaLearn], every: int = 1, burst: int = 1) -> None:
        self.inner, self.meters, self.every, self.burst = inner, meters, every, burst
        self._steps = 0
        self.gains: dict[str, list[Tensor]] = {name: [] for name in meters}
        self.weight_heads = inner.weight_heads

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

    def end_epoch(self, losses: Tensor, validation: Tensor | None) -> None:
        """Passed on."""
        self.inner.end_epoch(losses, validation)


@dataclass(frozen=True)
class Trace:
    """gains: meter -> (measured steps, seeds, 2), main task first, larger is better, NaN where a run diverged."""

    gains: dict[str, Tensor] = field(repr=False)
    chosen: Chosen = field(repr=False)


def trace(
    parts: Parts,
    seeds: Sequence[int],
    setup: Setup,
    build: Builder,
    point: Point,
    meters: Mapping[str, Meter],
    matched: bool = False,
    every: int = 1,
    burst: int = 1,
) -> Trace:
    """Train every seed once at the settings of `point` (with "rate"), and measure the gains in the last `burst` of `every` steps.

    build: the weighting that trains (`METHODS[name].build`). matched: train scale-matched; gains of raw steps are then those
    along the rescaled gradients. The rest is as in `tune`.
    """
    made: list[Metered] = []

    def metered(runs: Runs) -> Weighting:
        made.append(Metered(build(runs), {name: meter(runs) for name, meter in meters.items()}, every, burst))
        return made[0]

    chosen = tune(parts, seeds, [point], metered, setup, matched)
    return Trace({name: torch.stack(gains) for name, gains in made[0].gains.items()}, chosen)


def on_samples(parts: Parts, setup: Setup, samples: slice, normalise: bool = True) -> Meter:
    """A meter on validation samples of its own, with the metric averaged in double precision.

    In single precision the gain of a short step, a difference of two means, can drown in their rounding.
    """
    score, maximise = METRICS[setup.metric]
    x, wanted = parts.validation.x[:, samples], parts.validation.main[:, samples].double()
    return lambda _: HydaLearn(lambda call: score(call(x, 0).double(), wanted), maximise=maximise, normalise=normalise)


def flip_rates(colour: Tensor, windows: int) -> tuple[Tensor, Tensor]:
    """How often a two-valued sequence changes from one step to the next, and how often it would in random order.

    colour: (steps, ...) bool, cut into `windows` equal windows; no pair of steps spans two of them.
    Returns (windows, ...) twice: the share of pairs of neighbours that differ, and the mean of that share over all orders of the
    window's own values, 2 k (n - k) / (n (n - 1)) with k true ones of n. Equal: no memory, like tosses of a coin of that share.
    Raises BadValue where `windows` does not divide the steps or leaves fewer than 2 in a window.
    """
    n = len(colour) // windows
    if n * windows != len(colour) or n < 2:
        raise BadValue(f"{len(colour)} steps cannot be cut into {windows} windows of at least 2.")
    cut = colour.unflatten(0, (windows, n))
    k = cut.double().sum(1)
    return (cut[:, 1:] != cut[:, :-1]).double().mean(1), 2 * k * (n - k) / (n * (n - 1))


def colour_rows(gains: Mapping[str, Tensor], seeds: Sequence[int], bursts: int) -> list[dict[str, Any]]:
    """What Figure 1 shows, one row a meter, seed and burst of successive steps.

    gains: meter -> (steps, seeds, 2), the steps those of `bursts` bursts; "unit" and "other samples" must be among them.
    Each row has, by task ("main", "auxiliary"): the share of green steps (a positive gain), the share of flips and that of a
    random order (`flip_rates`); the share of steps in which the tasks' colours differ, and that of two independent colours; the
    share of both red; and for "unit" by task the share of the same colour on the other samples, and the first seed's colours.
    `alive` is false where any gain is NaN (diverged) or all gains of a task are exactly zero (no unit of the network is active).
    """
    rows = []
    other = (gains["other samples"] > 0).unflatten(0, (bursts, -1))
    for meter in [name for name in gains if name != "other samples"]:
        measured = gains[meter].unflatten(0, (bursts, -1))
        green = measured > 0
        alive = measured.isfinite().all(3).all(1) & (measured != 0).any(1).all(-1)
        share, (flips, coin) = green.double().mean(1), flip_rates(gains[meter] > 0, bursts)
        differ, red = (green[..., 0] != green[..., 1]).double().mean(1), (~green).all(-1).double().mean(1)
        same = (green == other).double().mean(1)
        for at in range(bursts):
            for i, seed in enumerate(seeds):
                row: dict[str, Any] = {"meter": meter, "seed": seed, "at": at, "alive": alive[at, i].item()}
                main, auxiliary = share[at, i].tolist()
                row |= {"differ": differ[at, i].item(), "both red": red[at, i].item()}
                row |= {"differ by chance": main * (1 - auxiliary) + auxiliary * (1 - main)}
                for task, name in enumerate(("main", "auxiliary")):
                    values = {"green": share, "flips": flips, "coin": coin}
                    if meter == "unit":
                        values["same"] = same
                        if i == 0:
                            row[f"{name} colours"] = "".join("-+"[g] for g in green[at, :, i, task].int().tolist())
                    row |= {f"{name} {key}": value[at, i, task].item() for key, value in values.items()}
                rows.append({key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()})
    return rows
