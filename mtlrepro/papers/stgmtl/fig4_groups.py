"""Figures 2, 4 and 5 of STG-MTL: data maps of every task, which their groups follow from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mtlrepro.device import deterministic
from mtlrepro.methods import task_grouping
from mtlrepro.methods.data_maps import Snapshot, stacked
from mtlrepro.papers.stgmtl.training.image_runs import (
    Group,
    ImageTraining,
    Split,
    f1,
    image_settings,
    prepared,
    task_set,
    train,
)
from mtlrepro.parameters import Params

# Numbers of clusters of the point-based groups; the task whose map is drawn, and by how many of its points.
VOTES = (2, 3)
SHOWN = {"task": "cat", "points": 400}


def settings(p: Params) -> list[dict[str, Any]]:
    """Multi-task models of G1 and G2, `p.seeds` of each, and `p.single` times the single-task models of G1."""
    same = {"votes": VOTES, "shown": SHOWN} | image_settings(p, {"train": p.images})
    return [
        {"group": group, "of": of, "seed": p.first_seed + i} | same
        for group, of, seeds in (("G1", "multi-task", p.seeds), ("G2", "multi-task", p.seeds), ("G1", "single-task", p.single))
        for i in range(seeds)
    ]


def data_maps(
    group: Group, of: Literal["multi-task", "single-task"], seed: int, limits: Mapping[Split, int], training: Mapping[str, Any],
    votes: Sequence[int] = (), shown: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Train on all tasks, by one model or by one per task, and describe the data maps. One row per task:

    task, family, share (of positive answers), weight (of one in the loss), f1 (on the training images, at the end), "test f1"
    (where `limits` has test images), apart (distances to every task, as text). With `votes`: "votes k" for each k of it
    (point-based memberships in k clusters, as text), and "apart last" (distances of the last snapshot alone). Besides, a row for
    each of `shown["points"]` points of `shown["task"]`: confidence, variability, label.
    limits, training: as of `image_settings`.
    """
    options = ImageTraining(**training)
    sets = {split: task_set(group, split, limit) for split, limit in limits.items()}
    images, tasks = sets["train"], len(sets["train"].tasks)
    with deterministic(threads=1):
        weights = torch.ones(1, tasks) if of == "multi-task" else torch.eye(tasks)
        data = prepared(options, *sets.values())
        trained = train(data[0], weights, seed, options, data, record=True)
        maps = trained.maps
        texts = {"apart": distances(maps)} | ({"apart last": distances(maps[-1:])} if votes else {})
        texts |= {f"votes {k}": task_grouping.point_based(stacked(maps), k, seed, restarts=3).memberships for k in votes}
    scores = {}
    for split, part, logits in zip(sets, data, trained.logits, strict=True):
        own = logits[0] if of == "multi-task" else logits.diagonal().T
        scores["f1" if split == "train" else "test f1"] = f1(own.sigmoid(), part.labels).round(5).tolist()
    columns: dict[str, Sequence[Any]] = {
        "task": images.tasks, "family": images.families, "share": images.labels.mean(0).tolist(),
        "weight": images.positive_weights.tolist(), **scores,
        **{name: [as_text(row) for row in matrix] for name, matrix in texts.items()},
    }  # fmt: skip
    rows: list[dict[str, Any]] = [{"kind": "task"} | {name: own[i] for name, own in columns.items()} for i in range(tasks)]
    if shown:
        column = images.tasks.index(shown["task"]) if shown["task"] in images.tasks else 0
        drawn = np.random.default_rng(seed).choice(len(images), min(shown["points"], len(images)), replace=False)
        rows += [
            {"kind": "point", "task": images.tasks[column], "label": int(images.labels[i, column]),
             "confidence": round(float(maps[-1].mean[column, i]), 4), "variability": round(float(maps[-1].std[column, i]), 4)}
            for i in drawn
        ]  # fmt: skip
    return rows


def distances(maps: Sequence[Snapshot]) -> Tensor:
    """(tasks, tasks) float64 distances between the tasks' vectors, all snapshots together; for `coordinates_of_distances`."""
    rows = task_grouping.coordinates(task_grouping.gram(task_grouping.map_chunks(stacked(maps))))
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")


def as_text(values: Tensor) -> str:
    """Numbers with seven digits, by blanks."""
    return " ".join(f"{value:.7g}" for value in values.tolist())
