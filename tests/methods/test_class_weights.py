"""Laws of the class-wise weights: both forms against plain loops."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mtlrepro.device import generator, seeded
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.methods import class_weights as cw
from mtlrepro.models.shared_bottom import SharedBottom
from mtlrepro.training.loop import train_step
from mtlrepro.training.weighting import Batch

D = torch.float64


def by_hand(main, auxiliary, form, freeze=0, every=1, rate=2e-4, b1=0.9, b2=0.999, eps=1e-8):
    """Weights after each batch, in plain numbers. main, auxiliary: lists of lists, batches by classes."""
    classes = len(main[0])
    main_0, auxiliary_0 = sum(main[0]), sum(auxiliary[0])
    w, m, v, updates, history = [1.0] * classes, [0.0] * classes, [0.0] * classes, 0, []
    for t in range(1, len(main) + 1):
        if t % every == 0 and t > freeze and t >= 2 * every:
            updates += 1

            def mean(rows, c, end):
                return sum(rows[i][c] for i in range(end - every, end)) / every

            d_main = [mean(main, c, t) - mean(main, c, t - every) for c in range(classes)]
            d_aux = [w[c] * mean(auxiliary, c, t) - w[c] * mean(auxiliary, c, t - every) for c in range(classes)]
            for c in range(classes):
                below = d_aux[c] if form == "class" else sum(d_aux)
                g = (d_main[c] / main_0 + eps) / (below / auxiliary_0 + eps) * mean(auxiliary, c, t)
                m[c], v[c] = b1 * m[c] + (1 - b1) * g, b2 * v[c] + (1 - b2) * g * g
            step = [m[c] / (1 - b1**updates) / (math.sqrt(v[c] / (1 - b2**updates)) + eps) for c in range(classes)]
            w = [max(w[c] - rate * step[c], 0.0) for c in range(classes)]
        history.append(list(w))
    return history


@pytest.mark.parametrize("form", ["class", "scalar"])
@pytest.mark.parametrize(("freeze", "every"), [(0, 1), (3, 1), (0, 3), (5, 2)])
def test_steps_equal_the_hand_computation(form, freeze, every):
    """Law: to 1e-10 in float64 after each of 12 batches, a class without pixels in some of them included."""
    drawn = generator(0, form, freeze, every)
    main, auxiliary = (torch.rand(12, 4, generator=drawn, dtype=D) for _ in range(2))
    main[3:7, 1] = auxiliary[3:7, 1] = 0
    state = cw.class_weight_start(4, main[0].sum(), auxiliary[0].sum())
    expected = by_hand(main.tolist(), auxiliary.tolist(), form, freeze, every, rate=0.05)
    for t in range(12):
        state = cw.class_weight_step(state, main[t], auxiliary[t], form=form, freeze=freeze, every=every, rate=0.05)
        torch.testing.assert_close(state.weights, torch.tensor(expected[t], dtype=D), rtol=0, atol=1e-10)
    assert (state.weights != 1).any()


def test_a_worked_example():
    """Two classes, two batches: the ratio is (dm + eps) / (da + eps) l by eye, 0.5 and -2, and Adam's first step is its sign."""
    state = cw.class_weight_start(2, torch.tensor(2.0, dtype=D), torch.tensor(1.0, dtype=D))
    state = cw.class_weight_step(state, torch.tensor([1.0, 1.0], dtype=D), torch.tensor([0.5, 0.5], dtype=D))
    assert state.weights.tolist() == [1, 1]
    main, auxiliary = torch.tensor([2.0, 2.0], dtype=D), torch.tensor([1.0, 0.4], dtype=D)
    g = cw.difference_gradient(state, main, auxiliary, "class", 0.0)
    torch.testing.assert_close(g, torch.tensor([0.5 / 0.5 * 1.0, 0.5 / -0.1 * 0.4], dtype=D))
    scalar = cw.difference_gradient(state, main, auxiliary, "scalar", 0.0)
    torch.testing.assert_close(scalar, torch.tensor([0.5 / 0.4 * 1.0, 0.5 / 0.4 * 0.4], dtype=D))
    state = cw.class_weight_step(state, main, auxiliary, rate=0.1)
    torch.testing.assert_close(state.weights, torch.tensor([0.9, 1.1], dtype=D), atol=1e-6, rtol=0)


def test_weights_stop_at_zero():
    state = cw.class_weight_start(2, torch.tensor(1.0), torch.tensor(1.0))
    for t in range(9):
        both = torch.tensor([1.0 + t, 1.0 + t]), torch.tensor([1.0 + t, 9.0 - t])  # together, and against each other
        state = cw.class_weight_step(state, *both, rate=0.4)
    assert state.weights[0] == 0
    assert state.weights[1] > 3


def test_a_run_of_a_batch_takes_the_step_that_it_takes_alone():
    """Law: to 1e-12, with a rate of its own."""
    drawn = generator(0, "runs")
    main, auxiliary = (torch.rand(6, 3, 4, generator=drawn, dtype=D) for _ in range(2))
    rates = torch.tensor([[0.1], [0.02], [0.3]], dtype=D)
    together = cw.class_weight_start(4, main[0].sum(-1), auxiliary[0].sum(-1))
    for t in range(6):
        together = cw.class_weight_step(together, main[t], auxiliary[t], rate=rates, every=2)
    for run in range(3):
        alone = cw.class_weight_start(4, main[0, run].sum(), auxiliary[0, run].sum())
        for t in range(6):
            alone = cw.class_weight_step(alone, main[t, run], auxiliary[t, run], rate=float(rates[run]), every=2)
        torch.testing.assert_close(together.weights[run], alone.weights, rtol=0, atol=1e-12)
    assert (together.weights != 1).all()


