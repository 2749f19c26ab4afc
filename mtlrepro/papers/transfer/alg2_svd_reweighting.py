"""Task weights under label noise, solved exactly: k linear tasks on the same inputs, of which one or more have noisy labels
(Wu, Zhang, Re 2020, Algorithm 2).

The weighted optimum of min_B,A sum_i alpha_i |X B A_i - y_i|^2 is known in closed form for equal inputs (proposition 3), so
nothing is trained and what differs between methods is their weights alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtlrepro.device import THEORY, deterministic, generator
from mtlrepro.errors import UnknownName
from mtlrepro.methods.svd_reweighting import svd_weights
from mtlrepro.papers.transfer.theory import optimum
from mtlrepro.parameters import Params

# Level 0 is the same task without the noise.
LEVELS = {
    "additive": [0.0, 0.5, 1.0, 2.0, 5.0],
    "random labels": [0.0, 0.1, 0.2, 0.5, 0.9],
    "flipped signs": [0.0, 0.1, 0.2, 0.5, 0.9],
}
# Noise of the motivating example, in units of the signal's standard deviation.
_EXAMPLE_LEVELS = [0.1, 0.3, 1.0, 3.0, 10.0]
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
    if noise not in LEVELS:
        raise UnknownName("noise", noise, LEVELS)
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


def task_weights(tasks: NoisyTasks, method: str, rank: int, *, rounds: int = 200) -> Tensor:
    """Weights (seeds, k), positive, with sum k.

    "Kendall": the fixed point of uncertainty weighting, alpha_i = 1 / (2 sigma_i^2) with sigma_i^2 task i's mean squared
    error at the optimum for these weights, by `rounds` repetitions from equal weights. "oracle": one over the variance of a
    task's labels around its true model, which no method can know. Raises UnknownName for another method.
    """
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    x, ys = tasks.x, tasks.ys
    if method in ("SVD", "SVD, normalised"):
        weights = svd_weights(x, ys, rank, normalise=method != "SVD").clamp_min(1e-12)
    elif method == "oracle":
        scale = (ys * (tasks.models @ x.mT)).mean(-1, keepdim=True) / (tasks.models @ x.mT).square().mean(-1, keepdim=True)
        weights = 1 / (ys - scale * (tasks.models @ x.mT)).square().mean(-1)
    else:
        weights = torch.ones_like(ys[..., 0])
        for _ in range(rounds if method == "Kendall" else 0):
            residual = ys - solved(tasks, weights, rank) @ x.mT
            weights = 1 / (2 * residual.square().mean(-1))
            weights = weights / weights.mean(-1, keepdim=True)
    return weights * (ys.shape[-2] / weights.sum(-1, keepdim=True))


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


def settings(p: Params) -> list[dict[str, Any]]:
    """Settings of `compare`: every noise and level, number of tasks and rank below it, with one model behind all tasks or own
    ones."""
    return [
        {"noise": noise, "level": level, "k": k, "rank": rank, "m": p.samples, "own": own, "seeds": _seeds(p)}
        for noise, levels in LEVELS.items() for level in levels for k in p.tasks
        for rank in ((1, 2) if level else (1,)) if rank < k for own in (0.0, 0.5)
    ]  # fmt: skip


def example_settings(p: Params) -> list[dict[str, Any]]:
    """Settings of `motivating_example`."""
    return [{"level": level, "m": p.samples, "seeds": _seeds(p)} for level in _EXAMPLE_LEVELS]


def _seeds(p: Params) -> list[int]:
    return list(range(p.first_seed, p.first_seed + p.seeds))


@deterministic(threads=1)
def compare(
    seeds: list[int], noise: str, level: float, k: int, rank: int, noisy: int = 1, m: int = 200, own: float = 0.0
) -> list[dict[str, float | int | str]]:
    """One row per seed and method: `quality` and the weight of the first (noisy) task against the mean of the clean ones."""
    tasks = noisy_tasks(seeds, noise, level, k, noisy=noisy, m=m, own=own)
    rows: list[dict[str, float | int | str]] = []
    for method in METHODS:
        weights = task_weights(tasks, method, rank)
        reached = quality(tasks, solved(tasks, weights, rank))
        ratio = weights[:, :noisy].mean(-1) / weights[:, noisy:].mean(-1)
        rows += [
            {"seed": seed, "method": method, "quality": round(value, 6), "noisy weight": round(share, 4)}
            for seed, value, share in zip(seeds, reached.tolist(), ratio.tolist(), strict=True)
        ]
    return rows


@deterministic(threads=1)
def motivating_example(seeds: list[int], level: float, m: int = 200) -> list[dict[str, float | int]]:
    """Section 2.4's example: two tasks of one model on the same inputs, the first without noise, the second with noise of `level`
    times the signal's standard deviation. Rank 1.

    One row per seed: `log ratio`, log2 of Algorithm 2's weight of the clean task over that of the noisy one; and the squared
    distance of the shared direction from the model, at the best scale and relative to its squared length, for equal weights
    (`distance, equal`) and with the clean task's weight ten times as large (`distance, clean tenfold`).
    """
    tasks = noisy_tasks(seeds, "additive", level, 2, m=m, base=0.0)
    weights = task_weights(tasks, "SVD", 1)
    logs = torch.log2(weights[:, 1] / weights[:, 0])  # the first task of `noisy_tasks` is the noisy one
    clean_tenfold = torch.tensor([2.0, 20.0], dtype=THEORY) / 11
    distances = []
    for used in (torch.ones(2, dtype=THEORY), clean_tenfold):
        models = solved(tasks, used.expand(len(seeds), 2), 1)
        cosine = torch.nn.functional.cosine_similarity(models[:, 1], tasks.models[:, 1], dim=-1)
        distances.append(1 - cosine.square())
    return [
        {"seed": seed, "log ratio": log, "distance, equal": equal, "distance, clean tenfold": tenfold}
        for seed, log, equal, tenfold in zip(seeds, logs.tolist(), *(d.tolist() for d in distances), strict=True)
    ]
