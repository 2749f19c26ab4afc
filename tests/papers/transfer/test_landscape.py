"""Lemma 10 and the landscape of equation 4: laws the checks rest on, and that the checks can fail."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlrepro.papers.transfer.theory import lemma10_landscape, regression_tasks
from mtlrepro.papers.transfer.theory import optimum as theory
from mtlrepro.papers.transfer.theory.rates_report import exact_intervals

SEEDS = st.integers(0, 2**31)
PROPORTIONAL = ["same inputs", "proportional covariances"]


def sized(rng: np.random.Generator) -> tuple[int, int, int]:
    d, k = int(rng.integers(2, 6)), int(rng.integers(2, 5))
    return d, k, int(rng.integers(1, min(d, k)))


@pytest.mark.parametrize("case", PROPORTIONAL)
@settings(max_examples=8)
@given(seed=SEEDS)
def test_descents_from_anywhere_reach_the_exact_optimum(case, seed):
    rng = np.random.default_rng(seed)
    d, k, r = sized(rng)
    tasks = regression_tasks.tasks_of_case(case, d, k, rng)
    end, gradient = regression_tasks.descend(tasks, rng.standard_normal((d, r)), rng.standard_normal((r, k)))
    assert gradient < 1e-7
    assert end - lemma10_landscape.reduce(tasks).optimum(r) < 1e-8 * tasks.energy


@given(seed=SEEDS)
def test_no_model_is_below_the_optimum_of_the_reduction(seed):
    rng = np.random.default_rng(seed)
    d, k, r = sized(rng)
    tasks = regression_tasks.tasks_of_case("proportional covariances", d, k, rng)
    optimum = lemma10_landscape.reduce(tasks).optimum(r)
    (_, b, heads) = next(point for point in lemma10_landscape.stationary_points(tasks, r, rng) if point[0] == tuple(range(r)))
    assert tasks.loss(b, heads) == pytest.approx(optimum, rel=1e-9, abs=1e-9 * tasks.energy)
    step = 10.0 ** rng.uniform(-4, 0)
    moved = tasks.loss(b + step * rng.standard_normal(b.shape), heads + step * rng.standard_normal(heads.shape))
    assert moved >= optimum - 1e-10 * tasks.energy


@given(seed=SEEDS)
def test_all_stationary_points_but_the_best_have_negative_curvature(seed):
    rng = np.random.default_rng(seed)
    d, k, r = sized(rng)
    tasks = regression_tasks.tasks_of_case("proportional covariances", d, k, rng)
    for chosen, b, heads in lemma10_landscape.stationary_points(tasks, r, rng):
        gradient, eigenvalues = lemma10_landscape.curvature(tasks, b, heads)
        assert gradient < 1e-9 * eigenvalues[-1]
        if chosen == tuple(range(r)):
            assert eigenvalues[0] > -1e-9 * eigenvalues[-1]
        else:
            assert eigenvalues[0] < -1e-12 * eigenvalues[-1]


@given(seed=SEEDS)
def test_hessian_agrees_with_automatic_differentiation(seed):
    rng = np.random.default_rng(seed)
    tasks = regression_tasks.tasks_of_case("different covariances", 3, 3, rng)
    b, heads = rng.standard_normal((3, 2)), rng.standard_normal((2, 3))

    def value(flat: torch.Tensor) -> torch.Tensor:
        models = flat[:6].reshape(3, 2) @ flat[6:].reshape(2, 3)
        losses = [
            w * (torch.from_numpy(x) @ models[:, i] - torch.from_numpy(y)).square().sum()
            for i, (x, y, w) in enumerate(zip(tasks.xs, tasks.ys, tasks.weights, strict=True))
        ]
        return torch.stack(losses).sum() / tasks.energy

    flat = torch.from_numpy(np.concatenate([b.ravel(), heads.ravel()]))
    expected = torch.linalg.eigvalsh(torch.autograd.functional.hessian(value, flat)).numpy()
    _, eigenvalues = lemma10_landscape.curvature(tasks, b, heads)
    assert np.allclose(eigenvalues, expected, rtol=0, atol=1e-9 * expected[-1])


def test_covariances_that_differ_are_refused():
    tasks = regression_tasks.tasks_of_case("different covariances", 3, 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="not proportional"):
        lemma10_landscape.reduce(tasks)


@given(seed=SEEDS, kappa=st.floats(1.2, 50), same=st.booleans(), noise=st.sampled_from([0.0, 1.0]))
def test_every_maximum_of_a_fine_grid_is_a_root_of_the_polynomial(seed, kappa, same, noise):
    xs, ys = lemma10_landscape.planar_tasks(kappa, 0.5, noise, same, np.random.default_rng(seed))
    angles = np.linspace(0, np.pi, 20001)[:-1]
    heights = lemma10_landscape.height(angles, xs, ys)
    peaks = angles[(heights > np.roll(heights, 1)) & (heights > np.roll(heights, -1))]
    found = lemma10_landscape.maxima(xs, ys)
    assert len(found) <= 3
    assert len(peaks) <= len(found)
    for peak in peaks:
        assert np.abs(np.sin(found - peak)).min() < 5e-4
    assert lemma10_landscape.height(found[:1], xs, ys)[0] >= heights.max() * (1 - 1e-12)


@given(seed=SEEDS, kappa=st.floats(1.2, 50))
def test_one_maximum_where_covariances_agree(seed, kappa):
    xs, ys = lemma10_landscape.planar_tasks(kappa, 0.3, 1.0, True, np.random.default_rng(seed))
    assert len(lemma10_landscape.maxima(xs, ys)) == 1


@given(seed=SEEDS, kappa=st.floats(1.2, 50))
def test_best_maximum_is_the_exact_optimum(seed, kappa):
    """Two routes to the optimum of equation 4, the polynomial and `theory.mtl_optimum`, give one height."""
    xs, ys = lemma10_landscape.planar_tasks(kappa, 0.9, 0.5, False, np.random.default_rng(seed))
    optimum = theory.mtl_optimum([torch.from_numpy(x) for x in xs], [torch.from_numpy(y) for y in ys], 1)
    explained = sum(float(y @ y) for y in ys) - lemma10_landscape.height(lemma10_landscape.maxima(xs, ys)[:1], xs, ys)[0]
    assert float(optimum.loss) == pytest.approx(explained, rel=1e-6, abs=1e-9)


@given(seed=SEEDS)
def test_any_two_covariances_that_differ_have_labels_with_a_spurious_minimum(seed):
    row = lemma10_landscape.try_crossed(1, seed, 10.0, 1e-10)
    assert row["violations"] == 0


def test_the_smallest_counterexample():
    tasks = regression_tasks.Tasks((np.eye(2), np.diag([1.0, 3.0])), (np.array([0.0, 1.0]), np.array([2.0, 0.0])), np.ones(2))
    for b, loss in [(np.array([1.0, 0.0]), 1.0), (np.array([0.0, 1.0]), 4.0)]:
        heads = lemma10_landscape.best_heads(tasks, b)
        gradient, eigenvalues = lemma10_landscape.curvature(tasks, b[:, None], heads)
        assert gradient == 0
        assert tasks.loss(b[:, None], heads) == loss
        assert eigenvalues[0] == pytest.approx(0, abs=1e-12)
        assert eigenvalues[1] > 0.1


def test_descents_do_end_in_worse_minima_where_covariances_differ():
    """The check of the lemma can fail: without its assumption it does."""
    row = lemma10_landscape.try_descents("different covariances", 5, 10, 0, 1e-6)
    assert row["missed"] > 0


def test_printed_lines_hold_only_for_equal_covariances():
    errors = {row["line"]: row["worst_error"] for row in lemma10_landscape.try_lines(10, 0)}
    assert errors["1st line, eq. 12 with equal covariances and weights α_i"] < 1e-12
    assert errors["1st line, eq. 3 with covariances α_i Σ (the lemma's words)"] > 1e-3
    assert max(error for line, error in errors.items() if line.startswith("(corrected)")) < 1e-12


@pytest.mark.parametrize(("hits", "n", "low", "high"), [(0, 10, 0.0, 0.3085), (5, 10, 0.1871, 0.8129), (10, 10, 0.6915, 1.0)])
def test_intervals_of_rates_are_clopper_and_pearsons(hits, n, low, high):
    bounds = exact_intervals(pd.Series([hits]), pd.Series([n]))[0]
    assert tuple(bounds) == pytest.approx((low, high), abs=1e-4)
