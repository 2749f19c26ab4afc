"""Figure 5a: figure, tables and what the rows of `fig5a_alignment_glue` say of the claims."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.data.glue import TASKS
from mtlrepro.papers.transfer.interval_marks import interval_marks, paper_marks
from mtlrepro.papers.transfer.largest_gain import wins_above_half
from mtlrepro.results import Gate, Measured, in_words, interval, paper_values

LABELS = {"fixed": "Algorithm 1, B fixed", "aligned": "alignment, all trained", "control": "control layer, all trained"}
# Each way against the same training without what it adds.
WITHOUT = {"fixed": "fixed control", "aligned": "plain", "control": "plain"}
ALL = " + ".join(TASKS)
_LOOKS = {"fixed": ("blue", "o"), "aligned": ("vermillion", "s"), "control": ("black", "^")}


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean score over the tasks, minus that of the same training without what the way adds: a line per group and seed."""
    scores = rows.groupby(["together", "seed", "way"]).test.mean().unstack()
    return pd.DataFrame({way: scores[way] - scores[base] for way, base in WITHOUT.items()})


def _groups(rows: pd.DataFrame) -> list[str]:
    """The pairs in the order trained, then all five."""
    return [*(group for group in dict.fromkeys(rows.together) if group != ALL), ALL]


def _by_seed(table: pd.DataFrame, way: str) -> pd.DataFrame:
    """Seeds x pairs: the gain of one way."""
    return table[way].unstack("together").drop(columns=ALL)


def measured(rows: pd.DataFrame) -> Measured:
    """Algorithm 1 with B fixed against the same training of the output layers alone."""
    table = gains(rows)
    effects = {"glue-average": list(table["fixed"].xs(ALL)), "pairs-improved": wins_above_half(_by_seed(table, "fixed"))}
    aligned = "R_i between the encoder's embeddings and its fixed body, both texts of a pair in one sequence"
    gates = [
        Gate(
            "architecture",
            False,
            "R_i behind the encoder, before a new layer; the texts of a pair encoded apart",
            cost=f"about half a core hour: {aligned}; five tasks, five seeds",
        ),
        _baseline_level(rows),
        Gate("converged", False, "not recorded", cost="about half a core hour: every group once with twice the epochs"),
        Gate("grid-interior", False, "one rate and one number of epochs", cost="about 3 core hours: three rates, four lengths"),
        Gate("control", False, "not recorded", cost="about half a core hour: one task's embeddings rotated"),
    ]
    return Measured(effects, gates=gates)


def _baseline_level(rows: pd.DataFrame) -> Gate:
    """The unaligned model of all five tasks: Matthews' correlation for CoLA, points above the majority class for the others."""
    here = rows[(rows.together == ALL) & (rows.way == "fixed control")]
    parts = []
    for task in TASKS:
        of = here[here.task == task]
        if task == "CoLA":
            parts.append(Gate.within("CoLA", float(of.test.mean()), least=10))
        elif "majority" in of:
            mean, low, _ = interval((of.test - of.majority).to_numpy())
            parts.append(Gate(f"{task} above the majority class", mean >= 5 and low > 0, mean))
        else:
            parts.append(Gate(f"{task} above the majority class", False, "not recorded"))
    return Gate.every("baseline-level", parts, cost="an encoder that reads both texts of a pair: see architecture")


def figure(rows: pd.DataFrame) -> Figure:
    """The gain of each way for each pair, and for all five tasks."""
    table, groups = gains(rows), _groups(rows)
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 5.4), layout="constrained")
    for shift, (way, (color, marker)) in zip((-0.22, 0, 0.22), _LOOKS.items(), strict=True):
        samples = [table[way].xs(group).to_numpy() for group in groups]
        places = np.arange(len(groups)) + shift
        interval_marks(ax, places, samples, color=color, marker=marker, label=LABELS[way], lying=True)
    paper_marks(ax, [paper_values("transfer/fig5a")["glue_average_gain_points"]], [len(groups) - 1])
    ax.axvline(0, color=plots.COLORS["black"], linewidth=0.8)
    ax.set_yticks(range(len(groups)), [group if group != ALL else "all five" for group in groups])
    ax.invert_yaxis()
    ax.set_xlabel("gain in mean GLUE score (points)")
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Gains on all five tasks and on pairs, the paper's and ours; and alignment minus the control, both trained throughout."""
    gain, paper = gains(rows), paper_values("transfer/fig5a")
    lines: dict[str, dict[str, Any]] = {
        "paper": {
            "all five": f"{paper['glue_average_gain_points']:+.2f}",
            "pairs with a gain": f"{paper['pairs_improved']} of {paper['pairs']}",
        }
    }
    both = {way: (gain[way].xs(ALL), _by_seed(gain, way)) for way in LABELS}
    for way, label in LABELS.items():
        five, pairs = both[way]
        lines[label] = {
            "all five": in_words(five),
            "mean over pairs": in_words(pairs.mean(axis=1)),
            "pairs with a gain": f"{int((pairs.mean() > 0).sum())} of {pairs.shape[1]}",
        }
    (five, pairs), (control_five, control_pairs) = both["aligned"], both["control"]
    beyond = pairs - control_pairs
    lines["alignment minus control layer"] = {
        "all five": in_words(five - control_five),
        "mean over pairs": in_words(beyond.mean(axis=1)),
        "pairs with a gain": f"{int((beyond.mean() > 0).sum())} of {beyond.shape[1]}",
    }
    columns_in_order = ["all five", "mean over pairs", "pairs with a gain"]
    return pd.DataFrame.from_dict(lines, orient="index")[columns_in_order].rename_axis("way")


def scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores of the five tasks trained together, mean over seeds; the larger class where that was recorded."""
    here = rows[rows.together == ALL]
    means = here.pivot_table(index="way", columns="task", values="test", sort=False)[list(TASKS)]
    names = {"plain": "plain", "fixed control": "A alone, B fixed"} | LABELS
    means = means.reindex([way for way in names if way in means.index]).rename(index=names)
    if "majority" in here:
        means.loc["always the larger class"] = here.groupby("task").majority.mean()
    return means.assign(mean=means.mean(axis=1)).rename_axis("training").rename_axis(None, axis=1)
