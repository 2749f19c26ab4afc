"""What a trained image classifier answers, normalised by running statistics, each task's own, or mixed ones."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, get_args

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtlrepro.data.tasks import Task
from mtlrepro.errors import BadValue
from mtlrepro.training.augmentation import ImageData, augmented
from mtlrepro.training.batch_statistics import Statistics, evaluating, statistics_of
from mtlrepro.training.precision import Precision, computing_in, precision_on

_SIZE = 500


def task_logits(
    model: nn.Module,
    data: ImageData,
    tasks: Sequence[Task],
    part: str = "test",
    *,
    statistics: Statistics = "running",
    precision: Precision = "auto",
    training: str = "train",
) -> list[Tensor]:
    """For each task (n, classes) float32 logits of its records of `part`, in their order.

    model: as in `train_images`. statistics: what batch normalisation normalises by, see `batch_statistics`; the model is left as
    it was. training: the part whose images "own" and "mixed" statistics are of. Raises BadValue for other statistics.
    """
    if statistics not in get_args(Statistics):
        raise BadValue(f"statistics must be one of {', '.join(get_args(Statistics))}, not {statistics!r}.")
    numbers = torch.arange(len(tasks), device=data.device)

    def rows(task: int, of: str) -> Tensor:
        return torch.from_numpy(tasks[task].parts[of].rows.copy()).to(data.device)

    def answers(task: int, of: str = part) -> Tensor:
        return _in_parts(model, data, rows(task, of), numbers[task], precision)

    if statistics == "own":
        found = []
        for task in range(len(tasks)):
            with statistics_of(model, functools.partial(answers, task, training)):
                found.append(answers(task))
        return found
    if statistics == "mixed":
        own = [rows(task, training) for task in range(len(tasks))]
        of = numbers.repeat_interleave(torch.tensor([len(each) for each in own], device=data.device))
        order = _dealt(len(of)).to(data.device)
        chosen = statistics_of(model, lambda: _in_parts(model, data, torch.cat(own)[order], of[order], precision))
    else:
        chosen = evaluating(model)
    with chosen:
        return [answers(task) for task in range(len(tasks))]


def accuracies(
    model: nn.Module, data: ImageData, tasks: Sequence[Task], part: str = "test", *, statistics: Statistics = "running",
    precision: Precision = "auto",
) -> Tensor:  # fmt: skip
    """(tasks,) float64 share of right answers on each task's records of `part`; NaN where it has none. See `task_logits`."""
    found = task_logits(model, data, tasks, part, statistics=statistics, precision=precision)
    labels = (torch.from_numpy(task.parts[part].labels.copy()).to(data.device) for task in tasks)
    return torch.stack([(f.argmax(-1) == y).double().mean() for f, y in zip(found, labels, strict=True)])


def binary_logits(model: nn.Module, data: ImageData, rows: Tensor | NDArray[Any], *, precision: Precision = "auto") -> Tensor:
    """(..., tasks, n) float32 logits of all binary tasks for images `rows` (n,), by running statistics.

    model: images -> logits.
    """
    with evaluating(model):
        return _in_parts(model, data, torch.as_tensor(rows).to(data.device), None, precision)


@torch.no_grad()
def _in_parts(model: nn.Module, data: ImageData, rows: Tensor, task: Tensor | None, precision: Precision) -> Tensor:
    """The model's answers in parts of about equal size. task: () of all, (n,) of each, or None for a model of all tasks."""
    count, found = max(-(-len(rows) // _SIZE), 1), []
    each = [task] * count if task is None or task.ndim == 0 else task.tensor_split(count)
    with computing_in(precision_on(data.device, precision), data.device):
        for chosen, number in zip(rows.tensor_split(count), each, strict=True):
            images = augmented(data, chosen)
            found.append((model(images) if number is None else model(images, number)).float())
    return torch.cat(found, -1 if task is None else 0)


def _dealt(n: int) -> Tensor:
    """(n,) an order whose parts each hold every k-th sample: all tasks in proportion, and nothing drawn."""
    count = max(-(-n // _SIZE), 1)
    return torch.cat([torch.arange(first, n, count) for first in range(count)])
