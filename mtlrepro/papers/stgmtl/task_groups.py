"""Groups of STG-MTL's tasks, computed from the rows of `fig4_groups.data_maps`, and how they compare with known families."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.stats import permutation_test
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score
from torch import Tensor

from mtlrepro.methods import task_grouping as grouping

# One seed for k-means everywhere: what varies between rows is the training.
SEED = 0


@dataclass(frozen=True, eq=False)
class TaskMaps:
    """The data maps of one training. rows: one per task. points: (tasks, tasks), with the distances of the tasks' vectors."""

    seed: int
    rows: pd.DataFrame
    points: Tensor

    @property
    def families(self) -> list[str]:
        return list(self.rows.family)

    def labels(self, k: int) -> list[int]:
        """The task's cluster, of k-means in `k` clusters."""
        labels: list[int] = grouping.hard(self.points, k, SEED).labels.tolist()
        return labels


def task_maps(rows: pd.DataFrame, group: str, of: str = "multi-task") -> Iterator[TaskMaps]:
    """The data maps of each seed, in order."""
    here = rows[(rows.kind == "task") & (rows.group == group) & (rows.of == of)]
    for seed in sorted(here.seed.unique().tolist()):
        own = here[here.seed == seed]
        yield TaskMaps(seed, own, grouping.coordinates_of_distances(matrix(list(own["apart"]))))


def matrix(texts: Sequence[str]) -> Tensor:
    """(rows, columns) float64 of the numbers that `data_maps` wrote as text."""
    return torch.tensor([[float(word) for word in text.split()] for text in texts], dtype=torch.float64)


def memberships(rows: pd.DataFrame, group: str, k: int) -> list[pd.DataFrame]:
    """For each seed the soft memberships with F = 2, tasks by clusters."""
    return [
        pd.DataFrame(grouping.soft(maps.points, k, SEED).memberships.numpy(), index=maps.rows.task)
        for maps in task_maps(rows, group)
    ]


def agreement(labels: Sequence[int], families: Sequence[str], shuffles: int, seed: int) -> dict[str, float]:
    """How well a grouping's labels agree with known families: "ari" (adjusted Rand index), "nmi" (normalised mutual information)
    and "p", the share of `shuffles` random relabellings, the grouping itself among them, whose adjusted Rand index is no smaller.
    """
    codes = np.unique(families, return_inverse=True)[1]
    test = permutation_test(
        (np.asarray(labels),), lambda x: adjusted_rand_score(codes, x), permutation_type="pairings", vectorized=False,
        n_resamples=shuffles, alternative="greater", rng=np.random.default_rng(seed),
    )  # fmt: skip
    nmi = float(normalized_mutual_info_score(codes, labels))
    return {"ari": float(test.statistic), "nmi": nmi, "p": float(test.pvalue)}


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
                u = grouping.soft(maps.points, k, SEED, f).memberships
                entropy = -(u * u.clamp_min(1e-300).log()).sum(1).mean() / np.log(k)
                line = {"task set": group, "k": k, "F": f, "entropy": float(entropy)}
                lines.append(line | {"largest membership": float(u.max(1).values.mean()), "silhouette": silhouette})
    return pd.DataFrame(lines).groupby(["task set", "k", "F"]).mean()


def odd_one_out(rows: pd.DataFrame, k: int = 3, task: str = "random") -> pd.DataFrame:
    """Of G2, one line per seed: is `task` alone in its cluster, its membership there after one fuzzification step and after
    iterated fuzzy c-means, its distance to its nearest neighbour over the largest such distance of another task, the largest
    difference of memberships between the two complementary tasks, and the adjusted Rand index of the ten classes with their
    families.
    """
    lines = []
    for maps in task_maps(rows, "G2"):
        own, points = list(maps.rows.task).index(task), maps.points
        nearest = torch.cdist(points, points).fill_diagonal_(torch.inf).min(1).values
        labels, soft = maps.labels(k), grouping.soft(points, k, SEED).memberships
        lines.append({
            "seed": maps.seed,
            "alone": labels.count(labels[own]) == 1,
            "membership": float(soft[own].max()),
            "iterated": float(grouping.iterated(points, k, SEED).memberships[own].max()),
            "distance ratio": float(nearest[own] / torch.cat([nearest[:own], nearest[own + 1 :]]).max()),
            # Living being and its complement are the first and the fourth of the extra tasks.
            "complements differ": float((soft[10] - soft[13]).abs().max()),
            "families of the ten": float(adjusted_rand_score(maps.families[:10], labels[:10])),
        })  # fmt: skip
    return pd.DataFrame(lines).set_index("seed")


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
            votes = matrix(list(maps.rows["votes 2"])).argmax(1).tolist()
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


def together(labels: Sequence[int], families: Sequence[str], first: str, second: str | None = None) -> float:
    """Share of the pairs of tasks within family `first`, or one of `first` and one of `second`, that share a cluster, minus the
    share among all pairs of tasks: 0 is what a grouping of the same sizes reaches by chance, on average.
    """
    clusters, names = np.asarray(labels), np.asarray(families)
    same = clusters[:, None] == clusters[None]
    all_pairs = np.triu(np.ones_like(same), 1)
    pairs = (names[:, None] == first) & (names[None] == (second or first))
    if second is None:
        pairs &= all_pairs
    return float(same[pairs].mean() - same[all_pairs].mean())


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
    return pd.DataFrame({
        maps.seed: {family: together(maps.labels(k), maps.families, family) for family in dict.fromkeys(maps.families)}
        for maps in task_maps(rows, group)
    })  # fmt: skip


def across(rows: pd.DataFrame, group: str, k: int, first: str, second: str) -> pd.Series[float]:
    """By seed: `together` of pairs across two families."""
    return pd.Series({maps.seed: together(maps.labels(k), maps.families, first, second) for maps in task_maps(rows, group)})
