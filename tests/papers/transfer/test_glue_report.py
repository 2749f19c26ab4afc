"""What the report of Figure 5a measures, on made-up scores with planted effects."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

from mtlrepro.papers.transfer import fig5a_alignment_glue_report as report
from mtlrepro.papers.transfer.data.glue import TASKS

LEVEL = {"CoLA": 12.0, "MRPC": 80.0, "QNLI": 70.0, "RTE": 60.0, "SST-2": 90.0}
MAJORITY = {"CoLA": 0.0, "MRPC": 74.0, "QNLI": 50.0, "RTE": 53.0, "SST-2": 51.0}


def glue_rows(pairs_up, five, level=LEVEL):
    """Algorithm 1 adds a point on the first `pairs_up` pairs and takes one on the others; on all five tasks it adds `five`."""
    groups = [(pair, 1.0 if n < pairs_up else -1.0) for n, pair in enumerate(itertools.combinations(TASKS, 2))]
    rows = []
    for tasks, gain in [*groups, (TASKS, five)]:
        for seed in range(3):
            for way, added in (("plain", 5.0), ("aligned", 7.0), ("control", 4.0), ("fixed", gain), ("fixed control", 0.0)):
                row = {"together": " + ".join(tasks), "seed": seed, "way": way}
                rows += [row | {"task": t, "test": level[t] + added + 0.1 * seed, "majority": MAJORITY[t]} for t in tasks]
    return pd.DataFrame(rows)


def test_algorithm_1_is_held_against_the_same_training_without_r():
    measured = report.measured(glue_rows(7, 2.5))
    assert measured.effects["glue-average"] == pytest.approx([2.5] * 3)
    assert measured.effects["pairs-improved"] == pytest.approx([0.2] * 3)
    gains = report.gains(glue_rows(7, 2.5)).xs(report.ALL)
    assert gains.aligned.tolist() == pytest.approx([2.0] * 3)
    assert gains.control.tolist() == pytest.approx([-1.0] * 3)


def baseline(rows):
    return next(gate for gate in report.measured(rows).gates if gate.name == "baseline-level")


def test_the_baseline_must_be_above_the_larger_class_on_every_task():
    rows = glue_rows(5, 0.0)
    assert baseline(rows).passed
    assert not baseline(glue_rows(5, 0.0, LEVEL | {"RTE": 57.0})).passed
    assert not baseline(glue_rows(5, 0.0, LEVEL | {"CoLA": 9.0})).passed
    assert "not recorded" in baseline(rows.drop(columns="majority")).value


def test_the_table_counts_pairs_and_sets_the_papers_numbers_first():
    table = report.table(glue_rows(7, 2.5))
    assert table.index[0] == "paper"
    assert table.loc["Algorithm 1, B fixed", "pairs with a gain"] == "7 of 10"
    assert table.loc["alignment minus control layer", "all five"] == "+3.00 [+3.00, +3.00]"
    assert report.scores(glue_rows(7, 2.5)).loc["always the larger class", "MRPC"] == MAJORITY["MRPC"]
