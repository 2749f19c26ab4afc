"""Tables and figures of the page on Lemma 10, from its rows."""

from __future__ import annotations

import ast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.theory.proof_lines_report import line_table
from mtlrepro.papers.transfer.theory.rates_report import draw_rates, exact_intervals
from mtlrepro.papers.transfer.theory.trials_report import trials
from mtlrepro.results import Measured, StatementTrials, Trials


def descent_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per case: starts, ends above the optimum, the largest excess, instances with such an end."""
    groups = rows[rows["kind"] == "descent"].groupby("case", sort=False)
    table = groups[["n", "missed", "instances", "instances_missed"]].sum().astype(int)
    table["largest excess"] = groups["worst"].max()
    names = {"n": "starts", "missed": "ends above the optimum", "instances_missed": "instances with such an end"}
    return table.rename(columns=names)


def saddle_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Stationary points: the least eigenvalue at minima and elsewhere, relative to the largest."""
    names = {
        "n": "points", "gradient": "largest gradient", "minima": "minima", "minima_worst": "least eigenvalue at a minimum",
        "saddles": "saddles", "saddles_worst": "least eigenvalue elsewhere, worst case", "violations": "violations",
    }  # fmt: skip
    counts = dict.fromkeys(("n", "minima", "saddles", "violations"), int)
    return rows.loc[rows["kind"] == "saddle", list(names)].astype(counts).rename(columns=names)


def proof_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The displayed lines of the proof."""
    return line_table(rows[rows["kind"] == "line"], "n", "broken", "worst_error", "correction")


def draw(rows: pd.DataFrame) -> Figure:
    """Eq. 4 over the angle of B for random pairs of tasks, with every local maximum: filled the best, hollow the worse."""
    fig, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 3.6), sharey=True)
    pictures = rows[rows["kind"] == "picture"]
    for ax, covariances in zip(axes, ("equal", "different"), strict=True):
        ax.set(xlabel="angle of B (degrees)", title=f"{covariances} covariances")
        groups = pictures[pictures["covariances"] == covariances].groupby("seed")
        for color, (_, group) in zip(plots.COLORS.values(), groups, strict=False):
            curve, top = group.dropna(subset="angle"), group.dropna(subset="top").sort_values("height", ascending=False)
            ax.plot(np.rad2deg(curve["angle"]), curve["height"], color=color)
            for place, (angle, value) in enumerate(zip(top["top"], top["height"], strict=True)):
                ax.plot(np.rad2deg(angle), value, "o", color=color, markersize=8, fillstyle="none" if place else "full")
    axes[0].set_ylabel("share of the labels explained")
    return fig


def draw_counts(rows: pd.DataFrame) -> Figure:
    """Share of landscapes with a second, worse local maximum against the condition number of the data."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 3.8))
    groups = rows[rows["kind"] == "count"].groupby(["covariances", "cosine", "noise"], sort=False)
    shapes = zip(plots.COLORS.values(), plots.MARKERS, strict=False)
    for (color, marker), ((covariances, cosine, noise), group) in zip(shapes, groups, strict=False):
        label = f"{covariances}, cosine {cosine:g}{', noisy labels' if noise else ''}"
        draw_rates(ax, group["kappa"], group["second"], group["n"], label=label, color=color, marker=marker)
    ax.set(xscale="log", xlabel="largest over smallest singular value of each X", ylabel="share with a worse local maximum")
    fig.legend(*ax.get_legend_handles_labels(), title="covariances, models", loc="outside lower center", ncols=2)
    return fig


def count_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per setting: landscapes, how many have a worse maximum (with exact interval) and how many have three."""
    table = rows[rows["kind"] == "count"].astype({"n": int, "second": int, "three": int})
    bounds = exact_intervals(table["second"], table["n"])
    table["rate"], table["95% interval"] = table["second"] / table["n"], [f"{low:.3f} to {high:.3f}" for low, high in bounds]
    names = {"n": "landscapes", "second": "with a worse maximum", "three": "with three", "lost": "median share it lacks"}
    columns = ["kappa", *names, "rate", "95% interval"]
    return table.set_index(["covariances", "cosine", "noise"])[columns].rename(columns=names)


def smallest_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Loss, gradient and eigenvalues of the Hessian at both minima of the smallest counterexample."""
    some = rows[rows["kind"] == "counterexample"].set_index("point")
    # Lists in a fresh run, their text in a recorded one.
    values = [ast.literal_eval(v) if isinstance(v, str) else v for v in some["eigenvalues"]]
    return some[["loss", "gradient"]].assign(eigenvalues=[", ".join(f"{value:.3f}" for value in one) for one in values])


def pair_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Random pairs of covariances with crossed labels: how many lack a spurious minimum."""
    names = {
        "spread": "condition numbers up to", "n": "pairs", "violations": "without a spurious minimum",
        "worst": "least curvature at it", "closest": "smallest κ - 1",
    }  # fmt: skip
    table = rows.loc[rows["kind"] == "pair", list(names)].astype({"n": int, "violations": int})
    return table.rename(columns=names).set_index("condition numbers up to")


def measured(rows: pd.DataFrame) -> Measured:
    """Descents where covariances are proportional, ended above the optimum; saddles without negative curvature; maxima."""
    descended = rows[(rows["kind"] == "descent") & (rows["case"] != "different covariances")]
    saddles = rows[rows["kind"] == "saddle"]
    equal = rows[(rows["kind"] == "count") & (rows["covariances"] == "equal")]
    ends = trials(descended, ["missed"], descended["worst"].max())
    n = ends.n + int(saddles["n"].sum() + equal["n"].sum())
    broken = ends.violations + int(saddles["violations"].sum() + equal["second"].sum())
    return Measured(statements={"no-spurious-minima": StatementTrials(Trials(n, broken, ends.worst, ends.tolerance))})
