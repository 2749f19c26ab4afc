"""Laws of HydaLearn: weights from gains, a hand-worked step of Algorithm 1, batches of runs, first-order gains, own models."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from mtlrepro.device import generator, seeded
from mtlrepro.errors import BadValue
from mtlrepro.methods.hydalearn import HydaLearn, gain_weights, hydalearn_weights
from mtlrepro.methods.scale_matched import ScaleMatched
from mtlrepro.methods.static import Static
from mtlrepro.models.shared_bottom import SharedBottom
from mtlrepro.models.stacked_mlp import StackedMLP
from mtlrepro.training import Batch, RunwiseSGD
from mtlrepro.training.loop import train_step
from mtlrepro.training.metrics import Auroc, accuracy, auroc, mean_absolute_error, mean_squared_error, measured_on
from mtlrepro.training.weighting import Equal, Step, Weighting

RUNS, D, N, POINTS, RATE = 3, 4, 8, 40, 0.05

gains = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda g: g == 0 or abs(g) > 1e-9)
positive = st.floats(1e-6, 1e6)
betas = st.floats(0.0, 8.0)


# ---------------------------------------------------------------------------------------------------------------------
# Weights from gains
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("main", "aux", "beta", "downscale", "expected"),
    [
        (3.0, 1.0, 1.0, True, (1.5, 0.5)),
        (2.0, 1.0, 2.0, True, (1.6, 0.4)),
        (1.0, -5.0, 3.0, True, (2.0, 0.0)),
        (-1.0, 5.0, 3.0, True, (0.0, 2.0)),
        (-3.0, -1.0, 1.0, False, (1.5, 0.5)),
        # W' = 2 / (1 + exp(-1/3)) = 1.16514...
        (-3.0, -1.0, 1.0, True, (0.75 * 2 / (1 + math.exp(-1 / 3)), 0.25 * 2 / (1 + math.exp(-1 / 3)))),
        (0.0, 0.0, 6.0, True, (1.0, 1.0)),
        (0.0, -1.0, 6.0, True, (2.0, 0.0)),
        (0.0, 1.0, 6.0, True, (0.0, 2.0)),
        (1e300, 1e-300, 50.0, True, (2.0, 0.0)),
        (-1e-300, -1e300, 50.0, True, (0.0, 2.0)),
    ],
)
def test_weights_of_hand_worked_gains(main, aux, beta, downscale, expected):
    actual = hydalearn_weights(main, aux, 2.0, beta, downscale)
    assert [float(w) for w in actual] == pytest.approx(expected, rel=1e-12)


@given(gains, gains, positive, betas, st.booleans())
def test_weights_are_not_negative_and_sum_to_the_total_or_what_eq_4_leaves_of_it(main, aux, total, beta, downscale):
    w_main, w_aux = (float(w) for w in hydalearn_weights(main, aux, total, beta, downscale))
    assert w_main >= 0
    assert w_aux >= 0
    expected = total
    if downscale and main < 0 and aux < 0:
        expected = total / (1 + (math.exp(-w_aux / w_main) if w_main > 0 else 0))
        assert total / 2 <= expected <= total
    assert w_main + w_aux == pytest.approx(expected, rel=1e-9)


@given(gains, gains, positive, betas)
def test_only_the_ratio_of_gains_counts(main, aux, scale, beta):
    plain, scaled = (hydalearn_weights(s * main, s * aux, 2.0, beta) for s in (1.0, scale))
    assert [float(w) for w in plain] == pytest.approx([float(w) for w in scaled], rel=1e-8, abs=1e-12)


@given(gains, gains, betas)
def test_exchanged_gains_exchange_the_weights_but_for_eq_4(a, b, beta):
    one, other = hydalearn_weights(a, b, 2.0, beta, downscale=False), hydalearn_weights(b, a, 2.0, beta, downscale=False)
    assert [float(w) for w in one] == pytest.approx([float(w) for w in reversed(other)], rel=1e-12, abs=1e-12)


@given(positive, positive, positive, betas)
def test_a_larger_gain_never_gets_less_weight(main, more, aux, beta):
    before, after = (hydalearn_weights(m, aux, 2.0, beta) for m in (main, main + more))
    assert float(after[0]) >= float(before[0]) - 1e-12


@given(st.lists(gains, min_size=2, max_size=5), betas)
def test_several_auxiliary_tasks_share_as_two_do(values, beta):
    """Our extension: pairs of tasks with positive weight keep the paper's ratio, and the total is W or eq. 4's."""
    weights = gain_weights(torch.tensor(values, dtype=torch.float64), 2.0, beta, downscale=False)
    assert float(weights.sum()) == pytest.approx(2.0)
    if max(values) > 0:
        assert all(w == 0 for w, g in zip(weights.tolist(), values, strict=True) if g <= 0)
    for (w, g), (v, h) in itertools.combinations(zip(weights.tolist(), values, strict=True), 2):
        if min(w, v) > 1e-9 and g != 0:
            assert w / v == pytest.approx((g / h) ** beta, rel=1e-6)


def test_weights_of_a_batch_are_those_of_each_run():
    main, aux = torch.tensor([3.0, -1.0, -2.0]), torch.tensor([1.0, 2.0, -1.0])
    total, beta = torch.tensor([2.0, 1.0, 3.0]), torch.tensor([1.0, 3.0, 2.0])
    together = torch.stack(hydalearn_weights(main, aux, total, beta))
    for run in range(3):
        alone = torch.stack(hydalearn_weights(main[run], aux[run], float(total[run]), float(beta[run])))
        torch.testing.assert_close(together[:, run], alone)


def test_a_gain_that_is_no_number_gets_no_weight():
    assert gain_weights(torch.tensor([torch.nan, -1.0, 2.0]), 2.0).tolist() == [0.0, 0.0, 2.0]
    assert gain_weights(torch.tensor([torch.nan, torch.nan]), 2.0).isnan().all()


# ---------------------------------------------------------------------------------------------------------------------
# One step of Algorithm 1
# ---------------------------------------------------------------------------------------------------------------------


class _Scalars(nn.Module):
    """Predictions of task i: a_i b x."""

    def __init__(self):
        super().__init__()
        self.b = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
        self.a = nn.ParameterList([torch.tensor(v, dtype=torch.float64) for v in (1.0, 2.0)])

    def forward(self, x, task=None):
        return [a * self.b * x for a in self.a] if task is None else self.a[task] * self.b * x

    def shared_parameters(self):
        return [self.b]


def _halves(call, batch):
    """Half the squared error of either task."""
    return torch.stack([(f - y).square().mean() / 2 for f, y in zip(call(batch.inputs), batch.targets, strict=True)])


def _hand_worked(**settings):
    """b = 1, a = (1, 2); one sample x = 1 with targets 2 and 3; metric: absolute error at x = 1 with target 1.75.

    Errors a_i b x - y_i are -1 and -1. Gradients in b are a_i times those, g = (-1, -2); in a_i they are b times those, -1.
    With rate 0.1 the heads move to (1.1, 2.1). The metric there is |1.1 b - 1.75|: 0.65 at b = 1. Normalised, either fake update
    leads to b = 1.1: |1.21 - 1.75| = 0.54, both gains 0.11. Raw, they lead to 1.1 and 1.2: |1.32 - 1.75| = 0.43, gains 0.11 and
    0.22.
    """
    model, y = _Scalars(), torch.tensor([1.75], dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    weighting = HydaLearn(lambda call: (call(one, 0) - y).abs().mean(), maximise=False, **settings)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    _, weights = train_step(model, Batch(one, [2 * one, 3 * one]), _halves, optimizer, weighting)
    return weighting, weights.tolist(), [float(p.detach()) for p in (model.b, *model.a)]


def test_a_hand_worked_step_of_algorithm_1():
    weighting, weights, parameters = _hand_worked()
    assert weighting.gains.tolist() == pytest.approx([0.11, 0.11])
    assert weights == pytest.approx([1.0, 1.0])
    # b moves by 0.1 (1 x 1 + 1 x 2): the real update takes the gradients as they are.
    assert parameters == pytest.approx([1.3, 1.1, 2.1])


def test_a_hand_worked_step_with_raw_fake_gradients_and_beta():
    weighting, weights, parameters = _hand_worked(normalise=False, beta=2.0, total=5.0)
    assert weighting.gains.tolist() == pytest.approx([0.11, 0.22])
    assert weights == pytest.approx([1.0, 4.0])
    assert parameters == pytest.approx([1.0 + 0.1 * (1 + 4 * 2), 1.1, 2.1])


def test_a_hand_worked_step_with_the_carried_reference():
    """The first reference is the metric before the heads move, |1 - 1.75|; the next is the better fake update's value."""
    weighting, _, _ = _hand_worked(carried=True, normalise=False)
    assert weighting.gains.tolist() == pytest.approx([0.75 - 0.54, 0.75 - 0.43])
    assert float(weighting._reference) == pytest.approx(0.43)


