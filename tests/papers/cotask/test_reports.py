"""Reports of this paper: every figure and table can be made of the recorded runs; effects of small made-up rows are by hand."""

from __future__ import annotations

import re
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mtlrepro import results
from mtlrepro.papers.cotask import fig1_combined_tasks_report as fig1
from mtlrepro.papers.cotask import fig2_representations_report as fig2
from mtlrepro.papers.cotask import fig3_possible_mappings_report as fig3
from mtlrepro.papers.cotask import sampler_task_aware_report as sampler
from mtlrepro.papers.cotask import tab1_ecg_p18_report as tab1
from mtlrepro.papers.cotask import tab2_ecg_echolvh_report as tab2
from mtlrepro.papers.cotask import tab3_cifar_mtl_report as tab3
from mtlrepro.results.tables import html_table

SHOWN: dict[str, list[Callable]] = {
    "fig2": [fig2.draw, fig2.merged_classes, fig2.claimed_table, fig2.our_table, fig2.findings],
    "fig3": [fig3.draw, fig3.first_mapping, fig3.count_table, fig3.pattern_table],
    "tab1": [tab1.table1],
    "tab2": [tab2.table2],
    "tab3": [tab3.draw_counts, tab3.overall, tab3.differences, tab3.task_table, tab3.combined_table, tab3.noise_table,
             tab3.draw_budgets, tab3.findings],
    "tab7": [tab1.draw, tab1.table7, tab1.threshold_table, tab1.threshold_findings,
             tab1.rate_table, tab1.twice_table, tab1.ludb_table, tab1.findings],
    "tab8": [tab2.draw8, tab2.table8, tab2.draw_dial, tab2.dial_table, tab2.draw_budgets,
             tab2.equal_steps, tab2.rate_table, tab2.twice_table, tab2.findings, tab2.real_table, tab2.real_findings],
    "fig4": [tab2.draw4, tab2.table4],
    "sampler": [sampler.draw, sampler.share_table, sampler.major_table, sampler.rate_table, sampler.findings],
}  # fmt: skip


@pytest.mark.parametrize("profile", ["quick", "full"])
@pytest.mark.parametrize("exhibit", SHOWN)
def test_everything_shown_can_be_made_of_the_recorded_runs(exhibit, profile):
    """Law: figures, tables and sentences without a word or number that stands for a missing one."""
    rows = results.load(f"cotask/{exhibit}", profile, committed=True).rows
    for make in SHOWN[exhibit]:
        made = make(rows)
        if isinstance(made, Figure):
            made.canvas.draw()
            plt.close(made)
        else:
            text = made if isinstance(made, str) else html_table(made)
            assert not re.search(r"\bnan\b|\binf\b|>None<", text), make.__name__


def test_what_needs_no_rows_can_be_made():
    for table in (fig3.bell_table(), fig3.space_table(), tab1.ratio_readings(), tab3.printed_noise()):
        assert "nan" not in html_table(table).lower()
    plt.close(fig1.draw())


def test_printed_ratios_are_met_together_as_one_record_in_r_only():
    """Table 1: the shares 1/r add up to the stated cardinality, and one total of records meets all 18 ratios."""
    readings = tab1.ratio_readings()
    assert list(readings["most ratios met at once"]) == [18, 13]
    assert float(readings.iloc[0, 0]) == pytest.approx(tab1.LABELS_A_RECORD, abs=1e-4)


