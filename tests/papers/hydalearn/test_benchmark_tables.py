"""Laws of the tables and claims of a comparison, on rows that are made up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtlrepro.papers.hydalearn import tab1_tab2_report
from mtlrepro.papers.hydalearn.tab1_tab2_real_data import ABLATIONS, UPDATES

PAPER = {"HydaLearn": [0.8, 0.01], "Static": [0.75, 0.02], "STL": [0.7, 0.01]}
SEEDS = range(12)


def _rows(level):
    """One row a seed, method and update; level: (method, part) -> AUROC on test, validation 0.05 higher on validation gains."""
    draw = np.random.default_rng(0)
    common, rows = draw.normal(0, 0.1, len(SEEDS)), []
    for (method, part), value in level.items():
        for update in UPDATES[:1] if method == "stl" else UPDATES:
            for seed in SEEDS:
                test = value + common[seed] + draw.normal(0, 0.0001)
                gap = 0.05 if part == "validation" else 0.01
                row = {"kind": "seed", "method": method, "update": update, "measured_on": part, "seed": seed, "rate": 0.1}
                rows.append(row | {"test": test, "validation": test + gap, "step": 10, "share": 0.2, "spread": 0.1})
    return pd.DataFrame(rows)


def _outcomes(parts):
    return {(part.setting, part.name): part.outcome for part in parts}


def test_pairing_finds_a_small_difference_under_a_large_spread_of_seeds():
    best, worst = (
        {("hydalearn", "validation"): 0.7 + d, ("static", "validation"): 0.7, ("stl", "validation"): 0.69} for d in (0.02, -0.02)
    )
    assert set(_outcomes(tab1_tab2_report.method_claims(_rows(best), PAPER)).values()) == {"holds"}
    found = _outcomes(tab1_tab2_report.method_claims(_rows(worst), PAPER))
    assert {outcome for (_, name), outcome in found.items() if "above" in name} == {"fails"}


def test_the_table_shows_the_single_task_at_both_updates_beside_the_paper():
    level = {("hydalearn", "validation"): 0.72, ("static", "validation"): 0.7, ("stl", "validation"): 0.69}
    table = tab1_tab2_report.auroc_table(_rows(level), PAPER)
    assert table.loc["single task", "paper"] == "0.700 (0.010)"
    assert table.loc["single task", "ours, as printed"] == table.loc["single task", "ours, scale-matched"]
    assert table.loc["static, tuned", "HydaLearn minus it, as printed"].startswith("+0.020")
    assert table.loc["HydaLearn", "HydaLearn minus it, as printed"] == ""


@pytest.mark.parametrize(("drop", "outcome"), [(0.005, "holds"), (0.03, "fails")])
def test_an_effect_within_the_margin_counts_as_negligible(drop, outcome):
    level = dict.fromkeys(ABLATIONS.values(), 0.7) | {ABLATIONS["ExpImp-3"]: 0.7 - drop}
    found = _outcomes(tab1_tab2_report.ablation_claims(_rows(level)))
    assert {o for (_, name), o in found.items() if name.startswith("scaling down")} == {outcome}
    assert {o for (_, name), o in found.items() if name.startswith("validation data bias")} == {"holds"}


def test_ablations_are_compared_with_the_same_seeds_of_the_whole_method():
    level = {pair: 0.7 - 0.01 * i for i, pair in enumerate(ABLATIONS.values())}
    table = tab1_tab2_report.ablation_table(_rows(level), {"ExpImp-0": [0.8, 0.01]})
    assert list(table.index) == list(ABLATIONS)
    assert table.loc["ExpImp-2", "minus ExpImp-0, as printed"].startswith("-0.020")
    assert table.loc["ExpImp-0", "validation minus test, as printed"] == "+0.050"
    assert table.loc["ExpImp-2", "validation minus test, as printed"] == "+0.010"
