"""Results: store, verdicts, and the paper's numbers beside ours."""

from mtlrepro.results.compare import paper_values, parts_table, summary, told, verdict_html, verdict_record
from mtlrepro.results.store import Recorded, Runs, available, latest, load, other_run, publish, record, verdict
from mtlrepro.results.verdict import Part, Verdict, check, combine, describe, interval, paired

__all__ = [
    "Part", "Recorded", "Runs", "Verdict", "available", "check", "combine", "describe", "interval", "latest",
    "load", "other_run", "paired", "paper_values", "parts_table", "publish", "record", "summary", "told", "verdict",
    "verdict_html", "verdict_record",
]  # fmt: skip
