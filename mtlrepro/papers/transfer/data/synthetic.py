"""Synthetic tasks of the papers. Each array has a random stream of its own, so changing one setting leaves the rest as it was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mtlrepro.device import THEORY, generator
from mtlrepro.errors import BadValue

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


class TaskPairs(NamedTuple):
    """Pairs of a task 1 with each of several tasks 2, `pairs` of them; a leading seeds dimension everywhere.

    theta1: (seeds, d, r), orthonormal columns. theta2: (seeds, pairs, d, r). train, validation, test: the samples of task 1
    and of task 2, x: (seeds, m, d), the same for all pairs, y: (seeds, pairs, m).
    """

    theta1: Tensor
    theta2: Tensor
    train: tuple[Samples, Samples]
    validation: tuple[Samples, Samples]
    test: tuple[Samples, Samples]


def task_pairs(
    seeds: Sequence[int],
    mixes: Sequence[tuple[float, float]],
    *,
    m: tuple[int, int],
    noise: float,
    relu: bool = False,
    classify: bool = False,
    d: int = 100,
    rank: int = 1,
    m_validation: int = 1_000,
    m_test: int = 1_000,
    dtype: torch.dtype = THEORY,
) -> TaskPairs:
    """Pairs of tasks of chosen similarity on standard Gaussian inputs (transfer paper, appendix B.1 and B.4).

    Theta_2 = a Theta_1 + b Theta', one pair for each (a, b) of `mixes`; Theta_1 and Theta' are random with orthonormal columns,
    orthogonal to one another, and Theta' is drawn anew for every pair. All principal angles between the two have the cosine
    a / sqrt(a^2 + b^2). Labels are the sum over the `rank` units of X Theta, or of ReLU(X Theta), plus noise. With `classify`
    the noise is added to X Theta and the label is 1 where the sum is above 0 (its sigmoid above 0.5), else 0.

    m: training samples of task 1 and of task 2. noise: standard deviation, in the test labels too.
    Raises BadValue for a setting out of range.
    """
    if min(*m, m_validation, m_test, rank) < 1 or d < 2 * rank or noise < 0 or not mixes:
        raise BadValue("needs at least one pair, one sample in each set, noise >= 0 and d >= 2 rank.")
    drawn = [_draw_pairs(s, mixes, m, noise, relu, classify, d, rank, m_validation, m_test) for s in seeds]
    theta1, theta2 = torch.stack([one[0] for one in drawn]).to(dtype), torch.stack([one[1] for one in drawn]).to(dtype)
    sets = [Samples(*(torch.stack([one[2][place][part] for one in drawn]).to(dtype) for part in (0, 1))) for place in range(6)]
    return TaskPairs(theta1, theta2, (sets[0], sets[1]), (sets[2], sets[3]), (sets[4], sets[5]))


def _draw_pairs(
    seed: int,
    mixes: Sequence[tuple[float, float]],
    m: tuple[int, int],
    noise: float,
    relu: bool,
    classify: bool,
    d: int,
    rank: int,
    m_validation: int,
    m_test: int,
) -> tuple[Tensor, Tensor, list[Samples]]:
    def normal(name: str, *shape: int) -> Tensor:
        return torch.randn(shape, generator=generator(seed, "pairs", name), dtype=THEORY)

    theta1 = torch.linalg.qr(normal("theta1", d, rank))[0]
    theta2 = []
    for pair, (a, b) in enumerate(mixes):
        # QR of (Theta_1, Gaussian): its later columns are random, orthonormal and orthogonal to Theta_1.
        other = torch.linalg.qr(torch.cat([theta1, normal(f"theta2 {pair}", d, rank)], 1))[0][:, rank:]
        theta2.append(a * theta1 + b * other)
    thetas = (theta1[None], torch.stack(theta2))

    def samples(name: str, task: int, size: int) -> Samples:
        x = normal(f"{name}{task} x", size, d)
        z = x @ thetas[task]
        error = noise * normal(f"{name}{task} noise", size)
        if classify:  # noise outside the activation would leave the labels of all silent samples to chance
            z, error = z + error[:, None], torch.zeros_like(error)
        y = (z.relu() if relu else z).sum(-1) + error
        y = (y > 0).to(y) if classify else y
        return Samples(x, y.expand(len(mixes), -1))

    sizes = {"train": m, "validation": (m_validation,) * 2, "test": (m_test,) * 2}
    return thetas[0][0], thetas[1], [samples(name, task, size[task]) for name, size in sizes.items() for task in (0, 1)]


def boundary_tasks(
    seeds: Sequence[int], *, m: int, angle: float, wedge: float, noise: float = 0.0, m_test: int = 1_000
) -> tuple[list[Samples], Samples]:
    """The toy of the transfer paper's Figure 2: three classification tasks in the plane, `m` samples each, and a test set.

    Task 1's boundary is the first axis: the label is 1 above it. Tasks 2 and 3 share the boundary turned by `angle` degrees
    against the clock. Inputs are standard Gaussian, but task 3 has none in the double wedge of `wedge` degrees along one side
    of its boundary: for wedge > 0 above its left end and, mirrored at the origin, below its right end; for wedge < 0 above
    the right end and below the left one. noise: standard deviation of what is added to the distance from the boundary before
    its sign is taken (0 on the test set). Returns ([task 1, task 2, task 3], test), x: (seeds, m, 2), y: (seeds, m) in {0, 1}.
    """
    if m < 1 or not abs(wedge) < 90 or noise < 0:
        raise BadValue("needs m >= 1, |wedge| < 90 degrees and noise >= 0.")
    tilt = math.radians(angle)

    def samples(task: int, name: str, size: int, noise: float) -> Samples:
        turn = tilt if task else 0.0
        xs, ys = [], []
        for seed in seeds:
            random = generator(seed, "boundary", name)
            x = torch.randn(size, 2, generator=random, dtype=THEORY)
            if task == 2:
                # The polar angle from the boundary's right end, drawn again over what the double wedge leaves of a half turn.
                half = torch.rand(size, generator=random, dtype=THEORY) * (math.pi - math.radians(abs(wedge)))
                half = half if wedge > 0 else math.pi - half
                side = math.pi * torch.randint(0, 2, (size,), generator=random)
                at = turn + half + side
                x = x.norm(dim=-1, keepdim=True) * torch.stack([at.cos(), at.sin()], -1)
            distance = x @ torch.tensor([-math.sin(turn), math.cos(turn)], dtype=THEORY)
            distance = distance + noise * torch.randn(size, generator=random, dtype=THEORY)
            xs.append(x)
            ys.append((distance > 0).to(THEORY))
        return Samples(torch.stack(xs), torch.stack(ys))

    return [samples(task, f"task {task + 1}", m, noise) for task in range(3)], samples(0, "test", m_test, 0.0)
