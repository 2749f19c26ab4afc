"""U-Net (Ronneberger, Fischer and Brox 2015) with one encoder and two full decoders, for segmentation and depth.

The class-wise weights paper (Yim and Kim 2020) has 64 to 512 channels; our reading: four halvings, channels doubling from `width`
and capped at 8 `width`, two 3 x 3 convolutions a stage, each with batch norm and ReLU, and bilinear upsampling in the decoders.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from mtlrepro.device import seeded
from mtlrepro.errors import BadValue
from mtlrepro.training.precision import Chosen, computing_in

SEGMENTATION, DEPTH = 0, 1


def _stage(channels: int, out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (channels, out):
        layers += [nn.Conv2d(inputs, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)


class Encoder(nn.Module):
    """Images (n, channels, h, w) -> features of every stage, finest first."""

    def __init__(self, channels: int, widths: list[int]) -> None:
        super().__init__()
        inputs = [channels, *widths]
        self.stages = nn.ModuleList(_stage(a, b) for a, b in zip(inputs, widths, strict=False))

    def forward(self, x: Tensor) -> list[Tensor]:
        """One (n, width, h / 2^i, w / 2^i) a stage i."""
        found: list[Tensor] = []
        for stage in self.stages:
            x = stage(max_pool2d(x, 2) if found else x)
            found.append(x)
        return found


class Decoder(nn.Module):
    """Features of every stage -> maps (n, outputs, h, w)."""

    def __init__(self, widths: list[int], outputs: int) -> None:
        super().__init__()
        finest_last = list(reversed(widths))
        below = [finest_last[0], *finest_last[1:]]
        self.stages = nn.ModuleList(_stage(a + b, b) for a, b in zip(below, finest_last[1:], strict=False))
        self.last = nn.Conv2d(widths[0], outputs, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """(n, outputs, h, w)."""
        x = features[-1]
        for stage, skip in zip(self.stages, reversed(features[:-1]), strict=True):
            x = interpolate(x, scale_factor=2, mode="bilinear")
            if x.requires_grad and x.is_contiguous(memory_format=torch.channels_last):
                # The gradient of `cat` is a view with gaps, on which that of `interpolate` takes far longer.
                x.register_hook(_channels_last)
            x = stage(torch.cat([skip, x], 1))
        return self.last(x)  # type: ignore[no-any-return]


class UNet(nn.Module):
    """One encoder, two decoders. classes: of the segmentation. width: channels of the finest stage. depth: number of halvings.

    seed: of the initial weights. precision: of the forward pass; outputs are float32. Works in channels_last as in the usual
    memory format. Raises BadValue for widths, classes or depths below 1.
    """

    def __init__(
        self, classes: int, width: int = 64, depth: int = 4, channels: int = 3, seed: int = 0, precision: Chosen = "float32"
    ) -> None:
        super().__init__()
        if min(classes, width, depth, channels) < 1:
            raise BadValue("classes, width, depth and channels must be at least 1.")
        self.classes, self.step, self.precision = classes, 2**depth, precision
        widths = [width * min(2**i, 8) for i in range(depth + 1)]
        with seeded(seed, "unet"):
            self.encoder = Encoder(channels, widths)
            self.decoders = nn.ModuleList([Decoder(widths, classes), Decoder(widths, 1)])

    def forward(self, images: Tensor, task: int | None = None) -> list[Tensor] | Tensor:
        """[class scores (n, classes, h, w), depth (n, h, w)] of images (n, channels, h, w); one of them where `task` is given.

        task: SEGMENTATION or DEPTH. Raises BadValue where h or w is not a multiple of 2^depth.
        """
        if images.shape[-1] % self.step or images.shape[-2] % self.step:
            raise BadValue(f"height and width must be multiples of {self.step}, not {tuple(images.shape[-2:])}.")
        # Entered anew at each pass: autocast would keep its copies of the weights over an update.
        with computing_in(self.precision, images.device):
            features = self.encoder(images)
            maps = [self._decoded(features, t).float() for t in ((SEGMENTATION, DEPTH) if task is None else (task,))]
        return maps if task is None else maps[0]

    def _decoded(self, features: list[Tensor], task: int) -> Tensor:
        maps: Tensor = self.decoders[task](features)
        return maps.squeeze(1) if task == DEPTH else maps

    def shared_parameters(self) -> list[nn.Parameter]:
        """Parameters of the encoder."""
        return list(self.encoder.parameters())

    def head_parameters(self, task: int) -> list[nn.Parameter]:
        """Parameters of the decoder of `task`."""
        return list(self.decoders[task].parameters())
