"""Proposition 5 of the transfer paper: the multi-task optimum when all tasks have the same covariance, and its loss.

Loss (eq. 2, linear):  f(A_1..A_k; B) = sum_i α_i |X_i B A_i - y_i|²  with X_iᵀX_i = Σ for every task
Σ = V D Vᵀ, S = D^(1/2) the singular values of every X_i = U_i S Vᵀ, Z = [sqrt(α_i) U_iᵀ y_i] of shape (d, k)
Optimum:               B* = V D^(-1/2) C* with C* the top r left singular vectors of Z
Loss gap to the single-task models: sum over i > r of λ_i, the squared singular values of Z; an equality.
Printed corollary:     λ_i the singular values of D^(-1) Vᵀ (sum_i α_i X_iᵀ y_i y_iᵀ X_i), the gap at most sum over i > r of λ_i².

Tasks are `regression_tasks.Tasks`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from mtlrepro.papers.transfer.theory import optimum as theory
from mtlrepro.papers.transfer.theory.proof_lines import Array, Line, line_rows
from mtlrepro.papers.transfer.theory.regression_tasks import RANK_TOLERANCE, Tasks, best_loss, descend, random_sizes
from mtlrepro.parameters import Params

# Relative to the label energy; rounding leaves about 1e-15.
TOLERANCE = 1e-9
CASES = ("equal weights", "random weights", "similar tasks", "more tasks than inputs", "ill conditioned", "singular covariance")

# Where the statement calls two things D: (whose singular values, the power of D in B* = V D^power C*).
OPTIMA = {
    "D of Σ, V D^(-1/2) C*": ("covariance", -0.5),
    "D of X, V D^(-1/2) C*": ("inputs", -0.5),
    "D of X, V D^(-1) C*": ("inputs", -1.0),
    "D of Σ, V D^(-1) C*": ("covariance", -1.0),
}
# How the corollary can be read: (sides of the matrix on which D^(-1) stands, whose D, power of λ in the bound).
BOUNDS = {
    "printed: one side, D of Σ, λ²": (1, "covariance", 2),
    "one side, D of X, λ²": (1, "inputs", 2),
    "both sides, D of X, λ²": (2, "inputs", 2),
    "one side, D of Σ, λ": (1, "covariance", 1),
    "both sides, D of X, λ (corrected)": (2, "inputs", 1),
}


def tasks_of_case(case: str, d: int, k: int, rng: np.random.Generator) -> Tasks:
    """k tasks of one covariance, each with its own number of samples, and noisy labels; case: one of CASES.

    Raises ValueError for another case. In the singular case the rank of Σ is between 1 and d - 1.
    """
    if case not in CASES:
        raise ValueError(f"unknown case {case!r}; known: {', '.join(CASES)}")
    k = k + d if case == "more tasks than inputs" else k
    s = np.exp(rng.uniform(0, np.log(1e4 if case == "ill conditioned" else 10), d))
    if case == "singular covariance":
        s[int(rng.integers(1, d)) :] = 0
    v = np.linalg.qr(rng.standard_normal((d, d)))[0]
    xs = [np.linalg.qr(rng.standard_normal((int(rng.integers(d, 3 * d + 1)), d)))[0] * s @ v.T for _ in range(k)]
    common, own = rng.standard_normal(d), 0.2 if case == "similar tasks" else 1.0
    thetas = [(common if case == "similar tasks" else 0) + own * rng.standard_normal(d) for _ in xs]
    ys = [x @ theta + own * rng.standard_normal(len(x)) for x, theta in zip(xs, thetas, strict=True)]
    weights = np.ones(k) if case == "equal weights" else np.exp(rng.uniform(-1.5, 1.5, k))
    return Tasks(tuple(xs), tuple(ys), weights)


def scaled(tasks: Tasks, scale: float) -> Tasks:
    """The same tasks with all labels in other units, y -> scale y."""
    return replace(tasks, ys=tuple(scale * y for y in tasks.ys))


@dataclass(frozen=True)
class Whitened:
    """The tasks in the terms of the proof: s (rank,) descending and v (d, rank) of the X_i, z (rank, k) of the labels.

    own: (k,), the weighted loss of each single-task model.
    """

    s: Array
    v: Array
    z: Array
    own: Array

    def diagonal(self, of: str) -> Array:
        """D (rank,): the singular values of Σ (of="covariance") or of the X_i (of="inputs")."""
        return self.s**2 if of == "covariance" else self.s


def whiten(tasks: Tasks) -> Whitened:
    """Raises ValueError where the covariances are not equal."""
    first = tasks.xs[0].T @ tasks.xs[0]
    for x in tasks.xs:
        if not np.allclose(x.T @ x, first, rtol=0, atol=1e-9 * np.trace(first)):
            raise ValueError("the covariances are not equal")
    _, s, vt = np.linalg.svd(tasks.xs[0], full_matrices=False)
    kept = s > RANK_TOLERANCE * s[0]
    s, v = s[kept], vt[kept].T
    us = [x @ v / s for x in tasks.xs]
    z = np.stack([np.sqrt(w) * u.T @ y for u, y, w in zip(us, tasks.ys, tasks.weights, strict=True)], axis=1)
    own = np.array([w * ((y - u @ (u.T @ y)) ** 2).sum() for u, y, w in zip(us, tasks.ys, tasks.weights, strict=True)])
    return Whitened(s, v, z, own)


def printed_optimum(tasks: Tasks, rank: int, reading: str = "D of Σ, V D^(-1/2) C*") -> Array:
    """B* (d, rank) of the proposition, D read as one of OPTIMA. Needs rank at most that of Σ."""
    white = whiten(tasks)
    of, power = OPTIMA[reading]
    c = np.linalg.svd(white.z)[0][:, :rank]
    b: Array = white.v * white.diagonal(of) ** power @ c
    return b


def loss_gaps(white: Whitened, most: int) -> Array:
    """Least multi-task loss minus that of all single-task models, for r = 0..most: what the r-rank part of Z leaves."""
    values = np.linalg.svd(white.z, compute_uv=False) ** 2
    return np.array([values[r:].sum() for r in range(most + 1)])


def corollary_bound(white: Whitened, rank: int, reading: str) -> float:
    """The bound on the loss gap at `rank`, read as one of BOUNDS."""
    sides, of, power = BOUNDS[reading]
    d = white.diagonal(of)
    matrix = white.s[:, None] * (white.z @ white.z.T) * white.s  # Vᵀ (sum α_i X_iᵀ y_i y_iᵀ X_i) V
    matrix = matrix / d[:, None] if sides == 1 else matrix / np.outer(d, d)
    values = np.linalg.svd(matrix, compute_uv=False)
    return float((values[rank:] ** power).sum())


def try_optimum(case: str, count: int, seed: int, tolerance: float, descents: int) -> dict[str, Any]:
    """Try the optimum on `count` random instances of `case`, d in 2..7, k in 2..6 (2..6 + d), r in 1..min(k, rank).

    All relative to the label energy sum α_i |y_i|². closed: largest difference between the loss at B* and the closed-form
    optimum; below: least excess over it of ten other B, from nearby to random; descent: the same for the ends of L-BFGS
    (`descents` of the instances, which know nothing of B*), descent_gap their median. For every reading of D the largest
    excess of its B*, and in how many instances it is above `tolerance`.
    """
    rng = np.random.default_rng(seed)
    closed, below, ends = [], [], []
    excess: dict[str, list[float]] = {reading: [] for reading in OPTIMA}
    for number in range(count):
        tasks = tasks_of_case(case, *random_sizes(rng), rng)
        white = whiten(tasks)
        rank = int(rng.integers(1, min(white.z.shape) + 1))
        b = printed_optimum(tasks, rank)
        here = best_loss(tasks, b)
        x, y, w = ([torch.from_numpy(np.ascontiguousarray(a)) for a in part] for part in (tasks.xs, tasks.ys, (tasks.weights,)))
        exact = float(theory.mtl_optimum(x, y, rank, w[0]).loss)
        closed.append(abs(here - exact) / tasks.energy)
        for reading, values in excess.items():
            values.append((best_loss(tasks, printed_optimum(tasks, rank, reading)) - exact) / tasks.energy)
        for step in np.logspace(-4, 1, 10):
            other = b + step * np.abs(b).max() * rng.standard_normal(b.shape)
            below.append((best_loss(tasks, other) - here) / tasks.energy)
        if number < descents:
            inside = replace(tasks, xs=tuple(x @ white.v for x in tasks.xs))  # the range of Σ is all that B acts on
            start = rng.standard_normal((len(white.s), rank)), rng.standard_normal((rank, len(tasks.xs)))
            ends.append((descend(inside, *start)[0] - here) / tasks.energy)
    row: dict[str, Any] = {"n": count, "closed_worst": max(closed), "closed_violations": sum(c > tolerance for c in closed)}
    for name, values in {"below": below, "descent": ends}.items():
        row |= {f"{name}_n": len(values), f"{name}_worst": min(values, default=np.nan)}
        row[f"{name}_violations"] = sum(value < -tolerance for value in values)
    row["descent_gap"] = float(np.median(ends)) if ends else np.nan
    for reading, values in excess.items():
        row |= {f"{reading}: worst": max(values), f"{reading}: broken": sum(value > tolerance for value in values)}
    return row


def try_corollary(scale: float, count: int, seed: int, tolerance: float) -> list[dict[str, Any]]:
    """The readings of the corollary on `count` instances whose labels have a root mean weighted energy of `scale` a task.

    The same instances for every scale; r from 1 to min(k, d) - 1. One row per reading: broken (bound below the gap by more
    than `tolerance` of it), and the least, median and largest bound over gap.
    """
    rng = np.random.default_rng(seed)
    quotients: dict[str, list[float]] = {reading: [] for reading in BOUNDS}
    for _ in range(count):
        tasks = tasks_of_case("random weights", *random_sizes(rng), rng)
        white = whiten(scaled(tasks, scale / np.sqrt(tasks.energy / len(tasks.xs))))
        rank = int(rng.integers(1, min(white.z.shape)))
        gap = loss_gaps(white, rank)[rank]
        for reading, ratios in quotients.items():
            ratios.append(corollary_bound(white, rank, reading) / gap)
    return [
        {
            "reading": reading, "n": count, "broken": sum(bool(ratio < 1 - tolerance) for ratio in ratios),
            "least": float(min(ratios)), "median": float(np.median(ratios)), "largest": float(max(ratios)),
        }
        for reading, ratios in quotients.items()
    ]  # fmt: skip


def basis_tasks(k: int, scale: float = 1.0) -> Tasks:
    """The paper's example: X_i the identity and y_i = scale e_i for k tasks in d = k inputs."""
    return Tasks(tuple(np.eye(k) for _ in range(k)), tuple(scale * np.eye(k)), np.ones(k))


