"""Theorem 1 of HydaLearn: its equations on random instances, and what it drops while networks train on the two toy problems.

The factor q = <∇M, g_a> / <∇M, g_m> of eq. 9 is the ratio of two first-order gains. It is measured at the heads' new values, as
Algorithm 1 measures its gains, on the same samples, in float32, along raw gradients and along gradients of unit length (of the
fake updates).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mtlrepro.methods.hydalearn import HydaLearn, gain_weights
from mtlrepro.papers.hydalearn.compared_methods import METHODS
from mtlrepro.papers.hydalearn.data.toys import Parts
from mtlrepro.papers.hydalearn.theory import theorem1
from mtlrepro.papers.hydalearn.training.gain_meters import Meter, Trace, meter, on_samples, trace
from mtlrepro.papers.hydalearn.training.toy_problems import BETA, TOY_PROBLEMS, prepare
from mtlrepro.papers.hydalearn.training.tuned_runs import UPDATES, GridRuns, TrainingConfig
from mtlrepro.parameters import Params
from mtlrepro.training.weighting import Evaluate, Step, as_prefix

# Name -> inputs of the labels' tanh, learning rate.
TRAININGS = {"paper's values": ("as printed", 0.01), "softened": ("softened", 0.1)}
RATIOS = (1 / 3, 1.0, 3.0)  # of weights put into eq. 9
DIMENSIONS = (10, 100, 1000)
EXPONENTS = (1.0, 3.0, 6.0)
WINDOWS = 4  # of a training
BINS = {
    "negative": (-torch.inf, 0.0),
    "below 1/8": (0.0, 1 / 8),
    "1/8 to 1/2": (1 / 8, 1 / 2),
    "1/2 to 2": (1 / 2, 2.0),
    "2 to 8": (2.0, 8.0),
    "above 8": (8.0, torch.inf),
}
SIGNS = ("both positive", "both negative", "main alone positive", "auxiliary alone positive")


FACTOR: dict[str, Meter] = {
    "raw": meter(first_order=True, normalise=False),
    "unit length": meter(first_order=True),
}
STEPS: dict[str, Meter] = {"raw": meter(normalise=False), "unit length": meter()}


def settings(p: Params) -> list[dict[str, Any]]:
    """Arguments of `measure`."""
    instances = {"count": p.instances, "seed": p.first_seed}
    seeds = list(range(p.first_seed, p.first_seed + p.seeds))
    trainings = [
        {"kind": "training", "problem": problem, "inputs": inputs, "update": update, "rate": rate, "seeds": seeds}
        | {"steps": p.steps[problem], "every": p.every, "beta": BETA, "points": p.points, "sizes": p.sizes[problem]}
        for problem in TOY_PROBLEMS
        for inputs, rate in TRAININGS.values()
        for update in UPDATES
    ]
    widths = [
        {"kind": "width", "problem": problem, "width": width, "scales": [1.0, scale], "seeds": seeds, "steps": p.width_steps}
        | {"every": p.every, "rate": 0.1, "beta": BETA, "points": min(p.points, 100)}
        for problem in TOY_PROBLEMS
        for width in p.widths
        for scale in ((10.0, 1.0) if problem == "Exp1" else (10.0,))
    ]
    return [
        *({"kind": "taylor", "metric": metric} | instances for metric in theorem1.METRICS),
        *({"kind": "circle", "ratio": ratio, "alpha": 1e-6} | instances for ratio in RATIOS),
        *trainings,
        *({"kind": "directions", "dimension": dimension, "count": 2000, "seed": p.first_seed} for dimension in DIMENSIONS),
        *widths,
        *({"kind": "best", "beta": beta} | instances for beta in EXPONENTS),
    ]


def measure(kind: str, **setting: Any) -> list[dict[str, Any]]:
    """Rows of one setting: "taylor", "circle", "directions" or "best" of `theorem1`, a training, or a width."""
    functions: dict[str, Callable[..., Any]] = {"training": along_training, "width": at_width}
    rows = (functions.get(kind) or getattr(theorem1, kind))(**setting)
    return rows if isinstance(rows, list) else [rows]


# ---------------------------------------------------------------------------------------------------------------------
# Real updates by other rules, tried at the same step
# ---------------------------------------------------------------------------------------------------------------------


class Tried(HydaLearn):
    """A meter of what the real update would gain on samples that no rule has seen, under several rules at the same step.

    metric: what the rules' gains are measured with. judge: the metric on other samples. gains: (runs, 2 + rules), the unit-length
    gains by `metric`, then, for each of RULES, what `judge` gains by the update of the shared parameters along raw gradients.
    """

    def __init__(self, metric: Evaluate, judge: Evaluate, maximise: bool, beta: float, total: float = 2.0) -> None:
        super().__init__(metric, maximise=maximise, beta=beta, total=total)
        self.judge = judge

    def __call__(self, step: Step) -> Tensor:
        """The weights of the rule as printed."""
        weights = super().__call__(step)
        assert self.gains is not None
        gains = self.gains
        proportional = gain_weights(gains, self.total, 1.0, self.downscale)
        inverted = gain_weights(gains, self.total, self.beta, self.downscale, invert_negative=True)
        best = torch.nn.functional.one_hot(gains.argmax(-1), 2).to(gains) * self.total
        main = torch.tensor([1.0, 0.0]).to(gains).expand_as(gains) * self.total
        rules = torch.stack([weights.to(gains), inverted, proportional, best, torch.ones_like(gains), main])
        rate = self._rate(step)
        size = rate[..., None] if isinstance(rate, Tensor) else rate
        main_part, aux_part = (size * rules.to(step.losses)).unbind(-1)  # (rules, runs) each
        updates = {
            name: -as_prefix(main_part, g[:1]) * g[0] - as_prefix(aux_part, g[:1]) * g[1] for name, g in step.gradients.items()
        }
        before, *after = step.look_ahead(updates, self.judge, self._moved(step), reference=True).unbind(0)
        change = torch.stack(after, -1) - before[..., None]
        self.gains = torch.cat([gains, change if self.maximise else -change], -1)
        return weights


RULES = (
    "HydaLearn as printed",
    "inverted",
    "β = 1",
    "all to the larger gain",
    "equal weights",
    "all to the main task",
)


def _tried(parts: Parts, config: TrainingConfig, seen: slice, judged: slice, beta: float) -> Meter:
    def build(runs: GridRuns) -> HydaLearn:
        metric, judge = (on_samples(parts, config, rows)(runs).metric for rows in (seen, judged))
        assert metric is not None
        assert judge is not None
        return Tried(metric, judge, runs.maximise, beta)

    return build


# ---------------------------------------------------------------------------------------------------------------------
# Trainings
# ---------------------------------------------------------------------------------------------------------------------


def along_training(
    problem: str,
    inputs: str,
    update: str,
    seeds: Sequence[int],
    steps: int,
    every: int,
    rate: float,
    beta: float,
    points: int,
    sizes: Sequence[int],
) -> list[dict[str, Any]]:
    """Train HydaLearn on a toy problem, every seed its own data and network, and measure at one in `every` steps.

    update: "as printed" or "scale-matched". points: validation samples (the first ones) of the gains that train and of the
    factor. sizes: validation samples of either half on which weights are computed again. Rows, one per seed each:
    "test": the error in the end; "factor": by window of training and scale of the gradients, shares of BINS and the median size;
    "signs": shares of SIGNS; "step": measured against first-order gains; "noise": agreement of the halves; "update": gains of
    RULES.
    """
    parts, config = prepare(problem, inputs, seeds, steps=steps, check=steps // WINDOWS, points=points)
    half = parts.validation.x.shape[1] // 2
    meters = {f"first order, {name}": meter for name, meter in FACTOR.items()}
    meters |= {f"measured, {name}": meter for name, meter in STEPS.items()}
    for n in sizes:
        meters[f"first {n}"] = on_samples(parts, config, slice(0, n))
        meters[f"second {n}"] = on_samples(parts, config, slice(half, half + n))
    seen = min(points, half)
    meters["tried"] = _tried(parts, config, slice(0, seen), slice(half, half + max(points, half // 5)), beta)
    build, point = METHODS["hydalearn"].build, {"learning_rate": rate, "beta": beta}
    traced = trace(parts, seeds, config, build, point, meters, update == "scale-matched", every)
    rows = [{"kind": "test", "seed": seed, "MAE": traced.chosen.test[i].item()} for i, seed in enumerate(seeds)]
    rows += factor_rows(traced, seeds, WINDOWS) + sign_rows(traced, seeds)
    rows += noise_rows(traced, seeds, sizes, beta) + update_rows(traced, seeds)
    return [_short(row) for row in rows]


def at_width(
    problem: str,
    width: int,
    scales: tuple[float, float],
    seeds: Sequence[int],
    steps: int,
    every: int,
    rate: float,
    beta: float,
    points: int,
) -> list[dict[str, Any]]:
    """As rows "factor" of `along_training`, here "width": shared layers of another width, softened labels of scales (σ_m, σ_a).

    All steps are one window.
    """
    parts, config = prepare(
        problem, "softened", seeds, steps=steps, check=steps, points=points, width=width, scales=(scales[0], scales[1])
    )
    meters = {f"first order, {name}": meter for name, meter in FACTOR.items()}
    traced = trace(parts, seeds, config, METHODS["hydalearn"].build, {"learning_rate": rate, "beta": beta}, meters, False, every)
    own = {"kind": "width", "scale_a": scales[1] / scales[0]}
    return [_short(row) | own for row in factor_rows(traced, seeds, 1)]


# ---------------------------------------------------------------------------------------------------------------------
# Rows of a trace
# ---------------------------------------------------------------------------------------------------------------------


def factor_rows(traced: Trace, seeds: Sequence[int], windows: int) -> list[dict[str, Any]]:
    """Rows "factor"."""
    rows: list[dict[str, Any]] = []
    for gradients in FACTOR:
        gains = traced.gains[f"first order, {gradients}"]
        q = in_windows(gains[..., 1] / gains[..., 0], windows)
        shares = {name: ((q >= low) & (q < high)).double().mean(1) for name, (low, high) in BINS.items()}
        size = q.abs().nanmedian(1).values
        rows += [
            {"kind": "factor", "gradients": gradients, "seed": seed, "window": w, "size": size[w, i].item()}
            | {name: float(share[w, i]) for name, share in shares.items()}
            for i, seed in enumerate(seeds)
            for w in range(windows)
        ]
    return rows


def sign_rows(traced: Trace, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Rows "signs" and "step"."""
    rows: list[dict[str, Any]] = []
    for source in (f"{way}, {gradients}" for way in ("first order", "measured") for gradients in STEPS):
        cases = [case.double().mean(0) for case in sign_cases(traced.gains[source])]
        rows += [
            {"kind": "signs", "gains": source, "seed": seed}
            | {name: float(case[i]) for name, case in zip(SIGNS, cases, strict=True)}
            for i, seed in enumerate(seeds)
        ]
    for gradients in STEPS:
        measured, slope = (traced.gains[f"{way}, {gradients}"].double() for way in ("measured", "first order"))
        same = (measured.sign() == slope.sign()).double().mean(0)
        fitted = (measured * slope).sum(0) / slope.square().sum(0)
        fit = correlation(measured, slope)
        rows += [
            {"kind": "step", "gradients": gradients, "seed": seed, "task": task, "same sign": float(same[i, place])}
            | {"correlation": float(fit[i, place]), "slope": float(fitted[i, place])}
            for i, seed in enumerate(seeds)
            for place, task in enumerate(("main", "auxiliary"))
        ]
    return rows


