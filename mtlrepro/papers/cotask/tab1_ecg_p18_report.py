"""Tables 1 and 7 of the CO-TASK paper: pictures, tables and claims from the rows of `tab1_ecg_p18`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results

if TYPE_CHECKING:
    from mtlrepro.papers.cotask.data.ecg import EcgSet

# Of the whole set, as the text states it: records, labels a record, labels a record that has any.
RECORDS, LABELS_A_RECORD, CARDINALITY = 312_888, 0.4536, 1.3283
# Method -> its column in the paper's Table 7.
METHODS = {"Single-Task": 0, "Multi-task": 1, "CO-TASK": 2, "CO-TASK, multi-task's steps": None}
PAIRS = (
    ("Multi-task", "Single-Task", "vermillion"),
    ("CO-TASK", "Multi-task", "blue"),
    ("CO-TASK, multi-task's steps", "Multi-task", "sky"),
)
SETS = {"p18": "generated", "ludb": "LUDB"}
_ANY = "labels a record with any"
# Standard errors; with so many counts at once a larger one by chance has a probability well below 1%.
_LIMIT = 4.5


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
    return pd.DataFrame(lines).T


def table1(rows: pd.DataFrame) -> pd.DataFrame:
    """The paper's ratios beside those of generated sets of its size, and the worst error of a count over seeds."""
    paper = results.paper_values("cotask/tab1")
    labels = rows[rows.label.isin(list(paper))].groupby("label", sort=False)
    return pd.DataFrame(
        {
            "paper, 1 in": paper,
            "generated, 1 in": (RECORDS / labels["count"].mean()).round(2),
            "records": labels["count"].mean().round(1),
            "standard errors, worst": labels["errors"].agg(lambda e: e.abs().max()).round(2),
        }
    )


def labels_a_record(rows: pd.DataFrame) -> pd.Series:
    """Labels of a generated record that has any, per seed."""
    return rows[rows.label == _ANY].set_index("seed")["errors"]


def claims1(rows: pd.DataFrame) -> list[results.Part]:
    """What the generated labels must meet, and what the printed ratios mean."""
    several, labels = labels_a_record(rows), rows[rows.label != _ANY]
    off, ratio = (several - CARDINALITY).abs(), _ratios()
    met = int(ratio_readings().loc["one record in r", "most ratios met at once"])
    apart = abs((1 / ratio).sum() - LABELS_A_RECORD)
    return [
        results.check(
            "generated labels have the printed shares, within sampling error", worst=labels["errors"].abs().max(),
            n=len(labels), violations=int((labels["errors"].abs() > _LIMIT).sum()), tolerance=_LIMIT, unit="standard errors",
        ),
        results.check(
            "records with a label have the stated number of labels", worst=off.max(), n=len(several), tolerance=0.02,
            violations=int((off > 0.02).sum()),
        ),
        results.check(
            "the printed ratios agree with each other and with the stated cardinality, read as one in r",
            worst=apart, n=len(ratio), tolerance=1e-4, violations=len(ratio) - met + int(apart > 1e-4),
        ),
    ]  # fmt: skip


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
    axes[0].legend(loc="upper right", ncols=2)
    axes[-1].set_xlabel("seconds (filtered signal in millivolts)")
    return fig


# --- Table 7 ----------------------------------------------------------------------------------------------------------


def metrics() -> list[str]:
    """Names of Table 7's metrics."""
    return list(results.paper_values("cotask/tab7"))


def table7(rows: pd.DataFrame, kind: str = "p18") -> pd.DataFrame:
    """Paper's values (beside generated sets), ours with 95% interval over seeds (folds of LUDB), and steps."""
    lines = {}
    for method, place in METHODS.items():
        own, line = rows[(rows.kind == kind) & (rows.method == method)], {}
        for metric, values in results.paper_values("cotask/tab7").items():
            if kind == "p18":
                line[metric, "paper"] = "" if place is None else f"{values[place]:.4f}"
            line[metric, "ours"] = "{:.3f} [{:.3f}, {:.3f}]".format(*results.interval(own[metric].to_numpy()))
        lines[method] = line | {("steps", "in all"): int(own["steps"].mean())}
    return pd.DataFrame(lines).T


def _kinds(rows: pd.DataFrame) -> list[str]:
    return [kind for kind in SETS if (rows.kind == kind).any()]


def differences(rows: pd.DataFrame, kind: str, metric: str, method: str, base: str) -> np.ndarray:
    """A metric of one method minus another's in points, per seed or fold."""
    by = "seed" if kind == "p18" else "fold"
    values = rows[rows.kind == kind].pivot(index=by, columns="method", values=metric)
    return 100 * (values[method] - values[base]).to_numpy()


def draw(rows: pd.DataFrame) -> Figure:
    """Differences of PAIRS in every metric, in points, with 95% interval; a panel per data set."""
    kinds = _kinds(rows)
    fig, axes = plt.subplots(1, len(kinds), figsize=(plots.WIDTH, 2.9), squeeze=False, layout="constrained", sharey=True)
    for ax, kind in zip(axes[0], kinds, strict=True):
        for place, (method, base, color) in enumerate(PAIRS):
            over = np.array([results.interval(differences(rows, kind, metric, method, base)) for metric in metrics()])
            ax.errorbar(
                over[:, 0], np.arange(len(over)) + 0.2 * (place - 1), xerr=np.abs(over[:, 1:] - over[:, :1]).T,
                fmt=plots.MARKERS[place], color=plots.COLORS[color], label=f"{method} over {base.lower()}",
            )  # fmt: skip
        ax.set_yticks(range(len(metrics())), metrics())
        ax.axvline(0, color=plots.COLORS["black"], lw=0.8)
        ax.set(title=SETS[kind], xlabel="difference (points)")
    axes[0, 0].invert_yaxis()
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=1)
    return fig


def claims7(rows: pd.DataFrame) -> list[results.Part]:
    """The paper's order, paired over seeds, of LUDB over folds; equal steps in all stand under a setting of their own."""
    parts = []
    for kind in _kinds(rows):
        for method, base, _ in PAIRS:
            equal = ", equal steps in all" if "steps" in method else ""
            for metric in metrics():
                if metric == "RecallMulti" and base == "Multi-task":
                    continue  # the paper claims no difference
                effect = differences(rows, kind, metric, method, base)
                name = f"{method.split(',')[0]} above {base.lower()}: {metric}"
                parts.append(results.paired(name, effect, setting=SETS[kind] + equal, unit="points"))
    return parts
