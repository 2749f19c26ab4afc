"""STG-MTL's trainings on images and what the pages compute from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from mtlrepro.data.binary_tasks import digits_tasks
from mtlrepro.device import generator
from mtlrepro.methods import task_grouping as grouping
from mtlrepro.methods.data_maps import DataMap, true_label_probability
from mtlrepro.papers.stgmtl import fig4_groups, fig7_f1, task_groups
from mtlrepro.papers.stgmtl.training import image_runs

TRAINING = image_runs.ImageTraining(epochs=3, widths=(4, 6), side=8, batch=50, snapshots=2, together=3)


@pytest.fixture(scope="module")
def digits():
    return digits_tasks("G1").of(range(150))


@pytest.fixture(scope="module")
def data(digits):
    return image_runs.prepared(TRAINING, digits)[0]


@pytest.fixture
def few_digits(monkeypatch, digits):
    """What `image_settings` would say of the few digits, which stand for all images."""
    for module in (fig4_groups, fig7_f1):
        monkeypatch.setattr(module, "task_set", lambda group, split, limit: digits.of(range(limit)))
    return {"limits": {"train": 150, "test": 150}, "training": vars(TRAINING)}


def test_models_trained_side_by_side_are_models_trained_in_turn(data):
    """How many models are trained together is a matter of speed: outputs and data maps are the same to rounding."""
    weights = torch.tensor([[1.0] * 10, [0.5] * 10, [0.0] * 9 + [1.0]])
    together = image_runs.train(data, weights, 1, TRAINING, [data], record=True)
    in_turn = image_runs.train(data, weights, 1, replace(TRAINING, together=1), [data], record=True)
    assert together.logits[0].shape == (3, 10, 150)
    assert torch.allclose(together.logits[0], in_turn.logits[0], atol=1e-4)
    assert len(together.maps) == 2
    for a, b in zip(together.maps, in_turn.maps, strict=True):
        assert torch.allclose(a.mean.float(), b.mean.float(), atol=2e-3)


def test_the_same_seed_gives_the_same_models_and_another_seed_others(data):
    one, same, other = (image_runs.train(data, torch.ones(1, 10), seed, TRAINING, [data]).logits[0] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def test_a_task_without_weight_moves_nothing(data):
    """A single-task model does not depend on the other tasks' labels."""
    weights = torch.eye(10)[:1]
    changed = image_runs.Images(data.images, torch.cat([data.labels[:1], 1 - data.labels[1:]]), data.positive)
    logits = [image_runs.train(each, weights, 1, TRAINING, [data]).logits[0][0, 0] for each in (data, changed)]
    assert torch.equal(*logits)


def test_maps_of_single_task_models_are_each_model_s_on_its_own_task(data):
    """All of them at once give what each training alone gives in its own row."""
    maps = image_runs.train(data, torch.eye(10), 1, TRAINING, record=True).maps
    assert maps[-1].mean.shape == (10, 150)
    assert maps[0].count.tolist() == [2] * 150  # the first of two even snapshots of three epochs
    assert maps[-1].count.tolist() == [3] * 150
    first = image_runs.train(data, torch.eye(10)[:1], 1, TRAINING, record=True).maps
    assert torch.allclose(maps[-1].mean[0].float(), first[-1].mean[0].float(), atol=2e-3)


def test_f1_is_one_for_the_truth_and_zero_for_its_opposite(data):
    assert (image_runs.f1(data.labels, data.labels) == 1).all()
    assert (image_runs.f1(1 - data.labels, data.labels) == 0).all()


def test_distances_are_those_of_the_snapshots_themselves():
    recorded = DataMap(4, 30)
    for step in range(3):
        logits = torch.randn(30, 4, generator=generator(step))
        recorded.update(true_label_probability(logits, torch.ones_like(logits)), torch.arange(30))
    maps = [recorded.snapshot(), recorded.snapshot()]
    flat = torch.cat([torch.cat([s.mean, s.std], 1) for s in maps], 1).double()
    assert torch.allclose(fig4_groups.distances(maps), torch.cdist(flat, flat), atol=1e-6)


