"""Death in hospital, with the length of the stay: SUPPORT2, as in HydaLearn's Table 1."""

from __future__ import annotations

from functools import cache
from typing import Any

from mtlrepro.compare.problems import PARTS, Problem, Task
from mtlrepro.papers.hydalearn.data.clinical import Stays, hospital_stays, prepared


@cache
def table() -> Stays:
    """The whole set, or the one that stands in for it."""
    return hospital_stays("support2")


def load(seed: int) -> dict[str, tuple[Any, ...]]:
    """A split by patient, and its preparation."""
    task = prepared(table(), seed)
    return {name: (part.x, part.main, part.auxiliary) for name in PARTS for part in [getattr(task, name)]}


PROBLEM = Problem(
    title="SUPPORT2: death, with length of stay",
    load=load,
    tasks=(Task("binary"), Task("values")),
    metric="AUROC",
    shared=(48,) * 4,
    head=(24,) * 2,
    steps=1000,
    rates=(0.01, 0.5),
    traits=("few main events",),
    data=lambda: {"support2": table().sha256},
)