def _echo() -> pd.DataFrame:
    """Three seeds of Table 8 with planted AUROCs and sensitivities, labels, a linear model, and what the gates need."""
    auroc = {tab2.SINGLE: 0.8, tab2.NONE: 0.7, tab2.MAJOR: 0.65, tab2.MULTI: 0.82, tab2.DWA: 0.83, tab2.COTASK: 0.86}
    auroc |= {tab2.LONG_SINGLE: 0.81, tab2.SHORT_MULTI: 0.815}
    rows = []
    for seed in range(3):
        for method, value in auroc.items():
            short = method in (tab2.SINGLE, tab2.SHORT_MULTI)
            steps = {"steps": 324 if short else 612, "major steps": 180 if short or method == tab2.COTASK else 340}
            doctor = {"doctor sensitivity": 0.5, "doctor specificity": 0.9}
            test = {"auroc": value + seed / 100, "sensitivity": value - 0.1 + seed / 100}
            rows.append({"kind": "test", "seed": seed, "method": method, "n": 100, **test, **steps, **doctor})
            rows += [{"kind": "roc", "seed": seed, "method": method, "n": 100, "x": x, "y": x**0.5} for x in (0.0, 0.5, 1.0)]
        for method in tab2.TABLE8:
            rows.append({"kind": "twice", "seed": seed, "method": method, "auroc": auroc[method] + 0.02 + seed / 100, "n": 100})
            for rate, least in ((0.001, 0.1), (0.003, 0.0), (0.01, 0.2)):
                rows.append({"kind": "rate", "seed": seed, "method": method, "rate": rate, "validation": auroc[method] - least})
        for method, value in zip(tab2.CONTROLS, (0.84, 0.8), strict=True):
            rows.append({"kind": "control", "seed": seed, "method": method, "auroc": value + seed / 1000})
            rows.append({"kind": "dial", "seed": seed, "method": method, "auroc": value - seed / 100, "shared_waves": 0.0})
        for method in (tab2.MULTI, tab2.COTASK):
            rows.append({"kind": "dial", "seed": seed, "method": method, "auroc": 0.8 + seed / 100, "shared_waves": 0.0})
        rows.append({"kind": "linear", "seed": seed, "auroc": 0.7, "n": 100})
        for label, ratio in results.paper_values("cotask/tab2").items():
            correlation = {"EchoLVH": 1.0, "LVH": 0.5}.get(label, 0.05)
            rows.append(
                {"kind": "label", "seed": seed, "n": 100, "label": label, "count": 100 / ratio, "correlation": correlation}
            )
    return pd.DataFrame(rows).fillna({"shared_waves": 1.0})


def test_real_recordings_are_beside_the_judged_rows_and_change_none_of_them():
    """Laws: gains are of the rows of kind real alone; claims and gates are those of the run without them."""
    rows = _echo()
    value = {tab2.SINGLE: 0.7, tab2.NONE: 0.6, tab2.MAJOR: 0.5, tab2.MULTI: 0.65, tab2.DWA: 0.66, tab2.COTASK: 0.64}
    real = pd.DataFrame(
        {"kind": "real", "seed": seed, "method": method, "auroc": own + seed / 100, "rate": 0.1, "steps": 9, "records": 255,
         "positives": 26}
        for seed in range(3)
        for method, own in value.items()
    )  # fmt: skip
    both = pd.concat(
        [rows, real, real.assign(kind="real rate", validation=0.9, rate=9.0), real.assign(kind="real rate", rate=0.01)]
    )
    assert tab2.real_table(both)["ours (points)"].tolist()[3:] == [
        "+5.00 [+5.00, +5.00]",
        "+1.00 [+1.00, +1.00]",
        "-1.00 [-1.00, -1.00]",
    ]
    assert "reaches an AUROC of 0.710" in tab2.real_findings(both)
    assert "at an end of the grid for 0 of 6 methods" in tab2.real_findings(both)
    assert tab2.measured_table8(both) == tab2.measured_table8(rows)
    assert len(tab2.draw8(both).axes) == 1 + len(tab2.draw8(rows).axes)
    plt.close("all")


def test_gains_against_the_dial_are_paired_over_seeds():
    """Laws: places of the dial apart; where it is Table 8's, its own arms and controls; points."""
    gains = tab2.by_dial(_echo()).round(6)
    assert gains.loc[0.0].to_numpy().tolist() == [[4.0, 0.0]] * 3
    assert gains.loc[1.0].to_numpy().tolist() == [[4.0, 4.0]] * 3


