"""Proposition 3 of the transfer paper: the multi-task optimum when all tasks have the same inputs, and task weights.

Loss (eq. 12):  f(A_1..A_k; B) = sum_i α_i |X B A_i - y_i|²,  X = U D Vᵀ of full rank,  r <= k
Printed:        span B* = span (XᵀX)^(-1) V D Q_r, with Q_r Q_rᵀ the best rank-r approximation of M = sum_i α_i Uᵀ y_i y_iᵀ U.
Remark after:   for y_1 = Xθ and y_2 = Xθ + ε, cos(B*, θ) increases to 1 as α_1 grows.

Tasks are `regression_tasks.Tasks` with one x for all tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy import linalg

from mtlrepro.papers.transfer.theory import optimum as theory
from mtlrepro.papers.transfer.theory.proof_lines import Array, Line, line_rows
from mtlrepro.papers.transfer.theory.prop5_equal_covariances import whiten
from mtlrepro.papers.transfer.theory.regression_tasks import Tasks, best_loss, random_sizes
from mtlrepro.parameters import Params

# Relative to the label energy; rounding leaves about 1e-15.
TOLERANCE = 1e-9
CASES = ("random", "ill conditioned", "square X", "similar tasks", "rank-deficient X", "fewer samples than inputs")
# Where the span of an optimal B is not that of the formula.
DEGENERATE = ("labels of rank below r", "tie of singular values", "rank-deficient X")


def tasks_of_case(case: str, d: int, k: int, rng: np.random.Generator) -> Tasks:
    """k tasks of noisy labels on the same inputs (m, d); case: one of CASES, or of DEGENERATE (then k >= 2).

    Raises ValueError for another case.
    """
    if case not in CASES + DEGENERATE:
        raise ValueError(f"unknown case {case!r}; known: {', '.join(CASES + DEGENERATE)}")
    m = {"square X": d, "fewer samples than inputs": max(1, d - 1)}.get(case, int(rng.integers(d + 1, 3 * d + 1)))
    n = min(m, d)
    s = np.sort(np.exp(rng.uniform(0, np.log(1e4 if case == "ill conditioned" else 10), n)))[::-1]
    if case == "rank-deficient X":
        s[int(rng.integers(1, d)) :] = 0
    u, v = (np.linalg.qr(rng.standard_normal((size, n)))[0] for size in (m, d))
    x = u * s @ v.T
    weights = np.exp(rng.uniform(-1.5, 1.5, k))
    if case == "labels of rank below r":
        y = rng.standard_normal((m, 1)) @ rng.standard_normal((1, k))
    elif case == "tie of singular values":  # orthogonal labels of one size, weights included
        turn = np.linalg.qr(rng.standard_normal((d, d)))[0][:, : min(d, k)]
        y = u @ turn @ np.eye(min(d, k), k) / np.sqrt(weights)
    else:
        common = 3 * (case == "similar tasks") * rng.standard_normal((d, 1))
        y = x @ (common + rng.standard_normal((d, k))) + rng.standard_normal((m, k))
    return Tasks((x,) * k, tuple(y.T), weights)


def printed_optimum(tasks: Tasks, rank: int) -> Array:
    """(XᵀX)† V D Q_r, (d, rank): the formula as printed, with a pseudo-inverse where X has not full column rank."""
    white = whiten(tasks)
    q = np.linalg.svd(white.z)[0][:, :rank]
    gram_inverse = white.v / white.s**2 @ white.v.T
    b: Array = gram_inverse @ white.v @ (white.s[:, None] * q)
    return b


def alternate(tasks: Tasks, rank: int, rng: np.random.Generator, steps: int = 400) -> Array:
    """B (d, rank) after `steps` rounds of exact least squares over the heads, then over B, from a random start."""
    x, y = tasks.xs[0], np.stack(tasks.ys, axis=1)
    own = np.linalg.lstsq(x, y, rcond=None)[0]
    b = np.linalg.qr(rng.standard_normal((x.shape[1], rank)))[0]
    for _ in range(steps):
        heads = np.linalg.lstsq(x @ b, y, rcond=None)[0] * tasks.weights
        b = np.linalg.qr(own @ heads.T)[0]
    return b


def span_sine(a: Array, b: Array) -> float:
    """Sine of the largest angle between the column spans of a and b, (d, r) each of full column rank."""
    return float(np.sin(linalg.subspace_angles(a, b)).max())


def try_optimum(case: str, count: int, seed: int, tolerance: float, descents: int) -> dict[str, Any]:
    """Try the formula on `count` instances of `case`, d in 2..7, k in 2..6, r in 1..min(k, rank of X).

    Losses relative to sum α_i |y_i|². closed: largest difference between the loss at the formula and the least possible,
    from `theory.mtl_optimum`. margin: least excess of ten other B, near and far, over what their angle demands,
    (λ_r - λ_{r+1}) |sin|² with the angles between the spans of X B and X B*: only one span of X B is optimal where
    λ_r > λ_{r+1}. angle: largest sine between the spans of X B for the formula and for the end of alternating least squares
    (`descents` of the instances, those with full column rank and λ_{r+1} < 0.8 λ_r; angle_n counts them).
    """
    rng = np.random.default_rng(seed)
    closed, margin, angles = [], [], []
    for number in range(count):
        tasks = tasks_of_case(case, *random_sizes(rng), rng)
        white = whiten(tasks)
        rank = int(rng.integers(1, min(white.z.shape) + 1))
        b = printed_optimum(tasks, rank)
        here = best_loss(tasks, b)
        x, y = [torch.from_numpy(tasks.xs[0])] * len(tasks.ys), [torch.from_numpy(y.copy()) for y in tasks.ys]
        exact = float(theory.mtl_optimum(x, y, rank, torch.from_numpy(tasks.weights)).loss)
        closed.append(abs(here - exact) / tasks.energy)
        values = np.append(np.linalg.svd(white.z, compute_uv=False) ** 2, 0)
        for step in np.logspace(-4, 1, 10):
            other = b + step * np.abs(b).max() * rng.standard_normal(b.shape)
            turned = np.sin(linalg.subspace_angles(tasks.xs[0] @ b, tasks.xs[0] @ other))
            demanded = (values[rank - 1] - values[rank]) * (turned**2).sum()
            margin.append((best_loss(tasks, other) - here - demanded) / tasks.energy)
        if number < descents and values[rank] < 0.8 * values[rank - 1] and len(white.s) == b.shape[0]:
            end = alternate(tasks, rank, rng)
            angles.append(span_sine(tasks.xs[0] @ b, tasks.xs[0] @ end))
    return {
        "n": count, "closed_worst": max(closed), "closed_violations": sum(c > tolerance for c in closed),
        "margin_n": len(margin), "margin_worst": min(margin), "margin_violations": sum(c < -tolerance for c in margin),
        "angle_n": len(angles), "angle_worst": max(angles, default=np.nan), "angle_violations": sum(a > 1e-6 for a in angles),
    }  # fmt: skip


def another_optimum(tasks: Tasks, rank: int, case: str, rng: np.random.Generator) -> Array:
    """A second optimal B (d, rank) of another span than `printed_optimum`, for a case of DEGENERATE."""
    b = printed_optimum(tasks, rank)
    if case == "rank-deficient X":  # what X does not see is free
        v = whiten(tasks).v
        free = rng.standard_normal(b.shape) * np.abs(b).max()
        moved: Array = b + free - v @ (v.T @ free)
        return moved
    if case == "labels of rank below r":  # the first column alone carries the labels
        return np.concatenate([b[:, :1], rng.standard_normal((b.shape[0], rank - 1))], axis=1)
    white = whiten(tasks)
    turn = np.linalg.qr(rng.standard_normal((white.z.shape[1],) * 2))[0]
    q = np.linalg.qr(white.z @ turn)[0][:, :rank]
    other: Array = white.v / white.s @ q
    return other


def try_degenerate(case: str, count: int, seed: int, tolerance: float) -> dict[str, Any]:
    """Second optima in a degenerate case: the largest difference in loss, and the least and median sine between the spans."""
    rng = np.random.default_rng(seed)
    excess: list[float] = []
    sines: list[float] = []
    while len(sines) < count:
        tasks = tasks_of_case(case, int(rng.integers(3, 8)), 3, rng)
        rank = 2 if case == "labels of rank below r" else 1
        b, other = printed_optimum(tasks, rank), another_optimum(tasks, rank, case, rng)
        excess.append(abs(best_loss(tasks, other) - best_loss(tasks, b)) / tasks.energy)
        sines.append(span_sine(b, other))
    same = sum(e < tolerance and s > 1e-6 for e, s in zip(excess, sines, strict=True))
    return {"n": count, "excess": max(excess), "sine_least": min(sines), "sine_median": float(np.median(sines)), "broken": same}


# --- The remark: more weight on the clean task.


def weighted_line(x: Array, theta: Array, noise: Array, alphas: Array) -> tuple[Array, Array, Array]:
    """B* (r = 1) of y_1 = xθ, y_2 = xθ + noise against α_1 at α_2 = 1: three curves over `alphas` (points,).

    x: (m, d) of full column rank. Returns cos(B* A_1*, θ) with the sign of task 1's model, |cos(B*, θ)|, and
    |cos(X B*, X θ)|.
    """
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    z = np.stack([s * (vt @ theta), s * (vt @ theta) + u.T @ noise], axis=1)
    scaled = z * np.stack([np.sqrt(alphas), np.ones_like(alphas)], axis=1)[:, None, :]
    q = np.linalg.svd(scaled, full_matrices=False)[0][..., 0]
    q = q * np.where(q @ z[:, 0] < 0, -1.0, 1.0)[:, None]  # A_1 = q·z_1 > 0
    b = q / s @ vt
    signed = b @ theta / (np.linalg.norm(b, axis=1) * np.linalg.norm(theta))
    return signed, np.abs(signed), q @ z[:, 0] / np.linalg.norm(z[:, 0])


def draw_remark(kappa: float, noise: float, rng: np.random.Generator, d: int = 5, m: int = 20) -> tuple[Array, Array, Array]:
    """x (m, d) of condition number kappa, a random θ (d,), and ε (m,) of size |ε| = noise |xθ|."""
    u, v = (np.linalg.qr(rng.standard_normal((size, d)))[0] for size in (m, d))
    x = u * np.geomspace(1, 1 / kappa, d) @ v.T
    theta, epsilon = rng.standard_normal(d), rng.standard_normal(m)
    return x, theta, epsilon * noise * np.linalg.norm(x @ theta) / np.linalg.norm(epsilon)


def try_remark(kappa: float, noise: float, count: int, seed: int, tolerance: float) -> dict[str, Any]:
    """The remark on `count` draws, α_1 from 1 to 1e10 in 400 steps: in how many each cosine falls somewhere, and its limit.

    obtuse: draws where task 1's model starts at more than a right angle from θ, so that |cos| must fall; acute_falls: draws
    where |cos| falls although it does not; depth: the largest fall.
    """
    rng = np.random.default_rng(seed)
    alphas = np.geomspace(1, 1e10, 400)
    falls = dict.fromkeys(("signed", "absolute", "outputs"), 0)
    obtuse, acute_falls, limit, depth, worst = 0, 0, 1.0, 0.0, -np.inf
    for _ in range(count):
        curves = dict(zip(falls, weighted_line(*draw_remark(kappa, noise, rng), alphas), strict=True))
        for name, curve in curves.items():
            falls[name] += bool((np.diff(curve) < -tolerance).any())
        start, falling = curves["signed"][0] < 0, bool((np.diff(curves["absolute"]) < -tolerance).any())
        obtuse += bool(start)
        acute_falls += bool(falling and not start)
        limit = min(limit, float(curves["signed"][-1]))
        worst = max(worst, float(-np.diff(curves["signed"]).min()))
        depth = max(depth, float((np.maximum.accumulate(curves["absolute"]) - curves["absolute"]).max()))
    return {"n": count, "obtuse": obtuse, "acute_falls": acute_falls, "limit": limit, "depth": depth, "worst": worst} | {
        f"falls_{name}": number for name, number in falls.items()
    }


def smallest_dip() -> tuple[Array, Array, Array]:
    """x = diag(2, 1), θ = (1, 1), ε = (2, -5): y_1 = (2, 1), y_2 = (4, -4)."""
    return np.diag([2.0, 1.0]), np.ones(2), np.array([2.0, -5.0])


def proof_lines(tasks: Tasks, rank: int) -> list[Line]:
    """Every line of the proof (App. A.3) and of the remark (Section 2.4) for a square X (m = d), where all shapes fit.

    Losses are compared for spans, sums of absolute values (entries differ, so do sums) for matrices.
    """
    white = whiten(tasks)
    x, y = tasks.xs[0], np.stack(tasks.ys, axis=1)
    u = x @ white.v / white.s
    q = np.linalg.svd(white.z)[0][:, :rank]
    z = y * np.sqrt(tasks.weights)
    best = best_loss(tasks, printed_optimum(tasks, rank))
    inverse = np.linalg.inv(x.T @ x)
    formula = white.v / white.s @ q
    values = np.linalg.svd(white.z, compute_uv=False) ** 2
    least = tasks.energy - float(values[:rank].sum())
    m = sum(w * np.outer(u.T @ t, u.T @ t) for w, t in zip(tasks.weights, tasks.ys, strict=True))
    one = np.linalg.eigh(np.outer(u.T @ y[:, 0], u.T @ y[:, 0]))[1][:, ::-1][:, :rank]
    squared = replace(tasks, weights=tasks.weights**2)
    models = inverse @ x.T @ y

    def same(name: str, left: Array, right: Array, note: str = "") -> Line:
        """The matrices left and right are equal: 1 + their distance over the size of right, against 1."""
        return Line(name, "=", 1 + float(np.linalg.norm(left - right) / np.linalg.norm(right)), 1.0, note)

    return [
        Line("statement: span of (XᵀX)^(-1) V D Q_r is optimal", "=", best, least),
        Line("proof: VD^(-1) times the best rank-r approximation is optimal, D of X", "=", best_loss(tasks, formula), least),
        Line("proof: the same with VD^(-1/2), as Prop. 5 prints it, D of X", "=",
             best_loss(tasks, white.v / np.sqrt(white.s) @ q), least, "D in Prop. 5 is that of XᵀX"),
        Line("proof: approximates α_i Uᵀy_iy_iᵀU of one i (no sum)", "=",
             best_loss(tasks, white.v / white.s @ one), least, "sum over i"),
        same("proof: UᵀZZᵀU = Σ α_i Uᵀy_iy_iᵀU with Z = [√α_i y_i]", u.T @ z @ z.T @ u, m),
        same("proof: VD^(-1)Q_r = (XᵀX)^(-1) X Q_r (shapes fit if m = d)", inverse @ x @ q, formula, "(XᵀX)^(-1) Xᵀ U Q_r"),
        Line("proof: the span of (XᵀX)^(-1) X Q_r is optimal (m = d)", "=", best_loss(tasks, inverse @ x @ q), least,
             "(XᵀX)^(-1) Xᵀ U Q_r"),
        same("(corrected) VD^(-1)Q_r = (XᵀX)^(-1) Xᵀ U Q_r = (XᵀX)^(-1) V D Q_r", inverse @ x.T @ u @ q, formula),
        Line("proof: the loss at B* G is that at B*, G invertible", "=",
             best_loss(tasks, formula @ (np.eye(rank) + np.tri(rank))), least),
        same("remark: (XᵀX)^† X [α_i y_i] = [α_i θ_i] (m = d)", inverse @ x @ (y * tasks.weights), models * tasks.weights,
             "Xᵀ for X"),
        same("(corrected) (XᵀX)^† Xᵀ [α_i y_i] = [α_i θ_i]", inverse @ x.T @ (y * tasks.weights), models * tasks.weights),
        Line("remark: B* follows from the columns α_i y_i", "=", best_loss(tasks, printed_optimum(squared, rank)), least,
             "√α_i y_i"),
    ]  # fmt: skip


def try_lines(count: int, seed: int) -> list[dict[str, Any]]:
    """`proof_lines` on `count` instances with m = d and r < min(d, k)."""
    rng = np.random.default_rng(seed)
    instances = []
    for _ in range(count):
        d, k = int(rng.integers(2, 7)), int(rng.integers(2, 6))
        instances.append(proof_lines(tasks_of_case("square X", d, k, rng), int(rng.integers(1, min(d, k)))))
    return line_rows(instances)


def curve(kappa: float, noise: float, seed: int, points: int, dip: bool) -> list[dict[str, Any]]:
    """`weighted_line` at `points` weights from 1 to 1e4: of a random draw, or (dip) of `smallest_dip`."""
    drawn = smallest_dip() if dip else draw_remark(kappa, noise, np.random.default_rng(seed))
    alphas = np.geomspace(1, 1e4, points)
    names = ("signed", "absolute", "outputs")
    return [
        {"alpha": alpha} | dict(zip(names, values, strict=True))
        for alpha, *values in zip(alphas, *weighted_line(*drawn, alphas), strict=True)
    ]


MEASURES: dict[str, Callable[..., Any]] = {
    "optimum": try_optimum, "degenerate": try_degenerate, "curve": curve, "remark": try_remark, "line": try_lines,
}  # fmt: skip


def measure(kind: str, **setting: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """The rows of one of `settings`."""
    rows: dict[str, Any] | list[dict[str, Any]] = MEASURES[kind](**setting)
    return rows


def settings(p: Params) -> list[dict[str, Any]]:
    """What the page runs: random instances of each case, degenerate ones, the remark's curves and shares, the proof."""
    examples = [{"kappa": 2.0, "noise": (29 / 5) ** 0.5, "seed": 0, "dip": True}]
    examples += [{"kappa": 30.0, "noise": 3.0, "seed": seed, "dip": False} for seed in range(10)]
    return [
        *(
            {"kind": "optimum", "case": case, "count": p.instances, "seed": place, "tolerance": TOLERANCE, "descents": p.descents}
            for place, case in enumerate(CASES)
        ),
        *({"kind": "degenerate", "case": case, "count": p.instances, "seed": 7, "tolerance": TOLERANCE} for case in DEGENERATE),
        *({"kind": "curve", "points": 200} | example for example in examples),
        *(
            {"kind": "remark", "kappa": kappa, "noise": noise, "count": p.draws, "seed": 11, "tolerance": TOLERANCE}
            for noise in (0.3, 1.0, 3.0)
            for kappa in (1.0, 3.0, 10.0, 30.0, 100.0)
        ),
        {"kind": "line", "count": p.proofs, "seed": 6},
    ]
