"""Tables 2 and 8 and Figure 4 of the CO-TASK paper: generated labels, and one major task with and without auxiliary ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import roc_auc_score

from mtlrepro import exhibits
from mtlrepro.methods import registry
from mtlrepro.papers.cotask.data import ecg
from mtlrepro.papers.cotask.multilabel_metrics import count_error, operating_point, sensitivity_at
from mtlrepro.papers.cotask.training.ecg_training import (
    EcgTraining,
    PreparedEcgs,
    recordings,
    scores,
    train,
    training_settings,
)
from mtlrepro.parameters import Params

# Method -> (model, sampler, weighting, whether it gets as many steps in all as CO-TASK).
METHODS = {
    "Single/Major-Task": ("single", "Major-Task", "equal", False),
    "Multi/None": ("multi", "None", "equal", False),
    "Multi/Major-Task": ("multi", "Major-Task", "equal", False),
    "Multi/Task-Aware": ("multi", "Task-Aware", "equal", False),
    "Multi+DWA/Task-Aware": ("multi", "Task-Aware", "dwa", False),
    "CO-TASK/Task-Aware": ("cotask", "Task-Aware", "equal", False),
    "Single, CO-TASK's steps": ("single", "Major-Task", "equal", True),
    "Multi, CO-TASK's steps": ("multi", "Task-Aware", "equal", True),
}
AUXILIARY = 8
# How many times as often as any other task the major one is trained.
_MAJOR = 5


def data_digests(p: Params) -> dict[str, str]:
    """sha256 of the first seed's generated recordings."""
    return {"ecg_echolvh, generated, first seed": recordings("echolvh", p.records, p.first_seed, p.hertz, p.seconds).sha256}


def settings(p: Params) -> list[dict[str, Any]]:
    """Settings of Table 2's labels per seed, and of Table 8 and Figure 4 per seed and method."""
    seeds = range(p.first_seed, p.first_seed + p.seeds)
    size = {"n": p.records, "hertz": p.hertz, "seconds": p.seconds}
    fixed = size | {"training": training_settings(p), "curve": p.curve}
    listed: list[dict[str, Any]] = []
    for seed in seeds:  # seed by seed, so that each set is generated once
        listed += [{"kind": kind, "seed": seed} | size for kind in ("label", "linear")]
        listed += [{"kind": "test", "seed": seed, "method": method} | fixed for method in METHODS]
    return listed


def rows_of(kind: str, **options: Any) -> list[dict[str, Any]]:
    """The rows of one setting. kind: label (Table 2), linear, or test (Table 8 and Figure 4)."""
    measures: dict[str, Callable[..., list[dict[str, Any]]]] = {"label": label_counts, "linear": linear, "test": tested}
    return measures[kind](**options)


def label_counts(seed: int, n: int, hertz: float, seconds: float) -> list[dict[str, Any]]:
    """One row per label of a generated set.

    Records that have it, by how many standard errors that is off, its correlation with the major label, and the annotator's
    sensitivity and specificity for what the recording was made with (of EchoLVH: those of the annotated ECG-LVH).
    """
    data, rows = recordings("echolvh", n, seed, hertz, seconds), []
    assert data.truth is not None
    for column, (label, ratio) in enumerate(exhibits.get("cotask/tab2").values.items()):
        own = data.labels[:, column]
        annotated = data.labels[:, data.names.index("LVH")] if label == "EchoLVH" else own
        sensitivity, specificity = operating_point(annotated, data.truth[:, column])
        row = {"label": label, "count": int(own.sum()), "errors": count_error(own, data.patients, ratio)}
        correlation = float(np.corrcoef(own, data.labels[:, 0])[0, 1])
        rows.append(row | {"sensitivity": sensitivity, "specificity": specificity, "correlation": correlation})
    return rows


def linear(seed: int, n: int, hertz: float, seconds: float) -> list[dict[str, Any]]:
    """A linear model (ridge regression) of the major label on the samples of the training records: its AUROC on test."""
    data = recordings("echolvh", n, seed, hertz, seconds)
    parts = ecg.split_by_patient(data.patients, seed)
    samples = ecg.scaled(data.signals, parts["train"]).reshape(n, -1)
    model = RidgeClassifier(class_weight="balanced").fit(samples[parts["train"]], data.labels[parts["train"], 0])
    return [
        {"auroc": round(float(roc_auc_score(data.labels[parts["test"], 0], model.decision_function(samples[parts["test"]]))), 5)}
    ]


def repeats(model: str, tasks: int, steps: int, longer: bool) -> list[int]:
    """Batches an epoch of each task: `steps` of the major one (the first), a fifth of it of every other.

    model: single, multi or cotask. longer: as many in all as CO-TASK, in the same proportions.
    """
    other = max(1, round(steps / _MAJOR))
    more = {"single": 0, "multi": tasks - 1, "cotask": tasks - 1 + AUXILIARY}
    own, whole = [steps] + [other] * more[model], steps + other * more["cotask"]
    if not longer:
        return own
    scaled = [max(1, round(count * whole / sum(own))) for count in own]
    return [scaled[0] + whole - sum(scaled), *scaled[1:]]


def tested(
    method: str, seed: int, n: int, hertz: float, seconds: float, training: dict[str, Any], curve: int
) -> list[dict[str, Any]]:
    """One method of Table 8 on one generated ECG-EchoLVH: a row of kind 'test' and `curve` rows of kind 'roc'.

    auroc: of the major task on test. sensitivity: at the doctor's specificity, whose operating point as a diagnosis of EchoLVH
    (the annotated ECG-LVH) stands in doctor sensitivity and doctor specificity. steps: in all. major steps: of the major task.
    """
    how, data = EcgTraining(**training), recordings("echolvh", n, seed, hertz, seconds)
    parts = ecg.split_by_patient(data.patients, seed)
    model, sampler, weighting, longer = METHODS[method]
    prepared = PreparedEcgs.of(data, parts["train"], AUXILIARY if model == "cotask" else 0, seed, major=data.names[0])
    times = repeats(model, prepared.own, how.steps_an_epoch, longer)
    net = train(prepared, range(len(times)), times, seed, how, sampler=sampler, weighting=registry.build(weighting))
    test = parts["test"]
    logits, true = scores(net, prepared.signals[test], 1)[:, 0], data.labels[test, 0]
    doctor = operating_point(data.labels[test, data.names.index("LVH")], true)
    row = {
        "kind": "test",
        "auroc": round(float(roc_auc_score(true, logits)), 5),
        "sensitivity": round(float(sensitivity_at(logits, true, doctor[1])), 5),
        "doctor sensitivity": round(doctor[0], 5),
        "doctor specificity": round(doctor[1], 5),
        "steps": sum(times) * how.epochs,
        "major steps": times[0] * how.epochs,
        "positives": int(true.sum()),
        "records": len(test),
    }
    grid = np.linspace(0, 1, curve)
    rates = sensitivity_at(logits, true, 1 - grid)
    return [row] + [{"kind": "roc", "x": round(float(x), 4), "y": round(float(y), 4)} for x, y in zip(grid, rates, strict=True)]
