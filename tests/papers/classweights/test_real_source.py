"""Laws of Figures 2 to 4 on a set that a person owns, by the parameter `source`, on tiny files of the true layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from mtlrepro import data
from mtlrepro.errors import BadValue, DataMissing
from mtlrepro.papers.classweights import tab1_trade_off
from mtlrepro.papers.classweights.data.scene_sets import drawn_scenes, learned_and_tested
from mtlrepro.papers.classweights.training.scene_tasks import SceneTraining, final, scene_parts, training_of
from mtlrepro.parameters import Params

H, W, TRAIN, TEST = 16, 16, 12, 4


@pytest.fixture
def nyu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """NYU-v2 as it is published, with 16 small frames whose colour is their number."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "nyu_v2"
    folder.mkdir()
    frames = TRAIN + TEST
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = np.repeat(np.arange(frames, dtype=np.uint8), 3 * W * H).reshape(frames, 3, W, H)
        file["labels"] = rng.integers(0, 895, (frames, W, H)).astype(np.uint16)
        file["depths"] = rng.uniform(1, 9, (frames, W, H)).astype(np.float32)
    scipy.io.savemat(folder / "splits.mat", {"trainNdxs": np.arange(1, TRAIN + 1), "testNdxs": np.arange(TRAIN + 1, frames + 1)})
    scipy.io.savemat(folder / "classMapping40.mat", {"mapClass": np.arange(894) % 40 + 1})
    monkeypatch.setenv("MTLREPRO_MIRROR", str(tmp_path))
    for cached in (learned_and_tested, scene_parts):
        cached.cache_clear()
    yield tmp_path
    for cached in (learned_and_tested, scene_parts):
        cached.cache_clear()


def _params(source: str, images: list[int], chosen: bool = True) -> Params:
    values = {"source": source, "images": images, "size": [H, W], "width": 2, "halvings": 1, "batch": 4, "steps": 2, "check": 2}
    values |= {"device": "cpu", "kinds": ["driving", "indoor", "street"]}
    return Params("classweights/tab1", "quick", values, {"source": source} if chosen else {})


def _numbers(images: torch.Tensor) -> list[int]:
    return (images[:, 0, 0, 0] * 255).round().int().tolist()


def test_validated_frames_are_neighbours_and_tested_ones_official(nyu: Path) -> None:
    seen = set()
    for seed in range(6):
        numbers = _numbers(drawn_scenes("nyu_v2", (6, 3, 4), (H, W), seed).images)
        train, valid, test = numbers[:6], numbers[6:9], numbers[9:]
        assert valid == list(range(valid[0], valid[0] + 3))
        assert not set(train) & set(valid)
        assert max(train + valid) < TRAIN
        assert test == list(range(TRAIN, TRAIN + TEST))
        seen.add(valid[0])
    assert len(seen) > 1
    with pytest.raises(BadValue, match="12 frames to learn from and 4 to test on, too few"):
        drawn_scenes("nyu_v2", (10, 3, 4), (H, W), 0)


def test_figure_3_runs_on_nyu_where_a_person_has_it(nyu: Path) -> None:
    """The exhibit's own function: the set's 13 classes, its tier, the one figure that the paper made of it."""
    p = _params("nyu_v2", [6, 3, 4])
    assert tab1_trade_off.kinds_of(p) == ["indoor"]
    assert tab1_trade_off.tier(p) == "paper's data"
    assert [part.name for part in tab1_trade_off.opened(p).values()] == ["nyu_v2", "nyu_v2"]
    training = training_of(p, "indoor")
    assert len(SceneTraining.of(training).classes) == 13
    rows = final(training, "classes", ["depth"], 3, 0.01, 0.02)
    assert [row["region"] for row in rows] == ["full"]
    assert all(np.isfinite(rows[0][name]) for name in ("segmentation", "depth", "rmse", "accuracy"))


def test_a_source_that_is_unknown_or_not_here_is_refused(nyu: Path) -> None:
    with pytest.raises(BadValue, match=r"runs on one of cityscapes, nyu_v2, synthetic_scenes, vkitti, not on 'nyu'"):
        tab1_trade_off.kinds_of(_params("nyu", [6, 3, 4]))
    with pytest.raises(DataMissing, match="vkitti"):
        tab1_trade_off.kinds_of(_params("vkitti", [6, 3, 4]))
    assert tab1_trade_off.tier(_params("synthetic_scenes", [6, 3, 4], chosen=False)) == "synthetic"
    assert set(data.sources("classweights/tab1")) == {"cityscapes", "nyu_v2", "synthetic_scenes", "vkitti"}
