"""Runs of a prepared list, until the time is up; their rows are kept as `results.Runs` keeps them."""

from __future__ import annotations

import functools
import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from mtlrepro.data import cifar
from mtlrepro.data.places import arrays_sha256, corrupt
from mtlrepro.errors import BadValue, MtlreproError, Unfinished
from mtlrepro.gpu import graphs
from mtlrepro.parameters import Params
from mtlrepro.results import digest
from mtlrepro.results.import_graph import ImportGraph
from mtlrepro.results.runs import Runs, as_rows, release, scalars, timed, with_scalars
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

    def claimed(self, key: str) -> bool:
        """Whether somebody computes a run."""
        return (self.folder / f"{key}.claim").exists()


def listed(
    exhibit: str, function: Callable[..., Any], settings: Iterable[dict[str, Any]], data: Mapping[str, str], graph: ImportGraph
) -> list[dict[str, Any]]:
    """Runs as a list has them: what to call with which setting, the data that it reads, and the key by the code of `graph`."""
    same = {"exhibit": exhibit, "module": function.__module__, "function": function.__name__}
    return [
        same
        | {"setting": setting, "data": data}
        | {"key": digest.run_key(function, setting, data, digest.run_code(function, setting, graph))}
        for setting in settings
    ]


class Plan:
    """The runs of a prepared list, those of its exhibits in stages first: a stage's are known when the one before is finished."""

    def __init__(self, prepared: Mapping[str, Any]) -> None:
        self._stages = [_Stages(entry) for entry in prepared.get("staged", [])]
        self._listed: list[dict[str, Any]] = prepared["runs"]
        self._finished: dict[str, _Finished] = {}
        self._begun = set[str]()

    def finished(self, exhibit: str) -> _Finished:
        """The finished runs of an exhibit."""
        return self._finished.setdefault(exhibit, _Finished(exhibit))

    def left(self) -> list[dict[str, Any]]:
        """The runs that are known and not finished, in order."""
        runs = [run for stages in self._stages for run in stages.known(self.finished(stages.exhibit))] + self._listed
        done = {exhibit: self.finished(exhibit).finished_runs() for exhibit in {run["exhibit"] for run in runs}}
        return [run for run in runs if run["key"] not in done[run["exhibit"]]]

    def computing(self) -> bool:
        """Whether a run that is not finished is being computed, in this process or in another."""
        return any(self.finished(run["exhibit"]).claimed(run["key"]) for run in self.left())

    def next(self, limit: Limit) -> dict[str, Any] | None:
        """A run that nobody has begun in this process; None where all are finished or begun. Raises Unfinished at the limit."""
        for run in self.left():
            if run["key"] not in self._begun:
                if limit.look():
                    raise Unfinished("the time is up.")
                self._begun.add(run["key"])
                return run
        return None


class _Stages:
    """The runs of an exhibit whose later settings depend on earlier rows."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.exhibit, self._data, module = entry["exhibit"], entry["data"], _module(entry["module"])
        self._stages = getattr(module, entry["function"])(Params(self.exhibit, entry["profile"], entry["values"]))
        self._runs: list[dict[str, Any]] = []
        self._last: list[dict[str, Any]] = []
        self._open(None)

    def _open(self, rows: list[dict[str, Any]] | None) -> None:
        function, settings = next(self._stages) if rows is None else self._stages.send(rows)
        self._last = listed(self.exhibit, function, settings, self._data, digest.graph())
        self._runs += [run for run in self._last if run["key"] not in {each["key"] for each in self._runs}]

    def known(self, finished: _Finished) -> list[dict[str, Any]]:
        """All runs of the stages that are open."""
        done = finished.finished_runs()
        while self._last and all(run["key"] in done for run in self._last):
            rows = [row for run in self._last for row in with_scalars(run["setting"], done[run["key"]]["rows"])]
            try:
                self._open(rows)
            except StopIteration:
                self._last = []
        return self._runs


def compute(folder: Path, limit: Limit, at_once: int = 1) -> int:
    """Compute the runs that `prepare` listed in `folder` and that are not finished, in order, until `limit`; how many are left.

    A training of images writes its checkpoint at the limit and goes on from there the next time. at_once: on a GPU so many runs
    in threads, their steps as CUDA graphs (`mtlrepro.gpu.graphs`); their trainings, which are short there, keep no state. Call
    this before anything else has imported a paper. Raises MtlreproError where the code here is not what the list was made with,
    or the list is missing.
    """
    try:
        prepared = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MtlreproError(f"no list of runs in {folder}: `python -m mtlrepro.gpu --prepare` writes it.") from None
    cifar.load_cifar = functools.partial(_stored_cifar, folder, prepared["sets"])
    at_once = at_once if torch.cuda.is_available() else 1
    _stop_trainings_at(limit)
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, limit.seconds + GRACE)
    if at_once > 1:
        graphs.install()
    plan = Plan(prepared)
    try:
        with ThreadPoolExecutor(at_once) as pool:
            for worker in [pool.submit(_work, plan, limit, at_once) for _ in range(at_once)]:
                worker.result()
    except Unfinished as stopped:
        print(stopped)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return len(plan.left())


def _work(plan: Plan, limit: Limit, at_once: int) -> None:
    """Compute runs of the plan, one after another; a run that cannot be computed is said and left."""
    with graphs.own_stream(), graphs.turn:
        while True:
            if run := plan.next(limit):
                try:
                    _computed(run, limit, at_once)
                except BadValue as error:  # a training that diverged, say
                    print(f"{run['exhibit']}: {error} The other runs go on.", flush=True)
            elif plan.computing() and not limit.look():  # elsewhere; what it finds may open more
                with graphs.others_turn():
                    time.sleep(0.2)
            else:
                return


def _module(name: str) -> Any:
    """A module of a paper; no other is imported by a list's word."""
    return import_module(f"mtlrepro.papers.{name.removeprefix('mtlrepro.papers.')}")


def _computed(run: Mapping[str, Any], limit: Limit, at_once: int = 1) -> bool:
    """Whether the run is finished, now or before; False where another process computes it. Raises Unfinished at the limit."""
    finished, key, setting = _Finished(run["exhibit"]), run["key"], run["setting"]
    if key in finished.finished_runs():
        return True
    if limit.look():
        raise Unfinished("the time is up.")
    function = getattr(_module(run["module"]), run["function"])
    code = digest.run_code(function, setting)
    if digest.run_key(function, setting, run["data"], code) != key:
        raise MtlreproError(f"{run['exhibit']}: the list of runs was made with other code than is here: prepare it again.")
    finished.folder.mkdir(parents=True, exist_ok=True)
    claim = finished.claim(key)
    if claim is None:
        return key in finished.finished_runs()
    try:
        if at_once == 1:
            entry = timed(function, key, setting, digest.rows_in(code), finished.folder / key)
        else:  # whose environment, and what may be read of tables, are the process's
            start = time.perf_counter()
            rows = as_rows(function(**setting))
            entry = {"key": key, "seconds": (time.perf_counter() - start) / at_once, "rows": rows}
        if torch.cuda.is_available():
            entry["device"] = f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
        finished.keep(entry)
    finally:
        release(claim)
    named = ", ".join(f"{name} {value}" for name, value in scalars(setting).items())
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