def test_what_is_written_as_text_comes_back(few_digits, digits):
    rows = pd.DataFrame(fig4_groups.data_maps("G1", "multi-task", 1, **few_digits, votes=(2,), shown={"task": "3", "points": 20}))
    (maps,) = task_groups.task_maps(rows.assign(group="G1", of="multi-task", seed=1), "G1")
    assert list(maps.rows.task) == list(digits.tasks)
    apart = task_groups.matrix(list(maps.rows["apart"]))
    assert torch.allclose(torch.cdist(maps.points, maps.points), apart, rtol=1e-4, atol=1e-4)
    assert torch.allclose(task_groups.matrix(list(maps.rows["votes 2"])).sum(1), torch.ones(10, dtype=torch.float64), atol=1e-5)
    assert (rows.kind == "point").sum() == 20
    assert set(rows.task[rows.kind == "point"]) == {"3"}


def test_grouped_training_compares_the_same_number_of_models(few_digits):
    """Train and test images are the same here, so that the scores must be as well."""
    rows = fig7_f1.grouped_f1("G1", 2, 2.0, 1, **few_digits)
    assert {(row["method"], row["average"]) for row in rows} == {("multi-task", "logits"), ("single-task", "logits")} | {
        (method, average) for method in ("grouped", "random groups", "no groups") for average in ("logits", "probabilities")
    }
    assert all(0 <= row["train"] <= 1 and row["train"] == row["test"] for row in rows)


def _two_families(seed):
    """Rows of ten tasks in two families whose data maps are near within and far between."""
    offset = torch.tensor([[0.0]] * 5 + [[9.0]] * 5, dtype=torch.float64)
    x = torch.cat([offset, torch.randn(10, 5, generator=generator(seed), dtype=torch.float64)], 1)
    apart = torch.cdist(x, x)
    return pd.DataFrame(
        {"kind": "task", "task": [f"t{i}" for i in range(10)], "family": ["a"] * 5 + ["b"] * 5, "group": "G1", "of": "multi-task",
         "seed": seed, "apart": [fig4_groups.as_text(row) for row in apart], "votes 2": ["1 0"] * 5 + ["0 1"] * 5}
    )  # fmt: skip


def test_planted_families_are_found_and_counted():
    rows = pd.concat([_two_families(0), _two_families(1)])
    table = task_groups.two_clusters(rows, ("t0", "t1"))
    assert (table["families"] == 1).all()
    assert (table["misplaced"] == 0).all()
    assert (table["point-based"] == 1).all()
    assert table["with the seed before"].dropna().tolist() == [1]
    assert np.allclose(task_groups.family_table(rows, "G1", 2), 1)
    # Of all 45 pairs 20 are together; across the families none is.
    assert np.allclose(task_groups.across(rows, "G1", 2, "a", "b"), (0 - 20 / 45) / (1 - 20 / 45))
    assert task_groups.against_families(rows, "G1", (2,), 99)["p"].max() <= 0.05


def test_pairs_together_average_to_chance():
    """Over random sets of tasks the corrected share is 0 on average, and it is 1 exactly for a cluster's own tasks."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 40)
    shares = [task_groups.together(labels, rng.choice(40, 5, replace=False)) for _ in range(4000)]
    assert abs(np.mean(shares)) < 3 * np.std(shares) / np.sqrt(4000)
    assert task_groups.together(labels, np.flatnonzero(labels == 1)) == 1


def test_memberships_soften_as_fuzziness_grows():
    table = task_groups.softness(_two_families(0), ["G1"], [2], (3.0, 2.0, 1.1))
    assert table.loc["G1", 2]["entropy"].sort_index().is_monotonic_increasing
    points = next(task_groups.task_maps(_two_families(0), "G1")).points
    assert float(grouping.soft(points, 2, 0, 1.01).memberships.max(1).values.min()) > 0.999
