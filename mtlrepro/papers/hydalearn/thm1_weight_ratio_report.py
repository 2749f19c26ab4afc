"""HydaLearn's Theorem 1 from the rows of `thm1_weight_ratio`: tables, figures and trials of its statements."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.papers.hydalearn.theory.theorem1 import CIRCLE, ORDER
from mtlrepro.papers.hydalearn.thm1_weight_ratio import BINS, FACTOR, RULES, SIGNS, TRAININGS
from mtlrepro.papers.hydalearn.training.toy_problems import TOY_PROBLEMS
from mtlrepro.results.verdict_box import three_digits

BLUE, ORANGE, GREEN, GREY, BLACK = (plots.COLORS[name] for name in ("blue", "vermillion", "green", "grey", "black"))
CASES = {
    r"Exp1, $\sigma_a$ = 10, raw": ("Exp1", 10.0, "raw", ORANGE, "o"),
    r"Exp1, $\sigma_a$ = 1, raw": ("Exp1", 1.0, "raw", GREEN, "s"),
    r"Exp1, $\sigma_a$ = 1, unit length": ("Exp1", 1.0, "unit length", BLUE, "^"),
    "Exp2, raw": ("Exp2", 10.0, "raw", GREY, "D"),
    "Exp2, unit length": ("Exp2", 10.0, "unit length", BLACK, "v"),
}
# Labels on one scale: Exp2's auxiliary ones are drawn from the range of the main ones.
ONE_SCALE = (("Exp1", 1.0), ("Exp2", 10.0))
SHADES = ["#B2182B", "#DDDDDD", "#BBBBBB", BLUE, "#999999", "#666666"]


def draw_rule() -> Figure:
    """First-order gain and harm of the rule, as a share of the larger one, against the ratio of the two gains."""
    ratio = np.linspace(1e-3, 1, 400)
    fig, (left, right) = plt.subplots(1, 2, figsize=(plots.WIDTH, 3.2))
    for beta, color, dash in ((1.0, BLUE, "-"), (3.0, GREEN, "--"), (6.0, ORANGE, ":")):
        # Weights in proportion to |gain|^beta, whatever the sign of both gains.
        value = (1 + ratio ** (beta + 1)) / (1 + ratio**beta)
        left.plot(ratio, value, color=color, linestyle=dash, label=f"β = {beta:g}")
        right.plot(ratio, value, color=color, linestyle=dash)
    left.plot(ratio, (1 + ratio) / 2, color=GREY, linewidth=1, label="equal weights")
    right.plot(ratio, (1 + ratio) / 2, color=GREY, linewidth=1)
    # Less harm is better: the best choice, all to the smaller harm, costs r.
    right.plot(ratio, ratio, color=BLACK, linewidth=1, label="best")
    left.axhline(1, color=BLACK, linewidth=1)
    left.set(title="both positive: gain", xlabel="smaller gain / larger gain", ylim=(0.45, 1.03))
    right.set(title="both negative: harm", xlabel="smaller harm / larger harm", ylim=(0, 1.05))
    left.legend()
    right.legend()
    return fig


def draw_taylor(rows: pd.DataFrame) -> Figure:
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
    return fig


def order_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per metric: slopes, and how many gains of the longest and the shortest step are exactly zero."""
    lines = []
    for metric, group in rows[rows.kind == "taylor"].groupby("metric", sort=False):
        first, last = group.iloc[0], group.iloc[-1]
        line = {"metric": metric, "steps": int(first.n), "smallest slope": first.order_low, "median slope": first.order_median}
        lines.append(line | {f"gain exactly 0 at α = {three_digits(row.alpha, digits=1)}": row.zero for row in (first, last)})
    return pd.DataFrame(lines)


