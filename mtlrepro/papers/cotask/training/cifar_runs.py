"""CO-TASK on CIFAR-MTL (Hsieh and Tseng 2021): single-task, multi-task and CO-TASK training with one task in each batch.

An epoch of multi-task training is the shuffled sequence of all tasks' full batches, and each step updates the shared bottom and
the head of its batch's task. CO-TASK adds auxiliary tasks, whose batches join the sequence. What a step is worth is then a
question of the budget:
    "paper"  an epoch holds every task's batches, auxiliary ones on top: a major task has as many steps as without them, and the
             shared bottom has more
    "equal"  from each epoch's shuffled sequence only the first S steps are taken, S being multi-task training's: the shared
    bottom          has as many steps as without auxiliary tasks, and a major task has fewer
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
from mtlrepro.training.loop import fit, minibatches, mixed
from mtlrepro.training.weighting import Batch, Call, Weighting

Rule = Literal["paper", "equal", "as long"]
# Baselines of Table 5: name -> task weighting of the registry and its settings; "trl" is another model.
BASELINES: dict[str, tuple[str, dict[str, Any]]] = {
    "multi": ("static", {}), "dwa": ("dwa", {}), "dtp": ("dtp", {}), "trl": ("static", {}),
}  # fmt: skip


@dataclass(frozen=True)
class Setup:
    """SGD with Nesterov momentum, the rate halved at even distances, six times in all; the epoch that is best on validation
    counts.

    blocks, widths: of the residual network's stages. side: images are averaged down to so many pixels a side. per_class: training
    images of a class, None for all 400. augment: random crops and flips; the paper's rotations by up to 15 degrees are left out.
    """

    epochs: int = 6
    blocks: tuple[int, ...] = (1, 1, 1)
    widths: tuple[int, ...] = (8, 16, 32)
    side: int = 16
    batch: int = 128
    rate: float = 0.1
    momentum: float = 0.9
    decay: float = 5e-4
    per_class: int | None = None
    augment: bool = True
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class Problem:
    """images (n, channels, side, side), about the mean of each channel in units of its spread; the major tasks' records."""

    images: Tensor
    tasks: tuple[Task, ...]
    sha256: dict[str, str]
    tier: str


