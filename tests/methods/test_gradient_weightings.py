"""Methods that read the tasks' gradients: GradNorm, gradient cosine, OL-AUX, and TorchJD's aggregations."""

from __future__ import annotations

import math
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtlrepro.device import generator
from mtlrepro.errors import BadValue, MtlreproError, UnknownName
from mtlrepro.methods.gradient_cosine import GradientCosine
from mtlrepro.methods.gradnorm import GradNorm
from mtlrepro.methods.ol_aux import OLAux
from mtlrepro.methods.torchjd_aggregation import Aggregation

seeds = st.integers(0, 10_000)


def _close(actual, wanted, tolerance=1e-5):
    torch.testing.assert_close(actual.double(), torch.as_tensor(wanted, dtype=torch.float64), rtol=0, atol=tolerance)


def _random(seed, *shape):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def _combined(weights, gradients):
    return (weights[..., None] * gradients).sum(-2)


# --- GradNorm -----------------------------------------------------------------------------------------------------------

NORMS_5_AND_1 = [[3.0, 4.0], [0.0, 1.0]]


def test_gradnorm_worked_by_hand(step_of):
    """First step: equal pace, target (5 + 1) / 2 = 3 for both, so w = (1 - 0.1 · 5, 1 + 0.1 · 1) = (0.5, 1.1), times 2 / 1.6.

    Second step, first loss halved: pace (0.5, 1) / 0.75 = (2/3, 4/3), sizes (3.125, 1.375), mean 2.25, targets 2.25 · pace^1.5 =
    (1.2247, 3.4641), so w = (0.625 - 0.5, 1.375 + 0.1) = (0.125, 1.475), times 2 / 1.6.
    """
    weighting = GradNorm(rate=0.1)
    _close(weighting(step_of(NORMS_5_AND_1, [2.0, 2.0])), [1.0, 1.0])
    _close(weighting(step_of(NORMS_5_AND_1, [1.0, 2.0])), [0.625, 1.375])
    _close(weighting.weights, [0.15625, 1.84375])


def test_gradnorm_moves_down_the_gradient_of_its_own_loss_as_autograd_finds_it(step_of):
    g = generator(0)
    weighting = GradNorm(alpha=1.2, rate=0.03, initial=[1.0, 2.0, 0.5])
    w = torch.ones(3, dtype=torch.float64)
    for _ in range(5):
        gradients = torch.randn(3, 4, generator=g, dtype=torch.float64)
        losses = torch.rand(3, generator=g, dtype=torch.float64) + 0.1
        _close(weighting(step_of(gradients, losses)), w, 1e-12)
        w.requires_grad_()
        sizes = (w[:, None] * gradients).norm(dim=-1)
        progress = losses / torch.tensor([1.0, 2.0, 0.5])
        target = (sizes.mean() * (progress / progress.mean()) ** 1.2).detach()
        (actual,) = torch.autograd.grad((sizes - target).abs().sum(), w)
        w = (w - 0.03 * actual).detach()
        w *= 3 / w.sum()


def test_gradnorm_equalises_gradient_norms_whatever_the_units_of_a_loss(step_of):
    """At an equal pace w_i |g_i| become equal, to within one step, so w is inverse to a task's unit; they sum to k throughout."""
    units = torch.tensor([[0.2, 1.0, 2.0], [1.0, 1.0, 1.0], [10.0, 1.0, 2.0]])
    gradients = torch.nn.functional.normalize(_random(0, 3, 4), dim=-1) * units[..., None]
    weighting = GradNorm(rate=torch.tensor([5e-3, 5e-3, 5e-4]))
    for _ in range(1000):
        _close(weighting(step_of(gradients, units)).sum(-1), [3.0, 3.0, 3.0], 1e-9)
    wanted = 3 / units / (1 / units).sum(-1, keepdim=True)
    torch.testing.assert_close(weighting.weights, wanted.double(), rtol=0.04, atol=0)


