"""Laws of the comparison of grouping methods: costs are counted as they happen, recording has no side effect, test data wait."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mtlrepro.device import generator
from mtlrepro.methods.grouping_baselines import effective_models
from mtlrepro.papers.stgmtl import tab1_models
from mtlrepro.papers.stgmtl.tab1_models import Costs, GroupTraining, TaskData

TRAINING = GroupTraining(epochs=4, hidden=4, batch=10)
STEPS = 4 * 4  # of 35 points in batches of 10


@pytest.fixture(scope="module")
def data():
    g = generator(0)
    inputs = {part: torch.randn(35, 5, generator=g) for part in tab1_models.PARTS}
    truth = torch.randn(3, 5, generator=g)
    labels = {part: (truth @ x.T > 0.5).float() for part, x in inputs.items()}
    return TaskData(inputs, labels, torch.tensor([1.0, 2.0, 3.0]))


@pytest.fixture(scope="module")
def rows(data):
    return {row["method"]: row for row in tab1_models.compare(data, seed=1, clusters=2, training=TRAINING)}


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


def test_recording_changes_no_training_and_sees_every_point_once_an_epoch(data):
    group = (0, 2)
    plain, none = tab1_models.train_group(data, group, 1, TRAINING, Costs())
    recorded, snapshots = tab1_models.train_group(data, group, 1, TRAINING, Costs(), record=True)
    for part in ("valid", "test"):
        torch.testing.assert_close(plain[part], recorded[part], equal_nan=True)
        assert plain[part].isnan().tolist() == [False, True, False]
    assert none == []
    assert [set(s.count.tolist()) for s in snapshots] == [{2}, {4}]
    assert all(s.mean.shape == (2, 35) and s.mean.min() > 0 and s.mean.max() < 1 and s.std.max() > 0 for s in snapshots)


def test_test_data_change_no_choice(data, rows):
    other = replace(data, labels=data.labels | {"test": 1 - data.labels["test"]})
    again = {row["method"]: row for row in tab1_models.compare(other, seed=1, clusters=2, training=TRAINING)}
    for method, row in rows.items():
        assert again[method]["groups"] == row["groups"]
        assert again[method]["test_loss"] != row["test_loss"]


def test_digits_are_split_into_parts_with_a_constant_input():
    data = tab1_models.digits_data(5, seed=0)
    assert {part: tuple(x.shape) for part, x in data.inputs.items()} == {
        "train": (1078, 65),
        "valid": (359, 65),
        "test": (360, 65),
    }
    assert data.labels["train"].shape == (5, 1078)
    assert all((x[:, -1] == 1).all() and x.max() == 1 for x in data.inputs.values())
