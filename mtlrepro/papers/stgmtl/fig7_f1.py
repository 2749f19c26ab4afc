"""Figure 7 of STG-MTL: F1 of single-task, multi-task and grouped models."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtlrepro.device import generator
from mtlrepro.errors import DataMissing
from mtlrepro.methods import task_grouping
from mtlrepro.papers.stgmtl.fig4_groups import distances
from mtlrepro.papers.stgmtl.training.image_runs import (
    SPLITS,
    Group,
    Images,
    ImageTraining,
    Split,
    f1,
    image_settings,
    prepared,
    task_set,
    train,
)
from mtlrepro.parameters import Params

log = logging.getLogger(__name__)


def settings(p: Params) -> list[dict[str, Any]]:
    """One per task set, number of clusters and seed; a task set whose images are not at hand is left out, with a warning."""
    same = {"fuzziness": p.fuzziness} | image_settings(p, {"train": p.images, "test": p.tests})
    settings = []
    for group, seeds in p.seeds.items():
        try:
            task_set(group, "train", p.images)
        except DataMissing as error:
            log.warning("%s is left out: %s", group, error)
            continue
        settings += [
            {"group": group, "clusters": clusters, "seed": p.first_seed + i} | same
            for clusters in p.clusters[group]
            for i in range(seeds)
        ]
    return settings


def grouped_f1(
    group: Group, clusters: int, fuzziness: float, seed: int, limits: Mapping[Split, int], training: Mapping[str, Any]
) -> list[dict[str, Any]]:  # fmt: skip
    """Mean F1 over tasks, on training and test images, of STG-MTL and of what it is to be compared with; one row each.

    Columns: method, average (of "logits" or "probabilities"), train, test. Methods: "multi-task", one model; "grouped", one model
    for each of `clusters` soft clusters; "random groups", the same memberships dealt to other tasks; "no groups", as many models
    with every membership 1 / clusters, that is, an ensemble of multi-task models; "single-task", not of the hundred tasks G3.
    limits, training: as of `image_settings`.
    """
    options = ImageTraining(**training)
    images = prepared(options, *(task_set(group, split, limits[split]) for split in SPLITS))
    tasks = len(images[0].labels)
    multi_task = train(images[0], torch.ones(1, tasks), seed, options, images, record=True)
    points = task_grouping.coordinates_of_distances(distances(multi_task.maps))
    memberships = task_grouping.soft(points, clusters, seed, fuzziness).memberships
    dealt = torch.randperm(tasks, generator=generator(seed, "dealt"))
    plans = {
        "grouped": memberships, "random groups": memberships[dealt], "no groups": torch.full_like(memberships, 1 / clusters),
    }  # fmt: skip
    if group != "G3":
        plans["single-task"] = torch.eye(tasks, dtype=memberships.dtype)
    rows = [_mean_f1("multi-task", "logits", multi_task.logits, torch.ones(tasks, 1), images)]
    for number, (method, plan) in enumerate(plans.items()):
        weights = task_grouping.loss_weights(plan).float()
        logits = train(images[0], weights, generator(seed, number).initial_seed() % 2**31, options, images).logits
        for average in ("logits", "probabilities") if method != "single-task" else ("logits",):
            rows.append(_mean_f1(method, average, logits, plan, images))
    return rows


def _mean_f1(method: str, average: str, logits: list[Tensor], plan: Tensor, sets: Sequence[Images]) -> dict[str, Any]:
    row: dict[str, Any] = {"method": method, "average": average}
    for split, outputs, images in zip(SPLITS, logits, sets, strict=True):
        combined = task_grouping.combined_probability(outputs.transpose(1, 2), plan, average)  # type: ignore[arg-type]
        row[split] = round(float(f1(combined.T, images.labels).mean()), 5)
    return row
