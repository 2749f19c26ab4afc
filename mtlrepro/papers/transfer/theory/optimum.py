"""Optimum of the linear multi-task model (transfer paper: eq. 3 and 4, propositions 1, 3 and 5), in float64."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mtlrepro.errors import BadValue

_EPS = torch.finfo(torch.float64).eps
_TINY = torch.finfo(torch.float64).tiny


class Moments(NamedTuple):
    """All that a linear model under the squared loss needs to know of a task's samples.

    gram: (..., d, d) X^T X. cross: (..., d) X^T y. square: (...) ||y||^2.
    """

    gram: Tensor
    cross: Tensor
    square: Tensor


class Optimum(NamedTuple):
    """Minimiser of sum_i w_i ||X_i B A_i - y_i||^2.

    shared: (..., d, r) B. heads: (..., k, r) the A_i. loss: (...) the weighted loss there.
    """

    shared: Tensor
    heads: Tensor
    loss: Tensor

    @property
    def models(self) -> Tensor:
        """(..., k, d): the linear model B A_i of each task."""
        models: Tensor = self.heads @ self.shared.mT
        return models


def moments(x: Tensor, y: Tensor) -> Moments:
    """Moments of samples x: (..., m, d), y: (..., m)."""
    return Moments(x.mT @ x, (x.mT @ y[..., None])[..., 0], y.square().sum(-1))


def nested_moments(x: Tensor, y: Tensor, sizes: Sequence[int]) -> Moments:
    """Moments of the first n samples for every n in `sizes` (ascending), each sample read once.

    x: (..., m, d), y: (..., m). Returns moments with a leading dimension of len(sizes).
    Raises BadValue where `sizes` do not ascend or exceed m.
    """
    edges = [0, *sizes]
    if any(b <= a for a, b in itertools.pairwise(edges)) or edges[-1] > x.shape[-2]:
        raise BadValue(f"sizes must ascend from 1 to at most {x.shape[-2]}, not {list(sizes)}.")
    pieces = [moments(x[..., a:b, :], y[..., a:b]) for a, b in itertools.pairwise(edges)]
    return Moments(*(torch.stack(part).cumsum(0) for part in zip(*pieces, strict=True)))


def least_squares(task: Moments) -> Tensor:
    """(..., d): the single-task optimum theta_i = (X^T X)^+ X^T y of smallest norm."""
    inverse: Tensor = torch.linalg.pinv(task.gram, hermitian=True)
    return (inverse @ task.cross[..., None]).squeeze(-1)


def ridge(task: Moments, penalties: Tensor) -> Tensor:
    """Minimiser of ||X theta - y||^2 + penalty ||theta||^2 for each penalty > 0.

    penalties: (p,). Returns (..., p, d).
    """
    values, vectors = torch.linalg.eigh(task.gram)
    rotated = (vectors.mT @ task.cross[..., None])[..., 0]
    shrunk = rotated[..., None, :] / (values[..., None, :].clamp_min(0) + penalties[:, None])
    models: Tensor = shrunk @ vectors.mT
    return models


def mtl_optimum(xs: Sequence[Tensor], ys: Sequence[Tensor], rank: int, weights: Tensor | None = None) -> Optimum:
    """Global minimum of sum_i w_i ||X_i B A_i - y_i||^2 over B: (d, rank) and A_i: (rank,), where it is known.

    xs: k tensors (..., m_i, d). ys: k tensors (..., m_i). weights: (k,) or (..., k), positive; default 1.
    Leading dimensions are a batch of independent problems. Known cases: rank >= k (every task keeps its own optimum,
    proposition 1); covariances equal up to a factor, any rank (propositions 3 and 5); two tasks of any covariances, rank 1
    (eq. 4, see `moments_optimum`). Raises BadValue for any other case, whose global optimum has no known closed form, and
    for shapes that do not match. Works on X^T X, so its relative error is about 1e-16 times the squared condition number of X.
    """
    if len(xs) != len(ys) or not xs:
        raise BadValue(f"as many inputs as labels, at least one task: got {len(xs)} and {len(ys)}.")
    for task, (x, y) in enumerate(zip(xs, ys, strict=True)):
        if x.shape[:-1] != y.shape or x.shape[-1] != xs[0].shape[-1]:
            raise BadValue(f"task {task}: inputs {tuple(x.shape)} and labels {tuple(y.shape)} do not match.")
    optimum = moments_optimum([moments(x, y) for x, y in zip(xs, ys, strict=True)], rank, weights)
    # From the residuals rather than the moments: exact down to a loss of zero.
    residuals = [(x @ model[..., None])[..., 0] - y for x, y, model in zip(xs, ys, optimum.models.unbind(-2), strict=True)]
    losses = torch.stack([r.square().sum(-1) for r in residuals], -1)
    return optimum._replace(loss=(losses if weights is None else losses * weights).sum(-1))


def moments_optimum(tasks: Sequence[Moments], rank: int, weights: Tensor | None = None) -> Optimum:
    """`mtl_optimum` from the tasks' moments; batch dimensions broadcast against each other.

    Two tasks, rank 1: for output scales (a1, a2) the best B is (a1^2 S1 + a2^2 S2)^+ (a1 v1 + a2 v2), S_i and v_i being the
    weighted moments. In a basis that turns S1 + S2 into the identity and S1 into diag(l), what is left to maximise is
    sum_j (u1j + t u2j)^2 / (l_j + t^2 (1 - l_j)), a function of t = a2 / a1 alone. As a function of log |t| it is analytic
    in a strip of half-width pi / 2 around the real line, so it has no feature much finer than 1 and a grid of step 1/8, for
    each sign of t, brackets its maxima; bisection on the derivative then gives the highest one to full precision. Beyond the
    grid, around t = 0 and 1 / t = 0, bisection in t itself.
    """
    k = len(tasks)
    if rank < 1:
        raise BadValue(f"rank must be at least 1, not {rank}.")
    shape = torch.broadcast_shapes(*(task.cross.shape for task in tasks))
    d = shape[-1]
    first = tasks[0].cross
    w = torch.ones(k, dtype=first.dtype, device=first.device) if weights is None else weights
    if w.shape[-1] != k or not bool((w > 0).all()):
        raise BadValue(f"weights must be {k} positive numbers.")
    w = w.expand(*shape[:-1], k)
    gram = torch.stack([task.gram.expand(*shape, d) for task in tasks], -3) * w[..., None, None]
    cross = torch.stack([task.cross.expand(shape) for task in tasks], -2) * w[..., None]
    if rank >= k:
        own = least_squares(Moments(gram, cross, w))
        shared = torch.cat([own.mT, own.new_zeros(*shape, rank - k)], -1)
        heads = torch.eye(k, rank, dtype=own.dtype, device=own.device).expand(*shape[:-1], k, rank)
    elif _proportional(gram):
        shared, heads = _equal_covariances(gram, cross, rank)
    elif rank == 1 and k == 2:
        shared, heads = _two_tasks(gram, cross)
    else:
        raise BadValue(
            f"no exact optimum is known for {k} tasks of different covariances and rank {rank}: "
            "use rank 1 with two tasks, the same covariates for all tasks, rank >= the number of tasks, or training."
        )
    models = heads @ shared.mT
    square = torch.stack([task.square.expand(shape[:-1]) for task in tasks], -1) * w
    fitted = ((gram @ models[..., None])[..., 0] * models).sum(-1)
    return Optimum(shared, heads, (square - 2 * (cross * models).sum(-1) + fitted).sum(-1).clamp_min(0))


def _proportional(gram: Tensor) -> bool:
    """Whether all Gram matrices (..., k, d, d) of each problem are one matrix up to a factor."""
    unit = gram / gram.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    return bool((unit - unit[..., :1, :, :]).abs().amax() <= 1e-12 * unit.abs().amax())


def _equal_covariances(gram: Tensor, cross: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Propositions 3 and 5: B = Sigma^(-1/2) times the best rank-r approximation of the whitened labels."""
    factor = gram.diagonal(dim1=-2, dim2=-1).sum(-1)
    factor = factor / factor[..., :1]
    whiten = _whitening(gram[..., 0, :, :])
    labels = whiten.mT @ (cross / factor.sqrt()[..., None]).mT
    left, _, _ = torch.linalg.svd(labels, full_matrices=False)
    left = left[..., :rank]
    return whiten @ left, (left.mT @ labels).mT / factor.sqrt()[..., None]


