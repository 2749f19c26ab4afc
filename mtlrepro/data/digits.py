"""Handwritten digits that come with scikit-learn: the embedded stand-in for the image sets, no download needed.

1,797 images of 8 x 8 pixels (UCI "Optical recognition of handwritten digits", test part; Alpaydin and Kaynak, 1998).
As ten same-image binary tasks they stand in for ChestX-ray14 and CIFAR's class tasks, as two tasks of five classes
for CIFAR-MTL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits as _sklearn_digits
from sklearn.model_selection import train_test_split

from mtlrepro.data.places import array_sha256, arrays_sha256, corrupt
from mtlrepro.data.schema import Tier, get

Ints = NDArray[np.int64]
GROUPS = ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))


@dataclass(frozen=True, eq=False)
class Digits:
    """n images: `images` (n, 8, 8) uint8 with values 0 to 16, `labels` (n,) int64 0 to 9. Read-only."""

    images: NDArray[np.uint8]
    labels: Ints
    sha256: str
    tier: Tier = "public stand-in"
    source: Literal["embedded"] = "embedded"

    def __len__(self) -> int:
        return len(self.images)

    def binary_tasks(self) -> Ints:
        """(n, 10) int64: task t asks of every image whether it shows the digit t."""
        tasks: Ints = (self.labels[:, None] == np.arange(10)).astype(np.int64)
        return tasks

    def groups(self) -> list[tuple[Ints, Ints]]:
        """Two tasks of five classes with images of their own: for each, its row numbers and their labels 0 to 4."""
        tasks = []
        for group in GROUPS:
            rows = np.flatnonzero(np.isin(self.labels, group)).astype(np.int64)
            tasks.append((rows, self.labels[rows] - group[0]))
        return tasks


def load_digits() -> Digits:
    """All 1,797 digits. Raises DataCorrupt if the installed scikit-learn ships other bytes."""
    bunch = _sklearn_digits()
    images = bunch.images.astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    arrays = {"images": images, "labels": labels}
    manifest = get("digits")
    for name, array in arrays.items():
        stated = manifest.array(name)
        if stated is not None and (found := array_sha256(array)) != stated.sha256:
            raise corrupt(f"scikit-learn's digits: {name}", stated.sha256, found)
        array.setflags(write=False)
    return Digits(images, labels, arrays_sha256(arrays))


def split_digits(digits: Digits, seed: int) -> dict[str, Ints]:
    """Row numbers of a 60/20/20 split, stratified by digit: 'train', 'valid', 'test'."""
    rows = np.arange(len(digits), dtype=np.int64)
    train, rest = train_test_split(rows, test_size=0.4, stratify=digits.labels, random_state=seed)
    valid, test = train_test_split(rest, test_size=0.5, stratify=digits.labels[rest], random_state=seed)
    return {"train": train, "valid": valid, "test": test}
