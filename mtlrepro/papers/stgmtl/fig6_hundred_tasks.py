"""Figures 6, 8 and 9 of STG-MTL: a hundred tasks. Their data maps are `fig4_groups.data_maps`; here is what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mtlrepro.device import deterministic
from mtlrepro.papers.stgmtl.training.image_runs import (
    Group,
    Recipe,
    Split,
    image_settings,
    prepared,
    train,
)
from mtlrepro.parameters import Params


def settings(p: Params) -> list[dict[str, Any]]:
    """Of `fig4_groups.data_maps`: multi-task models of G3."""
    same = {"group": "G3", "of": "multi-task", "details": False} | image_settings(p, {"train": p.images, "test": p.tests})
    return [same | {"seed": p.first_seed + i} for i in range(p.seeds)]


def cost_settings(p: Params) -> list[dict[str, Any]]:
    """Of `seconds_by_tasks`: one epoch on at most 1,280 images and on the CPU, three times at most."""
    images = image_settings(p, {"train": min(p.images, 1280), "test": 100})
    images["training"] |= {"epochs": 1, "device": "cpu"}
    return [{"group": "G3", "sizes": p.sizes, "seed": p.first_seed + i} | images for i in range(min(p.seeds, 3))]


def seconds_by_tasks(
    group: Group, sizes: Sequence[int], seed: int, limits: Mapping[Split, int], training: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """CPU seconds of the steps of one multi-task training on the first n tasks of `group`, for each n of `sizes`, without data
    maps ("plain") and with ("recorded"). limits, training: as of `image_settings`.
    """
    recipe = Recipe(**training)
    images = prepared(group, seed, limits, recipe)
    rows = []
    with deterministic(threads=1):
        for n in sizes:
            row: dict[str, Any] = {"kind": "cost", "n": n}
            for number, name in enumerate(("plain", "recorded")):
                model = train(images.first(n), torch.ones(n), seed, recipe, record=bool(number))
                row[name] = round(model.seconds, 3)
            rows.append(row)
    return rows
