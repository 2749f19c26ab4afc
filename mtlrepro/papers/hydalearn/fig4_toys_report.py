"""Figure 4 of the HydaLearn paper from the rows of `fig4_toys`: test error and weights along training, claims and gates."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mtlrepro import plots, results
from mtlrepro.papers.hydalearn.compared_methods import METHODS
from mtlrepro.papers.hydalearn.fig4_toys import WINDOWS
from mtlrepro.papers.hydalearn.gates import grid_interior, kept_early, same_heads
from mtlrepro.papers.hydalearn.training.toy_problems import INPUTS, TOY_PROBLEMS
from mtlrepro.papers.hydalearn.training.tuned_runs import UPDATES

UPDATE_STYLES = {"as printed": (0.14, "vermillion", "o"), "scale-matched": (-0.14, "blue", "s")}
METHOD_COLORS = {
    "hydalearn": "vermillion",
    "olaux": "blue",
    "gradnorm": "green",
    "static": "black",
    "cosine": "purple",
    "inverted": "orange",
    "stl, weight 1": "grey",
}
# At one rate for all, the single task's weight is 1, so that its head learns at the rate of every other head.
SINGLE = "stl, weight 1"
BASELINES = (SINGLE, "static", "gradnorm", "cosine", "olaux")
CONVERGED = "about 10 core hours: Exp1 for 40,000 updates, Exp2 for 20,000, six methods at seven rates, 20 seeds"


def scores(
    rows: pd.DataFrame,
    problem: str,
    value: str = "loss",
    *,
    chosen: str = "paper's",
    inputs: str = "as printed",
    update: str = "as printed",
) -> pd.DataFrame:
    """`value` by seed (rows) and method (columns) of one setting, by default the paper's; the single task is in both updates.

    Methods without any value are left out.
    """
    here = rows[(rows.kind == "seed") & (rows.problem == problem) & (rows.inputs == inputs) & (rows.chosen == chosen)]
    here = here[(here["update"] == update) | here.method.str.startswith("stl")]
    return here.pivot(index="seed", columns="method", values=value).dropna(axis=1, how="all") if value in here else pd.DataFrame()


# ---------------------------------------------------------------------------------------------------------------------
# Figures and tables
# ---------------------------------------------------------------------------------------------------------------------


def draw(rows: pd.DataFrame) -> Figure:
    """The paper's figure, at the paper's settings: test error and the auxiliary task's share of the weight along training; below
    them the baselines' test MSE over HydaLearn's, with the paper's number.

    Rows without errors along training give the final ones, at the right edge.
    """
    fig, axes = plt.subplots(3, 2, figsize=(plots.WIDTH, 8.4), height_ratios=(3, 3, 2))
    for (top, bottom, last), problem in zip(axes.T, TOY_PROBLEMS, strict=True):
        final, curves = scores(rows, problem, "test"), _curves(rows, problem, "as printed", "paper's")
        for name, style in _styles():
            here = curves[curves.method == name].sort_values("window")
            if "test" in here and here["test"].notna().any():
                top.plot((here["window"] + 1) / WINDOWS, here["test"], **style)
            elif name in final:
                top.plot([1], [final[name].mean()], **(style | {"linestyle": "none", "markersize": 6}))
        _draw_weights(bottom, curves)
        _draw_excess(last, scores(rows, problem))
        top.set(title=problem, xlim=(0, 1.03))
        bottom.set(xlabel="share of training", xlim=(0, 1.03))
        last.set_xlabel("MSE above HydaLearn's")
    printed = results.paper_values("hydalearn/fig4")["excess"]
    places = [BASELINES.index(name) for name in printed]
    axes[2, 0].plot(list(printed.values()), places, "D", ms=8, mfc="none", mew=1.6, color=plots.COLORS["black"], label="paper")
    axes[2, 0].set_yticks(range(len(BASELINES)), [_title(name) for name in BASELINES])
    axes[2, 1].set_yticks(range(len(BASELINES)), [])
    axes[0, 0].set_ylabel("test error (MAE)")
    axes[1, 0].set_ylabel("auxiliary share of weight")
    plots.legend_below(fig, ncols=3)
    return fig


def _draw_excess(ax: Axes, losses: pd.DataFrame) -> None:
    """By how much of HydaLearn's test MSE each baseline's is above it, paired over seeds, with 95% intervals."""
    for y, name in enumerate(BASELINES):
        if name in losses:
            mean, low, high = results.interval(_excess(losses[name], losses["hydalearn"]).to_numpy())
            color = plots.COLORS[METHOD_COLORS[name]]
            ax.errorbar(mean, y, xerr=[[mean - low], [high - mean]], fmt="o", color=color, markersize=5)
    ax.axvline(0, color=plots.COLORS["vermillion"], linewidth=1)
    ax.set_ylim(len(BASELINES) - 0.5, -0.5)
    ax.xaxis.set_major_formatter(PercentFormatter(1))


def _title(name: str) -> str:
    return METHODS[name].title.removesuffix(", tuned")


def draw_weights(rows: pd.DataFrame, chosen: str) -> Figure:
    """The auxiliary task's share of the weight over training, inputs as printed, by update."""
    fig, axes = plt.subplots(2, 2, figsize=(plots.WIDTH, 5.6), sharex=True, sharey=True)
    for line, problem in zip(axes, TOY_PROBLEMS, strict=True):
        for ax, update in zip(line, UPDATES, strict=True):
            _draw_weights(ax, _curves(rows, problem, update, chosen))
            ax.set_title(f"{problem}, update {update}")
        line[0].set_ylabel("auxiliary share")
    for ax in axes[-1]:
        ax.set_xlabel("share of training")
    plots.legend_below(fig, ncols=3)
    return fig


