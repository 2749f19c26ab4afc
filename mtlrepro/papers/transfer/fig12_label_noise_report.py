"""Figure 12: figure, tables and what the rows of `fig12_label_noise` say of the claims."""

from __future__ import annotations

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.interval_marks import interval_marks, keys, paper_marks, standard_error
from mtlrepro.results import Gate, Measured, available, in_words, interval, load, paper_values

_LOOKS = {"SVD": ("vermillion", "o"), "Kendall": ("blue", "^")}
_JUDGED = ("unweighted", "Kendall", "SVD")
_LEAST_IMAGES = 5000
_PRECISION = 0.2
_NETWORK = "another network or more images: about as much again"


def networks(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of trained networks."""
    return rows[rows.part == "networks"]


def _by_pair(rows: pd.DataFrame, noisy: bool = True, doubled: bool = False, value: str = "auc") -> pd.DataFrame:
    """A line per pair, columns (method, setting). noisy: with label noise; doubled: after twice the epochs."""
    here = networks(rows)
    here = here[(here.level > 0) == noisy]
    here = here[(here.epochs == here.epochs.min() * (2 if doubled else 1)) | (here.method == "linear")].fillna({"setting": 0.0})
    found: pd.DataFrame = here.pivot(index=["seed", "group", "tasks"], columns=["method", "setting"], values=value)
    return found


def gains(rows: pd.DataFrame, doubled: bool = False, value: str = "auc") -> pd.DataFrame:
    """Gain over equal weights under noise: a line per pair, columns (method, setting)."""
    table = _by_pair(rows, doubled=doubled, value=value)
    return table.sub(table["unweighted", 0.0], axis=0).drop(columns="unweighted", level=0)


def _control(rows: pd.DataFrame) -> tuple[float, pd.Series]:
    """How much more the clean task weighs where that is best on clean validation labels, and the gain over equal weights."""
    valid = _by_pair(rows, value="valid").mean()
    favour = max((setting for method, setting in keys(gains(rows)) if method == "control"), key=lambda s: valid["control", s])
    return favour, gains(rows)["control", favour]


def measured(rows: pd.DataFrame) -> Measured:
    """Rank 1, the only one below two tasks; values are those of pairs."""
    gain = gains(rows)
    svd, kendall = gain["SVD", 0.0], gain["Kendall", 0.0]
    effects = {"over-unweighted": list(svd), "over-kendall": list(svd - kendall), "kendall-over-unweighted": list(kendall)}
    clean, noisy = (_by_pair(rows, noisy, value="noisy auc")["unweighted", 0.0] for noisy in (False, True))
    error = max(map(standard_error, effects.values()))
    more = math.ceil(len(svd) * (error / _PRECISION) ** 2)
    orders = []
    for doubled in (False, True):
        means = _by_pair(rows, doubled=doubled).mean()
        orders.append(" < ".join(sorted(_JUDGED, key=lambda method, means=means: float(means[method, 0.0]))))  # type: ignore[misc]
    weights = _by_pair(rows, value="noisy weight")["SVD", 0.0]
    favour, control = _control(rows)
    gates = [
        Gate.clear_of_zero("noise-hurts", list(clean - noisy), cost="more seeds or more noise"),
        _baseline_level(rows),
        Gate.within("precision", error, most=_PRECISION, cost=f"about {more} pairs in place of {len(svd)}"),
        Gate("converged", orders[0] == orders[1], "; ".join(dict.fromkeys(orders)), cost="half a core hour: more epochs"),
        Gate(
            "weights-differ", bool(((weights - 1).abs() > 0.01).all()),
            f"r = 1 of 2; the noisy task weighs {weights.min():.2g} to {weights.max():.2g} of the other", cost="other pairs",
        ),
        Gate.clear_of_zero(
            "control", list(control), said=f"the clean task {favour:g} times as heavy: {in_words(control)}",
            cost="more pairs, or noise that costs more",
        ),
    ]  # fmt: skip
    return Measured(effects, gates=gates)


def _baseline_level(rows: pd.DataFrame) -> Gate:
    """Equal weights on clean labels, how far they are above a linear model, and the number of images."""
    table = _by_pair(rows, noisy=False).mean()
    level = float(table["unweighted", 0.0])
    parts = [
        Gate.within("mean AUC", level, least=70),
        Gate.within("above a linear model", level - float(table["linear", 0.0]), least=1e-9),
        Gate.within("images", float(networks(rows).images.min()), least=_LEAST_IMAGES),
    ]
    return Gate.every("baseline-level", parts, cost=_NETWORK)


def figure(rows: pd.DataFrame) -> Figure:
    """Gain over equal weights for each pair of the first seed, and the mean over all pairs with the paper's two numbers."""
    table = gains(rows)
    first = table.index.get_level_values("seed") == table.index.get_level_values("seed").min()
    names = [pair.replace("_", " ") for pair in table.index.get_level_values("tasks")[first]]
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 0.45 * (len(names) + 1) + 1.4), layout="constrained")
    for shift, (method, (color, marker)) in zip((-0.15, 0.15), _LOOKS.items(), strict=True):
        gain = table[method, 0.0].to_numpy()
        samples = [*gain[first, None], gain]
        interval_marks(ax, np.arange(len(samples)) + shift, samples, color=color, marker=marker, label=method, lying=True)
    paper = paper_values("transfer/fig12")
    svd, over_kendall = paper["over_unweighted_auc_points"], paper["over_kendall_auc_points"]
    paper_marks(ax, [svd, svd - over_kendall], [len(names) - 0.15, len(names) + 0.15], "paper: SVD, Kendall")
    ax.axvline(0, color=plots.COLORS["black"], linewidth=0.8)
    ax.set_yticks(range(len(names) + 1), [*names, f"mean of {len(table)} pairs"])
    ax.invert_yaxis()
    ax.set_xlabel("gain in AUC over equal weights (points)")
    fig.legend(loc="outside lower center", ncols=4)
    return fig


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean gains over pairs: the paper's, and ours, after twice the epochs too."""
    paper = paper_values("transfer/fig12")
    lines = {
        "over equal weights": {"paper": f"{paper['over_unweighted_auc_points']:+.1f}"},
        "over Kendall's weights": {"paper": f"{paper['over_kendall_auc_points']:+.1f}"},
        "Kendall's over equal weights": {
            "paper": f"{paper['over_unweighted_auc_points'] - paper['over_kendall_auc_points']:+.1f}"
        },
    }
    for name, doubled in (("ours", False), ("ours, twice the epochs", True)):
        gain = gains(rows, doubled)
        svd, kendall = gain["SVD", 0.0], gain["Kendall", 0.0]
        for line, values in zip(lines.values(), (svd, svd - kendall, kendall), strict=True):
            line[name] = in_words(values)
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("gain in AUC (points)")


