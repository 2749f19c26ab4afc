"""Pages made from executed notebooks: what a reader needs, and nothing of the machinery."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from registered import EXHIBIT

from mtlrepro import exhibits, paths
from mtlrepro.book import pages
from mtlrepro.errors import MtlreproError

Write = Callable[..., pages.Page]


def everything(notebook: nbformat.NotebookNode) -> str:
    return nbformat.writes(notebook)


def test_parameters_are_a_folded_list_at_the_end_and_no_raw_cell(executed: Write) -> None:
    notebook = pages.convert(executed())
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert not any("seeds:" in source or "seeds =" in source or "params(" in source for source in code)
    assert not any({"parameters", "injected-parameters"} & set(cell.metadata.get("tags", [])) for cell in notebook.cells)
    assert "raw-parameters" not in everything(notebook)
    foot = notebook.cells[-1].source
    assert ":::::{dropdown} Parameters of this run" in foot
    assert ":open:" not in foot
    assert "| `seeds` | `4` | how many seeds |" in foot
    assert "| `profile` | `quick` | quick, full or paper |" in foot


def test_a_parameter_left_to_the_profile_shows_the_profiles_value(executed: Write) -> None:
    page = executed(given={"profile": "quick"})
    expected = pages.parameters.profile_values(EXHIBIT.id, "quick").get("seeds")
    assert f"| `seeds` | `{json.dumps(expected)}` |" in pages.convert(page).cells[-1].source


def test_title_verdict_and_claim_come_before_anything_else(executed: Write) -> None:
    text = pages.convert(executed()).cells[0].source
    paper = exhibits.papers()[EXHIBIT.paper].name
    assert text.splitlines()[0] == f"# {paper} · {EXHIBIT.label} · A test"
    assert text.index(f"```{{exhibit-header}} {EXHIBIT.notebook}") < text.index("The claim")


def test_a_figure_is_a_block_with_its_run_caption_and_description_and_without_code(executed: Write) -> None:
    cells = [cell for cell in pages.convert(executed()).cells if "figure" in cell.metadata.get("mystnb", {})]
    (cell,) = cells
    assert "remove-input" in cell.metadata["tags"]
    assert cell.metadata["mystnb"]["image"]["alt"] == "A rising curve."
    assert cell.metadata["mystnb"]["figure"] == {"caption": "The curve, $n = 4$.", "classes": "exhibit-figure run-recorded"}
    assert list(cell.outputs[0].data) == ["image/svg+xml"]


def test_code_without_outputs_of_its_own_is_folded_at_the_end(executed: Write) -> None:
    notebook = pages.convert(executed())
    foot = notebook.cells[-1].source
    assert ":::::{dropdown} The code of this page" in foot
    assert "import torch" in foot
    assert "page.table(rows)" in foot
    assert not any("import torch" in cell.source for cell in notebook.cells if cell.cell_type == "code")


def test_progress_is_left_out_and_results_are_kept(executed: Write) -> None:
    text = everything(pages.convert(executed()))
    assert "50%" not in text
    assert '"4\\n"' in text
    assert "image/png" in text


def test_a_picture_without_a_description_gets_the_heading_above_it(executed: Write) -> None:
    cells = [cell for cell in pages.convert(executed()).cells if "image" in cell.metadata.get("mystnb", {})]
    assert [cell.metadata["mystnb"]["image"]["alt"] for cell in cells] == ["A rising curve.", "Figure: The curve"]


def test_a_failed_notebook_says_so_with_its_error(executed: Write) -> None:
    page = executed(state="failed", error="unknown parameter 'sedes', did you mean 'seeds'?")
    head = pages.convert(page).cells[0].source
    assert "{admonition} This notebook failed\n:class: danger" in head
    assert "did you mean 'seeds'?" in head


def test_a_failed_notebook_without_any_output_still_has_a_page(executed: Write) -> None:
    page = executed(state="failed", error="DeadKernelError: kernel died")
    page.executed.unlink()
    notebook = pages.convert(page)
    assert notebook.cells[0].source.startswith("# ")
    assert "kernel died" in notebook.cells[0].source


def test_collecting_twice_changes_nothing_and_drops_pages_without_notebook(
    executed: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "pages"
    monkeypatch.setattr(pages, "pages_folder", lambda: target)
    monkeypatch.setattr(pages, "toc_file", lambda: tmp_path / "_toc.yml")
    executed()
    stale = target / EXHIBIT.paper / "gone.ipynb"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")
    pages.collect(tmp_path)
    page = target / f"{EXHIBIT.notebook}.ipynb"
    before, stamp = page.read_bytes(), page.stat().st_mtime_ns
    toc = (tmp_path / "_toc.yml").read_bytes()
    pages.collect(tmp_path)
    assert not stale.exists()
    assert (page.read_bytes(), page.stat().st_mtime_ns) == (before, stamp)
    assert (tmp_path / "_toc.yml").read_bytes() == toc


def test_a_full_disk_is_one_line_and_the_pages_before_stay(
    executed: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_disk: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pages, "pages_folder", lambda: tmp_path / "pages")
    monkeypatch.setattr(pages, "toc_file", lambda: tmp_path / "_toc.yml")
    monkeypatch.setattr(pages, "executed_folder", lambda: tmp_path)
    executed()
    page = tmp_path / "pages" / f"{EXHIBIT.notebook}.ipynb"
    page.parent.mkdir(parents=True)
    page.write_text("the page before")
    with small_disk(500):
        assert pages.main([]) == 1
    assert page.read_text() == "the page before"
    assert not list(tmp_path.rglob("*.part"))
    assert capsys.readouterr().err.count("\n") == 1
    assert pages.main([]) == 0
    assert page.read_text() != "the page before"


def test_a_disk_that_fills_up_under_jupyter_book_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Traceback (most recent call last):\n  ...\nOSError: [Errno 28] No space left on device\n"
    monkeypatch.setattr(pages.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", said))
    (tmp_path / "_toc.yml").write_text("root: intro\n")
    with pytest.raises(MtlreproError, match=r"^disk full while writing .*_build: free some space and give the same command\.$"):
        pages.render(tmp_path / "_toc.yml", tmp_path)


def test_a_notebook_that_no_exhibit_names_is_refused(executed: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executed()
    monkeypatch.setattr(pages.exhibits, "everything", lambda paper=None: [])
    with pytest.raises(MtlreproError, match="belongs to no exhibit"):
        pages.find(tmp_path)


def test_a_damaged_status_names_the_file(executed: Write, tmp_path: Path) -> None:
    executed()
    (tmp_path / f"{EXHIBIT.notebook}.status.json").write_text("{")
    with pytest.raises(MtlreproError, match=r"status.json is damaged"):
        pages.find(tmp_path)


def test_the_contents_list_only_pages_that_exist_below_their_paper() -> None:
    toc = pages.contents({EXHIBIT.notebook: "Figure 9 · A title"})
    chapters = {chapter["file"]: chapter for part in toc["parts"] for chapter in part["chapters"]}
    mine = f"papers/{EXHIBIT.paper}/index"
    page = {"file": f"exhibits/{EXHIBIT.notebook}", "title": "Figure 9 · A title"}
    assert chapters[mine]["sections"] == [{"file": f"papers/{EXHIBIT.paper}/lesson"}, page]
    assert all(len(chapter.get("sections", [])) <= 1 for name, chapter in chapters.items() if name != mine)


def test_every_paper_and_every_page_of_prose_is_in_the_contents() -> None:
    toc = pages.contents({})
    listed = {chapter["file"] for part in toc["parts"] for chapter in part["chapters"]} | {toc["root"]}
    assert {f"papers/{key}/index" for key in exhibits.papers()} <= listed
    written = {path.relative_to(paths.book()).with_suffix("").as_posix() for path in paths.book().glob("**/*.md")}
    listed |= {f"papers/{key}/lesson" for key in exhibits.papers()}
    assert {name for name in written if not name.startswith(("_", "exhibits", "results", "comparison"))} == listed


@pytest.mark.parametrize(
    "given", [{"profile": "quick", "seeds": 3}, {"profile": "full", "sizes": [1, 2], "name": "it's", "flag": True}]
)
def test_the_command_names_every_given_value_once(executed: Write, given: dict[str, object]) -> None:
    words = shlex.split(pages.command(executed(), given))
    assert words[:3] == ["papermill", f"notebooks/{EXHIBIT.notebook}.ipynb", "out.ipynb"]
    found: dict[str, object] = {}
    rest = words[3:]
    while rest:
        if rest[0] == "-p":
            found[rest[1]], rest = rest[2], rest[3:]
        else:
            found |= json.loads(rest[1])
            rest = rest[2:]
    assert {name: value if isinstance(value, list | bool) else str(value) for name, value in given.items()} == found


def test_only_the_lines_that_read_parameters_are_removed() -> None:
    reads = 'p = params(\n    "paper/exhibit",\n    globals(),\n)'
    source = f"from mtlrepro.parameters import params\nimport torch\n\n{reads}\nx = torch.ones(p.seeds)"
    assert pages.without_params(source) == "import torch\n\nx = torch.ones(p.seeds)"
    assert pages.without_params("%timeit f()") == "%timeit f()"


def test_a_note_keeps_its_title() -> None:
    assert pages.titled_notes(":::{note} Our reading\nText\n:::") == ":::{admonition} Our reading\n:class: note\nText\n:::"
    assert pages.titled_notes(":::{note}\nText\n:::") == ":::{note}\nText\n:::"


def test_numbers_in_tables_are_marked_and_words_are_not() -> None:
    number = '<td class="number">'
    assert pages.marked_numbers("<td>-1.5e-17</td><td>60</td>") == f"{number}-1.5e-17</td>{number}60</td>"
    assert pages.marked_numbers("<td>rank deficient</td><td>3 of 4 hold</td>") == "<td>rank deficient</td><td>3 of 4 hold</td>"


def test_no_key_of_the_bibliography_stands_twice():
    """The book's own entries and those of all papers are one file, which the build refuses with a repeated key."""
    keys = re.findall(r"^@\w+\{([^,]+),", pages.bibliography(), re.MULTILINE)
    assert keys
    assert len(keys) == len(set(keys))
