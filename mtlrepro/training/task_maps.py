"""STG-MTL on images (Sherif, Abid, Elattar, ElHelw 2023): data maps of all tasks, groups of tasks, models specialised in groups.

One function trains everything. A model is a row of task weights in its loss: ones for multi-task learning, one task alone for
single-task learning, a cluster's memberships for its specialised model. The models of a row each are trained side by side, from
the same batches, each from initial weights of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits
from torchvision.models import resnet18

from mtlrepro.data.binary_tasks import TaskSet, cifar_tasks, digits_tasks
from mtlrepro.data.digits import load_digits, split_digits
from mtlrepro.errors import DataMissing
from mtlrepro.methods import task_grouping
from mtlrepro.methods.data_maps import DataMap, Snapshot, stacked, true_label_probability
from mtlrepro.methods.static import Static
from mtlrepro.methods.weighting import Batch, Call
from mtlrepro.models.resnet import CifarResNet
from mtlrepro.models.side_by_side import StackedTaskNet
from mtlrepro.training.device import NETWORK, choose, deterministic, generator, seeded
from mtlrepro.training.loop import fit, minibatches


@dataclass(frozen=True)
class Setup:
    """How each model is trained: Adam with a cosine schedule, a fixed number of epochs, nothing chosen on validation.

    widths: channels of the stages of one block each; empty: torchvision's ResNet-18, the paper's. side: images are averaged down
    to so many pixels a side. snapshots: data maps are kept so many times, evenly. together: models trained side by side.
    """

    epochs: int = 10
    widths: tuple[int, ...] = (8, 16, 32)
    side: int = 16
    batch: int = 128
    rate: float = 1e-3
    snapshots: int = 2
    together: int = 10
    device: str = "cpu"


def task_sets(group: Literal["G1", "G2", "G3"], images: int, tests: int) -> tuple[TaskSet, TaskSet]:
    """The first training and test images of CIFAR; where they are not at hand digits for G1 and G2, and DataMissing for G3."""
    try:
        return cifar_tasks(group, "train", images), cifar_tasks(group, "test", tests)
    except DataMissing:
        if group == "G3":
            raise
        made, rows = digits_tasks(group), split_digits(load_digits(), 0)
        return made.of(np.concatenate([rows["train"], rows["valid"]])[:images]), made.of(rows["test"][:tests])


@dataclass(frozen=True, eq=False)
class Images:
    """images (n, channels, side, side), about the training images' mean in units of their spread; labels (tasks, n); positive
    weights (tasks,).
    """

    images: Tensor
    labels: Tensor
    positive: Tensor


def prepared(train: TaskSet, *others: TaskSet, setup: Setup) -> list[Images]:
    """Training images and others, scaled alike by mean and standard deviation of each channel of the training images."""
    device = choose(setup.device)
    pictures = [_pooled(each.images, setup.side) for each in (train, *others)]
    mean, spread = pictures[0].mean((0, 2, 3), keepdim=True), pictures[0].std((0, 2, 3), keepdim=True)
    return [
        Images(
            ((picture - mean) / spread).to(device, memory_format=torch.channels_last),
            torch.from_numpy(each.labels.T.copy()).to(device, NETWORK),
            torch.from_numpy(each.positive_weights).to(device, NETWORK),
        )
        for picture, each in zip(pictures, (train, *others), strict=True)
    ]


def _pooled(images: NDArray[np.uint8], side: int) -> Tensor:
    picture = torch.tensor(images).permute(0, 3, 1, 2).to(NETWORK)
    return avg_pool2d(picture, picture.shape[-1] // side) if picture.shape[-1] > side else picture


@dataclass(frozen=True, eq=False)
class Trained:
    """logits: one tensor (models, tasks, n) for each set of images asked for. maps: snapshots of the first model's data map."""

    logits: list[Tensor]
    maps: list[Snapshot]


