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
from mtlrepro.errors import BadValue
from mtlrepro.methods.cotask import AuxiliaryTask, combine_tasks
from mtlrepro.models.task_heads import MultiTaskNet
from mtlrepro.papers.cotask.training import cifar_runs as training

Floats = NDArray[np.float64]
STATES = ("before training", "multi-task", "CO-TASK")


def separation(parts: Sequence[tuple[Floats, Ints]]) -> float:
    """Mean silhouette of the classes within their task, from -1 to 1. parts: of each task features (n, d) and labels (n,)."""
    return float(np.mean([silhouette_score(found, labels) for found, labels in parts]))


def probe(known: Sequence[tuple[Floats, Ints]], tested: Sequence[tuple[Floats, Ints]]) -> float:
    """Mean accuracy over tasks of logistic regression on `known`'s features, on `tested`. Both as in `separation`."""
    scores = []
    for (features, labels), (others, wanted) in zip(known, tested, strict=True):
        fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(features, labels)
        scores.append(fitted.score(others, wanted))
    return float(np.mean(scores))


def between_tasks(parts: Sequence[tuple[Floats, Ints]]) -> float:
    """Share of the features' variance that lies between the tasks' means, from 0 (one common cloud) to 1. As `separation`."""
    pooled = np.concatenate([found for found, _ in parts])
    middle = pooled.mean(0)
    spread = sum(len(found) * ((found.mean(0) - middle) ** 2).sum() for found, _ in parts)
    return float(spread / ((pooled - middle) ** 2).sum())


def togetherness(first: tuple[Floats, Ints], second: tuple[Floats, Ints], mapping: Ints) -> float:
    """1 - (mean distance of the means of two merged classes) / (that of two classes of both tasks that are not merged).

    first, second: the parents' features (n, d) and labels (n,). mapping: (k, 2) as in `AuxiliaryTask`. 0 where merging left no
    trace, 1 where merged classes have equal means. Raises BadValue for fewer than two classes.
    """
    if len(mapping) < 2:
        raise BadValue("with one class there is no pair of classes that is not merged.")
    means = [np.stack([found[labels == c].mean(0) for c in mapping[:, t]]) for t, (found, labels) in enumerate((first, second))]
    apart = np.linalg.norm(means[0][:, None] - means[1][None], axis=-1)
    merged = np.eye(len(mapping), dtype=bool)
    return float(1 - apart[merged].mean() / apart[~merged].mean())


def measured(model: MultiTaskNet, made: training.Problem, auxiliary: Sequence[AuxiliaryTask]) -> dict[str, float]:
    """All of the above for one network: the probe trained on validation images, everything measured on test images."""
    known, tested = (_features(model, made, part) for part in ("valid", "test"))
    place = {task.name: number for number, task in enumerate(made.tasks)}
    joined = []
    for task in auxiliary:
        first, second = (tested[place[parent.name]] for parent in task.parents)
        joined.append(togetherness(first, second, task.mapping))
    return {
        "silhouette": separation(tested),
        "probe": probe(known, tested),
        "between tasks": between_tasks(tested),
        "togetherness": float(np.mean(joined)),
    }


def plane(model: MultiTaskNet, made: training.Problem, task: AuxiliaryTask, shown: int) -> list[dict[str, Any]]:
    """The first two principal components of the parents' test images, one line an image: `shown` of each class are kept.

    Keys: x, y, parent (a task's name), class (its name), merged (number of the merged class).
    """
    numbers = [next(n for n, own in enumerate(made.tasks) if own.name == parent.name) for parent in task.parents]
    tested = _features(model, made, "test")
    both = PCA(2).fit(np.concatenate([tested[n][0] for n in numbers]))
    lines = []
    for side, n in enumerate(numbers):
        features, labels = tested[n]
        for z, c in enumerate(task.mapping[:, side]):
            for x, y in both.transform(features[labels == c][:shown]).round(3):
                own = made.tasks[n]
                lines.append({"x": x, "y": y, "parent": own.name, "class": own.classes[c], "merged": z})
    return lines


def representations(
    seed: int, auxiliary: int, setup: training.Setup, shown: int
) -> tuple[dict[str, dict[str, float]], list[dict[str, Any]]]:
    """Measures by state, and the plane of the first auxiliary task's parents: before, and after both kinds of training.

    The same steps in all for both (the rule "equal"). shown: images of each class in the plane, 0 for none.
    """
    made = training.problem(seed, 0.0, setup)
    tasks = [task for task in combine_tasks(made.tasks, auxiliary, seed) if isinstance(task, AuxiliaryTask)]
    models = (
        training.untrained(made, seed, setup),
        training.train(made, 0, "equal", seed, setup).model,
        training.train(made, auxiliary, "equal", seed, setup).model,
    )
    found, lines = {}, []
    for state, model in zip(STATES, models, strict=True):
        found[state] = measured(model, made, tasks)
        if shown:
            lines += [{"state": state} | line for line in plane(model, made, tasks[0], shown)]
    return found, lines


def _features(model: MultiTaskNet, made: training.Problem, part: str) -> list[tuple[Floats, Ints]]:
    found = [training.features(model, made, number, part) for number in range(len(made.tasks))]
    return [(features.cpu().double().numpy(), labels.cpu().numpy()) for features, labels in found]
