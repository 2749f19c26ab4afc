"""What training does to the representation of classes (the CO-TASK paper's Figure 2): how far apart the classes of a task lie,
how far the tasks, and whether the classes that an auxiliary task merges come together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mtlrepro.data.tasks import Ints
from mtlrepro.methods.cotask import AuxiliaryTask, combine_tasks
from mtlrepro.models.task_heads import MultiTaskNet
from mtlrepro.papers.cotask.linear_classifiers import ClassMoments
from mtlrepro.papers.cotask.training import cifar_training
from mtlrepro.papers.cotask.training.cifar_training import CifarTraining, PreparedImages, Rule
from mtlrepro.parameters import Params

# One task's features (n, d) and labels (n,).
Features = tuple[NDArray[np.float64], Ints]

# State of the network -> method and budget rule of its arm; before training there is none.
ARMS: dict[str, tuple[str, Rule]] = {
    "before training": ("multi", "equal"), "multi-task": ("multi", "equal"), "CO-TASK": ("cotask", "equal"),
    "CO-TASK by the paper": ("cotask", "paper"),
}  # fmt: skip


def settings(p: Params) -> list[dict[str, Any]]:
    """One setting per state and seed; the first seed also gives the images of the picture."""
    auxiliary = 1 if cifar_training.first_data(p).stand_in else p.auxiliary
    fixed = {"auxiliary": auxiliary, "training": cifar_training.training_settings(p)}
    return [
        {"state": state, "seed": p.first_seed + i, "shown": 0 if i else p.shown} | fixed
        for i in range(p.seeds)
        for state in p.states
    ]


def representations(state: str, seed: int, auxiliary: int, shown: int, training: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per measure of the network in one state: before training, after multi-task training, after CO-TASK with as many
    steps in all, or after CO-TASK by the paper's rule, with more.

    shown: images per class of the first auxiliary task's parents that get a row of measure "image" each.
    """
    method, rule = ARMS[state]
    how = CifarTraining(**training)
    if state == "before training":
        data = cifar_training.prepared_images(seed, 0.0, how.side, how.per_class, how.device)
        model, accuracy = cifar_training.untrained(data, seed, how), {}
    else:
        data, (trained,) = cifar_training.trained_arm(
            method, "multi", auxiliary if method == "cotask" else 0, rule, 0.0, "standard", seed, training
        )
        model, accuracy = trained.model, {"accuracy": float(np.mean(cifar_training.accuracy_by_task(trained, data, data.tasks)))}
    tasks = [task for task in combine_tasks(data.tasks, auxiliary, seed) if isinstance(task, AuxiliaryTask)]
    values = accuracy | measures(model, data, tasks, seed)
    rows: list[dict[str, Any]] = [{"measure": name, "value": value} for name, value in values.items()]
    return rows + [{"measure": "image"} | image for image in plane(model, data, tasks[0], shown)]


def measures(model: MultiTaskNet, data: PreparedImages, auxiliary: Sequence[AuxiliaryTask], seed: int) -> dict[str, float]:
    """All measures of one network: classifiers fitted to validation images (`probe`) or training images (the others), everything
    measured on test images. seed: of the permuted controls.

    union: `union_accuracy`, over `triples` of them. task classifier: balanced accuracy of telling the images of the parents of an
    auxiliary task apart. merged cosine: `merged_cosine`. permuted: the same with labels, or with a mapping, drawn at random.
    """
    known, fitted, unseen = (
        [cifar_training.features(model, data, task, part) for task in data.tasks] for part in ("valid", "train", "test")
    )
    places = {task.name: number for number, task in enumerate(data.tasks)}
    pairs = [tuple(places[parent.name] for parent in task.parents) for task in auxiliary]
    rng = np.random.default_rng([seed, 2])
    union, triples = union_accuracy(fitted, unseen)
    told_apart, by_chance = zip(*(task_classifier(fitted, unseen, i, j, rng) for i, j in pairs), strict=True)
    cosines, random_cosines = [], []
    for (i, j), task in zip(pairs, auxiliary, strict=True):
        means = class_means(unseen, i), class_means(unseen, j)
        cosines.append(merged_cosine(*means, task.mapping))
        random_cosines.append(merged_cosine(*means, np.stack([rng.permutation(len(task.mapping)) for _ in range(2)], 1)))
    return {
        "silhouette": separation(unseen),
        "probe": probe(known, unseen),
        "between tasks": between_tasks(unseen),
        "union": union,
        "triples": triples,
        "task classifier": float(np.mean(told_apart)),
        "task classifier, permuted": float(np.mean(by_chance)),
        "merged cosine": float(np.mean(cosines)),
        "merged cosine, permuted": float(np.mean(random_cosines)),
    }


def class_features(tasks: Sequence[Features]) -> list[NDArray[np.float64]]:
    """Features (n, d) of each class, task by task."""
    return [features[labels == c] for features, labels in tasks for c in range(int(labels.max()) + 1)]


