"""The results store: rows of finished runs with their provenance.

Two layers. `Runs.map` keeps every finished configuration in an append-only log, so that a killed notebook picks up where
it stopped. `record` closes an exhibit: one CSV of rows and one JSON of claims and provenance for each profile, first in
runs/ (this machine, not committed), then, by `publish`, in book/results/ (committed, shown to readers).
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from mtlrepro import exhibits, paths
from mtlrepro.errors import DataCorrupt, DataMissing, MtlreproError
from mtlrepro.files import replacing, sha256_of, write_text
from mtlrepro.parameters import Params
from mtlrepro.results.claims import Part, combine
from mtlrepro.results.runs import Row, _plain, code_digest
from mtlrepro.results.verdict import Verdict

_SOURCES = ("mtlrepro", "notebooks", "data_manifests")
_PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas")


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
