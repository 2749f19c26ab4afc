"""Claims and their outcomes: effects over seeds with intervals, and checks of a statement on random instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from mtlrepro.results.intervals import LEVEL, interval

Status = Literal["reproduced", "partly", "not reproduced", "inconclusive", "not testable here"]
Outcome = Literal["holds", "fails", "unclear"]


@dataclass(frozen=True)
class Part:
    """One claim of an exhibit with what was measured for it.

    name: the claim in words. kind: paired or check. claim: the side the paper puts the effect on. values: one effect
    a seed (paired) or one margin an instance or the worst ones (check). setting: under which conditions.
    """

    name: str
    kind: Literal["paired", "check"]
    outcome: Outcome
    effect: float
    low: float
    high: float
    n: int
    claim: str = "positive"
    setting: str = ""
    unit: str = ""
    values: tuple[float, ...] = ()
    violations: int = 0
    tolerance: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """What is stored: the claim and the measured values, never the outcome (it is computed again on loading)."""
        keep = ("name", "kind", "claim", "setting", "unit", "n", "violations", "tolerance", "effect")
        record: dict[str, Any] = {key: getattr(self, key) for key in keep}
        return record | {"values": list(self.values)}

    @staticmethod
    def from_dict(record: dict[str, Any]) -> Part:
        """The part again, its interval and outcome computed from the stored values."""
        if record["kind"] == "paired":
            return paired(record["name"], record["values"], claim=record["claim"], setting=record["setting"], unit=record["unit"])
        return check(
            record["name"],
            worst=record["effect"],
            n=record["n"],
            violations=record["violations"],
            tolerance=record["tolerance"],
            setting=record["setting"],
            unit=record["unit"],
        )


def describe(part: Part) -> str:
    """Effect, interval and n in one phrase, such as ``+0.12 [+0.08, +0.16] Spearman, n = 40``."""
    unit = f" {part.unit}" if part.unit else ""
    if part.kind == "check":
        bound = f"violations {part.violations} of {part.n} (95% upper bound on their rate {part.high:.2g})"
        return f"worst {part.effect:.2g}{unit}, {bound}"
    return f"{part.effect:+.3g} [{part.low:+.3g}, {part.high:+.3g}]{unit}, n = {part.n}"


def paired(
    name: str,
    effects: Sequence[float] | np.ndarray,
    *,
    claim: Literal["positive", "negative"] = "positive",
    setting: str = "",
    unit: str = "",
) -> Part:
    """A claim on the sign of an effect, one value a seed, already paired (method minus baseline on the same seed).

    effects: (seeds,). Holds when the 95% interval of the mean lies wholly on the claimed side of zero, fails when wholly
    on the other side, else unclear.
    """
    mean, low, high = interval(effects)
    sign = 1.0 if claim == "positive" else -1.0
    edges = sorted((sign * low, sign * high))
    outcome: Outcome = "holds" if edges[0] > 0 else "fails" if edges[1] < 0 else "unclear"
    values = tuple(float(v) for v in np.asarray(effects, dtype=float))
    return Part(name, "paired", outcome, mean, low, high, len(values), claim, setting, unit, values)


def check(name: str, *, worst: float, n: int, violations: int, tolerance: float = 0.0, setting: str = "", unit: str = "") -> Part:
    """A statement tried on `n` random instances, of which `violations` broke it by more than `tolerance`.

    worst: the largest error or the smallest margin seen. Holds with no violation, else fails; `high` is the exact 95%
    upper bound (Clopper and Pearson) on the rate of violations.
    """
    if n < 1:
        raise ValueError("a check needs at least one instance")
    bound = 1.0 if violations >= n else float(stats.beta.ppf(LEVEL, violations + 1, n - violations))
    outcome: Outcome = "holds" if violations == 0 else "fails"
    return Part(name, "check", outcome, float(worst), 0.0, bound, n, "no violation", setting, unit, (), violations, tolerance)


def combine(parts: Sequence[Part]) -> Status:
    """One status from all parts: all hold, some hold, none holds and one fails, or nothing is clear."""
    outcomes = [part.outcome for part in parts]
    if not outcomes:
        return "not testable here"
    if all(outcome == "holds" for outcome in outcomes):
        return "reproduced"
    if "holds" in outcomes:
        return "partly"
    return "not reproduced" if "fails" in outcomes else "inconclusive"
