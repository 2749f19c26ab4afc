"""Losses of segmentation and depth by one U-Net with two decoders, pixel by pixel, by task and by auxiliary class.

A batch's targets are labels (n, h, w), -1 ignored; depth; where it is valid; and its ranges (n, h, w), -1 invalid.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtlrepro.methods.class_weights import class_sums
from mtlrepro.papers.classweights.models.unet import DEPTH, SEGMENTATION
from mtlrepro.papers.classweights.training.dense_metrics import depth_loss, segmentation_loss
from mtlrepro.training.weighting import Batch, Call, LossFunction


def pixel_losses(call: Call, batch: Batch, task: int | None = None) -> list[Tensor]:
    """Loss maps (n, h, w) of segmentation and depth, or of one task, whose decoder alone then runs."""
    labels, depth, valid, _ = batch.targets
    if task is not None:
        output = call(batch.inputs, task)
        return [segmentation_loss(output, labels) if task == SEGMENTATION else depth_loss(output, depth, valid)]
    scores, predicted = call(batch.inputs)
    return [segmentation_loss(scores, labels), depth_loss(predicted, depth, valid)]


def auxiliary_classes(main: int, batch: Batch) -> Tensor:
    """The auxiliary label of each pixel (n, h, w): its class where depth is main, its range of depth where segmentation is."""
    classes: Tensor = batch.targets[0 if main == DEPTH else 3]
    return classes


def by_class(main: int, classes: int) -> LossFunction:
    """What `ClassWeights` takes: main and auxiliary loss by auxiliary class, (2 (classes + 1),)."""

    def losses(call: Call, batch: Batch) -> Tensor:
        maps = pixel_losses(call, batch)
        return torch.cat([_sums(maps[main] / len(maps[main]), main, classes, batch), _sums(maps[1 - main], main, classes, batch)])

    return losses


def as_tasks(main: int, classes: int, starts: Sequence[float]) -> tuple[LossFunction, LossFunction]:
    """What `HeldOutClassWeights` takes: the main loss and that of each auxiliary class over the start values `starts` of the two
    tasks, (1 + classes,); and the same with 0 in place of the main loss, of the auxiliary decoder alone."""

    def of_classes(values: Tensor, batch: Batch) -> Tensor:
        return _sums(values, main, classes, batch)[:-1] / starts[1 - main]

    def losses(call: Call, batch: Batch) -> Tensor:
        maps = pixel_losses(call, batch)
        return torch.cat([maps[main].mean()[None] / starts[main], of_classes(maps[1 - main] / len(maps[main]), batch)])

    def auxiliary(call: Call, batch: Batch) -> Tensor:
        values = of_classes(pixel_losses(call, batch, 1 - main)[0] / len(batch.inputs), batch)
        return torch.cat([torch.zeros_like(values[:1]), values])

    return losses, auxiliary


def _sums(values: Tensor, main: int, classes: int, batch: Batch) -> Tensor:
    return class_sums(values / values[0].numel(), auxiliary_classes(main, batch), classes)
