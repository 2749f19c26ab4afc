"""The errata: mistakes found in the papers, each with the cell that shows it. Entries live in
``book/papers/<paper>/errata.yaml``, where names are without the paper's key."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mtlrepro import exhibits, paths
from mtlrepro.errors import BadValue, MtlreproError


class Evidence(BaseModel):
    """Where a mistake is shown. notebook: path under notebooks/ without suffix; anchor: a MyST target in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    notebook: str
    anchor: str = Field(pattern=r"^errata-[a-z0-9-]+$")

    @property
    def source(self) -> Path:
        """The notebook's source (.py)."""
        return paths.notebooks() / f"{self.notebook}.py"

    @model_validator(mode="after")
    def _exists(self) -> Self:
        if not self.source.is_file():
            raise ValueError(f"there is no notebook {self.notebook!r}")
        if f"({self.anchor})=" not in self.source.read_text(encoding="utf-8"):
            raise ValueError(f"notebook {self.notebook!r} has no target ({self.anchor})=")
        return self


class Entry(BaseModel):
    """One mistake of a paper. Texts are markdown with LaTeX math, in our words.

    paper: key such as ``transfer``. place: where it stands in the paper. printed: what it says there. correction: what it
    should say. consequence: what follows for the paper. conclusion_changes: whether any conclusion of the paper changes.
    verified_by: id of the exhibit whose notebook shows it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    paper: str
    place: str = Field(min_length=1)
    printed: str = Field(min_length=1)
    evidence: Evidence
    correction: str = Field(min_length=1)
    consequence: str = Field(min_length=1)
    conclusion_changes: bool
    verified_by: str

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            exhibit = exhibits.get(self.verified_by)
        except MtlreproError as error:
            raise ValueError(str(error)) from None
        if exhibit.paper != self.paper:
            raise ValueError(f"{self.verified_by} is no exhibit of paper {self.paper!r}")
        return self


def entries(paper: str | None = None) -> list[Entry]:
    """All entries, or those of one paper, in the order of the files.

    Raises UnknownName for an unknown paper and BadValue, naming file, entry and field, for an entry that breaks the schema,
    names no existing notebook or anchor, or repeats another's anchor.
    """
    if paper is not None:
        exhibits.everything(paper)  # raises for an unknown one
    keys = [paper] if paper is not None else list(exhibits.papers())
    entries = [entry for key in keys for entry in read(paths.book() / "papers" / key / "errata.yaml", key)]
    return _distinct(entries)


def read(file: Path, paper: str) -> list[Entry]:
    """The entries of one file, [] where there is none; raises BadValue as `entries` does."""
    if not file.exists():
        return []
    content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(content, list):
        raise BadValue(f"{file.name}: must be a list of entries.")
    return _distinct([_entry(file.name, number, _whole(record, paper)) for number, record in enumerate(content, 1)])


def _distinct(entries: list[Entry]) -> list[Entry]:
    """The entries, refused where two have one anchor: a target is the book's, not the page's."""
    for anchor, count in Counter(entry.evidence.anchor for entry in entries).items():
        if count > 1:
            raise BadValue(f"errata.yaml: anchor {anchor!r} stands in {count} entries.")
    return entries


def _whole(record: Any, paper: str) -> Any:
    """The record with the paper's key before the names of its notebook and exhibit."""
    if not isinstance(record, dict):
        return record
    whole = record | {"paper": paper}
    if isinstance(record.get("evidence"), dict) and "notebook" in record["evidence"]:
        whole["evidence"] = record["evidence"] | {"notebook": f"{paper}/{record['evidence']['notebook']}"}
    if "verified_by" in record:
        whole["verified_by"] = f"{paper}/{record['verified_by']}"
    return whole


def _entry(file: str, number: int, record: Any) -> Entry:
    try:
        return Entry.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "entry"
        raise BadValue(f"{file} entry {number}, {field}: {first['msg'].removeprefix('Value error, ')}.") from None
