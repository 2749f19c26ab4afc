"""The two toy problems of the HydaLearn paper (equation 11 and Table 5), drawn anew for each seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mtlrepro.device import NETWORK, generator
from mtlrepro.errors import BadValue, UnknownName


class PairedSamples(NamedTuple):
    """Samples of a main and an auxiliary task on the same inputs: x (seeds, n, d), main and auxiliary (seeds, n, outputs)."""

    x: Tensor
    main: Tensor
    auxiliary: Tensor


class Parts(NamedTuple):
    """Training, validation and test samples, with a leading seeds dimension."""

    train: PairedSamples
    validation: PairedSamples
    test: PairedSamples


class Toy(NamedTuple):
    """Sizes of one toy problem (Table 5): training, validation and test samples, inputs, outputs."""

    train: int
    validation: int
    test: int
    inputs: int
    outputs: int


SIZES = {"related": Toy(10_000, 2_000, 2_000, 75, 25), "unrelated": Toy(1_000, 200, 200, 25, 5)}
SHARED_VARIANCE, OWN_VARIANCE = 10.0, 3.5


def toy(
    kind: str, seeds: Sequence[int], *, spread: float | None = None, noise: float = 0.1, scales: tuple[float, float] = (1.0, 10.0)
) -> Parts:
    """f_i(x) = sigma_i tanh((B + eps_i) s x) plus noise (eq. 11), x standard Gaussian, B and eps_i drawn once a seed.

    kind: "related" (Exp1), or "unrelated" (Exp2), whose auxiliary labels are uniform in the range of the main ones. Entries of
    B have variance 10, those of eps_i variance 3.5. scales: (sigma_m, sigma_a). noise: standard deviation of the noise as
    a share of sigma_i; Exp2's auxiliary labels have none. spread: standard deviation of what enters the tanh, which sets s;
    None is s = 1 as printed, a spread of about 32 (Exp1) or 18 (Exp2), where nearly every tanh is saturated.
    Raises UnknownName for another kind and BadValue for a noise or spread out of range.
    """
    if kind not in SIZES:
        raise UnknownName("toy problem", kind, SIZES)
    if noise < 0 or (spread is not None and spread <= 0):
        raise BadValue("noise must not be negative and spread must be above 0.")
    drawn = [_draw(kind, seed, spread, noise, scales) for seed in seeds]
    return Parts(
        *(PairedSamples(*(torch.stack(arrays) for arrays in zip(*split, strict=True))) for split in zip(*drawn, strict=True))
    )


def _draw(kind: str, seed: int, spread: float | None, noise: float, scales: tuple[float, float]) -> list[PairedSamples]:
    size = SIZES[kind]

    def normal(name: str, *shape: int) -> Tensor:
        return torch.randn(shape, generator=generator(seed, "toy", name), dtype=NETWORK)

    shared = math.sqrt(SHARED_VARIANCE) * normal("shared", size.inputs, size.outputs)
    # What enters the tanh has variance inputs x (10 + 3.5) x s^2.
    s = 1.0 if spread is None else spread / math.sqrt(size.inputs * (SHARED_VARIANCE + OWN_VARIANCE))
    total = size.train + size.validation + size.test
    x = normal("x", total, size.inputs)
    labels = []
    for task, sigma in zip(("main", "auxiliary"), scales, strict=True):
        own = math.sqrt(OWN_VARIANCE) * normal(f"own {task}", size.inputs, size.outputs)
        y = sigma * (torch.tanh(x @ (shared + own) * s) + noise * normal(f"noise {task}", total, size.outputs))
        labels.append(y)
    if kind == "unrelated":
        uniform = torch.rand(labels[0].shape, generator=generator(seed, "toy", "uniform"), dtype=NETWORK)
        labels[1] = labels[0].min() + uniform * (labels[0].max() - labels[0].min())
    parts = [size.train, size.validation, size.test]
    return [PairedSamples(*arrays) for arrays in zip(*(part.split(parts) for part in (x, *labels)), strict=True)]
