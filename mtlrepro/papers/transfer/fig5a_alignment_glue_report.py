"""Figure 5a: figure, tables and what the rows of `fig5a_aligned_encoder` say of the claims.

Rows are of single tasks. With the encoder's body fixed a group of tasks trained together is each of them trained alone, so that
the gain of a group is the mean of its tasks' gains, seed by seed.
"""

from __future__ import annotations

import itertools
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.data.glue import TASKS
from mtlrepro.papers.transfer.interval_marks import interval_marks, paper_marks
from mtlrepro.papers.transfer.largest_gain import wins_above_half
from mtlrepro.results import Gate, Measured, in_words, paper_values

ALL = "all five"
GROUPS = {" + ".join(pair): list(pair) for pair in itertools.combinations(TASKS, 2)} | {ALL: list(TASKS)}
LABELS = {"aligned": "Algorithm 1", "behind": "matrix behind the body", "rotated": "random rotation before it"}
_NAMES = {"plain": "output module alone"} | LABELS | {"rotated aligned": "Algorithm 1 after the rotation"}
_LOOKS = {"aligned": ("blue", "o"), "behind": ("black", "^")}
_RERUN = "about 2 core hours: this exhibit's full profile, which needs MiniLM and GLUE at hand"


def scores(rows: pd.DataFrame, way: str, stage: str = "final", value: str = "score") -> pd.DataFrame:
    """What one way reaches, seeds x tasks."""
    here = rows[(rows.stage == stage) & (rows.way == way)]
    table = here.pivot(index="seed", columns="task", values=value)
    return table[[task for task in TASKS if task in table]]


def gains(rows: pd.DataFrame, way: str = "aligned", stage: str = "final", base: str = "plain") -> pd.DataFrame:
    """Gain in mean GLUE score of every group, seeds x groups: the ten pairs, then all five tasks."""
    of_task = scores(rows, way, stage) - scores(rows, base, stage)
    return pd.DataFrame({group: of_task[tasks].mean(axis=1, skipna=False) for group, tasks in GROUPS.items()})


def measured(rows: pd.DataFrame) -> Measured:
    """Algorithm 1 against the output modules alone, both on the fixed encoder."""
    gain = gains(rows)
    effects = {"glue-average": list(gain[ALL]), "pairs-improved": wins_above_half(gain.drop(columns=ALL))}
    gates = [_architecture(rows), _baseline_level(rows), _converged(rows), _grid_interior(rows), _control(rows)]
    return Measured(effects, gates=gates)


def _architecture(rows: pd.DataFrame) -> Gate:
    pretrained = bool(rows.pretrained.astype(bool).all())
    body = "fixed pretrained body" if pretrained else "body with random weights"
    return Gate("architecture", pretrained, f"R_i between embeddings and {body}, a pair in one sequence", cost=_RERUN)


def _baseline_level(rows: pd.DataFrame) -> Gate:
    """Matthews' correlation for CoLA, points of accuracy above the larger class for the others, with intervals over seeds."""
    constant = scores(rows, "plain", value="larger")  # training's larger class may be the smaller one of the scored rows
    above = scores(rows, "plain", value="accuracy") - np.maximum(constant, 100 - constant)
    parts = [Gate.clear_of_zero("CoLA", list(scores(rows, "plain").CoLA), least=10)]
    parts += [
        Gate.clear_of_zero(f"{task} above the larger class", list(above[task]), least=5) for task in TASKS if task != "CoLA"
    ]
    return Gate.every("baseline-level", parts, cost="a stronger encoder: its folder as the parameter `encoder`")


def _converged(rows: pd.DataFrame) -> Gate:
    """The order of the two methods in the mean over the five tasks, on the seeds that were trained for twice the epochs."""
    doubled = gains(rows, stage="doubled")[ALL]
    once, twice = float(gains(rows)[ALL].loc[doubled.index].mean()), float(doubled.mean())
    value = f"mean gain {once:+.2f} points, {twice:+.2f} with twice the epochs"
    return Gate("converged", bool(np.sign(once) == np.sign(twice)), value, cost=_RERUN)


def choices(rows: pd.DataFrame) -> pd.DataFrame:
    """The chosen rate and epochs of each way that was searched, with the grid."""
    final, search = rows[rows.stage == "final"], rows[rows.stage == "search"]
    lines = {}
    for way in dict.fromkeys(search.way):
        of = final[final.way == way]
        lines[way] = {"rate": float(of.rate.iloc[0]), "epochs": int(of.epochs.iloc[0])}
    table = pd.DataFrame.from_dict(lines, orient="index")
    table["rates"] = [sorted(set(search[search.way == way].rate)) for way in table.index]
    table["lengths"] = [sorted(set(search[search.way == way].epochs)) for way in table.index]
    return table


def _grid_interior(rows: pd.DataFrame) -> Gate:
    parts = []
    table = choices(rows)
    for way in ("plain", "aligned"):
        one = table.loc[way]
        inside = one.rates[0] < one.rate < one.rates[-1] and one.lengths[0] < one.epochs < one.lengths[-1]
        parts.append(Gate(_NAMES[way], bool(inside), f"rate {one.rate:g}, {one.epochs} epochs"))
    return Gate.every("grid-interior", parts, cost="about a core hour: more rates or lengths")


def rotated(rows: pd.DataFrame) -> pd.DataFrame:
    """The rotated and aligned task, a line per seed: score as it is, rotated, then aligned."""
    (task,) = set(rows[rows.way == "rotated aligned"].task)
    names = {"plain": "as it is", "rotated": "rotated", "rotated aligned": "then aligned"}
    return pd.DataFrame({name: scores(rows, way)[task] for way, name in names.items()}).rename_axis(columns=task)


