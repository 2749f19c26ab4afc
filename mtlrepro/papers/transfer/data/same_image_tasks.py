"""Binary tasks on the same images: attributes of CIFAR-100's classes and of digits, and findings of chest X-rays."""

from __future__ import annotations

import functools
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from mtlrepro import data
from mtlrepro.data.binary_tasks import TaskSet
from mtlrepro.data.digits import load_digits, split_digits
from mtlrepro.errors import UnknownName
from mtlrepro.papers.transfer.data.attributes import cifar_attributes, digit_attributes
from mtlrepro.papers.transfer.data.chest import ChestXrays, patient_split
from mtlrepro.training.augmentation import Augmentation, ImageData, image_data

Source = Literal["cifar100", "nih64", "chestxray14", "digits"]
Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = ("train", "valid", "test")
# A label needs this many positives in all to be a task.
_POSITIVES = 20
# Side of the pooled images that features are taken of: 32 -> 8 and 64 -> 16; digits stay as they are.
_SIDES = {"cifar100": 8, "nih64": 16, "chestxray14": 16, "digits": 8}


class SameImages(NamedTuple):
    """One draw of a source. data: its images, those of training first, then of validation and test, normalised by the training
    images. labels: part -> (n, tasks) 0 or 1. tasks: names. augmentation: what leaves the labels as they are."""

    data: ImageData
    labels: dict[Part, NDArray[np.uint8]]
    tasks: tuple[str, ...]
    augmentation: Augmentation

    def rows(self, part: Part) -> NDArray[np.int64]:
        """The numbers of a part's images in `data`."""
        start = sum(len(self.labels[other]) for other in PARTS[: PARTS.index(part)])
        return np.arange(start, start + len(self.labels[part]))


class Features(NamedTuple):
    """One draw of a source: features (n, d), uncorrelated with mean 0 and variance 1 in training, and labels (n, tasks) 0 or 1,
    for training, validation and test; names of the tasks."""

    x: tuple[Tensor, Tensor, Tensor]
    y: tuple[Tensor, Tensor, Tensor]
    tasks: tuple[str, ...]


@functools.lru_cache(maxsize=2)
def load(source: Source, side: int = 64) -> tuple[TaskSet, TaskSet | None]:
    """A source's tasks, and its own test part where it has one; those of the set that stands in for it where it is not here, see
    the name of what is returned. side: of the whole ChestX-ray14, whose images are shrunk as they are read.

    Raises UnknownName."""
    if source not in _SIDES:
        raise UnknownName("source", source, _SIDES)
    here = data.which(source)
    if here == "cifar100":
        return cifar_attributes("train"), cifar_attributes("test")
    if here == "digits":
        return digit_attributes(), None
    return data.open(here, side=side).content, None


def _parts(source: Source, seed: int, count: int, side: int = 64) -> list[TaskSet]:
    """`count` training images, half as many for validation, and the test part, drawn by `seed`.

    CIFAR-100: test is the official one. Others are split 60/20/20 at random, chest X-rays by patient (the official parts where
    there are), so `count` is at most what that leaves. A label with fewer than 20 positives is no task.
    """
    tasks, test = load(source, side)
    chosen = [task for task, n in zip(tasks.tasks, tasks.labels.sum(0), strict=True) if n >= _POSITIVES]
    tasks = tasks.of(tasks=chosen)
    if test is not None:
        order = np.random.default_rng([seed, 12]).permutation(len(tasks))
        return [tasks.of(order[:count]), tasks.of(order[count : count + count // 2]), test.of(tasks=chosen)]
    split = patient_split(tasks, seed) if isinstance(tasks, ChestXrays) else split_digits(load_digits(), seed)
    parts = [tasks.of(split[name]) for name in PARTS]
    return [parts[0].of(np.arange(min(count, len(parts[0])))), *parts[1:]]


@functools.lru_cache(maxsize=2)
def draw(source: Source, seed: int, count: int, side: int, device: str = "cpu") -> SameImages:
    """`count` training images, half as many for validation, and the test part, drawn by `seed` (see `_parts`), averaged down to
    `side` pixels per side where they have more. Photographs and X-rays are shifted by up to an eighth and mirrored in training.
    """
    parts = _parts(source, seed, count, side)
    name, tall = parts[0].name, parts[0].images.shape[1]
    pictures = np.concatenate([part.images for part in parts])
    images = image_data(pictures, np.arange(len(parts[0])), side=min(side, tall), device=device)
    moved = Augmentation() if name == "digits" else Augmentation(crop=max(1, images.shape[1] // 8), flip="random")
    return SameImages(images, {part: own.labels for part, own in zip(PARTS, parts, strict=True)}, parts[0].tasks, moved)


@functools.lru_cache(maxsize=8)
def features(source: Source, seed: int, count: int, d: int) -> Features:
    """The same draw as d features: leading principal components of the average-pooled pixels of the training images."""
    parts = _parts(source, seed, count)
    pooled = [_pooled(part.images, _SIDES.get(part.name, 8)) for part in parts]
    middle = pooled[0].mean(0)
    _, values, right = torch.linalg.svd(pooled[0] - middle, full_matrices=False)
    # As many components as asked for that the training images have at all.
    kept = min(d, int((values > 1e-6 * values[0]).sum()))
    basis = right[:kept].mT / values[:kept] * len(pooled[0]) ** 0.5
    x = [(part - middle) @ basis for part in pooled]
    y = [torch.from_numpy(part.labels.astype(np.float64)) for part in parts]
    return Features((x[0], x[1], x[2]), (y[0], y[1], y[2]), parts[0].tasks)


def _pooled(images: NDArray[np.uint8], side: int) -> Tensor:
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


def digest(source: Any, side: int = 64) -> tuple[str, str]:
    """Name of what `load` gives and its sha256."""
    tasks, _ = load(source, side)
    return tasks.name, tasks.sha256
