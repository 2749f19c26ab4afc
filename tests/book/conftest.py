"""An executed notebook as the workflow leaves it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from registered import EXHIBIT

from mtlrepro.book import pages
from mtlrepro.results.page import METADATA

PARAMETERS = 'profile: str = "quick"  # quick, full or paper\nseeds: int = None  # how many seeds; None: the profile\'s value'


def note(kind: str) -> dict[str, Any]:
    return {METADATA: {"kind": kind, "run": "recorded", "caption": "The curve, $n = 4$.", "alt": "A rising curve."}}


@pytest.fixture
def executed(tmp_path: Path) -> Callable[..., nbformat.NotebookNode]:
    """Write an executed notebook with its status; returns its page."""

    def write(state: str = "ok", error: str = "", given: dict[str, Any] | None = None) -> Any:
        cell, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
        out = nbformat.v4.new_output
        given = {"profile": "quick", "seeds": 4} if given is None else given
        notebook = nbformat.v4.new_notebook(
            cells=[
                text("# Proposition 1: a test\n\nThe claim, $r \\ge k$."),
                cell(PARAMETERS, metadata={"tags": ["parameters"]}),
                cell("\n".join(f"{k} = {v!r}" for k, v in given.items()), metadata={"tags": ["injected-parameters"]}),
                cell(
                    f'from mtlrepro.parameters import params\n\np = params("{EXHIBIT.id}", globals())\np',
                    outputs=[out("execute_result", data={"text/html": "<table class='raw-parameters'></table>"})],
                ),
                cell("import numpy as np\nimport torch"),
                cell(
                    "page.figure(draw, 'The curve.')",
                    outputs=[
                        out("display_data", data={"image/svg+xml": "<svg/>", "text/plain": "<Figure>"}, metadata=note("figure"))
                    ],
                ),
                cell("page.table(rows)", outputs=[out("display_data", data={"text/html": "<table/>"}, metadata=note("table"))]),
                text("## The curve\n\n:::{note} How we read the paper\nA reading.\n:::"),
                cell(
                    "print(p.seeds)",
                    metadata={"papermill": {"duration": 1.5}},
                    outputs=[
                        out("stream", name="stdout", text="4\n"),
                        out("stream", name="stderr", text="prop1 runs: 50%|####    | 2/4\n"),
                        out("display_data", data={"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"}),
                    ],
                ),
            ]
        )
        notebook.metadata["papermill"] = {"parameters": given}
        target = tmp_path / f"{EXHIBIT.notebook}.ipynb"
        target.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, target)
        status = {"notebook": EXHIBIT.notebook, "state": state, "profile": "quick", "seconds": 3.2, "error": error}
        target.with_suffix(".status.json").write_text(json.dumps(status))
        return pages.find(tmp_path)[0]

    return write