def test_claims_of_table_8_and_figure_4_compare_arms_of_equal_steps():
    """Laws: CO-TASK beside multi-task learning with its steps; points for sensitivities; nothing on the made-up doctor."""
    recorded = tab2.recorded(_echo())
    table8, figure4 = (recorded[f"cotask/{name}"][1].effects for name in ("tab8", "fig4"))
    assert {claim: round(values[0], 6) for claim, values in table8.items()} == {
        "sampler-over-none": 0.12, "multi-over-single": 0.02, "cotask-over-multi": 0.04, "none-below-single": -0.1,
        "major-below-single": -0.15,
    }  # fmt: skip
    assert {claim: round(values[2], 6) for claim, values in figure4.items()} == {
        "cotask-over-single": 6.0, "cotask-over-multi": 4.0, "multi-over-single": 2.0,
    }  # fmt: skip
    assert set(recorded["cotask/fig4"][0].kind) == {"label", "linear", "test", "rate", "twice", "control", "dial", "roc"}
    assert set(recorded["cotask/tab8"][0].kind) == {"label", "linear", "test", "rate", "twice", "control", "dial"}
    assert set(recorded["cotask/tab2"][0].kind) == {"label"}


def _passed(rows: pd.DataFrame) -> set[str]:
    return {gate.name for gate in tab2.gates_table8(rows) if gate.passed}


def test_each_gate_of_table_8_fails_by_what_it_guards_against():
    """Laws: one arm with fewer steps; two arms apart that change places when the steps double; a best rate at an end of the
    grid; minor labels that help no more than permuted ones; a seed that decides a difference."""
    rows = _echo()
    every = {"baseline-level", "imbalance", "same-steps", "converged", "grid-interior", "precision", "control"}
    assert _passed(rows) == every

    def changed(where: pd.Series, column: str, value: object) -> set[str]:
        return every - _passed(rows.assign(**{column: rows[column].mask(where, value)}))

    kind, method = rows.kind, rows.method
    assert changed((kind == "test") & (method == tab2.DWA), "steps", 324) == {"same-steps"}
    assert changed((kind == "test") & (method == tab2.MULTI), "major steps", 361) == {"same-steps"}
    assert changed((kind == "twice") & (method == tab2.NONE), "auroc", rows.auroc + 0.13) == {"converged"}
    assert changed((kind == "twice") & (method == tab2.NONE), "auroc", rows.auroc + 0.05) == set()
    assert changed((kind == "rate") & (method == tab2.NONE) & (rows.rate == 0.001), "validation", 0.9) == {"grid-interior"}
    assert changed((kind == "control") & (method == tab2.CONTROLS[0]), "auroc", 0.8) == {"control"}
    assert changed((kind == "linear"), "auroc", 0.82) == {"baseline-level"}
    assert changed((kind == "test") & (method == tab2.COTASK) & (rows.seed == 0), "auroc", 0.9) == {"precision"}
    assert changed((kind == "label") & (rows.label == "LVH"), "correlation", 0.05) == {"imbalance"}


def _p18() -> pd.DataFrame:
    values = {"Single-Task": 0.95, "Multi-task": 0.96, "CO-TASK": 0.99, tab1.EQUAL: 0.97}
    rows = []
    for seed in range(3):
        for method, value in values.items():
            metrics = {metric: value - 0.1 * number for number, metric in enumerate(tab1.metrics())}
            labels = {"judged": 18, "positives": 25, "rarest": 2000.0, "commonest": 7.0, "cardinality": 0.45}
            half = {"threshold": 1.0, "Exact at 1/2": 0.1, "Jaccard at 1/2": 0.1}
            rows.append({"kind": "test", "seed": seed, "method": method, "steps": 1, "data_set": "p18"} | metrics | labels | half)
            rows += [
                {"kind": "rate", "method": method, "rate": rate, "validation": v} for rate, v in ((1, 0.8), (2, 0.9), (3, 0.7))
            ]
            rows.append({"kind": "twice", "seed": seed, "method": method} | metrics)
        rows.append({"kind": "tenth", "seed": seed, "method": "Multi-task", "MacroAUROC": 0.9 + seed / 1000})
    return pd.DataFrame([*rows, {"kind": "label", "seed": 0, "label": "LVH", "count": 5}])


