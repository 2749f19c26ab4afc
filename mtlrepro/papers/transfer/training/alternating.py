"""Alternating gradient steps, as Algorithm 1 of the transfer paper takes them: on a batch first one group of parameters, then
the next, each with the gradient at where the one before has moved to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtlrepro.training.loop import RunwiseSGD
from mtlrepro.training.weighting import Batch


class _Alternating(torch.optim.Optimizer):
    """An optimizer that moves one group of parameters a step, each in its turn.

    Only the group whose turn it is asks for gradients; parameters in no group keep what they were.
    """

    turn = -1

    def start(self) -> None:
        """Begin with the first group."""
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


class AlternatingSGD(_Alternating, RunwiseSGD):
    """`RunwiseSGD` on groups of parameters in turn. groups: parameters with a leading runs dimension. lr: (runs,)."""

    def __init__(self, groups: Sequence[Sequence[nn.Parameter]], lr: Tensor) -> None:
        parts: Any = [{"params": list(group)} for group in groups]
        super().__init__(parts, lr)
        self.start()


class AlternatingAdam(_Alternating, torch.optim.Adam):
    """Adam on groups of parameters in turn, at one learning rate."""

    def __init__(self, groups: Sequence[Sequence[nn.Parameter]], lr: float) -> None:
        super().__init__([{"params": list(group)} for group in groups], lr=lr)
        self.start()


def each_turn(batches: Iterable[Batch], turns: int) -> Iterator[Batch]:
    """Each batch `turns` times in a row: once for each group of `AlternatingSGD`."""
    for batch in batches:
        for _ in range(turns):
            yield batch
