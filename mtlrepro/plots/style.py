"""One look for every figure of the book: paper-like, colour-blind safe, readable on a phone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

# Okabe and Ito (2008): told apart with any common colour vision, and in grey by their lightness.
COLORS = {
    "vermillion": "#D55E00",
    "green": "#009E73",
    "blue": "#0072B2",
    "orange": "#E69F00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "black": "#222222",
    "grey": "#777777",
}
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

# Narrower than a page, so that letters of 11 points stay readable where a phone shrinks the figure to 390 pixels.
WIDTH = 6.4

_STYLE: dict[str, Any] = {
    "figure.figsize": (WIDTH, 4.0),
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.family": "serif",
    "font.serif": ["STIXGeneral", "DejaVu Serif"],
    "mathtext.fontset": "stix",
    "font.size": 12,
    "axes.titlesize": 12.5,
    "axes.labelsize": 12,
    "legend.fontsize": 11,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=list(COLORS.values())),
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "mtlrepro",
}


def use() -> None:
    """Set the style for all figures that follow; in a notebook figures become SVG, sharp at any width."""
    plt.rcParams.update(_STYLE)  # type: ignore[arg-type]
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:  # a plain Python without Jupyter
        return
    if get_ipython() is not None:  # type: ignore[no-untyped-call]
        # A fixed date, so that the same figure is the same file.
        set_matplotlib_formats("svg", metadata={"Date": None})  # type: ignore[no-untyped-call]


def band(
    ax: Axes,
    x: ArrayLike,
    mean: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    label: str | None = None,
    color: str | None = None,
    marker: str = "o",
    median: ArrayLike | None = None,
) -> None:
    """Draw a mean with its interval as a shaded band, and the median, where given, as a dotted line.

    x, mean, low, high, median: (points,). color: a name from COLORS or any colour of matplotlib.
    """
    drawn = ax.plot(x, mean, marker=marker, label=label, color=COLORS.get(color or "", color), zorder=3)[0]
    ax.fill_between(x, low, high, color=drawn.get_color(), alpha=0.18, linewidth=0, zorder=2)  # type: ignore[arg-type]
    if median is not None:
        ax.plot(x, median, linestyle=":", linewidth=1.5, color=drawn.get_color(), zorder=3)


def zero_line(ax: Axes, label: str | None = None) -> None:
    """A thin line where the effect is zero."""
    ax.axhline(0, color=COLORS["black"], linewidth=0.9, label=label, zorder=1)


def legend_below(fig: Figure, ncols: int) -> None:
    """One legend under the figure of everything that any of its panels names."""
    named = {label: handle for ax in fig.axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    fig.legend(named.values(), named.keys(), loc="outside lower center", ncols=ncols)


def log_sizes(ax: Axes, sizes: Sequence[int], label: str = "") -> None:
    """A logarithmic x axis for sample counts with ticks at 1, 2 and 5 times powers of ten, k for thousands."""
    ax.set_xscale("log")
    ticks = [c * 10**e for e in range(7) for c in (1, 2, 5) if min(sizes) <= c * 10**e <= max(sizes)]
    ax.set_xticks(ticks, [str(t) if t < 1000 else f"{t // 1000}k" for t in ticks])
    ax.minorticks_off()
    ax.set_xlabel(label)


def described(fig: Figure, caption: str) -> str:
    """What `fig` shows, for those who cannot see it: its caption, then axes, panels and names of what is drawn."""
    words = [re.sub(r"[$`*\\{}]", "", caption).strip()]
    for ax in fig.axes:
        panel = [ax.get_title(), f"{ax.get_ylabel()} against {ax.get_xlabel()}" if ax.get_xlabel() and ax.get_ylabel() else ""]
        words += [": ".join(part for part in panel if part)]
    labels = [str(text) for ax in fig.axes for text in ax.get_legend_handles_labels()[1]]
    words += [", ".join(dict.fromkeys(labels))]
    return re.sub(r"[$\\{}]", "", ". ".join(dict.fromkeys(part.rstrip(".") for part in words if part)))[:600] + "."
