"""Figures to move on the paper's page: the weight rule, and how many validation rows a gain needs."""

from __future__ import annotations

import pandas as pd
from touch import Axes, Control, Picture, Shape, Touchable, label, number, recorded, shape

from mtlrepro.methods import hydalearn_weights

# --- equations 3 to 5 -------------------------------------------------------------------------------------------------

TOTAL = 2.0
_GAINS = [round(-1 + 0.2 * i, 1) for i in range(11)]


def case(main: float, auxiliary: float) -> str:
    """What the signs of the two gains mean for the weights."""
    if main < 0 and auxiliary < 0:
        return "both steps hurt: the ratio of sizes, and W scaled down by equation 4"
    if main > 0 and auxiliary > 0:
        return "both steps help: the ratio of the gains"
    return "no step helps, one does nothing: it gets all" if max(main, auxiliary) == 0 else "one step helps: it gets all"


def weights() -> Touchable:
    plane = Axes((-1, 1), (-1, 1), box=(54, 30, 212, 190))
    bars = Axes((0, 3), (0, TOTAL), box=(280, 30, 430, 190))
    quadrants = {(0.5, 0.5): "both help", (-0.5, 0.5): "only aux", (0.5, -0.5): "only main", (-0.5, -0.5): "both hurt"}

    background = [
        *plane.frame("gain of the main step", "gain of the auxiliary step", zero=True),
        shape("path", d=f"M{plane.at(0, 0)[0]} 30V190", kind="d-line d-thin d-dash"),
        *(label(*plane.at(*place), name, "middle") for place, name in quadrants.items()),
        shape("path", d="M280 30V190H430", kind="d-line d-thin"), label(280, 16, "weight"),
        *(label(bars.at(x, 0)[0], 208, name, "middle") for x, name in ((0.9, "main"), (2.1, "auxiliary"))),
    ]  # fmt: skip

    def draw(main: float, auxiliary: float, beta: float, downscale: bool) -> Picture:
        w_main, w_aux = (float(w) for w in hydalearn_weights(main, auxiliary, TOTAL, beta, downscale))
        parts = [plane.dot(main, auxiliary, "d-dot-a", 6)]
        for x, value, kind in ((0.9, w_main, "d-box d-a"), (2.1, w_aux, "d-box d-b")):
            across, top = bars.at(x, value)
            parts += [bars.bar(x, value, 44, kind), label(across, top - 6, number(value), "middle")]
        said = case(main, auxiliary)
        if main < 0 and auxiliary < 0 and not downscale:
            said = "both steps hurt: the ratio of sizes, and W as it is"
        if main == auxiliary == 0:
            said = "neither step does anything: equal shares"
        numbers = {"w<sub>m</sub>": number(w_main), "w<sub>a</sub>": number(w_aux), "sum": number(w_main + w_aux), "case": said}
        return Picture(parts, numbers)

    controls = [
        Control("Gain of the main step, <i>δ</i><sub>m</sub>", _GAINS, 0.6, number),
        Control("Gain of the auxiliary step, <i>δ</i><sub>a</sub>", _GAINS, 0.2, number),
        Control("Exponent <i>β</i>", [0.5, 1.0, 2.0, 4.0, 6.0], 1.0, "{:g}".format),
        Control("Scaling down, eq. 4", [True, False], True, lambda on: "as printed" if on else "left out", choice=True),
    ]
    return Touchable("The weights of one batch, W = 2", controls, background, draw, 230)


# --- validation rows --------------------------------------------------------------------------------------------------


def rows() -> Touchable:
    """Recorded trainings of Algorithm 1's page: gains measured on 16, 50 or 200 rows."""
    table = recorded("hydalearn/alg1")
    own = table[(table.kind == "training") & (table.method == "hydalearn") & (table.batch == 16)]
    counts = sorted(int(count) for count in own.points.unique())
    axes = Axes((-0.4, len(counts) - 0.6), (0, 0.7), box=(54, 30, 418, 220), ticks=dict(enumerate(map(str, counts))))
    measures = {
        "share": "mean share of the main task's weight",
        "deviation": "its spread over batches",
        "negative": "batches where both gains are negative",
    }

    background = axes.frame("validation rows that a gain is measured on", "share or spread")

    def draw(count: int, measure: str, update: str) -> Picture:
        here = own[own["update"] == update]
        by_count = dict(list(here.groupby("points")))
        parts: list[Shape] = []
        for i, value in enumerate(counts):
            parts += [axes.dot(i + 0.03 * (j % 5 - 2), y, "d-dot-b", 3) for j, y in enumerate(sorted(by_count[value][measure]))]
        parts += [axes.line(range(len(counts)), [by_count[value][measure].mean() for value in counts], "d-a")]
        at: pd.DataFrame = by_count[count]
        parts += [axes.dot(counts.index(count), at[measure].mean(), "d-dot-a", 6)]
        return Picture(
            parts,
            {"mean over seeds": number(at[measure].mean()), "seeds": str(len(at)), "test error (MAE)": number(at.test.mean())},
        )

    controls = [
        Control("Validation rows", counts, counts[0]),
        Control("Shown", list(measures), "deviation", measures.__getitem__, choice=True),
        Control("Size of the real step", list(own["update"].unique()), own["update"].iloc[0], choice=True),
    ]
    return Touchable("How many rows a gain needs", controls, background, draw, 262, "recorded")


FIGURES = {"alg1-weights": weights, "alg1-rows": rows}
