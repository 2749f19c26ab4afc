"""Synthetic tasks of the papers. Each array has a random stream of its own, so changing one setting leaves the rest as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.training.device import THEORY, generator

Orientation = Literal["printed", "rotated"]


class Samples(NamedTuple):
    """x: (..., m, d), y: (..., m)."""

    x: Tensor
    y: Tensor


class TransferTasks(NamedTuple):
    """The example of section 2.3 of the transfer paper: a target and two sources, with leading seeds dimension or none.

    theta_target, theta_source: (..., d), unit vectors. target, validation, test: samples of task 1. same: task 2, the
    source with the target's covariance. different: task 3, the source with another one; both follow theta_source.
    """

    theta_target: Tensor
    theta_source: Tensor
    target: Samples
    validation: Samples
    test: Samples
    same: Samples
    different: Samples


def transfer_tasks(
    seed: int | Sequence[int],
    *,
    m_source: int,
    m_target: int = 9_000,
    noise: float = 0.0,
    orientation: Orientation = "printed",
    d: int = 100,
    kappa: float = 100.0,
    cos: float = 0.96,
    m_validation: int = 1_000,
    m_test: int = 2_000,
) -> TransferTasks:
    """Draw the three tasks of the transfer paper's Figure 3, float64.

    X_i = R_i Q D as printed, or R_i D Q^T ("rotated"): R_i Gaussian, D diagonal with `kappa` on d / 10 coordinates and 1
    elsewhere, Q a random rotation; y_i = X_i theta_i + noise. As R_i Q has the law of R_i, the printed form has
    covariance D^2 whatever Q is; the rotated one has Q D^2 Q^T. The target and the same-covariance source share (Q, D), the
    other source has its own Q and a D on disjoint coordinates.

    seed: one, or several for a leading dimension. m_*: samples of each set. noise: standard deviation, on every label of
    every task. cos: between the two true models. Raises BadValue for a setting out of range.
    """
    if orientation not in ("printed", "rotated"):
        raise BadValue(f"orientation must be printed or rotated, not {orientation!r}.")
    if d < 10 or not -1 <= cos <= 1 or kappa <= 0 or noise < 0 or min(m_source, m_target, m_validation, m_test) < 1:
        raise BadValue("needs d >= 10, -1 <= cos <= 1, kappa > 0, noise >= 0 and at least one sample in each set.")
    setting = (m_source, m_target, noise, orientation, d, kappa, cos, m_validation, m_test)
    if isinstance(seed, int):
        return _draw(seed, *setting)
    drawn = [_draw(s, *setting) for s in seed]
    return TransferTasks(
        torch.stack([tasks.theta_target for tasks in drawn]),
        torch.stack([tasks.theta_source for tasks in drawn]),
        *(
            Samples(*(torch.stack(part) for part in zip(*sets, strict=True)))
            for sets in zip(*(t[2:] for t in drawn), strict=True)
        ),
    )


def _draw(
    seed: int,
    m_source: int,
    m_target: int,
    noise: float,
    orientation: Orientation,
    d: int,
    kappa: float,
    cos: float,
    m_validation: int,
    m_test: int,
) -> TransferTasks:
    def normal(name: str, *shape: int) -> Tensor:
        return torch.randn(shape, generator=generator(seed, "transfer", name), dtype=THEORY)

    # Two orthonormal directions make two unit vectors at exactly the wanted angle.
    plane, _ = torch.linalg.qr(normal("theta", d, 2))
    theta_target = plane[:, 0]
    theta_source = cos * plane[:, 0] + (1 - cos**2) ** 0.5 * plane[:, 1]
    coordinates = torch.randperm(d, generator=generator(seed, "transfer", "coordinates"))
    spread = torch.ones(2, d, dtype=THEORY)
    spread[0, coordinates[: d // 10]] = kappa
    spread[1, coordinates[d // 10 : 2 * (d // 10)]] = kappa
    rotations = [_rotation(normal(f"rotation{i}", d, d)) for i in (0, 1)]

    def samples(name: str, m: int, kind: int, theta: Tensor) -> Samples:
        gaussian, rotation = normal(f"{name} x", m, d), rotations[kind]
        x = gaussian @ rotation * spread[kind] if orientation == "printed" else gaussian * spread[kind] @ rotation.mT
        return Samples(x, x @ theta + noise * normal(f"{name} noise", m))

    return TransferTasks(
        theta_target,
        theta_source,
        samples("target", m_target, 0, theta_target),
        samples("validation", m_validation, 0, theta_target),
        samples("test", m_test, 0, theta_target),
        samples("same", m_source, 0, theta_source),
        samples("different", m_source, 1, theta_source),
    )


def _rotation(gaussian: Tensor) -> Tensor:
    """Uniform random rotation or reflection from a Gaussian matrix: QR with the signs that make it unique."""
    q, r = torch.linalg.qr(gaussian)
    signed: Tensor = q * r.diagonal().sign()
    return signed
