"""Figures 2, 4 and 5 of STG-MTL and its variants (Sec. 3.2, 3.3): drawn and measured from rows of `fig4_groups.data_maps`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import adjusted_rand_score

from mtlrepro import plots, results
from mtlrepro.papers.stgmtl import gates, task_groups
from mtlrepro.papers.stgmtl.task_groups import TaskMaps, task_maps

QUADRUPEDS = ("cat", "dog", "horse")
OTHER_ANIMALS = ("bird", "deer", "frog")
VEHICLES = ("airplane", "automobile", "ship", "truck")
_CONVERGED = "50 core minutes: the same with twice the epochs"
_CONTROL = "25 core minutes: one more training per seed, with a copied task"


# --- which rows belong to which exhibit -------------------------------------------------------------------------------


def rows_of(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Exhibit -> the rows that it is computed from."""
    tasks = rows[rows.kind == "task"].dropna(axis=1, how="all")
    g1 = tasks[tasks.group == "G1"]
    return {
        "stgmtl/fig2": rows, "stgmtl/fig4": tasks[tasks.group == "G2"], "stgmtl/fig5": g1[g1.of == "multi-task"],
        "stgmtl/variants": g1,
    }  # fmt: skip


# --- figures and tables -----------------------------------------------------------------------------------------------


def draw_map(rows: pd.DataFrame) -> Figure:
    """Figure 2: the points of one task's data map, of the first seed."""
    points = rows[(rows.kind == "point") & (rows.group == "G1") & (rows.of == "multi-task")]
    points = points[points.seed == points.seed.min()]
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 4.2))
    for label, color, name in ((0, "grey", "is not"), (1, "vermillion", "is")):
        own = points[points.label == label]
        ax.plot(own.variability, own.confidence, ".", color=plots.COLORS[color], label=f"{name} {points.task.iloc[0]}", alpha=0.7)
    ax.set(xlabel="variability", ylabel="confidence", ylim=(0, 1))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def draw_fig4(rows: pd.DataFrame) -> Figure:
    """Figure 4: memberships of the tasks of G2 in three clusters, of the first seed, as stacked bars."""
    maps = next(task_maps(rows, "G2"))
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 4.2))
    _stacked(ax, maps, 3)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def draw_fig5(rows: pd.DataFrame) -> Figure:
    """Figure 5: memberships of the tasks of G1. Above, two clusters: that of the first task, means and ranges over seeds, with
    the authors' numbers as hollow marks. Below, three clusters, of the first seed.
    """
    fig, (above, below) = plt.subplots(2, 1, figsize=(plots.WIDTH, 7), layout="constrained")
    table = memberships_of_first(rows)
    at = np.arange(len(table))
    error = [table["mean"] - table["lowest"], table["highest"] - table["mean"]]
    above.bar(at, table["mean"], color=plots.COLORS["sky"], yerr=error, ecolor=plots.COLORS["black"], label="ours")
    published = table["authors"].dropna()
    if len(published):
        above.plot(
            table.index.get_indexer(published.index), published, "D", mfc="none", color=plots.COLORS["vermillion"],
            label="authors' numbers",
        )  # fmt: skip
    above.set_xticks(at, table.index, rotation=40, ha="right", fontsize=9)
    above.set(ylabel=f"membership with {table.index[0]}", ylim=(0, 1))
    above.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=2)
    _stacked(below, next(task_maps(rows, "G1")), 3)
    below.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=3)
    return fig


def _stacked(ax: Axes, maps: TaskMaps, k: int) -> None:
    u, at = maps.memberships(k), np.arange(len(maps.tasks))
    for j, (color, hatch) in enumerate(zip(("blue", "orange", "green"), ("", "//", ".."), strict=True)):
        ax.bar(at, u[:, j], bottom=u[:, :j].sum(1), color=plots.COLORS[color], hatch=hatch, label=f"cluster {j + 1}")
    ax.set_xticks(at, maps.tasks, rotation=40, ha="right", fontsize=9)
    ax.set(ylabel="membership", ylim=(0, 1))


