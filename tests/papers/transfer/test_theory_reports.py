"""Reports of the theorem pages: hand-counted trials on made-up rows, and every figure and table on the committed rows."""

from __future__ import annotations

import importlib
import inspect

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mtlrepro import results
from mtlrepro.papers.transfer.theory import (
    fact7_angles_report,
    lemma8_angle_report,
    prop3_same_inputs_report,
    prop6_bound_report,
    trials_report,
)
from mtlrepro.results.tables import html_table

REPORTS = {
    "eq6": "eq6_similarity", "fact7": "fact7_angles", "lemma8": "lemma8_angle", "lemma10": "lemma10_landscape",
    "prop1": "prop1_capacity", "prop3": "prop3_same_inputs", "prop4": "prop4_span", "prop5": "prop5_equal_covariances",
    "prop6": "prop6_bound", "thm2": "thm2_bound", "thm9": "thm9_relu",
}  # fmt: skip


@pytest.mark.parametrize("profile", ["quick", "full"])
@pytest.mark.parametrize("exhibit", REPORTS)
def test_every_figure_and_table_is_made_of_the_committed_rows(exhibit, profile):
    report = importlib.import_module(f"mtlrepro.papers.transfer.theory.{REPORTS[exhibit]}_report")
    rows = results.load(f"transfer/{exhibit}", profile, committed=True).rows
    functions = [
        f for name, f in inspect.getmembers(report, inspect.isfunction) if f.__module__ == report.__name__ and name[0] != "_"
    ]
    assert len(functions) > 2
    for function in functions:
        shown = function(rows)
        if isinstance(shown, Figure):
            plt.close(shown)
        elif isinstance(shown, pd.DataFrame):
            assert ">nan<" not in html_table(shown).lower()


def test_trials_add_up_and_count_at_most_the_instances():
    rows = pd.DataFrame({"n": [10, 5], "a": [1, 0], "b": [2, 20], "tolerance": 1e-9})
    assert trials_report.trials(rows, ["a"], 0.5) == results.Trials(15, 1, 0.5, 1e-9)
    assert trials_report.trials(rows, ["a", "b"], 0.5).violations == 15


def test_the_setting_that_breaks_a_statement_most_often_decides():
    quiet, loud = pd.Series([0, 0, 0, 1]), pd.Series([1, 1, 0])
    assert trials_report.worst_setting([quiet, loud], 0.1) == results.Trials(3, 2, 2 / 3, 0.0, 0.1)


def test_fact_7_takes_the_printed_and_the_sharp_column():
    rows = pd.DataFrame(
        {"kind": "bound", "n": [4, 6], "printed_violations": [0, 0], "sharp_violations": [1, 2], "printed_worst": [0.2, 0.1],
         "sharp_worst": [0.05, -0.3], "tolerance": 1e-13}
    )  # fmt: skip
    tried = fact7_angles_report.measured(rows).statements["angle-bound"]
    assert tried.printed == results.Trials(10, 0, 0.1, 1e-13)
    assert tried.corrected == results.Trials(10, 3, -0.3, 1e-13)


def test_proposition_6_takes_the_printed_and_the_corrected_column():
    rows = pd.DataFrame(
        {"kind": "bound", "n": [8], "printed_broken": [5], "printed_worst": [0.4], "corrected_broken": [0],
         "corrected_worst": [-0.1], "tolerance": 1e-9}
    )  # fmt: skip
    tried = prop6_bound_report.measured(rows).statements["bound"]
    assert (tried.printed.violations, tried.corrected.violations) == (5, 0)


def test_proposition_3_counts_idle_directions_against_the_printed_span_alone():
    optimum = {"kind": "optimum", "n": 10, "closed_violations": 0, "margin_violations": 0, "angle_violations": 0}
    optimum |= {"closed_worst": 1e-15, "tolerance": 1e-9}
    idle = {"kind": "degenerate", "case": "labels of rank below r", "n": 4, "broken": 3, "sine_median": 0.9}
    remark = {"kind": "remark", "n": 20, "falls_absolute": 2, "falls_signed": 0, "limit": 1.0, "depth": 0.3, "worst": 0.0}
    statements = prop3_same_inputs_report.measured(pd.DataFrame([optimum, idle, remark | {"tolerance": 1e-9}])).statements
    assert (statements["span"].printed.n, statements["span"].printed.violations) == (14, 3)
    assert statements["span"].corrected.violations == 0
    assert statements["remark-cosine"].printed.violations == 2
    assert statements["remark-cosine"].corrected.violations == 0


def test_lemma_8_is_judged_in_its_worst_setting():
    curve = [{"kind": "curve", "name": "a", "factor": 1.0, "lemma_failed": failed} for failed in (0, 0, 1)]
    curve += [{"kind": "curve", "name": "a", "factor": 0.1, "lemma_failed": 1}] * 3
    counter = [{"kind": "counterexample", "constant": 10.0, "lemma_failed": failed} for failed in (1, 1)]
    corrected = [{"kind": "corrected", "name": "a", "lemma_failed": 0}] * 40
    tried = lemma8_angle_report.measured(pd.DataFrame([*curve, *counter, *corrected])).statements["angle-of-optimum"]
    assert (tried.printed.n, tried.printed.violations, tried.printed.allowed) == (2, 2, 0.1)
    assert (tried.corrected.n, tried.corrected.violations) == (40, 0)
