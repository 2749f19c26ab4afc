"""Fact 7: laws of the sine, the bound and its sharp constant, and the lines of its proof."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtlrepro.papers.transfer.theory import fact7_angles

seeds = st.integers(0, 2**31)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(angle=st.floats(1e-12, math.pi / 2), scale=st.floats(1e-3, 1e3))
def test_sine_is_exact_at_every_angle_and_ignores_length_and_sign(angle, scale):
    u = torch.tensor([1.0, 0.0], dtype=torch.float64)
    v = scale * torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
    assert float(fact7_angles.sine(u, v)) == pytest.approx(math.sin(angle), rel=1e-12, abs=1e-16)
    assert float(fact7_angles.sine(u, -v)) == pytest.approx(math.sin(angle), rel=1e-9, abs=1e-15)


@given(case=st.sampled_from(fact7_angles.CASES), seed=seeds)
def test_fact7_and_its_sharp_form_hold(case, seed):
    """Law: sin(Xa, Xb) >= the exact least sine >= sin(a, b)/κ >= sin(a, b)/κ²."""
    x, a, b = fact7_angles.instance(case, generator(seed))
    before, after, kappa = fact7_angles.sine(a, b), fact7_angles.image_sine(x, a, b), fact7_angles.condition(x)
    bounds = [after, fact7_angles.least_sine(before, kappa), before / kappa, before / kappa**2]
    assert all(above >= below - 1e-13 for above, below in itertools.pairwise(bounds))


@given(seed=seeds, power=st.sampled_from([(1.0, 1.01), (0.9, 1.0)]))
def test_a_larger_constant_than_one_over_kappa_is_refuted(seed, power):
    """The check can fail: 1.01/κ and κ^-0.9 do not bound the worst directions of a map with κ = 20."""
    x = fact7_angles.matrix(7, 4, 20.0, generator(seed))
    v = torch.linalg.svd(x).Vh
    a, b = math.cos(1e-3) * v[0] + math.sin(1e-3) * v[-1], math.cos(1e-3) * v[0] - math.sin(1e-3) * v[-1]

    def margin(exponent: float, factor: float) -> torch.Tensor:
        return fact7_angles.image_sine(x, a, b) - factor * fact7_angles.sine(a, b) / fact7_angles.condition(x) ** exponent

    assert margin(1.0, 1.0) >= -1e-13
    assert margin(*power) < -1e-7


@given(seed=seeds, kappa=st.floats(1.0, 1e4), columns=st.integers(2, 8))
def test_matrix_has_the_asked_condition(seed, kappa, columns):
    assert float(fact7_angles.condition(fact7_angles.matrix(columns + 3, columns, kappa, generator(seed)))) == pytest.approx(
        kappa, rel=1e-9
    )


def test_parallel_vectors_stay_parallel():
    x, a, _ = fact7_angles.instance("chosen spectrum", generator(0))
    for b in (a, -a, 3 * a):
        assert float(fact7_angles.sine(a, b)) < 1e-15
        assert float(fact7_angles.image_sine(x, a, b)) < 1e-15


@pytest.mark.parametrize(("kappa", "degrees"), [(2.0, 0.6), (5.0, 57.0), (20.0, 90.0)])
def test_search_reaches_the_closed_form_and_never_passes_it(kappa, degrees):
    found = fact7_angles.search_minimum(kappa, degrees, dimension=4, seed=1, starts=4)
    assert found["exact"] * (1 - 1e-9) <= found["found"] <= found["exact"] * (1 + 1e-5)


def test_at_a_right_angle_the_least_sine_is_wielandts():
    one = torch.ones((), dtype=torch.float64)
    assert float(fact7_angles.least_sine(one, 7.0)) == pytest.approx(2 * 7 / (7**2 + 1))


def test_which_lines_of_the_proof_hold():
    """Law: all lines hold but the identity and the two sums over all pairs, which are off by a factor of exactly 2."""
    rows = {row["line"]: row for row in fact7_angles.try_lines(30, seed=5)}
    wrong = {line for line, row in rows.items() if row["worst_error"] > 1e-6}
    doubled = {"display, 2nd =: sum over all i, j": 0.5, "display, 3rd =: back to products": 2.0}
    assert wrong == {"XᵀX = Id", "XXᵀ = Id", *doubled}
    assert all(rows[line]["left_over_right"] == pytest.approx(factor) for line, factor in doubled.items())


def test_runs_are_seeded_and_unknown_cases_are_refused():
    assert fact7_angles.try_bound("Gaussian", 5, 3, 1e-13) == fact7_angles.try_bound("Gaussian", 5, 3, 1e-13)
    with pytest.raises(ValueError, match="unknown case"):
        fact7_angles.instance("gausian", generator(0))


def test_violations_are_counted(monkeypatch):
    """A wrong sine must show as violations: the count is not a constant 0."""
    monkeypatch.setattr(fact7_angles, "image_sine", lambda x, a, b: fact7_angles.sine(a, b) * 0)
    assert fact7_angles.try_bound("orthogonal", 10, 0, 1e-13)["printed_violations"] == 10
