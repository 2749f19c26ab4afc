"""Mortgages: features know nothing later than their date, outcomes equal a plain computation, damage is one clear line."""

from __future__ import annotations

import gzip
import io
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from mtlrepro.data import manifest, places
from mtlrepro.errors import BadValue, DataCorrupt, DataMissing, UnknownName
from mtlrepro.papers.hydalearn.data import mortgage

PANEL = mortgage.synthetic_panel(3, borrowers=250)


def _csv(panel: pd.DataFrame) -> bytes:
    return panel.to_csv(index=False).encode()


# --- quarterly rows ---------------------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_altering_the_rows_after_the_date_changes_no_feature(seed: int) -> None:
    rows = mortgage._date(PANEL, seed, 4)
    before = mortgage.panel_features(PANEL, rows)
    generator = np.random.default_rng(seed)
    date = PANEL["id"].map(rows.set_index("id")["time"])
    later = PANEL["time"] > date
    altered = PANEL.copy()
    for column in set(altered.columns) - {"id", "time", "state_orig_time"}:
        altered.loc[later, column] = generator.uniform(1, 500, later.sum())
    altered.loc[later, "state_orig_time"] = "XX"
    altered = altered[~later | (generator.random(len(altered)) < 0.5)]
    again = mortgage._date(altered, seed, 4)
    assert set(rows["id"]) <= set(again["id"])
    after = mortgage.panel_features(altered, again)
    pd.testing.assert_frame_equal(after.loc[before.index], before)


def test_columns_that_tell_the_outcome_change_no_feature_and_are_none() -> None:
    rows = mortgage._date(PANEL, 0, 4)
    altered = PANEL.assign(**{c: np.random.default_rng(0).uniform(0, 9, len(PANEL)) for c in mortgage.LEAKS})
    before, after = mortgage.panel_features(PANEL, rows), mortgage.panel_features(altered, altered.loc[rows.index])
    pd.testing.assert_frame_equal(before, after)
    told = ("default", "payoff", "status", "lgd", "recovery", "res_")
    assert not [c for c in before if any(word in c for word in told)]
    assert "id" not in before
    assert "time" not in before


@pytest.mark.parametrize("seed", [0, 1])
def test_outcomes_equal_a_plain_computation(seed: int) -> None:
    features, outcomes = mortgage.observe(PANEL, seed, span=4, horizon=4)
    dates = np.random.default_rng(seed).integers(0, 4, PANEL["id"].nunique())
    expected = []
    for (key, borrower), offset in zip(PANEL.groupby("id"), dates, strict=True):
        date = borrower["time"].iloc[0] + offset
        now = borrower[borrower["time"] == date]
        if now.empty or now["status_time"].iloc[0] != 0 or date > 56:
            continue
        year = borrower[(borrower["time"] > date) & (borrower["time"] <= date + 4)]
        default, prepaid = int((year["status_time"] == 1).any()), int((year["status_time"] == 2).any())
        if default or prepaid or borrower["time"].max() >= date + 4:
            expected.append((key, date, default, prepaid))
    assert [tuple(row) for row in outcomes.to_numpy()] == expected
    assert outcomes["id"].is_unique
    assert len(features) == len(outcomes) > 150


def test_a_date_is_kept_or_not_whatever_follows_it() -> None:
    """Censoring does not look at the outcome: without events after it, the same borrowers are at risk on the same dates."""
    late = PANEL[PANEL["time"] <= 30]
    _, outcomes = mortgage.observe(late, 0, last=30)
    quiet = late.assign(status_time=0.0)
    stays = [quiet, late.groupby("id").tail(1).assign(status_time=0.0, time=30.0)]
    _, everyone = mortgage.observe(pd.concat(stays).drop_duplicates(["id", "time"]).sort_values(["id", "time"]), 0, last=30)
    assert set(outcomes["id"]) <= set(everyone["id"])
    assert outcomes["time"].max() <= 26
    left = late[~((late["id"] == outcomes["id"][0]) & (late["time"] > outcomes["time"][0]))]
    assert outcomes["id"][0] not in set(mortgage.observe(left, 0, last=30)[1]["id"])


