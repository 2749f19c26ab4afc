"""Hospital stays: in-hospital death (main task) and length of stay (auxiliary task).

Verboven, Chaudhary, Berrevoets and Verbeke, "HydaLearn" (2020), section 5.2 and Appendix. Four sources end in one
`Stays` table:

- `load_mimic3`: the paper's data, for credentialed users: 17 variables of the first 48 hours in intensive care, each in
  7 sub-sequences with 6 statistics (714 features), as the logistic regression of Harutyunyan et al. (2019) has them;
- `icu2012.load_icu2012`: the closest public stand-in, 12,000 stays in intensive care drawn from MIMIC-II;
- `load_support2`: another public stand-in, 9,105 seriously ill patients described on the third day of the study;
- `synthetic_stays`: generated stays, for use where no data are at hand.

`prepared` splits a table by patient and fits all preprocessing on the training rows. Our reading: the length of stay is
learned as log(1 + days), standardised on the training rows; the paper does not say.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlrepro import data
from mtlrepro.data.places import Located, arrays_sha256, check_arrays, how_to_get, locate
from mtlrepro.data.schema import Tier
from mtlrepro.data.tables import numbers, text_table
from mtlrepro.errors import BadValue, DataCorrupt, DataMissing
from mtlrepro.files import gunzip
from mtlrepro.papers.hydalearn.data.tabular import UNKNOWN, TwoTask, split, table_arrays, two_task
from mtlrepro.refusals import refuse_ragged

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stays:
    """n hospital stays.

    `features` (n, columns): float columns are continuous (NaN where missing), others categories ("unknown" where
    missing). `died` (n,) int64, 0 or 1: death in hospital; `days` (n,) float64: length of stay; `patient` (n,): one key
    a patient, to split by. `fill`: official fill-in values by column. `sha256` is over the source's canonical arrays.
    `test` (n,): the official test part, where there is one.
    """

    name: str
    features: pd.DataFrame
    died: NDArray[np.int64]
    days: Floats
    patient: NDArray[Any]
    fill: Mapping[str, float]
    sha256: str
    tier: Tier
    source: Literal["official", "mirror", "embedded"]
    test: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.features)


def prepared(stays: Stays, seed: int = 0, validation: float = 0.15, test: float = 0.15) -> TwoTask:
    """The stays split by patient, stratified by death, with all preprocessing fitted on the training rows.

    Where there is an official test part, that is tested, and the others are split. Main target: death; auxiliary:
    standardised log(1 + days). SUPPORT2: official fill-ins, else medians, and a 0/1 column for what was missing. MIMIC-III:
    training means and no such columns, as in the benchmark, so d = 714; none for the Challenge of 2012 either, whose counts
    tell what was missing. Raises BadValue.
    """
    parts = split(stays.died, seed, stays.patient, validation, test, stays.test)
    mimic = stays.name.startswith("mimic3")
    return two_task(
        stays.name, stays.features, stays.died, stays.days, parts, sha256=stays.sha256, tier=stays.tier, regression=True,
        fill=stays.fill, strategy="mean" if mimic else "median", indicators=not mimic and stays.name != "icu2012",
    )  # fmt: skip


def hospital_stays(source: str = "support2", mirror: Path | None = None) -> Stays:
    """The stays of a data set (mimic3, mimic3_demo, icu2012, support2, synthetic_stays), or of the one that stands in for it.

    Raises UnknownName, DataCorrupt: corrupt data do not fall back.
    """
    opened = data.open(source, mirror)
    stays: Stays = replace(opened.content, tier=opened.tier)
    return stays


@contextlib.contextmanager
def _reading(where: Path | str | Callable[[], str]) -> Iterator[None]:
    """Turn what pandas says of a broken table into one line."""
    try:
        yield
    except (ValueError, EOFError, OSError, zlib.error) as error:  # pandas' parser errors are ValueErrors
        where = where() if callable(where) else where
        raise DataCorrupt(f"{where} cannot be read: {str(error).splitlines()[0] or type(error).__name__}.") from None


# --- SUPPORT2 ---------------------------------------------------------------------------------------------------------

_CATEGORIES = ("sex", "dzgroup", "dzclass", "income", "race", "ca", "dnr", "sfdm2")
COLUMNS = (
    *("sno", "age", "death", "sex", "hospdead", "slos", "d.time", "dzgroup", "dzclass", "num.co", "edu", "income"),
    *("scoma", "charges", "totcst", "totmcst", "avtisst", "race", "sps", "aps", "surv2m", "surv6m", "hday", "diabetes"),
    *("dementia", "ca", "prg2m", "prg6m", "dnr", "dnrday", "meanbp", "wblc", "hrt", "resp", "temp", "pafi", "alb"),
    *("bili", "crea", "sod", "ph", "glucose", "bun", "urine", "adlp", "adls", "sfdm2", "adlsc"),
)
# The outcomes, what is measured after the third day or follows from the outcome, the estimates of models and physicians
# of the patient's survival, and the interviews on daily living: whether they took place tells of the outcome (of those who
# died within a week, 3% were asked; a relative of 35% of the stays below 5 days was, and of 78% from 20 days up), and
# adlsc is a whole number just where the relative was asked.
LEAKS = (
    *("hospdead", "slos", "death", "d.time", "sfdm2", "charges", "totcst", "totmcst", "avtisst", "dnr", "dnrday"),
    *("surv2m", "surv6m", "prg2m", "prg6m", "adlp", "adls", "adlsc"),
)
# What is used is listed, not what is left out, so that no other column can come in.
INPUTS = (
    *("age", "sex", "dzgroup", "dzclass", "num.co", "edu", "income", "scoma", "race", "sps", "aps", "hday", "diabetes"),
    *("dementia", "ca", "meanbp", "wblc", "hrt", "resp", "temp", "pafi", "alb", "bili", "crea", "sod", "ph", "glucose"),
    *("bun", "urine"),
)
_MISSING = ("", "NA", "NaN", "nan")
_LARGEST = 2**26  # the table has 3 MB
# Normal values that the data's authors recommend where a measurement is missing (urine in ml a day).
FILL = {"alb": 3.5, "pafi": 333.3, "bili": 1.01, "crea": 1.01, "bun": 6.51, "wblc": 9.0, "urine": 2502.0}


def read_support2(content: bytes, where: str) -> pd.DataFrame:
    """The table (n, 48) of support2.csv or support2.csv.gz; categories as text, all else float64.

    `where` names the file in errors. Raises DataCorrupt: other columns, an outcome that is missing or impossible, a
    patient that stands twice, a value that is no number.
    """
    text = text_table(gunzip(content, where, _LARGEST) if where.endswith(".gz") else content, where, COLUMNS)
    if tuple(text.columns) != COLUMNS:
        odd = sorted(set(COLUMNS) ^ set(text.columns))
        raise DataCorrupt(f"{where} does not have the 48 columns of SUPPORT2 (see {', '.join(odd[:3]) or 'their order'}).")
    known: dict[str, tuple[int, ...] | None] = {"hospdead": (0, 1), "slos": None, "sno": None, "adlsc": None}  # for everybody
    columns: dict[str, Any] = {
        c: text[c].mask(text[c].isin(_MISSING), UNKNOWN).to_numpy()
        if c in _CATEGORIES
        else numbers(text[c], where, () if c in known else _MISSING, known.get(c))
        for c in COLUMNS
    }
    table = pd.DataFrame(columns)
    wrong = (table["slos"].lt(0) | table["sno"].duplicated()).to_numpy()
    if wrong.any():
        raise DataCorrupt(f"{where}, line {text.index[int(wrong.argmax())]}: fewer than 0 days, or a patient that stands twice.")
    return table


def load_support2(mirror: Path | None = None) -> Stays:
    """SUPPORT2 (Knaus et al., 1995): 9,105 stays, 30 inputs. Raises DataMissing (with what to do), DataCorrupt."""
    place = locate("support2", mirror)
    (file,) = place.files
    table = read_support2(place.read(file), str(place.folder / file))
    digest = check_arrays(place, table_arrays(table))
    died, days = table["hospdead"].to_numpy(np.int64), table["slos"].to_numpy(np.float64)
    patient = table["sno"].to_numpy(np.int64)
    return Stays("support2", table[list(INPUTS)], died, days, patient, FILL, digest, place.manifest.tier, place.source)


# --- MIMIC-III --------------------------------------------------------------------------------------------------------

HOURS = 48.0  # of the stay that features may see
# Item numbers of the 17 variables of Table 7 in CHARTEVENTS and LABEVENTS (those from 50,000 to 60,000), as the benchmark
# of Harutyunyan et al. assigns them. Its glucose includes urine (51478), its pH urine (51491, 51094) and other fluids (50831).
ITEMS: dict[str, tuple[int, ...]] = {
    "capillary refill rate": (3348, 115, 8377),
    "glasgow coma scale eye opening": (184, 220739),
    "glasgow coma scale motor response": (454, 223901),
    "glasgow coma scale total": (198,),
    "glasgow coma scale verbal response": (723, 223900),
    "diastolic blood pressure": (
        *(8368, 220051, 225310, 8555, 8441, 220180, 8502, 8440, 8503, 8504, 8507, 8506, 224643),
    ),
    "fraction inspired oxygen": (3420, 223835, 3422, 189, 727),
    "glucose": (50931, 807, 811, 1529, 50809, 51478, 3745, 225664, 220621, 226537),
    "heart rate": (211, 220045),
    "height": (226707, 226730, 1394),
    "mean blood pressure": (52, 220052, 225312, 224, 6702, 224322, 456, 220181, 3312, 3314, 3316, 3322, 3320),
    "oxygen saturation": (834, 50817, 8498, 220227, 646, 220277),
    "respiratory rate": (618, 220210, 3603, 224689, 614, 651, 224422, 615, 224690),
    "systolic blood pressure": (
        *(51, 220050, 225309, 6701, 455, 220179, 3313, 3315, 442, 3317, 3323, 3321, 224167, 227243),
    ),
    "temperature": (3655, 677, 676, 223762, 3654, 678, 223761, 679),
    "weight": (763, 224639, 226512, 3580, 3693, 3581, 226531, 3582),
    "pH": (50820, 51491, 3839, 1673, 50831, 51094, 780, 1126, 223830, 4753, 4202, 860, 220274),
}  # fmt: skip
VARIABLES = tuple(ITEMS)
_VARIABLE = {item: number for number, items in enumerate(ITEMS.values()) for item in items}
_FAHRENHEIT, _INCHES, _POUNDS, _OUNCES = (3654, 678, 223761, 679), (226707, 1394), (3581, 226531), (3582,)
# Words of the coma scales (without the number that older rows have in front) and of capillary refill.
_WORDS = {
    "glasgow coma scale eye opening": {"none": 1, "no response": 1, "to pain": 2, "to speech": 3, "spontaneously": 4},
    "glasgow coma scale motor response": {
        **{"no response": 1, "abnormal extension": 2, "abnormal flexion": 3, "flex-withdraws": 4},
        **{"localizes pain": 5, "obeys commands": 6},
    },
    "glasgow coma scale verbal response": {
        **{"no response-ett": 1, "no response": 1, "incomprehensible sounds": 2, "inappropriate words": 3},
        **{"confused": 4, "oriented": 5},
    },
    "capillary refill rate": {
        **{"normal <3 secs": 0, "normal <3 seconds": 0, "brisk": 0},
        **{"abnormal >3 secs": 1, "abnormal >3 seconds": 1, "delayed": 1},
    },
}  # fmt: skip
# Parts of the time between a variable's first and last measurement.
SUBSEQUENCES = (
    ("whole", 100), ("first", 10), ("first", 25), ("first", 50), ("last", 10), ("last", 25), ("last", 50),
)  # fmt: skip
STATISTICS = ("minimum", "maximum", "mean", "deviation", "skewness", "count")
_TABLES: dict[str, tuple[str, ...]] = {
    "PATIENTS": ("SUBJECT_ID", "DOB"),
    "ADMISSIONS": ("HADM_ID", "DISCHTIME", "HOSPITAL_EXPIRE_FLAG"),
    "ICUSTAYS": (
        *("SUBJECT_ID", "HADM_ID", "ICUSTAY_ID", "FIRST_CAREUNIT", "LAST_CAREUNIT", "FIRST_WARDID", "LAST_WARDID"),
        *("INTIME", "OUTTIME", "LOS"),
    ),
    "CHARTEVENTS": ("HADM_ID", "ICUSTAY_ID", "ITEMID", "CHARTTIME", "VALUE", "VALUEUOM"),
    "LABEVENTS": ("HADM_ID", "ITEMID", "CHARTTIME", "VALUE", "VALUEUOM"),
}
_TEXT = ("VALUE", "VALUEUOM", "CHARTTIME", "INTIME", "OUTTIME", "DISCHTIME", "DOB", "FIRST_CAREUNIT", "LAST_CAREUNIT")


def feature_names() -> list[str]:
    """The 714 names `variable, sub-sequence, statistic`, in the order of the features."""
    return [
        f"{variable}, {side if percent == 100 else f'{side} {percent}%'}, {statistic}"
        for variable in VARIABLES
        for side, percent in SUBSEQUENCES
        for statistic in STATISTICS
    ]


def _file(place: Located, table: str) -> Path:
    """The table's file, its sha256 compared where known. Raises DataMissing (which one, and what to do), DataCorrupt."""
    for name in (f"{table}.csv.gz", f"{table}.csv", f"{table}_6col.csv.gz"):
        if name in place.files:
            return place.check(name)
    advice = how_to_get(place.manifest)
    if place.partial:
        advice = f"the folder holds a part of the set: unset MTLREPRO_MIRROR and run `mtlrepro data fetch {place.manifest.name}`."
    raise DataMissing(f"{place.manifest.name}: no {table}.csv.gz in {place.folder}; {advice}")