def _whitening(gram: Tensor) -> Tensor:
    """W (..., d, d) with W^T gram W the identity on the range of `gram`; columns of the null space are 0."""
    values, vectors = torch.linalg.eigh(gram)
    kept = torch.arange(gram.shape[-1], device=gram.device) >= (gram.shape[-1] - _rank(values))[..., None]
    scaled: Tensor = vectors * torch.where(kept, values.clamp_min(_TINY).rsqrt(), 0)[..., None, :]
    return scaled


def _rank(values: Tensor) -> Tensor:
    """Numerical rank from ascending eigenvalues (..., d) of a Gram matrix."""
    return (values > values[..., -1:] * (values.shape[-1] * _EPS)).sum(-1)


def _two_tasks(gram: Tensor, cross: Tensor) -> tuple[Tensor, Tensor]:
    """Rank 1, two tasks: gram (..., 2, d, d), cross (..., 2, d) -> B (..., d, 1), heads (..., 2, 1)."""
    # One task may outweigh the other by orders of magnitude: bring both to the same size first, undone at the end.
    size = gram.diagonal(dim1=-2, dim2=-1).sum(-1).sqrt()
    gram, cross = gram / size.square()[..., None, None], cross / size[..., None]
    whiten = _whitening(gram.sum(-3))
    share, turn = torch.linalg.eigh(whiten.mT @ gram[..., 0, :, :] @ whiten)
    basis = whiten @ turn
    u1, u2 = (cross @ basis).unbind(-2)
    # Directions that one task alone sees: rounding must not leave a trace of the other task's labels there. Which they
    # are follows from the ranks, because shares come in ascending order.
    rank1, rank2 = _rank(torch.linalg.eigvalsh(gram)).unbind(-1)
    both = (whiten != 0).any(-2).sum(-1)
    place = torch.arange(share.shape[-1], device=share.device)
    only2 = place < (len(place) - rank1)[..., None]
    only1 = place >= (len(place) - (both - rank2))[..., None]
    share = torch.where(only2, 0, torch.where(only1, 1, share.clamp(_EPS, 1 - _EPS)))
    u1, u2 = torch.where(only2, 0, u1), torch.where(only1, 0, u2)
    ratio = _best_ratio(share, u1, u2)
    a1, a2 = (1 + ratio.square()).rsqrt(), ratio * (1 + ratio.square()).rsqrt()
    along = (a1 * u1 + a2 * u2) / (a1.square() * share + a2.square() * (1 - share))
    shared = (basis @ along[..., None])[..., 0]
    norm = shared.norm(dim=-1, keepdim=True)
    heads = torch.cat([a1, a2], -1) * norm / size
    return (shared / norm.clamp_min(_TINY))[..., None], heads[..., None]


