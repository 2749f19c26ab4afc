"""Laws of the comparison of grouping methods: costs are counted as they happen, recording has no side effect, test data wait."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mtlrepro.device import generator
from mtlrepro.methods.grouping_baselines import effective_models
from mtlrepro.papers.stgmtl import tab1_models
from mtlrepro.papers.stgmtl.tab1_models import Costs, Problem, Setup

SETUP = Setup(epochs=4, hidden=4, batch=10)
STEPS = 4 * 4  # of 35 points in batches of 10


@pytest.fixture(scope="module")
def problem():
    g = generator(0)
    inputs = {part: torch.randn(35, 5, generator=g) for part in tab1_models.PARTS}
    truth = torch.randn(3, 5, generator=g)
    labels = {part: (truth @ x.T > 0.5).float() for part, x in inputs.items()}
    return Problem(inputs, labels, torch.tensor([1.0, 2.0, 3.0]), ("a", "b", "c"))


@pytest.fixture(scope="module")
def rows(problem):
    return {row["method"]: row for row in tab1_models.compare(problem, seed=1, clusters=2, setup=SETUP)}


def test_models_trained_are_those_of_table_1_and_passes_follow(rows):
    for method in ("exhaustive", "hoa", "stg", "stg_stl"):
        assert rows[method]["models"] == effective_models(method, 3)
        assert rows[method]["forwards"] == rows[method]["backwards"] == effective_models(method, 3) * STEPS


def test_tag_passes_once_a_task_and_not_once_a_pair(rows):
    """A look-ahead gives the losses of all tasks: n backward passes, and 1 + n + 1 forward passes a step."""
    assert rows["tag"]["models"] == 1
    assert rows["tag"]["backwards"] == 3 * STEPS
    assert rows["tag"]["forwards"] == 5 * STEPS


def test_every_method_places_every_task_once(rows):
    for row in rows.values():
        assert sorted(row["groups"].replace("|", "").split()) == ["0", "1", "2"]
        assert len(row["groups"].split("|")) <= 2
        assert row["test_loss"] > 0 < row["random_loss"]
    assert rows["mtl"]["test_loss"] == pytest.approx(rows["mtl"]["random_loss"])  # one way only to make one group of three


def test_recording_changes_no_training_and_sees_every_point_once_an_epoch(problem):
    group = (0, 2)
    plain, none = tab1_models.train_group(problem, group, 1, SETUP, Costs())
    recorded, snapshots = tab1_models.train_group(problem, group, 1, SETUP, Costs(), record=True)
    for part in ("valid", "test"):
        torch.testing.assert_close(plain[part], recorded[part], equal_nan=True)
        assert plain[part].isnan().tolist() == [False, True, False]
    assert none == []
    assert [set(s.count.tolist()) for s in snapshots] == [{2}, {4}]
    assert all(s.mean.shape == (2, 35) and s.mean.min() > 0 and s.mean.max() < 1 and s.std.max() > 0 for s in snapshots)


def test_test_data_change_no_choice(problem, rows):
    other = replace(problem, labels=problem.labels | {"test": 1 - problem.labels["test"]})
    again = {row["method"]: row for row in tab1_models.compare(other, seed=1, clusters=2, setup=SETUP)}
    for method, row in rows.items():
        assert again[method]["groups"] == row["groups"]
        assert again[method]["test_loss"] != row["test_loss"]


def test_digits_are_split_into_parts_with_a_constant_input():
    made = tab1_models.digits_problem(5, seed=0)
    assert made.names == tuple("01234")
    assert {part: tuple(x.shape) for part, x in made.inputs.items()} == {
        "train": (1078, 65),
        "valid": (359, 65),
        "test": (360, 65),
    }
    assert made.labels["train"].shape == (5, 1078)
    assert all((x[:, -1] == 1).all() and x.max() == 1 for x in made.inputs.values())
