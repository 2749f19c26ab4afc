"""Table 1 and Figures 2 to 4 of the class-weight paper: the compared trainings, tuned alike."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure

from mtlrepro import data, plots
from mtlrepro.data.opening import Opened
from mtlrepro.data.schema import Tier
from mtlrepro.papers.classweights.arms import BEST_PARETO, EXHIBITS, METHODS, PARETO, TASKS
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
        rows["classweights/tab1"] = driving[driving.method.isin(["single", "linear"])]
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
    """Rows of `final` for every method that `p` names, at points chosen by `tune` on seeds of their own; `pareto` is all five
    vectors, whose rate is chosen with the middle one."""
    training = training_of(p, kind)
    mains = {name: TASKS if METHODS[_tuned(name)].own_main else ("",) for name in p.methods}
    tuning = [
        {"training": training, "method": _tuned(name), "main": main, "seed": p.first_seed - 1 - i, "rate": rate, "alpha": p.alpha}
        for name in p.methods
        for main in mains[name]
        for rate in p.rates
        for i in range(p.tuning)
        if len(p.rates) > 1
    ]
    digests = {name: part.digest for name, part in opened(p).items()}
    tried = runs.map(tune, tuning, f"{kind}, tuning", data=digests)
    wanted: dict[tuple[str, float, str], list[str]] = {}
    for name in p.methods:
        for main in TASKS:
            # A training that serves both tasks is done once where both choose the same rate.
            own = main if METHODS[_tuned(name)].own_main else ""
            rate = _best(tried, _tuned(name), main) if len(p.rates) > 1 else p.rates[0]
            wanted.setdefault((name, rate, own), []).append(main)
    settings = [
        {"training": training, "method": each, "mains": tasks, "seed": p.first_seed + i, "rate": rate, "alpha": p.alpha}
        for (name, rate, _), tasks in wanted.items()
        for each in (PARETO if name == BEST_PARETO else (name,))
        for i in range(p.seeds)
    ]
    rows = runs.map(final, settings, f"{kind}, training", data=digests)
    # For the gates: where in its grid each rate lies, the steps of a training, and those that move the class weights.
    inside = rows["rate"].between(min(p.rates), max(p.rates), inclusive="neither")
    return rows.assign(interior=inside, steps=p.steps, updates=p.steps * (1 - p.freeze), source=p.source)


def _tuned(name: str) -> str:
    return PARETO[len(PARETO) // 2] if name == BEST_PARETO else name


def _best(tried: pd.DataFrame, method: str, main: str) -> float:
    """The rate with the lowest mean validation loss."""
    own = tried[(tried.method == method) & (tried.main == main)].groupby("rate").validation.mean()
    return float(own.index[int(own.to_numpy().argmin())])
