"""Task weights on real same-image tasks whose labels are partly wrong (Wu, Zhang, Re 2020, Algorithm 2, Figure 12).

Inputs are fixed cheap features of the images, so that hundreds of trainings are one batch of small networks, and so that for
linear models with squared losses the weighted optimum is exact (`exact_map`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from mtlrepro import data
from mtlrepro.device import deterministic, generator
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.methods.static import Static
from mtlrepro.methods.uncertainty import Uncertainty
from mtlrepro.models.shared_bottom import StackedLinear
from mtlrepro.models.stacked_mlp import StackedMLP
from mtlrepro.papers.transfer.alg2_svd_reweighting import NoisyTasks, solved, task_weights
from mtlrepro.papers.transfer.data import same_image_tasks
from mtlrepro.papers.transfer.data.same_image_tasks import SameImageTasks, Source, draw, random_groups
from mtlrepro.papers.transfer.training.static_weights import methods, weights_of
from mtlrepro.parameters import Params
from mtlrepro.results import Runs
from mtlrepro.training.loop import RunwiseSGD, fit, minibatches
from mtlrepro.training.metrics import auroc
from mtlrepro.training.weighting import Batch, Weighting

Row = dict[str, Any]
NOISES = ("coin", "shuffled", "additive")
# Test images of the exact map, whose time goes into sorting their scores.
_TESTED = 4000
_MAP_LEVELS = {"coin": [0.2, 0.5], "shuffled": [0.2, 0.5, 0.9], "additive": [1.0, 3.0]}


def noisy_labels(labels: Tensor, noise: str, level: float, seed: int, name: str) -> Tensor:
    """Labels (n,) 0 or 1 with noise of one kind.

    "coin": a label is, with probability `level`, replaced by a fair coin (the paper: 20% "flipped with probability 0.5");
    "shuffled": it is replaced by the label of a random sample, which keeps the share of positives; "additive": Gaussian noise of
    `level` standard deviations of the labels is added. Raises UnknownName.
    """
    if noise not in NOISES:
        raise UnknownName("noise", noise, NOISES)
    g = generator(seed, "label noise", noise, name)
    n = len(labels)
    if noise == "additive":
        return labels + level * labels.std() * torch.randn(n, generator=g, dtype=labels.dtype)
    chosen = torch.rand(n, generator=g) < level
    other = (torch.rand(n, generator=g) < 0.5).to(labels) if noise == "coin" else labels[torch.randint(n, (n,), generator=g)]
    return torch.where(chosen, other, labels)


def settings(p: Params) -> list[Row]:
    """Settings of `compare`: pairs without noise and with every kind and level of it, and more tasks with coin flips."""
    conditions = [(2, "coin", 0.0)] + [(2, noise, level) for noise, levels in p.noises.items() for level in levels]
    conditions += [(k, "coin", level) for k in p.more_tasks for level in p.noises["coin"]]
    common = {
        "source": p.source, "groups": p.groups, "count": p.samples, "epochs": p.epochs,
    }  # fmt: skip
    return [
        {"k": k, "noise": noise, "level": level, "ranks": [1, 2, 5][: min(k, 3)], "seed": p.first_seed + i} | common
        for k, noise, level in conditions for i in range(p.seeds)
    ]  # fmt: skip


def map_settings(p: Params) -> list[Row]:
    """Settings of `exact_map`."""
    common = {
        "source": p.source, "groups": min(5, p.groups), "levels": _MAP_LEVELS, "ranks": [1, 2, 5], "count": p.samples,
    }  # fmt: skip
    return [common | {"seed": p.first_seed + i, "ks": [k]} for k in p.map_tasks for i in range(p.seeds)]


def compare(
    source: Source,
    seed: int,
    k: int,
    groups: int,
    noise: str,
    level: float,
    ranks: Sequence[int],
    count: int = 5000,
    d: int = 64,
    width: int = 32,
    rates: Sequence[float] = (0.03, 0.1, 0.3),
    epochs: int = 10,
    batch: int = 100,
) -> list[Row]:
    """Networks with one shared ReLU layer trained with every method on `groups` groups of k tasks (0: of all).

    One row per group and method; without noise also "linear", unweighted models without the shared layer. In each group the
    first task's training and validation labels are noisy; test labels are clean. Learning rate and epoch are chosen by the mean
    validation AUC of the group, from the same `rates` for every method.
    Row: `auc` the mean over the group and `noisy auc` that of the noisy task (both in percent, on test), `valid` the mean
    validation AUC, `rate` the rate chosen, `noisy weight` the noisy task's weight over the mean of the others' and `weight span`
    the largest over the smallest (for Kendall in the last epoch).
    """
    drawn = draw(source, seed, count, d)
    k = k or len(drawn.tasks)
    chosen = random_groups(len(drawn.tasks), k, groups)
    labels = [_group_labels(drawn, group, noise, level, seed) for group in chosen]
    train, valid, test = (torch.stack([of[i] for of in labels]) for i in range(3))  # (groups, k, n)
    x = drawn.x[0]
    rows: list[Row] = []
    for method, rank in [*methods(k, ranks), *([("linear", 0)] if level == 0 else [])]:
        like = "unweighted" if method == "linear" else method
        fixed = None if method == "Kendall" else weights_of(x.expand(groups, *x.shape), train, like, rank)
        layers = [] if method == "linear" else [width]
        reached = _trained(drawn, train, valid, test, fixed, seed, layers, rates, epochs, batch)
        rows += [
            {
                "group": number,
                "tasks": " / ".join(drawn.tasks[t] for t in group),
                "method": method,
                "svd rank": rank,
                "auc": round(100 * float(reached.test[number].nanmean()), 3),
                "noisy auc": round(100 * float(reached.test[number, 0]), 3),
                "noisy weight": round(float(weights[0] / weights[1:].mean()), 4),
                "weight span": round(float(weights.max() / weights.min()), 4),
                "valid": round(100 * float(reached.valid[number]), 3),
                "rate": rates[int(reached.rate[number])],
            }
            for number, (group, weights) in enumerate(zip(chosen, reached.weights, strict=True))
        ]
    return rows


def _group_labels(drawn: SameImageTasks, group: Sequence[int], noise: str, level: float, seed: int) -> list[Tensor]:
    """Labels (k, n) of a group for training, validation and test; the first task's are noisy in the first two."""
    labels = []
    for place, every in zip(("train", "valid", "test"), drawn.y, strict=True):
        own = every[:, list(group)].mT.clone()
        if place != "test" and level > 0:
            own[0] = noisy_labels(own[0], noise, level, seed, f"{place} {drawn.tasks[group[0]]}")
        labels.append(own)
    return labels


