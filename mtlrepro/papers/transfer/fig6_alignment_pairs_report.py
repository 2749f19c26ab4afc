"""Figure 6: figure, tables and what the rows of `fig6_alignment_pairs` say of the claims."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.data.text import TITLES
from mtlrepro.papers.transfer.fig5b_alignment_sentences_report import leak_lines, whole_sets
from mtlrepro.papers.transfer.largest_gain import largest_gain, wins_above_half
from mtlrepro.results import Gate, Measured, in_words, paper_values

LABELS = {
    "plain": "no alignment", "fixed": "Algorithm 1, B fixed", "aligned": "alignment, all trained",
    "control": "control layer, all trained",
}  # fmt: skip
_RERUN = "about 100 core minutes: whole sets, word vectors trained, three capacities, four rates, five seeds"


def of_stage(rows: pd.DataFrame, stage: str) -> pd.DataFrame:
    """The rows of one stage of `figure_6`; a run that knew no stages is all final."""
    stages = rows.stage if "stage" in rows else pd.Series("final", rows.index)
    return rows[stages == stage]


def by_pair(rows: pd.DataFrame, value: str, stage: str = "final") -> pd.DataFrame:
    """Mean over a pair's tasks without the leak: a line per pair and seed, a column per way."""
    here = of_stage(rows, stage)
    here = here[~here.leak.astype(bool) & here.pair.str.contains("-")]
    return here.groupby(["pair", "seed", "way"])[value].mean().unstack()


def changes(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per pair, seed and way: gain in accuracy over plain training, and change of the score of the single-task models."""
    test, score = by_pair(rows, "test"), by_pair(rows, "score")
    before = score["single" if "single" in score else "plain"]
    ways = [way for way in ("plain", "aligned", "control", "fixed", "fixed control") if way in test]
    tables = [pd.DataFrame({"gain": test[way] - test["plain"], "score": score[way] - before}).assign(way=way) for way in ways]
    return pd.concat(tables).reset_index()


def _over_pairs(rows: pd.DataFrame, way: str, value: str) -> pd.DataFrame:
    """Seeds x pairs."""
    table = changes(rows)
    return table[table.way == way].pivot(index="seed", columns="pair", values=value).dropna()


def mean_gain(rows: pd.DataFrame) -> list[float]:
    """What Algorithm 1 adds with each seed, mean over the fifteen pairs; empty where some are missing."""
    gain = _over_pairs(rows, "fixed", "gain")
    return list(gain.mean(axis=1)) if gain.shape[1] == paper_values("transfer/fig6")["pairs"] else []


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
        whole_sets(rows),
        _converged(rows),
        _grid_interior(rows),
        Gate("same-start", bool(np.isfinite(without)), f"without R_i the score changes by {without:+.3f}"),
        _control(rows),
    ]
    return Measured(effects, gates=gates)


def _converged(rows: pd.DataFrame) -> Gate:
    """The mean gain over all pairs keeps its sign where the epochs double, on the same seeds."""
    cost = "about 20 core minutes: two seeds with twice the epochs"
    doubled = by_pair(rows, "test", "doubled")
    if doubled.empty:
        return Gate("converged", False, "not recorded", cost=cost)
    gains = [(of.fixed - of.plain).mean() for of in (by_pair(rows, "test").loc[doubled.index], doubled)]
    value = f"mean gain {gains[0]:+.2f} points, {gains[1]:+.2f} with twice the epochs"
    return Gate("converged", bool(np.sign(gains[0]) == np.sign(gains[1])), value, cost=cost)


def _grid_interior(rows: pd.DataFrame) -> Gate:
    cost = "about 10 core minutes: three capacities, four rates on one more seed"
    search = of_stage(rows, "search")
    if search.empty:
        return Gate("grid-interior", False, "one capacity and one rate", cost=cost)
    final, parts = of_stage(rows, "final"), []
    for way in ("plain", "fixed"):
        (best,) = set(final[final.way == way][["capacity", "rate"]].itertuples(index=False, name=None))
        inside = all(min(search[of]) < value < max(search[of]) for of, value in zip(("capacity", "rate"), best, strict=True))
        parts.append(Gate(LABELS[way], inside, f"capacity {best[0]}, rate {best[1]:g}"))
    return Gate.every("grid-interior", parts, cost=cost)


def _control(rows: pd.DataFrame) -> Gate:
    cost = "about 20 core minutes: one task's embeddings rotated"
    scores = by_pair(rows, "score")
    if "rotated" not in scores:
        return Gate("control", False, "not recorded", cost=cost)
    straight, turned, aligned = scores[["fixed control", "rotated control", "rotated"]].dropna().mean()
    value = f"score {straight:.3f}, one task rotated {turned:.3f}, then aligned {aligned:.3f}"
    return Gate("control", bool(turned < straight and aligned > turned), value, cost=cost)


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


def leak_table(rows: pd.DataFrame) -> pd.DataFrame:
    """What joint training without alignment gains over a task's own model, mean over both tasks, without and with the shared
    sentences; of the pairs that were trained both ways."""
    rows = of_stage(rows, "final")
    own = rows[~rows.pair.str.contains("-")].set_index(["task", "seed", "leak"]).test
    joint = rows[rows.pair.str.contains("-") & (rows.way == "plain")]
    joint = joint[joint.pair.isin(joint[joint.leak.astype(bool)].pair)]
    alone = own.loc[list(zip(joint.task, joint.seed, joint.leak, strict=True))]
    gain = joint.assign(gain=joint.test.to_numpy() - alone.to_numpy()).groupby(["pair", "leak", "seed"]).gain.mean()
    return leak_lines(
        {
            "-".join(TITLES[task] for task in pair.split("-")): {
                leak: gain.xs((pair, leak), level=("pair", "leak")) for leak in (False, True)
            }
            for pair in dict.fromkeys(joint.pair)
        }
    )
