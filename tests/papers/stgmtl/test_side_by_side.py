"""Networks side by side are the networks alone: outputs, gradients, running statistics, and whole trainings."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from mtlrepro.device import generator, seeded
from mtlrepro.errors import BadValue
from mtlrepro.models.resnet import CifarResNet
from mtlrepro.papers.stgmtl.models.side_by_side import StackedTaskNet, side_by_side


def _nets(count=3):
    made = []
    for seed in range(count):
        with seeded(seed):
            made.append(CifarResNet((1, 1), (4, 6)).double())
    return made


def test_outputs_and_running_statistics_are_those_of_each_network_alone():
    nets = _nets()
    joint = side_by_side(nets)
    images = torch.rand(5, 3, 8, 8, generator=generator(0), dtype=torch.float64)
    for mode in (True, False):
        joint.train(mode)
        found = joint(images.repeat(1, 3, 1, 1)).unflatten(1, (3, -1))
        for run, net in enumerate(nets):
            assert torch.allclose(found[:, run], net.train(mode)(images), atol=1e-12)


def test_a_training_side_by_side_is_each_training_alone():
    """Adam acts on each parameter alone, so not even three updates can tell the two apart."""
    nets, images = _nets(), torch.rand(6, 3, 8, 8, generator=generator(1), dtype=torch.float64)
    labels = torch.randint(0, 2, (2, 6), generator=generator(2)).double()
    heads = torch.randn(3, 2, 6, generator=generator(3), dtype=torch.float64)

    def train(bottoms, own):
        model = StackedTaskNet(bottoms, own.clone()).double()
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        for _ in range(3):
            logits = model(images)
            loss = nn.functional.binary_cross_entropy_with_logits(logits, labels.expand_as(logits), reduction="none")
            optimizer.zero_grad()
            loss.mean(-1).sum().backward()
            optimizer.step()
        return model(images).detach()

    together = train(nets, heads)
    assert together.shape == (3, 2, 6)
    for run, net in enumerate(nets):
        assert torch.allclose(together[run], train([net], heads[run : run + 1])[0], atol=1e-9)


def test_torchvision_s_resnet_without_its_head_can_be_laid_side_by_side():
    nets = []
    for seed in range(2):
        with seeded(seed):
            nets.append(resnet18())
        nets[-1].fc = nn.Identity()
        nets[-1].eval()
    joint = side_by_side(nets).eval()
    images = torch.rand(1, 3, 32, 32, generator=generator(0))
    with torch.no_grad():
        apart = torch.cat([net(images) for net in nets], 1)
        assert torch.allclose(joint(images.repeat(1, 2, 1, 1)), apart, rtol=1e-4, atol=1e-5)


def test_a_layer_that_mixes_channels_is_refused():
    with seeded(0), pytest.raises(BadValue, match="Linear cannot be laid side by side"):
        side_by_side([nn.Sequential(nn.Flatten(), nn.Linear(3, 2))])
    with pytest.raises(BadValue, match="no network"):
        side_by_side([])
