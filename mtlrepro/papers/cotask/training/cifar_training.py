"""CO-TASK on CIFAR-MTL (Hsieh and Tseng 2021): single-task, multi-task and CO-TASK training with one task in each batch.

An epoch of multi-task training is the shuffled sequence of all tasks' full batches, and each step updates the shared bottom and
the head of its batch's task. CO-TASK adds auxiliary tasks, whose batches join the sequence. What a step is worth is then a
question of the budget:
    "paper"  an epoch holds every task's batches, auxiliary ones on top: a major task has as many steps as without them, and the
             shared bottom has more
    "equal"  an epoch has as many batches as multi-task training's, dealt to all tasks in proportion to their own
             (`deal_batches`): the shared bottom has as many steps as without auxiliary tasks, and a major task has fewer
and multi-task training "as long" as CO-TASK by the paper's rule takes as many steps as that, all of them of major tasks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, pad

from mtlrepro.data.tasks import Task
from mtlrepro.device import NETWORK, choose, deterministic, generator, seeded
from mtlrepro.errors import BadValue, DataMissing
from mtlrepro.methods import registry
from mtlrepro.methods.cotask import combine_tasks
from mtlrepro.models.resnet import CifarResNet, shared_bottom
from mtlrepro.models.task_heads import MultiTaskNet
from mtlrepro.papers.cotask.data.cifar_mtl import ImageTasks, cifar_mtl, digits_mtl
from mtlrepro.papers.cotask.models.task_routing import routed
from mtlrepro.parameters import Params
from mtlrepro.training.loop import Fit, fit, minibatches, mixed
from mtlrepro.training.weighting import Batch, Call

Rule = Literal["paper", "equal", "as long"]
# Training images of each of the 100 classes.
IMAGES_OF_A_CLASS = 400
# Baselines of Table 5: name -> task weighting of the registry; "trl" is another model.
BASELINES = {"multi": "equal", "dwa": "dwa", "dtp": "dtp", "trl": "equal"}


@dataclass(frozen=True)
class CifarTraining:
    """Training by SGD with Nesterov momentum; the rate is halved at even distances, six times in all; the epoch that is best on
    validation counts. Images are cropped and flipped at random; the paper's rotations by up to 15 degrees are left out.

    blocks, widths: of the residual network's stages. side: images are averaged down to so many pixels a side. per_class: training
    images per class, None for all of them. rate: learning rate. decay: weight decay.
    """

    epochs: int
    blocks: Sequence[int] = (1, 1, 1)
    widths: Sequence[int] = (8, 16, 32)
    side: int = 16
    batch: int = 128
    rate: float = 0.1
    momentum: float = 0.9
    decay: float = 5e-4
    per_class: int | None = None
    device: str = "cpu"


def training_settings(p: Params) -> dict[str, Any]:
    """The arguments of `CifarTraining` that a notebook's parameters set."""
    return {name: value for name, value in p.values.items() if name in CifarTraining.__dataclass_fields__}


@dataclass(frozen=True, eq=False)
class PreparedImages:
    """images (n, channels, side, side), about the mean of each channel in units of its spread; the major tasks' records."""

    images: Tensor
    tasks: tuple[Task, ...]
    sha256: dict[str, str]
    tier: str

    @property
    def stand_in(self) -> bool:
        """Whether two tasks of digits take the place of CIFAR-MTL; they have a single pair, so one auxiliary task."""
        return self.tier != "paper's data"


def prepared_images(seed: int, noise: float, training: CifarTraining) -> PreparedImages:
    """CIFAR-MTL, split and made noisy by `seed`; where CIFAR-100 is not at hand, two tasks of digits."""
    return _prepared(seed, noise, training.side, training.per_class, training.device)


