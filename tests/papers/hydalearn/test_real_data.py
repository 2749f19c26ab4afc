"""Laws of the comparison on real data, tried on small synthetic tables of the same form."""

from __future__ import annotations

import math
from itertools import islice

import pandas as pd
import pytest
import torch

from mtlrepro.device import generator
from mtlrepro.errors import DataCorrupt, UnknownName
from mtlrepro.papers.hydalearn import tab1_tab2_real_data, trained_again
from mtlrepro.papers.hydalearn.data.mortgage import synthetic_borrowers
from mtlrepro.papers.hydalearn.data.toys import PairedSamples
from mtlrepro.papers.hydalearn.training.tuned_runs import stream
from mtlrepro.parameters import Params

SEEDS = [3, 4]
SIZE = {"rates": [0.1, 0.3], "grid": 2, "steps": 60, "check": 20, "points": 50}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    table = synthetic_borrowers(seed=1, borrowers=600)
    monkeypatch.setattr(tab1_tab2_real_data, "source", lambda name, data_set="": table)
    return table.sha256


def test_seeds_in_chunks_give_the_rows_of_all_at_once(small):
    def rows(seeds):
        compared = tab1_tab2_real_data.compare("mortgage", "hydalearn", "as printed", seeds, small, **SIZE)
        return [row for row in compared if row["kind"] == "seed"]

    whole, alone = rows(SEEDS), [row for seed in SEEDS for row in rows([seed])]
    assert [(r["seed"], r["step"], r["rate"], r["parameter"]) for r in whole] == [
        (r["seed"], r["step"], r["rate"], r["parameter"]) for r in alone
    ]
    assert [r["test"] for r in whole] == pytest.approx([r["test"] for r in alone], abs=1e-4)


def test_curves_cover_every_batch_once_in_each_kind(small):
    rows = tab1_tab2_real_data.compare("mortgage", "olaux", "scale-matched", SEEDS, small, **SIZE)
    whole = {r["seed"]: r["share"] for r in rows if r["kind"] == "seed"}
    for kind in ("epoch", "events"):
        for seed in SEEDS:
            here = [r for r in rows if r["kind"] == kind and r["seed"] == seed]
            assert sum(r["batches"] for r in here) == SIZE["steps"]
            assert sum(r["batches"] * r["share"] for r in here) / SIZE["steps"] == pytest.approx(whole[seed], abs=1e-4)


def test_shuffling_keeps_rows_together_and_each_part_its_own(small):
    parts = tab1_tab2_real_data.splits("mortgage", SEEDS, small)
    plain = tab1_tab2_real_data.stacked(
        [tab1_tab2_real_data.PROBLEMS["mortgage"].prepare(tab1_tab2_real_data.source(""), s) for s in SEEDS]
    )
    for found, wanted in zip(parts, plain, strict=True):
        rows = [torch.cat([part.x, part.main, part.auxiliary], -1) for part in (found, wanted)]
        for a, b in zip(*rows, strict=True):
            assert sorted(a.tolist()) == sorted(b.tolist())
            assert not torch.equal(a, b)


def test_other_data_than_those_meant_are_refused():
    with pytest.raises(DataCorrupt):
        tab1_tab2_real_data.splits("mortgage", SEEDS, "0" * 64)


def test_until_the_kept_state_batches_with_and_without_an_event_make_up_the_epoch():
    """A share of 1 where the batch has an event, else 0: the two means are 1 and 0, and only kept batches count."""
    draw = torch.Generator().manual_seed(0)
    y = (torch.rand(1, 100, 1, generator=draw) < 0.05).float()
    train = PairedSamples(torch.zeros(1, 100, 1), y, y)
    orders = [generator(0, "order")]
    events = torch.stack([batch.main.sum((1, 2)) for batch in islice(stream(train, 16, orders), 21)])
    share = (events > 0).float()
    rows = tab1_tab2_real_data.weight_rows(share, torch.tensor([10]), train, [0])
    epochs = [row for row in rows if row["kind"] == "epoch"]
    assert [row["batches"] for row in epochs] == [7, 7, 7]
    assert (epochs[0]["kept_with"], epochs[0]["kept_without"]) == (1, 0)
    assert epochs[1]["kept"] == pytest.approx(share[7:10].mean().item(), abs=1e-5)
    assert math.isnan(epochs[2]["kept"])


