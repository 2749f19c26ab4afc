"""Figure 5b: figure, tables and what the rows of `fig5b_alignment_sentences` say of the claims."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.data.text import TITLES
from mtlrepro.papers.transfer.interval_marks import interval_marks
from mtlrepro.papers.transfer.largest_gain import largest_gain, wins_above_half
from mtlrepro.results import Gate, Measured, in_words, paper_values

LABELS = {"aligned": "alignment, all trained", "control": "control layer, all trained"}
# How far below Table 1's single-task accuracy fine-tuning may stay.
_BELOW_TABLE_1 = 3
_RERUN = "about 75 core minutes: whole sets, word vectors trained, three rates, eight seeds"


def whole_sets(rows: pd.DataFrame) -> Gate:
    """Whether all training sentences were used and the word vectors trained."""
    if not {"whole", "tune"} <= set(rows):
        return Gate("whole-sets", False, "not recorded", cost=_RERUN)
    whole, tuned = bool(rows.whole.astype(bool).all()), bool(rows.tune.astype(bool).all())
    used = "whole sets" if whole else "parts of the sets"
    return Gate("whole-sets", whole and tuned, f"{used}, word vectors {'trained' if tuned else 'fixed'}", cost=_RERUN)


def targets(rows: pd.DataFrame) -> list[str]:
    """The targets that the rows hold, in the order of Table 1."""
    return [task for task in TITLES if task in set(rows.task)]


def accuracy(rows: pd.DataFrame, way: str, leak: bool) -> pd.DataFrame:
    """Test accuracy of one way, seeds x targets, of the targets that were trained so."""
    here = rows[(rows.way == way) & (rows.leak.astype(bool) == leak)]
    table = here.pivot(index="seed", columns="task", values="test")
    return table[[task for task in targets(rows) if task in table]]


def mean_gain(rows: pd.DataFrame) -> list[float]:
    """What alignment adds with each seed, mean over the five targets; empty where some are missing."""
    gain = accuracy(rows, "aligned", True) - accuracy(rows, "plain", True)
    return list(gain.mean(axis=1)) if gain.shape[1] == len(TITLES) - 1 else []


def measured_fig5b(rows: pd.DataFrame) -> Measured:
    """On plain random splits, as in the paper, so with the sentences that SST shares with MR and SUBJ; all five targets."""
    plain, aligned = accuracy(rows, "plain", True), accuracy(rows, "aligned", True)
    effects: dict[str, Sequence[float]] = {}
    if len(targets(rows)) == len(TITLES) - 1:
        effects = {"targets-improved": wins_above_half(aligned - plain), "largest-gain": largest_gain(aligned - plain)}
    single = paper_values("transfer/tab1")["STL"]
    levels = [
        Gate.within(TITLES[task], float(plain[task].mean()), least=round(single[TITLES[task]][1] - _BELOW_TABLE_1, 1))
        for task in targets(rows)
    ]
    both = rows[rows.way.isin(["plain", "aligned"])]
    gates = [
        Gate.every("baseline-level", levels, cost=_RERUN),
        whole_sets(rows),
        _converged(both),
        _same_budget(both),
        _grid_interior(both),
        _control(rows),
    ]
    return Measured(effects, gates=gates)


def _converged(rows: pd.DataFrame) -> Gate:
    """Of each target and way the mean over seeds: a single sentence of the smallest validation part is 0.3 points."""
    if "late_change" not in rows:
        return Gate("converged", False, "not recorded", cost=_RERUN)
    changes = rows[rows.leak.astype(bool)].groupby(["way", "task"]).late_change.mean()
    return Gate.within("converged", float(changes.abs().max()), most=0.3, cost=_RERUN)


def _same_budget(rows: pd.DataFrame) -> Gate:
    if not {"epochs", "rates"} <= set(rows):
        return Gate("same-budget", False, "not recorded", cost=_RERUN)
    budgets = {way: set(zip(of.epochs, of.rates, strict=True)) for way, of in rows.groupby("way")}
    same = budgets["plain"] == budgets["aligned"]
    return Gate("same-budget", same, "same epochs and rates, best of both by validation" if same else "budgets differ")


def _grid_interior(rows: pd.DataFrame) -> Gate:
    if not {"rate", "rates"} <= set(rows):
        return Gate("grid-interior", False, "not recorded", cost=_RERUN)
    grid, parts = json.loads(rows.rates.iloc[0]), []
    for way, name in (("plain", "fine-tuned"), ("aligned", "aligned")):
        median = float(rows[rows.leak.astype(bool) & (rows.way == way)].rate.median())
        parts.append(Gate(f"{name}, median rate", min(grid) < median < max(grid), f"{median:g} of {grid[0]:g} to {grid[-1]:g}"))
    return Gate.every("grid-interior", parts, cost=_RERUN)


def rotated(rows: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy with B fixed at the source's encoder, mean over seeds: a line per target and their mean, a column per way of
    the control of Algorithm 1; empty where the rows hold none."""
    ways = {"fixed control": "A trained", "rotated control": "A trained, rotated", "rotated": "A and R trained, rotated"}
    here = rows[rows.leak.astype(bool) & rows.way.isin(ways)].groupby(["task", "way"]).test.mean().unstack()
    if here.empty:
        return here
    table = here.rename(index=TITLES, columns=ways)[list(ways.values())]
    table.loc["mean"] = table.mean()
    return table.rename_axis(index="target", columns=None)


