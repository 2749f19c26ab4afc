"""Lemma 10 of the transfer paper: with proportional covariances the linear multi-task loss has no spurious local minimum.

Loss (eq. 12):  f(A_1..A_k; B) = sum_i w_i |X_i B A_i - y_i|²  with B (d, r) and A_i (r,)
Assumed:        X_iᵀ X_i = a_i Σ with a_i > 0 (and any weights w_i > 0)
Then:           every local minimum is global; every other stationary point is a saddle with negative curvature.
Without it:     two inputs, two tasks and r = 1 are enough for a spurious local minimum (`crossed_labels`).

For r = 1 and two tasks the best heads can be put in (eq. 4), which leaves one function of the direction of B; in two
inputs its stationary points are the roots of a polynomial of degree 6 and can be counted exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtlrepro.papers.transfer.theory.proof_lines import Array, Line, line_rows
from mtlrepro.papers.transfer.theory.regression_tasks import Tasks, descend, tasks_of_case
from mtlrepro.parameters import Params

# Share of the label energy: an end that far above the optimum is another minimum.
TOLERANCE = 1e-8
# Of the least eigenvalue, relative to the largest, at stationary points.
CURVATURE = 1e-11


@dataclass(frozen=True)
class Reduced:
    """Tasks with X_iᵀX_i = a_i Σ as low-rank approximation: f = |C A - Z|² + constant, C = D Vᵀ B, A_i' = sqrt(w_i a_i) A_i."""

    z: Array  # (d, k), columns sqrt(w_i) U_iᵀ y_i
    back: Array  # (d, d), B = back @ C
    head_scales: Array  # (k,), sqrt(w_i a_i)
    constant: float

    def optimum(self, rank: int) -> float:
        """The least value of f: what the best approximation of Z of that rank leaves, plus the constant."""
        return float((np.linalg.svd(self.z, compute_uv=False)[rank:] ** 2).sum()) + self.constant


def reduce(tasks: Tasks) -> Reduced:
    """The reduction in the proof of Lemma 10. Raises ValueError where the covariances are not proportional."""
    first = tasks.xs[0].T @ tasks.xs[0]
    values, v = np.linalg.eigh(first)
    d = np.sqrt(values)
    columns, scales, constant = [], [], 0.0
    for x, y, w in zip(tasks.xs, tasks.ys, tasks.weights, strict=True):
        a = np.trace(x.T @ x) / np.trace(first)
        if not np.allclose(x.T @ x, a * first, rtol=0, atol=1e-9 * a * values[-1]):
            raise ValueError("the covariances are not proportional")
        u = x @ (v / d) / np.sqrt(a)
        columns.append(np.sqrt(w) * u.T @ y)
        scales.append(np.sqrt(w * a))
        constant += float(w * (y @ y - (u.T @ y) @ (u.T @ y)))
    return Reduced(np.stack(columns, axis=1), v / d, np.array(scales), constant)


def try_descents(case: str, count: int, starts: int, seed: int, tolerance: float) -> dict[str, Any]:
    """Descend from `starts` random points on `count` instances; d in 2..6, k in 2..5, r in 1..min(d, k) - 1.

    Returns n; missed: ends whose loss is above the optimum by more than `tolerance` of the label energy; worst: the
    largest such excess; instances_missed. The optimum is exact for proportional covariances, else the least end found.
    """
    rng = np.random.default_rng(seed)
    missed, hit, worst = 0, 0, 0.0
    for _ in range(count):
        d, k = int(rng.integers(2, 7)), int(rng.integers(2, 6))
        r = int(rng.integers(1, min(d, k)))
        tasks = tasks_of_case(case, d, k, rng)
        ends = [descend(tasks, rng.standard_normal((d, r)), rng.standard_normal((r, k)))[0] for _ in range(starts)]
        best = min(ends) if case == "different covariances" else reduce(tasks).optimum(r)
        excess = (np.array(ends) - best) / tasks.energy
        missed, hit = missed + int((excess > tolerance).sum()), hit + bool((excess > tolerance).any())
        worst = max(worst, float(excess.max()))
    return {"n": count * starts, "missed": missed, "instances": count, "instances_missed": hit, "worst": worst}


