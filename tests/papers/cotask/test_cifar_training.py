"""CO-TASK's trainings: budget rules, augmentation and own batch statistics."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtlrepro.device import generator
from mtlrepro.errors import BadValue
from mtlrepro.methods.cotask import combine_tasks
from mtlrepro.papers.cotask.data.cifar_mtl import digits_mtl
from mtlrepro.papers.cotask.training import cifar_training
from mtlrepro.papers.cotask.training.cifar_training import CifarTraining, PreparedImages

HOW = CifarTraining(epochs=2, widths=(4, 6, 8), side=8, batch=32)


@pytest.fixture(scope="module")
def digits():
    data = digits_mtl(3)
    images = torch.tensor(data.images).permute(0, 3, 1, 2).float() / 8 - 1
    return PreparedImages(images, data.tasks, data.sha256, data.tier)


@pytest.fixture(scope="module")
def trained(digits):
    arms = {"multi": (0, "equal"), "equal": (1, "equal"), "paper": (1, "paper"), "as long": (1, "as long")}
    return {name: cifar_training.train(digits, count, rule, 3, HOW) for name, (count, rule) in arms.items()}


def test_budget_rules_take_the_steps_that_they_say(digits, trained):
    """Equal: as many steps as without auxiliary tasks. By the paper: the auxiliary tasks' on top. As long: that many."""
    major = sum(len(task.parts["train"].rows) // HOW.batch for task in digits.tasks)
    (auxiliary,) = combine_tasks(digits.tasks, 1, 3)
    more = len(auxiliary.parts["train"].rows) // HOW.batch
    assert trained["multi"].steps == trained["equal"].steps == HOW.epochs * major
    assert trained["paper"].steps == trained["as long"].steps == HOW.epochs * (major + more)


def test_trainings_test_the_major_tasks_alone(digits, trained):
    """One accuracy a major task, whatever was added."""
    for each in trained.values():
        assert each.accuracy.shape == (len(digits.tasks),)
        assert ((each.accuracy >= 0) & (each.accuracy <= 1)).all()


def test_the_same_seed_gives_the_same_training(digits, trained):
    """Everything that is drawn comes from the seed."""
    assert torch.equal(cifar_training.train(digits, 1, "equal", 3, HOW).accuracy, trained["equal"].accuracy)


def test_unknown_baselines_are_refused(digits):
    with pytest.raises(BadValue, match="baseline"):
        cifar_training.train(digits, 0, "equal", 1, HOW, "gradnorm")


def test_multi_task_training_as_long_has_no_head_of_an_auxiliary_task(trained):
    assert len(trained["as long"].model.heads.weight) == len(trained["multi"].model.heads.weight) == 2
    assert len(trained["paper"].model.heads.weight) == 3


def test_with_its_own_statistics_a_task_is_tested_as_in_a_training_pass(digits, trained):
    """Law: with the training images' statistics, the training images get in eval mode what a training pass gives them."""
    model, task = copy.deepcopy(trained["multi"].model), digits.tasks[1]
    accuracy = cifar_training.accuracy_with_own_statistics(model, digits, task, 1)
    images, _ = cifar_training.records_of(digits, task, "train")
    with torch.no_grad():
        tested, passed = model.eval()(images, 1), model.train()(images, 1)
    # The running variance is unbiased, that of a pass is not: they differ by 1 / n of each channel's places.
    torch.testing.assert_close(tested, passed, rtol=0, atol=2e-3)
    assert 0 < accuracy <= 1


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.data())
def test_dealt_batches_sum_to_the_budget_and_are_proportional(counts, data):
    """Every task has its share rounded up or down; the sum is the budget; a task without any is refused."""
    counts_array = np.array(counts)
    total = data.draw(st.integers(1, sum(counts)))
    shares = counts_array * total / counts_array.sum()
    try:
        dealt = cifar_training.deal_batches(counts_array, total)
    except BadValue:
        assert shares.min() < 1
    else:
        assert dealt.sum() == total
        assert (np.abs(dealt - shares) < 1 + 1e-9).all()


def test_augmented_images_are_crops_and_flips_of_the_padded_ones():
    """Each is found among all crops of its padded image, as it is or mirrored; not all are the image itself."""
    images = torch.rand(20, 2, 8, 8, generator=generator(1, "images"))
    made = cifar_training.augmented(images, generator(1, "draw"))
    wide = torch.nn.functional.pad(images, (1, 1, 1, 1))
    crops = [wide[:, :, i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
    found = torch.stack([(made == each).flatten(1).all(1) for crop in crops for each in (crop, crop.flip(-1))])
    assert found.any(0).all()
    assert not (made == images).flatten(1).all(1).all()
