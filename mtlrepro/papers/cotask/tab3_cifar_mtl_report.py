"""Tables, pairs and claims of the page on CIFAR-MTL, from its rows: one a training and major task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mtlrepro import results

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
TITLES = {"multi": "multi-task", "dwa": "DWA", "dtp": "DTP", "trl": "task routing"}
_IN_PAPER = {"multi": "Multi-task", "dwa": "DWA", "dtp": "DTP", "trl": "TRL"}


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
    found: pd.Series = of_arm(rows, method, rule, **options).groupby("seed").accuracy.mean()
    return found


def by_task(rows: pd.DataFrame, method: str, rule: str = "equal") -> pd.Series:
    """Mean accuracy over seeds, by task in the paper's order."""
    found: pd.Series = of_arm(rows, method, rule).groupby("task", sort=False).accuracy.mean()
    return found


def overall(rows: pd.DataFrame) -> pd.DataFrame:
    """Table 3 with the paper's accuracies beside ours."""
    paper = results.paper_values("cotask/tab3")
    theirs = {"single-task": paper["single"], "multi-task": paper["multi"][0], "CO-TASK, by the paper": paper["cotask"][0]}
    single, lines = by_task(rows, "single"), []
    for title, arm in ARMS.items():
        here, found = of_arm(rows, *arm), by_task(rows, *arm)
        lines.append({
            "method": title, "paper": theirs.get(title, np.nan), "ours": found.mean(), "sd over seeds": means(rows, *arm).std(),
            "minus single-task": found.mean() - single.mean(), "delta m": (found / single - 1).mean(),
            "steps": int(here.steps.median()),
        })  # fmt: skip
    return pd.DataFrame(lines).set_index("method").round(4).astype({"paper": object}).fillna({"paper": ""})


def points(effect: pd.Series) -> str:
    """An effect over seeds in points of accuracy, with its 95% interval."""
    mean, low, high = results.interval(100 * effect.to_numpy())
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Each of PAIRS, paired over seeds, in points; also with every task's own batch statistics, where they were measured."""
    kinds = {"points": rows}
    if "own" in rows:
        kinds["with the task's own statistics"] = rows.assign(accuracy=rows.own)
    return pd.DataFrame({
        title: {text: points(means(kind, *first) - means(kind, *second)) for text, (first, second) in PAIRS.items()}
        for title, kind in kinds.items()
    })  # fmt: skip


def task_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Table 4 with the paper's accuracies beside ours."""
    table = pd.DataFrame({title: by_task(rows, *arm) for title, arm in ARMS.items()}).round(3)
    paper = pd.DataFrame(results.paper_values("cotask/tab4"), index=["paper: single", "paper: multi", "paper: CO-TASK"]).T
    return paper.reindex(table.index).join(table)


def added(rows: pd.DataFrame, rule: str = "equal", **options: Any) -> pd.Series:
    """What CO-TASK adds to a method, by seed. options: baseline or noise."""
    return means(rows, "cotask", rule, **options) - means(rows, "multi", **options)


def baselines(rows: pd.DataFrame) -> list[str]:
    """What CO-TASK was added to: plain multi-task learning first."""
    return [name for name in TITLES if (rows.baseline == name).any()]


def noises(rows: pd.DataFrame) -> list[float]:
    """The noise ratios, rising."""
    return sorted(map(float, rows.noise.unique()))


