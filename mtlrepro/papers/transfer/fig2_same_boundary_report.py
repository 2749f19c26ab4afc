"""Figures, tables and effects of the page on Figure 2, from its rows."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from mtlrepro import plots, results
from mtlrepro.results import Gate, Measured

PARTNERS = ("alone", "with task 2", "with task 3")
_COLORS = dict(zip(PARTNERS, (plots.COLORS[name] for name in ("black", "green", "vermillion")), strict=True))


def _picture(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["changed"] == "as above"]


def _effects(rows: pd.DataFrame) -> pd.DataFrame:
    """Seed -> accuracy of task 1 with either partner minus alone."""
    table = rows.pivot(index="seed", columns="partner", values="accuracy")
    return pd.DataFrame({name: table[name] - table["alone"] for name in PARTNERS[1:]})


def typical_seed(rows: pd.DataFrame) -> int:
    """The seed whose two effects are nearest to the mean over seeds."""
    gains = _effects(_picture(rows))
    distance = ((gains - gains.mean()) / gains.std()).pow(2).sum(axis=1)
    return int(distance.index.to_numpy()[distance.argmin()])


def _line(ax: Axes, degrees: float, **style: Any) -> None:
    at = np.radians(degrees)
    ax.plot([-4 * np.cos(at), 4 * np.cos(at)], [-4 * np.sin(at), 4 * np.sin(at)], **style)


def draw(rows: pd.DataFrame, points: list[dict[str, Any]]) -> Figure:
    """The paper's Figure 2 for the typical seed. points: its training samples, from `fig2_same_boundary.points`."""
    picture = _picture(rows)
    own = picture[picture["seed"] == typical_seed(rows)].set_index("partner")
    angle, wedge, samples = float(own["angle"].iloc[0]), float(own["wedge"].iloc[0]), pd.DataFrame(points)
    fig, axes = plt.subplots(1, 3, figsize=(plots.WIDTH, 3.0), sharex=True, sharey=True)
    for number, ax in enumerate(axes, 1):
        for label, marker, color in ((1, "o", "blue"), (0, "x", "orange")):
            some = samples[(samples["task"] == number) & (samples["class"] == label)]
            ax.plot(some["x1"], some["x2"], marker, color=plots.COLORS[color], markersize=5, markeredgewidth=1.6)
        _line(ax, angle * (number > 1), color="#555555", linestyle=":", linewidth=1.8)
        for name in PARTNERS if number == 1 else PARTNERS[number - 1 : number]:
            _line(ax, own["off"][name], color=_COLORS[name], linewidth=1.5, label=name)
        ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", title=f"task {number}", xticks=[], yticks=[])
    for side in (0, 180):
        at = np.radians(angle + abs(wedge) / 2 + side)
        spot = Circle((1.5 * np.cos(at), 1.5 * np.sin(at)), 0.75, fill=False, linestyle="--", color="#777777")
        axes[2].add_patch(spot)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of task 1 and the mean absolute error of its boundary in degrees."""
    groups = _picture(rows).assign(off=lambda table: table["off"].abs()).groupby("partner", sort=False)
    names = {"accuracy": "accuracy of task 1", "off": "boundary off by (degrees)"}
    return groups[list(names)].mean().rename(columns=names).rename_axis("task 1 is trained")


def sensitivity_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Per changed setting: effect of either partner on task 1's accuracy, mean over seeds with its 95% interval."""
    lines = {}
    for changed, group in rows.groupby("changed", sort=False):
        gains = _effects(group)
        lines[changed] = {name: "{:+.4f} [{:+.4f}, {:+.4f}]".format(*results.interval(gains[name].to_numpy())) for name in gains}
    return pd.DataFrame(lines).T.rename_axis("changed")


def measured(rows: pd.DataFrame) -> Measured:
    """Task 2 is the source whose data lie along the boundary, task 3 the one with none in the double wedge."""
    picture, gains = _picture(rows), _effects(_picture(rows))
    effects = {
        "one-source-helps": gains["with task 2"].tolist(),
        "other-source-hurts": gains["with task 3"].tolist(),
        "data-not-model": (gains["with task 2"] - gains["with task 3"]).tolist(),
    }
    again = "half a core minute: this run again, which records it"
    means = picture.groupby("partner")["accuracy"].mean()
    longer, wide = rows[rows["changed"] == "steps = 800"], rows[rows["changed"] == "rank = 2"]
    converged, control = (Gate(name, False, "not recorded", cost=again) for name in ("converged", "control"))
    if len(longer):
        change = (longer.groupby("partner")["accuracy"].mean() - means).abs().max()
        converged = Gate.within("converged", float(change), most=0.005, cost="a core minute: twice the steps")
    if len(wide):
        change = _effects(wide).mean().abs().max()
        control = Gate.within("control", float(change), most=0.005, cost="a core minute: twice the steps")
    gates = [
        Gate("same-boundary", True, "one boundary labels both tasks"),
        Gate.within("headroom", means["alone"], least=0.60, most=0.98, cost="half a core minute: another number of samples"),
        converged,
        control,
    ]
    return Measured(effects=effects, gates=gates)
