"""Binary tasks on the same images: CIFAR-100 superclasses, digits, and chest X-ray findings."""

from __future__ import annotations

import functools
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from mtlrepro import data
from mtlrepro.data.binary_tasks import TaskSet, digits_tasks, superclass_tasks
from mtlrepro.data.digits import load_digits, split_digits
from mtlrepro.errors import UnknownName
from mtlrepro.papers.transfer.data.chest import ChestXrays, patient_split

Source = Literal["cifar100", "nih64", "chestxray14", "digits"]
# A label needs this many positives in all to be a task.
_POSITIVES = 20
# Side of the pooled images: 32 -> 8 and 64 -> 16; digits stay as they are.
_SIDES = {"cifar100": 8, "nih64": 16, "chestxray14": 16, "digits": 8}


class SameImageTasks(NamedTuple):
    """One draw of a source: features (n, d), uncorrelated with mean 0 and variance 1 in training, and labels (n, tasks) 0 or 1,
    for training, validation and test; names of the tasks."""

    x: tuple[Tensor, Tensor, Tensor]
    y: tuple[Tensor, Tensor, Tensor]
    tasks: tuple[str, ...]


@functools.lru_cache(maxsize=2)
def load(source: Source) -> tuple[TaskSet, TaskSet | None]:
    """A source's tasks, and its own test part where it has one; those of the set that stands in for it where it is not here, see
    the name of what is returned. Raises UnknownName."""
    if source not in _SIDES:
        raise UnknownName("source", source, _SIDES)
    here = data.which(source)
    if here == "cifar100":
        return superclass_tasks("train"), superclass_tasks("test")
    if here == "digits":
        return digits_tasks("G1"), None
    return data.open(here, side=64).content, None


@functools.lru_cache(maxsize=8)
def draw(source: Source, seed: int, count: int, d: int) -> SameImageTasks:
    """`count` training images, half as many for validation, and the test part, drawn by `seed`; d features.

    CIFAR-100: test is the official one. Others are split 60/20/20 at random, chest X-rays by patient, so `count` is at most what
    that leaves. Features are the leading principal components of the average-pooled pixels of the training images.
    """
    tasks, test = load(source)
    chosen = [task for task, n in zip(tasks.tasks, tasks.labels.sum(0), strict=True) if n >= _POSITIVES]
    tasks = tasks.of(tasks=chosen)
    if test is not None:
        order = np.random.default_rng([seed, 12]).permutation(len(tasks))
        parts = [tasks.of(order[:count]), tasks.of(order[count : count + count // 2]), test.of(tasks=chosen)]
    else:
        split = patient_split(tasks, seed) if isinstance(tasks, ChestXrays) else split_digits(load_digits(), seed)
        parts = [tasks.of(split[name]) for name in ("train", "valid", "test")]
        parts[0] = parts[0].of(np.arange(min(count, len(parts[0]))))
    pooled = [_pooled(part.images, _SIDES.get(tasks.name, 8)) for part in parts]
    middle = pooled[0].mean(0)
    _, values, right = torch.linalg.svd(pooled[0] - middle, full_matrices=False)
    # As many components as asked for that the training images have at all.
    kept = min(d, int((values > 1e-6 * values[0]).sum()))
    basis = right[:kept].mT / values[:kept] * len(pooled[0]) ** 0.5
    x = [(part - middle) @ basis for part in pooled]
    y = [torch.from_numpy(part.labels.astype(np.float64)) for part in parts]
    return SameImageTasks((x[0], x[1], x[2]), (y[0], y[1], y[2]), tuple(chosen))


def _pooled(images: np.ndarray, side: int) -> Tensor:
    """(n, height, width, channels) uint8 -> (n, side * side * channels) float64."""
    stacked = torch.from_numpy(images.astype(np.float32)).movedim(-1, 1)
    return adaptive_avg_pool2d(stacked, side).flatten(1).double()


def random_groups(tasks: int, k: int, count: int, seed: int = 0) -> list[list[int]]:
    """`count` different groups of k of the tasks, in random order: the first task of each is the one with noise."""
    order = np.random.default_rng([seed, tasks, k])
    groups: list[list[int]] = []
    while len(groups) < count:
        group = order.permutation(tasks)[:k].tolist()
        if k == tasks or set(group) not in map(set, groups):
            groups.append(group)
    return groups


def digest(source: Any) -> tuple[str, str]:
    """Name of what `load` gives and its sha256."""
    tasks, _ = load(source)
    return tasks.name, tasks.sha256
