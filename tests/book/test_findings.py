"""Laws of the findings: what they name exists, a sentence says what the recorded run says, and nothing unjudged is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from registered import CLAIMING

from mtlrepro import exhibits, results
from mtlrepro.book import findings
from mtlrepro.errors import BadValue, DataMissing, UnknownName
from mtlrepro.results import Gate, Measured
from mtlrepro.results.judgement import judge

CLAIM = next(claim for claim in CLAIMING.claims if claim.primary and claim.direction != "equal")
NAME = f"{CLAIMING.id.partition('/')[2]}/{CLAIM.id}"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make one finding the book's only ones, of an exhibit whose recorded run has the given effects, its gates passed or not."""
    target = tmp_path / "papers" / CLAIMING.paper / "findings.yaml"
    target.parent.mkdir(parents=True)
    monkeypatch.setattr(findings.paths, "book", lambda: tmp_path)

    def write(sentences: dict[str, str], claim: str = NAME, effects: list[float] | None = None, passed: bool = True):
        target.write_text(yaml.safe_dump([{"claim": claim, "sentences": sentences}]))
        if effects is not None:
            gates = [Gate(gate.name, passed, 1.0) for gate in CLAIMING.entry.gates]
            measured = Measured({CLAIM.id: [CLAIM.sign * value for value in effects]}, {}, gates)
            judgement = judge(CLAIMING.id, CLAIMING.entry, measured, profile="full", tier="paper's data")
            monkeypatch.setattr(results, "available", lambda name, committed=False: ["full"])
            monkeypatch.setattr(results, "load", lambda *a, **k: type("Run", (), {"judgement": judgement}))
        return findings.judged_findings()

    return write


def huge(sign: int) -> list[float]:
    return [sign * 1000.0 * (1 + 0.001 * number) for number in range(3)]


def test_the_sentence_is_that_of_the_outcome_with_its_numbers(write) -> None:
    sentences = {"holds": "Gain {effect} over {n} seeds.", "contrary": "Loss {size}."}
    assert write(sentences, effects=huge(1))[0].sentence == "Gain +1000 over 3 seeds."
    assert write(sentences, effects=huge(-1))[0].sentence == "Loss 1000."


def test_an_outcome_without_a_sentence_is_told_in_the_claims_own_words(write) -> None:
    (finding,) = write({"contrary": "Loss {size}."}, effects=huge(1))
    assert finding.sentence.startswith(CLAIM.says.rstrip("."))
    assert "1e+03" in finding.sentence


def test_nothing_is_told_where_a_gate_failed_or_the_seeds_cannot_tell(write) -> None:
    assert write({"holds": "Gain {effect}."}, effects=huge(1), passed=False)[0].sentence == ""
    assert write({"holds": "Gain {effect}."}, effects=huge(1)[:2])[0].sentence == ""


@pytest.mark.parametrize(
    ("sentences", "claim", "error"),
    [
        ({"holds": "{effect}"}, "nothing/at-all", UnknownName),
        ({"holds": "{effect}"}, f"{NAME}-x", UnknownName),
        ({"hold": "{effect}"}, NAME, BadValue),
        ({"cannot tell": "{n}"}, NAME, BadValue),
        ({"holds": "No number."}, NAME, BadValue),
        ({"holds": "{broken}"}, NAME, BadValue),
    ],
)
def test_a_finding_that_names_what_is_not_there_stops_the_build(write, sentences, claim, error) -> None:
    with pytest.raises(error):
        write(sentences, claim)


def test_a_finding_without_a_recorded_run_stops_the_build(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings.paths, "recorded", lambda: Path("nowhere"))
    with pytest.raises(DataMissing):
        write({"holds": "{effect}"})


def test_every_sentence_of_the_book_can_be_filled() -> None:
    """Also those whose outcome no recorded run has come to so far."""
    every = findings.judged_findings()
    assert any(one.sentence for one in every)
    for one in every:
        for sentence in one.finding.sentences.values():
            filled = sentence.format(**(dict.fromkeys(findings._NUMBERS[type(one.finding.claim)], "1")))
            assert re.fullmatch(r"[A-Z].*\.", filled), filled
    assert {one.finding.exhibit.paper for one in every} == set(exhibits.papers())
