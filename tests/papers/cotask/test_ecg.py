"""ECGs: WFDB records as they are, filters that keep their band, splits by patient, and generated sets with the stated labels."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest
import wfdb
from scipy import stats

from mtlrepro import exhibits
from mtlrepro.data import places
from mtlrepro.errors import BadValue, DataCorrupt
from mtlrepro.files import sha256_of
from mtlrepro.papers.cotask.data import ecg

P18, ECHO = (dict(exhibits.get(f"cotask/{table}").values) for table in ("tab1", "tab2"))


def clustered_errors(labels, patients, ratios):
    """How many standard errors, over patients, each label's count is off."""
    own = np.stack([np.bincount(patients, column - 1 / r) for column, r in zip(labels.T, ratios.values(), strict=True)])
    return own.sum(1) / np.sqrt((own**2).sum(1))


@pytest.mark.parametrize(
    ("ratios", "sensitivity", "shared_waves"),
    [(P18, 1.0, 1.0), (ECHO, 1.0, 1.0), (ECHO, 0.8, 1.0), (ECHO, 0.8, 0.5), (ECHO, 0.8, 0.0)],
)
def test_labels_have_the_printed_shares_whatever_the_annotator_misses_and_waves_share(ratios, sensitivity, shared_waves):
    labels, patients = ecg.generated_labels(ratios, 60_000, 1, sensitivity=sensitivity, shared_waves=shared_waves)
    assert np.abs(clustered_errors(labels, patients, ratios)).max() < 4.5


def test_the_dial_moves_the_wall_from_waves_of_its_own_to_those_of_the_minor_labels():
    """Laws, of latent scores and labels: at 0 the minor labels tell nothing of EchoLVH, whose three other waves do; at 1 they do,
    and the other waves do not; what all six waves tell together is the same at both ends."""
    names, told = list(ECHO), {}
    for shared_waves in (0.0, 0.5, 1.0):
        state, _, truth, _ = ecg._annotated(ECHO, 40_000, 0.0, shared_waves, 1.0, np.random.default_rng(3))
        waves = np.concatenate([state.minor_waves, state.other_waves, truth[:, 1:]], 1)
        told[shared_waves] = np.corrcoef(truth[:, names.index("EchoLVH")], waves.T)[0, 1:]
    noise = 0.03  # five standard errors, records of a patient being alike
    minor, other, labels = slice(0, 3), slice(3, 6), slice(6, None)
    assert np.abs(np.concatenate([told[0.0][minor], told[0.0][labels], told[1.0][other]])).max() < noise
    assert told[1.0][labels].min() > noise
    assert 0.1 < told[1.0][labels].max() < 0.8
    assert np.allclose(told[0.0][other], told[1.0][minor], atol=2 * noise)
    assert (told[0.5][:6] > noise).all()


def test_records_with_a_label_have_the_stated_number_of_labels():
    shared = ecg.common_factor(P18, 1.3283)
    labels, _ = ecg.generated_labels(P18, 80_000, 0, shared=shared)
    assert labels.sum() / labels.any(1).sum() == pytest.approx(1.3283, abs=0.01)
    assert ecg.labelled_share(P18, shared) == pytest.approx(labels.any(1).mean(), abs=0.005)


def test_a_heart_has_one_rhythm_and_one_conduction_disorder():
    labels, _ = ecg.generated_labels(P18, 50_000, 2, shared=0.4)
    column = list(P18).index
    for group in (("1AVB", "AFIB", "AFL", "EAR", "2AVB", "3AVB"), ("RBBB", "LBBB", "IRBBB", "ILBBB", "IVCD", "NIVCD")):
        assert labels[:, [column(label) for label in group]].sum(1).max() == 1


def test_the_annotator_has_the_stated_sensitivity_and_never_judges_the_echocardiogram():
    data = ecg.generate("echo", ECHO, 2500, 3, rate=50, seconds=3, sensitivity=0.8)
    assert np.array_equal(data.labels[:, 0], data.truth[:, 0])
    for column in range(1, len(ECHO)):
        true = data.truth[:, column] == 1
        noted = int(data.labels[true, column].sum())
        assert stats.binomtest(noted, int(true.sum()), 0.8).pvalue > 1e-4
        assert 0 < data.labels[~true, column].mean() < 0.06


@pytest.fixture(scope="module")
def many():
    """A set in which every label is frequent, so that each can be measured."""
    ratios = dict.fromkeys(("LVH", "AFIB", "RBBB", "LBBB", "1AVB", "VPC"), 8.0)
    return ecg.generate("many", ratios, 700, 4, rate=100, seconds=6, shared=0.0)