def read_table(file: Path, table: str, chunk: int = 1_000_000) -> Iterator[pd.DataFrame]:
    """The needed columns of a MIMIC-III table in pieces of `chunk` rows; headers in upper or lower case.

    Identifiers are float64 (NaN where empty), values and times text. Raises DataCorrupt: unreadable, cut off, a column missing,
    or a row of another number of fields than the header.
    """
    wanted = _TABLES[table]
    with _reading(file):
        refuse_ragged(file)
        header = list(pd.read_csv(file, nrows=0).columns)
    here = {name.upper(): name for name in header}
    if absent := [c for c in wanted if c not in here]:
        raise DataCorrupt(f"{file} is no {table} table of MIMIC-III: it has no column {absent[0]}.")
    types = {here[c]: "str" if c in _TEXT else "float64" for c in wanted}
    empty, row = set(wanted), 0
    with (
        _reading(lambda: f"{file}, one of the {chunk} lines from line {row + 2} on,"),
        pd.read_csv(file, usecols=list(types), dtype=types, chunksize=chunk) as reader,
    ):
        for piece in reader:
            piece = piece.rename(columns=str.upper)
            empty -= set(piece.columns[piece.notna().any()])
            row += len(piece)
            yield piece
    if empty:
        raise DataCorrupt(f"{file}: column {min(empty)} is empty.")


