"""Laws of evaluation under running, own and mixed batch statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mtlrepro.data.tasks import Records, Task
from mtlrepro.device import generator, seeded
from mtlrepro.errors import BadValue
from mtlrepro.models.resnet import CifarResNet, group_norm, shared_bottom
from mtlrepro.training.augmentation import augmented, image_data
from mtlrepro.training.batch_statistics import batch_norms, evaluating, statistics_of
from mtlrepro.training.image_evaluation import accuracies, task_logits


@pytest.fixture(scope="module")
def problem():
    """Two tasks whose images differ in brightness, 40 training and 30 test images each."""
    dark = torch.randint(0, 100, (70, 8, 8, 1), generator=generator(0), dtype=torch.uint8)
    images = torch.cat([dark, dark + 120])
    tasks = []
    for task in (0, 1):
        rows = np.arange(70 * task, 70 * task + 70)
        parts = {"train": Records(rows[:40], rows[:40] % 5), "test": Records(rows[40:], rows[40:] % 5)}
        tasks.append(Task(name=str(task), classes=tuple("abcde"), parts=parts))
    return image_data(images), tasks


def network(norm=nn.BatchNorm2d):
    with seeded(0, "network"):
        return shared_bottom(CifarResNet((1, 1), (8, 16), 1, norm), [5, 5])


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_own_statistics_are_those_of_the_tasks_training_images(problem):
    """Law: equal to normalising by one batch of exactly the training images, but for the unbiased variance."""
    data, tasks = problem
    model = network()
    found = task_logits(model, data, tasks, "train", statistics="own", precision="float32")
    for task in (0, 1):
        model.train()
        batch = augmented(data, torch.from_numpy(tasks[task].parts["train"].rows))
        torch.testing.assert_close(found[task], model(batch, task), rtol=0, atol=0.05)
    running = task_logits(network(), data, tasks, "train", precision="float32")
    assert (running[0] - found[0]).abs().max() > 0.3


def test_mixed_statistics_are_those_of_all_tasks_images_together(problem):
    data, tasks = problem
    model = network()
    rows = torch.from_numpy(np.concatenate([task.parts["train"].rows for task in tasks]))
    of = torch.arange(2).repeat_interleave(40)
    found = torch.cat(task_logits(model, data, tasks, "train", statistics="mixed", precision="float32"))
    model.train()
    torch.testing.assert_close(found, model(augmented(data, rows), of), rtol=0, atol=0.05)


@pytest.mark.parametrize("statistics", ["running", "own", "mixed"])
@pytest.mark.parametrize("training", [True, False])
def test_an_evaluation_leaves_the_model_as_it_was(problem, statistics, training):
    data, tasks = problem
    model = network()
    model.bottom.bn1.momentum = 0.3
    with torch.no_grad():
        model.train()(augmented(data, torch.arange(50)), 0)
    model.train(training)
    before = state(model)
    accuracies(model, data, tasks, statistics=statistics)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.bottom.bn1.momentum == 0.3
    assert all(m.training == training for m in model.modules())


def test_statistics_come_back_after_an_error(problem):
    model = network()
    before = state(model)

    def fails() -> None:
        model.bottom.bn1.running_mean += 1
        raise RuntimeError

    with pytest.raises(RuntimeError), statistics_of(model, fails):
        pass
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training


def test_group_normalisation_needs_no_statistics(problem):
    """Law: own, mixed and running answers are the same, an image's answer does not depend on the others', nothing is kept."""
    data, tasks = problem
    model = network(group_norm)
    assert not batch_norms(model)
    found = [task_logits(model, data, tasks, statistics=s, precision="float32") for s in ("running", "own", "mixed")]
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
    with evaluating(model), torch.no_grad():
        alone = model(augmented(data, torch.tensor([40])), 0)
    torch.testing.assert_close(alone[0], found[0][0][0])


def test_accuracy_is_the_share_of_right_answers(problem):
    data, tasks = problem
    model = network()
    with torch.no_grad():
        model.heads.weight.zero_()
        model.heads.bias[:, 2] = 100.0
    assert accuracies(model, data, tasks).tolist() == pytest.approx([0.2, 0.2])
    with pytest.raises(BadValue):
        accuracies(model, data, tasks, statistics="batch")
