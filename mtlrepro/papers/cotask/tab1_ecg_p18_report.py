"""Tables 1 and 7 of the CO-TASK paper: figures, tables, claims and gates from the rows of `tab1_ecg_p18`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.papers.cotask import ecg_tables, gates
from mtlrepro.papers.cotask.ecg_tables import by_method
from mtlrepro.results import Gate, Measured

if TYPE_CHECKING:
    from mtlrepro.papers.cotask.data.ecg import EcgSet

EXHIBITS = ("cotask/tab1", "cotask/tab7")
# Of the whole set, as the text states it: records, labels per record, labels of a record that has any.
RECORDS, LABELS_A_RECORD, CARDINALITY = 312_888, 0.4536, 1.3283
# Method -> its column in the paper's Table 7.
EQUAL = "CO-TASK, multi-task's steps"
METHODS = {"Single-Task": 0, "Multi-task": 1, "CO-TASK": 2, EQUAL: None}
PAIRS = (
    ("Multi-task", "Single-Task", "vermillion"),
    ("CO-TASK", "Multi-task", "blue"),
    (EQUAL, "Multi-task", "sky"),
)
# Set of Table 7 -> what it is called in titles, and in sentences.
SETS = {
    "p18": ("generated", "generated records"),
    "ptbxl100": ("part of PTB-XL", "1,987 records of PTB-XL with five groups of diagnoses"),
    "ptbxl": ("PTB-XL", "PTB-XL"),
    "cpsc2018": ("CPSC 2018", "CPSC 2018"),
    "ludb": ("LUDB", "LUDB"),
}
_ANY = "labels a record with any"


# --- Table 1 ----------------------------------------------------------------------------------------------------------


def _ratios() -> np.ndarray:
    return np.array(list(results.paper_values("cotask/tab1").values()))


def ratio_readings() -> pd.DataFrame:
    """Both readings of 1 : r: the sum of the shares, and for how many of the printed ratios one number of records N, at most the
    set's size, gives whole counts."""
    ratio, n = _ratios(), np.arange(2000, RECORDS + 1)[:, None]
    lines = {}
    for name, others in (("one record in r", 0), ("one record to r others", 1)):
        k = np.maximum(np.round(n / (ratio + others)), 1)
        met = (np.abs((n - others * k) / k - ratio) < 0.00501).sum(1)
        lines[name] = {
            f"sum of shares (text: {LABELS_A_RECORD})": f"{(1 / (ratio + others)).sum():.4f}",
            "most ratios met at once": int(met.max()),
            "smallest N that does": int(n[met.argmax(), 0]),
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("1 : r read as")


def table1(rows: pd.DataFrame) -> pd.DataFrame:
    """The paper's ratios beside those of generated sets of its size, means over seeds; and labels of a record that has any."""
    paper = pd.Series(results.paper_values("cotask/tab1"))
    ours = (RECORDS / rows[rows.label != _ANY].groupby("label")["count"].mean()).reindex(paper.index)
    table = pd.DataFrame({"paper, one record in": paper, "ours, one record in": ours, "difference": ours - paper})
    several = rows.loc[rows.label == _ANY, "errors"].mean()
    table.loc["labels of a record with any"] = [CARDINALITY, several, several - CARDINALITY]
    return table.rename_axis("label")


def draw_signals(data: EcgSet) -> Figure:
    """Leads II and V1 of a record with each of seven labels alone, and of one with none."""
    shown = ["no label", "LVH", "AFIB", "RBBB", "LBBB", "1AVB", "VPC", "APC"]
    fig, axes = plt.subplots(len(shown), 1, figsize=(plots.WIDTH, 7), sharex=True, sharey=True, layout="constrained")
    clock = np.arange(data.signals.shape[-1]) / data.rate
    for ax, label in zip(axes, shown, strict=True):
        has = data.labels[:, data.names.index(label)] == 1 if label in data.names else True
        records = np.flatnonzero((data.labels.sum(1) == (label in data.names)) & has)
        for lead, color, name in ((1, "black", "II"), (6, "vermillion", "V1")):
            if len(records):
                ax.plot(clock, data.signals[records[0], lead], color=plots.COLORS[color], lw=0.8, label=name)
        ax.set_ylabel(label)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    axes[-1].set_xlabel("seconds (filtered signal in millivolts)")
    return fig


# --- Table 7 ----------------------------------------------------------------------------------------------------------


def metrics() -> list[str]:
    """Names of Table 7's metrics."""
    return list(results.paper_values("cotask/tab7"))


def set_of(rows: pd.DataFrame) -> str:
    """The set that the rows of Table 7 are of, a key of SETS."""
    return str(rows[rows.kind == "test"].data_set.iloc[0])


def table7(rows: pd.DataFrame, kind: str = "test") -> pd.DataFrame:
    """A line per metric and method: the paper's value, ours with its 95% interval over seeds (of LUDB, folds), the difference."""
    lines = []
    for metric, values in results.paper_values("cotask/tab7").items():
        for method, place in METHODS.items():
            own = rows[(rows.kind == kind) & (rows.method == method)]
            mean, low, high = results.interval(own[metric].to_numpy())
            line: dict[str, Any] = {"metric": metric, "method": method, "paper": None if place is None else values[place]}
            line |= {"ours": mean, "low": low, "high": high}
            lines.append(
                line | {"difference": None if place is None else mean - values[place], "steps": int(own["steps"].mean())}
            )
    return pd.DataFrame(lines)


def threshold_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Exact and Jaccard with the validation part's threshold and with probability 1/2, and that threshold; means over seeds."""
    columns = ["threshold", *(name for metric in ("Exact", "Jaccard") for name in (metric, f"{metric} at 1/2"))]
    means = rows[rows.kind == "test"].groupby("method", sort=False)[columns].mean()
    return means.rename(columns={"threshold": "threshold (log odds)"})


def ludb_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The same on LUDB, over folds; a line that says so where the run is without it."""
    if not (rows.kind == "ludb").any():
        return pd.DataFrame({"LUDB": ["not part of this run"]})
    table = table7(rows, "ludb")
    return table.drop(columns=["paper", "difference"])


def differences(rows: pd.DataFrame, kind: str, metric: str, method: str, base: str) -> pd.Series:
    """A metric of one method minus another's, per seed or fold."""
    by = "fold" if kind == "ludb" else "seed"
    values = rows[rows.kind == kind].pivot(index=by, columns="method", values=metric)
    return values[method] - values[base]


def draw(rows: pd.DataFrame) -> Figure:
    """Differences of PAIRS in every metric, in points, with 95% interval; the paper's hollow; a panel per data set."""
    kinds = {"test": set_of(rows)} | ({"ludb": "ludb"} if (rows.kind == "ludb").any() else {})
    paper = results.paper_values("cotask/tab7")
    fig, axes = plt.subplots(1, len(kinds), figsize=(plots.WIDTH, 3.6), squeeze=False, layout="constrained", sharey=True)
    for ax, kind in zip(axes[0], kinds, strict=True):
        for number, (method, base, color) in enumerate(PAIRS):
            over = np.array([results.interval(100 * differences(rows, kind, name, method, base).to_numpy()) for name in paper])
            place, name = np.arange(len(paper)) + 0.22 * (number - 1), f"{method} over {base.lower()}"
            spread = np.abs(over[:, 1:] - over[:, :1]).T
            ax.errorbar(over[:, 0], place, xerr=spread, fmt=plots.MARKERS[number], color=plots.COLORS[color], label=name)
            if kind == "test" and METHODS[method] is not None:
                printed = [100 * (values[METHODS[method]] - values[METHODS[base]]) for values in paper.values()]
                label = "paper, in the same order" if number == 0 else None
                ax.plot(printed, place, "D", ms=8, mfc="none", mew=1.6, color=plots.COLORS["black"], label=label)
        ax.set_yticks(range(len(paper)), list(paper))
        ax.axvline(0, color=plots.COLORS["black"], lw=0.8)
        ax.set(title=SETS[kinds[kind]][0], xlabel="difference (points)")
    axes[0, 0].invert_yaxis()
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9.5)
    return fig


