"""Tables and figures of the page on Theorem 9, from its rows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.theory.proof_lines_report import line_table
from mtlrepro.papers.transfer.theory.rates_report import draw_rates
from mtlrepro.papers.transfer.theory.trials_report import worst_setting
from mtlrepro.results import Measured, StatementTrials, Trials

# The statement's "with probability 1 - δ".
DELTA = 0.1


def _kernels(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the kernel; off: how many standard errors the sample is off."""
    kernels = rows[rows["kind"] == "kernel"]
    return kernels.assign(off=(kernels["sampled"] - kernels["formula"]).abs() / kernels["error"])


def kernel_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per angle: the identity as printed, by quadrature and by sampling."""
    columns = ["printed", "quadrature", "sampled", "error", "off", "variance over g"]
    names = {"error": "standard error", "off": "standard errors off"}
    return _kernels(rows).set_index("degrees")[columns].rename(columns=names)


def constant_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per comparison and interval: the sharp constant and where it is attained."""
    some = rows[rows["kind"] == "constant"]
    tops = {round(np.pi / 2, 6): "π/2", round(np.pi, 6): "π"}
    interval = [f"(0, {tops.get(round(top, 6), f'{top:g} rad')}]" for top in some["top"]]
    names = {"angle": "attained at (radians)"}
    return some.assign(interval=interval).set_index("against")[["interval", "constant", "angle"]].rename(columns=names)


def draw_chain(rows: pd.DataFrame) -> Figure:
    """1 - g with what the proof compares it to, over the angle."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 3.8))
    some = rows[rows["kind"] == "chain"]
    lines = {
        "1 - g": ("-", "$1 - g$"), "1 - cos": ("--", "$1 - \\cos\\varphi$, the printed upper bound"),
        "corrected": ("-.", "$(1 - 1/\\pi)(1 - \\cos\\varphi)$, a lower bound to 90°"),
        "without 1/π": (":", "printed, without $1/\\pi$"),
    }  # fmt: skip
    for (column, (style, label)), color in zip(lines.items(), plots.COLORS.values(), strict=False):
        ax.plot(some["degrees"], some[column], color=color, linestyle=style, label=label)
    ax.axvline(90, color=plots.COLORS["grey"], linewidth=0.8)
    ax.set(xlabel=r"angle between $B^*$ and $\theta_1$ (degrees)", ylim=(-1.2, 2.1))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def task_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per setting and m_1: medians of both errors with their bounds, and how often each bound fails."""
    groups = rows[rows["kind"].isin(["task", "restored"])].groupby(["condition", "name", "factor"], sort=False)
    table = groups[["m1", "sin1", "sin2", "angle_bound", "error", "head_bound"]].median()
    table.insert(1, "draws", groups.size())
    table["angle fails"], table["head fails"] = groups["angle_failed"].mean(), groups["head_failed"].mean()
    return table.rename(columns={"m1": "m₁", "sin1": "sin(B*, θ₁)", "sin2": "sin(B*, θ₂)", "error": "error of A₂*"})


def draw(rows: pd.DataFrame) -> Figure:
    """Share of simulated tasks in which the bound on the angle fails, against m_1 over the printed condition."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 3.8))
    tasks = rows[rows["kind"] == "task"].assign(line=lambda table: table["name"].str.replace(r", C = \d+", "", regex=True))
    shapes = zip(plots.COLORS.values(), plots.MARKERS, strict=False)
    for (color, marker), (name, group) in zip(shapes, tasks.groupby("line", sort=False), strict=False):
        failed = group.groupby("factor")["angle_failed"]
        draw_rates(ax, failed.size().index, failed.sum(), failed.size(), label=str(name), color=color, marker=marker)
    ax.axhline(DELTA, color=plots.COLORS["black"], linestyle="--", linewidth=1, label="δ, allowed")
    ax.set(xscale="log", xlabel="$m_1$ over the printed condition", ylabel="share in which the angle's bound fails")
    ax.legend()
    return fig


def counter_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per number K: the claimed bound and the error in each family of counterexamples."""
    return rows[rows["kind"] == "counterexample"].pivot_table(["bound", "error"], "size", "family", sort=False)


def head_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The deterministic form of the second claim on random targets."""
    names = {"n": "n", "violations": "violations", "worst": "largest excess", "loose": "bound / error, median"}
    return rows.loc[rows["kind"] == "head", list(names)].astype({"n": int, "violations": int}).rename(columns=names)


def proof_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The displayed lines of the proof."""
    return line_table(rows[rows["kind"] == "line"], "n", "broken", "left_over_right", "correction")


def deviation_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per δ: how often the claimed deviation is exceeded, and how often it is by the normal law."""
    some = rows[rows["kind"] == "deviation"].assign(rate=lambda table: table["failed"] / table["n"]).astype({"n": int})
    return some.set_index("delta")[["n", "rate", "limit"]].rename_axis("δ, claimed").rename(
        columns={"rate": "exceeded in", "limit": "by the normal law"}
    )  # fmt: skip


def measured(rows: pd.DataFrame) -> Measured:
    """Both bounds in the worst setting, at the printed and at the restored condition; the kernel; the last step."""
    kernels, chain = _kernels(rows), rows[rows["kind"] == "chain"]
    printed = rows[(rows["kind"] == "task") & (rows["factor"] >= 1)]
    transfer = [
        worst_setting(
            [failed for what in ("angle_failed", "head_failed") for _, failed in some.groupby("name")[what]], DELTA
        )
        for some in (printed, rows[rows["kind"] == "restored"])
    ]  # fmt: skip
    error = (kernels["quadrature"] - kernels["printed"]).abs()
    kernel = Trials(len(kernels), int(((error > 1e-10) | (kernels["off"] > 4.5)).sum()), float(error.max()), 1e-10)
    equal = (chain["1 - g"] - chain["without 1/π"]).abs()
    acute = chain[chain["degrees"] <= 90]
    below = acute["corrected"] - acute["1 - g"]
    last = StatementTrials(
        Trials(len(chain), int((equal > 1e-9).sum()), float(equal.max()), 1e-9),
        Trials(len(acute), int((below > 1e-9).sum()), float(below.max()), 1e-9),
    )
    statements = {"relu-transfer": StatementTrials(*transfer), "kernel": StatementTrials(kernel), "last-step": last}
    return Measured(statements=statements)
