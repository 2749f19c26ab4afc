"""Chest X-rays: ChestX-ray14 in its official layout, splits that keep a patient's images together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_sets import as_wide_as, with_chunk

from mtlrepro import data, paths
from mtlrepro.data import places
from mtlrepro.errors import BadValue, DataCorrupt, DataMissing
from mtlrepro.papers.transfer import fig12_label_noise
from mtlrepro.papers.transfer.data import chest, same_image_tasks
from mtlrepro.parameters import Params

ENTRIES = [
    ("00000001_000.png", "Cardiomegaly|Effusion", 1, False),
    ("00000001_001.png", "No Finding", 1, False),
    ("00000002_000.png", "Hernia", 2, False),
    ("00000003_000.png", "Pleural_Thickening|Mass|Nodule", 3, True),
    ("00000004_000.png", "No Finding", 4, False),
]


@pytest.fixture
def folder(tmp_path):
    """A small ChestX-ray14 in the official layout, with some images of four channels as in the real one."""
    place = tmp_path / "chestxray14"
    (place / "images").mkdir(parents=True)
    header = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"
    lines = [f"{name},{found},0,{patient},60,M,PA\n" for name, found, patient, _ in ENTRIES]
    (place / "Data_Entry_2017_v2020.csv").write_text(header + "".join(lines))
    for file, held in (("train_val_list.txt", False), ("test_list.txt", True)):
        (place / file).write_text("\n".join(name for name, _, _, test in ENTRIES if test == held) + "\n")
    for i, (name, *_) in enumerate(ENTRIES):
        grey = Image.fromarray(np.full((32, 32), 40 * i, np.uint8))
        (grey if i % 2 else grey.convert("RGBA")).save(place / "images" / name)
    return tmp_path


def test_the_official_layout_gives_images_findings_patients_and_the_official_test_part(folder):
    found = chest.load_chestxray14(side=16, mirror=folder)
    assert found.images.shape == (5, 16, 16, 1)
    assert [int(image.mean()) for image in found.images] == [0, 40, 80, 120, 160]
    marked = [{found.tasks[t] for t in np.flatnonzero(row)} for row in found.labels]
    assert marked == [set() if names == "No Finding" else set(names.split("|")) for _, names, *_ in ENTRIES]
    assert found.patients.tolist() == [1, 1, 2, 3, 4]
    assert found.official_test.tolist() == [False, False, False, True, False]
    assert len(found.tasks) == 14


def test_a_part_of_the_images_and_of_the_findings_keeps_its_patients(folder):
    found = chest.load_chestxray14(side=16, limit=4, mirror=folder).of([2, 3], ["Hernia", "Mass"])
    assert found.patients.tolist() == [2, 3]
    assert found.labels.tolist() == [[1, 0], [0, 1]]
    assert found.official_test.tolist() == [False, True]


def test_damage_is_refused_by_name(folder):
    (folder / "chestxray14/images/00000004_000.png").unlink()
    with pytest.raises(DataCorrupt, match="00000004_000"):
        chest.load_chestxray14(side=16, mirror=folder)
    table = folder / "chestxray14/Data_Entry_2017_v2020.csv"
    table.write_text(table.read_text().replace("Hernia", "Herna"))
    with pytest.raises(DataCorrupt, match=r"line 4: .*Herna"):
        chest.load_chestxray14(side=16, mirror=folder)
    with pytest.raises(BadValue, match="side"):
        chest.load_chestxray14(side=4, mirror=folder)


def _lists(folder: Path, train: list[str], test: list[str], start: str = "") -> None:
    for file, names in (("train_val_list.txt", train), ("test_list.txt", test)):
        (folder / "chestxray14" / file).write_text("".join(f"{start}{name}\n" for name in names))


def test_byte_order_marks_and_windows_line_ends_change_nothing(folder):
    before = chest.load_chestxray14(side=16, mirror=folder)
    for name in ("Data_Entry_2017_v2020.csv", "train_val_list.txt", "test_list.txt"):
        file = folder / "chestxray14" / name
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    after = chest.load_chestxray14(side=16, mirror=folder)
    assert after.sha256 == before.sha256
    assert after.official_test.tolist() == before.official_test.tolist()


@pytest.mark.parametrize(
    ("train", "test", "start", "message"),
    [
        ([0, 1, 2, 4], [3], "images/", r"train_val_list\.txt, line 1: 'images/00000001_000\.png' is no image"),
        ([0, 1, 2, 4], [], "", r"00000003_000\.png stands in neither .*train_val_list\.txt nor test_list\.txt"),
        ([0, 1, 2], [3], "", r"00000004_000\.png stands in neither .*train_val_list\.txt nor test_list\.txt"),
        ([0, 1, 2, 4], [3, 4], "", r"test_list\.txt, line 2: 00000004_000\.png stands in a list already"),
        ([0, 2, 4], [3, 1], "", r"test_list\.txt: images of patient 1 stand in both lists"),
    ],
)
def test_lists_that_do_not_match_the_table_are_refused(folder, train, test, start, message):
    """Law: no image is trained on because its name was not recognised in the official test list."""
    _lists(folder, *([ENTRIES[i][0] for i in part] for part in (train, test)), start)
    with pytest.raises(DataCorrupt, match=message):
        chest.load_chestxray14(side=16, limit=2, mirror=folder)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("test_list.txt", lambda c: c + b"\xff.png\n", r"test_list\.txt, line 2: a byte"),
        ("test_list.txt", lambda c: c[:-5], r"test_list\.txt, line 1: '00000003_000'"),
        ("Data_Entry_2017_v2020.csv", lambda c: c[:-30], r"v2020\.csv, line 6|v2020\.csv cannot"),
        ("Data_Entry_2017_v2020.csv", lambda c: c + c.splitlines()[1], r"v2020\.csv, line 7"),
        ("Data_Entry_2017_v2020.csv", lambda c: c.replace(b",2,60", b",two,60"), r"v2020\.csv, line 4"),
        ("Data_Entry_2017_v2020.csv", lambda c: c.replace(b"Patient ID", b"Patient"), "no column Patient ID"),
        ("Data_Entry_2017_v2020.csv", lambda c: c.replace(b"Hernia", b"H\xe9rnia"), r"v2020\.csv, line 4: a byte"),
        ("Data_Entry_2017_v2020.csv", lambda c: c.decode().encode("utf-16"), r"v2020\.csv, line 1: a byte"),
        ("Data_Entry_2017_v2020.csv", lambda c: c.replace(b",", b";"), r"v2020\.csv has no column Image Index"),
        ("Data_Entry_2017_v2020.csv", lambda c: c.replace(b"l|E", b"l | E").replace(b"y|E", b"y | E"), r"v2020\.csv, line 2"),
        ("Data_Entry_2017_v2020.csv", lambda c: b"", r"v2020\.csv has no column Image Index"),
        ("Data_Entry_2017_v2020.csv", lambda c: c.replace(b",2,60", b",99999999999999999999,60"), r"v2020\.csv, line 4"),
        ("Data_Entry_2017_v2020.csv", lambda c: c.replace(b"00000002_", b"../00000002_"), r"v2020\.csv, line 4"),
        ("Data_Entry_2017_v2020.csv", lambda c: c.replace(b"Hernia", b"No Finding|Hernia"), r"v2020\.csv, line 4"),
        ("images/00000002_000.png", lambda c: with_chunk(c, b"pHYs", b"1"), r"00000002_000\.png is no whole PNG: Truncated pHYs"),
        ("images/00000002_000.png", lambda c: as_wide_as(c, 60_000), r"00000002_000\.png is no whole PNG: Image size"),
        ("images/00000002_000.png", lambda c: c[: len(c) // 2], r"00000002_000\.png is no whole PNG"),
    ],
)
def test_an_odd_file_is_named_in_one_line(folder, name, change, message):
    file = folder / "chestxray14" / name
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(DataCorrupt, match=message) as error:
        chest.load_chestxray14(side=16, mirror=folder)
    assert "\n" not in str(error.value)


@pytest.fixture
def many(tmp_path, monkeypatch):
    """120 images of as many patients in the official layout, three findings each a third of the time; a quarter is tested."""
    place = tmp_path / "chestxray14"
    (place / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f"{number:08d}_000.png" for number in range(1, 121)]
    lines = ["Image Index,Finding Labels,Follow-up #,Patient ID"]
    for number, name in enumerate(names, start=1):
        own = [finding for finding in ("Effusion", "Mass", "Hernia") if rng.random() < 0.33]
        lines.append(f"{name},{'|'.join(own) or 'No Finding'},0,{number}")
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(place / "images" / name)
    (place / "Data_Entry_2017_v2020.csv").write_text("\n".join(lines) + "\n")
    (place / "train_val_list.txt").write_text("\n".join(names[:90]))
    (place / "test_list.txt").write_text("\n".join(names[90:]))
    monkeypatch.setenv("MTLREPRO_MIRROR", str(tmp_path))
    for cached in (same_image_tasks.load, same_image_tasks.draw, same_image_tasks.features):
        cached.cache_clear()
    yield tmp_path
    for cached in (same_image_tasks.load, same_image_tasks.draw, same_image_tasks.features):
        cached.cache_clear()


def test_pixels_of_more_than_8_bits_are_refused(folder):
    """They would be cut at 255."""
    file = folder / "chestxray14/images/00000001_001.png"
    Image.fromarray(np.full((32, 32), 4000, np.uint16)).save(file)
    with pytest.raises(DataCorrupt, match=r"00000001_001\.png has pixels of kind I;16"):
        chest.load_chestxray14(side=16, mirror=folder)


def test_figure_12_runs_on_chestxray14_where_a_person_has_it(many):
    """The exhibit's own function, by the parameter `source`: the official parts, findings with 20 positives or more."""
    values = {"source": "chestxray14", "groups": 2, "samples": 60, "epochs": 1, "first_seed": 4, "seeds": 1, "side": 16}
    values |= {"rate": 0.003, "favours": [2], "model": "cnn", "batch": 20, "device": "cpu"}
    p = Params("transfer/fig12", "quick", values, {"source": "chestxray14"})
    assert data.checked_source(p) == "chestxray14"
    drawn = same_image_tasks.draw("chestxray14", 4, 60, 16)
    assert drawn.tasks == ("Effusion", "Mass", "Hernia")
    assert [len(labels) for labels in drawn.labels.values()] == [60, 9, 30]
    assert drawn.data.shape[1:] == (16, 16, 1)
    rows = fig12_label_noise.compare(**fig12_label_noise.settings(p, "chestxray14")[0])
    assert rows
    assert all(np.isfinite(row["auc"]) for row in rows)


