"""Alternating gradient steps, as Algorithm 1 of the transfer paper takes them: on a batch first one group of parameters, then
the next, each with the gradient at where the one before has moved to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtlrepro.methods.weighting import Batch
from mtlrepro.training.loop import RunwiseSGD


class AlternatingSGD(RunwiseSGD):
    """`RunwiseSGD` that moves one group of parameters a step, each in its turn.

    groups: lists of parameters with a leading runs dimension. lr: (runs,). Only the group whose turn it is asks for gradients;
    parameters in no group keep what they were and stay fixed.
    """

    def __init__(self, groups: Sequence[Sequence[nn.Parameter]], lr: Tensor) -> None:
        parts: Any = [{"params": list(group)} for group in groups]
        super().__init__(parts, lr)
        self.turn = 0
        self._ask()

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of the group whose turn it is."""
        groups = self.param_groups
        self.param_groups = [groups[self.turn]]
        super().step(closure)
        self.param_groups = groups
        self.turn = (self.turn + 1) % len(groups)
        self._ask()

    def _ask(self) -> None:
        for number, group in enumerate(self.param_groups):
            for p in group["params"]:
                p.requires_grad_(number == self.turn)


def each_turn(batches: Iterable[Batch], turns: int) -> Iterator[Batch]:
    """Each batch `turns` times in a row: once for each group of `AlternatingSGD`."""
    for batch in batches:
        for _ in range(turns):
            yield batch
