"""SLURM with one node, for a test: munged, slurmctld and slurmd of its own, with configuration and state in one folder."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd")


def missing() -> str:
    """What this machine lacks, in words; empty where a node can be started."""
    if lacking := [name for name in PROGRAMS if not shutil.which(name)]:
        return f"no {lacking[0]} here (Debian: apt install slurm-wlm)"
    if os.geteuid() or not find_spec("snakemake_executor_plugin_slurm"):
        return "needs root, and the extra `cluster`"
    return ""


class Node:
    """A running SLURM. environment: what its commands need beside their own. folder: short, since it holds a socket."""

    def __init__(self, folder: Path) -> None:
        configuration = folder / "slurm.conf"
        # Snakemake takes SLURM's variables from its jobs, in which srun would then look into /etc alone.
        srun = folder / "bin" / "srun"
        srun.parent.mkdir()
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={configuration} exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        self.folder = folder
        self.environment = {"SLURM_CONF": str(configuration), "PATH": f"{srun.parent}:{os.environ['PATH']}", "NODE": str(folder)}
        configuration.write_text(_configuration(folder, *_free_ports()))
        (folder / "munge.key").write_bytes(secrets.token_bytes(128))
        (folder / "munge.key").chmod(0o600)
        folder.chmod(0o755)
        files = [f"--{what}-file={folder / 'munged'}.{what}" for what in ("pid", "log", "seed")]
        self._daemons = [
            self._start("munged", "--foreground", f"--socket={folder}/munge", f"--key-file={folder}/munge.key", *files)
        ]
        _until((folder / "munge").exists)
        self._daemons.append(self._start("slurmctld", "-D"))
        self.boot()

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        log = self.folder / f"{words[0]}.output"
        with log.open("ab") as output:
            return subprocess.Popen(
                words, env=os.environ | self.environment | {"SLURM_DAEMON": "1"}, stdout=output, stderr=output
            )

    def boot(self) -> None:
        """Start the node, for the first time or again, and wait until it answers: without a star behind its state."""
        self._daemons.append(self._start("slurmd", "-D"))
        _until(lambda: self("sinfo", "-h", "-o", "%T") in ("idle", "mixed", "allocated", "completing"))

    def __call__(self, *words: str) -> str:
        """What a command of SLURM prints."""
        done = subprocess.run(words, env=os.environ | self.environment, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def running(self) -> str:
        """A job that runs; between two jobs the node may be empty for a moment."""
        jobs: list[str] = []

        def seen() -> bool:
            jobs[:] = self("squeue", "-h", "-t", "running", "-o", "%i").split()
            return bool(jobs)

        _until(seen)
        return jobs[0]

    def lose(self) -> None:
        """The node without power: slurmd and every process of every job is gone at once; the controller is elsewhere."""
        self._daemons.pop().kill()
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _processes(self) -> Iterator[int]:
        """Of the node: of jobs, and the daemons that watch them."""
        own, controller = f"NODE={self.folder}".encode(), {daemon.pid for daemon in self._daemons}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                given = (place / "environ").read_bytes().split(b"\0")
                of_node = any(one.startswith((b"SLURM_JOB_ID=", b"SLURM_DAEMON=")) for one in given)
                if own in given and of_node and int(place.name) not in controller:
                    yield int(place.name)

    def stop(self) -> None:
        self("scancel", "--state=running")
        self.lose()
        for daemon in self._daemons:
            daemon.kill()
            daemon.wait()


@contextmanager
def slurm(folder: Path) -> Iterator[Node]:
    node = Node(folder)
    try:
        yield node
    finally:
        node.stop()


def _configuration(folder: Path, controller: int, node: int) -> str:
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    host = socket.gethostname().partition(".")[0]
    places = {
        "StateSaveLocation": "state",
        "SlurmdSpoolDir": "spool",
        "SlurmctldPidFile": "controller.pid",
        "SlurmdPidFile": "node.pid",
    }
    settings = {name: folder / place for name, place in places.items()} | {
        "ClusterName": "one", "SlurmctldHost": f"{host}(127.0.0.1)", "SlurmctldPort": controller, "SlurmdPort": node,
        "SlurmUser": "root", "AuthInfo": f"socket={folder}/munge", "ProctrackType": "proctrack/pgid", "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/none", "AccountingStorageType": "accounting_storage/none",
        "SelectType": "select/cons_tres", "SelectTypeParameters": "CR_Core_Memory", "MpiDefault": "none",
        "SlurmdParameters": "config_overrides", "ReturnToService": 2, "SlurmdTimeout": 5, "KillWait": 1,
    }  # fmt: skip
    lines = [f"{name}={value}" for name, value in settings.items()]
    lines += [f"NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=16000", "PartitionName=all Nodes=ALL Default=YES"]
    return "\n".join([*lines, ""])


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def _until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "SLURM did not get so far"
        time.sleep(0.1)
