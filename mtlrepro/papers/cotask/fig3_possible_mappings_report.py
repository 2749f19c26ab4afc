"""Figure 3 of the CO-TASK paper: the picture and tables from the rows of `fig3_possible_mappings`."""

from __future__ import annotations

import math
from itertools import combinations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mtlrepro import plots, results
from mtlrepro.results.verdict_box import three_digits

PATTERNS = ("a or b", "a or not b", "not a or b", "not a or not b")


def draw(rows: pd.DataFrame) -> Figure:
    """A panel per seed: classes of the first task left, of the second right, merged ones joined in one colour and marker."""
    fig, axes = plt.subplots(2, 2, figsize=(plots.WIDTH, 6.0))
    colors = [plots.COLORS[name] for name in ("blue", "vermillion", "green", "purple", "orange")]
    for ax, (_, group) in zip(axes.flat, rows[rows.kind == "mapping"].groupby("seed"), strict=True):
        places = [{name: y for y, name in enumerate(sorted(map(str, group[side])))} for side in ("first", "second")]
        for one, other, number in zip(group["first"], group["second"], group["z"], strict=True):
            left, right, z = places[0][str(one)], places[1][str(other)], int(number) % 5
            ax.plot([0, 1], [left, right], markersize=8, linewidth=2.2, color=colors[z], marker=plots.MARKERS[z])
        for names, x, align in zip(places, (-0.08, 1.08), ("right", "left"), strict=True):
            for name, y in names.items():
                ax.text(x, y, name.replace("_", " "), ha=align, va="center", fontsize=11)
        ax.set_title(group["task"].iloc[0].replace(" + ", " +\n"), fontsize=12)
        ax.set(xlim=(-1.15, 2.15), ylim=(4.5, -0.5))
        ax.axis("off")
    return fig


def first_mapping(rows: pd.DataFrame) -> pd.DataFrame:
    """The first drawn auxiliary task: which classes each merged class holds, and how many records of each part."""
    shown = rows[(rows.kind == "mapping") & (rows.seed == 0)][["first", "second", "train", "valid", "test"]]
    whole = shown.astype(dict.fromkeys(("train", "valid", "test"), int)).reset_index(drop=True).replace("_", " ", regex=True)
    names = {"first": "a class of the first task", "second": "with a class of the second"}
    return whole.rename(columns=names | {part: f"records, {part}" for part in ("train", "valid", "test")})


def count_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Distinct auxiliary tasks seen beside the closed form."""
    shown = rows[rows.kind == "count"][["tasks", "classes", "draws", "distinct", "closed", "p"]]
    whole = shown.astype(dict.fromkeys(("tasks", "classes", "draws", "distinct", "closed"), int))
    named = whole.rename(columns={"distinct": "distinct ones seen", "closed": "closed form", "p": "p, equally likely"})
    return named.reset_index(drop=True)


def bell(n: int) -> int:
    """B_n, the number of ways to partition n things into groups (Bell's triangle)."""
    row = [1]
    for _ in range(n):
        new = [row[-1]]
        for value in row:
            new.append(new[-1] + value)
        row = new
    return row[0]


def bell_table() -> pd.DataFrame:
    """Bell numbers beside powers of two, for small numbers K of classes."""
    return pd.DataFrame([{"K": K, "Bell number": bell(K), "2^K": 2**K} for K in (2, 3, 4, 5, 6, 10, 20)])


def space_table(tasks: int = 20, classes: int = 5) -> pd.DataFrame:
    """How many auxiliary tasks CIFAR-MTL has, by how many tasks are merged, and as the paper counts."""
    groups = sum(math.comb(tasks, n) * math.factorial(classes) ** (n - 1) for n in range(2, tasks + 1))
    counts = {
        "two tasks, one class of each": f"{math.comb(tasks, 2) * math.factorial(classes):,}",
        "two or more tasks, one class of each": three_digits(groups),
        f"any merging of the {tasks * classes} classes": three_digits(bell(tasks * classes)),
    }
    return pd.DataFrame({"auxiliary tasks": counts}).rename_axis("what is merged")


def smaller_class(shares: dict[str, float]) -> pd.DataFrame:
    """Share of the smaller class of every pattern for all pairs of labels with these shares of yes, were they independent."""
    lines = []
    for (a, p), (b, q) in combinations(shares.items(), 2):
        for name in PATTERNS:
            x, y = (1 - p if "not a" in name else p), (1 - q if "not b" in name else q)
            either = 1 - (1 - x) * (1 - y)
            lines.append({"a": a, "b": b, "pattern": name, "smaller": min(either, 1 - either)})
    return pd.DataFrame(lines)


def pattern_table(rows: pd.DataFrame) -> pd.DataFrame:
    """How often each pattern was made, and its smaller class over the ten pairs of Table 2's labels."""
    times = rows[rows.kind == "pattern"].pivot(index="pattern", columns="labels", values="made").astype(int)
    times.columns = [f"made, {n} labels" for n in times.columns.astype(int)]
    # One record in r has the label (errata).
    shares = {name: 1 / ratio for name, ratio in results.paper_values("cotask/tab2").items()}
    smaller = smaller_class(shares).groupby("pattern")["smaller"].agg(["min", "median", "max"])
    return times.join(smaller.rename(columns=lambda name: f"smaller class, {name}")).loc[list(PATTERNS)].rename_axis("pattern")
