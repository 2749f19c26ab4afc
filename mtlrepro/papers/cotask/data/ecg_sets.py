"""Sets of twelve-lead ECGs with several labels per record: PTB-XL, a part of it and CPSC 2018 in WFDB form, and generated ones.

They stand in for the paper's ECG-P18, which was never released. Labels have the names of the paper's Table 1 where it has them.
"""

from __future__ import annotations

import ast
import lzma
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import wfdb
from numpy.typing import NDArray

from mtlrepro import exhibits
from mtlrepro.data.places import Located, arrays_sha256, check_arrays, locate
from mtlrepro.data.tables import text_table, whole_numbers
from mtlrepro.errors import BadValue, DataCorrupt, UnknownName
from mtlrepro.papers.cotask.data.ecg import LEADS, EcgSet, Ints, common_factor, generate, in_leads

SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
# Label of the paper -> SCP-ECG statement of PTB-XL, which has no ectopic atrial rhythm (EAR), no specific IVCD and no ventricular
# tachycardia (VT).
PTBXL_LABELS = {
    **{"LVH": "LVH", "RVH": "RVH", "AFIB": "AFIB", "AFL": "AFLT", "NIVCD": "IVCD", "RBBB": "CRBBB", "LBBB": "CLBBB"},
    **{"IRBBB": "IRBBB", "ILBBB": "ILBBB", "1AVB": "1AVB", "2AVB": "2AVB", "3AVB": "3AVB", "VBIG": "BIGU", "VPC": "PVC"},
    **{"APC": "PAC"},
}
# Label -> SNOMED CT code of CPSC 2018 in the headers of the PhysioNet Challenges 2020 and 2021; a normal record has none.
CPSC_LABELS = {
    **{"AFIB": "164889003", "1AVB": "270492004", "LBBB": "164909002", "RBBB": "59118001", "APC": "284470004"},
    **{"VPC": "164884008", "STD": "429622005", "STE": "164931005"},
}
_FOLDS = np.array([0, 0, 0, 0, 0, 0, 0, 0, 1, 2])  # folds 1 to 8 train, 9 validation, 10 test


# The generated sets and the exhibit whose printed ratios they have.
GENERATED = {"p18": "cotask/tab1", "echolvh": "cotask/tab2"}
# Average number of labels of ECG-P18's records that have any, as the paper states it.
CARDINALITY = 1.3283
# Sensitivity of the annotations of the minor tasks in the generated ECG-EchoLVH.
_ANNOTATOR = 0.85
# Variance of the common factor of ECG-EchoLVH's labels where all of the wall's waves are shared; at less, in proportion.
_COMMON = 0.15


def generated(
    kind: str = "p18", n: int = 1000, seed: int = 0, rate: float = 100.0, seconds: float = 10.0, shared_waves: float = 1.0
) -> EcgSet:
    """The generated set 'p18' or 'echolvh' with the paper's ratios, unfiltered. shared_waves: of echolvh, see `generate`."""
    ratios = exhibits.get(GENERATED[kind]).values
    if kind == "p18":
        shared = common_factor(ratios, CARDINALITY)
        return generate("ECG-P18, generated", ratios, n, seed, rate=rate, seconds=seconds, shared=shared)
    return generate(
        "ECG-EchoLVH, generated", ratios, n, seed, rate=rate, seconds=seconds, shared=_COMMON * shared_waves,
        shared_waves=shared_waves, sensitivity=_ANNOTATOR,
    )  # fmt: skip


def read_record(file: Path, rate: float) -> tuple[NDArray[np.float32], Mapping[str, str]]:
    """Signals (12, samples) in millivolts of a WFDB record by its path without ending, and its comments `name: value`.

    Raises DataCorrupt, naming the header: not there, cut off, a lead missing, a checksum other than the header's, or another
    number of samples a second than `rate`.
    """
    header = file.with_suffix(".hea")
    if not header.is_file():
        raise DataCorrupt(f"{header} is not there.")
    try:
        record = wfdb.rdrecord(str(file), physical=False)
        sums = [total % 65536 for total in record.checksum]
        record.p_signal = record.dac()
    except (OSError, ValueError, IndexError, KeyError, TypeError, MemoryError) as error:
        raise DataCorrupt(
            f"{header}: the record cannot be read ({(str(error) or type(error).__name__).splitlines()[0]})."
        ) from None
    if sums != [total % 65536 for total in record.calc_checksum()]:
        raise DataCorrupt(f"{header}: the samples do not have the header's checksums.")
    if record.fs != rate:
        raise DataCorrupt(f"{header}: {record.fs:g} samples a second, not {rate:g}.")
    comments = dict(part for line in record.comments if len(part := line.split(": ", 1)) == 2)
    return in_leads(record), comments


