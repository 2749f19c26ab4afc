"""Tables 2 and 8 and Figure 4 of the CO-TASK paper: generated labels, and one major task with and without auxiliary ones.

The generator has a dial of what minor labels share with the major one, see `ecg.generate`. It was set by what lets multi-task
learning help at all, the control, and on other seeds than the recorded ones; never by what samplers or CO-TASK gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import roc_auc_score

from mtlrepro import exhibits
from mtlrepro.data import places
from mtlrepro.methods import registry
from mtlrepro.papers.cotask.data import ecg
from mtlrepro.papers.cotask.multilabel_metrics import count_error, operating_point, sensitivity_at
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

# Method of Table 8 -> (model, sampler, weighting, whether it gets as many steps in all as CO-TASK).
TABLE8 = {
    "Single/Major-Task": ("single", "Major-Task", "equal", False),
    "Multi/None": ("multi", "None", "equal", True),
    "Multi/Major-Task": ("multi", "Major-Task", "equal", True),
    "Multi/Task-Aware": ("multi", "Task-Aware", "equal", True),
    "Multi+DWA/Task-Aware": ("multi", "Task-Aware", "dwa", True),
    "CO-TASK/Task-Aware": ("cotask", "Task-Aware", "equal", True),
}
METHODS = TABLE8 | {
    "Single, CO-TASK's steps": ("single", "Major-Task", "equal", True),
    "Multi, CO-TASK's major batches": ("multi", "Task-Aware", "equal", False),
}
# Positive and negative control of what minor labels can do: multi-task learning -> whether they are permuted among the records.
CONTROLS = {"noise-free minor labels": False, "permuted minor labels": True}
# Method -> the method of Table 8 whose learning rate it takes; the others have their own.
_RATE_OF = {"Single, CO-TASK's steps": "Single/Major-Task", "Multi, CO-TASK's major batches": "Multi/Task-Aware"}
_RATE_OF |= dict.fromkeys(CONTROLS, "Multi/Task-Aware")
# What is trained at other places of the dial than Table 8's.
DIALLED = (*CONTROLS, "Multi/Task-Aware", "CO-TASK/Task-Aware")
AUXILIARY = 8
# The real recordings: a part of PTB-XL, of whose five groups of diagnoses hypertrophy, the rarest, is nearest to EchoLVH.
REAL, _REAL_MAJOR, _REAL_RECORDS = "ptbxl100", "HYP", 1987
# How many times as often as any other task the major one is trained.
_MAJOR = 5


def data_digests(p: Params) -> dict[str, str]:
    """sha256 of the first seed's generated recordings, and of the real ones where `p` asks for them and they are here."""
    digests = {
        "ecg_echolvh, generated, first seed": recordings(
            "echolvh", p.records, p.first_seed, p.hertz, p.seconds, p.shared_waves
        ).sha256
    }
    return digests | ({REAL: real_recordings(p.hertz, p.seconds).sha256} if _asks_for_real(p) else {})


def _asks_for_real(p: Params) -> bool:
    return bool(p.real_seeds) and places.find(REAL) is not None


def real_recordings(hertz: float, seconds: float) -> ecg.EcgSet:
    """The real set, its major label first. Raises DataMissing, DataCorrupt."""
    data = recordings(REAL, _REAL_RECORDS, 0, hertz, seconds)
    order = [data.names.index(_REAL_MAJOR), *(i for i, name in enumerate(data.names) if name != _REAL_MAJOR)]
    return replace(data, labels=data.labels[:, order], names=tuple(data.names[i] for i in order))


def rows(runs: Runs, p: Params) -> pd.DataFrame:
    """All rows of a run: of `rate_settings`, and of `settings` at the rates that these choose."""
    digests = data_digests(p)
    validated = runs.map(rows_of, rate_settings(p), "learning rates", data=digests)
    rates = {str(kind): best_rates(own) for kind, own in validated.groupby("kind")}
    trained = runs.map(rows_of, settings(p, rates["rate"], rates.get("real rate")), "trainings", data=digests)
    return pd.concat([validated, trained])


def rate_settings(p: Params) -> list[dict[str, Any]]:
    """Settings of every learning rate of the grid for every method of Table 8, on the first `rate_seeds` seeds; and, where they
    are asked for, on the real recordings, on `rate_seeds` seeds that are not judged."""
    sets = [("rate", p.first_seed, training_settings(p), _size(p))]
    if _asks_for_real(p):
        sets.append(("real rate", p.first_seed - p.rate_seeds, *_on_real(p)))
    return [
        {"kind": kind, "seed": seed, "method": method, "training": training | {"rate": rate}} | size
        for kind, first, training, size in sets
        for seed in range(first, first + p.rate_seeds)
        for method in TABLE8
        for rate in p.rates
    ]


