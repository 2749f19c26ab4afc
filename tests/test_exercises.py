"""Laws of the exercises: every solution passes its own checks, every student version stops at the part that is not written, and
both come from one source."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest

from mtlrepro import exhibits, paths
from mtlrepro.book import exercises
from mtlrepro.errors import BadValue

SOURCES = exercises.sources()
names = pytest.mark.parametrize("source", SOURCES, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")


def run(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a notebook's .py in this process."""
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), {"__name__": "notebook"})


@names
def test_a_solution_passes_its_checks_and_a_common_mistake_does_not(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hidden tests of each solution raise where a mistake passes, and print what the check says where it does not."""
    run(source, monkeypatch)
    said = capsys.readouterr().out
    assert "Right" in said
    assert "the check says: " in said


@names
def test_a_student_version_names_what_is_to_be_written(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs up to its check; there the error names a function that the student's part is in."""
    student = exercises.student_file(source)
    text = student.read_text(encoding="utf-8")
    with pytest.raises(NotImplementedError, match="is not written yet") as stopped:
        run(student, monkeypatch)
    unwritten = re.findall(r'NotImplementedError\("(\w+) is not written yet"\)', text)
    assert str(stopped.value).split()[0] in unwritten
    assert len(unwritten) == source.read_text(encoding="utf-8").count("### BEGIN SOLUTION")
    assert not re.search("SOLUTION|HIDDEN|the check says", text)


@names
def test_nbgrader_knows_solution_and_test_cells(source: Path) -> None:
    """In both versions each part to write is a solution cell, and the one check a locked cell worth a point."""
    for file in (source, exercises.student_file(source)):
        cells = [
            cell.metadata["nbgrader"]
            for cell in nbformat.read(file.with_suffix(".ipynb"), 4).cells
            if "nbgrader" in cell.metadata
        ]
        assert sum(cell["solution"] for cell in cells) == source.read_text(encoding="utf-8").count("### BEGIN SOLUTION")
        assert [(cell["locked"], cell["points"]) for cell in cells if cell["grade"]] == [(True, 1)]


@pytest.mark.parametrize("paper", exhibits.papers())
def test_every_paper_has_three_exercises_from_ten_minutes_up(paper: str) -> None:
    minutes = [exercise.minutes for exercise in exercises.of_paper(paper)]
    assert len(minutes) == 3
    assert minutes == sorted(minutes)
    assert minutes[0] == 10


def test_a_solution_outside_a_function_or_none_at_all_is_refused() -> None:
    with pytest.raises(BadValue, match="inside a function"):
        exercises.student_version("### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n")
    with pytest.raises(BadValue, match="needs a part"):
        exercises.student_version("x = 1\n")


@pytest.mark.slow
def test_exercises_run_in_a_kernel_as_in_a_script() -> None:
    """One of them: the student's stops with the message, the solution runs to its end."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    def execute(file: Path) -> None:
        notebook = nbformat.read(file.with_suffix(".ipynb"), 4)
        NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": paths.project()}}).execute()

    execute(SOURCES[0])
    with pytest.raises(CellExecutionError, match="is not written yet"):
        execute(exercises.student_file(SOURCES[0]))
