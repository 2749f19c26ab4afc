"""Laws of the task-aware sampler: weights from class counts, and drawn frequencies that follow them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mtlrepro.device import generator
from mtlrepro.errors import BadValue
from mtlrepro.methods.task_aware_sampler import TaskAwareSampler, balanced, every_record, task_aware_weights

ALPHA = 1e-3


def _labels(*counts: int) -> torch.Tensor:
    return torch.cat([torch.full((count,), c) for c, count in enumerate(counts)])


@settings(max_examples=20)
@given(st.lists(st.integers(1, 150), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_a_class_weighs_the_logarithm_of_its_count(counts, random):
    """Laws: w = log(x) / x; a class in total log x, log 2 for one record; the order of records does not matter."""
    order = torch.tensor(random.sample(range(sum(counts)), sum(counts)))
    labels = _labels(*counts)[order]
    weights = task_aware_weights(labels)
    for c, count in enumerate(counts):
        own = weights[labels == c]
        torch.testing.assert_close(own, torch.full((count,), math.log(max(count, 2)) / count, dtype=torch.float64))
        assert float(own.sum()) == pytest.approx(math.log(max(count, 2)))
    torch.testing.assert_close(task_aware_weights(_labels(*counts))[order], weights, rtol=0, atol=0)


def test_a_class_of_one_record_is_drawn_like_a_class_of_two():
    """Law: as printed (log 1 = 0) it would never be drawn; here it has the share of a class of two, and is drawn."""
    one, two = (task_aware_weights(_labels(100, few)) for few in (1, 2))
    assert float(one[100]) == pytest.approx(float(two[100:].sum())) == math.log(2)
    sampler = TaskAwareSampler([_labels(100, 1)], 1000, generator(0))
    drawn = int((sampler.draw(torch.zeros(20, dtype=torch.long))[0] == 100).sum())
    share = math.log(2) / math.log(200)
    assert stats.binomtest(drawn, 20_000, share).pvalue > ALPHA
    assert task_aware_weights(torch.arange(5)).tolist() == [math.log(2)] * 5


def _expected(weights: torch.Tensor, draws: int) -> np.ndarray:
    return (weights / weights.sum() * draws).numpy()


@pytest.mark.parametrize("counts", [(3, 40), (1, 7, 80), (30, 30, 30, 30), (60,)])
@pytest.mark.parametrize("weight", [None, balanced, every_record], ids=["log", "balanced", "every record"])
def test_records_are_drawn_in_proportion_to_their_weights(counts, weight):
    """Law: chi-square over all records and over classes, 200,000 draws, p > 0.001; also torch.multinomial's on one seed."""
    labels = _labels(*counts)[torch.randperm(sum(counts), generator=generator(3))]
    chosen = {} if weight is None else {"weight": weight}
    weights = task_aware_weights(labels, **chosen)
    sampler = TaskAwareSampler([labels], 500, generator(1, str(counts)), **chosen)
    drawn = sampler.draw(torch.zeros(400, dtype=torch.long))[0].flatten()
    usual = torch.multinomial(weights, len(drawn), replacement=True, generator=generator(2))
    for rows in (drawn, usual):
        actual = torch.bincount(rows, minlength=len(labels)).numpy()
        assert stats.chisquare(actual, _expected(weights, len(rows))).pvalue > ALPHA
    if len(counts) > 1:
        actual = torch.bincount(labels[drawn]).numpy()
        totals = torch.stack([weights[labels == c].sum() for c in range(len(counts))])
        assert stats.chisquare(actual, _expected(totals, len(drawn))).pvalue > ALPHA


