"""Lemma 8 and Theorem 2 of the transfer paper: how many source samples bring the shared direction close to the target model.

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
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

from mtlrepro.papers.transfer.theory import optimum
from mtlrepro.papers.transfer.theory.fact7_angles import sine


@dataclass(frozen=True)
class Setting:
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

    def printed_samples(self, y2: float, constants: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> float:
        """The m_1 that the printed condition asks for, with the given constants for "on the order of"."""
        return max(constant * term for constant, term in zip(constants, self.printed_terms(y2), strict=True))

    def corrected_samples(self, y2: float) -> float:
        """The m_1 of the corrected lemma, all constants included (its proof is on the page of Lemma 8).

        max( 11 L |Σ1| log(6d/δ) / λmin²,  6 κ(Σ1) κ2² (4 E + 2 |y_2|)² / c² ),  E = σ1 (sqrt(d) + sqrt(2 log(3/δ))).
        """
        values = self.spectrum
        first = 11 * float(values.sum() * values[0] / values[-1] ** 2) * math.log(6 * self.d / self.delta)
        noise = self.sigma1 * (math.sqrt(self.d) + math.sqrt(2 * math.log(3 / self.delta)))
        return max(first, 6 * self.kappa1 * self.kappa2**2 * (4 * noise + 2 * y2) ** 2 / self.c**2)


# What the printed proof itself needs: 10 in its use of Bernstein's inequality, and half of c²/κ2² for each of the two terms
# of its last display (with m_1/2 where m_1²/4 is printed): 3 · 2 · 2 and (3 · 4 · sqrt(2) · 2)².
PROOF_CONSTANTS = (10.0, 12.0, 1152.0)


@dataclass(frozen=True)
class Draw:
    """A batch of instances: moments of both tasks and what the proofs speak of. Vectors are (n, d), scalars (n,)."""

    setting: Setting
    m1: Tensor
    source: optimum.Moments
    target: optimum.Moments
    theta1: Tensor
    theta2: Tensor
    noise1: Tensor  # X_1ᵀ ε_1
    noise1_size: Tensor  # |ε_1|²
    noise2: Tensor  # X_2ᵀ ε_2
    noise2_size: Tensor  # |ε_2|


def draw(setting: Setting, count: int, seed: int, factor: float, condition: str = "printed") -> Draw:
    """`count` instances with m_1 = `factor` times the printed (constants 1), "proof" or "corrected" condition, at least 1."""
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
    wanted = {
        "printed": [setting.printed_samples(float(y)) for y in y2],
        "proof": [setting.printed_samples(float(y), PROOF_CONSTANTS) for y in y2],
        "corrected": [setting.corrected_samples(float(y)) for y in y2],
    }[condition]
    m1 = torch.tensor([max(1.0, math.ceil(factor * m)) for m in wanted], dtype=torch.float64)
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
    return Draw(
        setting, m1, source, target, theta1, theta2, noise1, size1, noise2, (inside.square().sum(-1) + outside).sqrt()
    )  # fmt: skip


def _form(gram: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return ((gram @ a[..., None])[..., 0] * b).sum(-1)


def shared_direction(instances: Draw) -> Tensor:
    """B* of unit length with the sign of θ2, (n, d): the exact optimum of eq. 4."""
    b = optimum.moments_optimum([instances.source, instances.target], 1).shared[..., 0]
    b = b / torch.linalg.vector_norm(b, dim=-1, keepdim=True)
    return torch.where((b * instances.theta2).sum(-1, keepdim=True) < 0, -b, b)


def measure(instances: Draw, b: Tensor) -> dict[str, Tensor]:
    """Angles, errors and bounds of a batch at B* = b, all (n,).

    sin1, sin2: sin(B*, θ_i). lemma: the bound of Lemma 8. error: |B*A_2* - θ2| / |θ2|. theorem: the bound of Theorem 2.
    sharper: our bound with the part of ε_2 that a single direction can pick up. single: the error of least squares on the
    target alone.
    """
    setting, target = instances.setting, instances.target
    kappa, c, theta = setting.kappa2, setting.c, instances.theta2
    size = torch.linalg.vector_norm(theta, dim=-1)
    head = (b * target.cross).sum(-1) / _form(target.gram, b, b)
    error = torch.linalg.vector_norm(head[..., None] * b - theta, dim=-1) / size
    own = optimum.least_squares(target)
    output = _form(target.gram, theta, theta).sqrt()
    along = (instances.noise2 * theta).sum(-1) / output
    inside = _form(torch.linalg.pinv(target.gram, hermitian=True), instances.noise2, instances.noise2).clamp_min(0).sqrt()
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


def try_bounds(setting: dict[str, Any], count: int, seed: int, factor: float, condition: str) -> list[dict[str, Any]]:
    """`measure` on `count` instances, one row each, with m1 and whether (1 or 0) Lemma 8 and Theorem 2 failed."""
    instances = draw(Setting(**setting), count, seed, factor, condition)
    found = measure(instances, shared_direction(instances))
    columns = {name: values.tolist() for name, values in found.items()} | {"m1": instances.m1.tolist()}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    for row in rows:
        row["lemma_failed"], row["theorem_failed"] = int(row["sin2"] > row["lemma"]), int(row["error"] > row["theorem"])
    return rows


# --- The corrected lemma: a deterministic inequality


def angle_bound(instances: Draw) -> tuple[Tensor, Tensor]:
    """Upper bound on sin(X_1 B*, X_1 θ1) from the data alone, and that sine's ingredients ratio W / N; (n,) each.

    N = |X_1θ1| + <v, ε_1> with v the unit vector along X_1θ1, W the length of ε_1 in the column space of X_1 off v, and
    Y² what task 2 can explain at most. If N > W: sin <= (N W + sqrt(N² W² + (N² - W²) Y²)) / (N² - W²); else 1.
    """
    output = _form(instances.source.gram, instances.theta1, instances.theta1).sqrt()
    along = (instances.noise1 * instances.theta1).sum(-1) / output
    inverse = torch.linalg.pinv(instances.source.gram, hermitian=True)
    off = (_form(inverse, instances.noise1, instances.noise1) - along.square()).clamp_min(0).sqrt()
    inverse2 = torch.linalg.pinv(instances.target.gram, hermitian=True)
    explained = _form(inverse2, instances.target.cross, instances.target.cross)
    n = output + along
    gap = n.square() - off.square()
    bound = (n * off + (n.square() * off.square() + gap.clamp_min(0) * explained).sqrt()) / gap
    return torch.where((n > off) & (bound < 1), bound, 1.0), off / n


def image_sine(instances: Draw, b: Tensor) -> Tensor:
    """sin(X_1 b, X_1 θ1), (n,)."""
    gram, theta = instances.source.gram, instances.theta1
    cosine = _form(gram, b, theta).square() / (_form(gram, b, b) * _form(gram, theta, theta))
    return (1 - cosine).clamp_min(0).sqrt()


def try_angle_bound(setting: dict[str, Any], count: int, seed: int, factor: float, tolerance: float) -> dict[str, Any]:
    """The deterministic inequality on `count` instances: n, violations, worst (largest excess), median of bound / truth."""
    instances = draw(Setting(**setting), count, seed, factor)
    bound, _ = angle_bound(instances)
    truth = image_sine(instances, shared_direction(instances))
    excess = truth - bound
    return {
        "n": count, "violations": int((excess > tolerance).sum()), "worst": float(excess.max()),
        "trivial": int((bound >= 1).sum()), "loose": float((bound / truth.clamp_min(1e-12)).median()),
    }  # fmt: skip


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
        found = optimize.minimize_scalar(
            lambda x, s=sign: -explained(s * scale * math.exp(x)), bounds=bracket, method="bounded", options={"xatol": 1e-9}
        )
        best = max(best, (-float(found.fun), sign * scale * math.exp(found.x)))
    b = (p1 + best[1] * p2) / (s1 + best[1] ** 2 * s2)
    unit: np.ndarray = b / np.linalg.norm(b)
    return unit


def noisy_source(constant: float, c: float, delta: float, ratio: float, count: int, seed: int) -> list[dict[str, Any]]:
    """The two tasks share one model exactly, κ(Σ1) = κ(X_2) = 1, the target has no noise; still the printed bound fails.

    constant: the C in "m_1 >= C max(...)". d is taken just large enough that the first term is the largest while
    σ1² = ratio · C log(d/δ): then sin²(B*, θ) is near ratio / (1 + ratio) for every C. One row a draw.
    """
    d = 2
    for _ in range(60):
        sigma = math.sqrt(ratio * constant * math.log(d / delta))
        d = max(d, math.ceil(sigma**2 * math.log(1 / delta) / c**4 / math.log(d / delta)))
    setting = Setting(d=d, c=c, share=0.0, sigma1=sigma, length=1.0, noise=0.0, rows=d, delta=delta)
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


# --- The displayed lines of both proofs

Lines = dict[str, tuple[str, Tensor, Tensor, str]]


def line_rows(lines: Lines, tolerance: float = 1e-9) -> list[dict[str, Any]]:
    """One row a line: n, in how many instances it fails (relative to the larger side), median of left / right, correction."""
    rows = []
    for name, (relation, left, right, correction) in lines.items():
        # The floor keeps rounding around a line of two zeros from counting as a failure.
        gap = (left - right) / torch.maximum(left.abs(), right.abs()).clamp_min(1e-6)
        gap = gap.abs() if relation == "=" else gap if relation == "≤" else -gap
        gap = torch.where(torch.isfinite(gap), gap, 0)
        rows.append(
            {
                "line": name, "relation": relation, "n": len(gap), "broken": int((gap > tolerance).sum()),
                "left_over_right": float((left / right).median()), "correction": correction,
            }
        )  # fmt: skip
    return rows


def lemma_lines(instances: Draw, b: Tensor) -> Lines:
    """Every displayed line of the proof of Lemma 8 at B* = b; lines that claim a probability 1 - δ may fail that often."""
    s, x1, x2 = instances.setting, instances.source, instances.target
    theta, sigma = instances.theta1, instances.setting.sigma1
    log = math.sqrt(math.log(1 / s.delta))
    wide = sigma * (math.sqrt(s.d) + math.sqrt(2) * log)
    n2 = _form(x1.gram, theta, theta)
    n, y1, y2 = n2.sqrt(), x1.square, x2.square
    size1, size2 = _form(x1.gram, b, b).sqrt(), _form(x2.gram, b, b).sqrt()
    fit1, fit2 = (x1.cross * b).sum(-1) / size1, (x2.cross * b).sum(-1) / size2
    own = (x1.cross * theta).sum(-1) / n
    clean, picked = _form(x1.gram, b, theta) / size1, (instances.noise1 * b).sum(-1) / size1
    fixed = (instances.noise1 * theta).sum(-1) / n
    cos2 = (clean / n).square()
    sin_b1, sin_b2, sin12 = sine(b, theta), sine(b, instances.theta2), sine(theta, instances.theta2)
    eigenvalues = torch.linalg.eigvalsh(x1.gram)
    kappa_sq = eigenvalues[..., -1] / eigenvalues[..., 0].clamp_min(1e-300)
    one = torch.ones_like(n)
    theta_fit2 = _form(x2.gram, theta, theta)
    other = (x2.cross * theta).sum(-1).square() / theta_fit2
    return {
        "h(B*) ≥ |y₁|²": ("≥", fit1.square() + fit2.square(), y1, "h(B*) ≥ h(θ₁)"),
        "(corrected) h(B*) ≥ h(θ₁)": ("≥", fit1.square() + fit2.square(), own.square() + other, ""),
        "<X₂B*/|X₂B*|, y₂> ≤ |y₂|²": ("≤", fit2.abs(), y2, "square the left side"),
        "(corrected) <X₂B*/|X₂B*|, y₂>² ≤ |y₂|²": ("≤", fit2.square(), y2, ""),
        "<u, y₁>² ≥ |y₁|² - |y₂|²": ("≥", fit1.square(), y1 - y2, "<v, y₁>² on the right"),
        "(corrected) <u, y₁>² ≥ <v, y₁>² - |y₂|²": ("≥", fit1.square(), own.square() - y2, ""),
        "<u, y₁>² in three terms": ("=", fit1.square(), clean.square() + picked.square() + 2 * clean * picked, ""),
        "2nd term ≤ σ₁² √log(1/δ)": ("≤", picked.square(), sigma**2 * log * one, "σ₁² (√d + √(2 log 1/δ))²"),
        "2nd term, were B* independent of ε₁": ("≤", fixed.square(), sigma**2 * log * one, "2 σ₁² log(2/δ)"),
        "(corrected) 2nd term ≤ σ₁² (√d + √(2 log 1/δ))²": ("≤", picked.square(), wide**2 * one, ""),
        "3rd term ≤ 2|X₁θ₁| σ₁ √log(1/δ)": ("≤", 2 * (clean * picked).abs(), 2 * n * sigma * log, "√d + √(2 log 1/δ)"),
        "(corrected) 3rd term ≤ 2|X₁θ₁| σ₁ (√d + √(2 log 1/δ))": ("≤", 2 * (clean * picked).abs(), 2 * n * wide, ""),
        "|X₁θ₁|² cos² ≥ |y₁|² - |y₂|² - (σ₁² + 2σ₁|X₁θ₁|) √log": (
            "≥", n2 * cos2, y1 - y2 - (sigma**2 + 2 * sigma * n) * log, "follows from no corrected line",
        ),
        "|y₁|² ≥ |X₁θ₁|² + 2<X₁θ₁, ε₁>": ("≥", y1, n2 + 2 * (instances.noise1 * theta).sum(-1), ""),
        "2<X₁θ₁, ε₁> ≥ -2|X₁θ₁| σ₁ √log(1/δ)": ("≥", 2 * fixed * n, -2 * n * sigma * log, "√(2 log 1/δ)"),
        "2 + 2 = 3 in front of σ₁|X₁θ₁|": ("=", 4 * one, 3 * one, "4, as in eq. 11"),
        "sin²(X₁B*, X₁θ₁) ≤ |y₂|²/|X₁θ₁|² + 4σ₁√log/|X₁θ₁|": ("≤", 1 - cos2, y2 / n2 + 4 * sigma * log / n, ""),
        "(ours) sin(X₁B*, X₁θ₁) ≤ (NW + √(N²W² + (N²-W²)Y²)) / (N²-W²)": (
            "≤", (1 - cos2).clamp_min(0).sqrt(), angle_bound(instances)[0] + 1e-7, "",
        ),
        "sin²(B*, θ₁) ≤ κ²(X₁) sin²(X₁B*, X₁θ₁)": ("≤", sin_b1.square(), kappa_sq * (1 - cos2) + 1e-12, ""),
        "κ²(X₁) ≤ 3κ(Σ₁)": ("≤", kappa_sq, 3 * s.kappa1 * one, ""),
        "|X₁θ₁|² ≥ m₁/2": ("≥", n2, instances.m1 / 2, ""),
        "|y₂|²/|X₁θ₁|² ≤ |y₂|²/(m₁²/4)": ("≤", y2 / n2, y2 / (instances.m1.square() / 4), "m₁/2 for m₁²/4"),
        "(corrected) |y₂|²/|X₁θ₁|² ≤ |y₂|²/(m₁/2)": ("≤", y2 / n2, y2 / (instances.m1 / 2), ""),
        "sin(B*, θ₁) ≤ c/κ(X₂)": ("≤", sin_b1, s.c / s.kappa2 * one, "larger m₁"),
        "sin(B*, θ₂) ≤ sin(B*, θ₁) + sin(θ₁, θ₂)": ("≤", sin_b2, sin_b1 + sin12, ""),
    }  # fmt: skip


def theorem_lines(instances: Draw, b: Tensor) -> Lines:
    """Every displayed line of the proof of Theorem 2 from Lemma 8 on, at B* = b, on the instances where Lemma 8 holds."""
    s, gram, theta = instances.setting, instances.target.gram, instances.theta2
    found = measure(instances, b)
    kept = found["sin2"] <= found["lemma"]
    norm = torch.linalg.vector_norm
    size, out_b, out_theta = norm(theta, dim=-1), _form(gram, b, b).sqrt(), _form(gram, theta, theta).sqrt()
    off = theta - size[..., None] * b
    out_off, dist = _form(gram, off, off).clamp_min(0).sqrt(), norm(off, dim=-1)
    error = found["error"] * size
    head = (b * instances.target.cross).sum(-1) / out_b.square()
    first = (instances.noise2 * b).sum(-1).abs() / out_b.square()
    second = (_form(gram, b, theta) / out_b.square() - size).abs()
    eps, sin12, sin2 = instances.noise2_size, sine(instances.theta1, theta), found["sin2"]
    eigenvalues = torch.linalg.eigvalsh(gram)
    largest, smallest = eigenvalues[..., -1].sqrt(), eigenvalues[..., 0].sqrt()
    cosine = (b * theta).sum(-1) / size
    nine = eps * size / (out_theta - out_off)
    mid1 = eps * size / (out_theta - math.sqrt(2) * largest * size * sin12 - math.sqrt(2) * s.c * smallest * size)
    mid2 = eps * size / (out_theta - 3 * s.c * smallest * size)
    last = eps * size / ((1 - 3 * s.c) * out_theta)
    root2 = math.sqrt(2)
    residual = instances.target.square - 2 * head * (b * instances.target.cross).sum(-1) + (head * out_b).square()
    moved = head * 1.001
    worse = instances.target.square - 2 * moved * (b * instances.target.cross).sum(-1) + (moved * out_b).square()
    lines: Lines = {
        "A₂* = <X₂B*, y₂>/|X₂B*|² is the best head (θ̂ printed for B*)": ("≤", residual, worse, ""),
        "(8): the error in three terms": ("≤", error, first + second + dist, ""),
        "2nd term of (8) rewritten": ("=", second, (_form(gram, b, off) / out_b.square()).abs(), ""),
        "2nd term of (8) ≤ κ(X₂) |θ₂ - |θ₂|B*|": ("≤", second, s.kappa2 * dist, ""),
        "1st term of (8) ≤ |ε₂|/|X₂B*|": ("≤", first, eps / out_b, ""),
        "(9)": ("≤", eps / out_b, nine, ""),
        "|θ₂ - |θ₂|B*|² = 2|θ₂|²(1 - cos)": ("=", dist.square(), 2 * size.square() * (1 - cosine), ""),
        "2(1 - cos) ≤ 2 sin²": ("≤", 2 * (1 - cosine), 2 * sin2.square() + 1e-15, ""),
        "(9) ≤ with Lemma 8": ("≤", nine, mid1, ""),
        "≤ with 3c λmin": ("≤", mid1, mid2, ""),
        "≤ 1/(1-3c)": ("≤", mid2, last, ""),
        "√2 (κ(X₂)+1) sin(B*, θ₂) ≤ 6c": ("≤", root2 * (s.kappa2 + 1) * sin2, torch.full_like(sin2, 6 * s.c), ""),
        "the theorem": ("≤", found["error"], found["theorem"], ""),
        "(ours) the theorem with |<v, ε₂>| + 3c|P₂ε₂| for |ε₂|": ("≤", found["error"], found["sharper"], ""),
    }
    return {name: (relation, left[kept], right[kept], note) for name, (relation, left, right, note) in lines.items()}


def try_lines(which: str, setting: dict[str, Any], count: int, seed: int, condition: str) -> list[dict[str, Any]]:
    """The lines of the "lemma" or the "theorem" on `count` instances at the given condition on m_1."""
    instances = draw(Setting(**setting), count, seed, 1.0, condition)
    b = shared_direction(instances)
    return line_rows(lemma_lines(instances, b) if which == "lemma" else theorem_lines(instances, b))


def try_concentration(d: int, delta: float, count: int, seed: int) -> dict[str, Any]:
    """|X_1ᵀX_1/m_1 - Σ1| <= λmin/2 for Σ1 = I at the m_1 of the printed proof (without L), and with our condition.

    Rows sqrt(d) e_j: the deviation is the largest |d counts_j / m_1 - 1|. Returns n and how often it fails for either m_1.
    """
    g = np.random.default_rng(seed)
    row: dict[str, Any] = {"n": count}
    for name, m1 in {"printed": 10 * math.log(d / delta), "corrected": 11 * d * math.log(6 * d / delta)}.items():
        counts = g.multinomial(math.ceil(m1), np.full(d, 1 / d), count)
        row[name] = int((np.abs(counts * d / math.ceil(m1) - 1).max(1) > 0.5).sum())
        row[f"{name}_m1"] = math.ceil(m1)
    return row


def settings_with(base: Setting, **changes: Any) -> dict[str, Any]:
    """The fields of `base` with some replaced, as plain values."""
    return dict(vars(replace(base, **changes)))
