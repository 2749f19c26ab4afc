"""The three real sets of the class-wise weights paper, as `Scenes`: Virtual KITTI 1.3.1, NYU Depth V2, Cityscapes.

None of them may be passed on: the manifests say how to get them. `drawn_scenes` gives their parts. Formats, from their own pages:

- Virtual KITTI: colours of `*_scenegt_rgb_encoding.txt` name the class (and the instance) of a pixel; depth is 16 bits, in
  centimetres, 655.35 m being the far plane, which is sky. Vans, the fourteenth class, count as trucks: our reading of 13 classes.
- NYU-v2, three layouts with 13 classes (label -1 is ignored, depth 0 is not known): the official .mat (HDF5), whose 894 classes
  become 40 (`classMapping40.mat`; Gupta, Arbelaez and Malik 2013) and these 13 (`NYU_13_OF_40`; Couprie and others 2013); the
  arrays `train/image/0.npy`, `depth`, `label` in which multi-task benchmarks share it (Liu, Johns and Davison 2019); and `cells`,
  all 1,449 frames in cells of 5 x 5 pixels (96 x 128), depth in steps of 4 cm.
- Cityscapes: `labelIds` 0 to 33, all 34 of them classes as in the paper; disparity is 16 bits, d = (p - 1) / 256, and 0 where it
  is not known.
  Depth is 0.209313 m x 2262.52 pixels / d, base line and focal length of the set's usual camera.

Images are resized with smoothing, labels and depth to the nearest pixel.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mtlrepro import data
from mtlrepro.data.opening import Opened
from mtlrepro.data.places import Located, check_arrays, locate
from mtlrepro.errors import BadValue, DataCorrupt, UnknownName
from mtlrepro.papers.classweights.data.scenes import UNLABELLED, Scenes
from mtlrepro.refusals import (
    refuse_eight_bits,
    refuse_lone_frames,
    refuse_no_array,
    refuse_no_png,
    refuse_odd_colours,
    refuse_odd_mat,
    refuse_odd_numbers,
    refuse_odd_scene,
    refuse_unlabelled,
)

VKITTI_CLASSES = (
    "Terrain", "Sky", "Tree", "Vegetation", "Building", "Road", "GuardRail", "TrafficSign", "TrafficLight", "Pole", "Misc",
    "Truck", "Car",
)  # fmt: skip
NYU_CLASSES = (
    "bed", "books", "ceiling", "chair", "floor", "furniture", "objects", "picture", "sofa", "table", "tv", "wall", "window",
)  # fmt: skip
# Number of the 13 classes, from 1, of each of the 40, from 1; 0 is no class.
NYU_13_OF_40 = np.array([
    0, 12, 5, 6, 1, 4, 9, 10, 12, 13, 6, 8, 6, 13, 10, 6, 13, 6, 7, 7, 5,
    7, 3, 2, 6, 11, 7, 7, 7, 7, 7, 7, 6, 7, 7, 7, 7, 7, 7, 6, 7,
])  # fmt: skip
CITYSCAPES_CLASSES, CITYSCAPES_CAR = 34, 26
# Class names by label, as far as our scores name them: the names of Cityscapes' ids, but for cars, are not used.
CLASSES = {
    "vkitti": tuple(name.lower() for name in VKITTI_CLASSES),
    "nyu_v2": NYU_CLASSES,
    "cityscapes": tuple("car" if i == CITYSCAPES_CAR else f"id {i}" for i in range(CITYSCAPES_CLASSES)),
}
# The kind of generated scenes that imitates a set.
KINDS = {"vkitti": "driving", "nyu_v2": "indoor", "cityscapes": "street"}
_VKITTI_WORLDS = ("0001", "0002", "0006", "0018", "0020")
_NYU_RAW = 894
_CELLS = (96, 128)
_FAR = 65535  # centimetres
_BASE_TIMES_FOCAL = 0.209313 * 2262.52


@lru_cache(maxsize=2)
def learned_and_tested(source: str, size: tuple[int, int]) -> tuple[Opened, Opened]:
    """All frames to learn from and all to test on.

    NYU-v2 and Cityscapes: the official parts, train and val. Virtual KITTI has none: the first four worlds, the fifth.
    Raises UnknownName, DataMissing, DataCorrupt.
    """
    if source not in KINDS:
        raise UnknownName("set of scenes", source, KINDS)
    options: tuple[dict[str, Any], dict[str, Any]] = ({"split": "train"}, {"split": "val"})
    if source == "vkitti":
        options = ({"worlds": _VKITTI_WORLDS[:-1]}, {"worlds": _VKITTI_WORLDS[-1:]})
    first, second = (data.open(source, stand_in=False, size=size, **own) for own in options)
    return first, second


def drawn_scenes(source: str, images: tuple[int, int, int], size: tuple[int, int], seed: int) -> Scenes:
    """So many frames to train, to validate and to test on, joined in this order.

    Validated is a run of neighbouring frames, as these are often of one place, and trained on are random ones of the others, both
    drawn by `seed`; tested are the first ones of the test part. Raises BadValue where there are fewer, and as above.
    """
    learned, tested = (opened.content for opened in learned_and_tested(source, size))
    train, valid, test = images
    if train + valid > len(learned.images) or test > len(tested.images):
        counts = f"{len(learned.images)} frames to learn from and {len(tested.images)} to test on"
        raise BadValue(f"{source} has {counts}, too few for images of {list(images)}.")
    draw = np.random.default_rng([seed, 12])
    start = int(draw.integers(len(learned.images) - valid + 1))
    others = np.delete(np.arange(len(learned.images)), np.s_[start : start + valid])
    rows = torch.from_numpy(np.append(draw.permutation(others)[:train], np.arange(start, start + valid)))
    return Scenes(*(torch.cat([own[rows], other[:test]]) for own, other in zip(learned, tested, strict=True)))


def load_vkitti(
    size: tuple[int, int] = (256, 256),
    worlds: Sequence[str] = _VKITTI_WORLDS,
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
                image, encoded, depth = (
                    _png(root / f"vkitti_1.3.1_{kind}" / world / variation / file.name, channels)
                    for kind, channels in (("rgb", 3), ("scenegt", 3), ("depthgt", 1))
                )
                refuse_eight_bits(file, depth, 255)
                frames.append(_frame(file, image, labels_of(encoded), depth / 100.0, (depth > 0) & (depth < _FAR), size))
    return _joined(frames, root)


def _vkitti_colours(file: Path) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
    """Colours (h, w, 3) -> labels (h, w), from a table of lines "Car:3 200 10 0"."""
    codes, labels = [], []
    for number, line in enumerate(_lines(file), start=1):
        if number == 1 or not line.strip():
            continue
        name, *colour = line.split()
        name = name.split(":")[0]
        name = "Truck" if name == "Van" else name
        if name not in VKITTI_CLASSES or len(colour) != 3 or not all(c.isdecimal() and int(c) < 256 for c in colour):
            raise DataCorrupt(f"{file}, line {number}: {line!r} is not the name of a known class with red, green and blue.")
        red, green, blue = map(int, colour)
        codes.append(red << 16 | green << 8 | blue)
        labels.append(VKITTI_CLASSES.index(name))
    if not codes:
        raise DataCorrupt(f"{file} names no colour.")
    refuse_odd_colours(file, codes, labels)
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
    """split: train (795) or val (654). Labels 0 to 12, places in NYU_CLASSES.

    Raises DataMissing, DataCorrupt, BadValue, UnknownName.
    """
    _checked(size, limit)
    if split not in ("train", "val"):
        raise UnknownName("split", split, ("train", "val"))
    place = locate("nyu_v2", mirror)
    read = {"official": _nyu_official, "arrays_13": _nyu_arrays, "cells": _nyu_cells}[place.layout]
    return _joined((_frame(*frame, size) for frame in read(place, split, limit)), place.folder)


# Where a frame stands, its image (h, w, 3) uint8, labels (h, w) -1 to 12, metres (h, w) and where these are known (h, w).
_Raw = tuple[str | Path, NDArray[np.uint8], NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]


def _nyu_frame(where: str | Path, image: NDArray[Any], labels: NDArray[Any], metres: NDArray[Any]) -> _Raw:
    labels, metres = labels.astype(np.int64), metres.astype(np.float64)
    labels[(labels < 0) | (labels >= len(NYU_CLASSES))] = UNLABELLED
    return where, image, labels, metres, np.isfinite(metres) & (metres > 0)


def _nyu_official(place: Located, split: str, limit: int | None) -> Iterator[_Raw]:
    """Frames of nyu_depth_v2_labeled.mat (arrays in MATLAB's order, so turned round), in the order of splits.mat."""
    file, splits = place.check("nyu_depth_v2_labeled.mat"), place.check("splits.mat")
    of_13 = np.append(0, NYU_13_OF_40[_matlab(place.check("classMapping40.mat"), "mapClass", 40, _NYU_RAW)]) - 1
    try:
        with h5py.File(file) as content:
            images, depths, raw = (content[name] for name in ("images", "depths", "labels"))
            parts = [_matlab(splits, name, len(images)) - 1 for name in ("trainNdxs", "testNdxs")]
            if len(np.unique(np.concatenate(parts))) < sum(map(len, parts)):
                raise DataCorrupt(f"{splits}: a frame is in both parts, or twice in one.")
            refuse_lone_frames(splits, parts, images)
            refuse_odd_mat(file, images, depths, raw)
            for i in parts[split == "val"][:limit].tolist():
                numbers = raw[i].T
                if numbers.max() > _NYU_RAW:
                    raise DataCorrupt(f"{file}, frame {i + 1}: label {numbers.max()} is none of the {_NYU_RAW} classes.")
                yield _nyu_frame(f"{file}, frame {i + 1}", images[i].transpose(2, 1, 0), of_13[numbers], depths[i].T)
    except (OSError, KeyError) as error:
        raise DataCorrupt(f"{file} cannot be read: {error.args[0]}.") from None


def _matlab(file: Path, name: str, most: int, length: int | None = None) -> NDArray[np.int64]:
    """The whole numbers 1 to `most` of an array of an older .mat file, `length` of them."""
    try:
        values = np.asarray(scipy.io.loadmat(file, variable_names=[name])[name]).ravel()
    except (KeyError, ValueError, TypeError, OSError, NotImplementedError, scipy.io.matlab.MatReadError) as error:
        raise DataCorrupt(f"{file}: {name} cannot be read ({type(error).__name__}).") from None
    refuse_odd_numbers(file, name, values)
    if not len(values) or (length or len(values)) != len(values) or values.min() < 1 or values.max() > most:
        raise DataCorrupt(f"{file}: {name} is not {length or 'some'} numbers from 1 to {most}.")
    return values.astype(np.int64)


def _nyu_arrays(place: Located, split: str, limit: int | None) -> Iterator[_Raw]:
    root = place.folder
    for file in _some(root / split / "image", "*.npy", limit):
        image, depth, label = (_array(root / split / kind / file.name) for kind in ("image", "depth", "label"))
        refuse_odd_scene(file, image, label, depth)
        yield _nyu_frame(file, (255 * image.clip(0, 1)).round().astype(np.uint8), label, depth.squeeze())


def _nyu_cells(place: Located, split: str, limit: int | None) -> Iterator[_Raw]:
    """Frames from strips of lossless (labels, depth) and lossy (colours) WebP, in the order of the official .mat."""
    rgb, labels, codes = (_strips(place, name) for name in ("rgb.zip", "label40.zip", "depth.zip"))
    test = np.load(io.BytesIO(place.read("split.npy")), allow_pickle=False)
    if not len(rgb) == len(labels) == len(codes) == len(test):
        raise DataCorrupt(f"{place.folder}: {len(rgb)} images, {len(labels)} labels, {len(codes)} depths and {len(test)} splits.")
    check_arrays(place, {"label40": labels[..., 0], "depth_code": codes[..., 0]}, "cells/")
    step = json.loads(place.read("names.json"))["depth_metres_per_code"]
    for i in np.flatnonzero(test == (split == "val"))[:limit].tolist():
        metres = (codes[i, ..., 0] + 0.5) * step
        yield _nyu_frame(f"{place.folder}, frame {i + 1}", rgb[i], NYU_13_OF_40[labels[i, ..., 0]] - 1, metres)


def _strips(place: Located, name: str) -> NDArray[np.uint8]:
    """(n, 96, 128, 3) of a zip of WebP images, each one frame wide and up to 100 tall."""
    strips = []
    with zipfile.ZipFile(io.BytesIO(place.read(name))) as archive:
        for member in sorted(archive.namelist()):
            with Image.open(io.BytesIO(archive.read(member)), formats=("WEBP",)) as image:
                if image.width != _CELLS[1] or image.height % _CELLS[0] or image.height > 100 * _CELLS[0]:
                    raise DataCorrupt(f"{place.folder / name}: {member} is a strip of {image.width} x {image.height} pixels.")
                strips.append(np.asarray(image.convert("RGB")).reshape(-1, *_CELLS, 3))
    return np.concatenate(strips)


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
        labels = _png(root / "gtFine" / split / file.parent.name / f"{start}gtFine_labelIds.png", 1)
        labels[labels >= CITYSCAPES_CLASSES] = UNLABELLED
        disparity = (_png(root / "disparity" / split / file.parent.name / f"{start}disparity.png", 1) - 1) / 256
        refuse_eight_bits(file, disparity, 1)
        known = disparity > 0
        frames.append(_frame(file, _png(file, 3), labels, _BASE_TIMES_FOCAL / np.where(known, disparity, 1), known, size))
    return _joined(frames, root)


_Frame = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]


