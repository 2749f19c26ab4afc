"""Gates that several exhibits of STG-MTL share, computed from the rows of `fig4_groups.data_maps`, what passing them costs, and
how effects move with the epochs, which the gate "converged" judges.

Costs are in core time at the measured speed of the paper's ResNet-18 at 32 pixels in bfloat16: 690 images per second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from mtlrepro import exhibits, results
from mtlrepro.papers.stgmtl.task_groups import TaskMaps
from mtlrepro.registered_claims import Claims, EffectClaim
from mtlrepro.results.judgement import judged_effects

NOT_RECORDED = "not recorded"
TEN_TASKS = "10 core minutes per seed and task set: ResNet-18 at 32 pixels, 20,000 images, 20 epochs"
HUNDRED_TASKS = "34 core minutes per seed: ResNet-18 at 32 pixels, 50,000 images, 28 epochs"

_Effects = Mapping[str, Sequence[float]]


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


def copied(maps: Iterable[TaskMaps], clusters: Sequence[int], cost: str) -> results.Gate:
    """Whether a copied task falls in the cluster of its original, for every number of clusters, in 95% of seeds or more."""
    same = []
    for own in maps:
        original = own.tasks.index(own.tasks[-1])
        same.append(all(labels[original] == labels[-1] for labels in map(own.labels, clusters)))
    if not same:
        return not_recorded("control", cost)
    return results.Gate("control", bool(np.mean(same) >= 0.95), f"{sum(same)} of {len(same)} seeds", cost=cost)


def settled_groups(
    exhibit: str, half: Iterable[TaskMaps], whole: Iterable[TaskMaps], clusters: Sequence[int],
    effects: tuple[_Effects, _Effects], cost: str,
) -> results.Gate:  # fmt: skip
    """Whether half of the epochs give the same groups, with an adjusted Rand index of 0.8 or more, or the same outcome of every
    primary claim. effects: at half of the epochs, and at all.
    """
    pairs = [(a.labels(k), b.labels(k)) for a, b in zip(half, whole, strict=True) for k in clusters]
    index = float(np.mean([adjusted_rand_score(*pair) for pair in pairs]))
    entry = exhibits.get(exhibit).entry
    claims = [claim for claim in entry.claims if claim.primary] if isinstance(entry, Claims) else []
    early, late = ([judged.outcome for judged in judged_effects(claims, each)] for each in effects)
    value = f"ARI {index:.2f}, {sum(a == b for a, b in zip(early, late, strict=True))} of {len(late)} outcomes the same"
    return results.Gate("converged", index >= 0.8 or early == late, value, cost=cost)


def by_epochs(exhibit: str, half: _Effects, whole: _Effects) -> pd.DataFrame:
    """Each claim that was measured: its effect at half of the epochs and at all, means over seeds."""
    claims = [claim for claim in exhibits.get(exhibit).claims if isinstance(claim, EffectClaim) and half.get(claim.id)]
    return pd.DataFrame({
        "claim": [claim.says for claim in claims], "unit": [claim.unit for claim in claims],
        "half of the epochs": [float(np.mean(half[claim.id])) for claim in claims],
        "all epochs": [float(np.mean(whole[claim.id])) for claim in claims],
    })  # fmt: skip


def same_signs(names: Sequence[str], half: _Effects, whole: _Effects, cost: str) -> results.Gate:
    """Whether the means of the effects called `names` have the same sign at half of the epochs as at all."""
    means = [(float(np.mean(half[name])), float(np.mean(whole[name]))) for name in names if half.get(name) and whole.get(name)]
    value = ", ".join(f"{early:+.3g} then {late:+.3g}" for early, late in means)
    passed = len(means) == len(names) and all(np.sign(early) == np.sign(late) for early, late in means)
    return results.Gate("converged", passed, value or NOT_RECORDED, cost=cost)
