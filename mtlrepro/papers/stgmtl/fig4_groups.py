"""Figures 2, 4, 5 of STG-MTL: data maps of every task and the groups that they give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mtlrepro.data.binary_tasks import TaskSet
from mtlrepro.methods import task_grouping
from mtlrepro.methods.data_maps import Snapshot, stacked
from mtlrepro.papers.stgmtl.training.image_runs import Setup, prepared, train


def distances(maps: Sequence[Snapshot]) -> Tensor:
    """(tasks, tasks) float64 distances between the tasks' vectors, all snapshots together; for `coordinates_of_distances`."""
    rows = task_grouping.coordinates(task_grouping.gram(task_grouping.map_chunks(stacked(maps))))
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")


def map_rows(
    train_set: TaskSet, of: Literal["multi-task", "single-task"], seed: int, setup: Setup, clusters: Sequence[int],
    shown: str = "", points: int = 0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Train on all tasks, by one model or by one a task, and describe the data maps. One row a task:

    task, family, apart (distances to every task, as text), and "votes k" for each k of `clusters` (point-based memberships in k
    clusters, as text). Besides, `points` rows of the task called `shown`: confidence, variability and the label of a point.
    """
    (data,) = prepared(train_set, setup=setup)
    tasks = len(train_set.tasks)
    weights = torch.ones(1, tasks) if of == "multi-task" else torch.eye(tasks)
    maps = train(data, weights, seed, setup, record=True).maps
    apart = distances(maps)
    votes = {k: task_grouping.point_based(stacked(maps), k, seed, restarts=3).memberships for k in clusters}
    rows: list[dict[str, Any]] = [
        {"kind": "task", "task": task, "family": family, "apart": _text(apart[i])}
        | {f"votes {k}": _text(v[i]) for k, v in votes.items()}
        for i, (task, family) in enumerate(zip(train_set.tasks, train_set.families, strict=True))
    ]
    if points:
        which = train_set.tasks.index(shown) if shown in train_set.tasks else 0
        last = maps[-1]
        for row in np.random.default_rng(seed).choice(len(train_set), min(points, len(train_set)), replace=False):
            rows.append(
                {"kind": "point", "task": train_set.tasks[which], "label": int(train_set.labels[row, which]),
                 "confidence": round(float(last.mean[which, row]), 4), "variability": round(float(last.std[which, row]), 4)}
            )  # fmt: skip
    return rows


def _text(values: Tensor) -> str:
    return " ".join(f"{value:.7g}" for value in values.tolist())
