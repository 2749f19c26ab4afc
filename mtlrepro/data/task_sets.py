"""Tasks of one common set of records: for each task its own records with their classes, in parts such as train and test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mtlrepro.errors import BadValue

Ints = NDArray[np.int64]


class Records(NamedTuple):
    """Labelled records: rows (n,) int64, their numbers in the common set, and labels (n,) int64, 0 to classes - 1."""

    rows: Ints
    labels: Ints


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """A classification task. parts: name, such as "train", -> records. classes: names of the classes.

    Raises BadValue for labels that are no classes, or a record that stands twice, in one part or in two.
    """

    name: str
    classes: tuple[str, ...]
    parts: Mapping[str, Records]

    def __post_init__(self) -> None:
        for part, (rows, labels) in self.parts.items():
            if rows.ndim != 1 or rows.shape != labels.shape:
                raise BadValue(f"task {self.name!r}, {part}: rows {rows.shape} and labels {labels.shape} must be of one length.")
            if labels.size and not (labels.min() >= 0 and labels.max() < len(self.classes)):
                raise BadValue(f"task {self.name!r}, {part}: labels must be 0 to {len(self.classes) - 1}.")
        rows = self.rows()
        if len(np.unique(rows)) < len(rows):
            raise BadValue(f"task {self.name!r}: a record stands twice; each may be in one part, once.")

    @staticmethod
    def of(name: str, rows: ArrayLike, labels: ArrayLike) -> Task:
        """A task with training records alone; its classes are 0 to the largest label. Raises BadValue as the class does."""
        wanted = np.asarray(labels)
        if wanted.size == 0 or wanted.dtype.kind not in "iub":
            raise BadValue(f"task {name!r}: labels must be whole numbers, one a record, at least one.")
        classes = tuple(map(str, range(int(wanted.max()) + 1)))
        records = Records(np.asarray(rows).astype(np.int64), wanted.astype(np.int64))
        return Task(name=name, classes=classes, parts={"train": records})

    def rows(self) -> Ints:
        """(n,) the records of all parts."""
        return np.concatenate([records.rows for records in self.parts.values()])


def small_tabular_set(seed: int, n: int = 1200, inputs: int = 8) -> tuple[Tensor, pd.DataFrame]:
    """A made-up table with four yes-no labels of growing rarity: inputs (n, d) float32, labels (n, 4) with named columns.

    Each label says whether a random direction of standard Gaussian inputs plus noise exceeds its threshold.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, inputs))
    scores = x @ rng.standard_normal((inputs, 4)) / np.sqrt(inputs) + 0.3 * rng.standard_normal((n, 4))
    shares = {"common": 0.4, "frequent": 0.2, "rare": 0.08, "very rare": 0.03}
    labels = {
        name: (s > np.quantile(s, 1 - share)).astype(int) for (name, share), s in zip(shares.items(), scores.T, strict=True)
    }
    return torch.tensor(x, dtype=torch.float32), pd.DataFrame(labels)
