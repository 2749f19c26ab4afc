"""Tables and figures of the page on Proposition 6, from its rows."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.theory.proof_lines_report import line_table
from mtlrepro.papers.transfer.theory.trials_report import trials
from mtlrepro.results import Measured, StatementTrials

BLUE, ORANGE, GREEN = (plots.COLORS[name] for name in ("blue", "vermillion", "green"))
# What can be meant by h, OPT and the sum: column -> text.
READINGS = {
    "printed": "loss(B*) ≤ OPT − Σ_{j>r} λ_j",
    "gain": "gain(B*) ≤ OPT − Σ_{j>r} λ_j",
    "gain_sum": "gain(B*) ≤ Σ_{j≤d} λ_j − Σ_{j>r} λ_j",
    "short": "loss(B*) ≤ OPT + Σ_{r<j≤k} λ_j",
    "corrected": "loss(B*) ≤ OPT + Σ_{r<j≤d} λ_j",
    "largest": "loss(B*) ≤ OPT + k − r smallest |X_iθ_i|²",
}
_INSTANCES = {
    "equal covariances": "equal covariances, d = k = 6",
    "different covariances": "different covariances, d = k = 6",
    "trap": "a trap for greed, d = 3, k = 6",
}


def smallest_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Loss, OPT, λ and both bounds on the smallest counterexample."""
    return rows[rows["kind"] == "smallest"].reindex(columns=["OPT", "λ_1", "λ_2", "h(B*)", "printed", "corrected"])


def draw(rows: pd.DataFrame) -> Figure:
    """Loss of the best shared module, the floor OPT and the three bounds against r; one panel per instance."""
    fig, axes = plt.subplots(3, 1, figsize=(plots.WIDTH, 10))
    lines: dict[str, tuple[str, str, dict[str, Any]]] = {
        "corrected": ("s-", r"OPT + $\sum\lambda_j$ (corrected)", {"color": BLUE, "markersize": 9, "markerfacecolor": "none"}),
        "largest": ("^:", r"OPT + $k-r$ smallest $|X_i\theta_i|^2$", {"color": GREEN}),
        "loss": ("o", "loss of $B^*$", {"color": "black", "zorder": 4}),
        "printed": ("v--", r"OPT $-\ \sum\lambda_j$ (printed)", {"color": ORANGE}),
    }
    for ax, (name, title) in zip(axes, _INSTANCES.items(), strict=True):
        group = rows[(rows["kind"] == "curve") & (rows["instance"] == name)]
        ax.axhspan(-2, group["opt"].iloc[0], color="0.9", zorder=0, label="below OPT: out of reach")
        for column, (shape, label, style) in lines.items():
            ax.plot(group["r"], group[column], shape, label=label, **style)
        low, top = group["printed"].min(), group[["corrected", "largest"]].to_numpy().max()
        ax.set(title=title, ylabel="share of the labels", ylim=(low - 0.15 * top, 1.12 * top), xticks=list(group["r"]))
    axes[-1].set_xlabel("capacity r")
    axes[0].legend(loc="upper right", fontsize=10)
    return fig


def trap_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per number of tasks: the plane's loss and the two bounds at r = 2."""
    some = rows.loc[rows["kind"] == "trap", ["k", "plane", "corrected", "largest"]].astype({"k": int})
    names = {"plane": "loss of the plane", "corrected": "OPT + Σ_{j>2} λ_j", "largest": "OPT + k − 2 smallest |X_iθ_i|²"}
    return some.rename(columns={"k": "tasks"} | names).set_index("tasks")


def bound_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per case: instances, those with a tail, and how often the printed and the corrected bounds fail."""
    groups = rows[rows["kind"] == "bound"].groupby("case", sort=False)
    counts = {"n": "instances", "n_tail": "with Σ_{j>r} λ_j > 0", "printed_broken": "printed fails"}
    counts |= {"corrected_broken": "corrected fails", "largest_broken": "second bound fails", "n_exact": "h(B*) exact"}
    worst = {
        "corrected_worst": "largest h(B*) − corrected",
        "tight_worst": "largest |…| where equal",
        "any_worst": "random W: error",
    }
    table = groups[list(counts)].sum().astype(int).rename(columns=counts)
    return table.join(groups[list(worst)].max().rename(columns=worst))


def reading_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per reading of the bound: in how many instances it fails for certain, and by how much at most."""
    some = rows[rows["kind"] == "bound"]
    n = int(some["n"].sum())
    lines = {text: (n, int(some[f"{name}_broken"].sum()), some[f"{name}_worst"].max()) for name, text in READINGS.items()}
    columns = ["instances", "fails in", "largest excess, share of |y|²"]
    return pd.DataFrame.from_dict(lines, orient="index", columns=columns).rename_axis("reading")


def proof_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The lines of the definition and the proof."""
    lines = rows[rows["kind"] == "line"]
    return line_table(lines, "n", "broken", "worst_error", "left_over_right", "correction", holds=1e-9)


def measured(rows: pd.DataFrame) -> Measured:
    """The bound with the printed sign, and with a plus."""
    tried = rows[rows["kind"] == "bound"]
    printed, corrected = (trials(tried, [f"{name}_broken"], tried[f"{name}_worst"].max()) for name in ("printed", "corrected"))
    return Measured(statements={"bound": StatementTrials(printed, corrected)})
