"""Tables and figures of the page on Fact 7, from its rows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots
from mtlrepro.papers.transfer.theory.proof_lines_report import line_table
from mtlrepro.papers.transfer.theory.trials_report import trials
from mtlrepro.results import Measured, StatementTrials

BLUE, ORANGE, GREEN = (plots.COLORS[name] for name in ("blue", "vermillion", "green"))


def bound_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per case: instances, and for each bound its least margin and its violations."""
    groups = rows[rows["kind"] == "bound"].groupby("case", sort=False)
    columns = {"instances": groups["n"].sum().astype(int)}
    for name, label in {"printed": "1/κ² (printed)", "sharp": "1/κ"}.items():
        columns[f"{label}: least margin"] = groups[f"{name}_worst"].min()
        columns[f"{label}: violations"] = groups[f"{name}_violations"].sum().astype(int)
    columns["least sin(Xa, Xb) · κ / sin(a, b)"] = groups["closest"].min()
    return pd.DataFrame(columns)


def draw(rows: pd.DataFrame) -> Figure:
    """Top: least ratio against κ. Bottom: least sin(Xa, Xb) against the angle, for three κ."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(plots.WIDTH, 8))
    grid = np.geomspace(1.5, 130, 100)
    search, sample = rows[rows["kind"] == "search"], rows[rows["kind"] == "sample"]
    top.plot(grid, 1 / grid, color=BLUE, label="1/κ, sharp")
    top.plot(grid, 1 / grid**2, color=ORANGE, linestyle="--", label="1/κ², printed")
    near = search[search["degrees"] == search["degrees"].min()]
    top.plot(near["kappa"], near["found"], "o", color=BLUE, label="found by search, angle 0.1°")
    top.plot(sample["kappa"], sample["found"], "x", color=GREEN, label="least of 10,000 random pairs")
    top.set(xscale="log", yscale="log", xlabel="condition number κ", ylabel="least sin(Xa, Xb) / sin(a, b)")
    top.legend()
    angles = np.linspace(0.001, np.pi / 2, 200)
    for color, kappa in zip((BLUE, ORANGE, GREEN), (2.0, 5.0, 20.0), strict=True):
        least = np.sin(2 * np.arctan(np.tan(angles / 2) / kappa))
        bottom.plot(np.rad2deg(angles), least, color=color, label=f"κ = {kappa:g}")
        bottom.plot(np.rad2deg(angles), np.sin(angles) / kappa**2, color=color, linestyle="--")
        some = search[search["kappa"] == kappa]
        bottom.plot(some["degrees"], some["found"] * np.sin(np.deg2rad(some["degrees"])), "o", color=color)
    bottom.set(xlabel="angle between a and b (degrees)", ylabel="least sin(Xa, Xb)", yscale="log", ylim=(1e-4, 1.5))
    bottom.legend(title="line: exact, dots: search, dashes: printed bound", loc="lower right", ncols=3)
    return fig


def search_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per condition number and angle: the least ratio of sines that the search reached, the closed form and both bounds."""
    search = rows[rows["kind"] == "search"]
    table = search[["kappa", "degrees", "found", "exact"]].assign(difference=search["found"] / search["exact"] - 1)
    names = {"kappa": "κ", "found": "least ratio found", "exact": "closed form", "difference": "relative difference"}
    return table.join(search[["sharp", "printed"]]).rename(columns=names | {"sharp": "1/κ", "printed": "1/κ²"}).set_index("κ")


def proof_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The lines of the proof."""
    lines = rows[rows["kind"] == "proof"]
    return line_table(lines, "n", "worst_error", "left_over_right", "correction", holds=1e-6)


def measured(rows: pd.DataFrame) -> Measured:
    """The bound with the printed constant, and with the sharp one."""
    bound = rows[rows["kind"] == "bound"]
    printed, sharp = (trials(bound, [f"{name}_violations"], bound[f"{name}_worst"].min()) for name in ("printed", "sharp"))
    return Measured(statements={"angle-bound": StatementTrials(printed, sharp)})
