"""Tables 2 and 8 and Figure 4 of the CO-TASK paper: pictures, tables and claims from the rows of `tab2_ecg_echolvh`."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results

SINGLE, MULTI, COTASK = "Single/Major-Task", "Multi/Task-Aware", "CO-TASK/Task-Aware"
# Method -> the same with as many steps in all as CO-TASK.
LONG = {SINGLE: "Single, CO-TASK's steps", MULTI: "Multi, CO-TASK's steps"}
# Methods of Figure 4, and their colours.
CURVES = {SINGLE: "black", MULTI: "vermillion", COTASK: "blue"}
# Standard errors; with so many counts at once a larger one by chance has a probability well below 1%.
_LIMIT = 4.5


# --- Table 2 ----------------------------------------------------------------------------------------------------------


def table2(rows: pd.DataFrame) -> pd.DataFrame:
    """The paper's ratios beside the generated ones, and how good the annotators are."""
    labels = rows[rows.kind == "label"].groupby("label", sort=False)
    return pd.DataFrame(
        {
            "paper, 1 in": results.paper_values("cotask/tab2"),
            "generated, 1 in": (rows["n"].max() / labels["count"].mean()).round(2),
            "standard errors, worst": labels["errors"].agg(lambda e: e.abs().max()).round(2),
            "annotator's sensitivity": labels["sensitivity"].mean().round(3),
            "annotator's specificity": labels["specificity"].mean().round(3),
        }
    )


def claims2(rows: pd.DataFrame) -> list[results.Part]:
    """What the generated labels must meet."""
    errors = rows[rows.kind == "label"]["errors"].abs()
    name = "generated labels have the printed shares, within sampling error"
    violations = int((errors > _LIMIT).sum())
    return [
        results.check(name, worst=errors.max(), n=len(errors), violations=violations, tolerance=_LIMIT, unit="standard errors")
    ]


# --- Table 8 ----------------------------------------------------------------------------------------------------------


def by_method(rows: pd.DataFrame, value: str) -> pd.DataFrame:
    """(seeds, methods) of a column of the test rows."""
    tests = rows[rows.kind == "test"]
    return tests.pivot(index="seed", columns="method", values=value)[list(tests.method.unique())]


def table8(rows: pd.DataFrame) -> pd.DataFrame:
    """AUROC of the major task: the paper's beside ours with 95% interval over seeds, and differences in points."""
    auroc, steps, paper = by_method(rows, "auroc"), by_method(rows, "steps").mean(), results.paper_values("cotask/tab8")
    lines = {}
    for method in auroc:
        line = {
            "paper": f"{paper[method]:.4f}" if method in paper else "",
            "paper, over single": f"{100 * (paper[method] - paper[SINGLE]):+.2f}" if method in paper else "",
            "ours": "{:.4f} [{:.4f}, {:.4f}]".format(*results.interval(auroc[method].to_numpy())),
        }
        for text, base in (("over single", SINGLE), ("over multi, task-aware", MULTI)):
            line[f"ours, {text}"] = results.told(100 * (auroc[method] - auroc[base])) if method != base else ""
        lines[method] = line | {"steps in all": int(steps[method])}
    return pd.DataFrame(lines).T


def draw8(rows: pd.DataFrame) -> Figure:
    """AUROC minus the single-task network's, in points: ours with 95% interval, the paper's as a cross."""
    auroc, paper = by_method(rows, "auroc"), results.paper_values("cotask/tab8")
    over = np.array([results.interval(100 * (auroc[method] - auroc[SINGLE]).to_numpy()) for method in auroc])
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 3.4), layout="constrained")
    ax.errorbar(
        over[:, 0], range(len(over)), xerr=np.abs(over[:, 1:] - over[:, :1]).T, fmt="o", color=plots.COLORS["blue"], label="ours"
    )
    printed = [100 * (paper[method] - paper[SINGLE]) if method in paper else np.nan for method in auroc]
    ax.plot(printed, range(len(over)), "x", color=plots.COLORS["vermillion"], label="paper")
    ax.set_yticks(range(len(over)), auroc.columns)
    ax.axvline(0, color=plots.COLORS["black"], lw=0.8)
    ax.invert_yaxis()
    ax.set_xlabel("AUROC over the single-task network (points)")
    ax.legend(loc="lower left")
    return fig


