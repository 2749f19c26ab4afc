"""Tables 1 and 7 of the CO-TASK paper: generated labels of ECG-P18, and networks on generated ECGs and on LUDB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlrepro import data, exhibits
from mtlrepro.data import places
from mtlrepro.data.schema import Tier
from mtlrepro.papers.cotask.data import ecg
from mtlrepro.papers.cotask.data.ecg_sets import CARDINALITY
from mtlrepro.papers.cotask.multilabel_metrics import count_error, judged_tasks, multilabel
from mtlrepro.papers.cotask.training.ecg_training import (
    EcgTraining,
    PreparedEcgs,
    recordings,
    scores,
    train,
    training_settings,
)
from mtlrepro.parameters import Params

# Records of ECG-P18.
RECORDS = 312_888
METHODS = ("Single-Task", "Multi-task", "CO-TASK", "CO-TASK, multi-task's steps")
# Those that Table 7's claims compare.
CLAIMED = ("Single-Task", "Multi-task", "CO-TASK, multi-task's steps")


def first_recordings(p: Params) -> ecg.EcgSet:
    """The first seed's generated set."""
    return recordings("p18", p.records, p.first_seed, p.hertz, p.seconds)


def data_set(p: Params) -> str:
    """The set of Table 7: p18, generated, or a real one. Raises BadValue, DataMissing."""
    source = data.which(data.checked_source(p))
    return "p18" if source == "synthetic_ecg" else source


def tier(p: Params) -> Tier:
    """The tier of the set of Table 7."""
    name = data_set(p)
    return "synthetic" if name == "p18" else recordings(name, p.records, 0, p.hertz, p.seconds).tier


def data_digests(p: Params) -> dict[str, str]:
    """sha256 of the first seed's generated recordings, of the set that `p` names, and of LUDB where it is here and `p.folds` asks
    for it. Raises BadValue, DataMissing for a set that is unknown or not here."""
    digests = {"ecg_p18, generated, first seed": first_recordings(p).sha256}
    if (name := data_set(p)) != "p18":
        digests[name] = recordings(name, p.records, 0, p.hertz, p.seconds).sha256
    if p.folds and places.find("ludb"):
        digests["ludb"] = recordings("ludb", 200, 0, p.hertz, p.seconds).sha256
    return digests


def settings(p: Params) -> list[dict[str, Any]]:
    """Settings of Table 1's labels per seed, of Table 7 per seed and method, and of LUDB per method.

    The first `twice_seeds` seeds are trained with twice the steps, too, and the first `control_seeds`, multi-task learning alone,
    on a tenth of the training records.
    """
    seeds = range(p.first_seed, p.first_seed + p.seeds)
    fixed = {"hertz": p.hertz, "seconds": p.seconds, "training": training_settings(p)}
    sized = fixed | {"n": p.records, "auxiliary": p.auxiliary, "data_set": data_set(p)}
    twice = {"training": fixed["training"] | {"steps": 2 * p.steps}}
    generated: list[dict[str, Any]] = [{"kind": "label", "seed": seed, "n": RECORDS} for seed in seeds]
    for number, seed in enumerate(seeds):
        generated += [{"kind": "p18", "method": method, "seed": seed} | sized for method in METHODS]
        if number < p.twice_seeds:
            generated += [{"kind": "twice", "method": method, "seed": seed} | sized | twice for method in CLAIMED]
        if number < p.control_seeds:
            generated.append({"kind": "tenth", "method": "Multi-task", "seed": seed, "share": 0.1} | sized)
    if not (p.folds and places.find("ludb")):
        return generated
    tasks = len(recordings("ludb", 200, 0, p.hertz, p.seconds).names)
    real = fixed | {"folds": p.folds, "auxiliary": min(p.auxiliary, tasks)}
    return generated + [{"kind": "ludb", "method": method, "seed": p.first_seed} | real for method in METHODS]


def rows_of(kind: str, **options: Any) -> list[dict[str, Any]]:
    """The rows of one setting. kind: label (Table 1), p18, twice, tenth or ludb (Table 7)."""
    measures: dict[str, Callable[..., list[dict[str, Any]]]] = {
        "label": label_counts, "p18": p18, "twice": p18, "tenth": p18, "ludb": ludb,
    }  # fmt: skip
    return measures[kind](**options)


