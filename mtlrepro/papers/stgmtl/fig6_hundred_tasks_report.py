"""Figures 6, 8 and 9 of STG-MTL: drawn and measured from rows of `fig4_groups.data_maps` and `fig6_hundred_tasks`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from mtlrepro import plots, results
from mtlrepro.methods.grouping_baselines import effective_models
from mtlrepro.papers.stgmtl import gates, task_groups
from mtlrepro.papers.stgmtl.task_groups import TaskMaps, members, task_maps, together

MANY, FEW = 20, 10
NAMED = ("people", "trees", "food_containers", "flowers", "household_electrical_devices")
FLOWERS = ("orchid", "poppy", "rose", "tulip")
MAMMALS = ("large_carnivores", "large_omnivores_and_herbivores", "medium_mammals")
# Random sets of five tasks that a superclass is compared with.
_SETS = 999


# --- which rows belong to which exhibit -------------------------------------------------------------------------------


def rows_of(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Exhibit -> the rows that it is computed from."""
    tasks = rows[rows.kind == "task"].drop(columns="apart pixels", errors="ignore").dropna(axis=1, how="all")
    return {"stgmtl/fig6": rows, "stgmtl/fig8": tasks, "stgmtl/fig9": tasks}


# --- figures and tables -----------------------------------------------------------------------------------------------


def draw_examples(rows: pd.DataFrame) -> Figure:
    """Figure 6: memberships in twenty clusters of the tasks of two superclasses, of the first seed."""
    maps = next(task_maps(rows, "G3"))
    u = maps.memberships(MANY)
    fig, axes = plt.subplots(2, 1, figsize=(plots.WIDTH, 5.6), sharex=True, layout="constrained")
    for ax, family in zip(axes, ("people", "flowers"), strict=True):
        own = members(maps, family)
        for j, (i, color) in enumerate(zip(own, plots.COLORS.values(), strict=False)):
            ax.bar(np.arange(1, MANY + 1) + 0.16 * (j - 2), u[i], 0.16, color=color, label=words(maps.tasks[i]))
        ax.set(ylabel="membership")
        ax.legend(title=family, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)
    axes[1].set(xlabel="cluster", xticks=[1, 5, 10, 15, 20])
    return fig


def draw_many(rows: pd.DataFrame) -> Figure:
    """Figure 8: see `_draw_memberships`, in twenty clusters."""
    return _draw_memberships(rows, MANY)


def draw_few(rows: pd.DataFrame) -> Figure:
    """Figure 9: see `_draw_memberships`, in ten clusters."""
    return _draw_memberships(rows, FEW)


def _draw_memberships(rows: pd.DataFrame, k: int) -> Figure:
    """Mean memberships of each superclass's five tasks, of the first seed; clusters as they first hold most."""
    maps = next(task_maps(rows, "G3"))
    u, families = maps.memberships(k), list(dict.fromkeys(maps.families))
    means = np.stack([u[members(maps, family)].mean(0) for family in families])
    order = [*dict.fromkeys(means.argmax(1).tolist()), *range(k)]
    means = means[:, list(dict.fromkeys(order))]
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 6.4), layout="constrained")
    image = ax.imshow(means, vmin=0, cmap="Blues", aspect="auto")
    fig.colorbar(image, ax=ax, label="mean membership", location="bottom", shrink=0.6)
    ax.set_yticks(range(len(families)), [words(name) for name in families], fontsize=9)
    ax.set(xlabel="cluster", xticks=range(k))
    ax.set_xticklabels([str(j + 1) for j in range(k)], fontsize=9)
    ax.grid(False)
    return fig


