"""Laws of task routing: masks, sigma = 0 is the plain network, one graph for all tasks."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mtlrepro.device import generator, seeded
from mtlrepro.errors import BadValue
from mtlrepro.models.resnet import CifarResNet, shared_bottom
from mtlrepro.models.task_heads import MultiTaskNet
from mtlrepro.papers.cotask.models import task_routing
from mtlrepro.papers.cotask.models.task_routing import routed, task_masks


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _tiny() -> CifarResNet:
    with seeded(0, "tiny"):
        return CifarResNet((1, 1), (8, 16))


def _routed(tasks: int, seed: int = 0) -> MultiTaskNet:
    with seeded(0):
        return routed(_tiny(), [5] * tasks, generator(seed))


def _images(n: int = 4, side: int = 8) -> torch.Tensor:
    return torch.randn(n, 3, side, side, generator=generator(1))


@given(st.integers(1, 12), st.integers(1, 40), st.floats(0, 0.99), st.integers(0, 1000))
def test_masks_are_binary_with_the_same_number_of_zeros_a_task(tasks, channels, sigma, seed):
    """Laws: entries 0 or 1; floor(sigma channels) zeros a task; the same seed gives the same masks."""
    masks = task_masks(tasks, channels, sigma, generator(seed))
    assert set(masks.unique().tolist()) <= {0.0, 1.0}
    assert ((masks == 0).sum(1) == int(sigma * channels + 1e-9)).all()
    assert torch.equal(masks, task_masks(tasks, channels, sigma, generator(seed)))


def test_every_channel_is_switched_off_equally_often():
    """Law: over many tasks a channel is off for a share sigma of them, two tasks share (1 - sigma)^2 of the channels."""
    masks = task_masks(4000, 20, 0.6, generator(0))
    torch.testing.assert_close(masks.mean(0), torch.full((20,), 0.4), rtol=0, atol=0.035)
    shared = (masks[::2] * masks[1::2]).mean()
    assert float(shared) == pytest.approx(0.4**2, abs=0.01)


def test_sigma_0_is_the_plain_network_and_sigma_06_is_not():
    """Laws: equal logits and gradients at sigma = 0; at 0.6 tasks see different networks with the same parameters."""
    plain_bottom = _tiny()
    for sigma in (0.0, 0.6):
        with seeded(1):
            plain = shared_bottom(copy.deepcopy(plain_bottom), [5, 5])
        with seeded(1):
            masked = routed(copy.deepcopy(plain_bottom), [5, 5], generator(0), sigma)
        assert _count(masked) == _count(plain)
        for task in range(2):
            outputs, gradients = [], []
            for net in (plain, masked):
                net.zero_grad()
                outputs.append(net(_images(), task))
                outputs[-1].square().sum().backward()
                gradients.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
            equal = torch.equal(*outputs) and torch.equal(*gradients)
            assert equal == (sigma == 0)
    assert not torch.equal(masked.eval()(_images(), 0), masked(_images(), 1))


def test_a_masked_channel_is_off_for_its_task_alone():
    """Law: behind a routing layer channel c of task t is 0 exactly where the mask is, and takes no gradient from task t."""
    net = _routed(3)
    layer, seen = net.bottom.layers[0], []
    layer.register_forward_hook(lambda module, given, found: seen.append(found.detach().abs().sum((0, 2, 3))))
    for task in range(3):
        net.zero_grad()
        net(_images(), task).square().sum().backward()
        off = layer.masks[task] == 0
        assert 0 < int(off.sum()) == int(0.6 * 8)
        assert torch.equal(seen[-1] == 0, off)
        assert (layer.norm.weight.grad[off] == 0).all()
        assert (layer.norm.weight.grad[~off] != 0).all()


def test_masks_are_saved_with_the_model_and_never_trained():
    """Laws: a routed model's state restores its masks; no mask is a parameter."""
    one, other = (_routed(2, seed) for seed in (0, 1))
    assert not torch.equal(one.eval()(_images(), 0), other.eval()(_images(), 0))
    other.load_state_dict(one.state_dict())
    torch.testing.assert_close(one.eval()(_images(), 0), other.eval()(_images(), 0), rtol=0, atol=0)
    assert not any("masks" in name for name, _ in one.named_parameters())
    moved = copy.deepcopy(one)
    assert torch.equal(moved(_images(), 1), one(_images(), 1))


def test_compiled_once_for_all_tasks():
    """Law: torch.compile makes one graph, without a break, for training steps of every task given as a tensor."""
    from torch._dynamo.testing import CompileCounter

    net = _routed(6)
    counter = CompileCounter()
    torch._dynamo.reset()
    compiled = torch.compile(net, backend=counter, fullgraph=True)
    for task in range(6):
        logits = compiled(_images(), torch.tensor(task))
        assert logits.shape == (4, 5)
        logits.sum().backward()
    assert counter.frame_count == 1
    torch._dynamo.reset()


def test_a_sigma_that_leaves_nothing_is_refused():
    for sigma in (-0.1, 1.0):
        with pytest.raises(BadValue, match="sigma"):
            routed(_tiny(), [5], generator(0), sigma)
    assert task_routing.SIGMA == 0.6