@functools.lru_cache(maxsize=3)
def _prepared(seed: int, noise: float, side: int, per_class: int | None, device: str) -> PreparedImages:
    data: ImageTasks
    try:
        data = cifar_mtl(seed, noise, per_class=per_class)
    except DataMissing:
        data = digits_mtl(seed, noise)
    pixels = torch.tensor(data.images).permute(0, 3, 1, 2).to(NETWORK)
    if pixels.shape[-1] > side:
        pixels = avg_pool2d(pixels, pixels.shape[-1] // side)
    known = pixels[np.concatenate([task.parts["train"].rows for task in data.tasks])]
    mean, spread = known.mean((0, 2, 3), keepdim=True), known.std((0, 2, 3), keepdim=True)
    images = ((pixels - mean) / spread).to(choose(device), memory_format=torch.channels_last)
    return PreparedImages(images, data.tasks, data.sha256, data.tier)


@dataclass(frozen=True, eq=False)
class Trained:
    """accuracy: (major tasks,) on test images, in the best epoch by mean validation accuracy. model: in that state.

    spread: the largest over the smallest task weight of the major tasks, mean over epochs. moved: share of the epochs after the
    first in which their weights were others than in the epoch before.
    """

    accuracy: Tensor
    steps: int
    model: MultiTaskNet
    spread: float
    moved: float


def train(
    data: PreparedImages,
    auxiliary: int,
    rule: Rule,
    seed: int,
    training: CifarTraining,
    baseline: str = "multi",
    major: Sequence[int] = (),
) -> Trained:
    """Train on the major tasks with `auxiliary` combined tasks by the given budget rule, and test.

    rule: with "as long" only the steps that so many auxiliary tasks would have added are taken, on the major tasks. baseline: a
    name of BASELINES. major: train on these major tasks alone, () for all. Raises BadValue where there is no such baseline.
    """
    if baseline not in BASELINES:
        raise BadValue(f"baseline must be one of {', '.join(BASELINES)}, not {baseline!r}.")
    own = [data.tasks[i] for i in major] if major else list(data.tasks)
    combined = list[Task](combine_tasks(own, auxiliary, seed)) if auxiliary else []
    tasks = own if rule == "as long" else own + combined
    counts = _full_batches(tasks, training.batch)
    if rule == "equal":
        counts = deal_batches(counts, int(counts[: len(own)].sum()))
    steps = int(counts.sum()) + (int(_full_batches(combined, training.batch).sum()) if rule == "as long" else 0)
    with deterministic(threads=1):
        model = _model(tasks, data.images.shape[1], seed, training, baseline, major)
        weights = _fit(model, data, tasks, len(own), counts, steps, seed, training, baseline, major).weights[:, : len(own)]
        with torch.no_grad():
            accuracy = _accuracies(model.eval(), data, own, "test")
    changed = (weights[1:] - weights[:-1]).abs().amax(1) > 1e-6
    moved = float(changed.double().mean()) if len(changed) else 0.0
    return Trained(accuracy, steps * training.epochs, model, float((weights.amax(1) / weights.amin(1)).mean()), moved)


def _full_batches(tasks: Sequence[Task], batch: int) -> NDArray[np.int64]:
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
    tasks: Sequence[Task], channels: int, seed: int, training: CifarTraining, baseline: str, major: Sequence[int]
) -> MultiTaskNet:
    classes = [len(task.classes) for task in tasks]
    with seeded(seed, "start", *major):
        bottom = CifarResNet(training.blocks, training.widths, channels)
        net = routed(bottom, classes, generator(seed, "masks")) if baseline == "trl" else shared_bottom(bottom, classes)
    return net.to(device=choose(training.device), memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _fit(
    model: MultiTaskNet, data: PreparedImages, tasks: Sequence[Task], selecting: int, counts: NDArray[np.int64], steps: int,
    seed: int, training: CifarTraining, baseline: str, major: Sequence[int],
) -> Fit:  # fmt: skip
    """counts: (tasks,) batches of each task in a sequence. steps: an epoch's, filled up from further sequences where they are
    more. selecting: the first so many tasks choose the epoch."""
    device = data.images.device
    records = [tuple(torch.from_numpy(part).to(device) for part in task.parts["train"]) for task in tasks]
    order, draw = generator(seed, "batches", *major), generator(seed, "augmentation", *major)

    def sequence() -> list[tuple[int, Tensor]]:
        full = []
        for (rows, _), count in zip(records, counts, strict=True):
            each = list(minibatches(len(rows), training.batch, order))
            full.append(each[: int(count)])  # without the last, smaller one, unless it is the only one
        return list(mixed(full, order))

    def batches(_: int) -> Iterator[Batch]:
        once = sequence()
        while len(once) < steps:
            once += sequence()[: steps - len(once)]
        for task, part in once:
            rows, labels = records[task]
            yield Batch(augmented(data.images[rows[part]], draw), labels[part], task)

    def losses(call: Call, batch: Batch) -> Tensor:
        return cross_entropy(call(batch.inputs, batch.task), batch.targets)[None]

    return fit(
        model, batches, losses, epochs=training.epochs, weighting=registry.build(BASELINES[baseline]),
        optimizer=torch.optim.SGD(
            model.parameters(), training.rate, training.momentum, nesterov=True, weight_decay=training.decay
        ),
        validate=lambda net: _accuracies(net, data, tasks, "valid"),
        select=lambda metrics: metrics[:selecting].mean(),
        schedule=lambda epoch: 0.5 ** int(7 * epoch / training.epochs),
    )  # fmt: skip


def _accuracies(model: nn.Module, data: PreparedImages, tasks: Sequence[Task], part: str) -> Tensor:
    """(tasks,) share of right answers on a part of each task's records; 0 where it has none."""
    shares = []
    for head, task in enumerate(tasks):
        images, labels = records_of(data, task, part)
        shares.append((model(images, head).argmax(-1) == labels).double().mean() if len(labels) else labels.new_zeros(()))
    return torch.stack(shares)


def records_of(data: PreparedImages, task: Task, part: str) -> tuple[Tensor, Tensor]:
    """Images (n, channels, side, side) and labels (n,) of a part of a task's records, on the images' device."""
    rows, labels = (torch.from_numpy(each).to(data.images.device) for each in task.parts[part])
    return data.images[rows], labels


def augmented(images: Tensor, draw: torch.Generator) -> Tensor:
    """Crops at a random place of the images with a margin of an eighth of their side, and flips of half of them."""
    n, _, side, _ = images.shape
    margin = max(side // 8, 1)
    places = torch.randint(0, 2 * margin + 1, (2, n), generator=draw).to(images.device)
    flips = torch.rand(n, generator=draw).to(images.device) < 0.5
    wide = pad(images, (margin,) * 4).permute(0, 2, 3, 1)
    span = torch.arange(side, device=images.device)
    columns = torch.where(flips[:, None], side - 1 - span, span) + places[1][:, None]
    down = (places[0][:, None] + span)[:, :, None]
    crops = wide[torch.arange(n, device=images.device)[:, None, None], down, columns[:, None, :]]
    return crops.permute(0, 3, 1, 2)


def accuracy_with_own_statistics(model: MultiTaskNet, data: PreparedImages, task: Task, head: int) -> float:
    """Test accuracy of a task where batch normalisation uses the statistics of its own training images.

    The model's running statistics are overwritten.
    """
    images, _ = records_of(data, task, "train")
    tested, labels = records_of(data, task, "test")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics are those of the last batch, here all of the task's training images
    with torch.no_grad():
        model.train()(images, head)
        answers = model.eval()(tested, head).argmax(-1)
    return float((answers == labels).double().mean())


def features(model: MultiTaskNet, data: PreparedImages, task: Task, part: str) -> tuple[Tensor, Tensor]:
    """(n, d) features of the shared bottom of a part of a task's records, and their labels (n,)."""
    images, labels = records_of(data, task, part)
    with torch.no_grad():
        shared: Tensor = model.eval().bottom(images)
    return shared, labels


def untrained(data: PreparedImages, seed: int, training: CifarTraining) -> MultiTaskNet:
    """The network before training, as `train` starts it from the same seed."""
    return _model(data.tasks, data.images.shape[1], seed, training, "multi", ())
