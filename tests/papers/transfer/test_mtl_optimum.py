"""The exact linear multi-task optimum: never beaten, invariant where it must be, equal to the known closed forms."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlrepro.errors import BadValue
from mtlrepro.papers.transfer.theory import optimum


def problem(seed: int, d: int, sizes: tuple[int, ...], spread: float = 0.5) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Tasks with covariances of their own; `spread`: how many powers of ten their scales vary by."""
    g = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(shape, generator=g, dtype=torch.float64)
    scale = lambda *shape: 10 ** (spread * normal(*shape))
    xs = [normal(m, d) * scale(d) * scale(1) for m in sizes]
    return xs, [normal(m) * scale(1) for m in sizes]


def loss(xs, ys, models, weights=None):
    weights = [1.0] * len(xs) if weights is None else weights
    return sum(w * (x @ theta - y).square().sum() for w, x, y, theta in zip(weights, xs, ys, models, strict=True))


def alternating(xs, ys, rank: int, starts: int, seed: int = 0, weights=None) -> float:
    """Least loss that alternating least squares finds from random starts: an upper bound on the optimum."""
    g = torch.Generator().manual_seed(seed)
    weights = [1.0] * len(xs) if weights is None else weights
    d, best = xs[0].shape[1], float("inf")
    for _ in range(starts):
        heads = torch.randn(len(xs), rank, generator=g, dtype=torch.float64)
        last = float("inf")
        for _ in range(400):
            pairs = list(zip(xs, heads, weights, strict=True))
            system = sum(w * torch.kron(torch.outer(a, a), x.T @ x) for x, a, w in pairs)
            right = sum(w * torch.kron(a, x.T @ y) for (x, a, w), y in zip(pairs, ys, strict=True))
            shared = (torch.linalg.pinv(system, hermitian=True) @ right).view(rank, d).T
            heads = torch.stack([torch.linalg.pinv(x @ shared) @ y for x, y in zip(xs, ys, strict=True)])
            now = float(loss(xs, ys, heads @ shared.T, weights))
            if last - now <= 1e-12 * now:
                break
            last = now
        best = min(best, now)
    return best


@pytest.mark.parametrize("seed", range(12))
def test_no_alternating_search_beats_it(seed):
    d, sizes = 2 + seed % 5, (3 + seed % 7, 2 + (5 * seed) % 9)  # some with m1 + m2 < d, some with m_i < d
    xs, ys = problem(seed, d, sizes)
    weights = torch.tensor([0.5, 2.0], dtype=torch.float64)
    total = float(loss(xs, ys, torch.zeros(2, d, dtype=torch.float64), weights))
    found = optimum.mtl_optimum(xs, ys, rank=1, weights=weights)
    assert float(found.loss) == pytest.approx(float(loss(xs, ys, found.models, weights)), abs=1e-12 * total)
    assert float(found.loss) <= alternating(xs, ys, 1, starts=15, weights=weights) + 1e-9 * total


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 4), m1=st.integers(1, 8), m2=st.integers(1, 8))
def test_no_angle_of_the_output_scales_beats_it(seed, d, m1, m2):
    """For fixed output scales the best B is a least-squares fit: a fine sweep of the scales' angle bounds the optimum."""
    xs, ys = problem(seed, d, (m1, m2), spread=0.3)
    found = float(optimum.mtl_optimum(xs, ys, rank=1).loss)
    total = float(sum(y.square().sum() for y in ys))
    for angle in torch.linspace(0.003, torch.pi, 200, dtype=torch.float64):
        design = torch.cat([xs[0] * angle.cos(), xs[1] * angle.sin()])
        labels = torch.cat(ys)
        shared = torch.linalg.lstsq(design, labels[:, None], driver="gelsd").solution[:, 0]
        assert found <= float((design @ shared - labels).square().sum()) + 1e-9 * total


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), powers=st.lists(st.integers(-4, 4), min_size=4, max_size=4))
def test_units_of_a_task_do_not_matter(seed, powers):
    """Rescaling a task's inputs or labels, with its weight made to fit, is the same problem in other units."""
    xs, ys = problem(seed, 4, (9, 7), spread=0.3)
    reference = optimum.mtl_optimum(xs, ys, rank=1)
    cx, cy = [10.0**p for p in powers[:2]], [10.0**p for p in powers[2:]]
    weights = torch.tensor([1 / c**2 for c in cy], dtype=torch.float64)
    other = optimum.mtl_optimum(
        [x * c for x, c in zip(xs, cx, strict=True)], [y * c for y, c in zip(ys, cy, strict=True)], 1, weights
    )
    back = other.models * torch.tensor([[x / y] for x, y in zip(cx, cy, strict=True)], dtype=torch.float64)
    assert torch.allclose(other.loss, reference.loss, rtol=1e-8)
    assert torch.allclose(back, reference.models, rtol=1e-5, atol=1e-5 * float(reference.models.abs().max()))


