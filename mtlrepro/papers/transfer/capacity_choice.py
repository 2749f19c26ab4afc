"""Which capacity the validation rows choose for single-task and multi-task networks (Wu, Zhang, Re 2020, App. B.5).

Rows are those of `tab1_fig10_fig11_capacity`. A network is an encoder trained on one task, or on all tasks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NETWORK = ["encoder", "trained_on"]
# Resampled sets of seeds for the interval of a chosen capacity.
_RESAMPLES = 1000


def accuracy(rows: pd.DataFrame, part: str = "valid") -> pd.DataFrame:
    """Accuracy (percent) of each network, mean over its tasks: columns encoder, trained_on, capacity, seed and `part`."""
    return rows.groupby([*NETWORK, "capacity", "seed"])[part].mean().reset_index()


def curve(rows: pd.DataFrame, encoder: str, network: str, part: str = "valid") -> dict[int, NDArray[np.float64]]:
    """Capacity -> the network's accuracy with each seed (seeds,), capacities in order."""
    here = accuracy(rows[(rows.encoder == encoder) & (rows.trained_on == network)], part)
    return {size: here[here.capacity == size][part].to_numpy() for size in sorted(set(here.capacity.astype(int)))}


def chosen(rows: pd.DataFrame, value: str = "capacity") -> dict[str, dict[str, Any]]:
    """Encoder -> network -> the `value` of the best mean validation accuracy; the smallest of equals."""
    means = rows.groupby([*NETWORK, value]).valid.mean()
    best: dict[str, dict[str, Any]] = {}
    for encoder, network, which in means.groupby(level=[0, 1]).idxmax():
        best.setdefault(encoder, {})[network] = which
    return best


def single_sum(best: Mapping[str, int]) -> int:
    """The sum of the capacities of the single-task networks."""
    return sum(int(size) for network, size in best.items() if network != "all")


def log_ratios(rows: pd.DataFrame) -> dict[str, list[float]]:
    """Encoder -> log2 of the sum of the best single-task capacities over the best multi-task one, chosen with each seed alone."""
    each = [chosen(of) for _, of in rows.groupby("seed")]
    return {encoder: [math.log2(single_sum(best[encoder]) / best[encoder]["all"]) for best in each] for encoder in each[0]}


def resampled(rows: pd.DataFrame) -> pd.DataFrame:
    """The chosen capacities of sets of seeds drawn with replacement: resamples x (encoder, trained_on)."""
    table = accuracy(rows).pivot(index=NETWORK, columns=["capacity", "seed"], values="valid")
    sizes, seeds = (np.array(table.columns.unique(level)) for level in ("capacity", "seed"))
    values = table.reindex(columns=pd.MultiIndex.from_product([sizes, seeds])).to_numpy().reshape(len(table), len(sizes), -1)
    draws = np.random.default_rng(0).integers(len(seeds), size=(_RESAMPLES, len(seeds)))
    best = sizes[values[:, :, draws].mean(-1).argmax(1)]
    return pd.DataFrame(best.T, columns=table.index)


def chance(capacities: Sequence[int], tasks: int, shared: Sequence[int]) -> float:
    """Probability that one capacity drawn at random from the grid is below the sum of `tasks` others, also drawn."""
    sums = [sum(drawn) for drawn in itertools.product(capacities, repeat=tasks)]
    return sum(total > own for total in sums for own in shared) / (len(sums) * len(shared))