def _labelled(
    place: Located, signals: NDArray[np.float32], marks: Mapping[str, Sequence[bool]], least: int, patients: Ints, rate: float,
    split: Ints | None,
) -> EcgSet:  # fmt: skip
    """The set with those labels that at least `least` records have. Raises BadValue where there is none."""
    kept = {name: own for name, own in marks.items() if sum(own) >= least}
    if not kept:
        raise BadValue(f"{place.manifest.name}: no label stands {least} times in {len(signals)} records.")
    labels = np.array(list(kept.values()), np.int64).T
    digest = arrays_sha256({"signals": signals, "labels": labels, "patients": patients})
    tier = place.manifest.tier
    return EcgSet(place.manifest.name, signals, labels, tuple(kept), patients, rate, digest, tier, split=split)


# --- PTB-XL -----------------------------------------------------------------------------------------------------------


def load_ptbxl(
    labels: Literal["diagnoses", "superclasses"] = "diagnoses", least: int = 10, rate: int = 100, limit: int | None = None,
    mirror: Path | None = None,
) -> EcgSet:  # fmt: skip
    """PTB-XL (Wagner and others 2020) as published: 21,799 records of 10 s, `rate` 100 or 500 samples per second.

    labels: 'diagnoses', those of `PTBXL_LABELS` that at least `least` records have, or the five 'superclasses'; a statement
    counts whatever its likelihood. split: the official folds. limit: the first so many records. Raises DataMissing, DataCorrupt
    (file and line), BadValue, UnknownName.
    """
    if labels not in ("diagnoses", "superclasses"):
        raise UnknownName("kind of labels", labels, ("diagnoses", "superclasses"))
    if rate not in (100, 500) or (limit is not None and limit < 1):
        raise BadValue(f"rate is 100 or 500 and limit at least 1, not {rate} and {limit}.")
    place = locate("ptbxl", mirror)
    paths = "filename_lr" if rate == 100 else "filename_hr"
    file = place.check("ptbxl_database.csv")
    table = text_table(file.read_bytes(), file, ("ecg_id", "patient_id", "scp_codes", "strat_fold", paths))
    patients = whole_numbers(table["patient_id"], file)
    parts = _FOLDS[whole_numbers(table["strat_fold"], file, range(1, 11)) - 1]
    _refuse_overlap(file, table, ("ecg_id", paths), patients, parts)
    table, patients, parts = table[:limit], patients[:limit], parts[:limit]
    codes = [_statements(text, file, line) for line, text in zip(table.index.tolist(), table["scp_codes"], strict=True)]
    marks: dict[str, list[bool]]
    if labels == "diagnoses":
        marks = {name: [code in own for own in codes] for name, code in PTBXL_LABELS.items()}
    else:
        groups = _superclasses(place.check("scp_statements.csv"))
        marks = {name: [name in map(groups.get, own) for own in codes] for name in SUPERCLASSES}
    signals = np.empty((len(table), len(LEADS), 10 * rate), np.float32)
    for row, name in enumerate(table[paths]):
        own, _ = read_record(place.folder / str(name), rate)
        if own.shape != signals.shape[1:]:
            raise DataCorrupt(f"{file}, line {table.index[row]}: {name} has {own.shape[1]} samples, not {10 * rate}.")
        signals[row] = own
    return _labelled(place, signals, marks, least, patients, float(rate), parts)


def _refuse_overlap(file: Path, table: pd.DataFrame, keys: Sequence[str], patients: Ints, parts: Ints) -> None:
    """Raise DataCorrupt where a record stands twice, or a patient in two of the official parts."""
    for key in keys:
        if (again := table[key].duplicated()).any():
            raise DataCorrupt(f"{file}, line {table.index[again][0]}: {key} {table[key][again].iloc[0]} stands twice.")
    own = pd.Series(parts).groupby(patients)
    torn = (own.transform("min") != own.transform("max")).to_numpy()
    if torn.any():
        row = int(torn.argmax())
        raise DataCorrupt(
            f"{file}, line {table.index[row]}: records of patient {patients[row]} stand in two of the official parts."
        )


def _statements(text: str, file: Path, line: int) -> set[str]:
    """The keys of a dictionary {'NORM': 100.0}."""
    try:
        return set(ast.literal_eval(text).keys())
    except (ValueError, SyntaxError, AttributeError):
        raise DataCorrupt(f"{file}, line {line}: scp_codes are no statements: {text[:40]!r}.") from None


