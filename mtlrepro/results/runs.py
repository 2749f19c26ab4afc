"""Finished runs of an exhibit on this machine: a killed notebook picks up where it stopped."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from mtlrepro import exhibits, paths
from mtlrepro.errors import MtlreproError
from mtlrepro.methods.table import reading_only
from mtlrepro.parameters import Params
from mtlrepro.results import digest
from mtlrepro.results.progress import progress

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

Row = dict[str, Any]


class Runs:
    """Finished runs of one exhibit on this machine, kept one line each in ``runs/<paper>/<exhibit>.jsonl``."""

    def __init__(self, p: Params) -> None:
        self.exhibit = exhibits.get(p.exhibit).id
        self.params = p
        self.file = paths.runs() / f"{self.exhibit}.jsonl"
        self.lock = filelock.FileLock(str(self.file) + ".lock")
        self.seconds = 0.0
        self.data: dict[str, str] = {}
        self.code: dict[str, Any] = digest.code_record([])
        self._mapped: list[tuple[Callable[..., Any], Row]] = []

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
        Raises BadValue for a function that is not at the top level of a module of the package.
        Raises MtlreproError where the disk is full, naming what is kept.
        """
        import joblib  # imported late, as pandas: listing results needs neither
        import pandas as pd

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
        known = self._finished()
        todo = {key: (setting, code) for key, setting, code in zip(keys, settings, codes, strict=True) if key not in known}
        jobs = min(jobs or int(os.environ.get("MTLREPRO_JOBS", "1")), max(1, len(todo)))
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
        finished = parallel(
            joblib.delayed(_timed)(function, key, setting, digest.rows_in(code), self._checkpoints(key))
            for key, (setting, code) in todo.items()
        )
        for entry in progress(finished, total=len(todo), what=f"{self.exhibit} {what}", done=len(settings) - len(todo)):
            if digest.run_key(function, todo[entry["key"]][0], data) != entry["key"]:
                raise MtlreproError(
                    f"{self.exhibit}: its code was edited during a run, which is not kept; give the same command again."
                )
            self._append(entry)
            shutil.rmtree(self._checkpoints(entry["key"]), ignore_errors=True)
            known[entry["key"]] = entry
        self.seconds += sum(known[key]["seconds"] for key in keys)
        scalars = [{k: v for k, v in setting.items() if isinstance(v, str | int | float | bool)} for setting in settings]
        return pd.DataFrame([scalar | row for key, scalar in zip(keys, scalars, strict=True) for row in known[key]["rows"]])

    def forget(self) -> None:
        """Delete every finished run of this exhibit (``mtlrepro run --fresh``), and the state of unfinished ones."""
        with self.lock:
            self.file.unlink(missing_ok=True)
        shutil.rmtree(self.file.with_suffix(""), ignore_errors=True)

    def _checkpoints(self, key: str) -> Path:
        """Where the trainings of one run keep their state until the run is finished."""
        return self.file.with_suffix("") / key

    def _finished(self) -> dict[str, Any]:
        """Key -> entry. A last line torn by a kill is cut off; any other unreadable line is passed over and recomputed."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.lock:
            if not self.file.exists():
                return {}
            content = self.file.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if len(whole) < len(content):
                log.warning("%s: a torn last line was cut off; that run is done again", self.file.name)
                os.truncate(self.file, len(whole))
        entries: dict[str, Any] = {}
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entry = json.loads(line)
                if _checksum(entry["rows"]) == entry["sum"]:
                    entries[entry["key"]] = entry
                    continue
            except (ValueError, KeyError, TypeError):
                pass
            log.warning("%s line %d is damaged; that run is done again", self.file.name, number)
        return entries

    def _append(self, entry: Row) -> None:
        line = json.dumps(entry | {"sum": _checksum(entry["rows"])}) + "\n"
        try:
            with self.lock, self.file.open("ab") as file:
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise MtlreproError(
                    f"disk full while writing {self.file}: free some space and give the same command; finished runs are kept."
                ) from None
            raise


def _timed(function: Callable[..., Any], key: str, setting: Row, readable: frozenset[str], checkpoints: Path) -> Row:
    start = time.perf_counter()
    os.environ["MTLREPRO_CHECKPOINTS"] = str(checkpoints)
    try:
        with reading_only(readable):
            rows = function(**setting)
    finally:
        del os.environ["MTLREPRO_CHECKPOINTS"]
    # Through JSON once, so that a resumed table has exactly the types of an uninterrupted one.
    rows = json.loads(json.dumps([rows] if isinstance(rows, dict) else list(rows), default=plain))
    return {"key": key, "seconds": time.perf_counter() - start, "rows": rows}


def plain(value: Any) -> Any:
    """numpy and torch scalars and arrays as JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a row holds numbers, strings and lists, not {type(value).__name__}")


def _checksum(rows: Any) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]
