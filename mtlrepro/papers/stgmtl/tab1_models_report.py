"""Table 1 of STG-MTL: drawn and measured from the rows of `tab1_models.grouping_costs`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.methods.grouping_baselines import effective_models

TITLES = {
    "exhaustive": "Exhaustive search", "hoa": "HOA", "tag": "TAG", "stg_stl": "STG-MTL, data maps of single-task models",
    "stg": "STG-MTL, data maps of one multi-task model",
}  # fmt: skip
FORMULAS = {"exhaustive": "2^n - 1", "hoa": "n(n - 1)/2", "tag": "n(n - 1)/2", "stg_stl": "n", "stg": "1"}


def costs(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per method, n and seed: its cost in units of one plain multi-task training of the same n and seed."""
    unit = rows[rows["method"] == "mtl"].set_index(["n", "seed"])[["forwards", "backwards", "seconds"]].add_prefix("unit_")
    table = rows[rows["method"] != "mtl"].join(unit, on=["n", "seed"])
    passes = (table["forwards"] + table["backwards"]) / (table["unit_forwards"] + table["unit_backwards"])
    formula = [effective_models(method, n) for method, n in zip(table["method"], table["n"], strict=True)]
    return table.assign(formula=formula, passes=passes, ratio=table["seconds"] / table["unit_seconds"])


def cost_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Table 1 with what was measured beside it, means over seeds."""
    means = costs(rows).groupby(["n", "method"])[["models", "passes", "ratio", "choosing"]].mean()
    lines = [
        {
            "tasks": n, "method": title, "formula": FORMULAS[method], "formula's value": effective_models(method, n),
            "models trained": means.loc[(n, method), "models"], "passes / plain": means.loc[(n, method), "passes"],
            "seconds / plain": means.loc[(n, method), "ratio"], "seconds to choose": means.loc[(n, method), "choosing"],
        }
        for n in sorted(rows["n"].unique())
        for method, title in TITLES.items()
    ]  # fmt: skip
    return pd.DataFrame(lines)


def draw(rows: pd.DataFrame) -> Figure:
    """Formulas as lines, passes counted as marks, both in plain trainings."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 5.6))
    table, grid = costs(rows), np.arange(2, 101)
    for (method, title), color, marker in zip(TITLES.items(), plots.COLORS.values(), plots.MARKERS, strict=False):
        style = "--" if method == "tag" else "-"
        ax.plot(grid, [float(effective_models(method, int(n))) for n in grid], style, color=color, linewidth=1.2)
        own = table[table["method"] == method]
        ax.plot(own["n"], own["passes"], marker, color=color, markersize=8, label=title)
    ax.plot(grid, grid + 1, ":", color=list(plots.COLORS.values())[2], label="TAG by its passes, n + 1")
    ax.set(xscale="log", yscale="log", ylim=(0.7, 1e5), xlabel="number of tasks n", ylabel="plain multi-task trainings")
    ax.set_xticks([2, 5, 10, 20, 50, 100], ["2", "5", "10", "20", "50", "100"])
    ax.minorticks_off()
    fig.legend(loc="outside lower left", fontsize=10)
    return fig


def gain_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean test loss of the chosen and of random groups, and their difference with its interval over seeds."""
    lines = []
    for (n, method), own in rows.groupby(["n", "method"], sort=False):
        # To a millionth: what is beyond is rounding, as where there is one grouping only.
        mean, low, high = results.interval((own["random_loss"] - own["test_loss"]).round(6).to_numpy())
        lines.append({
            "tasks": n, "method": TITLES.get(str(method), "one group of all"), "test loss": own["test_loss"].mean(),
            "of random groups": own["random_loss"].mean(), "gain over random": mean, "low": low, "high": high,
            "groups, first seed": own["groups"].iloc[0],
        })  # fmt: skip
    return pd.DataFrame(lines)


def trainings(rows: pd.DataFrame) -> dict[tuple[str, int], float]:
    """(method, n) -> effective multi-task trainings: models counted, for TAG its passes over those of one; formulas from 2 to 10
    tasks where nothing was counted.
    """
    table = costs(rows)
    counted = table["models"].where(table["method"] != "tag", table["passes"]).groupby([table["method"], table["n"]]).max()
    formulas = {(method, n): float(effective_models(method, n)) for method in TITLES for n in range(2, 11)}
    keys = zip(counted.index.get_level_values(0), counted.index.get_level_values(1), strict=True)
    return formulas | dict(zip(keys, counted.astype(float).tolist(), strict=True))


def measured(rows: pd.DataFrame) -> results.Measured:
    """The trainings counted, of STG-MTL and of the other methods."""
    table = costs(rows)
    own = table[table["method"].isin(["stg", "stg_stl"])]
    wrong = own["models"] != own["formula"]
    effective = trainings(rows)
    others = [(n, count) for (method, n), count in effective.items() if method in ("exhaustive", "hoa", "tag")]

    def fewest(least: int) -> results.Trials:
        margins = [count - 1 for n, count in others if n >= least]
        return results.Trials(len(margins), sum(margin <= 0 for margin in margins), worst=min(margins))

    one = own[own["method"] == "stg"].groupby("n")["models"].max()
    grown = [float(count - one.iloc[0]) for count in one.iloc[1:]]
    statements = {
        "one-training": results.StatementTrials(results.Trials(len(own), int(wrong.sum()))),
        "fewest": results.StatementTrials(fewest(2), fewest(3)),
    }
    if grown:
        scales = results.Trials(len(grown), sum(count > 0 for count in grown), worst=max(grown))
        statements["scales"] = results.StatementTrials(scales, scales)
    return results.Measured(statements=statements)
