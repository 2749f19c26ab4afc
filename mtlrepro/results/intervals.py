"""The interval of a mean over seeds, and a memory of those computed before, as a bootstrap takes a while."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mtlrepro import paths
from mtlrepro.files import write_text

LEVEL = 0.95
_RESAMPLES = 9999
# Below this many seeds a bootstrap interval is known to be too short; the wider of it and Student's t is used.
_FEW = 10
# Another version computes other intervals.
_VERSION = 1


def interval(values: Sequence[float] | np.ndarray, level: float = LEVEL) -> tuple[float, float, float]:
    """Mean and `level` interval of the mean over seeds: bias-corrected bootstrap, seeded.

    With fewer than 10 values the wider of the bootstrap's and Student's t interval, because a bootstrap of so few is too
    short. One value, or none finite, gives an interval without bounds.
    values: (n,). Raises ValueError when empty.
    """
    from scipy import stats  # imported late: what was computed before needs none of it

    x = np.asarray(values, dtype=float)
    if x.size == 0:
        raise ValueError("an interval needs at least one value")
    mean = float(x.mean())
    if x.size == 1 or not np.isfinite(x).all():
        return mean, -np.inf, np.inf
    if np.ptp(x) == 0:
        return mean, mean, mean
    rng = np.random.default_rng(0)
    found = stats.bootstrap((x,), np.mean, confidence_level=level, n_resamples=_RESAMPLES, rng=rng, method="BCa")
    low, high = float(found.confidence_interval.low), float(found.confidence_interval.high)
    if not (np.isfinite(low) and np.isfinite(high)):
        means = rng.choice(x, (_RESAMPLES, x.size)).mean(1)
        low, high = (float(bound) for bound in np.quantile(means, [(1 - level) / 2, (1 + level) / 2]))
    if x.size < _FEW:
        half = float(stats.t.ppf((1 + level) / 2, x.size - 1) * stats.sem(x))
        low, high = min(low, mean - half), max(high, mean + half)
    return mean, low, high


class _Memory:
    """Intervals by what they were computed from, in a file of the cache."""

    def __init__(self) -> None:
        self.known: dict[str, list[float]] | None = None
        self.new = False

    def read(self) -> dict[str, list[float]]:
        if self.known is None:
            try:
                content = json.loads(self.file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                content = {}
            self.known = content if isinstance(content, dict) else {}
            atexit.register(self.write)
        return self.known

    @property
    def file(self) -> Path:
        return paths.cache() / "intervals.json"

    def write(self) -> None:
        if self.new:
            with contextlib.suppress(OSError):
                write_text(self.file, json.dumps(self.known))


_memory = _Memory()


def remembered_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float, float]:
    """`interval`, looked up where it was computed before on this machine."""
    known = _memory.read()
    key = hashlib.sha256(json.dumps([_VERSION, level, [float(value) for value in values]]).encode()).hexdigest()[:32]
    if key not in known:
        known[key] = list(interval(values, level))
        _memory.new = True
    mean, low, high = known[key]
    return mean, low, high
