"""STG-MTL's set G1 on digits: one binary task a digit; the main one asks for an 8, which is mistaken most."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from mtlrepro.compare.problems import Problem, Task
from mtlrepro.data.binary_tasks import TaskSet, digits_tasks
from mtlrepro.data.digits import load_digits, split_digits

MAIN = 8


@cache
def tasks() -> TaskSet:
    """All digits with their ten answers."""
    return digits_tasks("G1")


def load(seed: int) -> dict[str, tuple[Any, ...]]:
    """A stratified split 60/20/20."""
    x = tasks().images.reshape(len(tasks()), -1) / np.float32(16)
    labels = np.roll(tasks().labels, -MAIN, axis=1).astype(np.float32)
    parts = split_digits(load_digits(), seed)
    rows = {"train": parts["train"], "validation": parts["valid"], "test": parts["test"]}
    return {name: (x[own], *labels[own].T) for name, own in rows.items()}


PROBLEM = Problem(
    title="G1 on digits: is it an 8?",
    load=load,
    tasks=(Task("binary"),) * 10,
    metric="AUROC",
    shared=(32,),
    steps=1000,
    rates=(0.02, 2.0),
    traits=("many tasks",),
    data=lambda: {"digits": tasks().sha256},
)
