"""Task weights under label noise, solved exactly: k linear tasks on the same inputs, of which one or more have noisy labels.

The weighted optimum of min_B,A sum_i alpha_i |X B A_i - y_i|^2 is known in closed form for equal inputs (proposition 3), so
nothing is trained and what differs between methods is their weights alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mtlrepro.device import THEORY, generator
from mtlrepro.errors import UnknownName
from mtlrepro.methods.svd_reweighting import svd_weights
from mtlrepro.papers.transfer.theory import optimum

NOISES = ("additive", "random labels", "flipped signs")
METHODS = ("unweighted", "SVD", "SVD, normalised", "Kendall", "oracle")


class NoisyTasks(NamedTuple):
    """x: (seeds, m, d), ys: (seeds, k, m), models: (seeds, k, d) the true ones, signs: whether labels are -1 and 1."""

    x: Tensor
    ys: Tensor
    models: Tensor
    signs: bool


def noisy_tasks(
    seeds: Sequence[int],
    noise: str,
    level: float,
    k: int,
    *,
    noisy: int = 1,
    m: int = 200,
    d: int = 20,
    own: float = 0.0,
    base: float = 0.5,
) -> NoisyTasks:
    """k tasks y_i = X theta_i + base noise; the first `noisy` ones get more noise.

    theta_i: unit vectors around a common one, two of them at a cosine of about 1 / (1 + own^2); own = 0: one model for all.
    noise: "additive": Gaussian noise of standard deviation `level` (the signal's is 1); "random labels": a label is, with
    probability `level`, a random draw of the same spread; "flipped signs": labels are signs, each replaced with probability
    `level` by a random sign. Raises UnknownName for another noise.
    """
    if noise not in NOISES:
        raise UnknownName("noise", noise, NOISES)
    drawn = [_draw(seed, noise, level, k, noisy, m, d, own, base) for seed in seeds]
    x, ys, models = (torch.stack(part) for part in zip(*drawn, strict=True))
    return NoisyTasks(x, ys, models, noise == "flipped signs")


def _draw(
    seed: int, noise: str, level: float, k: int, noisy: int, m: int, d: int, own: float, base: float
) -> tuple[Tensor, Tensor, Tensor]:
    def normal(name: str, *shape: int) -> Tensor:
        return torch.randn(shape, generator=generator(seed, "reweighting", name), dtype=THEORY)

    x = normal("x", m, d)
    models = normal("common", d) + own * normal("own", k, d)
    models = models / models.norm(dim=-1, keepdim=True)
    ys = models @ x.mT + base * normal("base", k, m)
    if noise == "flipped signs":
        ys = ys.sign()
    extra = ys[:noisy]
    if noise == "additive":
        extra = extra + level * normal("extra", noisy, m)
    else:
        chosen = torch.rand(noisy, m, generator=generator(seed, "reweighting", "chosen"), dtype=THEORY) < level
        other = (ys.std() * normal("other", noisy, m)) if noise == "random labels" else normal("other", noisy, m).sign()
        extra = torch.where(chosen, other, extra)
    return x, torch.cat([extra, ys[noisy:]]), models


def task_weights(tasks: NoisyTasks, method: str, rank: int, *, noisy: int = 1, rounds: int = 200) -> Tensor:
    """Weights (seeds, k), positive, with sum k.

    "Kendall": the fixed point of uncertainty weighting, alpha_i = 1 / (2 sigma_i^2) with sigma_i^2 task i's mean squared
    error at the optimum for these weights, by `rounds` repetitions from equal weights. "oracle": one over the variance of a
    task's labels around its true model, which no method can know. Raises UnknownName for another method.
    """
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    x, ys = tasks.x, tasks.ys
    if method in ("SVD", "SVD, normalised"):
        found = svd_weights(x, ys, rank, normalise=method != "SVD").clamp_min(1e-12)
    elif method == "oracle":
        scale = (ys * (tasks.models @ x.mT)).mean(-1, keepdim=True) / (tasks.models @ x.mT).square().mean(-1, keepdim=True)
        found = 1 / (ys - scale * (tasks.models @ x.mT)).square().mean(-1)
    else:
        found = torch.ones_like(ys[..., 0])
        for _ in range(rounds if method == "Kendall" else 0):
            residual = ys - solved(tasks, found, rank) @ x.mT
            found = 1 / (2 * residual.square().mean(-1))
            found = found / found.mean(-1, keepdim=True)
    return found * (ys.shape[-2] / found.sum(-1, keepdim=True))


def solved(tasks: NoisyTasks, weights: Tensor, rank: int) -> Tensor:
    """The exact weighted optimum's linear models (seeds, k, d)."""
    xs = [optimum.moments(tasks.x, y) for y in tasks.ys.unbind(-2)]
    return optimum.moments_optimum(xs, rank, weights).models


def quality(tasks: NoisyTasks, models: Tensor) -> Tensor:
    """Agreement with the clean task on fresh inputs, mean over tasks -> (seeds,).

    The correlation with the noiseless labels or, where labels are signs, the accuracy of the predicted sign. Both are closed
    forms for standard Gaussian inputs: the cosine c of the two models, and 1 - arccos(c) / pi.
    """
    cosine = torch.nn.functional.cosine_similarity(models, tasks.models, dim=-1).clamp(-1, 1)
    return (1 - cosine.arccos() / torch.pi if tasks.signs else cosine).mean(-1)


def compare(
    seeds: list[int], noise: str, level: float, k: int, rank: int, noisy: int = 1, m: int = 200, own: float = 0.0
) -> list[dict[str, float | int | str]]:
    """One row a seed and method: `quality` and the weight of the first (noisy) task against the mean of the clean ones."""
    tasks = noisy_tasks(seeds, noise, level, k, noisy=noisy, m=m, own=own)
    rows: list[dict[str, float | int | str]] = []
    for method in METHODS:
        weights = task_weights(tasks, method, rank, noisy=noisy)
        found = quality(tasks, solved(tasks, weights, rank))
        ratio = weights[:, :noisy].mean(-1) / weights[:, noisy:].mean(-1)
        rows += [
            {"seed": seed, "method": method, "quality": round(value, 6), "noisy weight": round(share, 4)}
            for seed, value, share in zip(seeds, found.tolist(), ratio.tolist(), strict=True)
        ]
    return rows
