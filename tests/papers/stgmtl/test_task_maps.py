"""STG-MTL's trainings on images and what the pages compute from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from mtlrepro.device import generator
from mtlrepro.errors import DataMissing
from mtlrepro.methods import task_grouping as grouping
from mtlrepro.methods.data_maps import DataMap, true_label_probability
from mtlrepro.papers.stgmtl import fig4_groups, fig7_f1, fig7_f1_report, task_groups
from mtlrepro.papers.stgmtl.training import image_runs

RECIPE = image_runs.Recipe(epochs=8, widths=(4, 6), side=8, batch=50)
LIMITS = {"train": 150, "test": 60}


@pytest.fixture(autouse=True)
def only_digits(monkeypatch):
    """No CIFAR at hand: digits stand in for it."""

    def missing(*_):
        raise DataMissing("no CIFAR here")

    monkeypatch.setattr(image_runs, "cifar_tasks", missing)
    image_runs.task_set.cache_clear()
    yield
    image_runs.task_set.cache_clear()


@pytest.fixture
def images():
    return image_runs.prepared("G1", 1, LIMITS, RECIPE)


@pytest.fixture
def setting(monkeypatch, tmp_path):
    """Arguments of a run on few digits; its checkpoints lie in a folder of the test."""
    monkeypatch.setenv("MTLREPRO_RUNS", str(tmp_path))
    training = {"epochs": 8, "widths": [4, 6], "side": 8, "device": "cpu", "batch": 50}
    return {"seed": 1, "limits": LIMITS, "training": training}


def _logits(model):
    return model.curves[RECIPE.epochs]["test"]


def test_seeds_share_their_first_images_and_draw_the_others_with_equal_shares(images):
    other = image_runs.prepared("G1", 2, LIMITS, RECIPE)
    assert (images.labels["train"][:75] == other.labels["train"][:75]).all()
    assert (images.labels["train"][75:] != other.labels["train"][75:]).any()
    assert images.labels["train"].sum(0).min() >= 13  # 15 images of each digit, give or take what does not divide
    assert (images.labels["test"] == other.labels["test"]).all()


def test_random_answers_are_each_seed_s_own():
    sets = [image_runs.prepared("G2", seed, LIMITS, RECIPE) for seed in (1, 2)]
    column = sets[0].tasks.index("random")
    assert (sets[0].labels["test"][:, column] != sets[1].labels["test"][:, column]).any()
    assert (sets[0].labels["test"][:, :column] == sets[1].labels["test"][:, :column]).all()


def test_the_same_seed_gives_the_same_model_and_another_number_another(images):
    ones = torch.ones(10)
    one, same = (_logits(image_runs.train(images, ones, 1, RECIPE)) for _ in range(2))
    other = _logits(image_runs.train(images, ones, 1, RECIPE, number=1))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def test_a_task_without_weight_moves_nothing(images):
    """A single-task model does not depend on the other tasks' labels."""
    answers = images.labels["train"].copy()
    answers[:, 1:] = 1 - answers[:, 1:]
    changed = replace(images, labels=images.labels | {"train": answers})
    own = torch.eye(10)[0]
    logits = [_logits(image_runs.train(each, own, 1, RECIPE))[0] for each in (images, changed)]
    assert torch.equal(*logits)


def test_the_copied_task_moves_nothing_and_has_a_head_of_its_own(images):
    """With a copy or without, the shared features and all heads are the same; the copy's data map is not its original's."""
    plain = image_runs.train(images, torch.ones(10), 1, RECIPE)
    copied = image_runs.train(images, torch.ones(10), 1, RECIPE, record=True)
    assert torch.allclose(_logits(plain), _logits(copied), atol=1e-5)
    last = copied.maps[RECIPE.epochs]
    assert last.mean.shape == (11, 150)
    assert last.count.tolist() == [8] * 150
    assert not torch.equal(last.mean[image_runs.COPIED], last.mean[-1])


def test_the_first_half_of_a_training_is_a_training_of_half_the_epochs(images):
    """The rate is constant: so one training tells what half of its epochs would have given."""
    whole = image_runs.train(images, torch.ones(10), 1, RECIPE, record=True)
    half = image_runs.train(images, torch.ones(10), 1, replace(RECIPE, epochs=4), record=True)
    assert RECIPE.quarters(half=True) == replace(RECIPE, epochs=4).quarters() == [1, 2, 3, 4]
    for epoch in (1, 2, 3, 4):
        assert torch.equal(whole.maps[epoch].mean, half.maps[epoch].mean)
        assert torch.equal(whole.curves[epoch]["test"], half.curves[epoch]["test"])


