"""Errata: every entry is whole and points to a cell that exists; a broken one is refused by file, entry and field."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from registered import misspelt

from mtlrepro import exhibits
from mtlrepro.book import errata
from mtlrepro.errors import BadValue, UnknownName

# Any committed entry will do, written as in its file: names without the paper's key.
ENTRY = errata.entries()[0]
PAPER = ENTRY.paper
EXHIBIT = ENTRY.verified_by.removeprefix(f"{PAPER}/")
NOTEBOOK = ENTRY.evidence.notebook.removeprefix(f"{PAPER}/")
GOOD = ENTRY.model_dump(exclude={"paper"}) | {
    "evidence": {"notebook": NOTEBOOK, "anchor": ENTRY.evidence.anchor},
    "verified_by": EXHIBIT,
}


def write(folder, *records):
    file = folder / "errata.yaml"
    file.write_text(yaml.safe_dump(list(records)), encoding="utf-8")
    return file


def test_committed_entries_are_those_of_the_papers_in_the_books_order():
    assert errata.entries() == [entry for paper in exhibits.papers() for entry in errata.entries(paper)]
    assert all(entry.paper == PAPER for entry in errata.entries(PAPER))


def test_no_two_entries_of_a_paper_have_the_same_place():
    """Pages link to an erratum by its place."""
    places = [(entry.paper, entry.place) for entry in errata.entries()]
    assert len(set(places)) == len(places)


def test_every_entry_that_changes_a_conclusion_is_derived_a_second_time():
    """In a test of the paper named after the entry's anchor, by algebra that shares no code with the page."""
    for entry in errata.entries():
        if entry.conclusion_changes:
            derivations = Path(__file__).parent / "papers" / entry.paper / "test_errata_derivations.py"
            assert f"def test_{entry.evidence.anchor.replace('-', '_')}(" in derivations.read_text(encoding="utf-8")
            assert "mtlrepro" not in derivations.read_text(encoding="utf-8")


def test_an_entry_comes_back_as_it_was_written(tmp_path):
    assert errata.read(write(tmp_path, GOOD), PAPER) == [ENTRY]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evidence": {"notebook": "nowhere", "anchor": "errata-x"}}, "entry 1, evidence: there is no notebook"),
        ({"evidence": {"notebook": NOTEBOOK, "anchor": "errata-x"}}, r"has no target \(errata-x\)="),
        ({"evidence": {"notebook": NOTEBOOK, "anchor": "x"}}, "entry 1, evidence.anchor"),
        ({"verified_by": misspelt(EXHIBIT)}, f"did you mean '{PAPER}/{EXHIBIT}'"),
        ({"printed": ""}, "entry 1, printed"),
        ({"correct": "b"}, "entry 1, correct: Extra inputs"),
    ],
)
def test_a_broken_entry_is_refused(tmp_path, change, message):
    with pytest.raises(BadValue, match=message):
        errata.read(write(tmp_path, GOOD | change), PAPER)


def test_a_missing_field_a_repeated_anchor_and_no_list_are_refused(tmp_path):
    with pytest.raises(BadValue, match="entry 1, correction: Field required"):
        errata.read(write(tmp_path, {k: v for k, v in GOOD.items() if k != "correction"}), PAPER)
    with pytest.raises(BadValue, match="stands in 2 entries"):
        errata.read(write(tmp_path, GOOD, GOOD), PAPER)
    (tmp_path / "errata.yaml").write_text("place: here\n", encoding="utf-8")
    with pytest.raises(BadValue, match="must be a list"):
        errata.read(tmp_path / "errata.yaml", PAPER)


def test_unknown_paper():
    with pytest.raises(UnknownName, match=f"did you mean '{PAPER}'"):
        errata.entries(misspelt(PAPER))
