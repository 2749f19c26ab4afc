"""Finished runs of an exhibit on this machine: a killed notebook picks up where it stopped."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import math
import os
import reprlib
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import filelock

from mtlrepro import exhibits, paths
from mtlrepro.errors import DISK_FULL, BadValue, MtlreproError, Unfinished
from mtlrepro.files import damaged_zip
from mtlrepro.methods.table import reading_only
from mtlrepro.parameters import Params
from mtlrepro.results import digest
from mtlrepro.results.progress import progress

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

Row = dict[str, Any]


@dataclass(frozen=True)
class Standing:
    """Runs of an exhibit's profile that are done, running (claimed by a living process) and left.

    seconds: that the done ones took. seconds_left: that running and left ones will take, from the measured ones; NaN without.
    """

    done: int
    running: int
    left: int
    seconds: float
    seconds_left: float


class Runs:
    """Finished runs of one exhibit on this machine, kept one line each in ``runs/<paper>/<exhibit>.jsonl``.

    Processes that map the same settings at the same time share them: each setting is computed by the one that has claimed it.
    """

    def __init__(self, p: Params, place: str = "") -> None:
        """place: where runs of no exhibit are kept, such as ``compare``, in place of the exhibit's own."""
        self._open(place or exhibits.get(p.exhibit).id)
        self.params = p
        self.seconds = 0.0
        self.devices = Counter[str]()  # what computed how many of the runs, "" for this machine
        self.data: dict[str, str] = {}
        self.code: dict[str, Any] = digest.code_record([])
        self._mapped: list[tuple[Callable[..., Any], Row]] = []
        self._planned: dict[str, list[str]] = {}

    def _open(self, exhibit: str) -> None:
        self.exhibit = exhibit
        self.file = paths.runs() / f"{exhibit}.jsonl"
        self.folder = self.file.with_suffix("")
        self.lock = filelock.FileLock(str(self.file) + ".lock")
        self._known: dict[str, Row] = {}
        self._read = self._lines = 0  # bytes and lines of the file that `_known` holds

    def map(
        self,
        function: Callable[..., Row | Sequence[Row]],
        settings: Iterable[Row],
        what: str = "runs",
        jobs: int | None = None,
        data: Mapping[str, str] | None = None,
    ) -> pd.DataFrame:
        """Call ``function(**setting)`` for each setting that has no finished run yet; return all rows in the order of `settings`.

        function: returns one row (dict of numbers and strings) or a list of rows; it seeds itself from its setting.
        settings: JSON-able keyword arguments; scalars among them become columns of the rows.
        jobs: processes (default: MTLREPRO_JOBS or 1). Where a process or the machine dies, finished settings are kept.
        data: name -> sha256 of every data set that the runs read: other data are another run.
        Raises BadValue for a function that is not at the top level of a module of the package and for an odd MTLREPRO_JOBS,
        MtlreproError where the disk is full, naming what is kept, and Unfinished in a campaign (MTLREPRO_UNTIL) whose time is up
        or whose other processes are still computing; outside of one it waits for these.
        """
        import pandas as pd  # imported late: listing results needs none

        settings = list(settings)
        data = dict(data or {})
        self.data |= data
        graph = digest.graph()
        codes = [digest.run_code(function, setting, graph) for setting in settings]
        for code in codes:
            digest.refuse_edited(code)
        keys = [digest.run_key(function, setting, data, code) for setting, code in zip(settings, codes, strict=True)]
        self._mapped += [(function, setting) for setting in settings]
        self.code = digest.code_record(self._mapped, graph)
        self._plan(what, keys)
        known = dict(self.finished_runs())
        todo = {key: (setting, code) for key, setting, code in zip(keys, settings, codes, strict=True) if key not in known}
        computed = self._computed(function, todo, data, jobs or _processes())
        shown = progress(computed, total=len(todo), what=f"{self.exhibit} {what}", done=len(settings) - len(todo))
        known |= {entry["key"]: entry for entry in shown}
        self.seconds += sum(known[key]["seconds"] for key in keys)
        self.devices.update(known[key].get("device", "") for key in keys)
        return pd.DataFrame(
            [row for key, setting in zip(keys, settings, strict=True) for row in with_scalars(setting, known[key]["rows"])]
        )

    def _computed(
        self, function: Callable[..., Any], todo: Mapping[str, tuple[Row, Mapping[str, str]]], data: Mapping[str, str], jobs: int
    ) -> Iterator[Row]:
        """Yield the entry of every run of `todo` as it is finished, by this process or by another.

        Raises the BadValue of a run once the others are finished.
        """
        import joblib

        refused: dict[str, BadValue] = {}
        left, claims, until = dict(todo), {}, float(os.environ.get("MTLREPRO_UNTIL", "inf"))

        def claimed() -> Iterator[Any]:
            for key in list(left):
                if time.time() < until and (claim := self.claim(key)) is not None:
                    claims[key] = claim
                    setting, code = todo[key]
                    yield joblib.delayed(_attempted)(os.getpid(), function, key, setting, digest.rows_in(code), self.folder / key)

        try:
            while left:
                parallel = joblib.Parallel(n_jobs=min(jobs, len(left)), return_as="generator_unordered")
                for entry in parallel(claimed()):
                    key = entry["key"]
                    if "refused" in entry:
                        refused[key] = entry["refused"]
                        release(claims.pop(key))
                        del left[key]
                        continue
                    if digest.run_key(function, todo[key][0], data) != key:
                        raise MtlreproError(
                            f"{self.exhibit}: its code was edited during a run, which is not kept; give the same command again."
                        )
                    self.keep(entry)
                    release(claims.pop(key))
                    del left[key]
                    yield entry
                elsewhere = self.finished_runs()
                for key in [key for key in left if key in elsewhere]:
                    del left[key]
                    yield elsewhere[key]
                if left and until < math.inf:
                    why = "the time is up" if time.time() >= until else "other processes compute them"
                    raise Unfinished(f"{self.exhibit}: {len(left)} runs are left: {why}; finished runs are kept.")
                if left:
                    time.sleep(1)
        finally:
            for claim in claims.values():
                release(claim)
        for key, error in refused.items():
            setting = reprlib.repr(todo[key][0])
            raise BadValue(f"{error} So it is in {len(refused)} of {len(todo)} runs, first in {setting}; the others are kept.")

    def claim(self, key: str) -> filelock.BaseFileLock | None:
        """The right to compute a run, gone with this process; None where another has it or the run is finished."""
        claim = filelock.FileLock(self.folder / f"{key}.claim", thread_local=False)
        try:
            claim.acquire(timeout=0.5, poll_interval=0.05)  # `standing` holds it for an instant
        except filelock.Timeout:
            return None
        if key in self.finished_runs():
            release(claim)
            return None
        return claim

    def _plan(self, what: str, keys: list[str]) -> None:
        """Keep which runs the profile consists of, for `standing`. No law rests on this file."""
        self._planned[what] = list(dict.fromkeys([*self._planned.get(what, []), *keys]))
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.params.overrides:
            plan = {"code": self.code, "runs": self._planned}
            (self.folder / f"{self.params.profile}.json").write_text(json.dumps(plan), encoding="utf-8")

    def standing(self) -> Standing | None:
        """How far the profile's runs are, of today's code; None where no process has begun them."""
        try:
            plan = json.loads((self.folder / f"{self.params.profile}.json").read_text(encoding="utf-8"))
            if digest.changes(plan["code"]):
                return None
            runs: dict[str, list[str]] = plan["runs"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        finished = self.finished_runs()
        seconds = {what: [finished[key]["seconds"] for key in keys if key in finished] for what, keys in runs.items()}
        left = {what: [key for key in keys if key not in finished] for what, keys in runs.items()}
        every = [each for some in seconds.values() for each in some]
        estimates = [len(left[what]) * fmean(seconds[what] or every) for what in runs] if every else [math.nan]
        running = sum(_held(self.folder / f"{key}.claim") for keys in left.values() for key in keys)
        return Standing(len(every), running, sum(map(len, left.values())) - running, sum(every), sum(estimates))

    def forget(self) -> None:
        """Delete every finished run of this exhibit (``mtlrepro run --fresh``), and the state of unfinished ones."""
        with self.lock:
            self.file.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def finished_runs(self) -> dict[str, Row]:
        """Key -> entry. A last line torn by a kill is cut off; any other unreadable line is passed over and recomputed."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.lock:
            size = self.file.stat().st_size if self.file.exists() else 0
            if size < self._read:
                self._known, self._read, self._lines = {}, 0, 0
            if size == self._read:
                return self._known
            with self.file.open("rb") as file:
                file.seek(self._read)
                content = file.read()
            whole = content[: content.rfind(b"\n") + 1]
            if len(whole) < len(content):
                log.warning("%s: a torn last line was cut off; that run is done again", self.file.name)
                os.truncate(self.file, self._read + len(whole))
        for line in whole.splitlines():
            self._lines += 1
            try:
                entry = json.loads(line)
                if _checksum(entry["rows"]) == entry["sum"]:
                    self._known[entry["key"]] = entry
                    continue
            except (ValueError, KeyError, TypeError):
                pass
            log.warning("%s line %d is damaged; that run is done again", self.file.name, self._lines)
        self._read += len(whole)
        return self._known

    def keep(self, entry: Row) -> None:
        """Keep a finished run, an entry of `timed`, and drop its checkpoints. Raises MtlreproError where the disk is full."""
        line = json.dumps(entry | {"sum": _checksum(entry["rows"])}) + "\n"
        try:
            with self.lock, self.file.open("ab") as file:
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno in DISK_FULL:
                raise MtlreproError(
                    f"disk full while writing {self.file}: free some space and give the same command; finished runs are kept."
                ) from None
            raise
        shutil.rmtree(self.folder / entry["key"], ignore_errors=True)


def release(claim: filelock.BaseFileLock) -> None:
    """Give up a claim on a run, finished or not."""
    Path(claim.lock_file).unlink(missing_ok=True)
    claim.release()


def _held(claim: Path) -> bool:
    if not claim.exists():
        return False
    try:
        with filelock.FileLock(claim, timeout=0):
            return False
    except filelock.Timeout:
        return True


def timed(function: Callable[..., Any], key: str, setting: Row, readable: frozenset[str], checkpoints: Path) -> Row:
    """Compute one run: its key, seconds and rows. readable: rows of method tables that it may read. checkpoints: their folder."""
    start = time.perf_counter()
    _drop_damaged(checkpoints)
    os.environ["MTLREPRO_CHECKPOINTS"] = str(checkpoints)
    try:
        with reading_only(readable):
            rows = function(**setting)
    finally:
        del os.environ["MTLREPRO_CHECKPOINTS"]
    return {"key": key, "seconds": time.perf_counter() - start, "rows": as_rows(rows)}


def scalars(setting: Row) -> Row:
    """Of a setting what becomes columns of its rows."""
    return {name: value for name, value in setting.items() if isinstance(value, str | int | float | bool)}


def with_scalars(setting: Row, rows: Iterable[Row]) -> list[Row]:
    """The rows of a run, each with the scalars of its setting, which give way to a row's own values."""
    own = scalars(setting)
    return [own | row for row in rows]


def as_rows(rows: Row | Sequence[Row]) -> list[Row]:
    """What a run returned, through JSON once, so that a resumed table has exactly the types of an uninterrupted one."""
    kept: list[Row] = json.loads(json.dumps([rows] if isinstance(rows, dict) else list(rows), default=plain))
    return kept


def _attempted(parent: int, function: Callable[..., Any], key: str, *more: Any) -> Row:
    """As `timed`, or the BadValue that the run raised, of a training that diverged, say: the other runs go on.

    parent: the process that keeps the run; another one that computes it ends as soon as that one has.
    """
    if parent != os.getpid():
        _end_with(parent)
    try:
        return timed(function, key, *more)
    except BadValue as error:
        return {"key": key, "refused": error}


@functools.cache
def _end_with(parent: int) -> None:
    """Let this process end within a second of its parent, whose kill, -9 say, reaches it in no other way (on Windows in none)."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _drop_damaged(checkpoints: Path) -> None:
    """Delete the checkpoints whose bytes are not those that were written: ``torch.load`` compares no checksum of the archive."""
    for file in checkpoints.glob("*.pt"):
        if damaged_zip(file):
            log.warning("%s is damaged; that training begins anew", file)
            file.unlink()


def plain(value: Any) -> Any:
    """numpy and torch scalars and arrays as JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a row holds numbers, strings and lists, not {type(value).__name__}")


def _checksum(rows: Any) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]


def _processes() -> int:
    """How many MTLREPRO_JOBS asks for. Raises BadValue for what is no number of processes."""
    text = os.environ.get("MTLREPRO_JOBS") or "1"
    if not text.isdecimal() or not int(text):
        raise BadValue(f"MTLREPRO_JOBS is {text!r}, no number of processes: set it to 1 or more, or unset it.")
    return int(text)
