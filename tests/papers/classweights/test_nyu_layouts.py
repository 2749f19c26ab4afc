"""Laws of NYU Depth V2's three layouts and of odd files in the sets of scenes, on tiny files of the true formats."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from tiny_sets import as_wide_as, with_chunk

from mtlrepro import data
from mtlrepro.errors import DataCorrupt
from mtlrepro.papers.classweights.data.scene_sets import NYU_13_OF_40, NYU_CLASSES, load_cityscapes, load_nyu, load_vkitti

H, W, FRAMES = 6, 8, 5
TRAIN, TEST = [2, 1, 5], [4, 3]
# Classes of the raw labels: 894 of them, each one of 40.
OF_40 = np.arange(894) % 40 + 1


def _frames() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 895, (FRAMES, H, W)).astype(np.uint16)
    raw[:, 0, 0], raw[:, 0, 1] = 0, 894
    depth = rng.uniform(0.7, 9.9, (FRAMES, H, W)).astype(np.float32)
    return {"images": rng.integers(0, 256, (FRAMES, H, W, 3), dtype=np.uint8), "labels": raw, "depths": depth}


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The official files, whose HDF5 holds MATLAB's arrays with their axes in reverse."""
    monkeypatch.setenv("MTLREPRO_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "nyu_v2"
    folder.mkdir()
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w") as file:
        for name, values in _frames().items():
            file[name] = values.transpose(0, *range(values.ndim - 1, 0, -1))
    numbers = {name: np.array(part)[:, None] for name, part in (("trainNdxs", TRAIN), ("testNdxs", TEST))}
    scipy.io.savemat(folder / "splits.mat", numbers)
    scipy.io.savemat(folder / "classMapping40.mat", {"mapClass": OF_40[None]})
    return tmp_path


def test_the_official_mat_gives_upright_frames_of_13_classes_in_the_order_of_its_splits(official: Path) -> None:
    frames = _frames()
    for split, numbers in (("train", TRAIN), ("val", TEST)):
        scenes = load_nyu(split, (H, W), mirror=official)
        rows = np.array(numbers) - 1
        pixels = torch.from_numpy(frames["images"][rows].transpose(0, 3, 1, 2) / 255).float()
        torch.testing.assert_close(scenes.images, pixels)
        torch.testing.assert_close(scenes.depth, torch.from_numpy(frames["depths"][rows]))
        for label, raw in zip(scenes.labels.flatten().tolist(), frames["labels"][rows].ravel().tolist(), strict=True):
            assert label == (-1 if raw == 0 else NYU_13_OF_40[OF_40[raw - 1]] - 1)


def test_the_layouts_of_the_same_frames_agree(official: Path, tmp_path: Path) -> None:
    """Law: the arrays that benchmarks share and the official file are the same scenes."""
    scenes = load_nyu("train", (H, W), mirror=official)
    for i in range(len(TRAIN)):
        parts = {
            "image": scenes.images[i].permute(1, 2, 0),
            "label": scenes.labels[i].float(),
            "depth": scenes.depth[i][..., None],
        }
        for kind, values in parts.items():
            file = tmp_path / "other/nyu_v2/train" / kind / f"{i}.npy"
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, values.numpy())
    for one, other in zip(scenes, load_nyu("train", (H, W), mirror=tmp_path / "other"), strict=True):
        torch.testing.assert_close(one, other)


def test_each_of_the_40_classes_is_void_or_one_of_the_13() -> None:
    assert NYU_13_OF_40.shape == (41,)
    assert sorted(set(NYU_13_OF_40.tolist())) == list(range(len(NYU_CLASSES) + 1))


