"""Hospital stays: no leak, features equal to a plain computation, and broken files named in one line."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import skew

from mtlrepro import refusals
from mtlrepro.data import places
from mtlrepro.errors import BadValue, DataCorrupt, DataMissing
from mtlrepro.papers.hydalearn import tab1_tab2_real_data as real_data
from mtlrepro.papers.hydalearn.data import clinical
from mtlrepro.parameters import Params

# --- SUPPORT2 ---------------------------------------------------------------------------------------------------------


def _support2(rows: int = 200) -> pd.DataFrame:
    """A table with the 48 columns; every fifth measurement is missing."""
    draw = np.random.default_rng(0)
    table = pd.DataFrame({c: draw.normal(50, 10, rows).round(3) for c in clinical.COLUMNS})
    for column in ("sex", "dzgroup", "dzclass", "income", "race", "ca", "dnr", "sfdm2"):
        table[column] = draw.choice(["one", "two", "three"], rows)
    table.loc[::5, ["alb", "ph", "income"]] = None
    return table.assign(sno=np.arange(rows), hospdead=(draw.random(rows) < 0.3).astype(int), slos=draw.integers(3, 90, rows))


def _csv(table: pd.DataFrame) -> bytes:
    """As the file is: values padded with blanks."""
    return table.to_csv(index=False).replace(",", ", ").encode()


@pytest.fixture
def support2(tmp_path: Path, write_manifest: Callable[..., Path]) -> Path:
    """A mirror that holds a small SUPPORT2 in the packed layout."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "support2.csv.gz").write_bytes(gzip.compress(_csv(_support2())))
    layouts = {"csv_gz": {"folders": ["."], "files": [{"path": "support2.csv.gz"}]}}
    loader = f"{clinical.__name__}:load_support2"
    write_manifest(
        "support2", layouts=layouts, steps=["Get it."], tier="public stand-in", loader=loader, stand_in="synthetic_stays"
    )
    return folder


def test_no_column_that_leaks_can_come_in(support2: Path) -> None:
    """Inputs are listed by name, none is a leak, and a change of every other column changes no input."""
    assert not set(clinical.INPUTS) & set(clinical.LEAKS)
    assert {*clinical.INPUTS, *clinical.LEAKS, "sno"} == set(clinical.COLUMNS)
    before = clinical.load_support2(support2)
    assert tuple(before.features) == clinical.INPUTS
    table = _support2()
    for column in clinical.LEAKS:
        if column not in ("hospdead", "slos"):
            table[column] = table[column].to_numpy()[::-1]
    (support2 / "support2.csv.gz").write_bytes(gzip.compress(_csv(table)))
    after = clinical.load_support2(support2)
    pd.testing.assert_frame_equal(after.features, before.features)
    names = clinical.prepared(after).names
    assert not [
        n for n in names for leak in clinical.LEAKS if n == leak or n.startswith((f"{leak}_", f"missingindicator_{leak}"))
    ]


def test_support2_is_read_whatever_the_padding_and_packing(support2: Path) -> None:
    stays = clinical.load_support2(support2)
    plain = clinical.read_support2(_support2().to_csv(index=False).encode(), "support2.csv")
    assert len(stays) == 200
    assert stays.tier == "public stand-in"
    pd.testing.assert_frame_equal(plain[list(clinical.INPUTS)], stays.features)
    assert (stays.features.loc[::5, "income"] == "unknown").all()
    assert stays.features.loc[::5, "alb"].isna().all()


def test_official_fill_ins_stand_for_missing_measurements(support2: Path) -> None:
    """A missing albumin is prepared as one of 3.5; a missing pH, without an official value, as the training median."""
    stays = clinical.load_support2(support2)
    task = clinical.prepared(stays)
    row = stays.features.iloc[[1]]
    median = stays.features.iloc[task.train.rows]["ph"].median()
    for column, value in (("alb", clinical.FILL["alb"]), ("ph", median)):
        i = task.names.index(column)
        missing, known = (task.preparation(row.assign(**{column: v}))[0, i] for v in (np.nan, value))
        assert missing == known


