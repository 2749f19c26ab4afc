"""Diagrams of model structure, drawn by code. Narrow and tall, so that their letters stay readable on a phone."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from mtlrepro.plots.style import COLORS

ARROW = {"arrowstyle": "-|>", "color": COLORS["black"], "lw": 1.3, "shrinkA": 0, "shrinkB": 0}
# Columns of task 1, task 2 and task k; between the last two stand dots.
COLUMNS = {"1": 1.0, "2": 3.0, "k": 6.0}
DOTS = 4.5
BOX = 1.5
# Fills are light tints, so that black letters keep their contrast; kinds also differ in outline and place, not in hue alone.
FILL = {"shared": ("#CDE5F3", COLORS["blue"]), "task": ("#FBE3D2", COLORS["vermillion"]), "data": ("#F2F2F2", COLORS["grey"]),
         "align": ("#D0EEE4", COLORS["green"]), "fake": ("#FFFFFF", COLORS["blue"])}  # fmt: skip


def canvas(height: float) -> tuple[Figure, Axes]:
    fig, ax = plt.subplots(figsize=(4.6, 4.6 * (height + 0.7) / 8.4), layout="none")
    ax.set(xlim=(-1.5, 6.9), ylim=(-0.1, height + 0.6), aspect="equal")
    ax.axis("off")
    fig.subplots_adjust(0, 0, 1, 1)
    return fig, ax


def row(ax: Axes, y: float, symbol: str, kind: str | None, last: str = "k", size: float = 17) -> None:
    """One box a task at height `y`, with dots for those left out; bare letters where `kind` is None; `last` is named last."""
    for name, x in COLUMNS.items():
        if kind:
            box(ax, x, y, BOX, kind)
        shown = last if name == "k" else name
        ax.text(x, y, f"${symbol.format(shown)}$", ha="center", va="center", fontsize=size)
    ax.text(DOTS, y, r"$\cdots$", ha="center", va="center", fontsize=17)


def wide(ax: Axes, y: float, label: str, kind: str = "shared") -> None:
    left, right = min(COLUMNS.values()) - BOX / 2, max(COLUMNS.values()) + BOX / 2
    box(ax, (left + right) / 2, y, right - left, kind)
    ax.text((left + right) / 2, y, label, ha="center", va="center", fontsize=17)


def box(ax: Axes, x: float, y: float, width: float, kind: str) -> None:
    fill, edge = FILL[kind]
    style = "round,pad=0,rounding_size=0.14"
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - 0.4), width, 0.8, boxstyle=style, facecolor=fill, edgecolor=edge, lw=1.6,
            linestyle="--" if kind == "fake" else "-",
        )
    )  # fmt: skip


def arrows(ax: Axes, x: float, *spans: tuple[float, float]) -> None:
    for low, high in spans:
        ax.annotate("", (x, high), (x, low), arrowprops=ARROW)


def side(ax: Axes, labels: dict[float, str]) -> None:
    for y, label in labels.items():
        ax.text(-1.42, y, label, ha="left", va="center", fontsize=13, color="#555555")
