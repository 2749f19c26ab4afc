"""Figures 5b and 6: figures, tables and what the rows of `fig5b_alignment_sentences` say of the claims.

Rows of Figure 5b are those of `transfer`, of Figure 6 those of `pair`.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.data.text import TITLES
from mtlrepro.papers.transfer.interval_marks import interval_marks
from mtlrepro.papers.transfer.largest_gain import largest_gain, wins_above_half
from mtlrepro.results import Gate, Measured, in_words, paper_values

LABELS = {"fixed": "Algorithm 1, B fixed", "aligned": "alignment, all trained", "control": "control layer, all trained"}
# How far below Table 1's single-task accuracy fine-tuning may stay.
_BELOW_TABLE_1 = 3
_RERUN = "about 1 core hour: whole sets, word vectors trained, eight epochs, five seeds"


def _whole_sets(rows: pd.DataFrame) -> Gate:
    """Whether all training sentences were used and the word vectors trained."""
    if not {"whole", "tune"} <= set(rows):
        return Gate("whole-sets", False, "not recorded", cost=_RERUN)
    whole, tuned = bool(rows.whole.astype(bool).all()), bool(rows.tune.astype(bool).all())
    used = "whole sets" if whole else "parts of the sets"
    return Gate("whole-sets", whole and tuned, f"{used}, word vectors {'trained' if tuned else 'fixed'}", cost=_RERUN)


# --- Figure 5b: transfer from SST -------------------------------------------------------------------------------------


def targets(rows: pd.DataFrame) -> list[str]:
    """The targets that the rows hold, in the order of Table 1."""
    return [task for task in TITLES if task in set(rows.task)]


def _accuracy(rows: pd.DataFrame, way: str, leak: bool) -> pd.DataFrame:
    """Test accuracy of one way, seeds x targets."""
    here = rows[(rows.way == way) & (rows.leak.astype(bool) == leak)]
    return here.pivot(index="seed", columns="task", values="test")[targets(rows)]


def measured_fig5b(rows: pd.DataFrame) -> Measured:
    """On plain random splits, as in the paper, so with the sentences that SST shares with MR and SUBJ; all five targets."""
    plain, aligned = _accuracy(rows, "plain", True), _accuracy(rows, "aligned", True)
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
        _whole_sets(rows),
        Gate.within("converged", float(both.late_change.max()), most=0.3, cost=_RERUN)
        if "late_change" in rows
        else Gate("converged", False, "not recorded", cost=_RERUN),
        _same_budget(both),
        Gate("control", False, "not recorded", cost="about half a core hour: the target's embeddings rotated"),
    ]
    return Measured(effects, gates=gates)


def _same_budget(rows: pd.DataFrame) -> Gate:
    if not {"epochs", "rate"} <= set(rows):
        return Gate("same-budget", False, "not recorded", cost=_RERUN)
    budgets = {way: set(zip(of.epochs, of.rate, strict=True)) for way, of in rows.groupby("way")}
    same = budgets["plain"] == budgets["aligned"]
    return Gate("same-budget", same, "same epochs and rate, best epoch by validation" if same else "budgets differ")


def figure_5b(rows: pd.DataFrame) -> Figure:
    """The gain of alignment, and of the control, for each target."""
    shown = targets(rows)
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 3.4), layout="constrained")
    plain = _accuracy(rows, "plain", True)
    for shift, (way, color, marker) in zip(
        (-0.16, 0.16), (("aligned", "vermillion", "o"), ("control", "black", "s")), strict=True
    ):
        gain = _accuracy(rows, way, True) - plain
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
    of = {way: _accuracy(rows, way, True) for way in ("scratch", "plain", "aligned", "control")}
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
    gain = (_accuracy(rows, "aligned", True) - _accuracy(rows, "plain", True)).mean()
    paper = paper_values("transfer/fig5b")
    return (
        f"Targets with a mean gain: {int((gain > 0).sum())} of {len(gain)} (paper: {paper['targets_improved']} of "
        f"{paper['targets']}). The largest mean gain: {gain.max():+.1f} points (paper: {paper['max_gain_points']:+.1f})."
    )


# --- Figure 6: pairs --------------------------------------------------------------------------------------------------


def by_pair(rows: pd.DataFrame, value: str) -> pd.DataFrame:
    """Mean over a pair's tasks without the leak: a line per pair and seed, a column per way."""
    here = rows[~rows.leak.astype(bool) & rows.pair.str.contains("-")]
    return here.groupby(["pair", "seed", "way"])[value].mean().unstack()


