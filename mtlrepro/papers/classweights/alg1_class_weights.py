"""What class-wise weights do where it is known which classes help and which harm (Yim and Kim 2020, Algorithm 1).

On each problem with planted classes every arm chooses its rates on seeds of its own (`chosen`) and is then trained on fresh ones.
`derivatives` measures along one training, at the same steps, the ratio of eq. 8, its scalar form of eq. 7, the exact derivative
through the last step of the next batch's main loss and of the held-out one, and a *reference*: that of the noise-free main loss
on the test part, which no rule can know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mtlrepro.methods.class_weights import ClassWeights, difference_gradient
from mtlrepro.methods.held_out_class_weights import HeldOutClassWeights
from mtlrepro.papers.classweights.planted_arms import PLANTED_ARMS, RULES
from mtlrepro.papers.classweights.training.planted_training import PlantedTraining, trained, weighting_of
from mtlrepro.parameters import Params
from mtlrepro.results.runs import Runs
from mtlrepro.training.weighting import Step, Weighting

# Arms whose weights are given: no rate of theirs is chosen.
GIVEN = ("single", "equal", "more labels", "oracle", "inverse oracle")
# Arms of the map of where class weights can matter, and those that are asked about frequencies.
MAPPED = ("equal", "oracle", "ratio", "held-out")
LEARNT = ("ratio", "held-out")
PAIRS = (("ratio", "reference"), ("scalar", "reference"), ("exact", "reference"), ("held-out", "reference"), ("ratio", "exact"))
# Random gradients need more seeds for a mean within 0.05.
RANDOM = 3
WINDOWS = (1, 10, 50)


def rows_of(runs: Runs, p: Params) -> pd.DataFrame:
    """All rows, by `part`: "arm", "map", "frequency", "agreement" and "size", the last of a still network too (`still`)."""
    parts = []
    for kind, settings in p.problems.items():
        points = chosen(runs, p, kind)
        given = {"kind": kind, "steps": settings["steps"] * (1 - settings["freeze"])}
        count = p.seeds + p.further.get(kind, 0)
        arms = runs.map(trained, [_setting(p, settings, points, arm, count) for arm in points], f"{kind}, training")
        inside = {
            arm: _inside(point["rate"], p.rates[kind]) and _inside(point["alpha"], alphas_of(p, arm))
            for arm, point in points.items()
        }
        parts.append(arms.assign(part="arm", inside=arms.arm.map(inside), **given))
        own = {"settings": settings, **points["ratio"], "seeds": _seeds(p, p.compared)}
        standing = own | {"settings": settings | {"steps": settings["steps"] // 5}, "rate": 0.0, "seeds": own["seeds"][:1]}
        for still, one in ((False, own), (True, standing)):
            parts.append(runs.map(derivatives, [one], f"{kind}, derivatives").assign(still=still, **given))
    kind = next(iter(p.problems))
    settings, points = p.problems[kind], chosen(runs, p, kind)
    for name, values in p.map.items():
        for value in values:
            other = settings | ({name: value} if name == "width" else {"problem": settings["problem"] | {name: value}})
            rows = runs.map(trained, [_setting(p, other, points, arm, p.seeds) for arm in MAPPED], f"{kind}, {name} {value}")
            parts.append(rows.assign(part="map", kind=kind, varied=name, value=float(value)))
    alike = {"harmful": 0, "shares": [0.5] * len(p.frequencies), "frequencies": p.frequencies}
    uneven = settings | {"problem": settings["problem"] | alike}
    rows = runs.map(trained, [_setting(p, uneven, points, arm, p.seeds) for arm in LEARNT], f"{kind}, uneven frequencies")
    parts.append(rows.assign(part="frequency", kind=kind))
    return pd.concat(parts, ignore_index=True)


def _seeds(p: Params, count: int) -> list[int]:
    return list(range(p.first_seed, p.first_seed + count))


def alphas_of(p: Params, arm: str) -> list[float]:
    """The rates tried for an arm's weights; n times larger where weights move every n batches, so that they can move as far."""
    if arm in GIVEN:
        return [0.0]
    every = int(arm.rpartition(" ")[2]) if "every" in arm else 1
    return [alpha * every for alpha in p.alphas]


def chosen(runs: Runs, p: Params, kind: str) -> dict[str, dict[str, float]]:
    """Arm -> {"rate", "alpha"}: those with the lowest held-out main loss, on seeds that are not judged.

    Arms that leave a class out take the rate of all weights 1, and random gradients the rates of the ratio.
    """
    settings = p.problems[kind]
    tried = [name for name in PLANTED_ARMS if name not in ("random", "more labels")]
    seeds = [p.first_seed - 1 - i for i in range(p.tuning)]
    tuning = [
        {"settings": settings, "arm": arm, "rates": p.rates[kind], "alphas": alphas_of(p, arm), "seeds": seeds, "tested": False}
        for arm in tried
    ]
    rows = runs.map(trained, tuning, f"{kind}, tuning")
    points = {}
    for arm in tried:
        # A run that diverged has no finite loss: such a point is not chosen.
        losses = rows[rows.arm == arm].fillna({"validation": float("inf")}).groupby(["rate", "alpha"])["validation"].mean()
        rate, alpha = losses.index[int(losses.to_numpy().argmin())]
        points[arm] = {"rate": float(rate), "alpha": float(alpha)}
    points |= {f"without {c}": points["equal"] for c in range(len(settings["problem"]["shares"]))}
    return points | {"more labels": points["equal"], "random": points["ratio"]}


def _inside(value: float, grid: Sequence[float]) -> bool:
    return len(grid) == 1 or min(grid) < value < max(grid)


