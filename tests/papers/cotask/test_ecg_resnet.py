"""The residual network for ECGs: the paper's shape, shortcuts, and no step along time that depends on place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from mtlrepro.device import seeded
from mtlrepro.errors import BadValue
from mtlrepro.papers.cotask.models.ecg_resnet import PAPER_CHANNELS, EcgResNet


@pytest.fixture(autouse=True)
def own_stream() -> Iterator[None]:
    """Initial weights and inputs come from a seeded stream."""
    with seeded(0):
        yield


def test_the_papers_network_has_eight_blocks_and_halves_the_length_in_each():
    net = EcgResNet()
    assert len(net.blocks) == len(PAPER_CHANNELS) == 8
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(25 * sum(
        a * b + b * b for a, b in zip([64, *PAPER_CHANNELS[:-1]], PAPER_CHANNELS, strict=True)
    ) + 25 * 12 * 64, rel=0.01)  # fmt: skip
    with torch.no_grad():
        x = torch.randn(1, 64, 1280)
        for block in net.blocks:
            before = x.shape[-1]
            x = block(x)
            assert x.shape[-1] == (before + 1) // 2


@pytest.mark.parametrize("samples", [400, 401, 333])
def test_features_of_any_length(samples):
    net = EcgResNet((4, 8), kernel=5, stem=3)
    assert net(torch.randn(3, 12, samples)).shape == (3, net.features) == (3, 8)


def test_without_its_convolutions_a_block_passes_maxima_on_and_fills_up_with_zeros():
    net = EcgResNet((2, 4), kernel=3)
    block = net.blocks[1]
    for module in block.modules():
        if isinstance(module, torch.nn.Conv1d):
            torch.nn.init.zeros_(module.weight)
    x = torch.tensor([[[1.0, 3.0, 2.0, 0.0], [5.0, 4.0, 0.0, 7.0]]])
    wanted = torch.tensor([[[3.0, 2.0], [5.0, 7.0], [0.0, 0.0], [0.0, 0.0]]])
    assert torch.equal(block(x), wanted)


def test_features_hardly_depend_on_where_a_wave_lies():
    net = EcgResNet((4, 8), kernel=5).eval()
    x = torch.zeros(1, 12, 256)
    x[..., 100:110] = 1
    with torch.no_grad():
        assert torch.allclose(net(x), net(x.roll(16, -1)), atol=1e-5)


@pytest.mark.parametrize("wrong", [{"kernel": 8}, {"channels": ()}, {"channels": (16, 8)}])
def test_impossible_networks_are_refused(wrong):
    with pytest.raises(BadValue, match="odd kernel"):
        EcgResNet(**wrong)