def tasks_apart(rows: pd.DataFrame) -> pd.DataFrame:
    """Gain of every method on the noisy and on the clean task, and the noisy task's weight before the noise and with it."""
    each = {value: gains(rows, value=value) for value in ("auc", "noisy auc", "clean auc")}
    weight, before = _by_pair(rows, value="noisy weight").median(), _by_pair(rows, value="weight before").median()
    lines: list[dict[str, Any]] = []
    for method, setting in keys(each["auc"]):
        key = (method, setting)
        line = {"method": f"the clean task {setting:g} times as heavy" if method == "control" else method}
        line |= {name: in_words(each[value][key]) for name, value in
                 (("both tasks", "auc"), ("noisy task", "noisy auc"), ("clean task", "clean auc"))}  # fmt: skip
        line["its weight without noise"] = f"{before[key]:.2f}" if np.isfinite(before.get(key, np.nan)) else ""
        lines.append(line | {"its weight": f"{weight[key]:.2f}"})
    return pd.DataFrame(lines).set_index("method")


def levels(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean AUC of equal weights and of a linear model, with clean and with noisy labels."""
    clean, noisy = _by_pair(rows, noisy=False), _by_pair(rows)
    lines = {
        "linear model, clean labels": clean["linear", 0.0],
        "equal weights, clean labels": clean["unweighted", 0.0],
        "equal weights, noisy labels": noisy["unweighted", 0.0],
    }
    return pd.DataFrame({"AUC (%)": {name: f"{values.mean():.2f}" for name, values in lines.items()}}).rename_axis("training")


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
