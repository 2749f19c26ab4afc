"""GLUE tasks: rows of the official columns, a split of QNLI without shared texts, synthetic tasks of the same form."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlrepro.errors import DataCorrupt, UnknownName
from mtlrepro.papers.transfer.data import glue

FILES = {
    "CoLA": {"train": "gj04\t1\t\tIt went .\ngj04\t0\t*\tWent it .\n", "dev": "x\t1\t\tCaf\u00e9 \u201copens\u201d .\n"},
    "MRPC": {
        "train": '\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t5\t6\tA " b\tA b\r\n',
        "test": "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n0\t7\t8\tc\td\r\n",
    },
    "RTE": {
        "train": "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n",
        "dev": "index\tsentence1\tsentence2\tlabel\n0\tc\td\tnot_entailment\n",
    },
    "SST-2": {"train": "sentence\tlabel\ngood \t1\n", "dev": "sentence\tlabel\nbad \t0\n"},
}


@pytest.fixture
def files(tmp_path, write_manifest):
    """The tasks in small files of the true form, with manifests of their own."""
    for task, parts in FILES.items():
        listed = []
        for part, content in parts.items():
            packed = gzip.compress(content.encode())
            (tmp_path / f"{task}_{part}.tsv.gz").write_bytes(packed)
            listed.append({"path": f"{task}_{part}.tsv.gz", "sha256": hashlib.sha256(packed).hexdigest(), "size": len(packed)})
        layouts = {"tsv_gz": {"folders": ["."], "files": listed}}
        write_manifest(f"glue_{task.lower().replace('-', '')}", layouts=layouts, steps=["Get it."])
    return tmp_path


@pytest.mark.parametrize(
    ("task", "first", "second", "labels", "test"),
    [
        ("CoLA", ("It went .", "Went it .", "Caf\u00e9 \u201copens\u201d ."), None, [1, 0, 1], [False, False, True]),
        ("MRPC", ('A " b', "c"), ("A b", "d"), [1, 0], [False, True]),
        ("RTE", ("a", "c"), ("b", "d"), [1, 0], [False, True]),
        ("SST-2", ("good", "bad"), None, [1, 0], [False, True]),
    ],
)
def test_rows_are_read_from_the_official_columns(files, task, first, second, labels, test):
    found = glue.load_glue(task, files)
    assert (found.first, found.second) == (first, second)
    assert found.labels.tolist() == labels
    assert found.test.tolist() == test


def _dev(files, write_manifest, content, task="SST-2"):
    """The set whose second file holds `content`, not packed, and is listed without a checksum."""
    name = f"{task}_{'test' if task == 'MRPC' else 'dev'}.tsv"
    (files / name).write_bytes(content)
    layouts = {"tsv": {"folders": ["."], "files": [{"path": f"{task}_train.tsv.gz"}, {"path": name}]}}
    write_manifest(f"glue_{task.lower().replace('-', '')}", layouts=layouts, steps=["Get it."])
    return glue.load_glue(task, files)


@pytest.mark.parametrize(
    ("task", "content", "message"),
    [
        ("SST-2", b"sentence\tlabel\ngood\t1\nodd\t7\n", "line 3: not a row"),
        ("SST-2", b"sentence\tlabel\ngood\t1\nodd\n", "line 3: not a row"),
        ("SST-2", b"sentence\tlabel\ngood\t1\nodd\tnan\n", "line 3: not a row"),
        ("SST-2", b"sentence\tlabel\ngood\t1\n \t1\n", "line 3: an empty text"),
        ("SST-2", b"good\t1\nbad\t0\n", "line 1: no header of SST-2 with 'label' in column 2"),
        ("SST-2", b"sentence\tlabel\n", "has no row"),
        ("SST-2", "sentence\tlabel\ncaf\u00e9\t1\n".encode("latin-1"), "line 2: a byte"),
        ("SST-2", "sentence\tlabel\ngood\t1\n".encode("utf-16"), "line 1: a byte"),
        ("CoLA", b"source\tlabel\tmark\tsentence\nx\t1\t\tIt went .\n", "line 1: not a row of CoLA"),
        ("MRPC", b"Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\tc\t\n", "line 2: an empty text"),
    ],
)
def test_an_odd_file_is_refused_with_its_line(files, write_manifest, task, content, message):
    with pytest.raises(DataCorrupt, match=rf"{task}_\w+\.tsv.*{message}"):
        _dev(files, write_manifest, content, task)


@given(st.lists(st.tuples(st.sampled_from("01"), st.text("abé .|", min_size=1).filter(str.strip)), min_size=1), st.booleans())
def test_rows_are_read_as_written_whatever_the_mark_and_the_line_ends(rows, windows):
    """A row is a line: no blank, bar or accent in a text is a field's end."""
    content = "".join(f"{text}\t{label}\n" for label, text in [("label", "sentence"), *rows])
    place = SimpleNamespace(folder=Path("glue"), read=lambda file: content.encode())
    content = "\ufeff" + content.replace("\n", "\r\n") if windows else content
    assert glue._rows(place, "dev.tsv", "SST-2") == [(text.strip(), "", int(label)) for label, text in rows]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=80))
def test_no_question_and_no_sentence_stands_on_both_sides(pairs):
    rows = [(f"q{q}", f"s{s}", 0) for q, s in pairs]
    test = set(glue._split_qnli(rows).tolist())
    for column in (0, 1):
        sides = [{rows[i][column] for i in range(len(rows)) if (i in test) == side} for side in (True, False)]
        assert not sides[0] & sides[1]


def test_synthetic_tasks_have_the_form_of_the_real_ones():
    for name, task in glue.glue_tasks(prefer="synthetic").items():
        assert (task.second is not None) == (name in glue.PAIRS)
        assert set(np.unique(task.labels)) == {0, 1}
        assert 0.1 < task.test.mean() < 0.5
        assert task.tier == "synthetic"
    with pytest.raises(UnknownName, match="SST-2"):
        glue.load_glue("SST2")
