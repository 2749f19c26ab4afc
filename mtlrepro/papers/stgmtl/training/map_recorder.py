"""Data maps of a training, recorded from its own forward passes and kept several times (STG-MTL, Sec. 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtlrepro.methods.data_maps import DataMap, Snapshot, true_label_probability


class MapRecorder:
    """Records the data maps of `tasks` tasks and keeps them `times` times in `epochs` epochs, at even distances, last at the end.

    points: training images. device: the model's own.
    """

    def __init__(self, tasks: int, points: int, epochs: int, times: int, device: torch.device | str = "cpu") -> None:
        self.map = DataMap(tasks, points, device)
        self.epochs, self.times = epochs, times
        self.snapshots: list[Snapshot] = []

    def update(self, logits: Tensor, labels: Tensor, rows: Tensor) -> None:
        """Add one batch: logits and labels (tasks, n), and rows (n,), which of the points these are."""
        self.map.update(true_label_probability(logits, labels).T, rows)

    def end_epoch(self, epoch: int) -> None:
        """Keep the map where it is due after `epoch`, counted from 0."""
        if (epoch + 1) * self.times // self.epochs > epoch * self.times // self.epochs:
            self.snapshots.append(self.map.snapshot())
