"""Gates that several exhibits of this paper share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtlrepro.results import Gate


def not_recorded(name: str, cost: str, value: str = "not recorded") -> Gate:
    """A gate that the rows cannot tell. cost: what it would take to pass it. value: what is known instead."""
    return Gate(name, False, value, cost=cost)


def precision(effects: Mapping[str, tuple[Any, float]], cost: str) -> Gate:
    """Standard errors of effects over seeds. effects: what it is -> (one value per seed, the largest error allowed)."""
    return Gate.every(
        "precision", [Gate.within(f"standard error of {what}", _error(x), most=most) for what, (x, most) in effects.items()], cost
    )


def _error(values: Sequence[float]) -> float:
    x = np.asarray(values, float)
    return float(x.std(ddof=1) / np.sqrt(len(x))) if len(x) > 1 else float("nan")


def of_other(exhibit: str, gates: Sequence[Gate], wanted: Sequence[str]) -> Gate:
    """The gate ``gates-of-<exhibit>``: passed where each of the `wanted` gates of that exhibit is."""
    failed = [name for name in wanted if not any(gate.passed for gate in gates if gate.name == name)]
    value = f"failed: {', '.join(failed)}" if failed else "all pass"
    return Gate(f"gates-of-{exhibit}", not failed, value, cost="see there")
