"""Choices of capacity follow the validation rows; what the capacity reports measure, on made-up searches with known peaks."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from mtlrepro.papers.transfer import capacity_choice, tab1_fig10_fig11_capacity
from mtlrepro.papers.transfer import tab1_fig10_fig11_report as report
from mtlrepro.papers.transfer.data.text import TITLES
from mtlrepro.parameters import Params


def _rows(valid):
    """valid: {(trained_on, capacity, seed): accuracy}; `all` is measured on both tasks, around its mean."""
    rows = []
    for (name, size, seed), value in valid.items():
        tasks = {"a": value - 1, "b": value + 1} if name == "all" else {name: value}
        rows += [
            {"encoder": "mlp", "trained_on": name, "task": t, "capacity": size, "seed": seed, "valid": v}
            for t, v in tasks.items()
        ]
    return pd.DataFrame(rows)


PEAKS = {("a", 0): 10, ("a", 1): 10, ("b", 0): 20, ("b", 1): 20, ("all", 0): 10, ("all", 1): 20}
ROWS = _rows({(n, size, s): 80.0 + s - abs(size - peak) / 10 for (n, s), peak in PEAKS.items() for size in (5, 10, 20)})


def test_the_capacity_of_the_best_mean_validation_accuracy_is_chosen_and_the_smallest_of_equals():
    best = capacity_choice.chosen(ROWS[ROWS.seed == 0])["mlp"]
    assert best == {"a": 10, "all": 10, "b": 20}
    assert capacity_choice.chosen(ROWS)["mlp"]["all"] == 10  # 10 and 20 tie


def test_the_claimed_ratio_is_the_sum_of_single_choices_over_the_shared_one():
    assert capacity_choice.log_ratios(ROWS)["mlp"] == pytest.approx([math.log2(30 / 10), math.log2(30 / 20)])


def test_resampled_choices_come_from_the_curves_of_the_seeds_drawn():
    best = capacity_choice.resampled(ROWS)
    assert set(best["mlp", "a"]) == {10}
    # Seed 0 alone chooses 10, seed 1 alone 20, both together tie and take the smaller.
    assert best["mlp", "all"].value_counts(normalize=True)[20] == pytest.approx(1 / 4, abs=0.05)


def test_chance_of_the_claim_by_counting():
    assert capacity_choice.chance([5], 2, [5]) == 1
    assert capacity_choice.chance([1, 2], 1, [1, 2]) == 0.25
    assert capacity_choice.chance([1, 3], 2, [1, 3]) == 7 / 8


class _Runs:
    """Rows in which validation accuracy is the product of rate and capacity."""

    def __init__(self):
        self.what = []

    def map(self, function, settings, what, data):
        self.what.append(what)
        scalars = [{k: v for k, v in s.items() if not isinstance(v, list | None)} for s in settings]
        return pd.DataFrame(
            [
                scalar | {"task": t, "valid": s["rate"] * s["capacity"], "trained_on": "all" if len(s["tasks"]) > 1 else t}
                for s, scalar in zip(settings, scalars, strict=True)
                for t in s["tasks"]
            ]
        )


def test_the_search_tries_every_capacity_at_the_rate_that_validation_chose():
    values = {"epochs": 1, "patience": 1, "batch": 1, "split": "random", "sentences": 0, "device": "cpu", "seeds": 2}
    p = Params(
        "transfer/fig11",
        "quick",
        values | {"encoders": ["mlp", "cnn"], "capacities": [4, 2, 8], "larger": [16], "rates": [0.1, 0.3]},
    )
    runs = _Runs()
    rows = tab1_fig10_fig11_capacity.figure_11(runs, p, {})
    searched = rows[rows.stage == "capacity"]
    assert runs.what == ["learning rates", "capacities"]
    assert set(searched.rate) == {0.3}
    assert set(rows[rows.stage == "rate"].capacity) == {4}
    assert not rows.leak.any()
    # Encoders, seeds, one row a task of three networks at three capacities, and the shared one at a larger one.
    assert len(searched) == 2 * 2 * (3 * 4 + 2)
    assert set(searched[searched.capacity == 16].trained_on) == {"all"}


# --- reports ----------------------------------------------------------------------------------------------------------

BEST = {"sst": 100, "mr": 100, "cr": 100, "subj": 500, "mpqa": 100, "trec": 100, "all": 100}


def _search(best=BEST, sizes=(5, 100, 500), encoder="lstm", seeds=3, epochs=8):
    """Curves that peak at `best`: one point of accuracy less for each step of the grid beside it; test is half a point lower."""
    rows = []
    for name, peak in best.items():
        for size in sizes:
            for seed in range(seeds):
                valid = 85.0 - abs(sizes.index(size) - sizes.index(peak)) + 0.1 * seed
                row = {
                    "encoder": encoder,
                    "trained_on": name,
                    "capacity": size,
                    "seed": seed,
                    "valid": valid,
                    "test": valid - 0.5,
                }
                row |= {"best_epoch": 3, "trained_epochs": epochs, "epochs": epochs, "stage": "capacity"}
                row |= {"train_sentences": 6000, "leak": False}
                rows += [row | {"task": task} for task in ([name] if name != "all" else [t for t in best if t != "all"])]
    return pd.DataFrame(rows)


def _final(gain, leak):
    """Six single networks at 80 + seed, and the shared one `gain` above them."""
    return pd.DataFrame(
        [
            {"trained_on": on, "task": t, "capacity": 100, "seed": seed, "test": 80.0 + seed + gain * (on == "all"),
             "leak": leak, "stage": "final", "trained_epochs": 5, "epochs": 8}
            for seed in range(3) for t in TITLES for on in (t, "all")
        ]
    )  # fmt: skip


def test_table_1_measures_the_papers_estimands_and_accuracies_with_the_leak_alone():
    search = _search()
    measured = report.measured_tab1(pd.concat([search, _final(1.0, False)]))
    assert "overall-accuracy" not in measured.effects
    assert measured.effects["capacity-far-below-sum"] == pytest.approx([math.log2(1000 / 100)] * 3)
    assert measured.effects["peak-at-100"] == pytest.approx([math.log2(5)] * 3)
    leaky = report.measured_tab1(pd.concat([search, _final(1.0, False), _final(2.5, True)]))
    assert leaky.effects["overall-accuracy"] == pytest.approx([2.5] * 3)
    passed = {gate.name: gate.passed for gate in leaky.gates}
    assert passed == {
        "grid-can-refute": False, "grid-interior": True, "baseline-level": True, "converged": False, "peak-resolved": True
    }  # fmt: skip
    stopped = report.measured_tab1(pd.concat([search.assign(trained_epochs=6), _final(1.0, False)]))
    assert {gate.name: gate.passed for gate in stopped.gates}["converged"]


def test_figure_10_reads_on_test_what_the_chosen_capacity_gains_over_the_largest():
    measured = report.measured_fig10(_search())
    assert measured.effects["interior-peak"] == pytest.approx([1.0] * 3)
    assert measured.effects["peak-below-sum"] == pytest.approx([math.log2(10)] * 3)
    assert "interior-peak" not in report.measured_fig10(_search(dict.fromkeys(BEST, 100), (5, 100))).effects


def test_figure_11_measures_every_encoder_and_its_gates_follow_the_rows():
    two = {"sst": 100, "mr": 500, "all": 100}
    rows = pd.concat([_search(two, encoder=encoder) for encoder in ("mlp", "lstm")])
    measured = report.measured_fig11(rows)
    assert {claim: list(values) for claim, values in measured.effects.items()} == {
        encoder: pytest.approx([math.log2(6)] * 3) for encoder in ("mlp", "lstm")
    }
    passed = {gate.name: gate.passed for gate in measured.gates}
    assert passed == {
        "grid-can-refute": False, "whole-sets": True, "baseline-level": True, "converged": True, "enough-seeds": True
    }  # fmt: skip
    cut = {gate.name: gate.passed for gate in report.measured_fig11(rows.assign(rows=1500, best_epoch=8)).gates}
    assert not cut["whole-sets"]
    assert not cut["converged"]


def test_a_single_networks_choice_is_resampled_among_the_capacities_that_it_tried():
    """SST alone is best at 5 with half of the seeds and at 500 with the others; only the shared network tries 1,000 too."""
    rows = _search({"sst": 5, "mr": 100, "all": 100}, (5, 100, 500, 1000), seeds=4)
    rows = rows[(rows.capacity < 1000) | (rows.trained_on == "all")]
    of_sst = (rows.trained_on == "sst") & (rows.seed >= 2)
    torn = rows.assign(valid=rows.valid.where(~of_sst, 80 + rows.capacity / 100))
    spans = {name: {gate.name: gate for gate in report.measured_fig11(own).gates}["enough-seeds"] for name, own in
             (("one", rows), ("torn", torn))}  # fmt: skip
    assert (spans["one"].passed, spans["one"].value) == (True, 0.0)
    assert not spans["torn"].passed
    assert spans["torn"].value == pytest.approx(math.log2(100))


def test_the_printed_mean_of_the_shared_networks_column_is_not_its_mean():
    table = report.printed_overall()
    assert table.loc["STL", "printed"] == pytest.approx(table.loc["STL", "mean of the column"], abs=0.05)
    assert np.diff(table.loc["MTL"]) > 1


def test_the_table_sets_ours_beside_the_papers():
    table = report.table_1(pd.concat([_search(), _final(1.0, False)]))
    assert table.loc["SUBJ", "STL capacity, ours"] == 500
    assert table.loc["overall", "STL capacity, paper"] == 1205
    assert table.loc["overall", "MTL, ours"] - table.loc["overall", "STL, ours"] == pytest.approx(1.0)
    assert table.loc["MR", "difference MTL - STL, paper"] == pytest.approx(19.6)


def test_the_leak_has_a_column_where_it_was_trained_with():
    """A column in which nothing was measured is not shown; what the leak gives is a difference of gains."""
    without = pd.concat([_search(), _final(1.0, False)])
    table = report.leak_table(without)
    assert not [name for name in table if "with the leak" in name or "owed" in name]
    both = report.leak_table(pd.concat([without, _final(3.5, True)]))
    assert both.loc["SST", "gain owed to the leak"] == "+2.5 [+2.5, +2.5]"
    assert both.loc["MR", "MTL, with the leak"] - both.loc["MR", "STL, with the leak"] == pytest.approx(3.5)
    assert both.loc["overall", "MTL - STL, paper"] == pytest.approx(2.5)
    assert report.leak_findings(without) == ""
    said = report.leak_findings(pd.concat([without, _final(3.5, True)]))
    assert "+1.0 [+1.0, +1.0] points without the leak and +3.5 [+3.5, +3.5] with it" in said
    assert "+2.5 [+2.5, +2.5], is owed" in said
    fewer = _final(3.5, True)
    fewer = report.leak_table(pd.concat([without, fewer[fewer.seed < 2]]))
    assert fewer.loc["SST", "gain owed to the leak"] == "+2.5 [+2.5, +2.5]"
