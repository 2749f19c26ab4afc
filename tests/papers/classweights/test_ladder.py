"""Laws of the real sets with planted classes and of their trainings, on small random data."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from mtlrepro.errors import UnknownName
from mtlrepro.papers.classweights import alg1_ladder
from mtlrepro.papers.classweights.data import ladder_sets
from mtlrepro.papers.classweights.data.ladder_sets import LADDER_SETS, LadderPart, of_another, waves
from mtlrepro.papers.classweights.ladder_arms import GIVEN_ARMS, LADDER_ARMS, RUNGS
from mtlrepro.papers.classweights.training import ladder_training
from mtlrepro.papers.classweights.training.ladder_training import LadderTraining, rung

SETTINGS = {"samples": [12, 4, 4], "labelled": 0.5, "steps": 6, "batch": 4, "freeze": 0.2, "width": 8, "bottleneck": 2}


@pytest.fixture(params=RUNGS)
def settings(request, monkeypatch):
    """Settings of a set whose parts are random."""
    own = LADDER_SETS[request.param]
    size, places = ((1, 32), (32,)) if request.param == "ludb" else ((3, 8, 8), ())

    def drawn(parts, labelled, seed):
        g, n = torch.Generator().manual_seed(seed), sum(parts)
        x, main = torch.randn(n, *size, generator=g), torch.randint(0, own.main, (n, *places), generator=g)
        return ladder_sets._split(x, main, torch.randint(0, own.auxiliary, (n, *places), generator=g), parts, labelled)

    monkeypatch.setitem(LADDER_SETS, request.param, own._replace(drawn=drawn))
    return SETTINGS | {"set": request.param}


def test_waves_by_hand():
    """Law: a wave lasts from its beginning to its end, both counted; outside of the marks nothing is known."""
    labels = waves([2, 3, 4, 7, 8, 9], ["(", "p", ")", "N", ")", "t"], 12)
    assert labels.tolist() == [-1, -1, 1, 1, 1, 0, 0, 2, 2, 0, -1, -1]


def test_labels_of_others_keep_the_classes_and_the_rest():
    """Law: labels move among the harmful places alone, so every class stays as frequent."""
    labels = torch.arange(200) % 10
    harmful = labels >= 5
    permuted = of_another(labels, harmful, torch.Generator().manual_seed(0))
    assert torch.equal(permuted[~harmful], labels[~harmful])
    assert torch.equal(permuted.bincount(), labels.bincount())
    assert (permuted != labels).sum() > 50


def test_only_a_share_of_the_main_labels_to_train_on_is_known():
    parts = ladder_sets._split(torch.zeros(20, 1), torch.ones(20, dtype=torch.int64), torch.zeros(20), [10, 5, 5], 0.3)
    assert [int((part.main >= 0).sum()) for part in parts] == [3, 5, 5]
    assert all(isinstance(part, LadderPart) for part in parts)


def test_both_losses_start_at_one_and_are_the_sums_over_classes(settings):
    training = LadderTraining(settings, 1, 0.1)
    whole = ladder_training._batch(training.parts["train"], torch.arange(12))
    torch.testing.assert_close(training.in_two(training.model, whole), torch.ones(2))
    by_task = training.as_tasks(training.model, whole)
    assert by_task.shape == (1 + training.classes,)
    torch.testing.assert_close(torch.stack([by_task[0], by_task[1:].sum()]), torch.ones(2))


def test_every_arm_trains_and_learns_what_it_says(settings):
    """Law: arms of given weights report none, one weight is alike for both kinds of classes, and given weights differ."""
    rows = {arm: rung(settings, arm, 0.1, 0.05, 1, True) for arm in LADDER_ARMS}
    assert {arm for arm, row in rows.items() if "helpful" not in row} == {*GIVEN_ARMS, "uncertainty"}
    assert rows["one weight"]["helpful"] == rows["one weight"]["harmful"] != 1
    assert rows["held-out"]["helpful"] != rows["held-out"]["harmful"]
    assert len({rows[arm]["test"] for arm in GIVEN_ARMS}) == len(GIVEN_ARMS)
    assert rung(settings, "held-out", 0.1, 0.05, 1, True) == rows["held-out"]
    with pytest.raises(UnknownName):
        rung(settings, "orcale", 0.1, 0.05, 1, True)


def test_rates_are_chosen_on_held_out_labels_of_seeds_that_are_not_judged(monkeypatch):
    monkeypatch.setattr(alg1_ladder, "find", lambda name: None if name == "cifar100" else name)
    monkeypatch.setattr(alg1_ladder, "digest_of", lambda name: "0")
    asked = []

    def mapped(function, settings, what, data):
        asked.append(settings)
        return pd.DataFrame([one | {"validation": abs(one["rate"] - 0.3) + abs(one["alpha"] - 0.02)} for one in settings])

    own = {"seeds": 2, "tuning": 1, "rates": [0.1, 0.3], "alphas": [0.02, 0.1], "steps": 3}
    p = SimpleNamespace(rungs={"ludb": own, "cifar100": own}, first_seed=1000)
    (rows,) = alg1_ladder.ladder_rows(SimpleNamespace(map=mapped), p)
    assert {one["seed"] for one in asked[0]} == {999}
    assert set(rows["seed"]) == {1000, 1001}
    assert set(rows["rate"]) == {0.3}
    assert set(rows.loc[~rows["arm"].isin(GIVEN_ARMS), "alpha"]) == {0.02}
    assert {"settings": {"set": "ludb", "steps": 3}}.items() <= asked[1][0].items()
