"""Theorem 2 of the transfer paper: what a large source guarantees for the target (see `source_target`).

Printed:  |B* A_2* - θ2| / |θ2| <= 6c + |ε_2| / ((1 - 3c) |X_2 θ2|) with probability 1 - δ once m_1 meets the printed condition.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mtlrepro.papers.transfer.theory.fact7_angles import sine
from mtlrepro.papers.transfer.theory.proof_lines import BatchedLines, batched_line_rows
from mtlrepro.papers.transfer.theory.source_target import (
    Instances,
    LinearSetting,
    draw,
    evaluate,
    form,
    noisy_source,
    shared_direction,
    try_bounds,
)  # fmt: skip
from mtlrepro.parameters import Params

DELTA, C = 0.1, 0.1
SETTINGS = {
    "well conditioned": LinearSetting(d=10, c=C),
    "noisy source": LinearSetting(d=10, c=C, sigma1=5.0),
    "ill-conditioned source": LinearSetting(d=10, c=C, kappa1=10.0),
    "ill-conditioned noisy target": LinearSetting(d=10, c=0.05, share=0.2, kappa2=30.0, noise=1.0),
    "target without noise": LinearSetting(d=10, c=0.05, noise=0.0),
}
MANY = {"many inputs, noisy source": LinearSetting(d=60, c=C, sigma1=10.0, rows=80)}
# Where the lines of the proof are evaluated.
EXAMINED = LinearSetting(d=20, c=C, kappa1=4.0, kappa2=2.0, rows=40)


def theorem_lines(instances: Instances, b: Tensor) -> BatchedLines:
    """Every displayed line of the proof of Theorem 2 from Lemma 8 on, at B* = b, on the instances where Lemma 8 holds."""
    s, gram, theta = instances.setting, instances.target.gram, instances.theta2
    values = evaluate(instances, b)
    kept = values["sin2"] <= values["lemma"]
    norm = torch.linalg.vector_norm
    size, out_b, out_theta = norm(theta, dim=-1), form(gram, b, b).sqrt(), form(gram, theta, theta).sqrt()
    off = theta - size[..., None] * b
    out_off, dist = form(gram, off, off).clamp_min(0).sqrt(), norm(off, dim=-1)
    error = values["error"] * size
    head = (b * instances.target.cross).sum(-1) / out_b.square()
    first = (instances.noise2 * b).sum(-1).abs() / out_b.square()
    second = (form(gram, b, theta) / out_b.square() - size).abs()
    eps, sin12, sin2 = instances.noise2_size, sine(instances.theta1, theta), values["sin2"]
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
    lines: BatchedLines = {
        "A₂* = <X₂B*, y₂>/|X₂B*|² is the best head (θ̂ printed for B*)": ("≤", residual, worse, ""),
        "(8): the error in three terms": ("≤", error, first + second + dist, ""),
        "2nd term of (8) rewritten": ("=", second, (form(gram, b, off) / out_b.square()).abs(), ""),
        "2nd term of (8) ≤ κ(X₂) |θ₂ - |θ₂|B*|": ("≤", second, s.kappa2 * dist, ""),
        "1st term of (8) ≤ |ε₂|/|X₂B*|": ("≤", first, eps / out_b, ""),
        "(9)": ("≤", eps / out_b, nine, ""),
        "|θ₂ - |θ₂|B*|² = 2|θ₂|²(1 - cos)": ("=", dist.square(), 2 * size.square() * (1 - cosine), ""),
        "2(1 - cos) ≤ 2 sin²": ("≤", 2 * (1 - cosine), 2 * sin2.square() + 1e-15, ""),
        "(9) ≤ with Lemma 8": ("≤", nine, mid1, ""),
        "≤ with 3c λmin": ("≤", mid1, mid2, ""),
        "≤ 1/(1-3c)": ("≤", mid2, last, ""),
        "√2 (κ(X₂)+1) sin(B*, θ₂) ≤ 6c": ("≤", root2 * (s.kappa2 + 1) * sin2, torch.full_like(sin2, 6 * s.c), ""),
        "the theorem": ("≤", values["error"], values["theorem"], ""),
        "(ours) the theorem with |<v, ε₂>| + 3c|P₂ε₂| for |ε₂|": ("≤", values["error"], values["sharper"], ""),
    }
    return {name: (relation, left[kept], right[kept], note) for name, (relation, left, right, note) in lines.items()}


def try_lines(count: int, seed: int) -> list[dict[str, Any]]:
    """`theorem_lines` on `count` instances of EXAMINED at the printed condition on m_1."""
    instances = draw(EXAMINED, count, seed, 1.0, "printed")
    return batched_line_rows(theorem_lines(instances, shared_direction(instances)))


def bounds(name: str, count: int, seed: int, factor: float, condition: str) -> list[dict[str, Any]]:
    """`try_bounds` on one of SETTINGS or MANY."""
    return try_bounds((SETTINGS | MANY)[name], count, seed, factor, condition)


MEASURES: dict[str, Callable[..., Any]] = {
    "curve": bounds, "corrected": bounds, "counterexample": noisy_source, "line": try_lines,
}  # fmt: skip


def measure(kind: str, **setting: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """The rows of one of `settings`."""
    rows: dict[str, Any] | list[dict[str, Any]] = MEASURES[kind](**setting)
    return rows


def settings(p: Params) -> list[dict[str, Any]]:
    """The bound against m_1, the counterexample, the corrected condition, and the proof."""
    return [
        *(
            {"kind": "curve", "name": name, "count": p.draws, "seed": 100 * place, "factor": 4.0**power, "condition": "printed"}
            for place, name in enumerate(SETTINGS)
            for power in range(-8, 3, 2)
        ),
        *(
            {"kind": "counterexample", "constant": constant, "c": C, "delta": DELTA, "ratio": 4.0, "count": p.noisy, "seed": 17}
            for constant in p.constants
        ),
        *(
            {"kind": "corrected", "name": name, "count": p.draws, "seed": 900 + place, "factor": 1.0, "condition": "corrected"}
            for place, name in enumerate(SETTINGS | MANY)
        ),
        {"kind": "line", "count": p.proofs, "seed": 11},
    ]