def test_settings_out_of_range_are_refused() -> None:
    for bad in ({"span": 0}, {"horizon": 0}, {"horizon": 60}):
        with pytest.raises(BadValue):
            mortgage.observe(PANEL, 0, **bad)
    with pytest.raises(BadValue, match="borrowers"):
        mortgage.synthetic_panel(0, 0)
    with pytest.raises(UnknownName, match="deep_credit_risk"):
        mortgage.load_mortgages("deep_credit")


def test_rows_written_and_read_again_are_the_same_in_any_order() -> None:
    shuffled = PANEL.sample(frac=1, random_state=0)
    read = mortgage.read_panel(_csv(pd.concat([shuffled, shuffled[shuffled["status_time"] == 0].head(3)])), "dcr.csv")
    assert tuple(read.columns) == mortgage.COLUMNS
    pd.testing.assert_frame_equal(
        read, PANEL.assign(state_orig_time=PANEL["state_orig_time"].astype(read["state_orig_time"].dtype))
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: b"", "no column id"),
        (lambda content: content[:-40], r"line \d+: \d+ fields, not the 28"),
        (lambda content: content[: content.rindex(b"\n", 0, -1) + 3], r"line \d+: 1 fields, not the 28"),
        (lambda content: content.replace(b"FICO_orig_time", b"FICO"), "no column FICO_orig_time"),
        (
            lambda content: (
                content.replace(b"recovery_res", b"recovery_res,more").replace(b"\n", b",1\n").replace(b",more,1\n", b",more\n")
            ),
            "28 columns.*see more",
        ),
        (lambda content: content.replace(b",0.0,", b",zero,", 1), r"line \d+: \w+ is 'zero'"),
        (lambda content: content.replace(b",0.0,", b",nan,", 1), r"line \d+: \w+ is 'nan'"),
        (lambda content: content.replace(b"\n1.0,", b"\n,", 1), "line 2: id is ''"),
        (lambda content: content.replace(b"\n", b",1,2,3\n", 4), "line 5: 28 fields, not the 31|28 columns"),
        (lambda content: content + b"1.0,60.0" + b",0.0" * 19 + b",CA" + b",0.0" * 6 + b"\n", "rows after default or payoff"),
        (lambda content: b"\xff\xfe\x00" * 50, "line 1: a byte"),
    ],
)
def test_damaged_rows_are_one_clear_line(damage: Callable[[bytes], bytes], message: str) -> None:
    small = PANEL[PANEL["id"].isin(PANEL.loc[PANEL["status_time"] > 0, "id"].unique()[:5])].assign(
        id=lambda p: p["id"].rank(method="dense")
    )
    with pytest.raises(DataCorrupt, match=message) as error:
        mortgage.read_panel(damage(_csv(small)), "folder/dcr.csv")
    assert "\n" not in str(error.value)
    assert "folder/dcr.csv" in str(error.value)


def _panel_manifest(write_manifest: Callable[..., Path], content: bytes, **more: Any) -> None:
    panel = mortgage.read_panel(content, "dcr.csv")
    arrays = mortgage.table_arrays(panel)
    listed = [
        {"name": n, "dtype": a.dtype.name, "shape": list(a.shape), "sha256": places.array_sha256(a)} for n, a in arrays.items()
    ]
    layouts = {
        "official": {"folders": ["."], "files": [{"path": "dcr.csv"}]},
        "csv_gz": {"folders": ["."], "files": [{"path": "dcr.csv.gz"}]},
    }
    write_manifest("deep_credit_risk", access="ask", tier="public stand-in", layouts=layouts, steps=["Get it."], arrays=listed)


def test_both_layouts_give_the_same_loans_and_damage_is_refused(write_manifest: Callable[..., Path], tmp_path: Path) -> None:
    content = _csv(PANEL)
    _panel_manifest(write_manifest, content)
    with pytest.raises(DataMissing, match="Get it"):
        mortgage.load_deep_credit_risk(mirror=tmp_path)
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    for folder, name, data in ((plain, "dcr.csv", content), (packed, "dcr.csv.gz", gzip.compress(content))):
        folder.mkdir()
        (folder / name).write_bytes(data)
    one, other = (mortgage.load_deep_credit_risk(5, mirror=folder) for folder in (plain, packed))
    assert one.sha256 == other.sha256
    pd.testing.assert_frame_equal(one.features, other.features)
    assert one.tier == "public stand-in"
    (packed / "dcr.csv.gz").write_bytes(gzip.compress(content)[:-3000])
    with pytest.raises(DataCorrupt, match=r"dcr\.csv\.gz cannot be unpacked"):
        mortgage.load_deep_credit_risk(mirror=packed)
    (plain / "dcr.csv").write_bytes(content.replace(b"CA", b"NY", 1))
    with pytest.raises(DataCorrupt, match="words of deep_credit_risk"):
        mortgage.load_deep_credit_risk(mirror=plain)


