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
# # Figures 6, 8 and 9: a hundred tasks
#
# The task set G3 is "is it an apple?" and so on, one task for each of the 100 classes of CIFAR-100. The paper
# ({cite}`sherif2023stgmtl`) groups the tasks by their data maps and finds superclasses again: people, flowers, trees, and others.
# Any grouping puts *some* tasks of a superclass together, so each share of pairs is corrected for chance: 0 is what random sets
# of tasks have under the same grouping, 1 is all together.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None  # initial weights and batch orders; None: the profile's value
first_seed: int = None
images: int = None  # training images
tests: int = None  # test images
epochs: int = None
widths: list[int] = None  # channels of the stages; empty: ResNet-18
side: int = None  # pixels a side
fuzziness: list[float] = None
sizes: list[int] = None  # numbers of tasks whose cost is measured
shuffles: int = None  # random relabellings of a permutation test
device: str = None  # cpu, cuda, or auto

# %%
from mtlrepro.parameters import params

p = params("stgmtl/fig6", globals(), positive=("seeds", "images", "tests", "epochs", "side", "sizes", "shuffles"))

# %%
from dataclasses import replace

import pandas as pd

from mtlrepro import plots, results
from mtlrepro.errors import DataMissing
from mtlrepro.papers.stgmtl import fig4_groups, fig6_hundred_tasks
from mtlrepro.papers.stgmtl import fig6_hundred_tasks_report as report
from mtlrepro.papers.stgmtl.training import image_runs

plots.use()
runs = results.Runs(p)
settings, costs = fig6_hundred_tasks.settings(p), fig6_hundred_tasks.cost_settings(p)
try:
    maps = runs.map(fig4_groups.data_maps, settings, "data maps", data=image_runs.digests(settings))
    seconds = runs.map(fig6_hundred_tasks.seconds_by_tasks, costs, "seconds", data=image_runs.digests(costs))
    rows, shown = pd.concat([maps, seconds]), p
except DataMissing as error:
    print(error, "What follows is the recorded run.")
    rows, shown = pd.DataFrame({"kind": []}), replace(p, show="recorded")
device = str(image_runs.choose(p.device))
for exhibit, own in report.rows_of(rows).items():
    measured = report.measured(exhibit, own) if len(own) else None
    results.record(exhibit, own, runs, measured=measured, tier="paper's data", device=device)
fig6, fig8, fig9 = (results.shown(shown, exhibit) for exhibit in report.rows_of(rows))

# %% tags=["slide", "fig6"]
fig6.figure(
    report.draw_examples,
    "Figure 6: memberships of the five tasks of two superclasses in twenty clusters, F = 2, one training. Clusters are in no "
    "order.",
)

# %% tags=["slide", "fig8"]
fig8.figure(report.draw_many, "Figure 8: mean memberships of each superclass's five tasks in twenty clusters, one training.")

# %%
fig9.figure(report.draw_few, "Figure 9: the same in ten clusters.")

# %%
fig6.figure(
    report.draw_families,
    "Pairs of a superclass in one of twenty clusters, corrected for chance: means over seeds with 95% intervals. Red: the "
    "superclasses that the paper names.",
)

# %% [markdown]
# ## What it shows

# %%
fig6.text(report.findings)

# %% [markdown]
# ## What we asked besides
#
# Do the groups agree with the superclasses as a whole, and with those of another seed? *Shuffled*: the best agreement of random
# relabellings; *p*: the share of these that agree as well.

# %%
fig6.table(
    lambda rows: report.agreement_table(rows, p.shuffles),
    "Agreement with the superclasses: adjusted Rand index (ari) and normalised mutual information (nmi)",
)

# %% [markdown]
# Carnivores, omnivores and mammals, and sunflower against the other flowers:

# %%
fig6.table(report.named_table, "What the paper names by itself, means over seeds with 95% intervals")

# %% [markdown]
# Does the answer move with the epochs, and is a data map needed for it? The same clustering of the trained network's mean
# features of each class, and of the classes' mean images.

# %%
fig6.table(report.epochs_table, "F1 and agreement of twenty clusters with the superclasses")

# %%
fig6.table(report.claims_by_epochs, "What is claimed, from the maps of half of the epochs and of all, means over seeds")

# %% [markdown]
# How soft are the memberships?

# %%
fig6.table(lambda rows: report.softness_table(rows, p.fuzziness), "Softness of memberships, means over seeds")

# %% [markdown]
# What does it cost? CPU seconds of one epoch, recording data maps or not, in units of the fewest tasks without. STG-MTL needs one
# training, so its cost grows as this column does. Beside it what the formulas of [Table 1](tab1_models) make of the same seconds:
# the number of trainings, each of all tasks for TAG and of two for HOA (taken at the fewest tasks measured).

# %%
fig6.table(report.cost_table, "Cost by number of tasks")

# %% [markdown]
# :::{dropdown} How we read the paper
# - **The numbers of clusters** are lost in our copy of the text, which names a "Cluster 15": 20 here, and 10 for the smaller.
# - **Hard groups** (k-means, the cluster of the largest membership) are what is counted; memberships, $F = 2$, are what is drawn.
# - **Training** as for [Figures 4 and 5](fig4_groups); positive answers weigh 99. The same cuts, see the parameters. Without
#   CIFAR-100 at hand this page has nothing to train on, and shows the recorded runs only.
# :::

# %%
for page in (fig6, fig8, fig9):
    page.this_run()