def _times(text: pd.Series[Any], where: Path) -> pd.Series[Any]:
    with _reading(where):
        return pd.to_datetime(text, format="%Y-%m-%d %H:%M:%S")


def select_stays(place: Located) -> pd.DataFrame:
    """Stays in intensive care of more than 48 hours: columns SUBJECT_ID, HADM_ID, ICUSTAY_ID, INTIME, OUTTIME, died, days.

    As in the benchmark: adults (18 years), the only such stay of its admission, no change of ward or unit. Our reading of
    the length of stay: days from entering intensive care to leaving the hospital, alive or dead (paper: it "ends with
    either death or discharge from the hospital"). Raises DataMissing, DataCorrupt.
    """
    files = {table: _file(place, table) for table in ("PATIENTS", "ADMISSIONS", "ICUSTAYS")}
    patients, admissions, stays = (pd.concat(read_table(file, table)) for table, file in files.items())
    for owner, key, used in (("PATIENTS", patients["SUBJECT_ID"], stays["SUBJECT_ID"]),
                             ("ADMISSIONS", admissions["HADM_ID"], stays["HADM_ID"])):  # fmt: skip
        if key.duplicated().any() or not used.isin(key).all():
            raise DataCorrupt(
                f"{files[owner]}: {key.name} of a stay in {files['ICUSTAYS'].name} does not stand there once; cut off?"
            )
    alone = ~stays["HADM_ID"].duplicated(keep=False)
    unmoved = stays["FIRST_CAREUNIT"].eq(stays["LAST_CAREUNIT"]) & stays["FIRST_WARDID"].eq(stays["LAST_WARDID"])
    chosen = stays[alone & unmoved & stays["LOS"].gt(HOURS / 24)]
    chosen = chosen.merge(admissions, on="HADM_ID").merge(patients, on="SUBJECT_ID")
    if not chosen["HOSPITAL_EXPIRE_FLAG"].isin([0, 1]).all():
        raise DataCorrupt(f"{files['ADMISSIONS']}: HOSPITAL_EXPIRE_FLAG of a stay is neither 0 nor 1.")
    times = {c: _times(chosen[c], files[t]) for c, t in (("INTIME", "ICUSTAYS"), ("OUTTIME", "ICUSTAYS"), ("DOB", "PATIENTS"))}
    left = _times(chosen["DISCHTIME"], files["ADMISSIONS"])
    # By calendar: dates of birth of patients over 89 lie 300 years back, beyond the range of a difference in ns.
    birthday = times["INTIME"].dt.month * 100 + times["INTIME"].dt.day >= times["DOB"].dt.month * 100 + times["DOB"].dt.day
    age = times["INTIME"].dt.year - times["DOB"].dt.year - ~birthday
    days = (left - times["INTIME"]).dt.total_seconds() / 86_400
    kept = chosen[["SUBJECT_ID", "HADM_ID", "ICUSTAY_ID"]].assign(
        INTIME=times["INTIME"], OUTTIME=times["OUTTIME"], died=chosen["HOSPITAL_EXPIRE_FLAG"].astype(np.int64), days=days
    )
    adult = (age.ge(18) & days.gt(0)).to_numpy()
    return pd.DataFrame(kept[adult]).sort_values("ICUSTAY_ID", ignore_index=True)