@given(seeds, st.floats(0.01, 100.0))
def test_gradnorm_does_not_see_a_common_factor_of_gradients_and_losses(step_of, seed, factor):
    """Scale equivariance: with all losses times c and the rate over c every weight is the same."""
    plain, scaled = GradNorm(rate=0.01), GradNorm(rate=0.01 / factor)
    for k in range(4):
        gradients, losses = _random(seed + k, 3, 4), _random(seed + k + 9, 3).abs() + 0.1
        plain(step_of(gradients, losses)), scaled(step_of(gradients * factor, losses * factor))
    torch.testing.assert_close(plain.weights, scaled.weights)


def test_gradnorm_weighs_a_task_that_learns_slower_more(step_of):
    weighting = GradNorm(rate=0.01, alpha=1.5)
    for losses in ([1.0, 1.0], [0.5, 0.9], [0.3, 0.8]):
        weighting(step_of([[1.0, 0.0], [0.0, 1.0]], losses))
    assert weighting.weights[1] > 1 > weighting.weights[0]


def test_gradnorm_takes_the_norm_over_the_chosen_parameters(step_of):
    """Parameter "first" is the first column: without it the norms are 4 and 1, and w = (1 - 0.4, 1.1) · 2 / 1.7."""
    weighting = GradNorm(rate=0.1, parameters=["last"])
    weighting(step_of(NORMS_5_AND_1))
    _close(weighting.weights, [0.6 * 2 / 1.7, 1.1 * 2 / 1.7])
    both = GradNorm(rate=0.1, parameters=["first", "last"])
    both(step_of(NORMS_5_AND_1))
    _close(both.weights, [0.625, 1.375])
    with pytest.raises(BadValue, match="not among the shared parameters: middle; they are first, last"):
        GradNorm(parameters=["middle"])(step_of(NORMS_5_AND_1))


def test_gradnorm_weights_never_become_negative(step_of):
    weighting = GradNorm(rate=10.0)
    for _ in range(5):
        weighting(step_of(NORMS_5_AND_1))
        assert (weighting.weights >= 0).all()
        _close(weighting.weights.sum(), 2.0)


# --- gradient cosine ----------------------------------------------------------------------------------------------------


def test_gradient_cosine_worked_by_hand(step_of):
    """Cosines with (1, 0): of (1, 1) 1/sqrt 2, of (-1, 5) negative, of (0, 2) exactly 0, of the zero gradient 0."""
    gradients = [[1.0, 0.0], [1.0, 1.0], [-1.0, 5.0], [0.0, 2.0], [0.0, 0.0]]
    _close(GradientCosine()(step_of(gradients)), [1, 1, 0, 0, 0], 0)
    assert not GradientCosine.weight_heads
    _close(GradientCosine(weighted=True)(step_of(gradients)), [1, 0.707107, 0, 0, 0])
    _close(GradientCosine(weighted=True, main=1)(step_of(gradients)), [0.707107, 1, 4 / math.sqrt(52), 0.707107, 0])


@given(seeds, st.booleans())
def test_gradient_cosine_drops_a_task_if_and_only_if_it_conflicts_and_never_opposes_the_main_one(step_of, seed, weighted):
    gradients = _random(seed, 4, 3)
    weights = GradientCosine(weighted)(step_of(gradients))
    cosines = torch.nn.functional.cosine_similarity(gradients, gradients[:1])
    assert torch.equal(weights[1:] == 0, cosines[1:] <= 0)
    if weighted:
        torch.testing.assert_close(weights[1:], cosines[1:].clamp_min(0))
    main = gradients[0]
    assert _combined(weights, gradients) @ main >= main @ main - 1e-9
    units = _random(seed + 1, 4).abs() + 0.01
    torch.testing.assert_close(GradientCosine(weighted)(step_of(gradients * units[:, None])), weights)


# --- OL-AUX -------------------------------------------------------------------------------------------------------------


