"""Diagrams of model structure, drawn by code. Narrow and tall, so that their letters stay readable on a phone."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from mtlrepro.plots import COLORS

_ARROW = {"arrowstyle": "-|>", "color": COLORS["black"], "lw": 1.3, "shrinkA": 0, "shrinkB": 0}
# Columns of task 1, task 2 and task k; between the last two stand dots.
_COLUMNS = {"1": 1.0, "2": 3.0, "k": 6.0}
_DOTS = 4.5
_BOX = 1.5
# Fills are light tints, so that black letters keep their contrast; kinds also differ in outline and place, not in hue alone.
_FILL = {"shared": ("#CDE5F3", COLORS["blue"]), "task": ("#FBE3D2", COLORS["vermillion"]), "data": ("#F2F2F2", COLORS["grey"]),
         "align": ("#D0EEE4", COLORS["green"]), "fake": ("#FFFFFF", COLORS["blue"])}  # fmt: skip


def shared_module() -> Figure:
    """Fig. 1 of the transfer paper: task inputs X_i through one shared module B and one task module A_i each."""
    fig, ax = _canvas(height=5.4)
    _row(ax, 0.5, "X_{}", "data")
    _wide(ax, 2.2, "shared module $B$")
    _row(ax, 3.9, "A_{}", "task")
    _row(ax, 5.4, r"\hat y_{}", None)
    for x in _COLUMNS.values():
        _arrows(ax, x, (0.9, 1.8), (2.6, 3.5), (4.3, 5.05))
    _side(ax, {0.5: "inputs", 2.2: "all tasks", 3.9: "own", 5.4: "outputs"})
    return fig


def alignment_module() -> Figure:
    """Fig. 4 of the transfer paper: an alignment module R_i between task embedding E_i and the shared module B."""
    fig, ax = _canvas(height=6.9)
    _row(ax, 0.5, "E_{}", "data")
    _row(ax, 2.0, "R_{}", "align")
    _wide(ax, 3.7, "shared module $B$")
    _row(ax, 5.4, "A_{}", "task")
    _row(ax, 6.9, r"\hat y_{}", None)
    for x in _COLUMNS.values():
        _arrows(ax, x, (0.9, 1.6), (2.4, 3.3), (4.1, 5.0), (5.8, 6.55))
    for name, x in _COLUMNS.items():
        ax.text(x + 0.12, 2.85, f"$Z_{name}$", fontsize=14, va="center")
    _side(ax, {0.5: "embed", 2.0: "align", 3.7: "all tasks", 5.4: "own", 6.9: "outputs"})
    return fig


def fake_updates() -> Figure:
    """Fig. 2 of the HydaLearn paper: forward pass, heads' step, two fake updates and their gains, one weighted real update."""
    fig, ax = _canvas(height=10.4)
    left, right, middle = 1.5, 5.0, 3.25
    rows = {"batch": 10.3, "shared": 9.0, "heads": 7.7, "gradients": 6.1, "fake": 4.5, "gains": 2.9, "weights": 1.7, "real": 0.45}
    for name, text, width, kind in (
        ("batch", "mini-batch", 3.0, "data"),
        ("shared", r"shared layers $\theta_s$", 6.4, "shared"),
        ("weights", r"$w_m : w_a = (\delta_m : \delta_a)^\beta$", 4.6, "align"),
        ("real", r"$\theta_s - \alpha\,(w_m g_m + w_a g_a)$", 6.4, "shared"),
    ):
        _box(ax, middle, rows[name], width, kind)
        ax.text(middle, rows[name], text, ha="center", va="center", fontsize=15)
    for x, task in ((left, "m"), (right, "a")):
        for name, text, kind in (
            ("heads", rf"head $\theta_{task}$", "task"),
            ("gradients", rf"$g_{task} = \nabla_{{\theta_s}} L_{task}$", "data"),
            ("fake", rf"$\theta_s - \alpha\, g_{task} / |g_{task}|$", "fake"),
            ("gains", rf"gain $\delta_{task}$", "align"),
        ):
            _box(ax, x, rows[name], 2.7, kind)
            ax.text(x, rows[name], text, ha="center", va="center", fontsize=14)
        _arrows(ax, x, (8.6, 8.1), (7.3, 6.5), (5.7, 4.9), (4.1, 3.3))
        ax.annotate("", (middle + (x - middle) * 0.6, 2.1), (x, 2.5), arrowprops=_ARROW)
    _arrows(ax, middle, (9.9, 9.4), (1.3, 0.85))
    _side(ax, {10.3: "forward", 7.7: "1: step", 6.1: "backward", 4.5: "2: fake", 2.9: "measure", 1.7: "weigh", 0.45: "3: real"})
    return fig