def _control(rows: pd.DataFrame) -> Gate:
    """The rotation must cost something, clear of zero over seeds; the share won back is that of the means."""
    table = rotated(rows)
    cost, back = table["as it is"] - table["rotated"], table["then aligned"] - table["rotated"]
    share = float(back.mean() / cost.mean()) if cost.mean() else float("nan")
    parts = [
        Gate.clear_of_zero(f"points that a rotation of {table.columns.name} costs", list(cost)),
        Gate("share that Algorithm 1 wins back", bool(cost.mean() > 0 and share >= 0.5), share),
    ]
    return Gate.every("control", parts, cost=_RERUN)


def figure(rows: pd.DataFrame) -> Figure:
    """What Algorithm 1 adds to each group, and how many pairs gain; the paper's mean over all five and its count beside ours."""
    paper, groups = paper_values("transfer/fig5a"), list(GROUPS)
    fig, (left, right) = plt.subplots(
        1, 2, figsize=(plots.WIDTH * 1.1, 5.2), width_ratios=(4, 1), layout="constrained"
    )  # fmt: skip
    for shift, (way, (color, marker)) in zip((-0.15, 0.15), _LOOKS.items(), strict=True):
        gain = gains(rows, way)
        places = np.arange(len(groups)) + shift
        interval_marks(left, places, list(gain.to_numpy().T), color=color, marker=marker, label=LABELS[way], lying=True)
        counts = (np.asarray(wins_above_half(gain.drop(columns=ALL))) + 0.5) * paper["pairs"]
        interval_marks(right, [shift], [counts], color=color, marker=marker)
    paper_marks(left, [paper["glue_average_gain_points"]], [len(groups) - 1])
    paper_marks(right, [0], [paper["pairs_improved"]])
    left.axvline(0, color=plots.COLORS["black"], linewidth=0.8)
    left.set_yticks(range(len(groups)), groups)
    left.invert_yaxis()
    left.set_xlabel("gain in mean GLUE score (points)")
    right.axhline(paper["pairs"] / 2, color=plots.COLORS["black"], linewidth=0.8)
    right.set(xlim=(-0.6, 0.6), xticks=[], ylim=(-0.3, paper["pairs"] + 0.3), ylabel=f"pairs with a gain, of {paper['pairs']}")
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Gains on all five tasks and on pairs, the paper's and ours, of the controls too, and Algorithm 1 beyond the control."""
    paper = paper_values("transfer/fig5a")
    lines: dict[str, dict[str, Any]] = {
        "paper": {
            ALL: f"{paper['glue_average_gain_points']:+.2f}",
            "pairs with a gain": f"{paper['pairs_improved']} of {paper['pairs']}",
        }
    }
    compared = {label: (way, "plain") for way, label in LABELS.items()}
    for label, (way, base) in (compared | {"Algorithm 1 beyond the matrix behind": ("aligned", "behind")}).items():
        gain = gains(rows, way, base=base).dropna()
        pairs = gain.drop(columns=ALL)
        lines[label] = {
            ALL: in_words(gain[ALL]),
            "pairs with a gain": f"{int((pairs.mean() > 0).sum())} of {pairs.shape[1]}",
            "the same, seed by seed": f"{10 * (np.mean(wins_above_half(pairs)) + 0.5):.1f}",
        }
    columns = [ALL, "pairs with a gain", "the same, seed by seed"]
    return pd.DataFrame.from_dict(lines, orient="index").reindex(columns=columns).rename_axis("way")


def by_task(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores of each task, mean over seeds, and the gain of Algorithm 1 on it."""
    lines = {"always training's larger class": scores(rows, "plain", value="majority").mean()}
    lines |= {name: scores(rows, way).mean() for way, name in _NAMES.items() if way != "rotated aligned"}
    table = pd.DataFrame(lines).T.map("{:.1f}".format)
    gain = scores(rows, "aligned") - scores(rows, "plain")
    table.loc["gain of Algorithm 1"] = {task: in_words(gain[task]) for task in table}
    return table.rename_axis(index="training", columns=None)


def rotation_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The control: what a rotation of one task's embeddings costs, and what Algorithm 1 wins back."""
    scored = rotated(rows)
    cost, back = scored["as it is"] - scored["rotated"], scored["then aligned"] - scored["rotated"]
    line = {name: f"{scored[name].mean():.1f}" for name in scored}
    line |= {"the rotation costs": in_words(cost), "Algorithm 1 wins back": in_words(back)}
    return pd.DataFrame({scored.columns.name: line}).T.rename_axis("task")


def search_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean score over the five tasks on the rows that rate and epochs were chosen on; the chosen one in brackets."""
    search, best = rows[rows.stage == "search"], choices(rows)
    lines: dict[tuple[str, Any], dict[str, str]] = {}
    for way in best.index:
        for (rate, epochs), of in search[search.way == way].groupby(["rate", "epochs"]):
            chosen = (rate, epochs) == (best.loc[way, "rate"], best.loc[way, "epochs"])
            value = f"{of.score.mean():.2f}"
            lines.setdefault((_NAMES[way], rate), {})[f"{epochs} epochs"] = f"[{value}]" if chosen else value
    return pd.DataFrame(lines).T.rename_axis(index=["training", "rate"])


def samples(rows: pd.DataFrame) -> pd.DataFrame:
    """How many samples each task has, mean over seeds."""
    search, final = rows[rows.stage == "search"], rows[rows.stage == "final"]
    columns = {
        "trained on in the search": search.groupby("task").trained, "chosen on": search.groupby("task").scored,
        "trained on": final.groupby("task").trained, "scored": final.groupby("task").scored,
    }  # fmt: skip
    return pd.DataFrame({name: of.mean().round().astype(int) for name, of in columns.items()})
