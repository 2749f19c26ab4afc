"""Tables and figures of the page on HydaLearn's Theorem 1, drawn from its rows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from mtlrepro import plots, results
from mtlrepro.papers.hydalearn import thm1_along_training, thm1_weight_ratio

BLUE, ORANGE, GREEN, GREY, BLACK = (plots.COLORS[name] for name in ("blue", "vermillion", "green", "grey", "black"))
BETA = 6.0  # Table 6, toys
PROBLEMS = tuple(thm1_along_training.NETWORKS)
# Name -> inputs of the labels' tanh, learning rate.
TRAININGS = {"paper's values": ("as printed", 0.01), "softened": ("softened", 0.1)}
CASES = {
    "Exp1, σ_a = 10, raw": ("Exp1", 10.0, "raw", ORANGE, "o"),
    "Exp1, σ_a = 1, raw": ("Exp1", 1.0, "raw", GREEN, "s"),
    "Exp1, σ_a = 1, unit length": ("Exp1", 1.0, "unit length", BLUE, "^"),
    "Exp2, raw": ("Exp2", 10.0, "raw", GREY, "D"),
    "Exp2, unit length": ("Exp2", 10.0, "unit length", BLACK, "v"),
}
SHADES = ["#B2182B", "#DDDDDD", "#BBBBBB", BLUE, "#999999", "#666666"]


def draw_rule() -> None:
    """First-order gain and harm of the rule, as a share of the larger one, against the ratio of the two gains."""
    ratio = np.linspace(1e-3, 1, 400)
    gains = torch.stack([torch.ones(400), torch.from_numpy(ratio)], -1)
    fig, (left, right) = plt.subplots(1, 2, figsize=(plots.WIDTH, 3.2))
    for beta, color, dash in ((1.0, BLUE, "-"), (3.0, GREEN, "--"), (6.0, ORANGE, ":")):
        left.plot(ratio, thm1_weight_ratio.first_order_value(gains, beta), color=color, linestyle=dash, label=f"β = {beta:g}")
        # Less harm is better: the best choice, all to the smaller harm, costs r.
        harm = -thm1_weight_ratio.first_order_value(-gains, beta)
        right.plot(ratio, harm, color=color, linestyle=dash)
    left.plot(ratio, (1 + ratio) / 2, color=GREY, linewidth=1, label="equal weights")
    right.plot(ratio, (1 + ratio) / 2, color=GREY, linewidth=1)
    right.plot(ratio, ratio, color=BLACK, linewidth=1, label="best")
    left.axhline(1, color=BLACK, linewidth=1)
    left.set(title="both positive: gain", xlabel="smaller gain / larger gain", ylim=(0.45, 1.03))
    right.set(title="both negative: harm", xlabel="smaller harm / larger harm", ylim=(0, 1.05))
    left.legend()
    right.legend()
    plots.show(fig)


def draw_taylor(rows: pd.DataFrame) -> None:
    """Errors of eqs. 6 to 8 against the step size."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(plots.WIDTH, 3.2))
    for metric, color, marker in (("squared error", BLUE, "o"), ("absolute error", ORANGE, "s")):
        group = rows[(rows.kind == "taylor") & (rows.metric == metric)]
        left.plot(group.alpha, group.error, color=color, marker=marker, label=metric)
        left.fill_between(group.alpha, group.error_low, group.error_high, color=color, alpha=0.18, linewidth=0)
        right.plot(group.alpha, group.ratio_error, color=color, marker=marker)
    for ax, power, values in ((left, 2, group.error), (right, 1, group.ratio_error)):
        ax.plot(group.alpha, 0.2 * values.iloc[0] * (group.alpha / group.alpha.iloc[0]) ** power, "--", color=GREY)
        ax.text(group.alpha.iloc[2], 0.05 * values.iloc[2], f"slope {power}", color=GREY)
        ax.set(xscale="log", yscale="log", xlabel=r"step size $\alpha$")
    left.set(title="error of eqs. 6, 7")
    right.set(title="relative error of eq. 8")
    left.legend()
    plots.show(fig)


