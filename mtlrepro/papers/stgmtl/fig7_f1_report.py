"""Figure 7 of STG-MTL: drawn and measured from the rows of `fig7_f1.grouped_f1`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.papers.stgmtl import gates
from mtlrepro.parameters import costs, profile_values

TITLES = {
    "single-task": "single-task",
    "multi-task": "multi-task",
    "same tasks": "multi-task, these tasks",
    "grouped": "STG-MTL",
    "random groups": "random groups",
    "no groups": "no groups",
}
# The numbers of clusters in which the claims are registered, and the paper's fuzziness.
CLUSTERS = {"G1": (2, 3), "G2": (3, 5), "G3": (20, 10)}
FUZZINESS = 2.0
# One multi-task model each.
_RATES = ("rate 0.3", "rate 3")


# --- what a run trains ------------------------------------------------------------------------------------------------


def trainings(values: Mapping[str, Any], group: str) -> int:
    """Networks that are trained for one seed of a task set with a profile's values; without logistic regression, seconds."""
    clusters, kinds = values["clusters"][group], 1 + values["deals"][group]
    grouped = sum(clusters) * len(values["fuzziness"]) * kinds
    return int(1 + values["single_tasks"][group] + grouped + max(clusters) + len(_RATES))


def core_hours(values: Mapping[str, Any], group: str) -> float:
    """Of one seed of a task set, at the throughput that profiles.yaml states for the paper's network."""
    samples = trainings(values, group) * float(values["epochs"] * values["images"])
    return samples / float(costs("stgmtl")["fig7"]["a_second"]) / 3600


def _cost(*groups: str) -> str:
    """What one seed of the full profile takes, in words."""
    values = profile_values("stgmtl/fig7", "full")
    each = [f"{core_hours(values, g):.1f} core hours per seed: {trainings(values, g)} trainings of {g}" for g in groups]
    return f"{'; '.join(each)}, ResNet-18 at {values['side']} pixels, {values['images']:,} images, {values['epochs']} epochs"


def cost_table(rows: pd.DataFrame) -> pd.DataFrame:
    """By task set: what one seed of the full profile trains and takes, how many seeds at that scale the rows have, and the core
    hours of those that are missing.
    """
    values, lines = profile_values("stgmtl/fig7", "full"), []
    whole = rows[(rows.epochs >= values["epochs"]) & (rows.images >= values["images"])]
    for group, seeds in values["seeds"].items():
        here = min(whole[whole.group == group].seed.nunique(), seeds)
        hours = core_hours(values, group)
        lines.append({"task set": group, "trainings per seed": trainings(values, group), "core hours per seed": hours,
                      "seeds": seeds, "seeds here": here, "core hours missing": (seeds - here) * hours})  # fmt: skip
    return pd.DataFrame(lines)


# --- figures and tables -----------------------------------------------------------------------------------------------


def cases(rows: pd.DataFrame, fuzziness: float = FUZZINESS, epochs: int | None = None) -> dict[tuple[str, int], pd.DataFrame]:
    """(task set, number of clusters) -> the rows of all methods, those without clusters among them, averages of logits.

    epochs: after so many; None: after all.
    """
    here = rows[(rows.average == "logits") & (rows.epochs == (epochs or rows.epochs.max()))]
    here = here[here["F"].isna() | (here["F"] == fuzziness)]
    return {
        (str(group), int(k)): own[own.k.isna() | (own.k == k)]
        for group, own in here.groupby("group")
        for k in sorted(own.k.dropna().unique())
    }


def methods(case: pd.DataFrame) -> list[str]:
    """Those of a case in the order of `TITLES`; the multi-task model's scores of the tasks that have a single-task model are one
    of them only where some tasks have none.
    """
    means = case.groupby("method")["test"].mean()
    same = "same tasks" in means and means["same tasks"] == means["multi-task"]
    return [method for method in TITLES if method in means and not (same and method == "same tasks")]