class Reached(NamedTuple):
    """What training reached at each group's best rate.

    test: AUC (groups, k). valid: mean AUC (groups,). rate: its number (groups,). weights: of the last epoch (groups, k).
    """

    test: Tensor
    valid: Tensor
    rate: Tensor
    weights: Tensor


def _trained(
    drawn: SameImageTasks, train: Tensor, valid: Tensor, test: Tensor, fixed: Tensor | None, seed: int, layers: Sequence[int],
    rates: Sequence[float], epochs: int, batch: int,
) -> Reached:  # fmt: skip
    """All groups x rates as one training. fixed: weights (groups, k), None for Kendall's. layers: widths of the shared layers."""
    groups, k, _ = train.shape
    x_train, x_valid, x_test = (part.float() for part in drawn.x)

    def over_rates(values: Tensor) -> Tensor:
        return values.repeat(len(rates), *[1] * (values.ndim - 1))

    targets = over_rates(train.float().mT.contiguous())  # (runs, n, k)
    rate = torch.tensor(rates).repeat_interleave(groups)
    # Every run of a seed starts from the same draw, so that methods and rates are compared at equal starts.
    starts = [generator(seed, "label noise", "start") for _ in rate]
    d = x_train.shape[1]
    model: nn.Module = StackedMLP(d, layers, [], [k], starts) if layers else StackedLinear(d, k, starts, dtype=torch.float32)
    weighting: Weighting = Uncertainty("classification", rate=rate) if fixed is None else Static(over_rates(fixed.float()))
    order = generator(seed, "label noise", "order")

    def batches(_: int) -> Iterator[Batch]:
        for rows in minibatches(len(x_train), batch, order):
            yield Batch(x_train[rows], targets[:, rows])

    def scores(call: Any, x: Tensor) -> Tensor:
        """(runs, n, k)"""
        inputs = x.expand(len(rate), *x.shape)
        logits: Tensor = call(inputs, 0) if layers else call(inputs)
        return logits

    def losses(call: Any, one: Batch) -> Tensor:
        return binary_cross_entropy_with_logits(scores(call, one.inputs), one.targets, reduction="none").mean(1)

    expected = over_rates(valid)
    with deterministic(threads=1):
        done = fit(
            model, batches, losses, epochs=epochs, weighting=weighting,
            optimizer=RunwiseSGD(model.parameters(), rate, momentum=0.9),
            validate=lambda m: auroc(scores(m, x_valid).mT, expected), select=lambda metrics: metrics.nanmean(-1),
        )  # fmt: skip
        with torch.no_grad():
            aucs = auroc(scores(model, x_test).mT, over_rates(test)).view(len(rates), groups, k)
    by_rate, every = done.best.view(len(rates), groups), torch.arange(groups)
    best = by_rate.argmax(0)
    used = done.weights[-1].view(len(rates), groups, k)
    return Reached(aucs[best, every], by_rate[best, every], best, used[best, every])