def clean(rows: pd.DataFrame) -> Floats:
    """Values (rows,) of rows with the columns ITEMID, VALUE and VALUEUOM, in one unit a variable; NaN where they are none.

    °C (Fahrenheit by item, or from 79 up), kg, cm, oxygen as a share (above 1: percent) and saturation in percent (up to
    1: a share), coma scales by their points, capillary refill 0 normal or 1 delayed; of a pressure "120/80" the right half.
    """
    item = rows["ITEMID"].astype(np.int64)
    variable = item.map(_VARIABLE)
    text = rows["VALUE"].astype("str").str.strip().fillna("")
    unit = rows["VALUEUOM"].astype("str").str.lower().fillna("")
    value = pd.to_numeric(text, errors="coerce").astype(np.float64)

    def of(name: str) -> pd.Series[bool]:
        return variable.eq(VARIABLES.index(name))

    for name, half in (("systolic blood pressure", 0), ("diastolic blood pressure", 1)):
        both = of(name) & text.str.fullmatch(r"\d+/\d+")
        value[both] = text[both].str.split("/").str[half].astype(np.float64)
    for name, words in _WORDS.items():
        said = of(name) & value.isna()
        numbered = text[said].str.extract(r"^(\d)(?:\.0)? ", expand=False).astype(np.float64)
        value[said] = numbered.fillna(text[said].str.lower().map(words).astype(np.float64))
    fahrenheit = of("temperature") & (item.isin(_FAHRENHEIT) | value.ge(79))
    inches = item.isin(_INCHES) | of("height") & unit.str.startswith("in")
    ounces = item.isin(_OUNCES) | of("weight") & unit.str.contains("oz")
    pounds = item.isin(_POUNDS) | of("weight") & unit.str.contains("lb")
    percent = of("fraction inspired oxygen") & value.gt(1) & ~unit.str.contains("torr")
    share = of("oxygen saturation") & value.le(1)
    for which, factor in ((inches, 2.54), (ounces, 0.453592 / 16), (pounds & ~ounces, 0.453592), (percent, 0.01), (share, 100.0)):
        value[which] *= factor
    value[fahrenheit] = (value[fahrenheit] - 32) * 5 / 9
    return np.asarray(value, np.float64)


