"""The task-aware imbalance data sampler (Hsieh and Tseng 2021, "Task-Aware Imbalance Data Sampler").

Each batch serves one task, picked uniformly or by the tasks' weights. Its records are drawn with replacement, each with a
probability in proportion to w(x), x the number of records in its class *for that task*. By default

    w(x) = log(x) / x,   so a whole class is drawn in proportion to x w(x) = log x.

A class with one record has log 1 = 0: as printed it would never be drawn, and a task whose classes all have one record could not
be drawn from at all. Here w(1) = log 2, so that a class of one is drawn as often as a class of two (our reading).

All records of a class have the same weight. So a draw is one of a class and one of a record within it, which costs the same
however many records there are, and any number of batches is drawn in one go, on the device that holds the labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from mtlrepro.data.tasks import Task
from mtlrepro.errors import BadValue

WeightFunction = Callable[[Tensor], Tensor]


def log_share(counts: Tensor) -> Tensor:
    """log(x) / x, and log 2 for x = 1: a class in proportion to the logarithm of its size. counts: any shape, float."""
    return counts.clamp(min=2).log() / counts


def balanced(counts: Tensor) -> Tensor:
    """1 / x: every class equally often."""
    return 1 / counts


def every_record(counts: Tensor) -> Tensor:
    """1: every record equally often, as without a sampler."""
    return torch.ones_like(counts)


def task_aware_weights(labels: Tensor, weight: WeightFunction = log_share) -> Tensor:
    """(n,) float64 weight of each record for one task, w(number of records of its class).

    labels: (n,) integer classes, of any values; a negative one stands for no label and gets weight 0. weight: w, of float64
    counts (classes,). Not normalised: `torch.multinomial` and `WeightedRandomSampler` take them as they are.
    Raises BadValue for labels that are no integers.
    """
    classes, member, counts = _classes(labels)
    weights = torch.where(classes < 0, 0.0, weight(counts.double()))
    return weights[member]


class TaskAwareSampler:
    """Batches of one task each, drawn with replacement, task-aware.

    labels: one tensor (n_t,) a task, or one (n, tasks) where all tasks label the same records; negative: no label, never drawn.
    batch: records a batch. generator: on the labels' device; draws everything. rows: the records' numbers, one (n_t,) a task;
    default 0 to n_t - 1. task_weights: how often each task is picked, in proportion; default all equally often. weight: w.
    Other samplers of Table 8: `weight=every_record` for "None"; the major task's labels for every task for "Major-Task".
    Raises BadValue for a task without a labelled record, weights that are negative, not finite or all 0, unequal numbers of
    tasks, or a batch below 1.
    """

    def __init__(
        self,
        labels: Tensor | Sequence[Tensor],
        batch: int,
        generator: torch.Generator,
        *,
        rows: Sequence[Tensor] | None = None,
        task_weights: Sequence[float] | Tensor | None = None,
        weight: WeightFunction = log_share,
    ) -> None:
        each = list(labels.unbind(-1)) if isinstance(labels, Tensor) and labels.ndim == 2 else list(labels)
        if not each or batch < 1:
            raise BadValue("a sampler needs at least one task and at least one record a batch.")
        self.batch, self.generator, self.device = batch, generator, each[0].device
        numbers = [torch.arange(len(own), device=self.device) for own in each] if rows is None else list(rows)
        picked = torch.ones(len(each)) if task_weights is None else torch.as_tensor(task_weights)
        if not len(each) == len(numbers) == len(picked):
            raise BadValue(f"{len(each)} tasks, but rows of {len(numbers)} and task weights of {len(picked)}.")
        self.task_shares = _shares(picked.double(), "task weights").to(self.device)
        groups = [_grouped(own, number, weight, task) for task, (own, number) in enumerate(zip(each, numbers, strict=True))]
        # All tasks' records in one row, those of a class of a task side by side; padded where a task has fewer classes.
        self._order = torch.cat([order for order, _, _, _ in groups])
        offsets = torch.tensor([0] + [len(order) for order, _, _, _ in groups], device=self.device).cumsum(0)
        self._classes = _padded([classes for _, classes, _, _ in groups], 0)
        self._counts = _padded([counts for _, _, counts, _ in groups], 1)
        self._starts = _padded([counts.cumsum(0) - counts for _, _, counts, _ in groups], 0) + offsets[:-1, None]
        self._edges = _padded([edges for _, _, _, edges in groups], 2.0)

    @classmethod
    def of_tasks(
        cls,
        tasks: Sequence[Task],
        batch: int,
        generator: torch.Generator,
        part: str = "train",
        **settings: Any,
    ) -> TaskAwareSampler:
        """A sampler of one part of these tasks, on the generator's device. settings: `task_weights`, `weight`."""
        records = [task.parts[part] for task in tasks]
        rows, labels = ([torch.as_tensor(own[i], device=generator.device) for own in records] for i in (0, 1))
        return cls(labels, batch, generator, rows=rows, **settings)

    def tasks(self, steps: int) -> Tensor:
        """(steps,) the tasks of so many batches."""
        return torch.multinomial(self.task_shares, steps, replacement=True, generator=self.generator)

    def draw(self, tasks: Tensor) -> tuple[Tensor, Tensor]:
        """Record numbers and their labels, both (steps, batch): a batch for each of `tasks` (steps,), all in one go."""
        first, second = torch.rand(2, len(tasks), self.batch, generator=self.generator, dtype=torch.float64, device=self.device)
        drawn = torch.searchsorted(self._edges[tasks], first, right=True)
        classes, counts, starts = (table[tasks].gather(1, drawn) for table in (self._classes, self._counts, self._starts))
        return self._order[starts + (second * counts).long()], classes

    def batches(self, steps: int, at_once: int = 256) -> Iterator[tuple[int, Tensor, Tensor]]:
        """So many batches as (task, record numbers (batch,), labels (batch,)).

        `at_once` of them are drawn together, and their tasks read on the host.
        """
        for start in range(0, steps, at_once):
            tasks = self.tasks(min(at_once, steps - start))
            rows, labels = self.draw(tasks)
            yield from zip(tasks.tolist(), rows.unbind(0), labels.unbind(0), strict=True)


