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
from mtlrepro.papers.transfer import (
    fig2_same_boundary,
    fig2_same_boundary_report,
    fig3_transfer_curves_report,
    fig7_model_similarity_report,
    fig8_principal_angles_report,
    fig9_covariance_alignment_report,
)
from mtlrepro.results import intervals
from mtlrepro.results.tables import html_table

REPORTS = {
    "fig2": "fig2_same_boundary", "fig3": "fig3_transfer_curves", "fig7": "fig7_model_similarity",
    "fig8": "fig8_principal_angles", "fig9": "fig9_covariance_alignment",
}  # fmt: skip


@pytest.mark.parametrize("profile", ["quick", "full"])
@pytest.mark.parametrize("exhibit", REPORTS)
def test_every_figure_and_table_is_made_of_the_committed_rows(exhibit, profile, monkeypatch):
    monkeypatch.setattr(intervals, "_RESAMPLES", 99)  # only that all can be drawn is asked here
    report = importlib.import_module(f"mtlrepro.papers.transfer.{REPORTS[exhibit]}_report")
    rows = results.load(f"transfer/{exhibit}", profile, committed=True).rows
    own = [f for name, f in inspect.getmembers(report, inspect.isfunction) if f.__module__ == report.__name__ and name[0] != "_"]
    functions = [f for f in own if list(inspect.signature(f).parameters) == ["rows"]]
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
    """Three seeds, converged: multi-task 0.1 below single-task up to 2,000 source samples; Algorithm 1 corrects it by 0.08."""
    lines = [
        {
            "model": model, "kind": "converged", "size": size, "seed": seed, "plain": 0.5, "mtl": mtl, "fixed": fixed,
            "fixed, longer": fixed, "B moved": 0.0,
        }
        for model in ("linear", "ReLU")
        for size, mtl, fixed in ((200, 0.4 + 0.0, 0.48), (2_000, 0.4, 0.48), (20_000, 0.6, 0.61))
        for seed in (1000, 1001, 1002)
    ]  # fmt: skip
    return pd.DataFrame(lines).assign(**changes)


def test_fig9_effects_have_the_estimands_signs():
    effects = fig9_covariance_alignment_report.measured(fig9_rows()).effects
    assert effects["corrects-negative-transfer"] == pytest.approx([0.08] * 3)
    assert effects["corrects-negative-transfer-relu"] == pytest.approx([0.08] * 3)
    assert effects["matches-when-large"] == pytest.approx([0.01] * 3)
    assert effects["no-longer-negative"] == pytest.approx([-0.02] * 3)


def test_fig9_gates():
    passed = gates(fig9_covariance_alignment_report.measured(fig9_rows()))
    assert all(gate.passed for gate in passed.values())
    assert not gates(fig9_covariance_alignment_report.measured(fig9_rows(**{"fixed, longer": 0.39})))["converged"].passed
    assert not gates(fig9_covariance_alignment_report.measured(fig9_rows(mtl=0.6)))["something-to-correct"].passed
    assert not gates(fig9_covariance_alignment_report.measured(fig9_rows(**{"B moved": 1e-9})))["fixed-shared-module"].passed
    old = fig9_rows().drop(columns="B moved")
    assert not gates(fig9_covariance_alignment_report.measured(old))["fixed-shared-module"].passed


def test_algorithm_1_is_shown_from_its_committed_rows():
    checked = results.load("transfer/alg1", "full", committed=True).rows
    table = fig9_covariance_alignment_report.algorithm_table(checked)
    assert len(table) == 3
    assert (table["violations"] == 0).all()


# --- Figure 2


def fig2_rows(**changes) -> pd.DataFrame:
    """Two seeds: 0.9 alone, 0.02 more with task 2, 0.03 less with task 3; longer training and r = 2 change almost nothing."""
    setting = {"m": 12, "angle": 5.0, "wedge": -80.0, "noise": 0.0, "off": 1.0}
    accuracy = {"alone": 0.9, "with task 2": 0.92, "with task 3": 0.87}
    lines = [
        setting | {"changed": changed, "seed": seed, "partner": partner, "accuracy": 0.9 if changed == "rank = 2" else value}
        for changed in ("as above", "steps = 800", "rank = 2")
        for seed in (1000, 1001)
        for partner, value in accuracy.items()
    ]
    return pd.DataFrame(lines).assign(**changes)


def test_fig2_effects_and_gates():
    measured = fig2_same_boundary_report.measured(fig2_rows())
    assert measured.effects["one-source-helps"] == pytest.approx([0.02] * 2)
    assert measured.effects["other-source-hurts"] == pytest.approx([-0.03] * 2)
    assert measured.effects["data-not-model"] == pytest.approx([0.05] * 2)
    assert all(gate.passed for gate in measured.gates)