def order_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a metric: slopes, and how many gains of the longest and the shortest step are exactly zero."""
    groups = rows[rows.kind == "taylor"].groupby("metric", sort=False)
    table = groups[["n", "order_low", "order_median"]].first().astype({"n": int})
    zeros = groups["zero"].agg(["first", "last"])
    names = [f"gain exactly 0 at α = {groups['alpha'].agg(which).iloc[0]:g}" for which in ("first", "last")]
    named = table.rename(columns={"n": "steps", "order_low": "smallest slope", "order_median": "median slope"})
    return named.join(zeros.set_axis(names, axis=1)).round(4)


def circle_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a ratio of weights put in: what eqs. 9 and 10 return."""
    some = rows[rows.kind == "circle"]
    return pd.DataFrame(
        {
            "w_m / w_a put in": some.ratio.round(3),
            "eq. 9 returns, times it: largest error": some.kept_worst,
            "eq. 10 returns, times it: median size": some.dropped_median.round(2),
            "quartiles": [f"{a:.2f}, {b:.2f}" for a, b in zip(some.dropped_low, some.dropped_high, strict=True)],
            "within [1/2, 2]": some.near,
            "negative": some.negative,
        }
    ).set_index("w_m / w_a put in")


def draw_factor(rows: pd.DataFrame, inputs: str) -> None:
    """Shares of the factor's sizes by quarter of training; trained as printed."""
    fig, axes = plt.subplots(2, 2, figsize=(plots.WIDTH, 5.2), sharex=True, sharey=True)
    for line, problem in zip(axes, PROBLEMS, strict=True):
        for ax, gradients in zip(line, thm1_along_training.FACTOR, strict=True):
            here = rows[(rows.kind == "factor") & (rows.problem == problem) & (rows.gradients == gradients)]
            here = here[(here.inputs == inputs) & (here["update"] == "as printed")]
            means, bottom = here.groupby("window")[list(thm1_along_training.BINS)].mean(), pd.Series(0.0, range(4))
            for name, color in zip(thm1_along_training.BINS, SHADES, strict=True):
                ax.bar(means.index + 1, means[name], bottom=bottom, color=color, label=name, width=0.85)
                bottom = bottom + means[name]
            ax.set(title=f"{problem}, {gradients}", xticks=range(1, 5))
            ax.grid(False)
    axes[1, 0].set_xlabel("quarter of training")
    axes[1, 1].set_xlabel("quarter of training")
    axes[0, 0].set_ylabel("share of steps")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, title="factor $q$")
    plots.show(fig)


def factor_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a training: where the factor lies, over all steps."""
    some = rows[rows.kind == "factor"]
    # Along a scale-matched training all gradients have one norm: raw and unit length are one.
    some = some[(some["update"] == "as printed") | (some.gradients == "unit length")]
    columns = ["negative", "1/2 to 2", "above 8", "size"]
    table = some.groupby(["problem", "inputs", "update", "gradients"], sort=False)[columns].mean()
    return table.rename(columns={"1/2 to 2": "within [1/2, 2]", "size": "median |q|"}).round(3)


def error_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Test error in the end, one line a training."""
    some = rows[rows.kind == "test"].groupby(["problem", "inputs", "update"], sort=False)
    return some[["MAE"]].mean().rename(columns={"MAE": "test MAE"}).round(3)


def direction_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The factor of random directions by dimension."""
    some = rows[rows.kind == "directions"].astype({"dimension": int}).set_index("dimension")
    return some[["within", "size"]].rename(columns={"within": "within [1/2, 2]", "size": "median |q|"}).round(3)


def at_width(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows of one of CASES."""
    problem, scale, gradients, *_ = CASES[name]
    here = rows[(rows.kind == "width") & (rows.problem == problem) & (rows.gradients == gradients)]
    return here[here.scale_a == scale].astype({"width": int})


