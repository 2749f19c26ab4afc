"""Proposition 5: the optimum for equal covariances, the loss gap, the k - r example, and what the printed corollary misses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlrepro.papers.transfer.theory import prop5_equal_covariances, regression_tasks
from mtlrepro.papers.transfer.theory.regression_tasks import best_loss

seeds = st.integers(0, 2**31)
cases = st.sampled_from(prop5_equal_covariances.CASES)
sizes = {"d": st.integers(2, 7), "k": st.integers(1, 5)}
CORRECTED = "both sides, D of X, λ (corrected)"


@given(case=cases, seed=seeds, **sizes)
def test_the_optimum_and_its_gap(case, seed, d, k):
    """Law: B* loses the single-task minima plus the λ_i beyond r, for every r, and no other B loses less."""
    rng = np.random.default_rng(seed)
    tasks = prop5_equal_covariances.tasks_of_case(case, d, k, rng)
    white = prop5_equal_covariances.whiten(tasks)
    gaps = prop5_equal_covariances.loss_gaps(white, min(white.z.shape))
    for rank in range(1, min(white.z.shape) + 1):
        here = best_loss(tasks, prop5_equal_covariances.printed_optimum(tasks, rank))
        assert here == pytest.approx(float(white.own.sum() + gaps[rank]), abs=1e-9 * tasks.energy)
        assert prop5_equal_covariances.corollary_bound(white, rank, CORRECTED) == pytest.approx(
            gaps[rank], abs=1e-9 * tasks.energy
        )
        assert best_loss(tasks, rng.standard_normal((d, rank))) >= here - 1e-9 * tasks.energy


@given(seed=seeds, **sizes)
def test_the_two_right_readings_agree(seed, d, k):
    """Law: the singular values of Σ with the power -1/2 and those of X with the power -1 give the same B*."""
    tasks = prop5_equal_covariances.tasks_of_case("random weights", d, k, np.random.default_rng(seed))
    by_sigma, by_x = (
        prop5_equal_covariances.printed_optimum(tasks, 1, name) for name in ("D of Σ, V D^(-1/2) C*", "D of X, V D^(-1) C*")
    )
    assert np.allclose(by_sigma, by_x, rtol=1e-9, atol=1e-12)


@given(seed=seeds, scale=st.floats(0.01, 100))
def test_the_gap_is_quadratic_in_the_labels_and_the_printed_bound_quartic(seed, scale):
    """Law: no bound by λ_i² can hold in all units of the labels."""
    tasks = prop5_equal_covariances.tasks_of_case("random weights", 4, 3, np.random.default_rng(seed))
    before, after = (
        prop5_equal_covariances.whiten(tasks),
        prop5_equal_covariances.whiten(prop5_equal_covariances.scaled(tasks, scale)),
    )
    printed = "printed: one side, D of Σ, λ²"
    assert prop5_equal_covariances.loss_gaps(after, 2)[1] == pytest.approx(
        scale**2 * prop5_equal_covariances.loss_gaps(before, 2)[1], rel=1e-9
    )
    assert prop5_equal_covariances.corollary_bound(after, 1, printed) == pytest.approx(
        scale**4 * prop5_equal_covariances.corollary_bound(before, 1, printed), rel=1e-9
    )


@given(k=st.integers(2, 6), scale=st.floats(0.1, 5))
def test_k_minus_r(k, scale):
    """Law: with X_i the identity and y_i = c e_i the loss is c² (k - r), the printed bound c⁴ (k - r)."""
    for row in prop5_equal_covariances.try_example(k, scale, seed=1, starts=1):
        rest = k - row["r"]
        assert row["loss"] == pytest.approx(scale**2 * rest, abs=1e-9 * scale**2)
        assert row["descent"] == pytest.approx(scale**2 * rest, abs=1e-6 * scale**2)
        assert row["printed"] == pytest.approx(scale**4 * rest, abs=1e-9 * scale**4)
        assert row["single"] == pytest.approx(0, abs=1e-12 * scale**2)


def test_one_sided_example():
    """λ of the one-sided matrix, even not squared, is below the gap: 0.0815 against 0.1."""
    white = prop5_equal_covariances.whiten(prop5_equal_covariances.one_sided_example())
    assert prop5_equal_covariances.loss_gaps(white, 1)[1] == pytest.approx(0.1)
    assert prop5_equal_covariances.corollary_bound(white, 1, "one side, D of Σ, λ") == pytest.approx(0.0814928512)


def test_proof_lines():
    """The corrected lines hold, the printed outer sum is off by k, and the one-letter reading fails."""
    rows = {row["line"]: row for row in prop5_equal_covariances.try_lines(20, seed=2, scale=0.3)}
    for line, row in rows.items():
        wrong = any(
            text in line
            for text in (
                "D of Σ = V",
                "the same, D of X",
                "optimum of eq. 3",
                "as printed",
                "outer sum, D of Σ",
                "3rd display, D of Σ",
            )
        )
        assert (row["worst_error"] > 1e-6) == wrong, line


def test_wrong_readings_and_constructions_show(monkeypatch):
    """The counts are not constant 0: the wrong D is found out, and so is a B* with the wrong directions."""
    row = prop5_equal_covariances.try_optimum("random weights", 10, 0, 1e-9, descents=1)
    assert row["D of X, V D^(-1/2) C*: broken"] > 5
    assert row["closed_violations"] == row["below_violations"] == row["descent_violations"] == 0
    right = prop5_equal_covariances.printed_optimum
    monkeypatch.setattr(
        prop5_equal_covariances, "printed_optimum", lambda tasks, rank, reading="D of Σ, V D^(-1) C*": right(tasks, rank, reading)
    )
    broken = prop5_equal_covariances.try_optimum("random weights", 10, 0, 1e-9, descents=1)
    assert broken["closed_violations"] > 5
    assert broken["below_violations"] > 0


def test_refusals():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="unknown case"):
        prop5_equal_covariances.tasks_of_case("equal weight", 3, 2, rng)
    with pytest.raises(ValueError, match="not equal"):
        prop5_equal_covariances.whiten(regression_tasks.tasks_of_case("different covariances", 3, 2, rng))
