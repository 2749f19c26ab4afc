"""One training of a network on binary tasks with common images (Wu, Zhang, Re 2020, Sections 3.2 and 3.3), with any task weights.

Adam at a constant rate, a fixed number of epochs, the running mean of the weights evaluated: no epoch is chosen, and a training
of twice the epochs begins as that of half of them, so that its snapshot serves both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtlrepro import data, paths
from mtlrepro.device import choose, deterministic
from mtlrepro.papers.transfer.data.same_image_tasks import SameImages, Source, draw
from mtlrepro.papers.transfer.models.same_images import Kind, network
from mtlrepro.parameters import Params
from mtlrepro.training.augmentation import Augmentation
from mtlrepro.training.image_batches import BinaryTasks
from mtlrepro.training.image_evaluation import binary_logits
from mtlrepro.training.image_settings import ImageTraining
from mtlrepro.training.images import Checkpoint, train_images
from mtlrepro.training.metrics import auroc
from mtlrepro.training.weighting import Weighting


@dataclass(frozen=True)
class Images:
    """What is read of a source and by what: samples (training images), side (pixels), network, batch, device, pretrained (weights
    of DenseNet-121)."""

    source: Source
    samples: int
    side: int = 16
    network: Kind = "cnn"
    batch: int = 100
    device: str = "cpu"
    pretrained: bool = True

    def drawn(self, seed: int) -> SameImages:
        """The images of one seed."""
        return draw(self.source, seed, self.samples, self.side, str(choose(self.device)))


def images_of(p: Params, source: str) -> dict[str, object]:
    """Arguments of `Images` from an exhibit's parameters. Raises DataMissing where DenseNet-121 would train on a stand-in."""
    if p.model == "densenet121":
        data.which(source, stand_in=False)
    same = {"samples": p.samples, "side": p.side, "network": p.model, "batch": p.batch, "device": p.device}
    return {"source": source} | same


class Reached(NamedTuple):
    """After some epochs: AUC (tasks,) in percent on validation and test, and the task weights (tasks,) of the last epoch."""

    valid: Tensor
    test: Tensor
    weights: Tensor


def train(
    images: Images, seed: int, tasks: Sequence[int], labels: Tensor, weighting: Weighting, rate: float, epochs: Sequence[int],
    linear: bool = False, name: str = "",
) -> dict[int, Reached]:  # fmt: skip
    """What a network reaches after each number of `epochs`, the largest of which it is trained for.

    tasks: their numbers; labels (n, tasks) of the training images, clean or not; validation and test labels are the source's own.
    seed: of images, initial weights and order, so that trainings differ in weights alone. linear: logistic regression on the
    pixels, of images as they are, in place of the network. name: of this training among those of one finished run in the making;
    the trainer's checkpoints tell trainings apart by their settings and labels, but not by fixed weights.
    """
    drawn = images.drawn(seed)
    settings = ImageTraining(
        epochs=max(epochs), batch=images.batch, optimizer="adam", rate=rate, decay=0.0, ema=0.99, snapshots=tuple(sorted(epochs)),
        augmentation=Augmentation() if linear else drawn.augmentation,
    )  # fmt: skip
    _, height, width, channels = drawn.data.shape
    kind: Kind = "linear" if linear else images.network
    model = network(kind, (channels, height, width), len(tasks), seed, images.pretrained)
    columns = list(tasks)
    own = {part: torch.from_numpy(drawn.labels[part][:, columns].T.astype(np.int64)) for part in ("valid", "test")}

    def aucs(_: int, trained: torch.nn.Module) -> dict[str, Tensor]:
        scores = {part: binary_logits(trained, drawn.data, drawn.rows(part)).cpu() for part in ("valid", "test")}
        return {part: 100 * auroc(scores[part], own[part]) for part in own}

    answers = BinaryTasks(drawn.rows("train"), labels.numpy(), np.ones(len(columns)))
    folder = paths.checkpoints() if name else None
    checkpoint = None if folder is None else Checkpoint(folder / f"{name}.pt")
    with deterministic(threads=1 if drawn.data.device.type == "cpu" else None):
        done = train_images(
            model, drawn.data, answers, settings, seed=seed, weighting=weighting, at_snapshot=aucs, checkpoint=checkpoint
        )
    return {n: Reached(kept["valid"], kept["test"], done.weights[n - 1].cpu()) for n, kept in done.snapshots.items()}
