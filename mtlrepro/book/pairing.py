"""Keep notebooks in pairs: the py:percent source that people read and review, and the .ipynb that papermill runs.

``python -m mtlrepro.book.pairing`` writes every .ipynb from its .py; ``--check`` only says which are out of step. An exercise
has one source, ``notebooks/<paper>/solutions/<name>.py``: its student version, ``notebooks/<paper>/exercises/<name>``, is written
from it (`mtlrepro.book.exercises`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from mtlrepro import paths
from mtlrepro.book import exercises
from mtlrepro.errors import exit_code
from mtlrepro.files import write_text

_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def sources() -> list[Path]:
    """Every notebook source under notebooks/, in order."""
    return sorted(paths.notebooks().glob("*/*.py"))


def paired(source: Path) -> str:
    """The .ipynb text that belongs to a .py source: no outputs, and the same text every time."""
    return _notebook_text(jupytext.read(source))


def _notebook_text(notebook: Any) -> str:
    notebook.metadata = nbformat.from_dict(
        {"jupytext": {"formats": "ipynb,py:percent"}, "kernelspec": _KERNEL, "language_info": {"name": "python"}}
    )
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # jupytext draws random ids, which would change the file at every pairing
        cell.metadata |= exercises.nbgrader(cell)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return str(nbformat.writes(notebook)) + "\n"


def written() -> dict[Path, str]:
    """Every file that is written from a source, and what it should hold."""
    texts = {source.with_suffix(".ipynb"): paired(source) for source in sources()}
    for source in exercises.sources():
        student = exercises.student_file(source)
        text = exercises.student_version(source.read_text(encoding="utf-8"))
        texts |= {source.with_suffix(".ipynb"): paired(source), student: text}
        texts[student.with_suffix(".ipynb")] = _notebook_text(jupytext.reads(text, "py:percent"))
    return texts


def stale(wanted: dict[Path, str] | None = None) -> list[Path]:
    """The written files that are missing or differ from their source, or that have lost it. wanted: what `written` gives."""
    wanted = written() if wanted is None else wanted
    wrong = [file for file, text in wanted.items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    present = [*paths.notebooks().rglob("*.ipynb"), *paths.notebooks().glob("*/exercises/*.py")]
    return wrong + [file for file in present if file not in wanted and ".ipynb_checkpoints" not in file.parts]


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print("usage: python -m mtlrepro.book.pairing [--check]", file=sys.stderr)
        return 2
    wanted = written()
    wrong = stale(wanted)
    if arguments:
        for file in wrong:
            print(
                f"{file.relative_to(paths.project())} is out of step with its .py: run python -m mtlrepro.book.pairing",
                file=sys.stderr,
            )
        return bool(wrong)
    for file in wrong:
        if file in wanted:
            write_text(file, wanted[file])
        else:
            print(f"{file.name} has no source: make one with jupytext --to py:percent, or delete it", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(exit_code(lambda: main(sys.argv[1:])))
