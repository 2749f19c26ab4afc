"""Stays in intensive care of the PhysioNet/Computing in Cardiology Challenge 2012 (Silva and others): a stand-in for MIMIC-III.

12,000 stays drawn from MIMIC-II, in three sets of 4,000: a to train on, b and c to test on. Of each stay the first 48 hours of up
to 37 measurements, with age, sex, height and kind of unit; in-hospital death and the days from admission to discharge. Two
layouts give the same events: the official text files, one per stay, and all series in one packed file.
"""

from __future__ import annotations

import io
import lzma
import math
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlrepro.data.places import Located, check_arrays, locate
from mtlrepro.data.tables import text_table, whole_numbers
from mtlrepro.errors import DataCorrupt
from mtlrepro.files import decoded, gunzip
from mtlrepro.papers.hydalearn.data.clinical import HOURS, Floats, Stays
from mtlrepro.papers.hydalearn.data.tabular import UNKNOWN

SETS = ("a", "b", "c")
OUTCOMES = ("RecordID", "SAPS-I", "SOFA", "Length_of_stay", "Survival", "In-hospital_death")
SERIES = (
    *("ALP", "ALT", "AST", "Albumin", "BUN", "Bilirubin", "Cholesterol", "Creatinine", "DiasABP", "FiO2", "GCS", "Glucose"),
    *("HCO3", "HCT", "HR", "K", "Lactate", "MAP", "MechVent", "Mg", "NIDiasABP", "NIMAP", "NISysABP", "Na", "PaCO2", "PaO2"),
    *("Platelets", "RespRate", "SaO2", "SysABP", "Temp", "TroponinI", "TroponinT", "Urine", "WBC", "Weight", "pH"),
)
STATIC = ("Age", "Gender", "Height", "ICUType")
PARAMETERS = (*STATIC, *SERIES)
_SEX = {0: "female", 1: "male"}
_UNITS = {1: "coronary care", 2: "cardiac surgery", 3: "medical", 4: "surgical"}
_LARGEST = 2**24  # the outcomes have 0.3 MB
STATISTICS = ("count", "first", "last", "minimum", "maximum", "mean")


def load_icu2012(mirror: Path | None = None) -> Stays:
    """The stays whose length is known (that of 167 survivors is not), 226 features; `test` marks sets b and c.

    Features, our reading: age, height, sex and unit, and of every other parameter's values in the first 48 hours `STATISTICS`;
    negative values stand for missing ones. SAPS-I, SOFA and the survival in days tell the outcome and are no features.
    Raises DataMissing (with what to do), DataCorrupt (file and line).
    """
    place = locate("icu2012", mirror)
    outcomes = _outcomes(place)
    read = _official if place.layout == "official" else _packed
    events = read(place, outcomes).sort_values(["stay", "parameter", "minute", "value"], ignore_index=True)
    died, days = outcomes["In-hospital_death"].to_numpy(np.int64), outcomes["Length_of_stay"].to_numpy(np.float64)
    arrays: dict[str, NDArray[Any]] = {str(name): events[name].to_numpy() for name in events}
    digest = check_arrays(place, {**arrays, "died": died, "days": days})
    known = days >= 0
    features = features_of(events, len(outcomes))[known].reset_index(drop=True)
    record, test = outcomes["RecordID"].to_numpy(np.int64), outcomes["set"].ne("a").to_numpy(bool)
    tier, source = place.manifest.tier, place.source
    return Stays("icu2012", features, died[known], days[known], record[known], {}, digest, tier, source, test[known])


def features_of(events: pd.DataFrame, stays: int) -> pd.DataFrame:
    """Features (stays, 226) of sorted events with the columns stay, parameter (place in PARAMETERS), minute and value."""
    used = events[events["value"].ge(0) & events["minute"].lt(60 * HOURS)]
    columns: dict[str, Any] = {}
    for number, name in enumerate(PARAMETERS):
        own = used[used["parameter"].eq(number)].groupby("stay")["value"]
        if name in STATIC:
            columns[name] = own.last().reindex(range(stays)).to_numpy(np.float64)
            continue
        table = own.agg(["count", "first", "last", "min", "max", "mean"]).reindex(range(stays)).to_numpy(np.float64)
        table[:, 0] = np.nan_to_num(table[:, 0])
        columns |= {f"{name}, {statistic}": table[:, i] for i, statistic in enumerate(STATISTICS)}
    for name, words in (("Gender", _SEX), ("ICUType", _UNITS)):
        columns[name] = pd.Series(columns[name]).map(words).fillna(UNKNOWN).astype(str)
    return pd.DataFrame(columns)