def _paired(rows: pd.DataFrame, value: str, method: str, base: str, name: str, equal: bool = False) -> results.Part:
    values = by_method(rows, value)
    effect = 100 * (values[method] - values[LONG[base] if equal else base]).to_numpy()
    setting = "equal steps in all" if equal else "as in the paper"
    return results.paired(name, effect, claim="negative" if "below" in name else "positive", setting=setting, unit="points")


def claims8(rows: pd.DataFrame) -> list[results.Part]:
    """The paper's order of samplers and methods, paired over seeds; CO-TASK also against the others trained as long."""
    claims = [
        ("Multi/None", SINGLE, "without a sampler multi-task is below single-task", False),
        ("Multi/Major-Task", SINGLE, "with the major task's sampler multi-task is below single-task", False),
        (MULTI, SINGLE, "with the task-aware sampler multi-task is above single-task", False),
        (MULTI, "Multi/None", "the task-aware sampler is above none", False),
        (MULTI, "Multi/Major-Task", "the task-aware sampler is above the major task's", False),
        ("Multi+DWA/Task-Aware", MULTI, "dynamic weights are above equal ones", False),
        (COTASK, MULTI, "CO-TASK is above multi-task", False),
        (COTASK, MULTI, "CO-TASK is above multi-task", True),
        (COTASK, SINGLE, "CO-TASK is above single-task", True),
    ]
    return [_paired(rows, "auroc", *claim) for claim in claims]


# --- Figure 4 ---------------------------------------------------------------------------------------------------------


def draw4(rows: pd.DataFrame) -> Figure:
    """ROC curves, mean over seeds, with the band of all seeds' curves for CO-TASK; the doctor's operating point per seed."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH * 0.75, plots.WIDTH * 0.7), layout="constrained")
    curves = rows[rows.kind == "roc"]
    for method, color in CURVES.items():
        points = curves[curves.method == method].groupby("x")["y"]
        ax.plot(points.mean().index, points.mean(), color=plots.COLORS[color], label=method)
        if method == COTASK:
            ax.fill_between(points.min().index, points.min(), points.max(), color=plots.COLORS[color], alpha=0.15, lw=0)
    doctor = rows[(rows.kind == "test") & (rows.method == SINGLE)]
    false_positive, sensitivity = 1 - doctor["doctor specificity"], doctor["doctor sensitivity"]
    ax.plot(false_positive, sensitivity, "D", color=plots.COLORS["green"], label="doctor (annotated ECG-LVH)")
    ax.plot([0, 1], [0, 1], ":", color=plots.COLORS["grey"])
    ax.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(0, 1), ylim=(0, 1))
    ax.legend(loc="lower right")
    return fig


def table4(rows: pd.DataFrame) -> pd.DataFrame:
    """Sensitivity at the doctor's specificity with 95% interval over seeds, and differences in points."""
    values, paper = by_method(rows, "sensitivity"), results.paper_values("cotask/fig4")
    doctor = by_method(rows, "doctor sensitivity")[SINGLE]
    lines = {"doctor": {"sensitivity": f"{doctor.mean():.3f}"}}
    for method in [*CURVES, *(name for name in LONG.values() if name in values)]:
        lines[method] = {
            "sensitivity": "{:.3f} [{:.3f}, {:.3f}]".format(*results.interval(values[method].to_numpy())),
            "over the doctor, points": results.told(100 * (values[method] - doctor), 1),
        }
        if method != COTASK:
            lines[method]["CO-TASK over it, points"] = results.told(100 * (values[COTASK] - values[method]), 1)
    for method, name in ((SINGLE, "single"), (MULTI, "multi")):
        lines[method]["paper: CO-TASK over it"] = f"{paper[f'sensitivity_gain_over_{name}_points']:+.1f}"
    return pd.DataFrame(lines).T.fillna("")


def claims4(rows: pd.DataFrame) -> list[results.Part]:
    """Sensitivity at the doctor's specificity: above the doctor's, and CO-TASK above the other two."""
    values, doctor = by_method(rows, "sensitivity"), by_method(rows, "doctor sensitivity")[SINGLE]
    above = [
        results.paired(
            f"{method} above the doctor", 100 * (values[method] - doctor).to_numpy(), setting="as in the paper", unit="points"
        )
        for method in CURVES
    ]
    return above + [
        _paired(rows, "sensitivity", COTASK, base, f"CO-TASK is above {name}", equal)
        for equal in (False, True)
        for base, name in ((SINGLE, "single-task"), (MULTI, "multi-task"))
    ]
