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
# # The task-aware imbalance sampler
#
# In medical data most patients are healthy, each disease has its own imbalance, and the same record has a label for every
# disease. No one weight a record can balance all tasks. The sampler of CO-TASK ({cite}`hsieh2021cotask`) therefore first picks a
# task and then draws a whole batch for it. A record is drawn, with replacement, in proportion to
#
# $$ w(x) = \frac{\log x}{x}, $$
#
# $x$ the number of records that share its class *in that task*. A class of $x$ records is then drawn in proportion to
# $x\, w(x) = \log x$: of two classes with $x_1 \le x_2$ records the smaller one gets
#
# $$ \frac{\log x_1}{\log x_1 + \log x_2} \le \frac12 . $$
#
# :::{note} How we read the paper
# - Each record's probability is its weight divided by the sum of all records' weights, for the task of the batch.
# - As printed, a class with one record is never drawn ($\log 1 = 0$). *Our choice*: $w(1) = \log 2$, so that a class of one is
#   drawn as often as a class of two. Nothing else changes.
# - The records here have the paper's numbers and imbalance ratios (Tables 1 and 2), with labels independent of each other; the
#   paper's own records are private, and the sampler sees nothing of a record but its labels.
# :::

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
batches: int = None  # batches of 64 drawn for each task; None: the profile's value
turns: int = None  # turns of the throughput comparison
records: int = None  # records in it

# %%
from mtlrepro.parameters import params

p = params("cotask/sampler", globals(), positive=("batches", "turns", "records"))
p

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy import stats

from mtlrepro import paths, plots, results
from mtlrepro.papers.cotask.data.small_table import small_tabular_set
from mtlrepro.methods.task_aware_sampler import TaskAwareSampler, balanced, every_record, log_share, task_aware_weights
from mtlrepro.papers.cotask import sampler_throughput
from mtlrepro.device import generator

torch.set_num_threads(1)
plots.use()
runs = results.Runs(p)
SETS = {"ECG-P18": ("cotask/tab1", 312_888), "ECG-EchoLVH": ("cotask/tab2", 61_422)}
WEIGHTS = {"log(x)/x": log_share, "1/x": balanced, "1": every_record}

# %% [markdown]
# ## What the law says, and what is drawn
#
# For every task of both data sets: the share of the smaller class among the records, its share by the law, and its share among
# the records drawn, under the paper's weight, under $1/x$ and without weights.


# %%
def labels_of(name: str) -> tuple[list[str], torch.Tensor]:
    """Names of the tasks and labels (n, tasks) with the paper's counts, at random places."""
    exhibit, n = SETS[name]
    ratios = results.paper_values(exhibit)
    table = torch.zeros(n, len(ratios), dtype=torch.long)
    for column, ratio in enumerate(ratios.values()):
        table[torch.randperm(n, generator=generator(0, name, column))[: round(n / (1 + ratio))], column] = 1
    return list(ratios), table


def shares(name: str, weight: str, batches: int, seed: int) -> list[dict]:
    """One row a task: the law's share of the smaller class, how often it was drawn, and the two-sided binomial p-value."""
    tasks, table = labels_of(name)
    sampler = TaskAwareSampler(table, 64, generator(seed, weight), weight=WEIGHTS[weight])
    rows = []
    for number, task in enumerate(tasks):
        own = table[:, number]
        weights = task_aware_weights(own, WEIGHTS[weight])
        law, few = float(weights[own == 1].sum() / weights.sum()), int(own.sum())
        drawn, labels = sampler.draw(torch.full((batches,), number))
        assert torch.equal(own[drawn], labels)
        test = stats.binomtest(int(labels.sum()), labels.numel(), law)
        row = {"task": task, "few": few, "many": len(own) - few, "law": law, "drawn": float(labels.double().mean())}
        rows.append(row | {"draws": labels.numel(), "p": float(test.pvalue)})
    return rows


settings = [{"name": name, "weight": weight, "batches": p.batches, "seed": 1} for name in SETS for weight in WEIGHTS]
drawn = runs.map(shares, settings, "shares").assign(kind="share")


