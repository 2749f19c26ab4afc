"""CO-TASK on CIFAR-MTL (Hsieh and Tseng 2021): single-task, multi-task and CO-TASK training with one task in each batch.

An epoch of multi-task training is the shuffled sequence of all tasks' full batches, and each step updates the shared bottom and
the head of its batch's task. CO-TASK adds auxiliary tasks, whose batches join the sequence. What a step is worth is then a
question of the budget:
    "paper"    an epoch holds every task's batches, auxiliary ones on top: a major task has as many steps as without them, and
               the shared bottom has more
    "equal"    an epoch has as many batches as multi-task training's, dealt to all tasks in proportion to their own
               (`deal_batches`): the shared bottom has as many steps as without auxiliary tasks, and a major task has fewer
    "as long"  multi-task training with as many batches an epoch as CO-TASK has by the paper, all of them of major tasks
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mtlrepro import paths
from mtlrepro.data.tasks import Task
from mtlrepro.device import choose, deterministic, generator, seeded
from mtlrepro.errors import BadValue, DataMissing
from mtlrepro.methods import registry
from mtlrepro.methods.cotask import combine_tasks
from mtlrepro.methods.dwa import DynamicWeightAverage
from mtlrepro.models.resnet import CifarResNet, group_norm, shared_bottom
from mtlrepro.models.task_heads import MultiTaskNet
from mtlrepro.papers.cotask.data.cifar_mtl import ImageTasks, cifar_mtl, digits_mtl
from mtlrepro.papers.cotask.models.task_routing import routed
from mtlrepro.parameters import Params
from mtlrepro.results import digest
from mtlrepro.training.augmentation import Augmentation, ImageData, augmented, image_data
from mtlrepro.training.batch_statistics import Statistics, evaluating
from mtlrepro.training.image_evaluation import accuracies, task_logits
from mtlrepro.training.image_settings import ImageTraining
from mtlrepro.training.images import Checkpoint, train_images
from mtlrepro.training.schedules import Schedule
from mtlrepro.training.weighting import Weighting, WeightingWrapper

Rule = Literal["paper", "equal", "as long"]
# "half": on half of the training images; "double": with twice the epochs; "mixed batches": of all tasks; "group norm": without
# statistics of a batch.
Variant = Literal["standard", "half", "double", "mixed batches", "group norm"]
# Training images of each of the 100 classes.
IMAGES_OF_A_CLASS = 400
# Baselines of Table 5: name -> task weighting of the registry, and what it takes; "trl" is another model.
BASELINES: dict[str, tuple[str, dict[str, Any]]] = {
    "multi": ("equal", {}), "dwa": ("dwa", {"of": "validation"}), "dtp": ("dtp", {}), "trl": ("equal", {}),
}  # fmt: skip
# The published code trains for 400 epochs, of which DWA and DTP leave the weights alone for 20, and then move them every 5th.
_EPOCHS, _FIXED, _EVERY = 400, 20, 5


@dataclass(frozen=True)
class CifarTraining:
    """Training by SGD with Nesterov momentum, the rate falling to 0 by half a cosine; the last state is tested, as in the
    published code. Images are cropped, flipped and rotated by up to 15 degrees at random, as there.

    blocks, widths: of the residual network's stages. side: images are averaged down to so many pixels a side. per_class: training
    images per class, None for all of them. rate: learning rate. decay: weight decay.
    """

    epochs: int
    blocks: Sequence[int] = (1, 1, 1)
    widths: Sequence[int] = (16, 32, 64)
    side: int = 32
    batch: int = 128
    rate: float = 0.1
    decay: float = 5e-4
    per_class: int | None = None
    device: str = "cpu"

    def varied(self, variant: Variant) -> CifarTraining:
        """With half of the images or twice the epochs; otherwise as it is."""
        if variant == "half":
            return replace(self, per_class=(self.per_class or IMAGES_OF_A_CLASS) // 2)
        return replace(self, epochs=2 * self.epochs) if variant == "double" else self


def training_settings(p: Params) -> dict[str, Any]:
    """The arguments of `CifarTraining` that a notebook's parameters set."""
    return {name: value for name, value in p.values.items() if name in CifarTraining.__dataclass_fields__}


@dataclass(frozen=True, eq=False)
class PreparedImages:
    """images: of all parts, on the device; the major tasks' records."""

    images: ImageData
    tasks: tuple[Task, ...]
    sha256: dict[str, str]
    tier: str

    @property
    def stand_in(self) -> bool:
        """Whether two tasks of digits take the place of CIFAR-MTL; they have a single pair, so one auxiliary task."""
        return self.tier != "paper's data"


