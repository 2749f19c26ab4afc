"""Task weights on real same-image tasks of which one has partly wrong labels (Wu, Zhang, Re 2020, Algorithm 2, Figure 12).

Pairs of tasks train a network with a shared body (`compare`). On cheap features of the same images the weighted optimum of linear
models with squared losses is exact (`exact_map`), so that methods differ in their weights alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mtlrepro import data
from mtlrepro.device import deterministic, generator
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.methods.static import Static
from mtlrepro.methods.uncertainty import Uncertainty
from mtlrepro.papers.transfer.alg2_svd_reweighting import NoisyTasks, solved, task_weights
from mtlrepro.papers.transfer.data import same_image_tasks
from mtlrepro.papers.transfer.data.same_image_tasks import Features, Source, features, random_groups
from mtlrepro.papers.transfer.training.same_image_runs import Images, Reached, images_of, train
from mtlrepro.papers.transfer.training.static_weights import pixel_products, svd_task_weights
from mtlrepro.parameters import Params
from mtlrepro.results import Runs
from mtlrepro.training.metrics import auroc
from mtlrepro.training.weighting import Equal, Weighting

Row = dict[str, Any]
NOISES = ("coin", "shuffled", "additive")
# Test images of the exact map, whose time goes into sorting their scores.
_TESTED = 4000
# The paper's noise: a fifth of one task's labels, each replaced by a fair coin.
NOISE, LEVEL = "coin", 0.2
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


def settings(p: Params, source: str) -> list[Row]:
    """Settings of `compare`: every pair with every seed."""
    images = images_of(p, source)
    common = {"images": images, "pairs": p.groups, "rate": p.rate, "epochs": p.epochs, "favours": p.favours}
    return [common | {"seed": p.first_seed + i, "pair": pair} for i in range(p.seeds) for pair in range(p.groups)]


def map_settings(p: Params, source: str) -> list[Row]:
    """Settings of `exact_map`."""
    common = {
        "source": source, "groups": min(5, p.groups), "levels": _MAP_LEVELS, "ranks": [1, 2, 5], "count": p.samples,
    }  # fmt: skip
    return [common | {"seed": p.first_seed + i, "ks": [k]} for k in p.map_tasks for i in range(p.seeds)]


def compare(
    images: Mapping[str, Any], seed: int, pair: int, pairs: int, rate: float, epochs: int, favours: Sequence[float]
) -> list[Row]:
    """One of `pairs` random pairs of tasks that the seed draws, trained in every way; the first task's training labels are noisy.

    One row per training and number of epochs: `method` with clean labels ("level" 0) "unweighted" and "linear", unweighted,
    without a shared body and with four times the epochs; with noise "unweighted", "Kendall" and "SVD", with twice the epochs too,
    and "control", where the clean task weighs `setting` times as much, one of `favours`. Algorithm 2 takes r = 1 and the noisy
    labels.
    Row: `auc` the mean over both tasks, `noisy auc` and `clean auc` of each alone, in percent on test; `valid` the mean on
    validation, whose labels are clean; `noisy weight` that of the noisy task over the other's (Kendall's in the last epoch) and
    `weight before`, for Algorithm 2, the same from clean labels. `images`: how many it learns from.
    """
    read = Images(**images)
    drawn = read.drawn(seed)
    tasks = random_groups(len(drawn.tasks), 2, pairs, seed)[pair]
    clean = torch.from_numpy(drawn.labels["train"][:, tasks]).double()
    noisy = clean.clone()
    noisy[:, 0] = noisy_labels(clean[:, 0], NOISE, LEVEL, seed, f"train {drawn.tasks[tasks[0]]}")
    names = {"group": pair, "tasks": " / ".join(drawn.tasks[task] for task in tasks), "images": len(clean)}
    rows: list[Row] = []

    def reached(method: str, weighting: Weighting, labels: Tensor, doubled: bool = False, **more: float) -> None:
        # A linear model costs next to nothing, and takes longer to converge.
        until = [epochs, 2 * epochs] if doubled else [4 * epochs if method == "linear" else epochs]
        level = 0.0 if labels is clean else LEVEL
        name = f"{method} {level} {more.get('setting', '')}"
        found = train(read, seed, tasks, labels, weighting, rate, until, linear=method == "linear", name=name)
        rows.extend({**names, "level": level, "method": method, "epochs": n, **_row(one), **more} for n, one in found.items())

    reached("unweighted", Equal(), clean)
    reached("linear", Equal(), clean)
    reached("unweighted", Equal(), noisy, doubled=True)
    reached("Kendall", Uncertainty("classification"), noisy, doubled=True)
    after, before = (svd_task_weights(pixel_products(drawn.data, labels), 1) for labels in (noisy, clean))
    reached("SVD", Static(after.float()), noisy, doubled=True, **{"weight before": round(float(before[0] / before[1]), 4)})
    for favour in favours:
        reached("control", Static(torch.tensor([2.0, 2.0 * favour]) / (1 + favour)), noisy, setting=float(favour))
    return rows


def _row(one: Reached) -> Row:
    return {
        "auc": round(float(one.test.mean()), 3),
        "noisy auc": round(float(one.test[0]), 3),
        "clean auc": round(float(one.test[1]), 3),
        "valid": round(float(one.valid.mean()), 3),
        "noisy weight": round(float(one.weights[0] / one.weights[1]), 4),
    }


def _group_labels(drawn: Features, group: Sequence[int], noise: str, level: float, seed: int) -> list[Tensor]:
    """Labels (k, n) of a group for training, validation and test; the first task's are noisy in the first two."""
    labels = []
    for place, every in zip(("train", "valid", "test"), drawn.y, strict=True):
        own = every[:, list(group)].mT.clone()
        if place != "test" and level > 0:
            own[0] = noisy_labels(own[0], noise, level, seed, f"{place} {drawn.tasks[group[0]]}")
        labels.append(own)
    return labels


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
    drawn = features(source, seed, count, d)
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
    source = data.checked_source(p)
    name, sha256 = same_image_tasks.digest(source, p.side)
    networks = runs.map(compare, settings(p, source), "training", data={name: sha256}).assign(part="networks", source=name)
    mapped = runs.map(exact_map, map_settings(p, source), "map", data=dict([same_image_tasks.digest(source)])).assign(part="map")
    settings_only = ["count", "ranks", "ks", "levels", "groups", "pair", "pairs"]
    return pd.concat([networks, mapped], ignore_index=True).drop(columns=settings_only, errors="ignore")
