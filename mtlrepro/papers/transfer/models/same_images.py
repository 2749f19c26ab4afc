"""Networks for binary tasks on common images: what the tasks share, and one logit a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor, nn
from torchvision.models import densenet121

from mtlrepro.device import seeded
from mtlrepro.errors import UnknownName

Kind = Literal["cnn", "densenet121", "linear"]
# Channels of the small network's three layers.
WIDTHS = (32, 64, 128)


class SharedBody(nn.Module):
    """Images (n, channels, h, w) -> logits (tasks, n), from features of width `features` that all tasks share."""

    def __init__(self, body: nn.Module, features: int, tasks: int) -> None:
        super().__init__()
        self.body, self.heads = body, nn.Linear(features, tasks)

    def forward(self, images: Tensor) -> Tensor:
        """(n, channels, h, w) -> (tasks, n)."""
        logits: Tensor = self.heads(self.body(images))
        return logits.T

    def shared_parameters(self) -> list[nn.Parameter]:
        """Parameters of the body."""
        return list(self.body.parameters())


class Colours(nn.Module):
    """Grey images three times over: what a network reads that was pre-trained on coloured ones."""

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1 or 3, h, w) -> (n, 3, h, w)."""
        return images.expand(-1, 3, -1, -1)


def network(kind: Kind, shape: Sequence[int], tasks: int, seed: int, pretrained: bool = True) -> SharedBody:
    """A network for images of `shape` (channels, h, w); its initial weights are those of `seed`.

    "cnn": three 3 x 3 convolutions of 32, 64 and 128 channels with batch normalisation and ReLU, a 2 x 2 maximum after the first
    and the second, the mean over all places. "densenet121": torchvision's DenseNet-121, the paper's; pretrained: its ImageNet
    weights, from torch's cache or fetched. "linear": no shared features, logistic regression on the pixels.
    Raises UnknownName.
    """
    if kind not in get_args(Kind):
        raise UnknownName("network", kind, get_args(Kind))
    channels, height, width = shape
    with seeded(seed, "start"):
        if kind == "linear":
            return SharedBody(nn.Flatten(), channels * height * width, tasks)
        if kind == "densenet121":
            net = densenet121(weights="IMAGENET1K_V1" if pretrained else None)
            body = nn.Sequential(Colours(), net.features, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
            return SharedBody(body, net.classifier.in_features, tasks)
        layers: list[nn.Module] = []
        for before, after in zip((channels, *WIDTHS[:-1]), WIDTHS, strict=True):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d(2)] if after != WIDTHS[-1] else [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return SharedBody(nn.Sequential(*layers), WIDTHS[-1], tasks)
