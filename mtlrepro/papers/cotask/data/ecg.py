"""Twelve-lead ECGs: LUDB (200 real recordings in WFDB format) and generated ones with the labels of the CO-TASK paper.

The generator is vectorised over records and follows McSharry and others (2003, "A dynamical model for generating synthetic
electrocardiogram signals"): every wave of a beat is a Gaussian of its own width and place, of another height in each lead.
Labels change what cardiologists read them from: widths, heights and order of waves, and the rhythm. See `generate`.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, signal, stats
from sklearn.model_selection import GroupKFold, GroupShuffleSplit

from mtlrepro.data.places import Located, arrays_sha256, check_arrays, locate
from mtlrepro.data.schema import Tier
from mtlrepro.data.tables import text_table
from mtlrepro.errors import BadValue, DataCorrupt

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Unit of a record -> how many millivolts it is.
_MILLIVOLTS = {"mV": 1.0, "uV": 1e-3, "V": 1e3}
LEADS = ("i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4", "v5", "v6")


@dataclass(frozen=True, eq=False)
class EcgSet:
    """n recordings of 12 leads. signals: (n, 12, samples) float32 in millivolts. labels: (n, tasks) 0 or 1, as given by
    whoever labelled. truth: (n, tasks), what the recording was generated with; None for real ones. patients: (n,), the
    patient's number. rate: samples a second. main: the major task's column, or None. split: (n,), the official part, 0 train,
    1 validation, 2 test, where there is one."""

    name: str
    signals: NDArray[np.float32]
    labels: Ints
    names: tuple[str, ...]
    patients: Ints
    rate: float
    sha256: str
    tier: Tier
    truth: Ints | None = None
    main: int | None = None
    split: Ints | None = None

    def first(self, n: int) -> EcgSet:
        """The first n recordings."""
        truth, split = (None if rows is None else rows[:n] for rows in (self.truth, self.split))
        signals, labels, patients = self.signals[:n], self.labels[:n], self.patients[:n]
        return replace(self, signals=signals, labels=labels, patients=patients, truth=truth, split=split)

    def parts(self, seed: int) -> dict[str, Ints]:
        """Row numbers of 'train', 'valid' and 'test': the official parts, or by patient with `seed`."""
        if self.split is None:
            return split_by_patient(self.patients, seed)
        return {name: np.flatnonzero(self.split == part) for part, name in enumerate(("train", "valid", "test"))}


# --- signals ----------------------------------------------------------------------------------------------------------


def band_pass(signals: ArrayLike, rate: float, low: float = 3.0, high: float = 45.0) -> NDArray[np.float32]:
    """Band-passed signals (..., samples), without delay: BioSPPy's filter for ECGs, which the paper used.

    An FIR filter of 0.3 `rate` taps (odd), `low` to `high` Hz, forwards and backwards. Raises BadValue where `high` is not
    below half the rate, or the signals are shorter than the filter needs.
    """
    if not 0 < low < high < rate / 2:
        raise BadValue(f"the band must lie between 0 and half the rate, {rate / 2} Hz, not be {low} to {high} Hz.")
    values = np.asarray(signals, np.float32)
    taps = int(0.3 * rate) | 1
    if values.shape[-1] <= 3 * taps:
        raise BadValue(f"{values.shape[-1]} samples are too few for a filter of {taps} taps.")
    filtered = np.empty_like(values)
    kernel = signal.firwin(taps, [low, high], pass_zero=False, fs=rate)
    for start in range(0, len(values), 256):
        filtered[start : start + 256] = signal.filtfilt(kernel, [1.0], values[start : start + 256])
    return filtered


def scaled(signals: NDArray[np.float32], train: Ints) -> NDArray[np.float32]:
    """Each lead divided by its standard deviation over the training recordings: voltages stay comparable between patients.

    Raises BadValue for a lead that is flat in all of them.
    """
    deviation = signals[train].std((0, 2), keepdims=True)
    if (flat := deviation[0, :, 0] == 0).any():
        raise BadValue(f"lead {LEADS[int(flat.argmax())]} is flat in every training recording: it cannot be scaled.")
    found: NDArray[np.float32] = signals / deviation
    return found


def resampled(signals: NDArray[np.float32], rate: float, wanted: float) -> NDArray[np.float32]:
    """Signals (..., samples) at another whole rate, low-passed first."""
    found = signal.resample_poly(signals, int(wanted), int(rate), axis=-1)
    return np.asarray(found, np.float32)


# --- splits -----------------------------------------------------------------------------------------------------------


def split_by_patient(patients: Ints, seed: int, shares: tuple[float, float, float] = (0.7, 0.1, 0.2)) -> dict[str, Ints]:
    """Row numbers of 'train', 'valid' and 'test' in these shares of the patients, no patient in two of them."""
    first = GroupShuffleSplit(1, test_size=shares[2], random_state=seed)
    rest, test = next(first.split(patients, groups=patients))
    second = GroupShuffleSplit(1, test_size=shares[1] / (shares[0] + shares[1]), random_state=seed)
    train, valid = next(second.split(rest, groups=patients[rest]))
    return {"train": rest[train], "valid": rest[valid], "test": test}


def patient_folds(patients: Ints, folds: int, seed: int) -> list[dict[str, Ints]]:
    """Cross-validation by patient: for each fold row numbers of 'train' and 'test'; every record is tested once."""
    made = GroupKFold(folds, shuffle=True, random_state=seed)
    return [{"train": train, "test": test} for train, test in made.split(patients, groups=patients)]


# --- LUDB -------------------------------------------------------------------------------------------------------------

# Label -> what its entry in LUDB's table begins with; those of the paper's 18 that LUDB has, and its other common findings.
LUDB_LABELS = {
    "LVH": "Left ventricular hypertrophy",
    "LAH": "Left atrial hypertrophy",
    "IRBBB": "Incomplete right bundle branch block",
    "AFIB": "Atrial fibrillation",
    "LAFB": "Left anterior hemiblock",
    "1AVB": "I degree AV block",
    "VPC": "Ventricular extrasystole",
    "APC": "Atrial extrasystole",
}
_LUDB_COUNT, _LUDB_FOLDER = 200, "lobachevsky-university-electrocardiography-database-1.0.1"


def load_ludb(least: int = 10, mirror: Path | None = None) -> EcgSet:
    """LUDB at 500 Hz, 10 s, one recording a subject, with those of `LUDB_LABELS` that at least `least` recordings have.

    Raises DataMissing, DataCorrupt.
    """
    place = locate("ludb", mirror)
    with _ludb_folder(place) as folder:
        file = folder / "ludb.csv"
        table = text_table(file.read_bytes(), file, ("ID", "Sex", "Age"))
        if table["ID"].tolist() != list(map(str, range(1, _LUDB_COUNT + 1))):
            raise DataCorrupt(f"{file}: the records of the table are not 1 to {_LUDB_COUNT} in this order.")
        records = [wfdb.rdrecord(str(folder / "data" / str(number))) for number in range(1, _LUDB_COUNT + 1)]
    signals = np.stack([in_leads(record) for record in records])
    lines = table.drop(columns=["ID", "Sex", "Age"]).agg("\n".join, axis=1).str.lower()
    marks = {name: [_has(text, wanted.lower()) for text in lines] for name, wanted in LUDB_LABELS.items()}
    marks = {name: found for name, found in marks.items() if sum(found) >= least}
    labels = np.array(list(marks.values()), np.int64).T
    digest = check_arrays(place, {"signals": signals})
    return EcgSet("LUDB", signals, labels, tuple(marks), np.arange(_LUDB_COUNT), 500.0, digest, place.manifest.tier)


def in_leads(record: wfdb.Record) -> NDArray[np.float32]:
    """(12, samples) of a WFDB record in millivolts, in the order of `LEADS`; a lead may be flat.

    Raises DataCorrupt where a lead or some of its samples are missing, or its unit is none of voltage.
    """
    places = {str(name).lower(): column for column, name in enumerate(record.sig_name)}
    if missing := [lead for lead in LEADS if lead not in places]:
        raise DataCorrupt(f"record {record.record_name} has no lead {', '.join(missing)}.")
    columns = [places[lead] for lead in LEADS]
    if unknown := [str(record.units[column]) for column in columns if record.units[column] not in _MILLIVOLTS]:
        raise DataCorrupt(f"record {record.record_name} is in {unknown[0]}, not in one of {', '.join(_MILLIVOLTS)}.")
    factors = np.array([_MILLIVOLTS[record.units[column]] for column in columns])
    signals = np.ascontiguousarray((record.p_signal[:, columns] * factors).T, dtype=np.float32)
    if (lost := ~np.isfinite(signals).all(1)).any():
        raise DataCorrupt(f"record {record.record_name} lacks samples of lead {LEADS[int(lost.argmax())]}.")
    return signals


def _has(text: str, wanted: str) -> bool:
    return any(line.strip().startswith(wanted) for line in text.split("\n"))


@contextmanager
def _ludb_folder(place: Located) -> Iterator[Path]:
    """A folder with ludb.csv and data/1.hea, data/1.dat ..., checked."""
    if place.layout == "official":
        for file in place.files:
            place.check(file)
        yield place.folder
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        tarfile.open(fileobj=io.BytesIO(place.read("ludb-1.0.1.tar.xz")), mode="r:xz") as archive,
    ):
        wanted = [one for one in archive.getmembers() if one.name.endswith((".dat", ".hea", "ludb.csv"))]
        archive.extractall(folder, wanted, filter="data")
        yield Path(folder) / _LUDB_FOLDER


# --- generated ECGs ---------------------------------------------------------------------------------------------------

# Of these labels a record has at most one: a heart has one rhythm, and one conduction disorder is written down.
_EXCLUSIVE = (
    ("1AVB", "AFIB", "EAR", "AFL", "2AVB", "3AVB"),
    ("RBBB", "IVCD", "NIVCD", "IRBBB", "LBBB", "ILBBB"),
    ("VPC", "VBIG", "VT"),
)
KNOWN = ("EchoLVH", "LVH", "RVH", "APC", *(name for group in _EXCLUSIVE for name in group))
# Shares of variance: of a record's state, its patient's; of each of three waves that show the wall in ECG-EchoLVH, the wall's.
# Voltage is known to be a poor sign of it. The two that show it better are faint: they are hard to find by EchoLVH alone.
_PATIENT, _SEEN = 0.7, np.array([0.3, 0.7, 0.7])


def labelled_share(ratios: Mapping[str, float], shared: float) -> float:
    """Share of records with at least one label, where the groups of labels have one common factor of variance `shared`."""
    tops = np.array([sum(1 / ratios[name] for name in group) for group in _groups(ratios)])
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    below = stats.norm.cdf((stats.norm.ppf(1 - tops) - np.sqrt(shared) * nodes[:, None]) / np.sqrt(1 - shared))
    return float(1 - (weights * below.prod(1)).sum() / weights.sum())


def common_factor(ratios: Mapping[str, float], cardinality: float) -> float:
    """Variance of the common factor at which records with a label have `cardinality` labels on average.

    Raises BadValue where no variance gives it.
    """
    wanted = sum(1 / ratio for ratio in ratios.values()) / cardinality
    if not labelled_share(ratios, 0.95) < wanted < labelled_share(ratios, 0.0):
        raise BadValue(f"no common factor gives {cardinality} labels a labelled record.")
    return float(optimize.brentq(lambda shared: labelled_share(ratios, shared) - wanted, 0.0, 0.95))


def generate(
    name: str,
    ratios: Mapping[str, float],
    n: int,
    seed: int,
    *,
    rate: float = 500.0,
    seconds: float = 10.0,
    shared: float = 0.15,
    shared_waves: float = 1.0,
    sensitivity: float = 1.0,
) -> EcgSet:
    """`n` generated recordings with these labels, in millivolts, unfiltered.

    ratios: label -> r; one record in r has it. The labels are those of `KNOWN`; of rhythms, conduction disorders and ventricular
    ectopy a record has at most one each. Groups of labels are correlated by one common factor of variance `shared`, and patients
    have one to three records of similar state.
    EchoLVH, where asked for, is the thickened wall as seen in echocardiography. It is the major task, and without annotation
    noise. The ECG shows it faintly, in waves that vary for other reasons, too. `shared_waves` is a dial: the share of this
    evidence that lies in the waves by which LVH, 1AVB and RBBB show plainly (voltage; P wave and PR interval; the second hump of
    the QRS on the right), which then are the far ends of what a thick wall begins. The rest lies in waves that they leave alone
    (T on the left, Q, QT interval). At 0 these labels neither share its waves nor come with it, but for the common factor. AFIB,
    which excludes 1AVB, comes from the same state of the atria.
    Every other label is as an annotator gives it, with this `sensitivity` and the specificity that keeps the label's
    share, 1 - (1 - sensitivity) / (r - 1).
    The same arguments give the same data. Raises BadValue for unknown labels, ratios at most 1, a sensitivity outside (0, 1], or
    `shared_waves` outside [0, 1], or fewer than 3 seconds.
    """
    if seconds < 3:
        raise BadValue(f"a recording takes at least 3 seconds, not {seconds}.")
    rng = np.random.default_rng([seed, 12])
    state, patients, truth, labels = _annotated(ratios, n, shared, shared_waves, sensitivity, rng)
    signals = np.empty((n, len(LEADS), round(rate * seconds)), np.float32)
    for start in range(0, n, 256):
        signals[start : start + 256] = _recorded(state.of(slice(start, start + 256)), rate, seconds, rng)
    digest = arrays_sha256({"signals": signals, "labels": labels})
    main = list(ratios).index("EchoLVH") if "EchoLVH" in ratios else None
    return EcgSet(name, signals, labels, tuple(ratios), patients, rate, digest, "synthetic", truth=truth, main=main)


def generated_labels(
    ratios: Mapping[str, float], n: int, seed: int, *, shared: float = 0.15, shared_waves: float = 1.0, sensitivity: float = 1.0
) -> tuple[Ints, Ints]:
    """Labels (n, tasks) and patients (n,) as `generate` draws them, without signals. Arguments and errors as there."""
    _, patients, _, labels = _annotated(ratios, n, shared, shared_waves, sensitivity, np.random.default_rng([seed, 12]))
    return labels, patients


def _annotated(
    ratios: Mapping[str, float], n: int, shared: float, shared_waves: float, sensitivity: float, rng: np.random.Generator
) -> tuple[_States, Ints, Ints, Ints]:
    """States, patients (n,), true labels and annotated ones (n, tasks)."""
    if unknown := set(ratios) - set(KNOWN):
        raise BadValue(f"no such ECG label: {', '.join(sorted(unknown))}; known are {', '.join(KNOWN)}.")
    if min(ratios.values()) <= 1 or not 0 < sensitivity <= 1 or not 0 <= shared_waves <= 1:
        raise BadValue("ratios must be above 1, the sensitivity in (0, 1] and the share of shared waves in [0, 1].")
    patients = np.repeat(np.arange(n), rng.choice([1, 2, 3], n, p=[0.7, 0.2, 0.1]))[:n]
    state = _States.drawn(ratios, patients, shared, shared_waves, rng)
    truth = np.stack([state.has(label) for label in ratios], 1).astype(np.int64)
    labels = truth.copy()
    for column, (label, ratio) in enumerate(ratios.items()):
        if label != "EchoLVH":
            flip = np.where(truth[:, column] == 1, 1 - sensitivity, (1 - sensitivity) / (ratio - 1))
            labels[:, column] ^= rng.random(n) < flip
    return state, patients, truth, labels


def _groups(ratios: Mapping[str, float]) -> list[list[str]]:
    grouped = [[label for label in group if label in ratios] for group in _EXCLUSIVE]
    alone = [[label] for label in ratios if not any(label in group for group in _EXCLUSIVE)]
    return [group for group in grouped + alone if group]


@dataclass(frozen=True)
class _States:
    """n hearts: which labels they truly have, standard scores of their waves, and what is a patient's own."""

    labels: Mapping[str, NDArray[np.bool_]]
    minor_waves: Floats  # (n, 3) what minor labels change: voltage; P wave and PR interval; a second hump of the QRS on the right
    other_waves: Floats  # (n, 3) what they leave alone: T on the left, Q, QT interval
    habit: Floats  # (n, 3) standard normal, the same in all records of a patient

    def has(self, label: str) -> NDArray[np.bool_]:
        return self.labels.get(label, np.zeros(len(self.habit), bool))

    def of(self, rows: slice) -> _States:
        waves = self.minor_waves[rows], self.other_waves[rows]
        return _States({k: v[rows] for k, v in self.labels.items()}, *waves, self.habit[rows])

    @staticmethod
    def drawn(
        ratios: Mapping[str, float], patients: Ints, shared: float, shared_waves: float, rng: np.random.Generator
    ) -> _States:
        n = len(patients)

        def normal(*shape: int) -> Floats:
            """(n, ...) standard normal, alike within a patient."""
            own, record = rng.standard_normal((n, *shape)), rng.standard_normal((n, *shape))
            found: Floats = np.sqrt(_PATIENT) * own[patients] + np.sqrt(1 - _PATIENT) * record
            return found

        def showing(wall: Floats, share: ArrayLike) -> Floats:
            """(n, 3) standard scores of waves, of whose variance the wall has this share."""
            found: Floats = np.sqrt(share) * wall[:, None] + np.sqrt(1 - np.asarray(share)) * normal(3)
            return found

        factor = np.sqrt(shared) * normal()
        wall = factor + np.sqrt(1 - shared) * normal()
        special = {"EchoLVH": wall, "LVH": wall}
        minor_waves, other_waves = np.stack([wall, normal(), np.zeros(n)], 1), showing(wall, 0.5)
        if "EchoLVH" in ratios:
            minor_waves, other_waves = showing(wall, shared_waves * _SEEN), showing(wall, (1 - shared_waves) * _SEEN)
            special |= dict(zip(("LVH", "1AVB", "RBBB"), minor_waves.T, strict=True))
        labels: dict[str, NDArray[np.bool_]] = {}
        for group in _groups(ratios):
            latent = special.get(group[0])
            tail = stats.norm.sf(factor + np.sqrt(1 - shared) * normal() if latent is None else latent)
            edge = 0.0
            for label in group:
                labels[label] = (edge <= tail) & (tail < edge + 1 / ratios[label])
                edge += 1 / ratios[label]
        return _States(labels, minor_waves, other_waves, rng.standard_normal((n, 3))[patients])