def test_nothing_is_fitted_on_validation_or_test_stays(support2: Path) -> None:
    stays = clinical.load_support2(support2)
    task = clinical.prepared(stays, seed=3)
    outside = np.concatenate([task.validation.rows, task.test.rows])
    features, days = stays.features.copy(), stays.days.copy()
    features.loc[outside, ["age", "alb", "ph"]] = 1e5
    features.loc[outside, "race"] = "never seen"
    days[outside] = 1e5
    changed = clinical.prepared(replace(stays, features=features, days=days), seed=3)
    assert changed.scale == task.scale
    assert changed.names == task.names
    assert torch.equal(changed.train.x, task.train.x)
    assert torch.equal(changed.train.auxiliary, task.train.auxiliary)


def test_length_of_stay_is_the_standardised_logarithm(support2: Path) -> None:
    stays = clinical.load_support2(support2)
    task = clinical.prepared(stays)
    days = np.log1p(stays.days[task.train.rows])
    expected = (np.log1p(stays.days[task.test.rows]) - days.mean()) / days.std()
    np.testing.assert_allclose(task.test.auxiliary, expected, rtol=1e-4, atol=1e-5)
    assert task.auxiliary_kind == "regression"


def _broken(how: str) -> bytes:
    table, packed = _support2(), gzip.compress(_csv(_support2()))
    return {
        "cut": packed[: len(packed) // 2],
        "noise": b"\x1f\x8b" + bytes(range(200)),
        "empty": gzip.compress(b""),
        "column": gzip.compress(_csv(table.rename(columns={"alb": "albumin"}))),
        "word": gzip.compress(_csv(table.assign(alb="high"))),
        "label": gzip.compress(_csv(table.assign(hospdead=7))),
        "half": gzip.compress(_csv(table)[:-200]),
        "empty column": gzip.compress(_csv(table.assign(age=None))),
        "twice": gzip.compress(_csv(table.assign(sno=1))),
        "infinite": gzip.compress(_csv(table.assign(age=np.inf))),
        "utf-16": gzip.compress(_csv(table).decode().encode("utf-16")),
    }[how]


@pytest.mark.parametrize(
    "how", ["cut", "noise", "empty", "column", "word", "label", "half", "empty column", "twice", "infinite", "utf-16"]
)
def test_a_broken_file_is_named_in_one_line(support2: Path, how: str) -> None:
    (support2 / "support2.csv.gz").write_bytes(_broken(how))
    with pytest.raises(DataCorrupt, match=r"support2\.csv\.gz") as error:
        clinical.load_support2(support2)
    assert "\n" not in str(error.value)


def test_synthetic_stays_stand_in_for_missing_data_but_not_for_corrupt_ones(
    support2: Path, write_manifest: Callable[..., Path]
) -> None:
    write_manifest("synthetic_stays", access="embedded", tier="synthetic", loader=f"{clinical.__name__}:synthetic_stays")
    assert clinical.hospital_stays(mirror=support2).name == "support2"
    assert clinical.hospital_stays("synthetic_stays", support2).tier == "synthetic"
    (support2 / "support2.csv.gz").write_bytes(_broken("cut"))
    with pytest.raises(DataCorrupt):
        clinical.hospital_stays(mirror=support2)
    (support2 / "support2.csv.gz").unlink()
    assert clinical.hospital_stays(mirror=support2).name == "synthetic_stays"


def test_synthetic_stays_are_seeded_and_hold_a_signal() -> None:
    """The same seed gives the same stays; a quarter or so die; measurements tell of death and of days."""
    stays, again, other = (clinical.synthetic_stays(seed) for seed in (1, 1, 2))
    assert stays.sha256 == again.sha256 != other.sha256
    assert 0.2 < stays.died.mean() < 0.3
    first = stays.features["measurement_1"]
    assert first[stays.died == 1].mean() > first[stays.died == 0].mean() + 0.5
    assert np.corrcoef(first, np.log(stays.days))[0, 1] > 0.1
    assert clinical.prepared(stays).d >= 12
    with pytest.raises(BadValue):
        clinical.synthetic_stays(0, 0)


# --- MIMIC-III: a generated set of the true format -------------------------------------------------------------------

START = pd.Timestamp("2150-03-01 10:00:00")
HEADERS = {
    "PATIENTS": "ROW_ID,SUBJECT_ID,GENDER,DOB,DOD,DOD_HOSP,DOD_SSN,EXPIRE_FLAG",
    "ADMISSIONS": "ROW_ID,SUBJECT_ID,HADM_ID,ADMITTIME,DISCHTIME,DEATHTIME,ADMISSION_TYPE,ADMISSION_LOCATION,"
    "DISCHARGE_LOCATION,INSURANCE,LANGUAGE,RELIGION,MARITAL_STATUS,ETHNICITY,EDREGTIME,EDOUTTIME,DIAGNOSIS,"
    "HOSPITAL_EXPIRE_FLAG,HAS_CHARTEVENTS_DATA",
    "ICUSTAYS": "ROW_ID,SUBJECT_ID,HADM_ID,ICUSTAY_ID,DBSOURCE,FIRST_CAREUNIT,LAST_CAREUNIT,FIRST_WARDID,LAST_WARDID,"
    "INTIME,OUTTIME,LOS",
    "CHARTEVENTS": "ROW_ID,SUBJECT_ID,HADM_ID,ICUSTAY_ID,ITEMID,CHARTTIME,STORETIME,CGID,VALUE,VALUENUM,VALUEUOM,WARNING,"
    "ERROR,RESULTSTATUS,STOPPED",
    "LABEVENTS": "ROW_ID,SUBJECT_ID,HADM_ID,ITEMID,CHARTTIME,VALUE,VALUENUM,VALUEUOM,FLAG",
}


def _write(folder: Path, table: str, rows: list[dict[str, Any]], lower: bool = False) -> None:
    columns = HEADERS[table].split(",")
    frame = pd.DataFrame([{"ROW_ID": i, **row} for i, row in enumerate(rows)], columns=columns)
    frame = frame.rename(columns=str.lower) if lower else frame
    (folder / f"{table}.csv.gz").write_bytes(gzip.compress(frame.to_csv(index=False).encode()))


def _stay(number: int, hours: float = 100, born: str = "2100-05-01 00:00:00", died: int = 0, **more: Any) -> dict[str, Any]:
    """A stay of its own patient and admission, described by what the three tables say of it."""
    entry = {"SUBJECT_ID": number, "HADM_ID": 1000 + number, "ICUSTAY_ID": 5000 + number, "DOB": born, "LOS": hours / 24}
    units = {"FIRST_CAREUNIT": "MICU", "LAST_CAREUNIT": "MICU", "FIRST_WARDID": 5, "LAST_WARDID": 5}
    times = {"INTIME": START, "OUTTIME": START + pd.Timedelta(hours=hours), "DISCHTIME": START + pd.Timedelta(hours=hours + 44)}
    return {**entry, **units, **times, "HOSPITAL_EXPIRE_FLAG": died, **more}


STAYS = [
    _stay(1), _stay(2, died=1), _stay(3, born="1850-03-02 00:00:00"), _stay(4, HADM_ID=1004), *(_stay(n) for n in range(20, 40)),
    # left out: short; a child (18 a day later); moved; two stays of an admission; no measurement
    _stay(5, hours=47.9), _stay(6, born="2132-03-02 00:00:00"), _stay(7, LAST_CAREUNIT="CCU"), _stay(8), _stay(9, HADM_ID=1008),
    _stay(10),
]  # fmt: skip
KEPT = [1, 2, 3, 4, *range(20, 40)]


def _events() -> list[tuple[int, int, float, str, str]]:
    """(stay, item, hours, value, unit), with what must not be used among them."""
    draw = np.random.default_rng(0)
    found: list[tuple[int, int, float, str, str]] = []
    for number in [*KEPT, 5, 6, 7, 8]:
        for item, low, high, unit in (
            (211, 60, 120, "BPM"), (220045, 60, 120, "bpm"), (678, 96, 104, "Deg. F"), (676, 36, 40, "Deg. C"),
            (50820, 7.1, 7.6, "units"), (3420, 21, 100, ""), (51, 90, 160, "mmHg"),
            (50931, 70, 200, "mg/dL"), (8368, 40, 90, "mmHg"),
        ):  # fmt: skip
            for _ in range(int(draw.integers(1, 9))):
                found.append((number, item, float(draw.integers(0, 60 * 47) / 60), f"{draw.uniform(low, high):.2f}", unit))
    found += [
        (1, 211, 48.5, "999", "BPM"),
        (1, 211, -0.5, "999", "BPM"),
        (1, 999, 3.0, "999", ""),
        (1, 50931, 4.0, "ERROR", "mg/dL"),
    ]
    found += [(1, 184, 5.0, "3 To speech", ""), (1, 223900, 5.0, "No Response-ETT", ""), (1, 3348, 6.0, "Brisk", "")]
    return found


def _mimic(folder: Path, events: list[tuple[int, int, float, str, str]], lower: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for table in ("PATIENTS", "ADMISSIONS", "ICUSTAYS"):
        columns = HEADERS[table].split(",")
        listed = STAYS if table != "ADMISSIONS" else list({stay["HADM_ID"]: stay for stay in STAYS}.values())
        _write(folder, table, [{k: v for k, v in stay.items() if k in columns} for stay in listed], lower)
    rows: dict[str, list[dict[str, Any]]] = {"CHARTEVENTS": [], "LABEVENTS": []}
    for number, item, hours, value, unit in events:
        stay = next(s for s in STAYS if s["SUBJECT_ID"] == number)
        common = {k: stay[k] for k in ("SUBJECT_ID", "HADM_ID")}
        at = START + pd.Timedelta(seconds=round(hours * 3600))
        row = {**common, "ITEMID": item, "CHARTTIME": at, "VALUE": value, "VALUEUOM": unit}
        if 50_000 <= item < 60_000:
            rows["LABEVENTS"].append(row)
        else:
            # Half the rows have no stay number, as in the true table.
            rows["CHARTEVENTS"].append({**row, "ICUSTAY_ID": stay["ICUSTAY_ID"] if len(rows["CHARTEVENTS"]) % 2 else None})
    rows["CHARTEVENTS"].append({**rows["CHARTEVENTS"][0], "ICUSTAY_ID": 99, "VALUE": "888"})  # another stay's
    rows["LABEVENTS"].append({**rows["LABEVENTS"][0], "HADM_ID": None, "VALUE": "888"})  # an outpatient's
    for table, content in rows.items():
        _write(folder, table, content, lower)


@pytest.fixture
def mimic(tmp_path: Path, write_manifest: Callable[..., Path]) -> Path:
    """A mirror that holds the five tables, made up, with true headers."""
    files = [{"path": f"{table}.csv.gz"} for table in HEADERS]
    layouts = {"official": {"folders": ["mimic3", "."], "files": files}}
    write_manifest("mimic3", access="gated", layouts=layouts, steps=["Sign for it.", "Download it."])
    part = {"folders": ["demo"], "partial": True, "files": [f for f in files if "CHART" not in f["path"]]}
    write_manifest("mimic3_demo", layouts={"official": {"folders": ["whole"], "files": files}, "csv_gz": part}, steps=["Get it."])
    _mimic(tmp_path / "mirror" / "mimic3", _events())
    return tmp_path / "mirror"


def _plain_features(events: list[tuple[int, int, float, str, str]]) -> np.ndarray:
    """The 714 features stay by stay, in the words of the benchmark."""
    variable = {item: name for name, items in clinical.ITEMS.items() for item in items}
    words = {"3 To speech": 3.0, "No Response-ETT": 1.0, "Brisk": 0.0}
    rows = []
    for number in KEPT:
        for name in clinical.VARIABLES:
            series: dict[float, float] = {}
            for owner, item, hours, text, _ in events:
                if owner != number or variable.get(item) != name or not 0 <= hours <= 48 or text == "ERROR":
                    continue
                value = words[text] if text in words else float(text)
                value = (value - 32) * 5 / 9 if item == 678 else value / 100 if item == 3420 and value > 1 else value
                series[hours] = max(value, series.get(hours, -np.inf))
            times = sorted(series)
            for side, percent in clinical.SUBSEQUENCES:
                if not times:
                    rows += [[np.nan] * 6]
                    continue
                reach = (times[-1] - times[0]) * percent / 100 + 1e-6
                inside = [t for t in times if (t >= times[-1] - reach if side == "last" else t <= times[0] + reach)]
                x = np.array([series[t] for t in inside])
                rows += [[x.min(), x.max(), x.mean(), x.std(), skew(x) if np.ptp(x) > 0 else 0.0, len(x)]]
    return np.array(rows).reshape(len(KEPT), -1)


@pytest.mark.parametrize("lower", [False, True])
def test_features_equal_a_plain_computation_whatever_the_chunks(mimic: Path, lower: bool) -> None:
    """All 714, from chunks of 60 rows as from one; headers may be in lower case, as in the demo."""
    if lower:
        _mimic(mimic / "mimic3", _events(), lower=True)
    stays = clinical.load_mimic3(mirror=mimic, chunk=60 if lower else 100_000)
    assert stays.patient.tolist() == KEPT
    assert stays.features.shape == (len(KEPT), 714) == (len(KEPT), 17 * 7 * 6)
    np.testing.assert_allclose(stays.features, _plain_features(_events()), rtol=1e-9, atol=1e-9)
    assert stays.died.tolist() == [int(n == 2) for n in KEPT]
    np.testing.assert_allclose(stays.days, 6.0)


def test_the_prepared_set_has_714_inputs_and_splits_by_patient(mimic: Path) -> None:
    stays = clinical.load_mimic3(mirror=mimic)
    died = (np.arange(len(stays)) % 3 == 0).astype(np.int64)
    patient = np.arange(len(stays)) // 2
    task = clinical.prepared(replace(stays, died=died, patient=patient))
    assert task.d == 714
    assert torch.isfinite(task.test.x).all()
    owners = [set(patient[part.rows]) for part in (task.train, task.validation, task.test)]
    assert not owners[0] & owners[1]
    assert not owners[0] & owners[2]
    assert not owners[1] & owners[2]


@pytest.mark.parametrize(
    ("item", "value", "unit", "expected"),
    [
        (678, "98.6", "", 37.0), (676, "37.5", "", 37.5), (223762, "98.6", "", 37.0),
        (226707, "70", "Inch", 177.8), (226730, "170", "cm", 170), (1394, "60", None, 152.4),
        (763, "80", "kg", 80), (3581, "100", None, 45.3592), (226531, "100", "", 45.3592), (3582, "16", None, 0.453592),
        (763, "10", "lb", 4.53592),
        (3420, "40", "", 0.4), (223835, "0.5", "", 0.5), (3420, "40", "torr", 40), (646, "0.98", "%", 98), (646, "97", "%", 97),
        (51, "120/80", "", 120), (8368, "120/80", "", 80), (455, "118", "", 118),
        (454, "6 Obeys Commands", "", 6), (223901, "Localizes Pain", "", 5), (723, "1.0 ET/Trach", "", 1),
        (220739, "None", "", 1), (198, "15", "", 15),
        (3348, "Delayed", "", 1), (3348, "Other/Remarks", "", np.nan), (50820, "ERROR", "", np.nan), (50931, "7.4 ", "", 7.4),
    ],
)  # fmt: skip
def test_units_and_words_become_one_scale(item: int, value: str, unit: str | None, expected: float) -> None:
    """°C, cm, kg, share of oxygen, percent saturation, points of the coma scale; anything else is no value."""
    rows = pd.DataFrame({"ITEMID": [float(item)], "VALUE": [value], "VALUEUOM": pd.Series([unit], dtype="str")})
    np.testing.assert_allclose(clinical.clean(rows), [expected], rtol=1e-6)


def test_the_seventeen_variables_share_no_item() -> None:
    items = [item for group in clinical.ITEMS.values() for item in group]
    assert len(clinical.VARIABLES) == 17
    assert len(set(items)) == len(items)
    assert len(set(clinical.feature_names())) == 714


@pytest.mark.parametrize("table", list(HEADERS))
def test_a_missing_table_is_named_with_what_to_do(mimic: Path, table: str) -> None:
    (mimic / "mimic3" / f"{table}.csv.gz").unlink()
    with pytest.raises(DataMissing, match=rf"no {table}\.csv\.gz in .*\(1\) Sign for it") as error:
        clinical.load_mimic3(mirror=mimic)
    assert "\n" not in str(error.value)


def test_without_any_table_the_steps_are_told(mimic: Path, tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"cannot be fetched automatically: \(1\) Sign for it"):
        clinical.load_mimic3(mirror=tmp_path)


@pytest.mark.parametrize("table", list(HEADERS))
@pytest.mark.parametrize("how", ["cut", "column", "time"])
def test_a_broken_table_is_named_in_one_line(mimic: Path, table: str, how: str) -> None:
    file = mimic / "mimic3" / f"{table}.csv.gz"
    content = file.read_bytes()
    text = gzip.decompress(content).decode()
    if how == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif how == "column":
        file.write_bytes(gzip.compress(text.replace("SUBJECT_ID", "X").replace("HADM_ID", "Y").encode()))
    else:
        file.write_bytes(gzip.compress(text.replace("2150-03-0", "soon ").replace("-05-01", "-55-01").encode()))
    with pytest.raises(DataCorrupt, match=rf"{table}\.csv\.gz") as error:
        clinical.load_mimic3(mirror=mimic)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("table", list(HEADERS))
@pytest.mark.parametrize("change", [lambda row: row.rpartition(b",")[0], lambda row: row + b",1"], ids=["short", "long"])
def test_a_row_of_another_number_of_fields_is_named_with_its_line(mimic: Path, table: str, change: Any) -> None:
    file = mimic / "mimic3" / f"{table}.csv.gz"
    rows = gzip.decompress(file.read_bytes()).splitlines()
    rows[2] = change(rows[2])
    file.write_bytes(gzip.compress(b"\n".join([*rows, b""])))
    with pytest.raises(DataCorrupt, match=rf"{table}\.csv\.gz, line 3: \d+ fields, not the {len(rows[0].split(b','))} of"):
        clinical.load_mimic3(mirror=mimic)


@given(
    st.lists(st.tuples(st.booleans(), st.lists(st.text('ab",\n', max_size=3), min_size=2, max_size=2)), min_size=1, max_size=5),
    st.integers(1, 7),
)
def test_rows_are_counted_as_pythons_csv_reader_counts_them(tmp_path_factory: Any, rows: Any, size: int) -> None:
    """Law: quoted commas, quotation marks and line ends count for none, wherever a piece of the file ends."""
    file = tmp_path_factory.getbasetemp() / "rows.csv"
    with file.open("w", newline="") as content:
        csv.writer(content, lineterminator="\n").writerows([["a", "b"], *[row[: 1 + whole] for whole, row in rows]])
    with file.open(newline="") as content:
        reader = csv.reader(content)
        odd = next((reader.line_num for row in reader if len(row) != 2), None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refusals, "_PIECE", size)
        if odd is None:
            refusals.refuse_ragged(file)
        else:
            with pytest.raises(DataCorrupt, match=rf"line {odd}: 1 fields, not the 2 of the header"):
                refusals.refuse_ragged(file)


def test_tables_that_a_person_unpacked_are_read_as_packed_ones(tmp_path: Path) -> None:
    """By the set's own manifest: the five .csv.gz, or the five .csv."""
    _mimic(tmp_path / "mimic3", _events())
    packed = clinical.load_mimic3(mirror=tmp_path)
    for file in sorted((tmp_path / "mimic3").iterdir()):
        file.with_suffix("").write_bytes(b"\xef\xbb\xbf" + gzip.decompress(file.read_bytes()).replace(b"\n", b"\r\n"))
        file.unlink()
    assert clinical.load_mimic3(mirror=tmp_path).sha256 == packed.sha256
    file = tmp_path / "mimic3" / "LABEVENTS.csv"
    os.truncate(file, file.stat().st_size - 30)
    with pytest.raises(DataCorrupt, match=r"LABEVENTS\.csv: its last line has no end"):
        clinical.load_mimic3(mirror=tmp_path)
    file.unlink()
    with pytest.raises(DataMissing, match=r"no LABEVENTS\.csv in"):
        clinical.load_mimic3(mirror=tmp_path)


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        (
            "ADMISSIONS",
            "1,,1002,",
            "1,,8,",
            r"ADMISSIONS\.csv\.gz: HADM_ID of a stay in ICUSTAYS\.csv\.gz does not stand there once",
        ),
        ("PATIENTS", "1,2,", "1,88,", r"PATIENTS\.csv\.gz: SUBJECT_ID of a stay"),
        ("PATIENTS", "1,2,", "1,1,", r"PATIENTS\.csv\.gz: SUBJECT_ID of a stay"),
        ("ICUSTAYS", "MICU", "", r"ICUSTAYS\.csv\.gz: column FIRST_CAREUNIT is empty"),
        ("CHARTEVENTS", "211", "999", None),
        ("LABEVENTS", ",50931,", ",x,", r"LABEVENTS\.csv\.gz, one of the 60 lines from line 2 on, cannot be read"),
        ("LABEVENTS", ",50820,", ",y,", r"LABEVENTS\.csv\.gz, one of the 60 lines from line \d+ on, cannot be read"),
        ("LABEVENTS", "units", "\x85", None),
    ],
)
def test_tables_that_do_not_fit_each_other_are_refused(mimic: Path, table: str, old: str, new: str, message: str | None) -> None:
    """Law: no stay is dropped, and no patient doubled, because two tables do not match. An unknown item changes nothing."""
    file = mimic / "mimic3" / f"{table}.csv.gz"
    text = gzip.decompress(file.read_bytes()).decode()
    if table == "ADMISSIONS":
        old = next(line for line in text.splitlines() if ",1002," in line)
        new = old.replace(",1002,", ",88,")
    assert old in text
    file.write_bytes(gzip.compress(text.replace(old, new).encode("latin-1")))
    if message is None and new == "999":
        assert len(clinical.load_mimic3(mirror=mimic)) == len(KEPT)
        return
    with pytest.raises(DataCorrupt, match=message or r"LABEVENTS\.csv\.gz, one of the 60 lines from line 2 on, cannot"):
        clinical.load_mimic3(mirror=mimic, chunk=60)


