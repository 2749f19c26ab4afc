"""The schema of a manifest: what a data set is, where its files come from, in which layouts they may lie."""

from __future__ import annotations

import functools
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from yaml.constructor import SafeConstructor

from mtlrepro import paths
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.files import SAFE_YAML, no_yaml, refuse_repeated_keys


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
    dtype: Literal["uint8", "int16", "int32", "int64", "float16", "float32", "float64"]
    shape: tuple[Size, ...]
    sha256: Sha256


class Manifest(_Strict):
    """One data set.

    loader: ``module:function`` that reads it, or makes it where it is embedded; arguments: what it is called with, besides the
    mirror. stand_in: the set that is opened where this one is not here.
    """

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
    loader: Annotated[str, StringConstraints(pattern=r"^mtlrepro\.[a-z_0-9.]+:[a-z_0-9]+$")] | None = None
    arguments: dict[str, str | int | float] = Field(default_factory=dict)
    stand_in: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.access == "gated" and not self.steps:
            raise ValueError("gated data need `steps`: what a person must do to get them")
        if self.access == "embedded" and (self.sources or self.layouts or self.loader is None):
            raise ValueError("embedded data have no sources and no layouts, but the `loader` that makes them")
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


def read_manifest(file: Path) -> Manifest:
    """Read one manifest. Raises BadValue with one line: file, line, field and what is wrong."""
    shown = f"{file.parent.name}/{file.name}"
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=SAFE_YAML)
        content = SafeConstructor().construct_document(node) if node is not None else None
        refuse_repeated_keys(node, shown, set())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise no_yaml(shown, error) from None
    if node is None or not isinstance(content, dict):
        raise BadValue(f"{shown}:1: a manifest is a mapping of fields")
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
