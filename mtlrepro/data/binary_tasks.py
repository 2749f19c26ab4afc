"""Sets of same-image binary tasks, as in STG-MTL (Sherif, Abid, Elattar, ElHelw 2023), Sec. 4.1, from CIFAR and from digits.

G1: one task a class of CIFAR-10, "is it this class?". G2: those and five more, *Living being*, *Odd-numbered* (the class's
number is odd), *Downside* (half of the images are flipped upside down: is this one?), *Not living being*, *random* (a fixed coin
toss for each image). G3: one task a class of CIFAR-100. Digits take the place of CIFAR-10 where no data are at hand; there
*Loop* and *No loop* (does the digit have a closed loop: 0, 6, 8, 9) stand for *Living being* and *Not living being*.

Our readings: exactly half of the images are flipped, chosen by a seed, in G2 only (the published code flips them in G1 as well);
seeds are those of the published code, and each split has its own stream of each; the positive weight of the loss is 10 for a
class of CIFAR-10 or digits, 99 for one of CIFAR-100 and 1 for the extra tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlrepro.data.cifar import load_cifar
from mtlrepro.data.digits import load_digits
from mtlrepro.data.places import arrays_sha256
from mtlrepro.data.schema import Tier
from mtlrepro.errors import BadValue, DataCorrupt, UnknownName

FLIP_SEED, RANDOM_SEED = 67, 61
# Class numbers of one kind, with the names of the kind and of its complement, as families and as tasks.
_KINDS = {
    "cifar10": ((2, 3, 4, 5, 6, 7), ("animal", "vehicle"), ("Living being", "Not living being")),
    "digits": ((0, 6, 8, 9), ("loop", "no loop"), ("Loop", "No loop")),
}
_POSITIVE = {"cifar10": 10.0, "digits": 10.0, "cifar100": 99.0}
EXTRA = "extra"


@dataclass(frozen=True, eq=False)
class TaskSet:
    """n images and the answers of all binary tasks to each.

    images: (n, side, side, channels) uint8, for digits 0 to 16 and one channel. labels: (n, tasks) uint8, 0 or 1. tasks: names.
    families: for each task the kind it belongs to by meaning, what a grouping may be compared with: animal or vehicle, loop or no
    loop, the superclass of CIFAR-100; "extra" for the extra tasks of G2. positive_weights: (tasks,), of the loss of a positive
    answer. partial: the source holds fewer images than the official split. sha256: over images and labels.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    tasks: tuple[str, ...]
    families: tuple[str, ...]
    positive_weights: NDArray[np.float64]
    sha256: str
    tier: Tier
    partial: bool = False

    def __len__(self) -> int:
        return len(self.images)

    def of(self, rows: ArrayLike | None = None, tasks: Sequence[str] | None = None) -> TaskSet:
        """Some of the images, by row number, and some of the tasks, by name; None: all. Raises UnknownName."""
        for task in tasks or ():
            if task not in self.tasks:
                raise UnknownName(f"task of {self.name}", task, self.tasks)
        columns = list(range(len(self.tasks))) if tasks is None else [self.tasks.index(task) for task in tasks]
        chosen = slice(None) if rows is None else np.asarray(rows)
        images, labels = self.images[chosen], np.ascontiguousarray(self.labels[chosen][:, columns])
        return replace(
            self, images=images, labels=labels, tasks=tuple(self.tasks[c] for c in columns),
            families=tuple(self.families[c] for c in columns), positive_weights=self.positive_weights[columns],
            sha256=_digest(images, labels),
        )  # fmt: skip


def cifar_tasks(
    group: Literal["G1", "G2", "G3"],
    split: Literal["train", "test"],
    limit: int | None = None,
    mirror: Path | None = None,
    flip_seed: int = FLIP_SEED,
    random_seed: int = RANDOM_SEED,
) -> TaskSet:
    """G1 and G2 from CIFAR-10, G3 from CIFAR-100; arguments and errors as of `load_cifar`. The seeds count in G2 only."""
    _known(group, ("G1", "G2", "G3"))
    loaded = load_cifar("cifar100" if group == "G3" else "cifar10", split, limit, mirror)
    label = "fine" if group == "G3" else "label"
    numbers, names = loaded.labels[label], loaded.classes[label]
    if group == "G3":
        families = _superclasses(numbers, loaded.labels["coarse"], names, loaded.classes["coarse"])
    else:
        families = _families("cifar10", len(names))
    made = _classes(f"{group}, {split}", loaded.name, loaded.images, numbers, names, families, loaded.tier, loaded.partial)
    return _with_extras(made, "cifar10", numbers, split, flip_seed, random_seed) if group == "G2" else made