def test_hand_worked_first_order_gains():
    """d|1.1 b - 1.75| / db = -1.1; unit gradients are -1: gains 0.1 x 1.1. The metric is linear here: the measured ones agree."""
    weighting, _, _ = _hand_worked(first_order=True)
    assert weighting.gains.tolist() == pytest.approx([0.11, 0.11])


# ---------------------------------------------------------------------------------------------------------------------
# Batches of runs
# ---------------------------------------------------------------------------------------------------------------------


def _model(seeds, tasks=2):
    return StackedMLP(D, [16, 12], [8], [2] * tasks, [generator(s, "model") for s in seeds], dtype=torch.float64)


def _samples(seeds, n, name, tasks=2):
    def normal(kind, outputs):
        return torch.stack([torch.randn(n, outputs, generator=generator(s, name, kind), dtype=torch.float64) for s in seeds])

    return Batch(normal("x", D), [normal(f"y{t}", 2) for t in range(tasks)])


def _squared(call, batch):
    return torch.stack([mean_squared_error(f, y) for f, y in zip(call(batch.inputs), batch.targets, strict=True)], -1)


def _metric(seeds, score=mean_absolute_error):
    held = _samples(seeds, POINTS, "validation")
    return lambda call: score(call(held.inputs, 0), held.targets[0])


