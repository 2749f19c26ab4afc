"""Laws of printing: the pages in the book's order, links within what is printed, and no page of it left behind."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup

from mtlrepro.book import pdf
from mtlrepro.errors import MtlreproError


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Three pages, one in a folder."""
    for name, body in {
        "intro": '<a href="papers/x/index.html#top">x</a>',
        "papers/x/index": '<h1 id="top">x</h1><img src="../../_images/a.svg"><b id="here"></b><a href="#here">h</a>'
        '<a href="https://example.org/">e</a><a href="../../_downloads/x.csv">rows</a>',
        "data": "<p>data</p>",
    }.items():
        file = tmp_path / f"{name}.html"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"<html><head><title>{name}</title></head><body><nav>n</nav><article>{body}</article></body></html>")
    return tmp_path


def test_pages_come_in_the_order_of_the_contents_and_only_if_built(site: Path, tmp_path: Path) -> None:
    parts = [{"chapters": [{"file": "papers/x/index", "sections": [{"file": "not/built"}]}]}, {"chapters": [{"file": "data"}]}]
    toc = tmp_path / "toc.yml"
    toc.write_text(yaml.safe_dump({"root": "intro", "parts": parts}))
    assert pdf.order(toc, site) == ["intro", "papers/x/index", "data"]


def test_links_lead_to_places_of_what_is_printed_or_outside_and_never_to_a_file_of_this_machine(site: Path) -> None:
    page = BeautifulSoup(pdf.combined(site, ["intro", "papers/x/index"]), "html.parser")
    assert len(page.select("article")) == 2
    assert not page.nav
    assert page.img["src"] == "_images/a.svg"
    within, own, outside = page.select("a")
    assert [page.find(id=link["href"][1:]).name for link in (within, own)] == ["h1", "b"]
    assert outside["href"] == "https://example.org/"
    assert page.get_text().endswith("rows"), "a file's link is text"
    assert BeautifulSoup(pdf.combined(site, ["intro"]), "html.parser").article.decode_contents() == "x"


def test_formulas_are_set_where_any_page_at_the_sites_top_sets_them(site: Path) -> None:
    (site / "data.html").write_text("<html><head><script src='mathjax/tex.js'></script></head><body><article></article></body>")
    assert "mathjax/tex.js" in pdf.combined(site, ["intro", "papers/x/index", "data"])
    assert "<title>intro" in pdf.combined(site, ["intro", "papers/x/index"])


def test_a_drawing_taller_than_a_sheet_is_cut_between_its_rows_of_axes_and_nothing_is_lost(site: Path) -> None:
    figure, axes = plt.subplots(5, 2, figsize=(4, 20))
    for ax in axes.flat[1:]:
        ax.plot([0, 1])
    figure.savefig(site / "tall.svg")
    plt.close(figure)
    pieces = pdf.cut(site / "tall.svg")
    assert [top for top, _, _ in pieces] == pytest.approx(np.cumsum([0, *(height for _, _, height in pieces)])[:-1])
    assert sum(height for _, _, height in pieces) == pytest.approx(20 * 72)
    assert all(height <= 2 * width for _, width, height in pieces)
    frames = [ax.get_position() for ax in axes[:, 0]]
    assert not [top for top, _, _ in pieces for frame in frames if frame.y0 < 1 - top / (20 * 72) < frame.y1]
    (site / "data.html").write_text('<article><figure><img src="tall.svg" alt="t"></figure></article>')
    images = BeautifulSoup(pdf.article(site, "data", ["data"]), "html.parser").select("img")
    assert len(images) == len(pieces) > 1
    assert [image["alt"] for image in images] == ["t"] * len(pieces)


def test_a_page_without_an_article_and_a_machine_without_chromium_are_said(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "data.html").write_text("<html></html>")
    with pytest.raises(MtlreproError, match="no article"):
        pdf.article(site, "data", ["data"])
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    with pytest.raises(MtlreproError, match="no Chromium"):
        pdf.printed(site / "intro.html", site / "out.pdf")


def test_solutions_stand_at_the_end_of_their_article_numbered(site: Path) -> None:
    fold = '<details><summary><span class="sd-summary-text">{}</span></summary>{}</details>'
    folds = [fold.format(*parts) for parts in (("Solution", "yes"), ("The code", "x = 1"), ("Answer", "no"))]
    body = "<p>one?</p>{}{}<p>two?</p>{}".format(*folds)
    (site / "data.html").write_text(f"<article>{body}</article>")
    text = BeautifulSoup(pdf.article(site, "data", ["data"]), "html.parser").get_text("|")
    assert text == (
        "one?|Solution 1: at the end of this page.|The code|x = 1|two?|Answer 2: at the end of this page."
        "|Solutions|Solution 1|yes|Answer 2|no"
    )