# Heights in millivolts of a normal beat's waves in i, ii and v1 to v6, the eight leads that are independent of each other.
_P, _Q, _R, _S, _R2, _T = range(6)
_CHEST = np.array([
    [0.05, 0.06, 0.06, 0.06, 0.06, 0.06],
    [0.00, 0.00, 0.00, -0.03, -0.08, -0.08],
    [0.20, 0.50, 0.80, 1.20, 1.30, 1.00],
    [-0.90, -1.30, -0.80, -0.40, -0.20, -0.10],
    [0.00, 0.00, 0.00, 0.00, 0.00, 0.00],
    [0.05, 0.30, 0.35, 0.35, 0.30, 0.25],
])  # fmt: skip
_LIMB = np.array([[0.07, 0.12], [-0.05, -0.06], [0.0, 0.0], [-0.12, -0.12], [0.0, 0.0], [0.2, 0.3]])
_WIDTH = np.array([0.022, 0.010, 0.013, 0.014, 0.016, 0.045])
_DELAY = np.array([0.0, -0.028, 0.0, 0.028, 0.055, 0.26])
_LEFT, _RIGHT = [0, 6, 7], [2, 3]  # of the eight: leads that look at the left wall (i, v5, v6) and at the right one (v1, v2)


def _normal(rng: np.random.Generator, mean: float, spread: float, n: int, low: float, high: float) -> Floats:
    return np.clip(rng.normal(mean, spread, n), low, high)