def draw_widths(rows: pd.DataFrame) -> None:
    """How often the factor is near 1, and negative, against the width of the shared layers."""
    fig, axes = plt.subplots(2, 1, figsize=(plots.WIDTH, 6.4), sharex=True)
    for ax, column, title in ((axes[0], "1/2 to 2", "within [1/2, 2]"), (axes[1], "negative", "negative")):
        for name, (*_, color, marker) in CASES.items():
            table = results.summary(at_width(rows, name), "width", column)
            plots.band(ax, table["width"], table["mean"], table["low"], table["high"], label=name, color=color, marker=marker)
        ax.set(ylim=(0, 1), ylabel="share of steps", title=f"factor {title}")
    some = sorted(rows.loc[rows.kind == "width", "width"].astype(int).unique())
    axes[1].set_xscale("log")
    axes[1].set_xticks(some, [str(width) for width in some])
    axes[1].minorticks_off()
    axes[1].set_xlabel("width of the shared layers")
    axes[0].legend(ncols=2, fontsize=10)
    plots.show(fig)


def best_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a beta: the rule against other weights of the same sum and of the same p-norm."""
    some = rows[rows.kind == "best"].set_index("beta")
    names = {"n": "pairs of gains", "below": "rule below the best", "shortfall": "largest shortfall, both positive"}
    names |= {"n_norm": "pairs, one positive", "norm_broken": "beaten in its p-norm"}
    return some[list(names)].rename(columns=names)


def update_table(rows: pd.DataFrame, inputs: str, update: str) -> pd.DataFrame:
    """Mean gain on unseen samples in 0.001 MAE, one line a rule."""
    here = rows[(rows.kind == "update") & (rows.inputs == inputs) & (rows["update"] == update)]
    names = list(thm1_along_training.RULES)
    means = here.groupby(["problem", "case"], sort=False)[names].mean().mul(1000).T
    return means.map(lambda value: f"{value:+.3f}")


def sign_table(rows: pd.DataFrame, update: str) -> pd.DataFrame:
    """Shares of the signs of the two gains, one line a training and kind of gain."""
    some = rows[(rows.kind == "signs") & (rows["update"] == update)]
    # Length does not change the sign of a first-order gain.
    some = some[some.gains != "first order, raw"].replace({"gains": {"first order, unit length": "first order"}})
    return some.groupby(["problem", "inputs", "gains"], sort=False)[list(thm1_along_training.SIGNS)].mean().round(2)


def step_table(rows: pd.DataFrame) -> pd.DataFrame:
    """How well first-order gains tell the measured ones."""
    some = rows[(rows.kind == "step") & (rows["update"] == "as printed")]
    columns = ["same sign", "correlation", "slope"]
    return some.groupby(["problem", "inputs", "gradients", "task"], sort=False)[columns].mean().round(2)


def draw_noise(rows: pd.DataFrame) -> None:
    """Correlation of weights from disjoint validation samples against their number."""
    fig, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 3.6), sharey=True)
    styles = {"as printed": (ORANGE, "o"), "softened": (BLUE, "s")}
    for ax, problem in zip(axes, PROBLEMS, strict=True):
        some = rows[(rows.kind == "noise") & (rows.problem == problem) & (rows["update"] == "as printed")]
        for (name, (inputs, _)), dash in zip(TRAININGS.items(), ("-", "--"), strict=True):
            color, marker = styles[inputs]
            table = results.summary(some[some.inputs == inputs].dropna(subset="within"), "samples", "within")
            plots.band(ax, table["samples"], table["mean"], table["low"], table["high"], label=name, color=color, marker=marker)
            ax.lines[-1].set_linestyle(dash)
        found = sorted(some.samples.astype(int).unique())
        plots.log_sizes(ax, found, "validation samples")
        ax.set_xticks(found, [str(n) for n in found])
        ax.axhline(0, color=BLACK, linewidth=0.9)
        ax.set(title=problem, ylim=(-0.1, 1))
    axes[0].set_ylabel("correlation of weights")
    axes[0].legend()
    plots.show(fig)


def noise_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Agreement of weights from disjoint validation samples."""
    some = rows[rows.kind == "noise"].astype({"samples": int})
    names = {
        "correlation": "all steps",
        "within": "within quarters",
        "gain_correlation": "of δ_m − δ_a",
        "same": "same task preferred",
    }
    names |= {"deviation": "sd of the share"}
    return some.groupby(["problem", "inputs", "update", "samples"], sort=False)[list(names)].mean().rename(columns=names).round(2)
