"""Runs of a prepared list, until the time is up; their rows are kept as `results.Runs` keeps them."""

from __future__ import annotations

import functools
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mtlrepro.data import cifar
from mtlrepro.data.places import arrays_sha256, corrupt
from mtlrepro.errors import MtlreproError, Unfinished
from mtlrepro.results import digest
from mtlrepro.results.runs import Runs, release, timed
from mtlrepro.training import images

# Seconds past the limit after which a run is given up that is no training of images, and so keeps no state.
GRACE = 30.0


class Limit:
    """The time to stop at. clock: seconds, from any start."""

    def __init__(self, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._end = clock, clock() + 60 * minutes
        self.seconds, self.passed = 60 * minutes, False

    def look(self) -> bool:
        """Whether the time is up; it stays so."""
        self.passed = self.passed or self._clock() >= self._end
        return self.passed


class _Finished(Runs):
    """The finished runs of an exhibit, without its registry and its profiles."""

    def __init__(self, exhibit: str) -> None:
        self._open(exhibit)


def compute(folder: Path, limit: Limit) -> int:
    """Compute the runs that `prepare` listed in `folder` and that are not finished, in order, until `limit`; how many are left.

    A training of images writes its checkpoint at the limit and goes on from there the next time. Call this before anything else
    has imported a paper. Raises MtlreproError where the code here is not what the list was made with, or the list is missing.
    """
    try:
        prepared = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MtlreproError(f"no list of runs in {folder}: `python -m mtlrepro.gpu --prepare` writes it.") from None
    cifar.load_cifar = functools.partial(_stored_cifar, folder, prepared["sets"])
    _stop_trainings_at(limit)
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, limit.seconds + GRACE)
    left = len(prepared["runs"])
    try:
        for run in prepared["runs"]:
            left -= _computed(run, limit)
    except Unfinished as stopped:
        print(stopped)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return left


def _computed(run: Mapping[str, Any], limit: Limit) -> bool:
    """Whether the run is finished, now or before; False where another process computes it. Raises Unfinished at the limit."""
    finished, key, setting = _Finished(run["exhibit"]), run["key"], run["setting"]
    if key in finished.finished_runs():
        return True
    if limit.look():
        raise Unfinished("the time is up.")
    within = run["module"].removeprefix("mtlrepro.papers.")
    function = getattr(import_module(f"mtlrepro.papers.{within}"), run["function"])
    code = digest.run_code(function, setting)
    if digest.run_key(function, setting, run["data"], code) != key:
        raise MtlreproError(f"{run['exhibit']}: the list of runs was made with other code than is here: prepare it again.")
    finished.folder.mkdir(parents=True, exist_ok=True)
    claim = finished.claim(key)
    if claim is None:
        return key in finished.finished_runs()
    try:
        entry = timed(function, key, setting, digest.rows_in(code), finished.folder / key)
        finished.keep(entry)
    finally:
        release(claim)
    named = ", ".join(f"{name} {value}" for name, value in setting.items() if isinstance(value, str | int | float))
    print(f"{run['exhibit']}: {named}: {entry['seconds']:.0f} s", flush=True)
    return True


def _stop_trainings_at(limit: Limit) -> None:
    """From now on a training of images writes its checkpoint in the step in which the time is up, and stops in the next."""
    train_images = images.train_images

    class Checkpoint:
        """`images.Checkpoint`, due at the limit too."""

        def __init__(self, path: Path, seconds: float = 60.0) -> None:
            self.path, self._seconds = path, seconds

        @property
        def seconds(self) -> float:
            return 0.0 if limit.passed else self._seconds

    def progress(_made: int, _all: int) -> None:
        if limit.passed:
            raise Unfinished("the time is up: a training was stopped, and its state is kept.")
        limit.look()

    images.Checkpoint = Checkpoint  # type: ignore[misc, assignment]
    images.train_images = functools.partial(train_images, progress=progress)


def _give_up(*_: object) -> None:
    # Not by an exception: it could strike inside an import, or be caught.
    print("the time is up: the run under way was given up; the same command goes on from the finished ones.", flush=True)
    os._exit(0)


def _stored_cifar(
    folder: Path, sets: Mapping[str, Any], name: str, split: Literal["train", "test"], limit: int | None = None,
    mirror: Path | None = None,
) -> cifar.ImageSet:  # fmt: skip
    """As `load_cifar`, from the arrays in `folder`. Raises DataCorrupt where they are not those that were prepared."""
    said, file = sets[f"{name}-{split}"], folder / f"{name}-{split}.npz"
    with np.load(file, allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    if (digest_of_all := arrays_sha256(arrays)) != said["sha256"]:
        raise corrupt(file, said["sha256"], digest_of_all)
    arrays = {key: values[:limit] for key, values in arrays.items()}
    labels = {key: values.astype(np.int64) for key, values in arrays.items() if key != "images"}
    classes = {key: tuple(names) for key, names in said["classes"].items()}
    sha256 = arrays_sha256(arrays)
    return cifar.ImageSet(name, split, arrays["images"], labels, classes, said["partial"], sha256, said["tier"], said["source"])
