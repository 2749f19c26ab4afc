"""Data manifests: what each data set is, where its files come from, and whether the bytes at hand are the right ones.

One YAML file a data set in `data_manifests/`. A set may lie in the mirror folder (`MTLREPRO_MIRROR`), in any layout
its manifest names, or in the cache, in the official layout, where `fetch` puts it. Every file is compared with its
sha256 before use. A corrupt file is refused by name; it is never repaired or replaced behind the user's back.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from yaml.constructor import SafeConstructor

from mtlrepro import paths
from mtlrepro.errors import BadValue, DataCorrupt, DataMissing, UnknownName
from mtlrepro.files import sha256_of


def _relative(path: str) -> str:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in path or ":" in path or path in ("", "."):
        raise ValueError("must be a relative path with forward slashes and no '..'")
    return path


def _folder(path: str) -> str:
    return path if path == "." else _relative(path)


def _https(url: str) -> str:
    if not url.startswith("https://") or any(c.isspace() for c in url):
        raise ValueError("must be an https:// address")
    return url


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
RelativePath = Annotated[str, AfterValidator(_relative)]
Folder = Annotated[str, AfterValidator(_folder)]
Https = Annotated[str, AfterValidator(_https)]
Size = Annotated[int, Field(ge=0)]
Access = Literal["open", "ask", "gated", "embedded"]
Tier = Literal["paper's data", "public stand-in", "synthetic"]
Where = Literal["mirror", "cache", "embedded", "missing"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Member(_Strict):
    """A file needed from an archive; `file` is where it goes, the member's own path unless stated."""

    path: RelativePath
    sha256: Sha256 | None = None
    max_size: Annotated[int, Field(gt=0)]
    file: RelativePath | None = None

    @property
    def target(self) -> str:
        return self.file or self.path


class Source(_Strict):
    """One download. Without members the file itself is kept; with members it is an archive and they are kept."""

    url: Https
    file: RelativePath
    sha256: Sha256 | None = None
    size: Size | None = None
    members: tuple[Member, ...] = ()

    @model_validator(mode="after")
    def _can_be_checked(self) -> Self:
        if self.sha256 is None and not (self.members and all(m.sha256 for m in self.members)):
            raise ValueError("needs a sha256, or members that each have one")
        if self.members and not self.file.endswith((".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")):
            raise ValueError("has members, so `file` must end in .zip, .tar or .tar.gz (.tgz, .tar.xz, .tar.bz2)")
        return self


class DataFile(_Strict):
    """A file of a layout. `sha256` is absent only where the official source publishes none."""

    path: RelativePath
    sha256: Sha256 | None = None
    size: Size | None = None
    optional: bool = False


class Layout(_Strict):
    """A set of files in one of several folders of a mirror; `official` is also the layout of the cache.

    The files that the sources give belong to `official` without being listed again. `any_file`: one of the files is
    enough to use the data (a part of them), as where a set comes in one file a quarter.
    """

    folders: Annotated[tuple[Folder, ...], Field(min_length=1)]
    files: tuple[DataFile, ...] = ()
    partial: bool = False
    any_file: bool = False
    note: Text | None = None


class Array(_Strict):
    """A canonical array: what every layout must decode to. `sha256` is over its bytes in C order, little-endian."""

    name: Text
    dtype: Literal["uint8", "int32", "int64", "float16", "float32", "float64"]
    shape: tuple[Size, ...]
    sha256: Sha256


