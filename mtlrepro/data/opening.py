"""Open a data set by name: the set itself where it is here, else the one that stands in for it, each with its tier."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtlrepro.data.places import array_sha256, find, has_loader, how_to_get, locate
from mtlrepro.data.schema import Manifest, Tier, get, manifests
from mtlrepro.errors import BadValue, DataMissing
from mtlrepro.parameters import Params


@dataclass(frozen=True)
class Opened:
    """A data set that was read. asked, name: the set asked for, and the one that was read: it or a stand-in.

    content: what the set's loader returns. tier: of what was read; a partial copy of the paper's data is a public stand-in.
    digest: sha256 over every array of the content.
    """

    asked: str
    name: str
    content: Any
    tier: Tier
    digest: str

    @property
    def stands_in(self) -> bool:
        return self.name != self.asked


def open(name: str, mirror: Path | None = None, stand_in: bool = True, **arguments: Any) -> Opened:
    """The data set `name`, or, where it is not here, the next in its chain of stand-ins.

    stand_in: False refuses any other set. arguments: for the loader of the set that is read; those it does not know are left out.
    Raises UnknownName for a set without a manifest, DataMissing with what to do where neither it nor a stand-in is here,
    and what its loader raises (DataCorrupt, BadValue).
    """
    opened = which(name, mirror, stand_in)
    manifest = get(opened)
    place = None if manifest.access == "embedded" else find(opened, mirror)
    content = _load(manifest, mirror, arguments)
    partial = place is not None and place.partial
    tier: Tier = "public stand-in" if partial and manifest.tier == "paper's data" else manifest.tier
    return Opened(name, opened, content, tier, content_sha256(content))


def which(name: str, mirror: Path | None = None, stand_in: bool = True) -> str:
    """The name of the data set that `open` reads. Nothing is read; arguments and errors as there."""
    tried: list[str] = []
    now: str | None = name
    while now is not None:
        if now in tried:
            raise BadValue(f"the stand-ins of {name} go in a circle: {', '.join([*tried, now])}.")
        tried.append(now)
        manifest = get(now)
        if has_loader(manifest) and (manifest.access == "embedded" or find(now, mirror) is not None):
            return now
        now = manifest.stand_in if stand_in else None
    locate(name, mirror)
    raise DataMissing(f"{name} ({get(name).title}) cannot be read: {how_to_get(get(name))}")


def sources(exhibit: str) -> tuple[str, ...]:
    """The data sets that can be read and that name the exhibit, such as hydalearn/tab1, in `used_by`."""
    return tuple(name for name, manifest in manifests().items() if has_loader(manifest) and exhibit in manifest.used_by)


def checked_source(p: Params, source: str | None = None) -> str:
    """The parameter `source` of a run, or one of its `sources`: a data set of the exhibit's `sources`.

    The profile's own value may stand for another set where it is not here, see `open`; one that the user chose must be here.
    Raises BadValue for any other name, DataMissing with what to do.
    """
    name = str(p.source if source is None else source)
    known = sources(p.exhibit)
    if name not in known:
        raise BadValue(f"{p.exhibit} runs on one of {', '.join(known)}, not on {name!r}.")
    if {"source", "sources"} & set(p.overrides):
        which(name, stand_in=False)
    return name


def _load(manifest: Manifest, mirror: Path | None, arguments: Mapping[str, Any]) -> Any:
    module, _, function = (manifest.loader or "").partition(":")
    load = getattr(importlib.import_module(module), function)
    known = inspect.signature(load).parameters
    given = {"mirror": mirror, **manifest.arguments, **arguments}
    return load(**{key: value for key, value in given.items() if key in known})


def content_sha256(content: Any) -> str:
    """sha256 over all arrays, tensors, numbers and texts of a data set's content, with the names of its fields."""
    digest = hashlib.sha256()
    for line in _lines(content, ""):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _lines(value: Any, where: str) -> list[str]:
    if isinstance(value, torch.Tensor):
        value = value.numpy(force=True)
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "OUST":
            return [f"{where} {hashlib.sha256(repr(value.tolist()).encode()).hexdigest()}"]
        return [f"{where} {value.dtype.name} {list(value.shape)} {array_sha256(value)}"]
    if hasattr(value, "to_numpy") and hasattr(value, "columns"):
        return [line for name in value.columns for line in _lines(value[name].to_numpy(), f"{where}.{name}")]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return [line for key in sorted(value, key=str) for line in _lines(value[key], f"{where}.{key}")]
    if isinstance(value, list | tuple):
        if all(isinstance(item, str | int | float | bool | type(None)) for item in value):
            return [f"{where} {hashlib.sha256(repr(list(value)).encode()).hexdigest()}"]
        return [line for number, item in enumerate(value) for line in _lines(item, f"{where}.{number}")]
    if isinstance(value, str | int | float | bool | type(None)):
        return [f"{where} {value!r}"]
    return []  # a place on this machine, a function: no content
