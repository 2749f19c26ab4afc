"""Trainings on ECGs: single-task, multi-task and CO-TASK, with the samplers of Table 8 (Hsieh and Tseng 2021).

One task a batch. An epoch is a shuffled sequence of task numbers in which each task stands a fixed number of times, so every
method's number of steps is exact. Adam, the rate falling to 0 over the training by a half cosine; the last state is tested.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from mtlrepro import data
from mtlrepro.device import choose, generator, seeded
from mtlrepro.errors import UnknownName
from mtlrepro.methods.cotask import AuxiliaryLabel, combine_labels, label_tasks
from mtlrepro.methods.task_aware_sampler import TaskAwareSampler, every_record, log_share
from mtlrepro.models.task_heads import MultiTaskNet, TaskHeads
from mtlrepro.papers.cotask.data import ecg
from mtlrepro.papers.cotask.data.ecg_sets import GENERATED, generated
from mtlrepro.papers.cotask.models.ecg_resnet import EcgResNet
from mtlrepro.parameters import Params
from mtlrepro.training.loop import fit
from mtlrepro.training.weighting import Batch, Call, Weighting

SAMPLERS = ("None", "Major-Task", "Task-Aware")


@dataclass(frozen=True)
class EcgTraining:
    """How every method is trained. steps: batches for each major task in all (minor and auxiliary ones by their share).
    epochs: into which the steps are cut. rate: learning rate. net: arguments of `EcgResNet`."""

    steps: int
    epochs: int
    batch: int
    rate: float
    net: Mapping[str, Any]
    device: str = "cpu"

    @property
    def steps_an_epoch(self) -> int:
        """Batches of each major task in an epoch."""
        return self.steps // self.epochs


def training_settings(p: Params) -> dict[str, Any]:
    """The arguments of `EcgTraining` that a notebook's parameters set; no rate where they have a grid of `rates`."""
    return {name: p.values[name] for name in EcgTraining.__dataclass_fields__ if name in p.values}


def best_rates(rows: pd.DataFrame) -> dict[str, float]:
    """Method -> the learning rate with the best score on the validation part, mean over seeds. rows: one per training."""
    means = rows.groupby(["method", "rate"])["validation"].mean().unstack()
    return {str(method): float(rate) for method, rate in means.idxmax(axis=1).items()}


@functools.lru_cache(maxsize=1)
def recordings(kind: str, n: int, seed: int, rate: float, seconds: float, shared_waves: float = 1.0) -> ecg.EcgSet:
    """ECG-P18 or ECG-EchoLVH generated ('p18', 'echolvh'), or the first `n` records of a real data set, or of the one that stands
    in for it: their first `seconds` at `rate`. Band-passed. shared_waves: of ECG-EchoLVH, see `ecg.generate`.

    Raises UnknownName, DataCorrupt.
    """
    if kind in GENERATED:
        raw = generated(kind, n, seed, rate, seconds, shared_waves)
        return replace(raw, signals=ecg.band_pass(raw.signals, rate, high=min(45.0, 0.45 * rate)))
    if kind not in data.sources("cotask/tab1"):
        raise UnknownName("ECG set", kind, (*GENERATED, *data.sources("cotask/tab1")))
    real: ecg.EcgSet = data.open(kind, limit=n).content.first(n)
    signals = ecg.resampled(ecg.band_pass(real.signals, real.rate), real.rate, rate)[..., : round(rate * seconds)]
    return replace(real, signals=signals, rate=rate)


