"""Processes forked off one that has imported what takes long, in place of processes that each import it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType

_PARENT = """
import json, os, sys

for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(order["folder"])
        os.environ.update(order["environment"])
        said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1), os.dup2(said, 2)
        exec(order["code"])
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Forks:
    """A Python that executes `start` once; then each `run` is a process forked off it, which knows what `start` defined."""

    def __init__(self, start: str, folder: Path) -> None:
        self._said = folder / "said.txt"
        command = [sys.executable, "-c", start + _PARENT]
        self._parent = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, code: str, folder: Path, **environment: str) -> tuple[int, str]:
        """Exit code and output of `code`, executed in `folder` with these environment variables set."""
        assert self._parent.stdin
        assert self._parent.stdout
        order = {"code": code, "folder": str(folder), "environment": environment, "said": str(self._said)}
        self._parent.stdin.write(json.dumps(order) + "\n")
        self._parent.stdin.flush()
        ended = self._parent.stdout.readline()
        assert ended, "the process to fork off died"
        return int(ended), self._said.read_text(encoding="utf-8")

    def __enter__(self) -> Forks:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._parent.communicate()
