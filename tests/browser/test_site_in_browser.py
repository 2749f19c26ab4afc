"""The site as a reader without network meets it: opened from a file, in Chromium, wide and narrow, light and dark."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from mtlrepro import exhibits, paths

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("site")]

Open = Callable[..., Any]

PAGES = [f"papers/{key}/index" for key in exhibits.papers()]
# Pages that between them hold every kind of element; the exhibits' pages come on top.
KEY = {
    "light": ["intro", "scoreboard", "reading", "rerunning", "data", "errata", "references", PAGES[0]],
    "dark": ["scoreboard", "reading", PAGES[-1]],
}


@dataclass(frozen=True)
class Seen:
    """What one page did when it was opened, wide and then narrow."""

    outside: list[str]
    errors: list[str]
    overflow: dict[int, int]
    bad_formulas: int
    cut: list[str]
    unreachable: list[str]
    stops: int
    in_print: list[str]


# Boxes that scroll sideways: by what they say, or by what they hold.
SCROLLING = """(open) => {
  if (open) for (const fold of document.querySelectorAll(".bd-article details")) fold.open = true;
  return [...document.querySelectorAll(".bd-article :is(.table-scroll, .pst-scrollable-table-container, .text_html, pre)")]
    .filter((box) => box.scrollWidth > box.clientWidth + 1)
    .map((box) => [box.ariaLabel || box.innerText.slice(0, 60), box.tabIndex])
}"""


@pytest.fixture(scope="module")
def seen(visit: Open, names: list[str]) -> dict[str, Seen]:
    """Every page of the site, opened once."""
    found = {}
    for name in names:
        opened = visit(name)
        overflow = {}
        for width in (1280, 390):
            opened.page.set_viewport_size({"width": width, "height": 900})
            overflow[width] = opened.page.evaluate("() => Math.max(0, document.documentElement.scrollWidth - window.innerWidth)")
        page = opened.page
        unreachable = [name for name, stop in page.evaluate(SCROLLING, False) if stop < 0]
        page.set_viewport_size({"width": 1280, "height": 900})
        cut = [name for name, _ in page.evaluate(SCROLLING, True)]
        stops = page.locator("mjx-container[tabindex]:not([display='true'])").count()
        bad = page.locator("mjx-merror").count()
        page.emulate_media(media="print")
        in_print = [name for name, _ in page.evaluate(SCROLLING, True)]
        page.close()
        found[name] = Seen(opened.outside, opened.errors, overflow, bad, cut, unreachable, stops, in_print)
    return found


def test_no_page_asks_for_anything_outside(seen: dict[str, Seen]) -> None:
    assert {name: page.outside for name, page in seen.items() if page.outside} == {}


def test_no_page_complains_on_the_console(seen: dict[str, Seen]) -> None:
    assert {name: page.errors for name, page in seen.items() if page.errors} == {}


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_the_screen(seen: dict[str, Seen], width: int) -> None:
    assert {name: page.overflow[width] for name, page in seen.items() if page.overflow[width]} == {}


def test_no_table_or_code_is_cut_on_a_wide_screen_or_on_paper(seen: dict[str, Seen]) -> None:
    """Folds are open, as printing opens them."""
    assert {name: page.cut for name, page in seen.items() if page.cut} == {}
    assert {name: page.in_print for name, page in seen.items() if page.in_print} == {}


def test_what_scrolls_on_a_narrow_screen_is_reached_by_the_keyboard(seen: dict[str, Seen]) -> None:
    assert {name: page.unreachable for name, page in seen.items() if page.unreachable} == {}


def test_formulas_in_a_line_are_no_stops_of_the_tab_key(seen: dict[str, Seen]) -> None:
    assert {name: page.stops for name, page in seen.items() if page.stops} == {}


def test_printing_opens_every_fold(visit: Open) -> None:
    page = visit("data").page
    assert page.locator("details:not([open])").count()
    page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0


def test_the_scoreboard_filters_and_sorts(visit: Open) -> None:
    page = visit("scoreboard").page
    rows = page.locator("table.exhibits tbody tr:visible")
    everything = rows.count()
    choice = page.locator("select[name=verdict]")
    word = choice.locator("option").nth(1).get_attribute("value")
    choice.select_option(word)
    assert 0 < rows.count() < everything
    assert set(rows.evaluate_all("all => all.map(row => row.dataset.verdict)")) == {word}
    choice.select_option("")
    page.get_by_role("button", name="sort by verdict").click()
    for table in page.locator("table.exhibits").all():
        found = table.locator("tbody tr").evaluate_all("all => all.map(row => row.dataset.verdict)")
        assert found == sorted(found)


def test_no_formula_has_an_error(seen: dict[str, Seen]) -> None:
    assert {name: page.bad_formulas for name, page in seen.items() if page.bad_formulas} == {}


def test_mathematics_is_set(visit: Open) -> None:
    for name in PAGES:
        page = visit(name).page
        sizes = page.eval_on_selector_all("mjx-container", "all => all.map(e => e.getBoundingClientRect().height)")
        assert sizes
        assert min(sizes) > 4


def test_search_finds_pages_without_a_server(visit: Open) -> None:
    key, paper = next(iter(exhibits.papers().items()))
    word = max(re.findall(r"[a-z]+", paper.title.lower()), key=len)
    seen = visit("search", query=f"?q={word}")
    results = seen.page.locator("#search-results ul.search li a")
    results.first.wait_for(timeout=10_000)
    assert any(f"papers/{key}" in (link or "") for link in results.evaluate_all("all => all.map(e => e.href)"))
    assert (seen.outside, seen.errors) == ([], [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_stands_in_anyones_way(visit: Open, names: list[str], scheme: str) -> None:
    """axe finds no violation that it calls serious or critical."""
    exhibit_pages = [name for name in names if name.startswith("exhibits/")]
    for name in [*KEY[scheme], *(exhibit_pages if scheme == "light" else exhibit_pages[:1])]:
        page = visit(name, scheme=scheme).page
        found = Axe().run(page).response["violations"]
        grave = [
            (name, violation["id"], [node["html"][:160] for node in violation["nodes"]][:3])
            for violation in found
            if violation["impact"] in {"serious", "critical"}
        ]
        assert grave == []
        page.close()


def test_all_exhibits_are_seen_on_the_scoreboard(visit: Open) -> None:
    text = visit("scoreboard").page.inner_text("article")
    assert [exhibit.id for exhibit in exhibits.everything() if exhibit.id not in text] == []


def test_parameters_of_a_run_are_folded_and_open_on_a_click(visit: Open, names: list[str]) -> None:
    pages = [name for name in names if name.startswith("exhibits/")]
    if not pages:
        pytest.skip("no exhibit was run: run `make book` first")
    for name in pages:
        page = visit(name).page
        box = page.locator("details.run-parameters")
        assert box.count() == 1
        assert not page.locator("details.run-parameters table").is_visible()
        box.locator("summary").click()
        assert page.get_by_text("papermill notebooks/").first.is_visible()


def test_an_exhibits_page_begins_with_its_verdict_and_the_figure_follows_soon(visit: Open, names: list[str]) -> None:
    """Claimed, found and holds when, or one line an exhibit; the first figure or table within two screens of the top."""
    served = Counter(exhibit.notebook for exhibit in exhibits.everything())
    for name in (name for name in names if name.startswith("exhibits/")):
        page = visit(name).page
        lines = page.locator(".exhibit-box > details > summary:visible").count()
        expected = served[name.removeprefix("exhibits/")]
        assert lines == (expected if expected > 1 else 0), name
        for box in page.locator(".in-short:visible").all():
            assert box.locator("dt").all_inner_texts() == ["Claimed", "Found", "Holds when"], name
            assert box.locator("dd .outcome").first.inner_text()[0] in "✓◐✗⇄?", name
        first = page.locator("figure, .table-block").first
        box_of_first = first.bounding_box() if first.count() else None
        assert box_of_first is None or box_of_first["y"] < 1800, name
        page.close()


def test_verdicts_are_told_by_a_sign_and_a_word(visit: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never by colour alone; and the page on reading explains every word."""
    monkeypatch.syspath_prepend(str(paths.book() / "_ext"))
    import mtlrepro_book

    shown = visit("reading").page.eval_on_selector_all(
        ".verdict", "all => all.map(e => [e.textContent.trim(), getComputedStyle(e, '::before').content])"
    )
    assert {word for word, _ in shown} == set(mtlrepro_book.VERDICTS)
    assert all(len(sign.strip('" ')) == 1 for _, sign in shown)
