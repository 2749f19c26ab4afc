"""Rows of the ladder's problems on real data, beside those of `alg1_class_weights`, in modules of their own."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from mtlrepro.errors import DataMissing
from mtlrepro.papers.classweights.data.ladder_sets import digest_of
from mtlrepro.papers.classweights.ladder_arms import GIVEN_ARMS, LADDER_ARMS
from mtlrepro.papers.classweights.training.ladder_training import rung
from mtlrepro.parameters import Params
from mtlrepro.results.runs import Runs

log = logging.getLogger(__name__)
# Parts of a rung's values that choose its trainings, and are none of a training's own.
_CHOICES = ("seeds", "tuning", "rates", "alphas")


def ladder_rows(runs: Runs, p: Params) -> list[pd.DataFrame]:
    """A table for each of `p.rungs` whose data are here: rows of `rung`, part "rung", at rates chosen on held-out labels."""
    tables = []
    for name, values in p.rungs.items():
        try:
            data = {name: digest_of(name)}
        except DataMissing as missing:
            log.warning("The ladder goes without %s: %s", name, missing)
        else:
            tables.append(_rows(runs, p.first_seed, name, values, data))
    return tables


def _rows(runs: Runs, first_seed: int, name: str, values: dict[str, Any], data: dict[str, str]) -> pd.DataFrame:
    settings = {"set": name} | {key: value for key, value in values.items() if key not in _CHOICES}
    alphas = {arm: [0.0] if arm in GIVEN_ARMS else values["alphas"] for arm in LADDER_ARMS}
    tuning = [
        {"settings": settings, "arm": arm, "rate": rate, "alpha": alpha, "seed": first_seed - 1 - i, "tested": False}
        for arm in LADDER_ARMS
        for rate in values["rates"]
        for alpha in alphas[arm]
        for i in range(values["tuning"])
    ]
    tried = runs.map(rung, tuning, f"{name}, tuning", data=data).fillna({"validation": float("inf")})
    losses = tried.groupby(["arm", "rate", "alpha"])["validation"].mean()
    points = {arm: losses[arm].idxmin() for arm in LADDER_ARMS}
    final = [
        {"settings": settings, "arm": arm, "rate": rate, "alpha": alpha, "seed": first_seed + i, "tested": True}
        for arm, (rate, alpha) in points.items()
        for i in range(values["seeds"])
    ]
    return runs.map(rung, final, f"{name}, training", data=data).assign(part="rung", kind=name)
