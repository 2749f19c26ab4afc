"""Tables 3 to 6 and Figure 5 of the CO-TASK paper: the picture, tables and claims from the rows of `tab3_cifar_mtl`."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from mtlrepro import plots, results

# Name -> (method, budget rule).
Arm = tuple[str, str]
ARMS: dict[str, Arm] = {
    "single-task": ("single", "equal"),
    "multi-task": ("multi", "equal"),
    "multi-task, as long as CO-TASK by the paper": ("multi", "as long"),
    "CO-TASK, equal steps": ("cotask", "equal"),
    "CO-TASK, by the paper": ("cotask", "paper"),
}
PAIRS: dict[str, tuple[Arm, Arm]] = {
    "multi-task above single-task": (("multi", "equal"), ("single", "equal")),
    "CO-TASK above multi-task, equal steps": (("cotask", "equal"), ("multi", "equal")),
    "CO-TASK by the paper above multi-task as long": (("cotask", "paper"), ("multi", "as long")),
    "CO-TASK by the paper above multi-task": (("cotask", "paper"), ("multi", "equal")),
    "multi-task as long above multi-task": (("multi", "as long"), ("multi", "equal")),
}
# Budget rule -> what a claim's setting says of it.
RULES = {"equal": "", "paper": ", by the paper"}
# Baseline -> what we call it, and its line in the paper's Table 5.
BASELINES = {
    "multi": ("multi-task", "Multi-task"), "dwa": ("DWA", "DWA"), "dtp": ("DTP", "DTP"), "trl": ("task routing", "TRL"),
}  # fmt: skip


def of_arm(
    rows: pd.DataFrame, method: str, rule: str = "equal", baseline: str = "multi", noise: float = 0.0, count: int | None = None
) -> pd.DataFrame:
    """Rows of one kind of training. count: auxiliary tasks; None: those of Tables 3 to 6, 0 without CO-TASK."""
    if count is None:
        count = int(rows[rows.rule == "as long"].auxiliary.max()) if method == "cotask" or rule == "as long" else 0
    chosen = (rows.method == method) & (rows.rule == rule) & (rows.baseline == baseline) & (rows.noise == noise)
    return rows[chosen & (rows.auxiliary == count)]


def means(rows: pd.DataFrame, method: str, rule: str = "equal", **options: Any) -> pd.Series:
    """Mean accuracy over tasks, by seed."""
    accuracy: pd.Series = of_arm(rows, method, rule, **options).groupby("seed").accuracy.mean()
    return accuracy


def by_task(rows: pd.DataFrame, method: str, rule: str = "equal") -> pd.Series:
    """Mean accuracy over seeds, by task in the paper's order."""
    accuracy: pd.Series = of_arm(rows, method, rule).groupby("task", sort=False).accuracy.mean()
    return accuracy


def added(rows: pd.DataFrame, rule: str = "equal", **options: Any) -> pd.Series:
    """What CO-TASK adds to a method, by seed. options: baseline or noise."""
    return means(rows, "cotask", rule, **options) - means(rows, "multi", **options)


def baselines(rows: pd.DataFrame) -> list[str]:
    """What CO-TASK was added to: plain multi-task learning first."""
    return [name for name in BASELINES if (rows.baseline == name).any()]


def noises(rows: pd.DataFrame) -> list[float]:
    """The noise ratios, rising."""
    return sorted(map(float, rows.noise.unique()))


def overall(rows: pd.DataFrame) -> pd.DataFrame:
    """Table 3 with the paper's accuracies beside ours."""
    paper = results.paper_values("cotask/tab3")
    printed = {"single-task": paper["single"], "multi-task": paper["multi"][0], "CO-TASK, by the paper": paper["cotask"][0]}
    single, lines = by_task(rows, "single"), []
    for title, arm in ARMS.items():
        accuracy = by_task(rows, *arm)
        lines.append({
            "method": title, "paper": printed.get(title, np.nan), "ours": accuracy.mean(),
            "sd over seeds": means(rows, *arm).std(), "minus single-task": accuracy.mean() - single.mean(),
            "delta m": (accuracy / single - 1).mean(), "steps": int(of_arm(rows, *arm).steps.median()),
        })  # fmt: skip
    return pd.DataFrame(lines).set_index("method").round(4).astype({"paper": object}).fillna({"paper": ""})


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Each of PAIRS, paired over seeds, in points; also with every task's own batch statistics."""
    kinds = {"points": rows, "with the task's own statistics": rows.assign(accuracy=rows.own)}
    return pd.DataFrame({
        title: {text: results.told(100 * (means(kind, *a) - means(kind, *b))) for text, (a, b) in PAIRS.items()}
        for title, kind in kinds.items()
    })  # fmt: skip


def task_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Table 4 with the paper's accuracies beside ours."""
    table = pd.DataFrame({title: by_task(rows, *arm) for title, arm in ARMS.items()}).round(3)
    paper = pd.DataFrame(results.paper_values("cotask/tab4"), index=["paper: single", "paper: multi", "paper: CO-TASK"]).T
    return paper.reindex(table.index).join(table)


