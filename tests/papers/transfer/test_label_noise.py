"""Laws of training with noisy labels: what each noise does, that exact optima are optima, that test labels stay out."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from mtlrepro.data.digits import load_digits
from mtlrepro.device import generator
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.methods.static import Static
from mtlrepro.methods.svd_reweighting import svd_weights
from mtlrepro.papers.transfer import chestxray_svd_reweighting, fig12_label_noise
from mtlrepro.papers.transfer.alg2_svd_reweighting import NoisyTasks, solved
from mtlrepro.papers.transfer.data import attributes, same_image_tasks
from mtlrepro.papers.transfer.models import same_images
from mtlrepro.papers.transfer.training import static_weights
from mtlrepro.papers.transfer.training.same_image_runs import Images, train
from mtlrepro.parameters import Params, profile_values
from mtlrepro.results import Runs
from mtlrepro.training.weighting import Equal

SMALL = {"source": "digits", "samples": 200, "side": 8, "batch": 50}
CACHED = (same_image_tasks.load, same_image_tasks.draw, same_image_tasks.features)


@pytest.fixture(autouse=True)
def digits(monkeypatch):
    """Every test runs on the embedded digits."""
    monkeypatch.delenv("MTLREPRO_MIRROR", raising=False)
    for cached in CACHED:
        cached.cache_clear()
    yield
    for cached in CACHED:
        cached.cache_clear()


# --- tasks ------------------------------------------------------------------------------------------------------------

# The names of CIFAR-100.
NAMES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
"""
FINE = re.findall(r"\w+", NAMES)


@pytest.mark.parametrize(("name", "classes"), [("cifar100", FINE), ("digits", list("0123456789"))])
def test_attributes_are_of_known_classes_and_occur_together(name, classes):
    table = attributes.by_class(name, tuple(classes))
    assert len(classes) == len(set(classes)) == (100 if name == "cifar100" else 10)
    assert table.shape[1] >= 10
    assert (table.sum(1) >= 1).all()  # every class has one
    assert len({tuple(column) for column in table.T}) == table.shape[1]  # no two attributes are the same
    # Not exclusive: most classes have several, and every attribute occurs with another and is missing somewhere.
    together = table.T.astype(int) @ table
    assert (table.sum(1) > 1).mean() > 0.5
    assert all((np.delete(row, number) > 0).any() for number, row in enumerate(together))
    assert (table.mean(0) < 1).all()
    assert table.sum(0).max() >= 3 * table.sum(0).min()  # unequal prevalences
    assert all(why for why, _ in attributes.attributes(name).values())


def test_a_class_that_the_images_lack_is_refused():
    with pytest.raises(BadValue, match="no classes of it: 9"):
        attributes.by_class("digits", tuple("012345678"))


def test_images_have_the_attributes_of_their_class():
    tasks = attributes.digit_attributes()
    shown = attributes.attribute_table("digits")
    assert list(shown.index) == list(tasks.tasks)
    loops = tasks.labels[:, tasks.tasks.index("loop")] + tasks.labels[:, tasks.tasks.index("two loops")]
    holes = np.array([1, 0, 0, 0, 0, 0, 1, 0, 2, 1])
    np.testing.assert_array_equal(loops, holes[load_digits().labels])


def test_a_draw_has_its_parts_in_order_and_no_image_in_two_of_them():
    drawn = same_image_tasks.draw("digits", 0, 300, 8)
    assert len(drawn.data) == sum(len(labels) for labels in drawn.labels.values())
    assert [*drawn.rows("train"), *drawn.rows("valid"), *drawn.rows("test")] == list(range(len(drawn.data)))
    assert len(drawn.labels["train"]) == 300
    other = same_image_tasks.draw("digits", 1, 300, 8)
    assert not np.array_equal(drawn.data.pixels, other.data.pixels)


