"""Laws of the figures that a reader moves: what the page holds is what was drawn, and every figure of the book can be drawn."""

from __future__ import annotations

import json
import re
import runpy
from html.parser import HTMLParser
from itertools import product
from typing import Any

import pytest

from mtlrepro import exhibits, paths


class Page(HTMLParser):
    """What a figure's HTML holds: its JSON, and for each part that changes its attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.parts: list[dict[str, str | None]] = []
        self.controls: list[str] = []
        self._inside = False
        self.feed(text)
        self.data = json.loads(re.search(r'<script type="application/json">(.*)</script>', text, re.DOTALL)[1])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._inside = "data-part" in given
        if self._inside:
            self.parts.append(given | {"": ""})
        if tag in ("input", "select"):
            self.controls.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, text: str) -> None:
        if self._inside:
            self.parts[-1][""] = str(self.parts[-1][""]) + text

    def shown(self, chosen: tuple[int, ...]) -> list[dict[str, Any]]:
        """The parts after the controls are put to `chosen`, as book/_static/touch.js does it."""
        parts = [dict(part) for part in self.parts]
        for part, key, axes, values in self.data["changes"]:
            at = 0
            for axis in axes:
                at = at * self.data["sizes"][axis] + chosen[axis]
            parts[part][key] = values[at]
        return parts


@pytest.fixture
def touch(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(paths.book() / "_ext"))
    import touch

    return touch


def test_each_choice_shows_exactly_the_picture_that_was_drawn_for_it(touch: Any) -> None:
    def draw(a: int, b: str, c: float) -> Any:
        shapes = [touch.shape("circle", cx=10.0 * a, cy=c, r=3), touch.label(0, 0, b), touch.shape("path", d="M0 0")]
        return touch.Picture(shapes, {"sum": str(a + c), "always": "1"})

    controls = [
        touch.Control("A", [1, 2, 3], 2),
        touch.Control("B", ["<x>", "y"], "y", choice=True),
        touch.Control("C", [0.5, 4], 4),
    ]
    page = Page(touch.html("toy", touch.Touchable("A toy", controls, [], draw)))
    assert page.controls == ["input", "select", "input"]
    assert len(page.parts) == 3  # the path and the last number never change
    assert page.parts == page.shown((1, 1, 1))
    for chosen in product(range(3), range(2), range(2)):
        values = [control.values[i] for control, i in zip(controls, chosen, strict=True)]
        circle, words, total = page.shown(chosen)
        drawn = draw(*values)
        assert {key: circle[key] for key in ("cx", "cy")} == {key: drawn.shapes[0].attributes[key] for key in ("cx", "cy")}
        assert (words[""], total[""]) == (drawn.shapes[1].text, drawn.numbers["sum"])


def test_pictures_of_one_figure_have_the_same_shapes(touch: Any) -> None:
    def draw(a: int) -> Any:
        return touch.Picture([touch.shape("path", d="M0 0")] * a, {})

    with pytest.raises(ValueError, match="differ in their shapes"):
        touch.html("toy", touch.Touchable("A toy", [touch.Control("A", [1, 2], 1)], [], draw))


def test_axes_turn_data_into_pixels_and_put_what_is_outside_on_the_edge(touch: Any) -> None:
    axes = touch.Axes((1, 100), (-1, 1), box=(0, 0, 200, 100), log=True)
    assert axes.at(10, 0) == pytest.approx((100, 50))
    assert axes.at(1e6, -7) == pytest.approx((200, 100))
    bar = axes.bar(10, 0.5, 20, "d-a").attributes
    assert (bar["y"], bar["height"]) == ("25.0", "25.0")


@pytest.mark.parametrize("paper", ["", *exhibits.papers()])
def test_every_figure_to_move_is_of_an_exhibit_has_a_start_and_its_place_on_a_page(paper: str, touch: Any) -> None:
    folder = paths.book() / "papers" / paper if paper else paths.book()
    file = folder / "touch.py"
    figures = runpy.run_path(str(file))["FIGURES"] if file.exists() else {}
    text = "".join(page.read_text(encoding="utf-8") for page in folder.glob("*.md"))
    assert set(re.findall(rf"^```\{{touch\}} (?:{paper}/)?([a-z0-9-]+)$", text, re.MULTILINE)) == set(figures)
    for name, make in figures.items() if paper else ():  # the scoreboard's judges every run, which takes long
        exhibits.get(f"{paper}/{name.partition('-')[0]}")
        figure = make()
        picture = figure.draw(*(control.start for control in figure.controls))
        assert all(control.start in control.values for control in figure.controls), name
        assert picture.numbers, name
        assert figure.run in ("recorded", "live"), name


def test_the_scoreboards_marks_stand_at_the_effect_as_a_multiple_of_the_papers(
    touch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one paper, so that few runs are judged; the choice of another hides every mark."""
    module = runpy.run_path(str(paths.book() / "touch.py"))
    paper, every = next(iter(exhibits.papers())), exhibits.everything
    monkeypatch.setattr(exhibits, "everything", lambda: every(paper))
    shares = sorted(one.judged.effect / one.judged.claim.paper_effect for one in module["measures"]())
    figure = module["FIGURES"]["scoreboard"]()
    left, right = 250, touch.WIDTH - 12
    expected = [left + (right - left) * (min(max(share, -1.5), 2) + 1.5) / 3.5 for share in shares]
    for chosen, seen in ((paper, len(shares)), ("another", 0)):
        shown = figure.draw(chosen, "all", "all")
        marks = [shape.attributes for shape in shown.shapes if shape.tag == "circle"]
        assert [float(mark["cx"]) for mark in marks] == pytest.approx(expected, abs=0.051)
        assert sum(mark["visibility"] == "visible" for mark in marks) == seen == int(shown.numbers["effects shown"])


def test_the_script_asks_for_nothing_and_is_small() -> None:
    script = (paths.book() / "_static" / "touch.js").read_text(encoding="utf-8")
    assert len(script) < 2000
    assert not re.search(r"fetch|import|XMLHttp|https?:", script)
