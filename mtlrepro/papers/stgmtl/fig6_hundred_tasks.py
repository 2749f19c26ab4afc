"""Figures 6, 8 and 9 of STG-MTL: a hundred tasks. Their data maps are `fig4_groups.data_maps`; here is what they cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mtlrepro.papers.stgmtl.training.image_runs import (
    Group,
    Images,
    ImageTraining,
    Split,
    image_settings,
    prepared,
    task_set,
    train,
)
from mtlrepro.parameters import Params

# Test images of which F1 is taken.
TESTS = 2000


def settings(p: Params) -> list[dict[str, Any]]:
    """Of `fig4_groups.data_maps`: multi-task models of G3."""
    images = image_settings(p, {"train": p.images, "test": TESTS})
    return [{"group": "G3", "of": "multi-task", "seed": p.first_seed + i} | images for i in range(p.seeds)]


def cost_settings(p: Params) -> list[dict[str, Any]]:
    """Of `seconds_by_tasks`: one epoch on at most 5,000 images and on the CPU, three times at most."""
    images = image_settings(p, {"train": min(p.images, 5000)})
    images["training"] |= {"epochs": 1, "device": "cpu"}
    return [{"group": "G3", "sizes": p.sizes, "seed": p.first_seed + i} | images for i in range(min(p.seeds, 3))]


def seconds_by_tasks(
    group: Group, sizes: Sequence[int], seed: int, limits: Mapping[Split, int], training: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """CPU seconds of one multi-task training on the first n tasks of `group`, for each n of `sizes`, without data maps ("plain")
    and with ("recorded"). limits, training: as of `image_settings`.
    """
    options = ImageTraining(**training)
    (images,) = prepared(options, task_set(group, "train", limits["train"]))
    rows = []
    for n in sizes:
        first = Images(images.images, images.labels[:n], images.positive[:n])
        row: dict[str, Any] = {"kind": "cost", "n": n}
        for name, record in (("plain", False), ("recorded", True)):
            start = time.process_time()
            train(first, torch.ones(1, n), seed, options, record=record)
            row[name] = round(time.process_time() - start, 3)
        rows.append(row)
    return rows
