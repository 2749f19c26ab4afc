"""Laws of CIFAR-MTL: sizes, strata, labels, and label noise with and without the true class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mtlrepro.data.cifar import ImageSet
from mtlrepro.errors import BadValue
from mtlrepro.exhibits import get
from mtlrepro.methods.cotask import combine_tasks
from mtlrepro.papers.cotask.data import cifar_mtl as module
from mtlrepro.papers.cotask.data.cifar_mtl import cifar_mtl, digits_mtl, noise_matrix, noisy

COARSE = tuple(sorted(module.PAPER_NAMES))


@pytest.fixture(scope="module")
def official() -> dict[str, ImageSet]:
    """Sets with CIFAR-100's labels and numbers of images, pictures of one pixel: fine class f in superclass 7 f mod 20."""
    made = {}
    for part, each in (("train", 500), ("test", 100)):
        fine = np.random.default_rng(len(part)).permutation(np.repeat(np.arange(100), each))
        images = np.zeros((len(fine), 1, 1, 3), np.uint8)
        classes = {"fine": tuple(f"f{f:02}" for f in range(100)), "coarse": COARSE}
        labels = {"fine": fine, "coarse": 7 * fine % 20}
        made[part] = ImageSet("cifar100", part, images, labels, classes, False, part, "paper's data", "official")
    return made


@pytest.fixture(autouse=True)
def _loaded(official, monkeypatch):
    monkeypatch.setattr(module, "load_cifar", lambda name, part, mirror=None: official[part])


def test_twenty_tasks_of_2000_500_500_in_equal_classes(official):
    """Laws: Table 4's tasks in its order; 400, 100, 100 of each class; each row's label is the image's class; parts disjoint."""
    made = cifar_mtl(seed=3)
    assert [task.name for task in made.tasks] == list(get("cotask/tab4").values)
    fine = np.concatenate([official["train"].labels["fine"], official["test"].labels["fine"]])
    for task in made.tasks:
        for part, each in (("train", 400), ("valid", 100), ("test", 100)):
            rows, labels = task.parts[part]
            assert np.bincount(labels).tolist() == [each] * 5
            assert [task.classes[label] for label in labels] == [f"f{fine[row]:02}" for row in rows]
            assert ((rows >= 50_000) == (part == "test")).all()
    every = np.concatenate([task.rows() for task in made.tasks])
    assert len(np.unique(every)) == len(every) == len(made.images) == 60_000
    superclasses = {task.name: {module.PAPER_NAMES[COARSE[7 * int(c[1:]) % 20]] for c in task.classes} for task in made.tasks}
    assert all(found == {name} for name, found in superclasses.items())


def test_same_seed_same_split_and_a_subset_keeps_its_classes():
    """Laws: equal rows for equal seeds, other rows for another; `per_class` keeps so many of the same split, tests all."""
    one, same, other, few = (cifar_mtl(seed, per_class=n) for seed, n in ((0, None), (0, None), (1, None), (0, 8)))
    rows = [made.tasks[4].parts["train"].rows for made in (one, same, other, few)]
    assert (rows[0] == rows[1]).all()
    assert len(np.setdiff1d(rows[2], rows[0])) > 100
    assert set(rows[3]) <= set(rows[0])
    for part, each in (("train", 8), ("valid", 2), ("test", 100)):
        assert np.bincount(few.tasks[4].parts[part].labels).tolist() == [each] * 5


def test_noise_falls_on_training_labels_alone_and_grows_by_adding_records():
    """Laws: valid and test clean; a share 4/5 sigma of training labels changed; the corrupted of 0.1 stay corrupted at 0.5."""
    clean, low, high = (cifar_mtl(0, noise=sigma) for sigma in (0.0, 0.1, 0.5))
    changed = {0.1: 0, 0.5: 0}
    for task, few, many in zip(clean.tasks, low.tasks, high.tasks, strict=True):
        for part in ("valid", "test"):
            assert (task.parts[part].labels == many.parts[part].labels).all()
        truth, a, b = (t.parts["train"].labels for t in (task, few, many))
        assert (a[a != truth] == b[a != truth]).all()
        changed[0.1] += int((a != truth).sum())
        changed[0.5] += int((b != truth).sum())
    for sigma, count in changed.items():
        assert stats.binomtest(count, 40_000, 0.8 * sigma).pvalue > 1e-3


@given(st.integers(2, 12), st.floats(0, 1))
def test_the_other_choice_only_rescales_sigma(k, sigma):
    """Law: noise over all classes with sigma is noise over the others with (k - 1) / k sigma, 4/5 for five classes."""
    np.testing.assert_allclose(
        noise_matrix(sigma, k, "any class"), noise_matrix((k - 1) / k * sigma, k, "other class"), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(noise_matrix(0.5, 5, "any class"), noise_matrix(0.4, 5, "other class"), atol=1e-12)


@pytest.mark.parametrize(("kind", "sigma"), [("any class", 0.5), ("other class", 0.4), ("other class", 1.0)])
def test_drawn_noise_follows_the_matrix(kind, sigma):
    """Law: transitions of 50,000 labels, chi-square against `noise_matrix`; both kinds have the same law at 0.5 and 0.4."""
    labels = np.repeat(np.arange(5), 10_000)
    found = noisy(labels, 5, sigma, kind, np.random.default_rng(0))
    matrix = noise_matrix(sigma, 5, kind)
    for c in range(5):
        counts, expected = np.bincount(found[labels == c], minlength=5), matrix[c] * 10_000
        assert (counts[expected == 0] == 0).all()
        assert stats.chisquare(counts[expected > 0], expected[expected > 0]).pvalue > 1e-3
    if sigma < 1:
        np.testing.assert_allclose(matrix, noise_matrix(0.5, 5, "any class"))


def test_digits_stand_in_and_can_be_combined():
    """Laws: two tasks of five digits, 1,797 rows in all; the auxiliary task joins a low with a high digit."""
    made = digits_mtl(seed=0, noise=0.2)
    assert made.images.shape == (1797, 8, 8, 1)
    assert sum(len(task.rows()) for task in made.tasks) == 1797
    auxiliary = combine_tasks(made.tasks, 1, seed=0)[0]
    pairs = [tuple(map(int, name.split(" or "))) for name in auxiliary.classes]
    assert sorted(a for a, _ in pairs) == [0, 1, 2, 3, 4]
    assert sorted(b for _, b in pairs) == [5, 6, 7, 8, 9]
    assert len(auxiliary.parts["test"].rows) == 360 // 2


def test_wrong_settings_are_explained():
    for call, match in (
        (lambda: cifar_mtl(0, noise=1.5), "between 0 and 1"),
        (lambda: cifar_mtl(0, kind="all"), "'any class', 'other class'"),
        (lambda: cifar_mtl(0, per_class=0), "per_class"),
        (lambda: noise_matrix(0.1, 1, "other class"), "no other class"),
    ):
        with pytest.raises(BadValue, match=match):
            call()
