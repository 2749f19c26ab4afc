"""A copy of the project's files, to be changed by a test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mtlrepro import paths


def listed() -> list[str]:
    """Every file of the project that is committed or would be: paths from its top folder."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=paths.project(), capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted({name for name in names if name and (paths.project() / name).is_file()})


def copy_project(target: Path, without: Sequence[str] = ()) -> Path:
    """Copy the project into `target`, without the files whose path begins with one of `without`."""
    for name in listed():
        if not name.startswith(tuple(without)):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(paths.project() / name, target / name)
    return target


def run_in(project: Path, *words: str, folder: Path | None = None, timeout: int = 280) -> subprocess.CompletedProcess[str]:
    """``python WORDS`` with the package and the runs of a copy of the project, in it or in another folder.

    Where the copy has an environment of its own (.venv), with its python.
    """
    environment = os.environ | {
        "PYTHONPATH": str(project),
        "MTLREPRO_RUNS": str(project / "runs"),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    own = project / ".venv" / "bin" / "python"
    command = [str(own) if own.exists() else sys.executable, *words]
    return subprocess.run(
        command, cwd=folder or project, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=timeout
    )