def _replaced(folder: Path, name: str, values: np.ndarray) -> None:
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "r+") as file:
        del file[name]
        file[name] = values


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: os.truncate(f / "nyu_depth_v2_labeled.mat", 3000), "labeled.mat"),
        (lambda f: (f / "nyu_depth_v2_labeled.mat").write_bytes(b""), "labeled.mat"),
        (lambda f: (f / "splits.mat").write_bytes(b"\x00" * 200), "splits.mat"),
        (lambda f: scipy.io.savemat(f / "splits.mat", {"trainNdxs": [1, 2], "testNdxs": [2]}), "both parts"),
        (lambda f: scipy.io.savemat(f / "splits.mat", {"trainNdxs": [1, 2], "testNdxs": [9]}), "from 1 to 5"),
        (lambda f: scipy.io.savemat(f / "classMapping40.mat", {"mapClass": OF_40[:40]}), "894 numbers from 1 to 40"),
        (lambda f: scipy.io.savemat(f / "splits.mat", {"trainNdxs": [1.5, 2], "testNdxs": [3]}), "trainNdxs is not some whole"),
        (lambda f: scipy.io.savemat(f / "splits.mat", {"trainNdxs": [np.nan], "testNdxs": [3]}), "trainNdxs is not some whole"),
        (lambda f: scipy.io.savemat(f / "splits.mat", {"trainNdxs": "all", "testNdxs": [3]}), "trainNdxs is not some whole"),
        (lambda f: scipy.io.savemat(f / "splits.mat", {"trainNdxs": [1, 2], "testNdxs": [3]}), "3 frames of 5; is one cut"),
        (lambda f: _replaced(f, "images", _frames()["images"].transpose(0, 3, 2, 1) / 255), "not those of NYU Depth V2"),
        (lambda f: _replaced(f, "images", np.zeros((FRAMES, W, H), np.uint8)), "not those of NYU Depth V2"),
        (lambda f: _replaced(f, "depths", np.zeros((2, W, H), np.float32)), "not those of NYU Depth V2"),
        (lambda f: _replaced(f, "labels", np.full((FRAMES, W, H), -1)), "not those of NYU Depth V2"),
        (lambda f: _replaced(f, "labels", np.full((FRAMES, W, H), np.nan)), "not those of NYU Depth V2"),
        (lambda f: _replaced(f, "labels", np.zeros((FRAMES, W, H), np.uint16)), "frame 2: no pixel has a known class"),
        (lambda f: scipy.io.savemat(f / "classMapping40.mat", {"className": ["wall"]}), "mapClass"),
    ],
)  # fmt: skip
def test_a_damaged_official_file_is_named_in_one_line(official: Path, damage: Any, message: str) -> None:
    damage(official / "nyu_v2")
    with pytest.raises(DataCorrupt, match=message) as error:
        load_nyu("train", (H, W), mirror=official)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("image", np.full((H, W, 3), 100.0), "not from 0 to 1: divide bytes by 255"),
        ("image", np.full((H, W, 3), np.nan), "not from 0 to 1"),
        ("image", np.full((H, W, 3), "a"), "no array of real numbers, but <U1"),
        ("image", np.zeros((H, W, 3), complex), "no array of real numbers, but complex128"),
        ("label", np.full((H, W), 1.5), "its labels are not whole numbers"),
        ("label", np.full((H, W), 39.0), "no pixel has a known class"),
        ("depth", np.full((H, W, 1), 2500.0), "a depth above 100 m"),
        ("image", b"PK\x03\x04", "image/0.npy: "),
        ("depth", b"\x93NUMPY\x01\x00\x10\x00{'descr': ('<f8'  ", "depth/0.npy: "),
    ],
)
def test_an_odd_array_is_named_in_one_line(tmp_path: Path, kind: str, values: Any, message: str) -> None:
    """Bytes where shares of white are meant would be a white image; another numbering, a frame without labels."""
    plain = {"image": np.full((H, W, 3), 0.5), "label": np.zeros((H, W)), "depth": np.full((H, W, 1), 2.0)}
    for name, content in plain.items():
        file = tmp_path / "nyu_v2/train" / name / "0.npy"
        file.parent.mkdir(parents=True)
        np.save(file, content)
    load_nyu("train", (H, W), mirror=tmp_path)
    file = tmp_path / "nyu_v2/train" / kind / "0.npy"
    file.write_bytes(values) if isinstance(values, bytes) else np.save(file, values)
    with pytest.raises(DataCorrupt, match=message) as error:
        load_nyu("train", (H, W), mirror=tmp_path)
    assert "\n" not in str(error.value)


# --- cells ------------------------------------------------------------------------------------------------------------


def _strip(frames: np.ndarray, **how: Any) -> bytes:
    packed, strip = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frames.reshape(-1, 128, 3))).save(strip, "WEBP", **how)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("0000.webp", strip.getvalue())
    return packed.getvalue()


