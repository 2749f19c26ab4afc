"""Rates of failure with exact intervals, drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from mtlrepro import plots


def exact_intervals(hits: pd.Series[int], n: pd.Series[int]) -> np.ndarray:
    """Clopper and Pearson's 95% intervals of rates: (points, 2)."""
    pairs = zip(hits.astype(int), n.astype(int), strict=True)
    return np.array([stats.binomtest(hit, count).proportion_ci() for hit, count in pairs])


def draw_rates(ax: Axes, x: Any, hits: pd.Series[int], n: pd.Series[int], **style: str) -> None:
    """`hits` of `n` against x with exact intervals; style: label, color and marker of `plots.band`."""
    low, high = exact_intervals(hits, n).T
    plots.band(ax, x, hits / n, low, high, **style)
