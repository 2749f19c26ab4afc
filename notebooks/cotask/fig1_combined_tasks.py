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
# # Figure 1: combining task labels
#
# What CO-TASK ({cite}`hsieh2021cotask`) adds to ordinary multi-task training with a shared bottom.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile

# %%
from mtlrepro.parameters import params

p = params("cotask/fig1", globals())

# %%
from mtlrepro import results
from mtlrepro.papers.cotask import fig1_combined_tasks_report as report

results.record(p.exhibit, [], p, tier="no data")
page = results.shown(p)

# %% tags=["slide"]
page.figure(
    report.draw(),
    "CO-TASK from top to bottom. What is dashed exists in training alone: after it the auxiliary heads are removed, and the "
    "model is as large as without them.",
)

# %% [markdown]
# 1. **Generate.** From the labels of the $N$ tasks, $M$ *auxiliary* tasks are made once, before training. Each takes a random
#    pair of tasks, merges their classes in pairs, and keeps a random half of both tasks' records. No new label is needed.
# 2. **Sample.** Each batch serves one task, an original or an auxiliary one. For imbalanced tasks its records are drawn by the
#    [task-aware sampler](sampler_task_aware).
# 3. **Share and predict.** All tasks train the shared bottom; each has a small head of its own.
#
# [Figure 3](fig3_possible_mappings) shows auxiliary tasks as the generator makes them, and counts them.
#
# :::{dropdown} How we read the paper
# - Auxiliary tasks are made once and stay the same through training; so do the halves of the records.
# - "Randomly select $M$ distinct combinations" means that no pair of tasks is used twice.
# - Where some tasks matter more, the paper raises their "probability of sampling" without a rule. Ours: a pair is drawn in
#   proportion to the product of its tasks' weights, without replacement.
# - The training data halve, and so do the validation and test data of an auxiliary task, which some methods watch.
# :::
