"""Executed notebooks -> book pages -> built book.

``python -m mtlrepro.book.pages`` collects: every executed notebook in runs/book becomes a page in book/exhibits, and
book/_build/_toc.yml lists the pages that exist. ``--build`` collects and then builds book/_build/html. The book computes
nothing: verdicts, data sets and errata are read by book/_ext/mtlrepro_book.py while it is built.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml

from mtlrepro import exhibits, parameters, paths
from mtlrepro.errors import DISK_FULL, MtlreproError, exit_code, print_anywhere
from mtlrepro.files import write_text
from mtlrepro.results.page import METADATA

# nbformat's NotebookNode, a dict with attributes: it carries no types.
Cell = Any
Notebook = Any

# Code cells of more lines than this are folded on the page: a reader sees the story and the figures first.
_LONG = 12
# Between paper, exhibits and name in the title of a page.
TITLE_PARTS = " · "
# The caption in book/_toc.yml under which the papers stand.
_PAPERS = "The papers"

# Cells that papermill adds around a failure; the page says it better.
_PAPERMILL = {"papermill-error-cell-tag", "injected-parameters"}


_STOPPED = ":::{admonition} The run stopped here\n:class: danger\n\nThe cells below were not run.\n:::"


@dataclass(frozen=True)
class Declared:
    """One parameter as its notebook declares it. comment: what the line says after ``#``."""

    name: str
    value: Any
    comment: str


@dataclass(frozen=True)
class Page:
    """An executed notebook that becomes a page. name: such as ``transfer/fig3_transfer_curves``."""

    name: str
    executed: Path
    state: str
    error: str
    profile: str
    seconds: float | None

    @property
    def exhibits(self) -> list[exhibits.Exhibit]:
        return [exhibit for exhibit in exhibits.everything() if exhibit.notebook == self.name]


def executed_folder() -> Path:
    """Where the workflow leaves executed notebooks."""
    return paths.project() / "runs" / "book"


def pages_folder() -> Path:
    return paths.book() / "exhibits"


def toc_file() -> Path:
    """The table of contents with the papers and their pages in it; book/_toc.yml is the part written by hand."""
    return paths.book() / "_build" / "_toc.yml"


def find(folder: Path | None = None) -> list[Page]:
    """The executed notebooks under `folder` (default: runs/book) whose source still exists, in the registry's order.

    Raises MtlreproError for a notebook that no exhibit of the registry names, and for an unreadable status file.
    """
    folder = folder or executed_folder()
    found = {}
    for status in sorted(folder.glob("*/*.status.json")):
        name = status.relative_to(folder).as_posix().removesuffix(".status.json")
        if not any((paths.notebooks() / f"{name}{suffix}").exists() for suffix in (".ipynb", ".py")):
            continue  # left over from a notebook that was renamed or removed
        try:
            content = json.loads(status.read_text(encoding="utf-8"))
            found[name] = Page(
                name, folder / f"{name}.ipynb", content["state"], content.get("error", ""),
                content.get("profile", "quick"), content.get("seconds"),
            )  # fmt: skip
        except (ValueError, KeyError) as error:
            raise MtlreproError(f"{status} is damaged ({error}): delete it and run `make book` again.") from None
    order = list(dict.fromkeys(exhibit.notebook for exhibit in exhibits.everything()))
    for name in found:
        if name not in order:
            raise MtlreproError(f"notebooks/{name}.ipynb belongs to no exhibit: name it in its paper's exhibits.yaml.")
    return sorted(found.values(), key=lambda page: order.index(page.name))


def collect(folder: Path | None = None) -> list[Page]:
    """Write the page of every executed notebook and the table of contents; delete pages whose notebook is gone.

    Running it twice changes nothing. Raises as `find` does.
    """
    pages = find(folder)
    written = {pages_folder() / f"{page.name}.ipynb": convert(page) for page in pages}
    for old in pages_folder().glob("*/*"):
        if old.is_file() and old not in written:
            old.unlink()
    for target, notebook in written.items():
        text = nbformat.writes(notebook) + "\n"
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            write_text(target, text)
    titles = [notebook.cells[0].source.partition("\n")[0] for notebook in written.values()]
    # The paper's name stands above its pages already.
    short = [title.lstrip("# ").partition(TITLE_PARTS)[2] or title.lstrip("# ") for title in titles]
    write_contents(dict(zip((page.name for page in pages), short, strict=True)), toc_file().parent)
    return pages


def write_contents(titles: Mapping[str, str], folder: Path) -> None:
    """Write what is generated beside the pages: the table of contents, of `titles`, into `folder`, and the bibliography."""
    write_text(folder / "_toc.yml", yaml.safe_dump(contents(titles), sort_keys=False, allow_unicode=True))
    write_text(pages_folder() / "references.bib", bibliography())


