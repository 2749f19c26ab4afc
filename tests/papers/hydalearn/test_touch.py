"""Laws of the figures to move: bars are the weights of equations 3 to 5, dots the recorded means over seeds."""

from __future__ import annotations

import re
import runpy

import pytest

from mtlrepro import paths
from mtlrepro.methods import hydalearn_weights


@pytest.mark.parametrize(
    ("main", "aux", "beta", "downscale"),
    [(0.6, 0.2, 2.0, True), (-0.4, -0.8, 1.0, True), (-0.4, -0.8, 1.0, False), (-0.2, 0.4, 1.0, True)],
)
def test_the_height_of_each_bar_is_its_weight(main, aux, beta, downscale, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(paths.book() / "_ext"))
    module = runpy.run_path(str(paths.book() / "papers/hydalearn/touch.py"))
    figure = module["FIGURES"]["alg1-weights"]()
    bars = [shape for shape in figure.draw(main, aux, beta, downscale).shapes if shape.tag == "rect"]
    tall = 190 - 30  # pixels of a weight of all of W
    heights = [module["TOTAL"] * float(bar.attributes["height"]) / tall for bar in bars]
    expected = [float(weight) for weight in hydalearn_weights(main, aux, module["TOTAL"], beta, downscale)]
    assert heights == pytest.approx(expected, abs=0.05 * module["TOTAL"] / tall * 1.01)


def test_the_dot_of_so_many_rows_stands_at_the_recorded_mean(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(paths.book() / "_ext"))
    module = runpy.run_path(str(paths.book() / "papers/hydalearn/touch.py"))
    rows = module["recorded"]("hydalearn/alg1")
    figure = module["FIGURES"]["alg1-rows"]()
    count, measure, update = figure.controls[0].values[-1], figure.controls[1].values[1], figure.controls[2].start
    own = rows[(rows.kind == "training") & (rows.method == "hydalearn") & (rows.batch == 16) & (rows["update"] == update)]
    mean = own[own.points == count][measure].mean()
    shown = figure.draw(count, measure, update)
    assert shown.numbers["mean over seeds"] == module["number"](mean)
    line = [
        float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", next(s for s in shown.shapes if s.tag == "path").attributes["d"])
    ]
    assert float(shown.shapes[-1].attributes["cy"]) == line[-1], "the large dot ends the line of the means"
