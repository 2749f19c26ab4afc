"""What image classifiers train on: tasks with images of their own, or binary tasks on the same images, and batches of them.

The batches of an epoch are a function of seed and epoch alone, so a training can go on from any update. They are drawn on the CPU
and go to the device once an epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from mtlrepro.data.tasks import Task
from mtlrepro.device import NETWORK, generator
from mtlrepro.errors import BadValue
from mtlrepro.refusals import refuse_binary
from mtlrepro.training.image_settings import ImageTraining
from mtlrepro.training.loop import minibatches, mixed
from mtlrepro.training.weighting import Batch, Call


@dataclass(frozen=True, eq=False)
class BinaryTasks:
    """Binary tasks on the same images. rows: (n,) image numbers. labels: (n, tasks) 0 or 1. positive_weights: (tasks,) of the
    loss of a positive label, None: 1. Raises BadValue for sizes that do not fit and for other labels.
    """

    rows: NDArray[Any] | Tensor
    labels: NDArray[Any] | Tensor
    positive_weights: NDArray[Any] | Tensor | None = None

    def __post_init__(self) -> None:
        weights = None if self.positive_weights is None else len(self.positive_weights)
        if self.labels.ndim != 2 or len(self.rows) != len(self.labels) or weights not in (None, self.labels.shape[1]):
            raise BadValue("binary tasks take rows (n,), labels (n, tasks) and positive weights (tasks,).")
        refuse_binary(self.labels, self.positive_weights)

    def __len__(self) -> int:
        return int(self.labels.shape[1])


@dataclass(frozen=True, eq=False)
class Epoch:
    """The samples of one epoch in order. rows: (n,) image numbers. points: (n,) what `Samples.batch` needs of each.

    sizes: of the batches. tasks: the one task of each batch, None where batches hold several.
    """

    rows: Tensor
    points: tuple[Tensor, ...]
    sizes: list[int]
    tasks: list[int] | None


class Samples(Protocol):
    """Training samples: the order of an epoch, batches, and the loss of a batch."""

    count: int

    def per_epoch(self, epoch: int) -> int:
        """The number of batches of an epoch."""

    def epoch(self, epoch: int, seed: int) -> Epoch:
        """The samples of an epoch, on the device."""

    def batch(self, images: Tensor, points: tuple[Tensor, ...], task: int | None) -> Batch:
        """A batch of these images."""

    def losses(self, logits: Tensor, batch: Batch) -> Tensor:
        """(1,) of a batch of one task, else (..., tasks)."""

    def logits(self, call: Call, batch: Batch) -> Tensor:
        """What the model makes of a batch."""

    def digest(self) -> str:
        """Hexadecimal sha256 of all rows and labels."""


class OneTaskBatches:
    """Each batch is of one task: the shuffled sequence of task numbers, each as often as the task has batches, each drawing the
    next batch of its task (CO-TASK's authors).

    counts: batches of each task an epoch, None: as many full ones as it has, but one at least; more than it has come from further
    shuffles. until: (tasks,) a task has batches in the first so many epochs only, None: in all. model: (images, task) -> logits.
    """

    def __init__(
        self, tasks: Sequence[Task], size: int, device: torch.device, *, drop_last: bool = True,
        counts: Sequence[int] | None = None, until: Sequence[int] | None = None, smoothing: float = 0.0, part: str = "train",
    ) -> None:  # fmt: skip
        self.count, self.size, self.smoothing, self.device = len(tasks), size, smoothing, device
        self.records = [tuple(torch.from_numpy(each.copy()) for each in task.parts[part]) for task in tasks]
        lengths = [len(rows) for rows, _ in self.records]
        if not lengths or min(lengths) < 1:
            raise BadValue("every task needs at least one training image.")
        own = [max(n // size if drop_last else -(-n // size), 1) for n in lengths]
        self.own, self.counts = own, own if counts is None else list(counts)
        self.until = [2**62] * len(tasks) if until is None else list(until)
        if not len(self.counts) == len(self.until) == len(tasks) or min(self.counts) < 0:
            raise BadValue(f"batches of each task an epoch, and epochs of each task, name {len(tasks)} numbers, one a task.")
        self.numbers = torch.arange(len(tasks), device=device)

    def per_epoch(self, epoch: int) -> int:
        """The number of batches of an epoch."""
        return sum(n for n, until in zip(self.counts, self.until, strict=True) if epoch < until)

    def epoch(self, epoch: int, seed: int) -> Epoch:
        """The samples of an epoch."""
        order, lots = generator(seed, "batches", epoch), []
        for (rows, _), own, count, until in zip(self.records, self.own, self.counts, self.until, strict=True):
            each: list[Tensor] = []
            while len(each) < count and epoch < until:
                each += list(minibatches(len(rows), self.size, order))[:own]
            lots.append(each[:count] if epoch < until else [])
        sequence = list(mixed(lots, order))
        if not sequence:
            raise BadValue(f"no task has a batch in epoch {epoch}.")
        rows, labels = (torch.cat([self.records[task][i][chosen] for task, chosen in sequence]) for i in (0, 1))
        sizes = [len(chosen) for _, chosen in sequence]
        return Epoch(rows.to(self.device), (labels.to(self.device),), sizes, [task for task, _ in sequence])

    def batch(self, images: Tensor, points: tuple[Tensor, ...], task: int | None) -> Batch:
        """inputs: (images, task number as a tensor)."""
        return Batch((images, self.numbers[task]), points[0], task)

    def logits(self, call: Call, batch: Batch) -> Tensor:
        """(n, classes)."""
        logits: Tensor = call(*batch.inputs)
        return logits

    def losses(self, logits: Tensor, batch: Batch) -> Tensor:
        """(1,) the mean cross-entropy."""
        return cross_entropy(logits, batch.targets, label_smoothing=self.smoothing)[None]

    def digest(self) -> str:
        """Hexadecimal sha256 of all rows and labels."""
        return _sha256([each for record in self.records for each in record])


class MixedTaskBatches(OneTaskBatches):
    """Each batch holds samples of all tasks, in one shuffled order. model: (images, tasks (n,)) -> (n, classes).

    The loss of a task is the sum over its samples divided by the size of the whole batch, so that the tasks' plain sum is the
    mean over the batch.
    """

    def __init__(
        self, tasks: Sequence[Task], size: int, device: torch.device, *, drop_last: bool = True, smoothing: float = 0.0
    ) -> None:
        super().__init__(tasks, size, device, smoothing=smoothing)
        self.rows, self.labels = (torch.cat([record[i] for record in self.records]) for i in (0, 1))
        lengths = torch.tensor([len(rows) for rows, _ in self.records])
        self.of = torch.arange(len(tasks)).repeat_interleave(lengths)
        self.batches = max(len(self.rows) // size if drop_last else -(-len(self.rows) // size), 1)

    def per_epoch(self, epoch: int) -> int:
        """The number of batches of an epoch."""
        return self.batches

    def epoch(self, epoch: int, seed: int) -> Epoch:
        """The samples of an epoch."""
        parts = list(minibatches(len(self.rows), self.size, generator(seed, "batches", epoch)))[: self.batches]
        chosen = torch.cat(parts)
        rows, labels, of = (each[chosen].to(self.device) for each in (self.rows, self.labels, self.of))
        return Epoch(rows, (labels, of), [len(part) for part in parts], None)

    def batch(self, images: Tensor, points: tuple[Tensor, ...], task: int | None) -> Batch:
        """inputs: (images, the task of each)."""
        return Batch((images, points[1]), points[0])

    def losses(self, logits: Tensor, batch: Batch) -> Tensor:
        """(tasks,)."""
        each = cross_entropy(logits, batch.targets, reduction="none", label_smoothing=self.smoothing)
        return each.new_zeros(self.count).index_add(0, batch.inputs[1], each) / len(each)


class SameImageBatches:
    """Each batch holds the answers of all binary tasks to the same images. model: images -> logits (..., tasks, n)."""

    def __init__(
        self, tasks: BinaryTasks, size: int, device: torch.device, *, drop_last: bool = False, smoothing: float = 0.0
    ) -> None:
        self.count, self.size, self.device, n = len(tasks), size, device, len(tasks.rows)
        self.rows = torch.as_tensor(tasks.rows, dtype=torch.int64).to(device)
        self.labels = torch.as_tensor(tasks.labels).T.to(device, NETWORK).contiguous()
        self.smoothing = smoothing
        weights = torch.ones(self.count) if tasks.positive_weights is None else torch.as_tensor(tasks.positive_weights)
        self.positive = weights.to(device, NETWORK)[:, None]
        self.batches = max(n // size if drop_last else -(-n // size), 1)

    def per_epoch(self, epoch: int) -> int:
        """The number of batches of an epoch."""
        return self.batches

    def epoch(self, epoch: int, seed: int) -> Epoch:
        """The samples of an epoch; points: their numbers among the tasks' n."""
        parts = list(minibatches(len(self.rows), self.size, generator(seed, "batches", epoch)))[: self.batches]
        points = torch.cat(parts).to(self.device)
        return Epoch(self.rows[points], (points,), [len(part) for part in parts], None)

    def batch(self, images: Tensor, points: tuple[Tensor, ...], task: int | None) -> Batch:
        """targets: (labels (tasks, n), points (n,))."""
        return Batch(images, (self.labels[:, points[0]], points[0]))

    def logits(self, call: Call, batch: Batch) -> Tensor:
        """(..., tasks, n)."""
        logits: Tensor = call(batch.inputs)
        return logits

    def losses(self, logits: Tensor, batch: Batch) -> Tensor:
        """(..., tasks) the mean binary cross-entropy."""
        labels = batch.targets[0]
        if self.smoothing:
            labels = labels * (1 - self.smoothing) + self.smoothing / 2
        labels = labels.expand_as(logits)
        each = binary_cross_entropy_with_logits(logits, labels, pos_weight=self.positive, reduction="none")
        return each.mean(-1)

    def digest(self) -> str:
        """Hexadecimal sha256 of all rows and labels."""
        return _sha256([self.rows, self.labels, self.positive])


def samples_of(tasks: Sequence[Task] | BinaryTasks, settings: ImageTraining, device: torch.device) -> Samples:
    """The training samples of `tasks` in the batches that `settings` asks for. Raises BadValue for settings that do not fit."""
    smoothing, drop = settings.label_smoothing, settings.drop_last
    if isinstance(tasks, BinaryTasks):
        if settings.batches_per_epoch is not None or settings.epochs_of_tasks is not None:
            raise BadValue("tasks on the same images have no batches of their own.")
        return SameImageBatches(tasks, settings.batch, device, drop_last=bool(drop), smoothing=smoothing)
    if smoothing and len({len(task.classes) for task in tasks}) > 1:
        raise BadValue("label smoothing is for tasks with one number of classes: logits of absent classes are -inf.")
    if settings.batches == "mixed tasks":
        if settings.batches_per_epoch is not None or settings.epochs_of_tasks is not None:
            raise BadValue("mixed batches have no number of batches of each task.")
        return MixedTaskBatches(tasks, settings.batch, device, drop_last=drop is not False, smoothing=smoothing)
    return OneTaskBatches(
        tasks, settings.batch, device, drop_last=drop is not False, counts=settings.batches_per_epoch,
        until=settings.epochs_of_tasks, smoothing=smoothing,
    )  # fmt: skip


def _sha256(tensors: Sequence[Tensor]) -> str:
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(f"{tuple(tensor.shape)}".encode())
        found.update(tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
