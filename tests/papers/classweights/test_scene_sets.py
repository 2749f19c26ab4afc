"""Laws of the loaders of real scenes, on tiny sets of the true formats."""

import numpy as np
import pytest
import torch
from PIL import Image

from mtlrepro.errors import BadValue, DataCorrupt, DataMissing, UnknownName
from mtlrepro.papers.classweights.data.scene_sets import VKITTI_CLASSES, load_cityscapes, load_nyu, load_vkitti

H, W = 4, 6


def _save(file, values):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("MTLREPRO_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    root = tmp_path / "vkitti"
    table = {"Terrain": (210, 0, 200), "Sky": (90, 200, 255), "Car:0": (200, 10, 0), "Car:1": (200, 20, 0), "Van:2": (1, 2, 3)}
    encoding = root / "vkitti_1.3.1_scenegt/0001_clone_scenegt_rgb_encoding.txt"
    encoding.parent.mkdir(parents=True)
    encoding.write_text("Category(:id) r g b\n" + "".join(f"{n} {r} {g} {b}\n" for n, (r, g, b) in table.items()))
    colours = np.full((H, W, 3), table["Terrain"], np.uint8)
    colours[0], colours[1, :2], colours[1, 2:4], colours[2, 0], colours[2, 1] = (
        table["Sky"], table["Car:0"], table["Car:1"], table["Van:2"], (9, 9, 9)
    )  # fmt: skip
    depth = np.full((H, W), 1250, np.uint16)
    depth[0] = 65535
    for i in (0, 1, 2):
        name = f"0001/clone/{i:05d}.png"
        _save(root / "vkitti_1.3.1_rgb" / name, rng.integers(0, 256, (H, W, 3), dtype=np.uint8))
        _save(root / "vkitti_1.3.1_scenegt" / name, colours)
        _save(root / "vkitti_1.3.1_depthgt" / name, depth)
    for split in ("train", "val"):
        for i in (0, 2, 10):
            label = np.full((H, W), 12.0)
            label[0, 0] = -1
            metres = np.full((H, W, 1), 2.0 + i)
            metres[1, 1] = 0
            for kind, values in (("image", np.full((H, W, 3), i / 10)), ("label", label), ("depth", metres)):
                file = tmp_path / "nyu_v2" / split / kind / f"{i}.npy"
                file.parent.mkdir(parents=True, exist_ok=True)
                np.save(file, values)
        start = f"{split}/aachen/aachen_000000_000019_"
        ids = np.arange(H * W, dtype=np.uint8).reshape(H, W) + 10
        ids[3, 5], ids[3, 4] = 33, 255
        disparity = np.full((H, W), 1 + 256 * 20, np.uint16)
        disparity[0, 0] = 0
        city = tmp_path / "cityscapes"
        _save(city / f"leftImg8bit/{start}leftImg8bit.png", np.full((H, W, 3), 51, np.uint8))
        _save(city / f"gtFine/{start}gtFine_labelIds.png", ids)
        _save(city / f"disparity/{start}disparity.png", disparity)
    return tmp_path


def test_virtual_kitti_classes_come_from_colours_and_depth_from_centimetres(mirror):
    found = load_vkitti((H, W), worlds=["0001"], mirror=mirror)
    assert found.images.shape == (3, 3, H, W)
    car, sky, truck = (VKITTI_CLASSES.index(name) for name in ("Car", "Sky", "Truck"))
    assert found.labels[0, 0].eq(sky).all()
    assert found.labels[0, 1].tolist() == [car] * 4 + [VKITTI_CLASSES.index("Terrain")] * 2
    assert found.labels[0, 2, :2].tolist() == [truck, -1]  # a van; a colour that the table does not name
    assert not found.valid[:, 0].any()
    assert found.valid[:, 1:].all()
    assert found.depth[0, 1, 0] == 12.5
    torch.testing.assert_close(found.inverse_depth[0, 1, 0], torch.tensor(0.08))
    assert len(VKITTI_CLASSES) == 13


def test_nyu_frames_come_in_numeric_order_with_ignored_labels_and_unknown_depth(mirror):
    found = load_nyu("val", (H, W), mirror=mirror)
    assert found.depth[:, 0, 0].tolist() == [2, 4, 12]
    torch.testing.assert_close(found.images[1, 0, 0, 0], torch.tensor(51 / 255))
    assert (found.labels[0, 0, 0], found.labels.max()) == (-1, 12)
    assert not found.valid[:, 1, 1].any()
    assert int((~found.valid).sum()) == 3


def test_cityscapes_has_34_classes_and_depth_from_disparity(mirror):
    found = load_cityscapes("train", (H, W), mirror=mirror)
    assert (found.labels[0, 3, 5], found.labels[0, 3, 4], found.labels[0, 0, 0]) == (33, -1, 10)
    assert not found.valid[0, 0, 0]
    torch.testing.assert_close(found.depth[0, 0, 1], torch.tensor(0.209313 * 2262.52 / 20))
    torch.testing.assert_close(found.images, torch.full((1, 3, H, W), 0.2))


def test_smaller_sizes_keep_codes_and_limits_keep_the_first(mirror):
    """Law: a resized label or depth is one that was there, never a mean of two."""
    small = load_vkitti((2, 3), worlds=["0001"], limit=2, mirror=mirror)
    assert small.images.shape == (2, 3, 2, 3)
    whole = load_vkitti((H, W), worlds=["0001"], mirror=mirror)
    assert set(small.labels.unique().tolist()) <= set(whole.labels.unique().tolist())
    assert set(small.depth.unique().tolist()) <= set(whole.depth.unique().tolist())
    assert load_nyu(size=(H, W), limit=1, mirror=mirror).images.shape[0] == 1


def test_what_is_missing_or_wrong_is_said(mirror, tmp_path):
    with pytest.raises(DataMissing, match="vkitti"):
        load_vkitti(mirror=tmp_path / "nowhere")
    with pytest.raises(UnknownName, match="split"):
        load_nyu("test", mirror=mirror)
    with pytest.raises(BadValue):
        load_cityscapes(size=(0, 4), mirror=mirror)
    (mirror / "vkitti/vkitti_1.3.1_depthgt/0001/clone/00001.png").unlink()
    with pytest.raises(DataCorrupt, match="00001"):
        load_vkitti((H, W), worlds=["0001"], mirror=mirror)
    (mirror / "nyu_v2/train/label/2.npy").write_bytes(b"")
    with pytest.raises(DataCorrupt, match=r"2\.npy"):
        load_nyu(size=(H, W), mirror=mirror)
    (mirror / "vkitti/vkitti_1.3.1_scenegt/0001_clone_scenegt_rgb_encoding.txt").write_text("head\nBoat 1 2 3\n")
    with pytest.raises(DataCorrupt, match="Boat"):
        load_vkitti((H, W), worlds=["0001"], mirror=mirror)