# %% tags=["hide-input"]
def draw(rows: pd.DataFrame) -> None:
    """Share of the smaller class against the imbalance: lines the law for ECG-P18's size, markers what was drawn."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 4.2))
    ratio, n = np.logspace(0.3, 3.5, 60), SETS["ECG-P18"][1]
    few = torch.tensor(n / (1 + ratio))
    found = rows[rows.kind == "share"]
    for (name, weight), color, marker in zip(WEIGHTS.items(), ("blue", "vermillion", "grey"), "osv", strict=True):
        one, other = few * weight(few), (n - few) * weight(n - few)
        label = {"1": "no weights"}.get(name, f"w(x) = {name}")
        ax.plot(ratio, one / (one + other), color=plots.COLORS[color], label=label)
        for data, fill in (("ECG-P18", True), ("ECG-EchoLVH", False)):
            own = found[(found.weight == name) & (found.name == data)]
            face = plots.COLORS[color] if fill else "white"
            ax.plot(own["many"] / own["few"], own["drawn"], marker, color=plots.COLORS[color], markerfacecolor=face)
    ax.set(
        xscale="log", xlabel="records of the larger class for each of the smaller", ylabel="share of the smaller class in draws"
    )
    ax.set_ylim(-0.02, 0.56)
    ax.legend(loc="center right", bbox_to_anchor=(1, 0.3))
    plots.show(fig)


draw(drawn)

# %% [markdown]
# Filled: ECG-P18, open: ECG-EchoLVH (fewer records, so the same imbalance lies a little below the line). The paper says that
# its weight "allows larger classes to have a slightly higher total sample probability". How much higher:


# %%
def share_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Smallest and largest over tasks: how many times as often the larger class is drawn as the smaller one."""
    found = rows[rows.kind == "share"].assign(times=lambda r: (1 - r["drawn"]) / r["drawn"], raw=lambda r: r["many"] / r["few"])
    groups = found.groupby(["name", "weight"], sort=False)
    columns = {"raw": "larger / smaller, records", "times": "larger / smaller, drawn"}
    parts = {f"{text}, {how}": groups[key].agg(how) for key, text in columns.items() for how in ("min", "max")}
    return pd.DataFrame(parts).assign(**{"smallest p": groups["p"].min(), "draws a task": groups["draws"].first()}).round(4)


share_table(drawn)

# %% [markdown]
# ## One task's weights do not balance another
#
# The paper calls sampling by any single task's label sub-optimal. Here ECG-EchoLVH's major task, EchoLVH, sets the weights for
# every task ("Major-Task" in Table 8), beside the task-aware sampler. With independent labels the other tasks stay as
# imbalanced as without weights.


# %%
def by_major(batches: int, seed: int) -> list[dict]:
    """One row a minor task: share of its smaller class under the major task's weights and under its own."""
    tasks, table = labels_of("ECG-EchoLVH")
    every = torch.zeros(batches, dtype=torch.long)
    major, _ = TaskAwareSampler(table[:, :1], 64, generator(seed)).draw(every)
    aware = TaskAwareSampler(table, 64, generator(seed))
    return [
        {"task": task, "major": float(table[major, number].double().mean())}
        | {"aware": float(aware.draw(every + number)[1].double().mean()), "records": float(table[:, number].double().mean())}
        for number, task in enumerate(tasks)
        if number > 0
    ]


majors = runs.map(by_major, [{"batches": p.batches, "seed": 2}], "major task").assign(kind="major")
majors[["task", "records", "major", "aware"]].rename(columns={"major": "by EchoLVH's weights", "aware": "task-aware"})

# %% [markdown]
# ## Cost
#
# All records of a class have the same weight, so a draw is one of a class and one of a record within it: its cost does not grow
# with the number of records, and hundreds of batches are drawn in one go, on the device that holds the data. Beside it the
# usual pipeline, one `DataLoader` a task with a `WeightedRandomSampler`, and a stricter one that asks its data set for whole
# batches at once. All draw from the same distribution (a test compares them). Batches of 128 a second of processor time, one
# thread, no worker processes, taking turns; medians over turns.


