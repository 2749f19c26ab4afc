"""Laws of whole-batch augmentation: what torchvision does image by image, from one gather of bytes."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import pad
from torchvision.transforms.v2.functional import rotate

from mtlrepro.device import generator
from mtlrepro.errors import BadValue
from mtlrepro.training.augmentation import Augmentation, Moves, augmented, draw_moves, image_data

SIDE = 12


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randint(1, 256, (20, SIDE, SIDE, 3), generator=generator(0), dtype=torch.uint8)


def raw(data, rows, moves=None, how=None) -> torch.Tensor:
    """(n, channels, h, w) pixel values, normalisation undone."""
    shown = augmented(data, rows, moves, how)
    return (shown * data.spread.view(1, -1, 1, 1) + data.mean.view(1, -1, 1, 1)).round()


def test_images_as_they_are_have_mean_0_and_spread_1_a_channel(images):
    data = image_data(images)
    shown = augmented(data, torch.arange(20))
    assert shown.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(shown.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(shown.std((0, 2, 3), correction=0), torch.ones(3))
    torch.testing.assert_close(raw(data, torch.arange(20)), images.permute(0, 3, 1, 2).float())


def test_normalisation_is_by_the_training_images_alone(images):
    data = image_data(images, torch.arange(5))
    torch.testing.assert_close(data.mean, images[:5].float().mean((0, 1, 2)))
    torch.testing.assert_close(data.spread, images[:5].float().std((0, 1, 2), correction=0))
    assert image_data(torch.full((2, 4, 4, 1), 7, dtype=torch.uint8)).spread.tolist() == [1.0]


@pytest.mark.parametrize("border", ["black", "reflect"])
def test_crops_and_flips_are_those_of_the_padded_image(images, border):
    """Law: each is the stated crop of the padded image, mirrored where stated, with every place and both ways drawn."""
    how, rows = Augmentation(crop=2, flip="random", border=border), torch.arange(20).repeat(10)
    data, moves = image_data(images), draw_moves(torch.arange(20).repeat(10), 20, how, seed=0, epoch=0)
    found = raw(data, rows, moves, how)
    mode = {"black": "constant", "reflect": "reflect"}[border]
    wide = pad(images.permute(0, 3, 1, 2).float(), (2, 2, 2, 2), mode=mode)
    for i, row in enumerate(rows.tolist()):
        down, right = int(moves.down[i]), int(moves.right[i])
        crop = wide[row, :, down : down + SIDE, right : right + SIDE]
        assert torch.equal(found[i], crop.flip(-1) if moves.flipped[i] else crop)
    assert {(int(a), int(b)) for a, b in zip(moves.down, moves.right, strict=True)} == {
        (a, b) for a in range(5) for b in range(5)
    }
    assert 60 < int(moves.flipped.sum()) < 140


@pytest.mark.parametrize("degrees", [-15.0, 8.0, 90.0])
def test_rotation_is_torchvisions_by_the_nearest_pixel(images, degrees):
    """Law: equal but at pixels that lie half way between two, at most 1 in 50; a quarter turn exactly."""
    data, rows, how = image_data(images), torch.arange(20), Augmentation(rotation=90.0)
    zero = torch.zeros(20, dtype=torch.int64)
    moves = Moves(zero, zero, torch.zeros(20, dtype=torch.bool), torch.full((20,), degrees * torch.pi / 180))
    found, wanted = raw(data, rows, moves, how), rotate(images.permute(0, 3, 1, 2), degrees).float()
    assert (found != wanted).float().mean() <= (0 if degrees == 90 else 0.02)
    assert not torch.equal(found, raw(data, rows))


def test_a_rotated_crop_is_cropped_and_flipped_first(images):
    """Law: all three together are the rotation of the crop and flip."""
    data, rows, how = image_data(images), torch.arange(20), Augmentation(2, "random", 15.0)
    moves = draw_moves(rows, 20, how, seed=1, epoch=0)
    before = raw(data, rows, moves, Augmentation(2, "random")).to(torch.uint8)
    found = raw(data, rows, moves, how)
    turned = torch.stack([rotate(each, float(a)) for each, a in zip(before, moves.turn * 180 / torch.pi, strict=True)])
    assert (found != turned.float()).float().mean() <= 0.02
    assert moves.turn.abs().max() <= 15 * torch.pi / 180
    assert len(moves.turn.unique()) == 20


def test_alternating_flips_show_each_image_both_ways_in_two_epochs():
    how, rows = Augmentation(flip="alternating"), torch.arange(100)
    first, second, third = (draw_moves(rows.flip(0) if e == 1 else rows, 100, how, 0, e).flipped for e in range(3))
    assert torch.equal(first, ~second.flip(0))
    assert torch.equal(first, third)
    assert 30 < int(first.sum()) < 70


def test_moves_follow_from_seed_and_epoch_alone(images):
    how, rows = Augmentation(4, "random", 15.0), torch.arange(20)
    a, b, c, d = (draw_moves(rows, 20, how, s, e).turn for s, e in ((0, 0), (0, 0), (0, 1), (1, 0)))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert not torch.equal(a, d)


def test_images_are_averaged_down_to_whole_values(images):
    data = image_data(images, side=4)
    assert data.shape == (20, 4, 4, 3)
    mean = images[3, 3:6, 6:9].float().mean((0, 1))
    torch.testing.assert_close(raw(data, torch.tensor([3]))[0, :, 1, 2], mean.round())


def test_bad_images_and_settings_are_refused(images):
    for wrong in (images.float(), images[0], images[:0]):
        with pytest.raises(BadValue):
            image_data(wrong)
    with pytest.raises(BadValue):
        image_data(images, side=5)
    for wrong in ({"crop": -1}, {"rotation": 200.0}, {"flip": "up"}, {"border": "white"}):
        with pytest.raises(BadValue):
            Augmentation(**wrong)
