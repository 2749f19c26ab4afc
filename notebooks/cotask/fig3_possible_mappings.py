# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---
# %% [markdown]
# # Figure 3: the possible mappings
#
# An auxiliary task of CO-TASK ({cite}`hsieh2021cotask`) joins two tasks with $k$ classes each. Two random permutations $p_i, p_j$
# say which class of one goes with which class of the other,
#
# $$ C_z = C^i_{p_i(z)} \cup C^j_{p_j(z)}, \qquad z = 1, \dots, k . $$
#
# Only which classes go together matters, not the number $z$ that the merged class gets. So a pair of tasks can be merged in
# $k!$ ways, and $N$ tasks have
#
# $$ \binom{N}{2}\, k! $$
#
# distinct auxiliary tasks. For yes-no labels on the same record an auxiliary label is the *or* of two labels, each possibly
# negated. Of the four sign patterns the paper removes one, which leaves $3 \binom{N}{2}$. This page draws both from the
# generator's own output and counts.
#
# :::{note} How we read the paper
# - The paper's picture has no numbers; the claim judged here is that the generator does what the text says.
# - Both permutations are drawn, as in the text; that gives each of the $k!$ ways with the same probability.
# - "Down-sample with a ratio of $1/n$ when we combine $n$ tasks": a random half of the pooled records of both tasks, of the
#   training, the validation and the test part each, drawn once. Pooled, not class by class, so merged classes differ a little
#   in size.
# - "Patients with both disease labels as a class and the other patients as another class" is "not a or not b".
# :::

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
source: str = None  # digits (comes with the package) or cifar; None: the profile's value
seeds: int = None  # seeds under which every pair of these tasks is merged
sizes: list = None  # [number of tasks, classes] to count by enumeration
per_task: int = None  # draws for each distinct auxiliary task when counting

# %%
from mtlrepro.parameters import params

p = params("cotask/fig3", globals(), positive=("seeds", "per_task"))
p

# %%
import math

import matplotlib.pyplot as plt
import pandas as pd

from mtlrepro import plots, results
from mtlrepro.papers.cotask.data.cifar_mtl import cifar_mtl, digits_mtl
from mtlrepro.methods.cotask import combine_tasks
from mtlrepro.papers.cotask import fig3_possible_mappings

plots.use()
runs = results.Runs(p)
data = cifar_mtl(seed=0) if p.source == "cifar" else digits_mtl(seed=0)
first, second = data.tasks[:2]
print(
    f"{len(data.tasks)} tasks, such as {first.name} ({', '.join(first.classes)}) and {second.name} ({', '.join(second.classes)})"
)

# %% [markdown]
# ## Four mappings
#
# One auxiliary task for each of four seeds. A line joins the two classes that become one class.


# %%
def mapping(seed: int, sha256: dict) -> list[dict]:
    """The generator's first auxiliary task under `seed`, one row a merged class."""
    lines = combine_tasks(data.tasks, 1, seed)[0].lines()
    names = {"auxiliary task": "task", "merged class": "z", "of the first": "first", "of the second": "second"}
    return [{names.get(key, key): value for key, value in line.items()} for line in lines]


drawn = runs.map(mapping, [{"seed": s, "sha256": data.sha256} for s in range(4)], "mappings").assign(kind="mapping")


# %% tags=["hide-input"]
def draw(rows: pd.DataFrame) -> None:
    """A panel a seed: classes of the first task left, of the second right, merged ones joined in one colour and marker."""
    fig, axes = plt.subplots(2, 2, figsize=(plots.WIDTH, 6.0))
    colors = [plots.COLORS[name] for name in ("blue", "vermillion", "green", "purple", "orange")]
    for ax, (_, group) in zip(axes.flat, rows[rows.kind == "mapping"].groupby("seed"), strict=True):
        places = [{name: y for y, name in enumerate(sorted(map(str, group[side])))} for side in ("first", "second")]
        for row in group.itertuples():
            left, right = places[0][str(row.first)], places[1][str(row.second)]
            style = {"color": colors[int(row.z) % 5], "marker": plots.MARKERS[int(row.z) % 5]}
            ax.plot([0, 1], [left, right], markersize=8, linewidth=2.2, **style)
        for x, side, align, gap in ((0, 0, "right", -0.08), (1, 1, "left", 0.08)):
            for name, y in places[side].items():
                ax.text(x + gap, y, name.replace("_", " "), ha=align, va="center", fontsize=11)
        ax.set_title(group["task"].iloc[0].replace(" + ", " +\n"), fontsize=12)
        ax.set(xlim=(-1.15, 2.15), ylim=(4.5, -0.5))
        ax.axis("off")
    plots.show(fig)


draw(drawn)

# %% [markdown]
# How many records that leaves, for the first of the four:

# %%
drawn[drawn.seed == 0].drop(columns=["seed", "kind"]).rename(columns={"first": "one class", "second": "the other"})

# %% [markdown]
# ## Laws of the generator
#
# Every pair of the tasks is merged under several seeds, and each auxiliary task checked record by record.


# %%
def law(seed: int, sha256: dict) -> dict:
    return fig3_possible_mappings.try_laws(data.tasks, seed)


laws = runs.map(law, [{"seed": s, "sha256": data.sha256} for s in range(1, p.seeds + 1)], "laws").assign(kind="law")
LAWS = {
    "mapping": "a merged class holds one class of each parent",
    "labels": "every record lies in the merged class of its own class",
    "size": "half of both parents' records, in every part",
    "own": "no record twice, none from elsewhere",
}


