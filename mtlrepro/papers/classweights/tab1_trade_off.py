"""Table 1 and Figures 2 to 4 of the class-weight paper: the compared trainings, tuned alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from mtlrepro import data, plots
from mtlrepro.data.opening import Opened
from mtlrepro.data.schema import Tier
from mtlrepro.papers.classweights.arms import BEST_PARETO, EXHIBITS, METHODS, ORACLE, PARETO, TASKS
from mtlrepro.papers.classweights.data.scene_sets import KINDS, learned_and_tested
from mtlrepro.papers.classweights.data.scenes import preset, scenes
from mtlrepro.papers.classweights.training.scene_tasks import final, training_of, tune
from mtlrepro.parameters import Params
from mtlrepro.results.runs import Runs


def rows_of(runs: Runs, p: Params) -> dict[str, pd.DataFrame]:
    """Exhibit -> its rows: those of each kind of scenes, and for Table 1 those of two methods on driving-like ones."""
    kinds = kinds_of(p)
    rows = {EXHIBITS[kind]: compared(runs, p, kind) for kind in kinds}
    if "driving" in kinds:
        driving = rows[EXHIBITS["driving"]]
        rows["classweights/tab1"] = driving[(driving.part == "compared") & driving.method.isin(["single", "linear"])]
    return rows


def kinds_of(p: Params) -> list[str]:
    """The kinds of scenes of a run: those of `p`, or the one of a real set. Raises BadValue, DataMissing."""
    source = data.which(data.checked_source(p))
    return [KINDS[source]] if source in KINDS else list(p.kinds)


def opened(p: Params) -> dict[str, Opened]:
    """The parts of the real set that `p` names, to learn from and to test on; none for generated scenes."""
    source = data.which(data.checked_source(p))
    if source not in KINDS:
        return {}
    learned, tested = learned_and_tested(source, tuple(p.size))
    return {f"{source}, learned from": learned, f"{source}, tested": tested}


def tier(p: Params) -> Tier:
    """The tier of the scenes."""
    return next((part.tier for part in opened(p).values()), "synthetic")


def draw_scenes() -> Figure:
    """One scene of each kind: image, classes, and depth in logarithms."""
    fig, axes = plt.subplots(3, 3, figsize=(plots.WIDTH, 4.1))
    for row, kind in zip(axes, EXHIBITS, strict=True):
        scene = scenes(kind, 1, (64, 128), seed=4)
        row[0].imshow(scene.images[0].permute(1, 2, 0))
        labels = scene.labels[0].float().where(scene.labels[0] >= 0, torch.nan)
        row[1].imshow(labels, cmap="tab20", vmin=0, vmax=len(preset(kind).classes), interpolation="nearest")
        row[2].imshow(scene.depth[0].where(scene.valid[0], torch.nan).log(), cmap="viridis")
        row[0].set_ylabel(kind)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
    return fig


def compared(runs: Runs, p: Params, kind: str) -> pd.DataFrame:
    """Rows of `final`, by `part`.

    "compared": every method that `p` names, at points chosen by `tune` on seeds of their own; `pareto` is all five vectors, tuned
    with the middle one. "doubled": class-wise weights, the single task and Pareto's best vector with twice the steps.
    "planted": depth with useless classes beside the others, all weights 1 against `ORACLE`, at the rate of all weights 1.
    """
    training, digests = training_of(p, kind), {name: part.digest for name, part in opened(p).items()}
    points = chosen(runs, p, kind)

    def trained(part: str, what: str, seeds: int, points: Mapping[tuple[str, str], Point], **changed: Any) -> pd.DataFrame:
        own = training | changed
        wanted: dict[tuple[str, float, float, str], list[str]] = {}
        for (name, main), point in points.items():
            # A training that serves both tasks is done once where both choose the same point.
            wanted.setdefault((name, point.rate, point.alpha, main if METHODS[name].own_main else ""), []).append(main)
        settings = [
            {"training": own, "method": name, "mains": mains, "rate": rate, "alpha": alpha, "seed": seed}
            for (name, rate, alpha, _), mains in wanted.items()
            for seed in range(p.first_seed, p.first_seed + seeds)
        ]
        rows = runs.map(final, settings, f"{kind}, {what}", data=digests).assign(steps=own["steps"], part=part)
        of_rows = [points[key] for key in zip(rows["method"], rows["main"], strict=True)]
        inside = {"interior": [point.rate_inside for point in of_rows], "alpha inside": [point.alpha_inside for point in of_rows]}
        return rows.assign(**inside)

    each = {(one, main): point for (name, main), point in points.items() for one in (PARETO if name == BEST_PARETO else (name,))}
    parts = [trained("compared", "training", p.seeds, each)]
    if p.longer_seeds:
        full = parts[0][parts[0].region == "full"]
        again = {(name, main): each[name, main] for main in TASKS for name in _longer(full, main)}
        parts.append(trained("doubled", "twice the steps", p.longer_seeds, again, steps=2 * p.steps))
    if p.control_seeds and ("linear", "depth") in points:
        both = dict.fromkeys([("linear", "depth"), (ORACLE, "depth")], points["linear", "depth"])
        parts.append(trained("planted", "planted classes", p.control_seeds, both, planted=True))
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(updates=rows["steps"] * (1 - p.freeze), source=p.source)  # of the updates: those that move class weights


class Point(NamedTuple):
    """What a method is trained with for a main task: the learning rate and the rate of the class weights, and whether each lies
    between the least and the largest that were tried."""

    rate: float
    alpha: float
    rate_inside: bool
    alpha_inside: bool


def chosen(runs: Runs, p: Params, kind: str) -> dict[tuple[str, str], Point]:
    """(name of `p.methods`, main task) -> the point with the lowest mean validation loss on seeds of their own.

    First every rate, with the middle rate of the weights; then, at the best, the other rates of the weights, or as many more
    rates beside it for a method that has no such rate; then the best `p.finalists` on as many seeds more, and of these the mean
    over all seeds decides. So every method tries equally many points. All of these trainings take `p.tuning_steps`.
    """
    training, digests = training_of(p, kind) | {"steps": p.tuning_steps}, {name: part.digest for name, part in opened(p).items()}
    middle = p.alphas[len(p.alphas) // 2]
    tried: dict[tuple[str, str], dict[tuple[float, float], list[float]]] = {}

    def tuned(what: str, points: Mapping[tuple[str, str], Sequence[tuple[float, float]]], before: int = 0) -> None:
        settings = {
            (name, own, point): [
                {"training": training, "method": _tuned(name), "main": own, "rate": point[0], "alpha": point[1]}
                | {"seed": p.first_seed - 1 - before - i}
                for i in range(p.tuning)
            ]
            for (name, main), some in points.items()
            for own in [main if METHODS[_tuned(name)].own_main else ""]
            for point in some
        }
        rows = runs.map(tune, [one for some in settings.values() for one in some], f"{kind}, {what}", data=digests)
        losses = rows.groupby(["method", "main", "rate", "alpha"])["validation"].agg(list)
        for (name, main), some in points.items():
            for point in some:
                tried.setdefault((name, main), {}).setdefault(point, []).extend(losses[_tuned(name), main, *point])

    def ranked(key: tuple[str, str]) -> list[tuple[float, float]]:
        """The points that most seeds have tried, the best first."""
        own = tried[key]
        most = max(len(losses) for losses in own.values())
        return sorted((point for point in own if len(own[point]) == most), key=lambda point: np.mean(own[point]))

    def best(key: tuple[str, str]) -> Point:
        point, others = ranked(key)[0], np.array(list(tried[key]))
        inside = (others.min(0) < point) & (point < others.max(0))
        return Point(*point, *map(bool, inside))

    keys = [(name, main) for name in p.methods for main in TASKS]
    if len(p.rates) == len(p.alphas) == 1:
        return dict.fromkeys(keys, Point(p.rates[0], middle, False, False))
    tuned("rates", {key: [(rate, middle) for rate in p.rates] for key in keys})
    if len(p.alphas) > 1:
        tuned("rates of the weights", {key: _beside(key[0], ranked(key)[0][0], p) for key in keys})
    if p.finalists > 1:
        tuned("the best again", {key: ranked(key)[: p.finalists] for key in keys}, before=p.tuning)
    return {key: best(key) for key in keys}


def _beside(name: str, rate: float, p: Params) -> list[tuple[float, float]]:
    """The points that a method tries at its best rate: other rates of the weights, or rates between its two neighbours."""
    middle, more = p.alphas[len(p.alphas) // 2], len(p.alphas) - 1
    if METHODS[_tuned(name)].weighs_classes:
        return [(rate, alpha) for alpha in p.alphas if alpha != middle]
    step = p.rates[1] / p.rates[0] if len(p.rates) > 1 else 2.0
    powers = np.delete(np.linspace(-1, 1, more + 3), [0, (more + 2) // 2, more + 2])
    return [(float(f"{rate * step**power:.3g}"), middle) for power in powers]


def preferred(rows: pd.DataFrame, main: str, methods: Sequence[str]) -> str:
    """Of `methods` the one with the lowest mean validation loss of the main task: chosen on other images than it is judged on."""
    here = rows[(rows.main == main) & rows.method.isin(methods)]
    return str(here.groupby("method").validation.mean().idxmin())


def _longer(rows: pd.DataFrame, main: str) -> list[str]:
    """What is trained twice as long for a main task."""
    tried = set(rows.method)
    vectors = [preferred(rows, main, PARETO)] if tried & set(PARETO) else []
    return [name for name in ("single", "classes") if name in tried] + vectors


def _tuned(name: str) -> str:
    return PARETO[len(PARETO) // 2] if name == BEST_PARETO else name