def test_ol_aux_worked_by_hand(step_of):
    """N = 2, products 2 and then -6: third weight 1 + 0.1 · (2 - 6) / 2 = 0.8; with step size 1 it is max(0, -1)."""
    for step_size, wanted in ((0.1, 0.8), (1.0, 0.0)):
        weighting = OLAux(step_size, every=2)
        for gradients in ([[1.0, 0.0], [2.0, 7.0]], [[2.0, 0.0], [-3.0, 1.0]]):
            _close(weighting(step_of(gradients)), [1.0, 1.0], 0)
        _close(weighting(step_of(NORMS_5_AND_1)), [1.0, wanted])
        _close(weighting(step_of(NORMS_5_AND_1)), [1.0, wanted])
        _close(weighting(step_of(NORMS_5_AND_1)), [1.0, wanted + step_size * 4])  # <(3, 4), (0, 1)> = 4, twice


@given(seeds, st.integers(1, 7))
def test_ol_aux_raises_a_weight_if_and_only_if_the_mean_product_is_positive(step_of, seed, every):
    weighting = OLAux(0.01, every=every, main=1)
    each = [_random(seed + i, 3, 4) for i in range(every)]
    for gradients in each:
        weighting(step_of(gradients))
    mean = torch.stack([gradients @ gradients[1] for gradients in each]).mean(0)
    moved = weighting.weights - 1
    assert moved[1] == 0
    assert torch.equal(moved[[0, 2]] > 0, mean[[0, 2]] > 0)


def test_ol_aux_goes_down_the_main_loss_after_an_update_to_first_order(step_of):
    """d L_main(theta - eta (g_main + w g_aux)) / dw = -eta <g_main, g_aux> as eta -> 0, of a loss that is not linear."""
    theta, eta = _random(0, 4), 1e-6
    main = lambda t: (t**2).sum() + t.prod()
    g_main = torch.func.grad(main)(theta)
    g_aux = _random(1, 4)
    slope = torch.func.grad(lambda w: main(theta - eta * (g_main + w * g_aux)))(torch.tensor(1.0, dtype=torch.float64))
    weighting = OLAux(step_size=1e-3, every=1)
    weighting(step_of(torch.stack([g_main, g_aux])))
    torch.testing.assert_close(weighting.weights[1] - 1, -1e-3 * slope / eta, rtol=1e-4, atol=0)


# --- TorchJD ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torchjd():
    return pytest.importorskip("torchjd", reason="the extra torchjd is not installed")


CONFLICT = [[1.0, 0.0], [-1.0, 1.0]]


def _radius(rule):
    return {"c": 0.4} if rule == "CAGrad" else {}


@pytest.mark.parametrize(
    ("rule", "gradients", "wanted"),
    [
        # g_0 + g_1 / 2 and g_1 + g_0: each without its part along the other.
        ("PCGrad", CONFLICT, [2.0, 1.5]),
        # |a g_0 + (1 - a) g_1|² = 5 a² - 6 a + 2 is least at a = 0.6.
        ("MGDA", CONFLICT, [0.6, 0.4]),
        # The mean of the two projections, which for two tasks are PCGrad's.
        ("UPGrad", CONFLICT, [1.0, 0.75]),
        # Orthogonal units: d = g_0 + c |g_0| g_w / |g_w| with mean gradient and g_w both (1/2, 1/2): 1/2 + 0.4 / 2 each.
        ("CAGrad", [[1.0, 0.0], [0.0, 1.0]], [0.7, 0.7]),
        # Equal projections on (1, 0) and (0, 1): w_0 = 2 w_1, and they sum to 1.
        ("IMTLG", [[1.0, 0.0], [0.0, 2.0]], [2 / 3, 1 / 3]),
    ],
)
def test_aggregations_worked_by_hand(torchjd, step_of, rule, gradients, wanted):
    # TorchJD regularises the Gramian of upgrad by 1e-4 of its trace.
    _close(Aggregation(rule, **_radius(rule))(step_of(gradients)), wanted, 1e-3)
    assert not Aggregation.weight_heads


@given(seeds)
def test_pcgrad_and_upgrad_of_two_tasks_conflict_with_neither(torchjd, step_of, seed):
    gradients = _random(seed, 2, 4)
    for rule in ("PCGrad", "UPGrad"):
        assert (gradients @ _combined(Aggregation(rule)(step_of(gradients)), gradients) >= -2e-3).all()


