"""CIFAR-MTL's first five tasks in cells of 8 x 8 pixels, each task with images of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlrepro.compare.problems import Problem, Task
from mtlrepro.data.cifar import load_cifar
from mtlrepro.papers.cotask.data.cifar_mtl import cifar_mtl

TASKS, PER_CLASS, CELLS = 5, 80, 4


def load(seed: int) -> dict[str, tuple[Any, ...]]:
    """The split of `cifar_mtl`, with 80 training images of each class."""
    whole = cifar_mtl(seed, per_class=PER_CLASS)
    parts: dict[str, tuple[Any, ...]] = {}
    for name, part in {"train": "train", "validation": "valid", "test": "test"}.items():
        records = [task.parts[part] for task in whole.tasks[:TASKS]]
        inputs = [cells(whole.images[own.rows]) for own in records]
        parts[name] = (inputs, *(own.labels for own in records))
    return parts


def cells(images: Any) -> Any:
    """(n, 32, 32, 3) uint8 -> (n, 48), means of cells in -1 to 1."""
    side = images.shape[1] // CELLS
    means = images.reshape(len(images), CELLS, side, CELLS, side, 3).mean((2, 4)).reshape(len(images), -1)
    return (means / 127.5 - 1).astype(np.float32)


PROBLEM = Problem(
    title="CIFAR-MTL's cells: five superclasses",
    load=load,
    tasks=(Task("classes", 5),) * TASKS,
    metric="accuracy",
    shared=(64,),
    steps=1000,
    batch=32,
    rates=(0.02, 2.0),
    traits=("many tasks", "own inputs for each task"),
    data=lambda: {f"cifar100 {part}": load_cifar("cifar100", part).sha256 for part in ("train", "test")},
)