def read_events(place: Located, stays: pd.DataFrame, tables: Sequence[str], chunk: int = 1_000_000) -> pd.DataFrame:
    """Measurements of the 17 variables in the first 48 hours of the stays.

    Columns: stay (row of `stays`), variable (0 to 16), hours since entering intensive care, value. Tables are read `chunk`
    rows at a time, and of each piece only what is needed is kept. Rows of another stay of the same admission are dropped;
    of two values at one time the larger one counts. Raises DataMissing, DataCorrupt.
    """
    admission = pd.Series(np.arange(len(stays)), stays["HADM_ID"])
    parts = []
    for table in tables:
        file = _file(place, table)
        for piece in read_table(file, table, chunk):
            rows = piece[piece["ITEMID"].isin(_VARIABLE) & piece["HADM_ID"].isin(admission.index) & piece["VALUE"].notna()]
            stay = rows["HADM_ID"].map(admission).to_numpy(np.int64)
            own = stays.iloc[stay].set_axis(rows.index)
            hours = (_times(rows["CHARTTIME"], file) - own["INTIME"]).dt.total_seconds() / 3600
            seen = hours.between(0, HOURS)
            if "ICUSTAY_ID" in rows:
                seen &= rows["ICUSTAY_ID"].isna() | rows["ICUSTAY_ID"].eq(own["ICUSTAY_ID"])
            rows, stay, hours = rows[seen], stay[seen], hours[seen]
            variable = rows["ITEMID"].map(_VARIABLE)
            read = pd.DataFrame({"stay": stay, "variable": variable, "hours": hours, "value": clean(rows)})
            parts.append(read[read["value"].notna()])
    events = pd.concat(parts).astype({"stay": np.int64, "variable": np.int64})
    if events.empty:
        raise DataCorrupt(f"{place.folder}: no value of any of the {len(VARIABLES)} variables in {' and '.join(tables)}.")
    return events.sort_values(["stay", "variable", "hours", "value"], ignore_index=True).drop_duplicates(
        ["stay", "variable", "hours"], keep="last"
    )


