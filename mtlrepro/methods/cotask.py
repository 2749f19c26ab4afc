"""CO-TASK (Hsieh and Tseng 2021): auxiliary tasks from COmbinations of TASK labels, at no cost in new labels.

`combine_tasks`, for k-class tasks with records of their own. An auxiliary task joins two tasks i and j; with a random
permutation of the classes of each, its class z holds one class of each,

    C_z = C^i_{p_i(z)} u C^j_{p_j(z)},   z = 1 ... k,

on a random half of both tasks' records (1/n for n tasks; here n = 2). Of the (k!)^2 pairs of permutations k! only renumber the
merged classes, so N tasks have (N choose 2) k! distinct auxiliary tasks.

`combine_labels`, for N yes-no labels on the same records. An auxiliary label is the OR of two labels, each possibly negated:
"a or b", "a or not b", "not a or b". The fourth, "not a or not b", sets those with both labels against everybody else and is
never made. There are 3 (N choose 2).

The same seed gives the same tasks, and a larger `count` only appends further ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mtlrepro.data.tasks import Ints, Records, Task
from mtlrepro.errors import BadValue, UnknownName

# Which of the two labels is negated. Both together, (True, True), is the pattern that the paper removes.
PATTERNS = ((False, False), (False, True), (True, False))


@dataclass(frozen=True, eq=False, kw_only=True)
class AuxiliaryTask(Task):
    """Classes of two tasks merged in pairs.

    parents: the two tasks. mapping: (k, 2); merged class z holds class mapping[z, 0] of the first and mapping[z, 1] of the
    second. origin: part -> (n,), 0 for a record of the first parent and 1 for one of the second.
    """

    parents: tuple[Task, Task]
    mapping: Ints
    origin: Mapping[str, Ints]

    def lines(self) -> list[dict[str, Any]]:
        """One line a merged class: what it holds, and how many records of each part."""
        first, second = self.parents
        return [
            {
                "auxiliary task": self.name,
                "merged class": z,
                "of the first": first.classes[a],
                "of the second": second.classes[b],
            }
            | {part: int((records.labels == z).sum()) for part, records in self.parts.items()}
            for z, (a, b) in enumerate(self.mapping)
        ]


@dataclass(frozen=True, eq=False, kw_only=True)
class AuxiliaryLabel(Task):
    """The OR of two yes-no labels. columns: their columns. negated: whether each is negated."""

    columns: tuple[int, int]
    negated: tuple[bool, bool]

    def of_labels(self, labels: ArrayLike) -> Ints:
        """labels (n, N) of any records -> (n,) 0 or 1."""
        return _either(np.asarray(labels), self.columns, self.negated)

    def lines(self) -> list[dict[str, Any]]:
        """One line: for each part the records, and those of them that are labelled yes."""
        counts: dict[str, Any] = {"auxiliary task": self.name}
        for part, (rows, labels) in self.parts.items():
            counts |= {f"{part}: yes": int(labels.sum()), f"{part}: records": len(rows)}
        return [counts]


class AuxiliaryTasks(tuple[AuxiliaryTask | AuxiliaryLabel, ...]):
    """The auxiliary tasks in the order they were drawn."""

    __slots__ = ()

    def table(self) -> pd.DataFrame:
        """What was merged with what, and how many records that gave."""
        return pd.DataFrame([line for task in self for line in task.lines()])

    def _repr_html_(self) -> str:
        return str(self.table().to_html(index=False))


Tasks = Sequence[Task] | Mapping[str, tuple[ArrayLike, ArrayLike]]


def combine_tasks(tasks: Tasks, count: int, seed: int, major: Mapping[str, float] | None = None) -> AuxiliaryTasks:
    """`count` auxiliary tasks from distinct random pairs of k-class tasks.

    tasks: `Task`s, or name -> (rows (n,), labels (n,)) for training records alone; rows number the records of a set that all
    tasks have in common. Every part (training, test ...) of a pair is halved at random, once.
    major: name -> weight of a task that counts more than the others' 1. A pair is drawn in proportion to the product of its two
    weights, without replacement (our reading; the paper says only that such tasks are sampled more often).
    Raises BadValue for fewer than two tasks, unequal numbers of classes, tasks that share records, fewer pairs than `count`, or
    a weight that is not above 0; UnknownName for a major task that does not exist.
    """
    known = [Task.of(name, *value) for name, value in tasks.items()] if isinstance(tasks, Mapping) else list(tasks)
    pairs = draw_pairs([task.name for task in known], count, seed, major)
    for task in known[1:]:
        if len(task.classes) != len(known[0].classes):
            sizes = f"{known[0].name!r} has {len(known[0].classes)}, {task.name!r} has {len(task.classes)}"
            raise BadValue(f"tasks must have equally many classes to be merged in pairs; {sizes}.")
        if task.parts.keys() != known[0].parts.keys():
            raise BadValue(f"tasks {known[0].name!r} and {task.name!r} have different parts.")
    return AuxiliaryTasks(_merged(known[i], known[j], np.random.default_rng([seed, 1, i, j])) for i, j in pairs)


def combine_labels(
    labels: ArrayLike,
    count: int,
    seed: int,
    *,
    names: Sequence[str] | None = None,
    parts: Mapping[str, ArrayLike] | None = None,
    share: float = 0.5,
    major: Mapping[str, float] | None = None,
) -> AuxiliaryTasks:
    """`count` auxiliary labels, each from another random pair of yes-no labels on the same records.

    labels: (n, N) of 0 and 1, or a table whose columns name the labels. names: of the labels, in place of the table's.
    parts: part -> rows, default {"train": all rows}. share: of a part's records that an auxiliary label keeps, a random subset;
    1/2 is the paper's 1/n for n = 2. major: as in `combine_tasks`. The sign pattern is one of the three at random.
    Raises BadValue for labels other than 0 and 1, fewer than two labels, fewer pairs than `count`, a share outside (0, 1];
    UnknownName for a major label that does not exist.
    """
    if not 0 < share <= 1:
        raise BadValue(f"share must be above 0 and at most 1, not {share}.")
    table, named, rows = _table(labels, names, parts)
    pairs = draw_pairs(named, count, seed, major)
    return AuxiliaryTasks(_joined(table, named, pair, rows, share, np.random.default_rng([seed, 1, *pair])) for pair in pairs)


def label_tasks(
    labels: ArrayLike, *, names: Sequence[str] | None = None, parts: Mapping[str, ArrayLike] | None = None
) -> tuple[Task, ...]:
    """The yes-no labels themselves as tasks, to be trained beside the auxiliary ones. Arguments as `combine_labels`."""
    table, named, rows = _table(labels, names, parts)
    columns = table.astype(np.int64).T
    return tuple(
        Task(name=name, classes=("no", "yes"), parts={part: Records(own, column[own]) for part, own in rows.items()})
        for name, column in zip(named, columns, strict=True)
    )


def distinct_tasks(tasks: int, classes: int) -> int:
    """(N choose 2) k!: distinct auxiliary tasks of N tasks with k classes each; renumbered merged classes count once."""
    return math.comb(tasks, 2) * math.factorial(classes)


def distinct_labels(labels: int) -> int:
    """3 (N choose 2): distinct auxiliary labels of N yes-no labels."""
    return len(PATTERNS) * math.comb(labels, 2)


def pair_weights(names: Sequence[str], major: Mapping[str, float] | None = None) -> NDArray[np.float64]:
    """(pairs,) products of the two tasks' weights, for the pairs (0, 1), (0, 2) ... Raises as `combine_tasks`."""
    for name, weight in (major or {}).items():
        if name not in names:
            raise UnknownName("major task", name, names)
        if not weight > 0:
            raise BadValue(f"the weight of major task {name!r} must be above 0, not {weight}.")
    weights = np.array([(major or {}).get(name, 1.0) for name in names])
    return np.array([weights[i] * weights[j] for i, j in combinations(range(len(names)), 2)])


