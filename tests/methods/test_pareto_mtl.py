"""Laws of Pareto MTL: preference vectors, the smallest combination, the two phases, and where a training ends."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import nn

from mtlrepro.device import generator
from mtlrepro.errors import BadValue
from mtlrepro.methods.pareto_mtl import ParetoMTL, preferences, smallest_combination
from mtlrepro.methods.registry import build
from mtlrepro.training.loop import train_step
from mtlrepro.training.weighting import Batch


def test_five_vectors_are_the_paper_s():
    expected = [[1, 0], [0.92, 0.38], [0.71, 0.71], [0.38, 0.92], [0, 1]]
    torch.testing.assert_close(preferences(5), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=0.005)


@given(st.integers(0, 10**6), st.integers(1, 6))
def test_the_smallest_combination_beats_every_other(seed, count):
    """Law: weights in the simplex; no vector of the hull is smaller: <v, row> >= |v|^2 for every row (optimality)."""
    rows = np.random.default_rng(seed).normal(size=(count, 2)) * 10.0 ** np.random.default_rng(seed).integers(-4, 4)
    weights = smallest_combination(rows)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    v = weights @ rows
    assert (rows @ v >= v @ v - 1e-9 * np.abs(rows).max() ** 2).all()


def test_the_smallest_combination_equals_a_general_solver():
    rows = np.random.default_rng(0).normal(size=(4, 3)) + 0.8
    actual = minimize(lambda w: (w @ rows) @ (w @ rows), np.full(4, 0.25), bounds=[(0, 1)] * 4, options={"ftol": 1e-14},
                     constraints={"type": "eq", "fun": lambda w: w.sum() - 1}, method="SLSQP")  # fmt: skip
    np.testing.assert_allclose(smallest_combination(rows) @ rows, actual.x @ rows, atol=1e-5)


def test_inside_its_sector_it_is_mgda_and_outside_it_pulls_back(step_of):
    """Law: without an active constraint the weights are the min-norm ones, 4 : 1 for orthogonal gradients of length 1 and 2; with
    the first loss too large for the vector (0, 1), the first phase steps down the first loss, up the second at most."""
    orthogonal = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    inside = ParetoMTL(2)(step_of(orthogonal, torch.ones(2, dtype=torch.float64)))
    torch.testing.assert_close(inside, torch.tensor([1.6, 0.4], dtype=torch.float64))
    outside = ParetoMTL(4)(step_of(orthogonal, torch.ones(2, dtype=torch.float64)))
    assert outside[0] > 0 >= outside[1]


def test_a_run_of_a_batch_gets_the_weights_that_it_gets_alone(step_of):
    together, alone = ParetoMTL(1, search=3), [ParetoMTL(1, search=3) for _ in range(3)]
    drawn = generator(0)
    for _ in range(6):
        losses, gradients = torch.rand(3, 2, generator=drawn).double(), torch.randn(3, 2, 5, generator=drawn).double()
        actual = together(step_of(gradients, losses))
        assert torch.allclose(actual.abs().sum(-1), torch.tensor(2.0, dtype=torch.float64))
        for run in range(3):
            torch.testing.assert_close(actual[run], alone[run](step_of(gradients[run], losses[run])), rtol=0, atol=1e-9)


class _Conflict(nn.Module):
    """The concave trade-off of Fonseca and Fleming, the paper's first example: L = 1 - exp(-|x -+ 1 / sqrt(d)|^2)."""

    def __init__(self):
        super().__init__()
        self.x = nn.Parameter(torch.full((8,), 0.05, dtype=torch.float64))

    def forward(self, middle):
        return torch.stack([1 - torch.exp(-(self.x - middle).square().sum()), 1 - torch.exp(-(self.x + middle).square().sum())])

    def shared_parameters(self):
        return [self.x]


def test_five_vectors_end_at_five_trade_offs():
    """Law: each training ends in its own sector (nearest vector is its own), on the Pareto front (x on the line between minima).
    A linear sum of losses ends at an end of this concave front only."""
    shares = []
    for vector in range(5):
        model = _Conflict()
        batch = Batch(torch.full((8,), 1 / math.sqrt(8), dtype=torch.float64), None)
        optimizer, weighting = torch.optim.SGD(model.parameters(), lr=0.02), ParetoMTL(vector)
        for _ in range(600):
            losses, _ = train_step(model, batch, lambda call, b: call(b.inputs), optimizer, weighting)
        assert (preferences(5) @ losses).argmax() == vector
        assert model.x.std() < 1e-6
        shares.append(float(losses[0] / losses.sum()))
    assert shares == sorted(shares, reverse=True)


def test_wrong_settings_are_refused(step_of):
    for wrong in ({"vector": 5}, {"search": -1}, {"count": 1}):
        with pytest.raises(BadValue):
            build("pareto_mtl", **wrong)
    with pytest.raises(BadValue, match="two tasks"):
        ParetoMTL()(step_of(torch.ones(3, 4), torch.ones(3)))
    with pytest.raises(BadValue, match="every batch must hold all"):
        ParetoMTL()(step_of([[1.0, 2.0]], [0.5], task=1))
    assert ParetoMTL()(step_of(torch.full((2, 4), torch.nan), torch.ones(2))).isnan().all()