def stationary_points(tasks: Tasks, rank: int, rng: np.random.Generator) -> list[tuple[tuple[int, ...], Array, Array]]:
    """Stationary points of f for proportional covariances: one for each set of at most `rank` singular directions of Z.

    Returns (chosen directions, B (d, rank), heads (rank, k)), each in a random basis of the columns of B.
    """
    reduced = reduce(tasks)
    left, singular, right = np.linalg.svd(reduced.z, full_matrices=False)
    points = []
    for size in range(rank + 1):
        for chosen in itertools.combinations(range(len(singular)), size):
            picked = list(chosen)
            c, a = np.zeros((len(left), rank)), np.zeros((rank, len(tasks.xs)))
            c[:, :size], a[:size] = left[:, picked], singular[picked, None] * right[picked]
            mixing = np.linalg.qr(rng.standard_normal((rank, rank)))[0] * np.exp(rng.uniform(-1, 1, rank))
            points.append((chosen, reduced.back @ c @ mixing, np.linalg.solve(mixing, a) / reduced.head_scales))
    return points


def curvature(tasks: Tasks, b: Array, heads: Array) -> tuple[float, Array]:
    """Largest entry of the gradient, and the eigenvalues of the Hessian in increasing order, of f / sum w_i |y_i|²."""
    (d, r), k = b.shape, len(tasks.xs)
    hessian = np.zeros((d * r + r * k,) * 2)
    pulls = np.empty((d, k))
    top = hessian[: d * r, : d * r].reshape(d, r, d, r)
    for i, (x, y, w) in enumerate(zip(tasks.xs, tasks.ys, tasks.weights, strict=True)):
        gram, a = w * x.T @ x, heads[:, i]
        pulls[:, i] = gram @ (b @ a) - w * x.T @ y
        top += np.einsum("ac,b,e->abce", gram, a, a)
        cross = np.einsum("ac,b->abc", gram @ b, a) + np.einsum("a,bc->abc", pulls[:, i], np.eye(r))
        head = d * r + i + k * np.arange(r)
        hessian[: d * r, head] = cross.reshape(d * r, r)
        hessian[np.ix_(head, head)] = b.T @ gram @ b
    hessian[d * r :, : d * r] = hessian[: d * r, d * r :].T
    gradient = np.concatenate([(pulls @ heads.T).ravel(), (b.T @ pulls).ravel()])
    eigenvalues: Array = np.linalg.eigvalsh(2 * hessian / tasks.energy)
    return float(np.abs(2 * gradient / tasks.energy).max()), eigenvalues


def try_saddles(count: int, seed: int, tolerance: float) -> dict[str, Any]:
    """Every constructed stationary point of `count` instances: the best one is a minimum, all others have negative curvature.

    Returns n points; gradient: the largest gradient; minima_worst: the least eigenvalue at a global minimum (0 up to
    rounding); saddles_worst: the largest least eigenvalue at any other point (negative); violations of either.
    """
    rng = np.random.default_rng(seed)
    gradients: list[float] = []
    minima: list[float] = []
    saddles: list[float] = []
    for _ in range(count):
        d, k = int(rng.integers(2, 5)), int(rng.integers(2, 5))
        r = int(rng.integers(1, min(d, k)))
        tasks = tasks_of_case("proportional covariances", d, k, rng)
        for chosen, b, heads in stationary_points(tasks, r, rng):
            gradient, eigenvalues = curvature(tasks, b, heads)
            least = float(eigenvalues[0] / eigenvalues[-1])
            gradients.append(gradient / eigenvalues[-1])
            (minima if chosen == tuple(range(r)) else saddles).append(least)
    violations = sum(value < -tolerance for value in minima) + sum(value > -tolerance for value in saddles)
    return {
        "n": len(gradients), "gradient": max(gradients), "minima": len(minima), "minima_worst": min(minima),
        "saddles": len(saddles), "saddles_worst": max(saddles), "violations": violations,
    }  # fmt: skip


