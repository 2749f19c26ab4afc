"""A deck of slides for each paper, from the built site: the figures whose cells are tagged ``slide``, with claims and verdicts.

``python -m mtlrepro.book.slides`` writes ``book/_build/slides``, a folder that opens from disk and needs no network. A cell of a
notebook of several exhibits is tagged with the one whose verdict it shows, too: ``tags=["slide", "fig4"]``. reveal.js comes from
the package sphinx-revealjs, MathJax from the site.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup, Tag
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from mtlrepro import exhibits, paths
from mtlrepro.book import exercises
from mtlrepro.errors import MtlreproError, exit_code
from mtlrepro.files import write_text

_PAGE = """<!DOCTYPE html>
<html lang="en" data-theme="light"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="reveal/reveal.css"><link rel="stylesheet" href="book.css"><link rel="stylesheet" href="slides.css">
</head><body><div class="reveal"><div class="slides">{slides}</div></div>
<script>MathJax = {{chtml: {{matchFontHeight: false}}, options: {{enableMenu: false}}}}</script>
<script src="mathjax/es5/tex-chtml-full.js"></script><script src="reveal/reveal.js"></script>
<script>
Reveal.initialize({{width: 1280, height: 720, margin: 0, center: false, hash: true, slideNumber: "c/t", scrollLayout: "compact"}})
</script>
</body></html>
"""


def slides(site: Path, paper: str) -> list[str]:
    """The slides of a paper, HTML: its idea, the tagged figures, the first exercise and the first question for the board.

    Raises MtlreproError where the site lacks a page or a part of it.
    """
    index, lesson = (_article(site / "papers" / paper / f"{name}.html") for name in ("index", "lesson"))
    shown = [f"{_one(index, 'h1')}{_one(index, 'p')}", f"<h2>The idea</h2>{_one(index, '.diagram-figure')}"]
    for notebook in dict.fromkeys(exhibit.notebook for exhibit in exhibits.everything(paper) if exhibit.notebook):
        shown += _figures(_article(site / "exhibits" / f"{notebook}.html"), notebook)
    exercise = exercises.of_paper(paper)[0].student.with_suffix(".ipynb")
    text = nbformat.read(exercise, as_version=4).cells[0].source.replace("# Exercise", "## Exercise")
    shown.append(MarkdownIt().use(dollarmath_plugin, renderer=_formula).render(text))
    question = _one(lesson, "#questions-for-the-board li").decode_contents()
    return [*shown, f"<h2>A question for the board</h2><blockquote>{question}</blockquote>"]


def _figures(page: Tag, notebook: str) -> list[str]:
    """The tagged figures and tables of a page; the first of each exhibit beside its claim, with the verdict at the next click."""
    labels = {exhibit.id.partition("/")[2]: exhibit.label for exhibit in exhibits.everything() if exhibit.notebook == notebook}
    name = _one(page, "h1").get_text().rpartition(" · ")[2]
    boxes = dict(zip(labels, page.select(".exhibit-box .verdict-box"), strict=True))
    shown = []
    for cell in page.select(".cell.tag_slide"):
        key = next((key for key in labels if f"tag_{key}" in cell["class"]), next(iter(labels)))
        claim = ""
        if (box := boxes.pop(key, None)) and (lines := box.select_one(".in-short")):
            verdict = _one(box, "p")
            for part in (verdict, *lines.find_all(["dt", "dd"])[2:]):
                part["class"], part["data-fragment-index"] = "fragment", "0"
            claim = f'<div class="claim">{lines}{verdict}</div>'
        title = name if name.startswith(labels[key]) else f"{labels[key]} · {name}"
        shown.append(f'<h2>{title}</h2><div class="sides">{claim}{_one(cell, "figure, .table-block")}</div>')
    return shown


def _formula(text: str, options: dict[str, bool]) -> str:
    return rf"\[{text}\]" if options["display_mode"] else rf"\({text}\)"


def _article(file: Path) -> Tag:
    """The article of a page, without links: a deck stands alone."""
    if not file.exists():
        raise MtlreproError(f"{file.name} is not in the site: run `make book` first.")
    article = _one(BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser"), "article")
    for mark in article.select("a.headerlink"):
        mark.decompose()
    for link in article.select("a"):
        link.unwrap()
    for image in article.select("img"):
        image["src"] = f"images/{Path(str(image['src'])).name}"
    return article


def _one(tag: Tag, selector: str) -> Tag:
    if (part := tag.select_one(selector)) is None:
        raise MtlreproError(f"the site has no {selector} where a slide needs it: run `make book` again.")
    return part


def write(site: Path, folder: Path) -> None:
    """Write the decks of all papers into `folder` and say how long they are. Raises MtlreproError as `slides` does."""
    decks = {paper: slides(site, paper) for paper in exhibits.papers()}
    package = importlib.util.find_spec("sphinx_revealjs")
    if package is None or package.origin is None:
        raise MtlreproError("reveal.js is missing: install the book's packages again (sphinx-revealjs).")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(site / "mathjax", folder / "mathjax")
    reveal = Path(package.origin).parent / "_static" / "revealjs"
    files = [reveal / "LICENSE", reveal / "dist" / "reveal.js", reveal / "dist" / "reveal.css"]
    for source in (*files, paths.book() / "_static" / "book.css", paths.book() / "slides.css"):
        target = folder / ("reveal" if source in files else "") / source.name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)
    (folder / "images").mkdir()
    for paper, shown in decks.items():
        name, body = exhibits.papers()[paper].name, "".join(f"<section>{slide}</section>" for slide in shown)
        for image in re.findall(r'src="images/([^"]+)"', body):
            shutil.copyfile(site / "_images" / image, folder / "images" / image)
        write_text(folder / f"{paper}.html", _PAGE.format(title=name, slides=body))
        print(f"{folder / paper}.html: {len(shown)} slides")


def main() -> int:
    def work() -> int:
        write(paths.book() / "_build" / "html", paths.book() / "_build" / "slides")
        return 0

    return exit_code(work)


if __name__ == "__main__":
    raise SystemExit(main())
