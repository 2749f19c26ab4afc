"""The results store: rows of finished runs with their provenance.

Two layers. `Runs.map` keeps every finished configuration in an append-only log, so that a killed notebook picks up where
it stopped. `record` closes an exhibit: one CSV of rows and one JSON of claims and provenance for each profile, first in
runs/ (this machine, not committed), then, by `publish`, in book/results/ (committed, shown to readers).

In runs/ a table bears the digest of its bytes in its name, and the rename of the JSON that names it is the one step in which a
run is recorded: whoever reads meanwhile, and whatever is killed, sees one run whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from mtlrepro import exhibits, paths
from mtlrepro.errors import DataCorrupt, DataMissing, MtlreproError, UnknownName
from mtlrepro.files import replacing, sha256_of, write_text
from mtlrepro.parameters import PROFILES, Params
from mtlrepro.results import digest
from mtlrepro.results.judgement import Judgement, Measured, judge
from mtlrepro.results.outcomes import Scope
from mtlrepro.results.runs import Row, Runs, plain

if TYPE_CHECKING:
    import pandas as pd

_SOURCES = ("mtlrepro", "notebooks", "data_manifests")
_PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas")
# A table that was recorded anew stays so long for those who have loaded its record and not yet read it.
_KEPT_SECONDS = 3600.0


@dataclass(frozen=True)
class Recorded:
    """One recorded run of an exhibit. table: the file of its rows. origin: 'this machine' or 'recorded'."""

    exhibit: str
    profile: str
    tier: str
    table: Path
    measured: Measured
    scope: Scope | None
    parameters: dict[str, Any]
    provenance: dict[str, Any]
    origin: str

    @cached_property
    def rows(self) -> pd.DataFrame:
        """All rows, read when first asked for; empty for a diagram."""
        import pandas as pd

        return pd.read_csv(self.table, low_memory=False) if self.table.stat().st_size > 1 else pd.DataFrame()

    @cached_property
    def judgement(self) -> Judgement:
        """The verdict, from what was measured and from the claims as they are registered today."""
        entry = exhibits.get(self.exhibit).entry
        return judge(self.exhibit, entry, self.measured, profile=self.profile, tier=self.tier, scope=self.scope)


def record(
    exhibit: str,
    rows: pd.DataFrame | Sequence[Row],
    run: Runs | Params | str,
    *,
    measured: Measured | None = None,
    tier: str,
    scope: Scope | None = None,
    data: dict[str, str] | None = None,
    seconds: float | None = None,
    device: str = "cpu",
) -> Judgement:
    """Write rows, measurements and provenance of a finished run and return its judgement.

    exhibit: id; may differ from the notebook's own where one notebook serves several exhibits. rows: all seeds, one row per
    run and measured point. run: the `Runs` that made them, whose code, seconds and data are recorded; where nothing was mapped,
    the notebook's `Params` or a profile's name. measured: what the rows say of the registered claims and gates; None for an
    exhibit that claims nothing. tier: "paper's data", "public stand-in", "synthetic" or "no data". scope: as in `judge`. data:
    name -> sha256 of every data set used. device: of the runs of this machine, as of `device.choose`. A run with overridden
    parameters is kept apart and never shown as the profile's.
    Raises UnknownName for an unknown exhibit, claim or gate, and MtlreproError for an unknown tier.
    """
    exhibit = exhibits.get(exhibit).id
    measured = measured or Measured()
    if tier not in exhibits.TIERS:
        raise MtlreproError(f"{exhibit}: data tier must be one of {', '.join(exhibits.TIERS)}, not {tier!r}.")
    code = None
    if isinstance(run, Runs):
        p, code = run.params, run.code
        data, seconds = run.data | (data or {}), run.seconds if seconds is None else seconds
        device = _devices(run, device)
    else:
        p = run if isinstance(run, Params) else Params(exhibit, run)
    import pandas as pd

    table = (rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))).to_csv(index=False).encode()
    content = {
        "exhibit": exhibit,
        "profile": p.profile,
        "tier": tier,
        "scope": scope,
        "measured": measured.as_dict(),
        "parameters": p.values,
        "overrides": p.overrides,
        "provenance": provenance(data or {}, seconds, device, code),
        "rows_sha256": hashlib.sha256(table).hexdigest(),
    }
    judgement = judge(exhibit, exhibits.get(exhibit).entry, measured, profile=p.profile, tier=tier, scope=scope)
    _keep(_of_machine(exhibit, p), content, table)
    return judgement


def _devices(run: Runs, here: str) -> str:
    """Each device with its number of runs where another machine computed some of them. here: the device of those of this one."""
    if here == "auto":
        from mtlrepro.device import choose  # imported late: listing results needs no PyTorch

        here = choose(here).type
    if not any(run.devices):
        return here
    counts = {name or here: count for name, count in run.devices.items()}
    return "; ".join(f"{name} ({count} of {run.devices.total()} runs)" for name, count in sorted(counts.items()))


def _keep(target: Path, content: dict[str, Any], table: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(target.with_suffix(".lock")):
        with contextlib.suppress(MtlreproError, OSError):
            os.utime(_read(target, "this machine").table)
        now = _named_by_digest(target, content)
        with replacing(now) as part:
            part.write_bytes(table)
        write_text(target, _sealed(content))
        for other in [target.with_suffix(".csv"), *target.parent.glob(f"{target.stem}.*.csv")]:
            if other != now and other.exists() and time.time() - other.stat().st_mtime > _KEPT_SECONDS:
                other.unlink()


def _named_by_digest(record: Path, content: dict[str, Any]) -> Path:
    return record.with_suffix(f".{content['rows_sha256'][:16]}.csv")


def _table(record: Path, content: dict[str, Any]) -> Path:
    """The file of a record's rows: on this machine named by its digest, among the committed ones by the exhibit alone."""
    named = _named_by_digest(record, content)
    return named if named.exists() else record.with_suffix(".csv")


