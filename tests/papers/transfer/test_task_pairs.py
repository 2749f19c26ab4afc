"""Laws of the generators of pairs of tasks and of the two boundaries, and of the training and metrics on them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from mtlrepro.errors import BadValue
from mtlrepro.papers.transfer import fig8_principal_angles
from mtlrepro.papers.transfer.data.synthetic import boundary_tasks, task_pairs
from mtlrepro.papers.transfer.fig2_same_boundary import fit_boundaries, turned
from mtlrepro.papers.transfer.training.pair_grid import accuracy, fit_pairs, ridge_predictions
from mtlrepro.training.metrics import spearman, tied_spearman

seeds = st.integers(0, 2**31)
SMALL = {"m": (6, 7), "noise": 0.0, "m_validation": 3, "m_test": 4}


@given(seeds, st.floats(0, 1), st.integers(1, 4), st.integers(0, 6))
def test_principal_angles_follow_the_mix(seed, a, rank, extra):
    """Every principal cosine of Theta_1 and a Theta_1 + b Theta' is a / sqrt(a^2 + b^2), and Theta_1 is orthonormal."""
    b = 1 - a
    found = task_pairs([seed], [(a, b)], d=2 * rank + extra, rank=rank, **SMALL)
    torch.testing.assert_close(found.theta1[0].mT @ found.theta1[0], torch.eye(rank, dtype=torch.float64))
    cosines = torch.linalg.svdvals(found.theta1[0].mT @ torch.linalg.qr(found.theta2[0, 0])[0])
    torch.testing.assert_close(cosines, torch.full_like(cosines, a / math.hypot(a, b)), rtol=0, atol=1e-12)


@given(seeds, st.booleans(), st.booleans())
def test_labels_are_the_models(seed, relu, classify):
    """Without noise a label is the sum of the units, or whether it is above 0; with ReLU classes are those of the linear task."""
    found = task_pairs([seed], [(0.6, 0.8), (1.0, 0.0)], d=5, relu=relu, classify=classify, **SMALL)
    for sets in (found.train, found.validation, found.test):
        for pair in (0, 1):
            for samples, theta in zip(sets, (found.theta1[0], found.theta2[0, pair]), strict=True):
                z = (samples.x[0] @ theta)[:, 0]
                wanted = (z > 0).to(z) if classify else z.relu() if relu else z
                torch.testing.assert_close(samples.y[0, pair], wanted)


@given(seeds)
def test_several_seeds_are_each_seed_alone_and_a_setting_changes_nothing_but_what_it_names(seed):
    together = task_pairs([seed, seed + 1], [(0.5, 0.5)], d=4, **SMALL | {"m": (6, 9), "noise": 1.0})
    alone = task_pairs([seed + 1], [(0.5, 0.5)], d=4, **SMALL)
    assert torch.equal(together.theta2[1:], alone.theta2)
    assert torch.equal(together.train[0].x[1:], alone.train[0].x)
    assert torch.equal(together.test[0].x[1:], alone.test[0].x)
    assert not torch.equal(together.train[0].x[0], together.train[0].x[1])