def task_groups() -> Figure:
    """Fig. 1 of the STG-MTL paper: one multi-task training, a data map a task, clusters of task vectors, a model a cluster."""
    fig, ax = _canvas(height=9.9)
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
    _wide(ax, rows["images"], "images", "data")
    _wide(ax, rows["shared"], "shared layers")
    _wide(ax, rows["clusters"], r"centres $c_j$,  memberships $u_{tj}$", "align")
    _row(ax, rows["heads"], r"\mathrm{{head}}\ {}", "task", last="n", size=14)
    _row(ax, rows["maps"], r"\mu_{0},\ \sigma_{0}", "data", last="n")
    _row(ax, rows["vectors"], "x_{}", "data", last="n")
    _row(ax, rows["models"], r"\mathrm{{model}}\ {}", "shared", size=14)
    _row(ax, rows["weights"], r"\Sigma_t\, u_{{t{0}}} L_t", None, size=13)
    for x in _COLUMNS.values():
        _arrows(ax, x, (9.5, 9.0), (8.2, 7.7), (6.9, 6.3), (5.5, 5.0), (4.2, 3.6), (2.8, 2.1), (0.75, 1.3))
    _side(ax, {8.6: "train once", 5.9: "record", 4.6: "flatten", 3.2: "group", 1.7: "specialise", 0.4: "losses"})
    return fig


def weighted_outputs() -> Figure:
    """Fig. 3 of the STG-MTL paper: the models of all clusters see the image; a task's output is their mean by its memberships."""
    fig, ax = _canvas(height=6.9)
    _wide(ax, 6.9, "image", "data")
    _row(ax, 5.4, r"\mathrm{{model}}\ {}", "shared", size=14)
    _row(ax, 3.8, "o_{{{0}t}}", "data")
    _wide(ax, 2.0, r"$o_t = \Sigma_j\, u_{tj}\, o_{jt}$", "align")
    _wide(ax, 0.5, r"$p_t = \mathrm{sigmoid}(o_t)$", "task")
    for name, x in _COLUMNS.items():
        _arrows(ax, x, (6.5, 5.8), (5.0, 4.2), (3.4, 2.4))
        ax.text(x + 0.12, 2.9, rf"$\times\, u_{{t{name}}}$", fontsize=13, va="center")
    _arrows(ax, (_COLUMNS["1"] + _COLUMNS["k"]) / 2, (1.6, 0.9))
    _side(ax, {5.4: "run all", 3.8: "logits", 2.9: "weigh", 2.0: "add", 0.5: "task $t$"})
    return fig


def combined_tasks() -> Figure:
    """Fig. 1 of the CO-TASK paper: auxiliary tasks from pairs of tasks, one task a batch, a shared bottom with a head each."""
    fig, ax = _canvas(height=9.2)
    left, right, middle = 1.5, 5.0, 3.25
    rows = {"labels": 9.0, "combine": 7.5, "auxiliary": 6.0, "sampler": 4.4, "shared": 2.8, "heads": 1.1}
    for x, name, text, width, kind in (
        (left, "labels", r"tasks $T_1 \dots T_N$", 3.1, "data"),
        (right, "combine", "pair, merge, halve", 3.3, "align"),
        (right, "auxiliary", r"new $T^A_1 \dots T^A_M$", 3.1, "fake"),
        (middle, "sampler", "sampler: one task a batch", 6.4, "data"),
        (middle, "shared", "shared bottom", 6.4, "shared"),
        (left, "heads", r"heads $1 \dots N$", 3.1, "task"),
        (right, "heads", r"heads $1 \dots M$", 3.1, "fake"),
    ):
        _box(ax, x, rows[name], width, kind)
        ax.text(x, rows[name], text, ha="center", va="center", fontsize=15)
    ax.annotate("", (right - 0.9, rows["combine"] + 0.4), (left + 1.55, rows["labels"] - 0.1), arrowprops=_ARROW)
    _arrows(ax, left, (rows["labels"] - 0.4, rows["sampler"] + 0.4), (rows["shared"] - 0.4, rows["heads"] + 0.4))
    _arrows(ax, middle, (rows["sampler"] - 0.4, rows["shared"] + 0.4))
    _arrows(ax, right, *((rows[a] - 0.4, rows[b] + 0.4) for a, b in (("combine", "auxiliary"), ("auxiliary", "sampler"))))
    _arrows(ax, right, (rows["shared"] - 0.4, rows["heads"] + 0.4))
    _side(ax, {9.0: "labels", 7.5: "generate", 4.4: "sample", 2.8: "share", 1.1: "predict"})
    return fig


