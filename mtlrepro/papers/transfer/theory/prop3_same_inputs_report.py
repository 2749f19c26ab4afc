"""Tables and figures of the page on Proposition 3, from its rows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.papers.transfer.theory.proof_lines_report import line_table

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


def parts(rows: pd.DataFrame, tolerance: float) -> list[results.Part]:
    """The proposition (the first four) and the remark after it."""
    tried, remark = rows[rows["kind"] == "optimum"], rows[rows["kind"] == "remark"]
    idle = rows[(rows["kind"] == "degenerate") & (rows["case"] == "labels of rank below r")].iloc[0]
    n = int(remark["n"].sum())
    optimum = [
        results.check(
            name, worst=tried[f"{column}_worst"].agg(worst), n=int(tried[count].sum()), tolerance=allowed,
            violations=int(tried[f"{column}_violations"].sum()), setting=setting,
        )
        for name, column, worst, count, allowed, setting in (
            ("the formula attains the least loss", "closed", "max", "n", tolerance, "all cases"),
            ("any other span of X B loses more, by its angle", "margin", "min", "margin_n", tolerance, "all cases"),
            ("alternating least squares ends in the same span", "angle", "max", "angle_n", 1e-6,
             "full column rank, λ_r > λ_{r+1}"),
        )
    ]  # fmt: skip
    return [
        *optimum,
        results.check(
            "every optimal B has the span of the formula", worst=idle["sine_median"], n=int(idle["n"]),
            violations=int(idle["broken"]), tolerance=tolerance, setting="labels of rank below r",
        ),
        results.check(
            "the cosine tends to 1", worst=remark["limit"].min(), n=n, violations=int((remark["limit"] < 1 - 1e-6).sum()),
            tolerance=1e-6, setting="α_1 = 1e10",
        ),
        results.check(
            "cos(B* A_1*, θ) increases with α_1", worst=remark["worst"].max(), n=n,
            violations=int(remark["falls_signed"].sum()), tolerance=tolerance, setting="signed",
        ),
        results.check(
            "|cos(B*, θ)| increases with α_1", worst=remark["depth"].max(), n=n,
            violations=int(remark["falls_absolute"].sum()), tolerance=tolerance, setting="unsigned",
        ),
    ]  # fmt: skip
