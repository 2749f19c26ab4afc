"""Binary attributes that co-occur, on images with one class each: the table `attributes.yaml`, and sets of tasks made of it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from mtlrepro.data.binary_tasks import TaskSet
from mtlrepro.data.cifar import load_cifar
from mtlrepro.data.digits import load_digits
from mtlrepro.data.places import arrays_sha256
from mtlrepro.data.schema import Tier
from mtlrepro.errors import BadValue

Labelled = Literal["cifar100", "digits"]


@functools.lru_cache(maxsize=2)
def attributes(name: Labelled) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Attribute -> what decides, and the classes that have it."""
    table: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))[name]
    return {attribute: (entry["why"], tuple(str(entry["of"]).split())) for attribute, entry in table.items()}


def by_class(name: Labelled, classes: tuple[str, ...]) -> NDArray[np.uint8]:
    """(classes, attributes) 0 or 1. Raises BadValue where the table names a class that is none of `classes`."""
    table = attributes(name)
    unknown = {one for _, having in table.values() for one in having} - set(classes)
    if unknown:
        raise BadValue(f"the attributes of {name} name no classes of it: {', '.join(sorted(unknown))}.")
    return np.array([[one in having for _, having in table.values()] for one in classes], np.uint8)


def attribute_table(name: Labelled = "cifar100") -> pd.DataFrame:
    """For the page: a line per attribute, what decides, its number of classes, and these."""
    lines = [
        {"attribute": attribute, "what decides": why, "classes": len(of), "which": ", ".join(one.replace("_", " ") for one in of)}
        for attribute, (why, of) in attributes(name).items()
    ]
    return pd.DataFrame(lines).set_index("attribute")


def cifar_attributes(split: Literal["train", "test"]) -> TaskSet:
    """The attributes of CIFAR-100's images. Raises DataMissing, DataCorrupt."""
    loaded = load_cifar("cifar100", split)
    return _made("cifar100", loaded.images, loaded.labels["fine"], loaded.classes["fine"], loaded.tier, loaded.partial)


def digit_attributes() -> TaskSet:
    """Those of scikit-learn's digits, all 1,797."""
    loaded = load_digits()
    return _made("digits", loaded.images[..., None], loaded.labels, tuple(map(str, range(10))), loaded.tier, False)


def _made(
    name: Labelled, images: NDArray[np.uint8], numbers: NDArray[np.int64], classes: tuple[str, ...], tier: Tier, partial: bool
) -> TaskSet:
    labels = by_class(name, classes)[numbers]
    tasks = tuple(attributes(name))
    digest = arrays_sha256({"images": images, "labels": labels})
    return TaskSet(name, images, labels, tasks, ("attribute",) * len(tasks), np.ones(len(tasks)), digest, tier, partial)
