"""Random linear regression tasks for the statements of the transfer paper, and descent on their joint loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from mtlrepro.papers.transfer.theory.proof_lines import Array

# Singular values below this share of the largest count as zero: the singular cases are exact up to rounding.
RANK_TOLERANCE = 1e-10


@dataclass(frozen=True)
class Tasks:
    """k regression tasks: xs of (m_i, d), ys of (m_i,), weights (k,), all float64."""

    xs: tuple[Array, ...]
    ys: tuple[Array, ...]
    weights: Array

    def loss(self, b: Array, heads: Array) -> float:
        """Equation 12 for B (d, r) and heads (r, k)."""
        models = b @ heads
        errors = (x @ models[:, i] - y for i, (x, y) in enumerate(zip(self.xs, self.ys, strict=True)))
        return float(sum(w * (e @ e) for w, e in zip(self.weights, errors, strict=True)))

    @property
    def energy(self) -> float:
        """sum of w_i |y_i|², the loss of predicting nothing."""
        return float(sum(w * (y @ y) for w, y in zip(self.weights, self.ys, strict=True)))


def tasks_of_case(case: str, d: int, k: int, rng: np.random.Generator) -> Tasks:
    """k tasks with noisy labels from random models. case: "same inputs", "proportional covariances" or "different covariances".

    Proportional: X_i = sqrt(a_i) U_i D Vᵀ with U_i of orthonormal columns, each of its own height; condition number to 30.
    """
    scales = np.exp(rng.uniform(0, np.log(30), d))
    v = np.linalg.qr(rng.standard_normal((d, d)))[0]
    first = rng.standard_normal((2 * d, d)) * scales @ v.T
    xs = []
    for _ in range(k):
        m = int(rng.integers(d, 3 * d + 1))
        if case == "same inputs":
            xs.append(first)
        elif case == "proportional covariances":
            xs.append(np.exp(rng.uniform(-1, 1)) * np.linalg.qr(rng.standard_normal((m, d)))[0] * scales @ v.T)
        elif case == "different covariances":
            own = np.exp(rng.uniform(0, np.log(30), d))
            xs.append(rng.standard_normal((m, d)) * own @ np.linalg.qr(rng.standard_normal((d, d)))[0].T)
        else:
            raise ValueError(f"unknown case {case!r}")
    ys = [x @ rng.standard_normal(d) + rng.standard_normal(len(x)) for x in xs]
    return Tasks(tuple(xs), tuple(ys), np.exp(rng.uniform(-1, 1, k)))


def best_loss(tasks: Tasks, b: Array) -> float:
    """The weighted loss at B (d, r) with the best heads, from least squares on X_i B."""
    total = 0.0
    for x, y, w in zip(tasks.xs, tasks.ys, tasks.weights, strict=True):
        columns = np.linalg.svd(x @ b, full_matrices=False)
        basis = columns[0][:, columns[1] > RANK_TOLERANCE * columns[1][0]]
        error = y - basis @ (basis.T @ y)
        total += float(w * (error @ error))
    return total


def random_sizes(rng: np.random.Generator) -> tuple[int, int]:
    """Inputs d in 2..7 and tasks k in 2..6."""
    return int(rng.integers(2, 8)), int(rng.integers(2, 7))


def descend(tasks: Tasks, b: Array, heads: Array, restarts: int = 10) -> tuple[float, float]:
    """L-BFGS on f from (b, heads): the loss reached, and the largest entry of the gradient of f / sum w_i |y_i|² there.

    It works on Lᵀ B with L Lᵀ the mean of the covariances, a one-to-one change of variables that only helps the speed, and
    starts again from its end in an orthonormal basis, at most `restarts` times, until the gradient has vanished.
    """
    (d, r), k = b.shape, len(tasks.xs)
    grams = np.stack([w * x.T @ x for x, w in zip(tasks.xs, tasks.weights, strict=True)])
    pulls = np.stack([w * x.T @ y for x, y, w in zip(tasks.xs, tasks.ys, tasks.weights, strict=True)], axis=1)
    factor = np.linalg.cholesky(grams.mean(0))
    back = np.linalg.inv(factor)
    grams, pulls, scale = back @ grams @ back.T, back @ pulls, tasks.energy

    def value(flat: Array) -> tuple[float, Array]:
        c, heads = flat[: d * r].reshape(d, r), flat[d * r :].reshape(r, k)
        models = c @ heads
        moved = np.einsum("kij,jk->ik", grams, models)
        pull = 2 * (moved - pulls) / scale
        loss = float((models * (moved - 2 * pulls)).sum()) / scale + 1
        return loss, np.concatenate([(pull @ heads.T).ravel(), (c.T @ pull).ravel()])

    c = factor.T @ b
    options = {"maxiter": 1000, "ftol": 0.0, "gtol": 1e-11, "maxcor": 20}
    for _ in range(restarts):
        # The basis of the columns is free: an orthonormal one keeps B and the heads at one scale.
        c, mixing = np.linalg.qr(c)
        flat = np.concatenate([c.ravel(), (mixing @ heads).ravel()])
        if np.abs(value(flat)[1]).max() < 1e-10:
            break
        flat = optimize.minimize(value, flat, jac=True, method="L-BFGS-B", options=options).x
        c, heads = flat[: d * r].reshape(d, r), flat[d * r :].reshape(r, k)
    loss, slope = value(flat)
    return loss * scale, float(np.abs(slope).max())
