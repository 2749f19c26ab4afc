"""Tables 3 to 6 and Figure 5 of the CO-TASK paper: test accuracy of each CIFAR-MTL task by method, baseline, budget, noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from mtlrepro.papers.cotask.training.cifar_training import (
    IMAGES_OF_A_CLASS,
    CifarTraining,
    PreparedImages,
    Rule,
    accuracy_with_own_statistics,
    prepared_images,
    train,
    training_settings,
)
from mtlrepro.parameters import Params

# "half": on half of the training images, "double": with twice the epochs; both for the gates.
Variant = Literal["standard", "half", "double"]
Arm = tuple[str, str, int, Rule, float, Variant]


def first_data(p: Params) -> PreparedImages:
    """The first seed's data, whose digests and tier are all seeds'."""
    return prepared_images(p.first_seed, 0.0, CifarTraining(**training_settings(p)))


def settings(p: Params) -> list[dict[str, Any]]:
    """One setting per training and seed: Table 3, Figure 5, Tables 5 and 6 at equal steps and by the paper's rule, then what the
    gates need: half of the images for every seed, twice the epochs for the first."""
    training = training_settings(p)
    few, counts = (1, []) if first_data(p).stand_in else (p.auxiliary, sorted(set(p.counts) - {0, p.auxiliary}))
    rules: tuple[Rule, Rule] = ("equal", "paper")
    pair = (("multi", 0), ("cotask", few))
    arms: list[Arm] = [
        ("multi", "multi", 0, "equal", 0.0, "standard"),
        ("single", "multi", 0, "equal", 0.0, "standard"),
        ("cotask", "multi", few, "equal", 0.0, "standard"),
        ("cotask", "multi", few, "paper", 0.0, "standard"),
        ("multi", "multi", few, "as long", 0.0, "standard"),
        *(("cotask", "multi", count, rule, 0.0, "standard") for rule in rules for count in counts),
        *((m, b, n, "equal", 0.0, "standard") for b in p.baselines for m, n in pair),
        *((m, "multi", n, "equal", z, "standard") for z in p.noises[1:] for m, n in (("single", 0), *pair)),
        *(("cotask", b, few, "paper", 0.0, "standard") for b in p.baselines),
        *(("cotask", "multi", few, "paper", z, "standard") for z in p.noises[1:]),
        ("multi", "multi", 0, "equal", 0.0, "half"),
        ("multi", "multi", 0, "equal", 0.0, "double"),
        ("single", "multi", 0, "equal", 0.0, "double"),
        *(("cotask", "multi", count, "paper", 0.0, "double") for count in (few, *(n for n in counts if n >= 50))),
    ]  # fmt: skip
    names = ("method", "baseline", "auxiliary", "rule", "noise", "variant")
    return [
        dict(zip(names, arm, strict=True)) | {"seed": p.first_seed + i, "training": training}
        for arm in arms
        for i in range(1 if arm[-1] == "double" else p.seeds)
    ]


def accuracies(
    method: str,
    baseline: str,
    auxiliary: int,
    rule: Rule,
    noise: float,
    variant: Variant,
    seed: int,
    training: dict[str, Any],
) -> list[dict[str, Any]]:
    """One row per major task.

    accuracy: on its test images, `tested` of them. own: the same with batch statistics of its own images. steps: of all tasks.
    spread, moved: of the task weights, see `Trained`. method: single, multi or cotask.
    """
    how = _varied(CifarTraining(**training), variant)
    prepared = prepared_images(seed, noise, how)
    majors = [[i] for i in range(len(prepared.tasks))] if method == "single" else [[]]
    trained = [train(prepared, auxiliary, rule, seed, how, baseline, major) for major in majors]
    steps = sum(each.steps for each in trained)
    rows = []
    for i, task in enumerate(prepared.tasks):
        net, head = (trained[i], 0) if method == "single" else (trained[0], i)
        own = accuracy_with_own_statistics(net.model, prepared, task, head)
        row = {"task": task.name, "accuracy": round(float(net.accuracy[head]), 4), "steps": steps, "own": round(own, 4)}
        weights = {"spread": round(net.spread, 4), "moved": round(net.moved, 4)}
        rows.append(row | {"tested": len(task.parts["test"].rows)} | weights)
    return rows


def _varied(how: CifarTraining, variant: Variant) -> CifarTraining:
    if variant == "half":
        return replace(how, per_class=(how.per_class or IMAGES_OF_A_CLASS) // 2)
    return replace(how, epochs=2 * how.epochs) if variant == "double" else how