def try_example(k: int, scale: float, seed: int, starts: int) -> list[dict[str, Any]]:
    """The k - r example for r = 1..k: the best of `starts` descents, the loss at B*, and both bounds, one row per rank."""
    rng = np.random.default_rng(seed)
    tasks = basis_tasks(k, scale)
    white = whiten(tasks)
    rows = []
    for r in range(1, k + 1):
        ends = [descend(tasks, rng.standard_normal((k, r)), rng.standard_normal((r, k)))[0] for _ in range(starts)]
        bounds = {"printed": "printed: one side, D of Σ, λ²", "corrected": "both sides, D of X, λ (corrected)"}
        rows.append(
            {"r": r, "descent": min(ends), "loss": best_loss(tasks, printed_optimum(tasks, r)),
             "single": float(white.own.sum())}
            | {name: corollary_bound(white, r, reading) for name, reading in bounds.items()}
        )  # fmt: skip
    return rows


def one_sided_example() -> Tasks:
    """Two inputs, two tasks, r = 1, where even the sum of the printed λ (not squared) is below the gap.

    Σ = diag(4, 1), weights 1 and Uᵀy_1, Uᵀy_2 the rows of the square root of [[1, 0.9], [0.9, 1]].
    """
    values, vectors = np.linalg.eigh(np.array([[1.0, 0.9], [0.9, 1.0]]))
    root = vectors * np.sqrt(values) @ vectors.T
    return Tasks((np.diag([2.0, 1.0]),) * 2, tuple(root), np.ones(2))


