"""A deck of slides: the tagged figures of a page, each with the claim and the verdict of its exhibit; notebooks tag enough."""

import re
from collections import Counter

import nbformat
import pytest
from bs4 import BeautifulSoup

from mtlrepro import exhibits, paths
from mtlrepro.book import pages, slides
from mtlrepro.errors import MtlreproError

LINES = '<dl class="in-short"><dt>Claimed</dt><dd>{0} claim</dd><dt>Found</dt><dd>1</dd></dl>'
BOX = f'<div class="verdict-box"><p>{{0}}</p>{LINES}</div>'
CELL = '<div class="cell {}"><figure><a href="x.html">{}</a><img src="../../_images/a.svg"></figure></div>'


def test_a_tagged_figure_stands_beside_the_claim_of_its_exhibit_and_the_verdict_comes_at_a_click(tmp_path):
    several = Counter(exhibit.notebook for exhibit in exhibits.everything() if exhibit.notebook).most_common(1)[0][0]
    labels = {exhibit.id.partition("/")[2]: exhibit.label for exhibit in exhibits.everything() if exhibit.notebook == several}
    key, label = list(labels.items())[-1]
    file = tmp_path / "page.html"
    file.write_text(
        f'<article><h1>Paper · Tables · A name<a class="headerlink">#</a></h1><div class="exhibit-box">'
        f"{''.join(BOX.format(label) for label in labels.values())}</div>"
        + CELL.format(f"tag_slide tag_{key}", "first")
        + CELL.format("", "untagged")
        + CELL.format(f"tag_slide tag_{key}", "second")
        + "</article>",
        encoding="utf-8",
    )
    first, second = (BeautifulSoup(slide, "html.parser") for slide in slides._figures(slides._article(file), several))
    assert first.h2.get_text() == f"{label} · A name"
    assert f"{label} claim" in first.get_text()
    assert [part.get_text() for part in first.select(".fragment")] == ["Found", "1", label]
    assert second.select_one(".claim") is None  # its exhibit was judged on the slide before
    assert first.img["src"] == "images/a.svg"
    assert not first.select("a")


def test_the_tags_of_a_notebooks_cell_reach_the_page():
    output = nbformat.v4.new_output(
        "display_data", {"image/svg+xml": "<svg/>"},
        metadata={"mtlrepro": {"kind": "figure", "run": "recorded", "caption": "c", "alt": "a"}},
    )  # fmt: skip
    cell = nbformat.v4.new_code_cell("page.figure(draw)", outputs=[output])
    blocks, _ = pages.code_cells(cell, {"slide", "fig4"})
    assert blocks[0].metadata["tags"] == ["remove-input", "fig4", "slide"]


def test_a_deck_says_what_is_missing(tmp_path):
    with pytest.raises(MtlreproError, match=r"index\.html is not in the site: run `make book` first"):
        slides.slides(tmp_path, next(iter(exhibits.papers())))


@pytest.mark.parametrize("paper", list(exhibits.papers()))
def test_a_deck_has_eight_to_fifteen_slides_and_tags_name_exhibits_of_their_notebook(paper):
    tagged = 0
    for source in (paths.notebooks() / paper).glob("*.py"):
        keys = {e.id.partition("/")[2] for e in exhibits.everything(paper) if e.notebook == f"{paper}/{source.stem}"}
        for tags in re.findall(r'^# %% tags=\["slide"(.*)\]$', source.read_text(encoding="utf-8"), re.M):
            tagged += 1
            assert set(re.findall(r'"(\w+)"', tags)) <= keys
    assert 8 <= tagged + 4 <= 15
