"""Figures, tables and effects of the page on Figure 8, from its rows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.results import Gate, Measured


def _training(rows: pd.DataFrame, covariances: str = "identity", longest: bool = False) -> pd.DataFrame:
    """Of one pair of covariances, the trainings of the fewest epochs, or of the most."""
    some = rows[rows["multi"].notna() & (rows["covariances"] == covariances)].astype({"size": int, "seed": int})
    return some.query("epochs == epochs.max()" if longest else "epochs == epochs.min()")


def _gain(rows: pd.DataFrame) -> pd.DataFrame:
    """Multi-task minus single-task: seeds x (size, alpha)."""
    return rows.assign(gain=rows["multi"] - rows["single"]).pivot(index="seed", columns=["size", "alpha"], values="gain")


def _draw_gains(ax: Axes, rows: pd.DataFrame, baseline: str) -> None:
    shades = ("sky", "blue", "orange", "vermillion")
    for (size, group), color, marker in zip(rows.groupby("size"), shades, plots.MARKERS, strict=False):
        line = results.summary(group.assign(gain=group["multi"] - group[baseline]), "alpha", "gain")
        plots.band(ax, line["alpha"], line["mean"], line["low"], line["high"], label=f"{size:,}", color=color, marker=marker)
    plots.zero_line(ax)
    ax.set_xlabel("α")
    upper = ax.secondary_xaxis("top")
    ticks = [0, 0.25, 0.5, 0.75, 1]
    upper.set_xticks(ticks, [f"{t / np.hypot(t, 1 - t):.2f}" for t in ticks])
    upper.set_xlabel("cosine of the principal angles")


def draw(rows: pd.DataFrame) -> Figure:
    """The paper's Figure 8: gain over single-task learning on the target against α, one line per number of source samples."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 4.4))
    _draw_gains(ax, _training(rows), "single")
    ax.set_ylabel("multi-task minus single-task (Spearman)")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=4, title="source samples")
    return fig


def draw_ridge(rows: pd.DataFrame) -> Figure:
    """The same against tuned ridge."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 4.4))
    _draw_gains(ax, _training(rows), "ridge")
    ax.set_ylabel("multi-task minus tuned ridge (Spearman)")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=4, title="source samples")
    return fig


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean Spearman correlation on the target of the three models."""
    names = {"multi": "multi-task", "single": "single-task", "ridge": "ridge"}
    means = _training(rows).groupby(["size", "alpha"])[list(names)].mean().rename(columns=names)
    return means.rename_axis(["source samples", "α"])


def covariance_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Gain by α and number of source samples, the source's covariance that of the target or another, and their difference."""
    gains = {name: _gain(_training(rows, name)) for name in ("same", "different")}
    columns = {f"{name} covariance": values.mean() for name, values in gains.items()}
    difference = gains["same"] - gains["different"]
    columns["difference"] = difference.mean()
    intervals = [results.interval(difference[key].to_numpy()) for key in difference]
    columns["95% interval"] = pd.Series([f"{low:+.3f} to {high:+.3f}" for _, low, high in intervals], difference.columns)
    return pd.DataFrame(columns).rename_axis(["source samples", "α"])


def angle_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per α: principal cosines of random instances beside the formula."""
    names = {
        "alpha": "α", "least": "smallest cosine", "largest": "largest cosine", "formula": "formula",
        "error": "largest error of the formula", "rank": "rank of Θ_1",
    }  # fmt: skip
    some = rows[rows["part"] == "angles"] if "part" in rows else rows.iloc[:0]
    return some.reindex(columns=list(names)).rename(columns=names).set_index("α")


def measured(rows: pd.DataFrame) -> Measured:
    """Gains of the multi-task over the single-task model of the same width; scores are on fresh samples of the target."""
    judged = _training(rows)
    gain = _gain(judged)
    sizes, alphas = sorted(judged["size"].unique()), sorted(judged["alpha"].unique())
    least, most, low, high = sizes[0], sizes[-1], alphas[0], alphas[-1]
    by_size = [gain[size][high] - gain[size][low] for size in sizes]
    same, different = (_gain(_training(rows, name)) for name in ("same", "different"))
    effects = {
        "similarity": (sum(by_size) / len(sizes)).tolist(),
        "source-size": (gain[most][high] - gain[least][high]).tolist(),
        "covariance-alignment": (same - different).mean(axis=1).tolist(),
    }
    doubled = _training(rows, longest=True)
    longer = _gain(doubled)
    change = (longer.mean() - gain.loc[longer.index].mean()).abs().max()
    if doubled["epochs"].max() == judged["epochs"].max():
        change = float("nan")  # no run was longer
    control = results.interval(gain[most][high])[1]
    gates = [
        Gate.within("headroom", judged["single"].mean(), least=0.30, most=0.95, cost="another noise, chosen on other seeds"),
        Gate.within("converged", float(change), most=0.01, cost="20 core minutes: again with more epochs"),
        Gate.every(
            "range",
            [
                Gate.within("smallest α", low, most=0.1),
                Gate.within("largest α", high, least=0.9),
                Gate.within("smallest source", float(least), most=100),
                Gate.within("largest source", float(most), least=5_000),
            ],
            cost="10 core minutes: this run with 5,000 source samples",
        ),
        Gate("capacity", True, "width 10 for both"),
        Gate.within("control", control, least=1e-12, cost="more seeds"),
    ]
    return Measured(effects=effects, gates=gates)
