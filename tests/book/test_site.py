"""The built site as files: complete, self-contained, and readable."""

from __future__ import annotations

import json
import re
import runpy
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest
from docutils import nodes
from docutils.utils import new_document
from registered import EXHIBIT
from sphinx import addnodes

from mtlrepro import exhibits, paths
from mtlrepro.book import findings
from mtlrepro.files import read_yaml
from mtlrepro.results import cost
from mtlrepro.results.digest import git

pytestmark = pytest.mark.xdist_group("site")


class Links(HTMLParser):
    """Every address that a page names, those it loads by itself, and the ids that it defines."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        found = [given[name] for name in ("href", "src") if name in given]
        self.addresses += found
        if tag in {"script", "img", "iframe", "link", "source", "video", "audio"}:
            self.loaded += found


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    return {page.resolve(): Links(page) for page in site.rglob("*.html") if "_static" not in page.parts}


def internal(pages: dict[Path, Links]) -> Iterator[tuple[Path, str, Path, str]]:
    for page, links in pages.items():
        for address in links.addresses:
            parts = urlsplit(address)
            if not parts.scheme and not parts.netloc:
                target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
                yield page, address, target, unquote(parts.fragment)


def test_every_internal_link_leads_to_a_file_and_a_place_in_it(pages: dict[Path, Links]) -> None:
    broken = {
        (page.name, address)
        for page, address, target, fragment in internal(pages)
        if not target.exists() or (fragment and target in pages and fragment not in pages[target].ids)
    }
    # The theme's own empty anchors.
    assert {link for link in broken if link[1] not in {"#", "#main-content"}} == set()


def test_a_page_is_small(pages: dict[Path, Links]) -> None:
    """Law: a page with its pictures is under 1 MB, the scoreboard's explorer among them; scripts and styles come once a site."""

    def size(page: Path, links: Links) -> int:
        loaded = {(page.parent / unquote(urlsplit(address).path)).resolve() for address in links.loaded}
        return sum(file.stat().st_size for file in {page, *loaded} if file == page or "_images" in file.parts)

    assert {page.name: size(page, links) for page, links in pages.items() if size(page, links) > 1_000_000} == {}


def test_one_of_each_is_per_not_a(pages: dict[Path, Links]) -> None:
    """Law: "per seed", not "a seed"."""
    per = (
        r"\b(one (?!of\b|as\b|with\b)[a-z]+|seconds|steps|loss|samples|images|models|gradients|cost|labels|rows|trainings) "
        r"an? (seed|step|task|cluster|batch|class|pixel|second|record|method|problem|diagnosis|training|pass)\b"
    )
    found = {}
    for page in pages:
        article = page.read_text(encoding="utf-8").partition("<article")[2].partition("</article>")[0]
        text = re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style|pre|code)\b.*?</\1>", "", article, flags=re.DOTALL))
        found[page.name] = [match[0] for match in re.finditer(per, re.sub(r"\s+", " ", text))]
    assert {name: some for name, some in found.items() if some} == {}


def test_no_page_loads_anything_from_elsewhere(pages: dict[Path, Links]) -> None:
    outside = {address for links in pages.values() for address in links.loaded if urlsplit(address).scheme not in {"", "data"}}
    assert outside == set()


def test_all_exhibits_stand_on_the_scoreboard_and_on_their_papers_page(site: Path) -> None:
    board = (site / "scoreboard.html").read_text(encoding="utf-8")
    for exhibit in exhibits.everything():
        line = next((row for row in board.split("<tr") if f">{exhibit.id}</code>" in row), "")
        assert f'href="exhibits/{exhibit.notebook}.html"' in line or not (site / f"exhibits/{exhibit.notebook}.html").exists()
        assert f'href="_downloads/notebooks/{exhibit.notebook}.ipynb"' in line, exhibit.id
        recorded = [
            file.name for file in (site / "_downloads" / "rows" / exhibit.paper).glob(f"{exhibit.id.partition('/')[2]}.*")
        ]
        assert all(f'href="_downloads/rows/{exhibit.paper}/{name}"' in line for name in recorded), exhibit.id
    for key in exhibits.papers():
        page = (site / "papers" / key / "index.html").read_text(encoding="utf-8")
        assert [exhibit.id for exhibit in exhibits.everything(key) if f">{exhibit.id}</code>" not in page] == []


