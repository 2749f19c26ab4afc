"""Choosing the capacity of single-task and multi-task sentence classifiers by validation (Wu, Zhang, Re 2020, App. B.5).

Rows are those of `sentences.train`, with a column ``encoder``. A network is an encoder trained on one task or on all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd

NETWORK = ["encoder", "trained_on"]


def search(
    run: Callable[[list[dict[str, Any]], str], pd.DataFrame],
    tasks: Sequence[str],
    encoders: Sequence[str],
    capacities: Sequence[int],
    rates: Sequence[float],
    seeds: int,
    fixed: dict[str, Any],
) -> pd.DataFrame:
    """Rows of the search for each network: first the learning rate at the middle capacity with seed 0, then, at that rate,
    every capacity with every seed. Only validation chooses.

    run: trains a list of settings of `sentences.train` (with what they are, in a word) and returns the rows.
    """
    trained = {**{task: [task] for task in tasks}, "all": list(tasks)}
    grid = sorted(capacities)

    def settings(rate: Callable[[str, str], float], sizes: Iterable[int], seed: int) -> list[dict[str, Any]]:
        return [
            {"tasks": of, "encoder": e, "capacity": c, "rate": rate(e, name), "seed": seed, "leak": False} | fixed
            for c, e, (name, of) in itertools.product(sizes, encoders, trained.items())
        ]

    tried = run([s for value in rates for s in settings(lambda *_: value, [grid[len(grid) // 2]], 0)], "learning rates")  # noqa: B023
    rate = chosen(tried, "rate")
    found = run([s for n in range(seeds) for s in settings(lambda e, name: float(rate[e, name]), grid, n)], "capacities")
    return pd.concat([tried.assign(stage="rate"), found.assign(stage="capacity")], ignore_index=True)


def accuracy(rows: pd.DataFrame) -> pd.DataFrame:
    """Validation accuracy (percent) of each network, mean over its tasks: columns encoder, trained_on, capacity, seed, valid."""
    return rows.groupby([*NETWORK, "capacity", "seed"]).valid.mean().reset_index()


def chosen(rows: pd.DataFrame, value: str = "capacity") -> pd.Series:
    """(encoder, trained_on) -> the `value` of the best mean validation accuracy; the smallest of equals."""
    means = rows.groupby([*NETWORK, value]).valid.mean()
    return means.groupby(level=[0, 1]).idxmax().map(lambda key: key[-1])


def _items(best: pd.Series) -> list[tuple[tuple[str, str], int]]:
    return list(zip(best.index, best, strict=True))


def spare(rows: pd.DataFrame) -> pd.DataFrame:
    """Sum of the best single-task capacities minus the best multi-task one, chosen with each seed alone: seeds x encoders."""

    def difference(of: pd.DataFrame) -> pd.Series:
        best = chosen(of).unstack("trained_on")
        return best.drop(columns="all").sum(axis=1) - best["all"]

    return pd.DataFrame({seed: difference(of) for seed, of in rows.groupby("seed")}).T


def below_largest(rows: pd.DataFrame) -> pd.DataFrame:
    """What a capacity chosen on all other seeds gains on this seed over the largest capacity, in points of validation
    accuracy: seeds x (encoder, trained_on).

    The best of noisy accuracies on the same seed would gain by construction. Needs two seeds.
    """
    table = accuracy(rows).set_index([*NETWORK, "capacity", "seed"]).valid
    largest = int(rows.capacity.max())
    gains = {}
    for seed in sorted(rows.seed.unique()):
        best = chosen(rows[rows.seed != seed])
        gains[seed] = {key: table[(*key, size, seed)] - table[(*key, largest, seed)] for key, size in _items(best)}
    return pd.DataFrame(gains).T


def chance(capacities: Sequence[int], tasks: int) -> float:
    """Probability that one capacity drawn at random from the grid is below the sum of `tasks` others, also drawn."""
    sums = [sum(drawn) for drawn in itertools.product(capacities, repeat=tasks)]
    return sum(total > own for total in sums for own in capacities) / (len(sums) * len(capacities))
