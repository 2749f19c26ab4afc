"""Laws of the figures to move: the sampler's batch is drawn by the paper's rule, and Table 3's dots are the recorded means."""

from __future__ import annotations

import math
import runpy
from typing import Any

import pytest

from mtlrepro import paths


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(paths.book() / "_ext"))
    return runpy.run_path(str(paths.book() / "papers/cotask/touch.py"))


def test_a_batch_has_as_many_marks_of_the_rare_class_as_it_says_and_as_the_rule_gives(module: dict[str, Any]) -> None:
    """With log(x) / x a record, classes of 100 and 9,900 records are drawn as log 100 to log 9,900."""
    figure = module["FIGURES"]["sampler"]()
    rare = 0
    for batch in figure.controls[2].values:
        shown = figure.draw(100, "log(x) / x, the paper's", batch)
        marks = sum(shape.attributes["class"] == "d-dot-a" for shape in shown.shapes)
        assert shown.numbers["in this batch"] == f"{marks} of 64"
        rare += marks
    share, draws = math.log(100) / math.log(100 * 9900), 64 * len(figure.controls[2].values)
    assert shown.numbers["of what is drawn, on average"] == f"{100 * share:.3g}%"
    assert abs(rare / draws - share) < 4 * math.sqrt(share * (1 - share) / draws)


def test_dots_along_the_budget_stand_at_the_recorded_means(module: dict[str, Any]) -> None:
    rows = module["recorded"]("cotask/tab3")
    own = rows[(rows.noise == 0) & (rows.baseline == "multi") & rows.variant.isin(["standard", "half"])]
    expected = [
        own[(own.method == method) & (own.images == images)].own.mean()
        for method in ("multi", "cotask")
        for images in sorted(own[own.method == method].images.unique())
    ]
    shapes = module["FIGURES"]["tab3-budget"]().draw("all twenty", "own").shapes
    heights = [(250 - float(shape.attributes["cy"])) / (250 - 30) for shape in shapes if shape.tag == "circle"]
    assert heights == pytest.approx(expected, abs=0.05 / 220 * 1.01)
