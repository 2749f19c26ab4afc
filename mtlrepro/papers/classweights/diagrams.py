"""The class-weight paper's diagram (Figure 1), drawn by code."""

from __future__ import annotations

from matplotlib.figure import Figure

from mtlrepro.plots.boxes import ARROW, arrows, box, canvas, side, wide


def class_weights() -> Figure:
    """Fig. 1 of the class-wise weights paper: two decoders; the auxiliary loss split by class, weighted by the main one."""
    fig, ax = canvas(height=9.9)
    left, right = 1.3, 5.2
    rows = {"image": 9.9, "shared": 8.6, "decoders": 7.2, "losses": 5.8, "parts": 4.2, "weights": 2.6, "total": 0.6}
    wide(ax, rows["image"], "image", "data")
    wide(ax, rows["shared"], "encoder")
    for x, decoder, loss in ((left, "main decoder", "$L_m$"), (right, "auxiliary", "loss per pixel")):
        for name, text, kind in (("decoders", decoder, "task"), ("losses", loss, "data")):
            box(ax, x, rows[name], 2.9, kind)
            ax.text(x, rows[name], text, ha="center", va="center", fontsize=14)
        arrows(ax, x, (9.5, 9.0), (8.2, 7.6), (6.8, 6.2))
    for i, x in enumerate((4.1, 5.2, 6.3), 1):
        for name, symbol, kind in (("parts", f"$l_{i}$", "data"), ("weights", f"$w_{i}$", "align")):
            box(ax, x, rows[name], 0.9, kind)
            ax.text(x, rows[name], symbol, ha="center", va="center", fontsize=15)
        ax.annotate("", (x, rows["parts"] + 0.4), (right, rows["losses"] - 0.4), arrowprops=ARROW)
        arrows(ax, x, (rows["parts"] - 0.4, rows["weights"] + 0.4), (rows["weights"] - 0.4, rows["total"] + 0.4))
    ax.annotate("", (3.6, rows["weights"]), (left + 0.5, rows["losses"] - 0.4), arrowprops=ARROW | {"linestyle": "--"})
    arrows(ax, left, (rows["losses"] - 0.4, rows["total"] + 0.4))
    wide(ax, rows["total"], r"$L_m + \Sigma_c\, w_c\, l_c$", "shared")
    side(ax, {8.6: "share", 5.8: "losses", 4.2: "by class", 2.6: "weigh", 0.6: "train"})
    return fig
