"""Proposition 1: the optimum, the bound it attains, what it leaves open, and the ReLU extension."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtlrepro.papers.transfer.theory import prop1_capacity

seeds = st.integers(0, 2**31)
cases = st.sampled_from(prop1_capacity.CASES)
sizes = {"d": st.integers(2, 8), "k": st.integers(1, 4), "extra": st.integers(0, 3)}


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def label_energy(ys: list[torch.Tensor]) -> float:
    return sum(float(y.square().sum()) for y in ys)


@given(case=cases, seed=seeds, **sizes)
def test_proposition_1(case, seed, d, k, extra):
    """Law: B* A_i* = θ_i, and the loss is the sum of the single-task minima, which no random model undercuts."""
    rng = generator(seed)
    xs, ys = prop1_capacity.tasks_of_case(case, d, k, rng)
    thetas = prop1_capacity.single_task_fits(xs, ys)
    b, heads = prop1_capacity.shared_optimum(thetas, k + extra, rng)
    floor, scale = float(prop1_capacity.single_task_minima(xs, ys).sum()), label_energy(ys)
    assert torch.allclose(b @ heads, thetas, rtol=1e-9, atol=1e-9 * float(thetas.abs().max()))
    assert float(prop1_capacity.loss(xs, ys, b, heads)) == pytest.approx(floor, abs=1e-9 * scale)
    other = (
        torch.randn(d, k + extra, generator=rng, dtype=torch.float64),
        torch.randn(k + extra, k, generator=rng, dtype=torch.float64),
    )
    assert float(prop1_capacity.loss(xs, ys, *other)) >= floor - 1e-9 * scale


@given(seed=seeds, d=st.integers(2, 8), k=st.integers(1, 4))
def test_fits_are_the_papers_formula(seed, d, k):
    xs, ys = prop1_capacity.tasks_of_case("fewer samples than inputs", d, k, generator(seed))
    printed = torch.stack([torch.linalg.pinv(x.T @ x, rtol=1e-8) @ x.T @ y for x, y in zip(xs, ys, strict=True)], dim=1)
    assert torch.allclose(prop1_capacity.single_task_fits(xs, ys), printed, rtol=1e-5, atol=1e-5 * float(printed.abs().max()))


def test_below_k_the_statement_is_refused_and_false():
    """The check can fail: with r = k - 1 the best loss lies above the single-task minima."""
    rng = generator(3)
    xs, ys = prop1_capacity.tasks_of_case("same inputs", 6, 3, rng)
    with pytest.raises(ValueError, match="below the number of tasks"):
        prop1_capacity.shared_optimum(prop1_capacity.single_task_fits(xs, ys), 2, rng)
    gaps = prop1_capacity.gap_by_rank(xs[0], torch.stack(ys, dim=1))
    assert float(gaps[2]) > 1e-3
    floor = float(prop1_capacity.single_task_minima(xs, ys).sum())
    for rank in (1, 2, 3):  # Prop. 3's closed form against a descent that does not know it
        reached = min(prop1_capacity.descent_loss(xs, ys, rank, rng) for _ in range(4))
        assert reached - floor == pytest.approx(float(gaps[rank]), abs=1e-6 * label_energy(ys))


@given(seed=seeds, k=st.integers(1, 5))
def test_gap_falls_with_rank_and_closes_at_k(seed, k):
    rng = generator(seed)
    x, y = torch.randn(9, 3, generator=rng, dtype=torch.float64), torch.randn(9, k, generator=rng, dtype=torch.float64)
    gaps = prop1_capacity.gap_by_rank(x, y)
    assert gaps.shape == (k + 1,)
    assert bool((gaps.diff() <= 1e-12).all())
    assert float(gaps[k]) == 0
    assert float(gaps[min(k, 3)]) == pytest.approx(0, abs=1e-12)


@given(case=cases, seed=seeds, d=st.integers(3, 8))
def test_other_optima_exist_exactly_where_a_task_is_rank_deficient(case, seed, d):
    """Law: same loss and same in-sample predictions always; another model if and only if X_i does not see a direction."""
    rng = generator(seed)
    xs, ys = prop1_capacity.tasks_of_case(case, d, 2, rng)
    thetas = prop1_capacity.single_task_fits(xs, ys)
    prior = torch.randn(d, 2, generator=rng, dtype=torch.float64)
    b, heads = prop1_capacity.other_optimum(xs, ys, 3, prior, rng)
    scale = label_energy(ys)
    assert float(prop1_capacity.loss(xs, ys, b, heads)) == pytest.approx(
        float(prop1_capacity.single_task_minima(xs, ys).sum()), abs=1e-9 * scale
    )
    for i, x in enumerate(xs):
        moved = (b @ heads - thetas)[:, i]
        assert float((x @ moved).norm()) < 1e-8 * float(torch.linalg.matrix_norm(x, 2)) * (1 + float(thetas.norm()))
        deficient = case in ("fewer samples than inputs", "rank deficient")
        assert (float(moved.norm()) > 1e-6 * float(prior[:, i].norm())) == deficient


def test_gradient_descent_with_full_capacity_transfers_when_the_target_is_underdetermined():
    """Law: at r = k, from small weights, descent fits as well as the single-task models but lands nearer the true one."""
    few = prop1_capacity.try_transfer(target_samples=5, start=0.1, count=5, seed=2, steps=6000)
    assert all(row["descent_excess"] < 1e-8 and row["descent_moved"] < 1e-3 for row in few)
    assert all(row["descent_error"] < row["prop1_error"] for row in few)
    many = prop1_capacity.try_transfer(target_samples=60, start=0.1, count=5, seed=2, steps=6000)
    assert all(row["descent_error"] == pytest.approx(row["prop1_error"], rel=1e-3) for row in many)


def test_relu_counterexample():
    x = torch.tensor([1.0, -1.0], dtype=torch.float64)
    ys = [torch.tensor(y, dtype=torch.float64) for y in ([1.0, 0.5], [0.5, 1.0])]
    losses = prop1_capacity.relu_gap([x, x], ys)
    assert losses["own"] == pytest.approx(0.5)
    assert losses["refit"] == pytest.approx(0, abs=1e-15)


@given(seed=seeds)
def test_relu_claim_holds_without_noise_and_only_then(seed):
    assert prop1_capacity.try_relu(0.0, 5, seed, 1e-9)["violations"] == 0
    assert prop1_capacity.try_relu(0.5, 5, seed, 1e-9)["violations"] > 0


def test_violations_are_counted(monkeypatch):
    """A wrong construction must show as violations: the counts are not constant 0."""
    right = prop1_capacity.shared_optimum
    monkeypatch.setattr(prop1_capacity, "shared_optimum", lambda thetas, rank, rng: right(1.01 * thetas, rank, rng))
    row = prop1_capacity.try_optimum("same inputs", 5, 0, 1e-9, descents=0)
    assert row["model_violations"] == 5
    assert row["loss_violations"] == 5


def test_unknown_case():
    with pytest.raises(ValueError, match="unknown case"):
        prop1_capacity.tasks_of_case("same input", 3, 2, generator(0))
