"""Data manifests: what each data set is, where its files come from, and whether the bytes at hand are the right ones.

One YAML file a data set in `data_manifests/`. A set may lie in the mirror folder (`MTLREPRO_MIRROR`), in any layout
its manifest names, or in the cache, in the official layout, where `fetch` puts it. Every file is compared with its
sha256 before use. A corrupt file is refused by name; it is never repaired or replaced behind the user's back.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mtlrepro.data.places import _candidates, cached, find, has_loader, how_to_get, locate
from mtlrepro.data.schema import Access, Manifest, get, manifests
from mtlrepro.errors import DataMissing

Where = Literal["mirror", "cache", "embedded", "missing"]


# --- what the command line shows --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Status:
    """One row of `mtlrepro data list`."""

    name: str
    title: str
    access: Access
    where: Where
    layout: str | None = None
    folder: Path | None = None
    partial: bool = False
    note: str | None = None


def _embedded_or_missing(manifest: Manifest) -> None:
    if not has_loader(manifest):
        raise DataMissing(f"{manifest.name} ({manifest.title}) is not here: {how_to_get(manifest)}")


def status(name: str, mirror: Path | None = None) -> Status:
    """Where the data set is now; files are looked for, not read."""
    manifest = get(name)
    if manifest.access == "embedded":
        if has_loader(manifest):
            return Status(name, manifest.title, manifest.access, "embedded")
        return Status(name, manifest.title, manifest.access, "missing", note=how_to_get(manifest))
    place = find(name, mirror)
    if place is None:
        return Status(name, manifest.title, manifest.access, "missing", note=how_to_get(manifest))
    note = manifest.layouts[place.layout].note
    return Status(name, manifest.title, manifest.access, place.where, place.layout, place.folder, place.partial, note)


def statuses(mirror: Path | None = None) -> list[Status]:
    """One row a data set, by name."""
    return [status(name, mirror) for name in sorted(manifests())]


@dataclass(frozen=True)
class Checked:
    """What `verify` found: every file here, and how many of them have a known sha256."""

    name: str
    where: Where
    layout: str | None
    folder: Path | None
    files: int
    hashed: int


def verify(name: str, mirror: Path | None = None) -> Checked:
    """Compare every file of the data set with its sha256, in every place and layout in which it is here.

    Raises DataMissing, DataCorrupt (file, expected and found).
    """
    manifest = get(name)
    if manifest.access == "embedded":
        _embedded_or_missing(manifest)
        return Checked(name, "embedded", None, None, 0, 0)
    first = locate(name, mirror)
    files = hashed = 0
    for place in {p.folder / p.layout: p for p in _candidates(manifest, mirror) if p.complete}.values():
        for file in place.files:
            place.check(file)
        files += len(place.files)
        hashed += sum(f.sha256 is not None for f in place.files.values())
    return Checked(name, first.where, first.layout, first.folder, files, hashed)


def path(name: str, mirror: Path | None = None) -> Path:
    """The folder that holds the data set's files. Raises DataMissing; for embedded data too, which have none."""
    manifest = get(name)
    if manifest.access == "embedded":
        _embedded_or_missing(manifest)
        raise DataMissing(f"{name} comes with the package and has no folder of its own.")
    return locate(name, mirror).folder


def fetch(name: str, mirror: Path | None = None) -> Status:
    """Make the data set available: nothing to do where it is here, else download it into the cache and check it.

    A mirror that holds a part of the set counts as having it; fetch without a mirror to get the whole.
    Raises DataMissing where a person must act first (the message says what), DataCorrupt, MtlreproError.
    """
    from mtlrepro.data.download import fetch_into  # imported late: downloads need requests, loaders do not

    manifest = get(name)
    if manifest.access == "embedded":
        _embedded_or_missing(manifest)
    else:
        if find(name, mirror) is None:
            if not manifest.sources:
                raise DataMissing(f"{name} ({manifest.title}) is not here: {how_to_get(manifest)}")
            fetch_into(manifest, cached(name))
        verify(name, mirror)
    return status(name, mirror)