def _control(rows: pd.DataFrame) -> Gate:
    table = rotated(rows)
    if table.empty:
        return Gate("control", False, "not recorded", cost="about 20 core minutes: the target's embeddings rotated")
    straight, turned, regained = table.loc["mean"].to_numpy(float)
    lost, share = straight - turned, (regained - turned) / (straight - turned)
    value = f"a rotation costs {lost:.1f} points, alignment wins back {100 * share:.0f}%"
    return Gate("control", bool(lost > 0 and share >= 0.5), value, cost=_RERUN)


def figure_5b(rows: pd.DataFrame) -> Figure:
    """The gain of alignment, and of the control, for each target."""
    shown = targets(rows)
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 3.4), layout="constrained")
    plain = accuracy(rows, "plain", True)
    for shift, (way, color, marker) in zip(
        (-0.16, 0.16), (("aligned", "vermillion", "o"), ("control", "black", "s")), strict=True
    ):
        gain = accuracy(rows, way, True) - plain
        interval_marks(ax, np.arange(len(shown)) + shift, list(gain.to_numpy().T), color=color, marker=marker, label=LABELS[way])
    largest = paper_values("transfer/fig5b")["max_gain_points"]
    ax.axhline(largest, linestyle="--", linewidth=1, color=plots.COLORS["black"], label="the paper's largest gain")
    plots.zero_line(ax)
    ax.set_xticks(range(len(shown)), [TITLES[task] for task in shown])
    ax.set_ylabel("gain over fine-tuning (points)")
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def table_5b(rows: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy from scratch and fine-tuned, and gains over fine-tuning; a line per target and their mean."""
    of = {way: accuracy(rows, way, True) for way in ("scratch", "plain", "aligned", "control")}
    of = {way: table.rename(columns=TITLES).assign(mean=table.mean(axis=1)) for way, table in of.items()}
    lines = {
        target: {
            "from scratch": of["scratch"][target].mean(),
            "fine-tuned": of["plain"][target].mean(),
            "aligned": of["aligned"][target].mean(),
            "gain of alignment": in_words(of["aligned"][target] - of["plain"][target]),
            "gain of the control": in_words(of["control"][target] - of["plain"][target]),
            "alignment beyond the control": in_words(of["aligned"][target] - of["control"][target]),
        }
        for target in of["plain"]
    }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("target")


def findings_5b(rows: pd.DataFrame) -> str:
    """Targets with a gain, and the largest: the paper's and ours."""
    gain = (accuracy(rows, "aligned", True) - accuracy(rows, "plain", True)).mean()
    paper = paper_values("transfer/fig5b")
    return (
        f"Targets with a mean gain: {int((gain > 0).sum())} of {len(gain)} (paper: {paper['targets_improved']} of "
        f"{paper['targets']}). The largest mean gain: {gain.max():+.1f} points (paper: {paper['max_gain_points']:+.1f})."
    )


def leak_table(rows: pd.DataFrame) -> pd.DataFrame:
    """What fine-tuning a model of SST gains over training from scratch, without and with the sentences that SST shares with the
    target; of the targets that were trained both ways."""
    tuned, scratch = ({leak: accuracy(rows, way, leak) for leak in (False, True)} for way in ("plain", "scratch"))
    return leak_lines(
        {
            f"SST to {TITLES[task]}": {leak: tuned[leak][task] - scratch[leak][task] for leak in (False, True)}
            for task in targets(rows)
            if task in tuned[False]
        }
    )


def leak_lines(gains: Mapping[str, Mapping[bool, pd.Series]]) -> pd.DataFrame:
    """A line per name of its gains (a value per seed) without and with the leak, and what the leak adds."""
    lines = {
        name: {
            "without the leak": in_words(of[False]),
            "with": in_words(of[True]),
            "from the leak": in_words((of[True] - of[False]).dropna()),
        }
        for name, of in gains.items()
    }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("gain")
