"""Laws of the layout: the core knows no paper, so that a paper is deleted by deleting its folders."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from project_copy import copy_project, listed

from mtlrepro import exhibits, paths

ROOT = paths.project()
CORE_TESTS = sorted(file for file in (ROOT / "tests").rglob("*.py") if "papers" not in file.relative_to(ROOT / "tests").parts)
# Where a paper lives. Nothing else may break when these are gone.
FOLDERS = ("mtlrepro/papers", "notebooks", "tests/papers", "book/papers", "book/results")
# Tests of the core that read the whole project, in seconds.
QUICK_TESTS = [
    "tests/test_project.py", "tests/test_cli.py", "tests/test_parameters.py", "tests/test_errata.py", "tests/test_layout.py",
    "tests/book/test_pages.py", "tests/results/test_registered_claims.py", "tests/results/test_status.py",
    "tests/data/test_data_manifest.py",
]  # fmt: skip
# Every module, what a user gives, then the core's tests.
CHECK = """
import importlib, pkgutil, sys, pytest, mtlrepro
from mtlrepro import cli
from mtlrepro.book import pages

for module in pkgutil.walk_packages(mtlrepro.__path__, "mtlrepro."):
    importlib.import_module(module.name)
for words in (["list", "--json"], ["data", "list"]):
    sys.argv = ["mtlrepro", *words]
    try:
        cli.main()
    except SystemExit as end:
        assert not end.code, words
    print("---")
assert pages.main([]) == 0
options = ["-q", "-x", "-p", "no:cacheprovider", "-n0", "-m", "not slow and not browser"]
sys.exit(pytest.main([*options, *QUICK_TESTS]))
"""
# A process that has imported what takes long, and checks each project named to it in a process forked off: only the project's
# own modules differ.
CHECKER = """
import importlib.util, os, sys

for name in ("torch", "torchvision", "torchmetrics", "torchjd", "pandas", "scipy.stats", "sklearn.cluster", "matplotlib.pyplot",
             "jupytext", "papermill", "hypothesis", "pytest"):
    if importlib.util.find_spec(name.partition(".")[0]):
        importlib.import_module(name)
for line in sys.stdin:
    project = line.strip()
    child = os.fork()
    if not child:
        os.chdir(project)
        sys.path.insert(0, project)
        os.environ["MTLREPRO_RUNS"] = project + "/runs"
        said = os.open(project + ".txt", os.O_WRONLY | os.O_CREAT)
        os.dup2(said, 1), os.dup2(said, 2)
        exec(CHECK)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def words_of(tree: ast.AST) -> Iterator[str]:
    """Every string of a module and every dotted name that it imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("file", CORE_TESTS, ids=lambda file: file.relative_to(ROOT / "tests").as_posix())
def test_a_test_of_the_core_names_no_paper(file: Path) -> None:
    """No import of a paper's module, no exhibit's id, no notebook, no page and no folder of a paper."""
    keys = "|".join(exhibits.papers())
    places = {exhibit.id.partition("/")[2] for exhibit in exhibits.everything()}
    places |= {exhibit.notebook.partition("/")[2] for exhibit in exhibits.everything() if exhibit.notebook}
    named = re.compile(rf"\b(?:{keys})/(?:{'|'.join(sorted(places, key=len, reverse=True))})\b|\bpapers[./](?:{keys})\b")
    found = [match[0] for word in words_of(ast.parse(file.read_text())) for match in named.finditer(word)]
    assert found == [], "take it from the registry, or move the test to tests/papers"


def test_the_number_of_exhibits_stands_nowhere_but_in_the_registries() -> None:
    """It is counted, never typed."""
    count = len(exhibits.everything())
    typed = re.compile(rf"\b\d+ (?:exhibits|notebooks)\b|\ball {count}\b|== {count}\b")
    read = [name for name in listed() if name.endswith((".py", ".md", ".toml", "Makefile")) and "/papers/" not in name]
    found = {name: typed.findall((ROOT / name).read_text(encoding="utf-8")) for name in read if name != "CHANGELOG.md"}
    assert {name: matches for name, matches in found.items() if matches} == {}


def without_paper(key: str, target: Path) -> Path:
    """A copy of the project from which a paper was deleted. It is under version control, as the project is."""
    copy = copy_project(target, [f"{folder}/{key}/" for folder in FOLDERS])
    for words in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *words], cwd=copy, check=True)
    return copy


@pytest.fixture(scope="module")
def check() -> Iterator[Callable[[Path], tuple[int, str]]]:
    """Exit code and output of the checks of a copy of the project."""
    words = [sys.executable, "-c", f"CHECK, QUICK_TESTS = {CHECK!r}, {QUICK_TESTS}{CHECKER}"]
    with subprocess.Popen(words, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as checker:
        assert checker.stdin
        assert checker.stdout

        def give(project: Path) -> tuple[int, str]:
            checker.stdin.write(f"{project}\n")
            checker.stdin.flush()
            code = checker.stdout.readline()
            assert code, "the checking process died"
            return int(code), Path(f"{project}.txt").read_text()

        yield give
        checker.stdin.close()


@pytest.mark.slow
@pytest.mark.xdist_group("papers")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("key", exhibits.papers())
def test_deleting_a_paper_is_deleting_its_folders(key: str, tmp_path: Path, check: Callable[[Path], tuple[int, str]]) -> None:
    """What is left lists its exhibits and data, imports, makes its pages and passes the core's tests."""
    copy = without_paper(key, tmp_path / "project")
    assert not any((copy / folder / key).exists() for folder in FOLDERS)

    code, said = check(copy)
    assert code == 0, said[-6000:]
    left = [paper for paper in exhibits.papers() if paper != key]
    assert [entry["id"] for entry in json.loads(said.partition("---")[0])] == [
        exhibit.id for paper in left for exhibit in exhibits.everything(paper)
    ]
    contents = yaml.safe_load((copy / "book/_build/_toc.yml").read_text())
    chapters = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    assert [name for name in chapters if name.startswith("papers/")] == [f"papers/{paper}/index" for paper in left]