def class_weights() -> Figure:
    """Fig. 1 of the class-wise weights paper: two decoders; the auxiliary loss split by class, weighted by the main one."""
    fig, ax = _canvas(height=9.9)
    left, right = 1.3, 5.2
    rows = {"image": 9.9, "shared": 8.6, "decoders": 7.2, "losses": 5.8, "parts": 4.2, "weights": 2.6, "total": 0.6}
    _wide(ax, rows["image"], "image", "data")
    _wide(ax, rows["shared"], "encoder")
    for x, decoder, loss in ((left, "main decoder", "$L_m$"), (right, "auxiliary", "loss a pixel")):
        for name, text, kind in (("decoders", decoder, "task"), ("losses", loss, "data")):
            _box(ax, x, rows[name], 2.9, kind)
            ax.text(x, rows[name], text, ha="center", va="center", fontsize=14)
        _arrows(ax, x, (9.5, 9.0), (8.2, 7.6), (6.8, 6.2))
    for i, x in enumerate((4.1, 5.2, 6.3), 1):
        for name, symbol, kind in (("parts", f"$l_{i}$", "data"), ("weights", f"$w_{i}$", "align")):
            _box(ax, x, rows[name], 0.9, kind)
            ax.text(x, rows[name], symbol, ha="center", va="center", fontsize=15)
        ax.annotate("", (x, rows["parts"] + 0.4), (right, rows["losses"] - 0.4), arrowprops=_ARROW)
        _arrows(ax, x, (rows["parts"] - 0.4, rows["weights"] + 0.4), (rows["weights"] - 0.4, rows["total"] + 0.4))
    ax.annotate("", (3.6, rows["weights"]), (left + 0.5, rows["losses"] - 0.4), arrowprops=_ARROW | {"linestyle": "--"})
    _arrows(ax, left, (rows["losses"] - 0.4, rows["total"] + 0.4))
    _wide(ax, rows["total"], r"$L_m + \Sigma_c\, w_c\, l_c$", "shared")
    _side(ax, {8.6: "share", 5.8: "losses", 4.2: "by class", 2.6: "weigh", 0.6: "train"})
    return fig


def _canvas(height: float) -> tuple[Figure, Axes]:
    fig, ax = plt.subplots(figsize=(4.6, 4.6 * (height + 0.7) / 8.4), layout="none")
    ax.set(xlim=(-1.5, 6.9), ylim=(-0.1, height + 0.6), aspect="equal")
    ax.axis("off")
    fig.subplots_adjust(0, 0, 1, 1)
    return fig, ax


def _row(ax: Axes, y: float, symbol: str, kind: str | None, last: str = "k", size: float = 17) -> None:
    """One box a task at height `y`, with dots for those left out; bare letters where `kind` is None; `last` is named last."""
    for name, x in _COLUMNS.items():
        if kind:
            _box(ax, x, y, _BOX, kind)
        shown = last if name == "k" else name
        ax.text(x, y, f"${symbol.format(shown)}$", ha="center", va="center", fontsize=size)
    ax.text(_DOTS, y, r"$\cdots$", ha="center", va="center", fontsize=17)


def _wide(ax: Axes, y: float, label: str, kind: str = "shared") -> None:
    left, right = min(_COLUMNS.values()) - _BOX / 2, max(_COLUMNS.values()) + _BOX / 2
    _box(ax, (left + right) / 2, y, right - left, kind)
    ax.text((left + right) / 2, y, label, ha="center", va="center", fontsize=17)


def _box(ax: Axes, x: float, y: float, width: float, kind: str) -> None:
    fill, edge = _FILL[kind]
    style = "round,pad=0,rounding_size=0.14"
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - 0.4), width, 0.8, boxstyle=style, facecolor=fill, edgecolor=edge, lw=1.6,
            linestyle="--" if kind == "fake" else "-",
        )
    )  # fmt: skip


def _arrows(ax: Axes, x: float, *spans: tuple[float, float]) -> None:
    for low, high in spans:
        ax.annotate("", (x, high), (x, low), arrowprops=_ARROW)


def _side(ax: Axes, labels: dict[float, str]) -> None:
    for y, label in labels.items():
        ax.text(-1.42, y, label, ha="left", va="center", fontsize=13, color="#555555")
