"""Laws of opening a data set: the set itself where it is here, else the next in its chain of stand-ins, and never in silence."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtlrepro import data
from mtlrepro.data import opening, places
from mtlrepro.errors import BadValue, DataMissing
from mtlrepro.parameters import Params


@pytest.fixture
def loaders(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module of loaders that stands for one of ours."""
    module = types.ModuleType("mtlrepro.laboratory")
    module.real = lambda name, split="train", mirror=None: {"name": name, "x": np.arange(3), "split": split}
    module.made = lambda seed=0: {"x": np.full(2, seed)}
    monkeypatch.setitem(sys.modules, "mtlrepro.laboratory", module)
    monkeypatch.setattr(opening, "has_loader", lambda manifest: manifest.loader is not None)
    return module


@pytest.fixture
def sets(write_manifest: Callable[..., Path], loaders: types.ModuleType) -> Callable[[], Path]:
    """The paper's set, whose stand-in is embedded."""
    write_manifest(
        "theirs", steps=["Go."], layouts={"official": {"folders": ["theirs"], "files": [{"path": "a"}]}},
        loader="mtlrepro.laboratory:real", arguments={"name": "theirs"}, stand_in="embedded",
    )  # fmt: skip
    write_manifest("embedded", access="embedded", tier="synthetic", loader="mtlrepro.laboratory:made", arguments={"seed": 5})


def place(mirror: Path) -> None:
    (mirror / "theirs").mkdir(parents=True)
    (mirror / "theirs" / "a").write_text("here")


def test_the_set_itself_is_opened_where_it_is_here(sets: None, tmp_path: Path) -> None:
    place(tmp_path / "mirror")
    opened = data.open("theirs", tmp_path / "mirror", split="test")
    assert (opened.asked, opened.name, opened.tier, opened.stands_in) == ("theirs", "theirs", "paper's data", False)
    assert (opened.content["name"], opened.content["split"]) == ("theirs", "test")


def test_the_stand_in_is_opened_with_its_own_tier_where_the_set_is_not_here(sets: None) -> None:
    opened = data.open("theirs", split="test")
    assert (opened.name, opened.tier, opened.stands_in) == ("embedded", "synthetic", True)
    assert opened.content["x"].tolist() == [5, 5]


def test_which_set_is_read_is_known_without_reading_it(sets: None, loaders: types.ModuleType, tmp_path: Path) -> None:
    loaders.real = loaders.made = None
    assert data.which("theirs") == "embedded"
    place(tmp_path / "mirror")
    assert data.which("theirs", tmp_path / "mirror") == "theirs"


def _params(source: str, chosen: bool = False) -> Params:
    return Params("paper/fig1", "quick", {"source": source}, {"source": source} if chosen else {})


def test_a_source_is_one_of_the_sets_that_name_the_exhibit(
    write_manifest: Callable[..., Path], loaders: types.ModuleType
) -> None:
    made = {"access": "embedded", "tier": "synthetic", "loader": "mtlrepro.laboratory:made"}
    for name, used_by in (("one", ["paper/fig1"]), ("two", ["paper/fig2", "paper/fig1"]), ("three", ["paper/fig2"])):
        write_manifest(name, used_by=used_by, **made)
    write_manifest("private", used_by=["paper/fig1"], steps=["It cannot be had."])
    assert set(data.sources("paper/fig1")) == {"one", "two"}
    assert data.checked_source(_params("two")) == "two"
    for unknown in ("three", "private", ""):
        with pytest.raises(BadValue, match="paper/fig1 runs on one of one, two, not on"):
            data.checked_source(_params(unknown))


def test_a_source_of_the_users_choice_must_be_here(write_manifest: Callable[..., Path], sets: None, tmp_path: Path) -> None:
    """A profile's own value may be replaced by its stand-in; what a person asked for may not."""
    write_manifest(
        "theirs", steps=["Go."], layouts={"official": {"folders": ["theirs"], "files": [{"path": "a"}, {"path": "b"}]}},
        loader="mtlrepro.laboratory:real", stand_in="embedded", used_by=["paper/fig1"],
    )  # fmt: skip
    assert data.checked_source(_params("theirs")) == "theirs"
    with pytest.raises(DataMissing, match=r"theirs .* is not here: "):
        data.checked_source(_params("theirs", chosen=True))


def test_a_folder_that_lacks_a_file_is_told_which(write_manifest: Callable[..., Path], sets: None, tmp_path: Path) -> None:
    place(tmp_path / "mirror")
    write_manifest(
        "theirs", steps=["Go."], loader="mtlrepro.laboratory:real",
        layouts={"official": {"folders": ["theirs"], "files": [{"path": "a"}, {"path": "b"}]}},
    )  # fmt: skip
    with pytest.raises(DataMissing, match=r"theirs: no b in .*theirs; .*Go\."):
        data.open("theirs", tmp_path / "mirror")


def test_every_generated_set_that_stands_in_for_another_opens_without_arguments() -> None:
    from mtlrepro.data.schema import get, manifests

    for name in {manifest.stand_in for manifest in manifests().values() if manifest.stand_in}:
        if get(name).access == "embedded":
            assert data.open(name).tier == get(name).tier


def test_a_set_without_stand_in_says_what_to_do(sets: None) -> None:
    with pytest.raises(DataMissing, match=r"theirs .* is not here"):
        data.open("theirs", stand_in=False)


def test_a_partial_copy_of_the_papers_data_is_a_stand_in(
    write_manifest: Callable[..., Path], loaders: types.ModuleType, tmp_path: Path
) -> None:
    write_manifest(
        "theirs", steps=["Go."], loader="mtlrepro.laboratory:real", arguments={"name": "theirs"},
        layouts={"part": {"folders": ["theirs"], "files": [{"path": "a"}], "partial": True}},
    )  # fmt: skip
    place(tmp_path / "mirror")
    assert data.open("theirs", tmp_path / "mirror").tier == "public stand-in"


def test_a_circle_of_stand_ins_is_refused(write_manifest: Callable[..., Path], loaders: types.ModuleType) -> None:
    layouts = {"official": {"folders": ["x"], "files": [{"path": "a"}]}}
    for name, other in (("one", "two"), ("two", "one")):
        write_manifest(name, steps=["Go."], layouts=layouts, stand_in=other)
    with pytest.raises(BadValue, match="circle"):
        data.open("one")


def test_every_stand_in_of_the_project_has_a_manifest_and_ends_in_one_that_is_always_here() -> None:
    from mtlrepro.data.schema import get, manifests

    for name in manifests():
        now, seen = get(name), [name]
        while now.stand_in is not None:
            assert now.stand_in not in seen, seen
            seen.append(now.stand_in)
            now = get(now.stand_in)


def test_the_digest_sees_every_array_and_no_place_on_this_machine() -> None:
    content = {"x": np.arange(3), "names": ["a", "b"], "where": Path("/somewhere")}
    same = {"x": np.arange(3), "names": ["a", "b"], "where": Path("/elsewhere")}
    assert opening.content_sha256(content) == opening.content_sha256(same)
    for change in ({"x": np.arange(4)}, {"names": ["a", "c"]}, {"x": np.arange(3).astype(np.float32)}):
        assert opening.content_sha256(content | change) != opening.content_sha256(content)


def test_an_embedded_set_whose_paper_was_deleted_is_missing_and_not_an_error(write_manifest: Callable[..., Path]) -> None:
    write_manifest("gone", access="embedded", loader="mtlrepro.papers.gone.data:made")
    assert not places.has_loader(__import__("mtlrepro.data.schema", fromlist=["get"]).get("gone"))
