"""Procedural scenes: images with a class and a depth for every pixel, made on the device, for the class-wise weights exhibits.

Three presets imitate kinds of pictures: "driving" (country road), "street" (town) and "indoor" (room). A scene is a box seen by a
pinhole camera (ground, top, two sides, back), with objects that stand on the ground or hang above it. Every class has its own
shape, size, place, colour, texture and range of depth. Appearance tells depth: with distance, texture gets finer on the image,
contrast is lost and colour turns to haze; and objects get smaller and stand higher on the image.

Two controls set how the two tasks, segmentation and depth, relate:

- `explained` (0 to 1): how much of an object's log depth its class explains. At 1 all objects of a class stand at the class's own
  distance; at 0 at any distance, whatever the class. This is of objects as they are drawn: of the pixels seen, a class explains
  a little even at 0, because its place and size decide at which distances it is in view.
- `misleading`: classes whose texture and haze are those of a random other distance, drawn anew for each object or surface.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mtlrepro.device import generator
from mtlrepro.errors import BadValue, UnknownName

UNLABELLED = -1
_BLOCK = 32  # images made at once: their maps stay in the processor's cache


@dataclass(frozen=True)
class SceneClass:
    """One semantic class. colour: red, green, blue in 0 .. 1. grain: texture waves a metre. contrast: of the texture.

    The rest is for objects: frequency (0: a surface of the box), height and width in metres (each object's own size is within a
    quarter of it), lift: metres between ground and its foot. side: range of the distance to the middle line, in metres.
    distance: the class's own, in metres. round: 0 box, 1 ellipse. taper: narrowing to the top, 0 to 0.9.
    """

    name: str
    colour: tuple[float, float, float]
    grain: float = 1.0
    contrast: float = 0.1
    frequency: float = 0.0
    height: float = 1.0
    width: float = 1.0
    lift: float = 0.0
    side: tuple[float, float] = (0.0, 5.0)
    distance: float = 10.0
    round: float = 0.0
    taper: float = 0.0


@dataclass(frozen=True)
class Preset:
    """A kind of scene. classes: in the order of their labels. camera: metres above ground. sides: range of the distance of either
    side, in metres; tall: its height; back: range of the far end; top: the ceiling above the camera. near, far: range of depth.

    ground: (class, up to so many metres from the middle line), inside out. walls: classes of the sides, at random by stretch.
    end, above: classes of the far end and of what is above everything. objects: an image. holes, unlabelled: shares of
    pixels without depth and without class. open_sky: what is above has no depth (else it has the depth `far`).
    """

    classes: tuple[SceneClass, ...]
    camera: float
    sides: tuple[float, float]
    tall: float
    back: tuple[float, float]
    top: float
    near: float
    far: float
    ground: tuple[tuple[str, float], ...]
    walls: tuple[str, ...]
    end: str
    above: str
    objects: int
    holes: float
    unlabelled: float
    open_sky: bool
    haze: tuple[float, float, float]

    @property
    def names(self) -> list[str]:
        """Class names in the order of their labels."""
        return [c.name for c in self.classes]

    def label(self, name: str) -> int:
        """The label of a class. Raises UnknownName."""
        if name not in self.names:
            raise UnknownName("class", name, self.names)
        return self.names.index(name)


class Scenes(NamedTuple):
    """images (n, 3, h, w) float32 in 0 .. 1; labels (n, h, w) int64, UNLABELLED where there is none; depth (n, h, w) float32 in
    metres; valid (n, h, w) bool, where the depth is known (elsewhere it is 0)."""

    images: Tensor
    labels: Tensor
    depth: Tensor
    valid: Tensor

    @property
    def inverse_depth(self) -> Tensor:
        """1 / depth, 0 where not valid, (n, h, w)."""
        return torch.where(self.valid, 1 / self.depth.where(self.valid, 1), 0)


def _object(name: str, colour: tuple[float, float, float], frequency: float, size: tuple[float, float], distance: float,
            side: tuple[float, float], **rest: Any) -> SceneClass:  # fmt: skip
    """An object of this height and width."""
    return SceneClass(name, colour, frequency=frequency, height=size[0], width=size[1], distance=distance, side=side, **rest)


_SKY = SceneClass("sky", (0.55, 0.72, 0.92), grain=0.02, contrast=0.03)
_ROAD = SceneClass("road", (0.36, 0.35, 0.37), grain=1.5, contrast=0.05)
_TERRAIN = SceneClass("terrain", (0.45, 0.52, 0.24), grain=2.5, contrast=0.14)
_BUILDING = SceneClass("building", (0.62, 0.48, 0.40), grain=0.6, contrast=0.22)
_CAR = _object("car", (0.62, 0.16, 0.18), 5, (1.5, 2.0), 12, (1.2, 4.5), grain=1.2, contrast=0.16, round=0.4, taper=0.25)
_TRUCK = _object("truck", (0.80, 0.78, 0.70), 1, (3.2, 2.6), 24, (1.5, 4.5), grain=0.5, contrast=0.08)
_POLE = _object("pole", (0.52, 0.53, 0.55), 2, (5.0, 0.25), 16, (5, 8), grain=3.0, contrast=0.05)
_SIGN = _object("traffic sign", (0.90, 0.80, 0.12), 2, (0.9, 0.9), 14, (4.5, 7.5), lift=2.0, grain=2.0, contrast=0.25, round=1.0)
_LIGHT = _object("traffic light", (0.12, 0.20, 0.12), 1.5, (1.1, 0.5), 26, (3.5, 7), lift=3.0, grain=3.0, contrast=0.3)

PRESETS: dict[str, Preset] = {
    "driving": Preset(
        classes=(
            _TERRAIN, _SKY, _object("tree", (0.16, 0.36, 0.14), 3, (6.5, 4.5), 30, (7, 14), grain=1.6, contrast=0.24, round=1.0),
            SceneClass("vegetation", (0.28, 0.46, 0.18), grain=2.0, contrast=0.2), _BUILDING, _ROAD,
            _object("guard rail", (0.74, 0.75, 0.77), 1.5, (0.8, 6.0), 18, (5.5, 7), lift=0.1, grain=1.0, contrast=0.1),
            _SIGN, _LIGHT, _POLE, _object("misc", (0.60, 0.35, 0.65), 1.5, (1.0, 1.0), 8, (5, 9), grain=1.5, taper=0.5),
            _TRUCK, _CAR,
        ),
        camera=1.6, sides=(9.0, 18.0), tall=5.0, back=(120.0, 300.0), top=math.inf, near=4.0, far=655.0,
        ground=(("road", 4.5), ("terrain", math.inf)), walls=("vegetation", "building"), end="vegetation", above="sky",
        objects=12, holes=0.0, unlabelled=0.0, open_sky=False, haze=(0.72, 0.78, 0.86),
    ),
    "street": Preset(
        classes=(
            _ROAD, SceneClass("sidewalk", (0.64, 0.58, 0.60), grain=1.2, contrast=0.12), _BUILDING,
            SceneClass("wall", (0.50, 0.47, 0.44), grain=1.5, contrast=0.1),
            _object("fence", (0.44, 0.30, 0.24), 1, (1.4, 3.0), 14, (7, 9), grain=3.0, contrast=0.28), _POLE, _LIGHT, _SIGN,
            _object("vegetation", (0.22, 0.42, 0.16), 3, (5.0, 3.5), 20, (6.5, 10), lift=0.5, grain=1.8, contrast=0.2, round=1.0),
            _TERRAIN, _SKY, _object("person", (0.85, 0.42, 0.34), 4, (1.75, 0.6), 8, (4, 8), grain=2.5, contrast=0.16, round=0.6),
            _object("rider", (0.30, 0.28, 0.60), 1.5, (1.7, 0.7), 11, (2.5, 5), lift=0.4, grain=2.5, contrast=0.2, round=0.8),
            _CAR, _TRUCK, _object("bus", (0.86, 0.58, 0.10), 0.8, (3.1, 2.7), 28, (1.5, 4.5), grain=0.8, contrast=0.2),
            _object("train", (0.20, 0.42, 0.66), 0.5, (3.6, 3.0), 40, (2, 6), grain=0.4, contrast=0.12),
            _object("motorcycle", (0.20, 0.18, 0.20), 1, (1.2, 0.9), 9, (2, 5.5), grain=3.0, contrast=0.1, round=0.7, taper=0.4),
            _object("bicycle", (0.16, 0.50, 0.50), 1.5, (1.1, 0.8), 7, (4, 7.5), grain=4.0, contrast=0.3, round=1.0),
        ),
        camera=1.4, sides=(8.5, 13.0), tall=11.0, back=(60.0, 160.0), top=math.inf, near=3.0, far=300.0,
        ground=(("road", 4.5), ("sidewalk", 7.5), ("terrain", math.inf)), walls=("building", "building", "wall"), end="building",
        above="sky", objects=14, holes=0.06, unlabelled=0.04, open_sky=True, haze=(0.75, 0.76, 0.78),
    ),
    "indoor": Preset(
        classes=(
            _object("bed", (0.80, 0.72, 0.74), 1.2, (0.6, 1.9), 3.2, (0.3, 1.8), grain=3.0, contrast=0.1),
            _object("books", (0.56, 0.20, 0.36), 1.5, (0.35, 0.6), 2.2, (0.3, 1.8), lift=0.7, grain=14.0, contrast=0.3),
            SceneClass("ceiling", (0.90, 0.90, 0.88), grain=0.8, contrast=0.03),
            _object("chair", (0.50, 0.28, 0.12), 3, (0.95, 0.5), 2.0, (0.1, 1.8), grain=6.0, contrast=0.18, taper=0.3),
            SceneClass("floor", (0.58, 0.42, 0.28), grain=5.0, contrast=0.16),
            _object("furniture", (0.42, 0.30, 0.22), 2, (1.7, 0.9), 4.2, (0.8, 2.4), grain=2.0, contrast=0.2),
            _object("objects", (0.20, 0.52, 0.40), 3, (0.3, 0.3), 1.5, (0.0, 1.6), lift=0.6, grain=8.0, contrast=0.2, round=1.0),
            _object("picture", (0.18, 0.26, 0.54), 1.5, (0.6, 0.8), 5.0, (0.2, 2.0), lift=1.4, grain=4.0, contrast=0.3),
            _object("sofa", (0.34, 0.38, 0.60), 1.2, (0.85, 1.8), 3.6, (0.3, 2.0), grain=4.0, contrast=0.08, round=0.3),
            _object("table", (0.70, 0.52, 0.30), 1.8, (0.75, 1.3), 2.6, (0.0, 1.5), grain=2.5, contrast=0.12, taper=0.2),
            _object("television", (0.08, 0.08, 0.10), 0.8, (0.6, 1.0), 4.0, (0.2, 1.8), lift=0.8, grain=1.0, contrast=0.05),
            SceneClass("wall", (0.82, 0.78, 0.66), grain=1.5, contrast=0.05),
            _object("window", (0.70, 0.86, 0.96), 1.2, (1.1, 1.0), 5.5, (0.3, 2.2), lift=1.0, grain=1.5, contrast=0.12),
        ),
        camera=1.3, sides=(1.8, 3.2), tall=math.inf, back=(4.5, 8.0), top=1.3, near=0.8, far=8.0,
        ground=(("floor", math.inf),), walls=("wall",), end="wall", above="ceiling", objects=9, holes=0.08, unlabelled=0.1,
        open_sky=False, haze=(0.30, 0.26, 0.22),
    ),
}  # fmt: skip


def preset(name: str) -> Preset:
    """The preset called `name`. Raises UnknownName."""
    if name not in PRESETS:
        raise UnknownName("scene preset", name, PRESETS)
    return PRESETS[name]


def scenes(
    kind: str,
    n: int,
    size: tuple[int, int] = (64, 128),
    seed: int = 0,
    *,
    explained: float = 0.5,
    misleading: Collection[str] = (),
    device: torch.device | str = "cpu",
) -> Scenes:
    """`n` scenes of a preset at height and width `size`, drawn by `seed`: the same on every call on one kind of device.

    explained, misleading: the two controls above; misleading holds class names. Raises UnknownName, BadValue.
    """
    made = preset(kind)
    if n < 1 or min(size) < 8 or not 0 <= explained <= 1:
        raise BadValue("scenes need n >= 1, a size of at least 8 x 8, and explained between 0 and 1.")
    false = torch.zeros(len(made.classes), device=device)
    for name in misleading:
        false[made.label(name)] = 1
    blocks = []
    for i, start in enumerate(range(0, n, _BLOCK)):
        drawn = generator(seed, "scenes", kind, *size, i, device=device)
        blocks.append(_block(made, min(_BLOCK, n - start), size, explained, false, drawn))
    return Scenes(*(torch.cat(parts) for parts in zip(*blocks, strict=True)))


class _Maps(NamedTuple):
    """Maps (n, h, w) that objects are painted into: label; depth; apart: the instance's log ratio of false to true depth; tint:
    the instance's brightness."""

    label: Tensor
    depth: Tensor
    apart: Tensor
    tint: Tensor


