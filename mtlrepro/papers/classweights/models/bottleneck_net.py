"""Networks for real data whose main and auxiliary task share a bottleneck of few channels, with a linear head each."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool1d

from mtlrepro.models.resnet import CifarResNet, group_norm

_INPUTS = {"digits": 8 * 8, "cifar10": 3 * 8 * 8}  # of sets for which one hidden layer is enough


class UNet1d(nn.Module):
    """U-Net (Ronneberger, Fischer and Brox 2015) along time: signals (n, 1, samples) -> (n, samples, width).

    halvings: samples are a multiple of 2^halvings. One convolution over 5 samples a stage, channels doubling with each halving.
    """

    def __init__(self, width: int, halvings: int) -> None:
        super().__init__()
        self.features = width
        widths = [width * 2**i for i in range(halvings + 1)]
        self.down = nn.ModuleList(_stage(a, b) for a, b in zip([1, *widths], widths, strict=False))
        self.up = nn.ModuleList(_stage(a + b, a) for a, b in zip(widths[-2::-1], widths[:0:-1], strict=True))

    def forward(self, x: Tensor) -> Tensor:
        """(n, samples, width)."""
        levels: list[Tensor] = []
        for stage in self.down:
            levels.append(stage(max_pool1d(levels[-1], 2) if levels else x))
        y = levels[-1]
        for stage, skip in zip(self.up, levels[-2::-1], strict=True):
            y = stage(torch.cat([skip, interpolate(y, scale_factor=2, mode="linear")], 1))
        return y.transpose(1, 2)


def _stage(channels: int, out: int) -> nn.Module:
    return nn.Sequential(nn.Conv1d(channels, out, 5, padding=2, bias=False), group_norm(out), nn.ReLU())


class Hidden(nn.Module):
    """One hidden layer: inputs (n, d) -> (n, width)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.features = width
        self.layers = nn.Sequential(nn.Linear(inputs, width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(n, width)."""
        y: Tensor = self.layers(x)
        return y


class BottleneckNet(nn.Module):
    """Inputs -> (n, ..., main classes) and (n, ..., auxiliary classes).

    set_name: digits or cifar10 (one hidden layer), ludb (a `UNet1d`, 3 halvings) or cifar100 (a `CifarResNet` of three
    blocks). width: of the hidden layer, or channels of the finest stage. bottleneck: channels that both heads see.
    """

    def __init__(self, set_name: str, width: int, bottleneck: int, main: int, auxiliary: int) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width)
        trunk: Hidden | UNet1d | CifarResNet
        if set_name in _INPUTS:
            trunk = Hidden(_INPUTS[set_name], width)
        else:
            trunk = UNet1d(width, 3) if set_name == "ludb" else CifarResNet((1, 1, 1), widths, norm=group_norm)
        self.shared = nn.Sequential(trunk, nn.Linear(trunk.features, bottleneck))
        self.main, self.auxiliary = nn.Linear(bottleneck, main), nn.Linear(bottleneck, auxiliary)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of both tasks."""
        z = self.shared(x)
        return self.main(z), self.auxiliary(z)

    def shared_parameters(self) -> list[nn.Parameter]:
        """Parameters before the heads."""
        return list(self.shared.parameters())
