"""The task groupings that STG-MTL is compared with (Table 1): exhaustive search, HOA, TAG, and random groups of the same sizes.

All but the last score every group of tasks, then choose groups. With s_t(S) the score of task t in group S, larger being better:
    exhaustive                       s_t(S) measured, by training a model for each of the 2^n - 1 groups
    HOA (Standley et al. 2020)       s_t(S) = mean over u in S, u != t, of t's score when trained with u alone:
                                     n (n - 1) / 2 pairs, and n single tasks where groups of one are allowed
    TAG (Fifty et al. 2021)          s_t(S) = mean over u in S, u != t, of Z_ut, where Z_ut = mean over steps of
                                     1 - L_t(shared parameters after a step of u alone) / L_t(before it), heads and batch the same
The choice maximises the mean over tasks of the score in the group that serves each, over at most `budget` groups. It is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.refusals import refuse_empty_groups
from mtlrepro.training.weighting import Step, Weighting, as_prefix

Group = tuple[int, ...]
# Row b holds the scores of the group whose tasks are the bits of b; NaN for tasks outside it and for groups without scores.
Scores = NDArray[np.float64]

# The choice looks at 3^n pairs of a group and a part of it.
MOST_TASKS = 13


# --- which groups are trained -----------------------------------------------------------------------------------------


def every_group(tasks: int) -> list[Group]:
    """The groups that the exhaustive search trains, smallest first."""
    return [group for size in range(1, tasks + 1) for group in combinations(range(tasks), size)]


def pair_groups(tasks: int, singles: bool = True) -> list[Group]:
    """The groups that HOA trains: all pairs, after the single tasks unless not `singles`."""
    return [group for size in ((1, 2) if singles else (2,)) for group in combinations(range(tasks), size)]


def effective_models(method: str, tasks: int, combinations: int | None = None) -> int:
    """Table 1: how many trainings of a multi-task model a method costs before it can group n tasks.

    method: exhaustive 2^n - 1; hoa n (n - 1) / 2; hoa_singles n more; tag n (n - 1) / 2, in one training; mtgnet, the number of
    `combinations` that its user picks; stg 1 (data maps of one multi-task model); stg_stl n (of single-task models).
    Raises UnknownName, BadValue without a task or without MTG-Net's number of combinations.
    """
    if tasks < 1 or (method == "mtgnet" and combinations is None):
        raise BadValue("needs at least one task, and for mtgnet the number of combinations.")
    pairs = tasks * (tasks - 1) // 2
    known: dict[str, int] = {
        "exhaustive": 2**tasks - 1, "hoa": pairs, "hoa_singles": pairs + tasks, "tag": pairs,
        "mtgnet": combinations or 0, "stg": 1, "stg_stl": tasks,
    }  # fmt: skip
    if method not in known:
        raise UnknownName("grouping method", method, known)
    return known[method]


# --- scores of every group --------------------------------------------------------------------------------------------


def measured_scores(groups: Sequence[Group], values: ArrayLike) -> Scores:
    """The scores of groups that were trained. values: (groups, tasks), of which a group's own tasks count."""
    each = np.asarray(values, np.float64)
    scores = _no_scores(each.shape[1])
    for group, row in zip(groups, each, strict=True):
        scores[_bits(group), list(group)] = row[list(group)]
    return scores


def pairwise_scores(pairs: ArrayLike) -> Scores:
    """HOA's scores of every group. pairs: (tasks, tasks), in row t and column u the score of t trained with u, on the diagonal
    alone (NaN: no group of one is allowed)."""
    given = np.asarray(pairs, np.float64)
    scores = _no_scores(len(given))
    for group in every_group(len(given)):
        for task in group:
            others = [other for other in group if other != task] or [task]
            scores[_bits(group), task] = given[task, others].mean()
    return scores


def affinity_scores(affinity: ArrayLike) -> Scores:
    """TAG's scores of every group. affinity: (tasks, tasks), in row u and column t what a step of u does for t.

    Our reading: a task alone scores 0, for nothing is done for it by others.
    """
    effects = np.array(affinity, np.float64).T
    np.fill_diagonal(effects, 0.0)
    return pairwise_scores(effects)