def test_a_source_of_the_users_choice_is_never_replaced_in_silence(many):
    (many / "chestxray14/test_list.txt").unlink()
    for exhibit in ("transfer/fig12", "transfer/chestxray"):
        asked = Params(exhibit, "quick", {"source": "chestxray14"}, {"source": "chestxray14"})
        with pytest.raises(DataMissing, match=r"chestxray14: no test_list\.txt in "):
            data.checked_source(asked, "chestxray14")
    assert same_image_tasks.load("chestxray14")[0].name != "chestxray14"


@pytest.mark.parametrize("official", [False, True])
def test_no_patient_is_in_two_parts_and_every_image_is_in_one(official):
    rng = np.random.default_rng(0)
    patients = rng.integers(0, 40, 200)
    test = patients < 8 if official else None
    labels = np.zeros((200, 14), np.uint8)
    xrays = chest.ChestXrays(
        "tiny", np.zeros((200, 8, 8, 1), np.uint8), labels, chest.FINDINGS, ("finding",) * 14, np.ones(14), "", "synthetic",
        False, patients, test,
    )  # fmt: skip
    parts = chest.patient_split(xrays, 3)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(200))
    groups = [set(patients[rows]) for rows in parts.values()]
    assert sum(map(len, groups)) == len(set.union(*groups))
    if official:
        assert groups[2] == set(range(8))
    other = chest.patient_split(xrays, 4)
    assert set(patients[other["valid"]]) != groups[1]


def test_the_public_subset_is_as_its_manifest_says():
    if paths.mirror() is None or not places.find("nih64"):
        pytest.skip("MTLREPRO_MIRROR is not set or lacks nih64")
    found = chest.load_nih64()
    assert found.images.shape == (1000, 64, 64, 1)
    assert (found.labels.sum(1) == 0).sum() == 500
    assert len(set(found.patients.tolist())) == 264
