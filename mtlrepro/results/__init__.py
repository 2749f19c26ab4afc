"""Results: finished runs, the store, claims and verdicts, and what a page shows of them. Each name is imported at first use:
listing results must not wait for pandas and scipy."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtlrepro.results.claims import Part, check, combine, describe, paired
    from mtlrepro.results.compare import paper_values, summary, told
    from mtlrepro.results.gates import Gate
    from mtlrepro.results.intervals import interval
    from mtlrepro.results.judgement import Judgement, Measured, StatementTrials
    from mtlrepro.results.outcomes import Trials
    from mtlrepro.results.page import Shown, shown
    from mtlrepro.results.runs import Runs
    from mtlrepro.results.store import Recorded, available, judged, latest, load, other_run, publish, record, rejudge

_MODULE = {
    "claims": ("Part", "check", "combine", "describe", "paired"),
    "intervals": ("interval",),
    "compare": ("paper_values", "summary", "told"),
    "gates": ("Gate",),
    "judgement": ("Judgement", "Measured", "StatementTrials"),
    "outcomes": ("Trials",),
    "runs": ("Runs",),
    "page": ("Shown", "shown"),
    "store": ("Recorded", "available", "judged", "latest", "load", "other_run", "publish", "record", "rejudge"),
}  # fmt: skip

__all__ = [
    "Gate", "Judgement", "Measured", "Part", "Recorded", "Runs", "Shown", "StatementTrials", "Trials", "available", "check",
    "combine", "describe", "interval", "judged", "latest", "load", "other_run", "paired", "paper_values", "publish", "record",
    "rejudge", "shown", "summary", "told",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    for module, names in _MODULE.items():
        if name in names:
            return getattr(import_module(f"mtlrepro.results.{module}"), name)
    raise AttributeError(f"module 'mtlrepro.results' has no attribute {name!r}")
