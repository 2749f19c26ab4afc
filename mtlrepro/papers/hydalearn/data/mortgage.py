"""Mortgages: default (main task) and prepayment (auxiliary task) over the next year, seen from one date a borrower.

Verboven, Chaudhary, Berrevoets and Verbeke, "HydaLearn" (2020), section 5.2 and Appendix: Fannie Mae mortgages accepted
2000 to 2009, status at the start of 2010, 10,000 of them, the features of Table 7. Three sources end in one `Loans` table:

- `load_fannie_mae`: the paper's data, for those who have registered for them;
- `load_deep_credit_risk`: the public stand-in, quarterly rows of 5,000 borrowers;
- `synthetic_panel`: generated rows of the same 28 columns, put through the same steps.

Features hold what is known at the observation date and nothing later; the encoding (means, categories) is left to
`mtlrepro.papers.hydalearn.data.tabular`, which fits it on the training rows.
"""

from __future__ import annotations

import csv
import functools
import io
import re
from collections.abc import Callable, Iterator
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

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Loans:
    """n mortgages, one row a borrower.

    `features` (n, columns): float64 columns are continuous (NaN where missing), others are categories ("unknown" where
    missing). `default` and `prepaid` (n,) int64, 0 or 1: whether it happened within the year after the observation.
    `borrower` (n,): one key a row, to split by. `sha256` is over the source's canonical arrays.
    """

    name: str
    features: pd.DataFrame
    default: Ints
    prepaid: Ints
    borrower: NDArray[Any]
    sha256: str
    tier: Tier
    source: Literal["official", "mirror", "embedded"]

    def __len__(self) -> int:
        return len(self.features)


# --- the two tasks ---------------------------------------------------------------------------------------------------------


def load_mortgages(source: str = "fannie_mae", mirror: Path | None = None) -> Loans:
    """The mortgages of a data set (fannie_mae, deep_credit_risk, synthetic_borrowers), or of the one that stands in for it.

    Corrupt data are an error, not a reason to fall back. Raises UnknownName, DataCorrupt.
    """
    opened = data.open(source, mirror)
    loans: Loans = replace(opened.content, tier=opened.tier)
    return loans


def mortgage_tasks(loans: Loans, seed: int, **preparation: Any) -> TwoTask:
    """Default (main) and prepayment (auxiliary) of `loans`, split by borrower with `seed`, stratified by default.

    `preparation`: keywords of `tabular.Preparation.fit`, which sees the training rows only. Raises BadValue.
    """
    parts = split(loans.default, seed, groups=loans.borrower)
    targets = loans.default, loans.prepaid
    return two_task(loans.name, loans.features, *targets, parts, sha256=loans.sha256, tier=loans.tier, **preparation)


# --- quarterly rows: Deep Credit Risk -----------------------------------------------------------------------------------

COLUMNS = (
    *("id", "time", "orig_time", "first_time", "mat_time", "res_time", "balance_time", "LTV_time", "interest_rate_time"),
    *("rate_time", "hpi_time", "gdp_time", "uer_time", "REtype_CO_orig_time", "REtype_PU_orig_time", "REtype_SF_orig_time"),
    *("investor_orig_time", "balance_orig_time", "FICO_orig_time", "LTV_orig_time", "Interest_Rate_orig_time"),
    *("state_orig_time", "hpi_orig_time", "default_time", "payoff_time", "status_time", "lgd_time", "recovery_res"),
)
LEAKS = ("res_time", "default_time", "payoff_time", "status_time", "lgd_time", "recovery_res")  # they tell the outcome
LAST = 60  # the panel's last quarter
_PERFORMING, _DEFAULT, _PAYOFF = 0, 1, 2
_LARGEST = 64 * 2**20  # dcr.csv has 7.5 MB


