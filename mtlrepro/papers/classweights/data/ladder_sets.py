"""Real data with planted classes: half of the auxiliary classes are meant to help the main task, and half to be of no use to it.

- digits: handwritten digits of 8 x 8 pixels. Main task: the digit. Auxiliary task: each image either asks for its digit too (0 to
  9), or in which of 10 ranges the amount of its ink lies (10 to 19).
- cifar10: photographs in cells of 4 x 4 pixels. Main task: the class. Auxiliary task: a fifth of the images ask for their class
  too (0 to 9), the others in which of 10 ranges their brightness lies (10 to 19).
- ludb: lead II of LUDB's recordings (Kalyakulina and others 2020). Main task: P wave, QRS complex, T wave or none of them, at
  each sample. Auxiliary task: each second of a recording either asks in which of 15 ranges the voltage of lead V2 lies (classes 0
  to 14), or in which of 15 ranges the base line of lead II lies (15 to 29), its mean over half a second.
- cifar100: images in cells of 2 x 2 pixels. Main task: the 20 superclasses. Auxiliary task: the 100 fine classes, of which every
  second one is harmful: these labels are permuted among their images. Helpful classes come first.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
import wfdb
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool1d, avg_pool2d

from mtlrepro.data.cifar import load_cifar
from mtlrepro.data.digits import load_digits
from mtlrepro.data.places import arrays_sha256, locate
from mtlrepro.device import NETWORK, generator
from mtlrepro.errors import DataMissing

WAVES = {"p": 1, "N": 2, "t": 3}
RANGES, FINE, TEN = 15, 100, 10
_RECORDS, _STEP, _SECOND = 200, 5, 100  # recordings; samples of 500 Hz in one of 100 Hz; samples a second
_Cifar = Literal["cifar10", "cifar100"]
_FOLDER = "lobachevsky-university-electrocardiography-database-1.0.1/data"


class LadderPart(NamedTuple):
    """x: (n, channels, ...) float32. main, auxiliary: int64, (n,) or (n, samples); -1 where a main label is not known."""

    x: Tensor
    main: Tensor
    auxiliary: Tensor


@lru_cache(maxsize=1)
def delineated() -> tuple[NDArray[np.float32], NDArray[np.int64], str]:
    """LUDB at 100 Hz: leads II and V2 in millivolts (200, 2, 1000); the wave at each sample of lead II (200, 1000), with the
    numbers of `WAVES`, 0 between waves, -1 before the first and after the last mark; sha256. Raises DataMissing, DataCorrupt."""
    place = locate("ludb")
    if place.layout != "archive":
        raise DataMissing("ludb: waves are read from ludb-1.0.1.tar.xz alone; point MTLREPRO_MIRROR at a folder that has it.")
    signals, labels = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        tarfile.open(fileobj=io.BytesIO(place.read("ludb-1.0.1.tar.xz")), mode="r:xz") as archive,
    ):
        wanted = [one for one in archive.getmembers() if one.name.endswith((".dat", ".hea", ".ii"))]
        archive.extractall(folder, wanted, filter="data")
        for number in range(1, _RECORDS + 1):
            file = str(Path(folder) / _FOLDER / str(number))
            volts = wfdb.rdrecord(file, channel_names=["ii", "v2"]).p_signal
            marks = wfdb.rdann(file, "ii")
            signals.append(volts.T.reshape(2, -1, _STEP).mean(2))
            labels.append(waves(marks.sample, marks.symbol, len(volts))[::_STEP])
    leads, marked = np.stack(signals).astype(np.float32), np.stack(labels)
    return leads, marked, arrays_sha256({"signals": leads, "waves": marked})


def waves(samples: Sequence[int], symbols: Sequence[str], length: int) -> NDArray[np.int64]:
    """The wave at each of `length` samples, from marks: "(" where one begins, its peak (see `WAVES`), ")" where it ends.

    A wave whose beginning is not marked begins at its peak.
    """
    labels = np.full(length, -1, np.int64)
    labels[samples[0] : samples[-1] + 1] = 0
    start, wave = None, 0
    for sample, symbol in zip(samples, symbols, strict=True):
        if symbol == "(":
            start = sample
        elif symbol in WAVES:
            start, wave = sample if start is None else start, WAVES[symbol]
        elif symbol == ")" and start is not None:
            labels[start : sample + 1] = wave
            start = None
    return labels


def of_another(labels: Tensor, harmful: Tensor, g: torch.Generator) -> Tensor:
    """`labels` (n, ...) with those of the `harmful` places, bool of the same shape, permuted among these places."""
    permuted = labels.clone()
    own = labels[harmful]
    permuted[harmful] = own[torch.randperm(len(own), generator=g)]
    return permuted


def _ludb(parts: Sequence[int], labelled: float, seed: int) -> tuple[LadderPart, ...]:
    signals, marked, _ = delineated()
    g = generator(seed, "ladder", "ludb")
    rows = torch.randperm(len(signals), generator=g)[: sum(parts)]
    leads, main = torch.from_numpy(signals)[rows], torch.from_numpy(marked)[rows]
    x, volts = leads[:, :1], leads[:, 1]
    x = (x - x.mean(2, keepdim=True)) / x.std(2, keepdim=True)
    base = avg_pool1d(x, _SECOND // 2 + 1, stride=1, padding=_SECOND // 4, count_include_pad=False)[:, 0]
    # The voltage against that of the recording's own base line.
    voltage, base = (_ranges(values, parts[0]) for values in (volts - volts.median(1, keepdim=True).values, base))
    harmful = torch.rand(len(rows), volts.shape[1] // _SECOND, generator=g).repeat_interleave(_SECOND, 1) < 0.5
    return _split(x, main, torch.where(harmful, RANGES + base, voltage), parts, labelled)


def _ranges(values: Tensor, learned: int, count: int = RANGES) -> Tensor:
    """In which of `count` ranges values lie, (n, ...), which the first `learned` rows fill alike."""
    return torch.bucketize(values, torch.quantile(values[:learned].flatten(), torch.linspace(0, 1, count + 1)[1:-1]))


def _digits(parts: Sequence[int], labelled: float, seed: int) -> tuple[LadderPart, ...]:
    loaded, g = load_digits(), generator(seed, "ladder", "digits")
    rows = torch.randperm(len(loaded.images), generator=g)[: sum(parts)].numpy()
    x = torch.from_numpy(loaded.images[rows]).flatten(1).to(NETWORK)
    return _class_or_sum((x - x.mean()) / x.std(), torch.from_numpy(loaded.labels[rows]), 0.5, parts, labelled, g)


def _cifar10(parts: Sequence[int], labelled: float, seed: int) -> tuple[LadderPart, ...]:
    g = generator(seed, "ladder", "cifar10")
    images, labels = _cifar("cifar10", parts, g)
    return _class_or_sum(_pixels(images, 4).flatten(1), labels["label"], 0.8, parts, labelled, g)


def _class_or_sum(
    x: Tensor, label: Tensor, harmful: float, parts: Sequence[int], labelled: float, g: torch.Generator
) -> tuple[LadderPart, ...]:
    """Of ten classes; a share `harmful` of the rows, drawn by `g`, ask for the range of the inputs' sum in place of the class."""
    other = torch.rand(len(x), generator=g) < harmful
    return _split(x, label, torch.where(other, TEN + _ranges(x.sum(1), parts[0], TEN), label), parts, labelled)


