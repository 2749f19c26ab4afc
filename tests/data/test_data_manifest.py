"""Manifests: a wrong field names file, line and field; every set of the project has one; wrong bytes are refused by name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from mtlrepro import exhibits, paths
from mtlrepro.data import manifest, places, schema
from mtlrepro.errors import BadValue, DataCorrupt, DataMissing, UnknownName

OFFICIAL = {"folders": ["."], "files": [{"path": "a.txt", "sha256": "0" * 64}]}


def _line_of(file: Path, start: str) -> int:
    return next(i for i, line in enumerate(file.read_text().splitlines(), start=1) if line.strip().startswith(start))


@pytest.mark.parametrize(
    ("fields", "field", "at"),
    [
        ({"acess": "open"}, "acess", "acess:"),
        ({"access": "public"}, "access", "access:"),
        ({"home": "http://example.org"}, "home", "home:"),
        ({"sources": [{"url": "http://example.org/a", "file": "a"}], "layouts": {}}, "sources.0.url", "- url:"),
        ({"sources": [{"url": "https://example.org/a", "file": "../a", "sha256": "0" * 64}]}, "sources.0.file", "file:"),
        ({"sources": [{"url": "https://example.org/a", "file": "a", "sha256": "xyz"}]}, "sources.0.sha256", "sha256:"),
        ({"sources": [{"url": "https://example.org/a", "file": "a"}]}, "sources.0", "- url:"),
        ({"layouts": {"official": {"folders": ["/etc"], "files": []}}}, "layouts.official.folders.0", "- /etc"),
        ({"layouts": {"official": OFFICIAL | {"colour": 1}}}, "layouts.official.colour", "colour:"),
        ({"arrays": [{"name": "x", "dtype": "object", "shape": [1], "sha256": "0" * 64}]}, "arrays.0.dtype", "dtype:"),
        ({"access": "gated"}, "manifest", "name:"),
        ({"access": "open"}, "manifest", "name:"),
    ],
)
def test_a_wrong_field_is_reported_in_one_line_with_file_line_and_field(
    write_manifest: Callable[..., Path], fields: dict[str, object], field: str, at: str
) -> None:
    file = write_manifest("broken", **fields)
    with pytest.raises(BadValue) as error:
        schema.manifests()
    message = str(error.value)
    assert message.startswith(f"data_manifests/broken.yaml:{_line_of(file, at)}: {field}: ")
    assert "\n" not in message


def test_missing_repeated_and_misnamed_fields_and_bad_yaml_are_reported_too(
    write_manifest: Callable[..., Path], manifest_folder: Path
) -> None:
    file = write_manifest("broken", steps=["Go."])
    good = file.read_text()
    for text, expected in [
        (good.replace("title: The set broken\n", ""), "broken.yaml:1: title: Field required"),
        (good + "title: again\n", f"broken.yaml:{len(good.splitlines()) + 1}: title: this field appears twice"),
        (good.replace("name: broken", "name: other"), "broken.yaml:1: name: is 'other', but the file is named 'broken'"),
        (good + "notes: [a\n", f"broken.yaml:{len(good.splitlines()) + 2}: "),
        ("- a\n", "broken.yaml:1: a manifest is a mapping of fields"),
        (good.replace("name: broken", "name: !!python/object/apply:os.getcwd []"), "broken.yaml:1: "),
    ]:
        file.write_text(text)
        with pytest.raises(BadValue) as error:
            schema.read_manifest(file)
        assert expected in str(error.value)
        assert "\n" not in str(error.value)


def test_every_manifest_of_the_project_is_valid_and_says_how_to_get_the_data() -> None:
    found = schema.manifests()
    assert found
    known = {exhibit.id for exhibit in exhibits.everything()}
    for name, entry in found.items():
        assert "\n" not in places.how_to_get(entry), name
        for used in entry.used_by:
            paper, _, exhibit = used.partition("/")
            assert not exhibit or used in known or paper not in exhibits.papers(), (name, used)
        assert entry.stand_in is None or entry.stand_in in found, (name, entry.stand_in)


def test_every_data_set_of_the_five_papers_has_a_manifest() -> None:
    expected = """mr subj cr mpqa trec sst_binary sst_fine glove_50d glove_100d glove_200d glove_300d glue_cola glue_mrpc
    glue_qnli glue_rte glue_sst2 minilm chestxray14 nih64 cifar10 cifar100 digits mimic3 mimic3_demo support2 medpar fannie_mae
    deep_credit_risk ludb ecg_p18 ecg_echolvh vkitti nyu_v2 cityscapes synthetic_linear synthetic_hydalearn synthetic_text
    synthetic_stays synthetic_borrowers synthetic_ecg synthetic_scenes"""
    assert set(expected.split()) <= set(schema.manifests())


def test_an_embedded_set_is_not_called_missing() -> None:
    with pytest.raises(DataMissing, match="has no files: it comes with the package"):
        places.locate("digits")


def test_an_unknown_name_suggests_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="did you mean 'cifar100'"):
        schema.get("cifar-100")


@pytest.mark.parametrize("name", ["mimic3", "fannie_mae", "cityscapes", "vkitti", "nyu_v2"])
def test_gated_data_say_in_one_line_what_a_person_must_do(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLREPRO_CACHE", str(tmp_path))
    with pytest.raises(DataMissing) as error:
        manifest.fetch(name, mirror=tmp_path)
    message = str(error.value)
    assert "(1)" in message
    assert "\n" not in message
    assert not list(tmp_path.iterdir())


def test_open_data_that_are_not_here_name_the_command_and_the_mirror(write_manifest: Callable[..., Path]) -> None:
    sources = [{"url": "https://example.org/a", "file": "a", "sha256": "0" * 64}]
    write_manifest("one", sources=sources, layouts={"official": {"folders": ["."], "files": []}})
    with pytest.raises(DataMissing, match=r"`mtlrepro data fetch one`.*MTLREPRO_MIRROR"):
        manifest.verify("one")
    assert manifest.status("one").where == "missing"


def test_the_mirror_comes_before_the_cache_and_every_copy_is_verified(
    write_manifest: Callable[..., Path], tmp_path: Path
) -> None:
    content = b"content"
    sha = hashlib.sha256(content).hexdigest()
    write_manifest("one", steps=["Go."], layouts={"official": {"folders": ["x", "."], "files": [{"path": "a", "sha256": sha}]}})
    mirror, cache = tmp_path / "mirror", places.cached("one")
    for folder in (mirror / "x", cache):
        folder.mkdir(parents=True)
        (folder / "a").write_bytes(content)
    assert manifest.status("one").where == "cache"
    assert manifest.path("one", mirror) == mirror / "x"
    assert manifest.status("one", mirror).where == "mirror"
    assert manifest.verify("one", mirror).files == 2
    (cache / "a").write_bytes(b"Content")
    with pytest.raises(DataCorrupt) as error:
        manifest.verify("one", mirror)
    assert str(cache / "a") in str(error.value)
    assert sha in str(error.value)
    assert hashlib.sha256(b"Content").hexdigest() in str(error.value)


def test_a_whole_set_in_the_cache_is_preferred_to_a_part_in_the_mirror(
    write_manifest: Callable[..., Path], tmp_path: Path
) -> None:
    sha = hashlib.sha256(b"").hexdigest()
    layouts = {
        "official": {"folders": ["one"], "files": [{"path": "all", "sha256": sha}]},
        "small": {"folders": ["."], "partial": True, "files": [{"path": "part", "sha256": sha}]},
    }
    write_manifest("one", steps=["Go."], layouts=layouts)
    (tmp_path / "part").touch()
    assert manifest.status("one", tmp_path).partial
    places.cached("one").mkdir(parents=True)
    (places.cached("one") / "all").touch()
    assert manifest.status("one", tmp_path).where == "cache"
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "all").touch()
    assert manifest.status("one", tmp_path).where == "mirror"
    assert not manifest.status("one", tmp_path).partial


def test_an_array_hash_does_not_depend_on_memory_order_or_byte_order() -> None:
    array = np.arange(12, dtype="<i4").reshape(3, 4)
    same = [np.asfortranarray(array), array.astype(">i4"), array[::1]]
    assert {places.array_sha256(a) for a in same} == {places.array_sha256(array)}
    assert places.array_sha256(array) == hashlib.sha256(array.tobytes()).hexdigest()
    assert places.arrays_sha256({"a": array}) != places.arrays_sha256({"a": array.reshape(4, 3)})


def test_rows_for_the_command_line_cover_every_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MTLREPRO_MIRROR", raising=False)
    monkeypatch.setenv("MTLREPRO_CACHE", str(tmp_path))
    rows = manifest.statuses()
    assert [r.name for r in rows] == sorted(schema.manifests())
    assert {r.where for r in rows} == {"embedded", "missing"}
    assert all(r.note for r in rows if r.where == "missing")


def test_the_mirror_at_hand_is_intact() -> None:
    """Every data set of the folder named by MTLREPRO_MIRROR, each file against its sha256."""
    if paths.mirror() is None:
        pytest.skip("MTLREPRO_MIRROR is not set")
    found = [row.name for row in manifest.statuses() if row.where == "mirror"]
    assert found
    for name in found:
        assert manifest.verify(name).hashed > 0


def test_manifests_are_written_in_the_order_that_people_read() -> None:
    for file in paths.manifests().glob("*.yaml"):
        assert list(yaml.safe_load(file.read_text()))[:2] == ["name", "title"], file.name
