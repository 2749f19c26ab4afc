"""Laws of the figures to move: Figure 3 shows the recorded rows, equation 6 the score of the ellipses that are drawn,
Theorem 2 the recorded errors and bounds."""

from __future__ import annotations

import runpy
from typing import Any

import numpy as np
import pytest

from mtlrepro import paths, results


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(paths.book() / "_ext"))
    return runpy.run_path(str(paths.book() / "papers/transfer/touch.py"))


def test_figure_3_shows_the_mean_gain_of_the_recorded_rows(module: dict[str, Any]) -> None:
    rows = results.load("transfer/fig3", "full", committed=True).rows
    here = rows[(rows.solver == "sensitivity") & (rows.setting == "label noise (sd) = 5") & (rows["size"] == 2000)]
    shown = module["FIGURES"]["fig3"]().draw("label noise (sd) = 5", "tuned", 2000)
    assert shown.numbers["different covariance"] == f"{(here.different - here.tuned).mean():.3g}".replace("-", "−")


def test_the_score_is_equation_6_of_the_drawn_ellipses(module: dict[str, Any]) -> None:
    """Of two of them without a cut: tr(S1 S2) / (tr S1 tr S2) with S the second moments."""
    first, second = (module["inputs"](2.0, angle).numpy() for angle in (0, 30))
    s1, s2 = first.T @ first, second.T @ second
    long = np.linalg.eigh(s2)[1][:, -1]
    assert np.degrees(np.arctan2(long[1], long[0])) % 180 == pytest.approx(30)
    expected = np.sqrt(np.trace(s1 @ s2) / (np.trace(s1) * np.trace(s2)))
    shown = module["FIGURES"]["eq6"]().draw(30, 2.0, 2.0)
    assert float(shown.numbers["score"]) == pytest.approx(expected, abs=5e-4)


def test_theorem_2_shows_the_recorded_error_and_bound(module: dict[str, Any]) -> None:
    rows = module["recorded"]("transfer/thm2")
    figure = module["FIGURES"]["thm2"]()
    name, factor = figure.controls[0].values[-1], figure.controls[1].values[1]
    here = rows[(rows.kind == "curve") & (rows.name == name) & (rows.factor == factor)]
    shown = figure.draw(name, factor)
    dots = [shape for shape in shown.shapes if shape.tag == "circle"]
    heights = [1.6 * (250 - float(dot.attributes["cy"])) / (250 - 30) for dot in dots]
    expected = [min(here[column].median(), 1.6) for column in ("error", "theorem")]
    assert heights == pytest.approx(expected, abs=1.6 * 0.051 / 220)
    assert shown.numbers["error above the bound"] == f"{100 * here.theorem_failed.mean():.0f}% of draws"
