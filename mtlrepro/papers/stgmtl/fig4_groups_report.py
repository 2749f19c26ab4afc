"""Figures 2, 4 and 5 of STG-MTL and its variants (Sec. 3.2, 3.3): drawn and measured from rows of `fig4_groups.data_maps`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, permutations, product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from mtlrepro import plots, results
from mtlrepro.papers.stgmtl import gates, task_groups
from mtlrepro.papers.stgmtl.task_groups import TaskMaps, task_maps

QUADRUPEDS = ("cat", "dog", "horse")
OTHER_ANIMALS = ("bird", "deer", "frog")
VEHICLES = ("airplane", "automobile", "ship", "truck")
CLUSTERS = (2, 3, 4, 5)
# Living being and its complement are the first and the fourth of G2's extra tasks.
_COMPLEMENTS = (10, 13)
_SINGLE = "97 core minutes per seed: ten single-task ResNet-18 at 32 pixels, 20,000 images, 20 epochs"


# --- which rows belong to which exhibit -------------------------------------------------------------------------------


def rows_of(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Exhibit -> the rows that it is computed from."""
    g1 = rows[rows.group == "G1"]
    own = {
        "stgmtl/fig2": g1, "stgmtl/fig4": rows[rows.group == "G2"], "stgmtl/fig5": g1[g1.of == "multi-task"],
        "stgmtl/variants": g1,
    }  # fmt: skip
    maps = ["map", "labels"]  # the points of fig2 alone
    return {name: own[name].drop(columns=[] if name == "stgmtl/fig2" else maps).dropna(axis=1, how="all") for name in own}


# --- figures and tables -----------------------------------------------------------------------------------------------


def draw_map(rows: pd.DataFrame) -> Figure:
    """Figure 2: the points of one task's data map, of the first seed; the task is the one that was copied."""
    maps, name, truth = _point_maps(rows)[0], _copied(rows), _first(rows).labels
    confidence, variability = maps[name].reshape(2, -1)
    labels = np.array(truth.split(), dtype=int)
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 4.2))
    for label, color, word in ((0, "grey", "is not"), (1, "vermillion", "is")):
        own = labels == label
        ax.plot(variability[own], confidence[own], ".", color=plots.COLORS[color], label=f"{word} {name}", alpha=0.7)
    ax.set(xlabel="variability", ylabel="confidence", ylim=(0, 1))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def _copied(rows: pd.DataFrame) -> str:
    return str(rows.task[rows.kind == "copy"].iloc[0])


def _first(rows: pd.DataFrame) -> pd.Series[str]:
    """The row of the copied task's original, of the first seed's multi-task model of G1."""
    here = rows[(rows.kind == "task") & (rows.of == "multi-task") & (rows.task == _copied(rows))]
    return here.sort_values("seed").iloc[0]


def _point_maps(rows: pd.DataFrame) -> list[dict[str, NDArray[np.float64]]]:
    """For each seed task -> (2 points,) confidences, then variabilities, of the images that all seeds have in common."""
    here = rows[(rows.kind == "task") & (rows.of == "multi-task")]
    return [
        {row.task: np.array(row.map.split(), dtype=float) / 1000 for row in here[here.seed == seed].itertuples()}
        for seed in sorted(here.seed.unique().tolist())
    ]


def draw_fig4(rows: pd.DataFrame) -> Figure:
    """Figure 4: memberships of the tasks of G2 in two to five clusters, of the first seed, as stacked bars; hollow marks: the
    groups that the paper names.
    """
    maps = next(task_maps(rows, "G2"))
    fig, axes = plt.subplots(4, 1, figsize=(plots.WIDTH, 9), sharex=True, layout="constrained")
    for ax, k in zip(axes, CLUSTERS, strict=True):
        _stacked(ax, maps, k)
        ax.set(ylabel=f"membership, k = {k}")
    named = {"animals": (*QUADRUPEDS, *OTHER_ANIMALS), "vehicles": VEHICLES, "alone": ("random",)}
    _mark_groups(axes[0], maps, named)
    plots.legend_below(fig, ncols=3)
    return fig