def sign_cases(gains: Tensor) -> list[Tensor]:
    """Gains (..., 2) -> for each of SIGNS whether it is the case, (...). A gain of zero is not negative."""
    main, aux = (gains >= 0).unbind(-1)
    return [main & aux, ~main & ~aux, main & ~aux, ~main & aux]


def noise_rows(traced: Trace, seeds: Sequence[int], sizes: Sequence[int], beta: float) -> list[dict[str, Any]]:
    """Rows "noise": how far the weights from two disjoint sets of validation samples agree, at the same steps.

    correlation: of the auxiliary share w_a / (w_m + w_a) over all steps; within: the same about the mean of each window, which
    leaves out what drifts over training. gain_correlation: of the difference δ_m - δ_a, within windows. same: share of steps
    where both sets prefer the same task. deviation: standard deviation of the share.
    """
    rows: list[dict[str, Any]] = []
    for n in sizes:
        one, two = traced.gains[f"first {n}"], traced.gains[f"second {n}"]
        apart = [gains[..., 0] - gains[..., 1] for gains in (one, two)]
        common = correlation(*(centred(a, WINDOWS) for a in apart))
        same = ((apart[0] > 0) == (apart[1] > 0)).double().mean(0)
        a, b = (gain_weights(gains, 1.0, beta, downscale=False)[..., 1] for gains in (one, two))
        columns = {"correlation": correlation(a, b), "within": correlation(centred(a, WINDOWS), centred(b, WINDOWS))}
        columns |= {"gain_correlation": common, "same": same, "deviation": a.std(0)}
        rows += [
            {"kind": "noise", "samples": n, "seed": seed} | {name: float(column[i]) for name, column in columns.items()}
            for i, seed in enumerate(seeds)
        ]
    return rows


