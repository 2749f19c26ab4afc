"""Laws of the campaign: what comes first, when it ends, and what it says."""

from __future__ import annotations

import math

import pytest
from registered import ALONE

from mtlrepro.book import campaign
from mtlrepro.book.campaign import Work
from mtlrepro.errors import BadValue
from mtlrepro.results.runs import Standing

FIRST, SECOND = ALONE[:2]


def work(notebook, failing=False, primary=1, seconds=600.0, standing=None):
    return Work(notebook, FIRST.id, failing, primary, seconds, standing)


def test_failing_gates_come_first_then_primary_claims_an_hour():
    kinds = [
        work("unknown cost, failing", failing=True, seconds=math.nan),
        work("cheap", seconds=100.0),
        work("dear, failing", failing=True, seconds=7200.0),
        work("dear, many claims", primary=5, seconds=300.0),
        work("cheap, failing", failing=True, seconds=100.0),
    ]
    assert [each.notebook for each in sorted(kinds, key=lambda each: each.rank)] == [
        "cheap, failing", "dear, failing", "unknown cost, failing", "dear, many claims", "cheap",
    ]  # fmt: skip


class Laboratory:
    """Two notebooks of four runs each; an engine that makes one run of each every half hour of a clock of its own."""

    def __init__(self, monkeypatch, fails=()):
        self.now, self.done, self.fails = 1000.0, {"a": 0, "b": 0}, fails
        monkeypatch.setattr(campaign, "waiting", lambda ids, profile: self.waiting())
        monkeypatch.setattr(campaign, "ready", lambda ids, profile: [name for name, done in self.done.items() if done == 4])

    def waiting(self):
        return [
            work(name, seconds=1800.0 * (4 - done), standing=Standing(done, 0, 4 - done, 1800.0 * done, 1800.0 * (4 - done)))
            for name, done in self.done.items()
            if done < 4
        ]

    def engine(self, notebooks, profile, processes, until):
        assert self.now < until
        for name in notebooks:
            self.done[name] += name not in self.fails
        self.now += 1800
        return {name: "planted" for name in notebooks if name in self.fails}

    def run(self, hours):
        return campaign.run([FIRST.id, SECOND.id], hours, "full", 2, self.engine, clock=lambda: self.now)


def test_a_campaign_ends_with_its_hours_and_the_same_command_goes_on(monkeypatch):
    lab = Laboratory(monkeypatch)
    said = lab.run(1.0)
    assert lab.now == 1000 + 3600
    assert lab.done == {"a": 2, "b": 2}
    assert said == [
        "left: a: 2 runs done, 0 running, 2 left, 1.0 hours of a core left",
        "left: b: 2 runs done, 0 running, 2 left, 1.0 hours of a core left",
        "the same command goes on from here.",
    ]
    said = lab.run(100.0)
    assert lab.now == 1000 + 4 * 1800, "it ends when nothing is left"
    assert said[:2] == ["ready to publish:", "  mtlrepro publish a b --profile full"]
    assert lab.run(1.0) == said


def test_a_notebook_that_fails_is_named_and_does_not_stop_the_other(monkeypatch):
    lab = Laboratory(monkeypatch, fails=("a",))
    said = lab.run(100.0)
    assert lab.done == {"a": 0, "b": 4}
    assert "failed: a: planted" in said
    assert "  mtlrepro publish b --profile full" in said


def test_a_campaign_that_gets_no_further_ends(monkeypatch):
    lab = Laboratory(monkeypatch)
    calls = []
    lab.engine = lambda *words: calls.append(words) or {}
    assert lab.run(1.0)[-1] == "the same command goes on from here."
    assert len(calls) == 1


def test_status_gives_the_figures_of_what_is_left(monkeypatch):
    lab = Laboratory(monkeypatch)
    lab.done = {"a": 4, "b": 1}
    assert campaign.standing([FIRST.id], "full", 2) == [
        "ready to publish: a",
        "b: 1 runs done, 0 running, 3 left, 1.5 hours of a core left",
        "left in all: 1, about 0.8 hours on 2 cores",
    ]


def test_what_is_neither_recorded_nor_ready_waits(monkeypatch, tmp_path):
    monkeypatch.setattr("mtlrepro.paths.recorded", lambda: tmp_path)
    [one] = campaign.waiting([FIRST.id], "full")
    assert (one.notebook, one.owner, one.failing, one.standing) == (FIRST.notebook, FIRST.id, True, None)
    assert one.primary == sum(claim.primary for claim in FIRST.claims)
    assert campaign.ready([FIRST.id], "full") == []


def test_no_hours_are_refused():
    with pytest.raises(BadValue, match="above 0"):
        campaign.run(None, 0.0, "full", 1, lambda *words: {})