def alone(data, label):
    """Records with this label alone ('' for none)."""
    wanted = [name == label for name in data.names]
    return (data.labels == np.array(wanted, int)).all(1)


def beats(signal):
    """Places of R waves in lead II."""
    from scipy.signal import find_peaks

    return find_peaks(signal, height=0.45 * signal.max(), distance=25)[0]


def test_morphology_shows_the_labels(many):
    """The text-book sign of each label, as a difference of means from records without any."""
    filtered = ecg.band_pass(many.signals, many.rate)
    lead = ecg.LEADS.index
    none = alone(many, "")

    def above(label, value):
        yes, no = value[alone(many, label)], value[none]
        return stats.ttest_ind(yes, no, equal_var=False, alternative="greater").pvalue < 1e-4

    height = filtered[:, lead("v5")].max(1)
    irregular = np.array([np.std(np.diff(beats(s)), dtype=float) if len(beats(s)) > 2 else 0.0 for s in filtered[:, lead("ii")]])
    broad = (np.abs(filtered[:, lead("v1")]) > 0.3 * np.abs(filtered[:, lead("v1")]).max(1, keepdims=True)).mean(1)
    second = filtered[:, lead("v1")].max(1)
    assert above("LVH", height)
    assert above("AFIB", irregular)
    assert above("VPC", irregular)
    assert above("LBBB", broad)
    assert above("RBBB", second)


def test_the_same_seed_gives_the_same_recordings_and_another_one_others():
    first, again, other = (ecg.generate("p18", P18, 300, seed, rate=50, seconds=3) for seed in (5, 5, 6))
    assert first.sha256 == again.sha256 != other.sha256
    third, half = (ecg.generate("echo", ECHO, 300, 5, rate=50, seconds=3, shared_waves=dial) for dial in (0.0, 0.5))
    assert ecg.generate("echo", ECHO, 300, 5, rate=50, seconds=3, shared_waves=0.5).sha256 == half.sha256 != third.sha256
    assert first.signals.shape == (300, 12, 150)
    assert np.isfinite(first.signals).all()
    labels, patients = ecg.generated_labels(P18, 300, 5)
    assert np.array_equal(labels, first.labels)
    assert np.array_equal(patients, first.patients)


def test_limb_leads_are_differences_of_three_electrodes(many):
    i, ii, iii, avr, avl, avf = np.moveaxis(many.signals[:, :6], 1, 0)
    assert np.allclose(i + iii, ii, atol=1e-5)
    assert np.allclose(avr + avl + avf, 0, atol=1e-5)
    assert np.allclose(avl - avf, 1.5 * (i - ii), atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"ratios": {"flu": 3.0}}, "no such ECG label"),
        ({"ratios": {"LVH": 1.0}}, "above 1"),
        ({"sensitivity": 0.0}, "sensitivity"),
        ({"shared_waves": 1.5}, "shared waves"),
        ({"seconds": 2.0}, "3 seconds"),
    ],
)
def test_impossible_sets_are_refused(wrong, what):
    with pytest.raises(BadValue, match=what):
        ecg.generate(**({"name": "x", "ratios": ECHO, "n": 10, "seed": 0} | wrong))
    with pytest.raises(BadValue, match="no common factor"):
        ecg.common_factor(P18, 1.0)


def test_the_band_pass_keeps_its_band_and_adds_no_delay():
    rate, clock = 500, np.arange(5000) / 500
    middle = slice(1000, 4000)
    for frequency, kept in ((0.2, 0.0), (15.0, 1.0), (100.0, 0.0)):
        wave = np.sin(2 * np.pi * frequency * clock)[None]
        found = ecg.band_pass(wave, rate)[0, middle]
        assert np.abs(found - kept * wave[0, middle]).max() < 0.05
    with pytest.raises(BadValue, match="half the rate"):
        ecg.band_pass(np.zeros((1, 500)), 80)
    with pytest.raises(BadValue, match="too few"):
        ecg.band_pass(np.zeros((1, 200)), 500)


