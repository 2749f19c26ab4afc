"""Laws of the baseline groupings: counts equal enumeration, choices equal brute force, affinities equal a second computation."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mtlrepro.device import generator
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.methods import grouping_baselines as baselines
from mtlrepro.models.shared_bottom import StackedSharedBottom
from mtlrepro.training.loop import fit
from mtlrepro.training.weighting import Batch

seeds = st.integers(0, 10_000)


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_table_1_counts_the_groups_that_are_enumerated(n):
    everything = baselines.every_group(n)
    subsets = set(chain.from_iterable(combinations(range(n), size) for size in range(1, n + 1)))
    assert set(everything) == subsets
    assert len(everything) == len(subsets) == baselines.effective_models("exhaustive", n)
    pairs = {(a, b) for a in range(n) for b in range(n) if a < b}
    assert set(baselines.pair_groups(n, singles=False)) == pairs
    assert len(pairs) == baselines.effective_models("hoa", n) == baselines.effective_models("tag", n)
    assert len(baselines.pair_groups(n)) == baselines.effective_models("hoa_singles", n)
    assert baselines.effective_models("stg", n) == 1
    assert baselines.effective_models("stg_stl", n) == n
    assert baselines.effective_models("mtgnet", n, combinations=7) == 7


def test_unknown_methods_and_missing_numbers_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'exhaustive'"):
        baselines.effective_models("exhaustiv", 3)
    for arguments in (("mtgnet", 3), ("stg", 0)):
        with pytest.raises(BadValue, match="at least one task"):
            baselines.effective_models(*arguments)


def _partitions(items):
    if not items:
        yield []
        return
    first, *rest = items
    for size in range(len(rest) + 1):
        for others in combinations(rest, size):
            left = [item for item in rest if item not in others]
            for further in _partitions(left):
                yield [(first, *others), *further]


def _random_scores(seed, n):
    groups = baselines.every_group(n)
    values = np.random.default_rng(seed).normal(size=(len(groups), n))
    return baselines.measured_scores(groups, values), dict(zip(groups, values, strict=True))


@settings(max_examples=20)
@given(seed=seeds, budget=st.integers(1, 5))
def test_the_choice_is_the_best_of_all_partitions(seed, budget):
    scores, values = _random_scores(seed, 5)
    actual = baselines.best_grouping(scores, budget)
    possible = [p for p in _partitions(list(range(5))) if len(p) <= budget]
    wanted = max(np.mean([values[g][t] for g in p for t in g]) for p in possible)
    assert actual.score == pytest.approx(wanted)
    assert sorted(chain(*actual.groups)) == list(range(5))
    assert actual.groups == actual.serves
    assert np.mean([values[g][t] for g in actual.groups for t in g]) == pytest.approx(actual.score)


@settings(max_examples=20)
@given(seed=seeds, budget=st.integers(1, 4))
def test_the_overlapping_choice_is_the_best_of_all_sets_of_groups(seed, budget):
    scores, values = _random_scores(seed, 4)
    actual = baselines.best_grouping(scores, budget, overlapping=True)
    wanted = -np.inf
    for size in range(1, budget + 1):
        for groups in combinations(values, size):
            best = [max((values[g][t] for g in groups if t in g), default=-np.inf) for t in range(4)]
            wanted = max(wanted, np.mean(best))
    assert actual.score == pytest.approx(wanted)
    assert len(actual.groups) <= budget
    assert all(set(own) <= set(group) for own, group in zip(actual.serves, actual.groups, strict=True))
    assert actual.score >= baselines.best_grouping(scores, budget).score - 1e-12


def test_exact_pairs_make_hoa_exhaustive_where_effects_add_up():
    """Where t's score in S is the mean over its partners, HOA's estimate is the truth."""
    pairs = np.random.default_rng(0).normal(size=(4, 4))
    groups = baselines.every_group(4)
    truth = [[np.mean([pairs[t, u] for u in g if u != t] or [pairs[t, t]]) for t in range(4)] for g in groups]
    np.testing.assert_allclose(baselines.pairwise_scores(pairs), baselines.measured_scores(groups, truth))


def test_affinities_group_those_that_help_each_other():
    affinity = np.full((4, 4), -0.1)
    affinity[:2, :2] = affinity[2:, 2:] = 0.2
    scores = baselines.affinity_scores(affinity)
    assert scores[0b0001, 0] == 0
    assert set(baselines.best_grouping(scores, 2).groups) == {(0, 1), (2, 3)}
    one_way = np.zeros((3, 3))
    one_way[0, 1] = 0.6  # task 0 helps task 1, and nobody else anybody
    assert baselines.affinity_scores(one_way)[0b011].tolist()[:2] == [0.0, 0.6]


def test_groups_that_cannot_serve_all_are_refused():
    scores = baselines.measured_scores([(0,), (1, 2)], np.zeros((2, 3)))
    assert set(baselines.best_grouping(scores, 2).groups) == {(0,), (1, 2)}
    with pytest.raises(BadValue, match="cannot serve"):
        baselines.best_grouping(scores, 1)
    with pytest.raises(BadValue, match="at least 1"):
        baselines.best_grouping(scores, 0)
    with pytest.raises(BadValue, match="too many"):
        baselines.pairwise_scores(np.zeros((30, 30)))


def test_random_groups_have_the_sizes_and_every_task_is_placed_equally_often():
    drawn = [baselines.random_grouping((3, 2, 1), seed) for seed in range(600)]
    assert all([len(g) for g in groups] == [3, 2, 1] and sorted(chain(*groups)) == list(range(6)) for groups in drawn)
    first = np.array([[task in groups[0] for task in range(6)] for groups in drawn]).mean(0)
    assert (abs(first - 0.5) < 0.09).all()
    assert baselines.random_grouping((3, 2, 1), 5) == baselines.random_grouping((3, 2, 1), 5)


@pytest.mark.parametrize("sizes", [[0, 2], [2, -1], []])
def test_a_random_group_has_a_task(sizes):
    with pytest.raises(BadValue, match="each group has at least one task"):
        baselines.random_grouping(sizes, 0)


def _problem(runs=2, tasks=3):
    model = StackedSharedBottom(4, 3, tasks, [generator(i) for i in range(runs)], relu=True)
    x = torch.randn(runs, 16, 4, generator=generator(9), dtype=torch.float64)
    y = torch.randn(runs, tasks, 16, generator=generator(10), dtype=torch.float64)

    def losses(call, batch):
        return (call(batch.inputs) - batch.targets).square().mean(-1)

    return model, Batch(x, y), losses


def test_affinities_are_one_minus_the_ratio_of_losses_after_a_step_of_each_task_alone():
    model, batch, losses = _problem()
    rate, start = 0.05, {name: value.clone() for name, value in model.state_dict().items()}
    affinity = torch.empty(2, 3, 3, dtype=torch.float64)
    before = losses(model, batch).detach()
    for task in range(3):
        model.load_state_dict(start)
        (gradient,) = torch.autograd.grad(losses(model, batch)[:, task].sum(), model.shared_parameters())
        with torch.no_grad():
            model.bottom.weight -= rate * gradient
            affinity[:, task] = 1 - losses(model, batch) / before
    model.load_state_dict(start)
    weighting = baselines.TagAffinity()
    fit(model, lambda _: [batch], losses, optimizer=torch.optim.SGD(model.parameters(), rate), epochs=1, weighting=weighting)
    torch.testing.assert_close(weighting.affinity, affinity)


def test_measuring_affinities_leaves_training_as_it_is_and_reads_nothing_on_the_host(no_host_reads):
    states = []
    for weighting in (None, baselines.TagAffinity(every=2)):
        model, batch, losses = _problem()
        optimizer = torch.optim.SGD(model.parameters(), 0.05)
        fit(model, lambda _, batch=batch: [batch] * 3, losses, optimizer=optimizer, epochs=2, weighting=weighting)
        states.append(model.state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value)
    assert weighting._measured == 3
    with pytest.raises(BadValue, match="no step"):
        _ = baselines.TagAffinity().affinity
    with pytest.raises(BadValue, match="every"):
        baselines.TagAffinity(0)


def test_a_batch_of_one_task_is_refused():
    model, batch, losses = _problem()
    single = Batch(batch.inputs, batch.targets, task=1)
    with pytest.raises(BadValue, match="every task"):
        fit(
            model, lambda _: [single], losses, optimizer=torch.optim.SGD(nn.ParameterList(model.parameters()), 0.1), epochs=1,
            weighting=baselines.TagAffinity(),
        )  # fmt: skip
