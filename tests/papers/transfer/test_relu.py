"""Theorem 9: the ReLU kernel, the constants of its last step, and the corrected second claim."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from mtlrepro.papers.transfer.theory import thm9_relu

ANGLES = st.floats(1e-3, 3.1)
SEEDS = st.integers(0, 2**31)


@given(angle=ANGLES)
def test_kernel_by_integration_is_the_printed_identity(angle):
    assert thm9_relu.kernel_quadrature(angle) == pytest.approx(float(thm9_relu.g(angle)) / 2, abs=1e-12)
    if abs(angle - math.pi / 2) > 1e-6:
        assert thm9_relu.g_printed(angle) == pytest.approx(float(thm9_relu.g(angle)), abs=1e-9)


@settings(max_examples=10)
@given(angle=st.floats(0, 3), seed=SEEDS)
def test_kernel_by_sampling(angle, seed):
    row = thm9_relu.kernel_sample(angle, 4, 20_000, seed)
    assert abs(row["sampled"] - row["formula"]) < 6 * row["error"] + 1e-12


@pytest.mark.parametrize("against", list(thm9_relu.COMPARED))
@given(top=st.floats(0.5, math.pi), share=st.floats(0.01, 1))
def test_sharp_constants_hold_on_the_interval(against, top, share):
    found = thm9_relu.sharp_constant(against, top)
    angle = share * top
    assert 1 - float(thm9_relu.g(angle)) >= found["constant"] * float(thm9_relu.COMPARED[against](np.asarray(angle))) - 1e-9
    attained = 1 - float(thm9_relu.g(found["angle"]))
    assert attained == pytest.approx(found["constant"] * float(thm9_relu.COMPARED[against](np.asarray(found["angle"]))), rel=1e-9)


@given(angle=st.floats(0, math.pi / 2))
def test_corrected_step_bounds_one_minus_g_from_both_sides(angle):
    chain = thm9_relu.chain(angle)
    assert chain["corrected"] - 1e-12 <= chain["1 - g"] <= chain["1 - cos"] + 1e-12


def test_the_lost_factor_matters_at_a_right_angle():
    chain = thm9_relu.chain(math.pi / 2)
    assert chain["without 1/π"] == pytest.approx(0, abs=1e-12)
    assert chain["1 - g"] == pytest.approx(1 - 1 / math.pi)


@given(angle=st.floats(0, 3.1))
def test_variance_of_the_products_is_within_what_bernstein_is_given(angle):
    """The printed deviation 2 sqrt(m g log) is Bernstein's sqrt(2 m Var log) or more."""
    assert 2 * thm9_relu.product_variance(angle) <= 4 * float(thm9_relu.g(angle)) + 1e-9


@given(seed=SEEDS)
def test_corrected_head_bound(seed):
    assert thm9_relu.try_head_bound(20, seed, 1e-9)["violations"] == 0


@pytest.mark.parametrize("size", [10.0, 1000.0])
def test_counterexamples_keep_their_error_while_the_bound_vanishes(size):
    for row in thm9_relu.counterexamples([size]):
        assert row["bound"] < 1.01 / size
        assert row["error"] > 0.49


@settings(max_examples=20)
@given(seed=SEEDS)
def test_gradient_of_equation_10(seed):
    rng = np.random.default_rng(seed)
    task = thm9_relu.instance(thm9_relu.ReluSetting(rows=10), rng, lambda _: 30)
    b = rng.standard_normal(5)
    value, slope = thm9_relu.explained(b, task.xs, task.ys)
    numeric = optimize.approx_fprime(b, lambda v: thm9_relu.explained(v, task.xs, task.ys)[0], 1e-7)
    assert np.allclose(slope, numeric, atol=1e-4 * max(1.0, value))


@settings(max_examples=10)
@given(seed=SEEDS)
def test_solution_explains_at_least_as_much_as_either_true_model(seed):
    rng = np.random.default_rng(seed)
    task = thm9_relu.instance(thm9_relu.ReluSetting(), rng, lambda _: 60)
    value = thm9_relu.explained(thm9_relu.solve(task, rng), task.xs, task.ys)[0]
    assert all(value >= thm9_relu.explained(theta, task.xs, task.ys)[0] - 1e-9 for theta in task.thetas)


def test_instance_has_the_wanted_condition_and_angle():
    setting = thm9_relu.ReluSetting(kappa2=4.0, c=0.2, share=0.5)
    task = thm9_relu.instance(setting, np.random.default_rng(0), setting.printed_samples)
    values = np.linalg.svd(task.xs[1], compute_uv=False)
    assert values[0] / values[-1] == pytest.approx(4)
    assert math.sqrt(1 - float(task.thetas[0] @ task.thetas[1]) ** 2) == pytest.approx(0.2 * 0.5 / 4)


def test_angle_bound_fails_with_a_noisy_source_and_holds_without():
    noisy = thm9_relu.try_theorem("noisy source, C = 1", 5, 0, 1.0, "printed")
    quiet = thm9_relu.try_theorem("small noise", 5, 0, 1.0, "printed")
    assert sum(row["angle_failed"] for row in noisy) >= 3
    assert sum(row["angle_failed"] for row in quiet) == 0


def test_hoeffding_is_exceeded_more_often_than_claimed():
    row = thm9_relu.hoeffding_rate(500, 0.1, 300, 0)
    assert row["failed"] > 0.2 * row["n"]