class _View(NamedTuple):
    """Rows below the horizon and columns right of the middle in focal lengths: down (n, h, 1), right (1, 1, w)."""

    down: Tensor
    right: Tensor


def _block(made: Preset, n: int, size: tuple[int, int], explained: float, false: Tensor, drawn: torch.Generator) -> Scenes:
    h, w = size
    device = drawn.device
    focal = 0.6 * max(w, 1.6 * h)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=drawn, device=device)

    horizon = uniform(0.38, 0.5, n, 1, 1) * h
    rows, columns = (torch.arange(k, device=device, dtype=torch.float32) + 0.5 for k in (h, w))
    view = _View((rows[:, None] - horizon) / focal, ((columns - w / 2) / focal)[None, None])
    maps = _objects(made, _surfaces(made, view, drawn), view, explained, drawn)
    images = _painted(made, maps, view, false, drawn)

    def blobs(share: float) -> Tensor:
        """Patches that cover about `share` of the pixels."""
        coarse = torch.rand(n, 1, -(-h // 6), -(-w // 6), generator=drawn, device=device) < share
        return interpolate(coarse.float(), size=size, mode="nearest")[:, 0] > 0

    valid = maps.depth <= made.far
    if made.open_sky:
        valid &= maps.label != made.label(made.above)
    if made.holes:
        valid &= ~blobs(made.holes)
    label = maps.label.masked_fill(blobs(made.unlabelled), UNLABELLED) if made.unlabelled else maps.label
    return Scenes(images, label, maps.depth * valid, valid)


def _surfaces(made: Preset, view: _View, drawn: torch.Generator) -> _Maps:
    """The empty box: for each pixel the surface that its ray meets first."""
    n, device = len(view.down), drawn.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=drawn, device=device)

    sides, back = uniform(*made.sides, n, 2, 1), uniform(*made.back, n, 1, 1)
    whole = torch.zeros(n, view.down.shape[1], view.right.shape[-1], device=device)

    def plane(away: Tensor | float, slope: Tensor) -> Tensor:
        """Depth where rays of this slope meet a plane so many metres away; infinite for rays that run from it."""
        return whole + torch.where(slope > 0, away / slope, torch.inf)

    ground = plane(made.camera, view.down)
    wall = torch.minimum(plane(sides[:, :1], view.right), plane(sides[:, 1:], -view.right))
    # A wall stands up to `tall` above the ground; above it one sees over it.
    height = made.camera - view.down * wall
    wall = wall.masked_fill(height > made.tall, torch.inf)
    over = plane(made.top, -view.down)
    end = (whole + back).masked_fill(made.camera - view.down * back > made.tall, torch.inf)
    depth, which = torch.stack([ground, wall, end, over]).min(0)
    which = which.masked_fill(depth.isinf(), 3)
    depth = depth.clamp(max=made.far)

    across = (view.right * depth).abs()
    floor = torch.full_like(which, made.label(made.ground[0][0]))
    for (_, inner), (name, _) in zip(made.ground, made.ground[1:], strict=False):
        floor = floor.masked_fill(across > inner, made.label(name))
    # Stretches of a side, each a factor of about 1.6 further away, have a class at random.
    options = torch.tensor([made.label(name) for name in made.walls], device=device)
    stretches = options[torch.randint(len(options), (n, 32), generator=drawn, device=device)]
    stretch = (2 * depth.log().clamp_min(0)).long().clamp_max(15) + 16 * (view.right > 0)
    walls = stretches.gather(1, stretch.flatten(1)).view_as(stretch)
    label = torch.where(which == 0, floor, torch.where(which == 1, walls, made.label(made.end)))
    label = label.masked_fill(which == 3, made.label(made.above))
    apart = torch.randn(n, 4, generator=drawn, device=device).gather(1, which.flatten(1)).view_as(depth)
    return _Maps(label, depth, apart, torch.zeros_like(depth))


def _objects(made: Preset, maps: _Maps, view: _View, explained: float, drawn: torch.Generator) -> _Maps:
    """The maps with objects painted in, nearer ones over farther ones."""
    n, device = len(view.down), drawn.device
    fields = ("frequency", "height", "width", "lift", "distance", "round", "taper")
    table = torch.tensor([[getattr(c, f) for f in fields] + list(c.side) for c in made.classes], device=device)
    shape = (n, made.objects)

    def uniform() -> Tensor:
        return torch.rand(*shape, generator=drawn, device=device)

    label = torch.multinomial(table[:, 0].expand(n, -1), made.objects, replacement=True, generator=drawn)
    _, height, width, lift, distance, rounded, taper, inner, outer = table[label].unbind(-1)
    nearest, farthest = math.log(made.near), math.log(max(c.distance for c in made.classes if c.frequency) * 1.5)
    anywhere = nearest + (farthest - nearest) * uniform()
    depth = (explained * distance.log() + (1 - explained) * anywhere).exp()
    height, width = height * (0.75 + 0.5 * uniform()), width * (0.75 + 0.5 * uniform())
    across = (inner + (outer - inner) * uniform()) * torch.where(uniform() < 0.5, -1, 1)
    apart, tint = torch.randn(*shape, generator=drawn, device=device), 0.12 * torch.randn(*shape, generator=drawn, device=device)

    found = _Maps(*(m.clone() for m in maps))
    for k in range(made.objects):
        z, tall, wide, x, up, box, narrow = (
            v[:, k, None, None] for v in (depth, height, width, across, lift, rounded, taper)
        )  # fmt: skip
        # Place on the object, -1 to 1 from its middle: `vertical` is 1 at the foot.
        vertical = (view.down - (made.camera - up - tall / 2) / z) * (2 * z / tall)
        horizontal = (view.right - x / z) * (2 * z / wide) / (1 - narrow * (1 - vertical.clamp(-1, 1)) / 2)
        a, b = horizontal.abs(), vertical.abs()
        inside = ((1 - box) * torch.maximum(a, b) + box * (a * a + b * b) < 1) & (z < found.depth)
        for painted, value in zip(found, (label, depth, apart, tint), strict=True):
            painted.copy_(torch.where(inside, value[:, k, None, None], painted))
    return found


def _painted(made: Preset, maps: _Maps, view: _View, false: Tensor, drawn: torch.Generator) -> Tensor:
    """Colours (n, 3, h, w): each class's colour and texture at the depth that it seems to have."""
    device = drawn.device
    looks = torch.tensor([(*c.colour, c.grain, c.contrast) for c in made.classes], device=device)
    # How far a false depth may be off: a factor e^1.2 either way is common.
    seeming = maps.depth * (1.2 * maps.apart * false[maps.label]).exp()
    grain, contrast = looks[:, 3][maps.label], looks[:, 4][maps.label]
    angle = 2 * math.pi * grain * seeming
    turn = (0.7 * maps.label).float()  # each class's texture runs in its own direction
    c, s = turn.cos(), turn.sin()
    wave = (angle * (c * view.right + s * view.down)).sin() * (angle * (c * view.down - s * view.right)).cos()
    # Waves finer than pixels blur away instead of aliasing.
    step = float(view.right[0, 0, 1] - view.right[0, 0, 0])
    wave = wave * torch.exp(-((grain * seeming * step * 1.5) ** 2))
    shade = 1 + 2 * contrast * wave + maps.tint
    clear = torch.exp(-seeming / (made.far if made.far < 20 else 60.0))
    noise = torch.randn(maps.depth.shape, generator=drawn, device=device)
    light = 0.85 + 0.3 * torch.rand(len(maps.depth), 1, 1, generator=drawn, device=device)
    colours = [
        light * (looks[:, i][maps.label] * shade * clear + made.haze[i] * (1 - clear)) + 0.02 * noise for i in range(3)
    ]  # fmt: skip
    return torch.stack(colours, 1).clamp(0, 1)