# --- noise and weights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", fig12_label_noise.NOISES)
def test_noise_does_what_its_name_says(noise):
    labels = (torch.arange(20_000) % 20 == 0).double()
    found = fig12_label_noise.noisy_labels(labels, noise, 0.4, 1, "t")
    assert torch.equal(found, fig12_label_noise.noisy_labels(labels, noise, 0.4, 1, "t"))
    if noise == "additive":
        assert (found - labels).std() == pytest.approx(0.4 * float(labels.std()), rel=0.05)
        return
    assert set(found.unique().tolist()) == {0.0, 1.0}
    # A coin is right half of the time; another image's label agrees by chance.
    changed, positive = (0.2, 0.6 * 0.05 + 0.2) if noise == "coin" else (0.4 * 2 * 0.05 * 0.95, 0.05)
    assert (found != labels).double().mean() == pytest.approx(changed, abs=0.01)
    assert found.mean() == pytest.approx(positive, abs=0.01)


def test_features_are_uncorrelated_with_variance_one_in_training():
    parts = same_image_tasks.features("digits", 0, 300, 10)
    x = parts.x[0]
    torch.testing.assert_close(x.mT @ x / len(x), torch.eye(10, dtype=x.dtype), atol=1e-8, rtol=0)
    assert not {tuple(row) for row in parts.x[0].tolist()} & {tuple(row) for row in parts.x[2].tolist()}


def test_groups_are_different_sets_in_an_order_of_their_own():
    pairs = same_image_tasks.random_groups(20, 2, 10)
    assert len({frozenset(pair) for pair in pairs}) == 10
    assert pairs == same_image_tasks.random_groups(20, 2, 10)
    assert pairs != same_image_tasks.random_groups(20, 2, 10, seed=1)
    assert {task for group in same_image_tasks.random_groups(4, 4, 3) for task in group} == set(range(4))


def test_compressed_tasks_have_the_same_optimum_and_weights():
    g = generator(3)
    x, ys = torch.randn(80, 6, generator=g, dtype=torch.float64), torch.randn(4, 80, generator=g, dtype=torch.float64)
    small_x, small_ys = fig12_label_noise.compressed(x, ys)
    assert small_x.shape == (7, 6)
    torch.testing.assert_close(svd_weights(small_x, small_ys, 2), svd_weights(x, ys, 2))
    weights = torch.tensor([0.5, 1.0, 2.0, 1.5], dtype=torch.float64)
    models = [solved(NoisyTasks(a[None], b[None], b[None], True), weights, 2) for a, b in ((x, ys), (small_x, small_ys))]
    torch.testing.assert_close(*models)
    errors = [(b - models[0][0] @ a.mT).square().sum(-1) for a, b in ((x, ys), (small_x, small_ys))]
    torch.testing.assert_close(*errors)


def test_pixel_weights_are_those_of_the_matrix_of_pixels():
    drawn = same_image_tasks.draw("digits", 0, 300, 8)
    labels = torch.from_numpy(drawn.labels["train"])
    x = drawn.data.pixels[:-1].view(len(drawn.data), -1)[:300].double() / 255
    products = static_weights.pixel_products(drawn.data, labels)
    for rank, centre, normalise in ((1, False, False), (3, True, False), (2, True, True)):
        found = static_weights.svd_task_weights(products, rank, centre, normalise)
        expected = svd_weights(x, labels.double().mT.contiguous(), rank, centre=centre, normalise=normalise)
        torch.testing.assert_close(found, expected * (len(expected) / expected.sum()))
        assert float(found.sum()) == pytest.approx(len(expected))


def test_powers_of_the_share_of_positives_have_mean_one_and_zero_makes_them_equal():
    labels = torch.tensor([[1, 1], [0, 1], [0, 1], [0, 1]])
    assert static_weights.power_weights(labels, 0).tolist() == [1, 1]
    torch.testing.assert_close(static_weights.power_weights(labels, -1), torch.tensor([1.6, 0.4], dtype=torch.float64))


# --- trainings --------------------------------------------------------------------------------------------------------


def test_a_training_of_twice_the_epochs_begins_as_that_of_half_of_them():
    labels = torch.from_numpy(same_image_tasks.draw("digits", 0, 200, 8).labels["train"][:, [0, 3]])
    short = train(Images(**SMALL), 0, [0, 3], labels, Equal(), 0.003, [1])
    both = train(Images(**SMALL), 0, [0, 3], labels, Equal(), 0.003, [1, 2])
    assert torch.equal(short[1].test, both[1].test)
    assert not torch.equal(both[1].test, both[2].test)


