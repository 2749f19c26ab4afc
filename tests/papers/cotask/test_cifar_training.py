"""CO-TASK's trainings: budget rules, the pace of weightings, batch statistics, and trainings that are kept."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtlrepro import paths
from mtlrepro.errors import BadValue
from mtlrepro.methods import registry
from mtlrepro.methods.cotask import combine_tasks
from mtlrepro.papers.cotask.data.cifar_mtl import digits_mtl
from mtlrepro.papers.cotask.training import cifar_training
from mtlrepro.papers.cotask.training.cifar_training import CifarTraining, Paced, PreparedImages
from mtlrepro.training.augmentation import image_data

HOW = CifarTraining(epochs=3, widths=(8, 8, 16), side=8, batch=32)


@pytest.fixture(scope="module")
def digits():
    data = digits_mtl(3)
    return PreparedImages(image_data(data.images), data.tasks, data.sha256, data.tier)


@pytest.fixture(scope="module")
def trained(digits):
    arms = {"multi": (0, "equal"), "equal": (1, "equal"), "paper": (1, "paper"), "as long": (1, "as long")}
    return {name: cifar_training.train(digits, HOW, 3, count, rule) for name, (count, rule) in arms.items()}


def test_budget_rules_take_the_images_that_they_say(digits, trained):
    """Equal: as many as without auxiliary tasks. By the paper: the auxiliary tasks' on top. As long: that many, all major."""
    major = HOW.epochs * HOW.batch * int(cifar_training.full_batches(digits.tasks, HOW.batch).sum())
    added = HOW.epochs * HOW.batch * int(cifar_training.full_batches(combine_tasks(digits.tasks, 1, 3), HOW.batch).sum())
    assert trained["multi"].images == trained["equal"].images == trained["multi"].major_images == major
    assert trained["paper"].images == trained["as long"].images == trained["as long"].major_images == major + added
    assert trained["equal"].major_images < trained["paper"].major_images == major


def test_networks_learn_and_only_the_major_tasks_are_tested(digits, trained):
    """Law: one accuracy a major task, whatever was added; digits are told apart far above chance by either statistics."""
    for each in trained.values():
        for statistics in ("running", "own", "mixed"):
            accuracy = cifar_training.accuracy_by_task(each, digits, digits.tasks, statistics)
            assert len(accuracy) == len(digits.tasks)
            assert np.mean(accuracy) > 0.4, statistics


def test_multi_task_training_as_long_has_no_head_of_an_auxiliary_task(trained):
    assert len(trained["as long"].model.heads.weight) == len(trained["multi"].model.heads.weight) == 2
    assert len(trained["paper"].model.heads.weight) == 3


@pytest.mark.parametrize(("variant", "rule"), [("mixed batches", "paper"), ("group norm", "equal")])
def test_variants_train(digits, variant, rule):
    """Laws: without batch statistics it does not matter which are taken; mixed batches are of all images."""
    arm = cifar_training.train(digits, replace(HOW, epochs=6), 3, 1, rule, variant=variant)
    own, running = (cifar_training.accuracy_by_task(arm, digits, digits.tasks, s) for s in ("own", "running"))
    assert np.mean(running) > 0.3
    assert (own == running) == (variant == "group norm")


@pytest.mark.parametrize("baseline", ["dwa", "dtp", "trl"])
def test_baselines_train(digits, baseline):
    """Law: the two weightings move the tasks' weights at least once in their schedule, another network does not."""
    arm = cifar_training.train(digits, replace(HOW, epochs=4), 3, 1, "paper", baseline)
    assert (arm.moved > 0.5) == (arm.spread > 1.001) == (baseline != "trl")


def test_unknown_baselines_are_refused(digits):
    with pytest.raises(BadValue, match="baseline"):
        cifar_training.train(digits, HOW, 1, baseline="gradnorm")


@pytest.mark.parametrize(("epochs", "due"), [(400, list(range(20, 400, 5))), (40, list(range(2, 40))), (12, list(range(1, 12)))])
def test_weightings_learn_of_the_epochs_at_the_published_pace(epochs, due):
    """Law: of every fifth epoch of 400 after the first twenty, and in proportion of shorter trainings, at most once an epoch."""
    inner = registry.build("equal")
    seen: list[float] = []
    inner.end_epoch = lambda losses, validation: seen.append(float(losses))  # type: ignore[method-assign]
    paced = Paced(inner, epochs)
    for epoch in range(epochs):
        paced.end_epoch(torch.tensor(float(epoch)), None)
    assert seen == due
    assert paced.changes == sum(epoch < epochs - 1 for epoch in due)
    assert Paced(registry.build("dwa"), epochs).changes == paced.changes - 1


def test_an_arm_goes_on_from_what_was_kept_and_another_one_does_not(monkeypatch, digits):
    """Law: the same setting trains once, with the same network; single-task learning keeps one network a task."""
    monkeypatch.setattr(cifar_training, "prepared_images", lambda *_: digits)
    setting = {"baseline": "multi", "auxiliary": 0, "rule": "equal", "noise": 0.0, "variant": "standard", "seed": 3}
    setting |= {"training": asdict(replace(HOW, epochs=1))}
    _, (first,) = cifar_training.trained_arm(method="multi", **setting)
    files = set((paths.runs() / "cotask" / "trainings").iterdir())
    _, (again,) = cifar_training.trained_arm(method="multi", **setting)
    assert set((paths.runs() / "cotask" / "trainings").iterdir()) == files
    assert all(
        torch.equal(a, b) for a, b in zip(first.model.state_dict().values(), again.model.state_dict().values(), strict=True)
    )
    _, single = cifar_training.trained_arm(method="single", **setting)
    assert len(single) == 2
    assert len(set((paths.runs() / "cotask" / "trainings").iterdir())) == len(files) + 2


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.data())
def test_dealt_batches_sum_to_the_budget_and_are_proportional(counts, data):
    """Every task has its share rounded up or down; the sum is the budget; a task without any is refused."""
    counts_array = np.array(counts)
    total = data.draw(st.integers(1, 3 * sum(counts)))
    shares = counts_array * total / counts_array.sum()
    try:
        dealt = cifar_training.deal_batches(counts_array, total)
    except BadValue:
        assert shares.min() < 1
    else:
        assert dealt.sum() == total
        assert (np.abs(dealt - shares) < 1 + 1e-9).all()