def draw_fig5(rows: pd.DataFrame) -> Figure:
    """Figure 5: memberships of the tasks of G1. Above, two clusters: that of the first task, means and ranges over seeds, with
    the authors' numbers as hollow marks. Below, three clusters, of the first seed; hollow: the groups that the paper names.
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
    maps = next(task_maps(rows, "G1"))
    _stacked(below, maps, 3)
    named = {", ".join(QUADRUPEDS): QUADRUPEDS, ", ".join(OTHER_ANIMALS): OTHER_ANIMALS, "vehicles": VEHICLES}
    _mark_groups(below, maps, named)
    below.legend(loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=2, fontsize=10)
    return fig


def _mark_groups(ax: Axes, maps: TaskMaps, named: Mapping[str, Sequence[str]]) -> None:
    """A hollow mark above the bar of each task that the paper puts into a group; named: group -> its tasks."""
    for marker, (group, tasks) in zip("osD", named.items(), strict=False):
        at = _numbers(maps, tasks)
        ax.plot(
            at, [1.07] * len(at), marker, mfc="none", mew=1.4, color=plots.COLORS["black"], clip_on=False, label=f"paper: {group}"
        )


def _stacked(ax: Axes, maps: TaskMaps, k: int) -> None:
    u, at = maps.memberships(k), np.arange(len(maps.tasks))
    looks = zip(("blue", "orange", "green", "purple", "sky"), ("", "//", "..", "xx", "++"), strict=True)
    for j, (color, hatch) in enumerate(list(looks)[:k]):
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


def draw_learning(rows: pd.DataFrame) -> Figure:
    """Mean F1 over tasks after so many epochs, on training and on test images: means over seeds."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 3.6))
    epochs = rows[rows.kind == "epoch"].groupby(["of", "epoch"])[["f1", "test f1"]].mean()
    for (of, style), (column, color, word) in product(
        (("multi-task", "o-"), ("single-task", "s--")), (("f1", "sky", "training"), ("test f1", "blue", "test"))
    ):
        if of in epochs.index:
            ax.plot(epochs.loc[of].index, epochs.loc[of][column], style, color=plots.COLORS[color], label=f"{of}, {word} images")
    ax.set(xlabel="epochs", ylabel="mean F1", ylim=(0, 1))
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def learning_table(rows: pd.DataFrame) -> pd.DataFrame:
    """What the multi-task models learned of each task: means over seeds."""
    tasks = rows[(rows.kind == "task") & (rows.of == "multi-task")]
    table = tasks.groupby("task", sort=False)[["f1", "test f1", "test accuracy", "share"]].mean()
    table["the commoner answer's share"] = np.maximum(table.share, 1 - table.share)
    names = {"f1": "F1, training images", "test f1": "F1, test images"}
    return table.drop(columns="share").rename(columns=names).reset_index()


def draw_softness(rows: pd.DataFrame, fuzziness: Sequence[float]) -> Figure:
    """Entropy of memberships of G2 by k and F, and the silhouette by k."""
    table = task_groups.softness(rows, ["G2"], CLUSTERS, fuzziness).reset_index()
    fig, (left, right) = plt.subplots(1, 2, figsize=(plots.WIDTH, 3.8))
    for f, color in zip(fuzziness, plots.COLORS.values(), strict=False):
        line = table[table["F"] == f]
        left.plot(line.k, line.entropy, "o-", color=color, label=f"F = {f:g}")
    right.plot(line.k, line.silhouette, "o-", color=plots.COLORS["black"])
    left.set(xlabel="clusters k", ylabel="entropy", ylim=(-0.03, 1), xticks=CLUSTERS)
    right.set(xlabel="clusters k", ylabel="silhouette", ylim=(0, None), xticks=CLUSTERS)
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig


def random_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`task_groups.odd_one_out` with its index as a column."""
    return task_groups.odd_one_out(rows).reset_index()


def company_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`task_groups.company` of *random* and of the two extra tasks that are no complement of another."""
    tasks = next(task_maps(rows, "G2")).tasks
    return task_groups.company(rows, ["random", *tasks[_COMPLEMENTS[0] + 1 : _COMPLEMENTS[1]]], CLUSTERS)


