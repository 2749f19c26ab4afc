"""All tasks of a same-image set at once, with several task weights (Wu, Zhang, Re 2020, Section 3.2): DenseNet-121 on chest
X-rays, or a small convolutional network on co-occurring attributes of photographs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from mtlrepro import data
from mtlrepro.methods.static import Static
from mtlrepro.methods.uncertainty import Uncertainty
from mtlrepro.papers.transfer.data import same_image_tasks
from mtlrepro.papers.transfer.training.same_image_runs import Images, images_of, train
from mtlrepro.papers.transfer.training.static_weights import pixel_products, power_weights, svd_task_weights
from mtlrepro.parameters import Params
from mtlrepro.results import Runs
from mtlrepro.training.weighting import Equal, Weighting

Row = dict[str, Any]
# What is compared: a rate for each is chosen from one grid, for Algorithm 2 the rank too.
JUDGED = ("unweighted", "Kendall", "SVD")
# Of ours, at Algorithm 2's rate and rank, for that rank and for 1.
VARIANTS = ("SVD, centred", "SVD, normalised")


def compare(images: Mapping[str, Any], seed: int, method: str, setting: float, rate: float, epochs: Sequence[int]) -> list[Row]:
    """One training on all tasks, one row for each number of `epochs`.

    method, setting: "unweighted"; "Kendall"; "SVD", "SVD, centred" (around the labels' means) and "SVD, normalised" (centred,
    each X^T y of unit length) with the rank, 0 for the number of tasks; "control", the share of positives to minus that power;
    "linear", a model without shared features, unweighted.
    Row: `images`, how many it learns from; `auc` and `valid`, mean AUC over tasks on test and validation in percent; `weight
    span`, the largest task weight over the smallest, for Kendall in the last epoch.
    """
    read = Images(**images)
    drawn = read.drawn(seed)
    labels = torch.from_numpy(drawn.labels["train"])
    weighting: Weighting = Equal()
    if method == "Kendall":
        weighting = Uncertainty("classification")
    elif method == "control":
        weighting = Static(power_weights(labels, -setting).float())
    elif method.startswith("SVD"):
        products = pixel_products(drawn.data, labels)
        rank = int(setting) or len(drawn.tasks)
        weights = svd_task_weights(products, rank, centre=method != "SVD", normalise=method == "SVD, normalised")
        weighting = Static(weights.clamp_min(1e-6).float())
    reached = train(read, seed, range(len(drawn.tasks)), labels, weighting, rate, epochs, linear=method == "linear")
    return [
        {
            "epochs": trained,
            "images": len(labels),
            "auc": round(float(one.test.nanmean()), 3),
            "valid": round(float(one.valid.nanmean()), 3),
            "weight span": round(float(one.weights.max() / one.weights.min()), 4),
        }
        for trained, one in reached.items()
    ]


def chosen(searched: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Method -> (rank, rate) of the best mean validation AUC; the first of equals."""
    means = searched.groupby(["method", "setting", "rate"]).valid.mean()
    return {str(method): best[1:] for method, best in means.groupby(level=0).idxmax().items()}


def rows(runs: Runs, p: Params) -> pd.DataFrame:
    """The search, stage "search", by validation on `search_seeds` seeds; then every method as chosen with every seed, "final",
    with twice the epochs too for what is judged, and what is asked besides."""
    source = data.checked_source(p)
    digest = dict([same_image_tasks.digest(source, p.side)])
    images = images_of(p, source)

    def settings(seeds: int, method: str, setting: float, rate: float, epochs: Sequence[int]) -> list[Row]:
        one = {"images": images, "method": method, "setting": float(setting), "rate": float(rate), "epochs": list(epochs)}
        return [one | {"seed": p.first_seed + i} for i in range(seeds)]

    arms = [("unweighted", 0.0), ("Kendall", 0.0), ("linear", 0.0), *(("SVD", float(rank)) for rank in p.ranks)]
    tried = [s for m, v in arms for rate in p.rates for s in settings(p.search_seeds, m, v, rate, [p.epochs])]
    searched = runs.map(compare, tried, "learning rates", data=digest).assign(stage="search")
    best = chosen(searched)
    rank, rate = best["SVD"]
    final = [s for m in JUDGED for s in settings(p.seeds, m, *best[m], [p.epochs, 2 * p.epochs])]
    final += settings(p.seeds, "linear", *best["linear"], [p.epochs])
    # What the weights can do at most is asked at the rate of equal weights.
    for power in p.powers:
        final += settings(p.seeds, "control", power, best["unweighted"][1], [p.epochs])
    ours = [("SVD", float(other)) for other in p.ranks if other != rank] + [(variant, 1.0) for variant in VARIANTS]
    for method, setting in ours:
        final += settings(p.more_seeds, method, setting, rate, [p.epochs])
    done = runs.map(compare, final, "methods", data=digest).assign(stage="final")
    columns = ["source", "images", "stage", "seed", "method", "setting", "rate", "epochs", "auc", "valid", "weight span"]
    return pd.concat([searched, done], ignore_index=True).assign(source=next(iter(digest)))[columns]
