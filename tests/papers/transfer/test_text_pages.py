"""Figures and tables of the pages on real data come from the committed quick and full runs, with nothing missing shown."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from mtlrepro import results
from mtlrepro.papers.transfer import alg2_svd_reweighting_report as alg2
from mtlrepro.papers.transfer import chestxray_svd_reweighting_report as chestxray
from mtlrepro.papers.transfer import fig5a_alignment_glue_report as fig5a
from mtlrepro.papers.transfer import fig5b_alignment_sentences_report as fig5b
from mtlrepro.papers.transfer import fig6_alignment_pairs_report as fig6
from mtlrepro.papers.transfer import fig12_label_noise_report as fig12
from mtlrepro.papers.transfer import tab1_fig10_fig11_report as capacity
from mtlrepro.results.judgement import Measured
from mtlrepro.results.tables import html_table

SHOWN = [
    ("tab1", (capacity.measured_tab1, capacity.table_1, capacity.findings_tab1, capacity.figure_tab1, capacity.leak_table)),
    ("fig10", (capacity.measured_fig10, capacity.figure_10, capacity.table_10)),
    ("fig11", (capacity.measured_fig11, capacity.figure_11, capacity.table_11, capacity.findings_fig11)),
    (
        "fig5a",
        (fig5a.measured, fig5a.figure, fig5a.table, fig5a.by_task, fig5a.rotation_table, fig5a.search_table, fig5a.samples),
    ),
    ("fig5b", (fig5b.measured_fig5b, fig5b.figure_5b, fig5b.table_5b, fig5b.findings_5b, fig5b.leak_table)),
    ("fig6", (fig6.measured_fig6, fig6.figure_6, fig6.table_6, fig6.leak_table)),
    ("fig12", (fig12.measured, fig12.figure, fig12.table, fig12.levels, fig12.tasks_apart, fig12.exact_map)),
    ("chestxray", (chestxray.measured, chestxray.figure, chestxray.table, chestxray.doubled, chestxray.search)),
    (
        "alg2",
        (
            lambda rows: alg2.measured(rows, alg2.figure_12()),
            alg2.figure_one_model,
            alg2.figure_own_models,
            alg2.noisy_weight,
        ),
    ),
]


def shown_as(thing):
    """The text a reader sees; a figure's is what its axes say."""
    if isinstance(thing, plt.Figure):
        thing.canvas.draw()
        words = [text.get_text() for text in thing.findobj(plt.Text)]
        plt.close(thing)
        return " ".join(words)
    return html_table(thing) if isinstance(thing, pd.DataFrame) else str(thing)


@pytest.mark.parametrize("profile", ["quick", "full"])
@pytest.mark.parametrize(("exhibit", "functions"), SHOWN, ids=[exhibit for exhibit, _ in SHOWN])
def test_everything_on_a_page_comes_from_the_committed_rows(exhibit, functions, profile):
    rows = results.load(f"transfer/{exhibit}", profile, committed=True).rows
    for function in functions:
        result = function(rows)
        if isinstance(result, Measured):
            assert all(gate.cost for gate in result.gates if not gate.passed)
        else:
            assert not {"nan", "inf", "None"} & set(shown_as(result).replace("<", " ").replace(">", " ").split())


@pytest.mark.parametrize("exhibit", [exhibit for exhibit, _ in SHOWN])
@pytest.mark.parametrize("profile", ["quick", "full"])
def test_a_committed_record_says_what_its_own_rows_measure(exhibit, profile):
    functions = dict(SHOWN)[exhibit]
    recorded = results.load(f"transfer/{exhibit}", profile, committed=True)
    assert recorded.measured.as_dict() == functions[0](recorded.rows).as_dict()


def test_tables_that_read_other_exhibits_records_hold_numbers():
    assert "nan" not in html_table(fig12.on_synthetic_tasks())
