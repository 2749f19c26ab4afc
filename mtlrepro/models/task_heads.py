"""Heads of many tasks as one parameter, and a network with one task a pass: compiled once for all tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtlrepro.errors import BadValue


class TaskHeads(nn.Module):
    """Linear heads of all tasks as one parameter, indexed by a task number that may be a tensor.

    So one compiled graph serves every task. weight (tasks, most classes, features), bias (tasks, most classes), both start
    uniform in +-1 / sqrt(features) as `nn.Linear`. Where a task has fewer classes than the most, the others' logits are -inf.

    An optimizer sees gradient 0, not none, for the heads that a batch does not use: momentum and weight decay go on acting on
    them, as they did in the PyTorch 1.4 of the paper; separate `nn.Linear` heads would stand still.
    """

    absent: Tensor | None

    def __init__(self, features: int, classes: Sequence[int]) -> None:
        super().__init__()
        if not classes or min(classes) < 1:
            raise BadValue("heads need at least one task, and each task at least one class.")
        most, bound = max(classes), features**-0.5
        self.weight = nn.Parameter(torch.empty(len(classes), most, features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(len(classes), most).uniform_(-bound, bound))
        absent = torch.arange(most) >= torch.tensor(classes)[:, None]
        self.register_buffer("absent", absent if bool(absent.any()) else None)

    def forward(self, features: Tensor, task: Tensor) -> Tensor:
        """features (n, d), task int64, () of all samples or (n,) of each -> logits (n, most classes)."""
        if task.ndim:
            every = nn.functional.linear(features, self.weight.flatten(0, 1), self.bias.flatten())
            logits: Tensor = every.unflatten(1, self.bias.shape)[torch.arange(len(task), device=task.device), task]
        else:
            logits = nn.functional.linear(features, _row(self.weight, task), _row(self.bias, task))
        if self.absent is None:
            return logits
        return logits.masked_fill(self.absent[task] if task.ndim else _row(self.absent, task), -torch.inf)


def _row(table: Tensor, number: Tensor) -> Tensor:
    """table[number] for a number (), which plain indexing would read on the host, and so wait for the device."""
    return table.index_select(0, number.view(1))[0]


class MultiTaskNet(nn.Module):
    """A shared bottom with `TaskHeads`. bottom: inputs -> (n, features), or (inputs, task) -> (n, features) where `routed`."""

    def __init__(self, bottom: nn.Module, heads: TaskHeads, routed: bool = False) -> None:
        super().__init__()
        self.bottom, self.heads, self.routed = bottom, heads, routed

    def forward(self, inputs: Any, task: int | Tensor) -> Tensor:
        """Logits (n, classes) of one task. task: a number, or a tensor () on the inputs' device (compiled once for all tasks), or
        (n,) with the task of each sample, where the bottom is not routed.
        """
        which = task if isinstance(task, Tensor) else torch.tensor(task, device=self.heads.weight.device)
        features = self.bottom(inputs, which) if self.routed else self.bottom(inputs)
        logits: Tensor = self.heads(features, which)
        return logits

    def shared_parameters(self) -> list[nn.Parameter]:
        """Parameters of the bottom."""
        return list(self.bottom.parameters())