def proof_lines(tasks: Tasks, b: Array, rank: int) -> list[Line]:
    """Every display of the statement, the proof and the corollary at B (d, rank), Σ not singular: printed, and corrected.

    "D of Σ" and "D of X" are the two readings of the one letter.
    """
    white, k = whiten(tasks), len(tasks.xs)
    s, v = white.s, white.v
    sigma = tasks.xs[0].T @ tasks.xs[0]
    total = sum(w * np.outer(x.T @ y, x.T @ y) for x, y, w in zip(tasks.xs, tasks.ys, tasks.weights, strict=True))
    m = white.z @ white.z.T
    first = float((b @ np.linalg.inv(b.T @ sigma @ b) @ b.T * total).sum())

    def inner(diagonal: Array) -> tuple[float, float, Array]:
        """<C(CᵀC)^(-1)Cᵀ, D^(-1)Vᵀ (sum) V D^(-1)>, the same with sum α_i U_iᵀ y_i y_iᵀ U_i, and the projection."""
        c = diagonal[:, None] * (v.T @ b)
        onto = c @ np.linalg.inv(c.T @ c) @ c.T
        return float((onto * (v.T @ total @ v / np.outer(diagonal, diagonal))).sum()), float((onto * m).sum()), onto

    by_sigma, by_x = inner(white.diagonal("covariance")), inner(white.diagonal("inputs"))
    eigen = np.linalg.eigvalsh(m)[::-1]
    plain = replace(tasks, weights=np.ones(k))
    exact = tasks.energy - float(eigen[:rank].sum())
    other = best_loss(tasks, printed_optimum(tasks, rank, "D of X, V D^(-1/2) C*"))
    gap = float(eigen[rank:].sum())
    read = "D the singular values of X, with Σ = V D² Vᵀ"
    return [
        Line("statement: X_i = U_i D Vᵀ, D of Σ = V D Vᵀ (norms)", "=", float((s**4).sum()), float((s**2).sum()), read),
        Line("statement: X_i = U_i D Vᵀ, D of X (norms)", "=", float((s**2).sum()), float(np.trace(sigma))),
        Line("statement: B* = V D^(-1/2) C* is optimal, D of Σ", "=", best_loss(tasks, printed_optimum(tasks, rank)), exact),
        Line("statement: the same, D of X", "=", other, exact, "V D^(-1) C*"),
        Line("statement: B* with weights is the optimum of eq. 3", "=", best_loss(plain, printed_optimum(tasks, rank)),
             best_loss(plain, printed_optimum(plain, rank)), "of eq. 2"),
        Line("proof: B* maximises the 1st display (energy minus it is the loss)", "=", tasks.energy - first, best_loss(tasks, b)),
        Line("proof: B = V D^(-1) C gives B back", "=", float(np.abs(v / s @ (s[:, None] * (v.T @ b)) - b).sum() + 1), 1.0),
        Line("proof: 1st display = 2nd display as printed, D of X", "=", first, k * by_x[0], "without the outer sum over i"),
        Line("proof: the same without the outer sum, D of X", "=", first, by_x[0]),
        Line("proof: the same without the outer sum, D of Σ", "=", first, by_sigma[0], read),
        Line("proof: 2nd display (one sum) = 3rd display, D of X", "=", by_x[0], by_x[1]),
        Line("proof: 2nd display (one sum) = 3rd display, D of Σ", "=", by_sigma[0], by_sigma[1], read),
        Line("proof: C(CᵀC)^(-1)Cᵀ is a projection of rank r (P² against P, trace)", "=",
             float(np.trace(by_x[2] @ by_x[2])), float(rank)),
        Line("proof: 3rd display is at most the sum of the r largest λ", "≤", by_x[1], float(eigen[:rank].sum())),
        Line("corollary: loss gap ≤ sum of λ_i² over i > r, as printed", "≤", gap,
             corollary_bound(white, rank, "printed: one side, D of Σ, λ²"), "λ_i of D^(-1/2)Vᵀ(sum)VD^(-1/2), not squared"),
        Line("(corrected) loss gap = sum of λ_i over i > r", "=", gap,
             corollary_bound(white, rank, "both sides, D of X, λ (corrected)")),
    ]  # fmt: skip


