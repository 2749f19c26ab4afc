"""Laws of the page on speed: a line is the last measurement of its name."""

from __future__ import annotations

import csv

from mtlrepro import paths
from mtlrepro.book import speed


def measured(day, **ratios):
    lines = [{"what": what, "ratio": ratio, "reach": "at most 2", "unit": ""} for what, ratio in ratios.items()]
    machine = {"machine": "x86_64", "cpu": {"brand_raw": "A processor", "flags": ["avx512_bf16"]}}
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
    assert rows["quick"]["Hardware"] == "A processor with avx512_bf16, one thread"
    assert (rows["slow"]["Met"], rows["quick"]["Met"]) == ("no", "yes")


def test_a_reach_is_met_by_the_number_that_is_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "book", lambda: tmp_path)
    shown = speed.record(measured("2026-01-01", just=2.004, over=2.006, far=1234.5)).set_index("What")
    assert shown["Measured"].to_dict() == {"just": "2", "over": "2.01", "far": "1,230"}
    assert shown["Met"].to_dict() == {"just": "yes", "over": "no", "far": "no"}
    assert [speed.met(3.0, reach) for reach in ("", "at least 3", "at least 3.5")] == ["", "yes", "no"]


def test_lines_with_a_reach_come_first(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "book", lambda: tmp_path)
    run = measured("2026-01-01", b=1.0, C=1.0, a=1.0)
    run["benchmarks"][0]["extra_info"]["ratios"].append({"what": "A", "ratio": 1.0, "reach": "", "unit": "MB"})
    speed.record(run)
    with speed.table().open(encoding="utf-8") as file:
        assert [row["What"] for row in csv.DictReader(file)] == ["a", "b", "C", "A"]
