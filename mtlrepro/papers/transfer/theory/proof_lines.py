"""Displayed lines of a printed proof, each evaluated as it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Array = np.ndarray


# --- The displayed lines of the proof.


@dataclass(frozen=True)
class Line:
    """One displayed line of a printed proof, evaluated. relation: how left should stand to right."""

    line: str
    relation: Literal["=", "≥", "≤"]
    left: float
    right: float
    correction: str = ""

    @property
    def error(self) -> float:
        """How far the line is from holding, relative to its right side; 0 or less where an inequality holds."""
        scale = max(abs(self.right), 1e-300)
        gap = (self.left - self.right) / scale
        return abs(gap) if self.relation == "=" else gap if self.relation == "≤" else -gap


def line_rows(tried: list[list[Line]]) -> list[dict[str, Any]]:
    """One row a line: its largest error over the instances, in how many it fails, and the median of left over right."""
    rows = []
    for lines in zip(*tried, strict=True):
        errors = np.array([line.error for line in lines])
        rows.append(
            {
                "line": lines[0].line, "relation": lines[0].relation, "n": len(lines), "worst_error": float(errors.max()),
                "broken": int((errors > 1e-9).sum()), "correction": lines[0].correction,
                "left_over_right": float(np.median([line.left / line.right if line.right else np.nan for line in lines])),
            }
        )  # fmt: skip
    return rows
