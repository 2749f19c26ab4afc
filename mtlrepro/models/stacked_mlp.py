"""Multi-layer perceptrons with a shared bottom and one head a task, for many runs as one leading batch dimension."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtlrepro.errors import BadValue
from mtlrepro.models.shared_bottom import StackedLinear


class StackedMLP(nn.Module):
    """Shared layers, then a head of its own for each task; a ReLU after every layer but each head's last one.

    d: width of the inputs. shared: widths of the shared layers. head: widths of each head's hidden layers. outputs: number
    of outputs of each task. generators: one a run; runs with equal generators start equal. Every layer starts as
    `torch.nn.Linear` does: uniform in +-1 / sqrt(inputs). Raises BadValue without a shared layer or a task.
    """

    def __init__(
        self,
        d: int,
        shared: Sequence[int],
        head: Sequence[int],
        outputs: Sequence[int],
        generators: Sequence[torch.Generator],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if not shared or not outputs:
            raise BadValue("a shared-bottom network needs at least one shared layer and one task.")

        def layers(widths: Sequence[int]) -> nn.ModuleList:
            pairs = itertools.pairwise(widths)
            return nn.ModuleList(StackedLinear(a, b, generators, dtype=dtype) for a, b in pairs)

        self.bottom = layers([d, *shared])
        self.heads = nn.ModuleList(layers([shared[-1], *head, last]) for last in outputs)

    def forward(self, x: Tensor, task: int | None = None) -> Tensor | list[Tensor]:
        """x: (runs, n, d) -> (runs, n, outputs of `task`); a list with every task's where `task` is None."""
        for layer in self.bottom:
            x = layer(x).relu_()
        return [self._head(x, i) for i in range(len(self.heads))] if task is None else self._head(x, task)

    def _head(self, x: Tensor, task: int) -> Tensor:
        layers: list[nn.Module] = list(self.heads[task].children())
        for layer in layers[:-1]:
            x = layer(x).relu_()
        found: Tensor = layers[-1](x)
        return found

    def shared_parameters(self) -> list[nn.Parameter]:
        """Parameters of the shared layers."""
        return list(self.bottom.parameters())
