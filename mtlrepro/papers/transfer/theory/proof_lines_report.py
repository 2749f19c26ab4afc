"""The table of a proof's displayed lines, from the rows of `proof_lines`."""

from __future__ import annotations

import numpy as np
import pandas as pd

_NAMES = {
    "n": "instances", "broken": "fails in", "worst_error": "largest relative error",
    "left_over_right": "left / right, median", "correction": "correction",
}  # fmt: skip


def line_table(lines: pd.DataFrame, *columns: str, holds: float | None = None) -> pd.DataFrame:
    """Per row of `lines` the given columns; holds: adds whether the largest relative error is below it."""
    table = lines.astype({"n": int})
    shown = table[["line", "relation"]].copy()
    if holds is not None:
        shown["holds"] = np.where(table["worst_error"] < holds, "yes", "no")
    for column in columns:
        values = table[column].astype(int) if column == "broken" else table[column]
        shown[_NAMES[column]] = values.fillna("") if column == "correction" else values
    return shown.set_index("line")