def test_a_task_of_no_weight_is_learned_by_no_one():
    drawn = same_image_tasks.draw("digits", 0, 200, 8)
    labels = torch.from_numpy(drawn.labels["train"][:, [0, 3]])
    found = train(Images(**SMALL), 0, [0, 3], labels, Static(torch.tensor([2.0, 0.0])), 0.003, [6])[6]
    assert found.test[0] > 90
    assert found.test[1] < 80
    assert found.weights.tolist() == [2, 0]


def test_what_is_tested_on_takes_no_part_in_training(monkeypatch):
    values = {"seed": 3, "pair": 0, "pairs": 2, "rate": 0.003, "epochs": 1, "favours": [2.0]}
    honest = fig12_label_noise.compare(SMALL, **values)
    assert honest == fig12_label_noise.compare(SMALL, **values)
    expected = {"unweighted": 3, "linear": 1, "Kendall": 2, "SVD": 2, "control": 1}
    assert {name: sum(row["method"] == name for row in honest) for name in expected} == expected
    assert all(row["noisy weight"] == 1 for row in honest if row["method"] == "unweighted")
    assert all(row["noisy weight"] == 0.5 for row in honest if row["method"] == "control")
    drawn = same_image_tasks.draw("digits", 3, 200, 8)
    turned = drawn._replace(labels=drawn.labels | {"test": 1 - drawn.labels["test"]})
    monkeypatch.setattr(Images, "drawn", lambda self, seed: turned)
    for before, after in zip(honest, fig12_label_noise.compare(SMALL, **values), strict=True):
        assert after["auc"] == pytest.approx(100 - before["auc"], abs=2e-3)
        assert (after["valid"], after["noisy weight"]) == (before["valid"], before["noisy weight"])


def test_trainings_of_one_run_that_differ_in_weights_alone_are_told_apart(tmp_path, monkeypatch):
    """They share what the trainer knows a checkpoint by."""
    monkeypatch.setenv("MTLREPRO_RUNS", str(tmp_path))
    small = {"seeds": 1, "groups": 1, "samples": 150, "epochs": 1, "map_tasks": [2]}
    p = Params("transfer/fig12", "quick", profile_values("transfer/fig12", "quick") | small, small)
    rows = fig12_label_noise.rows(Runs(p), p)
    control = rows[rows.method == "control"].set_index("setting")
    assert control["noisy weight"].to_dict() == {2.0: 0.5, 4.0: 0.25}
    (setting,) = fig12_label_noise.settings(p, "digits")
    alone = pd.DataFrame(fig12_label_noise.compare(**setting))
    assert rows.auc.dropna()[: len(alone)].tolist() == alone.auc.tolist()


def test_noise_is_in_the_first_task_s_training_labels_alone(monkeypatch):
    seen = []

    def kept(read, seed, tasks, labels, weighting, rate, epochs, **_):
        seen.append((tasks, labels))
        return train(read, seed, tasks, labels, weighting, rate, [1])

    monkeypatch.setattr(fig12_label_noise, "train", kept)
    fig12_label_noise.compare(SMALL, 3, 1, 2, 0.003, 1, [2.0])
    (tasks, clean), noisy = seen[0], seen[-1][1]
    own = same_image_tasks.draw("digits", 3, 200, 8).labels["train"][:, tasks]
    np.testing.assert_array_equal(clean, own)
    np.testing.assert_array_equal(noisy[:, 1], own[:, 1])
    assert 0.02 < float((noisy[:, 0] != clean[:, 0]).double().mean()) < 0.2


def test_validation_chooses_rate_and_rank_of_the_chest_xrays():
    searched = pd.DataFrame(
        [("SVD", 1.0, 0.1, 80.0, 0), ("SVD", 5.0, 0.3, 83.0, 0), ("SVD", 1.0, 0.1, 84.0, 1), ("SVD", 5.0, 0.3, 82.0, 1),
         ("Kendall", 0.0, 0.1, 70.0, 0), ("Kendall", 0.0, 0.3, 60.0, 0)],
        columns=["method", "setting", "rate", "valid", "seed"],
    )  # fmt: skip
    assert chestxray_svd_reweighting.chosen(searched) == {"SVD": (5.0, 0.3), "Kendall": (0.0, 0.1)}


