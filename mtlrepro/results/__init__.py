"""Results: finished runs, the store, claims and verdicts, and what a page shows of them. Each name is imported at first use:
listing results must not wait for pandas and scipy."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtlrepro.results.compare import in_words, paper_values, summary
    from mtlrepro.results.gates import Gate
    from mtlrepro.results.intervals import interval
    from mtlrepro.results.judgement import Judgement, Measured, StatementTrials
    from mtlrepro.results.outcomes import Trials
    from mtlrepro.results.page import Shown, shown
    from mtlrepro.results.runs import Runs
    from mtlrepro.results.store import Recorded, available, judged, latest, load, publish, record, rejudge

_MODULE = {
    "intervals": ("interval",),
    "compare": ("paper_values", "summary", "in_words"),
    "gates": ("Gate",),
    "judgement": ("Judgement", "Measured", "StatementTrials"),
    "outcomes": ("Trials",),
    "runs": ("Runs",),
    "page": ("Shown", "shown"),
    "store": ("Recorded", "available", "judged", "latest", "load", "publish", "record", "rejudge"),
}  # fmt: skip

__all__ = [
    "Gate", "Judgement", "Measured", "Recorded", "Runs", "Shown", "StatementTrials", "Trials", "available", "in_words",
    "interval", "judged", "latest", "load", "paper_values", "publish", "record", "rejudge", "shown", "summary",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    for module, names in _MODULE.items():
        if name in names:
            return getattr(import_module(f"mtlrepro.results.{module}"), name)
    raise AttributeError(f"module 'mtlrepro.results' has no attribute {name!r}")