def train(
    data: Images, weights: Tensor, seed: int, setup: Setup, evaluate: Sequence[Images] = (), record: bool = False
) -> Trained:
    """Train one model for each row of `weights` (models, tasks), eq. 1, and evaluate all on each of `evaluate`.

    seed: of the batches, the same for all models, and of their initial weights, each its own. record: keep data maps of the first
    model, where its weight is not 0, from the forward passes of training and before the step, `setup.snapshots` times; a map of
    several single-task models, one a task, is recorded of each on its own task where `weights` is the identity.
    """
    tasks, found = weights.shape[1], []
    own = torch.equal(weights.cpu(), torch.eye(tasks)) and tasks > 1
    maps: list[list[Snapshot]] = []
    with deterministic(threads=1):
        for start in range(0, len(weights), setup.together):
            chosen = list(range(start, min(start + setup.together, len(weights))))
            recorded = record and (own or start == 0)
            logits, kept = _together(data, weights[chosen], chosen, seed, setup, evaluate, recorded, own)
            found.append(logits)
            if recorded:
                maps.append(kept)
    joined = [torch.cat([each[i] for each in found]) for i in range(len(evaluate))]
    snapshots = [
        Snapshot(torch.cat([s.mean for s in times]), torch.cat([s.std for s in times]), times[0].count)
        for times in zip(*maps, strict=True)
    ]
    return Trained(joined, snapshots)


def _together(
    data: Images, weights: Tensor, models: list[int], seed: int, setup: Setup, evaluate: Sequence[Images], record: bool,
    own: bool,
) -> tuple[list[Tensor], list[Snapshot]]:  # fmt: skip
    device, n = data.images.device, len(data.images)
    model = _model(weights.shape[1], models, seed, setup, data.images.shape[1])
    model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    shuffle = generator(seed, "batches")
    wanted = DataMap(len(models) if own else weights.shape[1], n, device) if record else None
    kept: list[Snapshot] = []

    def losses(call: Call, batch: Batch) -> Tensor:
        logits, (labels, rows) = call(batch.inputs), batch.targets
        if wanted is not None:
            shown = logits[range(len(models)), models] if own else logits[0]
            wanted.update(true_label_probability(shown, labels[models] if own else labels).T, rows)
        loss = binary_cross_entropy_with_logits(
            logits, labels.expand_as(logits), pos_weight=data.positive[:, None], reduction="none"
        )
        return loss.mean(-1)

    def batches(epoch: int) -> Iterator[Batch]:
        if (
            wanted is not None
            and epoch
            and epoch * setup.snapshots // setup.epochs > (epoch - 1) * setup.snapshots // setup.epochs
        ):
            kept.append(wanted.snapshot())
        for cpu in minibatches(n, setup.batch, shuffle):
            rows = cpu.to(device)
            yield Batch(data.images[rows], (data.labels[:, rows], rows))

    fit(
        model, batches, losses, optimizer=torch.optim.Adam(model.parameters(), setup.rate), epochs=setup.epochs,
        weighting=Static(weights.to(device)), schedule=lambda epoch: 0.5 * (1 + np.cos(np.pi * epoch / setup.epochs)),
    )  # fmt: skip
    if wanted is not None:
        kept.append(wanted.snapshot())
    model.eval()
    with torch.no_grad():
        return [torch.cat([model(part) for part in each.images.split(500)], -1).cpu() for each in evaluate], kept


def _model(tasks: int, models: Sequence[int], seed: int, setup: Setup, channels: int) -> StackedTaskNet:
    bottoms: list[nn.Module] = []
    heads = []
    for number in models:
        with seeded(seed, "start", number):
            if setup.widths:
                bottoms.append(CifarResNet((1,) * len(setup.widths), setup.widths, channels))
            else:
                bottoms.append(resnet18())
                bottoms[-1].fc = nn.Identity()
            features = setup.widths[-1] if setup.widths else 512
            heads.append(torch.empty(tasks, features).uniform_(-(features**-0.5), features**-0.5))
    return StackedTaskNet(bottoms, torch.stack(heads))


def f1(probabilities: Tensor, labels: Tensor) -> NDArray[np.float64]:
    """(tasks,) F1 of the positive class at threshold 1/2; 0 where nothing is positive. Both (tasks, n)."""
    found, wanted = probabilities.cpu().numpy() > 0.5, labels.cpu().numpy() > 0.5
    return np.array([f1_score(w, p, zero_division=0) for w, p in zip(wanted, found, strict=True)])


def distances(maps: Sequence[Snapshot]) -> Tensor:
    """(tasks, tasks) float64 distances between the tasks' vectors, all snapshots together; for `coordinates_of_distances`."""
    rows = task_grouping.coordinates(task_grouping.gram(task_grouping.map_chunks(stacked(maps))))
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")


