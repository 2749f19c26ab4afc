"""Task weights on real same-image tasks whose labels are partly wrong (Wu, Zhang, Re 2020, Algorithm 2, Figure 12).

Inputs are fixed cheap features of the images, so that hundreds of trainings are one batch of small networks, and so that for
linear models with squared losses the weighted optimum is exact (`exact_map`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from mtlrepro.device import deterministic, generator
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.methods.static import Static
from mtlrepro.methods.uncertainty import Uncertainty
from mtlrepro.models.stacked_mlp import StackedMLP
from mtlrepro.papers.transfer.alg2_svd_reweighting import NoisyTasks, solved, task_weights
from mtlrepro.papers.transfer.data.same_image_tasks import Parts, Source, draw, random_groups
from mtlrepro.papers.transfer.training.static_weights import methods, weights_of
from mtlrepro.training.loop import RunwiseSGD, fit, minibatches
from mtlrepro.training.metrics import auroc
from mtlrepro.training.weighting import Batch, Weighting

Row = dict[str, Any]
NOISES = ("coin", "shuffled", "additive")
# Test images of the exact map, whose time goes into sorting their scores.
_TESTED = 4000


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
    data: str = "",
) -> list[Row]:
    """Networks with one shared ReLU layer trained with every method on `groups` groups of k tasks (0: of all).

    One row a group and method. In each group the first task's training and validation labels are noisy; test labels are clean.
    Learning rate and epoch are chosen by the mean validation AUC of the group, from the same `rates` for every method. Row: `auc`
    the mean over the group and `noisy auc` that of the noisy task (both in percent, on test), `noisy weight` its weight over the
    mean of the others' (for Kendall in the last epoch). data: `digest`, so that a row is only reused for the same data.
    """
    parts = draw(source, seed, count, d)
    k = k or len(parts.tasks)
    chosen = random_groups(len(parts.tasks), k, groups)
    made = [_group_labels(parts, group, noise, level, seed) for group in chosen]
    train, valid, test = (torch.stack([labels[i] for labels in made]) for i in range(3))  # (groups, k, n)
    x = parts.x[0]
    rows: list[Row] = []
    for method, rank in methods(k, ranks):
        fixed = None if method == "Kendall" else weights_of(x.expand(groups, *x.shape), train, method, rank)
        found, share = _trained(parts, train, valid, test, fixed, seed, width, rates, epochs, batch)
        rows += [
            {
                "group": number,
                "tasks": " / ".join(parts.tasks[t] for t in group),
                "method": method,
                "svd rank": rank,
                "auc": round(100 * float(found[number].nanmean()), 3),
                "noisy auc": round(100 * float(found[number, 0]), 3),
                "noisy weight": round(float(share[number]), 4),
            }
            for number, group in enumerate(chosen)
        ]
    return rows


def _group_labels(parts: Parts, group: Sequence[int], noise: str, level: float, seed: int) -> list[Tensor]:
    """Labels (k, n) of a group for training, validation and test; the first task's are noisy in the first two."""
    made = []
    for place, labels in zip(("train", "valid", "test"), parts.y, strict=True):
        own = labels[:, list(group)].mT.clone()
        if place != "test" and level > 0:
            own[0] = noisy_labels(own[0], noise, level, seed, f"{place} {parts.tasks[group[0]]}")
        made.append(own)
    return made


def _trained(
    parts: Parts, train: Tensor, valid: Tensor, test: Tensor, fixed: Tensor | None, seed: int, width: int,
    rates: Sequence[float], epochs: int, batch: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """All groups x rates as one training -> test AUC (groups, k) at each group's best rate, and the noisy task's weight."""
    groups, k, _ = train.shape
    x_train, x_valid, x_test = (part.float() for part in parts.x)

    def over_rates(values: Tensor) -> Tensor:
        return values.repeat(len(rates), *[1] * (values.ndim - 1))

    targets = over_rates(train.float().mT.contiguous())  # (runs, n, k)
    rate = torch.tensor(rates).repeat_interleave(groups)
    # Every run of a seed starts from the same draw, so that methods and rates are compared at equal starts.
    model = StackedMLP(x_train.shape[1], [width], [], [k], [generator(seed, "label noise", "start") for _ in rate])
    weighting: Weighting = Uncertainty("classification", rate=rate) if fixed is None else Static(over_rates(fixed.float()))
    order = generator(seed, "label noise", "order")

    def batches(_: int) -> Iterator[Batch]:
        for rows in minibatches(len(x_train), batch, order):
            yield Batch(x_train[rows], targets[:, rows])

    def scores(call: Any, x: Tensor) -> Tensor:
        """(runs, n, k)"""
        found: Tensor = call(x.expand(len(rate), *x.shape), 0)
        return found

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
            reached = auroc(scores(model, x_test).mT, over_rates(test)).view(len(rates), groups, k)
    best = done.best.view(len(rates), groups).argmax(0)
    used = done.weights[-1].view(len(rates), groups, k)[best, torch.arange(groups)]
    return reached[best, torch.arange(groups)], used[:, 0] / used[:, 1:].mean(-1)


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


def exact_map(
    source: Source,
    seed: int,
    ks: Sequence[int],
    groups: int,
    levels: dict[str, list[float]],
    ranks: Sequence[int],
    count: int = 5000,
    d: int = 64,
    data: str = "",
) -> list[Row]:
    """Linear models of rank r < k with squared losses, the optimum exact for each method's weights: one row a setting.

    Algorithm 2's rank is the model's. Row: the mean over groups of the AUC on clean test labels, in percent, for all tasks and
    for the noisy one, and its weight over the mean of the others'. "Kendall": the fixed point of uncertainty weighting.
    """
    parts = draw(source, seed, count, d)
    rows: list[Row] = []
    for k in ks:
        if k > len(parts.tasks):
            raise BadValue(f"{source} has {len(parts.tasks)} tasks, not {k}.")
        chosen = random_groups(len(parts.tasks), k, groups)
        for noise, level in [("coin", 0.0), *((noise, level) for noise, found in levels.items() for level in found)]:
            made = [_group_labels(parts, group, noise, level, seed) for group in chosen]
            ys, test = torch.stack([labels[0] for labels in made]), torch.stack([labels[2][:, :_TESTED] for labels in made])
            x, small = compressed(parts.x[0], ys - ys.mean(-1, keepdim=True))
            tasks = NoisyTasks(x.expand(groups, *x.shape), small, small[..., : x.shape[1]], True)
            for rank in (rank for rank in ranks if rank < k):
                for method in ("unweighted", "SVD", "SVD, normalised", "Kendall"):
                    weights = task_weights(tasks, method, rank, rounds=30)
                    found = auroc(solved(tasks, weights, rank) @ parts.x[2][:_TESTED].mT, test)
                    row = {"k": k, "noise": noise if level else "none", "level": level, "rank": rank, "method": method}
                    row |= {
                        "auc": round(100 * float(found.nanmean()), 4),
                        "noisy auc": round(100 * float(found[:, 0].nanmean()), 4),
                    }
                    share = weights[:, 0] / weights[:, 1:].mean(-1)
                    rows.append(row | {"noisy weight": round(float(share.mean()), 4)})
    return rows
