"""Laws of the loaders of public ECG sets, on tiny files of the true WFDB layouts."""

from __future__ import annotations

import lzma
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wfdb

from mtlrepro import data
from mtlrepro.data import places
from mtlrepro.errors import BadValue, DataCorrupt, UnknownName
from mtlrepro.papers.cotask import tab1_ecg_p18
from mtlrepro.papers.cotask.data import ecg_sets
from mtlrepro.papers.cotask.data.ecg import LEADS, scaled
from mtlrepro.papers.cotask.training import ecg_training
from mtlrepro.parameters import Params

NAMES = ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]
# ecg_id, patient, statements, fold.
RECORDS = [
    (1, "15709.0", "{'NORM': 100.0, 'SR': 0.0}", 3),
    (2, "13243.0", "{'AFIB': 0.0, 'LVH': 50.0}", 9),
    (3, "13243.0", "{'CRBBB': 100.0, 'AFIB': 0.0}", 9),
    (5, "20372.0", "{'IMI': 80.0, 'PVC': 100.0, 'AFIB': 0.0}", 10),
]
STATEMENTS = (
    ",description,diagnostic,form,rhythm,diagnostic_class\n"
    "NORM,normal,1.0,,,NORM\nLVH,hypertrophy,1.0,,,HYP\nCRBBB,block,1.0,,,CD\nIMI,infarction,1.0,,,MI\n"
    "NDT,T wave,1.0,1.0,,STTC\nPVC,premature,,1.0,,\nAFIB,fibrillation,,,1.0,\nSR,sinus,,,1.0,\n"
)


