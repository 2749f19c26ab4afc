"""Runs of Figure 5a in which the judged trainings of some tasks take all of their training rows, and its search parts of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from mtlrepro.results import Runs

# More rows than any GLUE task has.
_ALL = 1_000_000


class WholeSets(Runs):
    """Runs whose parameter `whole` names the tasks that the judged seeds train on all of their training rows."""

    def map(
        self,
        function: Callable[..., Any],
        settings: Iterable[dict[str, Any]],
        what: str = "runs",
        jobs: int | None = None,
        data: Mapping[str, str] | None = None,
    ) -> pd.DataFrame:
        """As `Runs.map`."""
        if what == "tasks":
            every = {"singles": _ALL, "pairs": _ALL}
            settings = [one | every if set(one["tasks"]) <= set(self.params.whole) else one for one in settings]
        return super().map(function, settings, what, jobs, data)
