"""Tables 1 and 7 of the CO-TASK paper: generated labels of ECG-P18, and networks on generated or real ECGs, and on LUDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
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
    best_rates,
    recordings,
    scores,
    train,
    training_settings,
)
from mtlrepro.parameters import Params
from mtlrepro.results import Runs

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


def rows(runs: Runs, p: Params) -> pd.DataFrame:
    """All rows of a run: of `rate_settings` where there is a grid, and of `settings` at the rates that these choose."""
    digests, rates, parts = data_digests(p), dict.fromkeys(METHODS, p.rates[0]), []
    if len(p.rates) > 1:
        parts.append(runs.map(rows_of, rate_settings(p), "learning rates", data=digests))
        rates = best_rates(parts[0])
    return pd.concat([*parts, runs.map(rows_of, settings(p, rates), "trainings", data=digests)], ignore_index=True)


def rate_settings(p: Params) -> list[dict[str, Any]]:
    """Settings of every learning rate of the grid for every method, on `rate_seeds` seeds that are not judged."""
    return [
        {"kind": "rate", "method": method, "seed": seed} | _set_of(p) | _trained_at(p, rate, p.steps)
        for seed in range(p.first_seed - p.rate_seeds, p.first_seed)
        for method in METHODS
        for rate in p.rates
    ]


def settings(p: Params, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Settings of Table 1's labels per seed, of Table 7 per seed and method, and of LUDB per method.

    rates: of each method. The first `twice_seeds` seeds are trained with twice the steps, too, and the first `control_seeds`,
    multi-task learning alone, on a tenth of the training records.
    """

    def own(kind: str, method: str, seed: int, **more: Any) -> dict[str, Any]:
        steps = {"twice": 2 * p.steps, "ludb": p.fold_steps}.get(kind, p.steps)
        return {"kind": kind, "method": method, "seed": seed} | _trained_at(p, rates[method], steps) | more

    seeds = range(p.first_seed, p.first_seed + p.seeds)
    listed: list[dict[str, Any]] = [{"kind": "label", "seed": seed, "n": RECORDS} for seed in seeds]
    for number, seed in enumerate(seeds):
        listed += [own("test", method, seed, share=1.0, **_set_of(p)) for method in METHODS]
        if number < p.twice_seeds:
            listed += [own("twice", method, seed, share=1.0, **_set_of(p)) for method in CLAIMED]
        if number < p.control_seeds:
            listed.append(own("tenth", "Multi-task", seed, share=0.1, **_set_of(p)))
    if not (p.folds and places.find("ludb")):
        return listed
    tasks = len(recordings("ludb", 200, 0, p.hertz, p.seconds).names)
    real = {"hertz": p.hertz, "seconds": p.seconds, "folds": p.folds, "auxiliary": min(p.auxiliary, tasks)}
    return listed + [own("ludb", method, p.first_seed, **real) for method in METHODS]


def _set_of(p: Params) -> dict[str, Any]:
    return {"hertz": p.hertz, "seconds": p.seconds, "n": p.records, "auxiliary": p.auxiliary, "data_set": data_set(p)}


def _trained_at(p: Params, rate: float, steps: int) -> dict[str, Any]:
    return {"training": training_settings(p) | {"rate": rate, "steps": steps}}


def rows_of(kind: str, **options: Any) -> list[dict[str, Any]]:
    """The rows of one setting. kind: label (Table 1), rate, test, twice, tenth or ludb (Table 7)."""
    measures: dict[str, Callable[..., list[dict[str, Any]]]] = {
        "label": label_counts, "rate": validated, "test": tested, "twice": tested, "tenth": tested, "ludb": ludb,
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


def validated(
    method: str, seed: int, n: int, hertz: float, seconds: float, auxiliary: int, training: dict[str, Any], data_set: str
) -> list[dict[str, Any]]:
    """One method of Table 7 with one learning rate: macro AUROC on the validation part."""
    data, auxiliary = _drawn(data_set, n, seed, hertz, seconds, auxiliary)
    parts = data.parts(seed)
    logits, _ = _logits(method, data, parts["train"], parts["valid"], auxiliary, seed, EcgTraining(**training))
    reached = multilabel(logits, data.labels[parts["valid"]], least=5)["MacroAUROC"]
    return [{"rate": training["rate"], "validation": reached}]


def _drawn(data_set: str, n: int, seed: int, hertz: float, seconds: float, auxiliary: int) -> tuple[ecg.EcgSet, int]:
    """The generated ECG-P18 of a seed or n records of a real set; and how many auxiliary tasks: of a real set at most as many as
    it has labels."""
    data = recordings(data_set, n, seed if data_set == "p18" else 0, hertz, seconds)
    return data, auxiliary if data_set == "p18" else min(auxiliary, len(data.names))


def tested(
    method: str, seed: int, n: int, hertz: float, seconds: float, auxiliary: int, training: dict[str, Any],
    data_set: str, share: float,
) -> list[dict[str, Any]]:  # fmt: skip
    """One method of Table 7 on one generated ECG-P18, or on n records of a real set, by its official split or by patient.

    share: of the training records, at random. Its metrics on test, with its threshold (see `best_threshold`) and with probability
    1/2, the number of tasks in MacroAUROC, its steps; of the labels: test records of the rarest one, records for each one with
    the commonest and with the rarest, and labels a record.
    """
    data, auxiliary = _drawn(data_set, n, seed, hertz, seconds, auxiliary)
    how, parts = EcgTraining(**training), data.parts(seed)
    kept = np.random.default_rng([seed, 18]).permutation(parts["train"])[: round(share * len(parts["train"]))]
    logits, steps = _logits(method, data, np.sort(kept), np.concatenate([parts["valid"], parts["test"]]), auxiliary, seed, how)
    (known, logits), true = np.split(logits, [len(parts["valid"])]), data.labels[parts["test"]]
    threshold = best_threshold(known, data.labels[parts["valid"]])
    half = {f"{metric} at 1/2": value for metric, value in multilabel(logits, true).items() if metric in ("Exact", "Jaccard")}
    shares = data.labels.mean(0)
    of_labels = {"positives": int(true.sum(0).min()), "commonest": 1 / shares.max(), "cardinality": data.labels.sum(1).mean()}
    of_labels |= {"rarest": 1 / shares.min() if shares.min() > 0 else None}
    row = {"judged": int(judged_tasks(true, 5).sum()), "steps": steps, "records": len(true), "threshold": threshold}
    row["rate"] = how.rate
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
        logits, steps = _logits(method, real, parts["train"], parts["test"], auxiliary, seed + fold, how)
        true = real.labels[parts["test"]]
        rows.append({"fold": fold, **multilabel(logits, true, least=1), "steps": steps, "records": len(true)})
    return rows


def _logits(
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
