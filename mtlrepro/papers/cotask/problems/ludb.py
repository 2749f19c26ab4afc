"""LUDB's most frequent label, with the others: log power of each lead in bands of 5 Hz, up to 40 Hz."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from mtlrepro.compare.problems import Problem, Task
from mtlrepro.papers.cotask.data.ecg import EcgSet, load_ludb

BANDS, WIDTH = 8, 5.0


@cache
def recordings() -> EcgSet:
    """All recordings."""
    return load_ludb()


def load(seed: int) -> dict[str, tuple[Any, ...]]:
    """A random split 50/25/25 of the 200 subjects, features standardised on its training part."""
    data = recordings()
    power = np.abs(np.fft.rfft(data.signals, axis=-1)) ** 2
    band = (np.fft.rfftfreq(data.signals.shape[-1], 1 / data.rate) // WIDTH).astype(int)
    x = np.log(np.stack([power[..., band == b].mean(-1) for b in range(BANDS)], -1) + 1e-6).reshape(len(data.labels), -1)
    order = np.random.default_rng(seed).permutation(len(x))
    rows = dict(zip(("train", "validation", "test"), np.split(order, [len(x) // 2, 3 * len(x) // 4]), strict=True))
    x = (x - x[rows["train"]].mean(0)) / x[rows["train"]].std(0)
    labels = data.labels[:, np.argsort(-data.labels.sum(0), kind="stable")]
    return {name: (x[own], labels[own, 0], labels[own, 1:]) for name, own in rows.items()}


PROBLEM = Problem(
    title="LUDB: the most frequent label, with the others",
    load=load,
    tasks=(Task("binary"), Task("binary", 5)),
    metric="AUROC",
    shared=(32,),
    steps=1000,
    rates=(0.005, 5.0),
    traits=("few main labels",),
    data=lambda: {"ludb": recordings().sha256},
)