def draw(rows: pd.DataFrame) -> Figure:
    """Figure 7: mean F1 on training and test images, by task set and number of clusters; bars are means, marks are seeds."""
    every = cases(rows)
    height = -(-len(every) // 2)
    fig, axes = plt.subplots(height, 2, figsize=(plots.WIDTH, 0.6 + 2.7 * height), layout="constrained", squeeze=False)
    for ax, ((group, clusters), case) in zip(axes.flat, every.items(), strict=False):
        shown = methods(case)
        for split, offset, color in (("train", -0.2, "sky"), ("test", 0.2, "blue")):
            label = {"train": "training images", "test": "test images"}[split]
            means = [case[case.method == method][split].mean() for method in shown]
            ax.bar(np.arange(len(shown)) + offset, means, 0.4, color=plots.COLORS[color], label=label)
            for x, method in enumerate(shown):
                own = case[case.method == method][split]
                ax.plot([x + offset] * len(own), own, ".", color=plots.COLORS["black"], markersize=4)
        ax.set_xticks(range(len(shown)), [TITLES[method] for method in shown], rotation=40, ha="right", fontsize=9)
        ax.set(ylabel=f"mean F1, {group}, k = {clusters}", ylim=(0, None))
    for ax in axes.flat[len(every) :]:
        ax.axis("off")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def score_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The values of Figure 7, means over seeds, with average precision beside F1, and what each method spends: networks that
    answer, all of one size, and trainings, all of one length, with the one whose maps are clustered.
    """
    columns = {"train": "F1, train", "test": "F1, test", "train precision": "average precision, train",
               "test precision": "average precision, test"}  # fmt: skip
    lines = []
    for (group, k), case in cases(rows).items():
        for method in methods(case):
            own = case[case.method == method]
            networks = int(own.trainings.iloc[0])
            line = {"task set": group, "clusters": k, "method": TITLES[method], "networks": networks}
            line["trainings"] = networks + int(own["F"].notna().any())
            lines.append(line | {word: own[column].mean() for column, word in columns.items()})
    return pd.DataFrame(lines)


def draw_curves(rows: pd.DataFrame) -> Figure:
    """Mean F1 on training and test images after so many epochs, by task set, in its fewest clusters: means over seeds."""
    first = dict(sorted(cases(rows), reverse=True))  # of each task set the last that is put in, the fewest clusters
    looks = dict(zip(TITLES, zip(plots.COLORS.values(), plots.MARKERS, strict=False), strict=False))
    fig, axes = plt.subplots(len(first), 2, figsize=(plots.WIDTH, 0.8 + 2.5 * len(first)), sharex=True, squeeze=False)
    for line, (group, k) in zip(axes, sorted(first.items()), strict=True):
        case = pd.concat(cases(rows, epochs=epochs)[group, k] for epochs in sorted(rows.epochs.unique()))
        for ax, split in zip(line, ("train", "test"), strict=True):
            for method in methods(case):
                means, (color, mark) = case[case.method == method].groupby("epochs")[split].mean(), looks[method]
                ax.plot(means.index, means, f"{mark}-", color=color, label=TITLES[method], markersize=4)
            ax.set(ylim=(0, None))
        line[0].set(ylabel=f"mean F1, {group}, k = {k}")
    for ax, word in zip(axes[-1], ("training images", "test images"), strict=True):
        ax.set(xlabel=f"epochs, {word}")
    fig.legend(*axes[-1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def draw_gain(rows: pd.DataFrame) -> Figure:
    """Test F1 of STG-MTL minus that of random groups, and of as many models without groups, by number of clusters and F: means
    over seeds with 95% intervals.
    """
    fig, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 4), sharey=True)
    settings, every = sorted(rows["F"].dropna().unique()), list(cases(rows))
    over = {"random groups": "random groups", "no groups": "an ensemble without groups"}
    for ax, (method, word) in zip(axes, over.items(), strict=True):
        for i, (f, color, mark) in enumerate(zip(settings, plots.COLORS.values(), "os^D", strict=False)):
            for x, case in enumerate(cases(rows, f).values()):
                mean, low, high = results.interval(gains(case)[method].to_numpy())
                at = x + 0.2 * (i - (len(settings) - 1) / 2)
                ax.plot([at, at], [low, high], color=color)
                ax.plot(at, mean, mark, color=color, label=f"F = {f:g}" if x == 0 else None)
        plots.zero_line(ax)
        ax.set_xticks(range(len(every)), [f"{group}\nk = {k}" for group, k in every], fontsize=9)
        ax.set(xlabel=f"gain on {word}", xlim=(-0.5, len(every) - 0.5))
    axes[0].set(ylabel="mean test F1, difference")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def gains(case: pd.DataFrame, column: str = "test") -> pd.DataFrame:
    """Seeds by methods: STG-MTL's value of `column` minus the method's, of random groups the mean over deals."""
    scores = case.pivot_table(index="seed", columns="method", values=column)
    others = [method for method in TITLES if method not in ("grouped", "same tasks")]
    return pd.DataFrame({method: scores["grouped"] - scores[method] for method in others})


def gain_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`gains` in test F1 and in average precision by task set, number of clusters and F: means over seeds with 95% intervals; and
    the memberships' entropy over that of uniform ones. Single-task models are compared where all tasks have one.
    """
    lines = []
    for f in sorted(rows["F"].dropna().unique()):
        for (group, clusters), case in cases(rows, f).items():
            precision, entropy = gains(case, "test precision"), case.entropy[case.method == "grouped"].mean()
            for name, values in gains(case).items():
                if name == "single-task" and "same tasks" in methods(case):
                    continue
                mean, low, high = results.interval(values.to_numpy())
                lines.append({"task set": group, "clusters": clusters, "F": f, "STG-MTL minus": TITLES[str(name)],
                              "test F1": mean, "low": low, "high": high, "average precision": precision[name].mean(),
                              "seeds": len(values), "entropy": entropy})  # fmt: skip
    return pd.DataFrame(lines)


def findings(rows: pd.DataFrame) -> str:
    """What the groups gain, in sentences."""
    lines = []
    for (group, clusters), case in cases(rows).items():
        one, none, dealt = (gains(case).mean()[name] for name in ("multi-task", "no groups", "random groups"))
        lines.append(
            f"{group} in {clusters} clusters: STG-MTL gains {one:+.3f} on one multi-task model, of which an ensemble without "
            f"groups has {one - none:+.3f}; on random groups it gains {dealt:+.3f}."
        )
    return "\n".join(f"- {line}" for line in lines)


def worth(rows: pd.DataFrame) -> str:
    """Whether the data map is worth anything beyond the ensemble, in sentences, with the gates that failed."""
    settings = rows["F"].dropna().unique()
    lines = []
    for method, words in (("random groups", "the same memberships dealt at random"), ("no groups", "an ensemble without groups")):
        spans = [results.interval(gains(case)[method].to_numpy()) for f in settings for case in cases(rows, f).values()]
        means = [mean for mean, _, _ in spans]
        above, below = sum(low > 0 for _, low, _ in spans), sum(high < 0 for _, _, high in spans)
        lines.append(
            f"Over {words}, STG-MTL gains {min(means):+.3f} to {max(means):+.3f} in mean test F1. Of {len(spans)} settings (task "
            f"set, number of clusters, F) the gain is clear of zero in {above} and the loss in {below}."
        )
    failed = [gate.name for gate in measured(rows).gates if not gate.passed]
    if failed:
        lines.append(f"This run is too small to answer; the box on top has the gates that it fails: {', '.join(failed)}.")
    return " ".join(lines)


# --- what the rows say of the registered claims and gates --------------------------------------------------------------


def measured(rows: pd.DataFrame) -> results.Measured:
    """STG-MTL against the others in the registered numbers of clusters that were run; F = 2, averages of logits."""
    effects = _effects(rows)
    return results.Measured(effects, gates=_gates(rows, effects))


def _effects(rows: pd.DataFrame, epochs: int | None = None) -> dict[str, list[float]]:
    test, train = (_by_group(rows, split, epochs) for split in ("test", "train"))
    small = [group for group in ("G1", "G2") if group in test]
    effects = {}
    if len(small) == 2:
        effects["over-mtl-cifar10"] = _mean_of([test[group]["multi-task"] for group in small])
        effects["over-stl-cifar10"] = _mean_of([test[group]["single-task"] for group in small])
    if "G3" in test:
        effects["over-mtl-cifar100"] = test["G3"]["multi-task"].tolist()
        effects["stl-overfits-cifar100"] = _single_minus_multi(rows[rows.group == "G3"])
    if len(small) == 2 and "G3" in test:
        every = [gains(case)["multi-task"] for case in _registered(rows, epochs).values()]
        effects["consistent"] = (pd.concat(every, axis=1, join="inner").gt(0).mean(axis=1) - 0.5).tolist()
        effects["higher-train-f1"] = _mean_of([gain["multi-task"] for gain in train.values()])
        effects["grouping-is-why"] = _mean_of([gain["random groups"] for gain in test.values()])
    return effects


def _registered(rows: pd.DataFrame, epochs: int | None = None) -> dict[tuple[str, int], pd.DataFrame]:
    """`cases` of the registered numbers of clusters."""
    return {(group, k): case for (group, k), case in cases(rows, epochs=epochs).items() if k in CLUSTERS[group]}


def _by_group(rows: pd.DataFrame, split: str, epochs: int | None) -> dict[str, pd.DataFrame]:
    """Task set -> `gains`, mean over the registered numbers of clusters."""
    every = [(group, gains(case, split)) for (group, _), case in _registered(rows, epochs).items()]
    return {
        group: pd.concat([gain for name, gain in every if name == group]).groupby("seed").mean()
        for group in dict.fromkeys(name for name, _ in every)
    }


def _mean_of(gain: list[pd.Series[float]]) -> list[float]:
    """The mean over task sets, for each seed that all of them have."""
    return pd.concat(gain, axis=1, join="inner").mean(axis=1).tolist()


def _single_minus_multi(rows: pd.DataFrame) -> list[float]:
    """Test F1 over the tasks that have a single-task model, by seed."""
    scores = rows[rows.epochs == rows.epochs.max()].pivot_table(index="seed", columns="method", values="test")
    difference: list[float] = (scores["single-task"] - scores["same tasks"]).tolist()
    return difference


def _gates(rows: pd.DataFrame, effects: dict[str, list[float]]) -> list[results.Gate]:
    last = rows[(rows.epochs == rows.epochs.max()) & (rows.average == "logits")]
    mean = last.groupby(["group", "method"])[["train", "test"]].mean()
    test = mean["test"]
    groups = list(dict.fromkeys(last.group))
    level = [
        results.Gate.within(f"{group} {name}", float(test[group, "multi-task"]), least=least)
        for group, bound in (("G1", 0.55), ("G3", 0.20))
        if group in groups
        for name, least in (("F1", bound), ("above linear", float(test[group, "linear"])))
    ]
    rates = [
        results.Gate.within(f"{group} below the best rate", best - float(test[group, "multi-task"]), most=0.01)
        for group in groups
        for best in [max(float(test[group, method]) for method in ("multi-task", *_RATES))]
    ]
    names = [name for name in ("over-mtl-cifar10", "over-mtl-cifar100", "over-stl-cifar10") if name in effects]
    error = max(float(np.std(effects[name], ddof=1) / np.sqrt(len(effects[name]))) for name in names)
    ensemble = gains(next(case for (group, _), case in _registered(rows).items() if group == "G1"))
    cost, early = _cost("G1", "G2", "G3"), -(-int(rows.epochs.max()) // 2)
    return [
        results.Gate.every("baseline-level", level, cost=cost),
        results.Gate.within("regime", float(mean["train"]["G1", "multi-task"]), least=0.90, cost=_cost("G1")),
        gates.same_signs(names, _effects(rows, early), effects, cost),
        results.Gate.every("same-settings", rates, cost=cost),
        results.Gate.within("precision", error, most=0.005, cost="more seeds, in proportion to the square of the error"),
        results.Gate.clear_of_zero("control", (ensemble["multi-task"] - ensemble["no groups"]).tolist(), cost=_cost("G1")),
    ]
