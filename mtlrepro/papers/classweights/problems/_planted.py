"""Planted classes as tasks: the main task, and one task for each auxiliary class, some of which are known to harm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mtlrepro.compare.problems import PARTS, Problem, Task
from mtlrepro.papers.classweights.data.planted_classes import PlantedClasses, drawn
from mtlrepro.papers.classweights.models.bottleneck import Bottleneck

FREQUENCIES = (1, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.09, 0.06, 0.04)


class TaskBottleneck(Bottleneck):
    """`Bottleneck` with an output for each task."""

    def forward(self, x: Tensor, task: int | None = None) -> Any:
        """(runs, n, inputs) -> (runs, n, 1) of `task`; a list with every task's where `task` is None."""
        main, auxiliary = super().forward(x)
        each = [main[..., None], *auxiliary.split(1, -1)]
        return each if task is None else each[task]


def planted(planted_classes: PlantedClasses, hidden: int, title: str) -> Problem:
    """The problem of planted classes. hidden: width of the hidden layer before the bottleneck of one channel; 0: none.

    Main labels are noisy and few; the test is on the signal without noise.
    """
    classes = planted_classes.classes

    def load(seed: int) -> dict[str, tuple[Any, ...]]:
        parts: dict[str, tuple[Any, ...]] = {}
        for name, part in zip(PARTS, drawn(planted_classes, [seed]), strict=True):
            x, main, signal, labelled, which, auxiliary = (values[0, :, 0] for values in part)
            known = signal if name == "test" else torch.where(labelled, main, torch.nan)
            parts[name] = (x, known, *(torch.where(which == c, auxiliary, torch.nan) for c in range(classes)))
        return parts

    def network(inputs: int, outputs: Sequence[int], generators: Sequence[torch.Generator]) -> TaskBottleneck:
        return TaskBottleneck(inputs, hidden, 1, len(outputs) - 1, generators)

    return Problem(
        title=title,
        load=load,
        tasks=(Task("values"),) * (1 + classes),
        metric="MAE",
        network=network,
        steps=1000,
        batch=64,
        rates=(0.003, 0.3),
        traits=("few main labels", "conflicting classes"),
    )
