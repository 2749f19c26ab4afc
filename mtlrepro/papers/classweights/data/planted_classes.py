"""An auxiliary task whose classes are known to help or to harm, for networks whose tasks share a narrow bottleneck.

Two latent values matter at every place: `signal`, which the main task asks for, and `distraction`, which it does not. A place
belongs to one of C auxiliary classes; helpful class k asks for sqrt(q_k) signal + sqrt(1 - q_k) noise, harmful ones for the
distraction. All targets have mean 0 and variance 1 and classes are as frequent as `frequencies` says, so at the start all classes
have one loss. Harm comes from room: with few channels and few main labels, the shared part goes to what most labels ask for.

- linear: a place is a sample of `inputs` values, a random rotation of signal, distraction and values that no task asks for.
- dense: the same, but the signal is the size of a rotated value, |v|, so that the shared part needs a hidden layer.
- convolutional: places are the pixels of images of three channels. The signal is the strength of a checkerboard of random phase,
  the distraction a colour; both are constant on 4 x 4 pixels. `x` holds the 3 x 3 patch round each pixel, so that a linear layer
  on it is a 3 x 3 convolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from mtlrepro.device import NETWORK, generator
from mtlrepro.errors import UnknownName

KINDS = ("linear", "dense", "convolutional")
_SIDE, _BLOCK = 8, 4  # pixels of an image's side, and of a block's


@dataclass(frozen=True)
class PlantedClasses:
    """kind: of KINDS. samples: to train on, held out, and to test on (images, where convolutional). labelled: share of places
    with a main label. noise: standard deviation of the main labels' noise. shares: q_k of each helpful class. harmful: number
    of harmful classes. frequencies: of all classes, helpful ones first, up to a factor; none: all alike. inputs: of a sample.
    blur: standard deviation of a pixel's noise."""

    kind: str = "linear"
    samples: tuple[int, int, int] = (300, 300, 1000)
    labelled: float = 0.3
    noise: float = 1.5
    shares: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    harmful: int = 5
    frequencies: tuple[float, ...] = ()
    inputs: int = 20
    blur: float = 0.3

    @property
    def classes(self) -> int:
        """Number of auxiliary classes."""
        return len(self.shares) + self.harmful

    @staticmethod
    def of(values: Mapping[str, Any]) -> PlantedClasses:
        """From plain data, such as JSON gives: lists become tuples. Raises UnknownName for a kind."""
        given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        problem = PlantedClasses(**given)
        if problem.kind not in KINDS:
            raise UnknownName("kind of planted classes", problem.kind, KINDS)
        return problem


class Places(NamedTuple):
    """x: (runs, n, places, inputs); the others (runs, n, places). main: labels with noise, known where `labelled`; signal: these
    without noise; classes: int64; auxiliary: targets."""

    x: Tensor
    main: Tensor
    signal: Tensor
    labelled: Tensor
    classes: Tensor
    auxiliary: Tensor


def drawn(problem: PlantedClasses, seeds: Sequence[int]) -> tuple[Places, Places, Places]:
    """The part to train on, the one held out and the one to test on, one run per seed."""
    wholes = [_whole(problem, seed) for seed in seeds]
    joined = Places(*(torch.stack(values) for values in zip(*wholes, strict=True)))
    train, held, test = (Places(*values) for values in zip(*(v.split(problem.samples, 1) for v in joined), strict=True))
    return train, held, test


def _whole(problem: PlantedClasses, seed: int) -> Places:
    g = generator(seed, "planted classes", problem.kind)
    n = sum(problem.samples)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g, dtype=NETWORK)

    x, signal, distraction = _images(n, problem.blur, g) if problem.kind == "convolutional" else _samples(problem, n, g)
    shape = signal.shape
    frequencies = torch.tensor(problem.frequencies or (1.0,) * problem.classes)
    classes = torch.multinomial(frequencies, signal.numel(), replacement=True, generator=g).view(shape)
    share = torch.tensor((*problem.shares, *(0.0,) * problem.harmful))[classes]
    helpful = share.sqrt() * signal + (1 - share).sqrt() * normal(*shape)
    auxiliary = torch.where(classes < len(problem.shares), helpful, distraction)
    labelled = torch.rand(shape, generator=g) < problem.labelled
    return Places(x, signal + problem.noise * normal(*shape), signal, labelled, classes, auxiliary)


def _samples(problem: PlantedClasses, n: int, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    rotation = torch.linalg.qr(torch.randn(problem.inputs, problem.inputs, generator=g, dtype=NETWORK))[0]
    latent = torch.randn(n, problem.inputs, generator=g, dtype=NETWORK)
    value, distraction = latent[:, :1], latent[:, 1:2]
    # |v| of a normal v has mean sqrt(2 / pi) and variance 1 - 2 / pi.
    signal = value if problem.kind == "linear" else (value.abs() - (2 / torch.pi) ** 0.5) / (1 - 2 / torch.pi) ** 0.5
    return (latent @ rotation)[:, None], signal, distraction


def _images(n: int, blur: float, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    blocks = _SIDE // _BLOCK

    def uniform() -> Tensor:
        """Mean 0 and variance 1, constant on blocks: (n, side, side)."""
        values = (torch.rand(n, blocks, blocks, generator=g, dtype=NETWORK) - 0.5) * 12**0.5
        return values.repeat_interleave(_BLOCK, 1).repeat_interleave(_BLOCK, 2)

    signal, distraction, phase = uniform(), uniform(), uniform().sign()
    board = (torch.arange(_SIDE)[:, None] + torch.arange(_SIDE)) % 2 * 2.0 - 1
    texture = phase * board * (1 + signal / 12**0.5)  # strength in 1/2 to 3/2
    colour = torch.tensor([1.0, -0.5, -0.5])
    images = texture[:, None] + distraction[:, None] * colour[:, None, None]
    images = images + blur * torch.randn(images.shape, generator=g, dtype=NETWORK)
    padded = pad(images, (1, 1, 1, 1), mode="reflect")
    patches = padded.unfold(2, 3, 1).unfold(3, 3, 1)  # (n, 3, side, side, 3, 3)
    x = patches.permute(0, 2, 3, 1, 4, 5).reshape(n, _SIDE**2, 27)
    return x, signal.flatten(1), distraction.flatten(1)
