"""Tables as pages show them: three significant digits, no empty marks of missing numbers, no index names."""

from __future__ import annotations

import math
import numbers
import re
from html import escape
from typing import Any

import pandas as pd

from mtlrepro.results.verdict_box import scripts, three_digits

MISSING = "–"
# An interval's two ends, which stay on one line.
_INTERVAL = re.compile(r"\[[-+−]?\d[\d.,]*, [-+−]?\d[\d.,]*\]")


def html_table(frame: pd.DataFrame, caption: str = "", *, digits: int = 3, run: str = "") -> str:
    """The frame as HTML inside a box that scrolls on a narrow screen.

    An index with a name becomes the first columns, a plain one is left out; an underscore in a name is shown as a space. Numbers
    of a column have `digits` significant digits, fewer where that loses nothing of any; what is missing is a dash; exponents and
    indices of formulas are raised and lowered. caption: plain text. run: recorded or live, kept as ``data-run``. Where there is
    no row, a sentence that says so.
    """
    if frame.empty:
        title = f"{escape(caption.rstrip('.'))}: " if caption else ""
        return f'<p class="no-rows">{title}no such rows in this run.</p>'
    named = [name for name in frame.index.names if name is not None]
    if named or not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(names=named or [""])
    if isinstance(frame.columns, pd.MultiIndex):
        frame = frame.set_axis([", ".join(str(part) for part in column if str(part)) for column in frame.columns], axis=1)
    columns = [_cells(frame.iloc[:, at].tolist(), digits) for at in range(frame.shape[1])]
    head = "".join(f'<th scope="col">{scripts(escape(str(name))).replace("_", " ")}</th>' for name in frame.columns)
    body = "".join(f"<tr>{''.join(line)}</tr>" for line in zip(*columns, strict=True))
    marked = f' data-run="{run}"' if run else ""
    title = f'<p class="table-caption">{scripts(escape(caption))}</p>' if caption else ""
    label = escape(caption or "Table", quote=True)
    return (
        f'<div class="table-block"{marked}>{title}<div class="table-scroll" role="region" tabindex="0" aria-label="{label}">'
        f'<table class="book-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></div>'
    )


def _cells(column: list[Any], digits: int) -> list[str]:
    """A column's cells: whole numbers whole where all are, else with as few digits as lose nothing of any."""
    finite = [float(value) for value in column if _is_number(value) and math.isfinite(value)]
    if finite and all(value.is_integer() and abs(value) < 1e15 for value in finite):
        column = [int(value) if _is_number(value) and math.isfinite(value) else value for value in column]
    enough = (few for few in range(1, digits) if all(float(f"{value:.{few - 1}e}") == value for value in finite))
    fewest = next(enough, digits)
    kinds = (' class="number"' if _is_number(value) else "" for value in column)
    shown = (scripts(escape(shown_value(value, fewest))) for value in column)
    whole = (_INTERVAL.sub(r'<span class="interval">\g<0></span>', text) for text in shown)
    return [f"<td{kind}>{text}</td>" for kind, text in zip(kinds, whole, strict=True)]


def unsigned_zeros(text: str) -> str:
    """Text whose zeros, such as -0.00 and +0%, have no sign."""
    return re.sub(r"(?<![\w.)\]^])[-+](0(?:\.0+)?)(?![\d.])", r"\1", text)


def shown_value(value: Any, digits: int = 3) -> str:
    """A cell's text: whole numbers as they are, others with `digits` significant digits, a dash for what is missing."""
    if value is None or value is pd.NA or value is pd.NaT:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if _is_number(value):
        if not math.isfinite(value):
            return MISSING
        if isinstance(value, numbers.Integral) or (float(value).is_integer() and abs(value) >= 100):
            return f"{int(value):,}" if abs(value) >= 10_000 else str(int(value))
        return three_digits(float(value), digits=digits)
    return unsigned_zeros(str(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
