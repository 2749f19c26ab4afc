"""Tables and figures of the page on Proposition 3, from its rows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.theory.proof_lines_report import line_table
from mtlrepro.papers.transfer.theory.trials_report import trials
from mtlrepro.results import Measured, StatementTrials, Trials

COLORS = [plots.COLORS[name] for name in ("blue", "vermillion", "green", "purple")]


def worst_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per case: instances, and the worst of each comparison."""
    some = rows[rows["kind"] == "optimum"].set_index("case")
    return pd.DataFrame(
        {
            "instances": some["n"].astype(int),
            "largest difference to the least loss": some["closed_worst"],
            "least excess above the demanded, other B": some["margin_worst"],
            "solved by alternation": some["angle_n"].astype(int),
            "largest sine between the spans": some["angle_worst"],
        }
    )


def degenerate_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per degenerate case: the difference in loss and the sines between the spans of two optima."""
    names = {
        "n": "instances", "excess": "largest difference in loss", "sine_least": "least sine between the spans",
        "sine_median": "median sine", "broken": "two optimal spans in",
    }  # fmt: skip
    some = rows[rows["kind"] == "degenerate"].astype({"n": int, "broken": int})
    return some.set_index("case")[list(names)].rename(columns=names)


def draw(rows: pd.DataFrame) -> Figure:
    """Top: the three cosines of the smallest case, and |cos| of random draws. Bottom: share of draws where |cos| falls."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(plots.WIDTH, 8))
    some = rows[rows["kind"] == "curve"]
    for _, group in some[some["kappa"] != 2].groupby("seed"):
        top.plot(group["alpha"], group["absolute"], color="0.75", linewidth=1)
    top.plot([], [], color="0.75", linewidth=1, label=r"$|\cos(B^*,\theta)|$, random draws, $\kappa(X)=30$")
    example = some[some["kappa"] == 2]
    labels = {
        "outputs": r"$\cos(XB^*,X\theta)$",
        "signed": r"$\cos(B^*A_1^*,\theta)$",
        "absolute": r"$|\cos(B^*,\theta)|$",
    }
    for (name, label), color, style in zip(labels.items(), (COLORS[2], COLORS[0], COLORS[1]), (":", "-", "--"), strict=True):
        top.plot(example["alpha"], example[name], color=color, linestyle=style, label=label, linewidth=2.4)
    top.axhline(0, color="0.4", linewidth=0.9)
    top.set(xscale="log", xlabel=r"weight $\alpha_1$ of the clean task ($\alpha_2=1$)", ylabel="cosine", ylim=(-0.45, 1.05))
    top.legend(title=r"colours: $X=\mathrm{diag}(2,1)$", loc="center right")
    for color, marker, (noise, group) in zip(COLORS, "osv", rows[rows["kind"] == "remark"].groupby("noise"), strict=False):
        bottom.plot(group["kappa"], group["falls_absolute"] / group["n"], marker + "-", color=color, label=f"{noise:g}")
    bottom.set(
        xscale="log", xlabel=r"condition number $\kappa(X)$ (5 inputs)", ylabel=r"share of draws where $|\cos(B^*,\theta)|$ falls"
    )
    bottom.legend(title=r"noise $|\varepsilon_2|/|X\theta|$")
    return fig


def remark_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per setting: draws, in how many each cosine falls somewhere, the deepest fall, and the cosine at the last weight."""
    some = rows[rows["kind"] == "remark"].set_index(["noise", "kappa"])
    names = {
        "n": "draws",
        "falls_absolute": "|cos(B*, θ)| falls in",
        "obtuse": "starts beyond a right angle in",
        "acute_falls": "falls from an acute angle in",
        "falls_signed": "cos(B*A_1*, θ) falls in",
        "falls_outputs": "cos(XB*, Xθ) falls in",
    }
    table = some[list(names)].astype(int).rename(columns=names)
    return table.assign(**{"deepest fall": some["depth"], "least cosine at α_1 = 1e10": some["limit"]})


def proof_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The lines of the proof."""
    lines = rows[rows["kind"] == "line"]
    return line_table(lines, "n", "broken", "worst_error", "left_over_right", "correction", holds=1e-9)


def measured(rows: pd.DataFrame) -> Measured:
    """The span, with and without the degenerate cases; the cosine of the remark, unsigned as printed and signed."""
    tried, remark = rows[rows["kind"] == "optimum"], rows[rows["kind"] == "remark"]
    degenerate = rows[(rows["kind"] == "degenerate") & (rows["case"] == "labels of rank below r")]
    broken = ["closed_violations", "margin_violations", "angle_violations"]
    corrected = trials(tried, broken, tried["closed_worst"].max())
    idle = int(degenerate["broken"].sum())
    printed = Trials(
        corrected.n + int(degenerate["n"].sum()), corrected.violations + idle, float(degenerate["sine_median"].max()),
        corrected.tolerance,
    )  # fmt: skip
    short = remark.assign(falls_signed=remark["falls_signed"] + (remark["limit"] < 1 - 1e-6))
    unsigned = trials(remark, ["falls_absolute"], remark["depth"].max())
    cosine = StatementTrials(unsigned, trials(short, ["falls_signed"], short["worst"].max()))
    return Measured(statements={"span": StatementTrials(printed, corrected), "remark-cosine": cosine})