def superclass_tasks(split: Literal["train", "test"], limit: int | None = None, mirror: Path | None = None) -> TaskSet:
    """20 tasks, "is it of this superclass of CIFAR-100?": a public stand-in for the findings of chest X-rays, which are tasks on
    common images too. Arguments and errors as of `load_cifar`."""
    loaded = load_cifar("cifar100", split, limit, mirror)
    names = loaded.classes["coarse"]
    made = _classes("cifar100", "cifar100", loaded.images, loaded.labels["coarse"], names, names, loaded.tier, loaded.partial)
    return replace(made, positive_weights=np.ones(len(names)))


def digits_tasks(group: Literal["G1", "G2"], flip_seed: int = FLIP_SEED, random_seed: int = RANDOM_SEED) -> TaskSet:
    """The same construction on all 1,797 digits; see `split_digits` for rows of a split."""
    _known(group, ("G1", "G2"))
    loaded = load_digits()
    names = tuple(map(str, range(10)))
    images = loaded.images[..., None]
    made = _classes(f"{group}, digits", "digits", images, loaded.labels, names, _families("digits", 10), loaded.tier, False)
    return _with_extras(made, "digits", loaded.labels, "digits", flip_seed, random_seed) if group == "G2" else made


def _known(group: str, groups: tuple[str, ...]) -> None:
    if group not in groups:
        raise UnknownName("task set", group, groups)


def _families(source: str, classes: int) -> tuple[str, ...]:
    chosen, (kind, other), _ = _KINDS[source]
    return tuple(kind if number in chosen else other for number in range(classes))


def _superclasses(
    fine: NDArray[np.int64], coarse: NDArray[np.int64], names: tuple[str, ...], kinds: tuple[str, ...]
) -> tuple[str, ...]:
    """The superclass of each class, as the images have it. Raises DataCorrupt where a class has two, BadValue where none."""
    found = []
    for number, name in enumerate(names):
        own = np.unique(coarse[fine == number])
        if len(own) == 0:
            raise BadValue(f"no image of {name!r} among {len(fine)}: take more images (limit).")
        if len(own) > 1:
            raise DataCorrupt(f"images of {name!r} stand in {len(own)} superclasses.")
        found.append(kinds[int(own[0])])
    return tuple(found)


def _classes(
    name: str, source: str, images: NDArray[np.uint8], numbers: NDArray[np.int64], names: tuple[str, ...],
    families: tuple[str, ...], tier: Tier, partial: bool,
) -> TaskSet:  # fmt: skip
    labels = (numbers[:, None] == np.arange(len(names))).astype(np.uint8)
    weights = np.full(len(names), _POSITIVE[source])
    return TaskSet(name, images, labels, names, families, weights, _digest(images, labels), tier, partial)


def _with_extras(made: TaskSet, source: str, numbers: NDArray[np.int64], split: str, flip_seed: int, random_seed: int) -> TaskSet:
    chosen, _, (kind, other) = _KINDS[source]
    flipped = np.zeros(len(made), np.uint8)
    flipped[_stream(flip_seed, split).permutation(len(made))[: len(made) // 2]] = 1
    images = np.where(flipped[:, None, None, None] == 1, made.images[:, ::-1], made.images)
    of_kind = np.isin(numbers, chosen)
    extras = {
        kind: of_kind,
        "Odd-numbered": numbers % 2,
        "Downside": flipped,
        other: ~of_kind,
        "random": _stream(random_seed, split).integers(0, 2, len(made)),
    }
    labels = np.concatenate([made.labels, np.stack(list(extras.values()), 1).astype(np.uint8)], 1)
    return replace(
        made, images=images, labels=labels, tasks=(*made.tasks, *extras), families=(*made.families, *[EXTRA] * len(extras)),
        positive_weights=np.append(made.positive_weights, np.ones(len(extras))), sha256=_digest(images, labels),
    )  # fmt: skip


def _stream(seed: int, split: str) -> np.random.Generator:
    """A generator of its own for a seed and a split, so that a test image's toss is not its training namesake's."""
    return np.random.default_rng([seed, *split.encode()])


def _digest(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> str:
    return arrays_sha256({"images": images, "labels": labels})
