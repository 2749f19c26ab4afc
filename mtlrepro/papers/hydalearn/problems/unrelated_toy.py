"""HydaLearn's toy with an unrelated task (equation 11), its tanh not saturated."""

from __future__ import annotations

from typing import Any

from mtlrepro.compare.problems import PARTS, Problem, Task
from mtlrepro.papers.hydalearn.data.toys import toy


def load(seed: int) -> dict[str, tuple[Any, ...]]:
    """Drawn anew for each seed."""
    parts = toy("unrelated", [seed], spread=1.0)
    return {name: tuple(values[0] for values in part) for name, part in zip(PARTS, parts, strict=True)}


PROBLEM = Problem(
    title="HydaLearn's toy, an unrelated task",
    load=load,
    tasks=(Task("values", 5), Task("values", 5)),
    metric="MAE",
    shared=(40,) * 2,
    head=(20,),
    steps=1000,
    rates=(0.05, 5.0),
    traits=(
        "scale differs",
        "the auxiliary task is noise",
    ),
)
