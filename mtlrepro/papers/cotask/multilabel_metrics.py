"""Metrics of many yes-no labels a record, as CO-TASK reports them (Hsieh and Tseng 2021, eqs. 3 to 6), by scikit-learn.

With p_i the labels predicted for record i and t_i its true ones:

    RecallMulti = mean |p_i n t_i| / |t_i|,   Jaccard = mean |p_i n t_i| / |p_i u t_i|,   Exact = mean [p_i = t_i].

Readings: eq. 4 prints t_i for |t_i|; RecallMulti and Exact are over records with a true label (the paper says so for Exact;
without one the former is 0 / 0), Jaccard over records with a true or a predicted one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import accuracy_score, jaccard_score, recall_score, roc_auc_score, roc_curve

from mtlrepro.errors import BadValue


def multilabel(scores: ArrayLike, labels: ArrayLike, least: int = 1) -> dict[str, float]:
    """MacroAUROC, RecallMulti, Jaccard and Exact. scores, labels: (n, tasks); a label is predicted from a score of 0 on.

    MacroAUROC is over tasks with at least `least` records of either class; the others count in the rest. NaN where no record or
    task is left to average over. Raises BadValue for unequal shapes.
    """
    values, true = np.asarray(scores, float), np.asarray(labels).astype(int)
    if values.shape != true.shape or values.ndim != 2:
        raise BadValue(f"scores and labels must be tables of one shape, not {values.shape} and {true.shape}.")
    predicted = (values >= 0).astype(int)
    some, either = true.any(1), true.any(1) | predicted.any(1)
    judged = judged_tasks(true, least)
    return {
        "MacroAUROC": float(roc_auc_score(true[:, judged], values[:, judged], average="macro")) if judged.any() else np.nan,
        "RecallMulti": _mean(recall_score, true[some], predicted[some], average="samples", zero_division=0),
        "Jaccard": _mean(jaccard_score, true[either], predicted[either], average="samples", zero_division=0),
        "Exact": _mean(accuracy_score, true[some], predicted[some]),
    }


def judged_tasks(labels: ArrayLike, least: int) -> NDArray[np.bool_]:
    """(tasks,) whether a task has at least `least` records of either class. labels: (n, tasks)."""
    yes = np.asarray(labels).sum(0)
    enough: NDArray[np.bool_] = np.minimum(yes, len(np.asarray(labels)) - yes) >= least
    return enough


def _mean(metric: object, true: NDArray[np.int_], predicted: NDArray[np.int_], **settings: object) -> float:
    return float(metric(true, predicted, **settings)) if len(true) else np.nan  # type: ignore[operator]


def sensitivity_at(scores: ArrayLike, labels: ArrayLike, specificity: ArrayLike) -> NDArray[np.float64]:
    """Sensitivity of a score at these specificities, linear between the points of its ROC curve. scores, labels: (n,)."""
    false_positive, sensitivity, _ = roc_curve(labels, scores, drop_intermediate=False)
    interpolated: NDArray[np.float64] = np.interp(1 - np.asarray(specificity, float), false_positive, sensitivity)
    return interpolated


def operating_point(annotated: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
    """(sensitivity, specificity) of a yes-no annotation. annotated, labels: (n,) 0 or 1."""
    said, true = np.asarray(annotated).astype(bool), np.asarray(labels).astype(bool)
    return float(said[true].mean()), float((~said[~true]).mean())


def count_error(labels: NDArray[np.int64], patients: NDArray[np.int64], ratio: float) -> float:
    """By how many standard errors the records with a label are more than one in `ratio`; over patients, whose records are alike.

    labels: (n,) 0 or 1. patients: (n,) each record's patient.
    """
    excess = np.bincount(patients, labels - 1 / ratio)
    return float(excess.sum() / np.sqrt((excess**2).sum()))