@functools.lru_cache(maxsize=2)
def prepared_images(seed: int, noise: float, side: int, per_class: int | None, device: str) -> PreparedImages:
    """CIFAR-MTL, split and made noisy by `seed`; where CIFAR-100 is not at hand, two tasks of digits."""
    data: ImageTasks
    try:
        data = cifar_mtl(seed, noise, per_class=per_class)
    except DataMissing:
        data = digits_mtl(seed, noise)
    known = np.concatenate([task.parts["train"].rows for task in data.tasks])
    return PreparedImages(image_data(data.images, known, side=side, device=choose(device)), data.tasks, data.sha256, data.tier)


def first_data(p: Params) -> PreparedImages:
    """The first seed's data, whose digests and tier are all seeds'."""
    return prepared_images(p.first_seed, 0.0, p.side, p.per_class, p.device)


@dataclass(frozen=True, eq=False)
class Trained:
    """model: after the last epoch. images: trained on, of all tasks with repeats; major_images: of the major tasks.

    spread: the largest over the smallest task weight of the major tasks, mean over epochs. moved: share of the changes that the
    weighting's schedule has, within the training, in which their weights did change.
    """

    model: MultiTaskNet
    images: int
    major_images: int
    spread: float
    moved: float


def trained_arm(
    method: str, baseline: str, auxiliary: int, rule: Rule, noise: float, variant: Variant, seed: int, training: dict[str, Any]
) -> tuple[PreparedImages, list[Trained]]:
    """Data and networks of one arm of the experiment: one for each major task where `method` is "single", else one for all.

    A training that was interrupted, or finished for another exhibit with the same code, goes on from its state under runs/.
    """
    setting = dict(locals())
    how = CifarTraining(**training).varied(variant)
    data = prepared_images(seed, noise, how.side, how.per_class, how.device)
    key = digest.run_key(trained_arm, setting, data.sha256)
    majors = [(i,) for i in range(len(data.tasks))] if method == "single" else [()]
    networks = []
    for major in majors:
        state = paths.runs() / "cotask" / "trainings" / ("-".join(map(str, (key, *major))) + ".pt")
        networks.append(train(data, how, seed, auxiliary, rule, baseline, variant, major, state))
    return data, networks


