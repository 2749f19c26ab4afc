"""Laws of the CIFAR residual networks and of task routing: shapes, parameters, heads, masks, one graph for all tasks."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision.models import resnet18 as torchvision_resnet18
from torchvision.models import resnet34 as torchvision_resnet34

from mtlrepro.device import generator, seeded
from mtlrepro.errors import BadValue
from mtlrepro.models import resnet
from mtlrepro.models.resnet import CifarResNet, shared_bottom
from mtlrepro.models.task_heads import MultiTaskNet, TaskHeads
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


@pytest.fixture(scope="module")
def pair():
    """Ours and torchvision's, with different weights."""
    with seeded(0):
        return resnet.resnet34().eval(), torchvision_resnet34(weights=None).eval()


def test_resnet34_has_torchvisions_parameters_but_for_the_stem_and_heads(pair):
    """Law: 3 x 3 in place of 7 x 7 for 64 filters on 3 channels; no 1,000-class layer; every other tensor has its shape."""
    ours, theirs = pair
    assert _count(ours) == _count(theirs) - _count(theirs.fc) - 64 * 3 * (49 - 9)
    shapes = sorted(tuple(p.shape) for name, p in ours.named_parameters() if name != "conv1.weight")
    others = sorted(tuple(p.shape) for name, p in theirs.named_parameters() if not name.startswith(("conv1.weight", "fc.")))
    assert shapes == others


def test_stages_give_torchvisions_features_with_its_weights(pair):
    """Law: behind the stem, with equal weights, equal features."""
    ours, theirs = pair
    source = {n: p for n, p in theirs.state_dict().items() if n.startswith("layer")}
    ours.stages.load_state_dict({f"{int(n[5]) - 1}{n[6:]}": p for n, p in source.items()})
    x = torch.randn(2, 64, 8, 8, generator=generator(2))
    with torch.no_grad():
        mine, other = x, x
        for stage, layer in zip(ours.stages, (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4), strict=True):
            mine, other = stage(mine), layer(other)
    assert float(other.abs().mean()) > 0
    torch.testing.assert_close(mine, other, rtol=0, atol=0)


@pytest.mark.parametrize(("net", "features", "layers"), [(resnet.small_resnet, 64, 8), (lambda: resnet.small_resnet(3), 64, 20)])
def test_small_networks_have_the_stated_depth(net, features, layers):
    """Law: 3 x 3 convolutions and one head make `layers` layers; features (n, 64); the map has shrunk by 4."""
    with seeded(0):
        made = net()
    assert sum(isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3) for m in made.modules()) + 1 == layers
    assert made(_images(2, 32)).shape == (2, features)


def test_channels_last_is_kept_and_changes_nothing():
    """Law: equal features in either memory format, and the maps between blocks stay channels_last."""
    net = _tiny().eval()
    plain = net(_images())
    net = net.to(memory_format=torch.channels_last)
    kept: list[bool] = []
    net.stages[1].register_forward_hook(
        lambda module, given, found: kept.append(found.is_contiguous(memory_format=torch.channels_last))
    )
    torch.testing.assert_close(net(_images().to(memory_format=torch.channels_last)), plain, rtol=0, atol=1e-5)
    assert kept == [True]


def test_heads_are_linear_layers_and_absent_classes_are_impossible():
    """Laws: head t is x W_t + b_t; a class that a task does not have gets probability 0 and no gradient, without NaN."""
    with seeded(0):
        heads = TaskHeads(6, [3, 5, 2])
    x = torch.randn(4, 6, generator=generator(3))
    for task, classes in enumerate([3, 5, 2]):
        logits = heads(x, torch.tensor(task))
        torch.testing.assert_close(logits[:, :classes], x @ heads.weight[task, :classes].T + heads.bias[task, :classes])
        assert (logits[:, classes:] == -torch.inf).all()
        nn.functional.cross_entropy(logits, torch.zeros(4, dtype=torch.long)).backward()
        assert torch.isfinite(heads.weight.grad).all()
        assert (heads.weight.grad[task, classes:] == 0).all()
        heads.weight.grad = None
    with seeded(0):
        assert TaskHeads(6, [5] * 20).absent is None


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