class Manifest(_Strict):
    """One data set."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    title: Text
    authors: Text
    citation: Text
    home: Https | None
    terms: Text
    access: Access
    tier: Tier = "paper's data"
    used_by: tuple[Text, ...] = ()
    steps: tuple[Text, ...] = ()
    notes: tuple[Text, ...] = ()
    sources: tuple[Source, ...] = ()
    layouts: dict[str, Layout] = Field(default_factory=dict)
    arrays: tuple[Array, ...] = ()
    module: Annotated[str, StringConstraints(pattern=r"^mtlrepro\.data\.[a-z_]+$")] | None = None
    stand_in: Text | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.access == "gated" and not self.steps:
            raise ValueError("gated data need `steps`: what a person must do to get them")
        if self.access == "embedded" and (self.sources or self.layouts or self.module is None):
            raise ValueError("embedded data have no sources and no layouts, but the `module` that makes them")
        if self.access == "open" and not (self.sources or self.steps):
            raise ValueError("open data need `sources`, or `steps` where a download cannot be automatic")
        if self.sources and "official" not in self.layouts:
            raise ValueError("data with sources need a layout 'official'")
        for name in self.layouts:
            files = [f.path for f in self.files(name)]
            if not files or len(set(files)) < len(files):
                raise ValueError(f"layout {name!r} has {'a file twice' if files else 'no files'}")
        names = [a.name for a in self.arrays]
        if len(set(names)) < len(names):
            raise ValueError("two arrays have the same name")
        return self

    def files(self, layout: str) -> tuple[DataFile, ...]:
        """The files of a layout; for 'official' those of the sources first."""
        given: list[DataFile] = []
        for source in self.sources if layout == "official" else ():
            if source.members:
                given += [DataFile(path=m.target, sha256=m.sha256) for m in source.members]
            else:
                given.append(DataFile(path=source.file, sha256=source.sha256, size=source.size))
        return (*given, *self.layouts[layout].files)

    def array(self, name: str) -> Array | None:
        return next((a for a in self.arrays if a.name == name), None)


# --- reading the YAML -------------------------------------------------------------------------------------------------


# The safe loader, in C where PyYAML was built with it (ten times faster on the longest manifest).
_SAFE: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _line(node: yaml.Node, where: tuple[int | str, ...]) -> int:
    """Line of the field `where`, or of the nearest thing around it that exists."""
    line = node.start_mark.line + 1
    for step in where:
        found: tuple[yaml.Node, int] | None = None
        if isinstance(node, yaml.MappingNode):
            found = next(((v, k.start_mark.line + 1) for k, v in node.value if k.value == str(step)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = (node.value[step], node.value[step].start_mark.line + 1)
        if found is None:
            break
        node, line = found
    return line


def _refuse_repeated_keys(node: yaml.Node, shown: str) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise BadValue(f"{shown}:{key.start_mark.line + 1}: {key.value}: this field appears twice")
            seen.add(key.value)
            _refuse_repeated_keys(value, shown)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeated_keys(value, shown)


def read_manifest(file: Path) -> Manifest:
    """Read one manifest. Raises BadValue with one line: file, line, field and what is wrong."""
    shown = f"{file.parent.name}/{file.name}"
    text = file.read_text(encoding="utf-8")
    try:
        node = yaml.compose(text, Loader=_SAFE)
        content = SafeConstructor().construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "not valid YAML"
        raise BadValue(f"{shown}:{mark.line + 1 if mark else 1}: {what}") from None
    if node is None or not isinstance(content, dict):
        raise BadValue(f"{shown}:1: a manifest is a mapping of fields")
    _refuse_repeated_keys(node, shown)
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        first, more = error.errors()[0], error.error_count() - 1
        where = tuple(p for p in first["loc"] if isinstance(p, int | str))
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "no such field"
        field = ".".join(map(str, where)) or "manifest"
        raise BadValue(f"{shown}:{_line(node, where)}: {field}: {message}{f' (and {more} more)' if more else ''}") from None
    if manifest.name != file.stem:
        raise BadValue(f"{shown}:{_line(node, ('name',))}: name: is {manifest.name!r}, but the file is named {file.stem!r}")
    return manifest


@functools.lru_cache(maxsize=256)
def _read_once(file: Path, modified: int) -> Manifest:
    return read_manifest(file)


def _names() -> list[str]:
    return sorted(file.stem for file in paths.manifests().glob("*.yaml"))


def get(name: str) -> Manifest:
    """The manifest called `name`. Raises UnknownName with the nearest name that exists, BadValue where it is malformed."""
    if name not in _names():
        raise UnknownName("data set", name, _names(), "See `mtlrepro data list`.")
    file = paths.manifests() / f"{name}.yaml"
    return _read_once(file, file.stat().st_mtime_ns)


def manifests() -> dict[str, Manifest]:
    """Every manifest by name. Raises BadValue where one is malformed."""
    return {name: get(name) for name in _names()}


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
        return "it comes with the package, nothing to get." if _made_by(manifest) else "its generator comes with a later paper."
    if manifest.access in ("open", "ask") and manifest.sources:
        return f"run `mtlrepro data fetch {manifest.name}`, or point MTLREPRO_MIRROR at a folder that has it."
    several = len(manifest.steps) > 1
    steps = " ".join(f"({i}) {step}" if several else step for i, step in enumerate(manifest.steps, start=1))
    return f"it cannot be fetched automatically: {steps}" if steps else "point MTLREPRO_MIRROR at a folder that has it."


def locate(name: str, mirror: Path | None = None) -> Located:
    """Like `find`. Raises DataMissing with what to do where the data set is not here."""
    place = find(name, mirror)
    if place is None:
        manifest = get(name)
        raise DataMissing(f"{name} ({manifest.title}) is not here: {how_to_get(manifest)}")
    return place


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


def _made_by(manifest: Manifest) -> bool:
    """Whether the module that makes embedded data is in this version of the package."""
    return manifest.module is not None and importlib.util.find_spec(manifest.module) is not None


def _embedded_or_missing(manifest: Manifest) -> None:
    if not _made_by(manifest):
        raise DataMissing(f"{manifest.name} ({manifest.title}) is not here: {how_to_get(manifest)}")


def status(name: str, mirror: Path | None = None) -> Status:
    """Where the data set is now; files are looked for, not read."""
    manifest = get(name)
    if manifest.access == "embedded":
        if _made_by(manifest):
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