@pytest.mark.skipif("MTLREPRO_MIRROR" not in os.environ, reason="MTLREPRO_MIRROR is not set")
def test_the_real_panel_has_its_known_size_and_balance() -> None:
    if places.find("deep_credit_risk") is None:
        pytest.skip("Deep Credit Risk is not in this mirror")
    loans = mortgage.load_deep_credit_risk(0)
    assert loans.features.shape == (3990, 25)
    assert (loans.default.sum(), loans.prepaid.sum()) == (372, 832)
    assert not (loans.default & loans.prepaid).any()


# --- synthetic borrowers and the two tasks ----------------------------------------------------------------------------


def test_synthetic_borrowers_are_seeded_and_their_default_can_be_foreseen() -> None:
    loans = mortgage.synthetic_borrowers(1, borrowers=2000)
    assert loans.sha256 == mortgage.synthetic_borrowers(1, borrowers=2000).sha256
    assert loans.sha256 != mortgage.synthetic_borrowers(2, borrowers=2000).sha256
    assert 0.03 < loans.default.mean() < 0.2
    assert 0.1 < loans.prepaid.mean() < 0.4
    tasks = mortgage.mortgage_tasks(loans, 0)
    model = LogisticRegression(C=0.1, max_iter=500).fit(tasks.train.x.numpy(), tasks.train.main.numpy())
    assert roc_auc_score(tasks.test.main.numpy(), model.predict_proba(tasks.test.x.numpy())[:, 1]) > 0.65


def test_tasks_are_split_by_borrower_and_prepared_on_training_rows_only() -> None:
    loans = mortgage.synthetic_borrowers(1, borrowers=600)
    tasks = mortgage.mortgage_tasks(loans, 4)
    rows = [part.rows for part in (tasks.train, tasks.validation, tasks.test)]
    assert sorted(np.concatenate(rows)) == list(range(len(loans)))
    assert len(np.unique(loans.borrower)) == len(loans)
    altered = loans.features.copy()
    held = np.concatenate(rows[1:])
    altered.iloc[held, altered.columns.get_loc("ltv")] = 1e6
    altered.iloc[held, altered.columns.get_loc("state")] = "nowhere"
    changed = mortgage.Loans(**{**vars(loans), "features": altered})
    again = mortgage.mortgage_tasks(changed, 4)
    assert again.names == tasks.names
    assert (again.train.x == tasks.train.x).all()


# --- Fannie Mae -------------------------------------------------------------------------------------------------------

OBSERVED, YEAR = 12 * 2009 + 11, range(12 * 2010, 12 * 2011)


@dataclass
class DrawnLoan:
    """A random loan: its acquisition fields and one entry a month (servicer, rate, balance, remaining, msa, behind, code)."""

    quarter: str
    number: str
    fixed: dict[str, str]
    months: dict[int, tuple[str, ...]] = field(default_factory=dict)