# --- Two inputs, two tasks, r = 1: the landscape over the angle of B (eq. 4).


def height(angles: Array, xs: tuple[Array, Array], ys: tuple[Array, Array]) -> Array:
    """Equation 4 at B = (cos t, sin t). angles: (n,). Returns (n,): what the shared direction explains of |y_1|² + |y_2|²."""
    total = np.zeros_like(angles)
    for x, y in zip(xs, ys, strict=True):
        outputs = x @ np.stack([np.cos(angles), np.sin(angles)])
        total += (y @ outputs) ** 2 / (outputs**2).sum(0)
    return total


def maxima(xs: tuple[Array, Array], ys: tuple[Array, Array]) -> Array:
    """Angles in (-π/2, π/2] of all local maxima of eq. 4, best first. xs: two (m, 2) of full column rank; ys: two (m,).

    With τ = tan t each task contributes l²/s (l linear, s quadratic), so the derivative vanishes at the real roots of a
    polynomial of degree 6: at most three maxima. A root counts where the derivative turns from + to -.
    """
    # A fixed rotation keeps the common case of a maximum along the second axis away from τ = infinity.
    turn = 0.6180339887498949
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    slopes, denominators = [], []
    for x, y in zip(xs, ys, strict=True):
        x = x @ rotation
        s, p = x.T @ x, x.T @ y
        # (l²/s)' = l (2 l' s - l s') / s², whose bracket is linear; coefficients from the highest power down.
        slopes.append(np.polymul([p[1], p[0]], [p[1] * s[0, 1] - p[0] * s[1, 1], p[1] * s[0, 0] - p[0] * s[0, 1]]))
        denominators.append(np.polymul(*[[s[1, 1], 2 * s[0, 1], s[0, 0]]] * 2))
    slope = np.polyadd(np.polymul(slopes[0], denominators[1]), np.polymul(slopes[1], denominators[0]))
    roots = np.roots(slope)
    real = np.sort(np.arctan(roots.real[np.abs(roots.imag) < 1e-7 * (1 + np.abs(roots))]))
    if not len(real):
        return np.empty(0)
    # Signs between neighbouring roots, on the circle of directions (period π).
    middles = (real + np.append(real[1:], real[0] + np.pi)) / 2
    signs = np.sign(np.polyval(slope, np.tan(middles)))
    top = real[(np.roll(signs, 1) > 0) & (signs < 0)] + turn
    angles: Array = np.pi / 2 - np.mod(np.pi / 2 - top, np.pi)
    return angles[np.argsort(-height(angles, xs, ys))]