def test_claims_of_table_7_take_the_arm_of_multi_tasks_steps():
    recorded = tab1.recorded(_p18())
    effects = recorded["cotask/tab7"][1].effects
    assert all(values == pytest.approx([0.01] * 3) for values in effects.values())
    every = {"baseline-level", "imbalance", "enough-positives", "same-threshold-rule", "converged", "grid-interior", "precision"}
    every.add("control")

    def passed(rows: pd.DataFrame) -> set[str]:
        return {gate.name for gate in tab1.gates_table7(rows) if gate.passed}

    rows = _p18()
    assert passed(rows) == every
    assert passed(rows[(rows.kind != "rate") | (rows.rate > 1)]) == every - {"grid-interior"}
    half = rows["Exact at 1/2"].mask(rows.method == tab1.EQUAL, 0.15)
    said = tab1.threshold_findings(rows.assign(**{"Exact at 1/2": half}))
    assert "+1.00 [+1.00, +1.00] points from multi-task learning with thresholds" in said
    assert "+5.00 [+5.00, +5.00] at probability 1/2" in said
    assert passed(rows.assign(positives=19)) == every - {"enough-positives"}
    assert passed(rows.assign(rarest=60.0)) == every - {"imbalance"}
    turned = rows.MacroAUROC.mask((rows.kind == "twice") & (rows.method == "Multi-task"), 0.9)
    assert passed(rows.assign(MacroAUROC=turned)) == every - {"converged"}
    assert passed(rows.assign(MacroAUROC=rows.MacroAUROC.mask(rows.kind == "tenth", 0.96))) == every - {"control"}
    assert recorded["cotask/tab1"][0].columns.tolist() == ["kind", "seed", "label", "count"]


def test_claims_on_the_sampler_are_those_of_tables_8_and_7():
    n, few, many = 64 * 10_000, 100, 10_000
    law = np.log(few) / np.log(few * many)
    rows = pd.DataFrame(
        [{"kind": "share", "weight": "log(x)/x", "few": few, "many": many, "drawn": law, "draws": n, "batches": 10_000}]
    )
    found = sampler.measured(rows, _echo(), _p18())
    assert found.effects["over-none"] == pytest.approx([0.12] * 3)
    assert found.effects["over-one-task-sampling"] == pytest.approx([0.17] * 3)
    assert found.effects["extreme-ratios"] == pytest.approx([0.01] * 3)
    other = sampler.measured(rows, _echo(), _p18().assign(data_set="ptbxl100"))
    assert "extreme-ratios" not in other.effects
    assert {gate.name: gate.passed for gate in found.gates} == {"gates-of-tab8": True, "law": True}
    off = sampler.measured(rows.assign(drawn=law + 4 * np.sqrt(law * (1 - law) / n)), None, None)
    assert off.effects == {}
    assert not off.gates[1].passed


def test_claims_of_figure_2_are_between_states():
    rows = pd.DataFrame(
        {"seed": seed, "state": state, "measure": measure, "value": value + seed}
        for seed in range(3)
        for state, shift in ((fig2.MULTI, 0.0), (fig2.EQUAL, 0.5), (fig2.PAPER, 0.2))
        for measure, value in (
            ("union", -0.1), ("task classifier", 0.8 - shift), ("merged cosine", shift), ("triples", 200.0),
            ("merged cosine, permuted", 0.0), ("task classifier, permuted", 0.5), ("accuracy", 0.7),
        )
    )  # fmt: skip
    found = fig2.measured(rows)
    assert found.effects["merged-class-separable"] == pytest.approx([-0.1, 0.9, 1.9])
    assert found.effects["tasks-closer"] == pytest.approx([-0.2] * 3)
    assert found.effects["merged-classes-closer"] == pytest.approx([0.2] * 3)
    assert {gate.name: gate.passed for gate in found.gates} == {
        "baseline-level": True, "enough-triples": True, "converged": False, "control": False,
    }  # fmt: skip
