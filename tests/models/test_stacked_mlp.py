"""A stacked perceptron is, run by run, the ordinary one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mtlrepro.device import generator
from mtlrepro.errors import BadValue
from mtlrepro.models.stacked_mlp import StackedMLP

SEEDS = (3, 4, 4)


def _stacked(dtype=torch.float64):
    return StackedMLP(7, [6, 5], [4], [2, 1], [generator(s, "model") for s in SEEDS], dtype=dtype)


def _alone(model, run, task):
    layers = [*model.bottom, *model.heads[task]]
    built = []
    for number, layer in enumerate(layers):
        linear = nn.utils.skip_init(nn.Linear, *layer.weight.shape[1:], dtype=layer.weight.dtype)
        linear.weight.data, linear.bias.data = layer.weight[run].T.clone(), layer.bias[run, 0].clone()
        built += [linear] if number == len(layers) - 1 else [linear, nn.ReLU()]
    return nn.Sequential(*built)


@pytest.mark.parametrize("task", [0, 1])
def test_each_run_is_an_ordinary_network(task):
    model = _stacked()
    x = torch.randn(len(SEEDS), 9, 7, generator=generator(0), dtype=torch.float64)
    for run in range(len(SEEDS)):
        torch.testing.assert_close(model(x, task)[run], _alone(model, run, task)(x[run]))
    torch.testing.assert_close(model(x)[task], model(x, task))


def test_equal_seeds_start_equal_and_others_do_not():
    weights = _stacked().bottom[0].weight
    assert torch.equal(weights[1], weights[2])
    assert not torch.equal(weights[0], weights[1])
    assert weights.abs().max() <= 7**-0.5


def test_shared_parameters_are_those_below_the_heads():
    model = _stacked()
    shared = {id(p) for p in model.shared_parameters()}
    assert {name.split(".")[0] for name, p in model.named_parameters() if id(p) in shared} == {"bottom"}
    assert len(shared) == 4


def test_a_network_needs_a_shared_layer():
    with pytest.raises(BadValue, match="at least one shared layer"):
        StackedMLP(3, [], [2], [1], [generator(0)])
