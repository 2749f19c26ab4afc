"""Laws of the project's own files: registry, profiles, environments, licence of what is committed."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mtlrepro import exhibits, parameters, paths
from mtlrepro.book import pairing
from mtlrepro.files import sha256_of

ROOT = paths.project()
NOTEBOOKS = pairing.sources()


def test_every_paper_has_its_folders_and_every_exhibit_a_title():
    for paper in exhibits.papers():
        assert exhibits.everything(paper)
        assert (paths.book() / "papers" / paper / "index.md").is_file()
    titles = [(exhibit.paper, exhibit.title) for exhibit in exhibits.everything()]
    assert len(set(titles)) == len(titles)


def test_every_exhibit_of_a_notebook_exists_and_every_notebook_serves_one():
    served = {exhibit.notebook for exhibit in exhibits.everything() if exhibit.notebook}
    written = {source.relative_to(paths.notebooks()).with_suffix("").as_posix() for source in NOTEBOOKS}
    assert served == written


def test_notebook_pairs_are_in_step():
    assert pairing.stale() == []


def test_profiles_name_only_known_exhibits_and_profiles():
    for paper in exhibits.papers():
        for exhibit, profiles in parameters.profiles(paper).items():
            exhibits.get(f"{paper}/{exhibit}")
            assert set(profiles) <= set(parameters.PROFILES)


def test_conda_environment_is_in_step_with_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    wanted = set(project["dependencies"])
    for extra in ("book", "dev"):
        wanted |= set(project["optional-dependencies"][extra])
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert set(pip) - {"-e ."} == wanted
    assert f"python{project['requires-python']}" in environment["dependencies"]


def test_lock_holds_every_dependency_and_no_download_address():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    locked = {line.split("==")[0] for line in lock.splitlines() if "==" in line and not line.startswith(" ")}
    for group in [project["dependencies"], *project["optional-dependencies"].values()]:
        for requirement in group:
            name = re.split(r"[<>=\[; ]", requirement)[0].lower()
            assert name in locked, f"{name} is missing: run uv pip compile again (CONTRIBUTING.md)"


def test_nothing_committed_is_a_data_set_or_large():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        file = ROOT / name
        if file.exists():
            assert file.stat().st_size < 1_000_000, f"{name} is over 1 MB"
            assert file.suffix not in {".npy", ".npz", ".gz", ".zip", ".pt", ".pkl", ".bin", ".mat"}, name


def test_a_clone_with_crlf_endings_has_the_bytes_that_were_committed(tmp_path):
    """Law: rows and manifests keep their sha256 where git is told to write the line ends of Windows."""
    command = ["git", "-c", "core.autocrlf=true", "-c", "core.eol=crlf", "checkout-index", "--all", f"--prefix={tmp_path}/"]
    subprocess.run(command, cwd=ROOT, check=True)
    records = list(tmp_path.glob("book/results/*/*.json"))
    assert records
    for record in records:
        assert json.loads(record.read_text())["rows_sha256"] == sha256_of(record.with_suffix(".csv")), record.name
    text = [file for file in tmp_path.rglob("*") if file.suffix in {".py", ".yaml", ".md", ".json", ".ipynb"}]
    assert not [file for file in text if b"\r\n" in file.read_bytes()]


def test_no_unsafe_loading():
    """torch.load only with weights_only, no yaml.load, no pickle."""
    for file in sorted(paths.PACKAGE.rglob("*.py")):
        text = file.read_text()
        assert "yaml.load(" not in text, file
        assert not re.search(r"\bpickle\.(?:loads?|dumps?|Unpickler|Pickler)\b|allow_pickle=True|joblib\.load\(", text), file
        for call in re.findall(r"torch\.load\([^)]*\)", text):
            assert "weights_only=True" in call, file


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_code_and_files_that_a_page_names_exist(page):
    """Left out: what belongs to a paper that is not here, what is built, and what the changelog calls removed."""
    text = (ROOT / page).read_text().partition("### Removed")[0]
    for name in re.findall(r"`(mtlrepro\.[a-z_.]+)`", text):
        assert importlib.util.find_spec(name) or hasattr(
            importlib.import_module(name.rpartition(".")[0]), name.rpartition(".")[2]
        ), name
    for name in re.findall(r"`((?:mtlrepro|notebooks|tests|book|data_manifests)/[\w/.]+)`", text):
        _, _, inner = name.partition("/papers/")
        paper = (inner or name.removeprefix("notebooks/")).partition("/")[0]
        elsewhere = (inner or name.startswith("notebooks/")) and paper not in exhibits.papers()
        assert elsewhere or name.startswith("book/_build/") or (ROOT / name).exists(), name


def test_the_snippet_of_the_readme_is_the_one_that_is_tested():
    snippet = (paths.book() / "snippets" / "hydalearn_own_model.py").read_text().partition("# ruff")[0]
    assert snippet in (ROOT / "README.md").read_text()


def test_hooks_before_a_commit_need_no_network_and_run_the_projects_programs():
    file = ROOT / ".pre-commit-config.yaml"
    subprocess.run([sys.executable, "-m", "pre_commit", "validate-config", file], check=True, capture_output=True)
    for repository in yaml.safe_load(file.read_text())["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["language"] == "system"
            assert hook["entry"].startswith(".venv/bin/")


def test_every_way_into_a_class_installs_the_package_without_cuda_and_with_the_locked_versions():
    """`make class`, Binder and the README's commands for Windows give uv the same words; the container calls `make class`."""
    binder = (ROOT / "binder" / "postBuild").read_text()
    dry = ["make", "--dry-run", "--always-make", "class", "TORCH="]
    makefile = subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    windows = next(line for line in (ROOT / "README.md").read_text().splitlines() if "Scripts\\uv" in line)
    for commands in (binder, makefile, windows.replace(" -c ", " --constraint ").replace(" -e ", " --editable ")):
        for words in ("--torch-backend cpu", "--constraint requirements.lock", "--editable ."):
            assert words in commands
    subprocess.run(["bash", "-n", ROOT / "binder" / "postBuild"], check=True)
    assert (ROOT / "binder" / "postBuild").stat().st_mode & 0o100
    python = (ROOT / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert container["image"].endswith(f":{python}")
    assert container["postCreateCommand"] == "make class"
    assert re.search(r"^class: \$\(VENV\)/class$", (ROOT / "Makefile").read_text(), re.MULTILINE)


STUB = """#!/bin/sh
echo "$@" >> {said}
case "$*" in *--torch-backend*) exit {code};; esac
"""


@pytest.mark.parametrize(
    ("torch", "code", "asked"),
    [
        ("", 0, ["--torch-backend cpu ALL"]),
        ("", 2, ["--torch-backend cpu ALL", "ALL"]),
        ("https://mirror.example/whl/cpu", 2, ["--default-index https://mirror.example/whl/cpu TORCH", "ALL"]),
        ("wheels", 2, ["--no-index --find-links wheels TORCH", "ALL"]),
    ],
)
def test_make_class_takes_torch_from_where_it_is_told_and_goes_on_where_pytorchs_index_is_out_of_reach(
    tmp_path, torch, code, asked
):
    """With stubs in an environment of their own: an index out of reach (uv's code 2) is said, with what it costs, and the default
    index is asked; where an index or a folder is named, torch comes from that alone, before all else."""
    for name in ("requirements.lock", "pyproject.toml", "Makefile"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "wheels").mkdir()
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("pip", "uv"):
        (programs / name).write_text(STUB.format(said=tmp_path / name, code=code))
        (programs / name).chmod(0o755)
    command = ["make", "class", f"TORCH={torch}", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    words = {
        "TORCH": "--no-deps --constraint requirements.lock torch torchvision",
        "ALL": "--constraint requirements.lock --editable . ipykernel jupyterlab",
    }
    lines = [f"pip install --quiet --python .venv/bin/python {line}" for line in asked]
    expected = [re.sub("TORCH|ALL", lambda found: words[found[0]], line) for line in lines]
    assert (tmp_path / "uv").read_text().splitlines() == expected
    assert ("brings CUDA" in done.stderr and "TORCH=" in done.stderr) == (not torch and code == 2)
    assert (programs.parent / "class").exists()


def test_a_class_has_every_module_that_notebooks_and_package_import_in_its_locked_version():
    """What the dependencies and a kernel bring; the two modules that print the built book are no part of a class."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    held, left = set(), [Requirement(text) for text in [*project["dependencies"], "ipykernel"]]
    while left:
        requirement = left.pop()
        if (name := canonicalize_name(requirement.name)) in held or not (
            requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        ):
            continue
        held.add(name)
        left += map(Requirement, importlib.metadata.requires(name) or [])
    locked = set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert held <= locked
    providers, lacking = importlib.metadata.packages_distributions(), set()
    for file in [*paths.notebooks().rglob("*.py"), *paths.PACKAGE.rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_bytes())):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            named += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for top in {name.partition(".")[0] for name in named} - set(sys.stdlib_module_names) - {"mtlrepro"}:
                if not {canonicalize_name(provider) for provider in providers.get(top, [])} & held:
                    lacking.add((file.relative_to(ROOT).as_posix(), top))
    assert lacking == {("mtlrepro/book/pdf.py", "bs4"), ("mtlrepro/book/slides.py", "bs4")}


def test_binder_and_make_class_run_commands_that_exist_on_files_that_exist(tmp_path):
    """With a stub in place of python: binder/postBuild installs uv, then with it the package, into the python that it was given;
    so does `make class`, which names its steps alone."""
    pytest.importorskip("uv", reason="an environment that uv made has no uv of its own")
    command = [sys.executable, "-m", "uv", "pip", "install", "--help"]
    known = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    stub = tmp_path / "python"
    stub.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\n')
    stub.chmod(0o755)
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run([ROOT / "binder" / "postBuild"], cwd=ROOT, env=path, check=True)
    pip, binder = (tmp_path / "said").read_text().splitlines()
    assert pip.startswith("-m pip install ")
    assert pip.endswith(" uv")
    assert f"--python {stub}" in binder
    named = ["make", "--dry-run", "class", f"VENV={tmp_path / 'new'}"]
    steps = subprocess.run(named, cwd=ROOT, capture_output=True, text=True, check=True).stdout.replace("\\\n", "")
    made = next(line for line in steps.splitlines() if "uv pip install" in line).partition(" || ")[0]
    for command in (binder, made):
        words = command.split()
        assert (ROOT / words[words.index("--constraint") + 1]).is_file()
        assert [word for word in words if word.startswith("--") and word not in known] == []
    assert made.split()[-2:] == ["ipykernel", "jupyterlab"]
