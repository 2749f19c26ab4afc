"""Groups of STG-MTL's tasks, computed from the rows of `fig4_groups.data_maps`, and how they compare with known families."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import entropy, permutation_test
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score
from torch import Tensor

from mtlrepro.methods import task_grouping as grouping
from mtlrepro.methods.task_grouping import Grouping

# One seed for k-means everywhere, and so many starts: what varies between rows is the training. So many more must find no better.
SEED, STARTS, MORE = 0, 1000, 20


@lru_cache(maxsize=512)
def _hard(points: bytes, tasks: int, k: int) -> Grouping:
    """`grouping.hard`, remembered: every figure and table of a page asks for the same ones."""
    return grouping.hard(torch.frombuffer(bytearray(points), dtype=torch.float64).view(tasks, -1), k, SEED, STARTS)


@dataclass(frozen=True, eq=False)
class TaskMaps:
    """The data maps of one training. rows: one per task. points: (tasks, tasks), with the distances of the tasks' vectors."""

    seed: int
    rows: pd.DataFrame
    points: Tensor

    @property
    def tasks(self) -> list[str]:
        return list(self.rows.task)

    @property
    def families(self) -> list[str]:
        return list(self.rows.family)

    def labels(self, k: int) -> list[int]:
        """Each task's cluster, of k-means in `k` clusters; the one of its largest soft membership."""
        labels: list[int] = self._hard(k).labels.tolist()
        return labels

    def _hard(self, k: int) -> Grouping:
        return _hard(self.points.contiguous().numpy().tobytes(), len(self.points), k)

    def memberships(self, k: int, fuzziness: float = 2.0) -> NDArray[np.float64]:
        """(tasks, k) soft memberships."""
        u: NDArray[np.float64] = grouping.fuzzy_memberships(self.points, self._hard(k).centers, fuzziness).numpy()
        return u

    def first(self, n: int) -> TaskMaps:
        """The first `n` tasks alone."""
        return TaskMaps(self.seed, self.rows[:n], self.points[:n])

    def settled(self, k: int) -> bool:
        """Whether more starts find no better k-means."""
        inertia = float((self.points - self._hard(k).centers[self.labels(k)]).square().sum())
        more = KMeans(k, n_init=MORE, random_state=SEED + 1).fit(self.points.numpy()).inertia_
        return bool(more >= inertia * (1 - 1e-9))


def task_maps(rows: pd.DataFrame, group: str, of: str = "multi-task", column: str = "apart") -> Iterator[TaskMaps]:
    """The data maps of each seed, in order, without the copied task. column: of the distances."""
    here = rows[(rows.kind == "task") & (rows.group == group) & (rows.of == of)]
    for seed in sorted(here.seed.unique().tolist()):
        own = here[here.seed == seed]
        yield TaskMaps(seed, own, grouping.coordinates_of_distances(matrix(list(own[column]))[:, : len(own)]))


def copied_maps(rows: pd.DataFrame, group: str, of: str = "multi-task") -> Iterator[TaskMaps]:
    """As `task_maps`, with the copied task last, of the same name as its original; nothing where no task was copied."""
    here = rows[rows.kind.isin(("task", "copy")) & (rows.group == group) & (rows.of == of)]
    for seed in sorted(here.seed[here.kind == "copy"].unique().tolist()):
        own = here[here.seed == seed]
        yield TaskMaps(seed, own, grouping.coordinates_of_distances(matrix(list(own["apart"]))))


def matrix(texts: Sequence[str]) -> Tensor:
    """(rows, columns) float64 of the numbers that `data_maps` wrote as text."""
    return torch.tensor([[float(word) for word in text.split()] for text in texts], dtype=torch.float64)


def agreement(labels: Sequence[int], families: Sequence[str], shuffles: int, seed: int) -> dict[str, float]:
    """How well a grouping's labels agree with known families: "ari" (adjusted Rand index), "nmi" (normalised mutual information),
    "shuffled", the largest adjusted Rand index of `shuffles` random relabellings, and "p", their share, the grouping itself among
    them, whose index is no smaller.
    """
    codes = np.unique(families, return_inverse=True)[1]
    test = permutation_test(
        (np.asarray(labels),), lambda x: adjusted_rand_score(codes, x), permutation_type="pairings", vectorized=False,
        n_resamples=shuffles, alternative="greater", rng=np.random.default_rng(seed),
    )  # fmt: skip
    nmi = float(normalized_mutual_info_score(codes, labels))
    shuffled = float(np.max(test.null_distribution))
    return {"ari": float(test.statistic), "nmi": nmi, "shuffled": shuffled, "p": float(test.pvalue)}