def try_lines(count: int, seed: int, scale: float) -> list[dict[str, Any]]:
    """`proof_lines` at random B of `count` instances with r < min(d, k); label energy `scale`² a task as in `try_corollary`."""
    rng = np.random.default_rng(seed)
    instances = []
    for _ in range(count):
        tasks = tasks_of_case("random weights", *random_sizes(rng), rng)
        tasks = scaled(tasks, scale / np.sqrt(tasks.energy / len(tasks.xs)))
        d, k = tasks.xs[0].shape[1], len(tasks.xs)
        rank = int(rng.integers(1, min(d, k)))
        instances.append(proof_lines(tasks, rng.standard_normal((d, rank)), rank))
    return line_rows(instances)


# Name of a small case -> its tasks; r = 1.
EXAMPLES: dict[str, Callable[[], Tasks]] = {
    "X = identity, y_i = e_i / 2": lambda: basis_tasks(2, 0.5), "Σ = diag(4, 1)": one_sided_example,
}  # fmt: skip


def costs(name: str) -> dict[str, float]:
    """The true cost of r = 1 and three readings of the bound on it, for one of EXAMPLES."""
    tasks = EXAMPLES[name]()
    white = whiten(tasks)
    return {
        "true cost": best_loss(tasks, printed_optimum(tasks, 1)) - white.own.sum(),
        "Σ λ_i², printed": corollary_bound(white, 1, "printed: one side, D of Σ, λ²"),
        "Σ λ_i, printed matrix": corollary_bound(white, 1, "one side, D of Σ, λ"),
        "Σ λ_i (corrected)": corollary_bound(white, 1, "both sides, D of X, λ (corrected)"),
    }


