"""Keep notebooks in pairs: the py:percent source that people read and review, and the .ipynb that papermill runs.

``python -m mtlrepro.book.pairing`` writes every .ipynb from its .py; ``--check`` only says which are out of step.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jupytext
import nbformat

from mtlrepro import paths
from mtlrepro.files import write_text

_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def sources() -> list[Path]:
    """Every notebook source under notebooks/, in order."""
    return sorted(paths.notebooks().glob("*/*.py"))


def paired(source: Path) -> str:
    """The .ipynb text that belongs to a .py source: no outputs, and the same text every time."""
    notebook = jupytext.read(source)
    notebook.metadata = nbformat.from_dict(
        {"jupytext": {"formats": "ipynb,py:percent"}, "kernelspec": _KERNEL, "language_info": {"name": "python"}}
    )
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # jupytext draws random ids, which would change the file at every pairing
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return str(nbformat.writes(notebook)) + "\n"


def stale() -> list[Path]:
    """The .ipynb files that are missing or differ from their source, or that have lost it."""
    wanted = {source.with_suffix(".ipynb"): paired(source) for source in sources()}
    wrong = [file for file, text in wanted.items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    orphans = [file for file in paths.notebooks().glob("*/*.ipynb") if file not in wanted]
    return wrong + orphans


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print("usage: python -m mtlrepro.book.pairing [--check]", file=sys.stderr)
        return 2
    wrong = stale()
    if arguments:
        for file in wrong:
            print(
                f"{file.relative_to(paths.project())} is out of step with its .py: run python -m mtlrepro.book.pairing",
                file=sys.stderr,
            )
        return bool(wrong)
    for file in wrong:
        source = file.with_suffix(".py")
        if source.exists():
            write_text(file, paired(source))
        else:
            print(f"{file.name} has no .py source: make one with jupytext --to py:percent {file.name}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