def contents(titles: Mapping[str, str]) -> dict[str, Any]:
    """book/_toc.yml with a chapter for each paper and its pages below. titles: ``paper/notebook`` -> title in the side bar."""
    toc: dict[str, Any] = yaml.safe_load((paths.book() / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc["parts"]:
        if part["caption"] == _PAPERS:
            part["chapters"] = [_chapter(key, titles) for key in exhibits.papers()]
    return toc


def _chapter(paper: str, titles: Mapping[str, str]) -> dict[str, Any]:
    own = {name: title for name, title in titles.items() if name.startswith(f"{paper}/")}
    sections = [{"file": f"exhibits/{name}", "title": title} for name, title in own.items()]
    return {"file": f"papers/{paper}/index", "sections": [{"file": f"papers/{paper}/lesson"}, *sections]}


def bibliography() -> str:
    """The book's bibliography: its own and that of each paper."""
    files = [paths.book() / "references.bib", *(paths.book() / "papers" / key / "references.bib" for key in exhibits.papers())]
    return "\n".join(file.read_text(encoding="utf-8") for file in files if file.exists())


def convert(page: Page) -> Notebook:
    """The page of one executed notebook: what a reader needs, without the machinery of running it.

    Title, verdict and claim; then figures and tables, each a block of its own; the code that made them and the parameters are
    folded at the end.
    """
    notebook = nbformat.read(page.executed, as_version=4) if page.executed.exists() else nbformat.v4.new_notebook()
    given = dict(notebook.metadata.get("papermill", {}).get("parameters") or {"profile": page.profile})
    declared: list[Declared] = []
    cells: list[Cell] = []
    code: list[str] = []
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", []))
        if "parameters" in tags:
            declared = declarations(cell.source)
        if tags & (_PAPERMILL | {"parameters"}):
            continue
        if cell.cell_type == "code":
            shown, folded = code_cells(cell, tags)
            cells += shown
            code += [folded] if folded else []
            if page.state != "ok" and any("hide-output" in made.metadata.get("tags", []) for made in shown):
                cells.append(nbformat.v4.new_markdown_cell(_STOPPED))
        elif cell.cell_type == "markdown":
            cells.append(nbformat.v4.new_markdown_cell(titled_notes(cell.source)))
    title, claim, body = _split_title(cells, page)
    head = [title, header(page), *([failure(page)] if page.state != "ok" else []), claim]
    _describe_images(title, body)
    foot = [code_dropdown(code), parameters_dropdown(page, declared, given)]
    first, last = (nbformat.v4.new_markdown_cell("\n\n".join(filter(None, part))) for part in (head, foot))
    notebook.cells = [first, *(cell for cell in body if cell.cell_type != "markdown" or cell.source.strip()), last]
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata = nbformat.NotebookNode(kernelspec=kernel, language_info={"name": "python", "pygments_lexer": "ipython3"})
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return notebook


def code_cells(cell: Cell, tags: set[str]) -> tuple[list[Cell], str]:
    """What a page shows of a code cell, and the code of it that is folded at the page's end.

    A figure or table that says which run it is from becomes a block of its own, without code. A cell with other outputs keeps
    its code beside them; a cell without any output is folded away.
    """
    source = without_params(cell.source)
    reads_parameters = source != cell.source and re.fullmatch(r"\w*", source.strip())  # `p` alone: the list below says it
    outputs = [] if reads_parameters else [output for output in cell.outputs if output.get("name") != "stderr"]
    others = [output for output in outputs if METADATA not in output.get("metadata", {})]
    blocks = [block(output, tags) for output in outputs if METADATA in output.get("metadata", {})]
    if reads_parameters:
        return [], ""
    if not others:
        return blocks, source.strip()
    for output in others:
        if "text/html" in output.get("data", {}):
            output.data["text/html"] = marked_numbers(output.data["text/html"])
    if only_imports(source) or len(source.splitlines()) > _LONG:
        tags.add("hide-input")
    if any(output.output_type == "error" for output in others):
        tags.add("hide-output")  # the traceback, folded: the red box on top says what went wrong
    kept = nbformat.v4.new_code_cell(source, outputs=others, metadata=cell.metadata)
    kept.metadata = _clean_metadata(cell, tags)
    return [kept, *blocks], ""


def block(output: Any, tags: set[str]) -> Cell:
    """A figure, table or text that says which run it is from, as a cell of its own with the tags of its notebook's cell.

    A figure has a caption and a description.
    """
    note = output.metadata.pop(METADATA)
    metadata: dict[str, Any] = {"tags": ["remove-input", *sorted(tags)]}
    if note["kind"] == "figure":
        metadata["mystnb"] = {
            "image": {"alt": note["alt"]},
            "figure": {"caption": note["caption"], "classes": f"exhibit-figure run-{note['run']}"},
        }
        output.data = nbformat.NotebookNode({kind: data for kind, data in output.data.items() if kind.startswith("image/")})
    # Sphinx passes over a cell without any source; this one is not shown.
    return nbformat.v4.new_code_cell(note["kind"], outputs=[output], metadata=metadata)


def code_dropdown(code: list[str]) -> str:
    """The code of the run, folded; empty where all of it stands beside its outputs."""
    if not code:
        return ""
    return "\n".join([":::::{dropdown} The code of this page", "```python", *"\n\n".join(code).splitlines(), "```", ":::::"])


def header(page: Page) -> str:
    """The directive that shows the exhibit's place in the paper and its verdicts when the book is built."""
    seconds = "" if page.seconds is None else f"\n:seconds: {page.seconds:.0f}"
    return f"```{{exhibit-header}} {page.name}\n:profile: {page.profile}\n:state: {page.state}{seconds}\n```"


def failure(page: Page) -> str:
    """A red box with the error of a notebook that failed."""
    error = page.error or "no message was kept"
    words = "What ran before the error is below. The error, in one line:"
    return f"::::{{admonition}} This notebook failed\n:class: danger\n\n{words}\n\n```text\n{error}\n```\n::::"


def parameters_dropdown(page: Page, declared: list[Declared], given: Mapping[str, Any]) -> str:
    """The folded list of the run's parameters and the commands that repeat it."""
    lines = [":::::{dropdown} Parameters of this run", ":class-container: run-parameters", ""]
    values = _values_used(page, declared, given)
    if values:
        comments = {parameter.name: parameter.comment for parameter in declared}
        lines += ["| name | value | meaning |", "|---|---|---|"]
        lines += [f"| `{name}` | `{_shown(value)}` | {_in_table(comments.get(name, ''))} |" for name, value in values.items()]
        lines += ["", "In the code below, `p` holds these values, such as `p.profile`.", ""]
    lines += ["Run it again:", "", "```bash", command(page, given), "```", ""]
    first = page.exhibits[0].id if page.exhibits else page.name
    extra = " ".join(f"-p {shlex.quote(f'{k}={json.dumps(v)}')}" for k, v in given.items() if k not in ("profile", "show"))
    lines += ["or", "", "```bash", f"mtlrepro run {first} --profile {page.profile} {extra}".rstrip(), "```", ""]
    sources = [
        f"{{download}}`{label} <{'../' * 3}notebooks/{page.name}{suffix}>`"
        for label, suffix in (("the notebook (.ipynb)", ".ipynb"), ("the same as a Python script (.py)", ".py"))
        if (paths.notebooks() / f"{page.name}{suffix}").exists()
    ]
    if sources:
        lines += ["Source: " + ", ".join(sources) + ".", ""]
    return "\n".join([*lines, ":::::"])


def command(page: Page, given: Mapping[str, Any]) -> str:
    """The papermill command that repeats the run."""
    words = ["papermill", f"notebooks/{page.name}.ipynb", "out.ipynb"]
    for name, value in given.items():
        simple = isinstance(value, str | int | float) and not isinstance(value, bool)
        words += ["-p", name, str(value)] if simple else ["-y", json.dumps({name: value})]
    return " ".join(shlex.quote(word) for word in words)


def declarations(source: str) -> list[Declared]:
    """The parameters that a parameters cell declares, with the comment on each line."""
    comments = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = []
    for node in ast.parse(source).body:
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0] if isinstance(node, ast.Assign) else None
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and value is not None:
            found.append(Declared(target.id, ast.literal_eval(value), comments.get(node.end_lineno or node.lineno, "")))
    return found


def without_params(source: str) -> str:
    """`source` without the lines that read the run's parameters: its import of `params` and ``p = params(...)``."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source  # a cell magic
    lines = source.splitlines()
    for node in tree.body:
        imports = isinstance(node, ast.ImportFrom) and [alias.name for alias in node.names] == ["params"]
        value = getattr(node, "value", None)
        reads = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "params"
        if imports or reads:
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def titled_notes(source: str) -> str:
    """``{note} Title`` -> an admonition with that title; MyST would take the title for the first words of the text."""
    fence = r"^([:`]{3,})\{(note|tip|warning|important)\}[ \t]+(\S.*)$"
    return re.sub(fence, r"\1{admonition} \3\n:class: \2", source, flags=re.MULTILINE)


def marked_numbers(html: str) -> str:
    """Table cells that hold a number get a class: the style sheet keeps 1e-15 on one line."""
    return re.sub(r"<td>(?=[-+−]?(?:\d|nan|inf)[^<\s]{0,16}</td>)", '<td class="number">', html)


def only_imports(source: str) -> bool:
    """True for a cell of nothing but imports: folded on the page."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False
    return bool(body) and all(isinstance(node, ast.Import | ast.ImportFrom) for node in body)


def build() -> Path:
    """Collect, then build book/_build/html from nothing. Returns its first page. Raises as `collect` and `render` do."""
    collect()
    return render(toc_file(), paths.book())


def render(toc: Path, output: Path) -> Path:
    """Build the site with that table of contents into ``output/_build/html``, deleting the one there; its first page.

    Raises MtlreproError where Jupyter Book reports a warning or an error, in one line where the disk is full.
    """
    contents = toc.read_text(encoding="utf-8")
    shutil.rmtree(output / "_build", ignore_errors=True)
    write_text(toc, contents)
    program = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    options = ["--toc", str(toc), "--path-output", str(output), "-W", "--keep-going", "--quiet"]
    done = subprocess.run(
        [*program, "build", str(paths.book()), *options], cwd=paths.project(), text=True, capture_output=True, check=False
    )
    first = output / "_build" / "html" / "index.html"
    if any(os.strerror(full) in done.stdout + done.stderr for full in DISK_FULL):
        raise MtlreproError(f"disk full while writing {output / '_build'}: free some space and give the same command.")
    if done.returncode != 0 or not first.exists():
        raise MtlreproError(f"the book was not built:\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}")
    return first


def _values_used(page: Page, declared: list[Declared], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values the run used: given, else the profile's, else declared. The notebook checked them when it ran."""
    defaults = {parameter.name: parameter.value for parameter in declared}
    if not page.exhibits or not declared:
        return dict(given)
    merged = {**defaults, **given}
    try:
        standard = parameters.profile_values(page.exhibits[0].id, str(merged.get("profile", page.profile)))
    except MtlreproError:
        standard = {}
    return {name: standard.get(name) if value is None else value for name, value in merged.items()}


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    text = text if len(text) <= 90 else text[:87] + "..."
    return _in_table(text.replace("`", "'"))


def _in_table(text: str) -> str:
    return re.sub(r";?\s*None: the profile's value\.?", "", text).replace("|", "\\|")


def _split_title(cells: list[Cell], page: Page) -> tuple[str, str, list[Cell]]:
    """The page's H1 line, the rest of the first cell (what the paper claims), and the cells after it."""
    text = cells[0].source if cells and cells[0].cell_type == "markdown" else ""
    match = re.match(r"\s*#\s+([^\n]+)\n?", text)
    if not match:
        return f"# {page_title(page, page.exhibits[0].title if page.exhibits else page.name)}", "", cells
    name = match[1].partition(": ")[2] or match[1]
    return f"# {page_title(page, name[:1].upper() + name[1:])}", text[match.end() :].strip("\n"), cells[1:]


def page_title(page: Page, name: str) -> str:
    """The paper, the exhibits and the name of the page, such as ``HydaLearn · Figure 4 · Two toy problems``."""
    if not page.exhibits:
        return name
    numbers: dict[str, list[str]] = {}
    for exhibit in page.exhibits:
        kind, _, number = exhibit.label.partition(" ") if exhibit.label != exhibit.title else (exhibit.title, "", "")
        numbers.setdefault(kind, []).append(number)
    labels = [f"{kind}{'s' if len(of) > 1 else ''} {', '.join(of)}".strip() for kind, of in numbers.items()]
    return TITLE_PARTS.join(dict.fromkeys([exhibits.papers()[page.exhibits[0].paper].name, ", ".join(labels), name]))


def _describe_images(title: str, cells: list[Cell]) -> None:
    """Give pictures a text that says what they show, for those who cannot see them: the nearest heading above."""
    heading = title.lstrip("# ")
    for cell in cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#{1,4}\s+(.+)$", cell.source, flags=re.MULTILINE)
            heading = headings[-1] if headings else heading
        elif any(kind.startswith("image/") for output in cell.outputs for kind in output.get("data", {})):
            rendering = cell.metadata.setdefault("mystnb", {})
            rendering.setdefault("image", {}).setdefault("alt", f"Figure: {re.sub(r'[$`*]', '', heading)}")


def _clean_metadata(cell: Cell, tags: set[str]) -> Cell:
    kept = {key: value for key, value in cell.metadata.items() if key in {"mystnb", "editable"}}
    return nbformat.NotebookNode({**kept, "tags": sorted(tags)} if tags else kept)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m mtlrepro.book.pages", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--build", action="store_true", help="build the book after collecting")
    options = parser.parse_args(arguments)

    def work() -> int:
        print(build() if options.build else f"{len(collect())} pages in {pages_folder()}")
        return 0

    return exit_code(work)


if __name__ == "__main__":
    print_anywhere()
    raise SystemExit(main(sys.argv[1:]))
