"""Figure 9 of the transfer paper: Algorithm 1 on Figure 3's different-covariance pair, beside single- and multi-task models."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import cosine_similarity

from mtlrepro.device import NETWORK, deterministic
from mtlrepro.papers.transfer.data.synthetic import Samples, transfer_tasks
from mtlrepro.papers.transfer.theory import optimum
from mtlrepro.papers.transfer.training.pair_grid import (
    AlignedFit,
    PairGrid,
    fit_aligned,
    fit_pairs,
    ridge_predictions,
    score,
    start_pairs,
)  # fmt: skip
from mtlrepro.parameters import Params

RATES = [0.01, 0.03, 0.1, 0.3]
# For alignment from the exact optimum, whose B is larger.
EXACT_RATES = [1e-4, 1e-3, 1e-2, 1e-1]


def tasks_of(seeds: list[int], m_source: int, relu: bool) -> dict[str, Samples]:
    """Target, its validation and test samples, and the source, scaled; labels with a pairs dimension of 1."""
    drawn = transfer_tasks(seeds, m_source=m_source, m_target=50, noise=20.0, orientation="rotated")

    def scaled(samples: Samples, theta: Tensor) -> Samples:
        z = (samples.x @ theta[..., None])[..., 0]
        y = z.relu() + (samples.y - z) if relu else samples.y
        return Samples((samples.x / 100).to(NETWORK), (y / 100).to(NETWORK)[:, None])

    names = {name: getattr(drawn, name) for name in ("target", "validation", "test")}
    sets = {name: scaled(samples, drawn.theta_target) for name, samples in names.items()}
    return sets | {"source": scaled(drawn.different, drawn.theta_source)}


def linear(model: PairGrid) -> Tensor:
    """The target's linear model of a grid with one column per seed: (seeds, d)."""
    return (model.heads[:, 0, :1] @ model.shared[:, 0])[:, 0].detach()


def compare(seeds: list[int], sizes: list[int], joint_sizes: list[int], epochs: int, relu: bool) -> list[dict[str, Any]]:
    """Spearman on test of every model, one row per seed, size and kind of training.

    sizes: source samples, ascending. joint_sizes: of them, those where B is trained too. epochs: passes over the target's data.
    """
    with deterministic(threads=1):
        return _compare(seeds, sizes, joint_sizes, epochs, relu)


def _compare(seeds: list[int], sizes: list[int], joint_sizes: list[int], epochs: int, relu: bool) -> list[dict[str, Any]]:
    data = tasks_of(seeds, max(sizes), relu)
    target, validation, test, source = (data[name] for name in ("target", "validation", "test", "source"))
    kind: dict[str, Any] = {"rates": RATES, "choose": score}
    budget = kind | {"epochs": epochs}
    stopped = fit_pairs([target], [validation], seeds, relu=relu, **budget)

    def start() -> PairGrid:
        return start_pairs(seeds, test.x.shape[-1], 2, relu, NETWORK)

    def spearman(model: PairGrid) -> list[float]:
        return score(model(test.x, 0), test.y)[:, 0].tolist()

    def aligned(from_model: PairGrid, tasks: list[Samples], **options: Any) -> AlignedFit:
        return fit_aligned(from_model, tasks, validation, seeds, **options)

    alone = {
        "stopped": spearman(stopped),
        "ridge": score(ridge_predictions(target, validation, test), test.y)[:, 0].tolist(),
        "control": spearman(aligned(start(), [target], **budget).target),
    }
    squares = optimum.least_squares(optimum.moments(target.x.double(), target.y[:, 0].double()))
    rows: list[dict[str, Any]] = []

    def add(
        name: str,
        size: int,
        plain: list[float],
        single: Tensor,
        mtl: PairGrid,
        shared: PairGrid,
        left: dict[str, Any],
        joint: PairGrid | None = None,
    ) -> None:
        """The rows of one kind of training. shared: the model whose B is fixed. left: the budget that alignment has."""
        fixed, by_error = (aligned(shared, [target], **left | how) for how in ({}, {"choose": None}))
        columns = alone | {"plain": plain, "mtl": spearman(mtl), "fixed": spearman(fixed.target)}
        columns |= {"fixed, by error": spearman(by_error.target)}
        if joint is not None:
            columns["joint"] = spearman(joint)
        if not relu:
            w = linear(fixed.target)
            columns["to single-task"] = cosine_similarity(w, single, dim=-1).tolist()
            columns["to multi-task"] = cosine_similarity(w, linear(mtl), dim=-1).tolist()
        rows.extend(
            {"model": "ReLU" if relu else "linear", "kind": name, "size": size, "seed": seed, "B moved": fixed.moved[i].item()}
            | {column: round(values[i], 4) for column, values in columns.items()}
            for i, seed in enumerate(seeds)
        )

    for size in sizes:
        both = [target, Samples(source.x[:, :size], source.y[:, :, :size])]
        mtl = fit_pairs(both, [validation], seeds, relu=relu, **budget)
        half = fit_pairs(both, [validation], seeds, relu=relu, epochs=epochs // 2, **kind)
        joint = aligned(start(), both, joint=True, **budget).target if size in joint_sizes else None
        left = kind | {"epochs": epochs - epochs // 2}
        add("SGD", size, alone["stopped"], linear(stopped), mtl, half, left, joint)
        if relu:
            continue
        best = optimum.mtl_optimum([one.x.double() for one in both], [one.y[:, 0].double() for one in both], rank=1)
        balance = best.heads[:, :1].abs().sqrt()  # the same model with |B| = |A_1|, so that one learning rate suits both
        exact = start_pairs(seeds, test.x.shape[-1], 2)
        exact.shared.data = (best.shared * balance).mT[:, None].to(NETWORK)
        exact.heads.data = (best.heads / balance)[:, None].to(NETWORK)
        plain = score(squares[:, None] @ test.x.double().mT, test.y.double())[:, 0].tolist()
        add("converged", size, plain, squares.to(NETWORK), exact, exact, budget | {"rates": EXACT_RATES})
    return rows


def settings(p: Params) -> list[dict[str, Any]]:
    """Linear and ReLU, ten seeds at a time."""
    every = list(range(p.first_seed, p.first_seed + p.seeds))
    return [
        {"sizes": p.sizes, "joint_sizes": p.joint_sizes, "epochs": p.epochs, "seeds": every[i : i + 10], "relu": relu}
        for relu in (False, True)
        for i in range(0, p.seeds, 10)
    ]