def update_rows(traced: Trace, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Rows "update": mean gain on unseen samples of the real update by each rule, over all steps and by sign case."""
    gains, changes = traced.gains["tried"].split([2, len(RULES)], -1)
    cases = dict(zip(SIGNS, sign_cases(gains), strict=True)) | {"all": torch.ones_like(gains[..., 0], dtype=torch.bool)}
    return [
        {"kind": "update", "case": case, "seed": seed, "steps": int(where[:, i].sum())}
        | {rule: changes[where[:, i], i, place].double().mean().item() for place, rule in enumerate(RULES)}
        for case, where in cases.items()
        for i, seed in enumerate(seeds)
        if where[:, i].any()
    ]


def correlation(one: Tensor, two: Tensor) -> Tensor:
    """Pearson's correlation along the first dimension, (n, ...) -> (...); NaN where one does not vary."""
    a, b = (x.double() - x.double().mean(0) for x in (one, two))
    pearson: Tensor = (a * b).sum(0) / (a.square().sum(0) * b.square().sum(0)).sqrt()
    return pearson


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """A row with four digits of every float: files of rows stay small."""
    return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in row.items()}


def in_windows(values: Tensor, windows: int) -> Tensor:
    """(steps, ...) -> (windows, steps / windows, ...)."""
    cut: Tensor = values.unflatten(0, (windows, -1))
    return cut


def centred(values: Tensor, windows: int) -> Tensor:
    """Values about the mean of their window."""
    cut = in_windows(values.double(), windows)
    return (cut - cut.mean(1, keepdim=True)).flatten(0, 1)