@pytest.fixture
def cells(tmp_path: Path, write_manifest: Any) -> Path:
    rng = np.random.default_rng(1)
    folder = tmp_path / "mirror"
    folder.mkdir()
    codes = rng.integers(18, 255, (4, 96, 128), dtype=np.uint8)
    labels = rng.integers(0, 41, (4, 96, 128), dtype=np.uint8)
    grey = {"label40": labels, "depth": codes}
    files = {f"{name}.zip": _strip(np.repeat(a[..., None], 3, -1), lossless=True) for name, a in grey.items()}
    files["rgb.zip"] = _strip(np.full((4, 96, 128, 3), 51, np.uint8), quality=90)
    buffer = io.BytesIO()
    np.save(buffer, np.array([0, 1, 0, 1], np.uint8))
    files |= {"split.npy": buffer.getvalue(), "names.json": json.dumps({"depth_metres_per_code": 0.04}).encode()}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    np.savez(tmp_path / "true.npz", codes=codes, labels=labels)
    write_manifest("nyu_v2", steps=["Get it."], layouts={"cells": {"folders": ["."], "files": [{"path": n} for n in files]}})
    return folder


def test_cells_are_classes_and_metres_of_their_codes(cells: Path) -> None:
    true = np.load(cells.parent / "true.npz")
    scenes = load_nyu("val", (96, 128), mirror=cells)
    np.testing.assert_allclose(scenes.depth, (true["codes"][1::2] + 0.5) * 0.04, rtol=1e-6)
    np.testing.assert_array_equal(scenes.labels, NYU_13_OF_40[true["labels"][1::2]] - 1)
    torch.testing.assert_close(scenes.images, torch.full((2, 3, 96, 128), 0.2), atol=0.02, rtol=0)
    assert len(load_nyu("train", (96, 128), limit=1, mirror=cells).images) == 1


def test_strips_of_another_count_are_refused(cells: Path) -> None:
    (cells / "depth.zip").write_bytes(_strip(np.zeros((3, 96, 128, 3), np.uint8), lossless=True))
    with pytest.raises(DataCorrupt, match="4 images, 4 labels, 3 depths and 4 splits"):
        load_nyu("train", (96, 128), mirror=cells)


@pytest.mark.skipif("MTLREPRO_MIRROR" not in os.environ, reason="MTLREPRO_MIRROR is not set")
def test_the_real_cells_have_the_official_parts_and_rooms() -> None:
    """Ceilings are farther than beds, and walls the commonest of the 13 classes."""
    opened = data.open("nyu_v2", split="val", size=(24, 32))
    if opened.name != "nyu_v2":
        pytest.skip("nyu_v2 is not here")
    scenes = opened.content
    assert (len(scenes.images), opened.tier) == (654, "paper's data")
    bed, ceiling, wall = (NYU_CLASSES.index(name) for name in ("bed", "ceiling", "wall"))
    assert scenes.depth[scenes.labels == ceiling].mean() > scenes.depth[scenes.labels == bed].mean() + 1
    assert torch.bincount(scenes.labels[scenes.labels >= 0]).argmax() == wall


# --- odd files of the other two sets ----------------------------------------------------------------------------------


def _save(file: Path, values: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file)