def split_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`task_groups.splits` of G1 or of G2's first ten tasks, whichever `rows` are of, against the groups that the paper names: of
    both in two clusters, of G1 in three as well.
    """
    group = str(rows.group.iloc[0])
    seeds = [maps.first(10) for maps in task_maps(rows, group)]
    named = {2: task_groups.partition(seeds[0].tasks, seeds[0].families)}
    three = frozenset(map(frozenset, (QUADRUPEDS, OTHER_ANIMALS, VEHICLES)))
    if group == "G1" and set().union(*three) == set(seeds[0].tasks):
        named[3] = three
    return task_groups.splits(seeds, named, CLUSTERS)


def epochs_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`gates.by_epochs` of Figure 4 or 5, whichever `rows` are of."""
    exhibit, effects = ("stgmtl/fig4", _fig4) if (rows.group == "G2").any() else ("stgmtl/fig5", _fig5)
    return gates.by_epochs(exhibit, effects(rows, "apart half"), effects(rows))


def stability_table(rows: pd.DataFrame) -> pd.DataFrame:
    """`task_groups.two_clusters` with its index as columns."""
    return task_groups.two_clusters(rows, QUADRUPEDS).reset_index()


def findings(rows: pd.DataFrame) -> str:
    """What the groups of G1 are, in sentences. rows: of the variants."""
    effects = {**_fig5(rows), **_variants(rows)}
    text = (
        f"Two clusters of G1 agree with animals and vehicles with a mean adjusted Rand index of {_mean(effects['two-clusters'])}."
    )
    if "three-clusters-split-living" in effects:
        text += (
            f" Three clusters against cat, dog, horse and bird, deer, frog: {_mean(effects['three-clusters-split-living'])}; "
            f"the vehicles' pairs together, corrected for chance: {_mean(effects['vehicles-stay-together'])}."
        )
    if effects["stl-maps-same"]:
        text += f" Maps of single-task models give the groups of multi-task ones with {_mean(effects['stl-maps-same'])}."
    for name, word in (
        ("apart pixels", "mean images of the classes"),
        ("apart features", "mean features of the trained network"),
    ):
        others = [adjusted_rand_score(maps.families, maps.labels(2)) for maps in task_maps(rows, "G1", column=name)]
        text += f" The {word}, grouped in the same way, agree with animals and vehicles with {_mean(others)}."
    return text


