"""The campaign as a whole, on a small copy of the project with two exhibits: killed twice; on SLURM and on Kubernetes, where jobs
are lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from project_copy import copy_project
from registered import ALONE
from slurm_node import missing, slurm

from mtlrepro import exhibits
from mtlrepro.results.cost import resources

FIRST, SECOND = ALONE[:2]
COUNT = 8
# What stands for an exhibit's module: each run says that it began, and takes long enough to be killed.
STUDY = """
import os
import time

import numpy as np


def measure(name, seed):
    with open(os.environ["LOG"], "a") as log:
        log.write(f"{name} {seed}\\n")
    time.sleep(0.4)
    return {"value": float(np.random.default_rng(seed).normal())}
"""
NOTEBOOK = """
# %% tags=["parameters"]
profile: str = "quick"
seeds: int = None  # seeds
# %%
from mtlrepro import results
from mtlrepro.papers.NAME import study
from mtlrepro.parameters import params

p = params("EXHIBIT", globals())
runs = results.Runs(p)
rows = runs.map(study.measure, [{"name": p.exhibit, "seed": seed} for seed in range(p.seeds)])
results.record(p.exhibit, rows, runs, tier="synthetic")
"""


@pytest.fixture
def project(tmp_path_factory):
    """A committed copy of the project with two small notebooks in place of its own, and nothing recorded."""
    copy = copy_project(tmp_path_factory.mktemp("project"), ["notebooks/", "book/results/", "tests/"])
    for file in copy.glob("mtlrepro/papers/*/exhibits.yaml"):
        content = yaml.safe_load(file.read_text())
        for entry in content["exhibits"].values():
            if f"{file.parent.name}/{entry.get('notebook')}" not in (FIRST.notebook, SECOND.notebook):
                entry.pop("notebook", None)
        file.write_text(yaml.safe_dump(content, sort_keys=False))
    for paper in {FIRST.paper, SECOND.paper}:
        names = [exhibit.id.partition("/")[2] for exhibit in (FIRST, SECOND) if exhibit.paper == paper]
        profiles = yaml.safe_dump({name: {"full": {"seeds": COUNT}} for name in names})
        (copy / f"mtlrepro/papers/{paper}/profiles.yaml").write_text(profiles)
        (copy / f"mtlrepro/papers/{paper}/study.py").write_text(STUDY)
    for exhibit in (FIRST, SECOND):
        file = copy / f"notebooks/{exhibit.notebook}.ipynb"
        file.parent.mkdir(parents=True, exist_ok=True)
        text = NOTEBOOK.replace("NAME", exhibit.paper).replace("EXHIBIT", exhibit.id)
        nbformat.write(jupytext.reads(text, fmt="py:percent"), file)
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "All"]):
        subprocess.run(["git", *words], cwd=copy, check=True)
    return copy


def start(project, *words, **more):
    environment = os.environ | {
        "PYTHONPATH": str(project), "MTLREPRO_RUNS": str(project / "runs"), "LOG": str(log(project)),
        "JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1",
    } | more  # fmt: skip
    command = [sys.executable, "-c", "from mtlrepro.cli import main; main()", "campaign", "--processes", "2", *words]
    return subprocess.Popen(
        command, cwd=project, env=environment, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def log(project):
    """Beside this copy, of this copy alone: tests of one worker share the folder."""
    return project.with_suffix(".log")


def begun(project):
    return log(project).read_text().splitlines() if log(project).exists() else []


def assert_rows_are_those_of_one_process(project, exhibit):
    values = [float(np.random.default_rng(seed).normal()) for seed in range(COUNT)]
    expected = pd.DataFrame({"name": exhibit.id, "seed": range(COUNT), "value": values})
    [table] = project.glob(f"runs/{exhibit.id}.full.*.csv")
    assert table.read_text() == expected.to_csv(index=False)


def wait_for_runs(campaign, project, many):
    deadline = time.monotonic() + 300
    while len(begun(project)) < many and campaign.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(begun(project)) >= many, "" if campaign.poll() is None else campaign.communicate()[0]


@pytest.mark.slow
def test_a_campaign_killed_twice_ends_with_the_rows_of_an_uninterrupted_one(project):
    """Laws: rows are those of the settings computed one by one; a kill repeats the runs under way alone; nothing is published."""
    for many in (3, 9):
        process = start(project)
        wait_for_runs(process, project, many)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        time.sleep(2.5)  # a notebook's kernel looks for its parent once a second
        assert many <= len(begun(project)) < 2 * COUNT
    said = start(project).communicate(timeout=200)[0]
    assert "ready to publish:" in said, said
    assert all(exhibit.id in said for exhibit in (FIRST, SECOND))
    assert len(begun(project)) - len(set(begun(project))) <= 2 * 2, "two runs are under way at a kill, no more"
    for exhibit in (FIRST, SECOND):
        assert_rows_are_those_of_one_process(project, exhibit)
    assert not (project / "book/results").exists()
    assert "ready to publish: " in start(project, "--status").communicate(timeout=60)[0]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_on_slurm_a_killed_job_and_a_lost_node_change_no_row(project):
    """Laws: rows are those of the settings computed one by one; what a job has finished stays when it or its node is lost."""
    options = "--executor slurm --jobs 4 --retries 2 --slurm-no-account --slurm-no-requeue"
    options += " --slurm-status-command squeue --slurm-init-seconds-before-status-checks 3"
    with tempfile.TemporaryDirectory() as folder, slurm(Path(folder)) as node:
        campaign = start(project, FIRST.id, "--engine", options, **node.environment)
        wait_for_runs(campaign, project, 2)
        node("scancel", node.running())
        wait_for_runs(campaign, project, 4)
        node.lose()
        lost = begun(project)
        node.boot()
        said = campaign.communicate(timeout=600)[0]
        assert f"mtlrepro publish {FIRST.id}" in said, said
    assert len(begun(project)) > len(lost)
    assert len(begun(project)) - len(set(begun(project))) <= 1 + 2, "one run is under way in each job"
    assert_rows_are_those_of_one_process(project, FIRST)


def on_kubernetes(project):
    """Options of Snakemake: the project on a volume; nothing of this machine's caches is in a container."""
    options = f"--executor kubernetes-volume --container-image python --kubernetes-volume-persistent-volumes checkout:{project}"
    return options + " --shared-fs-usage input-output persistence sources software-deployment --seconds-between-status-checks 1"


