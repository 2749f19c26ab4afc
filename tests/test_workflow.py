"""The workflow as a whole, on a small copy of the project: one notebook that works and one that fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import jupytext
import nbformat
import pytest
import yaml

from mtlrepro import exhibits, paths

GOOD, BAD = "transfer/fig3_transfer_curves", "transfer/prop1_capacity"
TEMPLATE = """
# %% [markdown]
# # {title}
# %% tags=["parameters"]
profile: str = "quick"
seeds: int = None  # seeds
# %%
from mtlrepro.parameters import params

p = params("{exhibit}", globals())
# %%
print("this part ran")
# %%
{body}
"""
RECORD = """
from mtlrepro import results

results.record(p.exhibit, [{"x": 1}], p, parts=[results.paired("gain", [1.0, 1.1, 1.2])], tier="synthetic")
"""


def snakemake(project, *words):
    environment = os.environ | {
        "PYTHONPATH": str(project),
        "MTLREPRO_RUNS": str(project / "runs"),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    command = [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile", "--cores", "2", "--nolock", "--keep-going"]
    return subprocess.run([*command, *words], cwd=project, env=environment, capture_output=True, text=True, timeout=280)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with two small notebooks in place of its own."""
    copy = tmp_path_factory.mktemp("project")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=paths.project(), capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        left_out = name.startswith(("notebooks/", "book/results/", "tests/"))
        if not left_out and (paths.project() / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(paths.project() / name, copy / name)
    for file in copy.glob("mtlrepro/papers/*/exhibits.yaml"):
        content = yaml.safe_load(file.read_text())
        for entry in content["exhibits"].values():
            if f"{file.parent.name}/{entry.get('notebook')}" not in (GOOD, BAD):
                entry.pop("notebook", None)
        file.write_text(yaml.safe_dump(content, sort_keys=False))
    (copy / "mtlrepro/papers/transfer/profiles.yaml").write_text("fig3: {quick: {seeds: 2}}\nprop1: {quick: {seeds: 2}}\n")
    for file in copy.glob("book/papers/*/errata.yaml"):
        file.unlink()
    write(copy, GOOD, RECORD)
    write(copy, BAD, 'raise ValueError("planted failure")')
    return copy


def write(project, name, body):
    exhibit = next(e.id for e in exhibits.everything() if e.notebook == name)
    file = project / "notebooks" / f"{name}.ipynb"
    file.parent.mkdir(parents=True, exist_ok=True)
    notebook = jupytext.reads(TEMPLATE.format(title=name, exhibit=exhibit, body=body), fmt="py:percent")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    nbformat.write(notebook, file)


def planned(project):
    """The notebooks that the next build would run."""
    plan = snakemake(project, "--dry-run").stdout
    return {name for name in (GOOD, BAD) if f"output: runs/book/{name}.ipynb" in plan}


@pytest.mark.slow
def test_a_failing_notebook_is_kept_shown_and_reported_and_stops_no_other(project):
    done = snakemake(project)
    assert done.returncode != 0
    assert "planted failure" in done.stderr + done.stdout
    assert json.loads((project / f"runs/book/{GOOD}.status.json").read_text())["state"] == "ok"
    assert "this part ran" in (project / f"runs/book/{BAD}.ipynb").read_text()
    page = (project / f"book/_build/html/exhibits/{BAD}.html").read_text()
    assert "This notebook failed" in page
    assert "planted failure" in page
    assert "this part ran" in page
    other = (project / f"book/_build/html/exhibits/{GOOD}.html").read_text()
    assert "This notebook failed" not in other
    assert "Parameters of this run" in other

    assert planned(project) == {BAD}, "a failed notebook runs again at the next build, a good one does not"
    write(project, BAD, RECORD)
    mended = snakemake(project)
    assert mended.returncode == 0, mended.stderr[-2000:]
    assert "This notebook failed" not in (project / f"book/_build/html/exhibits/{BAD}.html").read_text()

    assert planned(project) == set()
    write(project, GOOD, RECORD + "\n# edited\n")
    assert planned(project) == {GOOD}, "an edited notebook runs again, the others do not"


def test_an_unknown_profile_is_one_line(project):
    done = snakemake(project, "--config", "profile=ful")
    assert done.returncode != 0
    assert "unknown profile 'ful'" in done.stderr
