"""Proposition 1 of the transfer paper: a shared module of width r >= k lets every task keep its single-task model.

Loss (eq. 3):  f(A_1..A_k; B) = sum_i |X_i B A_i - y_i|²,  θ_i = (X_iᵀ X_i)† X_iᵀ y_i, the least-squares fit of least norm.
Printed:       for r >= k some optimum has B* A_i* = θ_i for every i.
Also here:     what the paper concludes from it (no transfer), and its extension to ReLU (App. A.1).

Tasks are lists xs of (m_i, d) and ys of (m_i,) float64 tensors; B is (d, r), heads hold A_i as columns (r, k).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

from mtlrepro.parameters import Params

# Relative; rounding leaves about 1e-14.
TOLERANCE = 1e-9
CASES = (
    "more samples than inputs",
    "fewer samples than inputs",
    "rank deficient",
    "correlated inputs",
    "same inputs",
    "equal tasks",
)
DISTURBED = 10
# Singular values below this share of the largest count as zero: the rank-deficient cases are exact up to rounding.
_RANK = 1e-10

# Inputs (m_i, d) and labels (m_i,) of all tasks.
TaskLists = tuple[list[Tensor], list[Tensor]]


def tasks_of_case(case: str, d: int, k: int, rng: torch.Generator) -> TaskLists:
    """k random regression tasks in d inputs with noisy labels, of the given case (one of CASES), float64."""

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=rng, dtype=torch.float64)

    def size(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=rng))

    if case not in CASES:
        raise ValueError(f"unknown case {case!r}; known: {', '.join(CASES)}")
    xs: list[Tensor] = []
    for _ in range(k):
        m = size(d + 1, 3 * d)
        if case == "fewer samples than inputs":
            x = normal(size(1, max(1, d - 1)), d)
        elif case == "rank deficient":
            rank = size(1, max(1, d - 1))
            x = normal(m, rank) @ normal(rank, d)
        elif case == "correlated inputs":
            x = normal(m, d) @ torch.diag(torch.logspace(0, 3, d, dtype=torch.float64)) @ torch.linalg.qr(normal(d, d)).Q
        else:
            x = xs[0] if case == "same inputs" and xs else normal(m, d)
        xs.append(x)
    common = normal(d)
    if case == "equal tasks":
        return xs, [x @ common for x in xs]
    return xs, [x @ normal(d) + normal(len(x)) for x in xs]


def single_task_fits(xs: list[Tensor], ys: list[Tensor]) -> Tensor:
    """θ_i as columns, (d, k): the least-squares fit of least norm of each task."""
    return torch.stack([torch.linalg.pinv(x, rtol=_RANK) @ y for x, y in zip(xs, ys, strict=True)], dim=1)


def single_task_minima(xs: list[Tensor], ys: list[Tensor]) -> Tensor:
    """The least loss any linear model reaches on each task, (k,): what is left of y_i off the column space of X_i."""
    left = []
    for x, y in zip(xs, ys, strict=True):
        u, s, _ = torch.linalg.svd(x, full_matrices=False)
        space = u[:, s > _RANK * s[0]]
        left.append((y - space @ (space.T @ y)).square().sum())
    return torch.stack(left)


def loss(xs: list[Tensor], ys: list[Tensor], b: Tensor, heads: Tensor) -> Tensor:
    """Equation 3 for B (d, r) and heads (r, k): a scalar."""
    models = b @ heads
    return torch.stack([(x @ models[:, i] - y).square().sum() for i, (x, y) in enumerate(zip(xs, ys, strict=True))]).sum()


def shared_optimum(thetas: Tensor, rank: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """A random B* (d, rank) whose columns span every θ_i, with heads A_i* = B*† θ_i (rank, k).

    thetas: (d, k), rank >= k. Raises ValueError where rank < k, for which no such B* exists in general.
    """
    d, k = thetas.shape
    if rank < k:
        raise ValueError(f"rank {rank} is below the number of tasks, {k}")
    filling = torch.randn(d, rank, generator=rng, dtype=torch.float64)
    if rank <= d:
        basis = torch.linalg.qr(torch.cat([thetas, filling], dim=1)[:, :rank]).Q
        b = basis @ torch.linalg.qr(torch.randn(rank, rank, generator=rng, dtype=torch.float64)).Q
    else:
        b = filling
    return b, torch.linalg.pinv(b) @ thetas


def try_optimum(case: str, count: int, seed: int, tolerance: float, descents: int) -> dict[str, Any]:
    """Try Proposition 1 on `count` random instances of `case`, d in 2..12, k in 1..5, r in k..k+4.

    (B*, A*) is disturbed at random `DISTURBED` times per instance, at sizes 1e-4 to 1. descents: how many instances are also
    minimised from a random start by L-BFGS. Returns n, and for each part its worst value and violations, all relative:
    model: |B*A_i* - θ_i| / |θ_i|; loss: |f* - sum of single-task minima| / sum |y_i|²; below: the least excess of a
    disturbed model over f*; descent: the least excess of a descent's end; descent_gap: the median of that excess.
    """
    rng = torch.Generator().manual_seed(seed)
    model, gap, below, ends = [], [], [], []
    for number in range(count):
        d, k, extra = (int(torch.randint(low, high, (), generator=rng)) for low, high in ((2, 13), (1, 6), (0, 5)))
        xs, ys = tasks_of_case(case, d, k, rng)
        thetas = single_task_fits(xs, ys)
        b, heads = shared_optimum(thetas, k + extra, rng)
        scale = sum(float(y.square().sum()) for y in ys)
        floor, reached = float(single_task_minima(xs, ys).sum()), float(loss(xs, ys, b, heads))
        size = torch.linalg.vector_norm
        model.append(float((size(b @ heads - thetas, dim=0) / size(thetas, dim=0)).max()))
        gap.append(abs(reached - floor) / scale)
        for step in torch.logspace(-4, 0, DISTURBED, dtype=torch.float64):
            moved_b = b + step * torch.randn(b.shape, generator=rng, dtype=torch.float64)
            moved_heads = heads + step * torch.randn(heads.shape, generator=rng, dtype=torch.float64)
            below.append((float(loss(xs, ys, moved_b, moved_heads)) - reached) / scale)
        if number < descents:
            ends.append((descent_loss(xs, ys, k + extra, rng) - reached) / scale)
    row: dict[str, Any] = {"n": count, "descents": len(ends), "descent_gap": float(np.median(ends)) if ends else float("nan")}
    for name, values in {"model": model, "loss": gap}.items():
        row |= {f"{name}_worst": max(values), f"{name}_violations": sum(value > tolerance for value in values)}
    for name, values in {"below": below, "descent": ends}.items():
        row[f"{name}_worst"] = min(values, default=float("nan"))
        row[f"{name}_violations"] = sum(value < -tolerance for value in values)
    return row


def descent_loss(xs: list[Tensor], ys: list[Tensor], rank: int, rng: torch.Generator) -> float:
    """The loss that L-BFGS reaches from a random start, with no knowledge of the single-task models."""
    d, k = xs[0].shape[1], len(xs)
    start = torch.randn(d * rank + rank * k, generator=rng, dtype=torch.float64).numpy() / np.sqrt(d)

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        b, heads = flat[: d * rank].reshape(d, rank), flat[d * rank :].reshape(rank, k)
        total, models = 0.0, b @ heads
        pull = np.empty((d, k))
        for i, (x, y) in enumerate(zip(arrays, labels, strict=True)):
            error = x @ models[:, i] - y
            total += float(error @ error)
            pull[:, i] = 2 * x.T @ error
        return total, np.concatenate([(pull @ heads.T).ravel(), (b.T @ pull).ravel()])

    arrays, labels = [x.numpy() for x in xs], [y.numpy() for y in ys]
    options = {"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-12}
    return float(optimize.minimize(value, start, jac=True, method="L-BFGS-B", options=options).fun)


def gap_by_rank(x: Tensor, ys: Tensor) -> Tensor:
    """Least multi-task loss minus the sum of single-task minima for r = 0..k, on the same inputs for every task.

    x: (m, d); ys: (m, k). Returns (k + 1,). With UDVᵀ the SVD of X (Prop. 3), it is the sum of the squared singular
    values of Uᵀ[y_1..y_k] beyond the r-th.
    """
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    energies = torch.zeros(ys.shape[1] + 1, dtype=x.dtype)
    values = torch.linalg.svdvals(u[:, s > _RANK * s[0]].T @ ys) ** 2
    energies[: len(values)] = values
    return energies.flip(0).cumsum(0).flip(0)


def try_gap(cosine: float, k: int, d: int, m: int, count: int, seed: int) -> list[dict[str, Any]]:
    """The loss gap at r = 0..k, relative to its value at r = 0, for `count` draws of k tasks on the same inputs.

    cosine: of every θ_i with one common direction, in expectation over the draw. One row per draw and rank.
    """
    rng = torch.Generator().manual_seed(seed)
    rows: list[dict[str, Any]] = []
    for draw in range(count):
        x, common, own = (torch.randn(*size, generator=rng, dtype=torch.float64) for size in ((m, d), (d, 1), (d, k)))
        thetas = cosine * common + (1 - cosine**2) ** 0.5 * own
        gaps = gap_by_rank(x, x @ thetas + torch.randn(m, k, generator=rng, dtype=torch.float64))
        rows += [{"draw": draw, "r": r, "gap": float(value / gaps[0])} for r, value in enumerate(gaps)]
    return rows


def other_optimum(xs: list[Tensor], ys: list[Tensor], rank: int, prior: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """An optimum of eq. 3 with B A_i = θ_i + (the part of `prior` that X_i does not see): a model unlike the θ_i.

    prior: (d, k). Where X_i has full column rank it sees everything, and B A_i = θ_i again.
    """
    unseen = [prior[:, i] - torch.linalg.pinv(x, rtol=_RANK) @ (x @ prior[:, i]) for i, x in enumerate(xs)]
    return shared_optimum(single_task_fits(xs, ys) + torch.stack(unseen, dim=1), rank, rng)


def try_transfer(target_samples: int, start: float, count: int, seed: int, steps: int = 20000) -> list[dict[str, Any]]:
    """A source and a target task with r = k = 2, so that Prop. 1 applies: three optima of one loss and their errors.

    20 inputs, 200 source samples, models of cosine 0.96, noise 0.1. One row per draw.

    error: |B A_2 - θ|² / |θ|² for the true θ of the target, for the least-norm fit (prop1), for an optimum that takes from the
    source model what the target's inputs do not see (borrowed), and for where gradient descent ends from random weights of
    size `start` (descent). excess: loss above the single-task minima, relative to the labels. moved: change of the in-sample
    predictions against the least-norm fit, relative to the labels.
    """
    d, source_samples, cosine, noise = 20, 200, 0.96, 0.1
    rng = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=rng, dtype=torch.float64)

    draws, starts = [], []
    for _ in range(count):
        first, second = torch.linalg.qr(normal(d, 2)).Q.unbind(1)
        truth = torch.stack([first, cosine * first + (1 - cosine**2) ** 0.5 * second], dim=1)
        xs = [normal(source_samples, d), normal(target_samples, d)]
        draws.append((xs, [x @ truth[:, i] + noise * normal(len(x)) for i, x in enumerate(xs)], truth[:, 1]))
        starts.append((start * normal(d, 2) / d**0.5, start * normal(2, 2) / 2**0.5))
    first_b, first_heads = torch.stack([b for b, _ in starts]), torch.stack([heads for _, heads in starts])
    ends = gradient_descent([(xs, ys) for xs, ys, _ in draws], first_b, first_heads, steps)
    rows = []
    for draw, ((xs, ys, truth), end) in enumerate(zip(draws, ends, strict=True)):
        fits = single_task_fits(xs, ys)
        floor = float(single_task_minima(xs, ys).sum())
        scale = sum(float(y.square().sum()) for y in ys)
        row: dict[str, Any] = {"draw": draw}
        borrowed = other_optimum(xs, ys, 2, fits[:, [0, 0]], rng)
        for name, (b, heads) in {"prop1": shared_optimum(fits, 2, rng), "borrowed": borrowed, "descent": end}.items():
            model = (b @ heads)[:, 1]
            row[f"{name}_error"] = float((model - truth).square().sum())
            row[f"{name}_excess"] = (float(loss(xs, ys, b, heads)) - floor) / scale
            row[f"{name}_moved"] = float((xs[1] @ (model - fits[:, 1])).norm() / ys[1].norm())
        rows.append(row)
    return rows


def gradient_descent(draws: list[TaskLists], b: Tensor, heads: Tensor, steps: int) -> list[tuple[Tensor, Tensor]]:
    """Plain full-batch gradient descent on eq. 3 for many draws of k tasks at once, one step size per draw.

    b: (draws, d, r), heads: (draws, r, k). Returns the end of each draw. The step is 0.4 over the largest curvature of any
    task, half of what a model of unit norm, evenly split between B and A, allows.
    """
    grams = torch.stack([torch.stack([x.T @ x for x in xs]) for xs, _ in draws])
    pulls = torch.stack([torch.stack([x.T @ y for x, y in zip(xs, ys, strict=True)], dim=1) for xs, ys in draws])
    rate = 0.4 / torch.linalg.eigvalsh(grams)[..., -1].amax(1)[:, None, None]
    for _ in range(steps):
        residual = (grams @ (b @ heads).mT.unsqueeze(-1)).squeeze(-1).mT - pulls
        b, heads = b - rate * residual @ heads.mT, heads - rate * b.mT @ residual
    return list(zip(b, heads, strict=True))


def relu_single_task(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The best single unit a ReLU(w x) on one input, exactly: only the sign of w matters. x, y: (m,). Returns w, a, loss."""
    fits = []
    for sign in (1.0, -1.0):
        unit = torch.relu(sign * x)
        energy = unit.square().sum()
        a = (unit @ y) / energy if energy > 0 else torch.zeros((), dtype=x.dtype)
        fits.append((torch.tensor(sign, dtype=x.dtype), a, (a * unit - y).square().sum()))
    return min(fits, key=lambda fit: float(fit[2]))