@pytest.mark.parametrize(("k", "rank"), [(1, 1), (2, 2), (2, 4), (3, 3)])
def test_enough_capacity_gives_every_task_its_own_optimum(k, rank):
    """Proposition 1."""
    xs, ys = problem(3, 4, (9, 8, 7)[:k], spread=0.2)
    found = optimum.mtl_optimum(xs, ys, rank)
    own = torch.stack([torch.linalg.lstsq(x, y[:, None]).solution[:, 0] for x, y in zip(xs, ys, strict=True)])
    assert found.shared.shape == (4, rank)
    assert torch.allclose(found.models, own, atol=1e-9)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_same_covariates_any_rank(rank):
    """Propositions 3 and 5: never beaten by alternating search, and the loss gap is the sum of the discarded spectrum."""
    (x,), _ = problem(5, 6, (20,), spread=0.3)
    ys = [torch.randn(20, generator=torch.Generator().manual_seed(i), dtype=torch.float64) for i in range(4)]
    found = optimum.mtl_optimum([x] * 4, ys, rank)
    assert float(found.loss) <= alternating([x] * 4, ys, rank, starts=5) * (1 + 1e-9)
    fitted = x @ torch.linalg.pinv(x) @ torch.stack(ys, 1)
    gap = found.loss - (torch.stack(ys, 1) - fitted).square().sum()
    assert torch.allclose(gap, torch.linalg.svdvals(fitted)[rank:].square().sum(), rtol=1e-9)


def test_both_closed_forms_agree_where_both_hold():
    """Two tasks with proportional covariances are solved by the closed form; a tiny disturbance sends them to the angle."""
    (x,), _ = problem(7, 5, (30,), spread=0.3)
    g = torch.Generator().manual_seed(1)
    ys = [torch.randn(30, generator=g, dtype=torch.float64) for _ in range(2)]
    closed = optimum.mtl_optimum([x, 3 * x], ys, rank=1)
    angle = optimum.mtl_optimum([x, 3 * x * (1 + 1e-9 * torch.arange(5, dtype=torch.float64))], ys, rank=1)
    assert torch.allclose(closed.models, angle.models, atol=1e-6)
    assert torch.allclose(closed.loss, angle.loss, rtol=1e-8)


def test_a_batch_is_its_problems_one_by_one():
    problems = [problem(seed, 5, (8, 6), spread=0.4) for seed in range(6)]
    xs = [torch.stack([p[0][task] for p in problems]).unflatten(0, (2, 3)) for task in (0, 1)]
    ys = [torch.stack([p[1][task] for p in problems]).unflatten(0, (2, 3)) for task in (0, 1)]
    together = optimum.mtl_optimum(xs, ys, rank=1)
    assert together.models.shape == (2, 3, 2, 5)
    alone = torch.stack([optimum.mtl_optimum(*p, rank=1).models for p in problems]).unflatten(0, (2, 3))
    assert torch.allclose(together.models, alone, rtol=1e-7, atol=1e-9)


def test_nested_moments_are_the_moments_of_each_prefix():
    (x,), (y,) = problem(2, 3, (12,))
    nested = optimum.nested_moments(x, y, [2, 5, 12])
    for i, n in enumerate((2, 5, 12)):
        for got, want in zip(nested, optimum.moments(x[:n], y[:n]), strict=True):
            assert torch.allclose(got[i], want, rtol=1e-12)
    with pytest.raises(BadValue, match="ascend"):
        optimum.nested_moments(x, y, [5, 2])


def test_ridge_solves_its_normal_equations_and_tends_to_least_squares():
    (x,), (y,) = problem(4, 5, (9,), spread=0.2)
    task = optimum.moments(x, y)
    penalties = torch.tensor([1e-9, 0.5, 30.0], dtype=torch.float64)
    for theta, penalty in zip(optimum.ridge(task, penalties), penalties, strict=True):
        assert torch.allclose(x.T @ (x @ theta - y) + penalty * theta, torch.zeros(5, dtype=torch.float64), atol=1e-8)
    assert torch.allclose(optimum.ridge(task, penalties)[0], optimum.least_squares(task), atol=1e-6)


@pytest.mark.parametrize(("k", "rank"), list(itertools.product([3], [1, 2])))
def test_an_unknown_optimum_is_refused(k, rank):
    xs, ys = problem(1, 4, (6,) * k)
    with pytest.raises(BadValue, match="no exact optimum is known"):
        optimum.mtl_optimum(xs, ys, rank)


def test_wrong_shapes_are_refused():
    xs, ys = problem(1, 4, (6, 5))
    with pytest.raises(BadValue, match="task 1"):
        optimum.mtl_optimum(xs, [ys[0], ys[1][:-1]], rank=1)
    with pytest.raises(BadValue, match="positive"):
        optimum.mtl_optimum(xs, ys, rank=1, weights=torch.tensor([1.0, 0.0], dtype=torch.float64))
