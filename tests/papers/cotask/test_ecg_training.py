"""Trainings on ECGs: exact budgets, samplers, metrics as defined, and learning of what is there to learn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from mtlrepro.device import generator
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.methods import registry
from mtlrepro.papers.cotask import tab1_ecg_p18, tab2_ecg_echolvh
from mtlrepro.papers.cotask.data.ecg import EcgSet
from mtlrepro.papers.cotask.multilabel_metrics import count_error, multilabel, operating_point, sensitivity_at
from mtlrepro.papers.cotask.training import ecg_training
from mtlrepro.papers.cotask.training.ecg_training import EcgTraining, PreparedEcgs
from mtlrepro.parameters import Params, profile_values

NET = {"channels": [6, 8], "kernel": 5, "dropout": 0.0, "stem": 2}
HOW = EcgTraining(steps=40, epochs=2, batch=16, rate=0.01, net=NET)


def planted(n=400, seed=0):
    """Two labels, 1 in 4 and 1 in 8, each a wave of its own in the signal."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 2)) < [0.25, 0.125]).astype(np.int64)
    signals = 0.5 * rng.standard_normal((n, 12, 80)).astype(np.float32)
    clock = np.arange(80)
    for column, period in enumerate((8, 20)):
        signals[labels[:, column] == 1, column] += np.sin(2 * np.pi * clock / period)
    return EcgSet("planted", signals, labels, ("one", "two"), np.arange(n), 100.0, "", "synthetic")


@pytest.mark.parametrize(("sampler", "weighting"), [("Task-Aware", "equal"), ("None", "equal"), ("Major-Task", "dwa")])
def test_a_network_learns_planted_waves_on_new_records(sampler, weighting):
    data, fresh = planted(), planted(seed=1)
    prepared = PreparedEcgs.of(data, np.arange(400), 0, 0)
    how = dataclasses.replace(HOW, epochs=4)
    one, again = (
        ecg_training.train(prepared, [0, 1], [10, 10], 0, how, sampler=sampler, weighting=registry.build(weighting))
        for _ in range(2)
    )
    logits = ecg_training.scores(one, torch.from_numpy(fresh.signals), 2)
    assert multilabel(logits, fresh.labels)["MacroAUROC"] > 0.7
    assert np.array_equal(logits, ecg_training.scores(again, torch.from_numpy(fresh.signals), 2))


def test_auxiliary_labels_come_after_the_own_ones_and_use_training_records_alone():
    data, train = planted(), np.arange(0, 400, 2)
    prepared = PreparedEcgs.of(data, train, 1, 0, major="one")
    assert prepared.labels.shape == (400, 3)
    assert torch.equal(prepared.labels[:, :2], torch.from_numpy(data.labels))
    assert all(set(rows.tolist()) <= set(train.tolist()) for rows in prepared.rows)
    assert [len(rows) for rows in prepared.rows] == [200, 200, 100]


def test_a_schedule_has_each_task_as_often_as_asked_for():
    tasks = ecg_training.schedule([5, 1, 3], generator(0))
    assert torch.bincount(tasks).tolist() == [5, 1, 3]


@pytest.mark.parametrize("model", ["single", "multi", "cotask"])
def test_budgets_the_same_for_the_main_task_or_the_same_in_all(model):
    times = tab2_ecg_echolvh.repeats(model, 5, 30, longer=False)
    assert times == [30] + [6] * {"single": 0, "multi": 4, "cotask": 12}[model]
    whole = sum(tab2_ecg_echolvh.repeats("cotask", 5, 30, longer=False))
    assert sum(tab2_ecg_echolvh.repeats(model, 5, 30, longer=True)) == whole


