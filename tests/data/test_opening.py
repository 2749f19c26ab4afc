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
