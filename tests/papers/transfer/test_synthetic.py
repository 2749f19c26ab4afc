"""The transfer paper's example: the angle, the covariances, and what is shared between tasks."""

import pytest
import torch

from mtlrepro.errors import BadValue
from mtlrepro.papers.transfer.data.synthetic import transfer_tasks

SMALL = {"m_source": 40, "m_target": 30, "m_validation": 5, "m_test": 6}


@pytest.mark.parametrize("cos", [0.96, 0.0, -0.5, 1.0])
def test_true_models_are_unit_vectors_at_the_given_angle(cos):
    tasks = transfer_tasks(0, cos=cos, **SMALL)
    assert torch.allclose(tasks.theta_target.norm(), torch.tensor(1.0).double())
    assert torch.allclose(tasks.theta_target @ tasks.theta_source, torch.tensor(cos).double(), atol=1e-12)


def covariances(orientation):
    tasks = transfer_tasks(3, m_source=60_000, m_target=60_000, d=20, kappa=10.0, orientation=orientation)
    return [s.x.T @ s.x / len(s.x) for s in (tasks.target, tasks.same, tasks.different)]


@pytest.mark.parametrize("orientation", ["printed", "rotated"])
def test_same_source_has_the_targets_covariance_and_the_other_has_not(orientation):
    target, same, different = covariances(orientation)
    assert (target - same).norm() < 0.05 * target.norm()
    assert (target - different).norm() > 0.5 * target.norm()
    for covariance in (target, same, different):  # 2 of 20 directions have variance kappa^2, the rest 1
        values = torch.linalg.eigvalsh(covariance)
        assert values[:18].max() < 1.2
        assert values[18:].min() > 90


def test_printed_form_has_a_diagonal_covariance_whatever_the_rotation():
    """R Q has the law of R, so the printed X = R Q D has covariance D^2; R D Q^T has not."""
    off = lambda c: (c - c.diagonal().diag()).norm() / c.norm()
    assert off(covariances("printed")[0]) < 0.05
    assert off(covariances("rotated")[0]) > 0.5


def test_labels_follow_the_model_with_the_noise_asked_for():
    clean, noisy = (transfer_tasks(1, noise=noise, **{**SMALL, "m_source": 20_000}) for noise in (0.0, 20.0))
    assert torch.allclose(clean.same.y, clean.same.x @ clean.theta_source)
    assert torch.allclose(clean.test.y, clean.test.x @ clean.theta_target)
    assert torch.equal(clean.same.x, noisy.same.x)  # a setting changes nothing but what it names
    assert (noisy.same.y - clean.same.y).std().item() == pytest.approx(20, rel=0.03)


def test_several_seeds_are_each_seed_alone_and_seeds_differ():
    together = transfer_tasks([4, 5], noise=1.0, **SMALL)
    for i, seed in enumerate((4, 5)):
        alone = transfer_tasks(seed, noise=1.0, **SMALL)
        assert torch.equal(together.theta_target[i], alone.theta_target)
        for stacked, own in zip(together[2:], alone[2:], strict=True):
            assert torch.equal(stacked.x[i], own.x)
            assert torch.equal(stacked.y[i], own.y)
    assert not torch.equal(together.target.x[0], together.target.x[1])


def test_no_two_sets_share_samples_and_no_global_seed_is_touched():
    before = torch.random.get_rng_state()
    tasks = transfer_tasks(0, **{**SMALL, "m_source": 30})
    assert torch.equal(before, torch.random.get_rng_state())
    sets = [tasks.target.x, tasks.same.x, tasks.validation.x, tasks.test.x]
    firsts = torch.stack([s[0] for s in sets])
    assert len(torch.unique(firsts, dim=0)) == len(sets)


@pytest.mark.parametrize("wrong", [{"orientation": "sideways"}, {"noise": -1.0}, {"d": 5}, {"cos": 1.5}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(BadValue):
        transfer_tasks(0, **{**SMALL, **wrong})