def _classes(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distinct labels (c,), each record's place among them (n,), records of each (c,)."""
    if labels.ndim != 1 or labels.is_floating_point() or labels.is_complex():
        raise BadValue(f"labels must be whole numbers, one a record, not {labels.dtype} of shape {tuple(labels.shape)}.")
    classes, member, counts = torch.unique(labels.long(), return_inverse=True, return_counts=True)
    return classes, member, counts


def _grouped(labels: Tensor, rows: Tensor, weight: WeightFunction, task: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One task's record numbers in order of class, the classes, their records, and the upper edges of their shares of [0, 1)."""
    if len(rows) != len(labels):
        raise BadValue(f"task {task}: {len(labels)} labels, but {len(rows)} rows.")
    classes, member, counts = _classes(labels)
    known = classes >= 0
    if not known.any():
        raise BadValue(f"task {task} has no labelled record to draw from.")
    order = torch.argsort(member, stable=True)[int(counts[~known].sum()) :]
    counts = counts[known]
    shares = _shares(counts * weight(counts.double()), f"task {task}: the classes' weights")
    edges = shares.cumsum(0)
    edges[-1] = 2.0  # rounding must not leave a gap below 1
    return rows[order], classes[known], counts, edges


def _shares(weights: Tensor, what: str) -> Tensor:
    if not bool((torch.isfinite(weights) & (weights >= 0)).all()) or not float(weights.sum()) > 0:
        raise BadValue(f"{what} must be finite, not negative, and not all 0.")
    return weights / weights.sum()


def _padded(rows: Sequence[Tensor], value: float) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)