@given(st.integers(0, 2**31), st.integers(1, 9))
def test_class_sums_equal_a_loop_and_carry_gradients(seed, classes):
    """Law: entry c is the sum where the label is c, the last one the rest; the gradient of entry c is the mask of c."""
    drawn = generator(seed, "sums")
    labels = torch.randint(-1, classes + 2, (2, 5, 7), generator=drawn)
    values = torch.rand(2, 5, 7, generator=drawn, dtype=D).requires_grad_()
    actual = cw.class_sums(values, labels, classes)
    for c in range(classes):
        torch.testing.assert_close(actual[c], values[labels == c].sum())
    torch.testing.assert_close(actual.sum(), values.sum())
    (gradient,) = torch.autograd.grad(actual[0], values)
    assert torch.equal(gradient, (labels == 0).to(D))


def test_ranges_of_inverse_depth():
    """Law: 15 classes from 14 thresholds, counted one by one; invalid pixels are -1."""
    thresholds = sorted(1 / d for d in cw.DISTANCES)
    values = 1 / torch.tensor([[700.0, 655.0, 300.0, 7.0], [6.5, 5.0, 100.0, 1.0]], dtype=D)
    actual = cw.quantise(values, thresholds, torch.tensor([[True] * 4, [True] * 3 + [False]]))
    expected = [[sum(v >= t for t in thresholds) for v in row] for row in values.tolist()]
    expected[1][3] = -1
    assert actual.tolist() == expected
    assert actual.max() == 14
    with pytest.raises(BadValue, match="rise"):
        cw.quantise(values, [2.0, 1.0])


@pytest.mark.parametrize(
    ("threshold", "valid"), [(0.5, None), (0.5, torch.tensor([False, True])), (math.nan, torch.tensor([True, False]))], ids=str
)
def test_a_depth_that_is_nan_has_no_range(threshold, valid):
    values = torch.tensor([1.0, torch.nan])
    with pytest.raises(BadValue, match=r"^quantise: .*NaN"):
        cw.quantise(values, [0.5, threshold] if math.isnan(threshold) else [threshold], valid)
    assert cw.quantise(values, [0.5], torch.tensor([True, False])).tolist() == [1, -1]


CLASSES, POINTS = 5, 40


def network(norm: bool = True) -> SharedBottom:
    with seeded(0, "network"):
        layers = [nn.Linear(6, 8), *([nn.BatchNorm1d(8)] if norm else []), nn.Tanh(), nn.Linear(8, 8), nn.Tanh()]
        return SharedBottom(nn.Sequential(*layers), [nn.Linear(8, 1), nn.Linear(8, CLASSES)]).double()


def batch_of(seed: int) -> Batch:
    drawn = generator(seed, "batch")
    x = torch.randn(POINTS, 6, generator=drawn, dtype=D)
    return Batch(x, (torch.randn(POINTS, generator=drawn, dtype=D), torch.randint(-1, CLASSES, (POINTS,), generator=drawn)))


def losses(call, batch):
    depth, logits = call(batch.inputs)
    target, labels = batch.targets
    main = (depth[:, 0] - target).abs() / POINTS
    auxiliary = nn.functional.cross_entropy(logits, labels, ignore_index=-1, reduction="none") / POINTS
    return torch.cat([cw.class_sums(main, labels, CLASSES), cw.class_sums(auxiliary, labels, CLASSES)])


@pytest.mark.parametrize("form", cw.FORMS)
def test_training_reads_nothing_on_the_host_and_leaves_running_means_alone(form, no_host_reads):
    """Law: no step reads a value on the host; weights are as the method says; batch norm sees each batch once."""
    model, weighting = network(), cw.ClassWeights(form, rate=0.01)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with no_host_reads():
        for t in range(4):
            actual, weights = train_step(model, batch_of(t), losses, optimizer, weighting)
    assert weights[-1] == 0
    state = weighting.state
    torch.testing.assert_close(weights[: CLASSES + 1] * state.main_start, torch.ones(CLASSES + 1, dtype=D))
    assert (state.weights != 1).any()
    assert int(model.bottom[1].num_batches_tracked) == 4
    assert actual.shape == (2 * CLASSES + 2,)


def test_the_first_total_loss_is_two():
    """Law: L_m / L_m(0) + L_a / L_a(0) = 2 on the first batch."""
    model = network()
    actual, weights = train_step(model, batch_of(0), losses, torch.optim.SGD(model.parameters(), lr=0.1), cw.ClassWeights())
    torch.testing.assert_close((actual * weights).sum(), torch.tensor(2.0, dtype=D))


def test_wrong_settings_are_refused():
    with pytest.raises(UnknownName):
        cw.ClassWeights("classs")
    with pytest.raises(BadValue):
        cw.ClassWeights(rate=-1.0)
    state = cw.class_weight_start(1, torch.ones(()), torch.ones(()))
    with pytest.raises(BadValue):
        cw.class_weight_step(state, torch.ones(1), torch.ones(1), every=0)
