"""Tables and figures of the page on Proposition 4, from its rows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.theory.proof_lines_report import line_table
from mtlrepro.papers.transfer.theory.trials_report import trials
from mtlrepro.results import Measured, StatementTrials

BLUE, RED, GREEN = (plots.COLORS[name] for name in ("blue", "vermillion", "green"))


def worst_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per case: instances, and the worst of each comparison, relative to the label energy."""
    some = rows[rows["kind"] == "span"].set_index("case")
    names = {
        "heads_worst": "heads as printed",
        "other_worst": "least excess, other heads",
        "eq7_worst": "h against eq. 7",
        "rotation_worst": "orthonormal columns",
        "orbit_worst": "orbit B G",
        "off_median": "another span (median)",
        "contains_worst": "span holds all θ_i",
    }
    return some[["n", *names]].astype({"n": int}).rename(columns={"n": "instances"} | names)


def approach_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per ε: the loss at B = (ε, 1), and the head A_2 that it takes."""
    table = rows[rows["kind"] == "approach"].reindex(columns=["epsilon", "loss", "A_2"])
    return table.rename(columns={"epsilon": "ε"}).set_index("ε")


def draw(rows: pd.DataFrame) -> Figure:
    """Top: least loss against the angle of B. Bottom: change of the least loss under moves of B within and across its span."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(plots.WIDTH, 8))
    for (name, group), color in zip(rows[rows["kind"] == "angle"].groupby("name", sort=False), (BLUE, RED), strict=True):
        line, dots = group[group["drawn"] == "curve"], group[group["drawn"] == "random"]
        # At exactly 90 degrees, without an optimum, the loss jumps: drawn as a single dot.
        jump = (line["angle"] - np.pi / 2).abs() < 1e-6
        label = "full column rank"
        if name == "no_optimum":
            label = "$X_2$ does not see 90°"
            top.plot([90], [0], "o", markerfacecolor="white", color=color, markersize=8)
            top.plot(np.degrees(line["angle"][jump]), line["loss"][jump], "o", color=color, markersize=8)
            line = line[~jump]
        top.plot(np.degrees(line["angle"]), line["loss"], color=color, label=label)
        top.plot(np.degrees(dots["angle"]), dots["loss"], "o", color=color, markersize=4)
    top.set(xlabel="angle of B (degrees)", ylabel="loss with the best heads, h(B)", xticks=range(0, 181, 45), ylim=(-0.3, 6.3))
    top.legend(title="dots: random length and sign", ncols=2, loc="upper left")
    some = rows[rows["kind"] == "move"]
    for name, color, label in (("across", RED, "across the span"), ("inside", GREEN, "within the span")):
        groups = some.groupby("step")[name]
        middle, low, high = (groups.quantile(q).clip(lower=1e-17) for q in (0.5, 0.1, 0.9))
        bottom.plot(middle, "o-", color=color, label=label)
        bottom.fill_between(middle.index, low, high, color=color, alpha=0.2, linewidth=0)
    bottom.set(xscale="log", yscale="log", xlabel="relative step of B", ylabel=r"$|h(B')-h(B)|\,/\,\sum|y_i|^2$")
    bottom.legend(title="median, 10% to 90%", loc="center left")
    return fig


def proof_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The lines of the proof."""
    lines = rows[rows["kind"] == "line"]
    return line_table(lines, "n", "broken", "worst_error", "left_over_right", "correction", holds=1e-9)


def display_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The display of the proof on X = 2, y = 1, B = 1."""
    return rows[rows["kind"] == "display"].reindex(columns=["with the pseudo-inverse", "as printed"])


def measured(rows: pd.DataFrame) -> Measured:
    """Heads, equation 7, orthonormal columns, the orbit B G and spans that hold all models: every comparison of the claim."""
    tried = rows[rows["kind"] == "span"]
    names = ("heads", "other", "eq7", "rotation", "orbit", "contains")
    counted = tried.assign(comparisons=tried[[f"{name}_n" for name in names]].sum(axis=1))
    compared = trials(counted, [f"{name}_violations" for name in names], counted["eq7_worst"].max(), "comparisons")
    return Measured(statements={"span-decides": StatementTrials(compared)})
