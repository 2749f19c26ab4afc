"""Task weights on real same-image tasks whose labels are partly wrong (Wu, Zhang, Re 2020, Algorithm 2, Figure 12).

Inputs are fixed cheap features of the images, so that hundreds of trainings are one batch of small networks, and so that for
linear models with squared losses the weighted optimum is exact (`exact_map`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, binary_cross_entropy_with_logits

from mtlrepro.data.binary_tasks import TaskSet, digits_tasks, superclass_tasks
from mtlrepro.data.chest import ChestXrays, load_chestxray14, load_nih64, patient_split
from mtlrepro.data.digits import load_digits, split_digits
from mtlrepro.errors import BadValue, DataMissing, UnknownName
from mtlrepro.methods.static import Static
from mtlrepro.methods.svd_reweighting import svd_weights
from mtlrepro.methods.uncertainty import Uncertainty
from mtlrepro.methods.weighting import Batch, Weighting
from mtlrepro.models.stacked_mlp import StackedMLP
from mtlrepro.training.device import deterministic, generator
from mtlrepro.training.loop import RunwiseSGD, fit, minibatches
from mtlrepro.training.metrics import auroc
from mtlrepro.training.reweighting import NoisyTasks, solved, task_weights

Source = Literal["cifar100", "nih64", "chestxray14", "digits"]
Row = dict[str, Any]
NOISES = ("coin", "shuffled", "additive")
# Test images of the exact map, whose time goes into sorting their scores.
_TESTED = 4000
# A label needs this many positives in all to be a task.
_POSITIVES = 20
# Side of the pooled images: 32 -> 8 and 64 -> 16; digits stay as they are.
_SIDES = {"cifar100": 8, "nih64": 16, "chestxray14": 16, "digits": 8}


class Parts(NamedTuple):
    """One draw of a source: features (n, d), uncorrelated with mean 0 and variance 1 in training, and labels (n, tasks) 0 or 1,
    for training, validation and test; names of the tasks."""

    x: tuple[Tensor, Tensor, Tensor]
    y: tuple[Tensor, Tensor, Tensor]
    tasks: tuple[str, ...]


@functools.lru_cache(maxsize=2)
def load(source: Source) -> tuple[TaskSet, TaskSet | None]:
    """A source's tasks, and its own test part where it has one. CIFAR-100 and chest X-rays that are not at hand are replaced by
    digits: see the name of what is returned. Raises UnknownName."""
    if source not in _SIDES:
        raise UnknownName("source", source, _SIDES)
    try:
        if source == "cifar100":
            return superclass_tasks("train"), superclass_tasks("test")
        if source == "nih64":
            return load_nih64(), None
        if source == "chestxray14":
            return load_chestxray14(side=64), None
    except DataMissing:
        pass
    return digits_tasks("G1"), None


@functools.lru_cache(maxsize=8)
def draw(source: Source, seed: int, count: int, d: int) -> Parts:
    """`count` training images, half as many for validation, and the test part, drawn by `seed`; d features.

    CIFAR-100: test is the official one. Others are split 60/20/20 at random, chest X-rays by patient, so `count` is at most what
    that leaves. Features are the leading principal components of the average-pooled pixels of the training images.
    """
    tasks, test = load(source)
    chosen = [task for task, n in zip(tasks.tasks, tasks.labels.sum(0), strict=True) if n >= _POSITIVES]
    tasks = tasks.of(tasks=chosen)
    if test is not None:
        order = np.random.default_rng([seed, 12]).permutation(len(tasks))
        parts = [tasks.of(order[:count]), tasks.of(order[count : count + count // 2]), test.of(tasks=chosen)]
    else:
        split = patient_split(tasks, seed) if isinstance(tasks, ChestXrays) else split_digits(load_digits(), seed)
        parts = [tasks.of(split[name]) for name in ("train", "valid", "test")]
        parts[0] = parts[0].of(np.arange(min(count, len(parts[0]))))
    pooled = [_pooled(part.images, _SIDES.get(tasks.name, 8)) for part in parts]
    middle = pooled[0].mean(0)
    _, values, right = torch.linalg.svd(pooled[0] - middle, full_matrices=False)
    # As many components as asked for that the training images have at all.
    kept = min(d, int((values > 1e-6 * values[0]).sum()))
    basis = right[:kept].mT / values[:kept] * len(pooled[0]) ** 0.5
    x = [(part - middle) @ basis for part in pooled]
    y = [torch.from_numpy(part.labels.astype(np.float64)) for part in parts]
    return Parts((x[0], x[1], x[2]), (y[0], y[1], y[2]), tuple(chosen))


def _pooled(images: np.ndarray, side: int) -> Tensor:
    """(n, height, width, channels) uint8 -> (n, side * side * channels) float64."""
    stacked = torch.from_numpy(images.astype(np.float32)).movedim(-1, 1)
    return adaptive_avg_pool2d(stacked, side).flatten(1).double()


def random_groups(tasks: int, k: int, count: int, seed: int = 0) -> list[list[int]]:
    """`count` different groups of k of the tasks, in random order: the first task of each is the one with noise."""
    order = np.random.default_rng([seed, tasks, k])
    found: list[list[int]] = []
    while len(found) < count:
        group = order.permutation(tasks)[:k].tolist()
        if k == tasks or set(group) not in map(set, found):
            found.append(group)
    return found


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


# --- small networks ---------------------------------------------------------------------------------------------------


def methods(k: int, ranks: Sequence[int]) -> list[tuple[str, int]]:
    """(method, rank) to compare for k tasks; rank 0 stands for k. Normalised weights are equal where the rank is k or k is 2."""
    found = [("unweighted", 0), ("Kendall", 0)]
    for rank in (rank or k for rank in ranks):
        if rank <= k:
            found.append(("SVD", rank))
        if rank < k > 2:
            found.append(("SVD, normalised", rank))
    return found


def weights_of(x: Tensor, ys: Tensor, method: str, rank: int) -> Tensor:
    """(..., k) weights of sum k by a static method, for x (..., m, d) and ys (..., k, m), labels centred."""
    if method == "unweighted":
        return torch.ones_like(ys[..., 0])
    found = svd_weights(x, ys, rank, centre=True, normalise=method != "SVD")
    return found * (ys.shape[-2] / found.sum(-1, keepdim=True))


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


def digest(source: Source) -> tuple[str, str]:
    """Name of what `load` gives and its sha256."""
    tasks, _ = load(source)
    return tasks.name, tasks.sha256
