"""FAMO: Algorithm 1 by hand, written out in loops, and what it does to units and to the slowest task."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mtlrepro.device import generator, seeded
from mtlrepro.errors import BadValue
from mtlrepro.methods.famo import FAMO
from mtlrepro.training.loop import fit, train_step
from mtlrepro.training.weighting import Batch

positive = st.floats(0.05, 20.0)
three = st.lists(positive, min_size=3, max_size=3)
UNUSED = torch.zeros(2, 2)  # gradients that FAMO never asks for


def _close(values, expected, tolerance=1e-5):
    torch.testing.assert_close(values.double(), torch.as_tensor(expected, dtype=torch.float64), rtol=0, atol=tolerance)


def _stepped(weighting, step_of, *pairs):
    """The weights of steps with the losses (before, after) the update."""
    each = []
    for before, after in pairs:
        before, after = (torch.as_tensor(values, dtype=torch.float64) for values in (before, after))
        each.append(weighting(step_of(torch.zeros(*before.shape, 2), before)))
        weighting.after_update(lambda after=after: after)
    return each


def test_a_step_worked_by_hand(step_of):
    """xi = 0, losses (1, 2): c z / L = (1, 1/2) / 1.5. The first loss halves: gains (ln 2, 0), z = 1/2, delta = (ln 2 / 4,
    -ln 2 / 4) = (0.173287, -0.173287), xi = (-0.0173287, 0.0173287). Then (exp(xi_1) / 0.5, exp(xi_2) / 2) = (1.965641, 0.508740)
    is divided by its sum 2.474381; and with no gains the decay alone moves xi by a factor 1 - 0.1 · 0.5."""
    weighting = FAMO(rate=0.1, decay=0.5)
    (first,) = _stepped(weighting, step_of, ([1.0, 2.0], [0.5, 2.0]))
    _close(first, [2 / 3, 1 / 3])
    _close(weighting.logits, [-0.0173287, 0.0173287])
    (second,) = _stepped(weighting, step_of, ([0.5, 2.0], [0.5, 2.0]))
    _close(second, [0.794397, 0.205603])
    _close(weighting.logits, [-0.0164622, 0.0164622])


def _algorithm_1(weights, x, ys, alpha, beta, gamma, steps):
    """Algorithm 1 line by line, task by task, with the Jacobian of the softmax by autograd; returns all z and the parameters."""
    theta, k = [w.clone() for w in weights], len(ys)
    xi = torch.zeros(k, dtype=torch.float64)

    def losses():
        return [((x @ theta[0]).tanh() @ theta[1 + i] - ys[i]).square().mean() for i in range(k)]

    history = []
    for _ in range(steps):
        z = torch.exp(xi) / torch.exp(xi).sum()
        history.append(z)
        theta = [p.detach().requires_grad_() for p in theta]
        before = losses()
        c = 1 / sum(float(z[i]) / before[i].item() for i in range(k))
        updates = [torch.zeros_like(p) for p in theta]
        for i in range(k):
            for p, g in enumerate(torch.autograd.grad(before[i], theta, allow_unused=True, retain_graph=True)):
                if g is not None:
                    updates[p] += c * float(z[i]) / before[i].item() * g
        theta = [p.detach() - alpha * u for p, u in zip(theta, updates, strict=True)]
        after = losses()
        jacobian = torch.autograd.functional.jacobian(lambda logits: torch.softmax(logits, 0), xi)
        delta = torch.zeros(k, dtype=torch.float64)
        for j in range(k):
            for i in range(k):
                delta[j] += jacobian[i, j] * (math.log(before[i].item()) - math.log(after[i].item()))
        xi = xi - beta * (delta + gamma * xi)
    return history, theta, xi


class _Net(nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.parts = nn.ParameterList([w.clone() for w in weights])

    def forward(self, x):
        hidden = (x @ self.parts[0]).tanh()
        return [hidden @ head for head in list(self.parts)[1:]]

    def shared_parameters(self):
        return [self.parts[0]]


@pytest.mark.parametrize("seed", range(3))
def test_thirty_steps_are_those_of_algorithm_1_written_out(seed):
    draw = generator(seed)

    def normal(*size):
        return torch.randn(*size, generator=draw, dtype=torch.float64)

    x, ys, weights = normal(16, 4), [normal(16) * u for u in (1.0, 5.0, 0.2)], [normal(4, 3), normal(3), normal(3), normal(3)]
    _, theta, xi = _algorithm_1(weights, x, ys, alpha=0.1, beta=0.5, gamma=0.01, steps=30)
    net, weighting = _Net(weights), FAMO(rate=0.5, decay=0.01)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def losses(call, batch):
        return torch.stack([(o - y).square().mean() for o, y in zip(call(batch.inputs), batch.targets, strict=True)])

    for _ in range(30):
        train_step(net, Batch(x, ys), losses, optimizer, weighting)
    torch.testing.assert_close(weighting.logits, xi, rtol=0, atol=1e-10)
    assert weighting.logits.abs().max() > 1e-3
    for p, expected in zip(net.parameters(), theta, strict=True):
        torch.testing.assert_close(p.detach(), expected, rtol=0, atol=1e-10)


@given(three, three, three, three)
def test_weights_are_positive_sum_to_one_and_undo_the_units_of_the_losses(step_of, before, after, later, units):
    """Law: with L_i in another unit the logits stay, and w_i L_i keeps its proportions."""
    u = torch.tensor(units, dtype=torch.float64)
    pairs = [tuple(torch.tensor(values, dtype=torch.float64) for values in pair) for pair in ((before, after), (after, later))]
    plain, scaled = FAMO(rate=0.5), FAMO(rate=0.5)
    for w, own, (start, _) in zip(
        _stepped(plain, step_of, *pairs), _stepped(scaled, step_of, *[(a * u, b * u) for a, b in pairs]), pairs, strict=True
    ):
        assert (w > 0).all()
        _close(w.sum(), 1.0, 1e-12)
        shares, own_shares = w * start, own * start * u
        torch.testing.assert_close(shares / shares.sum(), own_shares / own_shares.sum(), rtol=1e-9, atol=0)
    torch.testing.assert_close(plain.logits, scaled.logits, rtol=0, atol=1e-9)


@given(three, three)
def test_from_equal_logits_the_task_that_gained_least_gets_the_largest_and_their_sum_stays(step_of, before, after):
    weighting = FAMO(rate=1.0, decay=0.0)
    _stepped(weighting, step_of, (before, after))
    gains = torch.tensor(before).log() - torch.tensor(after).log()
    assert weighting.logits[gains.argmin()] == weighting.logits.max()
    _close(weighting.logits.sum(), 0.0, 1e-9)


def test_a_loss_of_zero_takes_all_weight_and_a_negative_one_spoils_its_own_run_alone(step_of):
    weighting = FAMO()
    (weights,) = _stepped(weighting, step_of, ([[0.0, 1.0], [-1.0, 1.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, 1.0], [1.0, 1.0]]))
    _close(weights[0], [1.0, 0.0])
    assert weights[1].isnan().all()
    _close(weights[2], [0.5, 0.5])
    assert weighting.logits.isfinite().all(-1).tolist() == [True, False, True]


def test_a_training_that_never_calls_after_update_is_refused_at_its_second_step(step_of):
    weighting = FAMO()
    weighting(step_of(UNUSED))
    with pytest.raises(BadValue, match="call after_update"):
        weighting(step_of(UNUSED))
    with pytest.raises(BadValue, match="no step to update from"):
        FAMO().after_update(lambda: torch.ones(2))


def test_losses_in_units_a_thousand_apart_fall_by_like_factors():
    """What it is for: at equal weights the loss in the small unit stays where it was. FAMO's step is in the smaller unit."""
    x = torch.randn(32, 6, generator=generator(1), dtype=torch.float64)
    batch, units = Batch(x, x @ torch.ones(6, 2, dtype=torch.float64)), torch.tensor([1.0, 1e-3], dtype=torch.float64)
    factors = {}
    for name, weighting, rate in (("famo", FAMO(rate=1.0), 50.0), ("equal", None, 0.05)):
        with seeded(0):
            net = nn.Linear(6, 2).double()
        result = fit(
            net, lambda _: [batch] * 20, lambda call, b: (call(b.inputs) - b.targets).square().mean(0) * units, epochs=3,
            weighting=weighting, optimizer=torch.optim.SGD(net.parameters(), lr=rate),
        )  # fmt: skip
        factors[name] = result.losses[-1] / result.losses[0]
    assert (factors["famo"] < 0.2).all()
    assert factors["equal"][0] < 0.2
    assert factors["equal"][1] > 0.9


def test_total_is_a_factor_on_the_weights_and_on_nothing_else(step_of):
    pairs = [((1.0, 2.0), (0.5, 2.0)), ((0.5, 2.0), (0.4, 1.0)), ((0.4, 1.0), (0.3, 0.5))]
    ones, twos = (_stepped(FAMO(total=total), step_of, *pairs) for total in (1.0, 2.0))
    for one, two in zip(ones, twos, strict=True):
        _close(two, 2 * one)
