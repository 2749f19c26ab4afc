"""What a live run draws is kept in files, and a command says where everything is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from registered import EXHIBIT

from mtlrepro import paths, results
from mtlrepro.book import runner
from mtlrepro.parameters import Params
from mtlrepro.results.store import variant


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of runs that holds one quick run of `EXHIBIT`."""
    monkeypatch.setenv("MTLREPRO_RUNS", str(tmp_path))
    (tmp_path / EXHIBIT.paper).mkdir()
    for suffix in ("csv", "json"):
        shutil.copy(paths.recorded() / f"{EXHIBIT.id}.quick.{suffix}", tmp_path / f"{EXHIBIT.id}.quick.{suffix}")
    return tmp_path


def figure() -> Figure:
    drawn = Figure()
    drawn.subplots().plot([1, 2])
    return drawn


def test_a_script_writes_its_figures_and_prints_where_and_the_next_run_replaces_them(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    p = Params(EXHIBIT.id, "quick")
    page = results.shown(p)
    for _ in range(2):
        page.figure(figure(), "A line.")
    files = [runs / "figures" / f"{EXHIBIT.id}.quick-{number}.svg" for number in (1, 2)]
    assert capsys.readouterr().out.split() == [str(file) for file in files]
    assert all("<svg" in file.read_text() for file in files)
    assert [line.partition(": ")[2] for line in runner.written([EXHIBIT.id], "quick", {})] == [
        str(runner.executed(str(EXHIBIT.notebook), p)), str(runs / f"{EXHIBIT.id}.quick.csv"), *map(str, files),
    ]  # fmt: skip
    results.shown(p)
    assert not any(file.exists() for file in files)


def test_a_page_of_the_book_writes_no_figure(runs: Path) -> None:
    page = results.shown(Params(EXHIBIT.id, "quick", show="recorded"))
    page.figure(figure(), "A line.")
    assert not (runs / "figures").exists()


def test_runs_with_other_parameters_keep_their_own_figures(runs: Path) -> None:
    """Law: a figure is named by its run's variant, as rows and notebooks are."""
    standard, other = Params(EXHIBIT.id, "quick"), Params(EXHIBIT.id, "quick", {"seeds": 9}, {"seeds": 9})
    for suffix in ("csv", "json"):
        name = f"{EXHIBIT.id}.{variant(other)}.{suffix}"
        shutil.copy(runs / f"{EXHIBIT.id}.quick.{suffix}", runs / name)
    for p in (standard, other):
        results.shown(p).figure(figure(), "A line.")
    files = sorted((runs / "figures").rglob("*.svg"))
    assert [file.name.rpartition("/")[2] for file in files] == sorted(
        f"{EXHIBIT.id.rpartition('/')[2]}.{variant(p)}-1.svg" for p in (standard, other)
    )
    results.shown(standard)
    assert [file.exists() for file in files] == [variant(other) in file.name for file in files]