def _sealed(content: dict[str, Any]) -> str:
    """The text of a record, with the digest of all that it says."""
    content = {key: value for key, value in json.loads(json.dumps(content, default=plain)).items() if key != "sha256"}
    return json.dumps(content | {"sha256": _seal(content)}, indent=1) + "\n"


def _seal(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def variant(p: Params) -> str:
    """What tells runs of one exhibit apart in the name of every file of theirs: the profile, and what differs from it."""
    if not p.overrides:
        return p.profile
    changed = json.dumps(p.overrides, sort_keys=True).encode()
    return f"{p.profile}-{hashlib.sha256(changed).hexdigest()[:8]}"


def provenance(data: dict[str, str], seconds: float | None, device: str, code: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a result came from: commit, package versions, data hashes, device, seconds of computing, date."""
    commit, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no", "--", *_SOURCES)
    return {
        "commit": "unknown" if commit is None or changed is None else commit.strip(),
        "changed_since_commit": bool(changed),
        "code": code,
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "data": data,
        "device": device,
        "seconds": None if seconds is None else round(seconds, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _git(*words: str) -> str | None:
    return digest.git(paths.project(), *words)


def _places(exhibit: str, profile: str) -> list[tuple[Path, str]]:
    name = f"{exhibit}.{profile}.json"
    return [(paths.runs() / name, "this machine"), (paths.recorded() / name, "recorded")]


def available(exhibit: str, committed: bool = False) -> list[str]:
    """The profiles that have a run of `exhibit`, on this machine or recorded (`committed`: recorded), smallest first."""
    from mtlrepro.parameters import PROFILES

    exhibit = exhibits.get(exhibit).id
    return [profile for profile in PROFILES if _existing(exhibit, profile, committed)]


def _existing(exhibit: str, profile: str, committed: bool) -> list[tuple[Path, str]]:
    return [
        (file, origin) for file, origin in _places(exhibit, profile) if file.exists() and (origin == "recorded" or not committed)
    ]


def load(exhibit: str, profile: str, committed: bool = False) -> Recorded:
    """The recorded run of `exhibit` in `profile`: this machine's if there is one, else the committed one.

    committed: the committed one, whatever this machine has.

    Raises UnknownName for an unknown exhibit or profile, DataMissing where nothing was recorded, DataCorrupt where the rows are
    not those the claims were computed from.
    """
    exhibit = exhibits.get(exhibit).id
    for file, origin in _existing(exhibit, profile, committed):
        return _read(file, origin)
    if profile not in PROFILES:
        raise UnknownName("profile", profile, PROFILES)
    raise DataMissing(f"{exhibit} has no recorded {profile} run: run `mtlrepro run {exhibit} --profile {profile}`.")


def _read(file: Path, origin: str) -> Recorded:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        sealed = content.pop("sha256", None)
        if sealed is not None and sealed != _seal(content):
            raise DataCorrupt(f"{file.name} is not what was recorded: run {content['exhibit']} again.")
        table = _table(file, content)
        found = sha256_of(table)
        if found != content["rows_sha256"]:
            raise DataCorrupt(
                f"{table.name}: expected sha256 {content['rows_sha256']}, found {found}: run {content['exhibit']} again."
            )
        measured = Measured.from_dict(content["measured"]) if "measured" in content else Measured()
        return Recorded(
            content["exhibit"], content["profile"], content["tier"], table, measured, content.get("scope"),
            content["parameters"], content["provenance"], origin,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError) as error:
        raise DataCorrupt(f"{file} is damaged ({error}): delete it and run the exhibit again.") from None


def latest(exhibit: str, p: Params) -> Recorded:
    """The run of `exhibit` with the parameters `p` that finished last on this machine.

    Raises DataMissing where this machine has none.
    """
    exhibit = exhibits.get(exhibit).id
    if not is_here(exhibit, p):
        raise DataMissing(f"{exhibit} has no such run of this machine: run `mtlrepro run {exhibit} --profile {p.profile}`.")
    return _read(_of_machine(exhibit, p), "this machine")


def is_here(exhibit: str, p: Params) -> bool:
    """Whether a run of `exhibit` with the parameters `p` has finished on this machine."""
    return _of_machine(exhibit, p).exists()


def _of_machine(exhibit: str, p: Params) -> Path:
    return paths.runs() / f"{exhibit}.{variant(p)}.json"


def judged(exhibit: str, profile: str | None = None) -> Judgement:
    """The judgement of a recorded run; without `profile`, of the largest one recorded. Raises as `load` does."""
    profiles = available(exhibit)
    if profile is None and not profiles:
        raise DataMissing(f"{exhibit} has no recorded run: run `mtlrepro run {exhibit}`.")
    return load(exhibit, profile or profiles[-1]).judgement


def rejudge(exhibit: str, profile: str, measured: Measured) -> Judgement:
    """Replace what a committed record says was measured, after its claims changed: rows and provenance stay.

    measured: computed again from the record's own rows. Raises DataMissing where nothing is committed, and as `judge` does.
    """
    exhibit = exhibits.get(exhibit).id
    file = paths.recorded() / f"{exhibit}.{profile}.json"
    if not file.exists():
        raise DataMissing(f"{exhibit} has no committed {profile} run.")
    content = json.loads(file.read_text(encoding="utf-8"))
    kept = {key: value for key, value in content.items() if key not in ("parts", "reason", "rows_sha256")}
    write_text(file, _sealed(kept | {"measured": measured.as_dict(), "rows_sha256": content["rows_sha256"]}))
    return _read(file, "recorded").judgement


def publishable(exhibit: str, profile: str) -> Recorded:
    """This machine's run, where it is fit to be published.

    Raises DataMissing where this machine has none, MtlreproError where it was computed from uncommitted code, other code, or code
    that git would not tell the commit of.
    """
    found = load(exhibit, profile)
    if found.origin != "this machine":
        raise DataMissing(f"{exhibit} has no {profile} run of this machine to publish.")
    if found.provenance["commit"] == "unknown":
        raise MtlreproError(
            f"{exhibit}: git did not say of which commit its code was: see `mtlrepro doctor`, and run it again before publishing."
        )
    if found.provenance["changed_since_commit"]:
        raise MtlreproError(f"{exhibit}: computed from uncommitted changes; commit them and run it again before publishing.")
    code = found.provenance.get("code")
    changed = digest.changes(code) if isinstance(code, dict) else ["its code was not recorded"] if len(found.rows) else []
    if changed:
        raise MtlreproError(f"{exhibit}: its rows are not of today's code ({'; '.join(changed)}): run it again first.")
    return found


def publish(exhibit: str, profile: str) -> list[Path]:
    """Copy this machine's run into book/results, to be committed. Returns the files written. Raises as `publishable` does."""
    exhibit = exhibits.get(exhibit).id
    record = paths.runs() / f"{exhibit}.{profile}.json"
    target = paths.recorded() / record.relative_to(paths.runs())
    publishable(exhibit, profile)
    content = record.read_bytes()
    for place, whole in ((target.with_suffix(".csv"), _table(record, json.loads(content)).read_bytes()), (target, content)):
        with replacing(place) as part:
            part.write_bytes(whole)
    return [target.with_suffix(".csv"), target]