@pytest.mark.parametrize("kind", ["shared", "routed"])
def test_compiled_once_for_all_tasks(kind):
    """Law: torch.compile makes one graph, without a break, for training steps of every task given as a tensor."""
    from torch._dynamo.testing import CompileCounter

    with seeded(0):
        net = shared_bottom(_tiny(), [5] * 6) if kind == "shared" else _routed(6)
    counter = CompileCounter()
    torch._dynamo.reset()
    compiled = torch.compile(net, backend=counter, fullgraph=True)
    for task in range(6):
        found = compiled(_images(), torch.tensor(task))
        torch.testing.assert_close(found.shape, torch.Size([4, 5]))
        found.sum().backward()
    assert counter.frame_count == 1
    torch._dynamo.reset()


def test_what_cannot_be_is_refused():
    for sigma in (-0.1, 1.0):
        with pytest.raises(BadValue, match="sigma"):
            routed(_tiny(), [5], generator(0), sigma)
    with pytest.raises(BadValue, match="stage"):
        CifarResNet((1, 1), (8,))
    for classes in ([], [3, 0]):
        with pytest.raises(BadValue, match="at least one"):
            TaskHeads(4, classes)
    assert task_routing.SIGMA == 0.6


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)), st.integers(1, 3), st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(0, 1), st.booleans(),
)  # fmt: skip
def test_a_single_place_convolution_is_the_convolution(kernel, stride, sides, padding, bias):
    """Law: outputs, and gradients in input, weight and bias, equal those of `nn.Conv2d` in float64."""
    if any(side + 2 * padding < k for side, k in zip(sides, kernel, strict=True)):
        return
    with seeded(0):
        plain = nn.Conv2d(3, 4, kernel, stride, padding, bias=bias).double()
    ours = resnet.with_single_places(nn.Sequential(copy.deepcopy(plain)))[0]
    assert isinstance(ours, resnet.SinglePlaceConv2d)
    images = torch.randn(2, 3, *sides, generator=generator(0), dtype=torch.float64)
    found = []
    for conv in (plain, ours):
        given_images = images.clone().requires_grad_()
        out = conv(given_images)
        out.sin().sum().backward()
        found.append([out, given_images.grad, *(p.grad for p in conv.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_imagenet_resnet18_is_torchvisions_with_its_state():
    """Law: the same names and shapes of parameters, and on 32 x 32 images the same features, in float64."""
    with seeded(0):
        ours, theirs = resnet.imagenet_resnet18().double().eval(), torchvision_resnet18(weights=None).double().eval()
    theirs.fc = nn.Identity()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 32, 32, generator=generator(1), dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))
    with seeded(0):
        assert resnet.imagenet_resnet18(1)(torch.zeros(2, 1, 32, 32)).shape == (2, 512)


def test_resnet18_with_the_small_stem_has_its_stages():
    with seeded(0):
        net = resnet.cifar_resnet18()
    assert [len(stage) for stage in net.stages] == [2, 2, 2, 2]
    assert net(_images(2)).shape == (2, 512)


def test_group_norm_refuses_odd_widths():
    with seeded(0), pytest.raises(BadValue):
        CifarResNet((1,), (12,), norm=resnet.group_norm)


def test_heads_answer_each_sample_of_a_mixed_batch_by_its_own_task():
    """Law: the rows of one pass with every sample's task are those of a pass a task, absent classes included."""
    with seeded(0):
        net = shared_bottom(_tiny(), [5, 3, 4]).eval()
    tasks, images = torch.tensor([0, 2, 1, 1]), _images()
    found = net(images, tasks)
    for i, task in enumerate(tasks.tolist()):
        torch.testing.assert_close(found[i], net(images, task)[i])