# --- exact optima of linear models ------------------------------------------------------------------------------------


def compressed(x: Tensor, ys: Tensor) -> tuple[Tensor, Tensor]:
    """d + 1 rows in place of m with the same Gram matrix, the same X^T y_i and the same |y_i|: (d + 1, d) and (..., k, d + 1).

    Weighted optima, Algorithm 2's weights and training errors (up to a factor of m / (d + 1), the same for all tasks) are those
    of x (m, d) and ys (..., k, m).
    """
    q, r = torch.linalg.qr(x)
    inside = ys @ q
    outside = (ys.square().sum(-1, keepdim=True) - inside.square().sum(-1, keepdim=True)).clamp_min(0).sqrt()
    return torch.cat([r, r.new_zeros(1, r.shape[1])]), torch.cat([inside, outside], -1)


@deterministic(threads=1)
def exact_map(
    source: Source,
    seed: int,
    ks: Sequence[int],
    groups: int,
    levels: dict[str, list[float]],
    ranks: Sequence[int],
    count: int = 5000,
    d: int = 64,
) -> list[Row]:
    """Linear models of rank r < k with squared losses, the optimum exact for each method's weights: one row per setting.

    Algorithm 2's rank is the model's. Row: the mean over groups of the AUC on clean test labels, in percent, for all tasks and
    for the noisy one, and its weight over the mean of the others'. "Kendall": the fixed point of uncertainty weighting.
    """
    drawn = draw(source, seed, count, d)
    rows: list[Row] = []
    for k in ks:
        if k > len(drawn.tasks):
            raise BadValue(f"{source} has {len(drawn.tasks)} tasks, not {k}.")
        chosen = random_groups(len(drawn.tasks), k, groups)
        for noise, level in [("coin", 0.0), *((noise, level) for noise, own in levels.items() for level in own)]:
            labels = [_group_labels(drawn, group, noise, level, seed) for group in chosen]
            ys, test = torch.stack([of[0] for of in labels]), torch.stack([of[2][:, :_TESTED] for of in labels])
            x, small = compressed(drawn.x[0], ys - ys.mean(-1, keepdim=True))
            tasks = NoisyTasks(x.expand(groups, *x.shape), small, small[..., : x.shape[1]], True)
            for rank in (rank for rank in ranks if rank < k):
                for method in ("unweighted", "SVD", "SVD, normalised", "Kendall"):
                    weights = task_weights(tasks, method, rank, rounds=30)
                    aucs = auroc(solved(tasks, weights, rank) @ drawn.x[2][:_TESTED].mT, test)
                    share = weights[:, 0] / weights[:, 1:].mean(-1)
                    row = {"k": k, "noise": noise if level else "none", "level": level, "rank": rank, "method": method}
                    row |= {
                        "auc": round(100 * float(aucs.nanmean()), 4),
                        "noisy auc": round(100 * float(aucs[:, 0].nanmean()), 4),
                        "noisy weight": round(float(share.mean()), 4),
                    }
                    rows.append(row)
    return rows


def rows(runs: Runs, p: Params) -> pd.DataFrame:
    """Networks and map together; a column ``part`` tells them apart."""
    name, sha256 = same_image_tasks.digest(data.checked_source(p))
    networks = runs.map(compare, settings(p), "training", data={name: sha256}).assign(part="networks")
    rank = networks["svd rank"]
    networks["method"] = networks.method.where(rank == 0, networks.method + ", r = " + rank.astype(str))
    mapped = runs.map(exact_map, map_settings(p), "map", data={name: sha256}).assign(part="map")
    settings_only = ["source", "count", "ranks", "ks", "levels", "groups", "epochs"]
    return pd.concat([networks, mapped], ignore_index=True).drop(columns=settings_only, errors="ignore")