def test_rates_are_chosen_by_the_mean_validation_over_seeds_and_taken_by_every_arm():
    """Laws: a method's rate is the best by mean over seeds; other budgets, twice the steps and controls take their method's."""
    values = {(0, 0.1): 0.9, (1, 0.1): 0.5, (0, 0.3): 0.8, (1, 0.3): 0.7}
    rows = pd.DataFrame(
        {"method": method, "seed": seed, "rate": rate, "validation": value if method == "CO-TASK/Task-Aware" else -value}
        for method in tab2_ecg_echolvh.TABLE8
        for (seed, rate), value in values.items()
    )
    rates = ecg_training.best_rates(rows)
    assert rates == dict.fromkeys(tab2_ecg_echolvh.TABLE8, 0.1) | {"CO-TASK/Task-Aware": 0.3}
    rates = {method: 0.001 * (1 + place) for place, method in enumerate(tab2_ecg_echolvh.TABLE8)}
    p = Params("cotask/tab2", "quick", profile_values("cotask/tab2", "quick"))
    settings = tab2_ecg_echolvh.settings(p, rates)
    taken = {(s["kind"], s["method"]): s["training"]["rate"] for s in settings if "training" in s}
    multi, single = rates["Multi/Task-Aware"], rates["Single/Major-Task"]
    assert taken["test", "Multi, CO-TASK's major batches"] == taken["control", "permuted minor labels"] == multi
    assert taken["test", "Single, CO-TASK's steps"] == taken["twice", "Single/Major-Task"] == single
    assert {s["training"]["steps"] for s in settings if s["kind"] == "twice"} == {2 * p.steps}
    dialled = {s["shared_waves"] for s in settings if s["kind"] == "dial"}
    assert dialled == set(p.dial)
    assert {s["shared_waves"] for s in settings if s["kind"] != "dial"} == {p.shared_waves}
    assert p.shared_waves not in dialled


def test_real_recordings_have_the_rarest_group_first_and_rates_from_seeds_that_are_not_judged(monkeypatch):
    """Laws: the major label comes first and every label keeps its column; each arm takes its own rate and the real steps."""
    labels = np.arange(10).reshape(2, 5)
    signals = np.zeros((2, 12, 8), np.float32)
    drawn = EcgSet("part", signals, labels, ("NORM", "MI", "STTC", "CD", "HYP"), np.arange(2), 50.0, "0", "public stand-in")
    monkeypatch.setattr(tab2_ecg_echolvh, "recordings", lambda *_: drawn)
    monkeypatch.setattr(tab2_ecg_echolvh.places, "find", lambda _: "here")
    own = tab2_ecg_echolvh.real_recordings(50.0, 4.0)
    assert own.names == ("HYP", "NORM", "MI", "STTC", "CD")
    assert own.labels.tolist() == [[4, 0, 1, 2, 3], [9, 5, 6, 7, 8]]
    p = Params("cotask/tab2", "quick", profile_values("cotask/tab2", "quick") | {"real_seeds": 2, "real_steps": 50})
    tuned = [s for s in tab2_ecg_echolvh.rate_settings(p) if s["kind"] == "real rate"]
    assert len(tuned) == len(p.rates) * len(tab2_ecg_echolvh.TABLE8) * p.rate_seeds
    rates = {method: 0.001 * (1 + place) for place, method in enumerate(tab2_ecg_echolvh.TABLE8)}
    judged = [s for s in tab2_ecg_echolvh.settings(p, rates, rates) if s["kind"] == "real"]
    assert not {s["seed"] for s in tuned} & {s["seed"] for s in judged}
    assert {s["method"]: s["training"]["rate"] for s in judged} == rates
    assert {s["training"]["steps"] for s in (*tuned, *judged)} == {50}
    without = Params("cotask/tab2", "quick", profile_values("cotask/tab2", "quick"))
    assert not [s for s in tab2_ecg_echolvh.rate_settings(without) if s["kind"] == "real rate"]


