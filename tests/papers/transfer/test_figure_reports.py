"""Reports of the synthetic figures: effects and gates by hand on made-up rows, every figure and table on the committed rows."""

from __future__ import annotations

import importlib
import inspect
import math

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mtlrepro import results
from mtlrepro.papers.transfer import fig3_transfer_curves_report, fig9_covariance_alignment_report
from mtlrepro.results.tables import html_table

REPORTS = {"fig3": "fig3_transfer_curves", "fig9": "fig9_covariance_alignment"}


@pytest.mark.parametrize("profile", ["quick", "full"])
@pytest.mark.parametrize("exhibit", REPORTS)
def test_every_figure_and_table_is_made_of_the_committed_rows(exhibit, profile):
    report = importlib.import_module(f"mtlrepro.papers.transfer.{REPORTS[exhibit]}_report")
    rows = results.load(f"transfer/{exhibit}", profile, committed=True).rows
    named = inspect.getmembers(report, inspect.isfunction)
    functions = [f for name, f in named if f.__module__ == report.__name__ and list(inspect.signature(f).parameters) == ["rows"]]
    assert report.measured in functions
    for function in functions:
        shown = function(rows)
        if isinstance(shown, Figure):
            plt.close(shown)
        elif isinstance(shown, pd.DataFrame):
            assert ">nan<" not in html_table(shown).lower()


def gates(measured):
    return {gate.name: gate for gate in measured.gates}


# --- Figure 3


def fig3_rows(**changes) -> pd.DataFrame:
    """Two seeds; gains of the same covariance 0.2 everywhere, of the different one -0.3, -0.1 and 0.4 with growing size."""
    row = {"solver": "exact", "setting": "our reading", "m_target": 50, "kappa": 100.0, "orientation": "rotated"}
    lines = [
        row | {"seed": seed, "size": size, "single": 0.5, "tuned": 0.6, "same": 0.7, "different": 0.5 + gain, "control": 0.5}
        for seed in (1000, 1001)
        for size, gain in ((200, -0.3), (2_000, -0.1), (20_000, 0.4))
    ]
    return pd.DataFrame(lines).assign(**changes)


def test_fig3_effects_have_the_estimands_signs():
    effects = fig3_transfer_curves_report.measured(fig3_rows()).effects
    assert effects["same-covariance-helps"] == pytest.approx([0.2, 0.2])
    assert effects["different-covariance-hurts-when-small"] == pytest.approx([-0.3, -0.3])
    assert effects["different-covariance-turns-positive"] == pytest.approx([0.4, 0.4])
    assert effects["same-above-different"] == pytest.approx([0.2, 0.2])
    assert "plateau" not in effects  # no sizes that double


def test_fig3_plateau_compares_the_last_doubling_with_the_steepest():
    rows = fig3_rows().replace({"size": {200: 5_000, 2_000: 10_000}})
    effect = fig3_transfer_curves_report.effects(rows)["plateau"]
    assert effect == pytest.approx([0.0, 0.0])  # rises 0.2 and 0.5: the last one is the steepest


def test_fig3_judges_our_reading_by_the_exact_optimum_alone():
    noise = fig3_rows(solver="SGD", same=0.0)
    literal = fig3_rows(setting="literal", same=0.0)
    both = pd.concat([fig3_rows(), noise, literal])
    assert fig3_transfer_curves_report.measured(both).effects["same-covariance-helps"] == pytest.approx([0.2, 0.2])


def test_fig3_gates():
    passed = gates(fig3_transfer_curves_report.measured(fig3_rows()))
    assert all(gate.passed for gate in passed.values())
    assert not gates(fig3_transfer_curves_report.measured(fig3_rows(single=0.99)))["headroom"].passed
    assert not gates(fig3_transfer_curves_report.measured(fig3_rows(control=0.51)))["control"].passed
    assert not gates(fig3_transfer_curves_report.measured(fig3_rows().drop(columns="control")))["control"].passed
    few = fig3_rows()[lambda rows: rows["size"] < 20_000]
    assert not gates(fig3_transfer_curves_report.measured(few))["range"].passed


def test_fig3_covariances_by_hand():
    """d = 100, ten directions of variance κ²: for κ = 1 all covariances agree; for large κ random rotations overlap by 0.1."""
    assert fig3_transfer_curves_report.covariance_ratio(1.0, True) == pytest.approx(1)
    assert fig3_transfer_curves_report.covariance_ratio(1.0, False) == pytest.approx(1)
    assert fig3_transfer_curves_report.covariance_ratio(1e4, True) == pytest.approx(math.sqrt(0.1), rel=1e-4)


# --- Figure 9


def fig9_rows(**changes) -> pd.DataFrame:
    """Three seeds, SGD: multi-task 0.1 below single-task up to 2,000 source samples; Algorithm 1 corrects it by 0.08."""
    lines = [
        {"model": model, "kind": "SGD", "size": size, "seed": seed, "plain": 0.5, "mtl": mtl, "fixed": fixed, "B moved": 0.0}
        for model in ("linear", "ReLU")
        for size, mtl, fixed in ((200, 0.4 + 0.0, 0.48), (2_000, 0.4, 0.48), (20_000, 0.6, 0.61))
        for seed in (1000, 1001, 1002)
    ]
    return pd.DataFrame(lines).assign(**changes)


def test_fig9_effects_have_the_estimands_signs():
    effects = fig9_covariance_alignment_report.measured(fig9_rows()).effects
    assert effects["corrects-negative-transfer"] == pytest.approx([0.08] * 3)
    assert effects["corrects-negative-transfer-relu"] == pytest.approx([0.08] * 3)
    assert effects["matches-when-large"] == pytest.approx([0.01] * 3)
    assert effects["no-longer-negative"] == pytest.approx([-0.02] * 3)


def test_fig9_gates():
    passed = gates(fig9_covariance_alignment_report.measured(fig9_rows()))
    assert [name for name, gate in passed.items() if not gate.passed] == ["converged"]
    assert not gates(fig9_covariance_alignment_report.measured(fig9_rows(mtl=0.6)))["something-to-correct"].passed
    assert not gates(fig9_covariance_alignment_report.measured(fig9_rows(**{"B moved": 1e-9})))["fixed-shared-module"].passed
    old = fig9_rows().drop(columns="B moved")
    assert not gates(fig9_covariance_alignment_report.measured(old))["fixed-shared-module"].passed


def test_algorithm_1_is_shown_from_its_committed_rows():
    checked = results.load("transfer/alg1", "full", committed=True).rows
    table = fig9_covariance_alignment_report.algorithm_table(checked)
    assert len(table) == 3
    assert (table["violations"] == 0).all()
