"""Trials of a statement, counted from the rows of an exhibit."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mtlrepro.results import Trials


def trials(rows: pd.DataFrame, broken: Sequence[str], worst: float, n: str = "n") -> Trials:
    """All rows as one count of instances; an instance that broke several comparisons counts at most `n` times in all.

    broken: columns with numbers of violations. worst: the largest error, or the smallest margin. n: the column of the number
    of instances. The tolerance is that of the rows.
    """
    count, violations = int(rows[n].sum()), int(rows[list(broken)].sum().sum())
    return Trials(count, min(count, violations), float(worst), float(rows["tolerance"].max()))


def worst_setting(groups: Sequence[pd.Series[float]], allowed: float) -> Trials:
    """Of a statement that must hold in every setting with probability 1 - `allowed`: the setting that breaks it most often.

    groups: for each setting one entry per instance, 1 where it broke the statement, else 0.
    """
    worst = max(groups, key=lambda failed: float(failed.mean()))
    return Trials(len(worst), int(worst.sum()), float(worst.mean()), allowed=allowed)