def label_counts(seed: int, n: int) -> list[dict[str, Any]]:
    """One row per label of a generated set: records that have it, and by how many standard errors that is off (over patients, as
    a patient's records are alike). One more row: records with any label, and labels per such record."""
    ratios = exhibits.get("cotask/tab1").values
    labels, patients = ecg.generated_labels(ratios, n, seed, shared=ecg.common_factor(ratios, CARDINALITY))
    rows = []
    for column, (label, ratio) in enumerate(ratios.items()):
        errors = count_error(labels[:, column], patients, ratio)
        rows.append({"label": label, "count": int(labels[:, column].sum()), "errors": errors})
    some = int(labels.any(1).sum())
    return [*rows, {"label": "labels a record with any", "count": some, "errors": float(labels.sum() / some)}]


def p18(
    method: str, seed: int, n: int, hertz: float, seconds: float, auxiliary: int, training: dict[str, Any],
    data_set: str = "p18", share: float = 1.0,
) -> list[dict[str, Any]]:  # fmt: skip
    """One method of Table 7 on one generated ECG-P18, or on n records of a real set, by its official split or by patient.

    share: of the training records, at random. Its metrics on test, with its threshold (see `best_threshold`) and with probability
    1/2, the number of tasks in MacroAUROC, its steps; of the labels: test records of the rarest one, records for each one with
    the commonest and with the rarest, and labels a record.
    """
    how, data = EcgTraining(**training), recordings(data_set, n, seed if data_set == "p18" else 0, hertz, seconds)
    auxiliary = auxiliary if data_set == "p18" else min(auxiliary, len(data.names))
    parts = data.parts(seed)
    kept = np.random.default_rng([seed, 18]).permutation(parts["train"])[: round(share * len(parts["train"]))]
    logits, steps = _tested(method, data, np.sort(kept), np.concatenate([parts["valid"], parts["test"]]), auxiliary, seed, how)
    (known, logits), true = np.split(logits, [len(parts["valid"])]), data.labels[parts["test"]]
    threshold = best_threshold(known, data.labels[parts["valid"]])
    half = {f"{metric} at 1/2": value for metric, value in multilabel(logits, true).items() if metric in ("Exact", "Jaccard")}
    shares = data.labels.mean(0)
    of_labels = {"positives": int(true.sum(0).min()), "commonest": 1 / shares.max(), "cardinality": data.labels.sum(1).mean()}
    of_labels |= {"rarest": 1 / shares.min() if shares.min() > 0 else None}
    row = {"judged": int(judged_tasks(true, 5).sum()), "steps": steps, "records": len(true), "threshold": threshold}
    return [multilabel(logits - threshold, true, least=5) | half | row | of_labels]


def best_threshold(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The one threshold for all tasks with the largest Jaccard, among quantiles of the logits. logits, labels: (n, tasks).

    0, probability 1/2, without records.
    """
    if not len(labels):
        return 0.0
    candidates = np.quantile(logits, np.linspace(0.5, 1, 101))
    predicted, true = logits >= candidates[:, None, None], labels == 1
    both, either = (predicted & true).sum(-1), (predicted | true).sum(-1)
    jaccard = (both / np.maximum(either, 1)).sum(1) / np.maximum((either > 0).sum(1), 1)
    return float(candidates[jaccard.argmax()])


def ludb(
    method: str, seed: int, folds: int, hertz: float, seconds: float, auxiliary: int, training: dict[str, Any]
) -> list[dict[str, Any]]:
    """One method on LUDB by patient-level cross-validation: a row per fold."""
    how, real = EcgTraining(**training), recordings("ludb", 200, 0, hertz, seconds)
    rows = []
    for fold, parts in enumerate(ecg.patient_folds(real.patients, folds, seed)):
        logits, steps = _tested(method, real, parts["train"], parts["test"], auxiliary, seed + fold, how)
        true = real.labels[parts["test"]]
        rows.append({"fold": fold, **multilabel(logits, true, least=1), "steps": steps, "records": len(true)})
    return rows


def _tested(
    method: str, data: ecg.EcgSet, train_rows: NDArray[np.int64], test: NDArray[np.int64], auxiliary: int, seed: int,
    how: EcgTraining,
) -> tuple[NDArray[np.float64], int]:  # fmt: skip
    """(n_test, tasks) logits of one method with equal shares of all tasks, and its steps."""
    prepared = PreparedEcgs.of(data, train_rows, auxiliary if method.startswith("CO-TASK") else 0, seed)
    tested, tasks, own = prepared.signals[test], range(len(prepared.rows)), prepared.own
    steps = how.steps_an_epoch
    if method == "Single-Task":
        nets = (train(prepared, [task], [steps], seed, how) for task in tasks)
        return np.concatenate([scores(net, tested, 1) for net in nets], 1), steps * how.epochs * own
    if method == "CO-TASK, multi-task's steps":
        steps = max(1, round(steps * own / len(tasks)))
    net = train(prepared, tasks, [steps] * len(tasks), seed, how)
    return scores(net, tested, own), steps * len(tasks) * how.epochs
