"""Tables 1 and 7 of the CO-TASK paper: eighteen tasks of generated ECGs, and five of LUDB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlrepro.papers.cotask.data import ecg
from mtlrepro.papers.cotask.multilabel_metrics import judged_tasks, multilabel
from mtlrepro.papers.cotask.training.ecg_runs import Problem, Training, recordings, scores, train

P18_METHODS = ("Single-Task", "Multi-task", "CO-TASK", "CO-TASK, multi-task's steps")


def _judged(method: str, data: ecg.EcgSet, train_rows: NDArray[np.int64], test: NDArray[np.int64], auxiliary: int, seed: int,
            how: Training) -> tuple[NDArray[np.float64], int]:  # fmt: skip
    """(n_test, tasks) scores of one method with equal shares of all tasks, and its steps."""
    problem = Problem.of(data, train_rows, auxiliary if method.startswith("CO-TASK") else 0, seed)
    steps = how.steps // how.epochs
    tested = problem.signals[test]
    if method == "Single-Task":
        nets = (train(problem.signals, problem.labels[:, [t]], [problem.rows[t]], [steps], seed, how) for t in range(problem.own))
        return np.concatenate([scores(net, tested, 1) for net in nets], 1), steps * how.epochs * problem.own
    if method == "CO-TASK, multi-task's steps":
        steps = max(1, round(steps * problem.own / len(problem.rows)))
    repeats = [steps] * len(problem.rows)
    net = train(problem.signals, problem.labels, problem.rows, repeats, seed, how)
    return scores(net, tested, problem.own), sum(repeats) * how.epochs


def p18(method: str, seed: int, n: int, hertz: float, seconds: float, auxiliary: int, training: dict[str, Any]) -> dict[str, Any]:
    """One method of Table 7 on one generated ECG-P18: its metrics on test, the number of tasks in MacroAUROC, its steps."""
    how, data = Training(**training), recordings("p18", n, seed, hertz, seconds)
    parts = ecg.split_by_patient(data.patients, seed)
    found, steps = _judged(method, data, parts["train"], parts["test"], auxiliary, seed, how)
    true = data.labels[parts["test"]]
    judged = judged_tasks(true, 5)
    return {"kind": "p18", **multilabel(found, true, least=5), "judged": int(judged.sum()), "steps": steps, "records": len(true)}


def ludb(
    method: str, seed: int, folds: int, hertz: float, seconds: float, auxiliary: int, training: dict[str, Any], data: str
) -> list[dict[str, Any]]:
    """One method on LUDB by patient-level cross-validation: a row a fold. data: its sha256, so that other data are other runs."""
    how, real = Training(**training), recordings("ludb", 200, 0, hertz, seconds)
    rows = []
    for fold, parts in enumerate(ecg.patient_folds(real.patients, folds, seed)):
        found, steps = _judged(method, real, parts["train"], parts["test"], auxiliary, seed + fold, how)
        true = real.labels[parts["test"]]
        rows.append({"kind": "ludb", "fold": fold, **multilabel(found, true, least=1), "steps": steps, "records": len(true)})
    return rows
