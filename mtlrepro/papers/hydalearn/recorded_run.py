"""The largest recorded run of an exhibit, shown below the run of its notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd
from IPython.display import display
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.parameters import Params


def show_recorded(
    p: Params,
    figures: Iterable[Callable[[pd.DataFrame], Figure]] = (),
    tables: Iterable[Callable[[pd.DataFrame], Any]] = (),
) -> results.Verdict | str:
    """Show what `figures` and `tables` make of the recorded rows; its verdict, or a line that says that there is none."""
    recorded = results.other_run(p)
    if recorded is None:
        return "No other run is recorded yet."
    for draw in figures:
        plots.show(draw(recorded.rows))
    for table in tables:
        display(table(recorded.rows))  # type: ignore[no-untyped-call]
    return recorded.verdict
