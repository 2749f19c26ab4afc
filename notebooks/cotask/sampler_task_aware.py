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
# disease. No one weight of a record can balance all tasks. The sampler of CO-TASK ({cite}`hsieh2021cotask`) therefore first picks
# a task and then draws a whole batch for it; the paper claims that this is better for multi-task learning than drawing records
# evenly, or by one task's label. A record is drawn, with replacement, in proportion to
#
# $$ w(x) = \frac{\log x}{x}, $$
#
# $x$ the number of records that share its class *in that task*. A class of $x$ records is then drawn in proportion to
# $x\, w(x) = \log x$: of two classes with $x_1 \le x_2$ records the smaller one gets
#
# $$ \frac{\log x_1}{\log x_1 + \log x_2} \le \frac12 . $$

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
batches: int = None  # batches of 64 drawn for each task; None: the profile's value
turns: int = None  # turns of the throughput comparison
records: int = None  # records in it

# %%
from mtlrepro.parameters import params

p = params("cotask/sampler", globals(), positive=("batches", "turns", "records"))

# %%
import torch

from mtlrepro import paths, results
from mtlrepro.device import generator
from mtlrepro.papers.cotask import sampler_task_aware, sampler_task_aware_report as report
from mtlrepro.papers.cotask.data.small_table import small_tabular_set

torch.set_num_threads(1)
runs = results.Runs(p)
rows = runs.map(sampler_task_aware.rows_of, sampler_task_aware.settings(p), "settings")
tables = (report.recorded_rows(exhibit, p.profile) for exhibit in ("cotask/tab8", "cotask/tab7"))
results.record(p.exhibit, rows, runs, measured=report.measured(rows, *tables), tier="synthetic")
page = results.shown(p)

# %% tags=["slide"]
page.figure(
    report.draw,
    "Share of the smaller class among the records drawn against the imbalance. Lines: the law for as many records as ECG-P18 "
    "has. Filled: drawn for the labels of ECG-P18, open: of ECG-EchoLVH, with fewer records, so that the same imbalance lies a "
    "little below the line.",
)

# %%
page.table(report.share_table, "How much more often the larger class is drawn, smallest and largest value over tasks")

# %% [markdown]
# ## What it shows

# %%
page.text(report.findings)

# %% [markdown]
# That such batches train better is judged on the rows of [Table 8](tab2_ecg_echolvh) and [Table 7](tab1_ecg_p18), which stand in
# the box above; they are no evidence of their own.
#
# ## What we asked besides
#
# **Can one task's weights balance another?** ECG-EchoLVH's major task, EchoLVH, sets the weights for every task ("Major-Task" in
# Table 8), beside the task-aware sampler. With independent labels the other tasks stay as imbalanced as without weights.

# %%
page.table(report.major_table, "Share of the minor tasks' smaller class")

# %% [markdown]
# **What does it cost?** All records of a class have the same weight, so a draw is one of a class and one of a record within it:
# its cost does not grow with the number of records, and hundreds of batches are drawn in one go, on the device that holds the
# data. Beside it the usual pipeline, one `DataLoader` per task with a `WeightedRandomSampler`, and a stricter one that asks its
# data set for whole batches at once. All draw from the same distribution.

# %%
page.table(
    report.rate_table,
    "Batches of 128 per second of processor time, one thread, no worker processes, taking turns; medians over turns",
)

# %% [markdown]
# ## Your own data
#
# A table of inputs and a table of yes-no labels are enough. `inputs`, `labels` and a function that makes one training step are
# yours; everything else stands here.

# %% tags=["remove-input"]
snippet = (paths.book() / "papers" / "cotask" / "own_data.py").read_text()
print(snippet.partition("# ruff")[0])

# %% [markdown]
# Run as it stands on a made-up table with four labels, with a step that only counts:

# %% tags=["hide-input"]
inputs, labels = small_tabular_set(seed=0)
taken: dict[int, list[float]] = {}
own = {"inputs": inputs, "labels": labels, "generator": generator(0)}
own["train_step"] = lambda task, x, y: taken.setdefault(task, []).append(float(y.double().mean()))
exec(compile(snippet, "own_data.py", "exec"), own)
shares = [task.parts["train"].labels.mean() for task in own["tasks"]]
drawn = [taken[number] for number in range(len(shares))]
page.table(report.own_data_table([task.name for task in own["tasks"]], shares, drawn), "What the snippet drew")

# %% [markdown]
# For tasks with more than two classes and records of their own, `combine_tasks({"name": (rows, labels), ...}, count=50, seed=0)`
# stands in place of the combination of labels.
#
# :::{dropdown} How we read the paper
# - Each record's probability is its weight divided by the sum of all records' weights, for the task of the batch.
# - As printed, a class with one record is never drawn ($\log 1 = 0$). *Our choice*: $w(1) = \log 2$, so that a class of one is
#   drawn as often as a class of two. Nothing else changes.
# - The records here have the paper's numbers and imbalance ratios (Tables 1 and 2, read as [one record in r](tab1_ecg_p18)), with
#   labels independent of each other; the paper's own records are private, and the sampler sees nothing of a record but its
#   labels.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Exercise
#
# Twice as many records are collected, with the same share of the smaller class: $m$ records of the larger class for each of the
# smaller. Does the smaller class's share of the draws change?
#
# :::{dropdown} Solution
# Yes, it rises: with $n$ records of the smaller class it is $\log n / (2 \log n + \log m)$, which tends to one half as $n$ grows.
# Unlike $1/x$, the weight $\log(x)/x$ depends on the size of the data set, not on the imbalance alone.
# :::
