"""Figures and tables of the pages on real data come from the committed quick and full runs, with nothing missing shown."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from mtlrepro import results
from mtlrepro.papers.transfer import fig5a_alignment_glue_report as fig5a
from mtlrepro.papers.transfer import fig5b_alignment_sentences_report as fig5b
from mtlrepro.papers.transfer import tab1_fig10_fig11_report as capacity
from mtlrepro.results.judgement import Measured
from mtlrepro.results.tables import html_table

SHOWN = [
    ("tab1", (capacity.measured_tab1, capacity.table_1, capacity.findings_tab1, capacity.figure_tab1, capacity.leak_table)),
    ("fig10", (capacity.measured_fig10, capacity.figure_10, capacity.table_10)),
    ("fig11", (capacity.measured_fig11, capacity.figure_11, capacity.table_11, capacity.findings_fig11)),
    ("fig5a", (fig5a.measured, fig5a.figure, fig5a.table, fig5a.scores)),
    ("fig5b", (fig5b.measured_fig5b, fig5b.figure_5b, fig5b.table_5b, fig5b.findings_5b)),
    ("fig6", (fig5b.measured_fig6, fig5b.figure_6, fig5b.table_6)),
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
        made = function(rows)
        if isinstance(made, Measured):
            assert all(gate.cost for gate in made.gates if not gate.passed)
        else:
            assert not {"nan", "inf", "None"} & set(shown_as(made).replace("<", " ").replace(">", " ").split())


@pytest.mark.parametrize("exhibit", [exhibit for exhibit, _ in SHOWN])
@pytest.mark.parametrize("profile", ["quick", "full"])
def test_a_committed_record_says_what_its_own_rows_measure(exhibit, profile):
    functions = dict(SHOWN)[exhibit]
    recorded = results.load(f"transfer/{exhibit}", profile, committed=True)
    assert recorded.measured.as_dict() == functions[0](recorded.rows).as_dict()
