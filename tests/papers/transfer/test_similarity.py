"""The covariance similarity score (eq. 6): closed form, range, invariances, and the cut."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from mtlrepro.errors import BadValue
from mtlrepro.methods.alignment import covariance_similarity
from mtlrepro.papers.transfer.theory import eq6_similarity

SEEDS = st.integers(0, 2**31)


def pair(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Generator]:
    rng = torch.Generator().manual_seed(seed)
    return *eq6_similarity.draw_pair(rng), rng


def clear_of_the_cut(*xs: torch.Tensor, energy: float = 0.99) -> bool:
    return min(eq6_similarity.cut_distance(x, energy) for x in xs) > 1e-9


@given(seed=SEEDS)
def test_score_is_the_closed_form_with_traces(seed):
    x1, x2, _ = pair(seed)
    expected = eq6_similarity.closed_form(x1.T @ x1, x2.T @ x2)
    assert float(covariance_similarity(x1, x2, 1.0)) == pytest.approx(float(expected), abs=1e-12)


@given(seed=SEEDS)
def test_score_is_equation_6_as_printed(seed):
    x1, x2, _ = pair(seed)
    assume(clear_of_the_cut(x1, x2))
    factors = []
    for x in (x1, x2):
        u, values, _ = torch.linalg.svd(x.T @ x)
        rank = next(r for r in range(1, len(values) + 1) if values[:r].sum() >= 0.99 * values.sum())
        factors.append(u[:, :rank] * values[:rank].sqrt())
    size = torch.linalg.matrix_norm
    expected = size(factors[0].T @ factors[1]) / (size(factors[0]) * size(factors[1]))
    assert float(covariance_similarity(x1, x2)) == pytest.approx(float(expected), abs=1e-10)


@given(seed=SEEDS)
def test_score_is_symmetric_and_between_0_and_1(seed):
    x1, x2, _ = pair(seed)
    score = float(covariance_similarity(x1, x2))
    assert 0 <= score <= 1 + 1e-12
    assert score == pytest.approx(float(covariance_similarity(x2, x1)), abs=1e-12)


@pytest.mark.parametrize("name", list(eq6_similarity.TRANSFORMATIONS))
@given(seed=SEEDS)
def test_score_is_unchanged_by_exactly_the_transformations_claimed(name, seed):
    x1, x2, rng = pair(seed)
    function, unchanged = eq6_similarity.TRANSFORMATIONS[name]
    y1, y2 = function(x1, x2, rng)
    assume(clear_of_the_cut(x1, x2, y1, y2))
    change = abs(float(covariance_similarity(y1, y2) - covariance_similarity(x1, x2)))
    assert change < 1e-9 if unchanged else change > 1e-9


@given(seed=SEEDS, size=st.floats(1e-6, 1))
def test_maps_outside_the_group_are_told_by_finitely_many_inputs(seed, size):
    rng = torch.Generator().manual_seed(seed)
    q = eq6_similarity.orthogonal(rng, 4, 4)
    assert eq6_similarity.column_maps_change(2 * q, -0.5 * q) < 1e-12
    step = torch.randn(4, 4, generator=rng, dtype=torch.float64)
    assert eq6_similarity.column_maps_change(q + size * step, q) > 1e-3 * size


@pytest.mark.parametrize("d", [1, 2, 7])
def test_isotropic_inputs_score_one_over_root_d_with_themselves(d):
    eye = torch.eye(d, dtype=torch.float64)
    assert float(covariance_similarity(eye, eye, 1.0)) == pytest.approx(1 / math.sqrt(d))
    assert float(eq6_similarity.normalised_similarity(eye, 5 * eye, 1.0)) == pytest.approx(1)


def test_a_task_can_score_higher_with_another_than_with_itself():
    first = torch.diag(torch.tensor([2.0, 1.0], dtype=torch.float64))
    line = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert float(covariance_similarity(first, line)) == pytest.approx(math.sqrt(0.8))
    assert float(covariance_similarity(first, first)) == pytest.approx(math.sqrt(17) / 5)


@given(seed=SEEDS)
def test_normalised_form_is_the_cosine_of_the_covariances(seed):
    x1, x2, _ = pair(seed)
    s1, s2 = x1.T @ x1, x2.T @ x2
    cosine = (s1 * s2).sum() / (torch.linalg.matrix_norm(s1) * torch.linalg.matrix_norm(s2))
    assert float(eq6_similarity.normalised_similarity(x1, x2, 1.0)) == pytest.approx(float(cosine), abs=1e-12)


@given(seed=SEEDS, energy=st.sampled_from([0.5, 0.9, 0.99]))
def test_the_cut_costs_no_more_than_its_bound(seed, energy):
    row = eq6_similarity.try_cut(1, seed, energy)
    assert row["violations"] == 0


def test_tied_eigenvalues_are_kept_together_so_that_a_common_rotation_changes_nothing():
    rng = torch.Generator().manual_seed(0)
    x1 = torch.diag(torch.tensor([98.0, 1.0, 1.0], dtype=torch.float64).sqrt())
    x2 = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
    for _ in range(20):
        q = eq6_similarity.orthogonal(rng, 3, 3)
        assert float(covariance_similarity(x1 @ q, x2 @ q)) == pytest.approx(0.1, abs=1e-9)


def test_batches_give_what_single_pairs_give():
    rng = torch.Generator().manual_seed(1)
    x1, x2 = torch.randn(4, 6, 3, generator=rng), torch.randn(4, 5, 3, generator=rng)
    together = covariance_similarity(x1, x2, 0.8)
    assert together.shape == (4,)
    alone = torch.stack([covariance_similarity(a, b, 0.8) for a, b in zip(x1, x2, strict=True)])
    assert torch.allclose(together, alone)


@pytest.mark.parametrize(
    ("x1", "x2", "energy", "message"),
    [
        (torch.ones(3, 2), torch.ones(3, 3), 0.99, r"\(m1, d\)"),
        (torch.ones(3), torch.ones(3), 0.99, r"\(m1, d\)"),
        (torch.ones(3, 2), torch.ones(3, 2), 0.0, "energy"),
        (torch.ones(3, 2), torch.ones(3, 2), 1.5, "energy"),
        (torch.zeros(3, 2), torch.ones(3, 2), 0.99, "all zero"),
        (torch.full((3, 2), torch.inf), torch.ones(3, 2), 0.99, "finite"),
    ],
)
def test_bad_inputs_are_refused_in_words(x1, x2, energy, message):
    with pytest.raises(BadValue, match=message):
        covariance_similarity(x1, x2, energy)
