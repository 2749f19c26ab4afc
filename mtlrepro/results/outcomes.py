"""What an interval says of a claim, and what outcomes say of an exhibit.

An effect is *oriented*: turned so that positive means for the paper's claim. Its interval [low, high] is held against zero,
against the paper's size (`target`: the printed size less its rounding error, the least that the printed numbers allow) and
against `smallest`, the smallest effect anyone could care about. Each table below has one cell for every interval.

The paper prints a size:

    ============================  ===========  ===============  ===========
    .                             high < 0     low <= 0 <= high  0 < low
    ============================  ===========  ===============  ===========
    high < target                 contrary     absent           smaller
    target <= high                (none)       cannot tell      holds
    ============================  ===========  ===============  ===========

It prints none, or one that is not on the side its sentence claims (`target` is None):

    ============================  ===========  ===============  ===========
    .                             high < 0     low <= 0 <= high  0 < low
    ============================  ===========  ===============  ===========
    inside +-smallest             absent       absent           absent
    not inside                    contrary     cannot tell      holds
    ============================  ===========  ===============  ===========

It claims equality (`direction` equal):

    ============================  ===========
    inside +-smallest             holds
    outside it                    contrary
    across one of its ends        cannot tell
    ============================  ===========

Inside is open, -smallest < low and high < smallest: an effect as large as the smallest of interest is of interest. An interval
that only touches zero includes it. An interval of no width (all seeds equal) is judged like any other, so exact zeros are
absent, or equal. Fewer than 3 seeds, or a seed without a finite value, cannot tell.

Several primary claims. Holm's procedure at 5% keeps the chance that any of an exhibit's primary claims is wrongly said to be
clear of zero (a claim of equality: wrongly said to hold) at 5% or less, whatever depends on whatever. Its p-values are those
of the interval itself: p is the level at which the interval first excludes zero (equality: first lies inside +-smallest),
so that it is enough to ask whether the intervals at 1 - 5%/j do, for j = 1, 2, 3. The claim of rank r among m then has its one
interval at the level 1 - 5%/(m - r + 1), those after the first that is not clear at that one's level; the outcome is read
from it. Hence an interval that is clear of zero is a rejection by Holm, and adding a claim can only widen the intervals of
the others. The comparison with the paper's size is at the same level; each by itself errs in at most 5% of experiments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mtlrepro.errors import BadValue
from mtlrepro.registered_claims import MOST_PRIMARY, Direction

Outcome = Literal["holds", "smaller", "absent", "contrary", "cannot tell"]
StatementOutcome = Literal["true as printed", "true once corrected", "false", "cannot tell"]

FEWEST = 3
ALPHA = 0.05
_MOST_SEEDS = 1_000_000


def outcome_of(low: float, high: float, *, direction: Direction, target: float | None, smallest: float) -> Outcome:
    """The outcome of an oriented interval, by the tables at the head of this module. target: above zero, or None."""
    inside = -smallest < low and high < smallest
    if direction == "equal":
        outside = low >= smallest or high <= -smallest
        return "holds" if inside else "contrary" if outside else "cannot tell"
    if target is None and inside:
        return "absent"
    if high < 0:
        return "contrary"
    short = target is not None and high < target
    if low > 0:
        return "smaller" if short else "holds"
    return "absent" if short else "cannot tell"


def holm_levels(clear: Callable[[int, float], bool], strength: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """The confidence level of each claim's interval under Holm's procedure (Holm 1979).

    clear(i, level): whether the interval of claim i at `level` rejects its null hypothesis. strength: one number a claim, the
    larger the stronger; decides between claims that are clear at the same levels, which changes no rejection.
    Returns one level a claim, in [1 - alpha / m, 1 - alpha] for m claims.
    """
    m = len(strength)
    if m == 1:
        return [1 - alpha]
    divisors = range(1, max(m, MOST_PRIMARY) + 1)
    clear_up_to = [next((j - 1 for j in divisors if not clear(i, 1 - alpha / j)), divisors[-1]) for i in range(m)]
    levels = [0.0] * m
    left = m
    for i in sorted(range(m), key=lambda i: (-clear_up_to[i], -strength[i])):
        levels[i] = 1 - alpha / left
        if clear_up_to[i] >= left:
            left -= 1
    return levels


def t_statistic(values: Sequence[float], *, direction: Direction, smallest: float) -> float:
    """How many standard errors the mean is from zero, or, for equality, inside +-smallest.

    Serves to order claims only. values: (n,). -inf where it cannot be computed, inf for equal values that reject.
    """
    x = np.asarray(values, dtype=float)
    if x.size < FEWEST or not np.isfinite(x).all():
        return -math.inf
    error = float(x.std(ddof=1) / np.sqrt(x.size)) if np.ptp(x) > 0 else 0.0
    gap = smallest - abs(float(x.mean())) if direction == "equal" else abs(float(x.mean()))
    if error == 0:
        return math.inf if gap > 0 else -math.inf
    return gap / error


def seeds_needed(
    values: Sequence[float], *, direction: Direction, target: float | None, smallest: float, level: float = 1 - ALPHA
) -> int | None:
    """About how many seeds would tell, at the spread of these.

    The least number at which Student's interval at `level` is no wider than the gap that it has to resolve: from zero to the
    paper's size, or to `smallest` where there is none or equality is claimed. If the effect lies at either end of the gap, so
    many seeds tell in about `level` of all experiments; half way between the ends the chance is about a half.
    Where the interval is that short already, the effect of a claim of equality lies near its margin, and the number is the one
    at which it clears the margin if it stays where it is; elsewhere it is one seed more.
    values: (n,). Returns None for fewer than two or a value that is not finite, and beyond a million.
    """
    x = np.asarray(values, dtype=float)
    if x.size < 2 or not np.isfinite(x).all():
        return None
    spread = float(x.std(ddof=1))
    needed = _least_seeds(spread, (smallest if target is None else target) / 2, level)
    if needed is None or needed > x.size:
        return needed
    if direction == "equal":
        at_margin = _least_seeds(spread, abs(abs(float(x.mean())) - smallest), level)
        return None if at_margin is None else max(at_margin, x.size + 1)
    return x.size + 1


def _least_seeds(spread: float, half: float, level: float) -> int | None:
    """The least n of at least 3 at which Student's interval reaches at most `half` to either side of the mean."""
    from scipy import special  # imported late: most verdicts are read without it

    def wide(n: int) -> bool:
        return bool(special.stdtrit(n - 1, (1 + level) / 2) * spread > half * np.sqrt(n))

    if wide(_MOST_SEEDS):
        return None
    low, high = FEWEST - 1, _MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if wide(middle) else (low, middle)
    return high


