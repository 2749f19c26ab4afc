"""Figure 7 of STG-MTL, drawn and judged from the rows of `fig7_f1.grouped_f1`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results

METHODS = {
    "single-task": "single-task",
    "multi-task": "multi-task, one model",
    "no groups": "k models, no groups",
    "random groups": "k models, random groups",
    "grouped": "k models, STG-MTL",
}
_OTHERS = ("multi-task", "single-task", "random groups", "no groups")


def draw(rows: pd.DataFrame) -> Figure:
    """Figure 7: mean F1 on training and test images, by task set and number of clusters; a mark per seed."""
    cases = list(rows.groupby(["group", "clusters"]))
    height = -(-len(cases) // 2)
    size = (plots.WIDTH, 0.7 + 3 * height)
    fig, axes = plt.subplots(height, 2, figsize=size, sharey=True, layout="constrained", squeeze=False)
    for ax, ((group, clusters), case) in zip(axes.flat, cases, strict=False):
        here = case[case.average == "logits"]
        for y, method in enumerate(METHODS):
            own = here[here.method == method]
            for split, offset, color in (("train", 0.13, "sky"), ("test", -0.13, "blue")):
                label = f"{split.replace('train', 'training')} images" if y == 1 else None
                ax.plot(own[split], [y + offset] * len(own), "o", color=plots.COLORS[color], label=label)
        ax.set(title=f"{group}, k = {clusters}", xlabel="mean F1", yticks=range(len(METHODS)))
        ax.set_yticklabels(METHODS.values())
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Seeds by methods: STG-MTL's test F1 minus the method's; "probabilities": STG-MTL's with probabilities minus with logits."""
    test = rows.pivot(index="seed", columns=["average", "method"], values="test")
    grouped = test["logits", "grouped"]
    gain = {method: grouped - test["logits", method] for method in METHODS if ("logits", method) in test}
    return pd.DataFrame(gain | {"probabilities": test["probabilities", "grouped"] - grouped}).drop(columns="grouped")


def gain_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`gains` by task set and number of clusters: means over seeds with 95% intervals."""
    lines = []
    for (group, clusters), case in rows.groupby(["group", "clusters"]):
        for name, values in gains(case).items():
            mean, low, high = results.interval(values.to_numpy())
            other = METHODS.get(str(name), "itself with logits, from probabilities")
            lines.append({"task set": f"{group}, k = {clusters}", "STG-MTL minus": other,
                          "test F1": f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]", "n": len(values)})  # fmt: skip
    return pd.DataFrame(lines).set_index(["task set", "STG-MTL minus"])


def claims(rows: pd.DataFrame) -> list[results.Part]:
    """STG-MTL's test F1 above each other method's."""
    return [
        results.paired(name, gain[method].to_numpy(), setting=f"{group}, k = {clusters}", unit="F1")
        for (group, clusters), case in rows.groupby(["group", "clusters"])
        for gain in [gains(case)]
        for method, name in ((method, f"higher test F1 than {METHODS[method]}") for method in _OTHERS)
        if method in gain
    ]
