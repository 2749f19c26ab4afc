"""Tables and figures of the page on Theorem 2, from its rows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.theory.proof_lines_report import line_table
from mtlrepro.papers.transfer.theory.trials_report import worst_setting
from mtlrepro.results import Measured, StatementTrials

# The statement's "with probability 1 - δ".
DELTA = 0.1


def bound_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Each setting where the condition holds (factor 1) and far below it: failures, and medians of errors and bounds."""
    curve = rows[rows["kind"] == "curve"]
    groups = curve[curve["factor"].isin([1.0, curve["factor"].min()])].groupby(["name", "factor"], sort=False)
    table = groups[["m1", "error", "single", "theorem", "sharper"]].median()
    table.insert(1, "draws", groups.size())
    table.insert(2, "bound fails in", groups["theorem_failed"].sum().astype(int))
    names = {"m1": "m₁, median", "single": "single-task error", "theorem": "bound", "sharper": "our sharper bound"}
    return table.rename(columns=names)


def draw(rows: pd.DataFrame) -> Figure:
    """Top: bound over truth for each setting. Bottom: errors and bounds with the noisy source."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(plots.WIDTH, 8.4))
    curve = rows[rows["kind"] == "curve"].assign(loose=lambda table: table["theorem"] / table["error"])
    noisy = curve[curve["name"] == "noisy source"]
    lines = {"error": "multi-task error", "single": "single-task error", "theorem": "Theorem 2", "sharper": "our sharper bound"}
    loose = [(top, name, group.groupby("factor")["loose"]) for name, group in curve.groupby("name", sort=False)]
    errors = [(bottom, label, noisy.groupby("factor")[column]) for column, label in lines.items()]
    for panel in (loose, errors):
        for (ax, label, groups), color, marker in zip(panel, plots.COLORS.values(), plots.MARKERS, strict=False):
            low, high = groups.quantile(0.1), groups.quantile(0.9)
            plots.band(ax, low.index, groups.median(), low, high, label=str(label), color=color, marker=marker)
    top.axhline(1, color=plots.COLORS["black"], linestyle="--", linewidth=1)
    for ax, ylabel in ((top, "tightness: bound / true error"), (bottom, "relative error of the target's model")):
        ax.set(xscale="log", yscale="log", xlabel="$m_1$ over the printed condition", ylabel=ylabel)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=1)
    bottom.set_title("noisy source")
    return fig


def transfer_table(rows: pd.DataFrame) -> pd.DataFrame:
    """At the condition on m_1: how often each bound, and the multi-task error itself, lies below the single-task error."""
    there = rows[(rows["kind"] == "curve") & (rows["factor"] == 1.0)]
    names = {"theorem": "Theorem 2 below", "sharper": "our bound below", "error": "multi-task error below"}
    below = pd.DataFrame({label: there[column] < there["single"] for column, label in names.items()})
    return below.groupby(there["name"], sort=False).mean()


def counter_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per constant: the size of the instance, the bound, the error, and how often the bound fails."""
    groups = rows[rows["kind"] == "counterexample"].groupby("constant")
    table = groups[["d", "m1", "sigma1", "theorem"]].first().astype({"d": int, "m1": int})
    table["error, median"], table["least"] = groups["error"].median(), groups["error"].min()
    table["draws"], table["bound fails in"] = groups.size(), groups["theorem_failed"].sum().astype(int)
    table["m₁ of the corrected condition"] = groups["corrected_m1"].first()
    return table.rename(columns={"m1": "m₁", "sigma1": "σ₁", "theorem": "bound"})


def corrected_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per setting at the corrected condition: failures of the bound, and the largest error over either bound."""
    groups = rows[rows["kind"] == "corrected"].groupby("name", sort=False)
    table = pd.DataFrame({"m₁, median": groups["m1"].median(), "draws": groups.size()})
    table["bound fails in"] = groups["theorem_failed"].sum().astype(int)
    table["largest error / bound"] = groups.apply(lambda group: (group["error"] / group["theorem"]).max())
    table["largest error / our bound"] = groups.apply(lambda group: (group["error"] / group["sharper"]).max())
    return table


def proof_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The displayed lines from Lemma 8 on."""
    return line_table(rows[rows["kind"] == "line"], "n", "broken", "left_over_right")


def measured(rows: pd.DataFrame) -> Measured:
    """In the worst setting: failures at the printed condition (any constant), and at the corrected one."""
    at_condition = rows[(rows["kind"] == "curve") & (rows["factor"] == 1.0)].groupby("name")["theorem_failed"]
    counter = rows[rows["kind"] == "counterexample"].groupby("constant")["theorem_failed"]
    corrected = rows[rows["kind"] == "corrected"].groupby("name")["theorem_failed"]
    printed = [failed for groups in (at_condition, counter) for _, failed in groups]
    formal = StatementTrials(worst_setting(printed, DELTA), worst_setting([failed for _, failed in corrected], DELTA))
    return Measured(statements={"formal": formal})
