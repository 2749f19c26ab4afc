"""STG-MTL on images (Sherif, Abid, Elattar, ElHelw 2023): the task sets, and one model for each row of task weights in its loss.

Ones are multi-task learning, one task alone single-task learning, a cluster's memberships its specialised model (eq. 1). The
models of a seed see the same images in the same order, each from initial weights of its own. The rate is constant: the paper
names no schedule, and so a training of half the epochs is the first half of the whole one, and its snapshots serve both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import linear

from mtlrepro.data.binary_tasks import EXTRA, TaskSet, cifar_tasks, digits_tasks
from mtlrepro.data.digits import load_digits, split_digits
from mtlrepro.device import choose, seeded
from mtlrepro.errors import DataMissing
from mtlrepro.methods.data_maps import DataMap, Snapshot, true_label_probability
from mtlrepro.methods.static import Static
from mtlrepro.models.resnet import CifarResNet, imagenet_resnet18
from mtlrepro.parameters import Params
from mtlrepro.training.augmentation import ImageData, image_data
from mtlrepro.training.image_batches import BinaryTasks
from mtlrepro.training.image_evaluation import binary_logits
from mtlrepro.training.image_settings import ImageTraining
from mtlrepro.training.images import train_images
from mtlrepro.training.weighting import Batch

Group = Literal["G1", "G2", "G3"]
Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")
# The task that has a second head, a copy that learns from the shared features and does not move them: the cat.
COPIED = 3
# Training images that all seeds have in common; the others are drawn by the seed.
COMMON = 500


@dataclass(frozen=True)
class Recipe:
    """How each model is trained: Adam at a constant rate, a fixed number of epochs, nothing chosen on validation.

    widths: channels of the stages of one block each; empty: torchvision's ResNet-18, the paper's. side: images are averaged down
    to so many pixels per side. device: as of `device.choose`.
    """

    epochs: int
    widths: Sequence[int] = ()
    side: int = 32
    device: str = "cpu"
    batch: int = 128
    rate: float = 1e-3

    def quarters(self, half: bool = False) -> list[int]:
        """The epochs whose data maps make a task's vector: after each quarter of the training, or of its first half."""
        return sorted({-(-self.epochs * part // (8 if half else 4)) for part in (1, 2, 3, 4)})

    def training(self) -> ImageTraining:
        """For `train_images`."""
        snapshots = tuple(sorted({*self.quarters(), *self.quarters(half=True)}))
        return ImageTraining(
            epochs=self.epochs, batch=self.batch, optimizer="adam", rate=self.rate, decay=0.0, snapshots=snapshots
        )


@lru_cache(maxsize=6)
def task_set(group: Group, split: Split) -> TaskSet:
    """All images of CIFAR; where it is not at hand digits for G1 and G2, and DataMissing for G3."""
    try:
        return cifar_tasks(group, split)
    except DataMissing:
        if group == "G3":
            raise
        rows = split_digits(load_digits(), 0)
        chosen = rows["test"] if split == "test" else np.concatenate([rows["train"], rows["valid"]])
        return digits_tasks(group).of(chosen)


def image_settings(p: Params, limits: Mapping[Split, int]) -> dict[str, Any]:
    """What every setting says of images and models: limits (images of each split) and training (arguments of `Recipe`)."""
    training = {"epochs": p.epochs, "widths": p.widths, "side": p.side, "device": p.device}
    return {"limits": dict(limits), "training": training}


def digests(settings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name -> sha256 of the task sets that runs with `settings` read. Raises DataMissing as `task_set` does."""
    return {f"{images.name} of {group}": images.sha256 for group, images in _task_sets(settings)}


def tier(settings: Sequence[Mapping[str, Any]]) -> str:
    """The data tier of runs with `settings`; a source that lacks images of the official split is a stand-in for it."""
    whole = all(images.tier == "paper's data" and not images.partial for _, images in _task_sets(settings))
    return "paper's data" if whole else "public stand-in"


def _task_sets(settings: Sequence[Mapping[str, Any]]) -> list[tuple[Group, TaskSet]]:
    return [(group, task_set(group, split)) for group in sorted({s["group"] for s in settings}) for split in SPLITS]


@dataclass(frozen=True, eq=False)
class Images:
    """The images and answers of one seed.

    data: training images, then test images. labels: (n, tasks) of each split. positive: (tasks,) weights of a positive answer.
    """

    tasks: tuple[str, ...]
    families: tuple[str, ...]
    data: ImageData
    labels: dict[Split, NDArray[np.uint8]]
    positive: NDArray[np.float64]

    def rows(self, split: Split) -> NDArray[np.int64]:
        """The numbers of a split's images in `data`."""
        start = 0 if split == "train" else len(self.labels["train"])
        return np.arange(start, start + len(self.labels[split]))

    def first(self, tasks: int) -> Images:
        """The first `tasks` tasks alone."""
        labels = {split: answers[:, :tasks] for split, answers in self.labels.items()}
        return Images(self.tasks[:tasks], self.families[:tasks], self.data, labels, self.positive[:tasks])


def prepared(group: Group, seed: int, limits: Mapping[Split, int], recipe: Recipe) -> Images:
    """`limits["train"]` training images, drawn by `seed` with equal shares of the classes, of which the first `COMMON` are every
    seed's, and the first `limits["test"]` test images. The random task of G2 has answers of its own in each seed.
    """
    sets = {split: task_set(group, split) for split in SPLITS}
    chosen = {"train": _drawn(sets["train"], limits["train"], seed), "test": np.arange(len(sets["test"]))[: limits["test"]]}
    labels = {split: sets[split].labels[chosen[split]] for split in SPLITS}
    tasks = sets["train"].tasks
    if "random" in tasks:
        for split in SPLITS:
            tosses = np.random.default_rng([seed, *split.encode()]).integers(0, 2, len(labels[split]))
            labels[split][:, tasks.index("random")] = tosses
    pictures = np.concatenate([sets[split].images[chosen[split]] for split in SPLITS])
    data = image_data(pictures, np.arange(len(chosen["train"])), side=recipe.side, device=choose(recipe.device))
    return Images(tasks, sets["train"].families, data, labels, sets["train"].positive_weights)


def _drawn(images: TaskSet, limit: int, seed: int) -> NDArray[np.int64]:
    """(limit,) row numbers; all of them, in order, where there are no more."""
    every = np.arange(len(images))
    if limit >= len(images):
        return every
    classes = images.labels[:, [family != EXTRA for family in images.families]].argmax(1)
    common, rest = train_test_split(every, train_size=min(COMMON, limit // 2), stratify=classes, random_state=0)
    own, _ = train_test_split(rest, train_size=limit - len(common), stratify=classes[rest], random_state=seed)
    return np.concatenate([common, own])


def f1(logits: Tensor, labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(tasks,) F1 of positive answers at probability 1/2; 0 where nothing is positive. logits: (tasks, n), labels: (n, tasks)."""
    scores: NDArray[np.float64] = f1_score(labels, logits.T.cpu().numpy() > 0, average=None, zero_division=0)
    return scores


class TaskNet(nn.Module):
    """One logit per task from shared features: a linear head without bias.

    bottom: images -> (n, width). copied: the number of a task that has a second head, its logits the last row, whose gradient
    stops at the features; None: no task has.
    """

    def __init__(self, bottom: nn.Module, width: int, tasks: int, copied: int | None = None) -> None:
        super().__init__()
        self.bottom, self.copied = bottom, copied
        bound = width**-0.5
        self.heads = nn.Parameter(torch.empty(tasks, width).uniform_(-bound, bound))
        self.copy = None if copied is None else nn.Parameter(torch.empty(1, width).uniform_(-bound, bound))

    def forward(self, images: Tensor) -> Tensor:
        """(n, channels, h, w) -> logits (tasks, n), with a copy (tasks + 1, n)."""
        features = self.bottom(images)
        logits = linear(features, self.heads)
        if self.copy is not None:
            logits = torch.cat([logits, linear(features.detach(), self.copy)], 1)
        return logits.T


class Features(nn.Module):
    """The shared features of a `TaskNet` as (width, n), so that `binary_logits` collects them."""

    def __init__(self, net: TaskNet) -> None:
        super().__init__()
        self.bottom = net.bottom

    def forward(self, images: Tensor) -> Tensor:
        """(n, channels, h, w) -> (width, n)."""
        features: Tensor = self.bottom(images).T
        return features


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model. curves: epochs trained -> split -> logits (tasks, n) of as many images of each split as there are test
    images. maps: epochs trained -> data map of all tasks and, last, of the copied one; empty where none was recorded. seconds:
    of the steps, as of `train_images`.
    """

    net: TaskNet
    curves: dict[int, dict[Split, Tensor]]
    maps: dict[int, Snapshot]
    seconds: float


def train(
    images: Images, weights: Tensor, seed: int, recipe: Recipe, number: int = 0, record: bool = False, linear_model: bool = False
) -> Model:  # fmt: skip
    """Train one model with `weights` (tasks,) in its loss, eq. 1.

    seed, number: initial weights are those of both, the order of images that of `seed` alone. record: keep data maps, from the
    forward passes of training and before the step, and give one task a second head. linear_model: logistic regression on pixels
    in place of the network.
    """
    tasks, shape = len(images.tasks), images.data.shape
    bottom: nn.Module
    with seeded(seed, "start", number):
        if linear_model:
            bottom, width = nn.Flatten(), shape[1] * shape[2] * shape[3]
        elif recipe.widths:
            bottom, width = CifarResNet((1,) * len(recipe.widths), recipe.widths, shape[3]), recipe.widths[-1]
        else:
            bottom, width = imagenet_resnet18(shape[3]), 512
        net = TaskNet(bottom, width, tasks, COPIED if record else None)
    columns = [*range(tasks), COPIED] if record else list(range(tasks))
    answers = BinaryTasks(images.rows("train"), images.labels["train"][:, columns], images.positive[columns])
    recorded = DataMap(len(columns), len(answers.rows), images.data.device)

    def observe(logits: Tensor, batch: Batch) -> None:
        labels, points = batch.targets
        recorded.update(true_label_probability(logits, labels).T, points)

    def at_snapshot(_: int, model: nn.Module) -> dict[str, Tensor]:
        most = len(images.labels["test"])
        kept = {str(split): binary_logits(model, images.data, images.rows(split)[:most])[:tasks] for split in SPLITS}
        if record:
            now = recorded.snapshot()
            kept |= {"mean": now.mean, "std": now.std, "count": now.count}
        return kept

    trained = train_images(
        net, images.data, answers, recipe.training(), seed=seed, weighting=Static(weights.float()[columns]),
        at_snapshot=at_snapshot, observe=observe if record else None, kept=[recorded],
    )  # fmt: skip
    snapshots = trained.snapshots.items()
    return Model(
        net,
        {epoch: {split: kept[split] for split in SPLITS} for epoch, kept in snapshots},
        {epoch: Snapshot(kept["mean"], kept["std"], kept["count"]) for epoch, kept in snapshots if record},
        float(trained.seconds.sum()),
    )