# %%
def rates(shape: list, records: int, turns: int, seed: int) -> list[dict]:
    data = sampler_throughput.records(records, 18, tuple(shape), seed, numbered=not shape)
    found = sampler_throughput.throughput(data, 128, turns, seed)
    what = {0: "record numbers alone", 1: "32 numbers a record", 3: "an image of 3 kB a record"}[len(shape)]
    return [{"what": what, "turn": turn} | line for turn, line in enumerate(found.to_dict("records"))]


shapes = [{"shape": shape, "records": p.records, "turns": p.turns, "seed": 0} for shape in ([], [32], [3, 32, 32])]
speeds = runs.map(rates, shapes, "throughput").assign(kind="rate")


def rate_table(rows: pd.DataFrame) -> pd.DataFrame:
    columns = [*sampler_throughput.PIPELINES, "times the loader", "times the loader of batches"]
    return rows[rows.kind == "rate"].groupby("what", sort=False)[columns].median().round(1)


rate_table(speeds)

# %% [markdown]
# With images our side spends most of its time on copying pictures from random places in memory, which no sampler can save.
#
# ## Your own data
#
# A table of inputs and a table of yes-no labels are enough. `inputs`, `labels` and a function that makes one training step are
# yours; everything else stands here.

# %%
snippet = (paths.project() / "book" / "snippets" / "cotask_own_data.py").read_text()
print(snippet.partition("# ruff")[0])

# %% [markdown]
# Run as it stands on a made-up table with four labels, with a step that only counts:

# %%
inputs, labels = small_tabular_set(seed=0)
taken: dict[int, list[float]] = {}


def train_step(task: int, x: torch.Tensor, y: torch.Tensor) -> None:
    taken.setdefault(task, []).append(float(y.double().mean()))


own = {"inputs": inputs, "labels": labels, "generator": generator(0), "train_step": train_step}
exec(compile(snippet, "cotask_own_data.py", "exec"), own)
pd.DataFrame(
    {
        "task": [task.name for task in own["tasks"]],
        "batches": [len(taken[number]) for number in range(len(own["tasks"]))],
        "share of yes, records": [task.parts["train"].labels.mean() for task in own["tasks"]],
        "share of yes, drawn": [np.mean(taken[number]) for number in range(len(own["tasks"]))],
    }
).round(3)

# %% [markdown]
# For tasks with more than two classes and records of their own, `combine_tasks({"name": (rows, labels), ...}, count=50, seed=0)`
# stands in place of the combination of labels.
#
# ## Verdict
#
# The law is judged task by task; with so many tests at once, a frequency counts as off below p = 0.001 divided by their number.

# %%
rows = pd.concat([drawn, majors, speeds], ignore_index=True)
own_weight = drawn[drawn.weight == "log(x)/x"]
limit = 1e-3 / len(own_weight)
logs = np.log(own_weight["few"]) / (np.log(own_weight["few"]) + np.log(own_weight["many"]))
larger = own_weight["drawn"] / (1 - own_weight["drawn"])
parts = [
    results.check(
        "a class is drawn in proportion to the logarithm of its count",
        worst=(own_weight["drawn"] - logs).abs().max(),
        n=len(own_weight),
        violations=int((own_weight["p"] < limit).sum()),
    ),
    results.check(
        "the larger class is drawn more often, and less so than it is larger",
        worst=larger.max(),
        n=len(own_weight),
        violations=int(((larger >= 1) | (larger <= own_weight["few"] / own_weight["many"])).sum()),
    ),
    results.paired(
        "the minor tasks' smaller class is drawn more often than by the major task's weights",
        (majors["aware"] - majors["major"]).round(6).to_numpy(),
        unit="share, a task",
    ),
]
verdict = results.record(p.exhibit, rows, p, parts=parts, tier="synthetic", seconds=runs.seconds, device="cpu")
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
share_table(recorded.rows) if recorded else None

# %%
rate_table(recorded.rows) if recorded else None

# %% [markdown]
# ## Exercise
#
# Twice as many records are collected, with the same imbalance $1 : r$. Does the smaller class's share of the draws change?
#
# :::{dropdown} Solution
# Yes, it rises: with $n$ records of the smaller class it is $\log n / (2 \log n + \log r)$, which tends to one half as $n$ grows.
# Unlike $1/x$, the weight $\log(x)/x$ depends on the size of the data set, not on the imbalance alone.
# :::
