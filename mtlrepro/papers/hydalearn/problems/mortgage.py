"""Default of a mortgage, with its prepayment: as in HydaLearn's Table 2."""

from __future__ import annotations

from functools import cache
from typing import Any

from mtlrepro.compare.problems import PARTS, Problem, Task
from mtlrepro.papers.hydalearn.data.mortgage import Loans, load_mortgages, mortgage_tasks


@cache
def table() -> Loans:
    """The whole set, or the one that stands in for it."""
    return load_mortgages("deep_credit_risk")


def load(seed: int) -> dict[str, tuple[Any, ...]]:
    """A split by borrower, and its preparation."""
    task = mortgage_tasks(table(), seed)
    return {name: (part.x, part.main, part.auxiliary) for name in PARTS for part in [getattr(task, name)]}


PROBLEM = Problem(
    title="mortgages: default, with prepayment",
    load=load,
    tasks=(Task("binary"), Task("binary")),
    metric="AUROC",
    shared=(24,) * 2,
    head=(12,) * 2,
    steps=1000,
    rates=(0.05, 5.0),
    traits=("few main events",),
    data=lambda: {"deep_credit_risk": table().sha256},
)