def _outcomes(place: Located) -> pd.DataFrame:
    """One row per stay, set a first: the columns OUTCOMES and `set`. Raises DataCorrupt."""
    if place.layout != "official":
        table = _table(place.read("outcomes.csv.gz"), place.folder / "outcomes.csv.gz", (*OUTCOMES, "set"))
    else:
        files = {letter: f"Outcomes-{letter}.txt" for letter in SETS}
        parts = [_table(place.read(file), place.folder / file, OUTCOMES).assign(set=letter) for letter, file in files.items()]
        table = pd.concat(parts, ignore_index=True)
    if table["RecordID"].duplicated().any():
        raise DataCorrupt(f"{place.folder}: two outcomes of stay {table['RecordID'][table['RecordID'].duplicated()].iloc[0]}.")
    return table


def _table(content: bytes, file: Path, columns: Sequence[str]) -> pd.DataFrame:
    text = gunzip(content, file, _LARGEST) if file.suffix == ".gz" else content
    table = text_table(text, file, columns)
    allowed = {"In-hospital_death": range(2), "Length_of_stay": range(-1, 10_000)}
    outcomes = {name: whole_numbers(table[name], file, allowed.get(name)) for name in columns if name != "set"}
    if "set" in columns and not table["set"].isin(SETS).all():
        raise DataCorrupt(f"{file}, line {table.index[~table['set'].isin(SETS)][0]}: no set of {', '.join(SETS)}.")
    return pd.DataFrame({**outcomes, **{name: table[name].to_numpy() for name in columns if name == "set"}})


def _official(place: Located, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Events of the files set-a/132539.txt and so on. Lines without a parameter's name (in set c) are none."""
    stays, parameters, minutes, values = [], [], [], []
    places = {name: number for number, name in enumerate(PARAMETERS)}
    for stay, (letter, record) in enumerate(zip(outcomes["set"], outcomes["RecordID"], strict=True)):
        file = place.folder / f"set-{letter}" / f"{record}.txt"
        if not file.is_file():
            raise DataCorrupt(f"{file} is not there, and Outcomes-{letter}.txt lists stay {record}.")
        lines = decoded(file.read_bytes(), file).splitlines()
        if not lines or lines[0] != "Time,Parameter,Value":
            raise DataCorrupt(f"{file}, line 1: not Time,Parameter,Value.")
        if f"00:00,RecordID,{record}" not in lines:
            raise DataCorrupt(f"{file}, line 2: not 00:00,RecordID,{record}; is it another stay's, or cut off?")
        for number, line in enumerate(lines[1:], start=2):
            time, _, rest = line.partition(",")
            name, _, text = rest.partition(",")
            if (name == "RecordID" and text == str(record)) or (not name and text):
                continue
            try:
                minute, value, parameter = _minute(time), float(text), places[name]
                if not math.isfinite(value):
                    raise ValueError
            except (ValueError, KeyError):
                raise DataCorrupt(
                    f"{file}, line {number}: {line!r} is no hh:mm, parameter and number of stay {record}."
                ) from None
            stays.append(stay)
            parameters.append(parameter)
            minutes.append(minute)
            values.append(value)
    return _events(stays, parameters, minutes, values)


def _minute(time: str) -> int:
    """Minutes since admission of hh:mm. Raises ValueError."""
    if not re.fullmatch(r"\d\d:[0-5]\d", time):
        raise ValueError(time)
    return 60 * int(time[:2]) + int(time[3:])


def _packed(place: Located, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Events of series.npz: per parameter the number of values of each stay, minutes since the value before (since admission for
    the first) and codes in a table of values; numbers of 16 bits as two planes of bytes."""

    def wide(planes: NDArray[np.uint8]) -> NDArray[np.int64]:
        whole: NDArray[np.int64] = planes[0].astype(np.int64) | planes[1].astype(np.int64) << 8
        return whole

    parts = []
    file = place.folder / "series.npz"
    try:
        with np.load(io.BytesIO(place.read("series.npz")), allow_pickle=False) as content:
            for parameter, name in enumerate(PARAMETERS):
                counts, elapsed = wide(content[f"{name}.count"]), wide(content[f"{name}.dt"])
                value: Floats = content[f"{name}.value"][wide(content[f"{name}.code"])]
                stay = np.repeat(np.arange(len(outcomes)), counts)
                passed = np.append(0, np.cumsum(elapsed))
                minute = passed[1:] - passed[np.cumsum(counts) - counts][stay]
                parts.append(_events(stay, np.full(len(stay), parameter), minute, value))
    except (ValueError, KeyError, IndexError, OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise DataCorrupt(f"{file} does not hold the series of {len(outcomes)} stays ({type(error).__name__}).") from None
    return pd.concat(parts, ignore_index=True)


def _events(stay: Any, parameter: Any, minute: Any, value: Any) -> pd.DataFrame:
    numbers = {"stay": np.asarray(stay, np.int32), "parameter": np.asarray(parameter, np.uint8)}
    return pd.DataFrame({**numbers, "minute": np.asarray(minute, np.int32), "value": np.asarray(value, np.float64)})