def _frame(
    where: str | Path, image: NDArray[Any], labels: NDArray[np.int64], depth: NDArray[np.float64], known: NDArray[np.bool_],
    size: tuple[int, int],
) -> _Frame:  # fmt: skip
    """A frame at height and width `size`, images in 0 to 1 and depth 0 where not known. Raises DataCorrupt: sizes that differ."""
    if image.ndim != 3 or image.shape[-1] != 3 or not labels.shape == depth.shape == image.shape[:2]:
        raise DataCorrupt(f"{where}: image, labels and depth do not fit: {image.shape}, {labels.shape}, {depth.shape}.")
    refuse_unlabelled(where, labels)
    pixels = np.asarray(Image.fromarray(image.astype(np.uint8)).resize(size[::-1], Image.Resampling.BOX)) / 255.0
    metres = _nearest(np.where(known, depth, 0), size).astype(np.float32)
    return pixels.astype(np.float32).transpose(2, 0, 1), _nearest(labels, size), metres, _nearest(known, size)


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
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        raise DataCorrupt(f"{file}, line {line}: a byte that is no UTF-8.") from None


def _array(file: Path) -> NDArray[np.float64]:
    if not file.is_file():
        raise DataCorrupt(f"{file} is not there.")
    refuse_no_array(file)
    try:
        found: NDArray[np.float64] = np.load(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataCorrupt(f"{file}: {error}.") from None
    return found


def _nearest(values: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Values (h, w) at the pixel nearest to the middle of each new one."""
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, values.shape, strict=True))
    return values[np.ix_(rows, columns)]


def _png(file: Path, channels: int) -> NDArray[np.int64]:
    """Values of a PNG, (h, w) for one channel or (h, w, 3). Raises DataCorrupt: not there, broken off, other channels."""
    if not file.is_file():
        raise DataCorrupt(f"{file} is not there.")
    refuse_no_png(file)
    try:
        with Image.open(file, formats=("PNG",)) as image:
            values = np.asarray(image).astype(np.int64)
    except (OSError, SyntaxError, UnidentifiedImageError) as error:
        raise DataCorrupt(f"{file} is no whole PNG: {str(error).splitlines()[0]}.") from None
    if values.shape[2:] != (() if channels == 1 else (3,)):
        raise DataCorrupt(f"{file} has not {channels} channel{'s' * (channels > 1)}: its array is {list(values.shape)}.")
    return values
