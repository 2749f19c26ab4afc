"""A source and a target task that share one direction: instances, their exact optimum, and the bounds of Lemma 8 and Theorem 2.

Two linear tasks y_i = X_i θ_i + ε_i, r = 1. Rows of X_1 are independent with covariance Σ1 and length at most sqrt(L);
θ1ᵀ Σ1 θ1 = 1; source noise of variance σ1². Let κ2 = κ(X_2), c in [κ2 sin(θ1, θ2), 1/3], s = sin(θ1, θ2). If (App. A.2.2)

    m_1 ≳ max( L |Σ1| log(d/δ) / λmin²(Σ1),  κ(Σ1) κ2² |y_2|² / c²,  κ²(Σ1) κ2⁴ σ1² log(1/δ) / c⁴ )

then with probability 1 - δ
    Lemma 8:    sin(B*, θ2) <= s + c / κ2
    Theorem 2:  |B* A_2* - θ2| / |θ2| <= 6c + |ε_2| / ((1 - 3c) |X_2 θ2|).

Source rows are drawn as sqrt(tr Σ1) v_j with probability λ_j / tr Σ1 (v_j, λ_j the eigenpairs of Σ1): their length is exactly
sqrt(tr Σ1), the least that L can be, and X_1ᵀX_1 follows from multinomial counts, so that any m_1 costs the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

from mtlrepro.papers.transfer.theory import optimum
from mtlrepro.papers.transfer.theory.fact7_angles import sine


@dataclass(frozen=True)
class LinearSetting:
    """What an instance is drawn from.

    d: inputs. kappa1: κ(Σ1). kappa2: κ(X_2). c: the margin of the theorem. share: κ2 sin(θ1, θ2) / c, at most 1.
    sigma1: source noise, in units where θ1ᵀΣ1θ1 = 1. length: |X_2 θ2|. noise: E|ε_2|² over |X_2 θ2|², as a root.
    rows: m_2, at least d. delta: δ.
    """

    d: int
    kappa1: float = 1.0
    kappa2: float = 1.0
    c: float = 0.3
    share: float = 1.0
    sigma1: float = 1.0
    length: float = 3.0
    noise: float = 0.3
    rows: int = 20
    delta: float = 0.1

    @property
    def spectrum(self) -> Tensor:
        """Eigenvalues of Σ1, (d,), from 1 down to 1/κ."""
        return torch.logspace(0, -math.log10(self.kappa1), self.d, dtype=torch.float64)

    def printed_terms(self, y2: float) -> tuple[float, float, float]:
        """The three terms of the printed condition on m_1 for |y_2| = y2, each with constant 1."""
        values = self.spectrum
        first = float(values.sum() * values[0] / values[-1] ** 2) * math.log(self.d / self.delta)
        second = self.kappa1 * self.kappa2**2 * y2**2 / self.c**2
        third = self.kappa1**2 * self.kappa2**4 * self.sigma1**2 * math.log(1 / self.delta) / self.c**4
        return first, second, third

    def printed_samples(self, y2: float) -> float:
        """The m_1 that the printed condition asks for, with constant 1 for "on the order of"."""
        return max(self.printed_terms(y2))

    def corrected_samples(self, y2: float) -> float:
        """The m_1 of the corrected lemma, all constants included (its proof is on the page of Lemma 8).

        max( 11 L |Σ1| log(6d/δ) / λmin²,  6 κ(Σ1) κ2² (4 E + 2 |y_2|)² / c² ),  E = σ1 (sqrt(d) + sqrt(2 log(3/δ))).
        """
        values = self.spectrum
        first = 11 * float(values.sum() * values[0] / values[-1] ** 2) * math.log(6 * self.d / self.delta)
        noise = self.sigma1 * (math.sqrt(self.d) + math.sqrt(2 * math.log(3 / self.delta)))
        return max(first, 6 * self.kappa1 * self.kappa2**2 * (4 * noise + 2 * y2) ** 2 / self.c**2)


@dataclass(frozen=True)
class Instances:
    """A batch of instances: moments of both tasks and what the proofs speak of. Vectors are (n, d), scalars (n,)."""

    setting: LinearSetting
    m1: Tensor
    source: optimum.Moments
    target: optimum.Moments
    theta1: Tensor
    theta2: Tensor
    noise1: Tensor  # X_1ᵀ ε_1
    noise1_size: Tensor  # |ε_1|²
    noise2: Tensor  # X_2ᵀ ε_2
    noise2_size: Tensor  # |ε_2|


def draw(setting: LinearSetting, count: int, seed: int, factor: float, condition: str = "printed") -> Instances:
    """`count` instances with m_1 = `factor` times the "printed" (constants 1) or "corrected" condition, at least 1."""
    g = np.random.default_rng(seed)
    d, values = setting.d, setting.spectrum

    def normal(*size: int) -> Tensor:
        return torch.from_numpy(g.standard_normal(size))

    def orthogonal() -> Tensor:
        q: Tensor = torch.linalg.qr(normal(count, d, d)).Q
        return q

    def unit(x: Tensor) -> Tensor:
        scaled: Tensor = x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return scaled

    axes1, axes2 = orthogonal(), orthogonal()
    direction = unit(normal(count, d))
    sin12 = setting.share * setting.c / setting.kappa2 if d > 1 else 0.0
    aside = normal(count, d)
    aside = unit(aside - (aside * direction).sum(-1, keepdim=True) * direction) if d > 1 else torch.zeros_like(direction)
    theta2 = math.sqrt(1 - sin12**2) * direction + sin12 * aside

    # Target: X_2 = U diag(singular) axesᵀ; what of ε_2 lies in the column space, and the length of the rest.
    singular = torch.logspace(0, -math.log10(setting.kappa2), d, dtype=torch.float64).expand(count, d)
    turned = (axes2.mT @ theta2[..., None])[..., 0]
    singular = singular * setting.length / torch.linalg.vector_norm(singular * turned, dim=-1, keepdim=True)
    sigma2 = setting.noise * setting.length / math.sqrt(setting.rows)
    inside = sigma2 * normal(count, d)
    outside = sigma2**2 * torch.from_numpy(g.chisquare(setting.rows - d, count)) if setting.rows > d else torch.zeros(count)
    labels = singular * turned + inside
    target = optimum.Moments(
        axes2 @ (singular.square()[..., None] * axes2.mT),
        (axes2 @ (singular * labels)[..., None])[..., 0],
        labels.square().sum(-1) + outside,
    )
    noise2 = (axes2 @ (singular * inside)[..., None])[..., 0]

    y2 = target.square.sqrt()
    needed = setting.printed_samples if condition == "printed" else setting.corrected_samples
    m1 = torch.tensor([max(1.0, math.ceil(factor * needed(float(y)))) for y in y2], dtype=torch.float64)
    shares = (values / values.sum()).numpy()
    counts = torch.from_numpy(np.stack([g.multinomial(int(m), shares / shares.sum()) for m in m1])).to(torch.float64)
    eigenvalues = counts * values.sum()
    rotated = (axes1.mT @ direction[..., None])[..., 0]
    theta1 = direction / (values * rotated.square()).sum(-1, keepdim=True).sqrt()
    rotated = (axes1.mT @ theta1[..., None])[..., 0]
    inner = setting.sigma1 * normal(count, d) * (counts > 0)
    crossed = eigenvalues.sqrt() * inner
    free = (m1 - (counts > 0).sum(-1)).numpy()
    beyond = setting.sigma1**2 * torch.from_numpy(np.where(free > 0, g.chisquare(np.maximum(free, 1)), 0.0))
    noise1 = (axes1 @ crossed[..., None])[..., 0]
    clean = eigenvalues * rotated
    size1 = inner.square().sum(-1) + beyond
    source = optimum.Moments(
        axes1 @ (eigenvalues[..., None] * axes1.mT),
        (axes1 @ (clean + crossed)[..., None])[..., 0],
        (eigenvalues * rotated.square()).sum(-1) + 2 * (noise1 * theta1).sum(-1) + size1,
    )
    return Instances(
        setting, m1, source, target, theta1, theta2, noise1, size1, noise2, (inside.square().sum(-1) + outside).sqrt()
    )  # fmt: skip


def form(gram: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """aᵀ G b. gram: (..., d, d), a, b: (..., d). Returns (...)."""
    return ((gram @ a[..., None])[..., 0] * b).sum(-1)


def shared_direction(instances: Instances) -> Tensor:
    """B* of unit length with the sign of θ2, (n, d): the exact optimum of eq. 4."""
    b = optimum.moments_optimum([instances.source, instances.target], 1).shared[..., 0]
    b = b / torch.linalg.vector_norm(b, dim=-1, keepdim=True)
    return torch.where((b * instances.theta2).sum(-1, keepdim=True) < 0, -b, b)


def evaluate(instances: Instances, b: Tensor) -> dict[str, Tensor]:
    """Angles, errors and bounds of a batch at B* = b, all (n,).

    sin1, sin2: sin(B*, θ_i). lemma: the bound of Lemma 8. error: |B*A_2* - θ2| / |θ2|. theorem: the bound of Theorem 2.
    sharper: our bound with the part of ε_2 that a single direction can pick up. single: the error of least squares on the
    target alone.
    """
    setting, target = instances.setting, instances.target
    kappa, c, theta = setting.kappa2, setting.c, instances.theta2
    size = torch.linalg.vector_norm(theta, dim=-1)
    head = (b * target.cross).sum(-1) / form(target.gram, b, b)
    error = torch.linalg.vector_norm(head[..., None] * b - theta, dim=-1) / size
    own = optimum.least_squares(target)
    output = form(target.gram, theta, theta).sqrt()
    along = (instances.noise2 * theta).sum(-1) / output
    inside = form(torch.linalg.pinv(target.gram, hermitian=True), instances.noise2, instances.noise2).clamp_min(0).sqrt()
    sin2 = sine(b, theta)
    return {
        "sin1": sine(b, instances.theta1),
        "sin2": sin2,
        "lemma": sine(instances.theta1, theta) + c / kappa,
        "error": error,
        "theorem": 6 * c + instances.noise2_size / output / (1 - 3 * c),
        "sharper": 6 * c + (along.abs() + 3 * c * inside) / output / (1 - 3 * c),
        "single": torch.linalg.vector_norm(own - theta, dim=-1) / size,
    }


def try_bounds(setting: LinearSetting, count: int, seed: int, factor: float, condition: str) -> list[dict[str, Any]]:
    """`evaluate` on `count` instances, one row each, with m1 and whether (1 or 0) Lemma 8 and Theorem 2 failed."""
    instances = draw(setting, count, seed, factor, condition)
    values_of = evaluate(instances, shared_direction(instances))
    columns = {name: values.tolist() for name, values in values_of.items()} | {"m1": instances.m1.tolist()}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    for row in rows:
        row["lemma_failed"], row["theorem_failed"] = int(row["sin2"] > row["lemma"]), int(row["error"] > row["theorem"])
    return rows


# --- Many inputs and a noisy source: the dimension that the printed condition lacks


def diagonal_optimum(s1: np.ndarray, p1: np.ndarray, s2: float, p2: np.ndarray) -> np.ndarray:
    """B* of unit length (d,) where X_1ᵀX_1 = diag(s1), X_2ᵀX_2 = s2 I, X_iᵀy_i = p_i: eq. 4 in time linear in d.

    The best B for the ratio t = a_2/a_1 of the heads is (p1 + t p2) / (s1 + t² s2): a search over t of either sign.
    """

    def explained(t: float) -> float:
        top = p1 + t * p2
        return float((top * top / (s1 + t * t * s2)).sum())

    scale = math.sqrt(max(float(s1.mean()), 1e-300) / s2)
    best = (-math.inf, 0.0)
    for sign in (1.0, -1.0):
        grid = np.linspace(-12, 12, 49)
        values = [explained(sign * scale * math.exp(x)) for x in grid]
        place = int(np.argmax(values))
        bracket = (grid[max(place - 1, 0)], grid[min(place + 1, len(grid) - 1)])
        end = optimize.minimize_scalar(
            lambda x, s=sign: -explained(s * scale * math.exp(x)), bounds=bracket, method="bounded", options={"xatol": 1e-9}
        )
        best = max(best, (-float(end.fun), sign * scale * math.exp(end.x)))
    b = (p1 + best[1] * p2) / (s1 + best[1] ** 2 * s2)
    unit: np.ndarray = b / np.linalg.norm(b)
    return unit


def noisy_source(constant: float, c: float, delta: float, ratio: float, count: int, seed: int) -> list[dict[str, Any]]:
    """The two tasks share one model exactly, κ(Σ1) = κ(X_2) = 1, the target has no noise; still the printed bound fails.

    constant: the C in "m_1 >= C max(...)". d is taken just large enough that the first term is the largest while
    σ1² = ratio · C log(d/δ): then sin²(B*, θ) is near ratio / (1 + ratio) for every C. One row per draw.
    """
    d = 2
    for _ in range(60):
        sigma = math.sqrt(ratio * constant * math.log(d / delta))
        d = max(d, math.ceil(sigma**2 * math.log(1 / delta) / c**4 / math.log(d / delta)))
    setting = LinearSetting(d=d, c=c, share=0.0, sigma1=sigma, length=1.0, noise=0.0, rows=d, delta=delta)
    m1 = math.ceil(constant * setting.printed_samples(1.0))
    g = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        theta = g.standard_normal(d)
        theta /= np.linalg.norm(theta)
        s1 = g.multinomial(m1, np.full(d, 1 / d)) * float(d)
        p1 = s1 * theta + np.sqrt(s1) * sigma * g.standard_normal(d)
        b = diagonal_optimum(s1, p1, 1.0, theta)
        sin2 = math.sqrt(max(0.0, 1 - float(b @ theta) ** 2))
        # X_2 has orthonormal columns and no noise: A_2* = <b, θ>, so the error of B*A_2* is the sine itself.
        rows.append(
            {
                "d": d, "sigma1": sigma, "m1": m1, "corrected_m1": setting.corrected_samples(1.0), "sin2": sin2, "lemma": c,
                "error": sin2, "theorem": 6 * c, "lemma_failed": int(sin2 > c), "theorem_failed": int(sin2 > 6 * c),
            }
        )  # fmt: skip
    return rows