def changes(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per pair, seed and way: gain in accuracy over plain training, and change of the score of the single-task models."""
    accuracy, score = by_pair(rows, "test"), by_pair(rows, "score")
    before = score["single" if "single" in score else "plain"]
    ways = ("plain", "aligned", "control", "fixed", "fixed control")
    tables = [
        pd.DataFrame({"gain": accuracy[way] - accuracy["plain"], "score": score[way] - before}).assign(way=way) for way in ways
    ]
    return pd.concat(tables).reset_index()


def _over_pairs(rows: pd.DataFrame, way: str, value: str) -> pd.DataFrame:
    """Seeds x pairs."""
    table = changes(rows)
    return table[table.way == way].pivot(index="seed", columns="pair", values=value)


def measured_fig6(rows: pd.DataFrame) -> Measured:
    """Algorithm 1 as printed, with B fixed, against plain joint training; all fifteen pairs, without the leak."""
    gain, score = _over_pairs(rows, "fixed", "gain"), _over_pairs(rows, "fixed", "score")
    effects: dict[str, Sequence[float]] = {}
    if gain.shape[1] == paper_values("transfer/fig6")["pairs"]:
        effects = {
            "accuracy-up": wins_above_half(gain),
            "score-up": wins_above_half(score),
            "largest-gain": largest_gain(gain),
        }
    without = float(_over_pairs(rows, "plain", "score").to_numpy().mean())
    gates = [
        Gate.within("baseline-level", float(by_pair(rows, "test")["plain"].mean()), least=80, cost=_RERUN),
        _whole_sets(rows),
        Gate("converged", False, "not recorded", cost="about 2 core hours: the rerun with twice the epochs"),
        Gate("grid-interior", False, "one capacity and one rate", cost="about 5 core hours: three capacities, two rates"),
        Gate("same-start", bool(np.isfinite(without)), f"without R_i the score changes by {without:+.3f}"),
        Gate("control", False, "not recorded", cost="about half a core hour: one task's embeddings rotated"),
    ]
    return Measured(effects, gates=gates)


def figure_6(rows: pd.DataFrame) -> Figure:
    """What alignment changes in the score against what it changes in accuracy: one point per pair."""
    means = changes(rows).groupby(["way", "pair"])[["gain", "score"]].mean()
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 4), layout="constrained")
    for way, color, marker in (("fixed", "blue", "o"), ("aligned", "vermillion", "s")):
        here = means.loc[way]
        ax.scatter(here.score, here.gain, color=plots.COLORS[color], marker=marker, label=LABELS[way])
    largest = paper_values("transfer/fig6")["max_gain_points"]
    ax.axhline(largest, linestyle="--", linewidth=1, color=plots.COLORS["black"], label="the paper's largest gain")
    ax.axhline(0, color=plots.COLORS["black"], linewidth=0.8)
    ax.axvline(0, color=plots.COLORS["black"], linewidth=0.8)
    ax.set(xlabel="change of the similarity score", ylabel="gain in accuracy (points)")
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def table_6(rows: pd.DataFrame) -> pd.DataFrame:
    """Gains and changes of the score over all pairs, the paper's and ours, and gains beyond each way's control."""
    paper = paper_values("transfer/fig6")
    lines = {
        "paper": {
            "pairs with a gain": f"{paper['accuracy_up']} of {paper['pairs']}",
            "largest gain": f"{paper['max_gain_points']:+.1f}",
            "pairs with a higher score": f"{paper['score_up']} of {paper['pairs']}",
        }
    }
    for way, control in (("fixed", "fixed control"), ("aligned", "control"), ("control", None)):
        gain, score = _over_pairs(rows, way, "gain"), _over_pairs(rows, way, "score")
        lines[LABELS[way]] = {
            "pairs with a gain": f"{int((gain.mean() > 0).sum())} of {gain.shape[1]}",
            "largest gain": f"{gain.mean().max():+.1f}",
            "mean gain": in_words(gain.mean(axis=1)),
        }
        if control is not None:
            beyond = gain - _over_pairs(rows, control, "gain")
            lines[LABELS[way]] |= {
                "pairs with a higher score": f"{int((score.mean() > 0).sum())} of {score.shape[1]}",
                "change of the score": in_words(score.mean(axis=1), 3),
                "beyond the control": in_words(beyond.mean(axis=1)),
            }
    columns = ["pairs with a gain", "largest gain", "mean gain", "pairs with a higher score", "change of the score"]
    return pd.DataFrame.from_dict(lines, orient="index").reindex(columns=[*columns, "beyond the control"]).rename_axis("way")


# --- sentences that sets share ----------------------------------------------------------------------------------------


def leak_table(pairs: pd.DataFrame, transfer: pd.DataFrame) -> pd.DataFrame:
    """What joint training, and transfer from SST, gain over a task's own model, without and with the shared sentences.

    pairs: rows of Figure 6. transfer: rows of Figure 5b. Lines such as SST-MR are joint training, mean over the two tasks; SST to
    MR is fine-tuned minus from scratch. Only pairs trained both ways are shown.
    """
    own = pairs[~pairs.pair.str.contains("-")].set_index(["task", "seed", "leak"]).test
    joint = pairs[pairs.pair.str.contains("-") & (pairs.way == "plain")]
    alone = own.loc[list(zip(joint.task, joint.seed, joint.leak, strict=True))]
    gain = joint.assign(gain=joint.test.to_numpy() - alone.to_numpy()).groupby(["pair", "leak", "seed"]).gain.mean()
    effects: dict[str, dict[bool, pd.Series]] = {}
    for pair in dict.fromkeys(joint[joint.leak.astype(bool)].pair):
        name = "-".join(TITLES[task] for task in pair.split("-"))
        effects[name] = {leak: gain.xs((pair, leak), level=("pair", "leak")) for leak in (False, True)}
    tuned, scratch = ({leak: _accuracy(transfer, way, leak) for leak in (False, True)} for way in ("plain", "scratch"))
    for task in targets(transfer):
        effects[f"SST to {TITLES[task]}"] = {leak: tuned[leak][task] - scratch[leak][task] for leak in (False, True)}
    lines = {
        name: {
            "without the leak": in_words(of[False]),
            "with": in_words(of[True]),
            "from the leak": in_words(of[True] - of[False]),
        }
        for name, of in effects.items()
    }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("gain")