def _on_real(p: Params) -> tuple[dict[str, Any], dict[str, Any]]:
    """How networks are trained on the real recordings, and what is read of these."""
    return training_settings(p) | {"steps": p.real_steps}, {"hertz": p.hertz, "seconds": p.seconds}


def settings(p: Params, rates: Mapping[str, float], real_rates: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """Settings of Table 2's labels per seed, and of Table 8 and Figure 4 per seed and method.

    rates: of each method of Table 8. real_rates: the same on real recordings, on which `real_seeds` seeds of Table 8 are trained
    where these are given. The first `twice_seeds` seeds are trained with twice the steps, too, and by a linear model;
    the first `control_seeds` with the minor labels of CONTROLS; the first `dial_seeds` by DIALLED at every place of the `dial`.
    """
    training = training_settings(p)
    kinds: dict[str, tuple[Iterable[str], int, dict[str, Any], dict[str, Any]]] = {
        "test": (METHODS, p.seeds, {}, {"curve": p.curve}),
        "twice": (TABLE8, p.twice_seeds, {"steps": 2 * p.steps}, {"curve": 0}),
        "control": (CONTROLS, p.control_seeds, {}, {}),
    }
    listed: list[dict[str, Any]] = []
    for number in range(p.seeds):  # seed by seed, so that each set is generated once
        each = {"seed": p.first_seed + number} | _size(p)
        listed += [{"kind": "label"} | each, *([{"kind": "linear"} | each] if number < p.twice_seeds else [])]
        for kind, (methods, seeds, changes, more) in kinds.items():
            for method in methods if number < seeds else ():
                how = training | {"rate": rates[_RATE_OF.get(method, method)]} | changes
                listed.append({"kind": kind, "method": method, "training": how} | each | more)
        for shared_waves in p.dial if number < p.dial_seeds else ():
            for method in DIALLED:
                how = training | {"rate": rates[_RATE_OF.get(method, method)]}
                listed.append({"kind": "dial", "method": method, "training": how} | each | {"shared_waves": shared_waves})
    how, size = _on_real(p)
    return listed + [
        {"kind": "real", "method": method, "seed": p.first_seed + number, "training": how | {"rate": rate}} | size
        for number in range(p.real_seeds)
        for method, rate in (real_rates or {}).items()
    ]


def _size(p: Params) -> dict[str, Any]:
    return {"n": p.records, "hertz": p.hertz, "seconds": p.seconds, "shared_waves": p.shared_waves}


def rows_of(kind: str, **options: Any) -> list[dict[str, Any]]:
    """The rows of one setting.

    kind: label (Table 2), linear, rate, test (Table 8 and Figure 4), twice, control, dial; on real recordings real rate or real.
    """
    measures: dict[str, Callable[..., list[dict[str, Any]]]] = {
        "label": label_counts, "linear": linear, "rate": validated, "test": tested, "twice": tested, "control": controlled,
        "dial": controlled, "real rate": real_validated, "real": real_tested,
    }  # fmt: skip
    return measures[kind](**options)


def label_counts(seed: int, n: int, hertz: float, seconds: float, shared_waves: float) -> list[dict[str, Any]]:
    """One row per label of a generated set.

    Records that have it, by how many standard errors that is off, its correlation with the major label, and the annotator's
    sensitivity and specificity for what the recording was made with (of EchoLVH: those of the annotated ECG-LVH).
    """
    data, rows = recordings("echolvh", n, seed, hertz, seconds, shared_waves), []
    assert data.truth is not None
    for column, (label, ratio) in enumerate(exhibits.get("cotask/tab2").values.items()):
        own = data.labels[:, column]
        annotated = data.labels[:, data.names.index("LVH")] if label == "EchoLVH" else own
        sensitivity, specificity = operating_point(annotated, data.truth[:, column])
        row = {"label": label, "count": int(own.sum()), "errors": count_error(own, data.patients, ratio)}
        correlation = float(np.corrcoef(own, data.labels[:, 0])[0, 1])
        rows.append(row | {"sensitivity": sensitivity, "specificity": specificity, "correlation": correlation})
    return rows


def linear(seed: int, n: int, hertz: float, seconds: float, shared_waves: float) -> list[dict[str, Any]]:
    """A linear model (ridge regression) of the major label on the samples of the training records: its AUROC on test."""
    data = recordings("echolvh", n, seed, hertz, seconds, shared_waves)
    parts = data.parts(seed)
    samples = ecg.scaled(data.signals, parts["train"]).reshape(n, -1)
    model = RidgeClassifier(class_weight="balanced").fit(samples[parts["train"]], data.labels[parts["train"], 0])
    return [{"auroc": _auroc(model.decision_function(samples[parts["test"]]), data.labels[parts["test"], 0])}]


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


def _trained(
    method: str, data: ecg.EcgSet, seed: int, how: EcgTraining
) -> tuple[Callable[[str], tuple[NDArray[np.float64], NDArray[np.int64]]], list[int]]:
    """A method's network as a function of a part's name, which gives logits and labels of the major task there; and batches an
    epoch of each task."""
    parts = data.parts(seed)
    model, sampler, weighting, longer = METHODS[method]
    prepared = PreparedEcgs.of(data, parts["train"], AUXILIARY if model == "cotask" else 0, seed, major=data.names[0])
    times = repeats(model, prepared.own, how.steps_an_epoch, longer)
    net = train(prepared, range(len(times)), times, seed, how, sampler=sampler, weighting=registry.build(weighting))

    def scored(part: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        return scores(net, prepared.signals[parts[part]], 1)[:, 0], data.labels[parts[part], 0]

    return scored, times


def _auroc(logits: NDArray[np.float64], true: NDArray[np.int64]) -> float:
    return round(float(roc_auc_score(true, logits)), 5)


def validated(
    method: str, seed: int, n: int, hertz: float, seconds: float, shared_waves: float, training: dict[str, Any]
) -> list[dict[str, Any]]:
    """One method of Table 8 with one learning rate: the major task's AUROC on the validation part."""
    scored, _ = _trained(method, recordings("echolvh", n, seed, hertz, seconds, shared_waves), seed, EcgTraining(**training))
    return [{"rate": training["rate"], "validation": _auroc(*scored("valid"))}]


def real_validated(method: str, seed: int, hertz: float, seconds: float, training: dict[str, Any]) -> list[dict[str, Any]]:
    """`validated` on the real recordings."""
    scored, _ = _trained(method, real_recordings(hertz, seconds), seed, EcgTraining(**training))
    return [{"rate": training["rate"], "validation": _auroc(*scored("valid"))}]


def real_tested(method: str, seed: int, hertz: float, seconds: float, training: dict[str, Any]) -> list[dict[str, Any]]:
    """One method of Table 8 on the real recordings, by their official split: the major task's AUROC on test, and the steps."""
    how = EcgTraining(**training)
    scored, times = _trained(method, real_recordings(hertz, seconds), seed, how)
    logits, true = scored("test")
    row = {"auroc": _auroc(logits, true), "rate": how.rate, "positives": int(true.sum()), "records": len(true)}
    return [row | _steps(times, how)]


def _steps(times: Sequence[int], how: EcgTraining) -> dict[str, int]:
    """Steps in all, and of the major task. times: batches an epoch of each task."""
    return {"steps": sum(times) * how.epochs, "major steps": times[0] * how.epochs}


def controlled(
    method: str, seed: int, n: int, hertz: float, seconds: float, shared_waves: float, training: dict[str, Any]
) -> list[dict[str, Any]]:
    """The major task's AUROC on test by one of DIALLED: a method of Table 8, or multi-task learning with the task-aware sampler
    and the minor labels as CONTROLS has them."""
    data = recordings("echolvh", n, seed, hertz, seconds, shared_waves)
    if method in CONTROLS:
        assert data.truth is not None
        labels = data.truth.copy()
        if CONTROLS[method]:
            labels[:, 1:] = labels[np.random.default_rng([seed, 8]).permutation(n), 1:]
        method, data = "Multi/Task-Aware", replace(data, labels=labels)
    scored, _ = _trained(method, data, seed, EcgTraining(**training))
    return [{"auroc": _auroc(*scored("test"))}]


def tested(
    method: str, seed: int, n: int, hertz: float, seconds: float, shared_waves: float, training: dict[str, Any], curve: int
) -> list[dict[str, Any]]:
    """One method of Table 8 on one generated ECG-EchoLVH: a row, and `curve` rows of kind 'roc'.

    auroc: of the major task on test. sensitivity: at the doctor's specificity, whose operating point as a diagnosis of EchoLVH
    (the annotated ECG-LVH) stands in doctor sensitivity and doctor specificity. steps: in all. major steps: of the major task.
    """
    how, data = EcgTraining(**training), recordings("echolvh", n, seed, hertz, seconds, shared_waves)
    scored, times = _trained(method, data, seed, how)
    logits, true = scored("test")
    annotated = data.labels[data.parts(seed)["test"], data.names.index("LVH")]
    doctor = operating_point(annotated, true)
    row = {
        "auroc": _auroc(logits, true),
        "sensitivity": round(float(sensitivity_at(logits, true, doctor[1])), 5),
        "doctor sensitivity": round(doctor[0], 5),
        "doctor specificity": round(doctor[1], 5),
        "rate": how.rate,
        **_steps(times, how),
        "positives": int(true.sum()),
        "records": len(true),
    }
    grid = np.linspace(0, 1, curve)
    rates = sensitivity_at(logits, true, 1 - grid)
    return [row] + [{"kind": "roc", "x": round(float(x), 4), "y": round(float(y), 4)} for x, y in zip(grid, rates, strict=True)]
