"""The largest of several mean gains, less what the largest is by chance."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Sign patterns tried where there are too many seeds to try all.
_PATTERNS = 4096


def largest_gain(gains: ArrayLike) -> list[float]:
    """One value per seed whose mean is the estimate and whose spread is that of the jackknife (Quenouille 1956, Tukey 1958).

    gains: (seeds, targets), two seeds at least. The estimate is the largest over the targets of the mean over seeds, less the
    same where the sign of each seed's gains is random: a largest value is above zero by itself.
    """
    g = np.asarray(gains, dtype=float)
    left_out = np.array([_estimate(np.delete(g, seed, 0)) for seed in range(len(g))])
    return list(_estimate(g) + (len(g) - 1) * (left_out.mean() - left_out))


def _estimate(gains: NDArray[np.float64]) -> float:
    seeds = len(gains)
    if 2**seeds <= _PATTERNS:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=seeds)))
    else:
        signs = np.random.default_rng(0).choice((-1.0, 1.0), (_PATTERNS, seeds))
    return float(gains.mean(0).max() - (signs @ gains / seeds).max(1).mean())


def wins_above_half(gains: ArrayLike) -> list[float]:
    """Share of the targets with a gain, a tie counting one half, minus one half; one value per seed. gains: (seeds, targets)."""
    g = np.asarray(gains, dtype=float)
    return list(((g > 0) + 0.5 * (g == 0)).mean(1) - 0.5)
