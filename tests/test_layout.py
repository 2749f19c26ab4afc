"""Laws of the layout: the core knows no paper, so that a paper is deleted by deleting its folders."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from forks import Forks
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
# Every module, what a user gives, then the core's tests but for those that delete papers.
CHECK = f"""
import importlib, os, pkgutil, sys, pytest

sys.path.insert(0, os.getcwd())
import mtlrepro
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
options = ["-q", "-x", "-p", "no:cacheprovider", "-n0", "-m", "not slow and not browser", "-k", "not deleting"]
sys.exit(pytest.main([*options, *{QUICK_TESTS}]))
"""
# What takes long to import and is no project's own.
LIBRARIES = """
import importlib, importlib.util

for name in ("torch", "torchvision", "torchmetrics", "torchjd", "pandas", "scipy.stats", "sklearn.cluster", "matplotlib.pyplot",
             "jupytext", "papermill", "hypothesis", "pytest"):
    if importlib.util.find_spec(name.partition(".")[0]):
        importlib.import_module(name)
"""
PAPERS = list(exhibits.papers())
# What is deleted from four copies: each paper is gone from two, and of any two papers each stands in a copy without the other.
GONE = [[key for key, two in zip(PAPERS, combinations(range(4), 2), strict=False) if copy in two] for copy in range(4)]


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


def without(papers: Sequence[str], target: Path) -> Path:
    """A copy of the project from which papers were deleted. It is under version control, as the project is."""
    copy = copy_project(target, [f"{folder}/{key}/" for folder in FOLDERS for key in papers])
    for words in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *words], cwd=copy, check=True)
    return copy


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with Forks(LIBRARIES, tmp_path_factory.mktemp("checks")) as forks:
        yield forks


@pytest.mark.xdist_group("papers")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "papers", [*GONE[:2], *(pytest.param(papers, marks=pytest.mark.slow) for papers in GONE[2:])], ids=" and ".join
)
def test_deleting_papers_is_deleting_their_folders(papers: list[str], tmp_path: Path, checks: Forks) -> None:
    """What is left lists its exhibits and data, imports, makes its pages and passes the core's tests."""
    copy = without(papers, tmp_path / "project")
    assert not any((copy / folder / key).exists() for folder in FOLDERS for key in papers)

    code, said = checks.run(CHECK, copy, MTLREPRO_RUNS=str(copy / "runs"))
    assert code == 0, said[-6000:]
    left = [key for key in PAPERS if key not in papers]
    assert [entry["id"] for entry in json.loads(said.partition("---")[0])] == [
        exhibit.id for paper in left for exhibit in exhibits.everything(paper)
    ]
    contents = yaml.safe_load((copy / "book/_build/_toc.yml").read_text())
    chapters = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    assert [name for name in chapters if name.startswith("papers/")] == [f"papers/{paper}/index" for paper in left]
