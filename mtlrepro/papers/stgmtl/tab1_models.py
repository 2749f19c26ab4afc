"""Every grouping method of STG-MTL's Table 1 run on one small task set: what it trains, what that costs, what it chooses.

The net is the smallest of the paper's kind: one shared layer with ReLU and for each task one logit without bias, trained by Adam
on binary cross-entropy with a positive weight. All trainings of a seed start from the same shared layer and see the same batches,
so that only the groups differ. Passes through the shared layer are counted as they happen, forward and backward; seconds are the
process's own, on one CPU thread, so that a busy machine does not show in them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from mtlrepro.data.binary_tasks import digits_tasks
from mtlrepro.data.digits import load_digits, split_digits
from mtlrepro.device import NETWORK, deterministic, generator
from mtlrepro.methods import grouping_baselines as baselines
from mtlrepro.methods import task_grouping
from mtlrepro.methods.data_maps import Snapshot, stacked
from mtlrepro.methods.grouping_baselines import Group
from mtlrepro.models.shared_bottom import StackedSharedBottom
from mtlrepro.papers.stgmtl.training.map_recorder import MapRecorder
from mtlrepro.parameters import Params
from mtlrepro.training.loop import fit, minibatches
from mtlrepro.training.weighting import Batch, Call, Weighting

METHODS = ("exhaustive", "hoa", "tag", "stg_stl", "stg")
PARTS = ("train", "valid", "test")
# Groupings drawn for the random baseline, each of the same sizes as the method's own.
DRAWS = 50


@dataclass(frozen=True)
class GroupTraining:
    """How each model is trained. hidden: width of the shared layer. snapshots: data maps are kept at so many even times."""

    epochs: int = 4
    hidden: int = 32
    batch: int = 128
    rate: float = 0.01
    snapshots: int = 2


def settings(p: Params) -> list[dict[str, Any]]:
    """One per number of tasks and seed."""
    same = {"clusters": p.clusters, "training": {"epochs": p.epochs}}
    return [{"n": n, "seed": p.first_seed + i} | same for n in p.sizes for i in range(p.seeds)]


def grouping_costs(n: int, seed: int, clusters: int, training: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`compare` on the first `n` digits' tasks. training: arguments of `GroupTraining`."""
    return compare(digits_data(n, seed), seed, clusters, GroupTraining(**training))


@dataclass
class Costs:
    """What trainings cost: how many there were, passes through the shared layer, and CPU seconds of training."""

    models: int = 0
    forwards: int = 0
    backwards: int = 0
    seconds: float = 0.0

    def count(self, _: Any, __: Any, output: Tensor) -> None:
        """Forward hook of the shared layer."""
        self.forwards += 1
        if output.requires_grad:
            output.register_hook(self._passed)

    def _passed(self, _: Tensor) -> None:
        self.backwards += 1


@dataclass(frozen=True, eq=False)
class TaskData:
    """Inputs (n, d) with a constant 1 at the end and labels (tasks, n) of each part, and the tasks' positive weights (tasks,)."""

    inputs: dict[str, Tensor]
    labels: dict[str, Tensor]
    positive: Tensor

    @property
    def tasks(self) -> int:
        return len(self.positive)


def digits_data(tasks: int, seed: int) -> TaskData:
    """The first `tasks` of the ten digits' tasks; split 60/20/20 by `seed`."""
    digits = digits_tasks("G1")
    digits = digits.of(tasks=digits.tasks[:tasks])
    pixels = torch.tensor(digits.images.reshape(len(digits), -1), dtype=NETWORK) / 16.0
    inputs = torch.cat([pixels, torch.ones(len(digits), 1)], -1)
    labels = torch.tensor(digits.labels, dtype=NETWORK)
    rows = split_digits(load_digits(), seed)
    return TaskData(
        {part: inputs[rows[part]] for part in PARTS}, {part: labels[rows[part]].T.contiguous() for part in PARTS},
        torch.from_numpy(digits.positive_weights).to(NETWORK),
    )  # fmt: skip


def train_group(
    data: TaskData, group: Group, seed: int, training: GroupTraining, costs: Costs, weighting: Weighting | None = None,
    record: bool = False,
) -> tuple[dict[str, Tensor], list[Snapshot]]:  # fmt: skip
    """Train one model on the tasks of `group`; its mean losses by part, each (tasks,) with NaN outside the group, and snapshots.

    record: keep data maps of the group's tasks, (snapshots of) `training.snapshots` times; without it the list is empty.
    """
    own = list(group)
    x, y = data.inputs["train"], data.labels["train"][own]
    model = StackedSharedBottom(x.shape[1], training.hidden, len(own), [generator(seed, "start")], relu=True, dtype=NETWORK)
    shuffle = generator(seed, "batches")
    recorder = MapRecorder(len(own), len(x), training.epochs, training.snapshots) if record else None

    def task_losses(logits: Tensor, labels: Tensor) -> Tensor:
        positive = data.positive[own, None]
        return binary_cross_entropy_with_logits(logits, labels, pos_weight=positive, reduction="none").mean(-1)

    def losses(call: Call, batch: Batch) -> Tensor:
        logits, (labels, rows) = call(batch.inputs), batch.targets
        if recorder is not None:
            recorder.update(logits[0], labels, rows)
        return task_losses(logits, labels.expand_as(logits))

    def batches(epoch: int) -> Iterator[Batch]:
        for rows in minibatches(len(x), training.batch, shuffle):
            yield Batch(x[rows][None], (y[:, rows], rows))
        if recorder is not None:
            recorder.end_epoch(epoch)

    counting = model.bottom.register_forward_hook(costs.count)
    start = time.process_time()
    optimizer = torch.optim.Adam(model.parameters(), training.rate)
    fit(model, batches, losses, optimizer=optimizer, epochs=training.epochs, weighting=weighting)
    costs.seconds += time.process_time() - start
    costs.models += 1
    counting.remove()
    result = {}
    with torch.no_grad():
        for part in ("valid", "test"):
            result[part] = torch.full((data.tasks,), torch.nan)
            result[part][own] = task_losses(model(data.inputs[part][None])[0], data.labels[part][own])
    return result, recorder.snapshots if recorder is not None else []


