"""The workflow as a whole, on a small copy of the project: one notebook that works and one that fails; a disk that is full."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import jupytext
import nbformat
import pytest
import yaml
from project_copy import copy_project, run_in
from registered import ALONE

# Any two notebooks that serve one exhibit each.
FIRST, SECOND = ALONE[:2]
GOOD, BAD = FIRST.notebook, SECOND.notebook
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

results.record(p.exhibit, [{"x": 1}], p, tier="synthetic")
"""


def snakemake(project, *words, folder=None):
    options = ["--snakefile", str(project / "workflow" / "Snakefile"), "--cores", "2", "--nolock", "--keep-going"]
    return run_in(project, "-m", "snakemake", *options, *words, folder=folder, timeout=560)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with two small notebooks in place of its own, in a folder that no shell takes as it is."""
    return small_project(tmp_path_factory.mktemp("project") / "a b ü")


def small_project(place):
    copy = copy_project(place, ["notebooks/", "book/results/", "tests/"])
    (copy / ".venv").symlink_to(sys.prefix)
    for file in copy.glob("mtlrepro/papers/*/exhibits.yaml"):
        content = yaml.safe_load(file.read_text())
        for entry in content["exhibits"].values():
            if f"{file.parent.name}/{entry.get('notebook')}" not in (GOOD, BAD):
                entry.pop("notebook", None)
        file.write_text(yaml.safe_dump(content, sort_keys=False))
    for paper in {FIRST.paper, SECOND.paper}:
        names = [exhibit.id.partition("/")[2] for exhibit in (FIRST, SECOND) if exhibit.paper == paper]
        profiles = yaml.safe_dump({name: {"quick": {"seeds": 2}} for name in names})
        (copy / f"mtlrepro/papers/{paper}/profiles.yaml").write_text(profiles)
    for name in ("errata", "findings"):  # they point to cells and to recorded runs of the notebooks left out
        for file in copy.glob(f"book/papers/*/{name}.yaml"):
            file.unlink()
    write(copy, GOOD, RECORD)
    write(copy, BAD, 'raise ValueError("planted failure")')
    return copy


def write(project, name, body):
    exhibit = next(exhibit.id for exhibit in (FIRST, SECOND) if exhibit.notebook == name)
    file = project / "notebooks" / f"{name}.ipynb"
    file.parent.mkdir(parents=True, exist_ok=True)
    notebook = jupytext.reads(TEMPLATE.format(title=name, exhibit=exhibit, body=body), fmt="py:percent")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    nbformat.write(notebook, file)


def planned(project, folder=None):
    """The notebooks that the next build would run, started in that folder (default: the one above)."""
    plan = snakemake(project, "--dry-run", folder=folder or project.parent).stdout
    return {name for name in (GOOD, BAD) if f"output: runs/book/{name}.ipynb" in plan}


@pytest.mark.slow
def test_the_whole_book_is_planned_wherever_it_is_started(project, tmp_path):
    assert planned(project, tmp_path) == {GOOD, BAD}


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


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--config", "profile=ful"), "unknown profile 'ful'"),
        (("--config", "profil=full"), "unknown --config 'profil'"),
        (("--directory", "."), "no notebooks in "),
    ],
)
def test_a_mistake_in_the_configuration_is_one_line(project, given, said, tmp_path):
    """Law: no other folder's empty book is planned, and no other profile than the one meant."""
    done = snakemake(project, *given, folder=tmp_path)
    assert done.returncode != 0
    assert done.stderr.startswith(said)
    assert "\n" not in done.stderr.strip()


@pytest.fixture
def full_disk(tmp_path):
    """A disk of its own, and a function that leaves so many KB of it free."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(place)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    if not shutil.which("mount") or (done := mount("size=300m")).returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip() if shutil.which('mount') else 'no mount'}")
    yield place, lambda free: mount("remount", f"size={shutil.disk_usage(place).used // 1024 + free}k")
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_build_whose_disk_is_full_says_so_and_the_same_command_goes_on_once_there_is_space(full_disk):
    """Laws: wherever the disk ends, in a notebook or among the pages, the build fails and says why, no site is left that is not
    whole, and no notebook that ended is run again."""
    place, leave = full_disk
    copy = small_project(place / "project")
    write(copy, BAD, RECORD)
    for free, reached in ((40, "notebooks"), (2500, "pages")):
        leave(free)
        done = snakemake(copy, "--rerun-incomplete")
        said = done.stdout + done.stderr
        assert done.returncode != 0
        assert "give the same command" in said, said[-3000:]
        assert not (copy / "book/_build/html/index.html").exists()
        assert (reached == "pages") == all((copy / f"runs/book/{name}.status.json").exists() for name in (GOOD, BAD))
    leave(100_000)
    ended = {name: (copy / f"runs/book/{name}.ipynb").read_bytes() for name in (GOOD, BAD)}
    done = snakemake(copy, "--rerun-incomplete")
    assert done.returncode == 0, done.stderr[-3000:]
    for name in (GOOD, BAD):
        assert (copy / f"runs/book/{name}.ipynb").read_bytes() == ended[name]
        assert "Parameters of this run" in (copy / f"book/_build/html/exhibits/{name}.html").read_text()