@pytest.mark.parametrize("wrong", [{"noise": -1.0}, {"m": (0, 3)}, {"rank": 3}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(BadValue):
        task_pairs([0], [(1.0, 0.0)], **{"d": 4} | SMALL | wrong)


@given(seeds, st.floats(-20, 20), st.floats(-85, 85))
def test_task_three_has_task_twos_boundary_and_an_empty_double_wedge(seed, angle, wedge):
    tasks, test = boundary_tasks([seed], m=40, angle=angle, wedge=wedge, m_test=5)
    for number, own in enumerate((*tasks, test)):
        polar = torch.rad2deg(torch.atan2(own.x[0, :, 1], own.x[0, :, 0])) - angle * (number in (1, 2))
        assert torch.equal(own.y[0] > 0.5, (polar % 360) < 180)
    line = (torch.rad2deg(torch.atan2(tasks[2].x[0, :, 1], tasks[2].x[0, :, 0])) - angle) % 180
    inside = line < -wedge - 1e-6 if wedge < 0 else line > 180 - wedge + 1e-6
    assert not inside.any()


def test_the_learned_boundary_is_the_true_one_with_enough_data():
    tasks, _ = boundary_tasks([1, 2], m=4000, angle=10.0, wedge=40.0)
    assert turned(fit_boundaries(tasks[:1], [1, 2])).abs().max() < 1
    assert (turned(fit_boundaries(tasks[1:2], [1, 2])) - 10).abs().max() < 1
    assert (turned(fit_boundaries(tasks[2:], [1, 2])) - 10).abs().min() > 3  # the gap is what misleads


def test_a_direction_per_task_shares_nothing():
    """Proposition 1, with each task's model penalised alone: at r = 2 a second task leaves the first one's model as it was."""
    tasks, _ = boundary_tasks(range(4), m=12, angle=5.0, wedge=-80.0)
    alone, both = (fit_boundaries(tasks[:k], range(4), steps=2000, rank=2) for k in (1, 2))
    torch.testing.assert_close(both, alone, rtol=0, atol=1e-3)
    alone, both = (fit_boundaries(tasks[:k], range(4), steps=2000, rank=1) for k in (1, 2))
    assert (turned(both) - turned(alone)).abs().max() > 1


@given(st.lists(st.integers(0, 4), min_size=3, max_size=12), st.lists(st.integers(0, 4), min_size=3, max_size=12))
def test_tied_spearman_is_scipys(a, b):
    n = min(len(a), len(b))
    a, b = a[:n], b[:n]
    found = tied_spearman(torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64))
    if len(set(a)) > 1 and len(set(b)) > 1:
        assert found.item() == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    else:
        assert found.isnan()


def test_tied_spearman_without_ties_is_spearman():
    x = torch.randn(2, 3, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(tied_spearman(x[0], x[1]), spearman(x[0], x[1]))


def test_accuracy_counts_a_logit_of_zero_as_class_zero():
    assert accuracy(torch.tensor([0.0, 0.0, 2.0, -1.0]), torch.tensor([0.0, 1.0, 1.0, 0.0])).item() == 0.75


@pytest.mark.parametrize(("relu", "classify", "rank"), [(False, False, 1), (True, False, 2), (True, True, 1)])
def test_pairs_and_seeds_together_are_each_alone(relu, classify, rank):
    """A grid of seeds x pairs x rates gives each pair of each seed what it gets alone."""
    mixes, kind = [(1.0, 0.0), (0.3, 0.7)], {"relu": relu, "rank": rank}
    train = {"rates": [0.01, 0.1], "epochs": 3, "size": 8, "classify": classify} | kind
    draw = {"m": (20, 30), "noise": 0.3, "d": 6, "classify": classify, "m_validation": 20, "m_test": 2} | kind
    tasks = task_pairs([1, 2], mixes, **draw)
    together = fit_pairs(tasks.train, tasks.validation, [1, 2], **train)
    own = task_pairs([2], mixes, **draw)
    one = [[s._replace(y=s.y[:, 1:]) for s in sets] for sets in (own.train, own.validation)]
    alone = fit_pairs(*one, [2], **train)
    torch.testing.assert_close(together.shared[1:, 1:], alone.shared)
    torch.testing.assert_close(together.heads[1:, 1:], alone.heads)


def test_training_finds_a_noiseless_model_and_ridge_too():
    tasks = task_pairs([1, 2], [(1.0, 0.0)], m=(400, 400), noise=0.0, d=10)
    model = fit_pairs(tasks.train, tasks.validation, [1, 2], rates=[0.1], epochs=30)
    test = tasks.test[0]
    torch.testing.assert_close(model(test.x, 0), test.y, rtol=0, atol=1e-3)
    found = ridge_predictions(tasks.train[0], tasks.validation[0], test)
    assert tied_spearman(found, test.y).min() > 0.999


@pytest.mark.parametrize("covariances", ["same", "different"])
def test_covariances_change_the_inputs_and_leave_models_and_noise_alone(covariances):
    """Law: one spectrum, a tenth of it large, mean variance 1; labels are the moved inputs' units plus the drawn noise."""
    drawn = task_pairs([3, 4], [(1.0, 0.0)], m=(4_000, 4_000), noise=0.0, relu=True, d=20, rank=2)
    moved = fig8_principal_angles.with_covariances(drawn, [3, 4], covariances)
    estimates = [own.x.mT @ own.x / own.x.shape[1] for own in moved.train]
    for estimate in estimates:
        eigenvalues = torch.linalg.eigvalsh(estimate)
        torch.testing.assert_close(eigenvalues.mean(-1), torch.ones(2, dtype=torch.float64), atol=0.05, rtol=0)
        assert (eigenvalues[:, -2] > 1_000 * eigenvalues[:, -3]).all()
    agree = torch.linalg.matrix_norm(estimates[0] - estimates[1]) / torch.linalg.matrix_norm(estimates[0])
    assert (agree < 0.1).all() if covariances == "same" else (agree > 0.5).all()
    for own, theta in zip(moved.train, (drawn.theta1[:, None], drawn.theta2), strict=True):
        torch.testing.assert_close(own.y, (own.x[:, None] @ theta).relu().sum(-1))