def test_the_front_page_tells_up_to_ten_findings_each_with_its_outcome_and_a_number(site: Path) -> None:
    page = (site / "intro.html").read_text(encoding="utf-8").partition('<ol class="findings">')[2].partition("</ol>")[0]
    items = page.split("<li>")[1:]
    assert len(items) == min(10, sum(bool(told.sentence) for told in findings.judged_findings()))
    for item in items:
        assert re.match(r'<span class="outcome [a-z-]+">[✓◐✗⇄] [a-z ]+</span> [A-Z]', item)
        assert re.search(r"\d", re.sub(r"<[^>]+>", "", item.partition('<span class="run">')[0]))


def test_each_paper_shows_the_history_of_its_claims(site: Path) -> None:
    for key in exhibits.papers():
        page = (site / "papers" / key / "index.html").read_text(encoding="utf-8").partition('id="history-of-claims"')[2]
        assert f"mtlrepro/papers/{key}/exhibits.yaml" in page
        if git(paths.project(), "log", "-1"):
            assert re.search(r"<td>\d{4}-\d\d-\d\d</td><td>[0-9a-f]{7,}</td>", page.partition("</details>")[0])


def test_exhibit_pages_fold_their_parameters(site: Path) -> None:
    for page in site.glob("exhibits/*/*.html"):
        text = page.read_text(encoding="utf-8")
        box = re.search(r'<details class="[^"]*run-parameters[^"]*"[^>]*>', text)
        assert box is not None, page.name
        assert " open" not in box[0]
        shown = re.sub(r"<[^>]+>", "", text.partition("<article")[2])
        assert not re.search(r"\bparams\(", shown), page.name


def test_every_page_says_how_to_cite_the_book_and_the_pages_of_a_paper_the_paper(site: Path, pages: dict[Path, Links]) -> None:
    for page in pages:
        kind = page.relative_to(site.resolve()).parts[0]
        if kind not in ("genindex.html", "search.html", "index.html"):
            cited = re.findall(r'<pre class="bibtex">@(\w+)\{', page.read_text(encoding="utf-8"))
            assert cited[:1] == ["software"], page
            assert len(cited) == 1 + (kind in ("papers", "exhibits")), page


def test_who_cites_the_book_finds_every_paper_in_its_citation_file() -> None:
    cited = {reference["title"].casefold() for reference in read_yaml(paths.project() / "CITATION.cff")["references"]}
    assert {paper.title.casefold() for paper in exhibits.papers().values()} <= cited


def test_mathjax_brings_its_licence(site: Path) -> None:
    assert "Apache License" in (site / "mathjax" / "LICENSE").read_text(encoding="utf-8")


def test_the_first_use_of_a_term_in_running_text_leads_to_the_glossary(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is written there; not in headings or tables, and not once a page's own words lead to it."""
    monkeypatch.syspath_prepend(str(paths.book() / "_ext"))
    import mtlrepro_book

    def linked(name: str) -> list[tuple[str, str]]:
        page = new_document("")
        text = "Gates, not agates: a gate. A target and an auxiliary task."
        page += [nodes.title("", "A verdict"), nodes.entry("", nodes.paragraph("", "A seed")), nodes.paragraph("", text)]
        page += nodes.paragraph("", "", addnodes.pending_xref("", reftype="term", reftarget="target"))
        mtlrepro_book.link_terms(SimpleNamespace(env=SimpleNamespace(docname=name)), page)
        links = page.findall(addnodes.pending_xref)
        return [(link["reftarget"], link.astext()) for link in links if link.astext()]

    assert linked("a/page") == [("gate", "Gates"), ("auxiliary task", "auxiliary task")]
    assert linked("glossary") == []


def test_every_term_that_is_linked_is_in_the_glossary_and_each_once_a_page(pages: dict[Path, Links], site: Path) -> None:
    shown = {page.name: Counter(a for a in links.addresses if "glossary.html#term-" in a) for page, links in pages.items()}
    assert shown["reading.html"].total() > 5
    assert {name: count for name, count in shown.items() if count and count.most_common(1)[0][1] > 1} == {}


def test_without_a_recorded_run_the_word_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(paths.book() / "_ext"))
    import mtlrepro_book

    monkeypatch.setattr(mtlrepro_book.results, "available", lambda name, committed=False: [])
    planned = EXHIBIT.model_copy(update={"notebook": None})
    for exhibit, failed, word in (
        (EXHIBIT, {EXHIBIT.notebook}, "run failed"), (EXHIBIT, set(), "not run yet"), (planned, set(), "planned"),
    ):  # fmt: skip
        monkeypatch.setattr(mtlrepro_book, "failed_notebooks", lambda failed=failed: frozenset(failed))
        assert mtlrepro_book.standing(exhibit).verdict == word
        assert f'class="verdict {word.replace(" ", "-")}"' in mtlrepro_book.verdict_lines(exhibit, "")


