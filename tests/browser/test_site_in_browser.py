"""The site as a reader without network meets it: opened from a file, in Chromium, wide and narrow, light and dark."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtlrepro import exhibits, paths
from mtlrepro.book import slides

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("site")]

Open = Callable[..., Any]

PAGES = [f"papers/{key}/index" for key in exhibits.papers()]
# Pages that between them hold every kind of element; the exhibits' pages come on top.
KEY = {
    "light": ["intro", "scoreboard", "reading", "rerunning", "data", "errata", "references", PAGES[0]],
    "dark": ["scoreboard", "reading", PAGES[-1]],
}


CUT_FORMULAS = """() => [...document.querySelectorAll("mjx-container[display='true']")]
  .filter((formula) => formula.scrollWidth > formula.clientWidth + 1)
  .map((formula) => formula.textContent.slice(0, 60))"""

# Boxes that scroll sideways: by what they say, or by what they hold.
SCROLLING = """(open) => {
  if (open) for (const fold of document.querySelectorAll(".bd-article details")) fold.open = true;
  return [...document.querySelectorAll(".bd-article :is(.table-scroll, .pst-scrollable-table-container, .text_html, pre)")]
    .filter((box) => box.scrollWidth > box.clientWidth + 1)
    .map((box) => [box.ariaLabel || box.innerText.slice(0, 60), box.tabIndex])
}"""

# What cannot be read or touched on a phone.
ON_A_PHONE = """() => {
  const all = (selector) => [...document.querySelectorAll(`.bd-article ${selector}`)];
  const box = (e) => e.getBoundingClientRect();
  const cut = (e) => e.firstElementChild?.offsetWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === "hidden";
  return {
    "formula cut": all("span.math").filter(cut).map((e) => e.textContent),
    "small letters": all("figure img").filter((e) => box(e).width < 0.7 * e.naturalWidth).map((e) => e.alt),
    "small letters in a figure to move": all(".touch svg text")
      .filter((e) => parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a < 10).map((e) => e.textContent),
    "low control": all(":is(.touch-controls, .scoreboard-filter) :is(select, input, button)")
      .filter((e) => e.checkVisibility() && box(e).height < 40).map((e) => e.id || e.name),
    "code broken by letters": all(".pst-scrollable-table-container td code .pre")
      .filter((e) => !e.textContent.includes("-") && e.getClientRects().length > 1).map((e) => e.textContent),
  };
}"""

# What marks boxes that scroll hears of a new width before the next frame.
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def _pages() -> list[Any]:
    """Every page of the built site, where there is one, else of its sources; dealt to as many workers as a small machine has.

    Slow but for key pages and an exhibit of each paper.
    """
    built = paths.book() / "_build" / "html"
    folder, suffix = (built, ".html") if (built / "index.html").exists() else (paths.book(), ".md")
    files = (file.relative_to(folder) for file in folder.rglob(f"*{suffix}"))
    names = sorted(file.with_suffix("").as_posix() for file in files if not {"_static", "_build"} & set(file.parts))
    skipped = {"genindex", "search", "index"}
    quick = {*KEY["light"], *(next((n for n in names if n.startswith(f"exhibits/{key}/")), "") for key in exhibits.papers())}
    return [
        pytest.param(name, marks=[pytest.mark.xdist_group(f"site {i % 3}"), *([] if name in quick else [pytest.mark.slow])])
        for i, name in enumerate(sorted(set(names) - skipped, key=lambda name: (name not in quick, name)))
    ]


@pytest.mark.parametrize("name", _pages())
def test_a_page_holds_every_law_of_the_site(visit: Open, site: Path, name: str) -> None:
    """Opened once, wide, narrow and as printed.

    Laws: a page asks for nothing outside, complains of nothing on the console and is no wider than the screen; no table or code
    is cut on a wide screen or on paper, folds open, nor a formula on a wide screen; what scrolls on a narrow screen is reached by
    the keyboard, and formulas in a line are no stops of the tab key; on a narrow screen no formula is cut, letters of figures
    have at least 10 pixels, controls 40; no formula has an error; axe finds nothing serious or critical.
    """
    if not (site / f"{name}.html").exists():
        pytest.skip("not a page of this site")
    opened, faults = visit(name), {}
    page, is_exhibit = opened.page, name.startswith("exhibits/")
    first = page.locator("figure, .table-block").first
    top = first.bounding_box() if is_exhibit and first.count() else None
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(DRAWN)
        over = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
        faults[f"wider than {width} pixels by"] = max(0, over)
    faults |= page.evaluate(ON_A_PHONE)
    faults["scrolls, out of the keyboard's reach"] = [box for box, stop in page.evaluate(SCROLLING, False) if stop < 0]
    page.set_viewport_size({"width": 1280, "height": 900})
    # Before axe, which itself asks for style sheets.
    faults |= {"asks for": list(opened.outside), "on the console": list(opened.errors), "axe": opened.grave}
    if is_exhibit:
        faults |= _faults_of_exhibit(page, name, 0 if top is None else top["y"])
    faults["cut on a wide screen"] = [box for box, _ in page.evaluate(SCROLLING, True)]
    faults["formulas cut on a wide screen"] = page.evaluate(CUT_FORMULAS)
    faults["formulas in the way of the tab key"] = page.locator("mjx-container[tabindex]:not([display='true'])").count()
    faults["formulas with an error"] = page.locator("mjx-merror").count()
    page.emulate_media(media="print")
    faults["cut on paper"] = [box for box, _ in page.evaluate(SCROLLING, True)]
    assert {what: fault for what, fault in faults.items() if fault} == {}


def _faults_of_exhibit(page: Any, name: str, first: float) -> dict[str, Any]:
    """Claimed, found and holds when, or one line an exhibit; the first figure or table within two screens of the top; the
    parameters of a run are folded and open on a click.

    first: where the first figure or table begins, in pixels.
    """
    served = sum(exhibit.notebook == name.removeprefix("exhibits/") for exhibit in exhibits.everything())
    lines = page.locator(".exhibit-box > details > summary:visible").count()
    faults: dict[str, Any] = {
        "lines of the box": lines - (served if served > 1 else 0),
        "figure or table begins late": first if first >= 1800 else 0,
    }
    for box in page.locator(".in-short:visible").all():
        terms, sign = box.locator("dt").all_inner_texts(), box.locator("dd .outcome").first.inner_text()[0]
        if terms != ["Claimed", "Found", "Holds when"] or sign not in "✓◐✗⇄?":
            faults["in short"] = (terms, sign)
    box = page.locator("details.run-parameters")
    table = page.locator("details.run-parameters table")
    faults["boxes of parameters"] = box.count() - 1
    faults["parameters are not folded"] = table.first.is_visible()
    box.first.locator("summary").click()
    faults["parameters do not open"] = not page.get_by_text("papermill notebooks/").first.is_visible()
    return faults


@pytest.fixture(scope="module")
def decks(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (site / "exhibits").exists():
        pytest.skip("no exhibit was run for this site")
    folder = tmp_path_factory.mktemp("slides")
    slides.write(site, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("paper", exhibits.papers())
def test_every_slide_of_a_deck_is_reached_by_the_keyboard_and_fits_the_screen(visit: Open, decks: Path, paper: str) -> None:
    """Nothing is asked for outside or complained of; axe finds nothing serious on any slide, its verdict uncovered."""
    deck = visit(str(decks / paper))
    page, faults = deck.page, {"asks for": list(deck.outside), "on the console": list(deck.errors)}
    page.evaluate("() => Reveal.configure({transition: 'none'})")
    for number in range(1, page.evaluate("Reveal.getTotalSlides()") + 1):
        while page.evaluate("Reveal.availableFragments().next"):
            page.keyboard.press("ArrowRight")
        page.evaluate("() => Promise.allSettled(document.getAnimations().map((moving) => moving.finished)).then(() => null)")
        over = page.evaluate("(slide => Math.max(slide.scrollHeight - 720, slide.scrollWidth - 1280))(Reveal.getCurrentSlide())")
        faults |= {f"{number}: larger than the screen by": max(0, over), f"{number}: axe": deck.grave}
        page.keyboard.press("ArrowRight")
    assert page.evaluate("Reveal.isLastSlide()")
    assert {what: fault for what, fault in faults.items() if fault} == {}


def test_nothing_serious_stands_in_anyones_way_in_the_dark(visit: Open, names: list[str]) -> None:
    for name in [*KEY["dark"], *[name for name in names if name.startswith("exhibits/")][:1]]:
        assert (name, visit(name, scheme="dark").grave) == (name, [])


def test_printing_opens_every_fold(visit: Open) -> None:
    page = visit("data").page
    assert page.locator("details:not([open])").count()
    page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0


def test_what_is_printed_of_an_open_fold_does_not_fade_in(visit: Open) -> None:
    """A page is printed once it is laid out: what fades in is still transparent then."""
    page = visit("data").page
    animations = """(kind) => {
      document.body.classList.add(kind);
      document.querySelector("article").innerHTML =
        "<div class=cell><details class=hide open><summary>s</summary><p>code</p></details></div>";
      return getComputedStyle(document.querySelector("article details p")).animationName;
    }"""
    page.emulate_media(media="print")
    assert page.evaluate(animations, "as-on-screen") != "none"
    assert page.evaluate(animations, "printed") == "none"


def test_the_scoreboard_filters_and_sorts(visit: Open) -> None:
    page = visit("scoreboard").page
    rows = page.locator("table.exhibits tbody tr:visible")
    everything = rows.count()
    choice = page.locator("select[name=verdict]")
    word = choice.locator("option").nth(1).get_attribute("value")
    choice.select_option(word)
    assert 0 < rows.count() < everything
    assert set(rows.evaluate_all("all => all.map(row => row.dataset.verdict)")) == {word}
    everyone = page.get_by_role("button", name="show all")
    everyone.click()
    assert (rows.count(), choice.input_value(), everyone.is_visible()) == (everything, "", False)
    page.get_by_role("button", name="sort by verdict").click()
    for table in page.locator("table.exhibits").all():
        found = table.locator("tbody tr").evaluate_all("all => all.map(row => row.dataset.verdict)")
        assert found == sorted(found)


def test_a_reader_goes_from_the_front_page_to_a_finding_the_article_and_a_figure_that_moves(visit: Open) -> None:
    """By links alone, and each within what the page says in words: findings link to their exhibits, the front page to the article
    and a paper, the article to the scoreboard's figure, which the keyboard moves."""
    page = visit("intro").page
    findings = page.locator(".findings li")
    if not findings.locator("a").count():
        pytest.skip("no exhibit was run for this site")
    assert findings.locator("a").first.is_visible()
    for exhibit in findings.locator("a:visible").all():
        assert "exhibits/" in exhibit.get_attribute("href")
    findings.locator("a").first.click()
    page.locator(".verdict-box .outcome:visible").first.wait_for()
    page.go_back()
    page.locator(".sd-card a", has_text="article").click()
    page.wait_for_url("**/article.html")
    figure = page.locator("#touch-scoreboard")
    shown = figure.locator("dd").first
    before = int(shown.inner_text())
    figure.locator("select").last.focus()
    page.keyboard.press("ArrowDown")
    assert 0 < int(shown.inner_text()) < before
    page.locator("a", has_text="Scoreboard").last.click()
    page.wait_for_url("**/scoreboard.html")


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


def test_all_exhibits_are_seen_on_the_scoreboard(visit: Open) -> None:
    text = visit("scoreboard").page.inner_text("article")
    assert [exhibit.id for exhibit in exhibits.everything() if exhibit.id not in text] == []


def test_verdicts_are_told_by_a_sign_and_a_word(visit: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never by colour alone; and the page on reading explains every word."""
    monkeypatch.syspath_prepend(str(paths.book() / "_ext"))
    import mtlrepro_book

    shown = visit("reading").page.eval_on_selector_all(
        ".verdict", "all => all.map(e => [e.textContent.trim(), getComputedStyle(e, '::before').content])"
    )
    assert {word for word, _ in shown} == set(mtlrepro_book.VERDICTS)
    assert all(len(sign.strip('" ')) == 1 for _, sign in shown)
