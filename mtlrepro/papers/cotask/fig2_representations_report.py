"""Figure 2 of the CO-TASK paper: the picture, tables, claims and gates from the rows of `fig2_representations`."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.papers.cotask import gates
from mtlrepro.results import Gate, Measured

MULTI, EQUAL, PAPER = "multi-task", "CO-TASK", "CO-TASK by the paper"
# State in the rows -> what a reader calls it.
STATES = {"before training": "before training", MULTI: "multi-task", EQUAL: "CO-TASK, equal steps", PAPER: "CO-TASK"}
# Measures of the paper's three sentences, and ours.
CLAIMED = {
    "union": "union against a third class, minus both parts against it",
    "task classifier": "accuracy of telling two tasks' images apart",
    "merged cosine": "cosine of merged classes minus that of others",
}
OURS = {
    "probe": "accuracy of a linear probe",
    "silhouette": "silhouette of a task's classes",
    "between tasks": "share of variance between tasks",
}
_LONGER = "about 4 core hours: 1.5 million images of major tasks, 32 x 32 pixels, 3 seeds, two arms, 1,400 images/s"


# Of the merged classes.
_COLOURS = ("blue", "orange", "green", "vermillion", "purple")


def draw(rows: pd.DataFrame) -> Figure:
    """A panel per state: images by principal components, colours for merged classes, markers for their two parents."""
    images = rows[rows.measure == "image"]
    states = [state for state in STATES if (images.state == state).any()]
    fig, axes = plt.subplots(2, math.ceil(len(states) / 2), figsize=(plots.WIDTH, 5.6), layout="constrained")
    for ax in axes.flat[len(states) :]:
        ax.axis("off")
    for ax, state in zip(axes.flat, states, strict=False):
        for marker, (parent, own) in zip("ox", images[images.state == state].groupby("parent", sort=False), strict=True):
            shades = [plots.COLORS[_COLOURS[int(z)]] for z in own.merged]
            ax.scatter(own.x, own.y, s=12, c=shades, marker=marker, linewidths=0.8, label=parent)
        ax.set(title=STATES[state], xticks=[], yticks=[], xlabel="first component", ylabel="second component")
    fig.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def merged_classes(rows: pd.DataFrame) -> pd.DataFrame:
    """Which classes the colours stand for."""
    images = rows[rows.measure == "image"].assign(colour=lambda r: r.merged.map(lambda z: _COLOURS[int(z)]))
    return images.pivot_table(index="colour", columns="parent", values="class", aggfunc="first", sort=False)


def values_of(rows: pd.DataFrame, measure: str, state: str) -> pd.Series:
    """A measure in a state, by seed; empty where the run has none."""
    own = rows[(rows.measure == measure) & (rows.state == state)]
    return own.set_index("seed")["value"].astype(float).dropna()


def table(rows: pd.DataFrame, measures: dict[str, str], against: str) -> pd.DataFrame:
    """Means over seeds of measures by state, and what the state `against` changes, with 95% interval, paired over seeds."""
    states = [state for state in STATES if (rows.state == state).any()]
    lines = {}
    for name, text in measures.items():
        line: dict[str, float | str | None] = {STATES[state]: values_of(rows, name, state).mean() for state in states}
        change = (values_of(rows, name, against) - values_of(rows, name, MULTI)).dropna()
        title = f"{STATES[against]} minus multi-task"
        line[title] = results.in_words(change, 3) if len(change) > 1 else float(change.mean())
        lines[text] = line
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("measure")


def claimed_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The measures of the paper's sentences, by the paper's steps."""
    return table(rows, CLAIMED, PAPER)


def our_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Our measures, at equal steps where these were trained."""
    return table(rows, OURS, EQUAL if (rows.state == EQUAL).any() else PAPER)


def findings(rows: pd.DataFrame) -> str:
    """In words, with the numbers of these rows."""
    state, steps = (EQUAL, "as many steps") if (rows.state == EQUAL).any() else (PAPER, "the paper's steps")

    def change(measure: str) -> str:
        values = (values_of(rows, measure, state) - values_of(rows, measure, MULTI)).dropna()
        return results.in_words(values, 3) if len(values) > 1 else f"{values.mean():+.3f} (one seed)"

    probe = {each: values_of(rows, "probe", each).mean() for each in ("before training", MULTI, state)}
    triples = values_of(rows, "triples", MULTI)
    return (
        f"A linear probe tells the classes of a task apart with accuracy {probe['before training']:.2f} before training, "
        f"{probe[MULTI]:.2f} after multi-task training and {probe[state]:.2f} after CO-TASK with {steps} ({change('probe')}). "
        f"Merging changes the share of variance between tasks by {change('between tasks')}. The networks separate "
        f"{triples.min():.0f} to {triples.max():.0f} triples of classes as well as the paper's sentence on unions supposes."
    )


def measured(rows: pd.DataFrame) -> Measured:
    """The paper's three sentences, by the paper's steps, per seed; empty for runs that did not measure them."""
    effects = {
        "merged-class-separable": values_of(rows, "union", MULTI),
        "tasks-closer": values_of(rows, "task classifier", PAPER) - values_of(rows, "task classifier", MULTI),
        "merged-classes-closer": values_of(rows, "merged cosine", PAPER) - values_of(rows, "merged cosine", MULTI),
    }
    accuracy, triples = values_of(rows, "accuracy", MULTI), values_of(rows, "triples", MULTI)
    return Measured(
        {claim: effect.dropna().tolist() for claim, effect in effects.items() if len(effect.dropna())},
        gates=[
            Gate.within("baseline-level", accuracy.mean(), least=0.6, cost=_LONGER),
            Gate.within("enough-triples", float(triples.min()), least=100, cost=_LONGER),
            gates.not_recorded("converged", "both trainings of one seed with twice the epochs: two thirds of the above"),
            _control(rows),
        ],
    )


def _control(rows: pd.DataFrame) -> Gate:
    """With labels drawn at random: merging gives no difference, and tasks are told apart by chance only."""
    cosine = (values_of(rows, "merged cosine, permuted", PAPER) - values_of(rows, "merged cosine, permuted", MULTI)).dropna()
    chance = values_of(rows, "task classifier, permuted", MULTI)
    _, low, high = results.interval(cosine.to_numpy())
    none = low <= 0 <= high
    parts = [
        Gate("merged cosine, permuted", none, "no difference" if none else f"{np.mean(cosine):+.3f}"),
        Gate.within("task classifier, permuted", chance.mean(), least=0.47, most=0.53),
    ]
    return Gate.every("control", parts, "more seeds")
