"""Figure 8 of the transfer paper: transfer between ReLU tasks of rank 10 against the similarity of their models."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtlrepro.device import NETWORK, deterministic
from mtlrepro.papers.transfer.data.synthetic import Samples, task_pairs
from mtlrepro.papers.transfer.training.pair_grid import fit_pairs, ridge_predictions, score
from mtlrepro.parameters import Params

# Rank of the tasks and width of every shared layer; target samples; standard deviation of the noise.
RANK, TARGET, NOISE = 10, 100, 1.0
RATES = [0.003, 0.01, 0.03, 0.1]


def principal_angles(count: int, alphas: list[float]) -> list[dict[str, Any]]:
    """Per alpha: smallest and largest principal cosine over `count` random instances, and the worst error of the formula.

    rank: of Theta_1 in the first instance.
    """
    drawn = task_pairs(range(count), [(a, 1 - a) for a in alphas], m=(1, 1), noise=0.0, rank=RANK, m_validation=1, m_test=1)
    cosines = torch.linalg.svdvals(drawn.theta1.mT[:, None] @ torch.linalg.qr(drawn.theta2)[0])
    rank = int(torch.linalg.matrix_rank(drawn.theta1[0]))
    rows = []
    for i, alpha in enumerate(alphas):
        formula, seen = alpha / (alpha**2 + (1 - alpha) ** 2) ** 0.5, cosines[:, i]
        error = (seen - formula).abs().max()
        rows.append(
            {"alpha": alpha, "least": seen.min(), "largest": seen.max(), "formula": formula, "error": error, "rank": rank}
        )
    return rows


def compare(seeds: list[int], alphas: list[float], sizes: list[int], epochs: int) -> list[dict[str, Any]]:
    """Spearman on the target's test samples of multi-task, single-task and ridge; one row per seed, alpha and size."""
    with deterministic(threads=1):
        return _compare(seeds, alphas, sizes, epochs)


def _compare(seeds: list[int], alphas: list[float], sizes: list[int], epochs: int) -> list[dict[str, Any]]:
    mixes = [(a, 1 - a) for a in alphas]
    tasks = task_pairs(seeds, mixes, m=(TARGET, max(sizes)), noise=NOISE, relu=True, rank=RANK, dtype=NETWORK)
    kind: dict[str, Any] = {"rates": RATES, "rank": RANK, "relu": True}
    test, validation = tasks.test[0], tasks.validation[0]
    target, checked = (part._replace(y=part.y[:, :1]) for part in (tasks.train[0], validation))
    longest = epochs * (TARGET + max(sizes)) // TARGET
    alone = fit_pairs([target], [checked], seeds, epochs=longest, **kind)
    scores: dict[str, Tensor] = {"ridge": score(ridge_predictions(target, checked, test), test.y)}
    rows = []
    with torch.no_grad():
        scores["single"] = score(alone(test.x, 0), test.y)
    for size in sizes:
        both = [tasks.train[0], Samples(tasks.train[1].x[:, :size], tasks.train[1].y[:, :, :size])]
        together = fit_pairs(both, [validation], seeds, epochs=epochs, **kind)
        with torch.no_grad():
            scores["multi"] = score(together(test.x, 0), test.y)
        rows += [
            {"seed": seed, "alpha": alpha, "size": size} | {name: values[i, j].item() for name, values in scores.items()}
            for i, seed in enumerate(seeds)
            for j, alpha in enumerate(alphas)
        ]
    return rows


def measure(part: str, **setting: Any) -> list[dict[str, Any]]:
    """The rows of one of `settings`: "angles" or "training"."""
    return principal_angles(**setting) if part == "angles" else compare(**setting)


def settings(p: Params) -> list[dict[str, Any]]:
    """Ten seeds at a time, and the principal angles."""
    every = list(range(p.first_seed, p.first_seed + p.seeds))
    return [
        *(
            {"part": "training", "alphas": p.alphas, "sizes": p.sizes, "epochs": p.epochs, "seeds": every[i : i + 10]}
            for i in range(0, p.seeds, 10)
        ),
        {"part": "angles", "count": p.instances, "alphas": p.alphas},
    ]