def _signals(count: int, samples: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-2000, 2000, (count, samples, 12)) / 1000


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PTB-XL with four records, as it is published; its folder is named as the manifest says."""
    monkeypatch.setenv("MTLREPRO_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "ptbxl"
    lines = ["ecg_id,patient_id,age,sex,report,scp_codes,strat_fold,filename_lr,filename_hr"]
    for (number, patient, codes, fold), values in zip(RECORDS, _signals(4, 1000), strict=True):
        paths = {}
        for kind, rate in (("lr", 100), ("hr", 500)):
            place = folder / f"records{rate}" / "00000"
            place.mkdir(parents=True, exist_ok=True)
            many = np.repeat(values, rate // 100, 0)
            wfdb.wrsamp(
                f"{number:05d}_{kind}", fs=rate, units=["mV"] * 12, sig_name=NAMES, p_signal=many, fmt=["16"] * 12,
                adc_gain=[1000.0] * 12, baseline=[0] * 12, write_dir=str(place),
            )  # fmt: skip
            paths[kind] = f"records{rate}/00000/{number:05d}_{kind}"
        lines.append(f'{number},{patient},56.0,1,"sinus, ääh",{_quoted(codes)},{fold},{paths["lr"]},{paths["hr"]}')
    (folder / "ptbxl_database.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "scp_statements.csv").write_text(STATEMENTS)
    return tmp_path


def _quoted(text: str) -> str:
    return f'"{text}"'


@pytest.mark.parametrize("rate", [100, 500])
def test_ptbxl_has_millivolts_patients_and_the_official_folds(mirror: Path, rate: int) -> None:
    own = ecg_sets.load_ptbxl(least=1, rate=rate, mirror=mirror)
    assert own.signals.shape == (4, 12, 10 * rate)
    np.testing.assert_allclose(own.signals[..., :: rate // 100], _signals(4, 1000).transpose(0, 2, 1), atol=1e-6)
    assert own.patients.tolist() == [15709, 13243, 13243, 20372]
    assert own.split is not None
    assert own.split.tolist() == [0, 1, 1, 2]
    assert (own.rate, own.tier) == (rate, "public stand-in")


def test_diagnoses_have_the_papers_names_and_superclasses_those_of_their_statements(mirror: Path) -> None:
    """A statement counts whatever its likelihood; rhythms and forms have no superclass."""
    own = ecg_sets.load_ptbxl(least=1, mirror=mirror)
    marks = {name: own.labels[:, i].tolist() for i, name in enumerate(own.names)}
    assert marks == {"LVH": [0, 1, 0, 0], "AFIB": [0, 1, 1, 1], "RBBB": [0, 0, 1, 0], "VPC": [0, 0, 0, 1]}
    assert ecg_sets.load_ptbxl(least=2, mirror=mirror).names == ("AFIB",)
    classes = ecg_sets.load_ptbxl("superclasses", least=1, mirror=mirror)
    assert classes.names == ("NORM", "MI", "CD", "HYP")
    assert classes.labels.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]]
    assert len(ecg_sets.load_ptbxl(least=1, limit=2, mirror=mirror).signals) == 2


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(mirror: Path) -> None:
    before = ecg_sets.load_ptbxl(least=1, mirror=mirror)
    for name in ("ptbxl_database.csv", "scp_statements.csv"):
        file = mirror / "ptbxl" / name
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert ecg_sets.load_ptbxl(least=1, mirror=mirror).sha256 == before.sha256


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "ptbxl_database.csv",
            lambda c: c.replace(b"{'AFIB': 0.0, 'LVH'", b"{'AFIB': 0.0, LVH"),
            r"database\.csv, line 3: scp_codes",
        ),
        ("ptbxl_database.csv", lambda c: c.replace(b",10,rec", b",11,rec"), r"database\.csv, line 5: strat_fold is '11'"),
        ("ptbxl_database.csv", lambda c: c.replace(b"20372.0", b""), r"database\.csv, line 5: patient_id is ''"),
        ("ptbxl_database.csv", lambda c: c.replace(b"scp_codes", b"codes"), "no column scp_codes"),
        ("ptbxl_database.csv", lambda c: c.replace("ä".encode(), b"\xe4"), r"database\.csv, line 2: a byte"),
        ("ptbxl_database.csv", lambda c: c.replace(b"\n3,", b"\n2,"), r"database\.csv, line 4: ecg_id 2 stands twice"),
        ("ptbxl_database.csv", lambda c: c.replace(b"00003_lr", b"00002_lr"), r"line 4: filename_lr .*00002_lr stands twice"),
        ("ptbxl_database.csv", lambda c: c.replace(b"20372", b"13243"), r"line 3: records of patient 13243 stand in two"),
        ("ptbxl_database.csv", lambda c: re.sub(rb"\d+\.0,56", b",56", c), r"database\.csv: column patient_id is empty"),
        (
            "ptbxl_database.csv",
            lambda c: c.replace(b"00000/00002_lr", b"x/00000/00002_lr"),
            r"x/00000/00002_lr\.hea is not there",
        ),
        ("records100/00000/00002_lr.dat", lambda c: c[: len(c) // 2], r"00002_lr\.hea: the record cannot be read"),
        ("records100/00000/00002_lr.dat", lambda c: c[:-1] + b"\x11", r"00002_lr\.hea: the samples do not have"),
        ("records100/00000/00002_lr.hea", lambda c: c.replace(b" V6", b" V7"), "no lead v6"),
        ("records100/00000/00002_lr.hea", lambda c: c[:100], r"00002_lr"),
        ("records100/00000/00002_lr.hea", lambda c: c.replace(b"/mV", b"/mmHg"), "is in mmHg, not in one of mV, uV, V"),
        ("records100/00000/00002_lr.hea", lambda c: c.replace(b" 100 1000", b" 250 1000"), r"hea: 250 samples a second, not 100"),
        ("records100/00000/00002_lr.hea", lambda c: c.replace(b" 1000\n", b" 99999999999\n"), "the record cannot be read"),
    ],
)
def test_an_odd_file_of_ptbxl_is_named_in_one_line(
    mirror: Path, name: str, change: Callable[[bytes], bytes], message: str
) -> None:
    file = mirror / "ptbxl" / name
    before = file.read_bytes()
    file.write_bytes(change(before))
    assert file.read_bytes() != before
    with pytest.raises(DataCorrupt, match=message) as error:
        ecg_sets.load_ptbxl(least=1, mirror=mirror)
    assert "\n" not in str(error.value)


def test_a_record_in_microvolts_is_read_in_millivolts(mirror: Path) -> None:
    before = ecg_sets.load_ptbxl(least=1, mirror=mirror).signals
    header = mirror / "ptbxl/records100/00000/00002_lr.hea"
    header.write_bytes(header.read_bytes().replace(b"1000.0(0)/mV", b"1.0(0)/uV"))
    np.testing.assert_allclose(ecg_sets.load_ptbxl(least=1, mirror=mirror).signals, before, rtol=1e-5)


def test_a_flat_lead_is_read_and_lost_samples_are_named(mirror: Path) -> None:
    """An electrode that came off gives a flat line; a lead that is flat in every training recording cannot be scaled."""
    values = _signals(1, 1000)[0]
    values[:, 6] = 0.25
    for lost in (False, True):
        values[5:9, 7] = np.nan if lost else 0
        wfdb.wrsamp(
            "00001_lr", fs=100, units=["mV"] * 12, sig_name=NAMES, p_signal=values, fmt=["16"] * 12, adc_gain=[1000.0] * 12,
            baseline=[0] * 12, write_dir=str(mirror / "ptbxl/records100/00000"),
        )  # fmt: skip
        if not lost:
            own = ecg_sets.load_ptbxl(least=1, mirror=mirror)
            assert (own.signals[0, 6] == 0.25).all()
    with pytest.raises(DataCorrupt, match="00001_lr lacks samples of lead v2"):
        ecg_sets.load_ptbxl(least=1, mirror=mirror)
    assert np.isfinite(scaled(own.signals, np.arange(4))).all()
    with pytest.raises(BadValue, match="lead v1 is flat"):
        scaled(own.signals, np.arange(1))


def test_values_out_of_range_are_refused(mirror: Path) -> None:
    with pytest.raises(UnknownName, match="kind of labels"):
        ecg_sets.load_ptbxl("both", mirror=mirror)  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="100 or 500"):
        ecg_sets.load_ptbxl(rate=250, mirror=mirror)
    with pytest.raises(BadValue, match="no label stands 10 times in 4 records"):
        ecg_sets.load_ptbxl(mirror=mirror)


# --- the packed part --------------------------------------------------------------------------------------------------


def _packed(microvolts: np.ndarray) -> bytes:
    """(n, 1000, 12) as the part's file has them: differences, zig-zag, two planes of bytes."""
    x = microvolts.transpose(2, 0, 1).astype(np.int64)
    i, ii = x[0], x[1]
    left = [np.diff(lead, axis=1, prepend=0) for lead in x]
    left[2:6] = [x[2] - (ii - i), x[3] + (i + ii) // 2, x[4] - (i - ii // 2), x[5] - (ii - i // 2)]
    numbers = np.stack(left).ravel()
    zigzag = ((numbers << 1) ^ (numbers >> 63)).astype(np.uint16)
    return lzma.compress((zigzag & 255).astype(np.uint8).tobytes() + (zigzag >> 8).astype(np.uint8).tobytes())


def test_the_packed_part_is_the_same_signals_as_the_published_files(mirror: Path, write_manifest: Callable[..., Path]) -> None:
    """Law: read from either layout, a record has the same numbers, part and (where known) patient."""
    names = ["ptbxl_database.csv", "scp_statements.csv"]
    layout = {"folders": ["ptbxl"], "files": [{"path": name} for name in names]}
    write_manifest("ptbxl", steps=["Get it."], layouts={"official": layout})
    whole = ecg_sets.load_ptbxl("superclasses", least=1, mirror=mirror)
    folder = mirror / "part"
    folder.mkdir()
    lines = ["ecg_id,split,NORM,MI,STTC,CD,HYP,statements,statements_from,strat_fold,patient_id,age,sex"]
    lines += ["1,train,1,0,0,0,0,,,,,,", "2,val,0,0,0,0,1,,,,13243,,", "3,val,0,0,0,1,0,,,,13243,,", "5,test,0,1,0,0,0,,,,,,"]
    (folder / "records.csv").write_text("\n".join(lines) + "\n")
    (folder / "signals.xz").write_bytes(_packed(np.round(_signals(4, 1000) * 1000).astype(np.int64)))
    files = [{"path": "records.csv"}, {"path": "signals.xz"}]
    write_manifest("ptbxl100", steps=["Get it."], layouts={"packed": {"folders": ["part"], "files": files}})
    part = ecg_sets.load_ptbxl100(mirror)
    np.testing.assert_array_equal(part.signals, whole.signals)
    assert part.names == whole.names
    assert part.labels.tolist() == whole.labels.tolist()
    assert part.split is not None
    assert part.split.tolist() == [0, 1, 1, 2]
    assert part.patients.tolist() == [-1, 13243, 13243, -5]
    (folder / "signals.xz").write_bytes(_packed(np.zeros((3, 1000, 12), np.int64)))
    with pytest.raises(DataCorrupt, match=r"signals\.xz does not hold 4 records"):
        ecg_sets.load_ptbxl100(mirror)


def test_the_true_part_is_what_its_manifest_says() -> None:
    if places.find("ptbxl100") is None:
        pytest.skip("ptbxl100 is not at hand")
    opened = data.open("ecg_p18")
    own = opened.content
    assert own.signals.shape == (1987, 12, 1000)
    assert own.labels.sum(0).tolist() == [1051, 370, 467, 410, 215]
    assert np.bincount(own.split).tolist() == [1490, 242, 255]
    known = own.patients > 0
    parts = [set(own.patients[known & (own.split == part)]) for part in range(3)]
    assert sum(map(len, parts)) == len(set.union(*parts))


# --- CPSC 2018 --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["g1", "."])
def cpsc(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three records: .mat files whose samples begin at byte 24, one of them of 6 s only."""
    monkeypatch.setenv("MTLREPRO_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "cpsc2018" / request.param
    folder.mkdir(parents=True)
    for number, (seconds, codes) in enumerate([(12, "164889003,59118001"), (6, "426783006"), (10, " 164889003")], start=1):
        values = np.random.default_rng(number).integers(-900, 900, (500 * seconds, 12)).astype("<i2")
        name = f"A{number:04d}"
        (folder / f"{name}.mat").write_bytes(b"\x00" * 24 + values.tobytes())
        sums = values.astype(np.int64).sum(0) % 65536
        sums = np.where(sums > 32767, sums - 65536, sums)
        lines = [f"{name} 12 500 {500 * seconds} 12-May-2020 12:33:59"]
        lines += [
            f"{name}.mat 16+24 1000/mV 16 0 {values[0, i]} {sums[i]} 0 {lead}"
            for i, lead in enumerate(["I", "II", "III", *NAMES[3:]])
        ]
        (folder / f"{name}.hea").write_text("\n".join([*lines, "#Age: 74", "#Sex: Male", f"#Dx: {codes}", ""]))
    return folder


def test_cpsc_records_are_cut_or_filled_and_their_codes_are_labels(cpsc: Path, tmp_path: Path) -> None:
    own = ecg_sets.load_cpsc2018(least=1, mirror=tmp_path)
    assert own.signals.shape == (3, 12, 5000)
    assert own.names == ("AFIB", "RBBB")
    assert own.labels.tolist() == [[1, 1], [0, 0], [1, 0]]
    assert (own.signals[1, :, 3000:] == 0).all()
    wanted = np.random.default_rng(2).integers(-900, 900, (3000, 12)) / 1000
    np.testing.assert_allclose(own.signals[1, :, :3000].T, wanted, atol=1e-6)
    assert len(LEADS) == own.signals.shape[1]


def test_a_record_in_two_folders_is_refused(cpsc: Path, tmp_path: Path) -> None:
    """Each copy would count as a patient: it would be trained on and tested on."""
    (tmp_path / "cpsc2018" / "again").mkdir()
    for end in (".hea", ".mat"):
        shutil.copy(cpsc / f"A0002{end}", tmp_path / "cpsc2018" / "again")
    with pytest.raises(DataCorrupt, match=r"A0002\.hea stands in .*, too"):
        ecg_sets.load_cpsc2018(least=1, mirror=tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("A0002.mat", lambda c: c[:2000], r"A0002\.hea: the record cannot be read"),
        ("A0002.hea", lambda c: c.replace(b"#Dx", b"#D"), r"A0002\.hea has no line"),
        ("A0002.hea", lambda c: b"", r"A0002\.hea: the record cannot be read"),
    ],
)
def test_an_odd_record_of_cpsc_is_named(
    cpsc: Path, tmp_path: Path, name: str, change: Callable[[bytes], bytes], message: str
) -> None:
    (cpsc / name).write_bytes(change((cpsc / name).read_bytes()))
    with pytest.raises(DataCorrupt, match=message):
        ecg_sets.load_cpsc2018(least=1, mirror=tmp_path)


# --- Table 7 ----------------------------------------------------------------------------------------------------------


def test_table_7_runs_on_a_set_that_a_person_has(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exhibit's own function, by the parameter `source`: official parts, the set's labels, its tier."""
    table = mirror / "ptbxl" / "ptbxl_database.csv"
    head, *lines = table.read_text().splitlines()
    # Twelve copies, each of patients of its own, the last three in the official test part.
    many = []
    for copy in range(12):
        for i, line in enumerate(lines):
            _, patient, rest = line.split(",", 2)
            rest = re.sub(r",\d+,records100/00000/", f",{10 if copy >= 9 else 3},records100/{copy:05d}/", rest)
            many.append(f"{10 * copy + i},{float(patient) + 100_000 * copy},{rest}")
    for copy in range(1, 12):
        shutil.copytree(mirror / "ptbxl" / "records100" / "00000", mirror / "ptbxl" / "records100" / f"{copy:05d}")
    table.write_text("\n".join([head, *many]) + "\n")
    monkeypatch.setenv("MTLREPRO_MIRROR", str(mirror))
    ecg_training.recordings.cache_clear()
    values = {
        "source": "ptbxl",
        "records": 48,
        "seeds": 1,
        "first_seed": 3,
        "hertz": 100,
        "seconds": 4,
        "folds": 0,
        "auxiliary": 3,
    }
    values |= {
        "steps": 2,
        "epochs": 1,
        "batch": 4,
        "rates": [0.01, 0.02],
        "rate_seeds": 1,
        "fold_steps": 2,
        "twice_seeds": 1,
        "control_seeds": 1,
        "device": "cpu",
    }
    values |= {"net": {"channels": [4], "kernel": 3, "dropout": 0.0, "stem": 4}}
    p = Params("cotask/tab1", "quick", values, {"source": "ptbxl"})
    rates = dict.fromkeys(tab1_ecg_p18.METHODS, 0.01)
    own = [setting for setting in tab1_ecg_p18.settings(p, rates) if setting["kind"] == "test"]
    assert {setting["data_set"] for setting in own} == {"ptbxl"}
    tuned = tab1_ecg_p18.rate_settings(p)
    assert len(tuned) == 2 * len(rates)
    assert not {setting["seed"] for setting in tuned} & {setting["seed"] for setting in own}
    assert tab1_ecg_p18.rows_of(**tuned[0])[0].keys() == {"rate", "validation"}
    assert tab1_ecg_p18.tier(p) == "public stand-in"
    (row,) = tab1_ecg_p18.rows_of(**next(setting for setting in own if setting["method"] == "CO-TASK"))
    assert row["records"] == 12  # fold 10
    ecg_training.recordings.cache_clear()
    with pytest.raises(BadValue, match=r"cotask/tab1 runs on one of cpsc2018, ludb, .* not on 'ptb-xl'"):
        tab1_ecg_p18.settings(Params("cotask/tab1", "quick", values | {"source": "ptb-xl"}), rates)
