"""Methods that read losses or metrics alone: uncertainty, DWA, DTP, random weights, static."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import sigmoid_focal_loss

from mtlrepro.device import generator
from mtlrepro.errors import BadValue
from mtlrepro.methods.dtp import DynamicTaskPriority
from mtlrepro.methods.dwa import DynamicWeightAverage
from mtlrepro.methods.random_weights import RandomWeights
from mtlrepro.methods.static import MainShare, Static
from mtlrepro.methods.uncertainty import Uncertainty

positive = st.floats(0.05, 20.0)
losses_of_three = st.lists(positive, min_size=3, max_size=3)
UNUSED = torch.zeros(2, 2)  # gradients that these methods never ask for


def _close(actual, wanted, tolerance=1e-5):
    torch.testing.assert_close(actual.double(), torch.as_tensor(wanted, dtype=torch.float64), rtol=0, atol=tolerance)


def test_static_weights_are_what_was_given(step_of):
    _close(Static([3.0, 1.0])(step_of(UNUSED)), [3.0, 1.0], 0)
    _close(Static([3.0, 1.0])(step_of(UNUSED[:1], [2.0], task=1)), [1.0], 0)


def test_main_share_worked_by_hand(step_of):
    """Of total k = 3 the main task gets 0.8 · 3, the two others (1 - 0.8) · 3 / 2 each; of total 2, 1.6 and 0.2 each."""
    three = torch.zeros(3, 2)
    _close(MainShare(0.8)(step_of(three)), [2.4, 0.3, 0.3], 1e-6)
    _close(MainShare(0.8, total=2.0, main=1)(step_of(three)), [0.2, 1.6, 0.2], 1e-6)
    _close(MainShare(1.0, total=1.0)(step_of(three)), [1.0, 0.0, 0.0], 0)
    _close(MainShare(0.5)(step_of(UNUSED)), [1.0, 1.0], 0)
    _close(MainShare(0.8, tasks=3)(step_of(UNUSED[:1], [2.0], task=2)), [0.3], 1e-6)
    with pytest.raises(BadValue, match="pass tasks"):
        MainShare(0.8)(step_of(UNUSED[:1], [2.0], task=2))


@given(st.floats(0.0, 1.0), st.integers(2, 5), st.floats(0.0, 10.0))
def test_main_share_sums_to_its_total_and_gives_the_main_task_its_share(step_of, share, tasks, total):
    weights = MainShare(share, total)(step_of(torch.zeros(tasks, 2)))
    _close(weights.sum(), total, 1e-5)
    _close(weights[0], share * total, 1e-5)
    assert len(set(weights[1:].tolist())) == 1


# --- uncertainty --------------------------------------------------------------------------------------------------------


def test_uncertainty_worked_by_hand(step_of):
    """s = 0: weights 1/2 and 1. s of the first moves by -0.1 (1/2 - 1/2 · 2) = 0.05, of the second by -0.1 (1/2 - 1/2) = 0."""
    weighting = Uncertainty(["regression", "classification"], rate=0.1)
    _close(weighting(step_of(UNUSED, [2.0, 0.5])), [0.5, 1.0])
    _close(weighting.log_variances, [0.05, 0.0])
    _close(weighting(step_of(UNUSED, [2.0, 0.5])), [0.475615, 1.0])  # exp(-0.05) / 2


def test_uncertainty_rests_where_the_variance_is_the_loss(step_of):
    """sigma² = L for regression, 2 L for classification; a task then adds a constant to the weighted loss, whatever its unit."""
    losses = torch.tensor([0.05, 0.7, 1.0, 3.0, 20.0], dtype=torch.float64)[:, None].expand(5, 2)
    weighting = Uncertainty(["regression", "classification"], rate=0.1)
    for _ in range(400):
        weights = weighting(step_of(torch.zeros(5, 2, 2), losses))
    torch.testing.assert_close(weighting.log_variances.exp(), losses * torch.tensor([1.0, 2.0]), rtol=1e-5, atol=0)
    _close(weights * losses, torch.full((5, 2), 0.5))


def test_uncertainty_is_sgd_of_torch_on_the_joint_loss(step_of):
    s = torch.nn.Parameter(torch.tensor([0.3, 0.3], dtype=torch.float64))
    optimizer, weighting = torch.optim.SGD([s], lr=0.2), Uncertainty(["regression", "classification"], rate=0.2, start=0.3)
    g = generator(0)
    for _ in range(6):
        losses = torch.rand(2, generator=g, dtype=torch.float64) * 3
        weights = weighting(step_of(UNUSED, losses))
        sigma = (s / 2).exp()
        joint = losses[0] / (2 * sigma[0] ** 2) + losses[1] / sigma[1] ** 2 + sigma.log().sum()
        _close(weights, torch.stack([1 / (2 * sigma[0] ** 2), 1 / sigma[1] ** 2]).detach(), 1e-12)
        optimizer.zero_grad()
        joint.backward()
        optimizer.step()
        _close(weighting.log_variances, s.detach(), 1e-12)


def test_uncertainty_of_one_task_a_batch_moves_that_task_alone(step_of):
    weighting = Uncertainty(rate=0.1, tasks=3)
    _close(weighting(step_of(UNUSED[:1], [2.0], task=1)), [0.5])
    _close(weighting.log_variances, [0.0, 0.05, 0.0])
    with pytest.raises(BadValue, match="pass tasks"):
        Uncertainty()(step_of(UNUSED[:1], [2.0], task=1))


def test_uncertainty_refuses_unknown_kinds_and_a_wrong_number_of_them(step_of):
    with pytest.raises(BadValue, match="not ordinal"):
        Uncertainty(["regression", "ordinal"])
    with pytest.raises(BadValue, match="3 kinds were given for 2 tasks"):
        Uncertainty(["regression"] * 3)(step_of(UNUSED))


# --- dynamic weight averaging -------------------------------------------------------------------------------------------


def _dwa(*epochs, **options):
    weighting = DynamicWeightAverage(**options)
    for losses in epochs:
        weighting.end_epoch(torch.as_tensor(losses, dtype=torch.float64), None)
    return weighting


def test_dwa_worked_by_hand(step_of):
    """Ratios 1/2 and 1 at T = 2: 2 exp(1/4) / (exp(1/4) + exp(1/2)) = 2 · 1.284025 / 2.932747; one epoch alone gives no ratio."""
    _close(_dwa([4.0, 1.0])(step_of(UNUSED)), [1.0, 1.0], 0)
    _close(_dwa([9.0, 9.0], [4.0, 1.0], [2.0, 1.0])(step_of(UNUSED)), [0.875647, 1.124353])


@given(losses_of_three, losses_of_three, losses_of_three, st.floats(0.3, 10.0))
def test_dwa_sums_to_k_ignores_units_and_favours_the_slowest(before, now, units, temperature):
    weighting = _dwa(before, now, temperature=temperature)
    weights, units = weighting.weights, torch.tensor(units, dtype=torch.float64)
    _close(weights.sum(), 3.0, 1e-9)
    scaled = _dwa(torch.tensor(before) * units, torch.tensor(now) * units, temperature=temperature)
    torch.testing.assert_close(scaled.weights, weights, rtol=1e-5, atol=1e-5)
    ratios = torch.tensor(now) / torch.tensor(before)
    assert weights[ratios.argmax()] == weights.max()


def test_dwa_of_validation_losses_reads_their_negatives_and_says_when_there_are_none():
    weighting = DynamicWeightAverage(of="validation")
    for losses in ([4.0, 1.0], [2.0, 1.0]):
        weighting.end_epoch(torch.ones(2), -torch.tensor(losses, dtype=torch.float64))
    _close(weighting.weights, _dwa([4.0, 1.0], [2.0, 1.0]).weights, 1e-12)
    with pytest.raises(BadValue, match="validation function"):
        weighting.end_epoch(torch.ones(2), None)
    with pytest.raises(BadValue, match="training or validation"):
        DynamicWeightAverage(of="test")


# --- dynamic task prioritization ----------------------------------------------------------------------------------------


def _dtp(*metrics, **options):
    weighting = DynamicTaskPriority(**options)
    for actual in metrics:
        values = torch.as_tensor(actual, dtype=torch.float64)
        weighting.end_epoch(torch.ones_like(values), values)
    return weighting


def test_dtp_worked_by_hand(step_of):
    """-(1/2) ln(1/2) · 5 = 1.732868; -(0.1) ln(0.9) · 5 = 0.052680 is clipped to 0.1. Then the average is 0.75 · 0.7 + 0.25 · 0.5
    = 0.65, and -0.35 ln(0.65) · 5 = 0.753870."""
    _close(DynamicTaskPriority()(step_of(UNUSED)), [1.0, 1.0], 0)
    _close(_dtp([0.5, 0.9])(step_of(UNUSED)), [1.732868, 0.1])
    _close(_dtp([0.5, 0.9], [0.7, 0.9])(step_of(UNUSED)), [0.753870, 0.1])
    _close(_dtp([0.0, 1.0]).weights, [5.0, 0.1], 0)  # clipped at both ends


@given(st.lists(st.floats(0.01, 0.99), min_size=2, max_size=2), st.floats(0.0, 4.0))
def test_dtp_without_scale_and_clip_is_the_focal_loss_of_torchvision_and_falls_with_the_metric(metrics, gamma):
    weights = _dtp(metrics, scale=1.0, low=0.0, high=math.inf, gamma=gamma).weights
    k = torch.tensor(metrics, dtype=torch.float64)
    torch.testing.assert_close(weights, sigmoid_focal_loss(k.logit(), torch.ones_like(k), alpha=-1, gamma=gamma))
    assert (weights[0] > weights[1]) == (k[0] < k[1]) or abs(k[0] - k[1]) < 1e-9


def test_dtp_refuses_metrics_that_are_no_shares_and_keeps_a_diverged_run_to_itself():
    with pytest.raises(BadValue, match="between 0 and 1"):
        _dtp([0.5, -0.1])
    with pytest.raises(BadValue, match="validation function"):
        DynamicTaskPriority().end_epoch(torch.ones(2), None)
    with pytest.raises(BadValue, match=r"returned shape \(1,\)"):  # one weight for every task
        DynamicTaskPriority().end_epoch(torch.ones(2), torch.tensor([0.5]))
    weights = _dtp([[0.5, 0.5], [math.nan, 0.5]]).weights
    assert weights.isnan().tolist() == [[False, False], [True, False]]


# --- random weights -----------------------------------------------------------------------------------------------------


def test_random_weights_worked_by_hand(step_of):
    """softmax of the generator's own first and second draws."""
    z = torch.randn(2, 2, generator=generator(3), dtype=torch.float64)
    weighting = RandomWeights(generator(3))
    for a, b in z.tolist():
        _close(weighting(step_of(UNUSED)), [1 / (1 + math.exp(b - a)), 1 / (1 + math.exp(a - b))], 1e-12)


def test_random_weights_are_positive_sum_to_the_total_and_favour_no_task(step_of):
    weighting = RandomWeights([generator(s) for s in range(4000)], total=3.0)
    weights = weighting(step_of(torch.zeros(4000, 3, 2)))
    assert (weights > 0).all()
    _close(weights.sum(-1), torch.full((4000,), 3.0), 1e-9)
    error = weights.std(0) / math.sqrt(4000)
    assert ((weights.mean(0) - 1).abs() < 4 * error).all()
    assert weights.std() > 0.3


def test_random_weights_need_one_generator_a_run(step_of):
    with pytest.raises(BadValue, match=r"got 2 generators for losses of shape \(3, 2\)"):
        RandomWeights([generator(0), generator(1)])(step_of(torch.zeros(3, 2, 2)))
    with pytest.raises(BadValue, match="one generator a run: got one generator"):
        RandomWeights(generator(0))(step_of(torch.zeros(3, 2, 2)))
