"""The search for the capacity of sentence classifiers, single-task and multi-task (Wu, Zhang, Re 2020, Table 1, Figures 10, 11).

Rows are those of `sentences.train`, with a column ``stage``: rate (search for the learning rate), capacity (search for the
capacity) or final (the chosen capacities).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from mtlrepro.papers.transfer.capacity_choice import chosen
from mtlrepro.papers.transfer.data.text import TITLES
from mtlrepro.papers.transfer.training import sentences
from mtlrepro.parameters import Params
from mtlrepro.results import Runs, load

_NOT_RESULTS = ["how", "device"]


def networks(tasks: Sequence[str]) -> dict[str, list[str]]:
    """Name of each network -> the tasks that it is trained on: one network a task, and one on all."""
    return {task: [task] for task in tasks} | {"all": list(tasks)}


def common(p: Params) -> dict[str, Any]:
    """What the settings of `sentences.train` have in common."""
    return {
        "epochs": p.epochs, "patience": p.patience, "batch": p.batch, "how": p.split, "rows": p.sentences or None,
        "device": p.device,
    }  # fmt: skip


def search(
    runs: Runs, p: Params, data: dict[str, str], tasks: Sequence[str], encoders: Sequence[str], seeds: int
) -> pd.DataFrame:
    """For each network first the learning rate at the middle capacity with seed 0, then, at that rate, every capacity with every
    seed; the shared network at those of `p.larger` too. Only validation chooses. data: name -> sha256 of what is read."""
    grid = sorted(p.capacities)

    def settings(rate: Mapping[str, Mapping[str, float]], sizes: Iterable[int], seed: int) -> list[dict[str, Any]]:
        return [
            {"tasks": of, "encoder": e, "capacity": c, "rate": float(rate[e][name]), "seed": seed, "leak": False} | common(p)
            for c, e, (name, of) in itertools.product(sizes, encoders, networks(tasks).items())
            if name == "all" or c in grid
        ]

    middle = [grid[len(grid) // 2]]
    rates = [s for r in p.rates for s in settings({e: dict.fromkeys(networks(tasks), r) for e in encoders}, middle, 0)]
    tried = runs.map(sentences.train, rates, "learning rates", data=data).assign(stage="rate")
    best = chosen(tried, "rate")
    sizes = [s for seed in range(seeds) for s in settings(best, [*grid, *sorted(p.larger)], seed)]
    searched = runs.map(sentences.train, sizes, "capacities", data=data).assign(stage="capacity")
    return pd.concat([tried, searched], ignore_index=True).drop(columns=_NOT_RESULTS)


def table_1(runs: Runs, p: Params, data: dict[str, str]) -> pd.DataFrame:
    """The search with few seeds, then the chosen capacities with all of them, and with `leak_seeds` of them with the leak."""
    rows = search(runs, p, data, list(TITLES), ["lstm"], min(p.search_seeds, p.seeds))
    stage = {name: rows[rows.stage == name] for name in ("rate", "capacity")}
    rate, capacity = (chosen(stage[name], name)["lstm"] for name in stage)
    settings = [
        {"tasks": of, "capacity": int(capacity[n]), "rate": float(rate[n]), "seed": seed, "leak": leak} | common(p)
        for leak, count in ((False, p.seeds), (True, min(p.leak_seeds, p.seeds)))
        for seed in range(count)
        for n, of in networks(list(TITLES)).items()
    ]
    final = runs.map(sentences.train, settings, "chosen capacities", data=data).assign(stage="final").drop(columns=_NOT_RESULTS)
    return pd.concat([rows.drop(columns="encoder"), final], ignore_index=True)


def figure_10(runs: Runs, p: Params, data: dict[str, str]) -> pd.DataFrame:
    """The search of Table 1's recorded run in profile `p.reuse`; where that is empty, a search of its own."""
    if not p.reuse:
        return search(runs, p, data, list(TITLES), ["lstm"], p.seeds)
    table = load("transfer/tab1", p.reuse).rows.to_csv(index=False)
    reused = {f"rows of Table 1, {p.reuse}": hashlib.sha256(table.encode()).hexdigest()}
    return runs.map(recorded_search, [{"profile": p.reuse}], "Table 1", data=data | reused).drop(columns="profile")


def recorded_search(profile: str) -> list[dict[str, Any]]:
    """The rows of the search of Table 1's recorded run."""
    rows = load("transfer/tab1", profile).rows
    records: list[dict[str, Any]] = rows[rows.stage != "final"].assign(encoder="lstm").to_dict("records")  # type: ignore[assignment]
    return records


def figure_11(runs: Runs, p: Params, data: dict[str, str]) -> pd.DataFrame:
    """The search for every encoder on SST and MR."""
    return search(runs, p, data, ["sst", "mr"], p.encoders, p.seeds)
