"""Law: the figure to move shows, seed by seed, the recorded test loss beside that with all weights 1."""

from __future__ import annotations

import re
import runpy

import pytest

from mtlrepro import paths


def test_the_curve_of_a_rule_is_that_of_the_recorded_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(paths.book() / "_ext"))
    module = runpy.run_path(str(paths.book() / "papers/classweights/touch.py"))
    rows = module["recorded"]("classweights/alg1")
    figure = module["FIGURES"]["alg1-room"]()
    kind = figure.controls[0].start
    own = rows[(rows.part == "arm") & (rows.kind == kind)].set_index("seed")
    changes = 100 * (own[own.arm == "ratio"].test / own[own.arm == "equal"].test - 1).dropna()
    shown = figure.draw(kind, "ratio")
    assert shown.numbers["seeds that gain"] == f"{100 * (changes < 0).mean():.0f}% of {len(changes)}"
    across = [float(x) for x in re.findall(r"[ML]([\d.]+) ", shown.shapes[0].attributes["d"])]
    left, right = 54, 440 - 22
    expected = [left + (right - left) * (change + 90) / 180 for change in sorted(changes.clip(-90, 90))]
    assert across == pytest.approx(expected, abs=0.051)