def softness(rows: pd.DataFrame, groups: Sequence[str], clusters: Sequence[int], fuzziness: Sequence[float]) -> pd.DataFrame:
    """By task set, k and F, means over seeds of multi-task maps: the memberships' entropy over that of uniform ones, their
    largest entry, and the silhouette of the hard groups, from -1 to 1 (a task's distance to its own group against the next
    one's).
    """
    lines = []
    for group, k in ((group, k) for group in groups for k in clusters):
        for maps in task_maps(rows, group):
            silhouette = float(silhouette_score(maps.points.numpy(), maps.labels(k)))
            for f in fuzziness:
                u = maps.memberships(k, f)
                line = {"task set": group, "k": k, "F": f, "entropy": entropy(u, axis=1).mean() / np.log(k)}
                lines.append(line | {"largest membership": u.max(1).mean(), "silhouette": silhouette})
    return pd.DataFrame(lines).groupby(["task set", "k", "F"]).mean()


def odd_one_out(rows: pd.DataFrame, k: int = 3, task: str = "random") -> pd.DataFrame:
    """Of G2, one line per seed: is `task` alone in its cluster, its membership there after one fuzzification step and after
    iterated fuzzy c-means, its distance to its nearest neighbour over the largest such distance of another task, the largest
    difference of memberships between the two complementary tasks, and the adjusted Rand index of the ten classes with their
    families.
    """
    lines = []
    for maps in task_maps(rows, "G2"):
        own, points = maps.tasks.index(task), maps.points
        nearest = torch.cdist(points, points).fill_diagonal_(torch.inf).min(1).values
        labels, soft = maps.labels(k), maps.memberships(k)
        lines.append({
            "seed": maps.seed,
            "alone": labels.count(labels[own]) == 1,
            "membership": float(soft[own].max()),
            "iterated": float(grouping.iterated(points, k, SEED).memberships[own].max()),
            "distance ratio": float(nearest[own] / torch.cat([nearest[:own], nearest[own + 1 :]]).max()),
            # Living being and its complement are the first and the fourth of the extra tasks.
            "complements differ": float(abs(soft[10] - soft[13]).max()),
            "families of the ten": float(adjusted_rand_score(maps.families[:10], labels[:10])),
        })  # fmt: skip
    return pd.DataFrame(lines).set_index("seed")


def company(rows: pd.DataFrame, tasks: Sequence[str], clusters: Sequence[int]) -> pd.DataFrame:
    """Of G2, one line per task and k: in how many seeds it is alone in its cluster, the mean number of tasks that are alone in
    theirs, its largest membership (mean over seeds), and the tasks that stand beside it in every seed.
    """
    seeds, lines = list(task_maps(rows, "G2")), []
    for task, k in ((task, k) for task in tasks for k in clusters):
        own, beside = seeds[0].tasks.index(task), [_beside(maps, task, k) for maps in seeds]
        lines.append({
            "task": task, "clusters": k, "alone, seeds": f"{sum(not each for each in beside)} of {len(seeds)}",
            "tasks alone": float(np.mean([alone(maps.labels(k)).sum() for maps in seeds])),
            "largest membership": float(np.mean([maps.memberships(k)[own].max() for maps in seeds])),
            "always beside it": ", ".join(name for name in seeds[0].tasks if all(name in each for each in beside)) or None,
        })  # fmt: skip
    return pd.DataFrame(lines)


def _beside(maps: TaskMaps, task: str, k: int) -> list[str]:
    """The other tasks in the cluster of `task`."""
    labels = maps.labels(k)
    own = labels[maps.tasks.index(task)]
    return [name for name, label in zip(maps.tasks, labels, strict=True) if label == own and name != task]


Partition = frozenset[frozenset[str]]


def partition(tasks: Sequence[str], labels: Sequence[object]) -> Partition:
    """Tasks with one label make one part."""
    return frozenset(frozenset(t for t, own in zip(tasks, labels, strict=True) if own == label) for label in set(labels))


def splits(seeds: Sequence[TaskMaps], named: Mapping[int, Partition], clusters: Sequence[int]) -> pd.DataFrame:
    """One line per k: in how many seeds the groups are exactly those of `named`, by k, in how many no cluster holds tasks of two
    families, and the groups that come most often, in how many.
    """
    lines, whole = [], len(seeds)
    for k in clusters:
        every = [partition(maps.tasks, maps.labels(k)) for maps in seeds]
        kinds = dict(zip(seeds[0].tasks, seeds[0].families, strict=True))
        pure = sum(all(len({kinds[task] for task in part}) == 1 for part in each) for each in every)
        ((commonest, times),) = Counter(every).most_common(1)
        parts = sorted([task for task in seeds[0].tasks if task in part] for part in commonest)
        lines.append({
            "clusters": k, "exactly as named, seeds": f"{every.count(named[k])} of {whole}" if k in named else None,
            "no cluster of two kinds, seeds": f"{pure} of {whole}", "commonest groups": " | ".join(map(", ".join, parts)),
            "of these, seeds": f"{times} of {whole}",
        })  # fmt: skip
    return pd.DataFrame(lines)