def rate_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Macro AUROC on the validation part, mean over seeds, by method and learning rate; the rate that was chosen."""
    return ecg_tables.rate_table(rows, "method")


def twice_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Macro AUROC of the claimed arms, trained as they are and with twice the steps, on the seeds that have both; in points."""
    return ecg_tables.twice_table(rows, "MacroAUROC", "macro AUROC", "method")


def threshold_findings(rows: pd.DataFrame) -> str:
    """What the threshold does to CO-TASK's exact label sets, with multi-task learning's steps, in words."""
    tuned, half = (
        results.in_words(100 * differences(rows, "test", metric, EQUAL, "Multi-task")) for metric in ("Exact", "Exact at 1/2")
    )
    return (
        f"In exact label sets CO-TASK lies {tuned} points from multi-task learning with thresholds set on the validation part, "
        f"and {half} at probability 1/2: a difference in exact sets can be one of thresholds and say nothing of ranking."
    )


def findings(rows: pd.DataFrame) -> str:
    """In words, with the numbers of these rows."""

    def over(metric: str, method: str, base: str) -> str:
        return results.in_words(100 * differences(rows, "test", metric, method, base))

    multi, cotask, equal = "Multi-task", "CO-TASK", EQUAL
    return (
        f"On {SETS[set_of(rows)][1]} multi-task learning lies {over('MacroAUROC', multi, 'Single-Task')} points of macro AUROC "
        f"and {over('Exact', multi, 'Single-Task')} points of exact label sets from one network per diagnosis. With as many "
        f"steps as multi-task learning, CO-TASK lies {over('MacroAUROC', equal, multi)} points of macro AUROC and "
        f"{over('Exact', equal, multi)} of exact label sets from it; with as many steps for each diagnosis, and so more in all, "
        f"{over('MacroAUROC', cotask, multi)} and {over('Exact', cotask, multi)}."
    )