def _waves(state: _States, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Heights (n, 6 waves, 8 leads) and widths (n, 6) in seconds of each heart's own beats."""
    n, habit = len(state.habit), state.habit
    has = {label: state.has(label)[:, None] for label in KNOWN}
    axis = np.deg2rad(45 + 20 * habit[:, 0] - 10 * state.minor_waves[:, 0] + 75 * state.has("RVH"))
    i_ii = np.repeat(_LIMB[None], n, 0)
    i_ii[:, _R] = (0.9 * np.exp(0.2 * habit[:, 1]))[:, None] * np.stack([np.cos(axis), np.cos(np.pi / 3 - axis)], 1)
    height = np.concatenate([i_ii, np.repeat(_CHEST[None], n, 0)], -1)
    height *= np.exp(0.15 * rng.standard_normal((n, 6, 8)))
    width = _WIDTH * np.exp(0.06 * rng.standard_normal((n, 6)))
    # A thick left wall: higher voltage on the left (deeper S on the right), late P, fragmented QRS; strain, deeper Q.
    voltage, atria, ventricles = state.minor_waves.T[..., None]
    gain = np.exp(0.22 * voltage + 0.12 * habit[:, [2]])
    for wave, leads in ((_R, _LEFT), (_S, _RIGHT)):
        height[:, wave, leads] *= gain
    height[:, _R2, _RIGHT] += 0.06 * ventricles
    height[:, _P] *= np.exp(-0.1 * atria)
    height[:, _T, _LEFT] *= 1 - 0.3 * state.other_waves[:, [0]]
    height[:, _Q, _LEFT] -= 0.1 * state.other_waves[:, [1]]
    height[:, _R, _RIGHT] += 0.8 * has["RVH"]
    height[:, _S, _RIGHT] *= 1 - 0.6 * has["RVH"]
    # Conduction disorders: second hump, width.
    for label, part in (("RBBB", 1.0), ("IRBBB", 0.45)):
        height[:, _R2, _RIGHT] += part * has[label] * 0.8
        height[:, _T, _RIGHT] -= part * has[label] * 0.3
        width[:, [_S, _R2]] *= 1 + 0.7 * part * has[label]
    for label, part in (("LBBB", 1.0), ("ILBBB", 0.5)):
        height[:, _R2, _LEFT] += part * has[label] * 0.6
        height[:, _Q] *= 1 - part * has[label]
        height[:, _T, _LEFT] -= part * has[label] * 0.5
        width[:, [_R, _S, _R2]] *= 1 + 1.1 * part * has[label]
    height[:, _R2] += 0.2 * has["IVCD"]
    width[:, _Q:_T] *= 1 + 0.6 * has["IVCD"] + 0.4 * has["NIVCD"]
    # An ectopic atrial focus turns the P wave round; without an organised atrium there is none.
    height[:, _P] *= np.where(has["EAR"], -1.0, 1.0) * ~(has["AFIB"] | has["AFL"] | has["VT"])
    return height, width


def _ectopic(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    """Heights and widths of ventricular beats: broad, high, T opposite, no P; each heart has its own focus."""
    side = np.where(rng.random((n, 1)) < 0.5, 1.0, -1.0)
    pattern = np.sign(np.array([1, 1, -1, -1, -0.5, 0.5, 1, 1]) + 0.3 * rng.standard_normal((n, 8)))
    height = np.zeros((n, 6, 8))
    height[:, _R] = 1.5 * side * pattern * np.exp(0.2 * rng.standard_normal((n, 8)))
    height[:, _T] = -0.4 * height[:, _R]
    width = np.repeat(_WIDTH[None] * np.array([1, 1, 2.8, 1, 1, 1.3]), n, 0)
    return height, width


def _rhythm(state: _States, seconds: float, rng: np.random.Generator) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Times (n, beats) of the R waves, whether each is ventricular, and the distance (n, beats) to the beat before."""
    n = len(state.habit)
    beat = 60 / _normal(rng, 72, 11, n, 48, 110)
    for label, low, high in (("AFIB", 70, 120), ("AFL", 75, 145), ("3AVB", 34, 45), ("VT", 150, 185)):
        beat = np.where(state.has(label), 60 / rng.uniform(low, high, n), beat)
    beats = int(np.ceil(seconds * 185 / 60)) + 3
    noise = rng.standard_normal((n, beats))
    distance = beat[:, None] * np.exp(np.where(state.has("AFIB")[:, None], 0.22, 0.03) * noise)
    # One certain premature beat near the middle of the recording, others by chance.
    place = np.arange(beats)[None] == np.ceil(seconds / 2 / beat)[:, None].astype(int)
    ventricular = state.has("VPC")[:, None] & (place | (rng.random((n, beats)) < 0.12))
    ventricular |= state.has("VBIG")[:, None] & (np.arange(beats) % 2 == 1)
    atrial = state.has("APC")[:, None] & (place | (rng.random((n, beats)) < 0.12)) & ~ventricular
    early = ventricular | atrial
    distance *= np.where(early, rng.uniform(0.52, 0.68, (n, 1)), 1.0)
    after = np.concatenate([np.zeros((n, 1), bool), ventricular[:, :-1]], 1)
    distance *= np.where(after & ~early, 1.4, 1.0)
    # Every third or fourth beat is not conducted in second-degree block.
    dropped = state.has("2AVB")[:, None] & (np.arange(beats) % rng.integers(3, 5, (n, 1)) == 2)
    distance *= np.where(dropped, 2.0, 1.0)
    times = distance.cumsum(1) - distance[:, :1] * rng.random((n, 1))
    return times, ventricular | state.has("VT")[:, None], distance


def _bumps(times: Floats, widths: Floats, weights: Floats, clock: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, samples): sum of Gaussians at `times` (n, beats) with `widths` (n, 1 or beats) times `weights` (n, beats)."""
    centre, inverse = times.astype(np.float32)[..., None], (1 / widths).astype(np.float32)[..., None]
    bump = (clock - centre) * inverse
    np.square(bump, out=bump)
    bump *= -0.5
    np.maximum(bump, -30, out=bump)
    found: NDArray[np.float32] = np.einsum("nbt,nb->nt", np.exp(bump, out=bump), weights.astype(np.float32))
    return found


def _recorded(state: _States, rate: float, seconds: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """(n, 12, samples) in millivolts."""
    n, clock = len(state.habit), (np.arange(round(rate * seconds)) / rate).astype(np.float32)
    height, width = _waves(state, rng)
    wild, broad = _ectopic(rng, n)
    times, ventricular, distance = _rhythm(state, seconds, rng)
    own, other = (~ventricular).astype(float), ventricular.astype(float)
    found = np.zeros((n, 8, len(clock)), np.float32)

    def add(heights: Floats, wave: NDArray[np.float32]) -> None:
        found[:] += heights.astype(np.float32)[:, :, None] * wave[:, None, :]

    stretch = np.sqrt(np.clip(distance, 0.3, 1.2))
    for wave in (_Q, _R, _S, _R2, _T):
        delay = _DELAY[wave] * (stretch * (1 + 0.06 * state.other_waves[:, [2]]) if wave == _T else 1.0)
        late = delay * width[:, [wave]] / _WIDTH[wave] if wave in (_S, _R2) else delay
        add(height[:, wave], _bumps(times + late, width[:, [wave]], own, clock))
        if wave in (_R, _T):
            add(wild[:, wave], _bumps(times + 1.3 * delay, broad[:, [wave]], other, clock))
    # P waves: before each beat; on their own in third-degree block; also where the beat is not conducted.
    interval = np.clip(0.155 + 0.008 * state.minor_waves[:, 1], 0.12, 0.195)
    interval = np.where(state.has("1AVB"), rng.uniform(0.215, 0.3, n), np.where(state.has("EAR"), 0.11, interval))
    apart = state.has("3AVB")[:, None]
    free = (60 / rng.uniform(75, 95, (n, 1))) * (np.arange(times.shape[1]) + rng.random((n, 1)))
    add(height[:, _P], _bumps(np.where(apart, free, times - interval[:, None]), width[:, [_P]], np.where(apart, 1.0, own), clock))
    blocked = (distance > 1.6 * np.median(distance, 1, keepdims=True)) & state.has("2AVB")[:, None]
    add(height[:, _P], _bumps(times - distance / 2 - interval[:, None], width[:, [_P]], blocked.astype(float), clock))
    # Fibrillating atria: irregular small waves. Flutter: a saw of five teeth a second.
    phase = rng.uniform(0, 2 * np.pi, (n, 3, 1))
    waves = np.sin(2 * np.pi * rng.uniform(4, 9, (n, 3, 1)) * clock + phase).sum(1) * 0.035
    saw = 0.14 * signal.sawtooth(2 * np.pi * 5 * clock + phase[:, 0], 0.7)
    atria = waves * state.has("AFIB")[:, None] + saw * state.has("AFL")[:, None]
    add(np.tile([0.4, 1.0, 1.0, 0.5, 0.3, 0.2, 0.2, 0.2], (n, 1)), atria.astype(np.float32))
    drift = 0.1 * np.sin(2 * np.pi * rng.uniform(0.1, 0.4, (n, 8, 1)) * clock + rng.uniform(0, 6.3, (n, 8, 1)))
    noise = rng.standard_normal(found.shape, np.float32) * rng.uniform(0.02, 0.06, (n, 1, 1)).astype(np.float32)
    found += drift.astype(np.float32) + noise
    # The other limb leads are differences of the same three electrodes (Einthoven, Goldberger).
    i, ii = found[:, 0], found[:, 1]
    limbs = np.stack([i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2], 1)
    return np.concatenate([limbs, found[:, 2:]], 1)