def read_panel(content: bytes, where: str) -> pd.DataFrame:
    """The rows of a dcr.csv, sorted by borrower and quarter; state as text, all else float64.

    38 borrowers have their row for quarter 51 twice: one is kept. `where` names the file in errors. Raises DataCorrupt:
    columns other than COLUMNS, a row with too few fields, a value that is no number, or an event that is not a borrower's
    last row.
    """
    text = text_table(content, where, COLUMNS)
    if tuple(text.columns) != COLUMNS:
        odd = sorted(set(text.columns) - set(COLUMNS))
        raise DataCorrupt(f"{where} does not have the 28 columns of Deep Credit Risk (see {', '.join(odd[:3]) or 'order'}).")
    known = ("id", "time", "status_time", "first_time")
    columns: dict[str, Any] = {
        c: text[c].to_numpy() if c == "state_orig_time" else numbers(text[c], where, () if c in known else ("",)) for c in COLUMNS
    }
    panel = pd.DataFrame(columns).sort_values(["id", "time"], kind="stable", ignore_index=True)
    followed = panel["id"].eq(panel["id"].shift(-1))
    if (followed & panel["status_time"].ne(_PERFORMING)).any():
        raise DataCorrupt(f"{where}: a borrower has rows after default or payoff.")
    return panel.drop_duplicates(["id", "time"], keep="last", ignore_index=True)


def _date(panel: pd.DataFrame, seed: int, span: int) -> pd.DataFrame:
    """The rows of the observation dates, with the index of `panel`. Looks at no row after the date."""
    first = panel.groupby("id")["time"].min()
    offset = np.random.default_rng(seed).integers(0, span, len(first))
    date = panel["id"].map(first + offset)
    return panel[panel["time"].eq(date) & panel["status_time"].eq(_PERFORMING)]