def with_and_without(rows: pd.DataFrame) -> pd.DataFrame:
    """Tables 5 and 6: accuracy of single-task learning, without and with CO-TASK, equal steps, and differences in points."""
    noisy, combined = results.paper_values("cotask/tab6"), results.paper_values("cotask/tab5")
    cases: list[tuple[str, dict[str, Any], Any]] = [
        (TITLES[b], {"baseline": b}, combined.get(_IN_PAPER[b])) for b in baselines(rows)
    ]
    cases += [(f"noise {z:g}", {"noise": z}, noisy.get(f"{z:.1f}")) for z in noises(rows)]
    lines = []
    for title, options, theirs in cases:
        plain, made, alone = (means(rows, method, **options) for method in ("multi", "cotask", "single"))
        line: dict[str, Any] = {
            "": title,
            "paper: single": theirs[0] if theirs and len(theirs) == 3 else np.nan,
            "paper: without": theirs[-2] if theirs else np.nan,
            "paper: with": theirs[-1] if theirs else np.nan,
        }
        line |= {"single": alone.mean(), "without": plain.mean(), "with CO-TASK": made.mean()}
        line |= {"points": points(made - plain), "points, by the paper": points(added(rows, "paper", **options))}
        lines.append(line)
    return pd.DataFrame(lines).set_index("").round(3).astype(object).fillna("")


def counts_of(rows: pd.DataFrame, rule: str) -> pd.DataFrame:
    """Figure 5: mean accuracy by a budget rule, seeds by numbers of auxiliary tasks."""
    made = rows[(rows.rule == rule) & (rows.method == "cotask") & (rows.noise == 0) & (rows.baseline == "multi")]
    found = {count: means(rows, "cotask", rule, count=count) for count in sorted(map(int, made.auxiliary.unique()))}
    return pd.DataFrame({0: means(rows, "multi"), **found})


def claims(rows: pd.DataFrame) -> dict[str, list[results.Part]]:
    """The parts of every exhibit's verdict."""

    def gain(name: str, effect: pd.Series, setting: str = "") -> results.Part:
        return results.paired(name, effect.to_numpy(), unit="accuracy", setting=setting)

    paper = pd.DataFrame(results.paper_values("cotask/tab4")).T
    better, alike = [], []
    for seed in sorted(rows.seed.unique()):
        made, plain = (by_task(rows[rows.seed == seed], *arm) for arm in (("cotask", "paper"), ("multi", "equal")))
        better.append(float((made > plain).mean()) - 0.5)
        if set(made.index) == set(paper.index):
            alike.append(float(stats.spearmanr(made.reindex(paper.index), paper[2]).statistic))
    noisy = pd.DataFrame({z: added(rows, noise=z) for z in noises(rows) if z <= 0.5})
    slope = noisy.apply(lambda line: np.polyfit(noisy.columns, line, 1)[0], axis=1)
    tab4 = [results.paired("more tasks gain by CO-TASK than lose", better, unit="share above half", setting="by the paper")]
    if alike:
        tab4.append(results.paired("tasks stand in the paper's order of accuracy", alike, unit="rank correlation"))
    fig5 = []
    for rule, title in {"paper": "by the paper", "equal": "equal steps"}.items():
        counts = counts_of(rows, rule)
        fig5.append(gain("most auxiliary tasks above none", counts.iloc[:, -1] - counts[0], title))
        if counts.shape[1] > 3:
            rise, last = counts.iloc[:, -2] - counts[0], counts.iloc[:, -1] - counts.iloc[:, -2]
            fig5.append(gain("flattens: the last step gains less than all before", rise - last, title))
    growth = results.paired("the gain grows with the noise up to one half", slope.to_numpy(), unit="accuracy by noise")
    return {
        "cotask/tab3": [gain(text, means(rows, *a) - means(rows, *b)) for text, (a, b) in list(PAIRS.items())[:4]],
        "cotask/tab4": tab4,
        "cotask/tab5": [
            gain("CO-TASK raises it", added(rows, rule, baseline=b), TITLES[b] + title)
            for rule, title in RULES.items() for b in baselines(rows)
        ],
        "cotask/tab6": [growth] + [
            gain("CO-TASK above multi-task", added(rows, rule, noise=z), f"noise {z:g}{title}")
            for rule, title in RULES.items() for z in noises(rows)
        ],
        "cotask/fig5": fig5,
    }  # fmt: skip
