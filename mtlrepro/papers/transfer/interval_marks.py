"""Means with their 95% intervals over seeds, as marks with bars, and what reports of task weights share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from mtlrepro import plots
from mtlrepro.results import interval


def interval_marks(
    ax: Axes, places: ArrayLike, samples: Sequence[ArrayLike], *, color: str, marker: str, label: str = "", lying: bool = False
) -> None:
    """One mark per sample, with its interval where there is one.

    places: (n,) on the x axis. samples: n arrays of values over seeds. lying: places are on the y axis, values on the x axis.
    """
    bars = np.array([interval(np.asarray(values, dtype=float)) for values in samples])
    spans = np.where(np.isfinite(bars[:, 1:]), np.abs(bars[:, 1:] - bars[:, :1]), 0).T
    x, y = (bars[:, 0], places) if lying else (places, bars[:, 0])
    sides = {"xerr" if lying else "yerr": spans}
    ax.errorbar(x, y, fmt=marker, color=plots.COLORS[color], label=label, **sides)  # type: ignore[arg-type]


def paper_marks(ax: Axes, x: ArrayLike, y: ArrayLike, label: str = "paper") -> None:
    """The paper's own numbers: hollow diamonds."""
    ax.plot(x, y, "D", markersize=7, markerfacecolor="none", color=plots.COLORS["black"], linestyle="none", label=label)


def standard_error(values: ArrayLike) -> float:
    """Of the mean of (n,) values, from their own spread."""
    sample = np.asarray(values, dtype=float)
    return float(np.std(sample, ddof=1) / np.sqrt(len(sample)))


def keys(table: pd.DataFrame) -> list[tuple[str, float]]:
    """The columns (method, setting) of a table."""
    pairs: list[Any] = table.columns.tolist()
    return [(str(method), float(setting)) for method, setting in pairs]
