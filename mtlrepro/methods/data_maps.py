"""Data maps (Swayamdipta et al. 2020) of many tasks at once, recorded while they train: the task features of STG-MTL, Sec. 3.2.

For task t and training point i, over the times e = 1 .. m that the point was trained on, with p_e the model's probability of the
true label:
    confidence   mu = mean_e p_e,      variability   sigma = sqrt(sum_e (p_e - mu)^2 / (m - 1)).
Both follow from a count, a mean and a sum of squares S by Chan's update: two parts a and b make, with d = mu_b - mu_a,
    m = m_a + m_b,   mu = mu_a + d m_b / m,   S = S_a + S_b + d^2 m_a m_b / m;
with m_b = 1 that is Welford's update.

Our reading at m = 1, where the sample standard deviation is 0 / 0: sigma = 0, for one observation has shown no variability. The
published code gives NaN there, which would make every distance between tasks NaN from a snapshot of the first epoch on.

Memory: 8 bytes a task and point (mean and S in float32) and 4 bytes a point: 40.2 MB for 100 tasks x 50,000 points. A snapshot,
in memory or on disk, is 4 bytes a task and point (float16) and 4 a point: 20.2 MB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtlrepro.data.places import arrays_sha256
from mtlrepro.errors import BadValue, DataCorrupt
from mtlrepro.files import replacing


def true_label_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """p(true label) = 1 - |y - sigmoid(z)| of binary tasks, from logits z and labels y in {0, 1} of one shape; no gradient."""
    return torch.sigmoid(logits.detach() * (2 * labels.to(logits.dtype) - 1))


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A data map at one time: `mean` and `std`, (tasks, points) float16, and `count`, (points,) int32, 0 for a point not seen.

    The mean of a point not seen is 0 for every task, so that it adds nothing to a distance between tasks.
    """

    mean: Tensor
    std: Tensor
    count: Tensor


class DataMap:
    """Mean and sample standard deviation of the true-label probability, for each task and training point.

    tasks, points: numbers of them. device: where the map lies, the model's own; nothing ever leaves it while recording.
    """

    def __init__(self, tasks: int, points: int, device: torch.device | str = "cpu") -> None:
        if tasks < 1 or points < 1:
            raise BadValue(f"a data map needs at least one task and one point, not {tasks} and {points}.")
        # Points first: a batch reads and writes whole rows.
        self._mean = torch.zeros(points, tasks, device=device)
        self._squares = torch.zeros(points, tasks, device=device)
        self.count = torch.zeros(points, dtype=torch.int32, device=device)

    @property
    def tasks(self) -> int:
        return self._mean.shape[1]

    @property
    def points(self) -> int:
        return self._mean.shape[0]

    @property
    def mean(self) -> Tensor:
        """Confidence, (tasks, points) in [0, 1]; 0 for a point not seen (see `count`)."""
        return self._mean.T

    @property
    def std(self) -> Tensor:
        """Variability, (tasks, points): the sample standard deviation; 0 for a point seen at most once."""
        return (self._squares / (self.count - 1).clamp_min(1)[:, None]).sqrt().T

    @torch.no_grad()
    def update(self, confidence: Tensor, index: Tensor) -> None:
        """Add one batch, seen once: without a host copy, so that a training step can be captured in a CUDA graph.

        confidence: (n, tasks) probabilities of the true label. index: (n,) integers, the points' row numbers. A point that stands
        several times in a batch (sampling with replacement) counts as often as it stands there.
        Raises BadValue for other shapes; an index out of range, a negative one too, is an error of the device.
        """
        if confidence.shape != (*index.shape, self.tasks) or index.ndim != 1:
            raise BadValue(
                f"a batch of n points has confidences (n, {self.tasks}) and an index (n,), "
                f"not {tuple(confidence.shape)} and {tuple(index.shape)}."
            )
        # A negative number would be counted from the end in silence: it is to be out of range like one too large.
        rows, order = torch.where(index < 0, self.points, index).sort()
        values = confidence.to(self._mean)[order]
        # Occurrences of one point lie side by side; each of them computes, and writes, the same new state of that point.
        same = torch.zeros_like(rows)
        same[1:] = (rows[1:] != rows[:-1]).cumsum(0)
        count = _total(torch.ones_like(rows, dtype=torch.int32), same)
        mean = _total(values, same) / count[:, None]
        squares = _total((values - mean).square(), same)
        before = self.count[rows], self._mean[rows], self._squares[rows]
        self.count[rows], self._mean[rows], self._squares[rows] = _joined(before, (count, mean, squares))

    def merge(self, other: DataMap) -> DataMap:
        """Add what `other` recorded, of other points or of other times of the same points; returns this map.

        Raises BadValue for a map of another size.
        """
        if (self.tasks, self.points) != (other.tasks, other.points):
            raise BadValue(
                f"a map of {self.tasks} tasks and {self.points} points cannot take in {other.tasks} and {other.points}."
            )
        device = self.count.device
        theirs = other.count.to(device), other._mean.to(device), other._squares.to(device)
        self.count, self._mean, self._squares = _joined((self.count, self._mean, self._squares), theirs)
        return self

    def snapshot(self) -> Snapshot:
        """The map as it is now, in float16 on the same device; an error of at most 2.5e-4 in the mean.

        Raises BadValue where a confidence was NaN.
        """
        if broken := self._mean.isnan().any(0).nonzero().flatten().tolist():
            raise BadValue(f"NaN among the confidences of tasks {broken}: the training has diverged, or a label is missing.")
        return Snapshot(self.mean.half(), self.std.half(), self.count.clone())


