"""Laws of the registered claims: every paper's registry is read as it stands, and faults are named where they are."""

from __future__ import annotations

import copy

import pytest
import yaml

from mtlrepro import exhibits, paths
from mtlrepro.errors import BadValue
from mtlrepro.registered_claims import Claims, EffectClaim, Statements, registered

ENTRIES = {exhibit.id: exhibit.entry for exhibit in exhibits.everything()}


def test_every_exhibit_claims_something_or_says_why_not():
    assert all(entry.claims if isinstance(entry, Claims | Statements) else entry.why for entry in ENTRIES.values())


@pytest.mark.parametrize("file", sorted(paths.PACKAGE.glob("papers/*/exhibits.yaml")), ids=lambda file: file.parent.name)
def test_what_is_read_is_what_the_file_says(file):
    for name, fields in yaml.safe_load(file.read_text(encoding="utf-8"))["exhibits"].items():
        read = ENTRIES[f"{file.parent.name}/{name}"].model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert read == {key: value for key, value in fields.items() if key in read}


@pytest.mark.parametrize("exhibit", ENTRIES)
def test_a_target_is_at_most_the_papers_size_and_at_least_what_matters(exhibit):
    for claim in ENTRIES[exhibit].claims if isinstance(ENTRIES[exhibit], Claims) else ():
        if claim.target is not None:
            assert claim.smallest <= claim.target <= claim.paper_effect


CLAIM = {
    "id": "gain", "says": "s", "where": "Table 1", "quote": "q", "primary": True, "estimand": "e", "protocol": "p",
    "direction": "positive", "effect": 0.2, "from": "0.5 - 0.3", "effect_error": 0.01, "unit": "points", "smallest": 0.05,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "target", "paper"),
    [
        ({}, 0.19, 0.2),
        ({"direction": "negative", "effect": -0.2}, 0.19, 0.2),
        # The printed numbers are on the other side of the sentence: judged against zero alone.
        ({"effect": -0.2}, None, -0.2),
        # Rounding could make the printed difference zero.
        ({"effect": 0.01}, None, 0.01),
        ({"direction": "equal", "effect": 0.0}, None, 0.0),
        ({"effect": None, "effect_error": None, "reading": "caption"}, None, None),
    ],
)
def test_a_target_is_the_printed_size_less_its_rounding_on_the_claimed_side(change, target, paper):
    claim = EffectClaim(**(CLAIM | change))
    assert claim.target == (None if target is None else pytest.approx(target))
    assert claim.paper_effect == paper


def change_claim(**values):
    return lambda entry: entry["claims"][0].update(values)


def drop(key):
    return lambda entry: entry["claims"][0].pop(key)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (change_claim(effekt=1), "p.yaml: tab1, claim gain, field 'effekt': unknown, did you mean 'effect'?"),
        (change_claim(effect="0.2"), "p.yaml: tab1, claim gain, field 'effect': Input should be a valid number."),
        (change_claim(effect=float("nan")), "p.yaml: tab1, claim gain, field 'effect': Input should be a finite number."),
        (
            change_claim(direction="up"),
            "p.yaml: tab1, claim gain, field 'direction': Input should be 'positive', 'negative' or 'equal'.",
        ),
        (change_claim(smallest=0), "p.yaml: tab1, claim gain, field 'smallest': Input should be greater than 0."),
        (change_claim(effect=None), "p.yaml: tab1, claim gain, effect and effect_error are both numbers or both null."),
        (change_claim(reading="caption"), "p.yaml: tab1, claim gain, reading is given where effect is null, and only there."),
        (change_claim(primary=False), "p.yaml: tab1, needs one to 3 primary claims, has 0."),
        (drop("from"), "p.yaml: tab1, claim gain, field 'from': Field required."),
        (lambda entry: entry["claims"].append(dict(CLAIM)), "p.yaml: tab1, claim 'gain' is there twice."),
        (lambda entry: entry["gates"][0].pop("needs"), "p.yaml: tab1, gate converged, field 'needs': Field required."),
        (lambda entry: entry["ours"].append(3), "p.yaml: tab1, ours, number 2, Input should be a valid string."),
        (lambda entry: entry.update(verdict="claim"), "p.yaml: tab1, field 'verdict': expected none, claims, statement."),
        (lambda entry: entry.update(verdikt="claims"), "p.yaml: tab1, field 'verdikt': unknown, did you mean 'verdict'?"),
        (lambda entry: entry.clear(), "p.yaml: tab1, field 'verdict': expected none, claims, statement."),
    ],
)
def test_a_fault_is_named_with_file_exhibit_claim_and_field(fault, message):
    entry = {
        "kind": "table", "verdict": "claims", "claims": [dict(CLAIM)], "gates": [{"name": "converged", "needs": "n"}],
        "ours": ["q"], "stand_in_ok": "any",
    }  # fmt: skip
    registered({"tab1": copy.deepcopy(entry)}, "p.yaml")
    fault(entry)
    with pytest.raises(BadValue) as found:
        registered({"tab1": entry}, "p.yaml")
    assert str(found.value) == message


@pytest.mark.parametrize(
    ("content", "message"), [(None, "p.yaml: expected a mapping"), ({"tab1": 3}, "p.yaml: tab1, expected a mapping")]
)
def test_what_is_no_mapping_is_refused(content, message):
    with pytest.raises(BadValue, match=message):
        registered(content, "p.yaml")
