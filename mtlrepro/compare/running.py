"""Running the protocol on problems that are named by hand, as ``mtlrepro compare`` does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mtlrepro import results
from mtlrepro.compare import label_methods, problems, protocol, report
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.files import sha256_of
from mtlrepro.methods import registry
from mtlrepro.parameters import Params


def titles() -> dict[str, str]:
    """Name of a method -> how figures and tables call it."""
    own = {name: row.title for name, row in registry.METHODS.items()}
    return own | {name: row.title for name, row in label_methods.METHODS.items()}


def needs() -> dict[str, str]:
    """Name of a method -> what it needs, in words."""
    own = {name: ", ".join(row.needs).replace("_", " ") or "nothing" for name, row in registry.METHODS.items()}
    return own | {name: row.needs for name, row in label_methods.METHODS.items()}


def rows(
    runs: results.Runs, places: Mapping[str, str], seeds: Sequence[int], trials: int, share: float, wanted: Iterable[str] = ()
) -> pd.DataFrame:
    """The rows of every method on every problem (name -> its place), computed or kept from before. Raises as `settings` does."""
    wanted, each, known = list(wanted), [], titles()
    for method in wanted:
        if method not in known:
            raise UnknownName("method", method, known)
    for name, place in places.items():
        of = problems.at(place)
        read = dict(of.data()) | ({f"{name}, its file": sha256_of(Path(place))} if place.endswith(".py") else {})
        settings = settings_of(name, place, seeds, trials, share, wanted)
        by_labels = [setting for setting in settings if setting["method"] in label_methods.METHODS]
        weightings = settings[: len(settings) - len(by_labels)]
        for setting in weightings:
            protocol.grid(setting["method"], of.rates, trials)  # refuses trials that do not fit before anything is trained
        served = {setting["method"] for setting in settings}
        missing = [method for method in wanted if method not in served]
        if missing:
            raise BadValue(f"{name} lacks what {missing[0]} needs: {needs()[missing[0]]}.")
        each.append(runs.map(protocol.measure, weightings, what=name, data=read))
        each.append(runs.map(label_methods.measure, by_labels, what=f"{name}, by labels", data=read))
    return pd.concat([some for some in each if len(some)], ignore_index=True)


def settings_of(
    name: str, place: str, seeds: Sequence[int], trials: int, share: float, wanted: Sequence[str]
) -> list[dict[str, Any]]:
    """Arguments of `protocol.measure`, then of `label_methods.measure`: all methods that serve the problem, or those wanted."""
    weightings = [method for method in wanted if method not in label_methods.METHODS]
    settings = protocol.settings({name: place}, seeds, trials, share, weightings or protocol.BASELINES if wanted else ())
    alike = [setting for setting in settings if setting["method"] == "equal"]
    served = [method for method in label_methods.methods_for(place, seeds[0]) if not wanted or method in wanted]
    return settings + [setting | {"method": method} for method in served for setting in alike]


def tables(
    names: Iterable[str], wanted: Iterable[str], seeds: int, trials: int, share: float, fresh: bool
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Run every method on each problem, then yield (title, table): of each problem, and of all where they are several.

    names: of papers' problems, or files. wanted: methods beside the baselines; none: all. Raises BadValue and UnknownName.
    """
    places = {name: problems.place(name) for name in names}
    runs = results.Runs(Params("compare", "quick"), place="compare")
    if fresh:
        runs.forget()
    table = rows(runs, places, range(seeds), trials, share, wanted)
    for name in places:
        own = table[table.problem == name]
        yield f"{own.title.iloc[0]}: {seeds} seeds, {trials} trials", report.own_table(own, titles())
    if len(places) > 1:
        yield f"{len(places)} problems", report.overall(table, titles())
