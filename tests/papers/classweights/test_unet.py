"""Laws of the U-Net: shapes, what is shared, memory formats, seeds."""

import pytest
import torch

from mtlrepro.device import generator
from mtlrepro.errors import BadValue
from mtlrepro.papers.classweights.models.unet import DEPTH, SEGMENTATION, UNet


def images(n=2, h=32, w=48):
    return torch.rand(n, 3, h, w, generator=generator(0, "images"))


def test_outputs_and_widths():
    """Law: scores (n, classes, h, w) and depth (n, h, w); channels double from width and stop at 8 times it."""
    net = UNet(7, width=4)
    scores, depth = net(images())
    assert scores.shape == (2, 7, 32, 48)
    assert depth.shape == (2, 32, 48)
    assert [tuple(f.shape[1:]) for f in net.encoder(images())] == [(4, 32, 48), (8, 16, 24), (16, 8, 12), (32, 4, 6), (32, 2, 3)]
    net.eval()
    both = net(images())
    for task in (SEGMENTATION, DEPTH):
        torch.testing.assert_close(net(images(), task), both[task])


def test_a_task_moves_the_encoder_and_its_own_decoder_alone():
    net = UNet(3, width=2, depth=2)
    net(images(), DEPTH).sum().backward()
    assert all(p.grad is not None for p in (*net.shared_parameters(), *net.head_parameters(DEPTH)))
    assert all(p.grad is None for p in net.head_parameters(SEGMENTATION))
    counts = [sum(p.numel() for p in ps) for ps in (net.shared_parameters(), net.head_parameters(0), net.head_parameters(1))]
    assert sum(counts) == sum(p.numel() for p in net.parameters())


def test_channels_last_gives_the_same():
    """Law: to 1e-5 in eval mode."""
    net = UNet(3, width=4, depth=2).eval()
    expected = net(images())
    found = net.to(memory_format=torch.channels_last)(images().contiguous(memory_format=torch.channels_last))
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_gradients_in_channels_last_are_those_of_the_usual_format():
    """Law: to 1e-4 of the largest."""
    found = []
    for memory in (torch.contiguous_format, torch.channels_last):
        net = UNet(3, width=4, depth=2).to(memory_format=memory)
        x = images().contiguous(memory_format=memory)
        (net(x, DEPTH) ** 2).mean().backward()
        found.append(torch.cat([p.grad.flatten() for p in net.shared_parameters()]))
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-4 * float(found[0].abs().max()))
    assert float(found[0].abs().max()) > 0


def test_a_seed_fixes_the_start_and_sizes_are_checked():
    a, b, c = (UNet(3, width=2, depth=1, seed=s).encoder.stages[0][0].weight for s in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    with pytest.raises(BadValue, match="multiples of 16"):
        UNet(3, width=2)(images(h=24))
    with pytest.raises(BadValue):
        UNet(0)