def with_and_without(rows: pd.DataFrame) -> pd.DataFrame:
    """Tables 5 and 6: accuracy of single-task learning, without and with CO-TASK, equal steps, and differences in points."""
    noisy, combined = results.paper_values("cotask/tab6"), results.paper_values("cotask/tab5")
    cases: list[tuple[str, dict[str, Any], Any]] = [
        (BASELINES[b][0], {"baseline": b}, combined.get(BASELINES[b][1])) for b in baselines(rows)
    ]
    cases += [(f"noise {z:g}", {"noise": z}, noisy.get(f"{z:.1f}")) for z in noises(rows)]
    lines = []
    for title, options, printed in cases:
        single, without, combining = (means(rows, method, **options).mean() for method in ("single", "multi", "cotask"))
        lines.append({
            "": title,
            "paper: single": printed[0] if printed and len(printed) == 3 else np.nan,
            "paper: without": printed[-2] if printed else np.nan,
            "paper: with": printed[-1] if printed else np.nan,
            "single": single, "without": without, "with CO-TASK": combining,
            "points": results.told(100 * added(rows, **options)),
            "points, by the paper": results.told(100 * added(rows, "paper", **options)),
        })  # fmt: skip
    return pd.DataFrame(lines).set_index("").round(3).astype(object).fillna("")


def printed_noise() -> pd.DataFrame:
    """The paper's Table 6 as differences in points."""
    noisy = pd.DataFrame(results.paper_values("cotask/tab6"), index=["single", "multi", "CO-TASK"]).T
    minus = {f"CO-TASK minus {other}-task, points": 100 * (noisy["CO-TASK"] - noisy[other]) for other in ("multi", "single")}
    return pd.DataFrame(minus).rename_axis("noise ratio, as printed").round(2)


def counts_of(rows: pd.DataFrame, rule: str) -> pd.DataFrame:
    """Figure 5: mean accuracy by a budget rule, seeds by numbers of auxiliary tasks."""
    own = rows[(rows.rule == rule) & (rows.method == "cotask") & (rows.noise == 0) & (rows.baseline == "multi")]
    accuracy = {count: means(rows, "cotask", rule, count=count) for count in sorted(map(int, own.auxiliary.unique()))}
    return pd.DataFrame({0: means(rows, "multi"), **accuracy})


def draw_counts(rows: pd.DataFrame) -> Figure:
    """Figure 5: mean accuracy with its 95% interval over seeds against the number of auxiliary tasks, by both budget rules."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 3.6))
    for rule, title in {"equal": "equal steps", "paper": "the paper's steps"}.items():
        counts = counts_of(rows, rule)
        intervals = [results.interval(values.to_numpy()) for _, values in counts.items()]
        plots.band(ax, list(counts.columns), *zip(*intervals, strict=True), label=title)
    ax.set(xlabel="auxiliary tasks", ylabel="mean accuracy")
    ax.legend()
    return fig


def _gain(name: str, effect: pd.Series, setting: str = "") -> results.Part:
    return results.paired(name, effect.to_numpy(), unit="accuracy", setting=setting)


def _claims4(rows: pd.DataFrame) -> list[results.Part]:
    paper = pd.DataFrame(results.paper_values("cotask/tab4")).T
    better, alike = [], []
    for _, own in rows.groupby("seed"):
        combining, plain = by_task(own, "cotask", "paper"), by_task(own, "multi", "equal")
        better.append(float((combining > plain).mean()) - 0.5)
        if set(combining.index) == set(paper.index):
            alike.append(float(stats.spearmanr(combining.reindex(paper.index), paper[2]).statistic))
    parts = [results.paired("more tasks gain by CO-TASK than lose", better, unit="share above half", setting="by the paper")]
    if alike:
        parts.append(results.paired("tasks stand in the paper's order of accuracy", alike, unit="rank correlation"))
    return parts


def _claims6(rows: pd.DataFrame) -> list[results.Part]:
    noisy = pd.DataFrame({z: added(rows, noise=z) for z in noises(rows) if z <= 0.5})
    slope = noisy.apply(lambda line: np.polyfit(noisy.columns, line, 1)[0], axis=1)
    growth = results.paired("the gain grows with the noise up to one half", slope.to_numpy(), unit="accuracy by noise")
    return [growth] + [
        _gain("CO-TASK above multi-task", added(rows, rule, noise=z), f"noise {z:g}{title}")
        for rule, title in RULES.items()
        for z in noises(rows)
    ]


def _claims_of_counts(rows: pd.DataFrame) -> list[results.Part]:
    parts = []
    for rule, title in {"paper": "by the paper", "equal": "equal steps"}.items():
        counts = counts_of(rows, rule)
        parts.append(_gain("most auxiliary tasks above none", counts.iloc[:, -1] - counts[0], title))
        if counts.shape[1] > 3:
            rise, last = counts.iloc[:, -2] - counts[0], counts.iloc[:, -1] - counts.iloc[:, -2]
            parts.append(_gain("flattens: the last step gains less than all before", rise - last, title))
    return parts


def claims(rows: pd.DataFrame) -> dict[str, list[results.Part]]:
    """The parts of every exhibit's verdict."""
    return {
        "cotask/tab3": [_gain(text, means(rows, *a) - means(rows, *b)) for text, (a, b) in list(PAIRS.items())[:4]],
        "cotask/tab4": _claims4(rows),
        "cotask/tab5": [
            _gain("CO-TASK raises it", added(rows, rule, baseline=b), BASELINES[b][0] + title)
            for rule, title in RULES.items()
            for b in baselines(rows)
        ],
        "cotask/tab6": _claims6(rows),
        "cotask/fig5": _claims_of_counts(rows),
    }
