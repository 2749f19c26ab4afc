"""What the pages on STG-MTL's groupings show, computed from the rows of `task_maps.map_rows`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy.stats import permutation_test
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score
from torch import Tensor

from mtlrepro.methods import task_grouping as grouping

# One seed for k-means everywhere: what varies between rows is the training.
SEED = 0


def matrix(texts: Sequence[str]) -> Tensor:
    """(rows, columns) float64 of the numbers that `map_rows` wrote as text."""
    return torch.tensor([[float(word) for word in text.split()] for text in texts], dtype=torch.float64)


def tasks_of(rows: pd.DataFrame, group: str, seed: int, of: str = "multi-task") -> tuple[pd.DataFrame, Tensor]:
    """Rows of one training's tasks, and points (tasks, tasks) with the distances of their data maps."""
    here = rows[(rows.kind == "task") & (rows.group == group) & (rows.of == of) & (rows.seed == seed)]
    return here, grouping.coordinates_of_distances(matrix(list(here["apart"])))


def agreement(labels: Sequence[int], families: Sequence[str], shuffles: int, seed: int) -> dict[str, float]:
    """How well a grouping's labels agree with known families: "ari" (adjusted Rand index), "nmi" (normalised mutual information)
    and "p", the share of `shuffles` random relabellings, the grouping itself among them, whose adjusted Rand index is no smaller.
    """
    found, wanted = np.asarray(labels), np.unique(families, return_inverse=True)[1]
    test = permutation_test(
        (found,), lambda x: adjusted_rand_score(wanted, x), permutation_type="pairings", vectorized=False,
        n_resamples=shuffles, alternative="greater", rng=np.random.default_rng(seed),
    )  # fmt: skip
    return {"ari": float(test.statistic), "nmi": float(normalized_mutual_info_score(wanted, found)), "p": float(test.pvalue)}


def softness(rows: pd.DataFrame, cases: Sequence[tuple[str, int]], fuzziness: Sequence[float]) -> pd.DataFrame:
    """By task set, k and F, means over seeds of multi-task maps: the memberships' entropy over that of uniform ones, their
    largest entry, and the silhouette of the hard groups, from -1 to 1 (a task's distance to its own group against the next
    one's).
    """
    lines = []
    for group, k in cases:
        for seed in sorted(rows[(rows.group == group) & (rows.of == "multi-task")].seed.unique()):
            _, points = tasks_of(rows, group, seed)
            labels = grouping.hard(points, k, SEED).labels
            silhouette = float(silhouette_score(points.numpy(), labels.numpy()))
            for f in fuzziness:
                u = grouping.soft(points, k, SEED, f).memberships
                entropy = -(u * u.clamp_min(1e-300).log()).sum(1).mean() / np.log(k)
                line = {
                    "task set": group,
                    "k": k,
                    "F": f,
                    "entropy": float(entropy),
                    "largest membership": float(u.max(1).values.mean()),
                }
                lines.append(line | {"silhouette": silhouette})
    return pd.DataFrame(lines).groupby(["task set", "k", "F"]).mean()


def odd_one_out(rows: pd.DataFrame, k: int = 3, task: str = "random") -> pd.DataFrame:
    """Of G2, one line a seed: is `task` alone in its cluster, its membership there after one fuzzification step and after
    iterated fuzzy c-means, its distance to its nearest neighbour over the largest such distance of another task, the largest
    difference of memberships between the two complementary tasks, and the adjusted Rand index of the ten classes with their
    families.
    """
    lines = []
    for seed in sorted(rows[rows.group == "G2"].seed.unique()):
        here, points = tasks_of(rows, "G2", seed)
        names = list(here.task)
        own, (kind, other) = names.index(task), (names.index(names[10]), names.index(names[13]))
        nearest = torch.cdist(points, points).fill_diagonal_(torch.inf).min(1).values
        hard, soft = grouping.hard(points, k, SEED), grouping.soft(points, k, SEED).memberships
        lines.append({
            "seed": seed,
            "alone": int((hard.labels == hard.labels[own]).sum()) == 1,
            "membership": float(soft[own].max()),
            "iterated": float(grouping.iterated(points, k, SEED).memberships[own].max()),
            "distance ratio": float(nearest[own] / torch.cat([nearest[:own], nearest[own + 1 :]]).max()),
            "complements differ": float((soft[kind] - soft[other]).abs().max()),
            "families of the ten": float(adjusted_rand_score(here.family[:10], hard.labels[:10].tolist())),
        })  # fmt: skip
    return pd.DataFrame(lines).set_index("seed")