MEASURES: dict[str, Callable[..., Any]] = {
    "optimum": try_optimum, "example": try_example, "corollary": try_corollary, "costs": costs, "line": try_lines,
}  # fmt: skip


def measure(kind: str, **setting: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """The rows of one of `settings`."""
    rows: dict[str, Any] | list[dict[str, Any]] = MEASURES[kind](**setting)
    return rows


def settings(p: Params) -> list[dict[str, Any]]:
    """What the page runs: random instances of each case, the k - r example, the corollary in several units, the proof."""
    chunk = min(100, p.instances)
    chunks = -(-p.instances // chunk)
    return [
        *(
            {"kind": "optimum", "case": case, "count": chunk, "seed": 1000 * place + part, "tolerance": TOLERANCE,
             "descents": p.descents // chunks + (part < p.descents % chunks)}
            for place, case in enumerate(CASES)
            for part in range(chunks)
        ),
        *({"kind": "example", "scale": scale, "k": 6, "seed": 4, "starts": 2} for scale in (0.5, 1.0, 1.3)),
        *(
            {"kind": "corollary", "scale": scale, "count": p.draws, "seed": 8, "tolerance": TOLERANCE}
            for scale in (0.1, 0.3, 1.0, 3.0, 10.0)
        ),
        *({"kind": "costs", "name": name} for name in EXAMPLES),
        {"kind": "line", "count": p.proofs, "seed": 6, "scale": 0.3},
    ]  # fmt: skip
