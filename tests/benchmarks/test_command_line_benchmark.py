"""What the command line takes with three recorded runs of every exhibit: processor time of a process, its start included.

Where an exhibit has no run of a profile, a copy of its largest one stands for it.

    pytest tests/benchmarks/test_command_line_benchmark.py --benchmark-enable -s
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
from ratios import report

from mtlrepro import exhibits, paths
from mtlrepro.files import write_text
from mtlrepro.parameters import PROFILES
from mtlrepro.results import store

COMMAND = "from mtlrepro.cli import main; main()"
ROUNDS = 5


@pytest.mark.slow
def test_the_command_line_answers_at_once(benchmark, tmp_path):
    """Reach: verdicts and list 1 s, import 1.5 s, without PyTorch, whose time is not ours."""
    if not benchmark.enabled:
        pytest.skip("a benchmark: run with --benchmark-enable")
    environment = os.environ | {"MTLREPRO_RUNS": str(tmp_path)}
    count = len([_record_three(exhibit.id, tmp_path) for exhibit in exhibits.everything()])

    def answered(*words: str) -> str:
        command = [sys.executable, "-c", *words]
        return subprocess.run(command, env=environment, cwd=paths.project(), check=True, capture_output=True, text=True).stdout

    assert len(json.loads(answered(COMMAND, "verdicts", "--json"))) == len(PROFILES) * count
    of = f"{count} exhibits x {len(PROFILES)} records"
    for what, words, most in (
        (f"mtlrepro verdicts, {of}", (COMMAND, "verdicts"), 1),
        (f"mtlrepro list, {of}", (COMMAND, "list"), 1),
        ("import of the command line", ("import mtlrepro.cli",), 1.5),
    ):
        seconds = median(_seconds(lambda words=words: answered(*words)) for _ in range(ROUNDS))
        report(benchmark, what, seconds, f"at most {most:g}", "s of processor time")
    benchmark.pedantic(answered, (COMMAND, "verdicts"), rounds=1)


def _record_three(exhibit: str, runs: Path) -> None:
    """A record of each profile among this machine's runs."""
    largest = store.load(exhibit, store.available(exhibit, committed=True)[-1], committed=True).profile
    for profile in PROFILES:
        here = [paths.recorded() / f"{exhibit}.{each}.json" for each in (profile, largest)]
        record = next(file for file in here if file.exists())
        target = runs / f"{exhibit}.{profile}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(record.with_suffix(".csv"), target.with_suffix(".csv"))
        write_text(target, store._sealed(json.loads(record.read_text(encoding="utf-8")) | {"profile": profile}))


def _seconds(call: Callable[[], object]) -> float:
    """Processor time of the processes that `call` starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    call()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
