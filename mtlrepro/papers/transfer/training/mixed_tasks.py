"""Training classifiers of several tasks with inputs of their own, batches mixed over tasks (Wu, Zhang, Re 2020, Appendix B.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mtlrepro.papers.transfer.training.alternating import AlternatingAdam, each_turn
from mtlrepro.papers.transfer.training.row_adam import RowAdam
from mtlrepro.training.loop import Fit, fit, mixed
from mtlrepro.training.schedules import Kind, Schedule
from mtlrepro.training.weighting import Batch

# (labels, predicted) -> a score, larger is better.
Metric = Callable[[Tensor, Tensor], float]


class Samples(Protocol):
    """n labelled samples of one task."""

    @property
    def labels(self) -> Tensor:
        """(n,) int64"""

    def batches(self, size: int, shuffle: torch.Generator | None = None) -> list[Tensor]:
        """Row numbers of all batches, shuffled with a generator."""

    def batch(self, rows: Tensor, task: int, device: torch.device) -> Batch:
        """The batch of these rows."""


def accuracy(labels: Tensor, predicted: Tensor) -> float:
    """Share of right predictions."""
    return float((labels == predicted).double().mean())


def predictions(model: nn.Module, samples: Samples, task: int, place: torch.device) -> Tensor:
    """(n,) predicted classes, in the order of the samples, in eval mode."""
    model.eval()
    classes = torch.empty_like(samples.labels)
    with torch.no_grad():
        for rows in samples.batches(256):
            classes[rows] = model(samples.batch(rows, task, place).inputs, task).argmax(-1).cpu()
    return classes


def scores(model: nn.Module, parts: Sequence[Samples], place: torch.device, metrics: Sequence[Metric] | None = None) -> Tensor:
    """(tasks,) float64: each task's metric on its own samples, default accuracy."""
    chosen = metrics or [accuracy] * len(parts)
    reached = [
        metric(part.labels, predictions(model, part, i, place))
        for i, (metric, part) in enumerate(zip(chosen, parts, strict=True))
    ]
    return torch.tensor(reached, dtype=torch.float64)


def fit_tasks(
    model: nn.Module,
    train: Sequence[Samples],
    valid: Sequence[Samples],
    order: torch.Generator,
    *,
    rate: float,
    epochs: int,
    batch: int,
    patience: int | None = None,
    place: torch.device,
    metrics: Sequence[Metric] | None = None,
    turns: Sequence[Sequence[nn.Parameter]] | None = None,
    schedule: Kind = "constant",
) -> Fit:
    """Train `model` in place with Adam on all tasks, batches of all tasks mixed, and keep the epoch with the best mean validation
    score over the tasks.

    model: called as model(inputs, task). turns: groups of parameters that take a step each on every batch, one after the other,
    all others fixed; None: all parameters take each step together. schedule: of the learning rate, epoch by epoch.
    """
    factor = Schedule(schedule).at

    def batches(_: int) -> Iterator[Batch]:
        mixture = mixed([part.batches(batch, order) for part in train], order)
        return each_turn((train[task].batch(rows, task, place) for task, rows in mixture), len(turns) if turns else 1)

    optimizer = AlternatingAdam(turns, rate) if turns else RowAdam(model, rate)
    return fit(
        model,
        batches,
        lambda call, one: cross_entropy(call(one.inputs, one.task), one.targets)[None],
        optimizer=optimizer,
        epochs=epochs,
        validate=lambda _: scores(model, valid, place, metrics),
        patience=patience,
        schedule=lambda epoch: factor(epoch, epochs, epochs),
    )
