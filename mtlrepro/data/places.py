"""Where a data set lies on this machine, and whether its files and arrays are the right ones."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mtlrepro import paths
from mtlrepro.data.schema import DataFile, Manifest, get
from mtlrepro.errors import DataCorrupt, DataMissing
from mtlrepro.files import sha256_of

# --- where a data set is ----------------------------------------------------------------------------------------------


def corrupt(file: Path | str, expected: str, found: str) -> DataCorrupt:
    """The error for bytes that are not the expected ones."""
    return DataCorrupt(f"{file} is not the expected data: expected sha256 {expected}, found {found}; delete it and get it again.")


@dataclass(frozen=True)
class Located:
    """A data set found on this machine: which layout, in which folder."""

    manifest: Manifest
    layout: str
    folder: Path
    where: Literal["mirror", "cache"]

    @property
    def source(self) -> Literal["mirror", "official"]:
        """'official' for files fetched from the official source into the cache, 'mirror' for a folder of the user's."""
        return "mirror" if self.where == "mirror" else "official"

    @property
    def files(self) -> dict[str, DataFile]:
        """The layout's files that are here, by their path in `folder`."""
        listed = self.manifest.files(self.layout)
        may_lack = self.manifest.layouts[self.layout].any_file
        return {f.path: f for f in listed if not (f.optional or may_lack) or (self.folder / f.path).is_file()}

    @property
    def complete(self) -> bool:
        """Whether every file that must be there is there; with `any_file`, whether there is one."""
        here = [(self.folder / f.path).is_file() for f in self.manifest.files(self.layout) if not f.optional]
        return any(here) if self.manifest.layouts[self.layout].any_file else all(here)

    @property
    def partial(self) -> bool:
        layout = self.manifest.layouts[self.layout]
        return layout.partial or (layout.any_file and len(self.files) < len(self.manifest.files(self.layout)))

    def check(self, path: str) -> Path:
        """The file's place once its sha256 was compared. Raises DataMissing, DataCorrupt."""
        file, expected = self.folder / path, self._listed(path).sha256
        if not file.is_file():
            raise DataMissing(f"{self.manifest.name}: no {file}; {how_to_get(self.manifest)}")
        if expected is not None and (found := sha256_of(file)) != expected:
            raise corrupt(file, expected, found)
        return file

    def read(self, path: str) -> bytes:
        """The file's bytes, the very bytes whose sha256 was compared. Raises DataMissing, DataCorrupt."""
        file, expected = self.folder / path, self._listed(path).sha256
        if not file.is_file():
            raise DataMissing(f"{self.manifest.name}: no {file}; {how_to_get(self.manifest)}")
        content = file.read_bytes()
        if expected is not None and (found := hashlib.sha256(content).hexdigest()) != expected:
            raise corrupt(file, expected, found)
        return content

    def _listed(self, path: str) -> DataFile:
        return next(f for f in self.manifest.files(self.layout) if f.path == path)


def _candidates(manifest: Manifest, mirror: Path | None) -> list[Located]:
    """Places to look at, best first: whole sets of the mirror, the cache, then reduced sets of the mirror."""
    folder = paths.mirror() if mirror is None else mirror
    found = []
    if folder is not None:
        for name in sorted(manifest.layouts, key=lambda layout: layout != "official"):
            found += [Located(manifest, name, folder / inside, "mirror") for inside in manifest.layouts[name].folders]
    if "official" in manifest.layouts:
        found.append(Located(manifest, "official", cached(manifest.name), "cache"))
    return sorted(found, key=lambda place: place.partial)


def cached(name: str) -> Path:
    """The folder of the cache that holds (or will hold) a data set's official files."""
    return paths.cache() / "data" / name


def find(name: str, mirror: Path | None = None) -> Located | None:
    """Where the data set is (mirror first, then cache), or None; contents are not read yet."""
    manifest = get(name)
    for place in _candidates(manifest, mirror):
        if place.complete:
            return place
    return None


def how_to_get(manifest: Manifest) -> str:
    """What to do to have the data set, in one line."""
    if manifest.access == "embedded":
        return "it comes with the package, nothing to get." if has_loader(manifest) else "its generator comes with a later paper."
    if manifest.access in ("open", "ask") and manifest.sources:
        return f"run `mtlrepro data fetch {manifest.name}`, or point MTLREPRO_MIRROR at a folder that has it."
    several = len(manifest.steps) > 1
    steps = " ".join(f"({i}) {step}" if several else step for i, step in enumerate(manifest.steps, start=1))
    return f"it cannot be fetched automatically: {steps}" if steps else "point MTLREPRO_MIRROR at a folder that has it."


def locate(name: str, mirror: Path | None = None) -> Located:
    """Like `find`. Raises DataMissing with what to do where the data set is not here, or which file a folder lacks."""
    place = find(name, mirror)
    if place is not None:
        return place
    manifest = get(name)
    if manifest.access == "embedded" and has_loader(manifest):
        raise DataMissing(f"{name} ({manifest.title}) has no files: {how_to_get(manifest)}")
    for near in _candidates(manifest, mirror):
        absent = [f.path for f in manifest.files(near.layout) if not (f.optional or (near.folder / f.path).is_file())]
        if len(absent) < len(manifest.files(near.layout)):
            raise DataMissing(f"{name}: no {absent[0]} in {near.folder}; {how_to_get(manifest)}")
    raise DataMissing(f"{name} ({manifest.title}) is not here: {how_to_get(manifest)}")


# --- canonical arrays -------------------------------------------------------------------------------------------------


def array_sha256(array: NDArray[Any]) -> str:
    """sha256 of an array's bytes in C order, little-endian."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return hashlib.sha256(little.reshape(-1).view(np.uint8).data).hexdigest()


def arrays_sha256(arrays: Mapping[str, NDArray[Any]]) -> str:
    """One sha256 for a set of named arrays: over their names, dtypes, shapes and bytes, in order of name."""
    lines = [f"{n} {a.dtype.name} {list(a.shape)} {array_sha256(a)}\n" for n, a in sorted(arrays.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_arrays(place: Located, arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> str:
    """Compare decoded arrays with the manifest's canonical ones (`prefix + name`) and return their joint sha256.

    Raises DataCorrupt where a stated array differs in dtype, shape or bytes.
    """
    for name, array in arrays.items():
        stated = place.manifest.array(prefix + name)
        if stated is None:
            continue
        if (array.dtype.name, array.shape) != (stated.dtype, stated.shape):
            raise DataCorrupt(
                f"{place.folder}: {prefix + name} of {place.manifest.name} is {array.dtype.name} {list(array.shape)}, "
                f"not {stated.dtype} {list(stated.shape)}."
            )
        if (found := array_sha256(array)) != stated.sha256:
            raise corrupt(f"{place.folder}: {prefix + name} of {place.manifest.name}", stated.sha256, found)
    return arrays_sha256(arrays)


def has_loader(manifest: Manifest) -> bool:
    """Whether the module that reads or makes the data is in this version of the package."""
    module = (manifest.loader or "").partition(":")[0]
    try:
        return bool(module) and importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its paper is not here
        return False
