"""Tables 2 and 8 of the CO-TASK paper: one major task of generated ECGs, with and without auxiliary tasks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mtlrepro.methods import registry
from mtlrepro.papers.cotask.data import ecg
from mtlrepro.papers.cotask.multilabel_metrics import operating_point, sensitivity_at
from mtlrepro.papers.cotask.training.ecg_runs import Problem, Training, recordings, scores, train
from mtlrepro.training.metrics import auroc

# Method -> (model, sampler, weighting, whether it gets as many steps in all as CO-TASK).
ECHO_METHODS = {
    "Single/Major-Task": ("single", "Major-Task", "static", False),
    "Multi/None": ("multi", "None", "static", False),
    "Multi/Major-Task": ("multi", "Major-Task", "static", False),
    "Multi/Task-Aware": ("multi", "Task-Aware", "static", False),
    "Multi+DWA/Task-Aware": ("multi", "Task-Aware", "dwa", False),
    "CO-TASK/Task-Aware": ("cotask", "Task-Aware", "static", False),
    "Single, CO-TASK's steps": ("single", "Major-Task", "static", True),
    "Multi, CO-TASK's steps": ("multi", "Task-Aware", "static", True),
}
ECHO_AUXILIARY, _MAIN = 8, 5


def echo_repeats(model: str, tasks: int, auxiliary: int, steps: int, longer: bool) -> list[int]:
    """Batches an epoch of each task: `steps` of the major one (the first), a fifth of it of every other.

    longer: as many in all as CO-TASK, in the same proportions.
    """
    other = max(1, round(steps / _MAIN))
    counts = {"single": [steps], "multi": [steps] + [other] * (tasks - 1), "cotask": [steps] + [other] * (tasks - 1 + auxiliary)}
    own, whole = counts[model], sum(counts["cotask"])
    if not longer:
        return own
    scaled = [max(1, round(count * whole / sum(own))) for count in own]
    return [scaled[0] + whole - sum(scaled), *scaled[1:]]


def echo(
    method: str, seed: int, n: int, hertz: float, seconds: float, training: dict[str, Any], curve: int
) -> list[dict[str, Any]]:
    """One method of Table 8 on one generated ECG-EchoLVH: a row of kind 'test' and `curve` rows of kind 'roc'.

    auroc: of the major task on test. sensitivity: at the doctor's specificity, whose operating point as a diagnosis of EchoLVH
    (the annotated ECG-LVH) stands in doctor sensitivity and doctor specificity. steps: in all.
    """
    how, data = Training(**training), recordings("echolvh", n, seed, hertz, seconds)
    parts = ecg.split_by_patient(data.patients, seed)
    model, sampler, weighting, longer = ECHO_METHODS[method]
    auxiliary = ECHO_AUXILIARY if model == "cotask" else 0
    problem = Problem.of(data, parts["train"], auxiliary, seed, major=data.names[0])
    tasks = 1 if model == "single" else len(problem.rows)
    repeats = echo_repeats(model, problem.own, ECHO_AUXILIARY, how.steps // how.epochs, longer)
    net = train(
        problem.signals,
        problem.labels,
        problem.rows[:tasks],
        repeats,
        seed,
        how,
        sampler=sampler,
        weighting=registry.build(weighting),
    )
    test = parts["test"]
    found = scores(net, problem.signals[test], 1)[:, 0]
    true = data.labels[test, 0]
    doctor = operating_point(data.labels[test, data.names.index("LVH")], true)
    row = {
        "kind": "test",
        "auroc": round(float(auroc(torch.from_numpy(found), torch.from_numpy(true))), 5),
        "sensitivity": round(float(sensitivity_at(found, true, doctor[1])), 5),
        "doctor sensitivity": round(doctor[0], 5),
        "doctor specificity": round(doctor[1], 5),
        "steps": sum(repeats) * how.epochs,
        "positives": int(true.sum()),
        "records": len(test),
    }
    grid = np.linspace(0, 1, curve)
    rates = sensitivity_at(found, true, 1 - grid)
    return [row] + [{"kind": "roc", "x": round(float(x), 4), "y": round(float(y), 4)} for x, y in zip(grid, rates, strict=True)]
