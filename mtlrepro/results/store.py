"""The results store: rows of finished runs with their provenance.

Two layers. `Runs.map` keeps every finished configuration in an append-only log, so that a killed notebook picks up where
it stopped. `record` closes an exhibit: one CSV of rows and one JSON of claims and provenance for each profile, first in
runs/ (this machine, not committed), then, by `publish`, in book/results/ (committed, shown to readers).
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlrepro import exhibits, paths
from mtlrepro.errors import DataCorrupt, DataMissing, MtlreproError
from mtlrepro.files import replacing, sha256_of, write_text
from mtlrepro.parameters import Params
from mtlrepro.results import digest
from mtlrepro.results.judgement import Judgement, Measured, judge
from mtlrepro.results.outcomes import Scope
from mtlrepro.results.runs import Row, Runs, plain

if TYPE_CHECKING:
    import pandas as pd

_SOURCES = ("mtlrepro", "notebooks", "data_manifests")
_PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas")


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
    name -> sha256 of every data set used. A run with overridden parameters is kept apart and never shown as the profile's.
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
    else:
        p = run if isinstance(run, Params) else Params(exhibit, run)
    import pandas as pd

    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    target = paths.runs() / f"{exhibit}.{_variant(p)}.json"
    with replacing(target.with_suffix(".csv")) as part:
        table.to_csv(part, index=False)
    content = {
        "exhibit": exhibit,
        "profile": p.profile,
        "tier": tier,
        "scope": scope,
        "measured": measured.as_dict(),
        "parameters": p.values,
        "overrides": p.overrides,
        "provenance": provenance(data or {}, seconds, device, code),
        "rows_sha256": sha256_of(target.with_suffix(".csv")),
    }
    judgement = judge(exhibit, exhibits.get(exhibit).entry, measured, profile=p.profile, tier=tier, scope=scope)
    write_text(target, json.dumps(content, indent=1, default=plain) + "\n")
    return judgement


def _variant(p: Params) -> str:
    if not p.overrides:
        return p.profile
    changed = json.dumps(p.overrides, sort_keys=True).encode()
    return f"{p.profile}-{hashlib.sha256(changed).hexdigest()[:8]}"


def provenance(data: dict[str, str], seconds: float | None, device: str, code: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a result came from: commit, package versions, data hashes, device, seconds of computing, date."""
    return {
        "commit": _git("rev-parse", "HEAD") or "unknown",
        "changed_since_commit": bool(_git("status", "--porcelain", "--untracked-files=no", "--", *_SOURCES)),
        "code": code,
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "data": data,
        "device": device,
        "seconds": None if seconds is None else round(seconds, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _git(*words: str) -> str:
    return digest.git(paths.project(), *words).strip()


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

    Raises UnknownName for an unknown exhibit, DataMissing where nothing was recorded, DataCorrupt where the rows are not
    those the claims were computed from.
    """
    exhibit = exhibits.get(exhibit).id
    for file, origin in _existing(exhibit, profile, committed):
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
        measured = Measured.from_dict(content["measured"]) if "measured" in content else Measured()
        return Recorded(
            content["exhibit"], content["profile"], content["tier"], table, measured, content.get("scope"),
            content["parameters"], content["provenance"], origin,
        )  # fmt: skip
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise DataCorrupt(f"{file} is damaged ({error}): delete it and run the exhibit again.") from None


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
    write_text(file, json.dumps(kept | {"measured": measured.as_dict(), "rows_sha256": content["rows_sha256"]}, indent=1) + "\n")
    return _read(file, "recorded").judgement


def publishable(exhibit: str, profile: str) -> Recorded:
    """This machine's run, where it is fit to be published.

    Raises DataMissing where this machine has none, MtlreproError where it was computed from uncommitted code or other code.
    """
    found = load(exhibit, profile)
    if found.origin != "this machine":
        raise DataMissing(f"{exhibit} has no {profile} run of this machine to publish.")
    if found.provenance["changed_since_commit"]:
        raise MtlreproError(f"{exhibit}: computed from uncommitted changes; commit them and run it again before publishing.")
    code = found.provenance.get("code")
    changed = digest.changes(code) if isinstance(code, dict) else ["its code was not recorded"] if len(found.rows) else []
    if changed:
        raise MtlreproError(f"{exhibit}: its rows are not of today's code ({'; '.join(changed)}): run it again first.")
    return found


def publish(exhibit: str, profile: str) -> list[Path]:
    """Copy this machine's run into book/results, to be committed. Returns the files written. Raises as `publishable` does."""
    found = publishable(exhibit, profile)
    written = []
    for suffix in (".csv", ".json"):
        source = paths.runs() / f"{found.exhibit}.{profile}{suffix}"
        target = paths.recorded() / f"{found.exhibit}.{profile}{suffix}"
        with replacing(target) as part:
            part.write_bytes(source.read_bytes())
        written.append(target)
    return written
