"""The picture of data maps and of the groups that follow from them (Swayamdipta et al. 2020; STG-MTL, Sherif et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mtlrepro.errors import BadValue
from mtlrepro.plots.style import COLORS, WIDTH

_COLUMNS = 5


def data_maps(mean: ArrayLike, std: ArrayLike, memberships: ArrayLike, tasks: Sequence[str], points: int = 1000) -> Figure:
    """Each task's map, in the colour of the cluster in which it is most, and below them all memberships as stacked bars.

    mean, std: (tasks, n) confidence and variability. memberships: (tasks, clusters). points: of so many of the n, at even
    distances, each map shows a mark. Raises BadValue where there is not one name for each task.
    """
    confidence, variability, u = (np.asarray(each, dtype=float) for each in (mean, std, memberships))
    if not len(tasks) == len(confidence) == len(variability) == len(u):
        raise BadValue(f"{len(tasks)} names for maps of {len(confidence)} tasks, memberships of {len(u)}.")
    shown = np.unique(np.linspace(0, confidence.shape[1] - 1, min(points, confidence.shape[1])).astype(int))
    colors = [COLORS[name] for name in ("blue", "orange", "green", "purple", "sky", "vermillion")] * u.shape[1]
    lines = -(-len(tasks) // _COLUMNS)
    fig = plt.figure(figsize=(WIDTH, 1.6 * lines + 2.8), layout="constrained")
    above, below = fig.subfigures(2, 1, squeeze=False, height_ratios=(1.6 * lines, 2.8)).flat
    axes = above.subplots(lines, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    for ax, name, x, y, own in zip(axes.flat, tasks, variability, confidence, u, strict=False):
        ax.plot(x[shown], y[shown], ".", color=colors[own.argmax()], markersize=2, rasterized=True)
        ax.set_title(name, fontsize=9)
        ax.set(ylim=(0, 1))
    for ax in axes.flat[len(tasks) :]:
        ax.axis("off")
    above.supxlabel("variability", fontsize=10)
    above.supylabel("confidence", fontsize=10)
    bars, at = below.subplots(), np.arange(len(tasks))
    for j, color in enumerate(colors[: u.shape[1]]):
        bars.bar(at, u[:, j], bottom=u[:, :j].sum(1), color=color, label=f"cluster {j + 1}")
    bars.set_xticks(at, tasks, rotation=40, ha="right", fontsize=9)
    bars.set(ylabel="membership", ylim=(0, 1))
    bars.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)
    return fig
