"""The built site as PDF, printed by a headless Chromium over the book's print style sheet: the article, and the whole book.

``python -m mtlrepro.book.pdf`` writes ``book/_build/pdf/article.pdf`` and ``book.pdf``; nothing of it needs a network.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
from itertools import pairwise
from math import inf
from pathlib import Path

import yaml
from bs4 import BeautifulSoup

from mtlrepro import paths
from mtlrepro.book import pages
from mtlrepro.errors import DataMissing, MtlreproError, exit_code
from mtlrepro.files import write_text

ARTICLE = "article"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# A drawing by matplotlib: its size, and for each of its axes the lowest and the highest place of the frame.
_SIZE = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_AXES = re.compile(r'<g id="axes_\d+">\s*<g id="patch_\d+">\s*<path d="M [\d.]+ ([\d.]+)\s*L [\d.]+ [\d.]+\s*L [\d.]+ ([\d.]+)')
_HIGHEST = 620.0  # points that a picture may take of a sheet
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", "--generate-pdf-document-outline",
    "--virtual-time-budget=120000",
)  # fmt: skip


def order(toc: Path, site: Path) -> list[str]:
    """The pages of the book in the order of its table of contents, such as ``papers/x/index``; those that were built."""
    content = yaml.safe_load(toc.read_text(encoding="utf-8"))
    chapters = [chapter for part in content["parts"] for chapter in part.get("chapters", [])]
    names = [content["root"], *(entry["file"] for chapter in chapters for entry in (chapter, *chapter.get("sections", [])))]
    return [name for name in names if (site / f"{name}.html").exists()]


def combined(site: Path, names: list[str]) -> str:
    """One page with the articles of `names`, each from the top of a sheet; the first at the site's top, better one with formulas,
    gives the head."""
    heads = [(site / f"{name}.html").read_text(encoding="utf-8").partition("<body")[0] for name in names if "/" not in name]
    head = max(heads, key=lambda head: "mathjax" in head)
    articles = "".join(article(site, name, names) for name in names)
    body = f'<main class="bd-content"><div class="bd-article-container">{articles}</div></main>'
    return f'{head}<body class="printed">{body}</body></html>'


def article(site: Path, name: str, names: list[str]) -> str:
    """The article of one page, its pictures as reached from the site's top, folded solutions and answers at its end.

    What it links to in `names` is a place of the same file; a link to another file of the site is text alone, as nobody who is
    handed the PDF has that. Raises MtlreproError where the page has no article.
    """
    page = BeautifulSoup((site / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
    if (part := page.article) is None:
        raise MtlreproError(f"{name}.html has no article to print.")
    part["id"] = _place(name, "")
    for tag in part.select("[id]:not(svg *)"):  # a drawing's parts name each other
        tag["id"] = _place(name, str(tag["id"]))
    for tag in part.select("[src], a[href]"):
        attribute = "src" if tag.has_attr("src") else "href"
        path, _, place = str(tag[attribute]).partition("#")
        if re.match(r"[a-z]+:|/", path):
            continue
        file = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else f"{name}.html"
        if attribute == "src":
            tag["src"] = file
        elif (target := file.removesuffix(".html")) in names:
            tag["href"] = f"#{_place(target, place)}"
        else:
            tag.unwrap()
    for image in part.select('figure img[src$=".svg"]'):
        source = str(image["src"])
        pieces = cut(site / source) if (site / source).is_file() else []
        for top, width, height in pieces if len(pieces) > 1 else ():
            scale = min(1, _HIGHEST / height)
            style = f"display: block; width: {scale * width:.1f}pt; height: {scale * height:.1f}pt; max-height: none;"
            view = f"{source}#svgView(viewBox(0,{top:g},{width:g},{height:g}))"
            image.insert_before(page.new_tag("img", attrs={"src": view, "alt": str(image["alt"]), "style": style}))
        if len(pieces) > 1 and (figure := image.find_parent("figure")):
            figure["style"] = "break-inside: auto;"
            image.decompose()
    solutions = page.new_tag("section")
    solutions.append(page.new_tag("h2", string="Solutions"))
    titles = [title for title in part.select("details .sd-summary-text") if title.get_text() in ("Solution", "Answer")]
    for number, title in enumerate(titles, 1):
        if fold := title.find_parent("details"):
            title.append(f" {number}")
            fold.replace_with(page.new_tag("p", string=f"{title.get_text()}: at the end of this page."))
            solutions.append(fold)
    if solutions.details:
        part.append(solutions)
    return str(part)


def cut(drawing: Path) -> list[tuple[float, float, float]]:
    """Pieces of a drawing, cut between rows of its axes where it is too tall for a sheet: top, width and height in points."""
    text = drawing.read_text(encoding="utf-8")
    width, height = map(float, size.groups()) if (size := _SIZE.search(text)) else (1.0, 1.0)
    rows = sorted({(float(top), float(bottom)) for bottom, top in _AXES.findall(text)})
    between = [(above + below) / 2 for (_, above), (below, _) in pairwise(rows) if above < below]
    pieces, start = [], 0.0
    for end, following in pairwise([*between, height, inf]):
        if following - start > 2 * width:
            pieces.append((start, width, end - start))
            start = end
    return pieces


def _place(name: str, place: str) -> str:
    """An id of a page as that of the combined one."""
    return f"{name}.{place}"


def printed(page: Path, target: Path) -> Path:
    """Print one page of the site. Raises DataMissing where there is no Chromium, MtlreproError where it does not print."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise DataMissing("no Chromium on this machine: install one (Debian: apt install chromium) to print the book.")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    words = [browser, *_OPTIONS, f"--print-to-pdf={target}", page.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not target.exists():
        raise MtlreproError(f"{page.name} was not printed:\n{done.stderr[-2000:]}")
    return target


def main() -> int:
    return exit_code(_write)


def _write() -> int:
    site, folder = paths.book() / "_build" / "html", paths.book() / "_build" / "pdf"
    if not (site / f"{ARTICLE}.html").exists():
        raise MtlreproError("No book yet: run `make book` first.")
    whole = site / "print.html"
    try:
        for name, names in ((ARTICLE, [ARTICLE]), ("book", order(pages.toc_file(), site))):
            write_text(whole, combined(site, names))
            print(printed(whole, folder / f"{name}.pdf"))
    finally:
        whole.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