def test_controls_share_signals_and_major_labels_and_differ_in_minor_ones(monkeypatch):
    """Law: noise-free minor labels are the generator's; permuted ones keep their numbers and lose their tie to the record;
    a method of Table 8 has the annotated ones."""
    seen = []

    def trained(method, data, seed, how):
        seen.append(data.labels)
        return lambda part: (np.arange(2.0), np.arange(2)), [1]

    monkeypatch.setattr(tab2_ecg_echolvh, "_trained", trained)
    size = {"n": 400, "seed": 0, "hertz": 50.0, "seconds": 4.0, "shared_waves": 0.5}
    training = dataclasses.asdict(HOW)
    for method in tab2_ecg_echolvh.CONTROLS:
        assert tab2_ecg_echolvh.controlled(method, training=training, **size) == [{"auroc": 1.0}]
    tab2_ecg_echolvh.controlled("CO-TASK/Task-Aware", training=training, **size)
    data = ecg_training.recordings("echolvh", 400, 0, 50.0, 4.0, 0.5)
    free, permuted, annotated = seen
    assert np.array_equal(annotated, data.labels)
    assert np.array_equal(free, data.truth)
    assert np.array_equal(permuted[:, 0], data.labels[:, 0])
    assert np.array_equal(permuted.sum(0), free.sum(0))
    assert (permuted[:, 1:] != free[:, 1:]).any()


def test_one_threshold_for_all_tasks_by_jaccard():
    """Laws: logits shifted by a constant give the threshold shifted by it, and the labels themselves where scores part them; no
    candidate has a larger Jaccard."""
    labels = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 0, 0]])
    for shift in (0.0, 5.0):
        threshold = tab1_ecg_p18.best_threshold(labels + shift, labels)
        assert shift < threshold <= 1 + shift
        assert multilabel(labels + shift - threshold, labels)["Exact"] == 1
    assert tab1_ecg_p18.best_threshold(labels[:0], labels[:0]) == 0
    rng = np.random.default_rng(0)
    labels = (rng.random((60, 4)) < 0.2).astype(int)
    logits = labels + rng.standard_normal((60, 4))
    best = multilabel(logits - tab1_ecg_p18.best_threshold(logits, labels), labels)["Jaccard"]
    others = [multilabel(logits - each, labels)["Jaccard"] for each in np.quantile(logits, np.linspace(0.5, 1, 21))]
    assert best >= max(others) - 1e-12


def test_metrics_by_hand():
    labels = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]])
    scores = np.array([[1.0, -1, -1], [-1, 1, -1], [-2, 2, -2], [-1, -1, -1]])
    found = multilabel(scores, labels)
    assert found["RecallMulti"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["Jaccard"] == pytest.approx((1 / 2 + 0 + 1) / 3)  # the last record has no label, true or predicted
    assert found["Exact"] == pytest.approx(1 / 2)
    assert np.isnan(multilabel(scores, labels, least=2)["MacroAUROC"])
    assert np.isnan(multilabel(scores, 0 * labels)["Exact"])
    with pytest.raises(BadValue, match="one shape"):
        multilabel(scores[:, :2], labels)


def test_sensitivity_at_the_annotators_own_specificity_is_the_annotators():
    rng = np.random.default_rng(0)
    labels = (rng.random(500) < 0.3).astype(int)
    said = np.where(rng.random(500) < 0.2, 1 - labels, labels)
    sensitivity, specificity = operating_point(said, labels)
    assert sensitivity_at(said, labels, specificity) == pytest.approx(sensitivity)
    assert sensitivity_at(labels, labels, 1.0) == pytest.approx(1.0)


def test_the_error_of_a_count_is_over_patients():
    """Laws: (count - n / ratio) over the root of the summed squares of each patient's excess; by hand for four patients."""
    labels, patients = np.array([1, 1, 0, 0, 1, 0]), np.array([0, 0, 1, 2, 3, 3])
    excess = np.array([2 - 2 / 3, -1 / 3, -1 / 3, 1 - 2 / 3])
    assert count_error(labels, patients, 3.0) == pytest.approx(excess.sum() / np.sqrt((excess**2).sum()))


def test_unknown_names_are_refused():
    with pytest.raises(UnknownName, match="Task-Aware"):
        ecg_training.train(PreparedEcgs.of(planted(), np.arange(4), 0, 0), [0], [1], 0, HOW, sampler="task-aware")
    with pytest.raises(UnknownName, match="p18"):
        ecg_training.recordings("p81", 10, 0, 100.0, 4.0)
