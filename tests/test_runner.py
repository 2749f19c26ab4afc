"""Laws of running notebooks: what fails is kept, reported and does not stop the others."""

from __future__ import annotations

import json
import textwrap
import time

import jupytext
import nbformat
import pytest
from registered import EXHIBIT

from mtlrepro import exhibits, parameters, paths
from mtlrepro.book import runner
from mtlrepro.errors import MtlreproError, UnknownName

GOOD = """
    # %% tags=["parameters"]
    profile: str = "quick"
    seeds: int = None
"""


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """Write a notebook that stands in for an exhibit's and return its path."""
    monkeypatch.setattr(paths, "notebooks", lambda: tmp_path)
    monkeypatch.setattr(parameters, "profile_values", lambda exhibit, profile: {"seeds": 2})

    def write(text):
        file = tmp_path / EXHIBIT.paper / "example.ipynb"
        file.parent.mkdir(exist_ok=True)
        nbformat.write(jupytext.reads(textwrap.dedent(text), fmt="py:percent"), file)
        monkeypatch.setattr(exhibits.Exhibit, "source", lambda self: file)
        return file

    return write


def test_parameters_are_refused_before_a_kernel_starts(notebook):
    file = notebook(GOOD)
    with pytest.raises(UnknownName, match="did you mean 'seeds'"):
        runner.check(file, EXHIBIT.id, "quick", {"sedes": 3})


def test_a_failure_keeps_the_notebook_and_one_line(notebook, tmp_path):
    failing = """
        # %%
        print("before")
        # %%
        from mtlrepro.errors import DataMissing
        raise DataMissing("no such data: fetch it.")
    """
    out = tmp_path / "out" / "example.ipynb"
    file = notebook('# %% tags=["parameters"]\nprofile: str = "quick"\n' + textwrap.dedent(failing))
    status = runner.run(file, out, "quick")
    assert (status.state, status.error) == ("failed", "no such data: fetch it.")
    assert "before" in out.read_text()
    assert json.loads(runner.status_file(out).read_text())["state"] == "failed"
    assert runner.report([runner.status_file(out)]) == 1
    assert not runner.status_file(out).exists(), "the next build must run a failed notebook again"
    assert out.exists()


def test_a_success_is_reported_as_such(notebook, tmp_path, capsys):
    out = tmp_path / "out" / "example.ipynb"
    status = runner.run(notebook('# %% tags=["parameters"]\nprofile: str = "quick"\n# %%\n1 + 1\n'), out, "quick")
    assert status.state == "ok"
    assert runner.report([runner.status_file(out)]) == 0
    assert capsys.readouterr().err == ""


def test_a_killed_kernel_is_a_failure_that_says_what_to_do(notebook, tmp_path):
    out = tmp_path / "out" / "example.ipynb"
    killing = '# %% tags=["parameters"]\nprofile: str = "quick"\n# %%\nimport os\nos.kill(os.getpid(), 9)\n'
    status = runner.run(notebook(killing), out, "quick")
    assert status.state == "failed"
    assert "same command" in status.error
    assert "\n" not in status.error


def test_in_a_campaign_a_notebook_stops_when_the_time_is_up(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("MTLREPRO_UNTIL", str(time.time() + 5))
    sleeping = '# %% tags=["parameters"]\nprofile: str = "quick"\n# %%\nimport time\ntime.sleep(600)\n'
    status = runner.run(notebook(sleeping), tmp_path / "out" / "example.ipynb", "quick")
    assert status.state == "unfinished"
    assert status.seconds < 120


def test_a_notebook_without_parameters_is_named(notebook):
    with pytest.raises(MtlreproError, match="parameters"):
        parameters.declared_in(notebook("# %%\n1\n"))