def sequence_features(events: pd.DataFrame, stays: int) -> Floats:
    """Features (stays, 714) of `read_events`, NaN where a sub-sequence has no measurement (its count, too, as there).

    As in the benchmark, a sub-sequence is a share of the time between the variable's own first and last measurement;
    deviation and skewness divide by n, and the skewness of equal values is 0.
    """
    features = np.full((stays * len(VARIABLES), len(SUBSEQUENCES), len(STATISTICS)), np.nan)
    key = (events["stay"] * len(VARIABLES) + events["variable"]).to_numpy()
    hours, value = events["hours"], events["value"].to_numpy(np.float64)
    begin, end = (hours.groupby(key).transform(how) for how in ("min", "max"))
    for number, (side, percent) in enumerate(SUBSEQUENCES):
        reach = (end - begin) * percent / 100 + 1e-6
        inside = (hours.le(begin + reach) if side != "last" else hours.ge(end - reach)).to_numpy()
        if inside.any():
            groups, starts, counts = np.unique(key[inside], return_index=True, return_counts=True)
            features[groups, number] = _statistics(value[inside], starts, counts)
    return features.reshape(stays, -1)


def _statistics(value: Floats, starts: NDArray[np.int64], counts: NDArray[np.int64]) -> Floats:
    """Statistics (groups, 6) of runs of `value` that begin at `starts`."""
    mean = np.add.reduceat(value, starts) / counts
    low, high = np.minimum.reduceat(value, starts), np.maximum.reduceat(value, starts)
    away = value - np.repeat(mean, counts)
    variance, third = (np.add.reduceat(away**power, starts) / counts for power in (2, 3))
    differ = low < high
    skewness = np.where(differ, third / np.where(differ, variance, 1) ** 1.5, 0)
    return np.stack([low, high, mean, np.where(differ, np.sqrt(variance), 0), skewness, counts], 1)


