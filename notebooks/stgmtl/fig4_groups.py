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
# # Figures 2, 4 and 5: groups of the tasks of CIFAR-10
#
# While a network learns all tasks together, a *data map* ({cite}`sherif2023stgmtl`) is kept for each task: of every training
# image the mean probability that the network gave to the true answer (*confidence*) and its standard deviation over the epochs
# (*variability*). Tasks with similar maps find the same images easy, hard or ambiguous, and are grouped together. The task set G1
# is "is it an airplane?" and so on, one a class of CIFAR-10; G2 has five more, among them one with *random* labels.
#
# The paper claims:
#
# - **Figure 5**, G1: two clusters are living beings and things; three clusters split the living into {cat, dog, horse} and
#   {bird, deer, frog};
# - **Figure 4**, G2: *random* is clustered apart; *Living being* and *Not living being* get the same memberships; among the ten
#   classes animals and vehicles separate;
# - **Secs. 3.2 and 3.3**: the maps may come from one multi-task model or from single-task models; grouping may be hard (k-means),
#   soft (one fuzzification step, $u_{tj} \propto \lVert x_t - c_j\rVert^{-2/(F-1)}$ with $F = 2$) or point-based (a task's
#   membership is the share of its points in a cluster of points).
#
# Two questions of ours. How soft are memberships with $F = 2$, where vectors have so many dimensions? And is a cluster that holds
# *random* alone evidence, or does it follow from the formula, by which a task at distance 0 from its own centre has membership 1?
#
# :::{dropdown} How we read the paper
# - **Training** (rate, batch, epochs) is not stated: Adam with a cosine schedule, rate 0.001, batches of 128; positive answers
#   weigh 10 for the classes and 1 for the extra tasks.
# - **Snapshots**: maps are kept at even distances, and a task's vector holds all of them.
# - **Standard deviation** after one epoch, 0/0 by the formula and NaN in the published code, is 0.
# - **Downside**: half of the images upside down, in G2 only. The published code flips images in G1 as well.
# - **Cuts**: a small residual network on images averaged down to 16 x 16, and the first training images only; see the parameters.
#   Where CIFAR-10 is not at hand, digits take its place, with *Loop* for *Living being*.
# :::

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
seeds: int = None  # initial weights and batch orders; None: the profile's value
single: int = None  # seeds for which single-task models are trained as well
first_seed: int = None
images: int = None  # training images
epochs: int = None
widths: list[int] = None  # channels of the stages; empty: ResNet-18
side: int = None  # pixels a side
fuzziness: list[float] = None  # values of F; the first is the paper's
device: str = None  # cpu, cuda, or auto

# %%
from mtlrepro.parameters import params

p = params("stgmtl/fig2", globals(), positive=("seeds", "single", "images", "epochs", "side"))

# %%
from mtlrepro import plots, results
from mtlrepro.papers.stgmtl import fig4_groups, task_groups
from mtlrepro.papers.stgmtl import fig4_groups_report as report
from mtlrepro.papers.stgmtl.training.image_runs import provenance

plots.use()
runs = results.Runs(p)

# %% [markdown]
# ## Training
#
# One multi-task model per task set and seed, and single-task models for G1.

# %%
settings = fig4_groups.settings(p)
rows = runs.map(fig4_groups.data_maps, settings, "data maps")

# %% [markdown]
# ## Figure 2: the data map of one task
#
# Each point is a training image. On the left of the arc lie images that the network judges alike in all epochs, surely right
# (top) or surely wrong (bottom); to the right those on which it changes its mind.

# %%
plots.show(report.draw_map(rows))

# %% [markdown]
# ## Figures 4 and 5: memberships
#
# With $F = 2$, for the first seed. Clusters are in no order; columns sum to 1.

# %%
plots.show(report.draw_memberships(rows))

# %% [markdown]
# The authors published pictures of their memberships; here are their numbers for G1, two clusters and $F = 2$ beside ours: each
# task's weight in the cluster that holds most of *airplane*'s.

# %%
report.published_memberships(rows)

# %% [markdown]
# ## How soft is $F = 2$?
#
# Entropy of the memberships over that of the uniform ones: 0 is hard, 1 says nothing. Silhouette: how much nearer a task is to
# its own cluster than to the next, from -1 to 1; it does not depend on $F$. Means over seeds.

# %%
plots.show(report.draw_softness(rows, p.fuzziness))

# %% [markdown]
# ## Is *random* apart because it is different?
#
# A cluster of one task has its centre at that task, so the task's membership is 1 whatever $F$ and however near the others are.
# What does not depend on that: how far a task is from its nearest neighbour, over the largest such distance among the other
# tasks. And fuzzy c-means iterated to the end, whose centres move away from single tasks.

# %%
task_groups.odd_one_out(rows).round(3)

# %% [markdown]
# ## Hard, soft, point-based; one model or many
#
# Agreement (adjusted Rand index, 1 is the same, 0 is chance) of groups in two clusters with animals and vehicles, of groups from
# single-task maps with those from multi-task maps, of point-based with hard groups, and of hard groups between two seeds.
# *Split*: three clusters' split of the living. *Misplaced*: tasks in the wrong one of two clusters.

# %%
report.two_clusters_table(rows)

# %% [markdown]
# ## Verdicts

# %%
kept = {"seconds": runs.seconds} | provenance(settings)
measured = report.measured(rows)
verdicts = [
    results.record(exhibit, measured[exhibit], p, parts=parts, **kept) for exhibit, parts in report.claims(rows, p.epochs).items()
]
print(*verdicts, sep="\n")

# %%
verdicts[0]

# %%
verdicts[2]

# %%
verdicts[3]

# %% [markdown]
# ## Recorded runs

# %%
recorded = results.other_run(p)
report.show_all(recorded.rows, p.fuzziness) if recorded else None
recorded.verdict if recorded else "No other run is recorded yet."

# %% [markdown]
# ## Exercise
#
# In $d$ dimensions let all coordinates of all tasks' vectors be independent with variance 1. What happens to the memberships with
# $F = 2$ and two clusters as $d$ grows, and what to the labels?
#
# :::{dropdown} Solution
# Every distance between two tasks is near $\sqrt{2d}$, with a spread that does not grow with $d$. The distances of a task to the
# two centres differ in the order of 1, so their ratio tends to 1 and the memberships to 1/2. The labels, which only compare, go
# on being decided by differences of that order.
# :::
