"""Figure 9 of the transfer paper: Algorithm 1 on Figure 3's different-covariance pair, beside single- and multi-task models."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from mtlrepro.device import NETWORK, deterministic
from mtlrepro.papers.transfer.data.synthetic import Samples, transfer_tasks
from mtlrepro.papers.transfer.theory import optimum
from mtlrepro.papers.transfer.theory.thm9_relu import best_direction
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
# For alignment from the optimum, whose B is larger: the paper's grid.
OPTIMUM_RATES = [1e-4, 1e-3, 1e-2, 1e-1]


def tasks_of(seeds: list[int], m_source: int, relu: bool) -> dict[str, Samples]:
    """Target, its validation and test samples, and the source, scaled; labels with a pairs dimension of 1.

    ReLU: twice the target samples, since half of them leave the unit at zero.
    """
    drawn = transfer_tasks(seeds, m_source=m_source, m_target=100 if relu else 50, noise=20.0, orientation="rotated")

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


def at_optimum(tasks: list[Samples], seeds: list[int], relu: bool) -> PairGrid:
    """The shared model of rank 1 at the least squared loss, its target's head as long as B so that one rate suits both.

    Linear: exact, of smallest norm where it is not unique. ReLU: the best that L-BFGS reaches from the ridge solutions of every
    task and of all pooled; in coordinates that whiten the inputs where there are two tasks, and so more samples than inputs. One
    task alone has fewer, and there L-BFGS in the given coordinates stays near its start.
    """
    own = [(task.x.double(), task.y[:, 0].double()) for task in tasks]
    if relu:
        shared, heads = zip(*(_relu_optimum([(x[i], y[i]) for x, y in own]) for i in range(len(seeds))), strict=True)
        b, a = torch.stack(shared), torch.stack(heads)
    elif len(tasks) == 1:
        b = optimum.least_squares(optimum.moments(*own[0]))
        a = torch.ones_like(b[:, :1])
    else:
        best = optimum.mtl_optimum([x for x, _ in own], [y for _, y in own], rank=1)
        b, a = best.shared[..., 0], best.heads[..., 0]
    balance = (a[:, :1].abs() / b.norm(dim=-1, keepdim=True)).sqrt()
    model = start_pairs(seeds, b.shape[-1], len(tasks), relu, NETWORK)
    model.shared.data = (b * balance)[:, None, None].to(NETWORK)
    model.heads.data = (a / balance)[:, None, :, None].to(NETWORK)
    return model


def _relu_optimum(tasks: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """B (d,) and heads (k,) of one seed's tasks, x: (m, d), y: (m,)."""
    sums = [optimum.moments(x, y) for x, y in tasks]
    gram, cross = (torch.stack(part).sum(0) for part in list(zip(*sums, strict=True))[:2])
    pairs = [(own.gram, own.cross) for own in sums] + [(gram, cross)] * (len(tasks) > 1)
    starts = [torch.linalg.solve(g + torch.eye(len(g), dtype=g.dtype), v) for g, v in pairs]
    values, vectors = torch.linalg.eigh(gram)
    scale = values.sqrt() if len(tasks) > 1 else torch.ones_like(values)
    inputs = tuple((x @ vectors / scale).numpy() for x, _ in tasks)
    moved = [start @ vectors * scale for start in starts]
    found = best_direction(inputs, tuple(y.numpy() for _, y in tasks), [(start / start.norm()).numpy() for start in moved])
    b = vectors @ (torch.from_numpy(found) / scale)
    units = [(x @ b).relu() for x, _ in tasks]
    return b, torch.stack([unit @ y / unit.square().sum() for unit, (_, y) in zip(units, tasks, strict=True)])


def compare(seeds: list[int], sizes: list[int], sgd_sizes: list[int], epochs: int, relu: bool) -> list[dict[str, Any]]:
    """Spearman on test of every model, one row per seed, size and kind of training.

    sizes: source samples, ascending. sgd_sizes: of them, those where SGD trains the shared model too. epochs: passes over the
    target's data.
    """
    with deterministic(threads=1):
        return _compare(seeds, sizes, sgd_sizes, epochs, relu)


def _compare(seeds: list[int], sizes: list[int], sgd_sizes: list[int], epochs: int, relu: bool) -> list[dict[str, Any]]:
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
    rows: list[dict[str, Any]] = []

    def add(name: str, size: int, single: PairGrid, mtl: PairGrid, fixed: AlignedFit, **more: PairGrid) -> None:
        """The rows of one kind of training. more: further models by column."""
        columns = alone | {"plain": spearman(single), "mtl": spearman(mtl), "fixed": spearman(fixed.target)}
        columns |= {column: spearman(model) for column, model in more.items()}
        if not relu:
            ends = (("to single-task", single), ("to multi-task", mtl))
            columns |= {column: cosine_similarity(linear(fixed.target), linear(end), dim=-1).tolist() for column, end in ends}
        rows.extend(
            {"model": "ReLU" if relu else "linear", "kind": name, "size": size, "seed": seed, "B moved": fixed.moved[i].item()}
            | {column: round(values[i], 4) for column, values in columns.items()}
            for i, seed in enumerate(seeds)
        )

    plain = at_optimum([target], seeds, relu)
    for size in sizes:
        both = [target, Samples(source.x[:, :size], source.y[:, :, :size])]
        shared, left = at_optimum(both, seeds, relu), budget | {"rates": OPTIMUM_RATES}
        fixed, longer, by_error = (
            aligned(shared, [target], **left | how) for how in ({}, {"epochs": 2 * epochs}, {"choose": None})
        )
        add("converged", size, plain, shared, fixed, **{"fixed, longer": longer.target, "fixed, by error": by_error.target})
        if size not in sgd_sizes:
            continue
        mtl = fit_pairs(both, [validation], seeds, relu=relu, **budget)
        half = fit_pairs(both, [validation], seeds, relu=relu, epochs=epochs // 2, **kind)
        joint = aligned(start(), both, joint=True, **budget).target
        left = kind | {"epochs": epochs - epochs // 2}
        by_error = aligned(half, [target], **left | {"choose": None})
        add("SGD", size, stopped, mtl, aligned(half, [target], **left), joint=joint, **{"fixed, by error": by_error.target})
    return rows


def settings(p: Params) -> list[dict[str, Any]]:
    """Linear and ReLU, ten seeds at a time."""
    every = list(range(p.first_seed, p.first_seed + p.seeds))
    return [
        {"sizes": p.sizes, "sgd_sizes": p.sgd_sizes, "epochs": p.epochs, "seeds": every[i : i + 10], "relu": relu}
        for relu in (False, True)
        for i in range(0, p.seeds, 10)
    ]
