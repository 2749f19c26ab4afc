"""Exercises in code: one source each, ``notebooks/<paper>/solutions/<name>.py``, in nbgrader's convention.

What stands between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` is the student's to write, inside a function, so that the
notebook runs up to the check that needs it; what stands between ``### BEGIN HIDDEN TESTS`` and ``### END HIDDEN TESTS`` is for
the instructor. A cell tagged ``test`` checks the student's functions and says what is wrong. The same marks and cell metadata
let nbgrader make and grade the assignment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtlrepro import paths
from mtlrepro.errors import BadValue

_SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n.*?^[ \t]*### END SOLUTION\n", re.DOTALL | re.MULTILINE)
_HIDDEN = re.compile(r"\n*^### BEGIN HIDDEN TESTS\n.*?^### END HIDDEN TESTS\n", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Exercise:
    """One exercise. source: its solution (.py). minutes: expected, from the line ``About N minutes`` under the title."""

    source: Path
    title: str
    minutes: int

    @property
    def student(self) -> Path:
        return student_file(self.source)


def sources(paper: str = "*") -> list[Path]:
    """The solutions (.py) of one paper, or of all, in order."""
    return sorted(paths.notebooks().glob(f"{paper}/solutions/*.py"))


def of_paper(paper: str) -> list[Exercise]:
    """The exercises of a paper, in order. Raises BadValue where one has no title or no time."""
    return [_read(source) for source in sources(paper)]


def _read(source: Path) -> Exercise:
    match = re.search(r"^# # (.+)\n#\n# About (\d+) minutes", source.read_text(encoding="utf-8"), re.MULTILINE)
    if not match:
        raise BadValue(f"{source.name}: needs a title and, below it, a line that starts with `About N minutes`.")
    return Exercise(source, match[1], int(match[2]))


def student_file(source: Path) -> Path:
    """Where the student version of a solution is written."""
    return source.parent.parent / "exercises" / source.name


def student_version(text: str) -> str:
    """A solution's text without what the student is to write and without what is for the instructor.

    Each removed solution leaves an error that names its function. Raises BadValue for a solution outside a function, or none.
    """

    def unwritten(match: re.Match[str]) -> str:
        names = re.findall(r"^def (\w+)", match.string[: match.start()], re.MULTILINE)
        if not names or not match[1]:
            raise BadValue("a solution must stand inside a function.")
        return f'{match[1]}# YOUR CODE HERE\n{match[1]}raise NotImplementedError("{names[-1]} is not written yet")\n'

    stripped, count = _SOLUTION.subn(unwritten, _HIDDEN.sub("\n", text))
    if not count:
        raise BadValue("an exercise needs a part between ### BEGIN SOLUTION and ### END SOLUTION.")
    return stripped


def nbgrader(cell: Any) -> dict[str, Any]:
    """What nbgrader wants to know of a cell: a solution, a graded test worth a point; {} for any other cell."""
    solution, test = (
        "### BEGIN SOLUTION" in cell.source or "# YOUR CODE HERE" in cell.source,
        "test" in cell.metadata.get("tags", []),
    )
    if cell.cell_type != "code" or not (solution or test):
        return {}
    fields = {"grade": test, "grade_id": cell["id"], "locked": test, "schema_version": 3, "solution": solution, "task": False}
    return {"nbgrader": fields | ({"points": 1} if test else {})}
