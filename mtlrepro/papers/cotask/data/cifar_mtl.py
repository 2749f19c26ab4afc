"""CIFAR-MTL (Rosenbaum, Klinger, Riemer 2018): CIFAR-100's 20 superclasses as 20 tasks of five classes, and a stand-in of digits.

As in the CO-TASK paper (Hsieh and Tseng 2021): 40,000 training and 10,000 validation images by a stratified split of the official
training images, the official test images; so each task has 2,000, 500 and 500. Training labels may be made noisy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from mtlrepro.data.cifar import Images, load_cifar
from mtlrepro.data.digits import load_digits, split_digits
from mtlrepro.data.schema import Tier
from mtlrepro.data.tasks import Ints, Records, Task
from mtlrepro.errors import BadValue

# Which classes a corrupted label is drawn from: all of the task, its own included, or the others alone.
Noise = Literal["any class", "other class"]

# CIFAR-100's superclass -> the task's name in the paper's Table 4, in its order.
PAPER_NAMES = {
    "reptiles": "Reptiles", "fish": "Fish", "aquatic_mammals": "Aquatic Mammal", "small_mammals": "Small Mammal",
    "medium_mammals": "Medium Mammal", "large_carnivores": "Carnivore",
    "large_omnivores_and_herbivores": "Omnivore/Herbivore", "insects": "Insect",
    "non-insect_invertebrates": "Non-insect", "people": "People", "trees": "Tree", "flowers": "Flower",
    "fruit_and_vegetables": "Fruit and Vegetable", "food_containers": "Food Container",
    "household_electrical_devices": "Electrical Device", "household_furniture": "Furniture",
    "large_man-made_outdoor_things": "Building", "large_natural_outdoor_scenes": "Outdoor Scene",
    "vehicles_1": "Vehicles Common", "vehicles_2": "Vehicles Uncommon",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class ImageTasks:
    """Tasks on one set of images: images (n, h, w, channels) uint8; the tasks' rows number them. Parts: train, valid, test.

    sha256: of each data set used, before noise.
    """

    images: Images
    tasks: tuple[Task, ...]
    sha256: dict[str, str]
    tier: Tier


def cifar_mtl(
    seed: int,
    noise: float = 0.0,
    kind: Noise = "any class",
    per_class: int | None = None,
    mirror: Path | None = None,
) -> ImageTasks:
    """The 20 tasks in the order of Table 4. Rows 0 to 49,999 are the official training images, then the test images.

    seed: of the split and of the noise. noise, kind: of the training labels, as `noisy`; validation and test labels stay clean.
    per_class: keep so many training images of each of the 100 classes, and a quarter of it for validation (default and at most
    400 and 100); test images are always all. Raises BadValue, and as `load_cifar`.
    """
    train, test = (load_cifar("cifar100", part, mirror=mirror) for part in ("train", "test"))
    fine = np.concatenate([train.labels["fine"], test.labels["fine"]])
    coarse = np.concatenate([train.labels["coarse"], test.labels["coarse"]])
    names = {"fine": train.classes["fine"], "coarse": train.classes["coarse"]}
    official = np.arange(len(train), dtype=np.int64)
    kept, held = train_test_split(official, test_size=0.2, stratify=fine[official], random_state=seed)
    parts = {"train": np.sort(kept), "valid": np.sort(held), "test": np.arange(len(train), len(fine), dtype=np.int64)}
    if per_class is not None:
        parts["train"] = _first_of_each(parts["train"], fine, per_class)
        parts["valid"] = _first_of_each(parts["valid"], fine, max(1, per_class // 4))
    order = [names["coarse"].index(name) for name in PAPER_NAMES]
    found = [(PAPER_NAMES[names["coarse"][c]], np.unique(fine[coarse == c])) for c in order]
    tasks = tasks_of_groups(fine, [(name, members, [names["fine"][m] for m in members]) for name, members in found], parts)
    images = np.concatenate([train.images, test.images])
    sha256 = {"cifar100 train": train.sha256, "cifar100 test": test.sha256}
    return ImageTasks(images, _with_noise(tasks, noise, kind, seed), sha256, train.tier)


def digits_mtl(seed: int, noise: float = 0.0, kind: Noise = "any class") -> ImageTasks:
    """Two tasks of five classes each, the digits 0 to 4 and 5 to 9: images (1797, 8, 8, 1) with values 0 to 16, split 60/20/20.

    The rest as `cifar_mtl`; needs no download.
    """
    digits = load_digits()
    groups = [(f"digits {a} to {a + 4}", np.arange(a, a + 5), [str(d) for d in range(a, a + 5)]) for a in (0, 5)]
    tasks = tasks_of_groups(digits.labels, groups, split_digits(digits, seed))
    images = digits.images[..., None].copy()
    return ImageTasks(images, _with_noise(tasks, noise, kind, seed), {"digits": digits.sha256}, "public stand-in")


def tasks_of_groups(
    labels: Ints, groups: Sequence[tuple[str, NDArray[np.int64], Sequence[str]]], parts: dict[str, Ints]
) -> list[Task]:
    """One task a group of classes, on the records of these classes alone.

    labels: (n,). groups: (name, (k,) classes in ascending order, their names); the k-th of them is the task's class k.
    parts: name -> rows.
    """
    tasks = []
    for name, members, classes in groups:
        own = {part: rows[np.isin(labels[rows], members)] for part, rows in parts.items()}
        records = {part: Records(rows, np.searchsorted(members, labels[rows]).astype(np.int64)) for part, rows in own.items()}
        tasks.append(Task(name=name, classes=tuple(classes), parts=records))
    return tasks


def _first_of_each(rows: Ints, labels: Ints, count: int) -> Ints:
    if count < 1:
        raise BadValue(f"per_class is a positive number of images, not {count}.")
    return np.sort(np.concatenate([rows[labels[rows] == c][:count] for c in np.unique(labels[rows])]))


# --- label noise ------------------------------------------------------------------------------------------------------


def noise_matrix(sigma: float, classes: int, kind: Noise = "any class") -> NDArray[np.float64]:
    """(k, k) probability that a label of class i becomes class j.

    "any class": with probability sigma a draw over all k classes, the true one included (our reading). "other class": with
    probability sigma one of the k - 1 others, as the paper's words say. The first with sigma is the second with
    (k - 1) / k sigma, 4/5 sigma for five classes: the kinds differ in the scale of sigma alone.
    Raises BadValue for a sigma outside [0, 1], another kind, or "other class" with one class.
    """
    if kind not in get_args(Noise):
        raise BadValue(f"noise must be one of {', '.join(map(repr, get_args(Noise)))}, not {kind!r}.")
    if not 0 <= sigma <= 1:
        raise BadValue(f"noise must be between 0 and 1, not {sigma}.")
    same = np.eye(classes)
    if kind == "any class":
        return (1 - sigma) * same + sigma / classes
    if classes < 2:
        raise BadValue("a label of a task with one class has no other class to become.")
    return (1 - sigma) * same + sigma / (classes - 1) * (1 - same)


def noisy(labels: Ints, classes: int, sigma: float, kind: Noise, rng: np.random.Generator) -> Ints:
    """labels (n,) after symmetric noise with the probabilities of `noise_matrix`. Raises BadValue as it does.

    With an equal `rng` a larger sigma corrupts the same records and more.
    """
    noise_matrix(sigma, classes, kind)  # refuses what cannot be
    corrupted = rng.random(len(labels)) < sigma
    drawn = rng.integers(0, classes, len(labels)) if kind == "any class" else rng.integers(1, max(2, classes), len(labels))
    changed = drawn if kind == "any class" else (labels + drawn) % classes
    return np.where(corrupted, changed, labels).astype(np.int64)


def _with_noise(tasks: Sequence[Task], sigma: float, kind: Noise, seed: int) -> tuple[Task, ...]:
    """Each task with noise of its own on its training labels."""
    made = []
    for number, task in enumerate(tasks):
        rows, labels = task.parts["train"]
        changed = noisy(labels, len(task.classes), sigma, kind, np.random.default_rng([seed, number]))
        made.append(Task(name=task.name, classes=task.classes, parts={**task.parts, "train": Records(rows, changed)}))
    return tuple(made)