def train(
    data: PreparedImages, how: CifarTraining, seed: int, auxiliary: int = 0, rule: Rule = "paper", baseline: str = "multi",
    variant: Variant = "standard", major: Sequence[int] = (), state: Path | None = None,
) -> Trained:  # fmt: skip
    """Train on the major tasks with `auxiliary` combined tasks by the given budget rule.

    rule: with "as long" only the steps that so many auxiliary tasks would have added are taken, on the major tasks. baseline: a
    name of BASELINES. variant: its batches and normalisation. major: train on these major tasks alone, () for all. state: file
    that keeps the training. Raises BadValue where there is no such baseline.
    """
    if baseline not in BASELINES:
        raise BadValue(f"baseline must be one of {', '.join(BASELINES)}, not {baseline!r}.")
    own = [data.tasks[i] for i in major] if major else list(data.tasks)
    combined = list[Task](combine_tasks(own, auxiliary, seed)) if auxiliary else []
    tasks = own if rule == "as long" else own + combined
    usual, added = full_batches(own, how.batch), full_batches(combined, how.batch)
    counts: NDArray[np.int64] | None = None
    if rule == "equal" and combined:
        counts = deal_batches(np.concatenate([usual, added]), int(usual.sum()))
    elif rule == "as long":
        counts = deal_batches(usual, int(usual.sum() + added.sum()))
    settings = ImageTraining(
        epochs=how.epochs, batch=how.batch, batches="mixed tasks" if variant == "mixed batches" else "one task",
        batches_per_epoch=None if counts is None else tuple(map(int, counts)), rate=how.rate, decay=how.decay,
        schedule=Schedule("cosine"), augmentation=Augmentation(crop=how.side // 8, flip="random", rotation=15.0),
    )  # fmt: skip
    name, options = BASELINES[baseline]
    weighting = Paced(registry.build(name, **options), how.epochs)
    validate: dict[str, Callable[[nn.Module], Tensor]] = {
        "dwa": lambda net: -_losses(net, data, tasks),  # larger is better, as of every validation metric
        "dtp": lambda net: accuracies(net, data.images, tasks, "valid"),
    }
    with deterministic(threads=1):
        model = _model(tasks, data, seed, how, baseline, variant, major)
        result = train_images(
            model, data.images, tasks, settings, seed=seed, weighting=weighting,
            validate=validate.get(baseline), kept=[weighting.inner], checkpoint=Checkpoint(state) if state else None,
        )  # fmt: skip
    weights = result.weights[:, : len(own)]
    changed = (weights[1:] - weights[:-1]).abs().amax(1) > 1e-6
    each = np.concatenate([usual, added]) if counts is None else counts
    return Trained(
        model, result.images, round(result.images * int(each[: len(own)].sum()) / int(each.sum())),
        float((weights.amax(1) / weights.amin(1)).mean()), float(changed.sum()) / max(weighting.changes, 1),
    )  # fmt: skip


class Paced(WeightingWrapper):
    """A weighting that learns of the epochs at the published code's pace: of every 5th of 400 after the first 20, in proportion.

    inner: the weighting. epochs: of the training. changes: in which it may have moved before the last epoch.
    """

    def __init__(self, inner: Weighting, epochs: int) -> None:
        super().__init__(inner)
        first, every = round(epochs * _FIXED / _EPOCHS), max(round(epochs * _EVERY / _EPOCHS), 1)
        self.seen, self.due = 0, list(range(first, epochs, every))
        # DWA compares two epochs, so it moves from the second one on that it learns of.
        self.changes = sum(epoch < epochs - 1 for epoch in self.due[isinstance(inner, DynamicWeightAverage) :])

    def end_epoch(self, losses: Tensor, validation: Tensor | None) -> None:
        """Passed on where it is due."""
        if self.seen in self.due:
            self.inner.end_epoch(losses, validation)
        self.seen += 1


def full_batches(tasks: Sequence[Task], batch: int) -> NDArray[np.int64]:
    """(tasks,) full batches of each task's training records, at least 1."""
    return np.array([max(len(task.parts["train"].rows) // batch, 1) for task in tasks], np.int64)


def deal_batches(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """`total` batches dealt to tasks in proportion to `counts` (tasks,), shares rounded up or down, evenly along the list.

    So neither the major tasks, which come first, nor the auxiliary ones gain by the rounding. Raises BadValue where a task would
    have none.
    """
    edges = np.floor(np.cumsum([0, *counts]) * total / counts.sum() + 1e-9)
    dealt: NDArray[np.int64] = np.diff(edges).astype(np.int64)
    if (dealt < 1).any():
        raise BadValue(
            f"{total} batches an epoch are too few for {len(counts)} tasks: take fewer auxiliary tasks, or smaller batches."
        )
    return dealt


def _model(
    tasks: Sequence[Task], data: PreparedImages, seed: int, how: CifarTraining, baseline: str, variant: Variant,
    major: Sequence[int],
) -> MultiTaskNet:  # fmt: skip
    classes = [len(task.classes) for task in tasks]
    norm = group_norm if variant == "group norm" else nn.BatchNorm2d
    with seeded(seed, "start", *major):
        bottom = CifarResNet(how.blocks, how.widths, data.images.shape[-1], norm)
        return routed(bottom, classes, generator(seed, "masks")) if baseline == "trl" else shared_bottom(bottom, classes)


def untrained(data: PreparedImages, seed: int, how: CifarTraining) -> MultiTaskNet:
    """The network before training, as `train` starts it from the same seed."""
    return _model(data.tasks, data, seed, how, "multi", "standard", ()).to(data.images.device)


def _losses(model: nn.Module, data: PreparedImages, tasks: Sequence[Task]) -> Tensor:
    """(tasks,) mean cross-entropy of each task's validation images."""
    logits = task_logits(model, data.images, tasks, "valid")
    return torch.stack([
        cross_entropy(found, torch.from_numpy(task.parts["valid"].labels).to(found.device))
        for found, task in zip(logits, tasks, strict=True)
    ])  # fmt: skip


def accuracy_by_task(
    trained: Trained, data: PreparedImages, own: Sequence[Task], statistics: Statistics = "running"
) -> list[float]:
    """Accuracy of each of the first tasks, `own`, on its test images.

    statistics: of batch normalisation, "running" as trained; "own" and "mixed" ones are of the tasks' validation images, whose
    labels play no part.
    """
    logits = task_logits(trained.model, data.images, own, statistics=statistics, training="valid")
    return [float(np.mean(f.argmax(-1).cpu().numpy() == t.parts["test"].labels)) for f, t in zip(logits, own, strict=True)]


def features(model: MultiTaskNet, data: PreparedImages, task: Task, part: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(n, d) features of the shared bottom of a part of a task's records, and their labels (n,)."""
    rows, labels = task.parts[part]
    with torch.no_grad(), evaluating(model):
        parts = torch.from_numpy(rows.copy()).to(data.images.device).split(500)
        shared = torch.cat([model.bottom(augmented(data.images, each)) for each in parts])
    return shared.double().cpu().numpy(), labels
