"""Tables 3 to 6 and Figure 5 of the CO-TASK paper: test accuracy of each CIFAR-MTL task by method, baseline, budget, noise."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

import numpy as np

from mtlrepro.papers.cotask.training.cifar_training import (
    CifarTraining,
    Rule,
    Variant,
    accuracy_by_task,
    first_data,
    trained_arm,
    training_settings,
)
from mtlrepro.parameters import Params
from mtlrepro.training.batch_statistics import Statistics
from mtlrepro.training.image_evaluation import accuracies as image_accuracies

# method, baseline, auxiliary tasks, budget rule, noise ratio, variant
Arm = tuple[str, str, int, Rule, float, Variant]
Dicts = list[dict[str, Any]]


def arms(p: Params) -> dict[str, list[Arm]]:
    """Part -> its arms: Table 3, other budgets, the gates', two answers to batch statistics, Figure 5, Tables 5 and 6."""
    many, few, counts = p.auxiliary, p.combined, p.counts
    if first_data(p).stand_in:
        many, few, counts = 1, 1, []

    def three(variant: Variant) -> list[Arm]:
        return [
            ("single", "multi", 0, "equal", 0.0, variant), ("multi", "multi", 0, "equal", 0.0, variant),
            ("cotask", "multi", many, "paper", 0.0, variant),
        ]  # fmt: skip

    def pair(baseline: str, noise: float) -> list[Arm]:
        multi: Arm = ("multi", baseline, 0, "equal", noise, "standard")
        return [multi, ("cotask", baseline, few, "paper", noise, "standard")]

    return {
        **{method: [arm] for arm in three("standard") for method in arm[:1]},
        "equal": [("cotask", "multi", many, "equal", 0.0, "standard")],
        "as long": [("multi", "multi", many, "as long", 0.0, "standard")],
        "half": [("multi", "multi", 0, "equal", 0.0, "half")],
        "double": three("double"),
        "mixed batches": three("mixed batches")[1:],
        "group norm": three("group norm"),
        "counts": [("cotask", "multi", count, "paper", 0.0, "standard") for count in counts],
        "baselines": [arm for baseline in ("multi", *p.baselines) for arm in pair(baseline, 0.0)],
        "noises": [
            arm for noise in p.noises for arm in (("single", "multi", 0, "equal", noise, "standard"), *pair("multi", noise))
        ],
    }  # fmt: skip


def grid_settings(p: Params, rates: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """Settings of the grid that each arm of Table 3 is tuned on, first seed, `p.grid_share` of the epochs; none for one point.

    rates: of each method, which then tries every weight decay of `p.decays`. None: every rate of `p.rates` at the decay of the
    published code.
    """
    if len(p.rates) * len(p.decays) == 1:
        return []
    listed = []
    for arm in (arms(p)[method][0] for method in ("single", "multi", "cotask")):
        each = _setting(p, p.first_seed, arm)
        epochs = max(round(each["training"]["epochs"] * p.grid_share), 1)
        points = (
            [{"rate": rate} for rate in p.rates] if rates is None else [{"rate": rates[arm[0]], "decay": x} for x in p.decays]
        )
        listed += [each | {"training": each["training"] | {"epochs": epochs} | point} for point in points]
    return listed


def best(rows: Iterable[Mapping[str, Any]], point: str) -> dict[str, float]:
    """Method -> its `point`, rate or decay, with the best validation accuracy; {} without rows. rows: of `validated`, with the
    method of their settings; of equal ones the least counts."""
    chosen = sorted(rows, key=lambda row: (row["validation"], -row[point]))
    return {row["method"]: row[point] for row in chosen}


def stages(p: Params) -> Generator[tuple[Callable[..., Dicts], Dicts], Dicts, None]:
    """Learning rates, weight decays at the best rate, and the trainings with both, each a function with its settings.

    It is sent the rows of all settings, which the next one follows from.
    """
    rates = best((yield validated, grid_settings(p)), "rate")
    decays = best((yield validated, grid_settings(p, rates)), "decay")
    yield accuracies, settings(p, rates, decays)


def settings(
    p: Params, rates: Mapping[str, float] | None = None, decays: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """One setting per arm and seed of the parts that are asked for, each once, the first part's first.

    `p.parts` says of how many seeds each part is; single-task networks have `p.single_epochs`. rates, decays: of each method
    that was tuned, the others have the only ones.
    """
    known, rates, decays = arms(p), rates or {}, decays or {}
    wanted = [(p.first_seed + i, arm) for part, seeds in p.parts.items() for i in range(seeds) for arm in known[part]]
    return [
        each | {"training": each["training"] | {"rate": rates.get(arm[0], p.rates[0]), "decay": decays.get(arm[0], p.decays[0])}}
        for seed, arm in dict.fromkeys(wanted)
        for each in [_setting(p, seed, arm)]
    ]


def _setting(p: Params, seed: int, arm: Arm) -> dict[str, Any]:
    names = ("method", "baseline", "auxiliary", "rule", "noise", "variant")
    epochs = {"epochs": p.single_epochs} if arm[0] == "single" else {}
    return dict(zip(names, arm, strict=True)) | {"seed": seed, "training": training_settings(p) | epochs}


def validated(
    method: str, baseline: str, auxiliary: int, rule: Rule, noise: float, variant: Variant, seed: int, training: dict[str, Any]
) -> list[dict[str, Any]]:
    """One row of a training of the grid, variant "grid": its rate, decay and mean `validation` accuracy of the major tasks."""
    data, networks = trained_arm(**locals())
    valid = []
    for number, each in enumerate(networks):
        own = data.tasks[number : number + 1] if method == "single" else data.tasks
        valid += image_accuracies(each.model, data.images, own, "valid").tolist()
    how = CifarTraining(**training)
    return [{"variant": "grid", "rate": how.rate, "decay": how.decay, "validation": round(float(np.mean(valid)), 4)}]


def accuracies(
    method: str, baseline: str, auxiliary: int, rule: Rule, noise: float, variant: Variant, seed: int, training: dict[str, Any]
) -> list[dict[str, Any]]:
    """One row per major task, and for multi-task networks its head's.

    accuracy: on its test images, `tested` of them, by the running statistics of batch normalisation. own, mixed: by statistics
    of images of its own and of all tasks. images: trained on, of all tasks with repeats; major images: of major tasks. spread,
    moved: of the task weights, see `Trained`. rate, decay: of the training. method: single, multi or cotask.
    """
    data, networks = trained_arm(**locals())
    how = CifarTraining(**training)
    images, major = (sum(getattr(each, name) for each in networks) for name in ("images", "major_images"))
    rows = []
    for number, each in enumerate(networks):
        own = data.tasks[number : number + 1] if method == "single" else data.tasks
        kinds: dict[str, Statistics] = {"accuracy": "running", "own": "own"}
        if baseline != "trl":  # task routing masks by one task a batch
            kinds["mixed"] = "mixed"
        columns = {name: accuracy_by_task(each, data, own, statistics) for name, statistics in kinds.items()}
        for i, task in enumerate(own):
            row = {name: round(values[i], 4) for name, values in columns.items()}
            weights = {"spread": round(each.spread, 4), "moved": round(each.moved, 4)}
            counts = {"images": images, "major images": major, "tested": len(task.parts["test"].rows)}
            rows.append({"task": task.name} | row | counts | weights | {"rate": how.rate, "decay": how.decay})
    return rows