def draw_pairs(names: Sequence[str], count: int, seed: int, major: Mapping[str, float] | None = None) -> list[tuple[int, int]]:
    """`count` distinct pairs of numbers i < j of tasks, one after another in proportion to `pair_weights`.

    A larger count has the smaller one's pairs first. Raises as `combine_tasks`.
    """
    if len(names) < 2:
        raise BadValue(f"combining task labels needs at least two tasks, not {len(names)}.")
    if len(set(names)) < len(names):
        raise BadValue("two tasks have the same name.")
    pairs = list(combinations(range(len(names)), 2))
    if not 0 <= count <= len(pairs):
        raise BadValue(f"{len(names)} tasks have {len(pairs)} pairs; {count} auxiliary tasks cannot be made from them.")
    # The largest of log w + Gumbel noise first is a draw in proportion to w without replacement, in one pass.
    keys = np.log(pair_weights(names, major)) + np.random.default_rng([seed, 0]).gumbel(size=len(pairs))
    return [pairs[place] for place in np.argsort(-keys)[:count]]


def _table(
    labels: ArrayLike, names: Sequence[str] | None, parts: Mapping[str, ArrayLike] | None
) -> tuple[NDArray[Any], list[str], dict[str, Ints]]:
    table = np.asarray(labels)
    if table.ndim != 2 or not np.isin(table, (0, 1)).all():
        raise BadValue("labels must be a table of 0 and 1: one line a record, one column a label.")
    named = list(map(str, names if names is not None else getattr(labels, "columns", range(table.shape[1]))))
    if len(named) != table.shape[1]:
        raise BadValue(f"{len(named)} names for {table.shape[1]} labels.")
    return table, named, {part: np.asarray(r, np.int64) for part, r in (parts or {"train": np.arange(len(table))}).items()}


