"""Proposition 4: best heads, equation 7, the span of B, and tasks that have no optimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlrepro.papers.transfer.theory import prop1_capacity, prop4_span
from mtlrepro.papers.transfer.theory.regression_tasks import best_loss

seeds = st.integers(0, 2**31)
cases = st.sampled_from(prop1_capacity.CASES)


@given(case=cases, seed=seeds, d=st.integers(2, 7), k=st.integers(1, 4), r=st.integers(1, 4))
def test_heads_and_equation_7(case, seed, d, k, r):
    """Law: f at the printed heads is h(B) = Σ|y_i|² minus equation 7, for any B, also with r > d."""
    tasks = prop4_span.tasks_of_case(case, d, k, seed)
    b = np.random.default_rng(seed).standard_normal((d, r))
    here = best_loss(tasks, b)
    assert tasks.loss(b, prop4_span.best_heads(tasks, b)) == pytest.approx(here, abs=1e-7 * tasks.energy)
    assert tasks.energy - prop4_span.explained(tasks, b) == pytest.approx(here, abs=1e-7 * tasks.energy)


@given(case=cases, seed=seeds, d=st.integers(3, 7), condition=st.floats(1, 1e3))
def test_only_the_span_matters(case, seed, d, condition):
    """Law: h(B) = h(B G) for invertible G, and orthonormal columns of the same span lose the same."""
    rng = np.random.default_rng(seed)
    tasks = prop4_span.tasks_of_case(case, d, 3, seed)
    b = rng.standard_normal((d, 2))
    g = np.linalg.qr(rng.standard_normal((2, 2)))[0] * np.array([1, condition])
    here = pytest.approx(best_loss(tasks, b), abs=1e-8 * tasks.energy)
    assert best_loss(tasks, b @ g) == here
    assert best_loss(tasks, prop4_span.orthonormal(b)) == here


def test_another_span_matters():
    rows = prop4_span.try_moves(0.1, 10, 0)
    assert all(row["inside"] < 1e-12 for row in rows)
    assert np.median([row["across"] for row in rows]) > 1e-4


def test_there_may_be_no_optimum():
    """The loss tends to 0 and the head to infinity, and the limit itself loses 1; no angle attains 0."""
    for epsilon in (1e-1, 1e-3, 1e-5):
        row = prop4_span.approach(epsilon)
        assert row["loss"] == pytest.approx(epsilon**2 / (1 + epsilon**2), rel=1e-4)
        assert row["A_2"] == pytest.approx(1 / epsilon)
    assert prop4_span.approach(0.0)["loss"] == 1


def test_the_line_without_pseudo_inverse():
    one = prop4_span.Tasks((np.array([[2.0]]),), (np.array([1.0]),), np.ones(1))
    assert prop4_span.explained(one, np.eye(1)) == pytest.approx(1)
    assert prop4_span.explained(one, np.eye(1), power=1) == pytest.approx(16)
    broken = [row["line"] for row in prop4_span.try_lines(5, 2) if row["broken"]]
    assert len(broken) == 2
    assert all("linear" in line or "as printed" in line for line in broken)


def test_violations_are_counted(monkeypatch):
    """Wrong heads must show as violations."""
    right = prop4_span.best_heads
    monkeypatch.setattr(prop4_span, "best_heads", lambda tasks, b: 1.1 * right(tasks, b))
    row = prop4_span.try_span("same inputs", 4, 0, 1e-8)
    assert row["heads_violations"] == 4
    assert row["orbit_violations"] == 0
