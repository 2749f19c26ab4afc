"""Laws of the exact label-noise comparison: its closed forms against sampling, what its weights minimise, its noise."""

from __future__ import annotations

import pytest
import torch

from mtlrepro.device import generator
from mtlrepro.errors import UnknownName
from mtlrepro.papers.transfer.alg2_svd_reweighting import LEVELS, METHODS, compare, noisy_tasks, quality, solved, task_weights

SEEDS = [0, 1, 2]


@pytest.mark.parametrize("noise", LEVELS)
def test_quality_is_what_fresh_samples_give(noise):
    tasks = noisy_tasks(SEEDS, noise, 0.5, 3, m=60, own=0.5)
    models = solved(tasks, task_weights(tasks, "unweighted", 1), 1)
    x = torch.randn(200_000, 20, generator=generator(9), dtype=torch.float64)
    clean, found = tasks.models @ x.mT, models @ x.mT
    if tasks.signs:
        sampled = (clean.sign() == found.sign()).double().mean(-1)
    else:
        sampled = torch.nn.functional.cosine_similarity(clean, found, dim=-1)
    torch.testing.assert_close(quality(tasks, models), sampled.mean(-1), atol=5e-3, rtol=0)


def test_kendall_is_a_fixed_point_and_lowers_the_sum_of_log_errors():
    """Uncertainty weighting minimises sum_i log sigma_i^2 over the model; equal weights can not do better."""
    tasks = noisy_tasks(SEEDS, "additive", 2.0, 4, m=60, own=0.5)

    def errors(method):
        weights = task_weights(tasks, method, 1)
        return weights, (tasks.ys - solved(tasks, weights, 1) @ tasks.x.mT).square().mean(-1)

    weights, own = errors("Kendall")
    torch.testing.assert_close(weights * own, (weights * own).mean(-1, keepdim=True).expand_as(own), rtol=1e-4, atol=0)
    assert (own.log().sum(-1) <= errors("unweighted")[1].log().sum(-1) + 1e-9).all()


@pytest.mark.parametrize("method", METHODS)
def test_weights_sum_to_the_number_of_tasks(method):
    weights = task_weights(noisy_tasks(SEEDS, "random labels", 0.5, 5, m=40), method, 2)
    torch.testing.assert_close(weights.sum(-1), torch.full((3,), 5.0, dtype=torch.float64))
    assert (weights > 0).all()


def test_two_normalised_tasks_always_weigh_the_same_at_rank_one():
    weights = task_weights(noisy_tasks(SEEDS, "additive", 5.0, 2, m=40, own=0.5), "SVD, normalised", 1)
    torch.testing.assert_close(weights, torch.ones_like(weights))


def test_noise_touches_the_noisy_task_alone_and_as_much_as_asked():
    clean, noisy = (noisy_tasks([3], "random labels", level, 3, m=5_000) for level in (0.0, 0.4))
    assert torch.equal(clean.x, noisy.x)
    assert torch.equal(clean.ys[:, 1:], noisy.ys[:, 1:])
    assert (clean.ys[0, 0] != noisy.ys[0, 0]).double().mean() == pytest.approx(0.4, abs=0.03)
    signs = noisy_tasks([3], "flipped signs", 0.4, 3, m=5_000)
    before = noisy_tasks([3], "flipped signs", 0.0, 3, m=5_000)
    assert (signs.ys[0, 0] != before.ys[0, 0]).double().mean() == pytest.approx(0.2, abs=0.02)
    assert set(signs.ys.unique().tolist()) == {-1.0, 1.0}


def test_rows_are_reproducible_and_seeds_independent_of_company():
    alone = compare([2], "additive", 1.0, 3, 1, m=40)
    beside = [row for row in compare(SEEDS, "additive", 1.0, 3, 1, m=40) if row["seed"] == 2]
    assert alone == beside


def test_unknown_names_are_refused():
    with pytest.raises(UnknownName, match="additive"):
        noisy_tasks([0], "additiv", 1.0, 2)
    with pytest.raises(UnknownName, match="Kendall"):
        task_weights(noisy_tasks([0], "additive", 1.0, 2), "Kendal", 1)