def planar_tasks(
    kappa: float, cosine: float, noise: float, same: bool, rng: np.random.Generator, samples: int = 10
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Two tasks in two inputs: each X has singular values `kappa` and 1 in a random orientation (one for both if `same`).

    cosine: between the unit models. noise: length of the label noise relative to the labels'.
    """
    turns = rng.uniform(0, np.pi, 2)
    turns[1] = turns[0] if same else turns[1]
    first = rng.uniform(0, 2 * np.pi)
    xs, ys = [], []
    for turn, model in zip(turns, (first, first + np.arccos(cosine)), strict=True):
        axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        x = np.linalg.qr(rng.standard_normal((samples, 2)))[0] * [kappa, 1.0] @ axes
        clean = x @ np.array([np.cos(model), np.sin(model)])
        error = rng.standard_normal(samples)
        xs.append(x)
        ys.append(clean + noise * np.linalg.norm(clean) / np.linalg.norm(error) * error)
    return (xs[0], xs[1]), (ys[0], ys[1])


def try_planes(
    kappa: float, cosine: float, noise: float, covariances: str, count: int, seed: int, tolerance: float
) -> dict[str, Any]:
    """Count local maxima of `count` random landscapes; covariances: "equal" or "different".

    Returns n; second: how many have a second, worse one; three.

    lost: median over those of the share of the best one's height that the next lacks.
    """
    rng = np.random.default_rng(seed)
    second, three, lost = 0, 0, []
    for _ in range(count):
        xs, ys = planar_tasks(kappa, cosine, noise, covariances == "equal", rng)
        heights = height(maxima(xs, ys), xs, ys)
        worse = heights < heights[0] * (1 - tolerance)
        second, three = second + bool(worse.any()), three + (len(heights) > 2)
        lost += [1 - heights[worse].max() / heights[0]] if worse.any() else []
    return {"n": count, "second": second, "three": three, "lost": float(np.median(lost)) if lost else float("nan")}


def crossed_labels(x1: Array, x2: Array, first: float, second: float) -> tuple[Array, Array, Array, Array]:
    """Labels that give eq. 3 (r = 1) a spurious local minimum, whenever the covariances are not proportional.

    x1, x2: (m, d) of full column rank. v, w: the generalised eigenvectors S2 v = μ S1 v of the least and the largest μ.
    Task 1 is labelled by w, task 2 by v, with label lengths `first` and `second`. With κ² = μ_max / μ_min both B = v and
    B = w are local minima when second²/κ² < first² < second² κ²; their losses are first² and second².
    Returns y1, y2, v, w.
    """
    s1, s2 = x1.T @ x1, x2.T @ x2
    _, vectors = np.linalg.eigh(np.linalg.solve(c := np.linalg.cholesky(s1), np.linalg.solve(c, s2).T).T)
    v, w = (np.linalg.solve(c.T, vectors[:, place]) for place in (0, -1))
    y1, y2 = x1 @ w, x2 @ v
    return first * y1 / np.linalg.norm(y1), second * y2 / np.linalg.norm(y2), v, w


def ratio(x1: Array, x2: Array) -> float:
    """κ of a pair: sqrt(μ_max / μ_min) of the generalised eigenvalues of (X2ᵀX2, X1ᵀX1); 1 only if proportional."""
    c = np.linalg.cholesky(x1.T @ x1)
    values = np.linalg.eigvalsh(np.linalg.solve(c, np.linalg.solve(c, x2.T @ x2).T))
    return float(np.sqrt(values[-1] / values[0]))


def best_heads(tasks: Tasks, b: Array) -> Array:
    """A_i by least squares for B (d,), as (1, k)."""
    outputs = [x @ b for x in tasks.xs]
    return np.array([[(o @ y) / (o @ o) for o, y in zip(outputs, tasks.ys, strict=True)]])


def try_crossed(count: int, seed: int, spread: float, tolerance: float) -> dict[str, Any]:
    """The construction of `crossed_labels` on `count` random pairs of covariances, d in 2..6, condition number to `spread`.

    Returns n; violations: pairs where B = w (the worse one) is not a local minimum with a loss above the other's; worst:
    the least eigenvalue of the Hessian across the scale of B, relative to the largest (positive at a strict minimum);
    closest: the smallest κ - 1 of the pairs tried.
    """
    rng = np.random.default_rng(seed)
    least, closest, violations = [], [], 0
    for _ in range(count):
        d = int(rng.integers(2, 7))
        pair = []
        for _ in range(2):
            own = np.exp(rng.uniform(0, np.log(spread), d))
            pair.append(np.linalg.qr(rng.standard_normal((2 * d, d)))[0] * own @ np.linalg.qr(rng.standard_normal((d, d)))[0])
        kappa = ratio(pair[0], pair[1])
        y1, y2, v, w = crossed_labels(pair[0], pair[1], 1.0, float(np.sqrt(kappa)))
        tasks = Tasks((pair[0], pair[1]), (y1, y2), np.ones(2))
        losses = []
        for b in (v, w):
            unit = b[:, None] / np.linalg.norm(b)
            gradient, eigenvalues = curvature(tasks, unit, best_heads(tasks, unit[:, 0]))
            losses.append(tasks.loss(unit, best_heads(tasks, unit[:, 0])))
        # (B, A) -> (tB, A/t) never changes f, so one eigenvalue is 0; the next decides.
        second = float(eigenvalues[1] / eigenvalues[-1])
        flat = abs(eigenvalues[0]) < tolerance * eigenvalues[-1] and gradient < tolerance * eigenvalues[-1]
        violations += not (flat and second > tolerance and losses[1] > losses[0] * (1 + tolerance))
        least.append(second)
        closest.append(kappa - 1)
    return {"n": count, "violations": violations, "worst": min(least), "closest": min(closest)}


def proof_lines(tasks: Tasks, b: Array, heads: Array) -> list[Line]:
    """The two displays of the proof of Lemma 10 at (B, heads), for X_iᵀX_i = α_i Σ: as printed, and corrected.

    The lemma calls α_i the scale of the covariance, eq. 12 the weight of the loss, and the proof writes X_i = U_i D Vᵀ.
    """
    first = tasks.xs[0].T @ tasks.xs[0]
    values, v = np.linalg.eigh(first)
    d = np.sqrt(values)
    c = d[:, None] * (v.T @ b)
    alphas = np.array([np.trace(x.T @ x) / np.trace(first) for x in tasks.xs])
    us = [x @ (v / d) / np.sqrt(a) for x, a in zip(tasks.xs, alphas, strict=True)]
    plain = Tasks(tasks.xs, tasks.ys, np.ones(len(alphas)))
    scaled = Tasks(tasks.xs, tasks.ys, alphas)

    def display(weights: Array, scales: Array) -> tuple[float, float]:
        """sum w |sqrt(s) U C A - y|², and the same split into |C (sqrt(w s) A) - sqrt(w) Uᵀy|² and the constant."""
        one = two = 0.0
        for i, (u, y, w, s) in enumerate(zip(us, tasks.ys, weights, scales, strict=True)):
            e = np.sqrt(s) * u @ c @ heads[:, i] - y
            e2 = c @ heads[:, i] * np.sqrt(w * s) - np.sqrt(w) * u.T @ y
            one += float(w * (e @ e))
            two += float(e2 @ e2 + w * (y @ y - (u.T @ y) @ (u.T @ y)))
        return one, two

    ones = np.ones(len(alphas))
    printed = display(alphas, ones)
    equal_f = float(sum(a * ((u * d @ v.T @ b @ heads[:, i] - y) ** 2).sum()
                        for i, (u, y, a) in enumerate(zip(us, tasks.ys, alphas, strict=True))))  # fmt: skip
    general, mixed = display(tasks.weights, alphas), display(ones, alphas)
    note = "X_i = sqrt(a_i) U_i D Vᵀ, and weights w_i apart from the scales a_i"
    return [
        Line("B -> C = DVᵀB is one to one", "=", float(np.abs(v / d @ c).sum()), float(np.abs(b).sum())),
        Line("1st line, eq. 12 with equal covariances and weights α_i", "=", printed[0], equal_f),
        Line("1st line, eq. 3 with covariances α_i Σ (the lemma's words)", "=", printed[0], plain.loss(b, heads), note),
        Line("1st line, eq. 12 with covariances α_i Σ and weights α_i", "=", printed[0], scaled.loss(b, heads), note),
        Line("2nd line, from the 1st", "=", printed[1], printed[0]),
        Line("(corrected) eq. 3, covariances a_i Σ: |C (sqrt(a_i) A_i) - U_iᵀy_i|²", "=", mixed[1], plain.loss(b, heads)),
        Line("(corrected) weights w_i and covariances a_i Σ", "=", general[1], tasks.loss(b, heads)),
    ]


def try_lines(count: int, seed: int) -> list[dict[str, Any]]:
    """`proof_lines` at random points of `count` instances: the largest relative error of each line."""
    rng = np.random.default_rng(seed)
    instances = []
    for _ in range(count):
        d, k = int(rng.integers(2, 6)), int(rng.integers(2, 5))
        r = int(rng.integers(1, min(d, k) + 1))
        tasks = tasks_of_case("proportional covariances", d, k, rng)
        instances.append(proof_lines(tasks, rng.standard_normal((d, r)), rng.standard_normal((r, k))))
    return line_rows(instances)


# --- What the page runs


def picture(covariances: str, kappa: float, cosine: float, seed: int) -> list[dict[str, Any]]:
    """Heights along the angle for one random pair of tasks, as a share of the labels, and its maxima (`top`)."""
    xs, ys = planar_tasks(kappa, cosine, 0.0, covariances == "equal", np.random.default_rng(seed))
    energy = sum(float(y @ y) for y in ys)
    angles, top = np.linspace(-np.pi / 2, np.pi / 2, 721), maxima(xs, ys)
    return [
        {name: angle, "height": value / energy}
        for name, where in (("angle", angles), ("top", top))
        for angle, value in zip(where, height(where, xs, ys), strict=True)
    ]


def smallest() -> list[dict[str, Any]]:
    """Loss, gradient and curvature at both local minima of the smallest counterexample without equal covariances."""
    tasks = Tasks((np.eye(2), np.diag([1.0, 3.0])), (np.array([0.0, 1.0]), np.array([2.0, 0.0])), np.ones(2))
    rows = []
    for name, b in {"B = e1": np.array([1.0, 0.0]), "B = e2": np.array([0.0, 1.0])}.items():
        heads = best_heads(tasks, b)
        gradient, eigenvalues = curvature(tasks, b[:, None], heads)
        rows.append(
            {"point": name, "loss": tasks.loss(b[:, None], heads), "gradient": gradient, "eigenvalues": eigenvalues.tolist()}
        )
    return rows


MEASURES: dict[str, Callable[..., Any]] = {
    "descent": try_descents, "saddle": try_saddles, "line": try_lines, "picture": picture, "count": try_planes,
    "counterexample": smallest, "pair": try_crossed,
}  # fmt: skip


def measure(kind: str, **setting: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """The rows of one of `settings`."""
    rows: dict[str, Any] | list[dict[str, Any]] = MEASURES[kind](**setting)
    return rows


def settings(p: Params) -> list[dict[str, Any]]:
    """Descents, stationary points, the proof, landscapes in two inputs and counts of their maxima, counterexamples."""
    chunk = min(20, p.instances)
    landscapes = [
        ("equal", 0.96, 0.0), ("equal", 0.0, 1.0), ("different", 0.96, 0.0), ("different", 0.96, 1.0), ("different", 0.0, 0.0),
    ]  # fmt: skip
    return [
        *(
            {"kind": "descent", "case": case, "count": chunk, "starts": p.starts, "seed": 100 * place + part,
             "tolerance": TOLERANCE}
            for place, case in enumerate(("same inputs", "proportional covariances", "different covariances"))
            for part in range(-(-p.instances // chunk))
        ),
        {"kind": "saddle", "count": p.points, "seed": 5, "tolerance": CURVATURE},
        {"kind": "line", "count": 50, "seed": 6},
        *(
            {"kind": "picture", "covariances": covariances, "kappa": 10.0, "cosine": 0.96, "seed": seed}
            for covariances in ("equal", "different")
            for seed in (1, 2, 3, 4)
        ),
        *(
            {"kind": "count", "kappa": kappa, "cosine": cosine, "noise": noise, "covariances": covariances, "count": p.planes,
             "seed": 31, "tolerance": 1e-9}
            for covariances, cosine, noise in landscapes
            for kappa in (1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
        ),
        {"kind": "counterexample"},
        *(
            {"kind": "pair", "count": p.points * 2, "seed": 41, "spread": spread, "tolerance": 1e-9}
            for spread in (1.05, 2.0, 10.0)
        ),
    ]  # fmt: skip
