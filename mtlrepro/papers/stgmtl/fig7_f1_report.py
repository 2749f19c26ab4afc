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
# The numbers of clusters in which the claims are registered.
CLUSTERS = {"G1": (2, 3), "G2": (3, 5), "G3": (20, 10)}
_TEN_TASKS = "9 core hours: ResNet-18 at 32 pixels, 15,000 images, 10 epochs, 40 trainings per seed of G1 and G2, 3 seeds"
_HUNDRED_TASKS = "24 core hours: ResNet-18 at 32 pixels, 50,000 images, 10 epochs, 31 trainings per seed of G3, 3 seeds"


# --- figures and tables -----------------------------------------------------------------------------------------------


def draw(rows: pd.DataFrame) -> Figure:
    """Figure 7: mean F1 on training and test images, by task set and number of clusters; bars are means, marks are seeds."""
    cases = list(rows[rows.average == "logits"].groupby(["group", "clusters"]))
    height = -(-len(cases) // 2)
    fig, axes = plt.subplots(height, 2, figsize=(plots.WIDTH, 0.6 + 2.7 * height), layout="constrained", squeeze=False)
    for ax, ((group, clusters), case) in zip(axes.flat, cases, strict=False):
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
    for ax in axes.flat[len(cases) :]:
        ax.axis("off")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def gains(rows: pd.DataFrame, split: str = "test") -> pd.DataFrame:
    """Seeds by methods: STG-MTL's F1 minus the method's; "probabilities": STG-MTL's with probabilities minus with logits."""
    scores = rows.pivot(index="seed", columns=["average", "method"], values=split)
    grouped = scores["logits", "grouped"]
    gain = {method: grouped - scores["logits", method] for method in TITLES if ("logits", method) in scores}
    return pd.DataFrame(gain | {"probabilities": scores["probabilities", "grouped"] - grouped}).drop(columns="grouped")


def gain_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`gains` in test F1 by task set and number of clusters: means over seeds with 95% intervals."""
    lines = []
    for (group, clusters), case in rows.groupby(["group", "clusters"]):
        for name, values in gains(case).items():
            mean, low, high = results.interval(values.to_numpy())
            other = TITLES.get(str(name), "itself with logits, from probabilities")
            lines.append({"task set": group, "clusters": clusters, "STG-MTL minus": other, "test F1": mean, "low": low,
                          "high": high, "seeds": len(values)})  # fmt: skip
    return pd.DataFrame(lines)


def findings(rows: pd.DataFrame) -> str:
    """What the groups gain, in sentences."""
    lines = []
    for (group, clusters), case in rows.groupby(["group", "clusters"]):
        one, none, dealt = (gains(case).mean()[name] for name in ("multi-task", "no groups", "random groups"))
        lines.append(
            f"{group} in {clusters} clusters: STG-MTL gains {one:+.3f} on one multi-task model, of which an ensemble without "
            f"groups has {one - none:+.3f}; on random groups it gains {dealt:+.3f}."
        )
    return "\n".join(f"- {line}" for line in lines)


# --- what the rows say of the registered claims and gates --------------------------------------------------------------


def measured(rows: pd.DataFrame) -> results.Measured:
    """STG-MTL against the others in the registered numbers of clusters that were run; averages of logits."""
    test = _by_group(rows, "test")
    train = _by_group(rows, "train")
    small = [group for group in ("G1", "G2") if group in test]
    effects = {}
    if len(small) == 2:
        effects["over-mtl-cifar10"] = _mean_of([test[group]["multi-task"] for group in small])
        effects["over-stl-cifar10"] = _mean_of([test[group]["single-task"] for group in small])
    if "G3" in test:
        effects["over-mtl-cifar100"] = test["G3"]["multi-task"].tolist()
    if len(small) == 2 and "G3" in test:
        every = [case["multi-task"] for _, case in _cases(rows, "test")]
        effects["consistent"] = (pd.concat(every, axis=1, join="inner").gt(0).mean(axis=1) - 0.5).tolist()
        effects["higher-train-f1"] = _mean_of([gain["multi-task"] for gain in train.values()])
        effects["grouping-is-why"] = _mean_of([gain["random groups"] for gain in test.values()])
    return results.Measured(effects, gates=_gates(rows, effects))


def _cases(rows: pd.DataFrame, split: str) -> list[tuple[str, pd.DataFrame]]:
    """Task set and `gains`, for each registered number of clusters that was run."""
    return [
        (str(group), gains(case, split))
        for (group, clusters), case in rows.groupby(["group", "clusters"])
        if clusters in CLUSTERS[str(group)]
    ]


def _by_group(rows: pd.DataFrame, split: str) -> dict[str, pd.DataFrame]:
    """Task set -> `gains`, mean over the registered numbers of clusters."""
    cases = _cases(rows, split)
    return {
        group: pd.concat([gain for name, gain in cases if name == group]).groupby("seed").mean()
        for group in dict.fromkeys(name for name, _ in cases)
    }


def _mean_of(gain: list[pd.Series[float]]) -> list[float]:
    """The mean over task sets, for each seed that all of them have."""
    return pd.concat(gain, axis=1, join="inner").mean(axis=1).tolist()


def _gates(rows: pd.DataFrame, effects: dict[str, list[float]]) -> list[results.Gate]:
    multi_task = rows[rows.method == "multi-task"].groupby("group")[["train", "test"]].mean()
    level = [results.Gate.within("G1", float(multi_task["test"]["G1"]), least=0.55)]
    if "G3" in multi_task.index:
        level.append(results.Gate.within("G3", float(multi_task["test"]["G3"]), least=0.20))
    level.append(gates.not_recorded("logistic regression", ""))
    primary = [effects[name] for name in ("over-mtl-cifar10", "over-mtl-cifar100", "over-stl-cifar10") if name in effects]
    error = max(float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.inf for values in primary)
    ensemble = _cases(rows[rows.group == "G1"], "test")[0][1]
    return [
        results.Gate.every("baseline-level", level, cost=f"{_TEN_TASKS}; {_HUNDRED_TASKS}"),
        results.Gate.within("regime", float(multi_task["train"]["G1"]), least=0.90, cost=_TEN_TASKS),
        gates.not_recorded("converged", "twice the epochs: 18 core hours for G1 and G2, 48 for G3"),
        gates.not_recorded("same-settings", "three times the trainings: a grid of three rates"),
        results.Gate.within("precision", error, most=0.005, cost="more seeds, in proportion to the square of the error"),
        gates.clear_of_zero("control", (ensemble["multi-task"] - ensemble["no groups"]).tolist(), _TEN_TASKS),
    ]