def test_tasks_are_picked_by_their_weights_and_draw_their_own_records():
    """Laws: chi-square of the tasks; a batch holds labelled records of its one task only, also where classes differ in number."""
    labels = [_labels(5, 50), _labels(9, 9, 9), torch.tensor([0, -1, 1, -1, 1])]
    rows = [100 + torch.arange(55), 300 + torch.arange(27), torch.tensor([0, 1, 2, 3, 4])]
    sampler = TaskAwareSampler(labels, 16, generator(0), rows=rows, task_weights=[5, 1, 2])
    tasks = sampler.tasks(8000)
    assert stats.chisquare(torch.bincount(tasks).numpy(), [5000, 1000, 2000]).pvalue > ALPHA
    for task, drawn, classes in sampler.batches(300, at_once=64):
        assert drawn.shape == classes.shape == (16,)
        known = dict(zip(rows[task].tolist(), labels[task].tolist(), strict=True))
        assert [known[row] for row in drawn.tolist()] == classes.tolist()
        assert int(classes.min()) >= 0
    both = dict.fromkeys(range(3), torch.tensor([], dtype=torch.long))
    for task, drawn, _ in sampler.batches(600):
        both[task] = torch.cat([both[task], drawn]).unique()
    assert [len(both[task]) for task in range(3)] == [55, 27, 3]


def test_tasks_on_the_same_records_have_their_own_imbalance():
    """Law: with labels (n, tasks) each task's classes are drawn by that task's counts (chi-square)."""
    labels = torch.stack([(torch.arange(1000) < few).long() for few in (5, 200)], 1)
    sampler = TaskAwareSampler(labels, 500, generator(4))
    for task, few in enumerate((5, 200)):
        drawn, _ = sampler.draw(torch.full((40,), task))
        share = math.log(few) / (math.log(few) + math.log(1000 - few))
        assert stats.binomtest(int(labels[drawn, task].sum()), 20_000, share).pvalue > ALPHA


def test_same_generator_same_batches_and_nothing_read_on_the_host(no_host_reads):
    """Laws: equal seeds draw equal batches; drawing reads no tensor's value on the host."""
    labels = torch.stack([_labels(7, 93), _labels(50, 50)], 1)
    one, other = (list(TaskAwareSampler(labels, 8, generator(5)).batches(50, at_once=16)) for _ in range(2))
    assert [task for task, _, _ in one] == [task for task, _, _ in other]
    assert all(torch.equal(a, b) for (_, a, _), (_, b, _) in zip(one, other, strict=True))
    sampler, tasks = TaskAwareSampler(labels, 8, generator(5)), torch.tensor([0, 1, 1])
    with no_host_reads():
        sampler.draw(tasks)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: TaskAwareSampler([], 8, generator(0)), "at least one task"),
        (lambda: TaskAwareSampler([_labels(2, 2)], 0, generator(0)), "at least one record"),
        (lambda: TaskAwareSampler([_labels(2, 2)], 8, generator(0), task_weights=[1, 2]), "1 tasks, but"),
        (lambda: TaskAwareSampler([_labels(2, 2)], 8, generator(0), task_weights=[-1]), "task weights must be"),
        (lambda: TaskAwareSampler([_labels(2, 2)], 8, generator(0), rows=[torch.arange(3)]), "4 labels, but 3 rows"),
        (lambda: TaskAwareSampler([-_labels(0, 4)], 8, generator(0)), "task 0 has no labelled record"),
        (lambda: TaskAwareSampler([_labels(1, 1)], 8, generator(0), weight=lambda x: x.log() / x), "not all 0"),
        (lambda: task_aware_weights(torch.ones(3)), "whole numbers"),
        (lambda: task_aware_weights(torch.zeros(3, 2, dtype=torch.long)), "whole numbers"),
    ],
)
def test_errors_say_what_is_wrong(call, match):
    with pytest.raises(BadValue, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.gpu
def test_draws_on_the_device_that_holds_the_labels():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    labels = _labels(10, 90).cuda()
    sampler = TaskAwareSampler([labels], 1000, generator(0, device="cuda"))
    drawn, classes = sampler.draw(sampler.tasks(20))
    assert drawn.is_cuda
    assert torch.equal(labels[drawn], classes)
    actual = torch.bincount(drawn.flatten(), minlength=100).cpu().numpy()
    assert stats.chisquare(actual, _expected(task_aware_weights(labels).cpu(), 20_000)).pvalue > ALPHA