def _setting(
    p: Params, settings: Mapping[str, Any], points: Mapping[str, Mapping[str, float]], arm: str, count: int
) -> dict[str, Any]:
    """Of `trained`, at the chosen rates, with so many seeds."""
    seeds = _seeds(p, RANDOM * count if arm == "random" else count)
    rate, alpha = points[arm]["rate"], points[arm]["alpha"]
    return {"settings": settings, "arm": arm, "rates": [rate], "alphas": [alpha], "seeds": seeds, "tested": True}


class Compared(Weighting):
    """The ratio as a weighting that also takes all other rules' derivatives at each step: `measured`, (RULES, runs, C) each.

    `paths`: the ratio's weights after each step, (runs, C).
    """

    def __init__(self, training: PlantedTraining, ratio: ClassWeights) -> None:
        self.training, self.ratio = training, ratio
        held, test = training.held_out, lambda call: training.held_out(call, "test")
        self.exact = [HeldOutClassWeights(metric, auxiliary=training.classes_alone) for metric in (None, held, test)]
        self.measured: list[Tensor] = []
        self.paths: list[Tensor] = []

    def __call__(self, step: Step) -> Tensor:
        """As `ClassWeights`."""
        state = self.ratio.state
        weights = self.ratio(step)
        assert state is not None
        assert self.ratio.state is not None
        main, auxiliary = step.losses.chunk(2, -1)
        tasks = torch.cat([main.sum(-1, keepdim=True), auxiliary[:, :-1]], -1)
        as_tasks = replace(step, losses=tasks, loss_function=self.training.as_tasks)
        for rule in self.exact:
            rule(as_tasks)
        exact = [rule.gradient[:, 1:] for rule in self.exact if rule.gradient is not None]
        if exact:  # the first step has none before it
            assert self.ratio.gradient is not None
            scalar = difference_gradient(state, main[:, :-1].detach(), auxiliary[:, :-1].detach(), "scalar")
            self.measured.append(torch.stack([self.ratio.gradient, scalar, *exact]))
            self.paths.append(self.ratio.state.weights)
        return weights


def derivatives(settings: Mapping[str, Any], rate: float, alpha: float, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Rows per seed, of one training that follows the ratio at these rates.

    part "agreement": per pair of rules and window: the share of windows and classes where the sums over so many steps have one
    sign, what independent signs of the same frequencies would give, and the rank correlation over classes. part "size": per
    rule the share above 0, quantiles of |g| over its class's median, the share that the largest hundredth has of all squares;
    of the ratio also the roughness of its weights' path and of the plain rule's, w <- w - g (see `roughness`).
    """
    training = PlantedTraining(settings, seeds, [rate] * len(seeds))
    weighting, losses = weighting_of("ratio", training, torch.full((len(seeds),), alpha))
    assert isinstance(weighting, ClassWeights)
    watching = Compared(training, weighting)
    for _ in training.fit(watching, losses):
        pass
    measured = torch.stack(watching.measured, 2)  # (rules, runs, steps, classes)
    paths = torch.stack(watching.paths, 1)[:, training.freeze :]
    rows: list[dict[str, Any]] = []
    for window in (*WINDOWS, measured.shape[2]):
        whole = measured[:, :, : measured.shape[2] // window * window]
        sums = whole.unflatten(2, (-1, window)).sum(3)
        for first, second in PAIRS:
            a, b = sums[RULES.index(first)], sums[RULES.index(second)]
            up, also = (a > 0).float(), (b > 0).float()
            p, q = up.mean((1, 2)), also.mean((1, 2))
            values = {"same sign": (up == also).float().mean((1, 2)), "by chance": p * q + (1 - p) * (1 - q),
                      "rank correlation": rank_correlation(a, b).mean(1)}  # fmt: skip
            rows += _rows(seeds, values, {"part": "agreement", "first": first, "second": second, "window": window})
    for i, rule in enumerate(RULES):
        g = measured[i].abs()
        scaled = (g / g.median(1, keepdim=True).values.clamp_min(1e-30)).flatten(1).sort(-1).values
        squares = scaled.square()
        values = {"above 0": (measured[i] > 0).float().mean((1, 2)), "median": g.flatten(1).median(-1).values}
        values |= {f"q{100 * q:.0f}": scaled[:, int(q * scaled.shape[1])] for q in (0.75, 0.95, 0.99)}
        values["largest hundredth"] = squares[:, -max(scaled.shape[1] // 100, 1) :].sum(-1) / squares.sum(-1).clamp_min(1e-30)
        if rule == "ratio":
            plain = measured[i][:, training.freeze :]
            values |= {"roughness": roughness(paths.diff(dim=1)), "plain roughness": roughness(plain)}
        rows += _rows(seeds, values, {"part": "size", "rule": rule})
    return rows


def _rows(seeds: Sequence[int], values: Mapping[str, Tensor], same: Mapping[str, Any]) -> list[dict[str, Any]]:
    table = torch.stack(list(values.values()), -1).tolist()
    return [
        {**same, "seed": seed} | dict(zip(values, (float(f"{v:.4g}") for v in row), strict=True))
        for seed, row in zip(seeds, table, strict=True)
    ]


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's over the last dimension; ties in any order."""
    first, second = (x.argsort(-1).argsort(-1).double() for x in (a, b))
    n = a.shape[-1]
    return 1 - 6 * (first - second).square().sum(-1) / (n * (n * n - 1))


def roughness(updates: Tensor) -> Tensor:
    """(runs,): mean absolute difference of consecutive updates (runs, steps, C) over their mean size, mean over the classes."""
    size = updates.abs().mean(1).clamp_min(1e-30)
    return (updates.diff(dim=1).abs().mean(1) / size).mean(-1)
