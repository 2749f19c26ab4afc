"""What the task-aware sampler draws for the paper's label counts, and its batches a second beside `WeightedRandomSampler`.

Every pipeline yields (task, inputs, labels) without end: a task at random, then a batch drawn task-aware for it. Data lie in the
memory of one device; no worker processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from scipy import stats
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, TensorDataset, WeightedRandomSampler

from mtlrepro import exhibits
from mtlrepro.device import generator
from mtlrepro.methods.task_aware_sampler import TaskAwareSampler, balanced, every_record, log_share, task_aware_weights
from mtlrepro.parameters import Params

# Data set -> the exhibit with its imbalance ratios, and its number of records.
SETS = {"ECG-P18": ("cotask/tab1", 312_888), "ECG-EchoLVH": ("cotask/tab2", 61_422)}
WEIGHTS = {"log(x)/x": log_share, "1/x": balanced, "1": every_record}
# Record -> its shape.
RECORDS = {"record numbers alone": (), "32 numbers a record": (32,), "an image of 3 kB a record": (3, 32, 32)}
# Batches that `task_aware` draws at once, and a turn of the comparison: so every turn bears the whole cost of its draws.
BLOCK = 256


def settings(p: Params) -> list[dict[str, Any]]:
    """Settings of the shares by data set and weight, of the major task's weights, and of the throughput by kind of record."""
    drawn = {"batches": p.batches}
    return [
        *({"kind": "share", "name": name, "weight": weight, "seed": 1} | drawn for name in SETS for weight in WEIGHTS),
        {"kind": "major", "seed": 2} | drawn,
        *({"kind": "rate", "what": what, "seed": 0, "records": p.records, "turns": p.turns} for what in RECORDS),
    ]


def rows_of(kind: str, seed: int, **options: Any) -> list[dict[str, Any]]:
    """The rows of one setting. kind: share, major or rate, what the setting measures."""
    measures: dict[str, Callable[..., list[dict[str, Any]]]] = {"share": shares, "major": by_major, "rate": rates}
    return measures[kind](seed=seed, **options)


# --- what is drawn ----------------------------------------------------------------------------------------------------


def labels_of(name: str) -> tuple[list[str], Tensor]:
    """Names of the tasks and labels (n, tasks) of one of SETS, with the paper's counts, at random places.

    One record in r has a label: so the paper's ratio 1 : r is to be read (errata).
    """
    exhibit, n = SETS[name]
    ratios = exhibits.get(exhibit).values
    labels = torch.zeros(n, len(ratios), dtype=torch.long)
    for column, ratio in enumerate(ratios.values()):
        labels[torch.randperm(n, generator=generator(0, name, column))[: round(n / ratio)], column] = 1
    return list(ratios), labels


def shares(seed: int, name: str, weight: str, batches: int) -> list[dict[str, Any]]:
    """One row per task: records of both classes, the law's share of the smaller one, its share among what was drawn, and the
    two-sided binomial p-value."""
    tasks, labels = labels_of(name)
    sampler = TaskAwareSampler(labels, 64, generator(seed, weight), weight=WEIGHTS[weight])
    rows = []
    for number, task in enumerate(tasks):
        own = labels[:, number]
        weights = task_aware_weights(own, WEIGHTS[weight])
        law, few = float(weights[own == 1].sum() / weights.sum()), int(own.sum())
        _, drawn = sampler.draw(torch.full((batches,), number))
        test = stats.binomtest(int(drawn.sum()), drawn.numel(), law)
        row = {"task": task, "few": few, "many": len(own) - few, "law": law, "drawn": float(drawn.double().mean())}
        rows.append(row | {"draws": drawn.numel(), "p": float(test.pvalue)})
    return rows


def by_major(seed: int, batches: int) -> list[dict[str, Any]]:
    """One row per minor task of ECG-EchoLVH: share of its smaller class under the major task's weights and under its own."""
    tasks, labels = labels_of("ECG-EchoLVH")
    every = torch.zeros(batches, dtype=torch.long)
    major, _ = TaskAwareSampler(labels[:, :1], 64, generator(seed)).draw(every)
    aware = TaskAwareSampler(labels, 64, generator(seed))
    return [
        {"task": task, "major": float(labels[major, number].double().mean())}
        | {"aware": float(aware.draw(every + number)[1].double().mean()), "records": float(labels[:, number].double().mean())}
        for number, task in enumerate(tasks)
        if number > 0
    ]


# --- what it costs ----------------------------------------------------------------------------------------------------

Stream = Iterator[tuple[int, Tensor, Tensor]]


@dataclass(frozen=True)
class LabelledRecords:
    """inputs: (n, ...). labels: (n, tasks) of 0 and 1."""

    inputs: Tensor
    labels: Tensor


