"""Findings: what five papers come to, one sentence a claim with the numbers of its recorded run. Entries live in
``book/papers/<paper>/findings.yaml``; a sentence is written for each outcome that the claim may come to, so that a new run
changes what is said without an edit."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from string import Formatter
from typing import Any, get_args

from mtlrepro import exhibits, paths, results
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.files import read_yaml
from mtlrepro.registered_claims import EffectClaim, StatementClaim
from mtlrepro.results import Judgement
from mtlrepro.results.judgement import JudgedEffect, JudgedStatement
from mtlrepro.results.outcomes import Outcome, StatementOutcome
from mtlrepro.results.verdict_box import three_digits

# What a sentence may name. effect, low, high: positive for the claim; size: the effect without its sign; paper: the paper's own.
_NUMBERS = {
    EffectClaim: {"effect", "low", "high", "size", "paper", "unit", "n"},
    StatementClaim: {"n", "broken", "broken_corrected"},
}
_OUTCOMES = {EffectClaim: get_args(Outcome), StatementClaim: get_args(StatementOutcome)}


@dataclass(frozen=True)
class Finding:
    """A claim and what a reader should take from it. sentences: outcome -> sentence with placeholders for numbers."""

    exhibit: exhibits.Exhibit
    claim: EffectClaim | StatementClaim
    sentences: dict[str, str]


@dataclass(frozen=True)
class JudgedFinding:
    """A finding as the largest recorded run has it. sentence: empty where the run could not judge the claim."""

    finding: Finding
    judgement: Judgement
    judged: JudgedEffect | JudgedStatement
    sentence: str


def judged_findings() -> list[JudgedFinding]:
    """Every finding, filled from the recorded runs; papers take turns, so that the first ten are of all of them.

    Raises as `read` does, and DataMissing for a finding whose exhibit has no recorded run.
    """
    by_paper = [read(paths.book() / "papers" / key / "findings.yaml", key) for key in exhibits.papers()]
    return [_judged(finding) for finding in chain.from_iterable(zip_longest(*by_paper)) if finding is not None]


def read(file: Path, paper: str) -> list[Finding]:
    """The findings of one file, [] where there is none.

    Raises UnknownName for an exhibit or a claim that is not registered, BadValue for an outcome that the claim cannot come to
    and for a sentence without a number or with an unknown one.
    """
    content = read_yaml(file) if file.exists() else []
    if not isinstance(content, list):
        raise BadValue(f"{file.name}: must be a list of findings.")
    return [_finding(entry, paper, f"{file.name} of {paper}, entry {number}") for number, entry in enumerate(content, 1)]


def _finding(entry: Any, paper: str, place: str) -> Finding:
    if not isinstance(entry, dict) or set(entry) != {"claim", "sentences"} or not isinstance(entry["sentences"], dict):
        raise BadValue(f"{place}: needs `claim` and `sentences`, and nothing else.")
    name, _, wanted = str(entry["claim"]).partition("/")
    exhibit = exhibits.get(f"{paper}/{name}")
    by_id = {claim.id: claim for claim in exhibit.claims}
    if wanted not in by_id:
        raise UnknownName(f"claim of {exhibit.id}", wanted, by_id)
    claim = by_id[wanted]
    for outcome, sentence in entry["sentences"].items():
        if outcome not in _OUTCOMES[type(claim)] or outcome == "cannot tell":
            raise BadValue(f"{place}: {outcome!r} is no outcome of {entry['claim']} that has a sentence.")
        used = {field for _, field, _, _ in Formatter().parse(sentence) if field is not None}
        known = _NUMBERS[type(claim)] - ({"paper"} if getattr(claim, "paper_effect", None) is None else set())
        if not used or not used <= known:
            raise BadValue(f"{place}, {outcome}: needs a number among {', '.join(sorted(known))}, has {sorted(used)}.")
    return Finding(exhibit, claim, entry["sentences"])


def _judged(finding: Finding) -> JudgedFinding:
    profiles = results.available(finding.exhibit.id, committed=True) or ["full"]
    judgement = results.load(finding.exhibit.id, profiles[-1], committed=True).judgement
    judged = next(judged for judged in judgement.claims if judged.claim.id == finding.claim.id)
    decided = judged.outcome != "cannot tell" and all(gate.passed for gate in judgement.gates)
    return JudgedFinding(finding, judgement, judged, _sentence(finding, judged) if decided else "")


def _sentence(finding: Finding, judged: JudgedEffect | JudgedStatement) -> str:
    written = finding.sentences.get(judged.outcome)
    if written is None:
        return f"{finding.claim.says.rstrip('.')}: {str(judged).partition(', ')[2]}."
    return written.format(**_values(judged))


def _values(judged: JudgedEffect | JudgedStatement) -> dict[str, str]:
    if isinstance(judged, JudgedEffect):
        signed = {"effect": judged.effect, "low": judged.low, "high": judged.high, "paper": judged.claim.paper_effect}
        found = {name: three_digits(value, sign=True) for name, value in signed.items() if value is not None}
        return found | {"size": three_digits(abs(judged.effect)), "unit": judged.claim.unit, "n": str(judged.n)}
    forms = judged.tried and {"broken": judged.tried.printed, "broken_corrected": judged.tried.corrected}
    found = {name: f"{trials.violations:,}" for name, trials in (forms or {}).items() if trials is not None}
    return found | {"n": f"{judged.n:,}"}