@functools.lru_cache(maxsize=3)
def problem(seed: int, noise: float, setup: Setup) -> Problem:
    """CIFAR-MTL, split and made noisy by `seed`; where CIFAR-100 is not at hand, two tasks of digits."""
    made: ImageTasks
    try:
        made = cifar_mtl(seed, noise, per_class=setup.per_class)
    except DataMissing:
        made = digits_mtl(seed, noise)
    picture = torch.tensor(made.images).permute(0, 3, 1, 2).to(NETWORK)
    if picture.shape[-1] > setup.side:
        picture = avg_pool2d(picture, picture.shape[-1] // setup.side)
    known = picture[np.concatenate([task.parts["train"].rows for task in made.tasks])]
    mean, spread = known.mean((0, 2, 3), keepdim=True), known.std((0, 2, 3), keepdim=True)
    images = ((picture - mean) / spread).to(choose(setup.device), memory_format=torch.channels_last)
    return Problem(images, made.tasks, made.sha256, made.tier)


@dataclass(frozen=True, eq=False)
class Trained:
    """accuracy: (major tasks,) on test images, in the best epoch by mean validation accuracy. model: in that state."""

    accuracy: Tensor
    validation: float
    epoch: int
    steps: int
    model: MultiTaskNet


def train(
    made: Problem,
    auxiliary: int,
    rule: Rule,
    seed: int,
    setup: Setup,
    baseline: str = "multi",
    long: int = 0,
    major: Sequence[int] = (),
) -> Trained:
    """Train on the major tasks with `auxiliary` combined tasks by the given budget rule, and test.

    baseline: a name of BASELINES. long: with rule "as long" and no auxiliary tasks, take the steps that so many of them would
    have added. major: train on these major tasks alone, () for all. Raises BadValue for a rule that does not fit, or no such
    baseline.
    """
    if baseline not in BASELINES:
        raise BadValue(f"baseline must be one of {', '.join(BASELINES)}, not {baseline!r}.")
    if rule == "as long" and auxiliary:
        raise BadValue("'as long' is for training without auxiliary tasks.")
    chosen = [made.tasks[i] for i in major] if major else list(made.tasks)
    tasks = [*chosen, *combine_tasks(chosen, auxiliary, seed)] if auxiliary else chosen
    counts = np.array([max(len(task.parts["train"].rows) // setup.batch, 1) for task in tasks])
    if rule == "equal":
        counts = _dealt(counts, int(counts[: len(chosen)].sum()))
    more = sum(max(len(task.parts["train"].rows) // setup.batch, 1) for task in combine_tasks(chosen, long, seed)) if long else 0
    with deterministic(threads=1):
        model = _model(tasks, made.images.shape[1], seed, setup, baseline, list(major))
        found = _fit(model, made, tasks, len(chosen), (counts, more), seed, setup, baseline, list(major))
        model.eval()
        with torch.no_grad():
            accuracy = _accuracies(model, made, chosen, "test")
    return Trained(accuracy, float(found.best), int(found.best_epoch), (int(counts.sum()) + more) * setup.epochs, model)


def _dealt(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
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


def _model(tasks: Sequence[Task], channels: int, seed: int, setup: Setup, baseline: str, major: list[int]) -> MultiTaskNet:
    classes = [len(task.classes) for task in tasks]
    with seeded(seed, "start", *major):
        bottom = CifarResNet(setup.blocks, setup.widths, channels)
        made = routed(bottom, classes, generator(seed, "masks")) if baseline == "trl" else shared_bottom(bottom, classes)
    return made.to(device=choose(setup.device), memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _fit(
    model: MultiTaskNet, made: Problem, tasks: Sequence[Task], major: int, steps: tuple[NDArray[np.int64], int], seed: int,
    setup: Setup, baseline: str, alone: list[int],
) -> Any:  # fmt: skip
    device = made.images.device
    records = [tuple(torch.from_numpy(part).to(device) for part in task.parts["train"]) for task in tasks]
    order, draw = generator(seed, "batches", *alone), generator(seed, "augmentation", *alone)

    def sequence() -> list[tuple[int, Tensor]]:
        full = []
        for (rows, _), count in zip(records, steps[0], strict=True):
            each = list(minibatches(len(rows), setup.batch, order))
            full.append(each[: int(count)])  # without the last, smaller one, unless it is the only one
        return list(mixed(full, order))

    def batches(_: int) -> Iterator[Batch]:
        once = sequence()
        while len(once) < steps[0].sum() + steps[1]:
            once += sequence()[: int(steps[0].sum()) + steps[1] - len(once)]
        for task, part in once:
            rows, labels = records[task]
            images = made.images[rows[part]]
            yield Batch(_augmented(images, draw) if setup.augment else images, labels[part], task)

    def losses(call: Call, batch: Batch) -> Tensor:
        return cross_entropy(call(batch.inputs, batch.task), batch.targets)[None]

    def validate(net: nn.Module) -> Tensor:
        return _accuracies(net, made, tasks, "valid")

    name, settings = BASELINES[baseline]
    weighting: Weighting = registry.build(name, **settings)
    optimizer = torch.optim.SGD(model.parameters(), setup.rate, setup.momentum, nesterov=True, weight_decay=setup.decay)
    return fit(
        model, batches, losses, optimizer=optimizer, epochs=setup.epochs, weighting=weighting, validate=validate,
        select=lambda metrics: metrics[:major].mean(), schedule=lambda epoch: 0.5 ** int(7 * epoch / setup.epochs),
    )  # fmt: skip


def _accuracies(model: nn.Module, made: Problem, tasks: Sequence[Task], part: str) -> Tensor:
    """(tasks,) share of right answers on a part of each task's records; 0 where it has none."""
    found = []
    for number, task in enumerate(tasks):
        rows, labels = (torch.from_numpy(each).to(made.images.device) for each in task.parts[part])
        found.append(
            (model(made.images[rows], number).argmax(-1) == labels).double().mean() if len(rows) else labels.new_zeros(())
        )
    return torch.stack(found)


def _augmented(images: Tensor, draw: torch.Generator) -> Tensor:
    """Crops at a random place of the images with a margin of an eighth of their side, and flips of half of them."""
    n, _, side, _ = images.shape
    margin = max(side // 8, 1)
    places = torch.randint(0, 2 * margin + 1, (2, n), generator=draw).to(images.device)
    flips = torch.rand(n, generator=draw).to(images.device) < 0.5
    wide = pad(images, (margin,) * 4).permute(0, 2, 3, 1)
    span = torch.arange(side, device=images.device)
    columns = torch.where(flips[:, None], side - 1 - span, span) + places[1][:, None]
    down = (places[0][:, None] + span)[:, :, None]
    chosen = wide[torch.arange(n, device=images.device)[:, None, None], down, columns[:, None, :]]
    return chosen.permute(0, 3, 1, 2)


def features(model: MultiTaskNet, made: Problem, task: int, part: str = "test") -> tuple[Tensor, Tensor]:
    """(n, d) features of the shared bottom of one task's records, and their labels (n,)."""
    rows, labels = (torch.from_numpy(each).to(made.images.device) for each in made.tasks[task].parts[part])
    model.eval()
    with torch.no_grad():
        found: Tensor = model.bottom(made.images[rows])
    return found, labels


def untrained(made: Problem, seed: int, setup: Setup) -> MultiTaskNet:
    """The network before training, as `train` starts it from the same seed."""
    return _model(made.tasks, made.images.shape[1], seed, setup, "multi", [])