def two_clusters(rows: pd.DataFrame, split: Sequence[str]) -> pd.DataFrame:
    """Of G1, one line a kind of maps and seed: adjusted Rand indices of two clusters with the two families (with a permutation
    p-value and the number of tasks in the wrong one), of three clusters with the tasks of `split` against the others of their
    family, of point-based with hard groups, of groups from single-task with those from multi-task maps, and with the seed before.
    """
    lines, labels = [], {}
    made = rows.loc[(rows.kind == "task") & (rows.group == "G1"), ["seed", "of"]].drop_duplicates().sort_values(["seed", "of"])
    for seed, of in zip(made.seed.tolist(), made.of.tolist(), strict=True):
        here, points = tasks_of(rows, "G1", seed, of)
        found = labels[of, seed] = grouping.hard(points, 2, SEED).labels.tolist()
        three = grouping.hard(points, 3, SEED).labels.tolist()
        family = here.family[here.task.isin(split)]
        inside = [i for i, name in enumerate(here.family) if len(family) and name == family.iloc[0]]
        agreed = agreement(found, list(here.family), 199, seed)
        same = int((np.asarray(found) == pd.factorize(here.family)[0]).sum())
        line = {
            "maps": of, "seed": seed, "families": agreed["ari"], "p": agreed["p"], "misplaced": min(same, len(found) - same),
            "point-based": float(adjusted_rand_score(found, matrix(list(here["votes 2"])).argmax(1).tolist())),
        }  # fmt: skip
        if inside:
            line["split"] = float(adjusted_rand_score(here.task.iloc[inside].isin(split), [three[i] for i in inside]))
        if of == "single-task":
            line["with multi-task"] = float(adjusted_rand_score(labels["multi-task", seed], found))
        if (of, seed - 1) in labels:
            line["with the seed before"] = float(adjusted_rand_score(labels[of, seed - 1], found))
        lines.append(line)
    return pd.DataFrame(lines).set_index(["maps", "seed"]).sort_index()


def together(labels: Sequence[int], families: Sequence[str], first: str, second: str | None = None) -> float:
    """Share of the pairs of tasks within family `first`, or one of `first` and one of `second`, that share a cluster, minus the
    share among all pairs of tasks: 0 is what a grouping of the same sizes reaches by chance, on average.
    """
    found, names = np.asarray(labels), np.asarray(families)
    same = found[:, None] == found[None]
    pairs = np.triu(np.ones_like(same), 1)
    wanted = pairs & (names[:, None] == first) & (names[None] == first)
    if second is not None:
        wanted = (names[:, None] == first) & (names[None] == second)
    return float(same[wanted].mean() - same[pairs].mean())


def against_families(rows: pd.DataFrame, group: str, clusters: Sequence[int], shuffles: int = 999) -> pd.DataFrame:
    """One line a k and seed: the hard groups' `agreement` with the families, and with the groups of the seed before."""
    lines = []
    for k in clusters:
        before: list[int] | None = None
        for seed in sorted(rows[rows.group == group].seed.unique()):
            here, points = tasks_of(rows, group, seed)
            labels = grouping.hard(points, k, SEED).labels.tolist()
            line = {"k": k, "seed": seed} | agreement(labels, list(here.family), shuffles, seed)
            if before is not None:
                line["with the seed before"] = float(adjusted_rand_score(before, labels))
            before = labels
            lines.append(line)
    return pd.DataFrame(lines).set_index(["k", "seed"])


def family_table(rows: pd.DataFrame, group: str, k: int) -> pd.DataFrame:
    """Families by seeds: `together` of each family's pairs."""
    found = {}
    for seed in sorted(rows[rows.group == group].seed.unique()):
        here, points = tasks_of(rows, group, seed)
        labels = grouping.hard(points, k, SEED).labels.tolist()
        found[seed] = {family: together(labels, list(here.family), family) for family in dict.fromkeys(here.family)}
    return pd.DataFrame(found)


def across(rows: pd.DataFrame, group: str, k: int, first: str, second: str) -> pd.Series:
    """By seed: `together` of pairs across two families."""
    found = {}
    for seed in sorted(rows[rows.group == group].seed.unique()):
        here, points = tasks_of(rows, group, seed)
        found[seed] = together(grouping.hard(points, k, SEED).labels.tolist(), list(here.family), first, second)
    return pd.Series(found)
