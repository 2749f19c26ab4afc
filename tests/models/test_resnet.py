"""Laws of the residual networks for small images and of task heads: shapes, parameters, one graph for all tasks."""

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
from mtlrepro.models.task_heads import TaskHeads


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _tiny() -> CifarResNet:
    with seeded(0, "tiny"):
        return CifarResNet((1, 1), (8, 16))


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


def test_compiled_once_for_all_tasks():
    """Law: torch.compile makes one graph, without a break, for training steps of every task given as a tensor."""
    from torch._dynamo.testing import CompileCounter

    with seeded(0):
        net = shared_bottom(_tiny(), [5] * 6)
    counter = CompileCounter()
    torch._dynamo.reset()
    compiled = torch.compile(net, backend=counter, fullgraph=True)
    for task in range(6):
        logits = compiled(_images(), torch.tensor(task))
        assert logits.shape == (4, 5)
        logits.sum().backward()
    assert counter.frame_count == 1
    torch._dynamo.reset()


def test_what_cannot_be_is_refused():
    with pytest.raises(BadValue, match="stage"):
        CifarResNet((1, 1), (8,))
    for classes in ([], [3, 0]):
        with pytest.raises(BadValue, match="at least one"):
            TaskHeads(4, classes)


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