def random_records(n: int, tasks: int, shape: Sequence[int], seed: int) -> LabelledRecords:
    """Random records with yes-no labels, the share of yes from 1/5 down to 1/500 over the tasks.

    shape: of a record; one dimension gives float32, three give bytes, none the records' numbers.
    """
    draw = generator(seed, "throughput", n)
    yes = torch.logspace(0, -2, tasks, dtype=torch.float64) / 5
    labels = (torch.rand(n, tasks, generator=draw, dtype=torch.float64) < yes).long()
    labels[0], labels[1] = 1, 0  # no task without a class
    if not shape:
        return LabelledRecords(torch.arange(n, dtype=torch.float64), labels)
    if len(shape) == 1:
        return LabelledRecords(torch.randn(n, *shape, generator=draw), labels)
    return LabelledRecords(torch.randint(0, 256, (n, *shape), generator=draw, dtype=torch.uint8), labels)


def task_aware(data: LabelledRecords, batch: int, draw: torch.Generator) -> Stream:
    """The task-aware sampler, its rows taken from the tensors."""
    sampler = TaskAwareSampler(data.labels, batch, draw)
    while True:
        for task, rows, labels in sampler.batches(BLOCK, at_once=BLOCK):
            yield task, data.inputs.index_select(0, rows), labels


def loader(data: LabelledRecords, batch: int, draw: torch.Generator) -> Stream:
    """One `DataLoader` a task with a `WeightedRandomSampler`, as in PyTorch's documentation: record by record, then collated."""

    def load(dataset: TensorDataset, sampler: WeightedRandomSampler) -> DataLoader[Any]:
        return DataLoader(dataset, batch, sampler=sampler, drop_last=True, generator=draw)

    return _one_task_a_batch(data, load, draw)


def batched_loader(data: LabelledRecords, batch: int, draw: torch.Generator) -> Stream:
    """The same, but the data set is asked for a whole batch at once and takes it as `task_aware` does."""

    def load(dataset: TensorDataset, sampler: WeightedRandomSampler) -> DataLoader[Any]:
        whole: Any = BatchSampler(sampler, batch, drop_last=True)
        return DataLoader(_Whole(*dataset.tensors), batch_size=None, sampler=whole, generator=draw)

    return _one_task_a_batch(data, load, draw)


class _Whole(TensorDataset):
    """Indexed by a list of numbers: `index_select` copies whole records, several times faster than ``tensor[list]`` for bytes."""

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        rows = torch.tensor(index)
        return tuple(tensor.index_select(0, rows) for tensor in self.tensors)


def _one_task_a_batch(
    data: LabelledRecords, load: Callable[[TensorDataset, WeightedRandomSampler], DataLoader[Any]], draw: torch.Generator
) -> Stream:
    streams = []
    for task in range(data.labels.shape[1]):
        labels = data.labels[:, task].contiguous()
        weights: Any = task_aware_weights(labels)
        sampler = WeightedRandomSampler(weights, len(labels), replacement=True, generator=draw)
        streams.append(_forever(load(TensorDataset(data.inputs, labels), sampler)))
    while True:
        task = int(torch.randint(len(streams), (), generator=draw))
        inputs, labels = next(streams[task])
        yield task, inputs, labels


def _forever(batches: DataLoader[Any]) -> Iterator[Any]:
    while True:
        yield from batches


# "ours" is a column of the recorded rows.
PIPELINES = {"ours": task_aware, "loader": loader, "loader of batches": batched_loader}


def throughput(data: LabelledRecords, batch: int, turns: int, seed: int) -> list[dict[str, float]]:
    """One line per turn: batches a second of processor time of each pipeline, and how many times the loaders' rate ours is.

    The pipelines take turns of BLOCK batches each, after one turn that is not counted; most of what a loader does at the start
    of an epoch falls into that one.
    """
    streams = {name: pipeline(data, batch, generator(seed, name)) for name, pipeline in PIPELINES.items()}
    lines = []
    for turn in range(-1, turns):
        speed = {}
        for name, stream in streams.items():
            start = time.process_time()
            for _ in range(BLOCK):
                next(stream)
            speed[name] = BLOCK / (time.process_time() - start)
        if turn >= 0:
            lines.append(speed | {f"times the {name}": speed["ours"] / speed[name] for name in list(PIPELINES)[1:]})
    return lines


def rates(seed: int, what: str, records: int, turns: int) -> list[dict[str, Any]]:
    """`throughput` of batches of 128 for 18 tasks and one kind of RECORDS, one row per turn."""
    data = random_records(records, 18, RECORDS[what], seed)
    return [{"turn": turn} | line for turn, line in enumerate(throughput(data, 128, turns, seed))]