def draw_families(rows: pd.DataFrame) -> Figure:
    """The chance-corrected share of each superclass's pairs in one of twenty clusters: means over seeds with 95% intervals."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 6.4))
    table = task_groups.family_table(rows, "G3", MANY)
    table = table.loc[table.mean(axis=1).sort_values().index]
    for y, (name, values) in enumerate(table.iterrows()):
        mean, low, high = results.interval(values.to_numpy())
        color = plots.COLORS["vermillion" if name in NAMED else "blue"]
        ax.plot([max(low, -1), min(high, 1)], [y, y], color=color)
        ax.plot(mean, y, "o", color=color)
    ax.axvline(0, color="0.4", linewidth=1)
    ax.set_yticks(range(len(table)), [words(str(name)) for name in table.index], fontsize=10)
    ax.set(xlabel="share of pairs together, corrected for chance", xlim=(-0.3, 1.05))
    return fig


def agreement_table(rows: pd.DataFrame, shuffles: int) -> pd.DataFrame:
    """`task_groups.against_families` in both numbers of clusters."""
    return task_groups.against_families(rows, "G3", (MANY, FEW), shuffles).reset_index()


def epochs_table(rows: pd.DataFrame) -> pd.DataFrame:
    """What is learned, and how the groups move, with the epochs: mean F1, and the adjusted Rand index of twenty clusters with the
    superclasses, at half of the epochs and at all; last, the index of other vectors than data maps. Means over seeds.
    """
    f1 = rows[rows.kind == "epoch"].groupby("epoch")[["f1", "test f1"]].mean()
    epochs = int(f1.index.max())
    lines = []
    for name, column, epoch in (
        ("data maps", "apart half", -(-epochs // 2)), ("data maps", "apart", epochs),
        ("trained features", "apart features", epochs), ("mean images", "apart pixels", epochs),
    ):  # fmt: skip
        line = {"tasks' vectors": name, "epochs": epoch, "F1, training images": f1["f1"][epoch]}
        index = float(np.mean(_agreement(rows, column)))
        lines.append(line | {"F1, test images": f1["test f1"][epoch], "adjusted Rand index": index})
    return pd.DataFrame(lines)


def _agreement(rows: pd.DataFrame, column: str) -> list[float]:
    """For each seed the adjusted Rand index of twenty clusters with the superclasses."""
    return [float(adjusted_rand_score(m.families, m.labels(MANY))) for m in task_maps(rows, "G3", column=column)]


def claims_by_epochs(rows: pd.DataFrame) -> pd.DataFrame:
    """`gates.by_epochs` of the three figures."""
    figures = (("6", _fig6), ("8", _fig8), ("9", _fig9))
    tables = [(n, gates.by_epochs(f"stgmtl/fig{n}", effects(rows, "apart half"), effects(rows))) for n, effects in figures]
    return pd.concat([table.assign(figure=f"Figure {n}") for n, table in tables], ignore_index=True)


def named_table(rows: pd.DataFrame) -> pd.DataFrame:
    """What the paper names: each two of the superclasses of large carnivores, large omnivores and medium mammals, by the
    difference of their mean memberships, beside all other pairs'; sunflower and the other flowers, by the membership that they
    have in common, beside that of the other flowers among each other. Means over seeds with 95% intervals.
    """
    seeds, lines = list(task_maps(rows, "G3")), []
    pairs = [_pairs(maps) for maps in seeds]
    others = float(np.mean([value for own in pairs for pair, value in own.items() if not set(pair) <= set(MAMMALS)]))
    for pair in combinations(MAMMALS, 2):
        line = {"of": f"{words(pair[0])}; {words(pair[1])}", "clusters": FEW, "measured": "difference of memberships"}
        values = [value for own in pairs for each, value in own.items() if set(each) == set(pair)]
        lines.append(line | _with_interval(values) | {"beside": others, "which is": "all other pairs"})
    apart, among = (list(each) for each in zip(*(_flowers(maps) for maps in seeds), strict=True))
    line = {"of": "sunflower; the other flowers", "clusters": MANY, "measured": "membership in common"}
    beside = {"beside": float(np.mean(among)), "which is": "the other flowers among each other"}
    lines.append(line | _with_interval(apart) | beside)
    return pd.DataFrame(lines)


def _with_interval(values: list[float]) -> dict[str, float]:
    return dict(zip(("mean", "low", "high"), results.interval(values), strict=True))


def _flowers(maps: TaskMaps) -> tuple[float, float]:
    """Membership that sunflower has in common with the other flowers, and these among each other: means over pairs."""
    u, four = maps.memberships(MANY), [maps.tasks.index(name) for name in FLOWERS]
    (sunflower,) = set(members(maps, "flowers")) - set(four)
    apart = np.mean([task_groups.overlap(u[sunflower], u[i]) for i in four])
    among = np.mean([task_groups.overlap(u[i], u[j]) for i, j in combinations(four, 2)])
    return float(apart), float(among)


def softness_table(rows: pd.DataFrame, fuzziness: Sequence[float]) -> pd.DataFrame:
    """`task_groups.softness` of the hundred tasks."""
    return task_groups.softness(rows, ["G3"], (5, 10, 20, 40), fuzziness).reset_index()


def cost_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Seconds of an epoch in units of the fewest tasks without data maps, beside those of HOA and TAG by their formulas."""
    seconds = rows[rows.kind == "cost"].groupby("n")[["plain", "recorded"]].mean()
    unit = seconds / seconds["plain"].iloc[0]
    n = [int(each) for each in unit.index]
    columns = {
        "tasks": n, "one epoch": unit["plain"].to_numpy(), "with data maps (STG-MTL)": unit["recorded"].to_numpy(),
        "cost of recording": (seconds["recorded"] / seconds["plain"] - 1).to_numpy(),
        "HOA": [float(effective_models("hoa", each)) for each in n],
        "TAG": [float(effective_models("tag", each)) * plain for each, plain in zip(n, unit["plain"], strict=True)],
    }  # fmt: skip
    return pd.DataFrame(columns)