def stacked(snapshots: Sequence[Snapshot]) -> Tensor:
    """(tasks, snapshots, points, 2) float16 on the CPU: confidence and variability, the paper's feature array of all tasks."""
    return torch.stack([torch.stack([s.mean, s.std], -1) for s in snapshots], 1).cpu()


def save(target: Path, snapshots: Mapping[int, Snapshot]) -> None:
    """Write snapshots by epoch to `target` (.npz), atomically, with a checksum. Raises BadValue where there is none."""
    if not snapshots:
        raise BadValue("no snapshot to save.")
    arrays = {
        "epochs": np.array(list(snapshots), np.int64),
        "maps": stacked(list(snapshots.values())).numpy(),
        "count": torch.stack([s.count for s in snapshots.values()]).cpu().numpy(),
    }
    with replacing(target) as part, part.open("wb") as file:
        content: dict[str, Any] = arrays | {"sha256": np.array(arrays_sha256(arrays))}
        np.savez(file, **content)


def load(source: Path) -> dict[int, Snapshot]:
    """The snapshots that `save` wrote, by epoch, on the CPU. Raises DataCorrupt where the file is damaged."""
    try:
        with np.load(source, allow_pickle=False) as content:
            arrays = {name: content[name] for name in ("epochs", "maps", "count")}
            stated = str(content["sha256"])
    except FileNotFoundError:
        raise
    except Exception as error:  # whatever a broken zip or header leads to
        raise DataCorrupt(f"{source} is no readable file of data maps ({error}): delete it and record them again.") from None
    if (actual := arrays_sha256(arrays)) != stated:
        raise DataCorrupt(f"{source}: expected sha256 {stated}, got {actual}: delete it and record the maps again.")
    maps, count = torch.from_numpy(arrays["maps"]), torch.from_numpy(arrays["count"])
    return {
        int(epoch): Snapshot(maps[:, i, :, 0].contiguous(), maps[:, i, :, 1].contiguous(), count[i])
        for i, epoch in enumerate(arrays["epochs"])
    }


_Moments = tuple[Tensor, Tensor, Tensor]


def _joined(a: _Moments, b: _Moments) -> _Moments:
    """Chan's update of (count, mean, sum of squares): (rows,), (rows, tasks), (rows, tasks)."""
    count = a[0] + b[0]
    share = (b[0] / count.clamp_min(1))[:, None].to(a[1])  # 0 where neither has seen the point
    apart = b[1] - a[1]
    return count, a[1] + apart * share, a[2] + b[2] + apart.square() * share * a[0][:, None]


def _total(values: Tensor, group: Tensor) -> Tensor:
    """The sum of `values` (n, ...) over each row's group (n,), given to every row of it."""
    return torch.zeros_like(values).index_add_(0, group, values)[group]