def _drawn_loans(count: int, seed: int) -> list[DrawnLoan]:
    """Loans with every kind of ending: paying on, 90 days behind, cured, each zero balance code, reports that stop."""
    draw = np.random.default_rng(seed)
    loans = []
    for _ in range(count):
        quarter = str(draw.choice(["2003Q4", "2007Q1", "2009Q4"]))
        pick = {k: str(draw.choice(v)) for k, v in WORDS.items()}
        figures = {
            **{"original_rate": f"{draw.uniform(4, 8):.3f}", "original_balance": str(draw.integers(50, 500) * 1000)},
            **{"term": str(draw.choice([180, 360])), "ltv": str(draw.integers(30, 97)), "units": str(draw.integers(1, 5))},
            **{"cltv": str(draw.integers(30, 97)) if draw.random() < 0.9 else "", "borrowers": str(draw.integers(1, 3))},
            **{"dti": str(draw.integers(10, 60)) if draw.random() < 0.9 else "", "score": str(draw.integers(550, 820))},
        }
        loan = DrawnLoan(quarter, f"{100_000_000_000 + int(draw.integers(9e11))}", pick | figures)
        start = OBSERVED + int(draw.integers(-8, 2))
        end = int(draw.choice([OBSERVED - 2, *YEAR, YEAR[-1] + 3, YEAR[-1] + 3, YEAR[-1] + 3]))
        code = str(draw.choice(["01", "01", "02", "03", "06", "09", "15", "16", ""])) if end <= YEAR[-1] else ""
        behind = 0
        for month in range(start, end + 1):
            behind = max(0, behind + int(draw.choice([-1, 0, 0, 0, 1], p=[0.15, 0.3, 0.2, 0.2, 0.15])))
            shown = "X" if draw.random() < 0.02 else str(behind)
            balance = "" if month < start + 6 else f"{int(figures['original_balance']) * 0.9:.2f}"
            servicer = str(draw.choice(["BANK A", "BANK B, NA", "", "", ""]))
            last = code if month == end else ""
            msa = str(draw.choice(["00000", "31080"])) if month == start else loan.months[month - 1][4]
            loan.months[month] = (
                servicer,
                figures["original_rate"],
                "" if last else balance,
                str(400 - month % 100),
                msa,
                shown,
                last,
            )
        loans.append(loan)
    return loans


WORDS = {
    "channel": ["R", "B", "C"],
    "seller": ["OTHER", "BANK A", 'O"NEIL'],
    "first_time_buyer": ["Y", "N", "U"],
    "purpose": ["P", "C", "R"],
    "property": ["SF", "CO"],
    "occupancy": ["P", "I"],
    "state": ["CA", "TX", ""],
    "product": ["FRM"],
}


def _historical(loans: list[DrawnLoan]) -> dict[str, str]:
    files: dict[str, str] = defaultdict(str)
    for loan in loans:
        f = loan.fixed
        line = [
            loan.number,
            f["channel"],
            f["seller"],
            f["original_rate"],
            f["original_balance"],
            f["term"],
            "12/2003",
            "02/2004",
        ]
        line += [f["ltv"], f["cltv"], f["borrowers"], f["dti"], f["score"], f["first_time_buyer"], f["purpose"], f["property"]]
        line += [f["units"], f["occupancy"], f["state"], "900", "", f["product"], "", "", "N"]
        files[f"Acquisition_{loan.quarter}.txt"] += "|".join(line) + "\n"
        for month, (servicer, rate, balance, remaining, msa, behind, code) in loan.months.items():
            date = f"{month % 12 + 1:02d}/01/{month // 12}"
            row = [loan.number, date, servicer, rate, balance, "9", remaining, remaining, "01/2034", msa, behind, "N", code]
            files[f"Performance_{loan.quarter}.txt"] += "|".join(row + [""] * 18) + "\n"
    return files


def _combined(loans: list[DrawnLoan], width: int = 113) -> dict[str, str]:
    files: dict[str, str] = defaultdict(str)
    for loan in loans:
        f = loan.fixed
        for month, (servicer, rate, balance, remaining, msa, behind, code) in loan.months.items():
            date = f"{month % 12 + 1:02d}{month // 12}"
            row = [
                "",
                loan.number,
                date,
                f["channel"],
                f["seller"],
                servicer,
                "",
                f["original_rate"],
                rate,
                f["original_balance"],
            ]
            row += ["", balance, f["term"], "122003", "022004", "9", remaining, remaining, "012034", f["ltv"], f["cltv"]]
            row += [f["borrowers"], f["dti"], f["score"], "", f["first_time_buyer"], f["purpose"], f["property"], f["units"]]
            row += [
                f["occupancy"],
                f["state"],
                msa,
                "900",
                "",
                f["product"],
                "N",
                "N",
                "",
                "",
                "XX" if behind == "X" else behind.zfill(2),
            ]
            row += ["0" * 48, "N", "", code, ""]
            files[f"{loan.quarter}.csv"] += "|".join(row + [""] * (width - len(row))) + "\n"
    return files


def _write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content, newline="")
    return folder


