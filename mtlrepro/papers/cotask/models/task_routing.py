"""Task routing layers (Strezoski, van Noord, Worring 2019, "Many task learning with task routing").

A layer multiplies the feature maps of a convolution by a fixed binary mask of the active task. For each task a random share
sigma of the channels is switched off, floor(sigma channels) of them; so two tasks share about (1 - sigma)^2 of a layer. Masks are
drawn once and never trained. As in the code of the CO-TASK paper (Hsieh and Tseng 2021) there is one layer a residual block,
behind its second batch norm and before the shortcut is added; stem, first convolution and shortcut have none. sigma = 0 is plain
sharing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from mtlrepro.errors import BadValue
from mtlrepro.models.resnet import CifarResNet
from mtlrepro.models.task_heads import MultiTaskNet, TaskHeads

SIGMA = 0.6


def task_masks(tasks: int, channels: int, sigma: float, generator: torch.Generator) -> Tensor:
    """(tasks, channels) of 0 and 1, with floor(sigma channels) zeros a task at random places. Raises BadValue as `routed`."""
    if not 0 <= sigma < 1:
        raise BadValue(f"sigma must be at least 0 and below 1, not {sigma}.")
    # The small addend keeps floor from losing a channel to rounding, as in 0.6 * 5.
    off = int(sigma * channels + 1e-9)
    places = torch.rand(tasks, channels, generator=generator).argsort(1)[:, :off]
    return torch.ones(tasks, channels).scatter_(1, places, 0.0)


class _ActiveTask:
    """The task of the pass that is running, read by every layer."""

    task: Tensor | None = None


class TaskRouting(nn.Module):
    """A batch norm followed by the active task's mask. masks: (tasks, channels)."""

    masks: Tensor

    def __init__(self, norm: nn.BatchNorm2d, masks: Tensor, active: _ActiveTask) -> None:
        super().__init__()
        self.norm, self.active = norm, active
        self.register_buffer("masks", masks)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> the same, channels of others' at 0."""
        normed: Tensor = self.norm(x)
        return normed * self.masks[self.active.task].to(normed.dtype).view(1, -1, 1, 1)


class RoutedBottom(nn.Module):
    """`bottom` with a mask behind every block's second batch norm; `bottom` is changed in place.

    layers: the routing layers, in the bottom's order.
    """

    def __init__(self, bottom: CifarResNet, tasks: int, sigma: float, generator: torch.Generator) -> None:
        super().__init__()
        self.bottom, self._active = bottom, _ActiveTask()
        self.layers: list[TaskRouting] = []
        for block in list(bottom.modules()):
            if isinstance(block, BasicBlock):
                masks = task_masks(tasks, block.bn2.num_features, sigma, generator)
                block.bn2 = TaskRouting(block.bn2, masks, self._active)
                self.layers.append(block.bn2)

    def forward(self, images: Tensor, task: Tensor) -> Tensor:
        """images (n, channels, h, w), task () int64 -> (n, features)."""
        self._active.task = task
        features: Tensor = self.bottom(images)
        self._active.task = None
        return features


def routed(bottom: CifarResNet, classes: Sequence[int], generator: torch.Generator, sigma: float = SIGMA) -> MultiTaskNet:
    """`bottom` with task routing and a head a task. classes: of each task. generator: of the masks, on the CPU.

    Raises BadValue for a sigma outside [0, 1): at 1 nothing is left.
    """
    bottom_features = bottom.features
    return MultiTaskNet(RoutedBottom(bottom, len(classes), sigma, generator), TaskHeads(bottom_features, classes), routed=True)
