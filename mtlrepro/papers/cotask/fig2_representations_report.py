"""Figure 2 of the CO-TASK paper: the picture, tables and claims from the rows of `fig2_representations`."""

from __future__ import annotations

from typing import Literal

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results

MEASURES = {
    "probe": "accuracy of a linear probe",
    "silhouette": "silhouette of a task's classes",
    "between tasks": "share of variance between tasks",
    "togetherness": "togetherness of merged classes",
}


def draw(rows: pd.DataFrame) -> Figure:
    """A panel per state: images by principal components, colours for merged classes, markers for their two parents."""
    states = rows[rows.measure == "image"].groupby("state", sort=False)
    colors = [plots.COLORS[name] for name in ("blue", "orange", "green", "vermillion", "purple")]
    fig, axes = plt.subplots(1, states.ngroups, figsize=(plots.WIDTH, 3.4), layout="constrained")
    for ax, (state, images) in zip(axes, states, strict=True):
        for marker, (parent, own) in zip("ox", images.groupby("parent", sort=False), strict=True):
            shades = [colors[int(z)] for z in own.merged]
            ax.scatter(own.x, own.y, s=12, c=shades, marker=marker, linewidths=0.8, label=parent)
        ax.set(title=state, xticks=[], yticks=[])
    axes[0].set(xlabel="first component", ylabel="second component")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def merged_classes(rows: pd.DataFrame) -> pd.DataFrame:
    """Which classes the colours stand for."""
    images = rows[rows.measure == "image"].astype({"merged": int})
    return images.pivot_table(index="merged", columns="parent", values="class", aggfunc="first", sort=False).sort_index()


def effects(rows: pd.DataFrame, measure: str, first: str, second: str) -> pd.Series:
    """A measure in one state minus another, per seed."""
    by_state = rows[rows.measure == measure].pivot(index="seed", columns="state", values="value")
    return by_state[first] - by_state[second]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds of each measure and state, and what CO-TASK changes against multi-task training, with 95% interval."""
    means = rows[rows.measure != "image"].pivot_table(index="measure", columns="state", values="value", sort=False)
    means = means.loc[list(MEASURES)].round(3)
    means["CO-TASK minus multi-task"] = [results.told(effects(rows, name, "CO-TASK", "multi-task"), 3) for name in MEASURES]
    return means.rename(index=MEASURES)


def claims(rows: pd.DataFrame) -> list[results.Part]:
    """The paper's reasons for merging classes, paired over seeds."""

    def part(
        name: str, measure: str, first: str, second: str, claim: Literal["positive", "negative"] = "positive"
    ) -> results.Part:
        return results.paired(name, effects(rows, measure, first, second).to_numpy(), claim=claim, unit=MEASURES[measure])

    return [
        part("multi-task training separates classes", "probe", "multi-task", "before training"),
        part("CO-TASK separates them better than multi-task", "probe", "CO-TASK", "multi-task"),
        part("CO-TASK separates them better than multi-task", "silhouette", "CO-TASK", "multi-task"),
        part("tasks lie nearer to each other with CO-TASK", "between tasks", "CO-TASK", "multi-task", "negative"),
        part("merged classes come together", "togetherness", "CO-TASK", "multi-task"),
    ]
