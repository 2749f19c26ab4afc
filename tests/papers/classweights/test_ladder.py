"""Laws of the real sets with planted classes and of their trainings, on small random data."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from mtlrepro.errors import DataMissing, UnknownName
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
    sizes = {"digits": (64,), "cifar10": (192,), "ludb": (1, 32), "cifar100": (3, 8, 8)}
    size, places = sizes[request.param], (32,) if request.param == "ludb" else ()

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
    asked = []

    def digest_of(name):
        if name == "cifar100":
            raise DataMissing("cifar100 is not here.")
        return "0"

    def mapped(function, settings, what, data):
        asked.append(settings)
        return pd.DataFrame([one | {"validation": abs(one["rate"] - 0.3) + abs(one["alpha"] - 0.02)} for one in settings])

    monkeypatch.setattr(alg1_ladder, "digest_of", digest_of)
    own = {"seeds": 2, "tuning": 1, "rates": [0.1, 0.3], "alphas": [0.02, 0.1], "steps": 3}
    p = SimpleNamespace(rungs={"ludb": own, "cifar100": own}, first_seed=1000)
    (rows,) = alg1_ladder.ladder_rows(SimpleNamespace(map=mapped), p)
    assert {one["seed"] for one in asked[0]} == {999}
    assert set(rows["seed"]) == {1000, 1001}
    assert set(rows["rate"]) == {0.3}
    assert set(rows.loc[~rows["arm"].isin(GIVEN_ARMS), "alpha"]) == {0.02}
    assert {"settings": {"set": "ludb", "steps": 3}}.items() <= asked[1][0].items()


def test_seconds_of_a_recording_ask_for_one_of_two_things_in_ranges_that_are_filled_alike(monkeypatch):
    """Law: within a second all classes are of one half; the halves, and the ranges of each, are as frequent as one another."""
    signals = torch.randn(60, 2, 1000, generator=torch.Generator().manual_seed(0)).numpy()
    monkeypatch.setattr(ladder_sets, "delineated", lambda: (signals, torch.zeros(60, 1000, dtype=torch.int64).numpy(), ""))
    train, _, test = LADDER_SETS["ludb"].drawn([40, 10, 10], 0.1, 1)
    harmful = (train.auxiliary >= ladder_sets.RANGES).unflatten(1, (-1, 100))
    assert torch.equal(harmful.all(2), harmful.any(2))
    assert harmful.float().mean() == pytest.approx(0.5, abs=0.1)
    shares = train.auxiliary.flatten().bincount(minlength=30) / train.auxiliary.numel()
    assert shares.min() > 0.02
    assert shares.max() < 0.05
    assert test.x.shape == (10, 1, 1000)


def test_every_second_fine_class_is_permuted_and_the_others_come_first(monkeypatch):
    fine = torch.arange(400) % 100
    images = fine[:, None, None, None].expand(-1, 32, 32, 3).to(torch.uint8).numpy()
    own = SimpleNamespace(images=images, labels={"coarse": (fine // 5).numpy(), "fine": fine.numpy()})
    monkeypatch.setattr(ladder_sets, "load_cifar", lambda name, split: own)
    train, _, _ = LADDER_SETS["cifar100"].drawn([300, 50, 50], 1.0, 1)
    shown = ((train.x[:, 0, 0, 0] * 0.25 + 0.5) * 255).round().long()
    assert torch.equal(train.main, shown // 5)
    helpful = shown % 2 == 0
    assert torch.equal(train.auxiliary[helpful], shown[helpful] // 2)
    assert (train.auxiliary[~helpful] >= 50).all()
    assert (train.auxiliary[~helpful] != 50 + shown[~helpful] // 2).float().mean() > 0.9


@pytest.mark.parametrize(("name", "share"), [("digits", 0.5), ("cifar10", 0.8)])
def test_some_images_ask_for_their_class_and_the_others_for_their_brightness(name, share, monkeypatch):
    """Law: an image's auxiliary class is its main one or, from 10 on, grows with the sum of its inputs; which, by chance."""
    light = torch.arange(400) * 7 % 250
    own = SimpleNamespace(
        images=light[:, None, None, None].expand(-1, 32, 32, 3).to(torch.uint8).numpy(),
        labels={"label": (light % 10).numpy()},
        sha256="0",
    )
    monkeypatch.setattr(ladder_sets, "load_cifar", lambda name, split: own)
    train, _, _ = LADDER_SETS[name].drawn([300, 50, 50], 1.0, 1)
    other = train.auxiliary >= 10
    assert torch.equal(train.auxiliary[~other], train.main[~other])
    assert other.float().mean() == pytest.approx(share, abs=0.1)
    order = train.x[other].sum(1).argsort()
    assert (train.auxiliary[other][order].diff() >= 0).all()
    assert ladder_sets.digest_of(name) == (ladder_sets.load_digits().sha256 if name == "digits" else "00")
