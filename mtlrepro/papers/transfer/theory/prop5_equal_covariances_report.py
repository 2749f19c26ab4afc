"""Tables and figures of the page on Proposition 5, from its rows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.theory.proof_lines_report import line_table
from mtlrepro.papers.transfer.theory.trials_report import trials
from mtlrepro.results import Measured, StatementTrials, Trials

COLORS = [plots.COLORS[name] for name in ("blue", "vermillion", "green", "purple")]
PRINTED, CORRECTED = "printed: one side, D of Σ, λ²", "both sides, D of X, λ (corrected)"
_SHOWN = {
    CORRECTED: r"$\sum\lambda_i$ (corrected)",
    PRINTED: r"$\sum\lambda_i^2$, as printed",
    "one side, D of Σ, λ": r"$\sum\lambda_i$, $\lambda_i$ of the printed matrix",
}


def worst_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per case: instances, and the worst of each comparison relative to the label energy."""
    groups = rows[rows["kind"] == "optimum"].groupby("case", sort=False)
    return pd.DataFrame(
        {
            "instances": groups["n"].sum().astype(int),
            "largest difference to the closed form": groups["closed_worst"].max(),
            "least excess, other B": groups["below_worst"].min(),
            "descents": groups["descent_n"].sum().astype(int),
            "least excess, descent": groups["descent_worst"].min(),
            "median excess, descent": groups["descent_gap"].median(),
        }
    )


def reading_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per reading of D: in how many instances its B* is not optimal, and its largest excess loss."""
    some = rows[rows["kind"] == "optimum"]
    n = int(some["n"].sum())
    readings = [column.removesuffix(": broken") for column in some.columns if column.endswith(": broken")]
    lines = {reading: (n, int(some[f"{reading}: broken"].sum()), some[f"{reading}: worst"].max()) for reading in readings}
    columns = ["instances", "not optimal in", "largest excess, share of |y|²"]
    return pd.DataFrame.from_dict(lines, orient="index", columns=columns).rename_axis("reading")


def draw(rows: pd.DataFrame) -> Figure:
    """Top: the k - r example at three label scales. Bottom: bound over true cost against the scale of the labels."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(plots.WIDTH, 8))
    for color, (scale, group) in zip(COLORS, rows[rows["kind"] == "example"].groupby("scale"), strict=False):
        top.plot(group["r"], group["corrected"], color=color, label=f"c = {scale:g}")
        top.plot(group["r"], group["printed"], color=color, linestyle="--")
        top.plot(group["r"], group["descent"], "o", color=color)
    top.set(xlabel="capacity r (k = 6 orthogonal tasks)", ylabel="loss above the single-task models", ylim=(-0.3, 15.5))
    top.legend(title="labels $c\\,e_i$; dots: descent,\nline: $c^2(k-r)$, dashes: printed bound")
    some = rows[rows["kind"] == "corollary"]
    for color, (reading, label) in zip(COLORS, _SHOWN.items(), strict=False):
        group = some[some["reading"] == reading]
        first = reading.endswith("(corrected)")
        bottom.plot(group["scale"], group["median"], "o-", color=color, label=label, zorder=3 + first)
        bottom.fill_between(group["scale"], group["least"], group["largest"], color=color, alpha=0.2, linewidth=0)
    bottom.axhline(1, color="0.4", linewidth=0.9, linestyle=":")
    bottom.set(
        xscale="log", yscale="log", xlabel="scale of the labels", ylabel="bound / true cost (below 1: false)", ylim=(None, 1e7)
    )
    bottom.legend(title="median; shade: least to largest", loc="upper left")
    return fig


def bound_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per reading: in how many instances the bound is below the cost at each scale, and the range of bound / cost at 1."""
    some = rows[rows["kind"] == "corollary"]
    table = some.pivot(index="reading", columns="scale", values="broken").astype(int).loc[list(some["reading"].unique())]
    table.columns = [f"false at {scale:g}" for scale in table.columns]
    at_one = some[some["scale"] == 1].set_index("reading")[["n", "least", "median", "largest"]]
    return table.join(at_one.astype({"n": int}).rename(columns={"n": "instances"}).add_suffix(" at 1"))


def cost_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per small case: the true cost of r = 1 and three readings of the bound."""
    columns = ["true cost", "Σ λ_i², printed", "Σ λ_i, printed matrix", "Σ λ_i (corrected)"]
    return rows[rows["kind"] == "costs"].reindex(columns=["name", *columns]).rename(columns={"name": "tasks"}).set_index("tasks")


def proof_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The lines of the proof."""
    lines = rows[rows["kind"] == "line"]
    return line_table(lines, "n", "broken", "worst_error", "left_over_right", "correction", holds=1e-6)


def measured(rows: pd.DataFrame) -> Measured:
    """The optimum with D that of the X_i, as X_i = U_i D Vᵀ has it, and that of Σ; the corollary; the example."""
    tried, unit = rows[rows["kind"] == "optimum"], rows[(rows["kind"] == "example") & (rows["scale"] == 1)]
    of_inputs = "D of X, V D^(-1/2) C*"
    printed = trials(tried, [f"{of_inputs}: broken"], tried[f"{of_inputs}: worst"].max())
    corrected = trials(tried, [f"{name}_violations" for name in ("closed", "below", "descent")], tried["closed_worst"].max())
    bounds = rows[rows["kind"] == "corollary"]
    forms = [bounds[bounds["reading"] == reading] for reading in (PRINTED, CORRECTED)]
    gap = [trials(some, ["broken"], some["least"].min()) for some in forms]
    error = unit[["loss", "descent"]].sub(unit["k"] - unit["r"], axis=0).abs().max(axis=1)
    example = Trials(len(unit), int((error > 1e-6).sum()), float(error.max()), 1e-6)
    statements = {"optimum": StatementTrials(printed, corrected), "gap": StatementTrials(*gap)}
    return Measured(statements=statements | {"example": StatementTrials(example)})
