"""Figures 2, 4 and 5 of STG-MTL: data maps of every task, which their groups follow from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from mtlrepro.device import deterministic
from mtlrepro.methods import task_grouping
from mtlrepro.methods.data_maps import Snapshot, stacked
from mtlrepro.papers.stgmtl.training.image_runs import (
    COMMON,
    COPIED,
    SPLITS,
    Features,
    Group,
    Images,
    Recipe,
    Split,
    f1,
    image_settings,
    prepared,
    train,
)
from mtlrepro.parameters import Params
from mtlrepro.training.augmentation import augmented
from mtlrepro.training.image_evaluation import binary_logits

# Clusters of the point-based groups.
VOTES = 2


def settings(p: Params) -> list[dict[str, Any]]:
    """Seed by seed a multi-task model of G1 and one of G2, and for `p.single` seeds the single-task models of G1."""
    same = image_settings(p, {"train": p.images, "test": p.tests})
    multi = [(group, "multi-task", i) for i in range(p.seeds) for group in ("G1", "G2")]
    single = [("G1", "single-task", i) for i in range(p.single)]
    return [
        {"group": group, "of": of, "seed": p.first_seed + i, "details": group == "G1"} | same
        for group, of, i in [*multi, *single]
    ]


def data_maps(
    group: Group, of: Literal["multi-task", "single-task"], seed: int, details: bool, limits: Mapping[Split, int],
    training: Mapping[str, Any],
) -> list[dict[str, Any]]:  # fmt: skip
    """Train on all tasks, by one model or by one per task, and describe the data maps. One row per task, and one, of kind "copy",
    of a task's second head:

    task, family, share (of positive answers), weight (of one in the loss); of the trained state f1, "test f1", "test accuracy";
    as text the distances to every task and last to the copy: apart (maps of the whole training), "apart half" (of its first
    half), and, for multi-task models, "apart features" and "apart pixels" (between class means of the trained features and of the
    images, without the copy). With `details` also "apart last" (of the last map alone), "votes" and "votes half" (point-based
    memberships), and "map", "labels": confidences, then variabilities, in thousandths, and answers, of the images that all seeds
    have in common. Besides rows of kind "epoch": mean F1 over tasks ("f1", "test f1") after so many epochs.
    limits, training: as of `image_settings`.
    """
    recipe = Recipe(**training)
    images = prepared(group, seed, limits, recipe)
    tasks = len(images.tasks)
    plans = torch.ones(1, tasks) if of == "multi-task" else torch.eye(tasks)
    with deterministic(threads=1):
        models = [train(images, plan, seed, recipe, number, record=True) for number, plan in enumerate(plans)]
    own = [0] * (tasks + 1) if of == "multi-task" else [*range(tasks), COPIED]  # the model of each task, and of the copy
    maps = {
        epoch: Snapshot(
            torch.stack([models[i].maps[epoch].mean[row] for row, i in enumerate(own)]),
            torch.stack([models[i].maps[epoch].std[row] for row, i in enumerate(own)]), first.count,
        )
        for epoch, first in models[0].maps.items()
    }  # fmt: skip
    whole, half = ([maps[epoch] for epoch in recipe.quarters(early)] for early in (False, True))
    features = [binary_logits(Features(model.net), images.data, images.rows("train")) for model in models]
    texts = {"apart": distances(whole), "apart half": distances(half)}
    if of == "multi-task":
        texts |= {"apart features": _between_means(features[0], images), "apart pixels": _between_means(_pixels(images), images)}
    if details:
        last = [maps[recipe.epochs]]
        texts |= {"apart last": distances(last), "map": _in_thousandths(last[0])}
        texts |= {
            name: task_grouping.point_based(stacked(kept)[:tasks], VOTES, seed, restarts=3).memberships
            for name, kept in (("votes", whole), ("votes half", half))
        }
    test = torch.stack([models[i].curves[recipe.epochs]["test"][row] for row, i in enumerate(own[:-1])])
    seen = torch.stack([models[i].net.heads[row].detach() @ features[i] for row, i in enumerate(own[:-1])])
    rows: list[dict[str, Any]] = []
    scores = {
        "f1": f1(seen, images.labels["train"]), "test f1": f1(test, images.labels["test"]),
        "test accuracy": ((test.T.cpu().numpy() > 0) == images.labels["test"]).mean(0),
    }  # fmt: skip
    for i, name in enumerate((*images.tasks, images.tasks[COPIED])):
        row: dict[str, Any] = {"kind": "task" if i < tasks else "copy", "task": name}
        if i < tasks:
            share = float(images.labels["train"][:, i].mean())
            row |= {"family": images.families[i], "share": share, "weight": float(images.positive[i])}
            row |= {score: round(float(values[i]), 5) for score, values in scores.items()}
        if details:
            answers = images.labels["train"][:COMMON, COPIED if i == tasks else i]
            row["labels"] = " ".join(map(str, answers.tolist()))
        rows.append(row | {column: as_text(matrix[i]) for column, matrix in texts.items() if i < len(matrix)})
    for epoch in models[0].curves:
        kept = {s: torch.stack([models[i].curves[epoch][s][row] for row, i in enumerate(own[:-1])]) for s in SPLITS}
        means = {s: round(float(f1(logits, images.labels[s][: logits.shape[1]]).mean()), 5) for s, logits in kept.items()}
        rows.append({"kind": "epoch", "epoch": epoch, "f1": means["train"], "test f1": means["test"]})
    return rows


def distances(maps: Sequence[Snapshot]) -> Tensor:
    """(tasks, tasks) float64 distances between the tasks' vectors, all snapshots together; for `coordinates_of_distances`."""
    return _apart(task_grouping.map_chunks(stacked(maps)))


def _between_means(values: Tensor, images: Images) -> Tensor:
    """(tasks, tasks) distances between the means of `values` (width, n) over each task's positive training images."""
    labels = torch.from_numpy(images.labels["train"]).to(values)
    return _apart([((values @ labels) / labels.sum(0)).T.cpu()])


def _pixels(images: Images) -> Tensor:
    """(width, n) float32 of the training images on at most 8 x 8 pixels."""
    rows = torch.from_numpy(images.rows("train")).to(images.data.device)
    parts = [augmented(images.data, part) for part in rows.split(5000)]
    return torch.cat([avg_pool2d(part, max(part.shape[-1] // 8, 1)).flatten(1) for part in parts]).T


def _apart(chunks: Iterable[Tensor]) -> Tensor:
    rows = task_grouping.coordinates(task_grouping.gram(chunks))
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")


def _in_thousandths(snapshot: Snapshot) -> Tensor:
    """(tasks, 2 points) whole numbers: confidences, then variabilities, of the images that all seeds have in common."""
    return (torch.cat([snapshot.mean[:, :COMMON], snapshot.std[:, :COMMON]], 1).double() * 1000).round().cpu()


def as_text(values: Tensor) -> str:
    """Numbers with five digits, by blanks."""
    return " ".join(f"{value:.5g}" for value in values.tolist())
