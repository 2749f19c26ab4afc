"""Figure 7 of STG-MTL: drawn and measured from the rows of `fig7_f1.grouped_f1`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.papers.stgmtl import gates

TITLES = {
    "single-task": "single-task",
    "multi-task": "multi-task",
    "grouped": "STG-MTL",
    "random groups": "random groups",
    "no groups": "no groups",
}
# The numbers of clusters in which the claims are registered, and the paper's fuzziness.
CLUSTERS = {"G1": (2, 3), "G2": (3, 5), "G3": (20, 10)}
FUZZINESS = 2.0
_TEN_TASKS = "5.9 core hours per seed: 36 trainings of G1 and 55 of G2, ResNet-18 at 32 pixels, 10,000 images, 16 epochs"
_HUNDRED_TASKS = "9.9 core hours per seed: 153 trainings of G3 of the same size"


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


def draw(rows: pd.DataFrame) -> Figure:
    """Figure 7: mean F1 on training and test images, by task set and number of clusters; bars are means, marks are seeds."""
    every = cases(rows)
    height = -(-len(every) // 2)
    fig, axes = plt.subplots(height, 2, figsize=(plots.WIDTH, 0.6 + 2.7 * height), layout="constrained", squeeze=False)
    for ax, ((group, clusters), case) in zip(axes.flat, every.items(), strict=False):
        methods = [method for method in TITLES if (case.method == method).any()]
        for split, offset, color in (("train", -0.2, "sky"), ("test", 0.2, "blue")):
            label = {"train": "training images", "test": "test images"}[split]
            means = [case[case.method == method][split].mean() for method in methods]
            ax.bar(np.arange(len(methods)) + offset, means, 0.4, color=plots.COLORS[color], label=label)
            for x, method in enumerate(methods):
                own = case[case.method == method][split]
                ax.plot([x + offset] * len(own), own, ".", color=plots.COLORS["black"], markersize=4)
        ax.set_xticks(range(len(methods)), [TITLES[method] for method in methods], rotation=40, ha="right", fontsize=9)
        ax.set(ylabel=f"mean F1, {group}, k = {clusters}", ylim=(0, None))
    for ax in axes.flat[len(every) :]:
        ax.axis("off")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def draw_gain(rows: pd.DataFrame) -> Figure:
    """Test F1 and average precision of STG-MTL minus random groups, by number of clusters and F: means with 95% intervals."""
    fig, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 3.6), sharey=True)
    settings = sorted(rows["F"].dropna().unique())
    labels = [f"{group}, k = {k}" for group, k in cases(rows)]
    for ax, (column, word) in zip(axes, (("test", "test F1"), ("test precision", "average precision")), strict=True):
        for f, offset, color in zip(settings, (-0.12, 0.12), plots.COLORS.values(), strict=False):
            for y, case in enumerate(cases(rows, f).values()):
                mean, low, high = results.interval(gains(case, column)["random groups"].to_numpy())
                ax.plot([low, high], [y + offset] * 2, color=plots.COLORS["grey"])
                ax.plot(mean, y + offset, "o", color=color, label=f"F = {f:g}" if y == 0 else None)
        ax.axvline(0, color="0.4", linewidth=1)
        ax.set(xlabel=f"{word}, gain on random groups", yticks=range(len(labels)))
    axes[0].set_yticklabels(labels)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def gains(case: pd.DataFrame, column: str = "test") -> pd.DataFrame:
    """Seeds by methods: STG-MTL's value of `column` minus the method's."""
    scores = case.pivot(index="seed", columns="method", values=column)
    return pd.DataFrame({method: scores["grouped"] - scores[method] for method in TITLES if method != "grouped"})


def gain_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`gains` in test F1 and in average precision by task set, number of clusters and F: means over seeds with 95% intervals."""
    lines = []
    for f in sorted(rows["F"].dropna().unique()):
        for (group, clusters), case in cases(rows, f).items():
            precision = gains(case, "test precision")
            for name, values in gains(case).items():
                mean, low, high = results.interval(values.to_numpy())
                lines.append({"task set": group, "clusters": clusters, "F": f, "STG-MTL minus": TITLES[str(name)],
                              "test F1": mean, "low": low, "high": high, "average precision": precision[name].mean(),
                              "seeds": len(values)})  # fmt: skip
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
        for best in [max(float(test[group, method]) for method in ("multi-task", "rate 0.3", "rate 3"))]
    ]
    names = [name for name in ("over-mtl-cifar10", "over-mtl-cifar100", "over-stl-cifar10") if name in effects]
    error = max(float(np.std(effects[name], ddof=1) / np.sqrt(len(effects[name]))) for name in names)
    ensemble = gains(next(case for (group, _), case in _registered(rows).items() if group == "G1"))
    cost = f"{_TEN_TASKS}; {_HUNDRED_TASKS}"
    return [
        results.Gate.every("baseline-level", level, cost=cost),
        results.Gate.within("regime", float(mean["train"]["G1", "multi-task"]), least=0.90, cost=_TEN_TASKS),
        gates.same_signs(names, _effects(rows, int(rows.epochs.min())), effects, cost),
        results.Gate.every("same-settings", rates, cost=cost),
        results.Gate.within("precision", error, most=0.005, cost="more seeds, in proportion to the square of the error"),
        gates.clear_of_zero("control", (ensemble["multi-task"] - ensemble["no groups"]).tolist(), _TEN_TASKS),
    ]
