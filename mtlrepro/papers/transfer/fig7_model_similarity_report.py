"""Figures, tables and effects of the page on Figure 7, from its rows."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.results import Gate, Measured

TITLES = {"a": "linear regression", "b": "linear classification", "c": "ReLU regression", "d": "ReLU classification"}
_CLASSIFIES = ("b", "d")
JUDGED, LONGER, WIDE, NOISE_FREE, FEW = (
    "text's samples, noise", "twice the epochs", "width 2", "text's samples, no noise", "100 samples, noise",
)  # fmt: skip
# Smallest effect of interest, regression and classification.
SMALLEST = {panel: 0.005 if panel in _CLASSIFIES else 0.01 for panel in TITLES}
# Registered claim -> its panel: gain at equal models minus gain at orthogonal ones.
_RISES = {
    "rises-with-similarity-regression": "a", "rises-with-similarity-classification": "b", "relu-regression-similar": "c",
    "relu-classification-similar": "d",
}  # fmt: skip


def _of(rows: pd.DataFrame, setting: str, panel: str) -> pd.DataFrame:
    return rows[(rows["setting"] == setting) & (rows["panel"] == panel)]


def _draw_panel(top: Axes, bottom: Axes, rows: pd.DataFrame, panel: str) -> None:
    means = rows.groupby("distance")[["multi", "single", "ridge"]].mean()
    for column, label, color, style in (
        ("multi", "multi-task", "vermillion", "-o"),
        ("single", "single-task", "blue", "-s"),
        ("ridge", "single-task, ridge", "black", "--"),
    ):
        top.plot(means[column], style, label=label, color=plots.COLORS[color], markersize=3.5)
    for column, label, color, style in (("single", "multi-task minus single-task", "green", "o"), ("ridge", "", "black", "")):
        line = results.summary(rows.assign(gain=rows["multi"] - rows[column]), "distance", "gain")
        plots.band(bottom, line["distance"], line["mean"], line["low"], line["high"], label=label, color=color, marker=style)
        if column == "ridge":
            bottom.lines[-1].set_linestyle("--")
    plots.zero_line(bottom)
    top.set(title=f"({panel}) {TITLES[panel]}", ylabel="accuracy" if panel in _CLASSIFIES else "Spearman")
    bottom.set(ylabel="gain")


def _draw(rows: pd.DataFrame, setting: str) -> Figure:
    fig, axes = plt.subplots(4, 2, figsize=(plots.WIDTH, 11), sharex=True)
    for place, panel in enumerate(TITLES):
        top, bottom = axes[2 * (place // 2) : 2 * (place // 2) + 2, place % 2]
        _draw_panel(top, bottom, _of(rows, setting, panel), panel)
    for ax in axes[-1]:
        ax.set_xlabel("cosine distance")
    plots.legend_below(fig, ncols=2)
    return fig


def draw(rows: pd.DataFrame) -> Figure:
    """The paper's Figure 7: performance, and gain, against the cosine distance of the models."""
    return _draw(rows, JUDGED)


def draw_noise_free(rows: pd.DataFrame) -> Figure:
    """The same without label noise."""
    return _draw(rows, NOISE_FREE)


def draw_few(rows: pd.DataFrame) -> Figure:
    """The same on 100 noisy samples per task."""
    return _draw(rows, FEW)


def _gain(rows: pd.DataFrame, column: str = "single") -> pd.DataFrame:
    """Gain of multi-task learning: seeds x distances, ascending."""
    return rows.assign(gain=rows["multi"] - rows[column]).pivot(index="seed", columns="distance", values="gain")


def survival_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per setting and panel: gains over single-task learning and tuned ridge at both ends, with 95% intervals."""
    lines = []
    for setting in (JUDGED, NOISE_FREE, FEW):
        for panel, title in TITLES.items():
            here = _of(rows, setting, panel)
            line: dict[str, str] = {"setting": setting, "panel": f"({panel}) {title}"}
            for end, where in (("equal", 0), ("orthogonal", -1)):
                for column, name in (("single", "single-task"), ("ridge", "ridge")):
                    values = _gain(here, column).iloc[:, where]
                    line[f"{end} models, over {name}"] = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*results.interval(values.to_numpy()))
            lines.append(line)
    return pd.DataFrame(lines).set_index(["setting", "panel"])


def _converged(rows: pd.DataFrame) -> Gate:
    """Largest change of a mean gain when the epochs double, over the smallest effect of interest."""
    cost = "20 core minutes: again with more epochs"
    changes = [
        Gate.within(f"({panel})", (_gain(_of(rows, LONGER, panel)).mean() - _gain(_of(rows, JUDGED, panel)).mean()).abs().max(),
                    most=smallest)
        for panel, smallest in SMALLEST.items()
    ]  # fmt: skip
    return Gate.every("converged", changes, cost=cost)


def _grid_interior(judged: dict[str, pd.DataFrame]) -> Gate:
    """Each arm of each panel chooses a learning rate inside its grid more often than one at an edge."""
    inside = [
        Gate.within(f"({panel}) {arm}-task", some[f"{arm} rate inside"].mean(), least=0.5)
        for panel, some in judged.items()
        for arm in ("multi", "single")
    ]
    return Gate.every("grid-interior", inside, cost="10 core minutes: a wider grid of rates")


def measured(rows: pd.DataFrame) -> Measured:
    """The text's 9,000 training samples with registered noise; scores are the mean of both tasks on fresh samples."""
    judged = {panel: _of(rows, JUDGED, panel) for panel in TITLES}
    gains = {panel: _gain(some) for panel, some in judged.items()}
    linear = gains["a"]
    effects = {claim: (gains[panel].iloc[:, 0] - gains[panel].iloc[:, -1]).tolist() for claim, panel in _RISES.items()}
    effects |= {"negative-when-dissimilar": linear.iloc[:, -1].tolist(), "helps-when-similar": linear.iloc[:, 0].tolist()}
    levels = [
        Gate.within(f"({panel})", judged[panel]["single"].mean(), least=0.60 if panel in _CLASSIFIES else 0.30, most=0.97)
        for panel in TITLES
    ]
    distances, control = linear.columns, _gain(_of(rows, WIDE, "a")).mean().abs().max()
    gates = [
        Gate.every("headroom", levels, cost="another noise, chosen on other seeds, and 10 core minutes"),
        Gate.every(
            "range",
            [
                Gate.within("smallest distance", float(distances[0]), most=0.05),
                Gate.within("largest", float(distances[-1]), least=0.9),
            ],
            cost="10 core minutes: more pairs",
        ),
        _converged(rows),
        _grid_interior(judged),
        Gate.within("control", control, most=SMALLEST["a"], cost="a training of width 2 that leaves the tasks alone"),
    ]
    return Measured(effects=effects, gates=gates)
