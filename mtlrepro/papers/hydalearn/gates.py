"""Gates that several exhibits of the HydaLearn paper share, computed from rows of kind "seed": one per method and seed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mtlrepro.results.gates import Gate

SAME_HEADS = "none but the run again, with the heads of all methods at one rate"


def grid_interior(rows: pd.DataFrame, columns: tuple[str, ...], cost: str) -> Gate:
    """The least share, over methods, of seeds whose chosen settings lie inside the grid: column `inside`.

    Rows without it: settings, in `columns`, strictly between the least and the largest chosen; of a learning rate those of all
    methods count, of a parameter of its own those of the method.
    """
    if "inside" in rows and rows["inside"].notna().any():
        share = rows.dropna(subset="inside").astype({"inside": float}).groupby("method")["inside"].mean().min()
        return Gate.within("grid-interior", share, least=0.8, cost=cost)
    shares = []
    for column in columns:
        here = rows[rows[column].notna()]
        of = here[column].groupby(here["method"] if column != "rate" else here["kind"])
        inside = (here[column] > of.transform("min")) & (here[column] < of.transform("max"))
        shares.append(inside.groupby(here["method"]).mean().min())
    return Gate.within("grid-interior", float(np.min(shares)), least=0.8, cost=cost)


def below_ridge(rows: pd.DataFrame) -> Gate:
    """Mean test MSE of the networks (kind "seed", `loss`) over that of ridge regression (kind "baseline"), same seeds."""
    loss = rows[rows.kind == "seed"]["loss"].mean() / rows[rows.kind == "baseline"]["loss"].mean()
    return Gate("learned", bool(loss < 1), float(loss), cost="a longer training of the states' networks")


def kept_early(rows: pd.DataFrame) -> float:
    """The least share, over methods, of runs whose kept state lies before the last tenth of the longest training."""
    length = rows["steps"] if "steps" in rows else rows["step"].max()
    return float((rows["step"] <= 0.9 * length).groupby(rows["method"]).mean().min())


def same_heads(rows: pd.DataFrame) -> Gate:
    """What the main head's learning rate is multiplied by, least and most over methods."""
    if "head_weight" not in rows or rows["head_weight"].isna().all():
        return Gate("same-heads", False, "not recorded", cost=SAME_HEADS)
    means = rows.groupby("method")["head_weight"].mean()
    return Gate(
        "same-heads", bool(np.ptp(means) < 1e-6), f"{means.min():.3g} to {means.max():.3g} times the rate", cost=SAME_HEADS
    )
