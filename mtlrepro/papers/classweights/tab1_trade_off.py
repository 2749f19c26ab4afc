"""Table 1 and Figures 2 to 4 of the class-weight paper: the compared trainings, tuned alike."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pandas as pd

from mtlrepro.papers.classweights.training.scene_tasks import METHODS, PARETO, TASKS, Setup, final, tune
from mtlrepro.parameters import Params
from mtlrepro.results.runs import Runs

BEST_PARETO = "pareto"


def setup_of(p: Params, kind: str) -> dict[str, Any]:
    """The `Setup` of a preset with the values of `p`, as plain data."""
    names = ("images", "size", "width", "halvings", "batch", "steps", "check", "device")
    made = asdict(Setup.of({"kind": kind} | {name: p.values[name] for name in names if name in p.values}))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in made.items()}


def compared(runs: Runs, p: Params, kind: str) -> pd.DataFrame:
    """Rows of `final` for every method that `p` names, at points chosen by `tune` on seeds of their own; `pareto` is all five
    vectors, whose rate is chosen with the middle one."""
    setup = setup_of(p, kind)
    mains = {name: TASKS if METHODS[_tuned(name)].own_main else ("",) for name in p.methods}
    tuning = [
        {"setup": setup, "method": _tuned(name), "main": main, "seed": p.first_seed - 1 - i, "rate": rate, "alpha": p.alpha}
        for name in p.methods
        for main in mains[name]
        for rate in p.rates
        for i in range(p.tuning)
        if len(p.rates) > 1
    ]
    tried = runs.map(tune, tuning, f"{kind}, tuning")
    wanted: dict[tuple[str, float, str], list[str]] = {}
    for name in p.methods:
        for main in TASKS:
            # A training that serves both tasks is done once where both choose the same rate.
            own = main if METHODS[_tuned(name)].own_main else ""
            rate = _best(tried, _tuned(name), main) if len(p.rates) > 1 else p.rates[0]
            wanted.setdefault((name, rate, own), []).append(main)
    settings = [
        {"setup": setup, "method": each, "mains": tasks, "seed": p.first_seed + i, "rate": rate, "alpha": p.alpha}
        for (name, rate, _), tasks in wanted.items()
        for each in (PARETO if name == BEST_PARETO else (name,))
        for i in range(p.seeds)
    ]
    return runs.map(final, settings, f"{kind}, training").drop(columns="alpha")


def _tuned(name: str) -> str:
    return PARETO[len(PARETO) // 2] if name == BEST_PARETO else name


def _best(tried: pd.DataFrame, method: str, main: str) -> float:
    """The rate with the lowest mean validation loss."""
    own = tried[(tried.method == method) & (tried.main == main)].groupby("rate").validation.mean()
    return float(own.index[int(own.to_numpy().argmin())])
