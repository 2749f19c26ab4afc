"""The state of a training in one file, so that it can go on after any interruption as if there had been none."""

from __future__ import annotations

import copy
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # the name of an error alone: nothing is unpickled here
from typing import Any

import torch
from torch import Tensor

from mtlrepro.errors import BadValue, DataCorrupt
from mtlrepro.files import replacing
from mtlrepro.refusals import refuse_damaged

_PLAIN = (bool, int, float, str, type(None), Tensor)


def save_checkpoint(target: Path, identity: str, state: Mapping[str, Any]) -> None:
    """Write `state`, of tensors, numbers, text, lists and dictionaries, atomically. identity: of the training it belongs to."""
    with replacing(target) as part:
        torch.save({"identity": identity, "state": dict(state)}, part)


def load_checkpoint(source: Path, identity: str) -> dict[str, Any] | None:
    """The state that `save_checkpoint` wrote, on the CPU; None where there is no file.

    Raises DataCorrupt for a damaged file and BadValue for one of another training.
    """
    if not source.is_file():
        return None
    refuse_damaged(source)
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
        found, state = content["identity"], content["state"]
    except (RuntimeError, EOFError, OSError, KeyError, TypeError, UnpicklingError, zipfile.BadZipFile):
        raise DataCorrupt(f"{source} is no readable checkpoint: delete it to train from the start.") from None
    if found != identity:
        raise BadValue(f"{source} is the checkpoint of a training with other settings or data: delete it, or name another file.")
    kept: dict[str, Any] = state
    return kept


def attributes(holder: object) -> dict[str, Any]:
    """A copy of what an object holds in tensors, numbers, text, random generators, and lists and dictionaries of these.

    So any task weighting goes into a checkpoint as it is; functions and other objects stay with it.
    """
    return {name: _stored(value) for name, value in vars(holder).items() if _storable(value)}


def restore_attributes(holder: object, kept: Mapping[str, Any]) -> None:
    """Set what `attributes` kept: generators in place, tensors on the device where they lay."""
    for name, value in kept.items():
        setattr(holder, name, _restored(vars(holder).get(name), value))


def _storable(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_storable, value))
    if isinstance(value, dict):
        return all(isinstance(key, (str, int)) and _storable(each) for key, each in value.items())
    return isinstance(value, (*_PLAIN, torch.Generator))


def _stored(value: Any) -> Any:
    if isinstance(value, torch.Generator):
        return {"generator": value.get_state()}
    if isinstance(value, Tensor):
        return {"device": str(value.device), "tensor": value.detach().clone()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_stored, value))
    if isinstance(value, dict):
        return {"entries": {key: _stored(each) for key, each in value.items()}}
    return copy.copy(value)


def _restored(now: Any, kept: Any) -> Any:
    if isinstance(kept, dict):
        if "generator" in kept:
            return now.set_state(kept["generator"])
        if "tensor" in kept:
            return kept["tensor"].to(kept["device"])
        entries = now if isinstance(now, dict) else {}
        return {key: _restored(entries.get(key), each) for key, each in kept["entries"].items()}
    if isinstance(kept, (list, tuple)):
        before = now if isinstance(now, (list, tuple)) and len(now) == len(kept) else [None] * len(kept)
        return type(kept)(_restored(old, new) for old, new in zip(before, kept, strict=True))
    return kept
