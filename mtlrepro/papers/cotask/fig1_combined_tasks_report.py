"""CO-TASK's diagram (Figure 1), drawn by code."""

from __future__ import annotations

from matplotlib.figure import Figure

from mtlrepro.plots.boxes import ARROW, arrows, box, canvas, side


def draw() -> Figure:
    """Fig. 1 of the CO-TASK paper: auxiliary tasks from pairs of tasks, one task per batch, a shared bottom with a head each."""
    fig, ax = canvas(height=9.2)
    left, right, middle = 1.5, 5.0, 3.25
    rows = {"labels": 9.0, "combine": 7.5, "auxiliary": 6.0, "sampler": 4.4, "shared": 2.8, "heads": 1.1}
    for x, name, text, width, kind in (
        (left, "labels", r"tasks $T_1 \dots T_N$", 3.1, "data"),
        (right, "combine", "pair, merge, halve", 3.3, "align"),
        (right, "auxiliary", r"new $T^A_1 \dots T^A_M$", 3.1, "fake"),
        (middle, "sampler", "sampler: one task per batch", 6.4, "data"),
        (middle, "shared", "shared bottom", 6.4, "shared"),
        (left, "heads", r"heads $1 \dots N$", 3.1, "task"),
        (right, "heads", r"heads $1 \dots M$", 3.1, "fake"),
    ):
        box(ax, x, rows[name], width, kind)
        ax.text(x, rows[name], text, ha="center", va="center", fontsize=15)
    ax.annotate("", (right - 0.9, rows["combine"] + 0.4), (left + 1.55, rows["labels"] - 0.1), arrowprops=ARROW)
    arrows(ax, left, (rows["labels"] - 0.4, rows["sampler"] + 0.4), (rows["shared"] - 0.4, rows["heads"] + 0.4))
    arrows(ax, middle, (rows["sampler"] - 0.4, rows["shared"] + 0.4))
    arrows(ax, right, *((rows[a] - 0.4, rows[b] + 0.4) for a, b in (("combine", "auxiliary"), ("auxiliary", "sampler"))))
    arrows(ax, right, (rows["shared"] - 0.4, rows["heads"] + 0.4))
    side(ax, {9.0: "labels", 7.5: "generate", 4.4: "sample", 2.8: "share", 1.1: "predict"})
    return fig