@given(seeds)
def test_upgrad_of_four_tasks_conflicts_with_none(torchjd, step_of, seed):
    gradients = _random(seed, 4, 6)
    combined = _combined(Aggregation("UPGrad")(step_of(gradients)), gradients)
    assert (gradients @ combined >= -1e-2 * gradients.norm(dim=-1).square().max()).all()


@given(seeds)
def test_mgda_is_the_shortest_convex_combination(torchjd, step_of, seed):
    """Two tasks, in closed form: a = clip(<g_1 - g_0, g_1> / |g_1 - g_0|², 0, 1)."""
    gradients = _random(seed, 2, 4)
    difference = gradients[1] - gradients[0]
    a = float((difference @ gradients[1] / (difference @ difference)).clamp(0, 1))
    _close(Aggregation("MGDA")(step_of(gradients)), [a, 1 - a], 1e-9)


@given(seeds)
def test_mgda_of_three_tasks_is_shorter_than_any_combination_drawn(torchjd, step_of, seed):
    gradients = _random(seed, 3, 4)
    weights = Aggregation("MGDA")(step_of(gradients))
    _close(weights.sum(), 1.0, 1e-9)
    others = _random(seed + 1, 200, 3).softmax(-1)
    length = _combined(weights, gradients).norm()
    assert length <= (others @ gradients).norm(dim=-1).min() + 0.05 * gradients.norm(dim=-1).max()


@given(seeds, st.floats(0.0, 0.95))
def test_cagrad_stays_in_its_ball_and_raises_the_worst_task(torchjd, step_of, seed, c):
    gradients = _random(seed, 3, 5)
    mean = gradients.mean(0)
    combined = _combined(Aggregation("CAGrad", c=c)(step_of(gradients)), gradients)
    assert (combined - mean).norm() <= c * mean.norm() + 1e-2
    assert (gradients @ combined).min() >= (gradients @ mean).min() - 1e-2


def test_pcgrad_of_three_tasks_draws_its_order_from_the_generator_alone(torchjd, step_of):
    steps = [step_of(_random(s, 3, 3)) for s in range(12)]
    first, again, other = ([Aggregation("PCGrad", generators=generator(s))(step) for step in steps] for s in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(first, other, strict=True))
    with pytest.raises(BadValue, match="one generator per run: got 0 for 1 runs"):
        Aggregation("PCGrad")(steps[0])


def test_a_diverged_run_leaves_the_aggregation_of_the_others_alone(torchjd, step_of):
    for rule in ("PCGrad", "MGDA", "CAGrad", "UPGrad", "IMTLG"):
        gradients = torch.tensor([CONFLICT, [[math.nan, 1.0], [0.0, 1.0]]])
        weights = Aggregation(rule, **_radius(rule))(step_of(gradients))
        assert weights[1].isnan().all()
        _close(weights[0], Aggregation(rule, **_radius(rule))(step_of(CONFLICT)), 1e-9)


def test_without_torchjd_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchjd.aggregation", None)
    with pytest.raises(
        MtlreproError, match=r'MGDAWeighting needs TorchJD and its solvers: python -m pip install -e "\.\[torchjd\]"'
    ) as caught:
        Aggregation("MGDA")
    assert "\n" not in str(caught.value)


def test_an_unknown_rule_and_a_radius_in_the_wrong_place_are_refused(torchjd):
    with pytest.raises(UnknownName, match="did you mean 'PCGradWeighting'"):
        Aggregation("PCGard")
    for rule, options in (("CAGrad", {}), ("MGDA", {"c": 0.4})):
        with pytest.raises(BadValue, match="c is the radius of CAGrad"):
            Aggregation(rule, **options)
    with pytest.raises(BadValue, match="c must be between 0 and inf"):
        Aggregation("CAGrad", c=-1.0)


@given(seeds)
def test_imtl_g_projects_equally_on_every_task(torchjd, step_of, seed):
    gradients = _random(seed, 3, 5)
    weights = Aggregation("IMTLG")(step_of(gradients))
    _close(weights.sum(), 1.0, 1e-9)
    along = gradients @ _combined(weights, gradients) / gradients.norm(dim=-1)
    _close(along / along.mean(), [1.0, 1.0, 1.0], 1e-6)
