"""STG-MTL's set G1 on CIFAR-10 in cells of 8 x 8 pixels: one binary task a class; the main one asks for a cat."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from mtlrepro.compare.problems import Problem, Task
from mtlrepro.data.binary_tasks import TaskSet, cifar_tasks

IMAGES, CELLS, MAIN = 4000, 4, 3


@cache
def tasks() -> TaskSet:
    """The first training images with their ten answers."""
    return cifar_tasks("G1", "train", IMAGES)


def load(seed: int) -> dict[str, tuple[Any, ...]]:
    """A random split 50/25/25."""
    images = tasks().images
    cells = images.reshape(IMAGES, CELLS, 32 // CELLS, CELLS, 32 // CELLS, 3).mean((2, 4)).reshape(IMAGES, -1)
    x = (cells / 127.5 - 1).astype(np.float32)
    labels = np.roll(tasks().labels, -MAIN, axis=1).astype(np.float32)
    order = np.random.default_rng(seed).permutation(IMAGES)
    rows = dict(zip(("train", "validation", "test"), np.split(order, [IMAGES // 2, 3 * IMAGES // 4]), strict=True))
    return {name: (x[own], *labels[own].T) for name, own in rows.items()}


PROBLEM = Problem(
    title="G1 on CIFAR-10's cells: is it a cat?",
    load=load,
    tasks=(Task("binary"),) * 10,
    metric="AUROC",
    shared=(64,),
    steps=1000,
    batch=32,
    rates=(0.05, 10.0),
    traits=("many tasks",),
    data=lambda: {"cifar10": tasks().sha256},
)