def findings(rows: pd.DataFrame) -> str:
    """How the groups agree with the superclasses, in sentences."""
    six, eight, nine = (effects(rows) for effects in (_fig6, _fig8, _fig9))
    four = sum(value == 1 for value in six["four-flowers"])
    return (
        f"Twenty clusters agree with the superclasses with a mean adjusted Rand index of {np.mean(six['beyond-chance']):.2f}. "
        f"Of the pairs of people and flowers {np.mean(six['coherent-superclasses']):.0%} fall together beyond chance, of the two "
        f"vehicle superclasses' {np.mean(eight['vehicles-merged']):.0%}. Orchid, poppy, rose and tulip share one "
        f"cluster in {four} of {len(six['four-flowers'])} seeds. With ten clusters the share within superclasses changes by "
        f"{np.mean(nine['fewer-clusters-more-coherent']):+.2f}."
    )


def words(name: str) -> str:
    """A class's name without underscores."""
    return name.replace("_", " ")


# --- what the rows say of the registered claims and gates --------------------------------------------------------------


def measured(exhibit: str, rows: pd.DataFrame) -> results.Measured:
    """What the rows of the hundred tasks' maps say of an exhibit's claims."""
    return {"stgmtl/fig6": measured_fig6, "stgmtl/fig8": measured_fig8, "stgmtl/fig9": measured_fig9}[exhibit](rows)


def measured_fig6(rows: pd.DataFrame) -> results.Measured:
    """Twenty clusters against the superclasses, and the superclasses people and flowers."""
    return results.Measured(_fig6(rows), gates=_gates(rows))


def _fig6(rows: pd.DataFrame, column: str = "apart") -> dict[str, list[float]]:
    effects: dict[str, list[float]] = {
        name: [] for name in ("beyond-chance", "coherent-superclasses", "four-flowers", "sunflower-apart", "weights-concentrate")
    }
    for maps in task_maps(rows, "G3", column=column):
        labels, u, flowers = maps.labels(MANY), maps.memberships(MANY), members(maps, "flowers")
        four = [maps.tasks.index(name) for name in FLOWERS]
        apart, among = _flowers(maps)
        effects["beyond-chance"].append(float(adjusted_rand_score(maps.families, labels)))
        effects["coherent-superclasses"].append(_mean_together(maps, MANY, ("people", "flowers")))
        effects["four-flowers"].append(together(labels, four))
        effects["sunflower-apart"].append(apart - among)
        effects["weights-concentrate"].append(task_groups.top_two(u[flowers]) - _random_top_two(u, maps.seed))
    return effects


def measured_fig8(rows: pd.DataFrame) -> results.Measured:
    """Twenty clusters: the superclasses that the paper names, against the others, and the two of vehicles."""
    return results.Measured(_fig8(rows), gates=[_gates_of_fig6(rows)])