def law_table(rows: pd.DataFrame) -> pd.DataFrame:
    found = rows[rows.kind == "law"]
    counts = {text: [int(found["n"].sum()), int(found[name].sum())] for name, text in LAWS.items()}
    return pd.DataFrame(counts, index=["auxiliary tasks", "violations"]).T


law_table(laws)

# %% [markdown]
# ## How many there are
#
# Small tasks are merged under many seeds, and the distinct results counted. The last column is the p-value of a chi-square
# test that all ways to merge a pair are equally likely.


# %%
def count(tasks: int, classes: int, per_task: int, seed: int) -> dict:
    return fig3_possible_mappings.try_counts(tasks, classes, per_task, seed)


settings = [{"tasks": n, "classes": k, "per_task": p.per_task, "seed": 0} for n, k in p.sizes]
counted = runs.map(count, settings, "counts").assign(kind="count")


def count_table(rows: pd.DataFrame) -> pd.DataFrame:
    found = rows[rows.kind == "count"][["tasks", "classes", "draws", "distinct", "closed", "p"]]
    whole = found.astype(dict.fromkeys(("tasks", "classes", "draws", "distinct", "closed"), int))
    return whole.rename(columns={"distinct": "distinct ones seen", "closed": "closed form", "p": "p, equally likely"})


count_table(counted)

# %% [markdown]
# The paper limits itself to pairs because the space of all combinations "equals to the Bell Number $B_K$ and grows much faster
# than $2^K$". $B_K$ counts the partitions of $K$ things. It is the number of all coarse labelings of $K$ classes, any classes
# merged with any; *our reading* is that this is meant, with $K$ the classes of all tasks together. One class of each task in
# each merged class is a far smaller space. And $B_K > 2^K$ from $K = 5$ on.

# %%
small = pd.DataFrame([{"K": K, "Bell number": fig3_possible_mappings.bell(K), "2^K": 2**K} for K in (2, 3, 4, 5, 6, 10, 20)])
tasks, k = 20, 5
groups = sum(math.comb(tasks, n) * math.factorial(k) ** (n - 1) for n in range(2, tasks + 1))
print(f"20 tasks of 5 classes: pairs {math.comb(tasks, 2) * math.factorial(k):,}; two or more tasks {float(groups):.1e};")
print(f"any merging of the 100 classes, B_100 = {float(fig3_possible_mappings.bell(100)):.1e}")
small

# %% [markdown]
# ## Yes-no labels: three patterns of four
#
# What the removed pattern does, for the five labels of Table 2 with their imbalance ratios, were they independent: the smaller
# class of "not a or not b" are those with both labels. Beside the paper's reason (nearly all patients fall into one class) the
# table shows that "a or not b" is hardly more balanced than label b alone: its smaller class are those with b and not a.


# %%
def pattern(labels: int, seeds: int, seed: int) -> list[dict]:
    return fig3_possible_mappings.try_patterns(labels, seeds, seed)


patterns = runs.map(pattern, [{"labels": n, "seeds": 40, "seed": 0} for n in (2, 5, 18)], "patterns").assign(kind="pattern")
ratios = results.paper_values("cotask/tab2")
smaller = pd.DataFrame(fig3_possible_mappings.smaller_class({name: 1 / (1 + ratio) for name, ratio in ratios.items()}))


def pattern_table(rows: pd.DataFrame) -> pd.DataFrame:
    """How often each pattern was made, and its smaller class over the ten pairs of Table 2's labels."""
    made = rows[rows.kind == "pattern"].pivot(index="pattern", columns="labels", values="made").astype(int)
    made.columns = [f"made, {int(n)} labels" for n in made]
    share = smaller.groupby("pattern")["smaller"].agg(["min", "median", "max"])
    return made.join(share.rename(columns=lambda name: f"smaller class, {name}")).loc[list(fig3_possible_mappings.SIGNS)]


pattern_table(patterns)

# %% [markdown]
# ## Verdict

# %%
rows = pd.concat([drawn, laws, counted, patterns], ignore_index=True)
n = int(laws["n"].sum())
broken = {name: int(laws[name].sum()) for name in LAWS}
parts = [results.check(LAWS[name], worst=float(count), n=n, violations=count) for name, count in broken.items()]
missing = (counted["distinct"] - counted["closed"]).abs()
parts.append(
    results.check(
        "as many distinct tasks as the closed form", worst=missing.max(), n=len(counted), violations=(missing > 0).sum()
    )
)
fourth = patterns[patterns.pattern == "not a or not b"]["made"].sum()
total = int(patterns["made"].sum())
parts.append(results.check("the fourth pattern is never made", worst=float(fourth), n=total, violations=int(fourth)))
verdict = results.record(p.exhibit, rows, p, parts=parts, tier=data.tier, data=data.sha256, seconds=runs.seconds, device="cpu")
print(verdict)
verdict

# %% [markdown]
# ## Recorded runs

# %%
recorded = results.other_run(p)
if recorded:
    draw(recorded.rows)
recorded.verdict if recorded else "No other run is recorded yet."

# %%
law_table(recorded.rows) if recorded else None

# %%
count_table(recorded.rows) if recorded else None

# %% [markdown]
# ## Exercise
#
# Merge three tasks at a time, one class of each in every merged class. How many distinct auxiliary tasks do $N$ tasks have then?
#
# :::{dropdown} Solution
# $\binom{N}{3} (k!)^2$: the classes of the first task name the merged classes, and each of the other two can be matched to them
# in $k!$ ways.
# :::
