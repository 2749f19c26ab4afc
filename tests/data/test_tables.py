"""Files as text, tables and numbers: what was written is read, and anything else is refused with file and line."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlrepro.data.tables import numbers, text_table, whole_numbers
from mtlrepro.errors import DataCorrupt
from mtlrepro.files import decoded

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=8).map(str.strip)


@given(st.lists(st.tuples(_TEXT, _TEXT), min_size=1, max_size=8), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_a_written_table_is_read_again_whatever_its_mark_and_line_ends(rows, mark, end):
    rows = [("x", "y"), *rows]
    stream = io.StringIO()
    csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator=end).writerows([("a", "b"), *rows])
    content = ("\ufeff" * mark + stream.getvalue()).encode()
    read = text_table(content, "t.csv", ("a", "b"))
    assert read.index.tolist() == list(range(2, 2 + len(rows)))
    assert list(read.itertuples(index=False, name=None)) == rows


@given(st.binary(max_size=60))
def test_any_bytes_are_a_table_or_are_refused_in_one_line(content):
    try:
        rows = len(text_table(content, "t.csv", ("a",)))
    except DataCorrupt as refusal:
        rows = -1 if "\n" in str(refusal) else 1
    assert rows > 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "t.csv has no column a"),
        (b"a,b\n", "t.csv has no row"),
        (b"a,a,b\n1,2,3\n", "t.csv has two columns a"),
        (b"a,b\n1,2\n\n,3,4\n", "t.csv, line 4: 3 fields, not the 2"),
        (b"a,b\n1,2\n3", "t.csv, line 3: 1 fields, not the 2"),
        (b"a,b\n,2\n,3\n", "t.csv: column a is empty"),
        (b"a;b\n1;2\n", "t.csv has no column a"),
        ("a,b\n1,ä\n".encode("latin-1"), "t.csv, line 2: a byte that is none of a text in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "t.csv, line 1: a byte"),
        ("a,b\n1,2\n".encode("utf-16-le"), "t.csv, line 1: a byte"),
    ],
)
def test_an_odd_table_is_refused_with_its_line(content, message):
    with pytest.raises(DataCorrupt, match=message):
        text_table(content, "t.csv", ("a", "b"))


def test_other_encodings_are_read_where_they_are_known():
    assert decoded("é\x85".encode("latin-1"), "t", "latin-1") == "é\x85"
    with pytest.raises(DataCorrupt, match="t, line 1: a byte that is none of a text in CP1252"):
        decoded("né\n".encode("utf-16-le"), "t", "cp1252")


def test_numbers_are_finite_allowed_and_named_by_their_line():
    column = pd.Series(["1", "2.0", "", "NA", "nan", "1e999", "x"], index=range(2, 9), name="age")
    assert np.isnan(numbers(column[:4], "t", ("", "NA"))[2:]).all()
    assert whole_numbers(column[:2], "t").tolist() == [1, 2]
    for stop, line in ((3, 4), (4, 4)):
        with pytest.raises(DataCorrupt, match=rf"t, line {line}: age is ''"):
            numbers(column[:stop], "t")
    for one in (4, 5, 6):
        with pytest.raises(DataCorrupt, match=rf"t, line {one + 2}: age is"):
            numbers(column[one : one + 1], "t", ("", "NA"))
    with pytest.raises(DataCorrupt, match=r"t, line 3: age is '2\.0'"):
        whole_numbers(column[:2], "t", range(2))
    for text in ("1.5", "1e300", "9007199254740993"):
        with pytest.raises(DataCorrupt, match="no whole number"):
            whole_numbers(pd.Series([text], index=[2], name="age"), "t")