def test_no_patient_is_on_two_sides_of_a_split():
    patients = np.repeat(np.arange(300), np.arange(300) % 3 + 1)
    parts = ecg.split_by_patient(patients, 0)
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(len(patients)))
    sides = [set(patients[rows]) for rows in parts.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 300
    assert [round(len(side) / 300, 2) for side in sides] == [0.7, 0.1, 0.2]
    folds = ecg.patient_folds(patients, 5, 0)
    assert np.array_equal(np.sort(np.concatenate([fold["test"] for fold in folds])), np.arange(len(patients)))
    assert all(not set(patients[fold["train"]]) & set(patients[fold["test"]]) for fold in folds)


@pytest.mark.parametrize("fmt", ["16", "212"])
def test_wfdb_records_are_read_in_order_of_leads_and_in_millivolts(tmp_path, fmt):
    wanted = np.random.default_rng(0).normal(0, 0.4, (400, 12)).round(3)
    order = [3, 0, 1, 2, 11, 10, 9, 8, 7, 6, 5, 4]
    wfdb.wrsamp(
        "one", fs=500, units=["mV"] * 12, sig_name=[ecg.LEADS[i].upper() for i in order], p_signal=wanted[:, order],
        fmt=[fmt] * 12, write_dir=str(tmp_path),
    )  # fmt: skip
    found = ecg.in_leads(wfdb.rdrecord(str(tmp_path / "one")))
    assert found.shape == (12, 400)
    assert np.abs(found.T - wanted).max() < (1e-4 if fmt == "16" else 2e-3)
    wfdb.wrsamp("two", fs=500, units=["mV"], sig_name=["I"], p_signal=wanted[:, :1], fmt=[fmt], write_dir=str(tmp_path))
    with pytest.raises(DataCorrupt, match="no lead ii"):
        ecg.in_leads(wfdb.rdrecord(str(tmp_path / "two")))


@pytest.mark.parametrize("layout", ["official", "archive"])
def test_ludb_is_read_in_both_layouts(layout, tmp_path, write_manifest, monkeypatch):
    """Three recordings in the true formats: lines within a field, diagnoses by the beginning of a line, only frequent ones."""
    wanted, official = np.random.default_rng(1).normal(0, 0.4, (3, 600, 12)).round(3), tmp_path / "official"
    (official / "data").mkdir(parents=True)
    for number, values in enumerate(wanted, start=1):
        wfdb.wrsamp(
            str(number), fs=500, units=["mV"] * 12, sig_name=list(ecg.LEADS), p_signal=values, fmt=["16"] * 12,
            write_dir=str(official / "data"),
        )  # fmt: skip
    (official / "ludb.csv").write_text(
        "ID,Sex,Age,Rhythms,Conduction abnormalities,Hypertrophies\n"
        '1,"F\n","51\n",Atrial fibrillation,Incomplete right bundle branch block,\n'
        '2,"M\n",">89\n",Sinus rhythm,,"Left atrial hypertrophy\nLeft ventricular hypertrophy"\n'
        "3,M,40,Sinus rhythm,I degree AV block,Left ventricular hypertrophy\n"
    )
    files = [file for file in sorted(official.rglob("*")) if file.is_file()]
    (tmp_path / "archive").mkdir()
    packed = tmp_path / "archive" / "ludb-1.0.1.tar.xz"
    with tarfile.open(packed, "w:xz") as archive:
        for file in files:
            archive.add(file, f"lobachevsky-university-electrocardiography-database-1.0.1/{file.relative_to(official)}")
    layouts = {"official": files, "archive": [packed]}

    def listed(name):
        return [{"path": str(f.relative_to(tmp_path / name)), "sha256": sha256_of(f)} for f in layouts[name]]

    write_manifest("ludb", steps=["Get it."], layouts={name: {"folders": ["."], "files": listed(name)} for name in layouts})
    monkeypatch.setattr(ecg, "_LUDB_COUNT", 3)
    data = ecg.load_ludb(least=1, mirror=tmp_path / layout)
    assert np.abs(data.signals - wanted.transpose(0, 2, 1)).max() < 1e-4
    assert data.names == ("LVH", "LAH", "IRBBB", "AFIB", "1AVB")
    assert data.labels.tolist() == [[0, 0, 1, 1, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 1]]
    assert ecg.load_ludb(least=2, mirror=tmp_path / layout).names == ("LVH",)
    with layouts[layout][0].open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataCorrupt):
        ecg.load_ludb(mirror=tmp_path / layout)


@pytest.mark.slow
@pytest.mark.skipif(places.find("ludb") is None, reason="LUDB is not here")
def test_ludb_has_its_200_recordings_and_their_diagnoses():
    data = ecg.load_ludb()
    assert data.signals.shape == (200, 12, 5000)
    assert {"LVH", "AFIB", "IRBBB", "1AVB"} <= set(data.names)
    counts = dict(zip(data.names, data.labels.sum(0).tolist(), strict=True))
    assert counts["LVH"] == 108
    assert counts["IRBBB"] == 29
    assert 0.02 < np.abs(data.signals).mean() < 0.5
