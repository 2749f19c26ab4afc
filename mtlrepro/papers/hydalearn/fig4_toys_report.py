"""Figure 4 of the HydaLearn paper from the rows of `fig4_toys`: test errors, weights along training, claims."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.papers.hydalearn.compared_methods import METHODS
from mtlrepro.papers.hydalearn.fig4_toys import WINDOWS
from mtlrepro.papers.hydalearn.training.toy_problems import INPUTS, TOY_PROBLEMS
from mtlrepro.papers.hydalearn.training.tuned_runs import UPDATES

UPDATE_STYLES = {"as printed": (0.14, "vermillion", "o"), "scale-matched": (-0.14, "blue", "s")}
METHOD_COLORS = {
    "hydalearn": "vermillion",
    "inverted": "orange",
    "olaux": "blue",
    "gradnorm": "green",
    "static": "black",
    "cosine": "purple",
}


def errors(rows: pd.DataFrame, problem: str, inputs: str, update: str, chosen: str) -> pd.DataFrame:
    """Test error by seed (rows) and method (columns) of one setting; the single task stands at both updates."""
    here = rows[(rows.kind == "seed") & (rows.problem == problem) & (rows.inputs == inputs) & (rows.chosen == chosen)]
    here = here[(here["update"] == update) | here.method.str.startswith("stl")]
    return here.pivot(index="seed", columns="method", values="test")


def draw_errors(rows: pd.DataFrame, chosen: str) -> Figure:
    """Every method's test error minus the single task's, paired over seeds, with 95% intervals."""
    fig, axes = plt.subplots(2, 2, figsize=(plots.WIDTH, 8.4), sharex="row")
    for line, problem in zip(axes, TOY_PROBLEMS, strict=True):
        for ax, inputs in zip(line, INPUTS, strict=True):
            for update, (offset, color, marker) in UPDATE_STYLES.items():
                test = errors(rows, problem, inputs, update, chosen)
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
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def error_table(rows: pd.DataFrame, chosen: str) -> pd.DataFrame:
    """Mean test error of every method (columns) in every setting."""
    here = rows[(rows.kind == "seed") & (rows.chosen == chosen)]
    table = here.pivot_table(
        index=["problem", "inputs", "update"], columns="method", values="test", aggfunc="mean", sort=False
    ).round(3)
    return table.rename(columns={name: method.title for name, method in METHODS.items()})


def draw_weights(rows: pd.DataFrame, chosen: str, inputs: str) -> Figure:
    """The auxiliary task's share of the weight over training; band: standard deviation from batch to batch."""
    fig, axes = plt.subplots(2, 2, figsize=(plots.WIDTH, 5.6), sharex=True, sharey=True)
    curves = rows[(rows.kind == "curve") & (rows.chosen == chosen) & (rows.inputs == inputs)]
    for line, problem in zip(axes, TOY_PROBLEMS, strict=True):
        for ax, update in zip(line, UPDATES, strict=True):
            for (name, color), marker in zip(METHOD_COLORS.items(), plots.MARKERS, strict=False):
                here = curves[(curves.problem == problem) & (curves["update"] == update) & (curves.method == name)]
                at, share, spread = ((here["window"] + 0.5) / WINDOWS, here["share"], here["spread"])
                style = {"color": plots.COLORS[color], "marker": marker, "markevery": 4, "markersize": 4}
                ax.plot(at, share, label=METHODS[name].title, **style)
                if name in ("hydalearn", "olaux"):
                    band = [(share + side * spread).clip(0, 1) for side in (-1, 1)]
                    ax.fill_between(at, *band, color=plots.COLORS[color], alpha=0.12)
            ax.set(title=f"{problem}, update {update}", ylim=(-0.03, 1.03))
    for ax in axes[-1]:
        ax.set_xlabel("share of training")
    for ax in axes[:, 0]:
        ax.set_ylabel("auxiliary share")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def claims(rows: pd.DataFrame) -> list[results.Part]:
    """Each claim in each setting, paired over seeds; a run whose weights are not finite to the end is left out of weights."""
    settings = itertools.product(("tuned", "paper's"), TOY_PROBLEMS, INPUTS, UPDATES)
    return [part for chosen, problem, inputs, update in settings for part in _claims(rows, problem, inputs, update, chosen)]


def _claims(rows: pd.DataFrame, problem: str, inputs: str, update: str, chosen: str) -> Iterator[results.Part]:
    label = f"{problem}, inputs {inputs}, update {update}, settings {chosen}"
    test = errors(rows, problem, inputs, update, chosen)
    for name in ("stl", "static", "gradnorm", "cosine", "olaux"):
        effect, text = (test["hydalearn"] - test[name]).to_numpy(), f"lower test error than {METHODS[name].title}"
        yield results.paired(text, effect, claim="negative", setting=label, unit="MAE")
    here = rows[(rows.kind == "seed") & (rows.problem == problem) & (rows.inputs == inputs) & (rows.chosen == chosen)]
    weights = here[here["update"] == update].pivot(index="seed", columns="method", values=["share", "spread", "first", "last"])
    if problem == "Exp1":
        for name in ("gradnorm", "olaux"):
            effect = (weights["spread"]["hydalearn"] - weights["spread"][name]).dropna().to_numpy()
            text = f"weights vary more from batch to batch than those of {METHODS[name].title}"
            yield results.paired(text, effect, claim="positive", setting=label, unit="sd of share")
        return
    low = (weights["share"]["hydalearn"] - 0.25).dropna().to_numpy()
    yield results.paired("the harmful task's share is low (minus a quarter)", low, claim="negative", setting=label, unit="share")
    rise = (weights["last"]["olaux"] - weights["first"]["olaux"]).dropna().to_numpy()
    yield results.paired("OL-AUX raises its share", rise, claim="positive", setting=label, unit="share")
