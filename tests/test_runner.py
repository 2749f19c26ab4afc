"""Laws of running notebooks: what fails is kept, reported and does not stop the others."""

from __future__ import annotations

import json
import os
import signal
import textwrap
import threading
import time

import jupytext
import nbformat
import papermill
import pytest
from jupyter_client.kernelspec import NoSuchKernel
from papermill.exceptions import PapermillExecutionError
from registered import EXHIBIT

from mtlrepro import exhibits, parameters, paths
from mtlrepro.book import runner
from mtlrepro.errors import BadValue, MtlreproError, UnknownName

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


def test_what_a_profile_does_not_make_is_refused_before_anything_runs_unless_a_source_is_given(notebook, monkeypatch):
    notebook(GOOD + '    source: str = "generated"\n')
    monkeypatch.setattr(parameters, "profile_values", lambda exhibit, profile: {"seeds": 2, "source": "generated"})
    only_quick = EXHIBIT.model_copy(update={"profiles": ("quick",)})
    monkeypatch.setattr(exhibits, "get", lambda name: only_quick)
    ran = []
    failed = runner.Status("n", "failed", "full", 1.0, "no")
    monkeypatch.setattr(runner, "run", lambda *given, **more: ran.append(given) or failed)
    with pytest.raises(BadValue, match=f"{EXHIBIT.id}: the full profile alone does not make it: give -p source="):
        runner.run_exhibits([EXHIBIT.id], "full", {"seeds": 3})
    assert not ran
    for profile, given in (("quick", {}), ("full", {"source": "own"})):
        with pytest.raises(runner.NotebookFailed):
            runner.run_exhibits([EXHIBIT.id], profile, given)
    assert len(ran) == 2


def test_an_exhibit_that_its_notebook_did_not_record_is_named_with_what_it_did(notebook, tmp_path, monkeypatch):
    notebook(GOOD)
    monkeypatch.setattr(paths, "runs", lambda: tmp_path / "runs")
    with pytest.raises(runner.NotebookFailed, match=f"^{EXHIBIT.id}: with these parameters its notebook makes nothing$"):
        runner.run_exhibits([EXHIBIT.id], "quick", {})


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(notebook, tmp_path, capsys, small_disk):
    """Exit code 1, unlike that of a notebook that failed: the workflow then keeps neither of the two files."""
    file = notebook('# %% tags=["parameters"]\nprofile: str = "quick"\n# %%\n1 + 1\n')
    words = [str(file), "--out", str(tmp_path / "out" / "example.ipynb")]
    with small_disk(100):
        assert runner.main(words) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1, said
    assert "give the same command" in said[0]
    assert not list(tmp_path.rglob("*.status.json*"))
    assert runner.main(words) == 0
    assert "ok" in capsys.readouterr().out


def test_a_killed_kernel_is_a_failure_that_says_what_to_do(notebook, tmp_path):
    out = tmp_path / "out" / "example.ipynb"
    killing = '# %% tags=["parameters"]\nprofile: str = "quick"\n# %%\nimport os\nos.kill(os.getpid(), 9)\n'
    status = runner.run(notebook(killing), out, "quick")
    assert status.state == "failed"
    assert "same command" in status.error
    assert "\n" not in status.error


@pytest.mark.slow
def test_ctrl_c_ends_the_kernel_too(notebook, tmp_path):
    sleeping = '# %% tags=["parameters"]\nprofile: str = "quick"\n# %%\nimport os, pathlib, time\n'
    sleeping += f'pathlib.Path("{tmp_path}/pid").write_text(str(os.getpid()))\ntime.sleep(600)\n'

    def press():
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    # A shell that starts the tests in the background lets them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=press, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            runner.run(notebook(sleeping), tmp_path / "out" / "example.ipynb", "quick")
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (NoSuchKernel("python3"), "ipykernel"),
        (ModuleNotFoundError("No module named 'mtlrepro'"), "another Python"),
        (PapermillExecutionError(1, 1, "", "ModuleNotFoundError", "No module named 'mtlrepro'", []), "another Python"),
    ],
    ids=["missing", "foreign", "foreign, in a cell"],
)
def test_a_missing_or_foreign_kernel_is_told_with_its_remedy(notebook, tmp_path, monkeypatch, failure, said):
    def fails(*_, **__):
        raise failure

    monkeypatch.setattr(papermill, "execute_notebook", fails)
    status = runner.run(notebook(GOOD), tmp_path / "out" / "example.ipynb", "quick")
    assert status.state == "failed"
    assert said in status.error


def test_two_runs_of_one_notebook_with_other_parameters_share_no_file():
    few, many = (parameters.Params(EXHIBIT.id, "quick", {"seeds": n}, {"seeds": n}) for n in (1, 2))
    standard = parameters.Params(EXHIBIT.id, "quick", {"seeds": 3})
    assert len({runner.executed(EXHIBIT.notebook, p) for p in (few, many, standard)}) == 3


def test_in_a_campaign_a_notebook_stops_when_the_time_is_up(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("MTLREPRO_UNTIL", str(time.time() + 5))
    sleeping = '# %% tags=["parameters"]\nprofile: str = "quick"\n# %%\nimport time\ntime.sleep(600)\n'
    status = runner.run(notebook(sleeping), tmp_path / "out" / "example.ipynb", "quick")
    assert status.state == "unfinished"
    assert status.seconds < 120


def test_a_notebook_without_parameters_is_named(notebook):
    with pytest.raises(MtlreproError, match="parameters"):
        parameters.declared_in(notebook("# %%\n1\n"))