def findings_g2(rows: pd.DataFrame) -> str:
    """What the groups of G2 are, in sentences."""
    effects = _fig4(rows)
    company = task_groups.company(rows, ["random"], CLUSTERS)
    alone = ", ".join(
        f"{k} clusters in {seeds} seeds" for k, seeds in zip(company.clusters, company["alone, seeds"], strict=True)
    )
    far = task_groups.odd_one_out(rows)["distance ratio"]
    return (
        f"The task with random labels is alone in its cluster, of {alone}; from three clusters on it is alone more often than "
        f"the average task by {_mean(effects['random-apart'])}. Its nearest task is {far.min():.2f} to {far.max():.2f} times as "
        f"far from it as any other task's nearest is. The complementary tasks' memberships differ by "
        f"{np.mean(effects['complements-equal']):.3f}, those of other pairs on average by {_contrast(rows):.2f} or more; the ten "
        f"classes alone agree with animals and vehicles with {_mean(effects['living-against-not'])}."
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
    """Distances between the maps of different trainings, of the same task and of two, on the images that all have in common."""
    maps = _point_maps(rows)
    ratios = []
    for one in maps:
        others = [other for other in maps if other is not one]
        same = [np.linalg.norm(one[task] - other[task]) for other in others for task in one]
        apart = [np.linalg.norm(one[a] - other[b]) for other in others for a, b in permutations(one, 2)]
        if others:
            ratios.append(float(np.log2(np.mean(apart) / np.mean(same))))
    tasks = rows[(rows.kind == "task") & (rows.of == "multi-task")]
    return results.Measured({"task-dependent": ratios}, gates=[
        gates.learned(tasks, 0.8, gates.TEN_TASKS), _seeds_differ(tasks), _nearest_copy(rows),
    ])  # fmt: skip


def _seeds_differ(tasks: pd.DataFrame) -> results.Gate:
    """Weights and batches differ by construction; images do where the mean images of the classes do, and points are the same
    where their answers are.
    """
    images = tasks.groupby("seed")["apart pixels"].agg(" ".join)
    matched = bool((tasks.groupby("task")["labels"].nunique() == 1).all())
    value = f"{images.nunique()} sets of images in {len(images)} seeds, common points {'match' if matched else 'do not match'}"
    return results.Gate("seeds-differ", bool(images.is_unique and matched), value, cost="more images than one seed takes")


def _nearest_copy(rows: pd.DataFrame) -> results.Gate:
    """Whether a copied task and its original are nearer to each other than either to any other task, in every seed."""
    nearest = []
    here = rows[rows.kind.isin(("task", "copy")) & (rows.of == "multi-task")]
    for _, own in here.groupby("seed"):
        names, apart = list(own.task), task_groups.matrix(list(own.apart)).numpy()
        original = names.index(names[-1])
        others = [i for i in range(len(names) - 1) if i != original]
        nearest.append(bool(apart[original, -1] < apart[[original, -1]][:, others].min()))
    return results.Gate("control", all(nearest), f"{sum(nearest)} of {len(nearest)} seeds", cost=gates.TEN_TASKS)


def measured_fig4(rows: pd.DataFrame) -> results.Measured:
    """Of G2: *random* alone, the complementary tasks, and the ten classes alone."""
    seeds = list(task_maps(rows, "G2"))
    effects = _fig4(rows)
    tasks = rows[(rows.kind == "task") & rows.task.isin(seeds[0].tasks[:10])]
    return results.Measured(effects, gates=[
        gates.learned(tasks, 0.8, gates.TEN_TASKS),
        results.Gate.within("contrast", _contrast(rows), least=0.15, cost="not of size: what F = 2 leaves of the differences"),
        gates.kmeans(seeds, CLUSTERS),
        gates.settled_groups(
            "stgmtl/fig4", task_maps(rows, "G2", column="apart half"), seeds, CLUSTERS, (_fig4(rows, "apart half"), effects),
            gates.TEN_TASKS,
        ),
        gates.copied(task_groups.copied_maps(rows, "G2"), CLUSTERS, gates.TEN_TASKS),
    ])  # fmt: skip


def _fig4(rows: pd.DataFrame, column: str = "apart") -> dict[str, list[float]]:
    apart, complements, classes = [], [], []
    for maps in task_maps(rows, "G2", column=column):
        random = maps.tasks.index("random")
        lonely = [task_groups.alone(maps.labels(k)).astype(float) for k in (3, 4, 5)]
        apart.append(float(np.mean([each[random] - each.mean() for each in lonely])))
        complements.append(float(np.mean([task_groups.difference(*maps.memberships(k)[[*_COMPLEMENTS]]) for k in CLUSTERS])))
        classes.append(float(adjusted_rand_score(maps.families[:10], maps.first(10).labels(2))))
    return {"random-apart": apart, "complements-equal": complements, "living-against-not": classes}


def _contrast(rows: pd.DataFrame) -> float:
    """The mean difference of memberships over all pairs of tasks but the complementary one; the least over cluster counts."""
    means = []
    for k in CLUSTERS:
        pairs = []
        for maps in task_maps(rows, "G2"):
            u = maps.memberships(k)
            pairs += [task_groups.difference(u[i], u[j]) for i, j in combinations(range(len(u)), 2) if (i, j) != _COMPLEMENTS]
        means.append(float(np.mean(pairs)))
    return min(means)


def measured_fig5(rows: pd.DataFrame) -> results.Measured:
    """Of G1: two clusters against animals and vehicles, and how three divide them."""
    return results.Measured(_fig5(rows), gates=_gates_fig5(rows, "multi-task"))


def _fig5(rows: pd.DataFrame, column: str = "apart") -> dict[str, list[float]]:
    two, split, vehicles = [], [], []
    for maps in task_maps(rows, "G1", column=column):
        three = np.asarray(maps.labels(3))
        two.append(float(adjusted_rand_score(maps.families, maps.labels(2))))
        animals = _numbers(maps, (*QUADRUPEDS, *OTHER_ANIMALS))
        if animals:
            split.append(float(adjusted_rand_score([maps.tasks[i] in QUADRUPEDS for i in animals], three[animals])))
            vehicles.append(task_groups.together(three.tolist(), _numbers(maps, VEHICLES)))
    named = {"three-clusters-split-living": split, "vehicles-stay-together": vehicles} if split else {}
    return {"two-clusters": two} | named


def _gates_fig5(rows: pd.DataFrame, of: str) -> list[results.Gate]:
    tasks = rows[(rows.kind == "task") & (rows.of == of)]
    seeds, half = (list(task_maps(rows, "G1", of, column)) for column in ("apart", "apart half"))
    return [
        gates.learned(tasks, 0.8, gates.TEN_TASKS),
        gates.kmeans(seeds, (2, 3)),
        gates.settled_groups("stgmtl/fig5", half, seeds, (2, 3), (_fig5(rows, "apart half"), _fig5(rows)), gates.TEN_TASKS),
        gates.equal_prevalence(tasks),
        gates.copied(task_groups.copied_maps(rows, "G1", of), (2, 3), gates.TEN_TASKS),
    ]


def measured_variants(rows: pd.DataFrame) -> results.Measured:
    """Of G1: single-task against multi-task maps, whole maps against points, several snapshots against the last."""
    whole = {maps.seed: maps.labels(2) for maps in task_maps(rows, "G1")}
    agreed = [_by_kind(maps) for maps in task_maps(rows, "G1")]
    between = [float(adjusted_rand_score(whole[seed - 1], whole[seed])) for seed in whole if seed - 1 in whole]
    sources = []
    for of in ("multi-task", "single-task"):
        if (rows.of == of).any():
            own = [gate for gate in _gates_fig5(rows, of) if gate.name != "converged"]
            sources += [replace(gate, name=f"{of} {gate.name}") for gate in own]
        else:
            sources.append(results.Gate(of, False, "not run"))
    effects = _variants(rows)
    return results.Measured({name: values for name, values in effects.items() if values}, gates=[
        results.Gate.every("gates-of-fig5", sources, cost=_SINGLE),
        results.Gate.clear_of_zero("something-to-compare", agreed, least=0.25, cost=gates.TEN_TASKS),
        gates.same_signs(("stl-maps-same", "point-based-worse"), _variants(rows, " half"), effects, _SINGLE),
        results.Gate.clear_of_zero("control", between, cost=gates.TEN_TASKS),
    ])  # fmt: skip


def _variants(rows: pd.DataFrame, when: str = "") -> dict[str, list[float]]:
    """when: " half" for the maps of half of the epochs."""
    multi = {maps.seed: maps for maps in task_maps(rows, "G1", column=f"apart{when}")}
    same, points, last = [], [], []
    for maps in task_maps(rows, "G1", "single-task", f"apart{when}"):
        if maps.seed in multi:
            pairs = [(multi[maps.seed].labels(k), maps.labels(k)) for k in (2, 3)]
            same.append(float(np.mean([adjusted_rand_score(*pair) for pair in pairs])))
    for maps in multi.values():
        votes = task_groups.matrix(list(maps.rows[f"votes{when}"])).argmax(1).tolist()
        points.append(_by_kind(maps) - float(adjusted_rand_score(maps.families, votes)))
    for maps in task_maps(rows, "G1", column="apart last"):
        last.append(_by_kind(multi[maps.seed]) - _by_kind(maps))
    return {"stl-maps-same": same, "point-based-worse": points, "snapshots-help": last}


def _by_kind(maps: TaskMaps) -> float:
    """Agreement of two clusters with the families."""
    return float(adjusted_rand_score(maps.families, maps.labels(2)))


def _numbers(maps: TaskMaps, names: Sequence[str]) -> list[int]:
    return [maps.tasks.index(name) for name in names if name in maps.tasks]
