"""The registry: every exhibit of the five papers, whether its notebook exists yet or not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from mtlrepro import paths
from mtlrepro.errors import UnknownName

TIERS = ("paper's data", "public stand-in", "synthetic", "no data")

Kind = Literal["figure", "table", "diagram", "claim", "theorem", "algorithm", "settings"]


class Paper(BaseModel):
    """One of the five papers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    authors: str | None = None
    year: int
    venue: str | None = None
    arxiv: str | None = None


class Exhibit(BaseModel):
    """One exhibit. values: the paper's own numbers. notebook: path under notebooks/ without suffix, None while planned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z]+/[a-z0-9]+$")
    title: str
    where: str
    kind: Kind
    tier: Literal["paper's data", "public stand-in", "synthetic", "no data"]
    notebook: str | None = None
    claim: str = ""
    values: dict[str, Any] = Field(default_factory=dict)

    @property
    def paper(self) -> str:
        return self.id.partition("/")[0]

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
    content = yaml.safe_load((paths.PACKAGE / "exhibits.yaml").read_text(encoding="utf-8"))
    papers = {key: Paper(**value) for key, value in content["papers"].items()}
    listed = [Exhibit(**entry) for entry in content["exhibits"]]
    return papers, {exhibit.id: exhibit for exhibit in listed}


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