def test_a_part_of_the_set_can_be_checked_without_vital_signs(mimic: Path) -> None:
    """Laboratory tables alone give their features, and only those; asking for the rest says which file is missing."""
    _mimic(mimic / "demo", _events())
    (mimic / "demo" / "CHARTEVENTS.csv.gz").unlink()
    part = clinical.load_mimic3("mimic3_demo", ["LABEVENTS"], mimic)
    known = {name.split(",")[0] for name in part.features.columns[part.features.notna().any()]}
    assert known == {"glucose", "pH"}
    with pytest.raises(DataMissing, match=r"no CHARTEVENTS\.csv\.gz in .*mtlrepro data fetch mimic3_demo") as error:
        clinical.load_mimic3("mimic3_demo", mirror=mimic)
    assert "\n" not in str(error.value)
    with pytest.raises(BadValue):
        clinical.load_mimic3("mimic3", [], mimic)


def test_table_1_runs_on_mimic_where_a_person_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exhibit's own function, by the parameter `source`: 714 inputs, patients apart, other rows than those of a stand-in."""
    _mimic(tmp_path / "mimic3", _events())
    file = tmp_path / "mimic3" / "ADMISSIONS.csv.gz"
    table = pd.read_csv(file)
    file.write_bytes(gzip.compress(table.assign(HOSPITAL_EXPIRE_FLAG=table["SUBJECT_ID"] % 3 // 2).to_csv(index=False).encode()))
    monkeypatch.setenv("MTLREPRO_MIRROR", str(tmp_path))
    real_data.source.cache_clear()
    values = {"seeds": 2, "first_seed": 5, "grid": 2, "rates": [0.1, 0.2], "steps": 4, "check": 2, "points": 3}
    values |= {"methods": ["stl"], "updates": ["as printed"], "ablations": [], "longer_seeds": 0, "source": "mimic3"}
    p = Params("hydalearn/tab1", "quick", values, {"source": "mimic3"})
    listed = real_data.settings(p, "mortality")
    rows = [row for setting in listed for row in real_data.measure(**setting)]
    assert {(row["kind"], row["seed"]) for row in rows} == {("seed", 5), ("seed", 6), ("control", 5), ("control", 6)}
    assert real_data.chosen_source(p, "mortality").tier == "paper's data"
    assert int(real_data.sizes("mortality", 5, "mimic3")["rows"].sum()) == len(KEPT)
    assert set(real_data.sizes("mortality", 5, "mimic3")["inputs"]) == {714}
    real_data.source.cache_clear()
    (tmp_path / "mimic3" / "CHARTEVENTS.csv.gz").unlink()
    with pytest.raises(DataMissing, match=r"mimic3: no CHARTEVENTS\.csv\.gz in "):
        real_data.settings(p, "mortality")


# --- the data at hand -------------------------------------------------------------------------------------------------


def _at_hand(name: str) -> None:
    if places.find(name) is None:
        pytest.skip(f"{name} is not at hand")


def test_the_true_support2_is_what_its_manifest_says() -> None:
    _at_hand("support2")
    stays = clinical.load_support2()
    assert (len(stays), int(stays.died.sum()), float(np.median(stays.days))) == (9105, 2360, 11.0)


def test_the_open_demo_of_mimic_is_read() -> None:
    """Real tables of the true schema; at most 100 patients."""
    _at_hand("mimic3_demo")
    stays = clinical.load_mimic3("mimic3_demo", ["LABEVENTS"])
    assert 20 < len(stays) <= 136
    assert len(np.unique(stays.patient)) <= 100
    assert stays.features["glucose, whole, mean"].between(40, 1000).all()
    assert stays.features["oxygen saturation, whole, maximum"].dropna().between(20, 100).all()
