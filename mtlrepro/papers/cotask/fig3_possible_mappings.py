"""What CO-TASK's generator makes: laws of merged classes and OR labels on real task sets, and counts against closed forms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

from mtlrepro.data.tasks import Task
from mtlrepro.methods import cotask
from mtlrepro.methods.cotask import AuxiliaryTask, combine_labels, combine_tasks

# The four sign patterns, with the one that is never made.
SIGNS = {
    "a or b": (False, False),
    "a or not b": (False, True),
    "not a or b": (True, False),
    "not a or not b": (True, True),
}


def try_laws(tasks: Sequence[Task], seed: int) -> dict[str, int]:
    """Every pair of `tasks` merged once: instances and violations of each law.

    mapping: a merged class holds exactly one class of each parent. labels: each record lies in the merged class of its own class.
    size: floor of half of both parents' records, in every part. own: distinct records of the parents' same part.
    """
    made = [task for task in combine_tasks(tasks, math.comb(len(tasks), 2), seed) if isinstance(task, AuxiliaryTask)]
    broken = Counter({"mapping": 0, "labels": 0, "size": 0, "own": 0})
    for task in made:
        k = len(task.parents[0].classes)
        broken["mapping"] += not (np.sort(task.mapping, 0) == np.arange(k)[:, None]).all()
        faults = {"labels": False, "size": False, "own": False}
        for part, (rows, labels) in task.parts.items():
            parents = [parent.parts[part] for parent in task.parents]
            both = np.concatenate([own.rows for own in parents])
            order = np.argsort(both)
            place = order[np.searchsorted(both, rows, sorter=order).clip(max=len(both) - 1)]
            classes = np.concatenate([own.labels for own in parents])[place]
            faults["own"] |= len(np.unique(rows)) < len(rows) or not (both[place] == rows).all()
            faults["labels"] |= not (task.mapping[labels, task.origin[part]] == classes).all()
            faults["size"] |= len(rows) != len(both) // 2
        broken.update(faults)
    return {"n": len(made), **broken}


def try_counts(tasks: int, classes: int, per_task: int, seed: int) -> dict[str, Any]:
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
    found = list(seen.values()) + [0] * (pairs * ways - len(seen))
    test = stats.chisquare(found, ddof=pairs - 1)
    return {
        "tasks": tasks,
        "classes": classes,
        "distinct": len(seen),
        "closed": cotask.distinct_tasks(tasks, classes),
        "draws": sum(found),
        "p": float(test.pvalue),
    }


def try_patterns(labels: int, seeds: int, seed: int) -> list[dict[str, Any]]:
    """All pairs of `labels` yes-no labels combined under `seeds` seeds: how often each sign pattern was made."""
    table = np.eye(labels, dtype=np.int64)
    made: Counter[tuple[bool, bool]] = Counter()
    names = set()
    for number in range(seeds):
        for task in combine_labels(table, math.comb(labels, 2), 1_000_000 * seed + number):
            made[task.negated] += 1  # type: ignore[union-attr]
            names.add(task.name)
    closed = cotask.distinct_labels(labels)
    return [
        {"labels": labels, "pattern": name, "made": made[signs], "distinct": len(names), "closed": closed}
        for name, signs in SIGNS.items()
    ]


def smaller_class(shares: dict[str, float]) -> list[dict[str, Any]]:
    """Share of the smaller class of every pattern for all pairs of labels with these shares of yes, were they independent."""
    lines = []
    for (a, p), (b, q) in combinations(shares.items(), 2):
        for name, (no_a, no_b) in SIGNS.items():
            x, y = (1 - p if no_a else p), (1 - q if no_b else q)
            either = 1 - (1 - x) * (1 - y)
            lines.append({"a": a, "b": b, "pattern": name, "smaller": min(either, 1 - either)})
    return lines


def bell(n: int) -> int:
    """B_n, the number of ways to partition n things into groups (Bell's triangle)."""
    row = [1]
    for _ in range(n):
        new = [row[-1]]
        for value in row:
            new.append(new[-1] + value)
        row = new
    return row[0]
