"""Nash-MTL: the bargaining equation, by hand and against a general solver, and units."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from mtlrepro.device import generator
from mtlrepro.methods.nash_mtl import NashMTL


def _weights(step_of, gradients, **options):
    return NashMTL(**options)(step_of(gradients))


def _jacobian(seed, tasks=3):
    return torch.randn(tasks, 6, generator=generator(seed), dtype=torch.float64)


def test_orthogonal_gradients_worked_by_hand(step_of):
    """G = diag(1, 4), so w = 1 / |g| = (1, 1/2); the step (1, 1) is cut to length 1 by 1 / sqrt 2."""
    gradients = [[1.0, 0.0], [0.0, 2.0]]
    expected = torch.tensor([1.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(_weights(step_of, gradients, max_norm=0.0), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(_weights(step_of, gradients), expected / 2**0.5, rtol=0, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_the_weights_are_the_minimiser_of_the_convex_form(seed, step_of):
    """G w = 1 / w is where w^T G w / 2 - sum log w is least, which a general solver finds over log w."""
    jacobian = _jacobian(seed)
    gramian = (jacobian @ jacobian.T).numpy()

    def convex(log):
        w = np.exp(log)
        return w @ gramian @ w / 2 - log.sum(), w * (gramian @ w) - 1

    expected = np.exp(minimize(convex, np.zeros(3), jac=True, method="BFGS", options={"gtol": 1e-10}).x)
    np.testing.assert_allclose(_weights(step_of, jacobian, max_norm=0.0).numpy(), expected, rtol=1e-5)


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.lists(st.floats(0.2, 5.0), min_size=2, max_size=2))
def test_the_update_does_not_depend_on_the_units_of_the_losses(step_of, seed, units):
    """Law: the bargaining solution is invariant to the scale of each task's gains."""
    jacobian, scale = _jacobian(seed, 2), torch.tensor(units, dtype=torch.float64)[:, None]
    plain, scaled = (_weights(step_of, rows, max_norm=0.0) @ rows for rows in (jacobian, jacobian * scale))
    torch.testing.assert_close(plain, scaled, rtol=0, atol=1e-4 * float(plain.norm()))


def test_gradients_in_conflict_and_of_unlike_lengths_are_solved_too(step_of):
    """w_i <g_i, sum_j w_j g_j> = 1 where equal weights gain nothing."""
    weighting, draw = NashMTL(max_norm=0.0), generator(1)
    conflicts = 0
    for _ in range(12):
        jacobian = torch.randn(2, 2, generator=draw, dtype=torch.float64) * torch.tensor([[1.0], [20.0]], dtype=torch.float64)
        gramian = jacobian @ jacobian.T
        conflicts += int((gramian.sum(-1) <= 0).any())
        weights = weighting(step_of(jacobian))
        torch.testing.assert_close(weights * (gramian @ weights), torch.ones(2, dtype=torch.float64), rtol=0, atol=5e-3)
    assert conflicts >= 3


def test_gradients_of_zero_and_in_full_conflict_give_finite_weights(step_of):
    for gradients in (torch.zeros(2, 3), [[0.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [-1.0, 0.0]]):
        assert _weights(step_of, gradients).isfinite().all()


def test_a_diverged_run_leaves_the_others_alone(step_of):
    gradients = _jacobian(0).repeat(2, 1, 1)
    gradients[1, 0, 0] = torch.nan
    weights = _weights(step_of, gradients)
    assert weights[1].isnan().all()
    torch.testing.assert_close(weights[0], _weights(step_of, gradients[0]), rtol=0, atol=1e-9)
