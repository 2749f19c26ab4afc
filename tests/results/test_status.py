"""Laws of the list of recorded results: each is current, stale for a named change, or never recorded."""

from __future__ import annotations

import json

import pytest

from mtlrepro import exhibits
from mtlrepro.errors import UnknownName
from mtlrepro.parameters import profile_values
from mtlrepro.results import digest
from mtlrepro.results.status import status

MODULE = "mtlrepro.methods.dwa"
FIRST, SECOND = (exhibit.id for exhibit in exhibits.everything()[:2])


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Writes a recorded result; all others are out of sight."""
    monkeypatch.setattr("mtlrepro.paths.recorded", lambda: tmp_path)

    def write(exhibit, profile, code):
        file = tmp_path / f"{exhibit}.{profile}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        text = code if isinstance(code, str) else json.dumps({"provenance": {"commit": "0123456789", "code": code}})
        file.write_text(text)

    return write


def code(**changed):
    parts = digest.graph().closure(MODULE)
    return {"modules": {MODULE: []}, "parts": parts | changed}


def test_a_result_of_todays_code_is_current_and_one_of_other_code_names_the_change(recorded):
    recorded(FIRST, "quick", code())
    recorded(FIRST, "full", code(**{"mtlrepro/methods/dwa.py": "0" * 64}))
    quick, full, second = status([FIRST, SECOND])
    assert (quick.exhibit, quick.profile, quick.state, quick.changes) == (FIRST, "quick", "current", ())
    assert (full.profile, full.state, full.commit) == ("full", "stale", "0123456")
    assert len(full.changes) == 1
    assert full.changes[0].startswith("mtlrepro/methods/dwa.py changed")
    assert (second.exhibit, second.profile, second.state) == (SECOND, "", "never recorded")
    assert str(second) == f"{SECOND}: never recorded"
    assert json.loads(json.dumps(full.as_dict()))["changes"] == list(full.changes)


@pytest.mark.parametrize("content", ["not json", "[]", '{"provenance": {"code": {"parts": 3}}}'])
def test_a_result_that_cannot_be_read_is_stale(recorded, content):
    recorded(FIRST, "full", content)
    [one] = status([FIRST])
    assert one.state == "stale"
    assert len(one.changes) == 1


def test_a_result_from_before_parts_were_recorded_says_so(recorded):
    recorded(FIRST, "full", json.dumps({"provenance": {"commit": "0123456789", "code": "0f0f0f"}}))
    [one] = status([FIRST])
    assert one.changes == ("recorded without the parts of its code, at commit 0123456",)


def test_many_changes_are_counted_on_the_line_and_whole_in_the_data(recorded):
    recorded(FIRST, "full", code(**{f"mtlrepro/old{n}.py": "0" for n in range(5)}))
    [one] = status([FIRST])
    assert len(one.changes) == 5
    assert str(one).endswith("; and 2 more)")


def test_without_ids_every_exhibit_is_listed():
    assert {one.exhibit for one in status()} == {exhibit.id for exhibit in exhibits.everything()}


def test_what_no_asked_profile_makes_is_not_missing(recorded, monkeypatch):
    only_quick = exhibits.get(FIRST).model_copy(update={"profiles": ("quick",)})
    monkeypatch.setattr(exhibits, "get", lambda name: only_quick)
    assert status([FIRST], ["full", "paper"]) == []
    assert [one.state for one in status([FIRST], ["quick", "full"])] == ["never recorded"]
    recorded(FIRST, "full", code())
    assert [one.state for one in status([FIRST], ["full"])] == ["current"]


def test_an_unknown_exhibit_is_named():
    with pytest.raises(UnknownName):
        status(["transfer/fig333"])


def test_a_record_of_another_setting_than_the_profiles_is_stale_and_names_the_parameter(recorded):
    """Law: a profile that asks for more than what was recorded leaves the record behind, though no code has changed."""
    shared = next(one for one in exhibits.everything() if one.notebook and profile_values(one.id, "quick"))
    name, value = next(iter(profile_values(shared.id, "quick").items()))
    for recorded_value, state in ((value, "current"), ("another", "stale")):
        content = {"provenance": {"commit": "0123456789", "code": code()}, "parameters": {name: recorded_value}}
        recorded(shared.id, "quick", json.dumps(content))
        [one] = status([shared.id])
        assert one.state == state
        assert [name in change for change in one.changes] == [True] * (state == "stale")
