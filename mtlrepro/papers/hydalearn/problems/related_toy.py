"""HydaLearn's toy with related tasks (equation 11), its tanh not saturated."""

from __future__ import annotations

from typing import Any

from mtlrepro.compare.problems import PARTS, Problem, Task
from mtlrepro.papers.hydalearn.data.toys import toy


def load(seed: int) -> dict[str, tuple[Any, ...]]:
    """Drawn anew for each seed."""
    parts = toy("related", [seed], spread=1.0)
    return {name: tuple(values[0] for values in part) for name, part in zip(PARTS, parts, strict=True)}


PROBLEM = Problem(
    title="HydaLearn's toy, related tasks",
    load=load,
    tasks=(Task("values", 25), Task("values", 25)),
    metric="MAE",
    shared=(64,) * 4,
    head=(32,),
    steps=1000,
    rates=(0.05, 5.0),
    traits=("scale differs",),
)
