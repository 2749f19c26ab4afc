"""Stays of the Challenge of 2012: both layouts give the same events, and odd files are named with their line."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mtlrepro.data import places
from mtlrepro.errors import BadValue, DataCorrupt, DataMissing
from mtlrepro.papers.hydalearn.data import icu2012
from mtlrepro.papers.hydalearn.data.clinical import Stays, prepared

PER_SET = 20
FIRST = {"a": 132539, "b": 142675, "c": 152871}
Lines = dict[int, list[tuple[int, str, float]]]


def _stays() -> tuple[pd.DataFrame, Lines]:
    """Outcomes, and of each stay lines of minute, parameter and value; a length is unknown."""
    draw = np.random.default_rng(0)
    records = [FIRST[letter] + 3 * i for letter in "abc" for i in range(PER_SET)]
    lines: Lines = {}
    for record in records:
        static = [("Age", 54), ("Gender", record % 3 - 1), ("Height", -1), ("ICUType", record % 4 + 1), ("Weight", 70.5)]
        own = [(0, name, float(value)) for name, value in static]
        for name in ("HR", "Temp", "pH"):
            minutes = np.sort(draw.integers(0, 49 * 60, draw.integers(0, 6)))
            own += [(int(m), name, round(float(draw.uniform(7, 100)), 2)) for m in minutes]
        lines[record] = [*own, (500, "HR", -1.0)]
    died = (np.arange(len(records)) % 4 == 1).astype(int)
    days = draw.integers(2, 60, len(records))
    days[2] = -1
    values = {"RecordID": records, "SAPS-I": 6, "SOFA": 1, "Length_of_stay": days, "Survival": -1, "In-hospital_death": died}
    return pd.DataFrame(values).assign(set=[letter for letter in "abc" for _ in range(PER_SET)]), lines


def _write_official(folder: Path) -> None:
    outcomes, lines = _stays()
    for letter, own in outcomes.groupby("set"):
        (folder / f"set-{letter}").mkdir(parents=True)
        own.drop(columns="set").to_csv(folder / f"Outcomes-{letter}.txt", index=False)
        for record in own["RecordID"]:
            text = [f"{m // 60:02d}:{m % 60:02d},{name},{value:g}" for m, name, value in lines[record]]
            text.insert(3, "07:07,,2.9")  # as in set c: a line without a parameter is no value
            (folder / f"set-{letter}" / f"{record}.txt").write_text(
                "\n".join(["Time,Parameter,Value", f"00:00,RecordID,{record}", *text]) + "\n"
            )


def _wide(numbers: list[int]) -> np.ndarray:
    values = np.array(numbers, np.uint16)
    return np.stack([values & 255, values >> 8]).astype(np.uint8)


def _write_packed(folder: Path) -> None:
    outcomes, lines = _stays()
    folder.mkdir()
    (folder / "outcomes.csv.gz").write_bytes(gzip.compress(outcomes.to_csv(index=False).encode()))
    content: dict[str, np.ndarray] = {}
    for name in icu2012.PARAMETERS:
        series = [sorted((m, v) for m, p, v in lines[record] if p == name) for record in outcomes["RecordID"]]
        table = np.unique([v for own in series for _, v in own])
        elapsed = [m - (own[i - 1][0] if i else 0) for own in series for i, (m, _) in enumerate(own)]
        codes = [int(np.searchsorted(table, v)) for own in series for _, v in own]
        content |= {f"{name}.count": _wide([len(own) for own in series]), f"{name}.dt": _wide(elapsed)}
        content |= {f"{name}.value": table, f"{name}.code": _wide(codes)}
    with (folder / "series.npz").open("wb") as file:
        np.savez(file, **content)


@pytest.fixture
def mirror(tmp_path: Path, write_manifest: Callable[..., Path]) -> Path:
    """A mirror with the official layout in `official` and the packed one in `packed`, named by the manifest."""
    official = [*(f"Outcomes-{letter}.txt" for letter in "abc"), *(f"set-{k}/{n}.txt" for k, n in FIRST.items())]
    layouts = {
        "official": {"folders": ["icu2012"], "files": [{"path": name} for name in official]},
        "packed": {"folders": ["packed"], "files": [{"path": name} for name in ("outcomes.csv.gz", "series.npz")]},
    }
    write_manifest("icu2012", layouts=layouts, steps=["Get it."], tier="public stand-in")
    _write_official(tmp_path / "mirror" / "icu2012")
    return tmp_path / "mirror"


def test_both_layouts_give_the_same_stays(mirror: Path, tmp_path: Path) -> None:
    official = icu2012.load_icu2012(mirror)
    (tmp_path / "other").mkdir()
    _write_packed(tmp_path / "other" / "packed")
    packed = icu2012.load_icu2012(tmp_path / "other")
    assert official.sha256 == packed.sha256
    pd.testing.assert_frame_equal(official.features, packed.features)
    assert official.test is not None
    assert official.test.sum() == 2 * PER_SET


def test_features_equal_a_plain_computation_of_the_first_48_hours(mirror: Path) -> None:
    stays, (outcomes, lines) = icu2012.load_icu2012(mirror), _stays()
    known = outcomes[outcomes["Length_of_stay"] >= 0]
    assert stays.features.shape == (len(outcomes) - 1, 4 + 37 * 6)
    for row, record in enumerate(known["RecordID"]):
        now = stays.features.iloc[row]
        values = [v for m, name, v in sorted(lines[record]) if name == "HR" and m < 48 * 60 and v >= 0]
        expected = [values[0], values[-1], min(values), max(values), np.mean(values)] if values else [np.nan] * 5
        np.testing.assert_allclose(now[[f"HR, {s}" for s in icu2012.STATISTICS]].astype(float), [len(values), *expected])
        assert np.isnan(now["Height"])
        assert now["Gender"] == {-1: "unknown", 0: "female", 1: "male"}[record % 3 - 1]
    assert stays.died.tolist() == known["In-hospital_death"].tolist()
    assert not {"SAPS-I", "SOFA", "Survival", "Length_of_stay"} & {name.split(",")[0] for name in stays.features}


def test_sets_b_and_c_are_tested_and_a_is_split_by_seed(mirror: Path) -> None:
    stays = icu2012.load_icu2012(mirror)
    one, other = (prepared(stays, seed) for seed in (0, 1))
    assert stays.test is not None
    for task in (one, other):
        assert task.test.rows.tolist() == np.flatnonzero(stays.test).tolist()
        assert not set(task.train.rows) & set(task.validation.rows)
        assert len(task.train) + len(task.validation) == PER_SET - 1
    assert one.validation.rows.tolist() != other.validation.rows.tolist()
    torn = replace(stays, patient=np.zeros(len(stays), np.int64))
    with pytest.raises(BadValue, match="official test part"):
        prepared(torn)


def _same(before: Stays, mirror: Path) -> bool:
    return icu2012.load_icu2012(mirror).sha256 == before.sha256


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(mirror: Path) -> None:
    before = icu2012.load_icu2012(mirror)
    for name in ("Outcomes-a.txt", "set-a/132539.txt"):
        file = mirror / "icu2012" / name
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert _same(before, mirror)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("set-a/132542.txt", lambda t: t + b"12:00,Tmp,36", r"132542\.txt, line \d+: '12:00,Tmp,36'"),
        ("set-a/132542.txt", lambda t: t + b"12:0", r"132542\.txt, line \d+: '12:0'"),
        ("set-a/132542.txt", lambda t: t + b"12:00,HR,8\xe9", r"132542\.txt, line \d+"),
        ("set-a/132542.txt", lambda t: t.replace(b"132542", b"132539"), r"132542\.txt, line 2"),
        ("set-a/132542.txt", lambda t: b"", r"132542\.txt, line 1"),
        ("set-a/132542.txt", lambda t: t.decode().encode("utf-16"), r"132542\.txt, line 1: a byte"),
        ("set-a/132542.txt", lambda t: t[: t.index(b"00:00")], r"132542\.txt, line 2: not 00:00,RecordID,132542"),
        ("set-a/132542.txt", lambda t: t + b"12:00,HR,nan", r"132542\.txt, line \d+: '12:00,HR,nan'"),
        ("set-a/132542.txt", lambda t: t + b"12:00,HR,inf", r"132542\.txt, line \d+: '12:00,HR,inf'"),
        ("set-a/132542.txt", lambda t: t + b"-1:30,HR,80", r"132542\.txt, line \d+: '-1:30,HR,80'"),
        (
            "Outcomes-b.txt",
            lambda t: b"\n".join(line.rpartition(b",")[0] + b"," for line in t.splitlines()),
            "has no column In-h",
        ),
        ("Outcomes-b.txt", lambda t: t.splitlines()[0] + b"\n142675,6,1,5,-1,\n", "column In-hospital_death is empty"),
        ("Outcomes-b.txt", lambda t: t.splitlines()[0] + b"\n142675,6,1,-2,-1,0\n", "line 2: Length_of_stay is '-2'"),
        ("Outcomes-b.txt", lambda t: t.splitlines()[0] + b"\n142675,6,nan,3,-1,0\n", "line 2: SOFA is 'nan'"),
        ("Outcomes-b.txt", lambda t: t.replace(b"SOFA", b"SAFO"), "Outcomes-b.txt has no column SOFA"),
        ("Outcomes-b.txt", lambda t: t[: t.index(b"142681") + 9], r"Outcomes-b\.txt, line 4: \d fields"),
        ("Outcomes-b.txt", lambda t: t + t.splitlines()[1] + b"\n", "two outcomes of stay 142675"),
    ],
)
def test_an_odd_file_is_named_with_its_line(mirror: Path, name: str, change: Callable[[bytes], bytes], message: str) -> None:
    file = mirror / "icu2012" / name
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(DataCorrupt, match=message) as error:
        icu2012.load_icu2012(mirror)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(mirror: Path) -> None:
    (mirror / "icu2012/set-c/152874.txt").unlink()
    with pytest.raises(DataCorrupt, match=r"152874\.txt is not there, and Outcomes-c\.txt lists"):
        icu2012.load_icu2012(mirror)
    (mirror / "icu2012/Outcomes-b.txt").unlink()
    with pytest.raises(DataMissing, match=r"no Outcomes-b\.txt in .*icu2012"):
        icu2012.load_icu2012(mirror)


@pytest.mark.parametrize("damage", [lambda c: c[: len(c) // 2], lambda c: b"PK", lambda c: b""])
def test_a_damaged_packed_file_is_named(mirror: Path, tmp_path: Path, damage: Any) -> None:
    _write_packed(mirror / "packed")
    (mirror / "icu2012/Outcomes-a.txt").unlink()
    file = mirror / "packed" / "series.npz"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataCorrupt, match=r"series\.npz"):
        icu2012.load_icu2012(mirror)
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros(3))
    file.write_bytes(buffer.getvalue())
    with pytest.raises(DataCorrupt, match=r"series\.npz does not hold the series of 60 stays"):
        icu2012.load_icu2012(mirror)


def test_the_true_set_is_what_its_manifest_says() -> None:
    if places.find("icu2012") is None:
        pytest.skip("icu2012 is not at hand")
    stays = icu2012.load_icu2012()
    assert stays.test is not None
    assert (len(stays), int(stays.died.sum()), int(stays.test.sum())) == (11_833, 1_707, 7_893)
    assert float(np.median(stays.days)) == 10
