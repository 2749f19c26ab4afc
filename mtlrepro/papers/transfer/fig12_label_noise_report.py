"""Figure 12: figure, tables and what the rows of `fig12_label_noise` say of the claims."""

from __future__ import annotations

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.interval_marks import interval_marks, paper_marks
from mtlrepro.results import Gate, Measured, available, in_words, interval, load, paper_values

_LOOKS = {"SVD, r = 1": ("vermillion", "o"), "SVD, r = 2": ("orange", "s"), "Kendall": ("blue", "^")}
# The paper's noise: a fifth of one task's labels replaced by coin flips.
_NOISE, _LEVEL = "coin", 0.2
_NETWORK = "DenseNet-121 on 10% of ChestX-ray14: about 20 GPU hours at 500 images per second"
_PRECISION = 0.2


def networks(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of trained networks."""
    return rows[rows.part == "networks"]


def _auc(rows: pd.DataFrame, k: int, noise: str, level: float, value: str = "auc") -> pd.DataFrame:
    """AUC: a line per group and seed, a column per method."""
    here = rows[(rows.k == k) & (rows.noise == noise) & (rows.level == level)]
    return here.pivot(index=["group", "tasks", "seed"], columns="method", values=value)


def gains(rows: pd.DataFrame, k: int, noise: str, level: float, value: str = "auc") -> pd.DataFrame:
    """Gain over equal weights: a line per group and seed, a column per method."""
    table = _auc(networks(rows), k, noise, level, value)
    return table.sub(table["unweighted"], axis=0).drop(columns=["unweighted", "linear"], errors="ignore")


def measured(rows: pd.DataFrame) -> Measured:
    """Rank 1, the only one below two tasks; means over the pairs, one per seed."""
    by_pair = gains(rows, 2, _NOISE, _LEVEL)
    by_seed = by_pair.groupby("seed").mean()
    svd, kendall = by_seed["SVD, r = 1"], by_seed["Kendall"]
    effects = {"over-unweighted": list(svd), "over-kendall": list(svd - kendall), "kendall-over-unweighted": list(kendall)}
    clean, noisy = (_auc(networks(rows), 2, _NOISE, level, "noisy auc").unweighted for level in (0.0, _LEVEL))
    loss, low, _ = interval((clean - noisy).groupby("seed").mean().to_numpy())
    pairs = by_pair["SVD, r = 1"].groupby("group").mean()
    error = float(np.std(pairs, ddof=1)) / math.sqrt(len(pairs))
    more = math.ceil(len(pairs) * (error / _PRECISION) ** 2)
    weight = float(_auc(networks(rows), 2, _NOISE, _LEVEL, "noisy weight")["SVD, r = 1"].median())
    gates = [
        Gate("noise-hurts", low > 0, loss, cost=_NETWORK),
        _baseline_level(rows),
        Gate.within("precision", error, most=_PRECISION, cost=f"about {more} pairs in place of {len(pairs)}"),
        Gate("converged", False, "not recorded", cost="about half a core hour: twice the epochs"),
        Gate("weights-differ", abs(weight - 1) > 1e-3, f"r = 1; the noisy task weighs {weight:.2f} of the other (median)"),
        Gate("control", False, "not recorded", cost="about half a core hour: weights for the clean task, from a grid"),
    ]
    return Measured(effects, gates=gates)


def _baseline_level(rows: pd.DataFrame) -> Gate:
    """Equal weights on clean labels, and how far they are above a linear model."""
    table = _auc(networks(rows), 2, _NOISE, 0.0)
    parts = [Gate.within("mean AUC", float(table["unweighted"].mean()), least=70)]
    if "linear" in table:
        parts.append(Gate.within("above a linear model", float((table["unweighted"] - table["linear"]).mean()), least=1e-9))
    else:
        parts.append(Gate("above a linear model", False, "not recorded"))
    return Gate.every("baseline-level", parts, cost=_NETWORK)


def figure(rows: pd.DataFrame) -> Figure:
    """Gain over equal weights for each pair, and the mean over the pairs with the paper's two numbers."""
    table = gains(rows, 2, _NOISE, _LEVEL)
    pairs = list(dict.fromkeys(table.reset_index().tasks))
    names = [pair.replace("_", " ") for pair in pairs]
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 0.45 * (len(names) + 1) + 1.4), layout="constrained")
    for shift, (method, (color, marker)) in zip((-0.22, 0, 0.22), _LOOKS.items(), strict=True):
        samples = [table[method].xs(pair, level="tasks").to_numpy() for pair in pairs]
        samples.append(table[method].groupby("seed").mean().to_numpy())
        interval_marks(ax, np.arange(len(samples)) + shift, samples, color=color, marker=marker, label=method, lying=True)
    paper = paper_values("transfer/fig12")
    svd, over_kendall = paper["over_unweighted_auc_points"], paper["over_kendall_auc_points"]
    paper_marks(ax, [svd, svd - over_kendall], [len(names) - 0.22, len(names) + 0.22], "paper: SVD, Kendall")
    ax.axvline(0, color=plots.COLORS["black"], linewidth=0.8)
    ax.set_yticks(range(len(names) + 1), [*names, "mean of the pairs"])
    ax.invert_yaxis()
    ax.set_xlabel("gain in AUC over equal weights (points)")
    fig.legend(loc="outside lower center", ncols=4)
    return fig


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean gains over pairs: the paper's, and ours for each rank."""
    paper, by_seed = paper_values("transfer/fig12"), gains(rows, 2, _NOISE, _LEVEL).groupby("seed").mean()
    lines = {
        "over equal weights": {"paper": paper["over_unweighted_auc_points"]},
        "over Kendall's weights": {"paper": paper["over_kendall_auc_points"]},
    }
    for method in ("SVD, r = 1", "SVD, r = 2"):
        lines["over equal weights"][f"ours, {method}"] = in_words(by_seed[method])
        lines["over Kendall's weights"][f"ours, {method}"] = in_words(by_seed[method] - by_seed["Kendall"])
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("gain in AUC (points)")


