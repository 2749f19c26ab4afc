"""The diagrams of STG-MTL (Figures 1 and 3), drawn by code."""

from __future__ import annotations

from matplotlib.figure import Figure

from mtlrepro.plots.boxes import COLUMNS, arrows, canvas, row, side, wide


def task_groups() -> Figure:
    """Fig. 1 of the STG-MTL paper: one training, a data map per task, clusters of task vectors, a model per cluster."""
    fig, ax = canvas(height=9.9)
    rows = {
        "images": 9.9,
        "shared": 8.6,
        "heads": 7.3,
        "maps": 5.9,
        "vectors": 4.6,
        "clusters": 3.2,
        "models": 1.7,
        "weights": 0.4,
    }
    wide(ax, rows["images"], "images", "data")
    wide(ax, rows["shared"], "shared layers")
    wide(ax, rows["clusters"], r"centres $c_j$,  memberships $u_{tj}$", "align")
    row(ax, rows["heads"], r"\mathrm{{head}}\ {}", "task", last="n", size=14)
    row(ax, rows["maps"], r"\mu_{0},\ \sigma_{0}", "data", last="n")
    row(ax, rows["vectors"], "x_{}", "data", last="n")
    row(ax, rows["models"], r"\mathrm{{model}}\ {}", "shared", size=14)
    row(ax, rows["weights"], r"\Sigma_t\, u_{{t{0}}} L_t", None, size=13)
    for x in COLUMNS.values():
        arrows(ax, x, (9.5, 9.0), (8.2, 7.7), (6.9, 6.3), (5.5, 5.0), (4.2, 3.6), (2.8, 2.1), (0.75, 1.3))
    side(ax, {8.6: "train once", 5.9: "record", 4.6: "flatten", 3.2: "group", 1.7: "specialise", 0.4: "losses"})
    return fig


def weighted_outputs() -> Figure:
    """Fig. 3 of the STG-MTL paper: the models of all clusters see the image; a task's output is their mean by its memberships."""
    fig, ax = canvas(height=6.9)
    wide(ax, 6.9, "image", "data")
    row(ax, 5.4, r"\mathrm{{model}}\ {}", "shared", size=14)
    row(ax, 3.8, "o_{{{0}t}}", "data")
    wide(ax, 2.0, r"$o_t = \Sigma_j\, u_{tj}\, o_{jt}$", "align")
    wide(ax, 0.5, r"$p_t = \mathrm{sigmoid}(o_t)$", "task")
    for name, x in COLUMNS.items():
        arrows(ax, x, (6.5, 5.8), (5.0, 4.2), (3.4, 2.4))
        ax.text(x + 0.12, 2.9, rf"$\times\, u_{{t{name}}}$", fontsize=13, va="center")
    arrows(ax, (COLUMNS["1"] + COLUMNS["k"]) / 2, (1.6, 0.9))
    side(ax, {5.4: "run all", 3.8: "logits", 2.9: "weigh", 2.0: "add", 0.5: "task $t$"})
    return fig
