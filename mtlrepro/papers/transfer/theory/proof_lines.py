"""Displayed lines of a printed proof, each evaluated as it stands on random instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor, isfinite, maximum, where

Array = np.ndarray
Relation = Literal["=", "≥", "≤"]


@dataclass(frozen=True)
class Line:
    """One displayed line, evaluated on one instance. relation: how left should stand to right."""

    line: str
    relation: Relation
    left: float
    right: float
    correction: str = ""

    @property
    def error(self) -> float:
        """How far the line is from holding, relative to its right side; 0 or less where an inequality holds."""
        scale = max(abs(self.right), 1e-300)
        gap = (self.left - self.right) / scale
        return abs(gap) if self.relation == "=" else gap if self.relation == "≤" else -gap


def line_rows(instances: Sequence[Sequence[Line]]) -> list[dict[str, Any]]:
    """One row per line: its largest error over the instances, in how many it fails, and the median of left over right."""
    rows = []
    for lines in zip(*instances, strict=True):
        errors = np.array([line.error for line in lines])
        rows.append(
            {
                "line": lines[0].line, "relation": lines[0].relation, "n": len(lines), "worst_error": float(errors.max()),
                "broken": int((errors > 1e-9).sum()), "correction": lines[0].correction,
                "left_over_right": float(np.median([line.left / line.right if line.right else np.nan for line in lines])),
            }
        )  # fmt: skip
    return rows


# Name -> (relation, left (n,), right (n,), correction) over n instances.
BatchedLines = dict[str, tuple[str, Tensor, Tensor, str]]


def batched_line_rows(lines: BatchedLines, tolerance: float = 1e-9) -> list[dict[str, Any]]:
    """One row per line: n, in how many instances it fails (relative to the larger side), the median of left over right."""
    rows = []
    for name, (relation, left, right, correction) in lines.items():
        # The floor keeps rounding around a line of two zeros from counting as a failure.
        gap = (left - right) / maximum(left.abs(), right.abs()).clamp_min(1e-6)
        gap = gap.abs() if relation == "=" else gap if relation == "≤" else -gap
        gap = where(isfinite(gap), gap, 0)
        rows.append(
            {
                "line": name, "relation": relation, "n": len(gap), "broken": int((gap > tolerance).sum()),
                "left_over_right": float((left / right).median()), "correction": correction,
            }
        )  # fmt: skip
    return rows