def _curves(rows: pd.DataFrame, problem: str, update: str, chosen: str) -> pd.DataFrame:
    here = rows[(rows.kind == "curve") & (rows.problem == problem) & (rows.chosen == chosen) & (rows.inputs == "as printed")]
    return here[(here["update"] == update) | here.method.str.startswith("stl")]


def _styles() -> list[tuple[str, dict[str, Any]]]:
    """Method -> how its line is drawn."""
    style = {"markevery": 4, "markersize": 4, "linewidth": 1.4}
    return [
        (name, style | {"color": plots.COLORS[color], "marker": marker, "label": _title(name)})
        for (name, color), marker in zip(METHOD_COLORS.items(), plots.MARKERS, strict=True)
    ]


def _draw_weights(ax: Axes, curves: pd.DataFrame) -> None:
    """Shares of the weight; band: standard deviation from batch to batch."""
    for name, style in _styles():
        here = curves[curves.method == name].sort_values("window")
        if name == SINGLE or here.empty:
            continue
        at, share, spread = (here["window"] + 0.5) / WINDOWS, here["share"], here["spread"]
        ax.plot(at, share, **style)
        if name in ("hydalearn", "olaux"):
            ax.fill_between(at, (share - spread).clip(0), (share + spread).clip(upper=1), color=style["color"], alpha=0.12)
    ax.set_ylim(-0.03, 1.03)


def draw_errors(rows: pd.DataFrame, chosen: str) -> Figure:
    """Every method's test error minus the single task's, paired over seeds, with 95% intervals."""
    fig, axes = plt.subplots(2, 2, figsize=(plots.WIDTH, 8.4), sharex="row")
    for line, problem in zip(axes, TOY_PROBLEMS, strict=True):
        for ax, inputs in zip(line, INPUTS, strict=True):
            names: list[str] = []
            for update, (offset, color, marker) in UPDATE_STYLES.items():
                test = scores(rows, problem, "test", chosen=chosen, inputs=inputs, update=update)
                names = [name for name in reversed(METHODS) if name in test and name != "stl"]
                for y, name in enumerate(names):
                    mean, low, high = results.interval((test[name] - test["stl"]).dropna().to_numpy())
                    ax.errorbar(
                        mean, y + offset, xerr=[[mean - low], [high - mean]], color=plots.COLORS[color], fmt=marker,
                        markersize=4, label=f"update {update}" if y == 0 else None,
                    )  # fmt: skip
            ax.axvline(0, color="#555555", linewidth=1)
            ax.set_yticks(range(len(names)), [METHODS[name].title if ax is line[0] else "" for name in names])
            ax.set(title=f"{problem}, inputs {inputs}", xlabel="error minus single task's")
    plots.legend_below(fig, ncols=2)
    return fig


