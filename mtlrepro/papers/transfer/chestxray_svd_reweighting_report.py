"""Chest X-rays: figure, table and what the rows of `chestxray_svd_reweighting` say of the claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.interval_marks import interval_marks, paper_marks
from mtlrepro.results import Gate, Measured, in_words, paper_values

_SETS = {"cifar100": "CIFAR-100", "nih64": "ChestX-ray14, 64 px", "chestxray14": "ChestX-ray14"}
# Sets whose labels can occur together, as the findings do, best first. Superclasses and digits exclude one another.
_CLAIMED_ON = ("chestxray14", "nih64")
_COLORS = {
    "SVD, r = 1": "vermillion",
    "SVD, r = 5": "orange",
    "SVD, r = k": "black",
    "Kendall": "blue",
    "SVD, normalised, r = 1": "green",
}
_DENSENET = "DenseNet-121 on ChestX-ray14: about 30 GPU hours at 500 images per second"


def claimed_on(rows: pd.DataFrame) -> str | None:
    """The set that the claims are judged on, None where there is none."""
    return next((source for source in _CLAIMED_ON if source in set(rows.source)), None)


def auc(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """Test AUC: a line per seed, a column per method."""
    here = rows[(rows.source == source) & (rows.method != "linear")]
    last = here["rank"].max()
    ranks = here["rank"].map(lambda rank: "" if rank == 0 else ", r = k" if rank == last else f", r = {rank}")
    return here.assign(method=here.method + ranks).pivot(index="seed", columns="method", values="auc")


def _chosen(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """Of each seed the rank of Algorithm 2 that is best on validation: a line per seed."""
    svd = rows[(rows.source == source) & (rows.method == "SVD")].reset_index(drop=True)
    return svd.loc[svd.groupby("seed").valid.idxmax()].set_index("seed")


def measured(rows: pd.DataFrame) -> Measured:
    """On the best set whose labels can occur together; Algorithm 2's rank is the one that validation chooses."""
    source = claimed_on(rows)
    if source is None:
        return Measured(gates=[Gate("baseline-level", False, "no set of X-rays at hand", cost="mtlrepro data path nih64")])
    table = auc(rows, source)
    effects: dict[str, Sequence[float]] = {"kendall-over-unweighted": list(table["Kendall"] - table["unweighted"])}
    recorded = "valid" in rows
    best = _chosen(rows, source) if recorded else None
    svd = table["SVD, r = 1"] if best is None else best.auc
    if best is not None:
        effects["over-unweighted"] = list(svd - table["unweighted"])
        effects["over-kendall"] = list(svd - table["Kendall"])
    error = float(np.std(svd - table["unweighted"], ddof=1)) / len(table) ** 0.5 if len(table) > 1 else float("nan")
    gates = [
        _baseline_level(rows, source, table),
        Gate.within("precision", error, most=0.1, cost=f"about {int(len(table) * (error / 0.1) ** 2) + 1} seeds on this set")
        if np.isfinite(error)
        else Gate("precision", False, "one seed", cost="five seeds"),
        Gate("converged", False, "not recorded", cost="about 5 core minutes: twice the epochs"),
        _grid_interior(rows, source),
        Gate("weights-differ", False, "not recorded", cost="about 2 core minutes: the full run once more")
        if best is None
        else Gate(
            "weights-differ",
            bool(best["weight span"].between(1.2, 20).all()),
            f"{best['weight span'].min():.3g} to {best['weight span'].max():.3g}",
            cost="tasks with a common direction",
        ),
        Gate("control", False, "not recorded", cost="about half a core hour: a search over static weights"),
    ]
    return Measured(effects, gates=gates)


def _baseline_level(rows: pd.DataFrame, source: str, table: pd.DataFrame) -> Gate:
    level = float(table["unweighted"].mean())
    if source == "chestxray14":
        return Gate.within("baseline-level", level, least=80, cost=_DENSENET)
    linear = rows[(rows.source == source) & (rows.method == "linear")].auc
    if linear.empty:
        return Gate("baseline-level", False, "a linear model is not recorded", cost=_DENSENET)
    above = level - float(linear.mean())
    return Gate("baseline-level", above >= 10, f"AUC {level:.1f}, {above:+.1f} against a linear model", cost=_DENSENET)


def _grid_interior(rows: pd.DataFrame, source: str) -> Gate:
    """Whether the learning rate is chosen strictly inside its grid in every run."""
    if "rate" not in rows or rows[rows.source == source].rate.isna().any():
        return Gate("grid-interior", False, "not recorded", cost="about 5 core minutes: five rates")
    rates = rows[(rows.source == source) & (rows.method != "linear")].rate
    inside = rates.between(rates.min(), rates.max(), inclusive="neither").mean() if rates.nunique() > 1 else 0.0
    return Gate("grid-interior", bool(inside == 1), f"{100 * inside:.0f}% of runs", cost="about 5 core minutes: five rates")


def figure(rows: pd.DataFrame) -> Figure:
    """Gain over equal weights: a panel per set, with the paper's numbers for its own set."""
    sources = list(rows.source.unique())
    shown = [method for method in _COLORS if any(method in auc(rows, source) for source in sources)]
    fig, axes = plt.subplots(1, len(sources), figsize=(plots.WIDTH, 3.4), squeeze=False, layout="constrained", sharey=True)
    for ax, source in zip(axes[0], sources, strict=True):
        table = auc(rows, source)
        for line, method in enumerate(shown):
            if method in table:
                gain = (table[method] - table["unweighted"]).to_numpy()
                interval_marks(ax, [line], [gain], color=_COLORS[method], marker=plots.MARKERS[line], lying=True)
        paper = paper_values("transfer/chestxray")
        svd, over_kendall = paper["over_unweighted_auc_points"], paper["over_kendall_auc_points"]
        paper_marks(ax, [svd] * 3 + [svd - over_kendall], [0, 1, 2, shown.index("Kendall")], "paper, on ChestX-ray14")
        ax.axvline(0, color=plots.COLORS["black"], linewidth=0.8)
        ax.set(title=_SETS.get(source, source), xlabel="gain over equal weights\n(AUC points)")
    axes[0, 0].set_yticks(range(len(shown)), shown)
    axes[0, 0].invert_yaxis()
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center")
    return fig


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """AUC and gains over equal weights and over Kendall's: the paper's, and ours for every set and method."""
    paper = paper_values("transfer/chestxray")
    lines: list[dict[str, Any]] = [
        {
            "set": "ChestX-ray14 (paper)", "method": "SVD",
            "over equal weights": f"{paper['over_unweighted_auc_points']:+.1f}",
            "over Kendall's": f"{paper['over_kendall_auc_points']:+.1f}",
        }
    ]  # fmt: skip
    for source in rows.source.unique():
        table = auc(rows, source)
        for method in table:
            line = {"set": _SETS.get(source, source), "method": str(method), "AUC (%)": table[method].mean()}
            for name, base in (("over equal weights", "unweighted"), ("over Kendall's", "Kendall")):
                if method != base:
                    line[name] = in_words(table[method] - table[base])
            lines.append(line)
    columns = ["set", "method", "AUC (%)", "over equal weights", "over Kendall's"]
    return pd.DataFrame(lines).reindex(columns=columns)
