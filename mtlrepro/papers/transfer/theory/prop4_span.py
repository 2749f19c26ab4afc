"""Proposition 4 of the transfer paper: with the best heads, the multi-task loss depends on the span of B alone.

Loss (eq. 3):  f(A_1..A_k; B) = sum_i |X_i B A_i - y_i|²,  h(B) = its least value over the heads
Printed:       optimal heads fit y_i within the span of X_i B; an optimal B has orthonormal columns and maximises
               sum_i <B (Bᵀ X_iᵀX_i B)† Bᵀ, X_iᵀ y_i y_iᵀ X_i> (eq. 7); any B whose span holds every θ_i is optimal.

Tasks are `regression_tasks.Tasks` of unit weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mtlrepro.papers.transfer.theory import prop1_capacity
from mtlrepro.papers.transfer.theory.proof_lines import Array, Line, line_rows
from mtlrepro.papers.transfer.theory.regression_tasks import Tasks, best_loss
from mtlrepro.parameters import Params

# Relative to the label energy; (7) squares the condition number, up to 1e3 in the case of correlated inputs.
TOLERANCE = 1e-8
# Eigenvalues of BᵀX_iᵀX_iB below this share of the largest count as zero.
_RANK = 1e-13


def tasks_of_case(case: str, d: int, k: int, seed: int) -> Tasks:
    """Random tasks of one of `prop1_capacity.CASES`."""
    xs, ys = prop1_capacity.tasks_of_case(case, d, k, torch.Generator().manual_seed(seed))
    return Tasks(tuple(x.numpy() for x in xs), tuple(y.numpy() for y in ys), np.ones(k))


def _inverse(x: Array, b: Array) -> Array:
    """(BᵀXᵀXB)†, (r, r)."""
    inverse: Array = np.linalg.pinv(b.T @ x.T @ x @ b, rcond=_RANK, hermitian=True)
    return inverse


def best_heads(tasks: Tasks, b: Array) -> Array:
    """A_i = (BᵀX_iᵀX_iB)† Bᵀ X_iᵀ y_i as columns (r, k)."""
    return np.stack([_inverse(x, b) @ (b.T @ (x.T @ y)) for x, y in zip(tasks.xs, tasks.ys, strict=True)], axis=1)


def explained(tasks: Tasks, b: Array, power: int = -1) -> float:
    """Equation 7 at B (d, r). power=1: BᵀX_iᵀX_iB itself for its pseudo-inverse, as a line of the proof prints it."""
    total = 0.0
    for x, y in zip(tasks.xs, tasks.ys, strict=True):
        inner = _inverse(x, b) if power < 0 else b.T @ x.T @ x @ b
        total += float(((b @ inner @ b.T) * np.outer(x.T @ y, x.T @ y)).sum())
    return total


def orthonormal(b: Array) -> Array:
    """Orthonormal columns of the same span, (d, rank of b)."""
    u, s, _ = np.linalg.svd(b, full_matrices=False)
    basis: Array = u[:, s > 1e-12 * s[0]]
    return basis


def single_task_losses(tasks: Tasks) -> float:
    """The sum of the single-task minima."""
    return best_loss(tasks, np.eye(tasks.xs[0].shape[1]))


def _invertible(r: int, condition: float, rng: np.random.Generator) -> Array:
    """A random invertible matrix (r, r) of the given condition number."""
    left, right = (np.linalg.qr(rng.standard_normal((r, r)))[0] for _ in range(2))
    matrix: Array = left * np.geomspace(1, 1 / condition, r) @ right
    return matrix


def try_span(case: str, count: int, seed: int, tolerance: float) -> dict[str, Any]:
    """Try the proposition on `count` instances of `case`, d in 2..8, k in 1..5, r in 1..d (r >= k for `contains`).

    Relative to sum |y_i|². heads: largest difference between f at the formula's heads and least squares; other: least
    excess of ten disturbed heads; eq7: largest |h(B) + (7) - sum |y_i|²|, for B of any columns; rotation: change of h for
    orthonormal columns of the same span; orbit: change of h from B to B G, G of condition number up to 1e3; off: the same
    for a B of another span (to be above 0; NaN never: r < d); contains: excess over the single-task minima of a random B
    whose span holds every θ_i.
    """
    rng = np.random.default_rng(seed)
    errors: dict[str, list[float]] = {name: [] for name in ("heads", "other", "eq7", "rotation", "orbit", "off", "contains")}
    for _ in range(count):
        d, k = int(rng.integers(2, 9)), int(rng.integers(1, 6))
        r = int(rng.integers(1, d))
        tasks = tasks_of_case(case, d, k, int(rng.integers(2**31)))
        b = rng.standard_normal((d, r))
        here, heads = best_loss(tasks, b), best_heads(tasks, b)
        errors["heads"].append(abs(tasks.loss(b, heads) - here) / tasks.energy)
        for step in np.logspace(-4, 1, 10):
            moved = heads + step * np.abs(heads).max() * rng.standard_normal(heads.shape)
            errors["other"].append((tasks.loss(b, moved) - here) / tasks.energy)
        errors["eq7"].append(abs(here + explained(tasks, b) - tasks.energy) / tasks.energy)
        errors["rotation"].append(abs(best_loss(tasks, orthonormal(b)) - here) / tasks.energy)
        turned = b @ _invertible(r, float(10 ** rng.uniform(0, 3)), rng)
        errors["orbit"].append(abs(best_loss(tasks, turned) - here) / tasks.energy)
        errors["off"].append(abs(best_loss(tasks, b + 0.1 * rng.standard_normal(b.shape)) - here) / tasks.energy)
        thetas = np.stack([np.linalg.lstsq(x, y, rcond=1e-10)[0] for x, y in zip(tasks.xs, tasks.ys, strict=True)], axis=1)
        wide = np.concatenate([thetas, rng.standard_normal((d, 1))], axis=1) @ _invertible(k + 1, 10, rng)
        errors["contains"].append(abs(best_loss(tasks, wide) - single_task_losses(tasks)) / tasks.energy)
    row: dict[str, Any] = {"n": count, "off_median": float(np.median(errors.pop("off")))}
    for name, values in errors.items():
        least = name == "other"
        row |= {f"{name}_n": len(values), f"{name}_worst": min(values) if least else max(values)}
        row[f"{name}_violations"] = sum((value < -tolerance) if least else (value > tolerance) for value in values)
    return row


def try_moves(step: float, count: int, seed: int, d: int = 6, k: int = 4, r: int = 3) -> list[dict[str, Any]]:
    """Change of h under a move of B of relative size `step`, inside its span (B + B N) and across it, one row a draw."""
    rng = np.random.default_rng(seed)
    rows = []
    for draw in range(count):
        tasks = tasks_of_case("more samples than inputs", d, k, int(rng.integers(2**31)))
        b = rng.standard_normal((d, r))
        here = best_loss(tasks, b)
        onto = orthonormal(b)
        inside = b @ rng.standard_normal((r, r))
        across = rng.standard_normal((d, r))
        across = across - onto @ (onto.T @ across)
        changes = {}
        for name, move in {"inside": inside, "across": across}.items():
            moved = b + step * np.linalg.norm(b) / np.linalg.norm(move) * move
            changes[name] = abs(best_loss(tasks, moved) - here) / tasks.energy
        rows.append({"draw": draw} | changes)
    return rows


# --- Where there is no optimum.


def two_lines() -> Tasks:
    """Two inputs, two tasks of different covariances and full column rank: an optimum for r = 1 exists."""
    xs = np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.5], [0.0, 2.0]])
    return Tasks(xs, (np.array([2.0, 0.5]), np.array([0.5, 2.0])), np.ones(2))


def no_optimum() -> Tasks:
    """X_1 = I, y_1 = (0, 1); X_2 = (1, 0), y_2 = 1: for r = 1 the infimum 0 of f is not attained."""
    return Tasks((np.eye(2), np.array([[1.0, 0.0]])), (np.array([0.0, 1.0]), np.array([1.0])), np.ones(2))


def circle(name: str, points: int, seed: int) -> list[dict[str, Any]]:
    """h of a B (2, 1) along every angle, and of random B of every length and sign (drawn "random"). name: a pair of tasks."""
    tasks = two_lines() if name == "two_lines" else no_optimum()
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, np.pi, points)
    rows = [{"drawn": "curve", "angle": a, "length": 1.0} for a in angles]
    rows += [
        {"drawn": "random", "angle": a, "length": float(np.exp(rng.normal()) * rng.choice([-1, 1]))}
        for a in rng.uniform(0, np.pi, 25)
    ]
    for row in rows:
        angle, length = float(row["angle"]), float(row["length"])  # type: ignore[arg-type]
        row["loss"] = best_loss(tasks, length * np.array([[np.cos(angle)], [np.sin(angle)]]))
    return rows


def approach(epsilon: float) -> dict[str, float]:
    """`no_optimum` at B = (ε, 1): the loss, and the head A_2 that it takes."""
    tasks, b = no_optimum(), np.array([[epsilon], [1.0]])
    return {"loss": best_loss(tasks, b), "A_2": float(best_heads(tasks, b)[0, 1])}


def smallest_display() -> dict[str, float]:
    """X = 2, y = 1, B = 1: what the last display of the proof gives with the pseudo-inverse and as printed; |y|² is 1."""
    one = Tasks((np.array([[2.0]]),), (np.array([1.0]),), np.ones(1))
    return {"with the pseudo-inverse": explained(one, np.eye(1)), "as printed": explained(one, np.eye(1), power=1)}


def proof_lines(tasks: Tasks, b: Array, rng: np.random.Generator) -> list[Line]:
    """Every line of the proof at B (d, r)."""
    heads = best_heads(tasks, b)
    here = best_loss(tasks, b)
    x, y = tasks.xs[0], tasks.ys[0]
    a = b.T @ x.T @ x @ b
    inverse = _inverse(x, b)
    fit = x @ b @ inverse @ (b.T @ (x.T @ y))
    one = Tasks((x,), (y,), np.ones(1))
    slope = sum(
        np.abs(b.T @ t.T @ (t @ b @ heads[:, i] - v)).sum() for i, (t, v) in enumerate(zip(tasks.xs, tasks.ys, strict=True))
    )
    size = sum(np.abs(b.T @ t.T @ v).sum() for t, v in zip(tasks.xs, tasks.ys, strict=True))
    step = rng.standard_normal(heads.shape)
    middle = (tasks.loss(b, heads + step) + tasks.loss(b, heads - step)) / 2
    thetas = np.stack([np.linalg.lstsq(t, v, rcond=1e-10)[0] for t, v in zip(tasks.xs, tasks.ys, strict=True)], axis=1)
    spanned = thetas @ np.linalg.lstsq(thetas, thetas, rcond=1e-10)[0]
    return [
        Line("BᵀB = Id without loss of generality: h is the same", "=", best_loss(tasks, orthonormal(b)), here),
        Line("f is linear in A_i: the mean of f(A + S) and f(A - S) is f(A)", "=", middle, tasks.loss(b, heads),
             "X_iBA_i is linear in A_i; f is convex and quadratic"),
        Line("A_i = (BᵀX_iᵀX_iB)†BᵀX_iᵀy_i is stationary (1 + slope)", "=", 1 + float(slope / size), 1.0),
        Line("h(B) is f at these heads", "=", tasks.loss(b, heads), here),
        Line("A†AA† = A†, A = BᵀX_iᵀX_iB (1 + distance)", "=",
             1 + float(np.linalg.norm(inverse @ a @ inverse - inverse) / np.linalg.norm(inverse)), 1.0),
        Line("|X_iB(...)†BᵀX_iᵀy_i|² = Tr(y_iᵀX_iB(...)†BᵀX_iᵀy_i)", "=", float(fit @ fit), float(y @ fit)),
        Line("Tr(...) = <B(BᵀX_iᵀX_iB)Bᵀ, X_iᵀy_iy_iᵀX_i>, as printed", "=", explained(one, b, power=1), float(y @ fit),
             "(BᵀX_iᵀX_iB)†"),
        Line("(corrected) Tr(...) = <B(BᵀX_iᵀX_iB)†Bᵀ, X_iᵀy_iy_iᵀX_i>", "=", explained(one, b), float(y @ fit)),
        Line("h(B) = Σ|y_i|² minus equation 7", "=", tasks.energy - explained(tasks, b), here),
        Line("heads with B*A_i* = θ_i exist if the span holds θ_i (1 + distance)", "=",
             1 + float(np.linalg.norm(spanned - thetas) / np.linalg.norm(thetas)), 1.0),
        Line("such a B* attains the single-task minima", "=", best_loss(tasks, thetas), single_task_losses(tasks)),
    ]  # fmt: skip


def try_lines(count: int, seed: int) -> list[dict[str, Any]]:
    """`proof_lines` at random B (d, r), r < d, of `count` instances with more samples than inputs and noisy labels."""
    rng = np.random.default_rng(seed)
    instances = []
    for _ in range(count):
        d, k = int(rng.integers(2, 8)), int(rng.integers(1, 6))
        tasks = tasks_of_case("more samples than inputs", d, k, int(rng.integers(2**31)))
        instances.append(proof_lines(tasks, rng.standard_normal((d, int(rng.integers(1, d)))), rng))
    return line_rows(instances)


MEASURES: dict[str, Callable[..., Any]] = {
    "span": try_span, "approach": approach, "angle": circle, "move": try_moves, "line": try_lines, "display": smallest_display,
}  # fmt: skip


def measure(kind: str, **setting: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """The rows of one of `settings`."""
    rows: dict[str, Any] | list[dict[str, Any]] = MEASURES[kind](**setting)
    return rows


def settings(p: Params) -> list[dict[str, Any]]:
    """What the page runs: random instances of each case, the case without optimum, both panels of the figure, the proof."""
    return [
        *(
            {"kind": "span", "case": case, "count": p.instances, "seed": place, "tolerance": TOLERANCE}
            for place, case in enumerate(prop1_capacity.CASES)
        ),
        *({"kind": "angle", "name": name, "points": 181, "seed": 3} for name in ("two_lines", "no_optimum")),
        *({"kind": "move", "step": float(step), "count": p.draws, "seed": 4} for step in 10.0 ** np.arange(-6, 1)),
        {"kind": "line", "count": p.proofs, "seed": 6},
        *({"kind": "approach", "epsilon": epsilon} for epsilon in (1.0, 0.1, 0.01, 0.001, 0.0)),
        {"kind": "display"},
    ]
