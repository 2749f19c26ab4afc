"""Proposition 6: the corrected bound and its proof, where it is exact, and that the printed one fails."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mtlrepro.papers.transfer.theory import optimum, prop5_equal_covariances, prop6_bound
from mtlrepro.papers.transfer.theory.regression_tasks import best_loss

seeds = st.integers(0, 2**31)
cases = st.sampled_from(prop6_bound.CASES)
sizes = {"d": st.integers(2, 6), "k": st.integers(2, 5)}


@given(case=cases, seed=seeds, greedy=st.booleans(), **sizes)
@settings(max_examples=40)
def test_what_the_directions_explain(case, seed, greedy, d, k):
    """Law: for maximisers and any other W, the first r explain λ_1 + .. + λ_r, and all d what the own models do."""
    rng = np.random.default_rng(seed)
    tasks = prop6_bound.tasks_of_case(case, d, k, rng)
    steps = prop6_bound.orthogonalise(tasks, rng, greedy)
    assert steps.lambdas.sum() == pytest.approx(prop6_bound.explained_alone(tasks).sum(), rel=1e-9)
    for r in range(1, d + 1):
        left = tasks.energy - steps.lambdas[:r].sum()
        assert best_loss(tasks, steps.w[:, :r]) == pytest.approx(left, abs=1e-9 * tasks.energy)


@given(case=cases, seed=seeds, **sizes)
@settings(max_examples=25)
def test_corrected_bounds_hold_and_the_printed_one_fails(case, seed, d, k):
    """Law: OPT <= h(B*) <= OPT + tail, and <= OPT + the smallest |X_i θ_i|²; OPT - tail >= h(B*) only where the tail is 0."""
    rng = np.random.default_rng(seed)
    tasks = prop6_bound.tasks_of_case(case, d, k, rng)
    steps, rank = prop6_bound.orthogonalise(tasks, rng), int(rng.integers(1, d + 1))
    loss, exact = prop6_bound.least_loss(tasks, rank, rng, 1, steps.w[:, :rank])
    over = prop6_bound.excesses(tasks, steps.lambdas, rank, loss, exact)
    assert over["corrected"] < 1e-9
    assert over["largest"] < 1e-6  # by descent, which may stop a little short
    assert loss >= tasks.energy - prop6_bound.explained_alone(tasks).sum() - 1e-9 * tasks.energy
    assert over["printed"] >= steps.lambdas[rank:].sum() / tasks.energy - 1e-9


@given(seed=seeds, d=st.integers(2, 6))
@example(seed=5979049, d=2)  # the slopes of both terms nearly cancel where one head is 0
@settings(max_examples=25)
def test_first_direction_is_the_optimum_of_rank_one(seed, d):
    """Law: λ_1 is what the exact optimum of two tasks explains, so that the bound is an equality for r = 1."""
    rng = np.random.default_rng(seed)
    tasks = prop6_bound.tasks_of_case("two tasks", d, 2, rng)
    xs, ys = ([torch.from_numpy(np.ascontiguousarray(a)) for a in part] for part in (tasks.xs, tasks.ys))
    exact = tasks.energy - float(optimum.mtl_optimum(xs, ys, 1).loss)
    found = prop6_bound.gain(tasks.xs, tasks.ys, prop6_bound.best_direction(list(tasks.xs), list(tasks.ys), rng))
    assert found <= exact * (1 + 1e-9)
    assert found == pytest.approx(exact, rel=1e-6)


@given(seed=seeds, **sizes)
@settings(max_examples=25)
def test_for_equal_covariances_lambda_is_that_of_proposition_5(seed, d, k):
    rng = np.random.default_rng(seed)
    tasks = prop6_bound.tasks_of_case("equal covariances", d, k, rng)
    energies = np.linalg.svd(prop5_equal_covariances.whiten(tasks).z, compute_uv=False) ** 2
    steps = prop6_bound.orthogonalise(tasks, rng)
    assert np.allclose(np.cumsum(steps.lambdas)[: len(energies)], np.cumsum(energies), rtol=1e-6)


def test_smallest_counterexample():
    """Two inputs, two tasks, r = 1: the loss is 1, the printed bound -1 and the corrected one 1."""
    values = prop6_bound.smallest()
    expected = {"OPT": 0, "λ_1": 1, "λ_2": 1, "h(B*)": 1, "printed": -1, "corrected": 1}
    assert values == pytest.approx(expected, abs=1e-12)


def test_trap_is_arbitrarily_loose():
    """Law: with k tasks in the plane the bound grows like k while h(B*) stays at most 1.1."""
    for k in (4, 8):
        row = prop6_bound.try_trap(k, seed=0)
        assert row["plane"] == pytest.approx(1.1)
        assert row["corrected"] == pytest.approx(k - 1, rel=1e-2)
        assert row["largest"] == pytest.approx(k - 1)


def test_proof_lines():
    """All corrected lines hold; the printed statement and both steps of its proof fail."""
    for row in prop6_bound.try_lines(6, seed=3):
        right = row["line"].startswith(("(corrected)", "any B"))
        assert (row["worst_error"] < 1e-9) == right, row["line"]


def test_violations_are_counted(monkeypatch):
    """A λ that forgets a tenth of the gain breaks the corrected bound: its count is not constant 0."""
    right = prop6_bound.gain
    monkeypatch.setattr(prop6_bound, "gain", lambda xs, ys, w: 0.9 * right(xs, ys, w))
    row = prop6_bound.try_bound("equal covariances", 10, 0, 1e-9, 1)
    assert row["corrected_broken"] > 0
    assert row["sum_worst"] > 1e-3


def test_unknown_case():
    with pytest.raises(ValueError, match="unknown case"):
        prop6_bound.tasks_of_case("equal", 3, 2, np.random.default_rng(0))
