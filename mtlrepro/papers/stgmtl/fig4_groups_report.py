"""Figures 2, 4 and 5 of STG-MTL, drawn and judged from the rows of `fig4_groups.data_maps`."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.papers.stgmtl import task_groups

CASES = [("G1", 2), ("G1", 3), ("G2", 3)]
QUADRUPEDS = ("cat", "dog", "horse")


def draw_map(rows: pd.DataFrame) -> Figure:
    """Figure 2: the points of one task's data map, of the first seed."""
    points = rows[(rows.kind == "point") & (rows.group == "G1") & (rows.of == "multi-task")]
    points = points[points.seed == points.seed.min()]
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 4.2))
    for label, color, name in ((0, "grey", "is not"), (1, "vermillion", "is")):
        own = points[points.label == label]
        ax.plot(own.variability, own.confidence, ".", color=plots.COLORS[color], label=f"{name} of the class", alpha=0.7)
    ax.set(xlabel="variability", ylabel="confidence", title=f"task: {points.task.iloc[0]}", ylim=(0, 1))
    ax.legend()
    return fig


def draw_memberships(rows: pd.DataFrame) -> Figure:
    """Figures 4 and 5: memberships with F = 2, of the first seed."""
    fig, axes = plt.subplots(len(CASES), 1, figsize=(plots.WIDTH, 7.6), layout="constrained")
    for ax, (group, k) in zip(axes, CASES, strict=True):
        first = task_groups.memberships(rows, group, k)[0]
        u = first.to_numpy().T
        ax.imshow(u, vmin=0, vmax=1, cmap="Blues", aspect="auto")
        for (y, x), value in np.ndenumerate(u):
            text = f"{value:.2f}"[1:] if value < 0.995 else "1"
            ax.text(x, y, text, ha="center", va="center", fontsize=9, color="k" if value < 0.6 else "w")
        ax.set_xticks(range(len(first)), first.index, rotation=40, ha="right", fontsize=9)
        ax.set_yticks(range(k), [f"cluster {j + 1}" for j in range(k)])
        ax.set_title(f"{group}, {k} clusters", loc="left")
        ax.grid(False)
    return fig


def published_memberships(rows: pd.DataFrame) -> pd.DataFrame:
    """Of G1 in two clusters: each task's membership in the cluster that holds most of the first task, ours and the authors'."""
    ours = pd.concat([u[u.iloc[0].idxmax()] for u in task_groups.memberships(rows, "G1", 2)], axis=1)
    table = pd.DataFrame({"ours, mean": ours.mean(axis=1), "lowest": ours.min(axis=1), "highest": ours.max(axis=1)})
    return table.assign(authors=pd.Series(results.paper_values("stgmtl/fig5"), dtype=float)).round(2)


def draw_softness(rows: pd.DataFrame, fuzziness: Sequence[float]) -> Figure:
    """Entropy of memberships by k and F, and the silhouette by k."""
    table = task_groups.softness(rows, ("G1", "G2"), (2, 3, 4, 5), fuzziness).reset_index()
    fig, (left, right) = plt.subplots(1, 2, figsize=(plots.WIDTH, 3.8))
    for group, style in (("G1", "o-"), ("G2", "s--")):
        for f, color in zip(fuzziness, plots.COLORS.values(), strict=False):
            line = table[(table["task set"] == group) & (table["F"] == f)]
            left.plot(line.k, line.entropy, style, color=color, label=f"F = {f:g}" if group == "G1" else None)
        right.plot(line.k, line.silhouette, style, color=plots.COLORS["black"], label=group)
    left.set(xlabel="clusters k", ylabel="entropy", ylim=(-0.03, 1), xticks=(2, 3, 4, 5))
    right.set(xlabel="clusters k", ylabel="silhouette", ylim=(0, None), xticks=(2, 3, 4, 5))
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    right.legend()
    return fig


def two_clusters_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`task_groups.two_clusters` as the page shows it: blanks where nothing was measured."""
    return task_groups.two_clusters(rows, QUADRUPEDS).round(2).astype(object).fillna("")


def show_all(rows: pd.DataFrame, fuzziness: Sequence[float]) -> None:
    """Every figure and table of the page."""
    for figure in (draw_map(rows), draw_memberships(rows), draw_softness(rows, fuzziness)):
        plots.show(figure)
    for table in (published_memberships(rows), task_groups.odd_one_out(rows).round(3), two_clusters_table(rows)):
        display(table)  # type: ignore[no-untyped-call]


def measured(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Exhibit -> the rows that are recorded for it."""
    groups = task_groups.two_clusters(rows, QUADRUPEDS).reset_index()
    return {
        "stgmtl/fig4": task_groups.odd_one_out(rows).reset_index(), "stgmtl/fig2": rows, "stgmtl/fig5": groups,
        "stgmtl/variants": groups,
    }  # fmt: skip


def claims(rows: pd.DataFrame, epochs: int) -> dict[str, list[results.Part]]:
    """Exhibit -> its claims."""
    both, apart = task_groups.two_clusters(rows, QUADRUPEDS), task_groups.odd_one_out(rows)
    multi, points, differ = both.loc["multi-task"], rows[rows.kind == "point"], apart["complements differ"]
    bound = (points.confidence * (1 - points.confidence) * epochs / (epochs - 1)).clip(lower=0) ** 0.5
    excess, far = points.variability - bound, np.log(apart["distance ratio"].to_numpy())
    fig5 = [
        _rand("two clusters agree with animals and vehicles", multi["families"]),
        _counted("two clusters are animals and vehicles, exactly", multi["misplaced"] > 0, multi["misplaced"].max()),
    ]
    if "split" in multi:
        fig5.append(_rand("three clusters split the living into {cat, dog, horse} and the others", multi["split"]))
    return {
        "stgmtl/fig4": [
            _counted("random is alone in its cluster", ~apart["alone"], (~apart["alone"]).mean()),
            results.paired("random is farther from its neighbour than any other task", far, unit="log of the ratio"),
            _counted("the complements have the same memberships", differ > 0.05, differ.max(), 0.05),
            _rand("animals and vehicles separate among the ten classes", apart["families of the ten"]),
        ],
        "stgmtl/fig2": [_counted("variability is no larger than its confidence allows", excess > 0.01, excess.max(), 0.01)],
        "stgmtl/fig5": fig5,
        "stgmtl/variants": [
            _rand("single-task maps group as multi-task maps", both["with multi-task"]),
            _rand("point-based groups are the hard ones", multi["point-based"]),
            _rand("another seed, the same groups", multi["with the seed before"]),
        ],
    }


def _counted(name: str, wrong: pd.Series[bool], worst: float, tolerance: float = 0.0) -> results.Part:
    return results.check(name, worst=float(worst), n=len(wrong), violations=int(wrong.sum()), tolerance=tolerance)


def _rand(name: str, values: pd.Series[float]) -> results.Part:
    return results.paired(name, values.dropna().to_numpy(), unit="adjusted Rand index")