@pytest.fixture
def p():
    values = {"seeds": 6, "first_seed": 0, "methods": ["stl", "hydalearn"], "ablations": ["ExpImp-0", "ExpImp-2"]}
    values |= {"updates": ["as printed", "scale-matched"], "longer_seeds": 2}
    return Params("hydalearn/tab2", "quick", values | SIZE | {"source": "deep_credit_risk"})


def test_every_method_gets_both_updates_and_the_single_task_one(p):
    settings = tab1_tab2_real_data.settings(p, "mortgage")
    keys = [(s["method"], s["update"], s["measured_on"], tuple(s["seeds"])) for s in settings if not s.get("labels")]
    assert len(keys) == len(set(keys)) == 2 * (1 + 2 + 2)
    assert [(s["labels"], s["method"]) for s in settings if s.get("labels")] == [
        ("planted", "static"), ("planted", "static"), ("shuffled", "hydalearn"), ("shuffled", "hydalearn"),
    ]  # fmt: skip
    assert {key[0] for key in keys[-4:]} == {"logistic", "boosting"}
    p.values["ablations"] = ["ExpImp-9"]
    with pytest.raises(UnknownName):
        tab1_tab2_real_data.settings(p, "mortgage")


def test_a_planted_auxiliary_label_follows_the_main_one_and_a_shuffled_main_label_nothing(small):
    parts = tab1_tab2_real_data.splits("mortgage", SEEDS, small)
    planted = tab1_tab2_real_data.planted(parts, SEEDS, "cross-entropy")
    for part, own in zip(parts, planted, strict=True):
        assert torch.equal(part.main, own.main)
        assert ((own.auxiliary > 0) & (own.auxiliary < 1)).all()
        means = [own.auxiliary[own.main == event].mean() for event in (0, 1)]
        assert means[0] < means[1]
    shuffled = tab1_tab2_real_data.shuffled_main(parts, SEEDS)
    assert torch.equal(shuffled.train.main.sum(1), parts.train.main.sum(1))
    assert not torch.equal(shuffled.train.main, parts.train.main)
    assert torch.equal(shuffled.test.main, parts.test.main)


def test_control_runs_are_rows_of_their_own_and_all_rows_are_all_of_their_part(small):
    size = SIZE | {"points": 0}
    (first, _) = tab1_tab2_real_data.compare("mortgage", "hydalearn", "as printed", SEEDS, small, labels="shuffled", **size)
    assert (first["kind"], first["measured_share"], first["head_weight"]) == ("control", 1.0, 1.0)
    assert -1 <= first["gap"] <= 1


def test_what_follows_is_trained_at_the_settings_that_each_seed_chose(p):
    """Ablations at HydaLearn's, longer trainings at each method's own, for the first seeds; seeds that chose alike together."""
    points = {"stl": [0, 0, 1, 1, 1, 0], "hydalearn": [1, 0, 1, 0, 1, 1]}
    rows = pd.DataFrame(
        {"kind": "seed", "update": "as printed", "labels": "", "method": method, "seed": seed, "point": point}
        for method, chosen in points.items()
        for seed, point in enumerate(chosen)
    )
    later = tab1_tab2_real_data.later_settings(p, "mortgage", rows)
    ablated = [(s["at"], s["seeds"]) for s in later if s["measured_on"] == "training" and s["steps"] == p.steps]
    assert ablated == [(0, [1, 3]), (1, [0, 2, 4, 5])]
    doubled = [(s["method"], s["at"], s["seeds"]) for s in later if s["steps"] == 2 * p.steps]
    assert doubled == [("stl", 0, [0, 1]), ("hydalearn", 0, [1]), ("hydalearn", 1, [0])]
    assert len(later) == 2 + 3
    # Each of them again with half of its updates; the ablations' rows, which have no part in it, change nothing.
    rows = pd.concat([rows.assign(measured_on="validation"), rows.assign(measured_on="training", point=0)])
    once = trained_again.once_more(p, "mortgage", rows)
    assert once == [s | {"steps": p.steps} for s in later if s["steps"] == 2 * p.steps]


