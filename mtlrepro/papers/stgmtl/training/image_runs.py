"""STG-MTL on images (Sherif, Abid, Elattar, ElHelw 2023): data maps of all tasks, groups of tasks, models specialised in groups.

One function trains everything. A model is a row of task weights in its loss: ones for multi-task learning, one task alone for
single-task learning, a cluster's memberships for its specialised model. The models of a row each are trained side by side, from
the same batches, each from initial weights of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
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
from mtlrepro.device import NETWORK, choose, deterministic, generator, seeded
from mtlrepro.errors import DataMissing
from mtlrepro.methods.data_maps import Snapshot
from mtlrepro.methods.static import Static
from mtlrepro.models.resnet import CifarResNet
from mtlrepro.papers.stgmtl.models.side_by_side import StackedTaskNet
from mtlrepro.papers.stgmtl.training.map_recorder import MapRecorder
from mtlrepro.parameters import Params
from mtlrepro.training.loop import fit, minibatches
from mtlrepro.training.weighting import Batch, Call

Group = Literal["G1", "G2", "G3"]
Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")


@dataclass(frozen=True)
class ImageTraining:
    """How each model is trained: Adam with a cosine schedule, a fixed number of epochs, nothing chosen on validation.

    widths: channels of the stages of one block each; empty: torchvision's ResNet-18, the paper's. side: images are averaged down
    to so many pixels per side. snapshots: data maps are kept so many times, evenly. together: models trained side by side.
    device: as of `device.choose`.
    """

    epochs: int = 10
    widths: Sequence[int] = (8, 16, 32)
    side: int = 16
    batch: int = 128
    rate: float = 1e-3
    snapshots: int = 2
    together: int = 10
    device: str = "cpu"


@lru_cache(maxsize=8)
def task_set(group: Group, split: Split, limit: int) -> TaskSet:
    """The first `limit` images of CIFAR; where it is not at hand digits for G1 and G2, and DataMissing for G3."""
    try:
        return cifar_tasks(group, split, limit)
    except DataMissing:
        if group == "G3":
            raise
        rows = split_digits(load_digits(), 0)
        chosen = rows["test"] if split == "test" else np.concatenate([rows["train"], rows["valid"]])
        return digits_tasks(group).of(chosen[:limit])


def image_settings(p: Params, limits: Mapping[Split, int]) -> dict[str, Any]:
    """What every setting says of images and models: limits (see `task_set`) and training (arguments of `ImageTraining`)."""
    training = {"epochs": p.epochs, "widths": p.widths, "side": p.side, "device": p.device}
    return {"limits": dict(limits), "training": training}


def digests(settings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name -> sha256 of the task sets that runs with `settings` read. Raises DataMissing as `task_set` does."""
    return {f"{group} {split}": images.sha256 for (group, split), images in _task_sets(settings).items()}


def tier(settings: Sequence[Mapping[str, Any]]) -> str:
    """The data tier of runs with `settings`."""
    tiers = {images.tier for images in _task_sets(settings).values()}
    return "paper's data" if tiers == {"paper's data"} else "public stand-in"


def _task_sets(settings: Sequence[Mapping[str, Any]]) -> dict[tuple[Group, Split], TaskSet]:
    limits = {(setting["group"], split): limit for setting in settings for split, limit in setting["limits"].items()}
    return {(group, split): task_set(group, split, limit) for (group, split), limit in limits.items()}


@dataclass(frozen=True, eq=False)
class Images:
    """images (n, channels, side, side), about the training images' mean in units of their spread; labels (tasks, n); positive
    weights (tasks,).
    """

    images: Tensor
    labels: Tensor
    positive: Tensor


def prepared(training: ImageTraining, train: TaskSet, *others: TaskSet) -> list[Images]:
    """Training images and others, all scaled alike by mean and standard deviation of each channel of the training images."""
    device = choose(training.device)
    pictures = [_pooled(each.images, training.side) for each in (train, *others)]
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


def f1(probabilities: Tensor, labels: Tensor) -> NDArray[np.float64]:
    """(tasks,) F1 of the positive class at threshold 1/2; 0 where nothing is positive. Both (tasks, n)."""
    predicted, truth = probabilities.cpu().numpy() > 0.5, labels.cpu().numpy() > 0.5
    return np.array([f1_score(t, p, zero_division=0) for t, p in zip(truth, predicted, strict=True)])


