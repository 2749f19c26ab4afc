"""Choices of capacity follow the validation rows, and a choice is never judged on the seed that made it."""

from __future__ import annotations

import pandas as pd
import pytest

from mtlrepro.papers.transfer import fig10_fig11_capacity


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
    best = fig10_fig11_capacity.chosen(ROWS[ROWS.seed == 0])["mlp"]
    assert best.to_dict() == {"a": 10, "all": 10, "b": 20}
    assert fig10_fig11_capacity.chosen(ROWS)["mlp"]["all"] == 10  # 10 and 20 tie


def test_spare_capacity_is_the_sum_of_single_choices_minus_the_shared_one():
    assert fig10_fig11_capacity.spare(ROWS)["mlp"].tolist() == [20, 10]


def test_a_choice_is_judged_on_the_other_seed():
    gain = fig10_fig11_capacity.below_largest(ROWS)["mlp"]
    assert gain["a"].tolist() == pytest.approx([1, 1])
    # Seed 1 chooses the largest, so seed 0 gains nothing; seed 0 chooses 10, which is 1 point worse on seed 1.
    assert gain["all"].tolist() == pytest.approx([0, -1])


def test_chance_of_the_claim_by_counting():
    assert fig10_fig11_capacity.chance([5], 2) == 1
    assert fig10_fig11_capacity.chance([1, 2], 1) == 0.25
    assert fig10_fig11_capacity.chance([1, 3], 2) == 7 / 8


def test_the_search_tries_every_capacity_at_the_rate_that_validation_chose():
    seen = []

    def run(settings, what):
        seen.append(what)
        return pd.DataFrame(
            [
                s | {"task": t, "valid": s["rate"] * s["capacity"], "trained_on": "all" if len(s["tasks"]) > 1 else t}
                for s in settings
                for t in s["tasks"]
            ]
        )

    rows = fig10_fig11_capacity.search(run, ["a", "b"], ["mlp", "cnn"], [4, 2, 8], [0.1, 0.3], 2, {"epochs": 1})
    final = rows[rows.stage == "capacity"]
    assert seen == ["learning rates", "capacities"]
    assert set(final.rate) == {0.3}
    assert set(rows[rows.stage == "rate"].capacity) == {4}
    assert not rows.leak.any()
    assert len(final) == 2 * 2 * 3 * 4  # encoders, seeds, capacities, one row a task of three networks
