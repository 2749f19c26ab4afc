"""A figure to move on the paper's page: what class weights can gain, and what rules for them do gain."""

from __future__ import annotations

from functools import cache

import pandas as pd
from touch import Axes, Control, Picture, Touchable, label, number, recorded, shape

from mtlrepro.papers.classweights.planted_arms import PLANTED_ARMS


def room() -> Touchable:
    """Recorded trainings on planted classes: test loss of the main task against that with all weights 1, seed by seed."""
    rows = recorded("classweights/alg1")
    own = rows[rows.part == "arm"]
    kinds = list(own.kind.unique())
    arms = [arm for arm in PLANTED_ARMS if arm not in ("equal", "oracle")]
    axes = Axes((-90, 90), (0, 1))
    background = axes.frame("main loss against all weights 1, % (beyond 90: at the edge)", "share of the seeds at or below")
    background += [axes.line([0, 0], [0, 1], "d-thin d-dash")]
    for x, kind, words in ((60, "d-a", "the rule chosen"), (220, "d-b", "oracle")):
        background += [shape("path", d=f"M{x} 304h26", kind=f"d-line {kind}"), label(x + 32, 308, words)]

    @cache
    def changes(kind: str) -> pd.DataFrame:
        """Seeds by arms, in percent."""
        table = own[own.kind == kind].pivot(index="seed", columns="arm", values="test")
        return 100 * (table.div(table["equal"], axis=0) - 1)

    def draw(kind: str, arm: str) -> Picture:
        table = changes(kind)[list(dict.fromkeys((arm, "oracle")))].dropna()
        shares = [(i + 1) / len(table) for i in range(len(table))]
        parts = [axes.line(table[name].sort_values(), shares, look) for name, look in ((arm, "d-a"), ("oracle", "d-b"))]
        numbers = {
            "mean change": f"{number(table[arm].mean())}%", "oracle's": f"{number(table['oracle'].mean())}%",
            "seeds that gain": f"{100 * (table[arm] < 0).mean():.0f}% of {len(table)}",
        }  # fmt: skip
        return Picture(parts, numbers)

    controls = [
        Control("Problem", kinds, kinds[0], choice=True),
        Control("Rule for the weights", arms, "ratio", PLANTED_ARMS.__getitem__, choice=True),
    ]
    return Touchable("The oracle's room", controls, background, draw, 315, "recorded")


FIGURES = {"alg1-room": room}