@dataclass(frozen=True, eq=False)
class PreparedEcgs:
    """Signals scaled by the training part, labels with the auxiliary ones appended, records of each task."""

    signals: Tensor
    labels: Tensor
    rows: tuple[Tensor, ...]
    own: int  # number of tasks that are no auxiliary ones

    @staticmethod
    def of(data: ecg.EcgSet, train_rows: NDArray[np.int64], auxiliary: int, seed: int, major: str | None = None) -> PreparedEcgs:
        """CO-TASK's auxiliary labels come after the data's own. major: counts 5 times as much in the choice of pairs."""
        tasks = list(label_tasks(data.labels, names=data.names, parts={"train": train_rows}))
        columns = [data.labels]
        if auxiliary:
            weights = {major: 5.0} if major else None
            combined = combine_labels(data.labels, auxiliary, seed, names=data.names, parts={"train": train_rows}, major=weights)
            tasks += combined
            columns += [label.of_labels(data.labels)[:, None] for label in combined if isinstance(label, AuxiliaryLabel)]
        rows = tuple(torch.from_numpy(task.parts["train"].rows) for task in tasks)
        both = torch.from_numpy(np.concatenate(columns, 1))
        return PreparedEcgs(torch.from_numpy(ecg.scaled(data.signals, train_rows)), both, rows, len(data.names))


def schedule(repeats: Sequence[int], random: torch.Generator) -> Tensor:
    """(sum of repeats,) task numbers, each so many times, shuffled."""
    tasks = torch.repeat_interleave(torch.arange(len(repeats)), torch.tensor(repeats))
    return tasks[torch.randperm(len(tasks), generator=random)]


def train(
    data: PreparedEcgs,
    tasks: Sequence[int],
    repeats: Sequence[int],
    seed: int,
    how: EcgTraining,
    *,
    sampler: str = "Task-Aware",
    weighting: Weighting | None = None,
) -> MultiTaskNet:
    """One network trained on some of the data's tasks, in eval mode.

    repeats: batches an epoch of each of `tasks`. sampler: 'Task-Aware'; 'None', every record equally often; 'Major-Task', weights
    from the first task's labels for every task. weighting: default equal. Raises UnknownName for another sampler.
    """
    if sampler not in SAMPLERS:
        raise UnknownName("sampler", sampler, SAMPLERS)
    place = choose(how.device)
    signals, labels = data.signals.to(place), data.labels[:, list(tasks)].to(place)
    rows = [data.rows[task].to(place) for task in tasks]
    own = [labels[records, 0 if sampler == "Major-Task" else task].long() for task, records in enumerate(rows)]
    weight = every_record if sampler == "None" else log_share
    random = generator(seed, "ecg", "records", device=place)
    draws = TaskAwareSampler(own, how.batch, random, rows=rows, weight=weight)
    order = generator(seed, "ecg", "tasks")

    def batches(_: int) -> Iterator[Batch]:
        sequence = schedule(repeats, order)
        drawn = draws.draw(sequence.to(place))[0]
        for task, records in zip(sequence.tolist(), drawn, strict=True):
            yield Batch(signals[records], labels[records, task].float(), task)

    def losses(call: Call, batch: Batch) -> Tensor:
        return binary_cross_entropy_with_logits(call(batch.inputs, batch.task)[:, 0], batch.targets)[None]

    with seeded(seed, "ecg", "start"):
        bottom = EcgResNet(**how.net)
        model = MultiTaskNet(bottom, TaskHeads(bottom.features, [1] * len(rows))).to(place)
        fit(
            model, batches, losses, optimizer=torch.optim.Adam(model.parameters(), lr=how.rate, fused=True), epochs=how.epochs,
            weighting=weighting, schedule=lambda epoch: 0.5 + 0.5 * math.cos(math.pi * epoch / how.epochs),
        )  # fmt: skip
    return model.eval()


@torch.no_grad()
def scores(model: MultiTaskNet, signals: Tensor, tasks: int) -> NDArray[np.float64]:
    """(n, tasks) logits of the first `tasks` tasks; the bottom is computed once for all of them."""
    heads, place = model.heads, model.heads.weight.device
    features = torch.cat([model.bottom(part.to(place)) for part in signals.split(256)])
    logits = nn.functional.linear(features, heads.weight[:tasks, 0], heads.bias[:tasks, 0])
    return logits.double().cpu().numpy()
