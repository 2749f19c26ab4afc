"""Batches a second of the task-aware sampler and of the usual `WeightedRandomSampler` + `DataLoader` pipelines.

Every pipeline yields (task, inputs, labels) without end: a task at random, then a batch drawn task-aware for it. Data lie in the
memory of one device; no worker processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, TensorDataset, WeightedRandomSampler

from mtlrepro.device import generator
from mtlrepro.methods.task_aware_sampler import TaskAwareSampler, task_aware_weights

# Batches that `ours` draws at once, and a turn of the comparison: so every turn bears the whole cost of its draws.
BLOCK = 256

Stream = Iterator[tuple[int, Tensor, Tensor]]


@dataclass(frozen=True)
class LabelledRecords:
    """inputs: (n, ...). labels: (n, tasks) of 0 and 1."""

    inputs: Tensor
    labels: Tensor


def records(n: int, tasks: int, shape: tuple[int, ...], seed: int, numbered: bool = False) -> LabelledRecords:
    """Random records with yes-no labels, the share of yes from 1/5 down to 1/500 over the tasks.

    shape: of a record; one dimension gives float32, three give bytes. numbered: inputs are the records' numbers instead.
    """
    drawn = generator(seed, "throughput", n)
    shares = torch.logspace(0, -2, tasks, dtype=torch.float64) / 5
    labels = (torch.rand(n, tasks, generator=drawn, dtype=torch.float64) < shares).long()
    labels[0], labels[1] = 1, 0  # no task without a class
    if numbered:
        return LabelledRecords(torch.arange(n, dtype=torch.float64), labels)
    if len(shape) == 1:
        return LabelledRecords(torch.randn(n, *shape, generator=drawn), labels)
    return LabelledRecords(torch.randint(0, 256, (n, *shape), generator=drawn, dtype=torch.uint8), labels)


def ours(data: LabelledRecords, batch: int, drawn: torch.Generator) -> Stream:
    """The task-aware sampler, its rows taken from the tensors."""
    sampler = TaskAwareSampler(data.labels, batch, drawn)
    while True:
        for task, rows, labels in sampler.batches(BLOCK, at_once=BLOCK):
            yield task, data.inputs.index_select(0, rows), labels


def loader(data: LabelledRecords, batch: int, drawn: torch.Generator) -> Stream:
    """One `DataLoader` a task with a `WeightedRandomSampler`, as in PyTorch's documentation: record by record, then collated."""

    def load(dataset: TensorDataset, sampler: WeightedRandomSampler) -> DataLoader[Any]:
        return DataLoader(dataset, batch, sampler=sampler, drop_last=True, generator=drawn)

    return _one_task_a_batch(data, load, drawn)


def batched_loader(data: LabelledRecords, batch: int, drawn: torch.Generator) -> Stream:
    """The same, but the data set is asked for a whole batch at once and takes it as `ours` does."""

    def load(dataset: TensorDataset, sampler: WeightedRandomSampler) -> DataLoader[Any]:
        whole: Any = BatchSampler(sampler, batch, drop_last=True)
        return DataLoader(_Whole(*dataset.tensors), batch_size=None, sampler=whole, generator=drawn)

    return _one_task_a_batch(data, load, drawn)


class _Whole(TensorDataset):
    """Indexed by a list of numbers: `index_select` copies whole records, several times faster than ``tensor[list]`` for bytes."""

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        rows = torch.tensor(index)
        return tuple(tensor.index_select(0, rows) for tensor in self.tensors)


def _one_task_a_batch(
    data: LabelledRecords, load: Callable[[TensorDataset, WeightedRandomSampler], DataLoader[Any]], drawn: torch.Generator
) -> Stream:
    streams = []
    for task in range(data.labels.shape[1]):
        labels = data.labels[:, task].contiguous()
        weights: Any = task_aware_weights(labels)
        sampler = WeightedRandomSampler(weights, len(labels), replacement=True, generator=drawn)
        streams.append(_forever(load(TensorDataset(data.inputs, labels), sampler)))
    while True:
        task = int(torch.randint(len(streams), (), generator=drawn))
        inputs, labels = next(streams[task])
        yield task, inputs, labels


def _forever(loaded: DataLoader[Any]) -> Iterator[Any]:
    while True:
        yield from loaded


PIPELINES = {"ours": ours, "loader": loader, "loader of batches": batched_loader}


def throughput(data: LabelledRecords, batch: int, turns: int, seed: int) -> pd.DataFrame:
    """One line a turn: batches a second of processor time of each pipeline, and how many times the loaders' rate ours is.

    The pipelines take turns of BLOCK batches each, after one turn that is not counted; most of what a loader does at the start
    of an epoch falls into that one.
    """
    streams = {name: pipeline(data, batch, generator(seed, name)) for name, pipeline in PIPELINES.items()}
    lines = []
    for turn in range(-1, turns):
        rates = {}
        for name, stream in streams.items():
            start = time.process_time()
            for _ in range(BLOCK):
                next(stream)
            rates[name] = BLOCK / (time.process_time() - start)
        if turn >= 0:
            lines.append(rates | {f"times the {name}": rates["ours"] / rates[name] for name in list(PIPELINES)[1:]})
    return pd.DataFrame(lines)