def two_clusters(rows: pd.DataFrame, split: Sequence[str]) -> pd.DataFrame:
    """Of G1, one line per kind of maps and seed: adjusted Rand indices of two clusters with the two families (with a permutation
    p-value and the number of tasks in the wrong one), of three clusters with the tasks of `split` against the others of their
    family, of point-based with hard groups, of groups from single-task with those from multi-task maps, and with the seed before.
    """
    lines, two = [], {}
    for of in ("multi-task", "single-task"):
        for maps in task_maps(rows, "G1", of):
            labels, families, tasks = maps.labels(2), maps.families, maps.rows.task
            two[of, maps.seed] = labels
            agreed = agreement(labels, families, 199, maps.seed)
            same = int((np.asarray(labels) == pd.factorize(maps.rows.family)[0]).sum())
            votes = matrix(list(maps.rows["votes"])).argmax(1).tolist()
            line = {
                "maps": of, "seed": maps.seed, "families": agreed["ari"], "p": agreed["p"],
                "misplaced": min(same, len(labels) - same), "point-based": float(adjusted_rand_score(labels, votes)),
            }  # fmt: skip
            divided = [family for task, family in zip(tasks, families, strict=True) if task in split]
            if divided:
                three = np.asarray(maps.labels(3))[maps.rows.family == divided[0]]
                line["split"] = float(adjusted_rand_score(tasks[maps.rows.family == divided[0]].isin(split), three))
            if of == "single-task":
                line["with multi-task"] = float(adjusted_rand_score(two["multi-task", maps.seed], labels))
            if (of, maps.seed - 1) in two:
                line["with the seed before"] = float(adjusted_rand_score(two[of, maps.seed - 1], labels))
            lines.append(line)
    return pd.DataFrame(lines).set_index(["maps", "seed"]).sort_index()


def alone(labels: Sequence[int]) -> NDArray[np.bool_]:
    """(tasks,) whether each task is the only one of its cluster."""
    return np.asarray(np.bincount(labels)[list(labels)] == 1)


def together(labels: Sequence[int], first: Sequence[int], second: Sequence[int] | None = None) -> float:
    """Chance-corrected share of the pairs of tasks within `first`, or one of `first` and one of `second`, in one cluster.

    (share - expected) / (1 - expected), the expected share being that of all pairs of tasks, which is what random sets of tasks
    have under the same partition: 0 is chance, 1 is all together. first, second: the tasks' numbers.
    """
    clusters = np.asarray(labels)
    same = clusters[:, None] == clusters[None]
    expected = same[np.triu_indices(len(clusters), 1)].mean()
    inside = same[np.ix_(first, first)][np.triu_indices(len(first), 1)] if second is None else same[np.ix_(first, second)]
    return float((inside.mean() - expected) / (1 - expected)) if expected < 1 else 0.0


def members(maps: TaskMaps, family: str) -> list[int]:
    """The numbers of a family's tasks."""
    return [i for i, name in enumerate(maps.families) if name == family]


def overlap(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Membership that two tasks have in common: the sum over clusters of the smaller one. Both (k,)."""
    return float(np.minimum(first, second).sum())


def difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Half the sum of absolute differences of two membership vectors: 0 for the same, 1 for none in common. Both (k,)."""
    return float(abs(first - second).sum() / 2)


def top_two(u: NDArray[np.float64]) -> float:
    """Share of the membership of some tasks, (tasks, k), that lies in the two clusters that hold most of it."""
    return float(np.sort(u.mean(0))[-2:].sum())


def against_families(rows: pd.DataFrame, group: str, clusters: Sequence[int], shuffles: int = 999) -> pd.DataFrame:
    """One line per k and seed: the hard groups' `agreement` with the families, and with the groups of the seed before."""
    lines = []
    for k in clusters:
        before: list[int] = []
        for maps in task_maps(rows, group):
            labels = maps.labels(k)
            line = {"k": k, "seed": maps.seed} | agreement(labels, maps.families, shuffles, maps.seed)
            if before:
                line["with the seed before"] = float(adjusted_rand_score(before, labels))
            before = labels
            lines.append(line)
    return pd.DataFrame(lines).set_index(["k", "seed"])


def family_table(rows: pd.DataFrame, group: str, k: int) -> pd.DataFrame:
    """Families by seeds: `together` of each family's pairs."""
    columns = {}
    for maps in task_maps(rows, group):
        labels = maps.labels(k)
        columns[maps.seed] = {family: together(labels, members(maps, family)) for family in dict.fromkeys(maps.families)}
    return pd.DataFrame(columns)


def across(maps: TaskMaps, k: int, first: str, second: str) -> float:
    """`together` of the pairs across two families."""
    return together(maps.labels(k), members(maps, first), members(maps, second))
