"""The results store: rows of finished runs with their provenance.

Two layers. `Runs.map` keeps every finished configuration in an append-only log, so that a killed notebook picks up where
it stopped. `record` closes an exhibit: one CSV of rows and one JSON of claims and provenance for each profile, first in
runs/ (this machine, not committed), then, by `publish`, in book/results/ (committed, shown to readers).
"""

from __future__ import annotations

import errno
import hashlib
import inspect
import json
import logging
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock
import joblib
import pandas as pd

from mtlrepro import exhibits, paths
from mtlrepro.errors import DataCorrupt, DataMissing, MtlreproError
from mtlrepro.files import replacing, sha256_of, write_text
from mtlrepro.parameters import Params
from mtlrepro.results.verdict import Part, Verdict, combine
from mtlrepro.training.progress import progress

log = logging.getLogger(__name__)

Row = dict[str, Any]

# What a row depends on besides its own function and settings. Plots, pages and commands are left out on purpose.
_COMPUTATION = ("data", "models", "methods", "training", "theorems", "theory.py")
_SOURCES = ("mtlrepro", "notebooks", "data_manifests")
_PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas")


@cache
def code_digest() -> str:
    """sha256 over the package's computational sources: a row computed by other code is never reused."""
    digest = hashlib.sha256()
    for place in _COMPUTATION:
        root = paths.PACKAGE / place
        for file in sorted(root.rglob("*.py")) if root.is_dir() else [root] * root.exists():
            digest.update(file.relative_to(paths.PACKAGE).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


class Runs:
    """Finished runs of one exhibit on this machine, kept one line each in ``runs/<paper>/<exhibit>.jsonl``."""

    def __init__(self, p: Params) -> None:
        self.exhibit = exhibits.get(p.exhibit).id
        self.profile = p.profile
        self.file = paths.runs() / f"{self.exhibit}.jsonl"
        self.lock = filelock.FileLock(str(self.file) + ".lock")
        self.seconds = 0.0

    def map(
        self, function: Callable[..., Row | Sequence[Row]], settings: Iterable[Row], what: str = "runs", jobs: int | None = None
    ) -> pd.DataFrame:
        """Call ``function(**setting)`` for each setting that has no finished run yet; return all rows in the order of `settings`.

        function: returns one row (dict of numbers and strings) or a list of rows; it seeds itself from its setting.
        settings: JSON-able keyword arguments; scalars among them become columns of the rows.
        jobs: processes (default: MTLREPRO_JOBS or 1). Where a process or the machine dies, finished settings are kept.
        Raises MtlreproError where the disk is full, naming what is kept.
        """
        settings = list(settings)
        known = self._finished()
        keys = [self._key(function, setting) for setting in settings]
        missing = [(key, setting) for key, setting in zip(keys, settings, strict=True) if key not in known]
        jobs = min(jobs or int(os.environ.get("MTLREPRO_JOBS", "1")), max(1, len(missing)))
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
        finished = parallel(joblib.delayed(_timed)(function, key, setting) for key, setting in missing)
        for entry in progress(finished, total=len(missing), what=f"{self.exhibit} {what}", done=len(settings) - len(missing)):
            self._append(entry)
            known[entry["key"]] = entry
        self.seconds += sum(known[key]["seconds"] for key in keys)
        scalars = [{k: v for k, v in setting.items() if isinstance(v, str | int | float | bool)} for setting in settings]
        return pd.DataFrame([scalar | row for key, scalar in zip(keys, scalars, strict=True) for row in known[key]["rows"]])

    def forget(self) -> None:
        """Delete every finished run of this exhibit (``mtlrepro run --fresh``)."""
        with self.lock:
            self.file.unlink(missing_ok=True)

    def _key(self, function: Callable[..., Any], setting: Row) -> str:
        source = inspect.getsource(function)
        text = json.dumps([code_digest(), source, setting], sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

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


def _timed(function: Callable[..., Any], key: str, setting: Row) -> Row:
    start = time.perf_counter()
    rows = function(**setting)
    # Through JSON once, so that a resumed table has exactly the types of an uninterrupted one.
    rows = json.loads(json.dumps([rows] if isinstance(rows, dict) else list(rows), default=_plain))
    return {"key": key, "seconds": time.perf_counter() - start, "rows": rows}


def _plain(value: Any) -> Any:
    """numpy and torch scalars and arrays as JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a row holds numbers, strings and lists, not {type(value).__name__}")


def _checksum(rows: Any) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Recorded:
    """One recorded run of an exhibit: rows, claims and provenance. origin: 'this machine' or 'recorded'."""

    exhibit: str
    profile: str
    tier: str
    rows: pd.DataFrame
    parts: tuple[Part, ...]
    reason: str
    parameters: dict[str, Any]
    provenance: dict[str, Any]
    origin: str

    @property
    def verdict(self) -> Verdict:
        return Verdict(self.exhibit, self.profile, self.tier, combine(self.parts), self.parts, self.reason)


def record(
    exhibit: str,
    rows: pd.DataFrame | Sequence[Row],
    profile: str | Params,
    *,
    parts: Sequence[Part] = (),
    tier: str,
    data: dict[str, str] | None = None,
    seconds: float | None = None,
    device: str = "cpu",
    reason: str = "",
) -> Verdict:
    """Write rows, claims and provenance of a finished run and return its verdict.

    exhibit: id; may differ from the notebook's own where one notebook serves several exhibits. rows: all seeds, one row a
    run and measured point. profile: the notebook's `Params`, or a profile's name. parts: from `paired` and `check`; with
    none, `reason` says why the exhibit is not testable. tier: "paper's data", "public stand-in" or "synthetic".
    data: name -> sha256 of every data set used. A run with overridden parameters is kept apart and never shown as the
    profile's. Raises UnknownName for an unknown exhibit and MtlreproError for an unknown tier.
    """
    exhibit = exhibits.get(exhibit).id
    if tier not in exhibits.TIERS:
        raise MtlreproError(f"{exhibit}: data tier must be one of {', '.join(exhibits.TIERS)}, not {tier!r}.")
    p = profile if isinstance(profile, Params) else Params(exhibit, profile)
    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    target = paths.runs() / f"{exhibit}.{_variant(p)}.json"
    with replacing(target.with_suffix(".csv")) as part:
        table.to_csv(part, index=False)
    content = {
        "exhibit": exhibit,
        "profile": p.profile,
        "tier": tier,
        "reason": reason,
        "parts": [part.as_dict() for part in parts],
        "parameters": p.values,
        "overrides": p.overrides,
        "provenance": provenance(data or {}, seconds, device),
        "rows_sha256": sha256_of(target.with_suffix(".csv")),
    }
    write_text(target, json.dumps(content, indent=1, default=_plain) + "\n")
    return Verdict(exhibit, p.profile, tier, combine(parts), tuple(parts), reason)


def _variant(p: Params) -> str:
    if not p.overrides:
        return p.profile
    changed = json.dumps(p.overrides, sort_keys=True).encode()
    return f"{p.profile}-{hashlib.sha256(changed).hexdigest()[:8]}"


def provenance(data: dict[str, str], seconds: float | None, device: str) -> dict[str, Any]:
    """What a result came from: commit, package versions, data hashes, device, seconds of computing, date."""
    return {
        "commit": _git("rev-parse", "HEAD") or "unknown",
        "changed_since_commit": bool(_git("status", "--porcelain", "--untracked-files=no", "--", *_SOURCES)),
        "code": code_digest()[:16],
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "data": data,
        "device": device,
        "seconds": None if seconds is None else round(seconds, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=paths.project(), capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _places(exhibit: str, profile: str) -> list[tuple[Path, str]]:
    name = f"{exhibit}.{profile}.json"
    return [(paths.runs() / name, "this machine"), (paths.recorded() / name, "recorded")]


def available(exhibit: str) -> list[str]:
    """The profiles that have a run of `exhibit`, on this machine or recorded, smallest first."""
    from mtlrepro.parameters import PROFILES

    exhibit = exhibits.get(exhibit).id
    return [profile for profile in PROFILES if any(file.exists() for file, _ in _places(exhibit, profile))]


def load(exhibit: str, profile: str) -> Recorded:
    """The recorded run of `exhibit` in `profile`: this machine's if there is one, else the committed one.

    Raises UnknownName for an unknown exhibit, DataMissing where nothing was recorded, DataCorrupt where the rows are not
    those the claims were computed from.
    """
    exhibit = exhibits.get(exhibit).id
    for file, origin in _places(exhibit, profile):
        if file.exists():
            return _read(file, origin)
    raise DataMissing(f"{exhibit} has no recorded {profile} run: run `mtlrepro run {exhibit} --profile {profile}`.")


def _read(file: Path, origin: str) -> Recorded:
    table = file.with_suffix(".csv")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        found = sha256_of(table)
        if found != content["rows_sha256"]:
            raise DataCorrupt(
                f"{table.name}: expected sha256 {content['rows_sha256']}, found {found}: run {content['exhibit']} again."
            )
        rows = pd.read_csv(table, low_memory=False) if table.stat().st_size > 1 else pd.DataFrame()
        parts = tuple(Part.from_dict(part) for part in content["parts"])
        return Recorded(
            content["exhibit"], content["profile"], content["tier"], rows, parts, content["reason"],
            content["parameters"], content["provenance"], origin,
        )  # fmt: skip
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise DataCorrupt(f"{file} is damaged ({error}): delete it and run the exhibit again.") from None


def other_run(p: Params) -> Recorded | None:
    """The largest recorded run of the same exhibit in another profile than `p`'s, to be shown beside it; None where none is."""
    others = [profile for profile in available(p.exhibit) if profile != p.profile]
    return load(p.exhibit, others[-1]) if others else None


def latest(exhibit: str, profile: str) -> Recorded:
    """The run of `exhibit` that finished last on this machine, standard or with overridden parameters.

    Raises DataMissing where this machine has none.
    """
    exhibit = exhibits.get(exhibit).id
    folder = (paths.runs() / exhibit).parent
    name = exhibit.rpartition("/")[2]
    files = [*folder.glob(f"{name}.{profile}.json"), *folder.glob(f"{name}.{profile}-*.json")]
    if not files:
        raise DataMissing(f"{exhibit} has no {profile} run of this machine: run `mtlrepro run {exhibit} --profile {profile}`.")
    return _read(max(files, key=lambda file: file.stat().st_mtime_ns), "this machine")


def verdict(exhibit: str, profile: str | None = None) -> Verdict:
    """The verdict of a recorded run; without `profile`, of the largest one recorded. Raises as `load` does."""
    found = available(exhibit)
    if profile is None and not found:
        raise DataMissing(f"{exhibit} has no recorded run: run `mtlrepro run {exhibit}`.")
    return load(exhibit, profile or found[-1]).verdict


def publish(exhibit: str, profile: str) -> list[Path]:
    """Copy this machine's run into book/results, to be committed. Returns the files written.

    Raises DataMissing where this machine has none, MtlreproError where it was computed from uncommitted code.
    """
    found = load(exhibit, profile)
    if found.origin != "this machine":
        raise DataMissing(f"{exhibit} has no {profile} run of this machine to publish.")
    if found.provenance["changed_since_commit"]:
        raise MtlreproError(f"{exhibit}: computed from uncommitted changes; commit them and run it again before publishing.")
    written = []
    for suffix in (".csv", ".json"):
        source = paths.runs() / f"{found.exhibit}.{profile}{suffix}"
        target = paths.recorded() / f"{found.exhibit}.{profile}{suffix}"
        with replacing(target) as part:
            part.write_bytes(source.read_bytes())
        written.append(target)
    return written
