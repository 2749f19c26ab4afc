"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) as uint8 images in the official order.

Read from the official binary files (never from the pickles of the Python version), or from a mirror that holds the
same images as lossless WebP strips. Both give the same arrays, which the manifests' sha256 check.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtlrepro import paths
from mtlrepro.data.places import Located, array_sha256, arrays_sha256, check_arrays, corrupt, locate
from mtlrepro.data.schema import Tier
from mtlrepro.errors import BadValue, DataCorrupt, UnknownName
from mtlrepro.files import replacing

Images = NDArray[np.uint8]
SIDE = 32
TILES = 100  # images in a strip
LABELS = {"cifar10": ("label",), "cifar100": ("coarse", "fine")}
SIZES = {"train": 50_000, "test": 10_000}
_ROW = 3 * SIDE * SIDE


@dataclass(frozen=True, eq=False)
class ImageSet:
    """n labelled images: `images` (n, 32, 32, 3) uint8, `labels` by name, each (n,) int64. All are read-only.

    `classes` names the values of each label. `partial` is set where the source holds fewer images than the official
    split; `official_size` is that split's size. `sha256` is over the canonical arrays (images and labels as uint8).
    """

    name: str
    split: Literal["train", "test"]
    images: Images
    labels: dict[str, NDArray[np.int64]]
    classes: dict[str, tuple[str, ...]]
    partial: bool
    sha256: str
    tier: Tier
    source: Literal["official", "mirror"]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def official_size(self) -> int:
        return SIZES[self.split]


def load_cifar(
    name: Literal["cifar10", "cifar100"],
    split: Literal["train", "test"],
    limit: int | None = None,
    mirror: Path | None = None,
) -> ImageSet:
    """The first `limit` (default: all) images of a split, official order.

    Decoded images of a mirror are kept in the cache (150 MB for 50,000) and compared with their sha256 when read again.
    Raises UnknownName, BadValue, DataMissing, DataCorrupt.
    """
    if name not in LABELS:
        raise UnknownName("CIFAR set", name, LABELS)
    if split not in SIZES:
        raise BadValue(f"CIFAR has the splits 'train' and 'test', not {split!r}.")
    if limit is not None and limit < 1:
        raise BadValue(f"limit is a positive number of images, not {limit}.")
    place = locate(name, mirror)
    partial = place.partial and split == "train"
    read = _from_binary if place.layout == "official" else _from_strips
    arrays = read(place, name, split, limit)
    count = len(arrays["images"])
    if limit is None:
        digest = check_arrays(place, arrays, prefix=f"{split}-first-30000/" if partial else f"{split}/")
    else:
        digest = arrays_sha256(arrays)
    images = arrays.pop("images")
    images.setflags(write=False)
    labels = {key: values.astype(np.int64) for key, values in arrays.items()}
    for values in labels.values():
        values.setflags(write=False)
        if len(values) != count:
            raise DataCorrupt(f"{place.folder}: {count} images of {name} {split}, but {len(values)} labels.")
    classes = _classes(place, name)
    return ImageSet(name, split, images, labels, classes, partial, digest, place.manifest.tier, place.source)


# --- official binary version ------------------------------------------------------------------------------------------


def binary_files(name: str, split: str) -> tuple[str, ...]:
    """The official binary files of a split, in order."""
    if name == "cifar100":
        return (f"cifar-100-binary/{split}.bin",)
    if split == "test":
        return ("cifar-10-batches-bin/test_batch.bin",)
    return tuple(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6))


def _from_binary(place: Located, name: str, split: str, limit: int | None) -> dict[str, Images]:
    """Rows of label bytes, then 1,024 bytes each of red, green and blue."""
    keys = LABELS[name]
    width = len(keys) + _ROW
    parts: list[Images] = []
    missing = limit
    for file in binary_files(name, split):
        content = np.frombuffer(place.read(file), np.uint8)
        if content.size % width:
            raise DataCorrupt(f"{place.folder / file}: {content.size} bytes are no whole number of rows of {width}.")
        rows = content.reshape(-1, width)[:missing]
        parts.append(rows)
        if missing is not None:
            missing -= len(rows)
            if missing <= 0:
                break
    rows = np.concatenate(parts)
    planes = rows[:, len(keys) :].reshape(-1, 3, SIDE, SIDE)
    arrays = {key: rows[:, i].copy() for i, key in enumerate(keys)}
    return {"images": np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), **arrays}


