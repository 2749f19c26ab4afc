"""The paper's numbers beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mtlrepro import exhibits
from mtlrepro.results.intervals import interval


def paper_values(exhibit: str) -> dict[str, Any]:
    """The numbers that the paper prints for `exhibit`, as in the registry; {} where it prints none."""
    return dict(exhibits.get(exhibit).values)


def summary(rows: pd.DataFrame, by: str | list[str], value: str) -> pd.DataFrame:
    """Mean, 95% interval and median of `value` over seeds, one line for each group of `by`.

    Returns columns: `by`, mean, low, high, median, n.
    """
    keys = [by] if isinstance(by, str) else by
    lines = []
    for key, group in rows.groupby(keys, sort=False):
        mean, low, high = interval(group[value].to_numpy())
        found = {"mean": mean, "low": low, "high": high, "median": group[value].median(), "n": len(group)}
        lines.append(dict(zip(keys, key, strict=True)) | found)
    return pd.DataFrame(lines)


def in_words(values: Sequence[float] | np.ndarray | pd.Series[float], digits: int = 2) -> str:
    """Mean and 95% interval of effects over seeds, such as ``+0.12 [+0.08, +0.16]``. values: (n,)."""
    return "{:+.{d}f} [{:+.{d}f}, {:+.{d}f}]".format(*interval(np.asarray(values)), d=digits)
