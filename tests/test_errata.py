"""Errata: every entry is whole and points to a cell that exists; a broken one is refused by file, entry and field."""

from __future__ import annotations

import pytest
import yaml

from mtlrepro.book import errata
from mtlrepro.errors import BadValue, UnknownName

GOOD = {
    "place": "Fact 7",
    "printed": "a",
    "correction": "b",
    "consequence": "c",
    "conclusion_changes": False,
    "evidence": {"notebook": "fact7_angles", "anchor": "errata-fact7-constant"},
    "verified_by": "fact7",
}


def write(folder, *records):
    file = folder / "errata.yaml"
    file.write_text(yaml.safe_dump(list(records)), encoding="utf-8")
    return file


def test_committed_entries_are_valid():
    found = errata.entries()
    assert {entry.verified_by for entry in found} >= {"transfer/prop1", "transfer/fact7", "transfer/tab1"}
    assert errata.entries("transfer") == [entry for entry in found if entry.paper == "transfer"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evidence": {"notebook": "nowhere", "anchor": "errata-x"}}, "entry 1, evidence: there is no notebook"),
        ({"evidence": {"notebook": "fact7_angles", "anchor": "errata-x"}}, r"has no target \(errata-x\)="),
        ({"evidence": {"notebook": "fact7_angles", "anchor": "x"}}, "entry 1, evidence.anchor"),
        ({"verified_by": "fact8"}, "did you mean 'transfer/fact7'"),
        ({"printed": ""}, "entry 1, printed"),
        ({"correct": "b"}, "entry 1, correct: Extra inputs"),
    ],
)
def test_a_broken_entry_is_refused(tmp_path, change, message):
    with pytest.raises(BadValue, match=message):
        errata.read(write(tmp_path, GOOD | change), "transfer")


def test_a_missing_field_a_repeated_anchor_and_no_list_are_refused(tmp_path):
    with pytest.raises(BadValue, match="entry 1, correction: Field required"):
        errata.read(write(tmp_path, {k: v for k, v in GOOD.items() if k != "correction"}), "transfer")
    with pytest.raises(BadValue, match="stands in 2 entries"):
        errata.read(write(tmp_path, GOOD, GOOD), "transfer")
    (tmp_path / "errata.yaml").write_text("place: here\n", encoding="utf-8")
    with pytest.raises(BadValue, match="must be a list"):
        errata.read(tmp_path / "errata.yaml", "transfer")


def test_unknown_paper():
    with pytest.raises(UnknownName, match="did you mean 'transfer'"):
        errata.entries("transfers")