def _superclasses(file: Path) -> dict[str, str]:
    """Diagnostic statement -> its superclass."""
    table = text_table(file.read_bytes(), file, ("diagnostic", "diagnostic_class"))
    table = table[table["diagnostic"].isin(("1", "1.0"))]
    return dict(zip(table.iloc[:, 0], table["diagnostic_class"], strict=True))


def load_ptbxl100(mirror: Path | None = None) -> EcgSet:
    """1,987 records of PTB-XL at 100 Hz with the five superclasses, and its official folds as `split`.

    The patient is known for 720 records only; the others count as patients of their own with negative numbers, so use `split`,
    in which no patient is in two parts. Raises DataMissing, DataCorrupt.
    """
    place = locate("ptbxl100", mirror)
    file = place.check("records.csv")
    table = text_table(file.read_bytes(), file, ("ecg_id", "split", *SUPERCLASSES, "patient_id"))
    known = table["patient_id"].ne("").to_numpy()
    patients = -whole_numbers(table["ecg_id"], file)
    patients[known] = whole_numbers(table["patient_id"][known], file)
    marks = {name: whole_numbers(table[name], file, range(2)).tolist() for name in SUPERCLASSES}
    split = whole_numbers(table["split"].replace({"train": "0", "val": "1", "test": "2"}), file, range(3))
    _refuse_overlap(file, table, ("ecg_id",), patients, split)
    microvolts = _unpacked(place, len(table))
    check_arrays(place, {"signals": microvolts, "labels": np.array(list(marks.values()), np.uint8).T})
    signals = np.ascontiguousarray(microvolts.transpose(0, 2, 1) / 1000, np.float32)
    return _labelled(place, signals, marks, 1, patients, 100.0, split)


def _unpacked(place: Located, records: int) -> NDArray[np.int16]:
    """(records, 1000, 12) microvolts of signals.xz: LZMA of zig-zag numbers of 16 bits as two planes of bytes, lead by lead.

    Leads I, II and V1 to V6 are differences in time; the other limb leads what is left of Einthoven's and Goldberger's relations.
    """
    try:
        planes = np.frombuffer(lzma.decompress(place.read("signals.xz")), np.uint8).reshape(2, -1).astype(np.int32)
        zigzag = (planes[0] | planes[1] << 8).reshape(len(LEADS), records, 1000)
    except (lzma.LZMAError, ValueError, EOFError) as error:
        raise DataCorrupt(f"{place.folder / 'signals.xz'} does not hold {records} records: {error}.") from None
    leads = (zigzag >> 1) ^ -(zigzag & 1)
    for lead in (0, 1, *range(6, len(LEADS))):
        np.cumsum(leads[lead], axis=1, out=leads[lead])
    i, ii = leads[0], leads[1]
    leads[2] += ii - i
    leads[3] -= (i + ii) // 2
    leads[4] += i - ii // 2
    leads[5] += ii - i // 2
    return np.ascontiguousarray(leads.transpose(1, 2, 0).astype(np.int16))


# --- CPSC 2018 --------------------------------------------------------------------------------------------------------


def load_cpsc2018(seconds: float = 10.0, least: int = 10, limit: int | None = None, mirror: Path | None = None) -> EcgSet:
    """China Physiological Signal Challenge 2018 (Liu and others 2018), 6,877 records at 500 Hz, in WFDB form.

    Records last 6 to 144 s: the first `seconds` are read, with zeros after the end of a shorter one. One patient per record, as
    far as is known; no official split. limit: the first so many records. Raises DataMissing, DataCorrupt (naming the header),
    BadValue.
    """
    if not 1 <= seconds <= 60 or (limit is not None and limit < 1):
        raise BadValue(f"seconds are 1 to 60 and limit at least 1, not {seconds} and {limit}.")
    place = locate("cpsc2018", mirror)
    headers = sorted(place.folder.rglob("[AQ][0-9][0-9][0-9][0-9].hea"), key=lambda file: file.name)[:limit]
    for one, other in pairwise(headers):
        if one.name == other.name:
            raise DataCorrupt(f"{other} stands in {one.parent}, too: a record in two places would be trained and tested on.")
    signals = np.zeros((len(headers), len(LEADS), round(500 * seconds)), np.float32)
    codes = []
    for row, header in enumerate(headers):
        own, comments = read_record(header.with_suffix(""), 500)
        if "Dx" not in comments:
            raise DataCorrupt(f"{header} has no line '#Dx: ...' of diagnoses.")
        codes.append({code.strip() for code in comments["Dx"].split(",")})
        length = min(own.shape[1], signals.shape[2])
        signals[row, :, :length] = own[:, :length]
    marks = {name: [code in own for own in codes] for name, code in CPSC_LABELS.items()}
    return _labelled(place, signals, marks, least, np.arange(len(headers)), 500.0, None)
