"""Laws of every exhibit's page in the built site: the recorded run first, pictures described, a notebook that runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from mtlrepro import exhibits, paths, results
from mtlrepro.book import errata

pytestmark = pytest.mark.xdist_group("site")


class Blocks(HTMLParser):
    """What a page shows: figures and tables with the run they are from, pictures, and the words in tables."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.runs: list[str | None] = []
        self.pictures: list[dict[str, str | None]] = []
        self.cells: list[str] = []
        self.heads: list[str] = []
        self.captions: list[str] = []
        self.links: list[str] = []
        self._in_cell = 0
        self._into: list[str] | None = None
        self.feed(page.read_text(encoding="utf-8").partition("<article")[2].partition("</article>")[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        classes = (given.get("class") or "").split()
        if tag == "figure" or "table-block" in classes:
            self.runs.append(given.get("data-run"))
        if tag == "img":
            self.pictures.append(given)
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        self._in_cell += tag in ("td", "th")
        if tag in ("th", "figcaption"):
            self._into = self.heads if tag == "th" else self.captions
            self._into.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_cell -= tag in ("td", "th")
        self._into = None if tag in ("th", "figcaption") else self._into

    def handle_data(self, data: str) -> None:
        if self._into is not None:
            self._into[-1] += data
        if self._in_cell:
            self.cells.append(data.strip())


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Blocks]:
    found = {page.relative_to(site / "exhibits").with_suffix("").as_posix(): page for page in site.glob("exhibits/*/*.html")}
    if not found:
        pytest.skip("no exhibit was run: run `make book` first")
    return {name: Blocks(page) for name, page in found.items()}


def words(site: Path, name: str) -> str:
    """A page's article, without code and scripts."""
    text = (site / "exhibits" / f"{name}.html").read_text(encoding="utf-8").partition("<article")[2].partition("</article>")[0]
    return re.sub(r"<(script|style|pre|code)\b.*?</\1>", "", text, flags=re.DOTALL)


def recorded(notebook: str) -> bool:
    return any(results.available(exhibit.id, committed=True) for exhibit in exhibits.everything() if exhibit.notebook == notebook)


def test_the_first_figure_or_table_is_of_the_recorded_run(pages: dict[str, Blocks]) -> None:
    first = {name: page.runs[0] for name, page in pages.items() if page.runs}
    assert {name: run for name, run in first.items() if run != ("recorded" if recorded(name) else "live")} == {}


def test_no_table_is_empty_and_no_heading_stands_over_nothing(site: Path, pages: dict[str, Blocks]) -> None:
    for name in pages:
        text = words(site, name)
        assert not re.search(r"<tbody>\s*</tbody>", text), name
        assert not re.search(r"</h[2-4]>\s*</section>", text), name


def test_every_formula_is_set(site: Path, pages: dict[str, Blocks]) -> None:
    raw = {name: re.findall(r"\$[^$<>\n]{1,40}\$", re.sub(r"<[^>]+>", "", words(site, name))) for name in pages}
    assert {name: found for name, found in raw.items() if found} == {}


def test_every_figure_and_table_says_which_run_it_is_of(pages: dict[str, Blocks]) -> None:
    assert [name for name, page in pages.items() if not set(page.runs) <= {"recorded", "live"}] == []


def test_every_picture_says_what_is_seen(pages: dict[str, Blocks]) -> None:
    for name, page in pages.items():
        for picture in page.pictures:
            text = picture.get("alt") or ""
            assert len(text) > 20, name
            assert not re.search(r"\.(svg|png)|/|[0-9a-f]{20}", text.replace(" / ", " ")) or " " in text, (name, text)
            assert Path(unquote(str(picture["src"]))).stem != text, name


def test_no_table_shows_what_is_not_a_number(pages: dict[str, Blocks]) -> None:
    wrong = re.compile(r"^[-+\[\s]*(nan|inf|NaN|None|NaT)\b")
    assert {name: cell for name, page in pages.items() for cell in page.cells if wrong.match(cell)} == {}


def test_every_column_has_a_name_in_words(pages: dict[str, Blocks]) -> None:
    wrong = {name: [head for head in page.heads if not head.strip() or "_" in head] for name, page in pages.items()}
    assert {name: heads for name, heads in wrong.items() if heads} == {}


def test_numbers_and_words_are_a_readers(site: Path, pages: dict[str, Blocks]) -> None:
    """Laws: no exponent as computers write it, no zero with a sign, no fraction of a task; no formula as it is typed; no table of
    one column; no id of a claim in place of its words; places in a paper are spelled out."""
    ids = {claim.id for exhibit in exhibits.everything() for claim in exhibit.claims if "-" in claim.id}
    found = {}
    for name, page in pages.items():
        text = re.sub(r"<[^>]+>", " ", words(site, name))
        without_maths = re.sub(r"\\\(.*?\\\)|\\\[.*?\\\]", " ", text, flags=re.DOTALL)
        faults = {
            "exponents": re.findall(r"\b\d[\d.]*e[-+]\d\d", text),
            "zeros with a sign": re.findall(r"(?<![\w.)\]^{])[-+−]0(?:\.0+)?(?![\d.])", " ".join([*page.cells, *page.captions])),
            "fractions": re.findall(r"\b\d+\.0+ (?:clusters|inputs|samples|seeds|steps|tasks)\b", text),
            "formulas as typed": re.findall(r"\S*(?:\^[({\w]|_\{|\b[A-Za-zα-ω]_\w\b|\\[a-z]+)\S*", without_maths),
            "ids": ids & set(page.cells),
            "places": re.findall(r'class="place">[^<]*?\b((?:Fig|Sec|App|Thm|Prop|Eq) [\dA-Z])', words(site, name)),
            "tables of one column": [
                table for table in re.findall(r"<thead>.*?</thead>", words(site, name)) if table.count("<th") == 1
            ],
        }
        found |= {(name, fault): seen for fault, seen in faults.items() if seen}
    assert found == {}


def test_the_papers_numbers_stand_beside_ours(pages: dict[str, Blocks]) -> None:
    """Law: registered numbers of a table stand in one, with the difference where ours have a column; of a figure, in a figure."""
    lacking = {}
    for exhibit in exhibits.everything():
        if exhibit.notebook in pages and exhibit.values and exhibit.claims:
            page = pages[exhibit.notebook]
            shown = page.cells if exhibit.kind == "table" else [str(picture.get("alt")) for picture in page.pictures]
            ours = exhibit.kind == "table" and any("ours" in head for head in page.heads)
            asked = ("paper", "difference") if ours else ("paper",)
            missing = [word for word in asked if not any(word in text for text in shown)]
            lacking |= {exhibit.id: missing} if missing else {}
    assert lacking == {}


def test_each_fold_of_a_live_run_and_each_quick_record_says_what_it_is(site: Path, pages: dict[str, Blocks]) -> None:
    for name in pages:
        text = words(site, name)
        folds = re.findall(r"<summary>([^<]*This run, profile[^<]*)</summary>", text)
        assert len(folds) == len({fold.partition("This run")[0] for fold in folds}), (name, folds)
        for exhibit in exhibits.everything():
            profiles = results.available(exhibit.id, committed=True)
            if exhibit.notebook == name and exhibit.claims and profiles[-1:] == ["quick"]:
                shown = [line for line in re.findall(r"<summary><b>.*?</summary>", text) if f"<b>{exhibit.label}</b>" in line]
                assert all("(quick run)" in line for line in shown), exhibit.id
                assert "The largest recorded run is the quick one" in text, exhibit.id


def test_every_figure_has_a_caption_and_stands_once(pages: dict[str, Blocks]) -> None:
    assert [name for name, page in pages.items() if not all(caption.strip() for caption in page.captions)] == []
    for name, page in pages.items():
        shown = [picture["src"] for picture in page.pictures]
        assert len(shown) == len(set(shown)), name


def test_a_page_says_where_its_numbers_are_from_and_when_its_claims_were_written(site: Path, pages: dict[str, Blocks]) -> None:
    for exhibit in exhibits.everything():
        if exhibit.notebook in pages and results.available(exhibit.id, committed=True):
            text = (site / "exhibits" / f"{exhibit.notebook}.html").read_text(encoding="utf-8")
            recorded_run = results.load(exhibit.id, results.available(exhibit.id, committed=True)[-1], committed=True)
            line = text.partition(f">{exhibit.id}</code>")[2].partition('class="provenance">')[2].partition("</p>")[0]
            assert str(recorded_run.provenance["commit"])[:7] in line, exhibit.id
            assert re.search(r"\d{4}-\d\d-\d\d", line), exhibit.id
            assert f"papers/{exhibit.paper}/index.html#history-of-claims" in line, exhibit.id
            assert len(recorded_run.rows) == 0 or f"rows/{exhibit.id}." in line, exhibit.id


def test_errata_and_pages_lead_to_each_other(site: Path, pages: dict[str, Blocks]) -> None:
    listed = (site / "errata.html").read_text(encoding="utf-8")
    for entry in errata.entries():
        if entry.evidence.notebook in pages:
            assert f"exhibits/{entry.evidence.notebook}.html#{entry.evidence.anchor}" in listed
            assert f"#{entry.evidence.anchor}" in pages[entry.evidence.notebook].links
            assert "../../errata.html" in pages[entry.evidence.notebook].links


def test_no_two_pages_have_one_title(site: Path) -> None:
    titles = Counter(
        re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8").partition("<title>")[2].partition("</title>")[0])
        for page in site.rglob("*.html")
        if "_static" not in page.parts and page != site / "index.html"
    )
    assert {title: count for title, count in titles.items() if count > 1} == {}


def test_the_download_button_gives_the_source_notebook(site: Path, pages: dict[str, Blocks]) -> None:
    for name in pages:
        text = (site / "exhibits" / f"{name}.html").read_text(encoding="utf-8")
        assert f"_downloads/notebooks/{name}.ipynb" in text, name
        served = json.loads((site / "_downloads" / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
        assert any("parameters" in cell["metadata"].get("tags", []) for cell in served["cells"]), name


@pytest.mark.slow
def test_a_downloaded_notebook_runs(site: Path, pages: dict[str, Blocks], tmp_path: Path) -> None:
    """The three quickest, by the command that a reader gives; in a process of its own, as the browser holds this one's loop."""

    def seconds(name: str) -> float:
        return float(json.loads((paths.project() / "runs" / "book" / f"{name}.status.json").read_text())["seconds"])

    if not (paths.project() / "runs" / "book").is_dir():
        pytest.skip("the site was not built from notebooks run here")
    for name in sorted(pages, key=seconds)[:3]:
        notebook = site / "_downloads" / "notebooks" / f"{name}.ipynb"
        command = [sys.executable, "-m", "papermill", str(notebook), str(tmp_path / "out.ipynb"), "-p", "profile", "quick"]
        done = subprocess.run(command, cwd=paths.project(), capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, (name, done.stderr[-2000:])


def test_the_site_is_small_and_holds_no_sources_of_pages(site: Path) -> None:
    assert not (site / "_sources").exists()
    assert sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) < 25_000_000
