"""What CO-TASK's generator makes: mappings of the classes of two tasks, and how many auxiliary tasks there are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import stats

from mtlrepro.methods.cotask import AuxiliaryLabel, AuxiliaryTask, combine_labels, combine_tasks, distinct_labels, distinct_tasks
from mtlrepro.papers.cotask.data.cifar_mtl import ImageTasks, cifar_mtl, digits_mtl
from mtlrepro.parameters import Params

# The four sign patterns of an OR of two labels, and whether each label is negated; the last one is never made.
SIGNS = {
    "a or b": (False, False),
    "a or not b": (False, True),
    "not a or b": (True, False),
    "not a or not b": (True, True),
}


@lru_cache(maxsize=1)
def task_set(source: str) -> ImageTasks:
    """The tasks that are merged: CIFAR-MTL ("cifar") or two tasks of digits ("digits")."""
    return cifar_mtl(seed=0) if source == "cifar" else digits_mtl(seed=0)


def settings(p: Params) -> list[dict[str, Any]]:
    """Settings of four drawn mappings, of the counts and of the sign patterns."""
    return [
        *({"kind": "mapping", "seed": seed, "source": p.source} for seed in range(4)),
        *({"kind": "count", "seed": 0, "tasks": n, "classes": k, "per_task": p.per_task} for n, k in p.sizes),
        *({"kind": "pattern", "seed": 0, "labels": n, "seeds": 40} for n in (2, 5, 18)),
    ]


def rows_of(kind: str, seed: int, **options: Any) -> Any:
    """The rows of one setting. kind: mapping, count or pattern, what the setting measures."""
    measures: dict[str, Callable[..., Any]] = {"mapping": mapping, "count": count, "pattern": pattern}
    return measures[kind](seed=seed, **options)


def mapping(seed: int, source: str) -> list[dict[str, Any]]:
    """The generator's first auxiliary task, one row per merged class."""
    names = {"auxiliary task": "task", "merged class": "z", "of the first": "first", "of the second": "second"}
    lines = combine_tasks(task_set(source).tasks, 1, seed)[0].lines()
    return [{names.get(key, key): value for key, value in line.items()} for line in lines]


def count(seed: int, tasks: int, classes: int, per_task: int) -> dict[str, Any]:
    """All pairs of `tasks` small tasks merged under as many seeds as make `per_task` draws for each distinct auxiliary task.

    Returns the distinct ones seen, the closed form, the draws, and the p-value of a chi-square test that all ways to merge
    a pair are equally likely.
    """
    small = {f"t{t}": (np.arange(t * classes, (t + 1) * classes), np.arange(classes)) for t in range(tasks)}
    pairs, ways = math.comb(tasks, 2), math.factorial(classes)
    seen: Counter[Any] = Counter()
    for number in range(per_task * ways):
        for task in combine_tasks(small, pairs, 1_000_000 * seed + number):
            if isinstance(task, AuxiliaryTask):
                # In order of the first parent's classes, so that renumbered merged classes count as one.
                seen[task.name, tuple(task.mapping[np.argsort(task.mapping[:, 0]), 1].tolist())] += 1
    times = list(seen.values()) + [0] * (pairs * ways - len(seen))
    test = stats.chisquare(times, ddof=pairs - 1)
    return {"distinct": len(seen), "closed": distinct_tasks(tasks, classes), "draws": sum(times), "p": float(test.pvalue)}


def pattern(seed: int, labels: int, seeds: int) -> list[dict[str, Any]]:
    """All pairs of `labels` yes-no labels combined under `seeds` seeds: how often each sign pattern was made."""
    table = np.eye(labels, dtype=np.int64)
    times: Counter[tuple[bool, bool]] = Counter()
    names = set()
    for number in range(seeds):
        for task in combine_labels(table, math.comb(labels, 2), 1_000_000 * seed + number):
            if isinstance(task, AuxiliaryLabel):
                times[task.negated] += 1
                names.add(task.name)
    closed = distinct_labels(labels)
    return [{"pattern": name, "made": times[signs], "distinct": len(names), "closed": closed} for name, signs in SIGNS.items()]