class TagAffinity(Weighting):
    """Trains with all weights 1 and measures TAG's affinities Z on the way, by look-aheads on the batch of the step.

    every: measure at each so many steps only (TAG's authors: 10). A task's own step is one of plain SGD at the optimizer's rate.
    Each measured step costs a backward pass a task and a forward pass a task and one more, besides the step's own: n + 1
    evaluations, each of all n losses, not one evaluation a pair.
    Raises BadValue for batches of one task, for an optimizer without a rate and for `every` below 1.
    """

    def __init__(self, every: int = 1) -> None:
        if every < 1:
            raise BadValue(f"every must be at least 1, not {every}.")
        self.every = every
        self._steps, self._measured = 0, 0
        self._sum: Tensor | None = None

    @property
    def affinity(self) -> Tensor:
        """(tasks, tasks), or (runs, tasks, tasks): mean over the measured steps, in row u and column t what u does for t."""
        if self._sum is None:
            raise BadValue("no step was measured.")
        return self._sum / self._measured

    def __call__(self, step: Step) -> Tensor:
        """Ones, of the shape of the step's losses."""
        if step.task is not None or step.rate is None:
            raise BadValue("TAG needs batches that hold every task, and an optimizer with a learning rate.")
        if self._steps % self.every == 0:
            affinities = self._affinities(step, step.rate)
            self._sum = affinities if self._sum is None else self._sum + affinities
            self._measured += 1
        self._steps += 1
        return torch.ones_like(step.losses)

    @staticmethod
    def _affinities(step: Step, rate: float | Tensor) -> Tensor:
        updates = {name: -(as_prefix(rate, g[0]) if isinstance(rate, Tensor) else rate) * g for name, g in step.gradients.items()}
        before, *after = step.look_ahead(updates, lambda call: step.loss_function(call, step.batch), reference=True)
        # A loss that is 0 already has no ratio: nothing can be done for it.
        return torch.stack([torch.where(before == 0, 0.0, 1 - losses / before) for losses in after], -2)


# --- the choice -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """groups: what is trained. serves: for each, the tasks that it serves, together every task once. score: mean over tasks."""

    groups: tuple[Group, ...]
    serves: tuple[Group, ...]
    score: float


def best_grouping(scores: Scores, budget: int, overlapping: bool = False) -> Choice:
    """The at most `budget` groups whose mean score over tasks is largest, by dynamic programming over sets of tasks.

    overlapping: a group may be trained on tasks that another one serves (Standley et al.); else groups are disjoint.
    Raises BadValue for a budget below 1, for more than MOST_TASKS tasks, and where the groups with scores cannot serve all tasks.
    """
    tasks = scores.shape[1]
    if budget < 1 or tasks > MOST_TASKS:
        raise BadValue(f"the best grouping is found for a budget of at least 1 and up to {MOST_TASKS} tasks.")
    worth, trained = _worth(scores, overlapping)
    everything = 2**tasks - 1
    # best[b]: worth of the best way to serve the tasks b with the groups so far, and the part that its last group serves.
    best = np.full(2**tasks, -np.inf)
    best[0] = 0.0
    steps: list[dict[int, int]] = []
    for _ in range(min(budget, tasks)):
        following, parts = best.copy(), {}
        for served in range(1, everything + 1):
            lowest = served & -served
            for part in _parts(served):
                # The lowest task fixes which part comes last, so that each division is looked at once.
                if part & lowest and best[served ^ part] + worth[part] > following[served]:
                    following[served] = best[served ^ part] + worth[part]
                    parts[served] = part
        best = following
        steps.append(parts)
    if not np.isfinite(best[everything]):
        raise BadValue("the groups that have scores cannot serve every task within the budget.")
    groups, serves, left = [], [], everything
    for parts in reversed(steps):
        if left in parts:
            groups.append(_group(int(trained[parts[left]])))
            serves.append(_group(parts[left]))
            left ^= parts[left]
    return Choice(tuple(groups), tuple(serves), float(best[everything] / tasks))


def random_grouping(sizes: Sequence[int], seed: int) -> tuple[Group, ...]:
    """Disjoint groups of the given sizes, drawn uniformly: what a grouping must beat before its gain means anything.

    Raises BadValue for a size below 1.
    """
    refuse_empty_groups(sizes)
    order = np.random.default_rng(seed).permutation(sum(sizes))
    cuts = np.cumsum(sizes)[:-1]
    return tuple(tuple(sorted(int(task) for task in part)) for part in np.split(order, cuts))


def _no_scores(tasks: int) -> Scores:
    if tasks > MOST_TASKS:
        raise BadValue(f"all groups of {tasks} tasks are too many to score; at most {MOST_TASKS} tasks.")
    return np.full((2**tasks, tasks), np.nan)


def _worth(scores: Scores, overlapping: bool) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """For each set of tasks: the largest sum of its scores in one trained group, -inf where there is none, and that group."""
    count = len(scores)
    worth, trained = np.full(count, -np.inf), np.arange(count)
    for group in range(1, count):
        for part in _parts(group) if overlapping else (group,):
            total = scores[group, list(_group(part))].sum()
            if total > worth[part]:  # never where a score is NaN
                worth[part], trained[part] = total, group
    return worth, trained


def _parts(bits: int) -> Iterable[int]:
    """Every non-empty part of a set of tasks, itself first."""
    part = bits
    while part:
        yield part
        part = (part - 1) & bits


def _bits(group: Group) -> int:
    return sum(1 << task for task in group)


def _group(bits: int) -> Group:
    return tuple(task for task in range(bits.bit_length()) if bits >> task & 1)
