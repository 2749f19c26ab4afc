"""Residual networks for 32 x 32 images (He, Zhang, Ren, Sun 2016), shared by many tasks with one linear head each.

The stem is one 3 x 3 convolution with stride 1 and no pooling; then stages of two-convolution blocks, the first block of every
later stage with stride 2; then the mean over all places. Blocks are torchvision's. Where a block changes the number of channels
its shortcut is a 1 x 1 convolution (their option B), as in torchvision; He et al.'s own CIFAR networks pad with zeros instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from mtlrepro.errors import BadValue
from mtlrepro.models.task_heads import MultiTaskNet, TaskHeads


class CifarResNet(nn.Module):
    """Images (n, channels, h, w) -> features (n, widths[-1]); any h and w.

    blocks, widths: blocks and channels of each stage. Initial weights as in torchvision: He normal for convolutions.
    """

    def __init__(self, blocks: Sequence[int], widths: Sequence[int], channels: int = 3) -> None:
        super().__init__()
        if len(blocks) != len(widths) or not blocks:
            raise BadValue(f"blocks and widths name one number each a stage, not {len(blocks)} and {len(widths)}.")
        self.features = widths[-1]
        self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        stages = []
        for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            before, stride = widths[max(stage - 1, 0)], 1 if stage == 0 else 2
            stages.append(nn.Sequential(_block(before, width, stride), *(_block(width, width, 1) for _ in range(count - 1))))
        self.stages = nn.ModuleList(stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """(n, features)."""
        x = self.relu(self.bn1(self.conv1(images)))
        for stage in self.stages:
            x = stage(x)
        features: Tensor = x.mean((2, 3))
        return features


def _block(before: int, width: int, stride: int) -> nn.Module:
    shortcut = None
    if stride != 1 or before != width:
        shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
    block: nn.Module = BasicBlock(before, width, stride, shortcut)
    return block


def resnet34(channels: int = 3) -> CifarResNet:
    """The paper's backbone: blocks 3, 4, 6, 3 with 64, 128, 256, 512 channels."""
    return CifarResNet((3, 4, 6, 3), (64, 128, 256, 512), channels)


def small_resnet(blocks: int = 1, channels: int = 3) -> CifarResNet:
    """For a CPU: three stages of `blocks` blocks with 16, 32, 64 channels (1 block: 8 layers; 3: He et al.'s 20)."""
    return CifarResNet((blocks,) * 3, (16, 32, 64), channels)


def shared_bottom(bottom: CifarResNet, classes: Sequence[int]) -> MultiTaskNet:
    """Hard parameter sharing: `bottom` and a head a task. classes: of each task."""
    return MultiTaskNet(bottom, TaskHeads(bottom.features, classes))