def load_mimic3(
    name: Literal["mimic3", "mimic3_demo"] = "mimic3",
    tables: Sequence[Literal["CHARTEVENTS", "LABEVENTS"]] = ("CHARTEVENTS", "LABEVENTS"),
    mirror: Path | None = None,
    chunk: int = 1_000_000,
) -> Stays:
    """MIMIC-III (Johnson et al., 2016): the paper's 714 features of every stay with at least one measurement.

    CHARTEVENTS has 33 GB unpacked; it is read once, `chunk` rows at a time. `tables=["LABEVENTS"]` needs no CHARTEVENTS and
    leaves the features of vital signs NaN: a check of tables at hand, not the paper's data. Raises DataMissing (the file
    and what to do), DataCorrupt, BadValue.
    """
    if not tables or not set(tables) <= {"CHARTEVENTS", "LABEVENTS"}:
        raise BadValue(f"tables are CHARTEVENTS, LABEVENTS or both, not {list(tables)}.")
    place = locate(name, mirror)
    for table in tables:
        _file(place, table)
    stays = select_stays(place)
    if stays.empty:
        raise DataCorrupt(f"{place.folder}: no stay of an adult of more than 48 hours in intensive care.")
    events = read_events(place, stays, tables, chunk)
    seen = np.unique(events["stay"])
    features = pd.DataFrame(sequence_features(events, len(stays))[seen], columns=feature_names())
    stays = stays.iloc[seen]
    died, days = stays["died"].to_numpy(np.int64), stays["days"].to_numpy(np.float64)
    patient = stays["SUBJECT_ID"].to_numpy(np.int64)
    digest = arrays_sha256({"features": features.to_numpy(np.float64), "died": died, "days": days, "patient": patient})
    return Stays(name, features, died, days, patient, {}, digest, place.manifest.tier, place.source)


# --- synthetic stays --------------------------------------------------------------------------------------------------


def synthetic_stays(seed: int = 0, stays: int = 4000) -> Stays:
    """Made-up stays with death and length of stay, for use where no data are at hand.

    A hidden severity s ~ N(0, 1) and age raise the log-odds of death, -1.45 + 1.2 s + 0.04 (age - 63), which gives about a
    quarter of deaths, and the logarithm of the days, N(2.3 + 0.35 s + 0.2 [emergency], 0.6); those who die leave after 0.7
    of that time. Eight measurements see s through noise; each is missing at random, more often in milder cases. Raises
    BadValue.
    """
    if stays < 1:
        raise BadValue(f"stays is at least 1, not {stays}.")
    draw = np.random.default_rng([seed, 48])
    severity = draw.standard_normal(stays)
    age = np.clip(draw.normal(63, 15, stays), 18, 100).round(1)
    kind = draw.choice(np.array(["elective", "urgent", "emergency"]), stays, p=[0.35, 0.25, 0.4])
    sex = draw.choice(np.array(["female", "male"]), stays)
    signs = {}
    for number in range(8):
        seen = (0.9 - 0.1 * number) * severity + draw.standard_normal(stays)
        missing = draw.random(stays) < 0.08 * number / (1 + np.exp(severity))
        signs[f"measurement_{number + 1}"] = np.where(missing, np.nan, seen)
    odds = -1.45 + 1.2 * severity + 0.04 * (age - 63)
    died = (draw.random(stays) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    days = np.exp(draw.normal(2.3 + 0.35 * severity + 0.2 * (kind == "emergency"), 0.6))
    days = np.maximum(np.where(died == 1, 0.7 * days, days).round(), 1.0)
    features = pd.DataFrame({"age": age, "sex": sex, "admission": kind, **signs})
    digest = arrays_sha256({**table_arrays(features), "died": died, "days": days})
    return Stays("synthetic_stays", features, died, days, np.arange(stays), {}, digest, "synthetic", "embedded")