def test_a_chosen_setting_trained_alone_is_the_run_of_the_grid(small):
    """So that only the number of updates, or the part left out, differs from what was chosen."""
    (whole,) = (
        r for r in tab1_tab2_real_data.compare("mortgage", "hydalearn", "as printed", [3], small, **SIZE) if r["kind"] == "seed"
    )
    (alone,) = (
        r
        for r in tab1_tab2_real_data.compare("mortgage", "hydalearn", "as printed", [3], small, at=whole["point"], **SIZE)
        if r["kind"] == "seed"
    )
    assert {k: v for k, v in alone.items() if k != "diverged"} == pytest.approx(
        {k: v for k, v in whole.items() if k != "diverged"}, abs=1e-4, nan_ok=True
    )


def test_a_lone_training_that_diverges_keeps_its_best_state(small):
    """As in a grid, where others keep the batch from being refused."""
    size = SIZE | {"rates": [0.1, 1e30], "grid": 4}
    for method in ("stl", "hydalearn"):
        grid = tab1_tab2_real_data.METHODS[method].grid(*size["rates"], 4)
        at = max(range(4), key=lambda i: grid[i]["learning_rate"])
        (row,) = (
            r
            for r in tab1_tab2_real_data.compare("mortgage", method, "as printed", [3], small, at=at, **size)
            if r["kind"] == "seed"
        )
        assert (row["diverged"], row["point"]) == (1.0, at)
        assert 0 <= row["test"] <= 1


class _Direct:
    def map(self, function, settings, what, data):
        return pd.DataFrame([row for one in settings for row in [one | found for found in function(**one)]])


def test_no_ablation_and_no_doubled_training_are_no_rows(small, p, monkeypatch):
    p.values.update({"ablations": ["ExpImp-0"], "longer_seeds": 0, "seeds": 2, "updates": ["as printed"], "methods": ["stl"]})
    monkeypatch.setattr(tab1_tab2_real_data, "chosen_source", lambda p, problem: tab1_tab2_real_data.source(""))

    rows = trained_again.rows(_Direct(), p, "mortgage")
    assert set(rows["kind"]) == {"seed", "control", "epoch", "events"}


def test_twice_the_updates_go_on_from_a_training_of_as_many(small, p, monkeypatch):
    """Law: a best state within the first half is both trainings' own to the last digit, and no best is lost by going on."""
    p.values.update({"ablations": ["ExpImp-0"], "longer_seeds": 4, "seeds": 4, "updates": ["as printed"]})
    p.values.update({"methods": ["stl", "static"], "steps": 8, "check": 2, "rates": [0.5, 2.0], "grid": 2})
    monkeypatch.setattr(tab1_tab2_real_data, "chosen_source", lambda p, problem: tab1_tab2_real_data.source(""))
    rows = trained_again.rows(_Direct(), p, "mortgage")
    once, twice = (rows[rows.kind == kind].set_index(["method", "seed"]).sort_index() for kind in ("once more", "doubled"))
    assert (len(once), len(twice)) == (8, 8)
    assert (twice.validation >= once.validation).all()
    within = twice.step <= p.steps
    assert within.any()
    assert not within.all()
    columns = ["validation", "test", "step", "rate"]
    pd.testing.assert_frame_equal(once.loc[within, columns], twice.loc[within, columns])


@pytest.mark.parametrize(("baseline", "grid"), [("logistic", "PENALTIES"), ("boosting", "TREES")])
def test_a_baseline_takes_the_value_of_its_grid_that_is_best_on_validation(small, monkeypatch, baseline, grid):
    run, values = getattr(tab1_tab2_real_data, baseline), getattr(tab1_tab2_real_data, grid)
    chosen = run("mortgage", SEEDS, small)
    assert [row["seed"] for row in chosen] == SEEDS
    alone = []
    for value in values:
        monkeypatch.setattr(tab1_tab2_real_data, grid, (value,))
        alone.append(run("mortgage", SEEDS, small))
    for number, row in enumerate(chosen):
        assert row == max((rows[number] for rows in alone), key=lambda of: of["validation"])
        assert len({rows[number]["validation"] for rows in alone}) > 1
