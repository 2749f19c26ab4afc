"""Shared-bottom models: what the tasks share, and one head a task.

`SharedBottom` joins any two kinds of modules. `StackedSharedBottom` is eq. 1 of the transfer paper (Wu, Zhang, Re 2020),
sum_i L(g(X_i B) A_i, y_i), for many runs as one leading batch dimension.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class SharedBottom(nn.Module):
    """A bottom that all tasks share and one head a task.

    bottom: maps inputs to features (..., r). heads: one module a task.
    """

    def __init__(self, bottom: nn.Module, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.bottom = bottom
        self.heads = nn.ModuleList(heads)

    def forward(self, inputs: Any, task: int | None = None) -> Any:
        """Output of the head of `task`; a list with every task's output where `task` is None."""
        features = self.bottom(inputs)
        return [head(features) for head in self.heads] if task is None else self.heads[task](features)

    def shared_parameters(self) -> list[nn.Parameter]:
        """Parameters of the bottom."""
        return list(self.bottom.parameters())

    def head_parameters(self, task: int) -> list[nn.Parameter]:
        """Parameters of the head of `task`."""
        return list(self.heads[task].parameters())


class StackedLinear(nn.Module):
    """Linear layers of many runs: weight (runs, d_in, d_out), bias (runs, 1, d_out) or none.

    generators: one a run, so that a run starts as it would alone. Entries start uniform in +-scale / sqrt(d_in).
    """

    def __init__(
        self,
        d_in: int,
        d_out: int,
        generators: Sequence[torch.Generator],
        bias: bool = True,
        scale: float = 1.0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        bound = scale / math.sqrt(d_in)

        def uniform(*shape: int) -> nn.Parameter:
            draws = [torch.rand(shape, generator=g, dtype=dtype, device=g.device) for g in generators]
            return nn.Parameter((torch.stack(draws) * 2 - 1) * bound)

        self.weight = uniform(d_in, d_out)
        self.bias = uniform(1, d_out) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(runs, n, d_in) -> (runs, n, d_out)."""
        return torch.bmm(x, self.weight) if self.bias is None else torch.baddbmm(self.bias, x, self.weight)


class StackedSharedBottom(nn.Module):
    """Eq. 1 of the transfer paper for `runs` runs: prediction of task i is g(X_i B) A_i, g linear or ReLU.

    Parameters, all with the runs first: B (runs, d, r), A (runs, tasks, r).
    generators: one a run. B starts uniform in +-1 / sqrt(d). heads: the start of every entry of A; a positive constant,
    because with r = 1 two output scales of opposite signs get stuck. None: uniform in +-1 / sqrt(r).
    """

    def __init__(
        self,
        d: int,
        r: int,
        tasks: int,
        generators: Sequence[torch.Generator],
        relu: bool = False,
        heads: float | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        self.bottom = StackedLinear(d, r, generators, bias=False, dtype=dtype)
        self.relu = relu
        drawn = StackedLinear(r, tasks, generators, bias=False, dtype=dtype).weight.detach().transpose(1, 2)
        self.heads = nn.Parameter(drawn.contiguous() if heads is None else torch.full_like(drawn, heads).contiguous())

    def forward(self, x: Tensor, task: int | None = None) -> Tensor:
        """Predictions.

        x: (runs, n, d) for `task`, giving (runs, n); with `task` None, (runs, tasks, n, d), each task its own inputs, or
        (runs, n, d), the same inputs for all, giving (runs, tasks, n).
        """
        if task is not None:
            return torch.bmm(self._features(x), self.heads[:, task, :, None]).squeeze(-1)
        if x.ndim == 3:
            return torch.bmm(self.heads, self._features(x).transpose(1, 2))
        runs, tasks, n, d = x.shape
        features = self._features(x.reshape(runs, tasks * n, d)).view(runs, tasks, n, -1)
        return (features * self.heads[:, :, None, :]).sum(-1)

    def _features(self, x: Tensor) -> Tensor:
        z: Tensor = self.bottom(x)
        return z.relu() if self.relu else z

    def shared_parameters(self) -> list[nn.Parameter]:
        """B."""
        return list(self.bottom.parameters())
