"""The diagrams of the transfer paper (Figures 1 and 4), drawn by code."""

from __future__ import annotations

from matplotlib.figure import Figure

from mtlrepro.plots.boxes import COLUMNS, arrows, canvas, row, side, wide


def shared_module() -> Figure:
    """Fig. 1 of the transfer paper: task inputs X_i through one shared module B and one task module A_i each."""
    fig, ax = canvas(height=5.4)
    row(ax, 0.5, "X_{}", "data")
    wide(ax, 2.2, "shared module $B$")
    row(ax, 3.9, "A_{}", "task")
    row(ax, 5.4, r"\hat y_{}", None)
    for x in COLUMNS.values():
        arrows(ax, x, (0.9, 1.8), (2.6, 3.5), (4.3, 5.05))
    side(ax, {0.5: "inputs", 2.2: "all tasks", 3.9: "own", 5.4: "outputs"})
    return fig


def alignment_module() -> Figure:
    """Fig. 4 of the transfer paper: an alignment module R_i between task embedding E_i and the shared module B."""
    fig, ax = canvas(height=6.9)
    row(ax, 0.5, "E_{}", "data")
    row(ax, 2.0, "R_{}", "align")
    wide(ax, 3.7, "shared module $B$")
    row(ax, 5.4, "A_{}", "task")
    row(ax, 6.9, r"\hat y_{}", None)
    for x in COLUMNS.values():
        arrows(ax, x, (0.9, 1.6), (2.4, 3.3), (4.1, 5.0), (5.8, 6.55))
    for name, x in COLUMNS.items():
        ax.text(x + 0.12, 2.85, f"$Z_{name}$", fontsize=14, va="center")
    side(ax, {0.5: "embed", 2.0: "align", 3.7: "all tasks", 5.4: "own", 6.9: "outputs"})
    return fig
