"""Figures to move on the paper's page: the sampler, and accuracy along the budget."""

from __future__ import annotations

from functools import cache

import torch
from touch import Axes, Control, Picture, Shape, Touchable, label, number, recorded, shape

from mtlrepro.device import generator
from mtlrepro.methods import task_aware_weights
from mtlrepro.methods.task_aware_sampler import TaskAwareSampler, balanced, every_record, log_share

# --- the sampler ------------------------------------------------------------------------------------------------------

RECORDS, BATCH = 10_000, 64
RULES = {"log(x) / x, the paper's": log_share, "1 / x": balanced, "1, no sampler": every_record}
_RARE = [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000]


def labels(rare: int) -> torch.Tensor:
    """(RECORDS,) labels, the first `rare` of them 1."""
    return (torch.arange(RECORDS) < rare).long()


@cache
def share(rare: int, rule: str) -> float:
    """The rare class's share of what is drawn, from the package's weights."""
    weights = task_aware_weights(labels(rare), RULES[rule])
    return float(weights[:rare].sum() / weights.sum())


def sampler() -> Touchable:
    def draw(rare: int, rule: str, batch: int) -> Picture:
        drawn = TaskAwareSampler([labels(rare)], BATCH, generator(batch, "touch"), weight=RULES[rule])
        own = drawn.draw(torch.tensor([0]))[1][0].tolist()
        parts = [
            shape("circle", cx=70.0 + 43 * (i % 8), cy=26.0 + 26 * (i // 8), r=8, kind="d-dot-a" if rare_one else "d-dot-b")
            for i, rare_one in enumerate(own)
        ]
        numbers = {
            "of the records": f"{100 * rare / RECORDS:g}%", "of what is drawn, on average": f"{100 * share(rare, rule):.3g}%",
            "in this batch": f"{sum(own)} of {BATCH}",
        }  # fmt: skip
        return Picture(parts, numbers)

    controls = [
        Control("Rare records, of 10,000", _RARE, 100, "{:,}".format),
        Control("Weight of a record in a class of x", list(RULES), next(iter(RULES)), choice=True),
        Control("Batch", [1, 2, 3, 4, 5], 1),
    ]
    key = [
        shape("circle", cx=70, cy=243, r=8, kind="d-dot-a"), label(86, 247, "rare class"),
        shape("circle", cx=199, cy=243, r=8, kind="d-dot-b"), label(215, 247, "the other"),
    ]  # fmt: skip
    return Touchable("The task-aware sampler: one batch of 64", controls, key, draw, 258)


# --- Table 3 ----------------------------------------------------------------------------------------------------------

_LOOKS = {"multi": "a", "cotask": "b"}
_STATISTICS = {"accuracy": "running averages", "own": "the task's own", "mixed": "all tasks mixed"}


def budget() -> Touchable:
    """Recorded trainings of Table 3, standard and half as long, by the images they saw."""
    rows = recorded("cotask/tab3")
    own = rows[(rows.noise == 0) & (rows.baseline == "multi") & rows.variant.isin(["standard", "half"])]
    budgets = {method: sorted(own[own.method == method].images.unique()) for method in ("single", "multi", "cotask")}
    images = sorted(set().union(*budgets.values()))
    tasks = ["all twenty", *own.task.unique()]
    axes = Axes(
        (images[0] / 1.15, images[-1] * 1.1), (0, 1), log=True, ticks={image: f"{image / 1000:,.0f}k" for image in images}
    )
    background = axes.frame("training images seen", "test accuracy")
    for i, (kind, words) in enumerate((("d-a", "multi-task"), ("d-b", "CO-TASK"))):
        background += [shape("path", d=f"M{54 + 125 * i} 304h26", kind=f"d-line {kind}"), label(86 + 125 * i, 308, words)]
    background += [shape("rect", x=306, y=296, width=9, height=9, kind="d-box"), label(322, 308 - 3, "single-task")]

    @cache
    def table(task: str, statistics: str) -> dict[tuple[str, float], float]:
        here = own if task == tasks[0] else own[own.task == task]
        return here.groupby(["method", "images"])[statistics].mean().to_dict()

    def draw(task: str, statistics: str) -> Picture:
        found = table(task, statistics)
        parts: list[Shape] = []
        for method, kind in _LOOKS.items():
            parts += [axes.line(budgets[method], [found[method, b] for b in budgets[method]], f"d-{kind}")]
            parts += [axes.dot(b, found[method, b], f"d-dot-{kind}") for b in budgets[method]]
        alone = budgets["single"][-1]
        x, y = axes.at(alone, found["single", alone])
        parts += [shape("rect", x=x - 5, y=y - 5, width=10, height=10, kind="d-box")]
        numbers = {
            f"{name}, {b / 1000:,.0f}k": number(found[method, b])
            for method, name in (("multi", "multi-task"), ("cotask", "CO-TASK"), ("single", "single-task"))
            for b in budgets[method]
        }
        return Picture(parts, numbers)

    controls = [
        Control("Task", tasks, tasks[0]),
        Control("Batch statistics in the test", list(_STATISTICS), "accuracy", _STATISTICS.__getitem__, choice=True),
    ]
    return Touchable("Multi-task against CO-TASK along the budget", controls, background, draw, 315, "recorded")


FIGURES = {"sampler": sampler, "tab3-budget": budget}