def _at_most(k: int, n: int, p: float) -> float:
    """Chance of at most `k` events in `n` at the rate `p`, above 0."""
    whole = math.lgamma(n + 1)
    logs = (
        whole - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p) for i in range(k + 1)
    )
    return math.fsum(map(math.exp, logs))


@dataclass(frozen=True)
class Trials:
    """A statement tried on n instances, of which `violations` broke it.

    worst: largest error, or smallest margin, seen. tolerance: what numerical error is let pass. allowed: the rate of
    violations that the statement itself allows (delta of "with probability at least 1 - delta"); 0 where one breaks it.
    Raises BadValue for impossible numbers.
    """

    n: int
    violations: int
    worst: float | None = None
    tolerance: float = 0.0
    allowed: float = 0.0

    def __post_init__(self) -> None:
        if self.n < 1 or not 0 <= self.violations <= self.n:
            raise BadValue(f"trials need 0 <= violations <= n and n >= 1, found {self.violations} of {self.n}.")
        if not 0 <= self.allowed < 1:
            raise BadValue(f"the rate of violations allowed must be in [0, 1), not {self.allowed}.")

    @property
    def rate(self) -> float:
        return self.violations / self.n

    @property
    def low(self) -> float:
        """Exact 95% lower bound (Clopper and Pearson 1934) on the rate of violations."""
        from scipy import special

        return 0.0 if self.violations == 0 else float(special.betaincinv(self.violations, self.n - self.violations + 1, ALPHA))

    @property
    def high(self) -> float:
        """Exact 95% upper bound (Clopper and Pearson 1934) on the rate of violations."""
        from scipy import special

        if self.violations == self.n:
            return 1.0
        return float(special.betaincinv(self.violations + 1, self.n - self.violations, 1 - ALPHA))

    @property
    def kept(self) -> bool | None:
        """True: never broken, or clearly no more often than allowed. False: broken. None: too few instances to tell."""
        if self.allowed == 0:
            return self.violations == 0
        # The same as high <= allowed and low > allowed, by the tails that those bounds invert.
        if _at_most(self.violations, self.n, self.allowed) <= ALPHA:
            return True
        return False if 1 - _at_most(self.violations - 1, self.n, self.allowed) < ALPHA else None

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for a record."""
        return {key: getattr(self, key) for key in ("n", "violations", "worst", "tolerance", "allowed")}


def statement_outcome(printed: Trials | None, corrected: Trials | None) -> StatementOutcome:
    """The outcome of a statement: as it is printed, else in its corrected form; false where no form tried is kept.

    None stands for a form that was not tried. A corrected form that is not tried does not save a broken statement.
    """
    if printed is None or printed.kept is None:
        return "cannot tell"
    if printed.kept:
        return "true as printed"
    if corrected is None or corrected.kept is False:
        return "false"
    return "true once corrected" if corrected.kept else "cannot tell"


Verdict = Literal[
    "reproduced", "smaller than claimed", "mixed", "not reproduced", "not seen on a stand-in", "cannot tell",
    "too small to judge", "true as printed", "true once corrected", "false", "no claim",
]  # fmt: skip
Scope = Literal["on the paper's data", "on a stand-in", "no data"]


def verdict_of_effects(outcomes: Sequence[Outcome], scope: Scope) -> Verdict:
    """The verdict from the outcomes of the primary claims.

    All hold: reproduced. All are clear of zero, some short of the paper's size: smaller than claimed. None is seen (absent or
    contrary): not reproduced, on a stand-in not seen on a stand-in. Some are seen and some not: mixed. Where a claim cannot
    tell, the verdict is the one that every outcome of that claim would lead to, else cannot tell.
    """
    seen = {"holds", "smaller"} & set(outcomes)
    unseen = {"absent", "contrary"} & set(outcomes)
    if seen and unseen:
        return "mixed"
    if "cannot tell" in outcomes or not outcomes:
        return "cannot tell"
    if unseen:
        return "not seen on a stand-in" if scope == "on a stand-in" else "not reproduced"
    return "smaller than claimed" if "smaller" in seen else "reproduced"


def verdict_of_statements(outcomes: Sequence[StatementOutcome]) -> Verdict:
    """The verdict from the outcomes of the primary statements: that of the worst one; undecided is worse than true."""
    worst_first: tuple[StatementOutcome, ...] = ("false", "cannot tell", "true once corrected")
    return next((word for word in worst_first if word in outcomes), "true as printed" if outcomes else "cannot tell")