def union_accuracy(fitted: Sequence[Features], tested: Sequence[Features], least: float = 0.9) -> tuple[float, int]:
    """Accuracy of telling alpha or beta from gamma minus the mean of telling alpha and beta from it, and the number of triples.

    Mean over the triples of a class alpha of one task and two classes beta, gamma of another, where both accuracies of the pairs
    are at least `least`; NaN without any.
    """
    moments = ClassMoments.of(class_features(fitted), class_features(tested))
    task = np.concatenate([np.full(int(labels.max()) + 1, number) for number, (_, labels) in enumerate(fitted)])
    classes = np.arange(len(task))
    first, second = np.triu_indices(len(task), 1)
    pairs = np.full((len(task), len(task)), np.nan)
    pairs[first, second] = pairs[second, first] = moments.accuracies(first[:, None], second[:, None])
    alpha, beta, gamma = (grid.ravel() for grid in np.meshgrid(classes, classes, classes, indexing="ij"))
    told_apart = (pairs[alpha, gamma] >= least) & (pairs[beta, gamma] >= least)
    chosen = (task[alpha] != task[beta]) & (task[beta] == task[gamma]) & (beta != gamma) & told_apart
    alpha, beta, gamma = alpha[chosen], beta[chosen], gamma[chosen]
    if len(alpha) == 0:
        return np.nan, 0
    union = moments.accuracies(np.stack([alpha, beta], 1), gamma[:, None])
    return float((union - (pairs[alpha, gamma] + pairs[beta, gamma]) / 2).mean()), len(alpha)


def task_classifier(
    fitted: Sequence[Features], tested: Sequence[Features], i: int, j: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Balanced accuracy of telling the images of two tasks apart; fitted to their tasks, and to tasks permuted by `rng`."""
    train, test = ([features[i][0], features[j][0]] for features in (fitted, tested))
    shuffled = rng.permutation(np.concatenate(train))
    sides = [train, [shuffled[: len(train[0])], shuffled[len(train[0]) :]]]
    one, other = (float(ClassMoments.of(side, test).accuracies(np.array([[0]]), np.array([[1]]))[0]) for side in sides)
    return one, other


def class_means(tested: Sequence[Features], task: int) -> NDArray[np.float64]:
    """(classes, d) means of a task's classes, about the mean of all tasks' images."""
    features, labels = tested[task]
    middle = np.concatenate([each for each, _ in tested]).mean(0)
    means = np.stack([features[labels == c].mean(0) for c in range(int(labels.max()) + 1)])
    centred: NDArray[np.float64] = means - middle
    return centred


def merged_cosine(first: NDArray[np.float64], second: NDArray[np.float64], mapping: Ints) -> float:
    """Mean cosine of the means of two merged classes minus that of two classes of both tasks that are not merged.

    first, second: (k, d) of the parents. mapping: (k, 2) as in `AuxiliaryTask`.
    """
    a, b = (means / np.linalg.norm(means, axis=1, keepdims=True) for means in (first[mapping[:, 0]], second[mapping[:, 1]]))
    cosines, merged = a @ b.T, np.eye(len(mapping), dtype=bool)
    return float(cosines[merged].mean() - cosines[~merged].mean())


def separation(tasks: Sequence[Features]) -> float:
    """Mean silhouette of the classes within their task, from -1 to 1."""
    return float(np.mean([silhouette_score(features, labels) for features, labels in tasks]))


def probe(known: Sequence[Features], tested: Sequence[Features]) -> float:
    """Mean accuracy over tasks of logistic regression fitted to `known`, on `tested`."""
    scores = []
    for fitting, testing in zip(known, tested, strict=True):
        scores.append(make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(*fitting).score(*testing))
    return float(np.mean(scores))


def between_tasks(tasks: Sequence[Features]) -> float:
    """Share of the features' variance that lies between the tasks' means, from 0 (one common cloud) to 1."""
    pooled = np.concatenate([features for features, _ in tasks])
    middle = pooled.mean(0)
    spread = sum(len(features) * ((features.mean(0) - middle) ** 2).sum() for features, _ in tasks)
    return float(spread / ((pooled - middle) ** 2).sum())


def plane(model: MultiTaskNet, data: PreparedImages, auxiliary: AuxiliaryTask, shown: int) -> list[dict[str, Any]]:
    """The first two principal components of the parents' test images, one row per image: `shown` of each class are kept.

    Keys: x, y, parent (a task's name), class (its name), merged (number of the merged class).
    """
    own = [cifar_training.features(model, data, parent, "test") for parent in auxiliary.parents]
    components = PCA(2).fit(np.concatenate([points for points, _ in own]))
    rows = []
    for side, (parent, (points, labels)) in enumerate(zip(auxiliary.parents, own, strict=True)):
        for z, c in enumerate(auxiliary.mapping[:, side]):
            for x, y in components.transform(points[labels == c])[:shown].round(3):
                rows.append({"x": x, "y": y, "parent": parent.name, "class": parent.classes[c], "merged": z})
    return rows
