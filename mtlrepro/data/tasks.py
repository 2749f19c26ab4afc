"""Tasks of one common set of records: for each task its own records with their classes, in parts such as train and test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