def _kept(n: int, share: float, rng: np.random.Generator) -> Ints:
    """(floor(share n),) sorted places of a random subset of n."""
    return np.sort(rng.choice(n, int(share * n), replace=False))


def _merged(first: Task, second: Task, rng: np.random.Generator) -> AuxiliaryTask:
    if len(np.intersect1d(first.rows(), second.rows())):
        raise BadValue(
            f"tasks {first.name!r} and {second.name!r} share records, which would get two merged classes; "
            "for yes-no labels on the same records use combine_labels."
        )
    k = len(first.classes)
    mapping = np.stack([rng.permutation(k), rng.permutation(k)], 1)
    merged = np.argsort(mapping, axis=0)  # merged[c, t]: the merged class that class c of parent t goes to
    parts, origin = {}, {}
    for part in first.parts:
        a, b = first.parts[part], second.parts[part]
        kept = _kept(len(a.rows) + len(b.rows), 1 / 2, rng)
        rows = np.concatenate([a.rows, b.rows])[kept]
        labels = np.concatenate([merged[a.labels, 0], merged[b.labels, 1]])[kept]
        parts[part] = Records(rows, labels)
        origin[part] = (kept >= len(a.rows)).astype(np.int64)
    return AuxiliaryTask(
        name=f"{first.name} + {second.name}",
        classes=tuple(f"{first.classes[i]} or {second.classes[j]}" for i, j in mapping),
        parts=parts,
        parents=(first, second),
        mapping=mapping,
        origin=origin,
    )


def _either(table: NDArray[Any], columns: tuple[int, int], negated: tuple[bool, bool]) -> Ints:
    a, b = (table[:, column].astype(bool) ^ no for column, no in zip(columns, negated, strict=True))
    joined: Ints = (a | b).astype(np.int64)
    return joined


def _joined(
    table: NDArray[Any],
    names: Sequence[str],
    columns: tuple[int, int],
    rows: Mapping[str, Ints],
    share: float,
    rng: np.random.Generator,
) -> AuxiliaryLabel:
    negated = PATTERNS[rng.integers(len(PATTERNS))]
    name = " or ".join(f"not {names[c]}" if no else names[c] for c, no in zip(columns, negated, strict=True))
    parts: dict[str, Records] = {}
    for part, own in rows.items():
        kept = own[_kept(len(own), share, rng)]
        parts[part] = Records(kept, _either(table[kept], columns, negated))
    return AuxiliaryLabel(name=name, classes=("no", "yes"), parts=parts, columns=columns, negated=negated)
