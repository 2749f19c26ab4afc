"""Laws of every notebook: paired, without outputs, short, and with parameters that its profiles set and papermill knows."""

from __future__ import annotations

import nbformat
import papermill
import pytest

from mtlrepro import exhibits, parameters
from mtlrepro.book import pairing

names = pytest.mark.parametrize("source", pairing.sources(), ids=lambda path: f"{path.parent.name}-{path.stem}")


@names
def test_papermill_knows_every_parameter(source):
    """Law: ``papermill -p NAME VALUE`` calls no declared parameter unknown.

    Papermill reads ``name: int = None``; of ``name: int | None = None`` it sees nothing.
    """
    notebook = source.with_suffix(".ipynb")
    assert set(papermill.inspect_notebook(str(notebook))) == set(parameters.declared_in(notebook))


@names
def test_pairing_gives_the_same_text_every_time(source):
    assert pairing.paired(source) == pairing.paired(source)


@names
def test_notebooks_are_committed_without_outputs(source):
    for cell in nbformat.read(source.with_suffix(".ipynb"), as_version=4).cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


@names
@pytest.mark.parametrize("profile", ["quick", "full"])
def test_profiles_set_every_parameter_of_every_notebook(source, profile):
    notebook = source.with_suffix(".ipynb")
    exhibit = next(e for e in exhibits.everything() if e.notebook and e.source() == notebook)
    p = parameters.check(exhibit.id, parameters.declared_in(notebook), {"profile": profile}, positive=("seeds",))
    assert p.overrides == {}


@names
def test_code_of_a_notebook_stays_under_200_lines(source):
    cells = nbformat.read(source.with_suffix(".ipynb"), as_version=4).cells
    lines = [line for cell in cells if cell.cell_type == "code" for line in cell.source.splitlines() if line.strip()]
    assert len(lines) <= 200, f"{source.name}: {len(lines)} lines of code; move what is reused to the package"
