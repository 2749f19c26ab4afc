"""What the report of Figure 5a measures, on made-up scores with planted effects."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from mtlrepro.papers.transfer import fig5a_alignment_glue_report as report
from mtlrepro.papers.transfer.data.glue import TASKS

LEVEL = {"CoLA": 12.0, "MRPC": 80.0, "QNLI": 70.0, "RTE": 60.0, "SST-2": 90.0}
MAJORITY = {"CoLA": 0.0, "MRPC": 74.0, "QNLI": 50.0, "RTE": 53.0, "SST-2": 51.0}
RATES, LENGTHS = [0.1, 0.2, 0.3], [1, 2, 4]


def glue_rows(gain=None, level=None, doubled=1.0, rotated=(10.0, 6.0), chosen=(0.2, 2), pretrained=True):
    """Algorithm 1 adds `gain` to each task, `doubled` times that with twice the epochs; the matrix behind adds a point. rotated:
    what a rotation of SST-2 costs, and what Algorithm 1 wins back. chosen: its rate and number of epochs."""
    gain, level = gain or dict.fromkeys(TASKS, 2.5), level or LEVEL
    rows = []

    def row(stage, seed, task, way, rate, epochs, added):
        score = level[task] + added + 0.1 * seed
        rows.append(
            {"stage": stage, "seed": seed, "task": task, "way": way, "rate": rate, "epochs": epochs, "score": score}
            | {"accuracy": score, "majority": MAJORITY[task], "larger": MAJORITY[task]}
            | {"pretrained": pretrained, "trained": 60, "scored": 40}
        )  # fmt: skip

    for task, way, rate, epochs in itertools.product(TASKS, ("plain", "behind", "aligned"), RATES, LENGTHS):
        row("search", 999, task, way, rate, epochs, 0.0)
    for task, seed in itertools.product(TASKS, range(3)):
        lost, back = rotated if task == "SST-2" else (5.0, 0.0)
        added = {"plain": 0.0, "behind": 1.0, "aligned": gain[task], "rotated": -lost}
        added |= {"rotated aligned": back - lost} if task == "SST-2" else {}
        for way, points in added.items():
            rate, epochs = chosen if "aligned" in way else (0.2, 2)
            row("final", seed, task, way, rate, epochs, points)
            if seed < 2:
                row("doubled", seed, task, way, rate, 2 * epochs, points * (doubled if way == "aligned" else 1))
    return pd.DataFrame(rows)


def gate(rows, name):
    return next(gate for gate in report.measured(rows).gates if gate.name == name)


def test_groups_are_put_together_from_the_gains_of_their_tasks():
    """Law: the gain of a group is the mean of its tasks', seed by seed."""
    gain = dict(zip(TASKS, [3.0, 1.0, -2.0, 0.5, -0.1], strict=True))
    measured = report.measured(glue_rows(gain))
    assert measured.effects["glue-average"] == pytest.approx([np.mean(list(gain.values()))] * 3)
    up = [gain[one] + gain[other] > 0 for one, other in itertools.combinations(TASKS, 2)]
    assert measured.effects["pairs-improved"] == pytest.approx([np.mean(up) - 0.5] * 3)
    assert len(report.GROUPS) == 11


def test_all_gates_pass_where_what_they_need_was_measured():
    measured = report.measured(glue_rows())
    assert [one.name for one in measured.gates if not one.passed] == []
    assert len(measured.gates) == 5


def test_the_baseline_must_be_above_the_larger_class_on_every_task():
    assert not gate(glue_rows(level=LEVEL | {"RTE": 57.0}), "baseline-level").passed
    assert not gate(glue_rows(level=LEVEL | {"CoLA": 9.0}), "baseline-level").passed


def test_the_larger_class_is_that_of_the_scored_rows():
    """Law: where training's larger class is the smaller one among the scored, the baseline is held against the other."""
    rows = glue_rows()
    rows.loc[rows.task == "RTE", "larger"] = 100 - MAJORITY["RTE"]
    assert gate(rows, "baseline-level").value == gate(glue_rows(), "baseline-level").value


def test_a_body_with_random_weights_is_another_architecture():
    assert not gate(glue_rows(pretrained=False), "architecture").passed


def test_an_order_that_turns_with_twice_the_epochs_is_not_converged():
    assert gate(glue_rows(doubled=0.1), "converged").passed
    assert not gate(glue_rows(doubled=-0.1), "converged").passed


@pytest.mark.parametrize("chosen", [(0.1, 2), (0.3, 2), (0.2, 1), (0.2, 4)])
def test_a_choice_at_an_edge_of_the_grid_fails(chosen):
    assert not gate(glue_rows(chosen=chosen), "grid-interior").passed


def test_the_control_needs_half_of_what_the_rotation_costs():
    assert gate(glue_rows(rotated=(10.0, 5.0)), "control").passed
    assert not gate(glue_rows(rotated=(10.0, 4.9)), "control").passed
    assert not gate(glue_rows(rotated=(-1.0, 4.9)), "control").passed


def test_the_tables_set_the_papers_numbers_first_and_hold_the_control_apart():
    rows = glue_rows()
    table = report.table(rows)
    assert table.index[0] == "paper"
    assert table.loc["paper", "pairs with a gain"] == "7 of 10"
    assert table.loc["Algorithm 1", "pairs with a gain"] == "10 of 10"
    assert table.loc["Algorithm 1 beyond the matrix behind", report.ALL] == "+1.50 [+1.50, +1.50]"
    assert report.by_task(rows).loc["always training's larger class", "MRPC"] == "74.0"
    assert report.rotation_table(rows).loc["SST-2", "the rotation costs"] == "+10.00 [+10.00, +10.00]"
    assert report.samples(rows).loc["RTE"].tolist() == [60, 40, 60, 40]
    assert report.search_table(rows).loc[("Algorithm 1", 0.2), "2 epochs"].startswith("[")
