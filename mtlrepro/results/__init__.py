"""Results: finished runs, the store, claims and verdicts, and what a page shows of them."""

from mtlrepro.results.claims import Part, check, combine, describe, interval, paired
from mtlrepro.results.compare import paper_values, summary, told
from mtlrepro.results.gates import Gate
from mtlrepro.results.judgement import Judgement, Measured, StatementTrials
from mtlrepro.results.outcomes import Trials
from mtlrepro.results.runs import Runs
from mtlrepro.results.shown import Shown, shown
from mtlrepro.results.store import Recorded, available, judgement, latest, load, other_run, publish, record, rejudge

__all__ = [
    "Gate", "Judgement", "Measured", "Part", "Recorded", "Runs", "Shown", "StatementTrials", "Trials", "available", "check",
    "combine", "describe", "interval", "judgement", "latest", "load", "other_run", "paired", "paper_values", "publish", "record",
    "rejudge", "shown", "summary", "told",
]  # fmt: skip
