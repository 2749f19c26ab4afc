"""Law: the dots of the figure to move stand at equation 3's memberships."""

from __future__ import annotations

import runpy

import pytest

from mtlrepro import paths


@pytest.mark.parametrize(("fuzziness", "place"), [(2.0, 2.5), (1.25, 7.0), (10.0, 5.5)])
def test_each_dot_stands_at_its_membership(fuzziness: float, place: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(paths.book() / "_ext"))
    module = runpy.run_path(str(paths.book() / "papers/stgmtl/touch.py"))
    drawn = module["FIGURES"]["fig1-fuzziness"]().draw(fuzziness, place).shapes
    powers = [abs(place - center) ** (-2 / (fuzziness - 1)) for center in module["CENTERS"]]
    heights = [(250 - float(shape.attributes["cy"])) / (250 - 30) for shape in drawn if shape.tag == "circle"]
    assert heights == pytest.approx([power / sum(powers) for power in powers], abs=0.05 / 220 * 1.01)
