"""Residual networks for 32 x 32 images (He, Zhang, Ren, Sun 2016), shared by many tasks with one linear head each.

The stem is one 3 x 3 convolution with stride 1 and no pooling; then stages of two-convolution blocks, the first block of every
later stage with stride 2; then the mean over all places. Blocks are torchvision's. Where a block changes the number of channels
its shortcut is a 1 x 1 convolution (their option B), as in torchvision; He et al.'s own CIFAR networks pad with zeros instead.
`imagenet_resnet18` has ImageNet's stem, as the multi-task papers that take torchvision's network use it on 32 x 32 images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn.functional import linear
from torchvision.models.resnet import BasicBlock, resnet18

from mtlrepro.errors import BadValue
from mtlrepro.models.task_heads import MultiTaskNet, TaskHeads

Norm = Callable[[int], nn.Module]


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation (Wu and He 2018) in groups of 8 channels: needs no statistics of a batch. The group's size is ours.

    Raises BadValue for channels that are no multiple of 8.
    """
    if channels % 8:
        raise BadValue(f"group normalisation takes a multiple of 8 channels, not {channels}.")
    return nn.GroupNorm(channels // 8, channels)


class CifarResNet(nn.Module):
    """Images (n, channels, h, w) -> features (n, widths[-1]); any h and w.

    blocks, widths: blocks and channels of each stage. norm: channels -> normalisation, `group_norm` for one without batch
    statistics. Initial weights as in torchvision: He normal for convolutions.
    """

    def __init__(self, blocks: Sequence[int], widths: Sequence[int], channels: int = 3, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        if len(blocks) != len(widths) or not blocks:
            raise BadValue(f"blocks and widths name one number each a stage, not {len(blocks)} and {len(widths)}.")
        self.features = widths[-1]
        self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.bn1 = norm(widths[0])
        self.relu = nn.ReLU(inplace=True)
        stages = []
        for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            before, stride = widths[max(stage - 1, 0)], 1 if stage == 0 else 2
            first = _block(before, width, stride, norm)
            stages.append(nn.Sequential(first, *(_block(width, width, 1, norm) for _ in range(count - 1))))
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


def _block(before: int, width: int, stride: int, norm: Norm) -> nn.Module:
    shortcut = None
    if stride != 1 or before != width:
        shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), norm(width))
    block: nn.Module = BasicBlock(before, width, stride, shortcut, norm_layer=norm)
    return block


def resnet34(channels: int = 3, norm: Norm = nn.BatchNorm2d) -> CifarResNet:
    """The backbone of CO-TASK on CIFAR-MTL (Hsieh and Tseng 2021): blocks 3, 4, 6, 3 with 64, 128, 256, 512 channels."""
    return CifarResNet((3, 4, 6, 3), (64, 128, 256, 512), channels, norm)


def small_resnet(blocks: int = 1, channels: int = 3) -> CifarResNet:
    """For a CPU: three stages of `blocks` blocks with 16, 32, 64 channels (1 block: 8 layers; 3: He et al.'s 20)."""
    return CifarResNet((blocks,) * 3, (16, 32, 64), channels)


class SinglePlaceConv2d(nn.Conv2d):
    """A convolution that is a matrix product where its output is a single place: of the taps that meet the image alone.

    Equal to `nn.Conv2d` up to rounding, and its parameters are the same. ResNet-18 with ImageNet's stem makes of 32 x 32 images
    maps of one place in its last stage, where eight in nine taps of a 3 x 3 kernel only ever meet the padding, and where three
    quarters of its parameters lie.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(n, in channels, h, w) -> (n, out channels, ...)."""
        (down, right), (height, width) = (int(p) for p in self.padding), self.kernel_size
        h, w = input.shape[2:]
        single = (h + 2 * down - height) // self.stride[0] == 0 and (w + 2 * right - width) // self.stride[1] == 0
        if not single:
            return super().forward(input)
        taps = self.weight[:, :, down : down + h, right : right + w]
        met = input[:, :, : height - down, : width - right]
        found = linear(met.permute(0, 2, 3, 1).flatten(1), taps.permute(0, 2, 3, 1).flatten(1), self.bias)
        return found[:, :, None, None]


def with_single_places(net: nn.Module) -> nn.Module:
    """`net`, changed in place: every convolution that can be a `SinglePlaceConv2d` is one, with its own parameters."""
    for parent in list(net.modules()):
        for name, conv in list(parent.named_children()):
            plain = isinstance(conv, nn.Conv2d) and conv.groups == 1 and tuple(conv.dilation) == (1, 1)
            if plain and conv.padding_mode == "zeros" and not isinstance(conv.padding, str):
                made = nn.utils.skip_init(
                    SinglePlaceConv2d, conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding,
                    bias=conv.bias is not None,
                )  # fmt: skip
                made.weight, made.bias = conv.weight, conv.bias
                setattr(parent, name, made)
    return net


def imagenet_resnet18(channels: int = 3, norm: Norm = nn.BatchNorm2d) -> nn.Module:
    """torchvision's ResNet-18 with its ImageNet stem, without the last layer: images (n, channels, h, w) -> features (n, 512)."""
    net: nn.Module = resnet18(weights=None, norm_layer=norm)
    if channels != 3:
        net.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
    net.fc = nn.Identity()
    return with_single_places(net)


def cifar_resnet18(channels: int = 3, norm: Norm = nn.BatchNorm2d) -> CifarResNet:
    """ResNet-18 with the 3 x 3 stem: blocks 2, 2, 2, 2 with 64, 128, 256, 512 channels."""
    return CifarResNet((2, 2, 2, 2), (64, 128, 256, 512), channels, norm)


def shared_bottom(bottom: CifarResNet, classes: Sequence[int]) -> MultiTaskNet:
    """Hard parameter sharing: `bottom` and a head a task. classes: of each task."""
    return MultiTaskNet(bottom, TaskHeads(bottom.features, classes))