def map_rows(
    train_set: TaskSet, of: Literal["multi-task", "single-task"], seed: int, setup: Setup, clusters: Sequence[int],
    shown: str = "", points: int = 0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Train on all tasks, by one model or by one a task, and describe the data maps. One row a task:

    task, family, apart (distances to every task, as text), and "votes k" for each k of `clusters` (point-based memberships in k
    clusters, as text). Besides, `points` rows of the task called `shown`: confidence, variability and the label of a point.
    """
    (data,) = prepared(train_set, setup=setup)
    tasks = len(train_set.tasks)
    weights = torch.ones(1, tasks) if of == "multi-task" else torch.eye(tasks)
    maps = train(data, weights, seed, setup, record=True).maps
    apart = distances(maps)
    votes = {k: task_grouping.point_based(stacked(maps), k, seed, restarts=3).memberships for k in clusters}
    rows: list[dict[str, Any]] = [
        {"kind": "task", "task": task, "family": family, "apart": _text(apart[i])}
        | {f"votes {k}": _text(v[i]) for k, v in votes.items()}
        for i, (task, family) in enumerate(zip(train_set.tasks, train_set.families, strict=True))
    ]
    if points:
        which = train_set.tasks.index(shown) if shown in train_set.tasks else 0
        last = maps[-1]
        for row in np.random.default_rng(seed).choice(len(train_set), min(points, len(train_set)), replace=False):
            rows.append(
                {"kind": "point", "task": train_set.tasks[which], "label": int(train_set.labels[row, which]),
                 "confidence": round(float(last.mean[which, row]), 4), "variability": round(float(last.std[which, row]), 4)}
            )  # fmt: skip
    return rows


def _text(values: Tensor) -> str:
    return " ".join(f"{value:.7g}" for value in values.tolist())


def grouped_f1(
    sets: tuple[TaskSet, TaskSet], clusters: int, fuzziness: float, seed: int, setup: Setup, single: bool
) -> list[dict[str, Any]]:
    """Mean F1 over tasks, on training and test images, of STG-MTL and of what it is to be compared with; one row each.

    Columns: method, average (of "logits" or "probabilities"), train, test. Methods: "multi-task", one model; "grouped", one model
    for each of `clusters` soft clusters; "random groups", the same memberships dealt to other tasks; "no groups", as many models
    with every membership 1 / clusters, that is, an ensemble of multi-task models; "single-task" where `single`.
    """
    data, tests = prepared(*sets, setup=setup)
    tasks = len(sets[0].tasks)
    both = (data, tests)
    first = train(data, torch.ones(1, tasks), seed, setup, both, record=True)
    rows_of = task_grouping.coordinates_of_distances(distances(first.maps))
    memberships = task_grouping.soft(rows_of, clusters, seed, fuzziness).memberships
    dealt = torch.randperm(tasks, generator=generator(seed, "dealt"))
    plans = {
        "grouped": memberships,
        "random groups": memberships[dealt],
        "no groups": torch.full_like(memberships, 1 / clusters),
    } | ({"single-task": torch.eye(tasks, dtype=memberships.dtype)} if single else {})  # fmt: skip
    rows = [_scored("multi-task", "logits", first.logits, torch.ones(tasks, 1), both)]
    for number, (method, plan) in enumerate(plans.items()):
        weights = task_grouping.loss_weights(plan).float()
        logits = train(data, weights, generator(seed, number).initial_seed() % 2**31, setup, both).logits
        for average in ("logits", "probabilities") if method != "single-task" else ("logits",):
            rows.append(_scored(method, average, logits, plan, both))
    return rows


def _scored(method: str, average: str, logits: list[Tensor], plan: Tensor, sets: Sequence[Images]) -> dict[str, Any]:
    row: dict[str, Any] = {"method": method, "average": average}
    for name, found, each in zip(("train", "test"), logits, sets, strict=True):
        mixed = task_grouping.combined_probability(found.transpose(1, 2), plan, average)  # type: ignore[arg-type]
        row[name] = round(float(f1(mixed.T, each.labels).mean()), 5)
    return row


def seconds_by_tasks(train_set: TaskSet, sizes: Sequence[int], seed: int, setup: Setup) -> list[dict[str, Any]]:
    """CPU seconds of one multi-task training on the first n tasks, for each n of `sizes`, with and without data maps."""
    (data,) = prepared(train_set, setup=setup)
    rows = []
    for n in sizes:
        some = Images(data.images, data.labels[:n], data.positive[:n])
        row: dict[str, Any] = {"n": n}
        for name, record in (("plain", False), ("recorded", True)):
            start = time.process_time()
            train(some, torch.ones(1, n), seed, setup, record=record)
            row[name] = round(time.process_time() - start, 3)
        rows.append(row)
    return rows