def _best_ratio(share: Tensor, u1: Tensor, u2: Tensor) -> Tensor:
    """The t that maximises sum_j (u1j + t u2j)^2 / (l_j + t^2 (1 - l_j)); share, u1, u2: (..., d), result (..., 1)."""
    mixed = (share > 0) & (share < 1)
    odds = torch.where(mixed, share, 0.5).logit()
    # Term j bends at |t| = sqrt(odds) and peaks at odds * u2 / u1: the grid reaches from the lowest to the highest of these.
    peaks = odds + u2.abs().clamp_min(_TINY).log() - u1.abs().clamp_min(_TINY).log()
    low, high = (odds / 2).amin(-1, keepdim=True), (odds / 2).amax(-1, keepdim=True)
    peaks = torch.where(mixed, peaks, low).clamp(low - 15, high + 15)
    low = torch.minimum(low, peaks.amin(-1, keepdim=True)) - 3
    high = torch.maximum(high, peaks.amax(-1, keepdim=True)) + 3
    points = int(torch.ceil((high - low).amax() * 8)) + 1
    grid = low + (high - low) * torch.linspace(0, 1, points, dtype=share.dtype, device=share.device)
    values = torch.stack(
        [torch.cat([_explained(sign * x.exp(), share, u1, u2)[0] for x in grid.split(16, -1)], -1) for sign in (1, -1)], -2
    )
    edge = torch.full_like(values[..., :1], -torch.inf)
    peak = (values >= torch.cat([edge, values[..., :-1]], -1)) & (values >= torch.cat([values[..., 1:], edge], -1))
    tallest = torch.where(peak, values, -torch.inf).flatten(-2).topk(min(4, points), -1).indices
    sign = torch.where(tallest < points, 1.0, -1.0).to(share.dtype)
    left = grid.gather(-1, (tallest % points - 1).clamp_min(0))
    right = grid.gather(-1, (tallest % points + 1).clamp_max(points - 1))
    for _ in range(54):  # halves a bracket of 1/4 down to rounding
        middle = (left + right) / 2
        rising = _explained(sign * middle.exp(), share, u1, u2)[1] > 0
        left, right = torch.where(rising, middle, left), torch.where(rising, right, middle)
    ratios = sign * ((left + right) / 2).exp()
    # Where the slopes of the terms nearly cancel at t = 0 (or, for the other task, at 1 / t = 0) a maximum lies closer to it.
    outer = [_near_zero(share, u1, u2, low.exp()), 1 / _near_zero(1 - share, u2, u1, (-high).exp())]
    ratios = torch.cat([ratios, *outer], -1)
    best = _explained(ratios, share, u1, u2)[0].argmax(-1, keepdim=True)
    return ratios.gather(-1, best)


def _near_zero(share: Tensor, u1: Tensor, u2: Tensor, bound: Tensor) -> Tensor:
    """The maximum of `_explained` over |t| <= bound (..., 1), if there is one within, by bisection; else a bound."""
    left, right = -bound, bound * 1.001  # so that no midpoint is 0
    for _ in range(54):
        middle = (left + right) / 2
        rising = _explained(middle, share, u1, u2)[1] * middle > 0
        left, right = torch.where(rising, middle, left), torch.where(rising, right, middle)
    return (left + right) / 2


def _explained(t: Tensor, share: Tensor, u1: Tensor, u2: Tensor) -> tuple[Tensor, Tensor]:
    """The sum that `_best_ratio` maximises at t: (..., p), and its derivative by log |t|."""
    t, share, u1, u2 = t[..., None], share[..., None, :], u1[..., None, :], u2[..., None, :]
    along = (u1 + t * u2) / (share + t.square() * (1 - share))
    slope = 2 * t * along * (u2 - along * t * (1 - share))
    return (along * (u1 + t * u2)).sum(-1), slope.sum(-1)
