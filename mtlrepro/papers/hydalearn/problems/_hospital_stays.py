"""Death in hospital, with the length of the stay, as in HydaLearn's Table 1, on any set of stays."""

from __future__ import annotations

from functools import cache
from typing import Any

from mtlrepro.compare.problems import PARTS, Problem, Task
from mtlrepro.papers.hydalearn.data.clinical import Stays, hospital_stays, prepared


def stays(name: str, title: str) -> Problem:
    """The problem of the set `name`, or of the one that stands in for it."""

    @cache
    def table() -> Stays:
        return hospital_stays(name)

    def load(seed: int) -> dict[str, tuple[Any, ...]]:
        task = prepared(table(), seed)
        return {name: (part.x, part.main, part.auxiliary) for name in PARTS for part in [getattr(task, name)]}

    return Problem(
        title=title,
        load=load,
        tasks=(Task("binary"), Task("values")),
        metric="AUROC",
        shared=(48,) * 4,
        head=(24,) * 2,
        steps=1000,
        rates=(0.05, 5.0),
        traits=("few main events",),
        data=lambda: {name: table().sha256},
    )