# --- claims and gates ---------------------------------------------------------------------------------------------------


def recorded(rows: pd.DataFrame) -> dict[str, tuple[pd.DataFrame, Measured | None]]:
    """Exhibit -> its rows, and what they say of its claims and gates."""
    table1_, table7_ = (rows[own].dropna(axis="columns", how="all") for own in (rows.kind == "label", rows.kind != "label"))
    return {"cotask/tab1": (table1_, None), "cotask/tab7": (table7_, measured_table7(table7_))}


def measured_table7(rows: pd.DataFrame) -> Measured:
    """Differences paired over seeds; CO-TASK with as many steps as multi-task learning, as published."""
    pairs = {
        "cotask-over-multi-exact": ("Exact", EQUAL, "Multi-task"),
        "cotask-over-multi-jaccard": ("Jaccard", EQUAL, "Multi-task"),
        "cotask-over-multi-auroc": ("MacroAUROC", EQUAL, "Multi-task"),
        "recall-same": ("RecallMulti", EQUAL, "Multi-task"),
        "multi-over-single-auroc": ("MacroAUROC", "Multi-task", "Single-Task"),
        "multi-over-single-recall": ("RecallMulti", "Multi-task", "Single-Task"),
        "multi-over-single-jaccard": ("Jaccard", "Multi-task", "Single-Task"),
        "multi-over-single-exact": ("Exact", "Multi-task", "Single-Task"),
    }
    effects = {claim: differences(rows, "test", *pair).tolist() for claim, pair in pairs.items()}
    return Measured(effects, gates=gates_table7(rows))


def gates_table7(rows: pd.DataFrame) -> list[Gate]:
    """The gates of Table 7."""
    own = rows[rows.kind == "test"]
    means = own.groupby("method")[metrics()].mean()
    level = [
        Gate.within("single-task macro AUROC", means.MacroAUROC["Single-Task"], least=0.9, most=0.985),
        Gate.within("multi-task Exact", means.Exact["Multi-task"], least=0.1, most=0.8),
    ]
    errors = {
        f"{metric} of CO-TASK minus multi-task": (differences(rows, "test", metric, EQUAL, "Multi-task"), most)
        for metric, most in (("MacroAUROC", 0.001), ("Exact", 0.005))
    }
    return [
        Gate.every(
            "baseline-level",
            level,
            "PTB-XL whole, eleven times as many records: `-p source=ptbxl`, with the set from PhysioNet",
        ),
        _imbalance(own),
        _positives(own),
        _threshold(rows),
        _converged(rows),
        gates.grid_interior(rows),
        gates.precision(errors, "more seeds"),
        _control(rows),
    ]


def _threshold(rows: pd.DataFrame) -> Gate:
    moves = ", ".join(
        f"{metric} {results.in_words(100 * differences(rows, 'test', metric, EQUAL, 'Multi-task'))} points, at 1/2 "
        f"{results.in_words(100 * differences(rows, 'test', f'{metric} at 1/2', EQUAL, 'Multi-task'))}"
        for metric in ("Exact", "Jaccard")
    )
    return Gate("same-threshold-rule", True, f"best Jaccard on validation, every arm; CO-TASK minus multi-task: {moves}")


def _converged(rows: pd.DataFrame) -> Gate:
    """Order of the claimed arms by macro AUROC, which needs no threshold."""
    cost = "every arm with more than twice the steps"
    if not (rows.kind == "twice").any():
        return gates.not_recorded("converged", cost)
    once, twice = (by_method(rows, "MacroAUROC", kind) for kind in ("test", "twice"))
    return gates.order_kept(once, twice, ("Single-Task", "Multi-task", EQUAL), cost)


def _control(rows: pd.DataFrame) -> Gate:
    """Multi-task learning on all training records over that on a tenth of them, on the seeds that have both."""
    cost = "longer trainings, more records, more seeds"
    if not (rows.kind == "tenth").any():
        return gates.not_recorded("control", cost)
    effect = (
        100
        * (by_method(rows, "MacroAUROC", "test")["Multi-task"] - by_method(rows, "MacroAUROC", "tenth")["Multi-task"]).dropna()
    )
    return gates.clear_of_zero(effect, "points of macro AUROC", cost)


def _imbalance(rows: pd.DataFrame) -> Gate:
    rarest = rows["rarest"] if "rarest" in rows else pd.Series(np.nan, rows.index)  # a label that no record has
    parts = [
        Gate.within("rarest ratio over commonest", (rarest / rows.commonest).mean(), least=10),
        Gate.within("rarest label, one record in", rarest.mean(), least=500),
        Gate.within("labels per record", rows.cardinality.mean(), least=0.3, most=0.6),
    ]
    return Gate.every("imbalance", parts, "a set with rare labels and enough records of them: no public one is as large")


def _positives(rows: pd.DataFrame) -> Gate:
    cost = "of the paper's labels about 230,000 records: a fifth of them has 20 with a label of one in 2,321"
    return Gate.within("enough-positives", float(rows.positives.min()), least=20, cost=cost)
