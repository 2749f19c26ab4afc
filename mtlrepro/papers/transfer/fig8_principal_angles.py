"""Figure 8 of the transfer paper: transfer between ReLU tasks of rank 10 against the similarity of their models."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from mtlrepro.device import NETWORK, THEORY, deterministic, generator
from mtlrepro.papers.transfer.data.synthetic import Samples, TaskPairs, task_pairs
from mtlrepro.papers.transfer.training.pair_grid import fit_pairs, ridge_predictions, score
from mtlrepro.parameters import Params

# Rank of the tasks and width of every shared layer; target samples; standard deviation of the noise.
RANK, TARGET, NOISE = 10, 100, 1.0
RATES = [0.001, 0.003, 0.01, 0.03, 0.1]
# Of Section 2.3: the standard deviation of the inputs along a tenth of the axes, 1 along the others.
KAPPA = 100.0

Covariances = Literal["identity", "same", "different"]


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


def with_covariances(tasks: TaskPairs, seeds: list[int], covariances: Covariances) -> TaskPairs:
    """The same tasks on inputs with Section 2.3's covariances, (D Q^T)^T (D Q^T), scaled to a mean variance of 1; same noise.

    D is KAPPA on d / 10 axes and 1 elsewhere, Q a random rotation. Task 2's inputs have the same matrix as task 1's, or one of
    the same spectrum with its own Q.
    """
    if covariances == "identity":
        return tasks
    d = tasks.theta1.shape[-2]
    spread = torch.ones(d, dtype=THEORY)
    spread[: d // 10] = KAPPA
    spread /= spread.square().mean().sqrt()

    def root(seed: int, kind: int) -> Tensor:
        gaussian = torch.randn(d, d, generator=generator(seed, "pairs", f"covariance{kind}"), dtype=THEORY)
        scaled: Tensor = spread[:, None] * torch.linalg.qr(gaussian)[0].mT
        return scaled

    def roots(task: int) -> Tensor:
        kind = task if covariances == "different" else 0
        return torch.stack([root(seed, kind) for seed in seeds]).to(tasks.theta1)

    def labels(x: Tensor, theta: Tensor) -> Tensor:
        summed: Tensor = (x[:, None] @ theta).relu().sum(-1)
        return summed

    thetas = (tasks.theta1[:, None], tasks.theta2)
    turn = [roots(0), roots(1)]

    def moved(pair: tuple[Samples, Samples]) -> tuple[Samples, Samples]:
        first, second = (
            Samples(own.x @ root, labels(own.x @ root, theta) + own.y - labels(own.x, theta))
            for own, root, theta in zip(pair, turn, thetas, strict=True)
        )
        return first, second

    return tasks._replace(train=moved(tasks.train), validation=moved(tasks.validation), test=moved(tasks.test))


def compare(
    seeds: list[int], alphas: list[float], sizes: list[int], epochs: int, covariances: Covariances
) -> list[dict[str, Any]]:
    """Spearman on the target's test samples of multi-task, single-task and ridge; one row per seed, alpha and size."""
    with deterministic(threads=1):
        return _compare(seeds, alphas, sizes, epochs, covariances)


def _compare(
    seeds: list[int], alphas: list[float], sizes: list[int], epochs: int, covariances: Covariances
) -> list[dict[str, Any]]:
    mixes = [(a, 1 - a) for a in alphas]
    drawn = task_pairs(seeds, mixes, m=(TARGET, max(sizes)), noise=NOISE, relu=True, rank=RANK, dtype=NETWORK)
    tasks = with_covariances(drawn, seeds, covariances)
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
            {"seed": seed, "alpha": alpha, "size": size, "epochs": epochs, "covariances": covariances}
            | {name: values[i, j].item() for name, values in scores.items()}
            for i, seed in enumerate(seeds)
            for j, alpha in enumerate(alphas)
        ]
    return rows


def measure(part: str, **setting: Any) -> list[dict[str, Any]]:
    """The rows of one of `settings`: "angles" or "training"."""
    return principal_angles(**setting) if part == "angles" else compare(**setting)


def settings(p: Params) -> list[dict[str, Any]]:
    """Ten seeds at a time; the first seeds again with twice the epochs and with two covariances; and the principal angles."""
    every = list(range(p.first_seed, p.first_seed + p.seeds))
    judged = {"alphas": p.alphas, "epochs": p.epochs, "covariances": "identity"}
    few = [p.alphas[0], p.alphas[-1]]
    again = [{"epochs": 2 * p.epochs}, *({"alphas": few, "covariances": name} for name in ("same", "different"))]
    return [
        *(
            {"part": "training", "sizes": p.sizes} | judged | changed | {"seeds": chosen[i : i + 10]}
            for changed, chosen in [({}, every), *((change, every[: max(p.seeds // 2, 2)]) for change in again)]
            for i in range(0, len(chosen), 10)
        ),
        {"part": "angles", "count": p.instances, "alphas": p.alphas},
    ]
