"""Figure 2 of the HydaLearn paper: a diagram of one training step, drawn by code."""

from __future__ import annotations

from matplotlib.figure import Figure

from mtlrepro.plots.boxes import ARROW, arrows, box, canvas, side


def draw() -> Figure:
    """Forward pass, heads' step, two fake updates and their gains, one weighted real update."""
    fig, ax = canvas(height=10.4)
    left, right, middle = 1.5, 5.0, 3.25
    rows = {"batch": 10.3, "shared": 9.0, "heads": 7.7, "gradients": 6.1, "fake": 4.5, "gains": 2.9, "weights": 1.7, "real": 0.45}
    for name, text, width, kind in (
        ("batch", "mini-batch", 3.0, "data"),
        ("shared", r"shared layers $\theta_s$", 6.4, "shared"),
        ("weights", r"$w_m : w_a = (\delta_m : \delta_a)^\beta$", 4.6, "align"),
        ("real", r"$\theta_s - \alpha\,(w_m g_m + w_a g_a)$", 6.4, "shared"),
    ):
        box(ax, middle, rows[name], width, kind)
        ax.text(middle, rows[name], text, ha="center", va="center", fontsize=15)
    for x, task in ((left, "m"), (right, "a")):
        for name, text, kind in (
            ("heads", rf"head $\theta_{task}$", "task"),
            ("gradients", rf"$g_{task} = \nabla_{{\theta_s}} L_{task}$", "data"),
            ("fake", rf"$\theta_s - \alpha\, g_{task} / |g_{task}|$", "fake"),
            ("gains", rf"gain $\delta_{task}$", "align"),
        ):
            box(ax, x, rows[name], 2.7, kind)
            ax.text(x, rows[name], text, ha="center", va="center", fontsize=14)
        arrows(ax, x, (8.6, 8.1), (7.3, 6.5), (5.7, 4.9), (4.1, 3.3))
        ax.annotate("", (middle + (x - middle) * 0.6, 2.1), (x, 2.5), arrowprops=ARROW)
    arrows(ax, middle, (9.9, 9.4), (1.3, 0.85))
    side(ax, {10.3: "forward", 7.7: "1: step", 6.1: "backward", 4.5: "2: fake", 2.9: "measure", 1.7: "weigh", 0.45: "3: real"})
    return fig