def error_table(rows: pd.DataFrame, chosen: str) -> pd.DataFrame:
    """Mean test error of every method in every setting (columns)."""
    here = rows[(rows.kind == "seed") & (rows.chosen == chosen)]
    here = here.assign(method=[METHODS[name].title for name in here["method"]])
    names = {"problem": "", "inputs": "inputs ", "update": "update "}
    setting = [", ".join(words + line[name] for name, words in names.items()) for _, line in here.iterrows()]
    return here.assign(setting=setting).pivot_table("test", "method", "setting", aggfunc="mean", sort=False)


def excess_table(rows: pd.DataFrame) -> pd.DataFrame:
    """How far each method's test MSE is above HydaLearn's, in Exp1 and Exp2 at the paper's settings, beside the paper's words."""
    printed = results.paper_values("hydalearn/fig4")["excess"]
    lines = []
    for name in BASELINES:
        line: dict[str, Any] = {"method": _title(name), "paper": printed.get(name)}
        for problem in TOY_PROBLEMS:
            losses = scores(rows, problem)
            line[f"ours, {problem}"] = _excess(losses[name], losses["hydalearn"]).mean() if name in losses else None
        lines.append(line)
    return pd.DataFrame(lines)


def findings(rows: pd.DataFrame) -> str:
    """What the figure shows, in words."""
    lines = []
    for problem in TOY_PROBLEMS:
        losses = scores(rows, problem).mean()
        others = losses[[name for name in BASELINES if name in losses]]
        share = scores(rows, problem, "share")["hydalearn"].mean()
        lines.append(
            f"**{problem}**, at the paper's settings: HydaLearn's test MSE is {losses['hydalearn']:.3f}, that of the best of the "
            f"five baselines ({METHODS[str(others.idxmin())].title}) {others.min():.3f}, of the worst "
            f"({METHODS[str(others.idxmax())].title}) {others.max():.3f}; its auxiliary task has {share:.0%} of the weight."
        )
        tuned = scores(rows, problem, chosen="tuned").mean()
        known = [name for name in ("hydalearn", "static", "stl") if name in tuned]
        lines.append("Tuned: " + ", ".join(f"{METHODS[name].title} {tuned[name]:.3f}" for name in known) + ".")
    return "\n\n".join(" ".join(lines[i : i + 2]) for i in (0, 2))


# ---------------------------------------------------------------------------------------------------------------------
# Claims and gates
# ---------------------------------------------------------------------------------------------------------------------


def measured(rows: pd.DataFrame) -> results.Measured:
    """The registered claims at the paper's settings, inputs and update as printed, and the gates."""
    effects: dict[str, pd.Series[float]] = {}
    exp1, exp2 = (scores(rows, problem) for problem in TOY_PROBLEMS)
    validation = scores(rows, "Exp1", "validation_loss")
    if {"hydalearn", *BASELINES} <= set(validation):
        effects["exp1-lowest-error"] = _excess(exp1[validation[[*BASELINES]].mean().idxmin()], exp1["hydalearn"])
    if {"hydalearn", "cosine"} <= set(exp2):
        effects["exp2-over-gcosim"] = _excess(exp2["cosine"], exp2["hydalearn"])
    if {"hydalearn", "static", "gradnorm"} <= set(exp1):
        effects["exp1-half-error"] = _excess(exp1[["static", "gradnorm"]].mean(axis=1), exp1["hydalearn"])
    if {"hydalearn", *BASELINES} <= set(exp1) & set(exp2):
        rest = ["hydalearn", *(name for name in BASELINES if name != "olaux")]
        poor = [_excess(losses["olaux"], losses[rest].median(axis=1)) for losses in (exp1, exp2)]
        effects["olaux-poor"] = min(poor, key=lambda effect: effect.mean())
    high, spread = scores(rows, "Exp2", "epoch_high"), scores(rows, "Exp1", "epoch_spread")
    if "hydalearn" in high:
        effects["exp2-low-weight"] = 0.5 - high["hydalearn"]
    if {"hydalearn", "gradnorm"} <= set(spread):
        effects["exp1-variable-weights"] = spread["hydalearn"] - spread["gradnorm"]
    between = [_between(rows, problem) for problem in TOY_PROBLEMS]
    if all(len(share) for share in between):
        effects["between-the-trends"] = (between[0] + between[1]) / 2 - 0.5
    tenths = [scores(rows, "Exp2", f"{which}_tenth") for which in ("first", "last")]
    if all("olaux" in tenth for tenth in tenths):
        effects["olaux-rises"] = tenths[1]["olaux"] - tenths[0]["olaux"]
    return results.Measured({claim: effect.tolist() for claim, effect in effects.items()}, gates=_gates(rows))