# --- mirror: lossless WebP strips of 100 images -----------------------------------------------------------------------


def _strip(content: bytes) -> Images:
    with Image.open(io.BytesIO(content), formats=("WEBP",)) as image:
        if image.width != SIDE or image.height > TILES * SIDE or image.height % SIDE:
            raise DataCorrupt(f"a strip of {image.width} x {image.height} pixels, not {SIDE} x at most {TILES * SIDE}.")
        return np.asarray(image.convert("RGB")).reshape(-1, SIDE, SIDE, 3)


def _strips(place: Located, split: str) -> Iterator[bytes]:
    for file in sorted(f for f in place.files if f.startswith(f"{split}-") and f.endswith(".zip")):
        with zipfile.ZipFile(io.BytesIO(place.read(file))) as archive:
            for info in sorted(archive.infolist(), key=lambda i: i.filename):
                if info.file_size > 2 * TILES * _ROW:
                    raise DataCorrupt(f"{place.folder / file}: {info.filename} is far larger than a strip of images.")
                yield archive.read(info)


def _from_strips(place: Located, name: str, split: str, limit: int | None) -> dict[str, Images]:
    images = _decoded(place, name, split, limit)
    arrays = {}
    for key in LABELS[name]:
        labels = np.load(io.BytesIO(place.read(f"{split}-{key}.npy")), allow_pickle=False)
        arrays[key] = labels[: len(images)]
    return {"images": images, **arrays}


def _decoded(place: Located, name: str, split: str, limit: int | None) -> Images:
    """Decoded images: from the cache where they are there, else decoded, and kept if all were asked for."""
    part = f"{split}-first-30000" if place.partial and split == "train" else split
    stated = place.manifest.array(f"{part}/images")
    if stated is None:
        return _decode(place, split, limit)
    kept = paths.cache() / "decoded" / f"{name}-{part}-{stated.sha256[:16]}.npy"
    if kept.is_file():
        try:
            images: Images = np.load(kept, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise DataCorrupt(f"{kept} cannot be read ({error}); delete it and run again.") from error
        if (found := array_sha256(images)) != stated.sha256:
            raise corrupt(kept, stated.sha256, found)
        return np.ascontiguousarray(images[:limit])
    images = _decode(place, split, limit)
    if limit is None:
        if (found := array_sha256(images)) != stated.sha256:
            raise corrupt(f"{place.folder}: {part}/images of {name}", stated.sha256, found)
        with replacing(kept) as target, target.open("wb") as file:
            np.save(file, images, allow_pickle=False)
    return images


def _decode(place: Located, split: str, limit: int | None) -> Images:
    strips: list[bytes] = []
    for strip in _strips(place, split):
        strips.append(strip)
        if limit is not None and len(strips) * TILES >= limit:
            break
    with ThreadPoolExecutor() as pool:
        return np.concatenate(list(pool.map(_strip, strips)))[:limit]


# --- names, and images that stand in both splits ----------------------------------------------------------------------


def _classes(place: Located, name: str) -> dict[str, tuple[str, ...]]:
    """Class names by label, from the official meta files or the mirror's names.json."""
    if "names.json" in place.files:
        content = json.loads(place.read("names.json"))
        return {key: tuple(content[f"{key}_names"]) for key in LABELS[name]}
    files = {
        "label": "cifar-10-batches-bin/batches.meta.txt",
        "coarse": "cifar-100-binary/coarse_label_names.txt",
        "fine": "cifar-100-binary/fine_label_names.txt",
    }
    names = {key: place.read(files[key]).decode("ascii").split() for key in LABELS[name] if files[key] in place.files}
    return {key: tuple(values) for key, values in names.items()}


def standing_in(images: Images, others: Images) -> NDArray[np.int64]:
    """Row numbers of `images` (n, ...) that also stand, byte for byte, in `others` (m, ...).

    CIFAR-100 has 10 test images that stand in its training split: `standing_in(test.images, train.images)`.
    """
    known = {image.tobytes() for image in others}
    return np.array([i for i, image in enumerate(images) if image.tobytes() in known], np.int64)
