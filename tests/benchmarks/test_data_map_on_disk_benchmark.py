"""A data map in files, of 100 tasks and 1,000,000 points: what one epoch, a snapshot and its inner products take.

One thread, in a process of its own, whose peak of resident memory is beside what the map itself would take there. Random numbers
stand for confidences; points come in random order, 512 a batch. Needs 2 GB on the disk, until the end.

    pytest tests/benchmarks/test_data_map_on_disk_benchmark.py --benchmark-enable -s
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from ratios import report

from mtlrepro.methods import task_grouping
from mtlrepro.methods.data_map_on_disk import DataMapOnDisk

TASKS, POINTS, BATCH = 100, 1_000_000, 512


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_map_larger_than_its_memory(benchmark, tmp_path):
    """No reach: resident memory counts pages of the file that a batch maps, with as many around them as the system likes."""
    if not benchmark.enabled:
        pytest.skip("a benchmark: run with --benchmark-enable")
    command = [sys.executable, __file__, str(tmp_path)]
    options = {"check": True, "capture_output": True, "env": os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}}
    measured = json.loads(benchmark.pedantic(subprocess.run, (command,), options, rounds=1).stdout)
    what, whole = f"a data map on disk, {TASKS} tasks x {POINTS:,} points", POINTS * (8 * TASKS + 4) / 2**20
    for step in ("an epoch of batches", "a snapshot", "inner products of the tasks", "opened again"):
        report(benchmark, f"{what}: {step}", measured[step], "", "s of processor time")
    memory = measured["memory"]
    report(benchmark, f"{what}: its peak of memory", memory, "", f"MB; the map itself: {whole:.0f} MB")


def _measured(folder: Path) -> dict[str, float]:
    """Seconds of processor time by step, and MB of resident memory beyond what the libraries took before."""
    torch.set_num_threads(1)
    draw, seconds = torch.Generator().manual_seed(0), {}
    task_grouping.gram([torch.rand(TASKS, 100_000, generator=draw)])  # loads the linear algebra
    order = torch.randperm(POINTS, generator=draw).split(BATCH)
    before = _peak()
    maps = [DataMapOnDisk(folder, TASKS, POINTS)]

    def epoch() -> None:
        for index in order:
            maps[0].update(torch.rand(len(index), TASKS, generator=draw), index)

    steps = {
        "an epoch of batches": epoch, "a snapshot": lambda: maps[0].snapshot(),
        "inner products of the tasks": lambda: task_grouping.gram(maps[0].map_chunks()),
        "opened again": lambda: maps.append(DataMapOnDisk(folder, TASKS, POINTS)),
    }  # fmt: skip
    for name, step in steps.items():
        if name == "opened again":
            maps.clear()
        start = time.process_time()
        step()
        seconds[name] = time.process_time() - start
    return seconds | {"memory": _peak() - before}


def _peak() -> float:
    """MB of resident memory at most so far, of this program alone: `ru_maxrss` would start at what started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(_measured(Path(sys.argv[1]))))