def circle_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per ratio of weights put in: what eqs. 9 and 10 return."""
    some = rows[rows.kind == "circle"]
    return pd.DataFrame(
        {
            "w_m / w_a put in": some.ratio,
            "eq. 9 returns it, largest relative error": some.kept_worst,
            "eq. 10 returns, times it: median size": some.dropped_median,
            "lower quartile": some.dropped_low,
            "upper quartile": some.dropped_high,
            "within [1/2, 2]": some.near,
            "negative": some.negative,
        }
    ).reset_index(drop=True)


def draw_factor(rows: pd.DataFrame, inputs: str) -> Figure:
    """Shares of the factor's sizes by quarter of training; trained as printed."""
    fig, axes = plt.subplots(2, 2, figsize=(plots.WIDTH, 5.2), sharex=True, sharey=True)
    for line, problem in zip(axes, TOY_PROBLEMS, strict=True):
        for ax, gradients in zip(line, FACTOR, strict=True):
            here = rows[(rows.kind == "factor") & (rows.problem == problem) & (rows.gradients == gradients)]
            here = here[(here.inputs == inputs) & (here["update"] == "as printed")]
            means, bottom = here.groupby("window")[list(BINS)].mean(), pd.Series(0.0, range(4))
            for name, color in zip(BINS, SHADES, strict=True):
                ax.bar(means.index + 1, means[name], bottom=bottom, color=color, label=name, width=0.85)
                bottom = bottom + means[name]
            ax.set(title=f"{problem}, {gradients}", xticks=range(1, 5))
            ax.grid(False)
    axes[1, 0].set_xlabel("quarter of training")
    axes[1, 1].set_xlabel("quarter of training")
    axes[0, 0].set_ylabel("share of steps")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, title="factor $q$")
    return fig


def factor_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per training: where the factor lies, over all steps."""
    some = rows[rows.kind == "factor"]
    # Along a scale-matched training all gradients have one norm: raw and unit length are one.
    some = some[(some["update"] == "as printed") | (some.gradients == "unit length")]
    columns = ["negative", "1/2 to 2", "above 8", "size"]
    table = some.groupby(["problem", "inputs", "update", "gradients"], sort=False)[columns].mean()
    return table.rename(columns={"1/2 to 2": "within [1/2, 2]", "size": "median |q|"})


def error_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Test error in the end, one line per training."""
    some = rows[rows.kind == "test"].groupby(["problem", "inputs", "update"], sort=False)
    return some[["MAE"]].mean().rename(columns={"MAE": "test MAE"})


def direction_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The factor of random directions by dimension."""
    some = rows[rows.kind == "directions"].astype({"dimension": int}).set_index("dimension")
    return some[["within", "size"]].rename(columns={"within": "within [1/2, 2]", "size": "median |q|"})


def at_width(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows of one of CASES."""
    problem, scale, gradients, *_ = CASES[name]
    here = rows[(rows.kind == "width") & (rows.problem == problem) & (rows.gradients == gradients)]
    return here[here.scale_a == scale].astype({"width": int})


def draw_widths(rows: pd.DataFrame) -> Figure:
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
    return fig