def test_fig2_gates_that_fail():
    rows = fig2_rows()
    rows.loc[rows["changed"] == "rank = 2", "accuracy"] += 0.01 * (rows["partner"] == "with task 2")
    rows.loc[rows["changed"] == "steps = 800", "accuracy"] += 0.02
    failed = [name for name, gate in gates(fig2_same_boundary_report.measured(rows)).items() if not gate.passed]
    assert failed == ["converged", "control"]
    picture = fig2_rows()[lambda table: table["changed"] == "as above"]
    failed = [name for name, gate in gates(fig2_same_boundary_report.measured(picture)).items() if not gate.passed]
    assert failed == ["converged", "control"]
    assert not gates(fig2_same_boundary_report.measured(fig2_rows(accuracy=0.99)))["headroom"].passed


def test_fig2_picture_is_drawn_with_the_typical_seeds_samples():
    rows = results.load("transfer/fig2", "quick", committed=True).rows
    seed = fig2_same_boundary_report.typical_seed(rows)
    assert seed in set(rows["seed"])
    plt.close(fig2_same_boundary_report.draw(rows, fig2_same_boundary.points(seed)))


# --- Figure 7


def fig7_rows(**changes) -> pd.DataFrame:
    """Two seeds, judged setting: gain 0.1 for equal models, -0.2 for orthogonal ones; width 2 gains nothing, other data 0.5."""
    report = fig7_model_similarity_report
    gains = {report.JUDGED: (0.1, -0.2), report.LONGER: (0.1, -0.2), report.WIDE: (0, 0)}
    gains |= {report.NOISE_FREE: (0.5, 0.5), report.FEW: (0.5, 0.5)}
    lines = [
        {"setting": setting, "panel": panel, "seed": seed, "distance": distance, "single": 0.7, "multi": 0.7 + gain, "ridge": 0.6}
        | {"multi rate inside": True, "single rate inside": True}
        for setting in gains
        for panel in "abcd"
        for seed in (1000, 1001)
        for distance, gain in zip((0.0, 1.0), gains[setting], strict=True)
    ]
    return pd.DataFrame(lines).assign(**changes)


def test_fig7_effects_have_the_estimands_signs_in_the_judged_setting():
    measured = fig7_model_similarity_report.measured(fig7_rows())
    for claim in ("rises-with-similarity-regression", "rises-with-similarity-classification", "relu-regression-similar"):
        assert measured.effects[claim] == pytest.approx([0.3] * 2)
    assert measured.effects["negative-when-dissimilar"] == pytest.approx([-0.2] * 2)
    assert measured.effects["helps-when-similar"] == pytest.approx([0.1] * 2)


def test_fig7_gates():
    assert all(gate.passed for gate in gates(fig7_model_similarity_report.measured(fig7_rows())).values())
    rows = fig7_rows()
    longer, wide = (rows["setting"] == getattr(fig7_model_similarity_report, name) for name in ("LONGER", "WIDE"))
    for gate, changed in (
        ("headroom", rows.assign(single=rows["single"] + 0.299, multi=rows["multi"] + 0.299)),
        ("grid-interior", rows.assign(**{"multi rate inside": False})),
        ("converged", rows.assign(multi=rows["multi"] + 0.02 * longer)),
        ("control", rows.assign(multi=rows["multi"] + 0.02 * wide)),
    ):
        failed = {name for name, g in gates(fig7_model_similarity_report.measured(changed)).items() if not g.passed}
        assert failed == {gate}


# --- Figure 8


def fig8_rows(**changes) -> pd.DataFrame:
    """Three seeds: gain α at 100 source samples and 2 α at 5,000; α with the target's covariance, 0 with another."""
    lines = [
        {"seed": seed, "alpha": alpha, "size": size, "single": 0.5, "ridge": 0.5, "multi": 0.5 + gain(alpha, size)}
        | {"epochs": epochs, "covariances": covariances}
        for epochs, covariances, gain in (
            (50, "identity", lambda alpha, size: alpha * (1 + (size > 100))),
            (100, "identity", lambda alpha, size: alpha * (1 + (size > 100))),
            (50, "same", lambda alpha, size: alpha),
            (50, "different", lambda alpha, size: 0.0),
        )
        for seed in (1000, 1001, 1002)
        for alpha in (0.0, 1.0)
        for size in (100, 5_000)
    ]
    return pd.DataFrame(lines).assign(**changes)


def test_fig8_effects_and_gates():
    measured = fig8_principal_angles_report.measured(fig8_rows())
    assert measured.effects["similarity"] == pytest.approx([1.5] * 3)
    assert measured.effects["source-size"] == pytest.approx([1.0] * 3)
    assert measured.effects["covariance-alignment"] == pytest.approx([0.5] * 3)
    assert all(gate.passed for gate in gates(measured).values())
    rows = fig8_rows()
    longer = rows.assign(multi=rows["multi"] + 0.02 * (rows["epochs"] == 100))
    for changed in (longer, rows[rows["epochs"] == 50]):
        failed = {name for name, gate in gates(fig8_principal_angles_report.measured(changed)).items() if not gate.passed}
        assert failed == {"converged"}
    small = fig8_rows().replace({"size": {5_000: 3_000}})
    assert not gates(fig8_principal_angles_report.measured(small))["range"].passed
    assert not gates(fig8_principal_angles_report.measured(fig8_rows(multi=0.4)))["control"].passed
