"""Figures 6, 8 and 9 of STG-MTL, drawn and judged from the rows of `fig4_groups.data_maps` and `fig6_hundred_tasks`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.methods.grouping_baselines import effective_models
from mtlrepro.papers.stgmtl import task_groups
from mtlrepro.parameters import Params

_UNIT = "share of pairs beyond chance"


def draw_memberships(rows: pd.DataFrame, many: int, few: int) -> Figure:
    """Memberships with F = 2 of the first seed, tasks by superclass, in many and in few clusters."""
    fig, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 12), sharey=True, width_ratios=(many, few), layout="constrained")
    families = next(task_groups.task_maps(rows, "G3")).families
    order = np.argsort(families, kind="stable")
    for ax, k in zip(axes, (many, few), strict=True):
        u = task_groups.memberships(rows, "G3", k)[0].to_numpy()[order]
        ax.imshow(u[:, list(dict.fromkeys(u.argmax(1).tolist()))], vmin=0, vmax=1, cmap="Blues", aspect="auto")
        ax.hlines(np.arange(5, 100, 5) - 0.5, -0.5, k - 0.5, color="0.8", linewidth=0.6)
        ax.set(title=f"{k} clusters", xticks=[])
        ax.grid(False)
    axes[0].set_yticks(np.arange(2, 100, 5), [_words(families[i]) for i in order[::5]], fontsize=9)
    return fig


def draw_families(rows: pd.DataFrame, k: int) -> Figure:
    """The share of each superclass's pairs that fall together, beyond chance: means over seeds with intervals."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 6.4))
    table = task_groups.family_table(rows, "G3", k)
    table = table.loc[table.mean(axis=1).sort_values().index]
    for y, (_, values) in enumerate(table.iterrows()):
        mean, low, high = results.interval(values.to_numpy())
        ax.plot([max(low, -1), min(high, 1)], [y, y], color=plots.COLORS["blue"])
        ax.plot(mean, y, "o", color=plots.COLORS["blue"])
    ax.axvline(0, color="0.4", linewidth=1)
    ax.set_yticks(range(len(table)), [_words(name) for name in table.index], fontsize=10)
    ax.set(xlabel=f"pairs together beyond chance, {k} clusters", xlim=(-0.3, 1))
    return fig


def cost_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Seconds of an epoch in units of the fewest tasks without data maps, beside those of HOA and TAG by their formulas."""
    seconds = rows[rows.kind == "cost"].groupby("n")[["plain", "recorded"]].mean()
    unit = seconds / seconds["plain"].iloc[0]
    n = [int(each) for each in unit.index]
    table: pd.DataFrame = unit.assign(
        recording=(seconds["recorded"] / seconds["plain"] - 1),
        HOA=[float(effective_models("hoa", each)) for each in n],
        TAG=[float(effective_models("tag", each)) * plain for each, plain in zip(n, unit["plain"], strict=True)],
    ).rename(columns={"plain": "one epoch", "recorded": "with data maps (STG-MTL)", "recording": "cost of recording"})
    return table


def show_all(rows: pd.DataFrame, p: Params) -> None:
    """Every figure and table of the page."""
    many, few = p.clusters
    plots.show(draw_memberships(rows, many, few))
    display(task_groups.against_families(rows, "G3", p.clusters, p.shuffles).round(3))  # type: ignore[no-untyped-call]
    plots.show(draw_families(rows, many))
    display(task_groups.softness(rows, ["G3"], (5, 10, 20, 40), p.fuzziness).round(3))  # type: ignore[no-untyped-call]
    display(cost_table(rows).round(2))  # type: ignore[no-untyped-call]


def measured(rows: pd.DataFrame, many: int, few: int) -> dict[str, pd.DataFrame]:
    """Exhibit -> the rows that are recorded for it."""
    tables = {f"stgmtl/{fig}": task_groups.family_table(rows, "G3", k) for fig, k in (("fig8", many), ("fig9", few))}
    return {"stgmtl/fig6": rows} | {exhibit: table.reset_index() for exhibit, table in tables.items()}


def claims(rows: pd.DataFrame, p: Params) -> dict[str, list[results.Part]]:
    """Exhibit -> its claims."""
    many, few = p.clusters
    families = {k: task_groups.family_table(rows, "G3", k) for k in p.clusters}
    agreed = task_groups.against_families(rows, "G3", p.clusters, p.shuffles)

    def whole(k: int) -> list[results.Part]:
        own, setting = agreed.loc[k], f"k = {k}"
        missed = int((own["p"] > 0.05).sum())
        return [
            results.paired("groups agree with the superclasses", own["ari"].to_numpy(), unit="adjusted Rand index",
                           setting=setting),
            results.check("more than random groups do, p at most 0.05", worst=own["p"].max(), n=len(own), violations=missed,
                          tolerance=0.05, setting=setting),
        ]  # fmt: skip

    def beyond_chance(name: str, values: pd.Series[float], k: int) -> results.Part:
        return results.paired(_words(name), values.to_numpy(), unit=_UNIT, setting=f"k = {k}")

    def fall(k: int, *names: str) -> list[results.Part]:
        return [beyond_chance(f"{name} fall together", families[k].T[name], k) for name in names]

    def merge(k: int, first: str, second: str) -> results.Part:
        return beyond_chance(f"{first} and {second} merge", task_groups.across(rows, "G3", k, first, second), k)

    fruit = families[few].T["fruit_and_vegetables"] - families[many].T["fruit_and_vegetables"]
    return {
        "stgmtl/fig6": [*whole(many), *fall(many, "people", "flowers")],
        "stgmtl/fig8": [
            *fall(many, "people", "trees", "food_containers", "flowers", "household_electrical_devices"),
            merge(many, "vehicles_1", "vehicles_2"),
        ],
        "stgmtl/fig9": [
            *whole(few),
            *fall(few, "fruit_and_vegetables"),
            beyond_chance("fruit and vegetables more than with more clusters", fruit, few),
            merge(few, "household_electrical_devices", "household_furniture"),
        ],
    }


def _words(name: str) -> str:
    return name.replace("_", " ")
