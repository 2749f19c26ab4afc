"""Real data with planted classes: half of the auxiliary classes are meant to help the main task, and half to be of no use to it.

- digits: handwritten digits of 8 x 8 pixels. Main task: the digit. Auxiliary task: each image either asks for its digit too (0 to
  9), or in which of 10 ranges the amount of its ink lies (10 to 19).
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
from typing import NamedTuple

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
RANGES, FINE, DIGITS = 15, 100, 10
_RECORDS, _STEP, _SECOND = 200, 5, 100  # recordings; samples of 500 Hz in one of 100 Hz; samples a second
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
    x, digit = torch.from_numpy(loaded.images[rows]).flatten(1).to(NETWORK), torch.from_numpy(loaded.labels[rows])
    harmful = torch.rand(len(x), generator=g) < 0.5
    auxiliary = torch.where(harmful, DIGITS + _ranges(x.sum(1), parts[0], DIGITS), digit)
    return _split((x - x.mean()) / x.std(), digit, auxiliary, parts, labelled)


def _cifar100(parts: Sequence[int], labelled: float, seed: int) -> tuple[LadderPart, ...]:
    train, test = load_cifar("cifar100", "train"), load_cifar("cifar100", "test")
    g = generator(seed, "ladder", "cifar100")
    rows = torch.randperm(len(train.images), generator=g)[: sum(parts[:2])].numpy()
    last = torch.randperm(len(test.images), generator=g)[: parts[2]].numpy()
    images = np.concatenate([train.images[rows], test.images[last]])
    x = avg_pool2d((torch.from_numpy(images).permute(0, 3, 1, 2).to(NETWORK) / 255 - 0.5) / 0.25, 2)
    main, fine = (
        torch.from_numpy(np.concatenate([train.labels[name][rows], test.labels[name][last]])) for name in ("coarse", "fine")
    )
    # Even classes first: these are the helpful ones.
    auxiliary = fine // 2 + FINE // 2 * (fine % 2)
    return _split(x, main, of_another(auxiliary, auxiliary >= FINE // 2, g), parts, labelled)


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
    "digits": LadderSet(DIGITS, 2 * DIGITS, _digits),
    "ludb": LadderSet(len(WAVES) + 1, 2 * RANGES, _ludb),
    "cifar100": LadderSet(20, FINE, _cifar100),
}


def digest_of(name: str) -> str:
    """sha256 of what a set of `LADDER_SETS` is drawn from. Raises DataMissing, DataCorrupt."""
    if name == "digits":
        return load_digits().sha256
    if name == "ludb":
        return delineated()[2]
    return load_cifar("cifar100", "train").sha256 + load_cifar("cifar100", "test").sha256
