"""Gates that several exhibits of this paper share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mtlrepro import results
from mtlrepro.papers.cotask.ecg_tables import validation
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


def order_kept(once: pd.DataFrame, twice: pd.DataFrame, arms: Sequence[str], cost: str) -> Gate:
    """Whether no two arms change their order with twice the steps. once, twice: (seeds, arms) of what is compared.

    Two arms have an order where their difference is clear of zero over the seeds (Student's t, 95%), with either number of steps.
    """
    turned, clear = [], 0
    for one, other in combinations(arms, 2):
        differences = [values[one] - values[other] for values in (once, twice)]
        bounds = [(abs(each.mean()), stats.t.ppf(0.975, len(each) - 1) * each.sem()) for each in differences if len(each) > 1]
        if any(mean > half for mean, half in bounds):
            clear += 1
            if differences[0].mean() * differences[1].mean() < 0:
                turned.append(f"{one} and {other}")
    value = f"{clear} pairs apart, in another order with twice the steps ({len(twice)} seeds): {'; '.join(turned) or 'none'}"
    return Gate("converged", not turned, value, cost=cost)


def grid_interior(rows: pd.DataFrame) -> Gate:
    """Whether the rate with the best validation score of each method lies inside the grid of rates."""
    cost = "a wider grid of rates"
    if not (rows.kind == "rate").any():
        return not_recorded("grid-interior", cost, "one rate for all arms")
    means = validation(rows)
    rates = means.columns.astype(float)
    best, least, most = rates[means.to_numpy().argmax(axis=1)], rates.min(), rates.max()
    parts = [Gate(str(method), least < rate < most, f"{rate:g}") for method, rate in zip(means.index, best, strict=True)]
    return Gate.every("grid-interior", parts, f"{cost} than {least:g} to {most:g}")


def clear_of_zero(effect: pd.Series[float], unit: str, cost: str) -> Gate:
    """The gate ``control``: the 95% interval over seeds of an effect lies above zero. effect: (seeds,) in hundredths."""
    return Gate.clear_of_zero("control", effect.tolist(), said=f"{results.in_words(effect)} {unit}", cost=cost)


def of_other(exhibit: str, gates: Sequence[Gate], wanted: Sequence[str]) -> Gate:
    """The gate ``gates-of-<exhibit>``: passed where each of the `wanted` gates of that exhibit is."""
    failed = [name for name in wanted if not any(gate.passed for gate in gates if gate.name == name)]
    value = f"failed: {', '.join(failed)}" if failed else "all pass"
    return Gate(f"gates-of-{exhibit}", not failed, value, cost="see there")
