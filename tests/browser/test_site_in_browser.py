"""The site as a reader without network meets it: opened from a file, in Chromium, wide and narrow, light and dark."""

from __future__ import annotations

import re
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
        bad = opened.page.locator("mjx-merror").count()
        opened.page.close()
        found[name] = Seen(opened.outside, opened.errors, overflow, bad)
    return found


def test_no_page_asks_for_anything_outside(seen: dict[str, Seen]) -> None:
    assert {name: page.outside for name, page in seen.items() if page.outside} == {}


def test_no_page_complains_on_the_console(seen: dict[str, Seen]) -> None:
    assert {name: page.errors for name, page in seen.items() if page.errors} == {}


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_the_screen(seen: dict[str, Seen], width: int) -> None:
    assert {name: page.overflow[width] for name, page in seen.items() if page.overflow[width]} == {}


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


def test_verdicts_are_told_by_a_sign_and_a_word(visit: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never by colour alone; and the page on reading explains every word."""
    monkeypatch.syspath_prepend(str(paths.book() / "_ext"))
    import mtlrepro_book

    shown = visit("reading").page.eval_on_selector_all(
        ".verdict", "all => all.map(e => [e.textContent.trim(), getComputedStyle(e, '::before').content])"
    )
    assert {word for word, _ in shown} == set(mtlrepro_book.VERDICTS)
    assert all(len(sign.strip('" ')) == 1 for _, sign in shown)