@dataclass(frozen=True, eq=False)
class Trained:
    """logits: one tensor (models, tasks, n) for each set of images asked for. maps: snapshots of the first model's data map."""

    logits: list[Tensor]
    maps: list[Snapshot]


def train(
    data: Images, weights: Tensor, seed: int, training: ImageTraining, evaluate: Sequence[Images] = (), record: bool = False
) -> Trained:
    """Train one model for each row of `weights` (models, tasks), eq. 1, and evaluate all on each of `evaluate`.

    seed: of the batches, the same for all models, and of their initial weights, each its own. record: keep data maps of the first
    model, where its weight is not 0, from the forward passes of training and before the step, `training.snapshots` times; where
    `weights` is the identity, the map of each task is that of its own single-task model.
    """
    tasks = weights.shape[1]
    single_task = tasks > 1 and torch.equal(weights.cpu(), torch.eye(tasks))
    logits: list[list[Tensor]] = []
    maps: list[list[Snapshot]] = []
    with deterministic(threads=1):
        for start in range(0, len(weights), training.together):
            models = list(range(start, min(start + training.together, len(weights))))
            recorder = None
            if record and (single_task or start == 0):
                mapped = len(models) if single_task else tasks
                recorder = MapRecorder(mapped, len(data.images), training.epochs, training.snapshots, data.images.device)
            logits.append(_train_together(data, weights[models], models, seed, training, evaluate, recorder, single_task))
            if recorder is not None:
                maps.append(recorder.snapshots)
    snapshots = [
        Snapshot(torch.cat([s.mean for s in times]), torch.cat([s.std for s in times]), times[0].count)
        for times in zip(*maps, strict=True)
    ]
    return Trained([torch.cat(parts) for parts in zip(*logits, strict=True)], snapshots)


def _train_together(
    data: Images, weights: Tensor, models: list[int], seed: int, training: ImageTraining, evaluate: Sequence[Images],
    recorder: MapRecorder | None, single_task: bool,
) -> list[Tensor]:  # fmt: skip
    device, n = data.images.device, len(data.images)
    model = _model(weights.shape[1], models, seed, training, data.images.shape[1])
    model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    shuffle = generator(seed, "batches")

    def losses(call: Call, batch: Batch) -> Tensor:
        logits, (labels, rows) = call(batch.inputs), batch.targets
        if recorder is not None:
            own = (logits[range(len(models)), models], labels[models]) if single_task else (logits[0], labels)
            recorder.update(*own, rows)
        loss = binary_cross_entropy_with_logits(
            logits, labels.expand_as(logits), pos_weight=data.positive[:, None], reduction="none"
        )
        return loss.mean(-1)

    def batches(epoch: int) -> Iterator[Batch]:
        for cpu in minibatches(n, training.batch, shuffle):
            rows = cpu.to(device)
            yield Batch(data.images[rows], (data.labels[:, rows], rows))
        if recorder is not None:
            recorder.end_epoch(epoch)

    fit(
        model, batches, losses, optimizer=torch.optim.Adam(model.parameters(), training.rate), epochs=training.epochs,
        weighting=Static(weights.to(device)), schedule=lambda epoch: 0.5 * (1 + np.cos(np.pi * epoch / training.epochs)),
    )  # fmt: skip
    model.eval()
    with torch.no_grad():
        return [torch.cat([model(part) for part in each.images.split(500)], -1).cpu() for each in evaluate]


def _model(tasks: int, models: Sequence[int], seed: int, training: ImageTraining, channels: int) -> StackedTaskNet:
    bottoms: list[nn.Module] = []
    heads = []
    for number in models:
        with seeded(seed, "start", number):
            if training.widths:
                bottoms.append(CifarResNet((1,) * len(training.widths), training.widths, channels))
            else:
                bottoms.append(resnet18())
                bottoms[-1].fc = nn.Identity()
            features = training.widths[-1] if training.widths else 512
            heads.append(torch.empty(tasks, features).uniform_(-(features**-0.5), features**-0.5))
    return StackedTaskNet(bottoms, torch.stack(heads))
