"""What this machine has and lacks for running the book."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mtlrepro import paths
from mtlrepro.book import pairing, runner
from mtlrepro.errors import MtlreproError, in_one_line


@dataclass(frozen=True)
class Finding:
    """One line of `mtlrepro doctor`. state FAIL makes it exit with 1."""

    state: Literal["ok", "note", "FAIL"]
    what: str
    found: str
    advice: str = ""


def examine() -> list[Finding]:
    """All findings, most basic first. Never raises."""
    looks: list[Callable[[], Finding]] = [
        _python, _torch, _torchvision, _device, _home, _checkout, _git, _pairs, _cache, _runs, _mirror, _disk, _kernel, _workflow,
        _browser,
    ]  # fmt: skip
    findings = []
    for look in looks:
        try:
            findings.append(look())
        except MtlreproError as error:
            findings.append(Finding("FAIL", look.__name__.strip("_"), str(error)))
        except Exception as error:
            found = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            findings.append(Finding("FAIL", look.__name__.strip("_"), found, "mend that, or run make book, which installs all"))
    return findings


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding("ok" if good else "FAIL", "python", version, "" if good else "use Python 3.11, 3.12 or 3.13")


def _torch() -> Finding:
    import torch

    good = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2]) >= (2, 11)
    return Finding("ok" if good else "FAIL", "torch", torch.__version__, "" if good else "install torch >= 2.11")


def _torchvision() -> Finding:
    try:
        return Finding("ok", "torchvision", str(importlib.import_module("torchvision").__version__))
    except (ImportError, RuntimeError) as error:
        advice = (
            "this torchvision was built for another torch (missing torchvision::nms is the usual sign): "
            "install the pair of versions in requirements.lock"
        )
        return Finding("FAIL", "torchvision", in_one_line(error)[:200], advice)


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("ok", "device", torch.cuda.get_device_name(0))
    return Finding("note", "device", f"CPU, {os.cpu_count()} cores", "profiles quick and full run here; paper wants a GPU")


def _home() -> Finding:
    try:
        return Finding("ok", "home", str(Path.home()))
    except RuntimeError:
        return Finding("FAIL", "home", "this user has none", "set HOME to a folder you may write: Jupyter keeps its files there")


def _checkout() -> Finding:
    return Finding("ok", "checkout", str(paths.project()))


def _git() -> Finding:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=paths.project(), capture_output=True, text=True, timeout=30
    )
    if done.returncode == 0:
        return Finding("ok", "git", f"commit {done.stdout.strip()}")
    owned = "dubious ownership" in done.stderr
    advice = f"git config --global --add safe.directory '{paths.project()}'" if owned else "clone with git"
    return Finding("note", "git", "refuses", f"{advice}: runs without a known commit cannot be published")


def _pairs() -> Finding:
    wrong = pairing.stale()
    advice = "run python -m mtlrepro.book.pairing" if wrong else ""
    return Finding("FAIL" if wrong else "ok", "notebook pairs", f"{len(wrong)} of {len(pairing.sources())} out of step", advice)


def _writable(folder: Path) -> bool:
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)


def _cache() -> Finding:
    folder = paths.cache()
    good = _writable(folder)
    return Finding("ok" if good else "FAIL", "cache", str(folder), "" if good else "set MTLREPRO_CACHE to a folder you may write")


def _runs() -> Finding:
    folder = paths.runs()
    good = _writable(folder)
    return Finding("ok" if good else "FAIL", "runs", str(folder), "" if good else "set MTLREPRO_RUNS to a folder you may write")


def _mirror() -> Finding:
    folder = paths.mirror()
    if folder is None:
        return Finding(
            "note", "mirror", "none", "sets that are not downloaded are replaced by embedded ones; see mtlrepro data list"
        )
    return Finding("ok", "mirror", str(folder))


def _disk() -> Finding:
    folder = paths.runs()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    return Finding("ok" if free > 2 else "FAIL", "disk", f"{free:.0f} GiB free", "" if free > 2 else "free 2 GiB")


def _kernel() -> Finding:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    runner.prefer_own_kernel()
    try:
        started = KernelSpecManager().get_kernel_spec(runner.KERNEL).argv[0]
    except NoSuchKernel:
        started = "missing"
    own = started.startswith("python") or Path(started).parent == Path(sys.executable).parent
    advice = "" if own else "python -m ipykernel install --sys-prefix"
    return Finding("ok" if own else "FAIL", "kernel", f"{runner.KERNEL}: {started}", advice)


def _workflow() -> Finding:
    try:
        return Finding("ok", "snakemake", str(importlib.import_module("snakemake").__version__))
    except ImportError:
        return Finding("note", "snakemake", "missing", "only the whole book needs it: make book, or pip install -e '.[book]'")


def chromium() -> str | None:
    """Path of a Chromium or Chrome on this machine, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def _browser() -> Finding:
    found = chromium()
    return Finding(
        "ok" if found else "note", "browser", found or "none", "" if found else "browser tests are skipped without Chromium"
    )
