"""Proposition 3: the optimum on the same inputs, its span, and what more weight on a clean task does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlrepro.papers.transfer.theory import prop3_same_inputs
from mtlrepro.papers.transfer.theory.prop5_equal_covariances import whiten
from mtlrepro.papers.transfer.theory.regression_tasks import best_loss

seeds = st.integers(0, 2**31)
sizes = {"d": st.integers(3, 7), "k": st.integers(2, 5)}


@given(case=st.sampled_from(prop3_same_inputs.CASES), seed=seeds, **sizes)
def test_the_formula_is_optimal(case, seed, d, k):
    """Law: the loss at (XᵀX)†VDQ_r is the label energy less the r largest λ; no random B loses less."""
    rng = np.random.default_rng(seed)
    tasks = prop3_same_inputs.tasks_of_case(case, d, k, rng)
    z = whiten(tasks).z
    values = np.linalg.svd(z, compute_uv=False) ** 2
    for rank in range(1, min(z.shape) + 1):
        here = best_loss(tasks, prop3_same_inputs.printed_optimum(tasks, rank))
        assert here == pytest.approx(tasks.energy - values[:rank].sum(), abs=1e-9 * tasks.energy)
        assert best_loss(tasks, rng.standard_normal((d, rank))) >= here - 1e-9 * tasks.energy


@given(case=st.sampled_from(prop3_same_inputs.DEGENERATE), seed=seeds)
def test_degenerate_cases_have_two_optimal_spans(case, seed):
    rng = np.random.default_rng(seed)
    tasks = prop3_same_inputs.tasks_of_case(case, 5, 3, rng)
    rank = 2 if case == "labels of rank below r" else 1
    b, other = prop3_same_inputs.printed_optimum(tasks, rank), prop3_same_inputs.another_optimum(tasks, rank, case, rng)
    assert best_loss(tasks, other) == pytest.approx(best_loss(tasks, b), abs=1e-9 * tasks.energy)
    assert prop3_same_inputs.span_sine(b, other) > 1e-6


def test_alternation_ends_in_the_formulas_span_and_a_wrong_weight_does_not():
    rng = np.random.default_rng(1)
    tasks = prop3_same_inputs.tasks_of_case("random", 5, 4, rng)
    end = prop3_same_inputs.alternate(tasks, 1, rng)
    assert prop3_same_inputs.span_sine(end, prop3_same_inputs.printed_optimum(tasks, 1)) < 1e-6
    squared = prop3_same_inputs.Tasks(tasks.xs, tasks.ys, tasks.weights**2)
    assert prop3_same_inputs.span_sine(end, prop3_same_inputs.printed_optimum(squared, 1)) > 1e-2


@given(seed=seeds, kappa=st.floats(1, 100), noise=st.floats(0.1, 5))
def test_task_1s_model_turns_steadily_to_the_truth(seed, kappa, noise):
    """Law: cos(B*A_1*, θ) and cos(XB*, Xθ) never fall as α_1 grows; |cos(B*, θ)| falls only from beyond a right angle."""
    drawn = prop3_same_inputs.draw_remark(kappa, noise, np.random.default_rng(seed))
    signed, absolute, outputs = prop3_same_inputs.weighted_line(*drawn, np.geomspace(1, 1e10, 100))
    assert np.diff(signed).min() > -1e-9
    assert np.diff(outputs).min() > -1e-9
    assert signed[-1] == pytest.approx(1, abs=1e-6)
    if signed[0] >= 0:
        assert np.diff(absolute).min() > -1e-9


def test_the_smallest_dip():
    """diag(2, 1), y_1 = (2, 1), y_2 = (4, -4): |cos| falls to 0 on the way to 1."""
    signed, absolute, _ = prop3_same_inputs.weighted_line(*prop3_same_inputs.smallest_dip(), np.geomspace(1, 1e4, 2000))
    assert signed[0] < -0.1
    assert absolute.min() < 0.01
    assert absolute[-1] > 0.99


def test_proof_lines_that_hold_and_that_do_not():
    rows = {row["line"]: row for row in prop3_same_inputs.try_lines(5, 3)}
    broken = {line for line, row in rows.items() if row["broken"]}
    assert len(broken) == 6
    assert not any(line.startswith(("(corrected)", "statement")) for line in broken)
    assert all(rows[line]["correction"] for line in broken)


def test_unknown_case():
    with pytest.raises(ValueError, match="unknown case"):
        prop3_same_inputs.tasks_of_case("rank", 3, 2, np.random.default_rng(0))