@pytest.fixture
def driving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One frame of Virtual KITTI and one of Cityscapes."""
    monkeypatch.setenv("MTLREPRO_CACHE", str(tmp_path / "cache"))
    colours = np.full((H, W, 3), (210, 0, 200), np.uint8)
    for kind, values in (("rgb", colours), ("scenegt", colours), ("depthgt", np.full((H, W), 900, np.uint16))):
        _save(tmp_path / f"vkitti/vkitti_1.3.1_{kind}/0001/clone/00000.png", values)
    (tmp_path / "vkitti/vkitti_1.3.1_scenegt/0001_clone_scenegt_rgb_encoding.txt").write_text(
        "Category(:id) r g b\nTerrain 210 0 200\n"
    )
    start = "train/aachen/aachen_000000_000019_"
    _save(tmp_path / f"cityscapes/leftImg8bit/{start}leftImg8bit.png", colours)
    _save(tmp_path / f"cityscapes/gtFine/{start}gtFine_labelIds.png", np.full((H, W), 7, np.uint8))
    _save(tmp_path / f"cityscapes/disparity/{start}disparity.png", np.full((H, W), 2561, np.uint16))
    return tmp_path


def _png() -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.zeros((H, W, 3), np.uint8)).save(content, "PNG")
    return content.getvalue()


_PNG = _png()


def _vkitti(folder: Path) -> Any:
    return load_vkitti((H, W), worlds=["0001"], mirror=folder)


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(driving: Path) -> None:
    before = _vkitti(driving)
    file = driving / "vkitti/vkitti_1.3.1_scenegt/0001_clone_scenegt_rgb_encoding.txt"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    for one, other in zip(before, _vkitti(driving), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vkitti_1.3.1_scenegt/0001_clone_scenegt_rgb_encoding.txt", b"head\nTerrain 210 0\n", "encoding.txt, line 2"),
        (
            "vkitti_1.3.1_scenegt/0001_clone_scenegt_rgb_encoding.txt",
            b"head\nCar:0 2 1 0\nSk\xff 1 2 3\n",
            "encoding.txt, line 3",
        ),
        ("vkitti_1.3.1_scenegt/0001_clone_scenegt_rgb_encoding.txt", b"head\n", "names no colour"),
        ("vkitti_1.3.1_rgb/0001/clone/00000.png", b"\x89PNG\r\n\x1a\n\x00\x00", "rgb/0001/clone/00000.png is no whole PNG"),
        (
            "vkitti_1.3.1_scenegt/0001_clone_scenegt_rgb_encoding.txt",
            b"head\nTerrain 210 0 200\nTree 210 0 200\n",
            "a colour stands for two classes",
        ),
        (
            "vkitti_1.3.1_scenegt/0001_clone_scenegt_rgb_encoding.txt",
            b"head\nTree 1 2 3\n",
            "00000.png: no pixel has a known class",
        ),
        (
            "vkitti_1.3.1_rgb/0001/clone/00000.png",
            _PNG[:8] + b"\0\0\0\2IHDR\0\0xxxx" + _PNG[33:],
            "is no whole PNG: Truncated IHDR",
        ),
        ("vkitti_1.3.1_rgb/0001/clone/00000.png", as_wide_as(_PNG, 60_000), "is no whole PNG: Image size"),
        ("vkitti_1.3.1_rgb/0001/clone/00000.png", with_chunk(_PNG, b"gAMA", b""), "is no whole PNG: Truncated gAMA"),
        ("vkitti_1.3.1_rgb/0001/clone/00000.png", b"GIF89a", "rgb/0001/clone/00000.png is no whole PNG"),
    ],
)
def test_an_odd_file_of_virtual_kitti_is_named_in_one_line(driving: Path, name: str, content: bytes, message: str) -> None:
    (driving / "vkitti" / name).write_bytes(content)
    with pytest.raises(DataCorrupt, match=message) as error:
        _vkitti(driving)
    assert "\n" not in str(error.value)


def test_maps_of_another_size_or_kind_are_refused(driving: Path) -> None:
    """A coloured label map in the place of the ids, or a disparity of another size, is no frame."""
    start = "train/aachen/aachen_000000_000019_"
    labels = driving / f"cityscapes/gtFine/{start}gtFine_labelIds.png"
    _save(labels, np.zeros((H, W, 3), np.uint8))
    with pytest.raises(DataCorrupt, match=r"labelIds\.png has not 1 channel"):
        load_cityscapes(size=(H, W), mirror=driving)
    _save(labels, np.zeros((H, W), np.uint8))
    _save(driving / f"cityscapes/disparity/{start}disparity.png", np.full((H // 2, W), 2561, np.uint16))
    with pytest.raises(DataCorrupt, match="do not fit"):
        load_cityscapes(size=(H, W), mirror=driving)


def test_depth_and_disparity_that_were_cut_to_8_bits_are_refused(driving: Path) -> None:
    """They would be read as depths of centimetres, or as disparities below a pixel."""
    _save(driving / "vkitti/vkitti_1.3.1_depthgt/0001/clone/00000.png", np.full((H, W), 255, np.uint8))
    with pytest.raises(DataCorrupt, match=r"00000\.png: its depth or disparity stays within 8 bits"):
        _vkitti(driving)
    start = "train/aachen/aachen_000000_000019_"
    _save(driving / f"cityscapes/disparity/{start}disparity.png", np.full((H, W), 255, np.uint8))
    with pytest.raises(DataCorrupt, match="stays within 8 bits"):
        load_cityscapes(size=(H, W), mirror=driving)
