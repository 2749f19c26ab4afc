"""Images that lie on the device as bytes, and their augmentation as one gather for a whole batch.

Crop, flip and rotation by the nearest pixel each name one source pixel for every pixel of the result, so all three together are
one look-up in the table of all pixels; nothing is interpolated and nothing is done image by image. As in torchvision's usual
chain an image is cropped at a random place of its padded self, then flipped, then rotated about its centre, and what lies outside
is black. Normalisation to mean 0 and spread 1 a channel follows on the fly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from mtlrepro.device import NETWORK, generator
from mtlrepro.errors import BadValue

Flip = Literal["none", "random", "alternating"]
Border = Literal["black", "reflect"]


@dataclass(frozen=True)
class Augmentation:
    """How training images are varied; the default leaves them as they are.

    crop: margin in pixels on every side, of which a crop of the image's own size is taken at random.
    flip: left to right, "random": half of the images, drawn anew each epoch; "alternating": half of them in the first epoch and
        the other half in the next, in turn (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU").
    rotation: up to so many degrees to either side. border: what a crop's margin shows, black or the mirrored image.
    Raises BadValue for values out of range.
    """

    crop: int = 0
    flip: Flip = "none"
    rotation: float = 0.0
    border: Border = "black"

    def __post_init__(self) -> None:
        for name, value, known in (("flip", self.flip, get_args(Flip)), ("border", self.border, get_args(Border))):
            if value not in known:
                raise BadValue(f"{name} must be one of {', '.join(known)}, not {value!r}.")
        if self.crop < 0 or not 0 <= self.rotation <= 180:
            raise BadValue(f"crop must be at least 0 and rotation 0 to 180 degrees, not {self.crop} and {self.rotation}.")


# The chain of CO-TASK's authors and of many CIFAR trainers.
CROP_FLIP_ROTATE = Augmentation(crop=4, flip="random", rotation=15.0)


@dataclass(frozen=True, eq=False)
class ImageData:
    """n images on a device. pixels: (n h w + 1, channels) uint8, the last one black. shape: (n, h, w, channels).

    mean, spread: (channels,) float32 in units of a pixel's value, what images are normalised by.
    """

    pixels: Tensor
    shape: tuple[int, int, int, int]
    mean: Tensor
    spread: Tensor

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the images lie."""
        return self.pixels.device


def image_data(
    images: NDArray[Any] | Tensor,
    training: Tensor | NDArray[Any] | None = None,
    *,
    side: int | None = None,
    device: torch.device | str = "cpu",
) -> ImageData:
    """Images for `train_images`, on `device`, to be normalised by the training images' mean and standard deviation a channel.

    images: (n, h, w, channels) uint8. training: row numbers of the training images, None: all. side: average images down to so
    many pixels a side, rounded to whole values. Raises BadValue for another shape or type, or a side that does not divide theirs.
    """
    pictures = torch.as_tensor(images)
    if pictures.ndim != 4 or pictures.dtype != torch.uint8 or not len(pictures):
        raise BadValue(f"images must be (n, h, w, channels) uint8, not {tuple(pictures.shape)} {pictures.dtype}.")
    if side is not None and side < pictures.shape[1]:
        if side < 1 or pictures.shape[1] % side or pictures.shape[1] != pictures.shape[2]:
            raise BadValue(f"side {side} must divide the images' {pictures.shape[1]} x {pictures.shape[2]} pixels.")
        pictures = torch.cat([_pooled(part, side) for part in pictures.split(5000)])
    known = pictures if training is None else pictures[torch.as_tensor(training)]
    mean, spread = _moments(known)
    n, h, w, channels = pictures.shape
    table = torch.cat([pictures.reshape(-1, channels), torch.zeros(1, channels, dtype=torch.uint8)])
    return ImageData(table.to(device), (n, h, w, channels), mean.to(device, NETWORK), spread.to(device, NETWORK))


def _pooled(images: Tensor, side: int) -> Tensor:
    picture = avg_pool2d(images.permute(0, 3, 1, 2).to(NETWORK), images.shape[1] // side)
    return picture.round().to(torch.uint8).permute(0, 2, 3, 1)


def _moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation a channel, exact from counts of the 256 values; a constant channel has spread 1."""
    values = torch.arange(256, dtype=torch.float64)
    shares = torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in images.unbind(-1)]).double()
    shares /= shares.sum(1, keepdim=True)
    mean = shares @ values
    spread = (shares * (values - mean[:, None]).square()).sum(1).sqrt()
    return mean, torch.where(spread > 0, spread, 1.0)


@dataclass(frozen=True, eq=False)
class Moves:
    """What happens to each of n images: down, right (n,) int64, the crop's place; flipped (n,) bool; turn (n,) radians."""

    down: Tensor
    right: Tensor
    flipped: Tensor
    turn: Tensor

    def part(self, start: int, stop: int) -> Moves:
        """Those of images start to stop."""
        return Moves(*(each[start:stop] for each in (self.down, self.right, self.flipped, self.turn)))


def draw_moves(rows: Tensor, images: int, how: Augmentation, seed: int, epoch: int, device: torch.device | str = "cpu") -> Moves:
    """The moves of one epoch for images in the order of `rows` (n,), a function of seed and epoch alone; drawn on the CPU.

    images: how many there are in all.
    """
    n, draw = len(rows), generator(seed, "augmentation", epoch)
    places = torch.randint(0, 2 * how.crop + 1, (2, n), generator=draw)
    turn = (2 * torch.rand(n, generator=draw) - 1) * torch.pi * how.rotation / 180
    flipped = torch.zeros(n, dtype=torch.bool)
    if how.flip == "random":
        flipped = torch.rand(n, generator=draw) < 0.5
    elif how.flip == "alternating":
        first = torch.rand(images, generator=generator(seed, "first flips")) < 0.5
        flipped = first[rows.cpu()] ^ bool(epoch % 2)
    return Moves(*(each.to(device) for each in (*places, flipped, turn)))


def augmented(data: ImageData, rows: Tensor, moves: Moves | None = None, how: Augmentation | None = None) -> Tensor:
    """(n, channels, h, w) float32, channels last in memory: images `rows` (n,) after `moves`, normalised; None: as they are."""
    _, h, w, channels = data.shape
    index = rows[:, None] * (h * w) + torch.arange(h * w, device=rows.device)
    if moves is not None and how is not None:
        index = _sources(data, rows, moves, how).view(len(rows), -1)
    pixels = data.pixels.index_select(0, index.view(-1)).to(NETWORK).sub_(data.mean).div_(data.spread)
    return pixels.view(len(rows), h, w, channels).permute(0, 3, 1, 2)


def _sources(data: ImageData, rows: Tensor, moves: Moves, how: Augmentation) -> Tensor:
    """(n, h, w) the table's row of every pixel of the result."""
    n, h, w, _ = data.shape
    y = torch.arange(h, device=rows.device).view(1, h, 1)
    x = torch.arange(w, device=rows.device).view(1, 1, w)
    inside = torch.ones((), dtype=torch.bool, device=rows.device)
    if how.rotation:
        y, x = _rotated(y, x, moves.turn.view(-1, 1, 1), h, w)
        inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)
    x = torch.where(moves.flipped.view(-1, 1, 1), w - 1 - x, x) + (moves.right - how.crop).view(-1, 1, 1)
    y = y + (moves.down - how.crop).view(-1, 1, 1)
    if how.border == "reflect":
        y, x = _reflected(y, h), _reflected(x, w)
    inside = inside & (y >= 0) & (y < h) & (x >= 0) & (x < w)
    return torch.where(inside, (rows.view(-1, 1, 1) * h + y) * w + x, n * h * w)


def _rotated(y: Tensor, x: Tensor, turn: Tensor, h: int, w: int) -> tuple[Tensor, Tensor]:
    """Where each pixel comes from when images turn counter-clockwise about their centre: (n, h, w) rows and columns."""
    up, left, cos, sin = y - (h - 1) / 2, x - (w - 1) / 2, turn.cos(), turn.sin()
    columns = cos * left - sin * up + (w - 1) / 2
    lines = sin * left + cos * up + (h - 1) / 2
    return lines.round().long(), columns.round().long()


def _reflected(place: Tensor, size: int) -> Tensor:
    """Places outside 0 .. size - 1 mirrored at the edge pixel."""
    return (size - 1) - ((size - 1) - place.abs()).abs()