def test_chest_xrays_train_what_was_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("MTLREPRO_RUNS", str(tmp_path))
    small = {"seeds": 2, "more_seeds": 1, "samples": 150, "epochs": 1, "rates": [0.001, 0.01], "ranks": [1, 0]}
    p = Params("transfer/chestxray", "quick", profile_values("transfer/chestxray", "quick") | small, small)
    rows = chestxray_svd_reweighting.rows(Runs(p), p)
    best = chestxray_svd_reweighting.chosen(rows[rows.stage == "search"])
    final = rows[rows.stage == "final"]
    assert set(rows.source) == {"digits"}
    assert set(rows.images) == {150}
    for method in chestxray_svd_reweighting.JUDGED:
        own = final[(final.method == method) & (final.epochs == 2)]
        assert sorted(own.seed) == [1000, 1001]
        assert set(zip(own.setting, own.rate, strict=True)) == {best[method]}


def test_the_exact_map_starts_without_noise_and_knows_its_methods():
    rows = fig12_label_noise.exact_map("digits", 0, [2], 3, {"additive": [1.0]}, [1, 2], count=200, d=10)
    assert [(r["noise"], r["rank"]) for r in rows[::4]] == [("none", 1), ("additive", 1)]
    auc = {(r["noise"], r["method"]): r["auc"] for r in rows}
    # Two unit vectors have the same projection on their bisector, so normalised weights are equal.
    assert auc["none", "SVD, normalised"] == pytest.approx(auc["none", "unweighted"], abs=1e-3)
    assert all(50 < value <= 100 for value in auc.values())


def test_a_source_that_is_unknown_is_refused_and_one_that_is_missing_replaced():
    with pytest.raises(UnknownName, match="cifar100"):
        same_image_tasks.load("cifar")
    assert same_image_tasks.digest("cifar100") == same_image_tasks.digest("digits")


@pytest.mark.parametrize("kind", ["cnn", "densenet121", "linear"])
def test_networks_give_one_logit_a_task_and_start_by_their_seed(kind):
    shape, images = (1, 32, 32), torch.linspace(0, 1, 2048).view(2, 1, 32, 32)
    nets = [same_images.network(kind, shape, 14, seed, pretrained=False).eval() for seed in (0, 0, 1)]
    with torch.no_grad():
        first, again, other = (net(images) for net in nets)
    assert first.shape == (14, 2)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    with pytest.raises(UnknownName, match="cnn"):
        same_images.network("vgg", shape, 14, 0)


def test_the_whole_set_trains_from_its_official_layout(tmp_path, monkeypatch):
    """The path that the paper profile takes, with DenseNet-121 from random weights, on small images."""
    folder = tmp_path / "chestxray14"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f"{patient:08d}_000.png" for patient in range(1, 101)]
    found = rng.choice(["Effusion", "Mass|Effusion", "No Finding"], 100)
    lines = [f"{name},{what},{i + 1}\n" for i, (name, what) in enumerate(zip(names, found, strict=True))]
    (folder / "Data_Entry_2017_v2020.csv").write_text("Image Index,Finding Labels,Patient ID\n" + "".join(lines))
    (folder / "train_val_list.txt").write_text("\n".join(names[:80]))
    (folder / "test_list.txt").write_text("\n".join(names[80:]))
    for name in names:
        Image.fromarray(rng.integers(0, 256, (40, 40), np.uint8)).save(folder / "images" / name)
    monkeypatch.setenv("MTLREPRO_MIRROR", str(tmp_path))
    images = {"source": "chestxray14", "samples": 1000, "side": 32, "network": "densenet121", "batch": 36, "pretrained": False}
    for method, setting in (("Kendall", 0.0), ("SVD", 1.0)):
        (row,) = chestxray_svd_reweighting.compare(images, 0, method, setting, 1e-4, [1])
        assert row["images"] == 72
        assert 0 <= row["auc"] <= 100
