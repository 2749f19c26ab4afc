"""Algorithm 2: figures, tables and what the rows of `alg2_svd_reweighting` say of the claims.

Rows have a column ``part``: map (`compare`) or example (`motivating_example`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer import fig12_label_noise_report
from mtlrepro.results import Gate, Measured, Recorded, available, interval, load, summary

NOISES = ("additive", "random labels", "flipped signs")
_COLORS = {"SVD": "vermillion", "SVD, normalised": "orange", "Kendall": "blue", "oracle": "black"}
_RERUN = "about a quarter of a core hour: the full run once more"


def figure_12() -> Recorded | None:
    """The largest recorded run of Figure 12, whose rows answer the third claim."""
    profiles = available("transfer/fig12", committed=True)
    return load("transfer/fig12", profiles[-1], committed=True) if profiles else None


def _map(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows.part == "map"]


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Quality minus that of equal weights: one row per seed and setting, a column per method."""
    keys = ["noise", "level", "k", "rank", "own", "seed"]
    table = _map(rows).pivot(index=keys, columns="method", values="quality")
    return table.sub(table["unweighted"], axis=0).drop(columns="unweighted").reset_index()


def measured(rows: pd.DataFrame, figure: Recorded | None = None) -> Measured:
    """Rank 1. figure: a run of Figure 12 for the claim on its data."""
    example = rows[rows.part == "example"]
    farther = example["distance, equal"] - example["distance, clean tenfold"]
    effects: dict[str, Sequence[float]] = {
        "noisy-task-weighs-less-additive": list(example.groupby("seed")["log ratio"].mean()),
        "noisy-task-weighs-less-random-labels": _lost_weight(rows),
        "upweighting-clean-helps": list(farther.groupby(example.seed).mean()),
    }
    if figure is not None:
        effects["more-robust-than-unweighted"] = fig12_label_noise_report.measured(figure.rows).effects["over-unweighted"]
    table = gains(rows)
    oracle = table[(table.own == 0) & (table["rank"] == 1) & (table.level > 0)].groupby("seed").oracle.mean()
    fewest, rank = int(table.k.min()), int(table["rank"].min())
    gates = [
        _noise_hurts(rows),
        Gate("weights-differ", rank < fewest, f"r = {rank}, from {fewest} tasks on, as printed"),
        _gates_of(figure),
        _clear("control", oracle, cost=_RERUN),
    ]
    return Measured(effects, gates=gates)


def _lost_weight(rows: pd.DataFrame) -> list[float]:
    """log2 of the noisy task's weight before over after a fifth of its labels are replaced; mean over tasks and models."""
    here = _map(rows)
    here = here[(here.noise == "flipped signs") & (here.method == "SVD") & (here["rank"] == 1)]
    table = here.pivot(index=["seed", "k", "own"], columns="level", values="noisy weight")
    lost = (table[0.0] / table[0.2]).map(math.log2)
    return list(lost.groupby("seed").mean())


def _clear(name: str, values: pd.Series, cost: str = "") -> Gate:
    """Passed where the mean is above zero, clear of it over seeds."""
    mean, low, _ = interval(values.to_numpy())
    return Gate(name, low > 0, mean, cost=cost)


def _noise_hurts(rows: pd.DataFrame) -> Gate:
    here = _map(rows)
    here = here[(here.method == "unweighted") & (here["rank"] == 1)]
    lost = []
    for noise in NOISES:
        table = here[here.noise == noise].pivot(index=["seed", "k", "own"], columns="level", values="quality")
        noisy = table.drop(columns=0.0).mean(axis=1)
        lost.append(_clear(noise, (table[0.0] - noisy).groupby("seed").mean()))
    return Gate.every("noise-hurts", lost, cost=_RERUN)


def _gates_of(figure: Recorded | None) -> Gate:
    if figure is None:
        return Gate("gates-of-figure", False, "Figure 12 is not recorded", cost="as for Figure 12")
    gates = figure.judgement.gates
    passed = sum(gate.passed for gate in gates)
    return Gate("gates-of-figure", passed == len(gates), f"{passed} of {len(gates)} pass", cost="as for Figure 12")


def _figure(rows: pd.DataFrame, own: float) -> Figure:
    table = gains(rows)
    table = table[(table.own == own) & (table["rank"] == 1)]
    counts = sorted({int(table.k.min()), int(table.k.max())})
    fig, axes = plt.subplots(3, len(counts), figsize=(plots.WIDTH, 8), squeeze=False, layout="constrained")
    for line, noise in zip(axes, NOISES, strict=True):
        for ax, k in zip(line, counts, strict=True):
            here = table[(table.k == k) & (table.noise == noise)]
            for (method, color), marker in zip(_COLORS.items(), plots.MARKERS, strict=False):
                curve = summary(here, "level", method)
                plots.band(
                    ax, curve["level"], curve["mean"], curve["low"], curve["high"], label=method, color=color, marker=marker
                )
            plots.zero_line(ax)
            ax.set(title=f"{noise}, {k} tasks", xlabel="noise level")
            ax.locator_params(axis="y", nbins=5)
        line[0].set_ylabel("gain over equal weights")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def figure_one_model(rows: pd.DataFrame) -> Figure:
    """What each method gains over equal weights where all tasks have one model: a row per noise."""
    return _figure(rows, own=0.0)


def figure_own_models(rows: pd.DataFrame) -> Figure:
    """The same where the tasks' models differ."""
    return _figure(rows, own=0.5)


def noisy_weight(rows: pd.DataFrame) -> pd.DataFrame:
    """Weight of the noisy task over the mean of the clean ones, mean over seeds; one model, rank 1."""
    here = _map(rows)
    here = here[(here.own == 0) & (here["rank"] == 1)]
    table = here.pivot_table(index=["noise", "k", "level"], columns="method", values="noisy weight")[list(_COLORS)]
    table = table.rename_axis(None, axis=1).reset_index().rename(columns={"k": "tasks", "level": "noise level"})
    return table.astype({"tasks": int}).set_index(["noise", "tasks", "noise level"]).loc[list(NOISES)]
