"""Which recorded results are what today's code and profiles compute: current, stale (since which change), or never recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mtlrepro import exhibits, paths
from mtlrepro.parameters import profile_values
from mtlrepro.results import digest
from mtlrepro.results.import_graph import ImportGraph

State = Literal["current", "stale", "never recorded"]

# A result that no list of parts came with, as those from before parts were recorded.
_NO_PARTS = "recorded without the parts of its code, at commit {commit}"


@dataclass(frozen=True)
class Status:
    """One exhibit in one profile. changes: what made it stale, one line per part, with the commit where git knows it.

    commit: of the code that it was recorded with. profile: "" where the exhibit has no recorded result at all.
    """

    exhibit: str
    profile: str
    state: State
    commit: str = ""
    changes: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = [*self.changes[:3], *([f"and {len(self.changes) - 3} more"] if len(self.changes) > 3 else [])]
        return f"{self.exhibit} {self.profile}".strip() + f": {self.state}" + (f" ({'; '.join(shown)})" if shown else "")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def status(ids: Iterable[str] | None = None, profiles: Iterable[str] = ("quick", "full", "paper")) -> list[Status]:
    """Every committed result of the exhibits `ids` (default: of all) in `profiles`, and the exhibits that have none
    and that one of `profiles` makes.

    A result that cannot be read is stale. Raises UnknownName for an unknown exhibit.
    """
    graph = digest.graph()
    chosen = [exhibit.id for exhibit in exhibits.everything()] if ids is None else [exhibits.get(name).id for name in ids]
    found = [one for exhibit in chosen for one in _of(exhibit, list(profiles), graph)]
    if ids is None:
        graph.keep()
    commits = digest.since({line.split()[0] for one in found for line in one.changes})
    return [replace(one, changes=tuple(_with_commit(line, commits) for line in one.changes)) for one in found]


def _of(exhibit: str, profiles: list[str], graph: ImportGraph) -> Iterator[Status]:
    files = {profile: paths.recorded() / f"{exhibit}.{profile}.json" for profile in profiles}
    recorded = {profile: file for profile, file in files.items() if file.exists()}
    for profile, file in recorded.items():
        commit, changes = _changes(file, graph, exhibit, profile)
        if _empty(file.with_suffix(".csv")):
            changes = []  # a diagram: nothing was computed
        yield Status(exhibit, profile, "stale" if changes else "current", commit, tuple(changes))
    if not recorded and set(profiles) & set(exhibits.get(exhibit).profiles):
        yield Status(exhibit, "", "never recorded")


def _empty(table: Path) -> bool:
    return table.exists() and table.stat().st_size <= 1


def _changes(file: Path, graph: ImportGraph, exhibit: str, profile: str) -> tuple[str, list[str]]:
    """The commit of a record's code, and what has changed since: parts of the code, and values that the profile has today."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        provenance, other = record["provenance"], _other_settings(exhibit, profile, record)
        commit, code = str(provenance.get("commit", "unknown"))[:7], provenance.get("code")
        if not isinstance(code, dict):
            return commit, [_NO_PARTS.format(commit=commit), *other]
        return commit, [*digest.changes(code, graph), *other]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return "", [f"{file.name} is damaged: {error!r}"]


def _other_settings(exhibit: str, profile: str, record: dict[str, Any]) -> list[str]:
    """The parameters that today's profile sets to another value than a record has, in one line."""
    own, today = record.get("parameters", {}), profile_values(exhibits.owner(exhibits.get(exhibit)).id, profile)
    other = [name for name, value in json.loads(json.dumps(today)).items() if own.get(name, value) != value]
    settings = f"mtlrepro/papers/{exhibit.partition('/')[0]}/profiles.yaml"
    return [f"another {', '.join(other)} in {settings}"] if other else []


def _with_commit(line: str, commits: dict[str, str]) -> str:
    commit = commits.get(line.split()[0].partition("[")[0])
    return f"{line}: {commit}" if commit else line
