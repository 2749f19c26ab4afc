"""Figures that a reader moves: a control moved by the keyboard shows what the package computes for the new value."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from mtlrepro import exhibits, paths

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("site")]

# The shapes of a figure after its background: tag, attributes and text of each; and its numbers.
SHOWN = """(figure, background) => [
  [...figure.querySelector("svg").children].slice(background).map((shape) => [
    shape.tagName,
    Object.fromEntries([...shape.attributes].map(({ name, value }) => [name, value]).filter(([name]) => name !== "data-part")),
    shape.textContent,
  ]),
  [...figure.querySelectorAll("dd")].map((number) => number.textContent),
]"""


@pytest.mark.parametrize("paper", [*exhibits.papers(), pytest.param("", marks=pytest.mark.slow, id="scoreboard")])
def test_a_control_moved_by_the_keyboard_shows_what_the_package_computes(
    paper: str, visit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(paths.book() / "_ext"))
    file = (paths.book() / "papers" / paper if paper else paths.book()) / "touch.py"
    if not file.exists():
        pytest.skip("the paper has no figure to move")
    page = visit(f"papers/{paper}/index" if paper else "scoreboard", width=390, scheme="dark").page
    for name, make in runpy.run_path(str(file))["FIGURES"].items():
        figure = make()
        place = page.locator(f"#touch-{name}")
        chosen = [list(control.values).index(control.start) for control in figure.controls]
        for i, control in enumerate(figure.controls):
            place.locator("input, select").nth(i).focus()
            forward = chosen[i] + 1 < len(control.values)
            page.keyboard.press("ArrowDown" if control.choice and forward else "ArrowRight" if forward else "ArrowLeft")
            chosen[i] += 1 if forward else -1
            values = [control.values[at] for control, at in zip(figure.controls, chosen, strict=True)]
            drawn = figure.draw(*values)
            shapes, numbers = place.evaluate(SHOWN, len(figure.background))
            assert numbers == list(drawn.numbers.values()), (name, values)
            assert shapes == [[s.tag, dict(s.attributes), s.text] for s in drawn.shapes], (name, values)
            if not control.choice:
                assert place.locator("input, select").nth(i).get_attribute("aria-valuetext") == control.shown(values[i])
    assert Axe().run(page, context=".touch").response["violations"] == []