def _plain(loans: list[DrawnLoan]) -> dict[str, dict[str, Any]]:
    """What the sample should hold, computed loan by loan."""
    table = {}
    for loan in loans:
        now = loan.months.get(OBSERVED)
        if now is None or now[6] or now[5] == "X" or int(now[5]) >= 3:
            continue
        year = [loan.months[m] for m in YEAR if m in loan.months]
        default = any(r[6] in ("02", "03", "09", "15") or (r[5] != "X" and int(r[5]) >= 3) for r in year)
        prepaid = any(r[6] == "01" for r in year)
        if not (default or prepaid) and (len(year) < 12 or any(r[6] for r in year)):
            continue
        named = [loan.months[m][0] for m in sorted(loan.months) if m <= OBSERVED and loan.months[m][0]]
        f = loan.fixed
        table[loan.number] = {
            **{"default": int(default), "prepaid": int(prepaid), "servicer": named[-1] if named else "unknown"},
            **{"balance": float(now[2] or f["original_balance"]), "rate": float(now[1]), "months_to_maturity": float(now[3])},
            **{"msa": "unknown" if now[4] == "00000" else now[4]},
            **{k: float(f[k]) if f[k] else np.nan for k in ("cltv", "dti", "ltv", "term", "borrowers", "score", "units")},
            **{k: f[k] or "unknown" for k in WORDS},
        }
    return table


@pytest.fixture(scope="module")
def loans() -> list[DrawnLoan]:
    return _drawn_loans(700, 0)


def _check(loans: mortgage.Loans, expected: dict[str, dict[str, Any]], penalty: str) -> None:
    assert len(loans) == len(expected)
    for i, number in enumerate(loans.borrower):
        got = loans.features.iloc[i].to_dict() | {"default": loans.default[i], "prepaid": loans.prepaid[i]}
        want = expected[number] | {"prepayment_penalty": penalty}
        assert got.keys() == want.keys()
        for key, value in want.items():
            assert got[key] == value or (value != value and got[key] != got[key]), (number, key)


@pytest.mark.parametrize("block", [300, 40_000, 2**24])
def test_both_formats_equal_a_plain_computation_however_they_are_cut(loans: list[DrawnLoan], block: int, tmp_path: Path) -> None:
    some = loans if block > 1000 else loans[:25]
    expected = _plain(some)
    assert {(e["default"], e["prepaid"]) for e in expected.values()} >= {(0, 0), (0, 1), (1, 0)}
    old = mortgage.load_fannie_mae(mirror=_write(tmp_path / "old" / "fannie_mae", _historical(some)).parent, block=block)
    _check(old, expected, "unknown")
    for width in (108, 113):
        folder = _write(tmp_path / str(width) / "fannie_mae", _combined(some, width)).parent
        new = mortgage.load_fannie_mae(mirror=folder, block=block)
        _check(new, expected, "N")
        assert (new.borrower == old.borrower).all()
    assert set(old.features) == set(mortgage.TABLE_7)
    assert old.tier == "paper's data"


