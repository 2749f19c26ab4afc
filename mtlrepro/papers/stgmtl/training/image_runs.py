"""STG-MTL on images (Sherif, Abid, Elattar, ElHelw 2023): data maps of all tasks, groups of tasks, models specialised in groups.

One function trains everything. A model is a row of task weights in its loss: ones for multi-task learning, one task alone for
single-task learning, a cluster's memberships for its specialised model. The models of a row each are trained side by side, from
the same batches, each from initial weights of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits
from torchvision.models import resnet18

from mtlrepro.data.binary_tasks import TaskSet, cifar_tasks, digits_tasks
from mtlrepro.data.digits import load_digits, split_digits
from mtlrepro.device import NETWORK, choose, deterministic, generator, seeded
from mtlrepro.errors import DataMissing
from mtlrepro.methods.data_maps import DataMap, Snapshot, true_label_probability
from mtlrepro.methods.static import Static
from mtlrepro.models.resnet import CifarResNet
from mtlrepro.papers.stgmtl.models.side_by_side import StackedTaskNet
from mtlrepro.training.loop import fit, minibatches
from mtlrepro.training.weighting import Batch, Call


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