def memberships_of_first(rows: pd.DataFrame) -> pd.DataFrame:
    """Of G1 in two clusters: each task's membership in the cluster that holds most of the first task, ours and the authors'."""
    columns = []
    for maps in task_maps(rows, "G1"):
        u = maps.memberships(2)
        columns.append(pd.Series(u[:, u[0].argmax()], index=maps.tasks))
    ours = pd.concat(columns, axis=1)
    table = pd.DataFrame({"mean": ours.mean(axis=1), "lowest": ours.min(axis=1), "highest": ours.max(axis=1)})
    return table.assign(authors=pd.Series(results.paper_values("stgmtl/fig5"), dtype=float))


def membership_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Paper, ours and difference of `memberships_of_first`."""
    table = memberships_of_first(rows)
    columns = {"paper": table.authors, "ours, mean": table["mean"], "difference": table["mean"] - table.authors}
    return pd.DataFrame(columns | {"lowest": table.lowest, "highest": table.highest}).rename_axis("task")


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


def random_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`task_groups.odd_one_out` with its index as a column."""
    return task_groups.odd_one_out(rows).reset_index()


def stability_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`task_groups.two_clusters` with its index as columns."""
    return task_groups.two_clusters(rows, QUADRUPEDS).reset_index()


def findings(rows: pd.DataFrame) -> str:
    """What the groups of G1 are, in sentences. rows: of the variants."""
    effects = {**measured_fig5(rows).effects, **measured_variants(rows).effects}
    text = (
        f"Two clusters of G1 agree with animals and vehicles with a mean adjusted Rand index of {_mean(effects['two-clusters'])}."
    )
    if "three-clusters-split-living" in effects:
        text += (
            f" Three clusters against cat, dog, horse and bird, deer, frog: {_mean(effects['three-clusters-split-living'])}, "
            f"and the "
            f"vehicles' pairs together, corrected for chance: {_mean(effects['vehicles-stay-together'])}."
        )
    return text + f" Maps of single-task models give the groups of multi-task ones with {_mean(effects['stl-maps-same'])}."


def findings_g2(rows: pd.DataFrame) -> str:
    """What the groups of G2 are, in sentences."""
    effects = measured_fig4(rows).effects
    return (
        f"The task with random labels is alone in its cluster more often than the average task by "
        f"{_mean(effects['random-apart'])}; the complementary tasks' memberships differ by "
        f"{_mean(effects['complements-equal'])}; "
        f"the ten classes alone agree with animals and vehicles with {_mean(effects['living-against-not'])}."
    )


def _mean(values: Sequence[float]) -> str:
    return f"{np.mean(values):.2f}"


# --- what the rows say of the registered claims and gates --------------------------------------------------------------


def measured(exhibit: str, rows: pd.DataFrame) -> results.Measured:
    """What the rows of an exhibit (`rows_of`) say of its claims."""
    return {
        "stgmtl/fig2": measured_fig2, "stgmtl/fig4": measured_fig4, "stgmtl/fig5": measured_fig5,
        "stgmtl/variants": measured_variants,
    }[exhibit](rows)  # fmt: skip


def measured_fig2(rows: pd.DataFrame) -> results.Measured:
    """No claim: distances between maps of different trainings are not recorded."""
    tasks = rows[(rows.kind == "task") & (rows.group == "G1") & (rows.of == "multi-task")]
    return results.Measured(gates=[
        gates.learned(tasks, 0.8, gates.TEN_TASKS),
        results.Gate("seeds-differ", False, "weights and batches differ, images do not", cost="none: draw images by seed"),
        gates.not_recorded("control", _CONTROL),
    ])  # fmt: skip


def measured_fig4(rows: pd.DataFrame) -> results.Measured:
    """Of G2: *random* alone, the complementary tasks, and the ten classes alone."""
    seeds = list(task_maps(rows, "G2"))
    names = seeds[0].tasks
    random, living, opposite = names.index("random"), 10, 13  # the complements: first and fourth of the extra tasks
    apart, complements, classes = [], [], []
    others: dict[int, list[float]] = {k: [] for k in (2, 3, 4, 5)}
    for maps in seeds:
        lonely = [task_groups.alone(maps.labels(k)).astype(float) for k in (3, 4, 5)]
        apart.append(float(np.mean([each[random] - each.mean() for each in lonely])))
        own = []
        for k in others:
            u = maps.memberships(k)
            own.append(task_groups.difference(u[living], u[opposite]))
            pairs = [pair for pair in combinations(range(len(names)), 2) if pair != (living, opposite)]
            others[k].append(float(np.mean([task_groups.difference(u[i], u[j]) for i, j in pairs])))
        complements.append(float(np.mean(own)))
        classes.append(float(adjusted_rand_score(maps.families[:10], maps.first(10).labels(2))))
    tasks = rows[(rows.kind == "task") & (rows.group == "G2") & rows.task.isin(names[:10])]
    contrast = min(float(np.mean(values)) for values in others.values())
    return results.Measured(
        {"random-apart": apart, "complements-equal": complements, "living-against-not": classes},
        gates=[
            gates.learned(tasks, 0.8, gates.TEN_TASKS),
            results.Gate.within("contrast", contrast, least=0.15, cost=gates.TEN_TASKS),
            gates.kmeans(seeds, (2, 3, 4, 5)),
            gates.not_recorded("converged", _CONVERGED),
            gates.not_recorded("control", _CONTROL),
        ],
    )


def measured_fig5(rows: pd.DataFrame) -> results.Measured:
    """Of G1: two clusters against animals and vehicles, and how three divide them."""
    two, split, vehicles = [], [], []
    seeds = list(task_maps(rows, "G1"))
    for maps in seeds:
        labels, three = maps.labels(2), np.asarray(maps.labels(3))
        two.append(float(adjusted_rand_score(maps.families, labels)))
        animals = _numbers(maps, (*QUADRUPEDS, *OTHER_ANIMALS))
        if animals:
            split.append(float(adjusted_rand_score([maps.tasks[i] in QUADRUPEDS for i in animals], three[animals])))
            vehicles.append(task_groups.together(three.tolist(), _numbers(maps, VEHICLES)))
    named = {"three-clusters-split-living": split, "vehicles-stay-together": vehicles} if split else {}
    return results.Measured({"two-clusters": two} | named, gates=_gates_fig5(rows, seeds))


def _gates_fig5(rows: pd.DataFrame, seeds: list[TaskMaps]) -> list[results.Gate]:
    tasks = rows[(rows.kind == "task") & (rows.group == "G1")]
    return [
        gates.learned(tasks, 0.8, gates.TEN_TASKS),
        gates.kmeans(seeds, (2, 3)),
        gates.not_recorded("converged", _CONVERGED),
        gates.equal_prevalence(tasks),
        gates.not_recorded("control", _CONTROL),
    ]


def measured_variants(rows: pd.DataFrame) -> results.Measured:
    """Of G1: single-task against multi-task maps, whole maps against points, several snapshots against the last."""
    multi = {maps.seed: maps for maps in task_maps(rows, "G1")}
    single = {maps.seed: maps for maps in task_maps(rows, "G1", "single-task")}
    whole = {seed: float(adjusted_rand_score(maps.families, maps.labels(2))) for seed, maps in multi.items()}
    same, points, between = [], [], []
    for seed, maps in multi.items():
        votes = task_groups.matrix(list(maps.rows["votes 2"])).argmax(1).tolist()
        points.append(whole[seed] - float(adjusted_rand_score(maps.families, votes)))
        if seed in single:
            pairs = [(maps.labels(k), single[seed].labels(k)) for k in (2, 3)]
            same.append(float(np.mean([adjusted_rand_score(*pair) for pair in pairs])))
        if seed - 1 in multi:
            between.append(float(adjusted_rand_score(multi[seed - 1].labels(2), maps.labels(2))))
    effects = {"stl-maps-same": same, "point-based-worse": points}
    if "apart last" in rows and rows["apart last"].notna().any():
        last = task_maps(rows, "G1", column="apart last")
        effects["snapshots-help"] = [whole[m.seed] - float(adjusted_rand_score(m.families, m.labels(2))) for m in last]
    inherited = _gates_fig5(rows, [*multi.values(), *single.values()])
    return results.Measured(
        effects,
        gates=[
            results.Gate.every("gates-of-fig5", [gate for gate in inherited if gate.name != "converged"], cost=gates.TEN_TASKS),
            gates.clear_of_zero("something-to-compare", list(whole.values()), gates.TEN_TASKS, least=0.25),
            gates.not_recorded("converged", _CONVERGED),
            gates.clear_of_zero("control", between, gates.TEN_TASKS),
        ],
    )


def _numbers(maps: TaskMaps, names: Sequence[str]) -> list[int]:
    return [maps.tasks.index(name) for name in names if name in maps.tasks]