def test_the_jobs_of_a_full_run_are_all_notebooks_with_what_they_ask_for_and_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """Laws: each exhibit stands in one job; minutes are the recorded run's own, the longest of its exhibits; none is invented."""
    monkeypatch.syspath_prepend(str(paths.book() / "_ext"))
    import mtlrepro_book

    shown = mtlrepro_book.job_table(lambda notebook, text: f"{notebook}: {text}")
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in shown.partition("<tbody>")[2].split("</tr>")[:-1]]
    assert [name for name, *_ in rows] == list(
        dict.fromkeys(
            f"{one.notebook}: {', '.join(each.id for each in exhibits.everything() if each.notebook == one.notebook)}"
            for one in exhibits.everything() if one.notebook
        )
    )  # fmt: skip
    hours = 0.0
    for name, memory, minutes, took in rows:
        notebook, _, served = name.partition(": ")
        asked = cost.resources(notebook, "full")
        assert (memory, minutes) == (f"{asked['mem_mb']:,}", f"{asked['runtime']:,}")
        files = [paths.recorded() / f"{one}.full.json" for one in served.split(", ")]
        if not all(file.exists() for file in files):
            assert took == "not recorded"
            continue
        seconds = max(json.loads(file.read_text())["provenance"]["seconds"] or 0 for file in files)
        assert took == f"{seconds / 60:.1f}"
        hours += seconds / 3600
    assert f"took {hours:.1f} hours of a core" in shown


def test_the_page_on_clusters_shows_the_jobs(site: Path) -> None:
    text = (site / "rerunning.html").read_text(encoding="utf-8").partition('id="on-a-cluster"')[2].partition("<section")[0]
    assert 'aria-label="Jobs of a full run"' in text
    assert f'href="exhibits/{EXHIBIT.notebook}.html"' in text or not (site / f"exhibits/{EXHIBIT.notebook}.html").exists()


@pytest.mark.parametrize("key", exhibits.papers())
def test_diagrams_are_well_formed_pictures_with_a_name(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(paths.book() / "_ext"))
    draw = runpy.run_path(str(paths.book() / "papers" / key / "diagram.py"))["draw"]
    picture = ElementTree.fromstring(draw().replace("&#8203;", "\u200b"))
    assert picture.get("role") == "img"
    assert picture.get("aria-label")


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_colours_have_enough_contrast(mode: str) -> None:
    """WCAG AA: at least 4.5 to 1 for text."""
    style = (paths.book() / "_static" / "book.css").read_text(encoding="utf-8")
    block = re.findall(r"\{([^{}]*--ok-bg[^{}]*)\}", style)[mode == "dark"]
    colour = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6})", block))
    ground = {"light": "#ffffff", "dark": "#121212"}[mode]
    pairs = [(f"{name}-fg", f"{name}-bg") for name in ("ok", "part", "no", "unsure", "none")] + [("soft", "panel")]
    for text, behind in [*((colour[a], colour[b]) for a, b in pairs), (colour["soft"], ground), (colour["a"], colour["panel"])]:
        light, dark = sorted((_luminance(text), _luminance(behind)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, behind)
