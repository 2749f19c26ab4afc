"""A deck of slides: the tagged figures of a page, each with the claim and the verdict of its exhibit; notebooks tag enough."""

import re

import nbformat
import pytest
from bs4 import BeautifulSoup

from mtlrepro import exhibits, paths
from mtlrepro.book import pages, slides
from mtlrepro.errors import MtlreproError

BOX = '<div class="verdict-box"><p>{0}</p><dl class="in-short"><dt>Claimed</dt><dd>{0} claim<dt>Found</dt><dd>1</dd></dl></div>'
CELL = '<div class="cell {}"><figure><a href="x.html">{}</a><img src="../../_images/a.svg"></figure></div>'


def test_a_tagged_figure_stands_beside_the_claim_of_its_exhibit_and_the_verdict_comes_at_a_click(tmp_path):
    notebook = next(e.notebook for e in exhibits.everything() if e.id == "hydalearn/fig5")
    labels = [exhibit.label for exhibit in exhibits.everything() if exhibit.notebook == notebook]
    file = tmp_path / "page.html"
    file.write_text(
        f'<article><h1>HydaLearn · Tables · Mortgages<a class="headerlink">#</a></h1><div class="exhibit-box">'
        f"{''.join(BOX.format(label) for label in labels)}</div>"
        + CELL.format("tag_slide tag_fig5", "first")
        + CELL.format("", "untagged")
        + CELL.format("tag_slide tag_fig5", "second")
        + "</article>",
        encoding="utf-8",
    )
    first, second = (BeautifulSoup(slide, "html.parser") for slide in slides._figures(slides._article(file), str(notebook)))
    assert first.h2.get_text() == "Figure 5 · Mortgages"
    assert "Figure 5 claim" in first.get_text()
    assert [part.get_text() for part in first.select(".fragment")] == ["Found", "1", "Figure 5"]
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
        slides.slides(tmp_path, "transfer")


@pytest.mark.parametrize("paper", list(exhibits.papers()))
def test_a_deck_has_eight_to_fifteen_slides_and_tags_name_exhibits_of_their_notebook(paper):
    tagged = 0
    for source in (paths.notebooks() / paper).glob("*.py"):
        keys = {e.id.partition("/")[2] for e in exhibits.everything(paper) if e.notebook == f"{paper}/{source.stem}"}
        for tags in re.findall(r'^# %% tags=\["slide"(.*)\]$', source.read_text(encoding="utf-8"), re.M):
            tagged += 1
            assert set(re.findall(r'"(\w+)"', tags)) <= keys
    assert 8 <= tagged + 4 <= 15
