"""Laws of the page on speed: a line is the last measurement of its name."""

from __future__ import annotations

import csv

from mtlrepro import paths
from mtlrepro.book import speed


def measured(day, **ratios):
    lines = [{"what": what, "ratio": ratio, "reach": "at most 2", "unit": ""} for what, ratio in ratios.items()]
    machine = {"machine": "x86_64", "cpu": {"brand_raw": "A processor"}}
    return {
        "machine_info": machine,
        "datetime": f"{day}T01:02:03",
        "benchmarks": [{"extra_info": {"ratios": lines}}, {"extra_info": {}}],
    }


def test_a_line_stays_until_it_is_measured_again(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "book", lambda: tmp_path)
    speed.record(measured("2026-01-01", slow=3.14159, quick=0.5))
    new = speed.record(measured("2026-02-02", slow=2.5))
    assert new["What"].tolist() == ["slow"]
    with speed.table().open(encoding="utf-8") as file:
        rows = {row["What"]: row for row in csv.DictReader(file)}
    assert rows.keys() == {"slow", "quick"}
    assert (rows["slow"]["Measured"], rows["slow"]["Date"]) == ("2.5", "2026-02-02")
    assert (rows["quick"]["Measured"], rows["quick"]["Date"]) == ("0.5", "2026-01-01")
    assert rows["quick"]["Reach"] == "at most 2"
    assert rows["quick"]["Hardware"] == "A processor, one thread"