def _fig8(rows: pd.DataFrame, column: str = "apart") -> dict[str, list[float]]:
    effects: dict[str, list[float]] = {"five-categories": [], "vehicles-merged": [], "named-above-others": []}
    for maps in task_maps(rows, "G3", column=column):
        others = [name for name in dict.fromkeys(maps.families) if name not in (*NAMED, "vehicles_1", "vehicles_2")]
        named = _mean_together(maps, MANY, NAMED)
        effects["five-categories"].append(named)
        effects["vehicles-merged"].append(task_groups.across(maps, MANY, "vehicles_1", "vehicles_2"))
        effects["named-above-others"].append(named - _mean_together(maps, MANY, others))
    return effects


def measured_fig9(rows: pd.DataFrame) -> results.Measured:
    """Ten clusters against twenty: coherence of the superclasses, and which of them come together."""
    contrast = [float(np.mean(list(_pairs(maps).values()))) for maps in task_maps(rows, "G3")]
    return results.Measured(
        _fig9(rows),
        gates=[
            _gates_of_fig6(rows, sizes=False),
            gates.largest_cluster(task_maps(rows, "G3"), FEW, 0.5, gates.HUNDRED_TASKS),
            results.Gate.within("contrast", float(np.mean(contrast)), least=0.05, cost=gates.HUNDRED_TASKS),
        ],
    )


def _fig9(rows: pd.DataFrame, column: str = "apart") -> dict[str, list[float]]:
    effects: dict[str, list[float]] = {
        name: [] for name in ("fewer-clusters-more-coherent", "household-merged", "mammals-alike", "fruit-and-vegetables")
    }
    for maps in task_maps(rows, "G3", column=column):
        pairs = _pairs(maps)
        mammals = [value for pair, value in pairs.items() if set(pair) <= set(MAMMALS)]
        rest = [value for pair, value in pairs.items() if not set(pair) <= set(MAMMALS)]
        household = task_groups.across(maps, FEW, "household_electrical_devices", "household_furniture")
        effects["fewer-clusters-more-coherent"].append(_fewer_minus_many(maps, list(dict.fromkeys(maps.families))))
        effects["household-merged"].append(household)
        effects["mammals-alike"].append(float(np.mean(mammals) - np.mean(rest)))
        effects["fruit-and-vegetables"].append(_fewer_minus_many(maps, ("fruit_and_vegetables",)))
    return effects


def _pairs(maps: TaskMaps) -> dict[tuple[str, str], float]:
    """The difference between the mean memberships of each two superclasses, in ten clusters."""
    u = maps.memberships(FEW)
    means = {family: u[members(maps, family)].mean(0) for family in dict.fromkeys(maps.families)}
    return {pair: task_groups.difference(means[pair[0]], means[pair[1]]) for pair in combinations(means, 2)}


def _mean_together(maps: TaskMaps, k: int, families: Sequence[str]) -> float:
    labels = maps.labels(k)
    return float(np.mean([together(labels, members(maps, family)) for family in families]))


def _fewer_minus_many(maps: TaskMaps, families: Sequence[str]) -> float:
    return _mean_together(maps, FEW, families) - _mean_together(maps, MANY, families)


def _random_top_two(u: NDArray[np.float64], seed: int) -> float:
    rng = np.random.default_rng(seed)
    return float(np.mean([task_groups.top_two(u[rng.choice(len(u), 5, replace=False)]) for _ in range(_SETS)]))


def _gates(rows: pd.DataFrame) -> list[results.Gate]:
    seeds = list(task_maps(rows, "G3"))
    primary = ("beyond-chance", "coherent-superclasses", "four-flowers")
    return [
        gates.learned(rows[rows.kind == "task"], 0.5, gates.HUNDRED_TASKS, least_test=5 * 0.0198),
        gates.kmeans(seeds, (MANY,)),
        gates.largest_cluster(seeds, MANY, 0.5, gates.HUNDRED_TASKS),
        gates.same_signs(primary, _fig6(rows, "apart half"), _fig6(rows), gates.HUNDRED_TASKS),
        results.Gate.clear_of_zero("control", _agreement(rows, "apart features"), cost=gates.HUNDRED_TASKS),
    ]


def _gates_of_fig6(rows: pd.DataFrame, sizes: bool = True) -> results.Gate:
    own = [gate for gate in _gates(rows) if sizes or gate.name != "cluster-sizes"]
    return results.Gate.every("gates-of-fig6", own, cost=gates.HUNDRED_TASKS)
