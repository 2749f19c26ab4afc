"""Laws of the comparison on real data, tried on small synthetic tables of the same form."""

from __future__ import annotations

import pytest
import torch

from mtlrepro.errors import DataCorrupt, UnknownName
from mtlrepro.papers.hydalearn import tab1_tab2_real_data
from mtlrepro.papers.hydalearn.data.mortgage import synthetic_borrowers

SEEDS = [3, 4]
SIZE = {"rates": [0.1, 0.3], "grid": 2, "steps": 60, "check": 20, "points": 50}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    table = synthetic_borrowers(seed=1, borrowers=600)
    monkeypatch.setattr(tab1_tab2_real_data, "source", lambda name: table)
    return table.sha256


def test_seeds_in_chunks_give_the_rows_of_all_at_once(small):
    whole = tab1_tab2_real_data.compare("mortgage", "hydalearn", "as printed", SEEDS, small, **SIZE)
    alone = [row for s in SEEDS for row in tab1_tab2_real_data.compare("mortgage", "hydalearn", "as printed", [s], small, **SIZE)]
    assert [(r["seed"], r["step"], r["rate"], r["parameter"]) for r in whole] == [
        (r["seed"], r["step"], r["rate"], r["parameter"]) for r in alone
    ]
    assert [r["test"] for r in whole] == pytest.approx([r["test"] for r in alone], abs=1e-4)


def test_curves_cover_every_batch_once_in_each_kind(small):
    rows = tab1_tab2_real_data.compare("mortgage", "olaux", "scale-matched", SEEDS, small, **SIZE, curves=True)
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


def test_every_method_and_ablation_gets_both_updates_and_the_single_task_one():
    made = tab1_tab2_real_data.settings("mortgage", ["stl", "hydalearn"], ["ExpImp-0", "ExpImp-2"], SEEDS, chunk=1)
    keys = [(s["method"], s["update"], s["measured_on"], tuple(s["seeds"])) for s in made]
    assert len(keys) == len(set(keys)) == 2 * (1 + 2 + 2)
    with pytest.raises(UnknownName):
        tab1_tab2_real_data.settings("mortgage", [], ["ExpImp-9"], SEEDS)
