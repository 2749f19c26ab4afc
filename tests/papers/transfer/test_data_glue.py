"""GLUE tasks: rows of the official columns, a split of QNLI without shared texts, synthetic tasks of the same form."""

from __future__ import annotations

import gzip
import hashlib

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


def test_a_row_with_another_label_is_refused_with_its_line(files, write_manifest):
    packed = gzip.compress(b"sentence\tlabel\ngood\t1\nodd\t7\n")
    (files / "SST-2_dev.tsv.gz").write_bytes(packed)
    listed = [{"path": "SST-2_dev.tsv.gz", "sha256": hashlib.sha256(packed).hexdigest()}]
    write_manifest("glue_sst2", layouts={"tsv_gz": {"folders": ["."], "files": listed}}, steps=["Get it."])
    with pytest.raises(DataCorrupt, match="line 3"):
        glue.load_glue("SST-2", files)


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