def test_a_small_sample_is_the_same_whatever_the_order_and_the_cut(loans: list[DrawnLoan], tmp_path: Path) -> None:
    """The sample is a function of the set of loans and the seed, and every loan is as likely as any other."""
    expected = set(_plain(loans))
    one = mortgage.load_fannie_mae(40, 1, mirror=_write(tmp_path / "a", _combined(loans)), block=30_000)
    rows = {name: content.splitlines(keepends=True) for name, content in _combined(loans).items()}
    mixed = {n: "".join(np.random.default_rng(0).permutation(np.array(r, object))) for n, r in rows.items()}
    other = mortgage.load_fannie_mae(40, 1, mirror=_write(tmp_path / "b", mixed))
    assert one.sha256 == other.sha256
    assert len(one) == 40
    assert list(mortgage.load_fannie_mae(90, 1, mirror=tmp_path / "a", block=30_000).borrower[:40]) == list(one.borrower)
    assert set(one.borrower) < expected
    drawn = [set(mortgage.load_fannie_mae(40, s, mirror=tmp_path / "a").borrower) for s in range(8)]
    assert len(set.union(*drawn)) > 0.6 * min(len(expected), 320)
    quarters = {loan.number: loan.quarter for loan in loans}
    share = np.mean([quarters[n] == "2009Q4" for part in drawn for n in part])
    assert abs(share - np.mean([quarters[n] == "2009Q4" for n in expected])) < 0.12


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("2007Q1.csv", lambda t: t[: len(t) // 2], r"2007Q1.csv: line \d+ has \d+ fields, not 113"),
        ("2007Q1.csv", lambda t: "a|b|c\n" + t, "line 1 has 3 fields, not 108 to 113"),
        ("2007Q1.csv", lambda t: "", "is empty"),
        ("2007Q1.csv", lambda t: t.replace("|122009|", "|132009|", 1), r"2007Q1.csv, line \d+: period: '132009' is no month"),
        ("2007Q1.csv", lambda t: t.replace("|00|0000", "|Z|0000"), "delinquency: 'Z' is no number of months"),
        ("2007Q1.csv", lambda t: t.replace("|360|122003", "|36o|122003"), "term is no number in loan .*: '36o'"),
        ("2007Q1.csv", lambda t: _header(t) + t, "2007Q1.csv, line 1: period: 'field3' is no month"),
        ("2007Q1.csv", lambda t: t + t, "has a month twice"),
        ("Performance_2007Q1.txt", lambda t: t[: len(t) // 2], r"Performance_2007Q1.txt: line \d+ has \d+ fields, not 31"),
        ("Acquisition_2007Q1.txt", lambda t: t.replace("\n", "|more\n"), "line 1 has 26 fields, not 25"),
        ("Acquisition_2007Q1.txt", lambda t: t[: t.index("\n") + 1], "does not stand once in the Acquisition files"),
    ],
)
def test_damaged_files_are_one_clear_line(
    loans: list[DrawnLoan], tmp_path: Path, file: str, damage: Callable[[str], str], message: str
) -> None:
    files = _combined(loans[:200]) if file.endswith(".csv") else _historical(loans[:200])
    _write(tmp_path, files | {file: damage(files[file])})
    with pytest.raises(DataCorrupt, match=message) as error:
        mortgage.load_fannie_mae(mirror=tmp_path)
    assert "\n" not in str(error.value)


def _header(content: str) -> str:
    return "|".join(f"field{i}" for i in range(1, content.split("\n", 1)[0].count("|") + 2)) + "\n"


def test_missing_files_say_what_to_do(loans: list[DrawnLoan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLREPRO_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataMissing, match=r"\(1\) Register.*2000Q1 to 2009Q4.*\(3\) Put them in a folder fannie_mae") as error:
        mortgage.load_fannie_mae(mirror=tmp_path)
    assert "\n" not in str(error.value)
    _write(tmp_path, _historical(loans[:50]))
    (tmp_path / "Acquisition_2003Q4.txt").unlink()
    with pytest.raises(DataMissing, match=r"Acquisition_2003Q4.txt, which belongs to 2003Q4"):
        mortgage.load_fannie_mae(mirror=tmp_path)
    with pytest.raises(DataCorrupt, match="at risk in 2001-05"):
        mortgage.load_fannie_mae(observed="2001-05", mirror=_write(tmp_path / "new", _combined(loans[:50])))
    for bad in ({"size": 0}, {"observed": "December 2009"}, {"seed": -1}):
        with pytest.raises(BadValue):
            mortgage.load_fannie_mae(mirror=tmp_path, **bad)


def test_one_quarter_is_enough_and_counts_as_a_part(loans: list[DrawnLoan], tmp_path: Path) -> None:
    assert places.find("fannie_mae", tmp_path) is None
    _write(tmp_path, {k: v for k, v in _combined(loans[:50]).items() if k == "2003Q4.csv"})
    status = manifest.status("fannie_mae", tmp_path)
    assert (status.where, status.partial) == ("mirror", True)
    assert manifest.verify("fannie_mae", tmp_path).files == 1
    assert mortgage.load_mortgages(mirror=tmp_path).name == "fannie_mae"


def test_the_layouts_have_the_published_numbers_of_fields() -> None:
    assert (len(mortgage.ACQUISITION), len(mortgage.PERFORMANCE)) == (25, 31)
    assert [mortgage.COMBINED.index(c) for c in ("loan", "period", "balance", "delinquency", "zero_code")] == [1, 2, 11, 39, 43]
    read = pd.read_csv(
        io.StringIO("100007365142|12/01/2001|BANK, NA|8|73694.5|23|337|336|01/2030|00000|0|N" + "|" * 19), sep="|", header=None
    )
    published = dict(zip(mortgage.PERFORMANCE, read.iloc[0], strict=True))
    assert (published["balance"], published["remaining"], published["maturity"]) == (73694.5, 337, "01/2030")