def compare(data: TaskData, seed: int, clusters: int, training: GroupTraining) -> list[dict[str, Any]]:
    """Run every method on one data; one row a method, first that of a plain multi-task training ("mtl").

    Columns: method, n, models, forwards, backwards, seconds (training), choosing (seconds of the choice), groups (tasks of a
    group by blanks, groups by bars), test_loss: mean over tasks of the test loss in the chosen groups, as the exhaustive search
    trained them; random_loss: the same, mean over random groups of the same sizes. Groups are chosen on validation.
    """
    with deterministic(threads=1):
        return _compared(data, seed, clusters, training)


def _compared(data: TaskData, seed: int, clusters: int, training: GroupTraining) -> list[dict[str, Any]]:
    everyone = tuple(range(data.tasks))
    train_group(data, everyone, seed, training, Costs())  # warms up what the first training of a process waits for
    plain = Costs()
    train_group(data, everyone, seed, training, plain)
    rows = [_row("mtl", data, plain, 0.0, (everyone,))]

    def run(method: str, choose: Callable[[Costs], Callable[[], Sequence[Group]]]) -> None:
        costs = Costs()
        choice = choose(costs)
        start = time.process_time()
        groups = choice()
        rows.append(_row(method, data, costs, time.process_time() - start, groups))

    tables: dict[str, baselines.Scores] = {}

    def exhaustive(costs: Costs) -> Callable[[], Sequence[Group]]:
        groups = baselines.every_group(data.tasks)
        results = [train_group(data, group, seed, training, costs)[0] for group in groups]
        for part in ("valid", "test"):
            tables[part] = baselines.measured_scores(groups, -torch.stack([r[part] for r in results]).numpy())
        return lambda: baselines.best_grouping(tables["valid"], clusters).groups

    def hoa(costs: Costs) -> Callable[[], Sequence[Group]]:
        pairs = np.full((data.tasks, data.tasks), np.nan)
        for a, b in baselines.pair_groups(data.tasks, singles=False):
            losses = train_group(data, (a, b), seed, training, costs)[0]["valid"]
            pairs[a, b], pairs[b, a] = -losses[a], -losses[b]
        return lambda: baselines.best_grouping(baselines.pairwise_scores(pairs), clusters).groups

    def tag(costs: Costs) -> Callable[[], Sequence[Group]]:
        weighting = baselines.TagAffinity()
        train_group(data, everyone, seed, training, costs, weighting)
        scores = baselines.affinity_scores(weighting.affinity[0].numpy())
        return lambda: baselines.best_grouping(scores, clusters).groups

    def stg(costs: Costs) -> Callable[[], Sequence[Group]]:
        maps = stacked(train_group(data, everyone, seed, training, costs, record=True)[1])
        return lambda: _clustered(maps, clusters, seed)

    def stg_stl(costs: Costs) -> Callable[[], Sequence[Group]]:
        each = [stacked(train_group(data, (task,), seed, training, costs, record=True)[1]) for task in everyone]
        return lambda: _clustered(torch.cat(each), clusters, seed)

    for method, choose in zip(METHODS, (exhaustive, hoa, tag, stg_stl, stg), strict=True):
        run(method, choose)
    for row in rows:
        groups = [tuple(map(int, group.split())) for group in row["groups"].split("|")]
        row["test_loss"] = _loss(tables["test"], groups)
        drawn = [baselines.random_grouping([len(group) for group in groups], draw) for draw in range(DRAWS)]
        row["random_loss"] = float(np.mean([_loss(tables["test"], groups) for groups in drawn]))
    return rows


def _clustered(maps: Tensor, clusters: int, seed: int) -> list[Group]:
    inner = task_grouping.gram(task_grouping.map_chunks(maps))
    labels = task_grouping.hard(task_grouping.coordinates(inner), clusters, seed).labels.tolist()
    return [tuple(t for t, label in enumerate(labels) if label == own) for own in range(clusters)]


def _loss(table: baselines.Scores, groups: Sequence[Group]) -> float:
    """Mean over tasks of the loss in its group."""
    return -float(np.mean([table[sum(1 << t for t in group), task] for group in groups for task in group]))


def _row(method: str, data: TaskData, costs: Costs, choosing: float, groups: Sequence[Group]) -> dict[str, Any]:
    text = " | ".join(" ".join(map(str, group)) for group in sorted(groups))
    return {
        "method": method, "n": data.tasks, "models": costs.models, "forwards": costs.forwards, "backwards": costs.backwards,
        "seconds": costs.seconds, "choosing": choosing, "groups": text,
    }  # fmt: skip