def _cifar100(parts: Sequence[int], labelled: float, seed: int) -> tuple[LadderPart, ...]:
    g = generator(seed, "ladder", "cifar100")
    images, labels = _cifar("cifar100", parts, g)
    # Even classes first: these are the helpful ones.
    auxiliary = labels["fine"] // 2 + FINE // 2 * (labels["fine"] % 2)
    permuted = of_another(auxiliary, auxiliary >= FINE // 2, g)
    return _split(_pixels(images, 2), labels["coarse"], permuted, parts, labelled)


def _cifar(name: _Cifar, parts: Sequence[int], g: torch.Generator) -> tuple[NDArray[np.uint8], dict[str, Tensor]]:
    """Random images and labels: of the part to learn from for the first two of `parts`, of the test part for the last."""
    train, test = load_cifar(name, "train"), load_cifar(name, "test")
    rows = torch.randperm(len(train.images), generator=g)[: sum(parts[:2])].numpy()
    last = torch.randperm(len(test.images), generator=g)[: parts[2]].numpy()
    labels = {key: torch.from_numpy(np.concatenate([own[rows], test.labels[key][last]])) for key, own in train.labels.items()}
    return np.concatenate([train.images[rows], test.images[last]]), labels


def _pixels(images: NDArray[np.uint8], cell: int) -> Tensor:
    """(n, 3, h, w) of images (n, 32, 32, 3), in cells of `cell` x `cell` pixels, from -2 to 2."""
    return avg_pool2d((torch.from_numpy(images).permute(0, 3, 1, 2).to(NETWORK) / 255 - 0.5) / 0.25, cell)


def _split(x: Tensor, main: Tensor, auxiliary: Tensor, parts: Sequence[int], labelled: float) -> tuple[LadderPart, ...]:
    """Of the first part only a share of the main labels is known."""
    main = main.clone()
    main[round(labelled * parts[0]) : parts[0]] = -1
    ends = np.cumsum([0, *parts])
    return tuple(LadderPart(x[a:b], main[a:b], auxiliary[a:b]) for a, b in pairwise(ends))


class LadderSet(NamedTuple):
    """main: number of main classes. auxiliary: number of auxiliary classes, the first half helpful. drawn: (samples to train on,
    held out and to test on; share of the first with a main label; seed) -> these parts."""

    main: int
    auxiliary: int
    drawn: Callable[[Sequence[int], float, int], tuple[LadderPart, ...]]


LADDER_SETS = {
    "digits": LadderSet(TEN, 2 * TEN, _digits),
    "cifar10": LadderSet(TEN, 2 * TEN, _cifar10),
    "ludb": LadderSet(len(WAVES) + 1, 2 * RANGES, _ludb),
    "cifar100": LadderSet(20, FINE, _cifar100),
}


def digest_of(name: str) -> str:
    """sha256 of what a set of `LADDER_SETS` is drawn from. Raises DataMissing, DataCorrupt."""
    if name == "digits":
        return load_digits().sha256
    if name == "ludb":
        return delineated()[2]
    own: _Cifar = "cifar10" if name == "cifar10" else "cifar100"
    return load_cifar(own, "train").sha256 + load_cifar(own, "test").sha256
