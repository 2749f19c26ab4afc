"""The three real sets of the class-wise weights paper, as `Scenes`: Virtual KITTI 1.3.1, NYU Depth V2, Cityscapes.

None of them may be passed on: the manifests say how to get them. Formats, from the sets' own pages:

- Virtual KITTI: colours of `*_scenegt_rgb_encoding.txt` name the class (and the instance) of a pixel; depth is 16 bits, in
  centimetres, 655.35 m being the far plane, which is sky. Vans, the fourteenth class, count as trucks: our reading of 13 classes.
- NYU-v2: the 13-class arrays (`train/image/0.npy`, `depth`, `label`; label -1 is ignored, depth 0 is not known) in which
  multi-task benchmarks share it (Liu, Johns and Davison 2019). The official .mat is HDF5 and its 894 classes need a mapping of
  their own: not read here.
- Cityscapes: `labelIds` 0 to 33, all 34 of them classes as in the paper; disparity is 16 bits, d = (p - 1) / 256, and 0 where it
  is not known.
  Depth is 0.209313 m x 2262.52 pixels / d, base line and focal length of the set's usual camera.

Images are resized with smoothing, labels and depth to the nearest pixel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from mtlrepro.data.places import locate
from mtlrepro.errors import BadValue, DataCorrupt, UnknownName
from mtlrepro.papers.classweights.data.scenes import UNLABELLED, Scenes

VKITTI_CLASSES = (
    "Terrain", "Sky", "Tree", "Vegetation", "Building", "Road", "GuardRail", "TrafficSign", "TrafficLight", "Pole", "Misc",
    "Truck", "Car",
)  # fmt: skip
NYU_CLASSES = 13
CITYSCAPES_CLASSES = 34
_FAR = 65535  # centimetres
_BASE_TIMES_FOCAL = 0.209313 * 2262.52


def load_vkitti(
    size: tuple[int, int] = (256, 256),
    worlds: Sequence[str] = ("0001", "0002", "0006", "0018", "0020"),
    variations: Sequence[str] = ("clone",),
    limit: int | None = None,
    mirror: Path | None = None,
) -> Scenes:
    """Frames of these worlds and variations in order; labels are places in VKITTI_CLASSES. limit: only so many of each.

    Raises DataMissing, DataCorrupt, BadValue.
    """
    _checked(size, limit)
    root = locate("vkitti", mirror).folder
    frames = []
    for world in worlds:
        for variation in variations:
            labels_of = _vkitti_colours(root / "vkitti_1.3.1_scenegt" / f"{world}_{variation}_scenegt_rgb_encoding.txt")
            for file in _some(root / "vkitti_1.3.1_rgb" / world / variation, "*.png", limit):
                encoded, depth = (
                    _png(root / f"vkitti_1.3.1_{kind}" / world / variation / file.name, size) for kind in ("scenegt", "depthgt")
                )
                known = depth < _FAR
                frames.append(_frame(_image(file, size), labels_of(encoded), depth / 100.0, known & (depth > 0)))
    return _joined(frames, root)


def _vkitti_colours(file: Path) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
    """Colours (h, w, 3) -> labels (h, w), from a table of lines "Car:3 200 10 0"."""
    codes, labels = [], []
    for line in _lines(file)[1:]:
        parts = line.split()
        name = parts[0].split(":")[0] if len(parts) == 4 else ""
        name = "Truck" if name == "Van" else name
        if name not in VKITTI_CLASSES:
            raise DataCorrupt(f"{file}: {line!r} is no line of name, red, green and blue of a known class.")
        red, green, blue = map(int, parts[1:])
        codes.append(red << 16 | green << 8 | blue)
        labels.append(VKITTI_CLASSES.index(name))
    order = np.argsort(codes)
    table, classes = np.array(codes)[order], np.array(labels)[order]

    def labelled(colours: NDArray[np.int64]) -> NDArray[np.int64]:
        found = colours[..., 0] << 16 | colours[..., 1] << 8 | colours[..., 2]
        place = np.searchsorted(table, found).clip(max=len(table) - 1)
        return np.where(table[place] == found, classes[place], UNLABELLED)

    return labelled


def load_nyu(
    split: str = "train", size: tuple[int, int] = (256, 256), limit: int | None = None, mirror: Path | None = None
) -> Scenes:
    """split: train (795) or val (654). Labels 0 to 12. Raises DataMissing, DataCorrupt, BadValue, UnknownName."""
    _checked(size, limit)
    if split not in ("train", "val"):
        raise UnknownName("split", split, ("train", "val"))
    root, frames = locate("nyu_v2", mirror).folder, []
    for file in _some(root / split / "image", "*.npy", limit):
        image, depth, label = (_array(root / split / kind / file.name) for kind in ("image", "depth", "label"))
        fitting = image.ndim == 3 and image.shape[-1] == 3 and depth.squeeze().shape == image.shape[:2] == label.shape
        if not fitting:
            raise DataCorrupt(f"{file}: image, depth and label do not fit: {image.shape}, {depth.shape}, {label.shape}.")
        whole = Image.fromarray((255 * image.clip(0, 1)).round().astype(np.uint8))
        pixels = np.asarray(whole.resize(size[::-1], Image.Resampling.BOX)) / 255.0
        labels, metres = _nearest(label, size).astype(np.int64), _nearest(depth.squeeze(), size).astype(np.float64)
        labels[(labels < 0) | (labels >= NYU_CLASSES)] = UNLABELLED
        frames.append(_frame(pixels, labels, metres, np.isfinite(metres) & (metres > 0)))
    return _joined(frames, root)


def load_cityscapes(
    split: str = "train", size: tuple[int, int] = (256, 256), limit: int | None = None, mirror: Path | None = None
) -> Scenes:
    """split: train (2,975) or val (500). Labels are the ids 0 to 33. Raises DataMissing, DataCorrupt, BadValue, UnknownName."""
    _checked(size, limit)
    if split not in ("train", "val"):
        raise UnknownName("split", split, ("train", "val"))
    root, frames = locate("cityscapes", mirror).folder, []
    for file in _some(root / "leftImg8bit" / split, "*/*_leftImg8bit.png", limit):
        start = file.name.removesuffix("leftImg8bit.png")
        labels = _png(root / "gtFine" / split / file.parent.name / f"{start}gtFine_labelIds.png", size)
        labels[labels >= CITYSCAPES_CLASSES] = UNLABELLED
        disparity = (_png(root / "disparity" / split / file.parent.name / f"{start}disparity.png", size) - 1) / 256
        known = disparity > 0
        frames.append(_frame(_image(file, size), labels, _BASE_TIMES_FOCAL / np.where(known, disparity, 1), known))
    return _joined(frames, root)


_Frame = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]


def _frame(image: NDArray[np.float64], labels: NDArray[np.int64], depth: NDArray[np.float64], known: NDArray[np.bool_]) -> _Frame:
    return image.astype(np.float32).transpose(2, 0, 1), labels, np.where(known, depth, 0).astype(np.float32), known


def _joined(frames: Iterable[_Frame], root: Path) -> Scenes:
    parts = list(zip(*frames, strict=True))
    if not parts:
        raise DataCorrupt(f"{root} holds no frame of what was asked for.")
    return Scenes(*(torch.from_numpy(np.stack(part)) for part in parts))


def _checked(size: tuple[int, int], limit: int | None) -> None:
    if min(size) < 1 or (limit is not None and limit < 1):
        raise BadValue(f"height, width and limit must be at least 1, not {size} and {limit}.")


def _some(folder: Path, pattern: str, limit: int | None) -> list[Path]:
    """Files in the order of their names, numbers by value."""
    found = sorted(folder.glob(pattern), key=lambda file: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", str(file))])
    return found[:limit]


def _lines(file: Path) -> list[str]:
    if not file.is_file():
        raise DataCorrupt(f"{file} is not there.")
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def _array(file: Path) -> NDArray[np.float64]:
    if not file.is_file():
        raise DataCorrupt(f"{file} is not there.")
    try:
        found: NDArray[np.float64] = np.load(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataCorrupt(f"{file}: {error}.") from None
    return found


def _nearest(values: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Values (h, w) at the pixel nearest to the middle of each new one."""
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, values.shape, strict=True))
    return values[np.ix_(rows, columns)]


def _image(file: Path, size: tuple[int, int]) -> NDArray[np.float64]:
    with Image.open(file, formats=("PNG",)) as image:
        return np.asarray(image.convert("RGB").resize(size[::-1], Image.Resampling.BOX)) / 255.0


def _png(file: Path, size: tuple[int, int]) -> NDArray[np.int64]:
    """Codes of a PNG, (h, w) or (h, w, 3), to the nearest pixel."""
    if not file.is_file():
        raise DataCorrupt(f"{file} is not there.")
    with Image.open(file, formats=("PNG",)) as image:
        values = np.asarray(image).astype(np.int64)
    if values.ndim == 2:
        return _nearest(values, size)
    return np.stack([_nearest(values[..., i], size) for i in range(3)], -1)
