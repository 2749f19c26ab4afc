"""Results: store, verdicts, and the paper's numbers beside ours."""

from mtlrepro.results.claims import Part, check, combine, describe, interval, paired
from mtlrepro.results.compare import paper_values, summary, told
from mtlrepro.results.runs import Runs
from mtlrepro.results.store import Recorded, available, latest, load, other_run, publish, record, verdict
from mtlrepro.results.verdict import Verdict, parts_table, verdict_html, verdict_record

__all__ = [
    "Part", "Recorded", "Runs", "Verdict", "available", "check", "combine", "describe", "interval", "latest",
    "load", "other_run", "paired", "paper_values", "parts_table", "publish", "record", "summary", "told", "verdict",
    "verdict_html", "verdict_record",
]  # fmt: skip
