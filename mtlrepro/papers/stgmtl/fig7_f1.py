"""Figure 7 of STG-MTL: F1 of single-task, multi-task and grouped models."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from mtlrepro.device import deterministic, generator
from mtlrepro.errors import DataMissing
from mtlrepro.methods import task_grouping
from mtlrepro.papers.stgmtl.fig4_groups import distances
from mtlrepro.papers.stgmtl.training.image_runs import (
    SPLITS,
    Group,
    Images,
    Model,
    Recipe,
    Split,
    f1,
    image_settings,
    prepared,
    task_set,
    train,
)
from mtlrepro.parameters import Params
from mtlrepro.training.image_evaluation import binary_logits

log = logging.getLogger(__name__)

# Rates at which a multi-task model is trained besides, in units of the one that all arms have.
RATES = (0.3, 3.0)
_Answers = dict[tuple[int, Split], Tensor]  # (epochs, split) -> logits (tasks, n) of one model


def settings(p: Params) -> list[dict[str, Any]]:
    """One for each task set and seed; a task set whose images are not at hand is left out, with a warning."""
    same = {"fuzziness": p.fuzziness} | image_settings(p, {"train": p.images, "test": p.tests})
    settings = []
    for group, seeds in p.seeds.items():
        try:
            task_set(group, "train")
        except DataMissing as error:
            log.warning("%s is left out: %s", group, error)
            continue
        own = {"group": group} | {name: getattr(p, name)[group] for name in ("clusters", "single_tasks", "deals")}
        settings += [own | {"seed": p.first_seed + i} | same for i in range(seeds)]
    return settings


def grouped_f1(
    group: Group, clusters: Sequence[int], single_tasks: int, deals: int, fuzziness: Sequence[float], seed: int,
    limits: Mapping[Split, int], training: Mapping[str, Any],
) -> list[dict[str, Any]]:  # fmt: skip
    """Mean F1 and average precision over tasks, on training and test images, of STG-MTL and of what it is to be compared with.

    One row for each method, number of clusters k ("k") and fuzziness F ("F") where these matter, average (of "logits" or
    "probabilities"), and number of epochs: all, and those of the snapshots, then of as many training images as there are test
    images. Columns train, test (F1), "train precision", "test precision" (average precision), trainings (how many models), images
    (that they were trained on), of "grouped" entropy (of the memberships, over that of uniform ones). Methods:
        "multi-task"     one model, whose data maps are clustered; "rate 0.3", "rate 3": the same at other learning rates
        "grouped"        a model for each of k soft clusters
        "random groups"  the same memberships dealt to other tasks, `deals` times, each with models of its own (column deal)
        "no groups"      k multi-task models with equal memberships, an ensemble
        "single-task"    a model for each of `single_tasks` tasks drawn by `seed`; "same tasks": the multi-task model's scores of
                         these tasks alone
        "linear"         logistic regression on pixels with the same positive weights
    limits, training: as of `image_settings`.
    """
    recipe = Recipe(**training)
    images = prepared(group, seed, limits, recipe)
    tasks, numbers = len(images.tasks), itertools.count()
    ones = torch.ones(1, tasks, dtype=torch.float64)
    drawn = torch.randperm(tasks, generator=generator(seed, "single tasks"))[:single_tasks].sort().values
    dealt = [torch.randperm(tasks, generator=generator(seed, "dealt", deal)) for deal in range(deals)]
    rows: list[dict[str, Any]] = []
    with deterministic(threads=1):

        def answers(weights: Tensor, own: Recipe = recipe, linear_model: bool = False) -> list[_Answers]:
            """Of one model for each row of `weights`."""
            models = (train(images, row, seed, own, next(numbers), linear_model=linear_model) for row in weights)
            return [_answers(model, images, recipe) for model in models]

        def score(method: str, plan: Tensor, models: list[_Answers], columns: Tensor | None = None, **case: float) -> None:
            """plan: (tasks, models), what each model's answer counts."""
            averages: tuple[Literal["logits", "probabilities"], ...] = ("logits", "probabilities")
            for epochs, average in itertools.product(_epochs(recipe), averages if case else averages[:1]):
                row = {"method": method, "average": average, "epochs": epochs, "trainings": len(models)} | case
                rows.append(
                    row | {"images": len(images.labels["train"])} | _scores(plan, models, images, epochs, average, columns)
                )

        whole = train(images, ones[0], seed, recipe, next(numbers), record=True)
        multi_task = [_answers(whole, images, recipe)]
        score("multi-task", ones.T, multi_task)
        score("same tasks", ones.T, multi_task, drawn)
        single = torch.eye(tasks, dtype=torch.float64)[drawn]
        score("single-task", single.T, answers(single), drawn)
        points = task_grouping.coordinates_of_distances(distances([whole.maps[e] for e in recipe.quarters()])[:tasks, :tasks])
        for k, f in itertools.product(clusters, fuzziness):
            memberships = task_grouping.soft(points, k, seed, f).memberships
            entropy = float(torch.special.entr(memberships).sum(1).mean()) / math.log(max(k, 2))
            score("grouped", memberships, answers(task_grouping.loss_weights(memberships)), k=k, F=f, entropy=round(entropy, 5))
            for deal, order in enumerate(dealt):
                plan = memberships[order]
                score("random groups", plan, answers(task_grouping.loss_weights(plan)), k=k, F=f, deal=deal)
        ensemble = answers(ones.expand(max(clusters), -1))
        for k in clusters:
            score("no groups", ones.T.expand(-1, k) / k, ensemble[:k], k=k)
        for factor in RATES:
            score(f"rate {factor:g}", ones.T, answers(ones, replace(recipe, rate=factor * recipe.rate)))
        score("linear", ones.T, answers(ones, linear_model=True))
    return rows


def _epochs(recipe: Recipe) -> list[int]:
    return sorted({*recipe.quarters(), *recipe.quarters(half=True)})


def _answers(model: Model, images: Images, recipe: Recipe) -> _Answers:
    """After all epochs of all training images, before of as many as there are test images."""
    answers = {(epochs, split): model.curves[epochs][split] for epochs in _epochs(recipe) for split in SPLITS}
    every = binary_logits(model.net, images.data, images.rows("train"))[: len(images.tasks)]
    return answers | {(recipe.epochs, "train"): every}


def _scores(
    plan: Tensor, models: Sequence[_Answers], images: Images, epochs: int, average: Literal["logits", "probabilities"],
    columns: Tensor | None,
) -> dict[str, float]:  # fmt: skip
    """columns: of the tasks that count, None: all."""
    chosen = torch.arange(len(plan)) if columns is None else columns
    scores: dict[str, float] = {}
    for split in SPLITS:
        logits = torch.stack([model[epochs, split] for model in models]).transpose(1, 2)
        combined = task_grouping.combined_probability(logits[..., chosen], plan[chosen], average)
        labels = images.labels[split][: len(combined), chosen.numpy()]
        scores[split] = round(float(f1((combined - 0.5).T, labels).mean()), 5)
        scores[f"{split} precision"] = round(float(average_precision_score(labels, combined.cpu().numpy())), 5)
    return scores