def relu_gap(xs: list[Tensor], ys: list[Tensor]) -> dict[str, float]:
    """ReLU tasks on one input, r = k: the loss when each A_i picks its own unit, and the least loss over all A and B.

    xs, ys: lists of (m_i,). own: the sum of single-task minima (A_i picks its own unit); refit: the same B, best heads;
    least: the multi-task optimum for r >= 2, exact because ReLU(x) and ReLU(-x) span every ReLU feature of one input.
    """
    fits = [relu_single_task(x, y) for x, y in zip(xs, ys, strict=True)]
    shared = torch.stack([w for w, _, _ in fits])

    def best(signs: Tensor) -> float:
        total = 0.0
        for x, y in zip(xs, ys, strict=True):
            units = torch.relu(x[:, None] * signs)
            total += float((units @ (torch.linalg.pinv(units) @ y) - y).square().sum())
        return total

    both = torch.tensor([1.0, -1.0], dtype=torch.float64)
    return {"own": float(sum(fit[2] for fit in fits)), "refit": best(shared), "least": best(both if len(xs) > 1 else shared)}


def try_relu(noise: float, count: int, seed: int, tolerance: float) -> dict[str, Any]:
    """The ReLU claim on `count` random sets of 2 to 5 one-input tasks y = a ReLU(w x) + noise.

    Returns n; worst: the largest share of the label energy by which the multi-task optimum lies below the models the
    paper calls optimal; violations: how often that share is above `tolerance`; median of it.
    """
    rng = torch.Generator().manual_seed(seed)
    shares = []
    for _ in range(count):
        k, m = (int(torch.randint(low, high, (), generator=rng)) for low, high in ((2, 6), (3, 30)))
        signs = torch.where(torch.rand(k, generator=rng, dtype=torch.float64) < 0.5, 1.0, -1.0)
        xs = list(torch.randn(k, m, generator=rng, dtype=torch.float64))
        errors = noise * torch.randn(k, m, generator=rng, dtype=torch.float64)
        ys = list(torch.relu(signs[:, None] * torch.stack(xs)) + errors)
        losses = relu_gap(xs, ys)
        scale = sum(float(y.square().sum()) for y in ys) or 1.0
        shares.append((losses["own"] - losses["least"]) / scale)
    broken = sum(share > tolerance for share in shares)
    return {"n": count, "worst": max(shares), "violations": broken, "median": float(np.median(shares))}


