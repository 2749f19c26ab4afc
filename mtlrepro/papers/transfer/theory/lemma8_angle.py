"""Lemma 8 of the transfer paper: how close the shared direction comes to the target's model (see `source_target`).

Printed:    sin(B*, θ2) <= sin(θ1, θ2) + c / κ2 with probability 1 - δ once m_1 meets the printed condition
Corrected:  the same from `LinearSetting.corrected_samples` on, by a deterministic inequality (`angle_bound`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtlrepro.papers.transfer.theory.fact7_angles import sine
from mtlrepro.papers.transfer.theory.proof_lines import BatchedLines, batched_line_rows
from mtlrepro.papers.transfer.theory.source_target import (
    Instances,
    LinearSetting,
    draw,
    form,
    noisy_source,
    shared_direction,
    try_bounds,
)  # fmt: skip
from mtlrepro.parameters import Params

DELTA = 0.1
SETTINGS = {
    "well conditioned": LinearSetting(d=10),
    "noisy source": LinearSetting(d=10, sigma1=5.0),
    "ill-conditioned source": LinearSetting(d=10, kappa1=10.0),
    "ill-conditioned target": LinearSetting(d=10, kappa2=3.0),
}
MANY = {"many inputs, noisy source": LinearSetting(d=60, sigma1=10.0, share=0.0, rows=80)}
# Where the lines of the proof are evaluated.
EXAMINED = {
    "few inputs": LinearSetting(d=20, kappa1=4.0, kappa2=2.0, rows=40, delta=0.05),
    "many inputs": LinearSetting(d=60, sigma1=10.0, share=0.0, length=0.5, rows=80, delta=0.05),
}


def angle_bound(instances: Instances) -> tuple[Tensor, Tensor]:
    """Upper bound on sin(X_1 B*, X_1 θ1) from the data alone, and that sine's ingredients ratio W / N; (n,) each.

    N = |X_1θ1| + <v, ε_1> with v the unit vector along X_1θ1, W the length of ε_1 in the column space of X_1 off v, and
    Y² what task 2 can explain at most. If N > W: sin <= (N W + sqrt(N² W² + (N² - W²) Y²)) / (N² - W²); else 1.
    """
    output = form(instances.source.gram, instances.theta1, instances.theta1).sqrt()
    along = (instances.noise1 * instances.theta1).sum(-1) / output
    inverse = torch.linalg.pinv(instances.source.gram, hermitian=True)
    off = (form(inverse, instances.noise1, instances.noise1) - along.square()).clamp_min(0).sqrt()
    inverse2 = torch.linalg.pinv(instances.target.gram, hermitian=True)
    explained = form(inverse2, instances.target.cross, instances.target.cross)
    n = output + along
    gap = n.square() - off.square()
    bound = (n * off + (n.square() * off.square() + gap.clamp_min(0) * explained).sqrt()) / gap
    return torch.where((n > off) & (bound < 1), bound, 1.0), off / n


def source_sine(instances: Instances, b: Tensor) -> Tensor:
    """sin(X_1 b, X_1 θ1), (n,)."""
    gram, theta = instances.source.gram, instances.theta1
    cosine = form(gram, b, theta).square() / (form(gram, b, b) * form(gram, theta, theta))
    return (1 - cosine).clamp_min(0).sqrt()


def try_angle_bound(name: str, count: int, seed: int, factor: float, tolerance: float) -> dict[str, Any]:
    """The deterministic inequality on `count` instances of one of SETTINGS.

    Returns n, violations, worst (largest excess), trivial (bound 1), loose (median of bound / truth).
    """
    instances = draw(SETTINGS[name], count, seed, factor)
    bound, _ = angle_bound(instances)
    truth = source_sine(instances, shared_direction(instances))
    excess = truth - bound
    return {
        "n": count, "violations": int((excess > tolerance).sum()), "worst": float(excess.max()),
        "trivial": int((bound >= 1).sum()), "loose": float((bound / truth.clamp_min(1e-12)).median()),
    }  # fmt: skip


def lemma_lines(instances: Instances, b: Tensor) -> BatchedLines:
    """Every displayed line of the proof of Lemma 8 at B* = b; lines that claim a probability 1 - δ may fail that often."""
    s, x1, x2 = instances.setting, instances.source, instances.target
    theta, sigma = instances.theta1, instances.setting.sigma1
    log = math.sqrt(math.log(1 / s.delta))
    wide = sigma * (math.sqrt(s.d) + math.sqrt(2) * log)
    n2 = form(x1.gram, theta, theta)
    n, y1, y2 = n2.sqrt(), x1.square, x2.square
    size1, size2 = form(x1.gram, b, b).sqrt(), form(x2.gram, b, b).sqrt()
    fit1, fit2 = (x1.cross * b).sum(-1) / size1, (x2.cross * b).sum(-1) / size2
    own = (x1.cross * theta).sum(-1) / n
    clean, picked = form(x1.gram, b, theta) / size1, (instances.noise1 * b).sum(-1) / size1
    fixed = (instances.noise1 * theta).sum(-1) / n
    cos2 = (clean / n).square()
    sin_b1, sin_b2, sin12 = sine(b, theta), sine(b, instances.theta2), sine(theta, instances.theta2)
    eigenvalues = torch.linalg.eigvalsh(x1.gram)
    kappa_sq = eigenvalues[..., -1] / eigenvalues[..., 0].clamp_min(1e-300)
    one = torch.ones_like(n)
    theta_fit2 = form(x2.gram, theta, theta)
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


def try_lines(where: str, count: int, seed: int) -> list[dict[str, Any]]:
    """`lemma_lines` on `count` instances of one of EXAMINED at the printed condition on m_1."""
    instances = draw(EXAMINED[where], count, seed, 1.0, "printed")
    return batched_line_rows(lemma_lines(instances, shared_direction(instances)))


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


def bounds(name: str, count: int, seed: int, factor: float, condition: str) -> list[dict[str, Any]]:
    """`try_bounds` on one of SETTINGS or MANY."""
    return try_bounds((SETTINGS | MANY)[name], count, seed, factor, condition)


MEASURES: dict[str, Callable[..., Any]] = {
    "curve": bounds, "corrected": bounds, "counterexample": noisy_source, "line": try_lines, "concentration": try_concentration,
    "inequality": try_angle_bound,
}  # fmt: skip


def measure(kind: str, **setting: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """The rows of one of `settings`."""
    rows: dict[str, Any] | list[dict[str, Any]] = MEASURES[kind](**setting)
    return rows


def settings(p: Params) -> list[dict[str, Any]]:
    """The bound against m_1, the counterexample, the proof, the covariance, and the corrected lemma."""
    return [
        *(
            {"kind": "curve", "name": name, "count": p.draws, "seed": 100 * place, "factor": 4.0**power, "condition": "printed"}
            for place, name in enumerate(SETTINGS)
            for power in range(-6, 3)
        ),
        *(
            {"kind": "counterexample", "constant": constant, "c": 0.3, "delta": DELTA, "ratio": 4.0, "count": p.noisy, "seed": 7}
            for constant in (1.0, 10.0, 100.0)
        ),
        *({"kind": "line", "where": where, "count": p.proofs, "seed": 11} for where in EXAMINED),
        {"kind": "concentration", "d": 100, "delta": DELTA, "count": p.draws, "seed": 13},
        *(
            {"kind": "inequality", "name": name, "count": p.draws, "seed": 500 + place, "factor": factor, "tolerance": 1e-7}
            for place, name in enumerate(SETTINGS)
            for factor in (0.05, 1.0)
        ),
        *(
            {"kind": "corrected", "name": name, "count": p.draws, "seed": 900 + place, "factor": 1.0, "condition": "corrected"}
            for place, name in enumerate(SETTINGS | MANY)
        ),
    ]