def best_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per beta: the rule against other weights of the same sum and of the same p-norm."""
    some = rows[rows.kind == "best"].set_index("beta").rename_axis("β")
    names = {"n": "pairs of gains", "below": "rule below the best", "shortfall": "largest shortfall, both positive"}
    names |= {"n_norm": "pairs, one positive", "norm_broken": "beaten in its p-norm"}
    return some[list(names)].rename(columns=names).astype({name: int for name in names.values() if "shortfall" not in name})


def update_table(rows: pd.DataFrame, inputs: str, update: str) -> pd.DataFrame:
    """Mean gain on unseen samples in 0.001 MAE, one line per rule."""
    here = rows[(rows.kind == "update") & (rows.inputs == inputs) & (rows["update"] == update)]
    means = here.groupby(["problem", "case"], sort=False)[list(RULES)].mean().mul(1000).T
    return means.rename_axis("weights of the update")


def sign_table(rows: pd.DataFrame, update: str) -> pd.DataFrame:
    """Shares of the signs of the two gains, one line per training and kind of gain."""
    some = rows[(rows.kind == "signs") & (rows["update"] == update)]
    # Length does not change the sign of a first-order gain.
    some = some[some.gains != "first order, raw"].replace({"gains": {"first order, unit length": "first order"}})
    return some.groupby(["problem", "inputs", "gains"], sort=False)[list(SIGNS)].mean()


def step_table(rows: pd.DataFrame) -> pd.DataFrame:
    """How well first-order gains tell the measured ones."""
    some = rows[(rows.kind == "step") & (rows["update"] == "as printed")]
    columns = ["same sign", "correlation", "slope"]
    return some.groupby(["problem", "inputs", "gradients", "task"], sort=False)[columns].mean()


def draw_noise(rows: pd.DataFrame) -> Figure:
    """Correlation of weights from disjoint validation samples against their number."""
    fig, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 3.6), sharey=True)
    styles = {"as printed": (ORANGE, "o"), "softened": (BLUE, "s")}
    for ax, problem in zip(axes, TOY_PROBLEMS, strict=True):
        some = rows[(rows.kind == "noise") & (rows.problem == problem) & (rows["update"] == "as printed")]
        for (name, (inputs, _)), dash in zip(TRAININGS.items(), ("-", "--"), strict=True):
            color, marker = styles[inputs]
            table = results.summary(some[some.inputs == inputs].dropna(subset="within"), "samples", "within")
            plots.band(ax, table["samples"], table["mean"], table["low"], table["high"], label=name, color=color, marker=marker)
            ax.lines[-1].set_linestyle(dash)
        sizes = sorted(some.samples.astype(int).unique())
        plots.log_sizes(ax, sizes, "validation samples")
        ax.set_xticks(sizes, [str(n) for n in sizes])
        ax.axhline(0, color=BLACK, linewidth=0.9)
        ax.set(title=problem, ylim=(-0.1, 1))
    axes[0].set_ylabel("correlation of weights")
    axes[0].legend()
    return fig


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
    return some.groupby(["problem", "inputs", "update", "samples"], sort=False)[list(names)].mean().rename(columns=names)


# ---------------------------------------------------------------------------------------------------------------------
# Statements
# ---------------------------------------------------------------------------------------------------------------------


def findings(rows: pd.DataFrame) -> str:
    """What the instances and the trainings show, in words."""
    circles, widest = rows[rows.kind == "circle"], widest_at_one_scale(rows)
    return (
        f"Eq. 9 returns the ratio of weights that was put in up to a relative error of {circles.kept_worst.max():.2g}. Eq. 10, "
        f"which drops $q$, comes within a factor of two of it in {circles.near.mean():.0%} of the instances. Along training of "
        f"the widest networks, labels on one scale, $q$ is within a factor of two of 1 in {widest['1/2 to 2'].mean():.0%} of the "
        f"steps and negative in {widest['negative'].mean():.0%}."
    )


def widest_at_one_scale(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows "width" of the widest networks whose tasks have labels on one scale, along raw and unit-length gradients."""
    here = rows[rows.kind == "width"]
    widest = here[here["width"] == here["width"].max()]
    parts: list[pd.DataFrame] = [widest[(widest.problem == name) & (widest.scale_a == scale)] for name, scale in ONE_SCALE]
    return pd.concat(parts)


def measured(rows: pd.DataFrame) -> results.Measured:
    """Trials of the three statements.

    weight-ratio: eq. 10, "about" read as within a factor of two, and as corrected eq. 9, up to CIRCLE. expansion: the order of
    the error for a smooth metric. assumption: one of the widest networks at one scale keeps it where q is within a factor of two
    of 1 in most steps; the corrected form says that none does.
    """
    circles, taylor = rows[rows.kind == "circle"], rows[(rows.kind == "taylor") & (rows.metric == "squared error")].iloc[0]
    n, near = int(circles.n.sum()), int((circles.n * circles.near).round().sum())
    kept = _broken(circles, "kept_broken", circles.kept_worst > CIRCLE)
    circle = results.StatementTrials(
        results.Trials(n, n - near), results.Trials(n, kept, worst=float(circles.kept_worst.max()), tolerance=CIRCLE)
    )
    order = _broken(rows.loc[[taylor.name]], "order_broken", pd.Series([taylor.order_low < ORDER]))
    expansion = results.Trials(int(taylor.n), order, worst=float(2 - taylor.order_low), tolerance=round(2 - ORDER, 3))
    share = widest_at_one_scale(rows)["1/2 to 2"]
    agree = int((share >= 0.5).sum())
    assumption = results.StatementTrials(results.Trials(len(share), len(share) - agree), results.Trials(len(share), agree))
    return results.Measured(
        statements={"weight-ratio": circle, "expansion": results.StatementTrials(expansion), "assumption": assumption}
    )


def _broken(rows: pd.DataFrame, column: str, worst_broken: pd.Series[bool]) -> int:
    """How many instances broke a statement; rows that only keep the worst one tell of at least one each."""
    if column in rows and rows[column].notna().all():
        return int(rows[column].sum())
    return int(worst_broken.sum())
