"""Tiny data sets in their true layouts: what the fixtures that build them share."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtlrepro.data.places import array_sha256


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_layout(root: Path, folder: str, files: dict[str, bytes], **more: Any) -> dict[str, Any]:
    for name, content in files.items():
        target = root / folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return {"folders": ["."], "files": [{"path": n, "sha256": sha(c), "size": len(c)} for n, c in files.items()]} | more


def listed_arrays(arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    return [{"name": n, "dtype": a.dtype.name, "shape": list(a.shape), "sha256": array_sha256(a)} for n, a in arrays.items()]


@dataclass(frozen=True)
class Layouts:
    """Folders that each hold the same data set in one layout."""

    folders: dict[str, Path]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    """A PNG with one more chunk behind its header, of 33 bytes with the signature."""
    return png[:33] + _chunk(kind, content) + png[33:]


def as_wide_as(png: bytes, side: int) -> bytes:
    """A PNG whose header says that it is side x side."""
    return png[:8] + _chunk(b"IHDR", struct.pack(">II", side, side) + png[24:29]) + png[33:]