def test_f1_is_one_for_the_truth_and_zero_for_its_opposite(images):
    labels = images.labels["train"]
    truth = torch.from_numpy(labels.T.astype(np.float32)) - 0.5
    assert (image_runs.f1(truth, labels) == 1).all()
    assert (image_runs.f1(-truth, labels) == 0).all()


def test_distances_are_those_of_the_snapshots_themselves():
    recorded = DataMap(4, 30)
    for step in range(3):
        logits = torch.randn(30, 4, generator=generator(step))
        recorded.update(true_label_probability(logits, torch.ones_like(logits)), torch.arange(30))
    maps = [recorded.snapshot(), recorded.snapshot()]
    flat = torch.cat([torch.cat([s.mean, s.std], 1) for s in maps], 1).double()
    assert torch.allclose(fig4_groups.distances(maps), torch.cdist(flat, flat), atol=1e-6)


@pytest.mark.parametrize("of", ["multi-task", "single-task"])
def test_what_is_written_as_text_comes_back(setting, of):
    rows = pd.DataFrame(fig4_groups.data_maps("G1", of, details=True, **setting)).assign(group="G1", of=of, seed=1)
    (maps,), (with_copy,) = task_groups.task_maps(rows, "G1", of), task_groups.copied_maps(rows, "G1", of)
    apart = task_groups.matrix(list(rows["apart"].dropna()))
    assert torch.allclose(torch.cdist(maps.points, maps.points), apart[:10, :10], rtol=1e-3, atol=1e-3)
    assert torch.allclose(torch.cdist(with_copy.points, with_copy.points), apart, rtol=1e-3, atol=1e-3)
    assert with_copy.tasks[-1] == maps.tasks[image_runs.COPIED]
    assert torch.allclose(task_groups.matrix(list(maps.rows["votes"])).sum(1), torch.ones(10, dtype=torch.float64), atol=1e-4)
    assert [len(text.split()) for text in maps.rows["map"]] == [2 * 150] * 10
    assert rows["epoch"].dropna().tolist() == [1, 2, 3, 4, 6, 8]


def test_grouped_training_compares_models_of_equal_number_and_training(setting):
    rows = pd.DataFrame(fig7_f1.grouped_f1("G1", [2, 3], 4, 2, [2.0], **setting))
    case = {"clusters": {"G1": [2, 3]}, "single_tasks": {"G1": 4}, "deals": {"G1": 2}, "fuzziness": [2.0]}
    other = rows.method.isin(("same tasks", "linear")) | ((rows.method == "no groups") & (rows.k < 3))
    counted = rows[(rows.epochs == 8) & (rows.average == "logits") & ~other].trainings.sum()
    assert counted == fig7_f1_report.trainings(case, "G1")
    last = rows[(rows.epochs == 8) & (rows.average == "logits")].set_index(["method", "k"]).trainings
    for k in (2, 3):
        assert last.xs(k, level="k").tolist() == [k] * 4
    assert last["single-task"].tolist() == [4]
    assert set(rows.epochs) == {1, 2, 3, 4, 6, 8}
    dealt = rows[(rows.method == "random groups") & (rows.k == 3) & (rows.epochs == 8)].groupby("deal")["test"].first()
    assert dealt.nunique() == 2
    assert rows[rows.method == "grouped"].entropy.between(0, 1).all()
    assert rows[["train", "test", "train precision", "test precision"]].stack().between(0, 1).all()


def _two_families(seed):
    """Rows of ten tasks in two families whose data maps are near within and far between."""
    offset = torch.tensor([[0.0]] * 5 + [[9.0]] * 5, dtype=torch.float64)
    x = torch.cat([offset, torch.randn(10, 5, generator=generator(seed), dtype=torch.float64)], 1)
    apart = torch.cdist(x, x)
    return pd.DataFrame(
        {"kind": "task", "task": [f"t{i}" for i in range(10)], "family": ["a"] * 5 + ["b"] * 5, "group": "G1", "of": "multi-task",
         "seed": seed, "apart": [fig4_groups.as_text(row) for row in apart], "votes": ["1 0"] * 5 + ["0 1"] * 5}
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
    for maps in task_groups.task_maps(rows, "G1"):
        assert np.isclose(task_groups.across(maps, 2, "a", "b"), (0 - 20 / 45) / (1 - 20 / 45))
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
