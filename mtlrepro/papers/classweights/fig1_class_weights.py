"""Figure 1 of the class-weight paper in numbers: the auxiliary loss of one scene, taken apart by class."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from mtlrepro import plots
from mtlrepro.methods.class_weights import class_sums
from mtlrepro.papers.classweights.data.scenes import preset, scenes
from mtlrepro.papers.classweights.models.unet import UNet
from mtlrepro.papers.classweights.training.dense_metrics import segmentation_loss


@dataclass(frozen=True, eq=False)
class SceneLoss:
    """image: (h, w, 3). losses: (h, w), of segmentation. parts: (classes,), which add up to the mean loss. names: of classes."""

    image: Tensor
    losses: Tensor
    parts: Tensor
    names: tuple[str, ...]


def loss_by_class() -> SceneLoss:
    """The segmentation loss of an untrained network on one driving-like scene."""
    kind, scene = preset("driving"), scenes("driving", 1, (64, 128), seed=4)
    with torch.no_grad():
        scores, _ = UNet(len(kind.classes), width=4)(scene.images)
    losses = segmentation_loss(scores, scene.labels)
    parts = class_sums(losses / losses.numel(), scene.labels, len(kind.classes))[:-1]
    return SceneLoss(scene.images[0].permute(1, 2, 0), losses[0], parts, tuple(kind.names))


def draw(scene: SceneLoss) -> Figure:
    """The scene and its loss map."""
    fig, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 1.9))
    for ax, shown, name in zip(axes, (scene.image, scene.losses), ("scene", "auxiliary loss"), strict=True):
        ax.imshow(shown)
        ax.set(xlabel=name, xticks=[], yticks=[])
        ax.grid(False)
    return fig


def table(scene: SceneLoss) -> pd.DataFrame:
    """The parts of the loss by class."""
    return pd.DataFrame({"class": scene.names, "part of the loss": scene.parts.tolist()})