def _trained(seeds, weighting, rates, steps=6, tasks=2, optimizer=RunwiseSGD):
    model = _model(seeds, tasks)
    descent, weights = optimizer(model.parameters(), lr=rates), []
    for step in range(steps):
        weights.append(train_step(model, _samples(seeds, N, f"batch {step}", tasks), _squared, descent, weighting)[1])
    return model, torch.stack(weights)


SETTINGS = [
    {},
    {"normalise": False},
    {"downscale": False},
    {"carried": True},
    {"first_order": True},
    {"first_order": True, "refresh": 3, "normalise": False},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("matched", [False, True])
def test_a_batch_of_runs_equals_each_run_alone(settings, matched):
    rates, betas = torch.tensor([0.02, 0.05, 0.1], dtype=torch.float64), torch.tensor([1.0, 3.0, 6.0], dtype=torch.float64)
    seeds = list(range(RUNS))

    def weighting_of(seeds, beta):
        inner = HydaLearn(_metric(seeds), maximise=False, beta=beta, **settings)
        return ScaleMatched(inner) if matched else inner

    together, weights = _trained(seeds, weighting_of(seeds, betas), rates)
    for run in seeds:
        alone, own = _trained([run], weighting_of([run], float(betas[run])), float(rates[run]), optimizer=torch.optim.SGD)
        torch.testing.assert_close(weights[:, run], own[:, 0], rtol=0, atol=1e-9)
        for a, b in zip(together.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(a[run], b[0], rtol=0, atol=1e-10)


def _plain(seed, steps, normalise, downscale):
    """Algorithm 1 written out for one run, the model's parameters as plain tensors."""
    model, metric, beta, total = _model([seed]), _metric([seed]), 3.0, 2.0
    shared, cases = list(model.shared_parameters()), set()
    for step in range(steps):
        each = _squared(model, _samples([seed], N, f"batch {step}"))[0]
        main, aux = (torch.autograd.grad(each[t], shared, retain_graph=True) for t in range(2))
        heads = [list(head.parameters()) for head in model.heads]
        own = [torch.autograd.grad(each[t], heads[t], retain_graph=True) for t in range(2)]
        with torch.no_grad():
            for p, g in zip(heads[0] + heads[1], own[0] + own[1], strict=True):
                p -= RATE * g
            start, actual = [p.clone() for p in shared], [float(metric(model))]
            for gradients in (main, aux):
                norm = math.sqrt(sum(float((g**2).sum()) for g in gradients)) if normalise else 1.0
                for p, before, g in zip(shared, start, gradients, strict=True):
                    p.copy_(before - RATE * g / norm)
                actual.append(float(metric(model)))
            gain = [actual[0] - value for value in actual[1:]]
            cases.add((gain[0] > 0, gain[1] > 0))
            if gain[0] * gain[1] > 0:
                ratio = (gain[0] / gain[1]) ** beta
                whole = total / (1 + math.exp(-1 / ratio)) if downscale and gain[0] < 0 else total
                weights = whole * ratio / (1 + ratio), whole / (1 + ratio)
            else:
                weights = (total, 0.0) if gain[0] > 0 else (0.0, total)
            for p, before, g, h in zip(shared, start, main, aux, strict=True):
                p.copy_(before - RATE * (weights[0] * g + weights[1] * h))
    return model, cases


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("downscale", [True, False])
def test_several_steps_equal_those_of_the_algorithm_written_out(normalise, downscale):
    cases = set()
    for seed in range(4):
        plain, seen = _plain(seed, 10, normalise, downscale)
        weighting = HydaLearn(_metric([seed]), maximise=False, beta=3.0, normalise=normalise, downscale=downscale)
        ours, _ = _trained([seed], weighting, torch.tensor([RATE], dtype=torch.float64), steps=10)
        cases |= seen
        for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
    assert len(cases) == 4, "the steps should meet every pair of signs"


def test_first_order_gains_are_what_measured_ones_tend_to():
    """Law: with a smooth metric, the relative difference of the gains shrinks in proportion to the step size, and the weights
    agree in the end. Heads move by the same step size in both."""
    seeds, gaps = list(range(RUNS)), []
    for rate in (1e-2, 1e-3, 1e-4):
        actual = []
        for first_order in (False, True):
            model = _model(seeds)
            weighting = HydaLearn(_metric(seeds, mean_squared_error), maximise=False, rate=rate, first_order=first_order)
            optimizer = RunwiseSGD(model.parameters(), lr=torch.ones(RUNS))
            train_step(model, _samples(seeds, N, "batch"), _squared, optimizer, weighting)
            actual.append(weighting)
        measured, slope = actual
        gaps.append(float(((measured.gains - slope.gains) / slope.gains).abs().max()))
    for wide, narrow in itertools.pairwise(gaps):
        assert 5 < wide / narrow < 20
    torch.testing.assert_close(measured.weights, slope.weights, rtol=0, atol=4 * gaps[-1])
    assert gaps[-1] < 1e-2


def test_the_optimizers_rate_is_the_size_of_the_fake_updates():
    rates = torch.tensor([0.02, 0.05, 0.1], dtype=torch.float64)
    seeds = list(range(RUNS))
    given_, _ = _trained(seeds, HydaLearn(_metric(seeds), maximise=False, rate=rates), rates)
    taken, _ = _trained(seeds, HydaLearn(_metric(seeds), maximise=False), rates)
    assert all(torch.equal(a, b) for a, b in zip(given_.parameters(), taken.parameters(), strict=True))


def test_larger_is_better_and_smaller_is_better_are_one_rule():
    seeds, rates = [0], torch.tensor([RATE], dtype=torch.float64)
    for settings in ({}, {"carried": True}, {"first_order": True}):
        metric = _metric(seeds)
        _, down = _trained(seeds, HydaLearn(metric, maximise=False, **settings), rates)
        _, up = _trained(seeds, HydaLearn(lambda call, metric=metric: -metric(call), **settings), rates)
        torch.testing.assert_close(down, up)


def test_three_tasks_train_and_their_weights_sum_to_the_total():
    seeds = list(range(RUNS))
    weighting = HydaLearn(_metric(seeds), maximise=False, downscale=False)
    _, weights = _trained(seeds, weighting, torch.full((RUNS,), RATE, dtype=torch.float64), tasks=3)
    torch.testing.assert_close(weights.sum(-1), torch.full((6, RUNS), 2.0, dtype=torch.float64))
    assert weighting.gains.shape == (RUNS, 3)


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_step_reads_no_tensor_on_the_host(settings, no_host_reads):
    seeds = list(range(RUNS))
    weighting = ScaleMatched(HydaLearn(_metric(seeds), maximise=False, **settings))
    with no_host_reads():
        _trained(seeds, weighting, torch.full((RUNS,), RATE, dtype=torch.float64), steps=2)


# ---------------------------------------------------------------------------------------------------------------------
# The step's gradients and the update
# ---------------------------------------------------------------------------------------------------------------------


class _Looking(Weighting):
    """Fixed weights that ask for the gradients (or do not)."""

    def __init__(self, weights, weight_heads, look):
        self.weights, self.weight_heads, self.look = weights, weight_heads, look

    def __call__(self, step: Step):
        if self.look:
            assert step.gradients
        return self.weights.expand_as(step.losses)


@pytest.mark.parametrize("weight_heads", [True, False])
def test_gradients_taken_by_a_weighting_serve_the_update(weight_heads):
    """Law: the same parameters, to 1e-12, as one backward pass of the weighted loss."""
    seeds, weights = list(range(RUNS)), torch.tensor([[1.5, 0.5], [0.2, 1.8], [1.0, 0.0]], dtype=torch.float64)
    rates = torch.full((RUNS,), RATE, dtype=torch.float64)
    taken, _ = _trained(seeds, _Looking(weights, weight_heads, True), rates)
    model = _model(seeds)
    for step in range(6):
        actual = _squared(model, _samples(seeds, N, f"batch {step}"))
        model.zero_grad()
        (weights * actual).sum().backward(retain_graph=True)
        if not weight_heads:
            own = [p for head in model.heads for p in head.parameters()]
            for p, g in zip(own, torch.autograd.grad(actual.sum(), own), strict=True):
                p.grad = g
        with torch.no_grad():
            for p in model.parameters():
                p -= RATE * p.grad
    for a, b in zip(taken.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_a_look_ahead_leaves_buffers_modes_and_random_streams_as_they_are():
    with seeded(0):
        bottom = nn.Sequential(nn.Linear(D, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
        model = SharedBottom(bottom, [nn.Linear(3, 2), nn.Linear(3, 2)])
    bottom[1].eval()
    x, before = torch.randn(8, D, generator=generator(0)), {n: b.clone() for n, b in model.state_dict().items()}
    shared = {name: p for name, p in model.named_parameters() if name.startswith("bottom")}
    seen = []

    def evaluate(call):
        seen.append(call(x, 0))
        assert not model.training
        return seen[-1].mean()

    with torch.no_grad():
        step = Step(torch.zeros(2), model, shared, Batch(x, None), _squared, evaluate)
        actual = step.look_ahead({n: torch.stack([torch.zeros_like(p), p]) for n, p in shared.items()}, reference=True)
    assert torch.equal(actual[0], actual[1])
    assert not torch.equal(actual[0], actual[2])
    assert model.training
    assert bottom[2].training
    assert not bottom[1].training
    assert all(torch.equal(before[n], b) for n, b in model.state_dict().items())
    assert all(p is dict(model.named_parameters())[n] for n, p in shared.items())


def test_an_error_in_the_metric_leaves_the_model_as_it_is():
    model = _model([0])
    before = dict(model.named_parameters())

    def broken(call):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train_step(model, _samples([0], N, "b"), _squared, torch.optim.SGD(model.parameters(), lr=0.1), HydaLearn(broken))
    assert all(p is before[name] for name, p in model.named_parameters())
    assert model.training


# ---------------------------------------------------------------------------------------------------------------------
# Scale matching
# ---------------------------------------------------------------------------------------------------------------------


class _Seen(Weighting):
    """Weights 1; keeps what the step offers."""

    def __call__(self, step: Step):
        self.losses, self.jacobian = step.losses, step.jacobian
        self.ahead = step.look_ahead({name: torch.zeros_like(p)[None] for name, p in step.shared.items()})[0]
        return torch.ones_like(step.losses)


def test_a_matched_weighting_sees_gradients_of_one_norm_and_the_update_follows_them():
    seeds, seen = list(range(RUNS)), _Seen()
    model, batch = _model(seeds), _samples(seeds, N, "batch")
    plain = _squared(model, batch)
    gradients = [torch.autograd.grad(plain[:, t].sum(), model.shared_parameters(), retain_graph=True) for t in range(2)]
    before = [p.detach().clone() for p in model.shared_parameters()]
    matched = ScaleMatched(seen)
    train_step(model, batch, _squared, RunwiseSGD(model.parameters(), lr=torch.ones(RUNS)), matched)
    norms = seen.jacobian.norm(dim=-1)
    torch.testing.assert_close(norms[:, 1], norms[:, 0])
    torch.testing.assert_close(seen.losses, plain * matched.factors)
    torch.testing.assert_close(seen.ahead, seen.losses.detach())
    for p, old, main, aux in zip(model.shared_parameters(), before, *gradients, strict=True):
        torch.testing.assert_close(p.detach(), old - main - matched.factors[:, 1, None, None] * aux)


@given(st.floats(1e-3, 1e3))
def test_the_unit_of_an_auxiliary_loss_does_not_matter_once_matched(scale):
    """Law for any weighting: multiplying the auxiliary loss by a constant changes no shared parameter."""

    def scaled(call, batch):
        return _squared(call, batch) * torch.tensor([1.0, scale], dtype=torch.float64)

    moved = []
    for losses in (_squared, scaled):
        model = _model([0])
        weighting = ScaleMatched(Static([1.5, 0.5]))
        train_step(model, _samples([0], N, "batch"), losses, torch.optim.SGD(model.parameters(), lr=0.1), weighting)
        moved.append(model.shared_parameters())
    for a, b in zip(*moved, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dead", [0, 1])
def test_a_task_without_gradient_makes_no_nan(dead):
    seeds = [0, 1]

    def partly(call, batch):
        keep = torch.ones(2, dtype=torch.float64)
        keep[dead] = 0
        return _squared(call, batch) * keep

    for weighting in (ScaleMatched(Equal()), ScaleMatched(HydaLearn(_metric(seeds))), HydaLearn(_metric(seeds))):
        model = _model(seeds)
        rates = torch.full((2,), RATE, dtype=torch.float64)
        train_step(model, _samples(seeds, N, "b"), partly, RunwiseSGD(model.parameters(), lr=rates), weighting)
        assert all(p.isfinite().all() for p in model.parameters())


# ---------------------------------------------------------------------------------------------------------------------
# Metrics
# ---------------------------------------------------------------------------------------------------------------------


@given(st.integers(2, 60), st.integers(1, 5), st.integers(0, 999))
def test_auroc_is_scikit_learns_also_with_ties(n, levels, seed):
    drawn = generator(seed)
    scores = torch.randint(levels, (3, n), generator=drawn).float() / 7
    labels = torch.randint(2, (3, n), generator=drawn)
    labels[:, :2] = torch.tensor([0, 1])
    expected = [roc_auc_score(y, s) for y, s in zip(labels.numpy(), scores.numpy(), strict=True)]
    assert auroc(scores, labels).tolist() == pytest.approx(expected, abs=1e-12)


@given(st.integers(2, 60), st.integers(1, 5), st.integers(0, 999))
def test_auroc_against_fixed_labels_is_auroc(n, levels, seed):
    drawn = generator(seed)
    scores = torch.randint(levels, (4, n), generator=drawn).float() / 7
    scores = torch.where(scores == levels - 1, torch.inf, scores)
    scores[3, 0] = torch.nan
    labels = torch.randint(2, (4, n), generator=drawn)
    torch.testing.assert_close(Auroc(labels)(scores), auroc(scores, labels).float(), equal_nan=True)


def test_auroc_of_one_class_or_of_no_number_is_nan():
    scores = torch.tensor([[0.1, 0.2], [0.1, torch.nan]])
    assert auroc(scores, torch.tensor([[1, 1], [0, 1]])).isnan().all()


def test_hydalearn_takes_auroc_which_has_no_gradient():
    seeds = list(range(RUNS))
    held = _samples(seeds, POINTS, "validation")
    labels = held.targets[0][..., 0] > 0

    def metric(call):
        return auroc(call(held.inputs, 0)[..., 0], labels)

    _, weights = _trained(seeds, HydaLearn(metric, normalise=False, downscale=False), torch.full((RUNS,), 0.5).double())
    torch.testing.assert_close(weights.sum(-1), torch.full((6, RUNS), 2.0, dtype=torch.float64))
    with pytest.raises(BadValue, match="has a gradient"):
        _trained(seeds, HydaLearn(metric, first_order=True), torch.full((RUNS,), RATE))


def test_accuracy_counts_the_largest_logit():
    logits = torch.tensor([[[1.0, 2.0], [3.0, 0.0]], [[1.0, 2.0], [0.0, 1.0]]])
    assert accuracy(logits, torch.tensor([[1, 1], [1, 1]])).tolist() == [0.5, 1.0]


def test_a_metric_on_a_part_of_the_data_sees_that_part_alone():
    x, y = torch.arange(10.0)[:, None], torch.zeros(10, 1)
    data = [(x[:4], y[:4], y[:4]), (x[4:], y[4:], y[4:])]
    assert float(measured_on(data, mean_absolute_error)(lambda inputs, task: inputs)) == pytest.approx(4.5)
    assert float(measured_on(data, mean_absolute_error, task=1, points=3)(lambda inputs, task: inputs)) == pytest.approx(1.0)
    with pytest.raises(BadValue, match="none was given"):
        measured_on([], mean_absolute_error)


# ---------------------------------------------------------------------------------------------------------------------
# Own models and loaders; refusals
# ---------------------------------------------------------------------------------------------------------------------

SNIPPET = Path(__file__).parents[2] / "book" / "snippets" / "hydalearn_own_model.py"


def _loaders():
    """Two related tasks, a yes-no label and a number, with 5 inputs."""
    drawn = generator(0, "own")
    x = torch.randn(400, 5, generator=drawn)
    signal = x @ torch.tensor([1.0, -1.0, 0.5, 0.0, 0.0])
    noise = torch.randn(2, 400, generator=drawn)
    yes, number = (signal + noise[0] > 0).float(), signal + noise[1]
    training, validation = ((x[rows], yes[rows], number[rows]) for rows in (slice(300), slice(300, None)))
    return (
        DataLoader(TensorDataset(*training), batch_size=16, shuffle=True, generator=generator(1)),
        DataLoader(TensorDataset(*validation), batch_size=64, generator=generator(2)),
    )


def test_an_own_model_with_own_loaders_learns_in_under_ten_lines():
    """The page's snippet as it stands, imports included, and validation AUROC above 0.8."""
    lines = [line for line in SNIPPET.read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) < 10
    with seeded(0):
        bottom = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU())
        model = SharedBottom(bottom, [nn.Sequential(nn.Linear(16, 1), nn.Flatten(0)) for _ in range(2)])
    training_loader, validation_loader = _loaders()
    known = {"torch": torch, "nn": nn, "model": model}
    known |= {"training_loader": training_loader, "validation_loader": validation_loader}
    exec(compile(SNIPPET.read_text(), str(SNIPPET), "exec"), known)
    with torch.no_grad():
        model.eval()
        assert float(known["metric"](model)) > 0.8


def test_what_cannot_be_is_refused():
    for settings, match in (
        ({"refresh": 0}, "at least 1"),
        ({"refresh": 2}, "first_order"),
        ({"first_order": True, "carried": True}, "carry over"),
    ):
        with pytest.raises(BadValue, match=match):
            HydaLearn(**settings)
    step = Step(torch.zeros(1), _model([0]), {}, Batch(None, None, task=1), _squared)
    for weighting in (HydaLearn(), ScaleMatched(Equal())):
        with pytest.raises(BadValue, match="every task"):
            weighting(step)
    with pytest.raises(BadValue, match="learning rate"):
        HydaLearn()(Step(torch.zeros(2), _model([0]), {}, Batch(None, None), _squared))
    with pytest.raises(TypeError, match="abstract"):
        Weighting()


@given(st.lists(st.floats(-10, -1e-3), min_size=2, max_size=2), st.floats(0.5, 6))
def test_inverted_the_task_that_hurts_more_gets_the_smaller_weight_and_printed_the_larger(gains, beta):
    """Both sum alike to W'; where a gain is not negative, nothing is inverted."""
    gains = torch.tensor(gains, dtype=torch.float64)
    printed = gain_weights(gains, 2.0, beta, downscale=False)
    inverted = gain_weights(gains, 2.0, beta, downscale=False, invert_negative=True)
    assert torch.allclose(inverted, printed.flip(-1))
    worse = int(gains.argmin())
    assert printed[worse] >= printed[1 - worse]
    assert inverted[worse] <= inverted[1 - worse]
    mixed = gains * torch.tensor([-1.0, 1.0])
    assert torch.equal(gain_weights(mixed, 2.0, beta), gain_weights(mixed, 2.0, beta, invert_negative=True))