def smallest_relu() -> dict[str, float]:
    """`relu_gap` of one input, samples (1, -1), y_1 = (1, 1/2) and y_2 = (1/2, 1): the smallest counterexample."""
    x = torch.tensor([1.0, -1.0], dtype=torch.float64)
    return relu_gap([x, x], [torch.tensor(y, dtype=torch.float64) for y in ([1.0, 0.5], [0.5, 1.0])])


MEASURES: dict[str, Callable[..., Any]] = {
    "optimum": try_optimum, "gap": try_gap, "transfer": try_transfer, "relu": try_relu, "smallest": smallest_relu,
}  # fmt: skip


def measure(kind: str, **setting: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """The rows of one of `settings`."""
    rows: dict[str, Any] | list[dict[str, Any]] = MEASURES[kind](**setting)
    return rows


def settings(p: Params) -> list[dict[str, Any]]:
    """What the page runs: random instances of each case, the gap below r = k, transfer at r = k, and ReLU tasks."""
    chunk = min(100, p.instances)
    chunks = -(-p.instances // chunk)
    return [
        *(
            {"kind": "optimum", "case": case, "count": chunk, "seed": 1000 * place + part, "tolerance": TOLERANCE,
             "descents": p.descents // chunks + (part < p.descents % chunks)}
            for place, case in enumerate(CASES)
            for part in range(chunks)
        ),
        *(
            {"kind": "gap", "cosine": cosine, "k": 6, "d": 20, "m": 60, "count": p.draws, "seed": 5}
            for cosine in (0.0, 0.9, 0.99)
        ),
        *(
            {"kind": "transfer", "target_samples": m, "start": start, "count": p.draws, "seed": 9}
            for m in (5, 10, 15, 30, 60)
            for start in (0.1, 1.0)
        ),
        {"kind": "smallest"},
        *(
            {"kind": "relu", "noise": noise, "count": p.instances, "seed": 3, "tolerance": TOLERANCE}
            for noise in (0.0, 0.1, 0.5, 1.0)
        ),
    ]  # fmt: skip