def conditions(rows: pd.DataFrame) -> pd.DataFrame:
    """Every number of tasks, noise and method: gain over equal weights, and how much more it is than without noise."""
    lines: list[dict[str, Any]] = []
    here = networks(rows)
    clean = gains(rows, 2, "coin", 0.0).groupby("seed").mean()
    for k, noise, level in here[["k", "noise", "level"]].drop_duplicates().itertuples(index=False):
        gain = gains(rows, k, noise, level).groupby("seed").mean()
        own = gains(rows, k, noise, level, "noisy auc").groupby("seed").mean()
        weight = here[(here.k == k) & (here.noise == noise) & (here.level == level)].groupby("method")["noisy weight"].median()
        for method in gain.dropna(axis=1, how="all"):
            line = {"tasks": int(k), "noise": noise if level else "none", "level": level, "method": method}
            line |= {"all tasks": in_words(gain[method]), "noisy task": in_words(own[method]), "its weight": weight[method]}
            lines.append(line | ({"more than without noise": in_words(gain[method] - clean[method])} if level and k == 2 else {}))
    return pd.DataFrame(lines)


def _marked(values: pd.Series) -> str:
    mean, low, high = interval(values.to_numpy())
    return f"{mean:+.2f}{'*' if low > 0 or high < 0 else ''}"


def exact_map(rows: pd.DataFrame) -> pd.DataFrame:
    """Linear models solved exactly: mean gain of each method; a line per number of tasks, rank and method, a column per noise."""
    mapped = rows[rows.part == "map"].astype({"rank": int, "k": int})
    keys = ["k", "rank", "noise", "level"]
    table = mapped.pivot(index=[*keys, "seed"], columns="method", values="auc")
    gain = table.sub(table["unweighted"], axis=0).drop(columns="unweighted").melt(ignore_index=False, value_name="gain")
    marks = gain.groupby([*keys, "method"]).gain.agg(_marked).unstack(["noise", "level"])
    marks = marks[["none", *(noise for noise in ("coin", "shuffled", "additive") if noise in marks)]]
    names = ["none" if column[0] == "none" else f"{column[0]} {column[1]:g}" for column in marks.columns.to_flat_index()]
    return marks.set_axis(names, axis=1).rename_axis(["tasks", "rank", "method"])


def on_synthetic_tasks() -> pd.DataFrame:
    """Mean gain over equal weights in Algorithm 2's largest recorded run: one model behind all tasks, rank 1."""
    profiles = available("transfer/alg2", committed=True)
    if not profiles:
        return pd.DataFrame({"noise": ["no run of Algorithm 2 is recorded"]})
    rows = load("transfer/alg2", profiles[-1], committed=True).rows
    here = rows[(rows.own == 0) & (rows["rank"] == 1) & (rows.level > 0)].astype({"k": int})
    keys = ["noise", "k", "level"]
    table = here.pivot(index=[*keys, "seed"], columns="method", values="quality")
    means = table.sub(table["unweighted"], axis=0).drop(columns=["unweighted", "oracle"]).groupby(keys).mean()
    return means.rename_axis(["noise", "tasks", "level"]).rename_axis(None, axis=1)