def _excess(loss: pd.Series[float], than: pd.Series[float]) -> pd.Series[float]:
    return (loss - than) / than


def _between(rows: pd.DataFrame, problem: str) -> pd.Series[float]:
    """Share of the epochs in which Static's and GradNorm's weights all lie between HydaLearn's two, per seed."""
    shares, static = scores(rows, problem, "epoch_shares"), scores(rows, problem, "share")
    if not {"hydalearn", "gradnorm"} <= set(shares) or "static" not in static:
        return pd.Series(dtype=float)
    # Weights s and 1 - s of one method lie between h and 1 - h of the other where s is no farther from a half than h is.
    off = {name: (_numbers(shares[name]) - 0.5).abs() for name in ("hydalearn", "gradnorm")}
    inside = off["gradnorm"].le(off["hydalearn"]) & off["hydalearn"].ge((static["static"] - 0.5).abs(), axis=0)
    return inside.mean(axis=1)


def _numbers(texts: pd.Series[str]) -> pd.DataFrame:
    return texts.str.split(expand=True).astype(float)


def _gates(rows: pd.DataFrame) -> list[results.Gate]:
    tuned = rows[(rows.kind == "seed") & (rows.chosen == "tuned") & (rows.inputs == "as printed")]
    tuned = tuned[(tuned["update"] == "as printed") | (tuned.method == "stl")]
    printed = rows[(rows.kind == "seed") & (rows.chosen == "paper's") & (rows.inputs == "as printed")]
    return [
        _level(rows),
        results.Gate.every(
            "converged",
            [
                results.Gate.within(
                    "least share kept before the last tenth",
                    min(kept_early(here) for _, here in printed.groupby("problem")),
                    least=0.8,
                ),
                results.Gate("length doubled", False, "not recorded"),
            ],
            cost=CONVERGED,
        ),
        grid_interior(tuned, ("rate", "parameter"), f"{CONVERGED}, own parameters at five values"),
        _control(rows, "control-related", "Exp1", "stl", "static", "tuned"),
        _control(rows, "control-harmful", "Exp2", "equal", SINGLE, "paper's"),
        same_heads(printed),
    ]


def _level(rows: pd.DataFrame) -> results.Gate:
    """The single task's test MSE over that of ridge regression and over half the variance of the labels, in both problems."""
    parts = []
    for problem in TOY_PROBLEMS:
        base = rows[(rows.kind == "baseline") & (rows.problem == problem) & (rows.inputs == "as printed")]
        losses = scores(rows, problem)
        if base.empty or SINGLE not in losses:
            return results.Gate("baseline-level", False, "not recorded", cost=CONVERGED)
        ratio = losses[SINGLE].mean() / min(base["loss"].mean(), 0.5 * base["variance"].mean())
        parts.append(results.Gate.within(f"{problem}, error over what is asked", ratio, most=1))
    return results.Gate.every("baseline-level", parts, cost=CONVERGED)


def _control(rows: pd.DataFrame, name: str, problem: str, worse: str, better: str, chosen: str) -> results.Gate:
    """The lower bound of the difference in test MSE between the method that should be worse and the one that should be better."""
    losses = scores(rows, problem, chosen=chosen)
    if not {worse, better} <= set(losses):
        return results.Gate(name, False, "not recorded", cost=CONVERGED)
    low = results.interval((losses[worse] - losses[better]).to_numpy())[1]
    return results.Gate(name, low > 0, low, cost=CONVERGED)
