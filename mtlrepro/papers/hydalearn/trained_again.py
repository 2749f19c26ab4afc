"""The trainings beside twice the updates, by which Tables 1 and 2 of HydaLearn judge convergence.

Not in `tab1_tab2_real_data`, since a recorded run is keyed by the text of the module that computes it.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtlrepro.papers.hydalearn import tab1_tab2_real_data as real_data
from mtlrepro.parameters import Params
from mtlrepro.results import Runs


def rows(runs: Runs, p: Params, problem: str) -> pd.DataFrame:
    """The rows of `tab1_tab2_real_data.rows`, then, of kind "once more", those of `once_more`; raises what these raise."""
    together, table = real_data.rows(runs, p, problem), real_data.chosen_source(p, problem)
    again = runs.map(
        real_data.measure, once_more(p, problem, together), "beside twice the updates", data={table.name: table.sha256}
    )
    if again.empty:  # where nothing is trained twice as long
        return together
    again = again[again["kind"] == "seed"].assign(kind="once more").drop(columns=real_data.CONSTANT)
    both: pd.DataFrame = pd.concat([together, again], ignore_index=True)
    return both


def once_more(p: Params, problem: str, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Arguments of `measure` for every training of kind "doubled", with half of its updates.

    A training and one twice as long have the first half in common to the last digit, which a run beside others of its grid has
    not: it rounds otherwise.
    """
    chosen = rows[rows["measured_on"] == "validation"]
    return [one | {"steps": p.steps} for one in real_data.later_settings(p, problem, chosen) if one["steps"] > p.steps]
