"""From an exhibit's registered claims and what a run measured to its verdict.

What is stored is what was measured: one effect per seed, counts of violations, the gates' values. Outcomes and verdicts are
computed from it whenever it is read, by `judge`, so that none can be set by hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, get_args

import numpy as np

from mtlrepro.errors import BadValue, DataCorrupt, UnknownName
from mtlrepro.registered_claims import Claims, EffectClaim, NoClaim, StatementClaim, Statements
from mtlrepro.results.gates import Gate, failed_gates, gate_results, plain
from mtlrepro.results.intervals import remembered_interval
from mtlrepro.results.outcomes import (
    ALPHA,
    FEWEST,
    Outcome,
    Scope,
    StatementOutcome,
    Trials,
    Verdict,
    holm_levels,
    outcome_of,
    seeds_needed,
    statement_outcome,
    t_statistic,
    verdict_of_effects,
    verdict_of_statements,
)

Interval = Callable[[Sequence[float], float], tuple[float, float, float]]


@dataclass(frozen=True)
class StatementTrials:
    """Trials of a statement as printed and, where that is broken, of its corrected form."""

    printed: Trials
    corrected: Trials | None = None


@dataclass(frozen=True)
class Measured:
    """What a run measured for one exhibit.

    effects: claim -> one value per seed of its estimand, paired, in the estimand's own sign and unit. statements: claim ->
    trials. gates: those computed from the rows.
    """

    effects: Mapping[str, Sequence[float]] = field(default_factory=dict)
    statements: Mapping[str, StatementTrials] = field(default_factory=dict)
    gates: Sequence[Gate] = ()

    def as_dict(self) -> dict[str, Any]:
        """What is stored, plain data: a value that is not finite is None."""
        return {
            "effects": {claim: [plain(float(value)) for value in values] for claim, values in self.effects.items()},
            "statements": {
                claim: {"printed": tried.printed.as_dict(), "corrected": tried.corrected and tried.corrected.as_dict()}
                for claim, tried in self.statements.items()
            },
            "gates": [gate.as_dict() for gate in self.gates],
        }

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Measured:
        """The measurements again. Raises DataCorrupt where the record is not one of `as_dict`."""
        try:
            return Measured(
                {claim: tuple(map(_number, values)) for claim, values in record["effects"].items()},
                {
                    claim: StatementTrials(Trials(**tried["printed"]), tried["corrected"] and Trials(**tried["corrected"]))
                    for claim, tried in record["statements"].items()
                },
                tuple(Gate(**gate) for gate in record["gates"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError, BadValue) as error:
            raise DataCorrupt(f"a record of measurements is damaged ({error}).") from None


def _number(stored: float | None) -> float:
    return math.nan if stored is None else float(stored)


@dataclass(frozen=True)
class JudgedEffect:
    """A claim on an effect, what was measured, and the outcome.

    effect, low, high: mean over seeds and its interval at `level`, positive for the paper's claim (a claim of equality: in
    the estimand's own sign). values: (n,), in the estimand's own sign.
    """

    claim: EffectClaim
    values: tuple[float, ...]
    effect: float
    low: float
    high: float
    level: float
    outcome: Outcome

    @property
    def n(self) -> int:
        return len(self.values)

    @cached_property
    def seeds_needed(self) -> int | None:
        """About how many seeds would tell, where these cannot; None where no number can be given."""
        if self.outcome != "cannot tell":
            return None
        claim = self.claim
        return seeds_needed(
            self.values, direction=claim.direction, target=claim.target, smallest=claim.smallest, level=self.level
        )

    @property
    def note(self) -> str:
        """Why it cannot tell, or that the effect is below what matters."""
        if self.outcome == "cannot tell":
            return _why_unclear(self.values, self.seeds_needed)
        margin = self.claim.smallest
        negligible = self.claim.target is not None and -margin < self.low and self.high < margin
        below = negligible and self.outcome in ("smaller", "contrary")
        return "less than the smallest effect of interest" if below else ""

    def __str__(self) -> str:
        if not math.isfinite(self.effect):
            return f"{self.outcome}, {self.note}"
        span = f" [{self.low:+.3g}, {self.high:+.3g}]" if math.isfinite(self.low) and math.isfinite(self.high) else ""
        return f"{self.outcome}, {self.effect:+.3g}{span} {self.claim.unit}, n = {self.n}"

    def record(self) -> dict[str, Any]:
        """Plain data; a bound that the seeds cannot give is None."""
        return {
            "id": self.claim.id, "primary": self.claim.primary, "says": self.claim.says,
            "paper_effect": self.claim.paper_effect, "effect": plain(self.effect), "low": plain(self.low),
            "high": plain(self.high), "n": self.n, "outcome": self.outcome, "unit": self.claim.unit, "level": self.level,
            "smallest": self.claim.smallest, "seeds_needed": self.seeds_needed, "note": self.note,
        }  # fmt: skip


@dataclass(frozen=True)
class JudgedStatement:
    """A statement, its trials, and the outcome."""

    claim: StatementClaim
    tried: StatementTrials | None
    outcome: StatementOutcome

    @property
    def n(self) -> int:
        return self.tried.printed.n if self.tried else 0

    def __str__(self) -> str:
        printed = f", {self.tried.printed.violations} of {self.n} instances break it as printed" if self.tried else ", not tried"
        return self.outcome + printed

    def record(self) -> dict[str, Any]:
        """Plain data: effect, low and high are the rate of violations of the printed form with its exact 95% bounds."""
        printed = self.tried.printed if self.tried else None
        return {
            "id": self.claim.id, "primary": self.claim.primary, "says": self.claim.says, "paper_effect": None,
            "effect": printed and printed.rate, "low": printed and printed.low, "high": printed and printed.high,
            "n": self.n, "outcome": self.outcome, "unit": "rate of violations",
        }  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """The verdict on one exhibit from one run, with what it rests on. reason: what decided, where a word is not enough."""

    exhibit: str
    profile: str
    tier: str
    scope: Scope
    verdict: Verdict
    claims: tuple[JudgedEffect | JudgedStatement, ...]
    gates: tuple[Gate, ...]
    reason: str = ""

    def __str__(self) -> str:
        claims = "; ".join(f"{judged.claim.id}: {judged}" for judged in self.claims if judged.claim.primary)
        return f"{self.exhibit} [{self.profile}, {self.tier}]: {self.verdict}" + (f" ({claims})" if claims else "")

    def record(self) -> dict[str, Any]:
        """Plain data without NaN or infinity, for ``mtlrepro verdicts --json``."""
        return {
            "exhibit": self.exhibit, "profile": self.profile, "scope": self.scope, "tier": self.tier, "verdict": self.verdict,
            "claims": [claim.record() for claim in self.claims],
            "gates": [
                gate.as_dict() | {"needs": gate.needs} for gate in self.gates
            ],
            "reason": self.reason,
        }  # fmt: skip


def judge(
    exhibit: str,
    entry: Claims | Statements | NoClaim,
    measured: Measured,
    *,
    profile: str,
    tier: str,
    scope: Scope | None = None,
    interval: Interval = remembered_interval,
) -> Judgement:
    """The judgement of one run of `exhibit`.

    tier: what data it ran on. scope: by default on the paper's data for the tier "paper's data", no data for "no data", else on a
    stand-in; an exhibit whose paper draws its own data says so itself. interval(values, level): mean, low, high.
    A registered claim that was not measured cannot tell; a registered gate that was not computed has failed; any failed gate
    makes the verdict too small to judge. Raises UnknownName for a claim or gate that is not registered, BadValue for an
    unknown scope.
    """
    scope = scope or _scope_of(tier)
    if scope not in get_args(Scope):
        raise BadValue(f"{exhibit}: scope must be one of {', '.join(get_args(Scope))}, not {scope!r}.")
    _check_names(entry, measured)
    if isinstance(entry, NoClaim):
        return Judgement(exhibit, profile, tier, scope, "no claim", (), (), entry.why)
    gates = gate_results(entry.gates, measured.gates)
    claims: tuple[JudgedEffect | JudgedStatement, ...]
    verdict: Verdict
    if isinstance(entry, Claims):
        effects = judged_effects(entry.claims, measured.effects, interval)
        claims, verdict = effects, verdict_of_effects([judged.outcome for judged in effects if judged.claim.primary], scope)
    else:
        tried = tuple(_judged_statement(claim, measured.statements.get(claim.id)) for claim in entry.claims)
        claims, verdict = tried, verdict_of_statements([judged.outcome for judged in tried if judged.claim.primary])
    failed = failed_gates(gates)
    return Judgement(exhibit, profile, tier, scope, "too small to judge" if failed else verdict, claims, gates, failed)


def _scope_of(tier: str) -> Scope:
    if tier == "paper's data":
        return "on the paper's data"
    return "no data" if tier == "no data" else "on a stand-in"


def _check_names(entry: Claims | Statements | NoClaim, measured: Measured) -> None:
    known: dict[str, set[str]] = {"effects": set(), "statements": set()}
    if isinstance(entry, Claims):
        known["effects"] = {claim.id for claim in entry.claims}
    elif isinstance(entry, Statements):
        known["statements"] = {claim.id for claim in entry.claims}
    elif measured.gates:
        raise UnknownName("gate", measured.gates[0].name, (), "The exhibit has no claim.")
    for what, given in (("effects", measured.effects), ("statements", measured.statements)):
        for claim in given:
            if claim not in known[what]:
                raise UnknownName(f"claim among the {what}", claim, known[what])


def _judged_statement(claim: StatementClaim, tried: StatementTrials | None) -> JudgedStatement:
    if tried is None:
        return JudgedStatement(claim, None, "cannot tell")
    return JudgedStatement(claim, tried, statement_outcome(tried.printed, tried.corrected))


def judged_effects(
    claims: Sequence[EffectClaim], effects: Mapping[str, Sequence[float]], interval: Interval = remembered_interval
) -> tuple[JudgedEffect, ...]:
    """Each claim judged from its values: primary ones with intervals at Holm's levels, the others at 95%.

    effects: claim -> one value per seed, in the estimand's own sign; a claim without is not measured.
    """
    values = [tuple(float(value) for value in np.asarray(effects.get(claim.id, ()), dtype=float)) for claim in claims]

    @cache
    def at(i: int, level: float) -> tuple[float, float, float]:
        return _oriented_interval(values[i], claims[i].sign, level, interval)

    def clear(i: int, level: float) -> bool:
        if len(values[i]) < FEWEST:
            return False
        _, low, high = at(i, level)
        if claims[i].direction == "equal":
            return -claims[i].smallest < low and high < claims[i].smallest
        return low > 0 or high < 0

    primary = [i for i, claim in enumerate(claims) if claim.primary]
    strength = [t_statistic(values[i], direction=claims[i].direction, smallest=claims[i].smallest) for i in primary]
    levels = [1 - ALPHA] * len(claims)
    for i, level in zip(primary, holm_levels(lambda k, level: clear(primary[k], level), strength), strict=True):
        levels[i] = level
    return tuple(_judged_effect(claim, values[i], at(i, levels[i]), levels[i]) for i, claim in enumerate(claims))


def _oriented_interval(values: tuple[float, ...], sign: int, level: float, interval: Interval) -> tuple[float, float, float]:
    """Mean and interval, positive for the claim; equal values are exact, no value at all leaves the mean undefined."""
    if not values:
        return math.nan, -math.inf, math.inf
    if len(values) >= FEWEST and len(set(values)) == 1 and math.isfinite(values[0]):
        return (sign * values[0] + 0.0,) * 3
    return interval([sign * value for value in values], level)


def _judged_effect(
    claim: EffectClaim, values: tuple[float, ...], found: tuple[float, float, float], level: float
) -> JudgedEffect:
    effect, low, high = found
    enough = len(values) >= FEWEST and all(map(math.isfinite, values))
    outcome = outcome_of(low, high, direction=claim.direction, target=claim.target, smallest=claim.smallest)
    return JudgedEffect(claim, values, effect, low, high, level, outcome if enough else "cannot tell")


def _why_unclear(values: tuple[float, ...], needed: int | None) -> str:
    if not values:
        return "not measured"
    if not all(map(math.isfinite, values)):
        return "a seed has no finite value"
    if len(values) == 1:
        return f"one seed; needs at least {FEWEST}"
    if needed is None:
        return "no number of seeds below a million would tell"
    return f"about {needed:,} seeds would tell"
