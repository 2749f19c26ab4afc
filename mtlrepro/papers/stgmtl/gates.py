"""Gates that several exhibits of STG-MTL share, computed from the rows of `fig4_groups.data_maps`, and what passing them costs.

Costs are in core time at the measured speed of the paper's ResNet-18 at 32 pixels: 277 s for 15,000 images and 10 epochs.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from mtlrepro import results
from mtlrepro.papers.stgmtl.task_groups import TaskMaps

NOT_RECORDED = "not recorded"
TEN_TASKS = "25 core minutes: ResNet-18 at 32 pixels, 15,000 images, 10 epochs, 5 seeds"
HUNDRED_TASKS = "1.3 core hours: ResNet-18 at 32 pixels, 50,000 images, 10 epochs, 5 seeds"


def not_recorded(name: str, cost: str) -> results.Gate:
    """A gate that the rows cannot compute."""
    return results.Gate(name, False, NOT_RECORDED, cost=cost)


def learned(tasks: pd.DataFrame, least: float, cost: str, least_test: float | None = None) -> results.Gate:
    """Mean training F1 of the models, over tasks and seeds, and test F1 where asked for. tasks: rows of the tasks that count."""
    needed = {"f1": least} | ({"test f1": least_test} if least_test is not None else {})
    if any(column not in tasks or tasks[column].isna().any() for column in needed):
        return not_recorded("learned", cost)
    parts = [results.Gate.within(name, float(tasks[name].mean()), least=bound) for name, bound in needed.items()]
    return results.Gate.every("learned", parts, cost=cost)


def equal_prevalence(tasks: pd.DataFrame) -> results.Gate:
    """Whether all tasks have one share of positive answers, to a tenth of it, and one positive weight."""
    if "share" not in tasks or tasks["share"].isna().any():
        return not_recorded("equal-prevalence", "none beyond a run of today's code, which records it")
    spread = float(tasks["share"].max() / tasks["share"].min() - 1)
    passed = spread <= 0.1 and tasks["weight"].nunique() == 1
    return results.Gate("equal-prevalence", passed, f"shares within {spread:.0%}", cost="the same number of images of each class")


def kmeans(maps: Iterable[TaskMaps], clusters: Iterable[int]) -> results.Gate:
    """Whether more starts find no better k-means, for every seed and number of clusters."""
    counts = list(clusters)
    settled = [own.settled(k) for own in maps for k in counts]
    value = f"{sum(settled)} of {len(settled)} groupings settled"
    return results.Gate("kmeans", all(settled), value, cost="seconds: more starts")


def largest_cluster(maps: Iterable[TaskMaps], k: int, most: float, cost: str) -> results.Gate:
    """The largest share of the tasks in one cluster, over seeds."""
    largest = max(float(np.bincount(own.labels(k)).max()) / len(own.tasks) for own in maps)
    return results.Gate.within("cluster-sizes", largest, most=most, cost=cost)


def clear_of_zero(name: str, values: list[float], cost: str, least: float = -np.inf) -> results.Gate:
    """Whether the 95% interval of the mean lies above zero, and the mean at `least` or above."""
    if len(values) < 2:
        return results.Gate(name, False, "fewer than two values", cost=cost)
    mean, low, high = results.interval(values)
    return results.Gate(name, bool(low > 0 and mean >= least), f"{mean:.2f} [{low:.2f}, {high:.2f}]", cost=cost)