def panel_features(panel: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Features (n, 25) of the borrowers at `rows`, a selection of a sorted `panel`.

    Only the row itself and the borrower's first row are read. Balances in logarithms, rates and LTV in percent, time in
    quarters. A rate or an original balance of 0 stands for a missing one.
    """
    first = panel.groupby("id").nth(0).set_index("id").loc[rows["id"]].set_axis(rows.index)
    now = rows.drop(columns=list(LEAKS))
    rate = now["interest_rate_time"].replace(0.0, np.nan)
    original = now["balance_orig_time"].replace(0.0, np.nan)
    kind = now[[f"REtype_{k}_orig_time" for k in ("CO", "PU", "SF")]].to_numpy() @ np.array([1, 2, 3])
    features = {
        "age": now["time"] - now["orig_time"],
        "quarters_seen": now["time"] - first["time"],
        "quarters_to_maturity": now["mat_time"] - now["time"],
        "balance": np.log1p(now["balance_time"]),
        "balance_original": np.log1p(original),
        "share_outstanding": now["balance_time"] / original,
        "ltv": now["LTV_time"],
        "ltv_original": now["LTV_orig_time"],
        "rate": rate,
        "rate_original": now["Interest_Rate_orig_time"].replace(0.0, np.nan),
        "rate_market": now["rate_time"],
        "rate_spread": rate - now["rate_time"],
        "fico": now["FICO_orig_time"],
        "investor": now["investor_orig_time"],
        "hpi": now["hpi_time"],
        "hpi_since_origination": now["hpi_time"] / now["hpi_orig_time"],
        "gdp": now["gdp_time"],
        "unemployment": now["uer_time"],
        "ltv_change": now["LTV_time"] - first["LTV_time"],
        "rate_change": now["interest_rate_time"] - first["interest_rate_time"],
        "balance_change": np.log1p(now["balance_time"]) - np.log1p(first["balance_time"]),
        "hpi_change": now["hpi_time"] / first["hpi_time"] - 1,
        "unemployment_change": now["uer_time"] - first["uer_time"],
        "property": pd.Series(np.array(["other", "condominium", "planned", "single-family"])[kind.astype(int)], rows.index),
        "state": now["state_orig_time"].replace("", UNKNOWN),
    }
    return pd.DataFrame(features)


def observe(
    panel: pd.DataFrame, seed: int = 0, span: int = 4, horizon: int = 4, last: int = LAST
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One observation date a borrower, and what happened within `horizon` quarters after it.

    Returns features (n, 25) and outcomes with the columns id, time, default, prepaid (n, 4).

    Our reading: the date is the borrower's first row plus 0 to span - 1 quarters, drawn by `seed` without a look at what
    follows. A borrower counts where he has a row for that quarter and is performing then, and where the quarter is at
    most `last` - horizon, whatever happens: to keep later dates only where an event fell before the panel's end would
    raise the share of events. The few who leave within the horizon without an event have an unknown outcome and are left
    out. Raises BadValue.
    """
    if span < 1 or not 1 <= horizon < last:
        raise BadValue(f"span is at least 1 and horizon between 1 and {last - 1}, not {span} and {horizon}.")
    rows = _date(panel, seed, span)
    rows = rows[rows["time"] <= last - horizon]
    final = panel.groupby("id").nth(-1).set_index("id").loc[rows["id"]].set_axis(rows.index)
    within = final["time"] <= rows["time"] + horizon
    default = final["status_time"].eq(_DEFAULT) & within
    prepaid = final["status_time"].eq(_PAYOFF) & within
    known = default | prepaid | (final["time"] >= rows["time"] + horizon)
    outcomes = pd.DataFrame({"id": rows["id"], "time": rows["time"], "default": default, "prepaid": prepaid}).astype(np.int64)
    features = panel_features(panel, rows)
    return features[known].reset_index(drop=True), outcomes[known].reset_index(drop=True)


@functools.lru_cache(maxsize=2)
def _parsed(content: bytes, where: str) -> pd.DataFrame:
    return read_panel(gunzip(content, where, _LARGEST) if where.endswith(".gz") else content, where)


def load_deep_credit_risk(seed: int = 0, span: int = 4, horizon: int = 4, mirror: Path | None = None) -> Loans:
    """Deep Credit Risk (Rösch and Scheule, 2020) as `observe` sees it; `seed` draws the dates.

    Raises DataMissing (with what to do), DataCorrupt, BadValue.
    """
    place = locate("deep_credit_risk", mirror)
    (file,) = place.files
    panel = _parsed(place.read(file), str(place.folder / file))
    digest = check_arrays(place, table_arrays(panel))
    features, outcomes = observe(panel, seed, span, horizon)
    tier = place.manifest.tier
    return _loans("deep_credit_risk", features, outcomes, digest, tier, place.source)


def _loans(
    name: str,
    features: pd.DataFrame,
    outcomes: pd.DataFrame,
    digest: str,
    tier: Tier,
    source: Literal["official", "mirror", "embedded"],
) -> Loans:
    default, prepaid = (outcomes[c].to_numpy(np.int64) for c in ("default", "prepaid"))
    return Loans(name, features, default, prepaid, outcomes["id"].to_numpy(), digest, tier, source)


# --- synthetic borrowers --------------------------------------------------------------------------------------------------


def synthetic_panel(seed: int, borrowers: int = 4000) -> pd.DataFrame:
    """Quarterly rows of made-up borrowers with the columns of Deep Credit Risk, sorted by borrower and quarter.

    House prices rise to quarter 28, fall by a third to quarter 40 and recover; unemployment mirrors them. In each quarter
    a performing borrower defaults with log-odds -4.4 + 0.045 (LTV - 80) - 0.008 (FICO - 680) + 0.2 (unemployment - 6) and,
    if not, pays off with log-odds -3.3 - 0.035 (LTV - 80) + 0.003 (FICO - 680) + 0.35 (rate - market rate). Raises BadValue.
    """
    if borrowers < 1:
        raise BadValue(f"borrowers is at least 1, not {borrowers}.")
    draw = np.random.default_rng([seed, 60])
    quarter = np.arange(-40, LAST + 1)
    hpi = np.interp(quarter, [-40, 0, 28, 40, 60], [75, 108, 226, 152, 178])
    unemployment = np.interp(quarter, [-40, 26, 40, 60], [5.5, 4.5, 10.0, 6.0])
    gdp = np.interp(quarter, [-40, 26, 34, 40, 60], [2.5, 2.5, -4.0, 2.0, 2.3])
    market = np.interp(quarter, [-40, 1, 20, 60], [7.5, 6.5, 5.5, 3.8])
    n = borrowers
    first = draw.integers(1, LAST - 8, n)
    origin = np.maximum(first - draw.geometric(0.25, n) + 1, -40)
    fico = np.clip(draw.normal(675, 70, n).round(), 430, 819)
    ltv = np.clip(draw.normal(79, 10, n), 50.1, 119.8).round(1)
    balance = draw.lognormal(12.2, 0.7, n).round(-2)
    rate = np.clip(market[origin + 40] + (720 - fico) / 90 + draw.normal(0, 0.6, n), 1, 15).round(3)
    kind = draw.choice(4, n, p=[0.07, 0.13, 0.6, 0.2])
    investor = (draw.random(n) < 0.15).astype(float)
    state = draw.choice(np.array(["CA", "FL", "TX", "NY", "GA", "IL", ""]), n, p=[0.3, 0.2, 0.15, 0.12, 0.12, 0.1, 0.01])
    performing = np.ones(n, bool)
    parts = []
    for t in range(1, LAST + 1):
        who = np.flatnonzero(performing & (first <= t))
        at, born = t + 40, origin[who] + 40
        left = balance[who] * (1 - ((t - origin[who]) / 120) ** 2).clip(0)
        value = 100 * left / balance[who] * (ltv[who] / 100) * hpi[born] / hpi[at]
        odds_default = -4.4 + 0.045 * (value - 80) - 0.008 * (fico[who] - 680) + 0.2 * (unemployment[at] - 6)
        odds_payoff = -3.3 - 0.035 * (value - 80) + 0.003 * (fico[who] - 680) + 0.35 * (rate[who] - market[at])
        defaults = draw.random(len(who)) < 1 / (1 + np.exp(-odds_default))
        pays = ~defaults & (draw.random(len(who)) < 1 / (1 + np.exp(-odds_payoff)))
        lost = np.where(defaults, draw.uniform(0, 0.9, len(who)).round(4), np.nan)
        macro = {"rate_time": market[at], "hpi_time": hpi[at], "gdp_time": gdp[at], "uer_time": unemployment[at]}
        row = {
            **{"id": who + 1, "time": t, "orig_time": origin[who], "first_time": first[who], "mat_time": origin[who] + 120},
            **{"res_time": np.where(defaults, t + 4, np.nan), "balance_time": left.round(2), "LTV_time": value},
            **{"interest_rate_time": rate[who], **macro, "investor_orig_time": investor[who]},
            **{f"REtype_{k}_orig_time": (kind[who] == i).astype(float) for i, k in enumerate(("CO", "PU", "SF"))},
            **{"balance_orig_time": balance[who], "FICO_orig_time": fico[who], "LTV_orig_time": ltv[who]},
            **{"Interest_Rate_orig_time": rate[who], "state_orig_time": state[who], "hpi_orig_time": hpi[born]},
            **{"default_time": defaults, "payoff_time": pays, "status_time": defaults + 2 * pays},
            **{"lgd_time": lost, "recovery_res": (1 - lost) * left},
        }
        parts.append(pd.DataFrame(row)[list(COLUMNS)])
        performing[who[defaults | pays]] = False
    panel = pd.concat(parts).sort_values(["id", "time"], ignore_index=True)
    return panel.astype({c: np.float64 for c in COLUMNS if c != "state_orig_time"})


def synthetic_borrowers(seed: int = 0, borrowers: int = 4000, span: int = 4, horizon: int = 4) -> Loans:
    """`synthetic_panel` as `observe` sees it, for use where no data are at hand. Raises BadValue."""
    panel = synthetic_panel(seed, borrowers)
    features, outcomes = observe(panel, seed, span, horizon)
    return _loans("synthetic_borrowers", features, outcomes, arrays_sha256(table_arrays(panel)), "synthetic", "embedded")


# --- Fannie Mae: monthly rows, files of many GB ---------------------------------------------------------------------------

ACQUISITION = (
    *("loan", "channel", "seller", "original_rate", "original_balance", "term", "origination", "first_payment", "ltv", "cltv"),
    *("borrowers", "dti", "score", "first_time_buyer", "purpose", "property", "units", "occupancy", "state", "zip3"),
    *("insurance", "product", "co_score", "insurance_type", "relocation"),
)
PERFORMANCE = (
    *("loan", "period", "servicer", "rate", "balance", "age", "remaining", "remaining_adjusted", "maturity", "msa"),
    *("delinquency", "modified", "zero_code", "zero_date", "last_paid", "foreclosed", "disposed", "cost_foreclosure"),
    *("cost_repair", "cost_recovery", "cost_other", "taxes", "proceeds_sale", "proceeds_credit", "proceeds_repurchase"),
    *("proceeds_other", "non_interest_balance", "forgiven", "repurchased", "written_off", "servicing_activity"),
)
# The single file published since October 2020: 108 fields, later ones were added at the end (113 in recent releases).
COMBINED = (
    *("pool", "loan", "period", "channel", "seller", "servicer", "master_servicer", "original_rate", "rate"),
    *("original_balance", "issuance_balance", "balance", "term", "origination", "first_payment", "age", "remaining"),
    *("remaining_adjusted", "maturity", "ltv", "cltv", "borrowers", "dti", "score", "co_score", "first_time_buyer", "purpose"),
    *("property", "units", "occupancy", "state", "msa", "zip3", "insurance", "product", "prepayment_penalty"),
    *("interest_only", "first_principal", "months_to_principal", "delinquency", "history", "modified", "insurance_cancelled"),
    *("zero_code", "zero_date"),
)
COMBINED_WIDTHS = range(108, 114)
PREPAID_CODES = ("01",)  # prepaid or matured
DEFAULT_CODES = ("02", "03", "09", "15")  # third-party sale, short sale, deed-in-lieu or real estate owned, note sale
DEFAULT_DELINQUENCY = 3  # months behind, that is 90 days
MONTHS = 12
_NUMBERS = ("cltv", "dti", "balance", "ltv", "rate", "term", "borrowers", "score", "units", "months_to_maturity")
_WORDS = ("seller", "servicer", "purpose", "first_time_buyer", "channel", "prepayment_penalty", "occupancy", "product")
TABLE_7 = (*_NUMBERS, *_WORDS, "state", "property", "msa")
_FIXED = tuple(c for c in (*ACQUISITION, "prepayment_penalty") if c in (*TABLE_7, "original_balance"))
_MONTHLY = ("loan", "period", "servicer", "rate", "balance", "remaining", "msa", "delinquency", "zero_code")


def _blocks(file: Path, widths: range, size: int) -> Iterator[tuple[int, bytes, int]]:
    """Whole lines of a pipe-separated file, about `size` bytes at a time: first line's number, bytes, fields a line.

    Raises DataCorrupt at the first line that has another number of fields than the first one, or than `widths` allows.
    """
    line, fields, rest = 1, 0, b""
    with file.open("rb") as stream:
        while True:
            read = stream.read(size)
            block = rest + read
            if not read and not block:
                break
            cut = block.rfind(b"\n") + 1 if read else len(block)
            block, rest = block[:cut], block[cut:]
            if not block:
                continue
            if not block.endswith(b"\n"):
                block += b"\n"
            characters = np.frombuffer(block, np.uint8)
            ends = np.flatnonzero(characters == ord("\n"))
            bars = np.searchsorted(np.flatnonzero(characters == ord("|")), ends)
            found = np.diff(bars, prepend=0) + 1
            fields = fields or int(found[0])
            wrong = np.flatnonzero((found != fields) | (fields not in widths))
            if len(wrong):
                expected = f"{widths[0]}" if len(widths) == 1 else f"{widths[0]} to {widths[-1]}"
                at = line + int(wrong[0])
                raise DataCorrupt(f"{file}: line {at} has {found[wrong[0]]} fields, not {expected if at == 1 else fields}.")
            yield line, block, fields
            line += len(ends)
    if line == 1:
        raise DataCorrupt(f"{file} is empty.")


def _chunks(file: Path, names: tuple[str, ...], widths: range, wanted: tuple[str, ...], size: int) -> Iterator[pd.DataFrame]:
    """The `wanted` columns as text, some MB of the file at a time, indexed by line. Raises DataCorrupt."""
    for line, block, fields in _blocks(file, widths, size):
        columns = [*names, *(f"field{i}" for i in range(len(names), fields))]
        try:
            chunk = pd.read_csv(
                io.BytesIO(block),
                sep="|",
                header=None,
                names=columns,
                usecols=[c for c in columns if c in wanted],
                dtype=str,
                keep_default_na=False,
                quoting=csv.QUOTE_NONE,
            )
        except (ValueError, UnicodeDecodeError) as error:
            raise DataCorrupt(f"{file}: after line {line}: {str(error).splitlines()[0]}") from None
        yield chunk.set_axis(range(line, line + len(chunk)))


def _mapped(text: pd.Series[str], parse: Callable[[str], int], where: str) -> Ints:
    """A column, indexed by line, through `parse`, called once a distinct value. Raises DataCorrupt where it raises ValueError."""
    codes, distinct = pd.factorize(text)
    values = []
    for value in distinct:
        try:
            values.append(parse(value))
        except ValueError as error:
            raise DataCorrupt(f"{where}, line {text.index[text.eq(value)][0]}: {text.name}: {error}.") from None
    return np.array(values, np.int64)[codes]


def _month(text: str) -> int:
    """Months since year 0 from MM/DD/YYYY (historical files) or MMYYYY (combined files)."""
    found = re.fullmatch(r"(0[1-9]|1[0-2])(?:/\d\d/)?(\d{4})", text)
    if found is None:
        raise ValueError(f"{text!r} is no month")
    return 12 * int(found[2]) + int(found[1]) - 1


def _behind(text: str) -> int:
    """Months behind in payment; -1 for X (unknown) and empty."""
    if text in ("", "X", "XX"):
        return -1
    if not text.isdecimal():
        raise ValueError(f"{text!r} is no number of months")
    return int(text)


class _Slice:
    """A uniform sample of the loans at risk, kept while the files go by; its size does not depend on theirs.

    Every loan has a pseudo-random priority, a hash of its number keyed by the seed, and the `room` lowest ones at risk
    are kept: the sample depends neither on the order of the rows nor on how they are cut into pieces.
    """

    def __init__(self, observed: int, room: int, seed: int) -> None:
        self.observed, self.room, self.key = observed, room, f"{seed:016d}"[-16:]
        self.limit: np.uint64 = np.uint64(2**64 - 1)
        self.now, self.later, self.servicer = (pd.DataFrame() for _ in range(3))

    def priority(self, loans: pd.Series[str]) -> NDArray[np.uint64]:
        return pd.util.hash_array(loans.to_numpy(object), hash_key=self.key, categorize=False)

    def add(self, rows: pd.DataFrame, where: str) -> None:
        rows = rows.assign(priority=self.priority(rows["loan"]))
        rows = rows[rows["priority"] <= self.limit]
        month = _mapped(rows["period"], _month, where)
        rows = rows.assign(period=month)[month <= self.observed + MONTHS]
        named = rows[(rows["period"] <= self.observed) & rows["servicer"].ne("")][["loan", "priority", "period", "servicer"]]
        self.servicer = (
            pd.concat([self.servicer, named]).sort_values("period", kind="stable").drop_duplicates("loan", keep="last")
        )
        rows = rows[rows["period"] >= self.observed]
        behind = _mapped(rows["delinquency"], _behind, where)
        code = rows["zero_code"].str.strip().map(lambda c: c.zfill(2) if c else "")
        risk = rows[(rows["period"] == self.observed) & code.eq("") & (behind >= 0) & (behind < DEFAULT_DELINQUENCY)]
        self.now = pd.concat([self.now, risk])
        if self.now["loan"].duplicated().any():
            raise DataCorrupt(f"{where}: loan {self.now.loc[self.now['loan'].duplicated(), 'loan'].iloc[0]} has a month twice.")
        known = (*PREPAID_CODES, *DEFAULT_CODES, "")
        seen = pd.DataFrame(
            {
                "loan": rows["loan"],
                "priority": rows["priority"],
                "default": code.isin(DEFAULT_CODES) | (behind >= DEFAULT_DELINQUENCY),
                "prepaid": code.isin(PREPAID_CODES),
                "left": ~code.isin(known),
                "last": rows["period"],
            }
        )[rows["period"] > self.observed]
        self.later = pd.concat([self.later, seen]).groupby("loan", as_index=False).max()
        if len(self.now) > self.room:
            self.limit = np.partition(self.now["priority"].to_numpy(np.uint64), self.room - 1)[self.room - 1]
            self.now, self.later, self.servicer = (t[t["priority"] <= self.limit] for t in (self.now, self.later, self.servicer))

    def outcomes(self) -> pd.DataFrame:
        """The loans whose year is known, lowest priority first, with default and prepaid as 0 or 1."""
        table = self.now.merge(self.later.drop(columns="priority"), on="loan", how="inner")
        whole = (table["last"] >= self.observed + MONTHS) & ~table["left"].astype(bool)
        table = table[table["default"].astype(bool) | table["prepaid"].astype(bool) | whole]
        servicer = self.servicer.set_index("loan")["servicer"] if len(self.servicer) else pd.Series(dtype=str)
        table = table.assign(servicer=table["loan"].map(servicer).fillna(""))
        return table.sort_values("priority", ignore_index=True).astype({"default": np.int64, "prepaid": np.int64})


def _quarters(place: Located) -> dict[str, tuple[Path, ...]]:
    """Files of each quarter that is here: (combined,) or (acquisition, performance). Raises DataMissing for half a pair."""
    found: dict[str, tuple[Path, ...]] = {}
    for quarter in sorted({m[0] for f in place.files if (m := re.search(r"200\dQ[1-4]", f))}):
        if place.layout == "official":
            found[quarter] = (place.folder / f"{quarter}.csv",)
            continue
        pair = tuple(place.folder / f"{kind}_{quarter}.txt" for kind in ("Acquisition", "Performance"))
        for file in pair:
            if not file.is_file():
                raise DataMissing(f"fannie_mae: no {file}, which belongs to {quarter}; {how_to_get(place.manifest)}")
        found[quarter] = pair
    return found


def load_fannie_mae(
    size: int = 10_000, seed: int = 0, observed: str = "2009-12", mirror: Path | None = None, block: int = 2**24
) -> Loans:
    """A uniform sample of `size` mortgages accepted 2000 to 2009, fewer where the files hold fewer; features of Table 7.

    Reads the files of the quarters 2000Q1 to 2009Q4 that are at hand, `block` bytes at a time, in the combined format
    (since October 2020) or the historical one (25 and 31 fields, 2017 to 2020).

    Our readings. Status at the start of 2010: the report for December 2009, with the year 2010 to follow. At risk: balance
    not zero and fewer than 3 months behind. Default: 3 months (90 days) behind or more in any month of the year, or zero
    balance code 02, 03, 09 or 15. Prepayment: code 01. Both may happen. Loans that leave for another reason (06
    repurchased, 16 sold while paying, 96 to 98), or whose reports end early, with neither event before, have an unknown
    outcome and are not drawn. Balance, rate, servicer, MSA and months to maturity ("6 months to maturity" in Table 7) are
    those of the report; the balance, which is hidden in a loan's first six months, is then the original one. PPM is the
    prepayment penalty flag, which the historical files do not have. Raises DataMissing, DataCorrupt, BadValue.
    """
    if size < 1 or block < 1 or seed < 0:
        raise BadValue(f"size and block are at least 1 and seed at least 0, not {size}, {block} and {seed}.")
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", observed):
        raise BadValue(f"observed is a month such as 2009-12, not {observed!r}.")
    place = locate("fannie_mae", mirror)
    month = 12 * int(observed[:4]) + int(observed[5:]) - 1
    sample = _Slice(month, 2 * size, seed)  # twice the size, because some outcomes turn out to be unknown
    fixed = pd.DataFrame()
    for files in _quarters(place).values():
        if len(files) == 1:
            for chunk in _chunks(files[0], COMBINED, COMBINED_WIDTHS, (*_MONTHLY, *_FIXED), block):
                sample.add(chunk, str(files[0]))
            continue
        for chunk in _chunks(files[1], PERFORMANCE, range(31, 32), _MONTHLY, block):
            sample.add(chunk, str(files[1]))
        for chunk in _chunks(files[0], ACQUISITION, range(25, 26), ("loan", *_FIXED), block):
            fixed = pd.concat([fixed, chunk[chunk["loan"].isin(sample.now["loan"])]])
    if sample.now.empty:
        raise DataCorrupt(f"{place.folder}: no mortgage is at risk in {observed}.")
    table = sample.outcomes().head(size)
    if place.layout != "official":
        if fixed["loan"].duplicated().any() or not table["loan"].isin(fixed["loan"]).all():
            raise DataCorrupt(f"{place.folder}: a loan of a Performance file does not stand once in the Acquisition files.")
        table = table.merge(fixed, on="loan", how="left")
    features = _table_7(table, str(place.folder))
    outcomes = table[["loan", "default", "prepaid"]].rename(columns={"loan": "id"})
    digest = arrays_sha256(table_arrays(pd.concat([outcomes, features], axis=1)))
    return _loans("fannie_mae", features, outcomes, digest, place.manifest.tier, place.source)


def _table_7(table: pd.DataFrame, where: str) -> pd.DataFrame:
    table = table.rename(columns={"remaining": "months_to_maturity"})
    columns: dict[str, Any] = {c: _loan_numbers(table, c, where) for c in _NUMBERS}
    original = _loan_numbers(table, "original_balance", where)
    columns["balance"] = np.where(columns["balance"] > 0, columns["balance"], original)
    for name in TABLE_7[len(_NUMBERS) :]:
        words = table[name].str.strip() if name in table else pd.Series("", table.index)
        columns[name] = words.mask(words.eq("") | (words.eq("00000") & (name == "msa")), UNKNOWN)
    return pd.DataFrame(columns)


def _loan_numbers(table: pd.DataFrame, name: str, where: str) -> NDArray[np.float64]:
    """Numbers of a column, NaN where empty. Raises DataCorrupt, with the loan: for what is none, and where no loan has one."""
    text = table[name].str.strip()
    values: NDArray[np.float64] = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
    wrong = ~(np.isfinite(values) | text.eq("").to_numpy())
    if wrong.any():
        row = int(wrong.argmax())
        raise DataCorrupt(f"{where}: {name} is no number in loan {table['loan'].iloc[row]}: {text.iloc[row]!r}.")
    if np.isnan(values).all():
        raise DataCorrupt(f"{where}: no loan has any {name}; is a column empty, or another format?")
    return values
