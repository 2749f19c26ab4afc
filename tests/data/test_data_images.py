"""Image sets: official binary files and the mirror's strips give equal arrays, damage is refused, digits are as shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtlrepro import paths
from mtlrepro.data import cifar, digits, manifest, places
from mtlrepro.errors import BadValue, DataCorrupt, DataMissing, UnknownName


@pytest.mark.parametrize("limit", [None, 1, 150, 1000])
@pytest.mark.parametrize("split", ["train", "test"])
def test_official_and_mirror_layout_give_equal_arrays(tiny_cifar: Any, split: Any, limit: int | None) -> None:
    official, mirror = (cifar.load_cifar("cifar100", split, limit, tiny_cifar.folders[k]) for k in ("official", "strips"))
    assert official.sha256 == mirror.sha256
    assert (official.images == mirror.images).all()
    assert official.images.shape[1:] == (32, 32, 3)
    assert len(official) == min(limit or 1000, 230 if split == "train" else 40)
    assert all((official.labels[k] == mirror.labels[k]).all() for k in ("coarse", "fine"))
    assert official.classes == mirror.classes == {"coarse": ("c0",), "fine": ("f0", "f1")}
    assert not mirror.images.flags.writeable
    assert not mirror.partial


def _kept() -> Path:
    return next((paths.cache() / "decoded").glob("cifar100-train-*.npy"))


def test_decoded_images_are_kept_and_checked_when_read_again(tiny_cifar: Any) -> None:
    first = cifar.load_cifar("cifar100", "train", mirror=tiny_cifar.folders["strips"])
    kept = _kept()
    written = kept.stat().st_mtime_ns
    assert cifar.load_cifar("cifar100", "train", mirror=tiny_cifar.folders["strips"]).sha256 == first.sha256
    assert kept.stat().st_mtime_ns == written
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(bytes(content))
    for limit in (None, 10):
        with pytest.raises(DataCorrupt, match=kept.name):
            cifar.load_cifar("cifar100", "train", limit, tiny_cifar.folders["strips"])
    kept.write_bytes(bytes(content[:-5]))
    with pytest.raises(DataCorrupt, match=kept.name):
        cifar.load_cifar("cifar100", "train", mirror=tiny_cifar.folders["strips"])


@pytest.mark.parametrize(("layout", "file"), [("official", "cifar-100-binary/train.bin"), ("strips", "train-00.zip")])
def test_one_flipped_byte_is_refused_and_nothing_is_written(tiny_cifar: Any, layout: str, file: str) -> None:
    target = tiny_cifar.folders[layout] / file
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(bytes(content))
    with pytest.raises(DataCorrupt, match=target.name):
        cifar.load_cifar("cifar100", "train", mirror=tiny_cifar.folders[layout])
    assert not (paths.cache() / "decoded").exists()


def test_a_reduced_training_set_is_flagged(tiny_cifar: Any, manifest_folder: Path) -> None:
    file = manifest_folder / "cifar100.yaml"
    file.write_text(file.read_text().replace("  strips:\n", "  strips:\n    partial: true\n"))
    strips = tiny_cifar.folders["strips"]
    assert cifar.load_cifar("cifar100", "train", mirror=strips).partial
    assert not cifar.load_cifar("cifar100", "test", mirror=strips).partial
    assert cifar.load_cifar("cifar100", "train", mirror=strips).official_size == 50_000
    assert manifest.status("cifar100", strips).partial


def test_wrong_arguments_and_missing_data_are_explained(tiny_cifar: Any) -> None:
    with pytest.raises(UnknownName, match="did you mean 'cifar100'"):
        cifar.load_cifar("cifar1000", "train")  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="'train' and 'test'"):
        cifar.load_cifar("cifar100", "valid")  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="limit"):
        cifar.load_cifar("cifar100", "train", 0)
    with pytest.raises(DataMissing, match="not here"):
        cifar.load_cifar("cifar100", "train")


def test_images_that_stand_in_another_set_are_found() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    assert cifar.standing_in(images[[4, 0, 1]], images[[1, 2, 4]]).tolist() == [0, 2]


def test_cifar_of_the_mirror_is_the_official_one() -> None:
    """First images and labels of the real sets; decoding 500 images needs one file only."""
    if paths.mirror() is None or not places.find("cifar100"):
        pytest.skip("MTLREPRO_MIRROR is not set or lacks CIFAR-100")
    test = cifar.load_cifar("cifar100", "test")
    assert len(test) == 10_000
    assert np.bincount(test.labels["fine"]).tolist() == [100] * 100
    assert test.classes["fine"][test.labels["fine"][0]] == "mountain"


def test_digits_are_the_shipped_ones_as_ten_tasks_or_two() -> None:
    loaded = digits.load_digits()
    assert loaded.images.shape == (1797, 8, 8)
    assert loaded.images.max() == 16
    tasks = loaded.binary_tasks()
    assert tasks.shape == (1797, 10)
    assert (tasks.sum(1) == 1).all()
    (first, a), (second, b) = loaded.groups()
    assert len(np.intersect1d(first, second)) == 0
    assert len(first) + len(second) == 1797
    assert set(a) == set(b) == set(range(5))
    assert (loaded.labels[second] - 5 == b).all()


def test_digit_splits_are_disjoint_cover_and_stratified() -> None:
    loaded = digits.load_digits()
    for seed in range(3):
        parts = digits.split_digits(loaded, seed)
        assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(1797))
        shares = np.bincount(loaded.labels[parts["test"]], minlength=10) / len(parts["test"])
        assert (abs(shares - 0.1) < 0.01).all()
    with pytest.raises(ValueError, match="read-only"):
        loaded.images[0] = 0
