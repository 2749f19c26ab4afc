"""A shared part that ends in few channels, a linear head for the main task and one per auxiliary class; many runs at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mtlrepro.device import NETWORK
from mtlrepro.models.shared_bottom import StackedLinear


class Bottleneck(nn.Module):
    """inputs -> (hidden with ReLU, unless 0) -> width channels -> the main task's value and one per class.

    generators: one per run. Parameters have the runs first.
    """

    def __init__(self, inputs: int, hidden: int, width: int, classes: int, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        sizes = [inputs, hidden, width] if hidden else [inputs, width]
        layers: list[nn.Module] = []
        for a, b in pairwise(sizes):
            layers += [*([nn.ReLU()] if layers else []), StackedLinear(a, b, generators, bias=hidden > 0, dtype=NETWORK)]
        self.shared = nn.Sequential(*layers)
        self.main = StackedLinear(width, 1, generators, dtype=NETWORK)
        self.auxiliary = StackedLinear(width, classes, generators, dtype=NETWORK)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(runs, n, inputs) -> main (runs, n) and auxiliary (runs, n, classes)."""
        z = self.shared(x)
        return self.main(z)[..., 0], self.auxiliary(z)

    def shared_parameters(self) -> list[nn.Parameter]:
        """Parameters before the heads."""
        return list(self.shared.parameters())
