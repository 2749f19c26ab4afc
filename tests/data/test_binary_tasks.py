"""Laws of the binary tasks: they follow from labels and seeds alone, equivalent ones are complements, flipping undoes flips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtlrepro import paths
from mtlrepro.data import binary_tasks, cifar, digits, places
from mtlrepro.errors import BadValue, DataCorrupt, UnknownName


@pytest.fixture(scope="module")
def extended():
    return binary_tasks.digits_tasks("G2")


def test_g1_of_digits_asks_for_each_class():
    made, loaded = binary_tasks.digits_tasks("G1"), digits.load_digits()
    assert (made.labels == loaded.binary_tasks()).all()
    assert (made.images[..., 0] == loaded.images).all()
    assert made.tasks == tuple("0123456789")
    assert made.positive_weights.tolist() == [10.0] * 10
    assert [task for task, family in zip(made.tasks, made.families, strict=True) if family == "loop"] == ["0", "6", "8", "9"]


def test_g2_adds_the_five_tasks_of_the_paper_in_its_order(extended):
    loaded = digits.load_digits()
    assert extended.tasks[10:] == ("Loop", "Odd-numbered", "Downside", "No loop", "random")
    loop, odd, downside, no_loop, random = extended.labels[:, 10:].T
    assert (loop + no_loop == 1).all()
    assert (loop == np.isin(loaded.labels, [0, 6, 8, 9])).all()
    assert (odd == loaded.labels % 2).all()
    assert downside.sum() == 1797 // 2
    assert abs(random.mean() - 0.5) < 0.05
    assert extended.positive_weights.tolist() == [10.0] * 10 + [1.0] * 5
    assert extended.families[10:] == ("extra",) * 5
    assert (extended.labels[:, :10] == binary_tasks.digits_tasks("G1").labels).all()


def test_exactly_the_images_of_downside_are_flipped_and_nothing_else(extended):
    plain = binary_tasks.digits_tasks("G1").images
    flipped = extended.labels[:, extended.tasks.index("Downside")] == 1
    assert (extended.images[flipped] == plain[flipped][:, ::-1]).all()
    assert (extended.images[~flipped] == plain[~flipped]).all()


def test_random_and_downside_tell_nothing_of_each_other_or_of_the_class(extended):
    columns = [extended.tasks.index(name) for name in ("Downside", "random", "Odd-numbered", "Loop")]
    found = np.corrcoef(extended.labels[:, columns].T)
    assert (abs(found[:2, 1:] - np.eye(2, 3, k=-1)) < 0.08).all()


def test_seeds_decide_and_repeat(extended):
    again = binary_tasks.digits_tasks("G2")
    assert again.sha256 == extended.sha256
    for seeds in ({"flip_seed": 1}, {"random_seed": 1}):
        assert binary_tasks.digits_tasks("G2", **seeds).sha256 != extended.sha256
    assert binary_tasks.digits_tasks("G1").sha256 != extended.sha256


def test_some_images_and_some_tasks(extended):
    part = extended.of([5, 3], ["Downside", "2"])
    assert part.tasks == ("Downside", "2")
    assert (part.labels == extended.labels[[5, 3]][:, [12, 2]]).all()
    assert (part.images == extended.images[[5, 3]]).all()
    assert part.positive_weights.tolist() == [1.0, 10.0]
    assert part.families == ("extra", "no loop")
    assert extended.of().sha256 == extended.sha256 != part.sha256
    with pytest.raises(UnknownName, match="did you mean 'Downside'"):
        extended.of(tasks=["Downsid"])
    with pytest.raises(UnknownName, match="task set"):
        binary_tasks.digits_tasks("G3")  # type: ignore[arg-type]


def test_a_class_belongs_to_the_superclass_of_its_images():
    fine, coarse = np.array([0, 1, 0, 2]), np.array([1, 0, 1, 1])
    assert binary_tasks._superclasses(fine, coarse, ("a", "b", "c"), ("x", "y")) == ("y", "x", "y")
    with pytest.raises(DataCorrupt, match="'a' stand in 2"):
        binary_tasks._superclasses(fine, np.array([1, 0, 0, 1]), ("a", "b", "c"), ("x", "y"))
    with pytest.raises(BadValue, match="no image of 'd'"):
        binary_tasks._superclasses(fine, coarse, ("a", "b", "c", "d"), ("x", "y"))


def _needs(name: str) -> None:
    if paths.mirror() is None or not places.find(name):
        pytest.skip(f"MTLREPRO_MIRROR is not set or lacks {name}")


def test_groups_of_the_real_cifar10(monkeypatch: Any) -> None:
    _needs("cifar10")
    made = binary_tasks.cifar_tasks("G2", "train", 1000)
    plain = cifar.load_cifar("cifar10", "train", 1000)
    assert made.tasks[10:] == ("Living being", "Odd-numbered", "Downside", "Not living being", "random")
    animals = [task for task, family in zip(made.tasks, made.families, strict=True) if family == "animal"]
    assert animals == ["bird", "cat", "deer", "dog", "frog", "horse"]
    living, odd = made.labels[:, 10], made.labels[:, 11]
    names = np.array(plain.classes["label"])[plain.labels["label"]]
    assert (living == np.isin(names, animals)).all()
    assert (odd == np.isin(names, ["automobile", "cat", "dog", "horse", "truck"])).all()
    assert made.labels[:, 12].sum() == 500
    test = binary_tasks.cifar_tasks("G2", "test", 1000)
    assert (made.labels[:, 14] != test.labels[:, 14]).any()
    assert (binary_tasks.cifar_tasks("G1", "train", 1000).images == plain.images).all()


def test_g3_has_100_tasks_in_20_superclasses_of_five() -> None:
    _needs("cifar100")
    made = binary_tasks.cifar_tasks("G3", "test", 2000)
    assert made.labels.shape == (2000, 100)
    assert (made.labels.sum(1) == 1).all()
    assert sorted(map(made.families.count, set(made.families))) == [5] * 20
    flowers = {task for task, family in zip(made.tasks, made.families, strict=True) if family == "flowers"}
    assert flowers == {"orchid", "poppy", "rose", "sunflower", "tulip"}
    assert set(made.positive_weights) == {99.0}
