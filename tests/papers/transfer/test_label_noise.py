"""Laws of training with noisy labels: what each noise does, that exact optima are optima, that test labels stay out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mtlrepro.device import generator
from mtlrepro.errors import UnknownName
from mtlrepro.methods.svd_reweighting import svd_weights
from mtlrepro.papers.transfer import chestxray_svd_reweighting, fig12_label_noise
from mtlrepro.papers.transfer.alg2_svd_reweighting import NoisyTasks, solved
from mtlrepro.papers.transfer.data import same_image_tasks
from mtlrepro.papers.transfer.training import static_weights

SMALL = {"k": 3, "groups": 2, "noise": "coin", "level": 0.5, "ranks": [1], "count": 200, "d": 12, "width": 8, "epochs": 2}


@pytest.fixture(autouse=True)
def digits(monkeypatch):
    """Every test runs on the embedded digits."""
    monkeypatch.delenv("MTLREPRO_MIRROR", raising=False)
    for cached in (same_image_tasks.load, same_image_tasks.draw):
        cached.cache_clear()
    yield
    for cached in (same_image_tasks.load, same_image_tasks.draw):
        cached.cache_clear()


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
    parts = same_image_tasks.draw("digits", 0, 300, 10)
    x = parts.x[0]
    torch.testing.assert_close(x.mT @ x / len(x), torch.eye(10, dtype=x.dtype), atol=1e-8, rtol=0)
    assert not {tuple(row) for row in parts.x[0].tolist()} & {tuple(row) for row in parts.x[2].tolist()}


def test_groups_are_different_sets_in_an_order_of_their_own():
    pairs = same_image_tasks.random_groups(20, 2, 10)
    assert len({frozenset(pair) for pair in pairs}) == 10
    assert pairs == same_image_tasks.random_groups(20, 2, 10)
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


def test_static_weights_have_mean_one_and_normalised_ones_forget_scale():
    g = generator(4)
    x, ys = torch.randn(50, 5, generator=g), torch.randn(3, 50, generator=g)
    for method, rank in static_weights.methods(3, [1, 0]):
        if method == "Kendall":
            continue
        found = static_weights.weights_of(x, ys, method, rank)
        assert found.sum() == pytest.approx(3, rel=1e-5)
        scaled = static_weights.weights_of(x, ys * torch.tensor([[10.0], [1.0], [1.0]]), method, rank)
        assert torch.allclose(found, scaled, atol=1e-5) == (method != "SVD")


def test_rows_are_the_same_twice_and_the_test_part_takes_no_part_in_the_choice(monkeypatch):
    honest = fig12_label_noise.compare("digits", 0, **SMALL)
    assert honest == fig12_label_noise.compare("digits", 0, **SMALL)
    assert {row["method"] for row in honest} == {"unweighted", "Kendall", "SVD", "SVD, normalised"}
    assert all(row["noisy weight"] == 1 for row in honest if row["method"] == "unweighted")
    real = fig12_label_noise._group_labels

    def turned(*args):
        train, valid, test = real(*args)
        return [train, valid, 1 - test]

    monkeypatch.setattr(fig12_label_noise, "_group_labels", turned)
    for before, after in zip(honest, fig12_label_noise.compare("digits", 0, **SMALL), strict=True):
        assert after["auc"] == pytest.approx(100 - before["auc"], abs=2e-3)
        assert after["noisy weight"] == before["noisy weight"]


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


def test_densenet_gives_one_logit_a_finding():
    with torch.random.fork_rng(devices=[]):
        model = chestxray_svd_reweighting.chest_network(14, pretrained=False).eval()
    with torch.no_grad():
        found = model(torch.zeros(1, 3, 32, 32))
    assert [one.shape for one in found] == [(1, 1)] * 14


def test_the_whole_set_trains_from_its_official_layout(tmp_path, monkeypatch):
    """The path that the paper profile takes, with a small network in place of DenseNet-121."""
    folder = tmp_path / "chestxray14"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f"{patient:08d}_000.png" for patient in range(1, 41)]
    found = rng.choice(["Effusion", "Mass|Effusion", "No Finding"], 40)
    lines = [f"{name},{what},{i + 1}\n" for i, (name, what) in enumerate(zip(names, found, strict=True))]
    (folder / "Data_Entry_2017_v2020.csv").write_text("Image Index,Finding Labels,Patient ID\n" + "".join(lines))
    (folder / "train_val_list.txt").write_text("\n".join(names[:30]))
    (folder / "test_list.txt").write_text("\n".join(names[30:]))
    for name in names:
        Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).save(folder / "images" / name)
    monkeypatch.setenv("MTLREPRO_MIRROR", str(tmp_path))

    def small(tasks, pretrained):
        heads = [torch.nn.Linear(3, 1) for _ in range(tasks)]
        return chestxray_svd_reweighting.SharedBottom(
            torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()), heads
        )

    monkeypatch.setattr(chestxray_svd_reweighting, "chest_network", small)
    rows = chestxray_svd_reweighting.compare("chestxray14", 0, 1, [1, 0], device="cpu", side=16)
    assert [(r["method"], r["svd rank"]) for r in rows] == static_weights.methods(14, [1, 0])
    assert all(0 <= r["auc"] <= 100 for r in rows)
