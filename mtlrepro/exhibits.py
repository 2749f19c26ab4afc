"""The registry: every exhibit of every paper, with the paper's own numbers.

Each paper has a file of its own, ``mtlrepro/papers/<paper>/exhibits.yaml``; the registry is what those files say together.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mtlrepro import paths
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.files import read_yaml
from mtlrepro.registered_claims import Claims, EffectClaim, NoClaim, StatementClaim, Statements, registered

TIERS = ("paper's data", "public stand-in", "synthetic", "no data")

_ENTRY_FIELDS = {name for model in (NoClaim, Claims, Statements) for name in model.model_fields}
_LABELS = {
    "fig": "Figure", "tab": "Table", "alg": "Algorithm", "eq": "Equation", "prop": "Proposition", "thm": "Theorem",
    "fact": "Fact", "lemma": "Lemma",
}  # fmt: skip


class Paper(BaseModel):
    """A paper. order: its place in the book. name: how the book calls it. question: what it asks, in plain words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: int
    name: str
    title: str
    authors: str | None = None
    year: int
    venue: str | None = None
    arxiv: str | None = None
    question: str


class Exhibit(BaseModel):
    """One exhibit. where: place in the paper. tier: the best data this project can run it on. notebook: path under notebooks/
    without suffix, None while planned. profiles: in which the notebook makes it; in others it takes parameters, such as a
    `source`. values: the paper's own numbers. entry: claims and gates, written before the runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z]+/[a-z0-9]+$")
    title: str
    where: str
    tier: Literal["paper's data", "public stand-in", "synthetic", "no data"]
    notebook: str | None = None
    profiles: tuple[Literal["quick", "full", "paper"], ...] = ("quick", "full", "paper")
    values: dict[str, Any] = Field(default_factory=dict)
    entry: Claims | Statements | NoClaim

    @property
    def paper(self) -> str:
        return self.id.partition("/")[0]

    @property
    def kind(self) -> str:
        """figure, table, diagram, theorem, algorithm or settings."""
        return self.entry.kind

    @property
    def label(self) -> str:
        """How the paper calls it, such as ``Figure 5a``; for what it gives no number, its name."""
        match = re.fullmatch(r"([a-z]+)(\d+[a-z]?)", self.id.partition("/")[2])
        return f"{_LABELS[match[1]]} {match[2]}" if match and match[1] in _LABELS else self.title

    @property
    def claims(self) -> tuple[EffectClaim | StatementClaim, ...]:
        """What the paper claims, in its order; empty for a diagram or a table of settings."""
        return getattr(self.entry, "claims", ())

    @property
    def planned(self) -> bool:
        """True while no notebook for it exists."""
        return self.notebook is None

    def source(self) -> Path:
        """The notebook that papermill runs (.ipynb). Raises UnknownName while the exhibit is planned."""
        if self.notebook is None:
            written = [exhibit.id for exhibit in everything() if not exhibit.planned]
            raise UnknownName("notebook of exhibit", self.id, written, "It is planned, not written yet.")
        return paths.notebooks() / f"{self.notebook}.ipynb"


@cache
def _registry() -> tuple[dict[str, Paper], dict[str, Exhibit]]:
    contents = {file.parent.name: read(file) for file in sorted((paths.PACKAGE / "papers").glob("*/exhibits.yaml"))}
    papers = {key: paper for key, (paper, _) in sorted(contents.items(), key=lambda item: item[1][0].order)}
    return papers, {exhibit.id: exhibit for key in papers for exhibit in contents[key][1]}


def read(file: Path) -> tuple[Paper, list[Exhibit]]:
    """A paper and its exhibits from ``papers/<paper>/exhibits.yaml``, where names are without the paper's key.

    Raises BadValue, naming file, exhibit and field, for an entry that breaks the schema.
    """
    key = file.parent.name
    content = read_yaml(file)
    place = "paper"
    try:
        paper = Paper(**content["paper"])
        listed = []
        for place, fields in content["exhibits"].items():
            own = {name: value for name, value in fields.items() if name not in _ENTRY_FIELDS}
            claims = {name: value for name, value in fields.items() if name in _ENTRY_FIELDS}
            own["notebook"] = own.get("notebook") and f"{key}/{own['notebook']}"
            entry = registered({place: claims}, f"papers/{key}/exhibits.yaml")[place]
            listed.append(Exhibit(**own, id=f"{key}/{place}", entry=entry))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BadValue(f"papers/{key}/exhibits.yaml, {place}, {field}: {first['msg']}.") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise BadValue(f"papers/{key}/exhibits.yaml, {place}: {error} is missing or of the wrong kind.") from None
    return paper, listed


def papers() -> dict[str, Paper]:
    """Key, such as ``transfer``, -> paper, in the book's order."""
    return dict(_registry()[0])


def everything(paper: str | None = None) -> list[Exhibit]:
    """All exhibits, or those of one paper, in the paper's order. Raises UnknownName for an unknown paper."""
    if paper is not None and paper not in papers():
        raise UnknownName("paper", paper, papers())
    return [exhibit for exhibit in _registry()[1].values() if paper in (None, exhibit.paper)]


def get(exhibit: str) -> Exhibit:
    """The exhibit with that id. Raises UnknownName with the nearest id."""
    found = _registry()[1].get(exhibit)
    if found is None:
        raise UnknownName("exhibit", exhibit, _registry()[1], "See `mtlrepro list`.")
    return found


def owner(exhibit: Exhibit) -> Exhibit:
    """The exhibit whose id a shared notebook gives to `params`: the first in the registry; itself where it has no notebook."""
    if exhibit.notebook is None:
        return exhibit
    return next(one for one in everything() if one.notebook == exhibit.notebook)