@pytest.mark.slow
def test_on_kubernetes_a_killed_job_changes_no_row(project, tmp_path):
    """Laws: rows are those of the settings computed one by one; every manifest is valid; settings reach the containers."""
    node = pytest.importorskip("kubernetes_node", reason="needs the extras `cluster` and `dev`", exc_type=ImportError)
    image = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    image |= {"PYTHONPATH": os.pathsep.join([str(project), os.environ.get("PYTHONPATH", "")]), "LOG": str(log(project))}
    search = os.pathsep.join([str(project), str(project / "workflow"), os.environ.get("PYTHONPATH", "")])
    with node.kubernetes(tmp_path, image) as cluster:
        options = f"{on_kubernetes(project)} --jobs 4 --retries 2"
        campaign = start(project, FIRST.id, "--engine", options, **cluster.environment, PYTHONPATH=search)
        wait_for_runs(campaign, project, 2)
        cluster.evict()
        said = campaign.communicate(timeout=200)[0]
        assert f"mtlrepro publish {FIRST.id}" in said, said
    assert not cluster.faults
    assert all("mtlrepro_until" in secret for secret in cluster.secrets.values())
    assert len(cluster.jobs) == 2 + 1, "each share, and the killed one again"
    assert len(begun(project)) - len(set(begun(project))) <= 1, "one run was under way in the killed job"
    assert_rows_are_those_of_one_process(project, FIRST)


@pytest.mark.slow
def test_on_kubernetes_each_job_asks_for_what_its_paper_profile_takes(tmp_path):
    node = pytest.importorskip("kubernetes_node", reason="needs the extras `cluster` and `dev`", exc_type=ImportError)
    copy = copy_project(tmp_path / "project", ["tests/"])
    notebooks = sorted({exhibit.notebook for exhibit in exhibits.everything() if exhibit.notebook})
    with node.kubernetes(tmp_path) as cluster:
        words = ["-m", "snakemake", "--snakefile", "workflow/Snakefile", "--nolock", "--keep-going", "--jobs", "100"]
        words += [*on_kubernetes(copy).split(), "--config", "profile=paper", f"campaign={' '.join(notebooks)}", "--", "campaign"]
        search = {"PYTHONPATH": os.pathsep.join([str(copy), str(copy / "workflow"), os.environ.get("PYTHONPATH", "")])}
        environment = os.environ | cluster.environment | search
        done = subprocess.run([sys.executable, *words], cwd=copy, env=environment, capture_output=True, text=True, timeout=280)
    assert not cluster.faults
    assert len(cluster.jobs) == len(notebooks), done.stderr[-2000:]
    for job in cluster.jobs.values():
        [container] = job["spec"]["template"]["spec"]["containers"]
        [name] = [name for name in notebooks if f"share:name={name}," in container["args"][1]]
        expected = resources(name, "paper")
        assert container["resources"]["requests"]["memory"] == f"{expected['mem_mb']}M"
        limits = container["resources"].get("limits", {})
        assert int(limits.get("nvidia.com/gpu", 0)) == expected.get("gpu", 0), "a GPU is given to who has it among the limits"
