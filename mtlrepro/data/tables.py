"""Comma-separated files as tables of text, and their columns as numbers; what is odd is refused with file and line."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlrepro.errors import DataCorrupt
from mtlrepro.files import decoded


def text_table(content: bytes, where: Path | str, columns: Sequence[str]) -> pd.DataFrame:
    """All columns as text without the blanks around a value, indexed by the line that each row ends on; blank lines are none.

    `where` names the file in errors. Raises DataCorrupt: not UTF-8, without one of `columns`, one of them twice or without any
    value, a row of another number of fields, or no row.
    """
    reader = csv.reader(io.StringIO(decoded(content, where), newline=""), skipinitialspace=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        for name in columns:
            if header.count(name) != 1:
                raise DataCorrupt(f"{where} has {'two columns' if name in header else 'no column'} {name}.")
        for row in reader:
            if row and len(row) != len(header):
                raise DataCorrupt(f"{where}, line {reader.line_num}: {len(row)} fields, not the {len(header)} of the header.")
            if row:
                rows.append([value.strip() for value in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise DataCorrupt(f"{where}, line {reader.line_num}: {error}.") from None
    if not rows:
        raise DataCorrupt(f"{where} has no row below its header.")
    table = pd.DataFrame(rows, index=lines, columns=header, dtype=str)
    for name in columns:
        if table[name].eq("").all():
            raise DataCorrupt(f"{where}: column {name} is empty.")
    return table


def numbers(
    column: pd.Series[str], where: Path | str, missing: Collection[str] = (), among: Collection[int] | None = None
) -> NDArray[np.float64]:
    """A column of a `text_table` as finite numbers, NaN where it holds one of the words `missing`. among: the only ones allowed.

    Raises DataCorrupt, with the line and the value.
    """
    values: NDArray[np.float64] = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    blank = column.isin(list(missing)).to_numpy()
    right = blank | np.isfinite(values) & (np.isin(values, list(among)) if among is not None else True)
    if not right.all():
        row = int(right.argmin())
        raise DataCorrupt(f"{where}, line {column.index[row]}: {column.name} is {column.iloc[row]!r}.")
    return np.where(blank, np.nan, values)


def whole_numbers(column: pd.Series[str], where: Path | str, among: Collection[int] | None = None) -> NDArray[np.int64]:
    """As `numbers`, for whole ones below 2^53, which may be written 3.0; none may be missing."""
    values = numbers(column, where, among=among)
    wrong = (values % 1 != 0) | (abs(values) >= 2**53)  # from there on neighbours are one float64
    if wrong.any():
        row = int(wrong.argmax())
        raise DataCorrupt(f"{where}, line {column.index[row]}: {column.name} is {column.iloc[row]!r}, no whole number.")
    return values.astype(np.int64)
