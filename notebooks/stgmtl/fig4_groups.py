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
# (*variability*). The paper claims that tasks whose maps are alike belong together: animals with animals, vehicles with vehicles,
# a task with random labels alone.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None  # initial weights and batch orders; None: the profile's value
single: int = None  # seeds for which single-task models are trained as well
first_seed: int = None
images: int = None  # training images
tests: int = None  # test images
epochs: int = None
widths: list[int] = None  # channels of the stages; empty: ResNet-18
side: int = None  # pixels a side
fuzziness: list[float] = None  # values of F; the first is the paper's
device: str = None  # cpu, cuda, or auto

# %%
from mtlrepro.parameters import params

p = params("stgmtl/fig2", globals(), positive=("seeds", "images", "tests", "epochs", "side"))

# %%
from mtlrepro import plots, results
from mtlrepro.papers.stgmtl import fig4_groups
from mtlrepro.papers.stgmtl import fig4_groups_report as report
from mtlrepro.papers.stgmtl.training import image_runs

plots.use()
runs = results.Runs(p)
settings = fig4_groups.settings(p)
rows = runs.map(fig4_groups.data_maps, settings, "data maps", data=image_runs.digests(settings))
tier, device = image_runs.tier(settings), str(image_runs.choose(p.device))
for exhibit, own in report.rows_of(rows).items():
    results.record(exhibit, own, runs, measured=report.measured(exhibit, own), tier=tier, device=device)
fig2, fig4, fig5, variants = (results.shown(p, exhibit) for exhibit in report.rows_of(rows))

# %% tags=["slide", "fig2"]
fig2.figure(
    report.draw_map,
    "Figure 2: the data map of one task of G1, one multi-task training; a mark per training image, of those that all seeds have "
    "in common. On the left of the arc lie images that the network judges alike in all epochs, surely right (top) or surely "
    "wrong (bottom).",
)

# %% tags=["slide", "fig4"]
fig4.figure(
    report.draw_fig4,
    "Figure 4: memberships of the fifteen tasks of G2 in two to five clusters, F = 2, one training. Clusters are in no order. "
    "Hollow marks above: the groups that the paper's text names.",
)

# %% tags=["slide", "fig5"]
fig5.figure(
    report.draw_fig5,
    "Figure 5: memberships of the ten tasks of G1. Above: two clusters, the one that holds most of the first task, means and "
    "ranges over seeds; hollow marks are the authors' numbers. Below: three clusters, one training; hollow: the groups of the "
    "paper's text.",
)

# %%
fig5.table(report.membership_table, "Memberships in the first task's cluster, two clusters, F = 2; paper: the authors' numbers")

# %% [markdown]
# In how many seeds are the groups exactly those that the paper names: in two clusters animals and vehicles, in three also cat,
# dog, horse against bird, deer, frog? Which split comes most often?

# %%
fig5.table(report.split_table, "Groups of the ten tasks of G1")

# %%
fig4.table(report.split_table, "Groups of the first ten tasks of G2, clustered without the others")

# %% [markdown]
# ## What it shows

# %%
variants.text(report.findings)

# %%
fig4.text(report.findings_g2)

# %% [markdown]
# ## What we asked besides
#
# Did the network learn the tasks? A map of an untrained network shows its initial weights. The paper's networks overfit: nearly
# all training images right, far fewer test images.

# %%
fig2.figure(report.draw_learning, "Mean F1 over the tasks of G1 by epochs of training, means over seeds.")

# %%
fig4.table(report.learning_table, "What the multi-task models of G2 learned, means over seeds")

# %% [markdown]
# How soft is $F = 2$? Entropy of the memberships over that of the uniform ones: 0 is hard, 1 says nothing. Silhouette: how much
# nearer a task is to its own cluster than to the next, from -1 to 1; it does not depend on $F$.

# %%
fig4.figure(lambda rows: report.draw_softness(rows, p.fuzziness), "Entropy of memberships and silhouette, means over seeds.")

# %% [markdown]
# Is *random* apart because it is different? A cluster of one task has its centre at that task, so its membership is 1 whatever
# $F$ and however near the others are. What does not depend on that: how far a task is from its nearest neighbour, over the
# largest such distance among the other tasks; and fuzzy c-means iterated to the end, whose centres move away from single tasks.

# %%
fig4.table(report.random_table, "The task with random labels, in three clusters of G2")

# %% [markdown]
# Is it alone at some number of clusters, and where do the two extra tasks go that have no complement?

# %%
fig4.table(report.company_table, "Who shares a cluster with the extra tasks of G2")

# %% [markdown]
# Does the answer move with the epochs?

# %%
fig4.table(report.epochs_table, "What is claimed of G2, from the maps of half of the epochs and of all, means over seeds")

# %%
fig5.table(report.epochs_table, "The same of G1")

# %% [markdown]
# How stable are groups? Agreement (adjusted Rand index, 1 is the same, 0 is chance) of two clusters with animals and vehicles, of
# groups from single-task maps with those from multi-task maps, of point-based with hard groups, and of hard groups between two
# seeds. *Split*: three clusters' split of the living. *Misplaced*: tasks in the wrong one of two clusters.

# %%
variants.table(report.stability_table, "Groups of G1 in two clusters")

# %% [markdown]
# :::{dropdown} How we read the paper
# - **Training**: the numbers of epochs and of clusters are lost in our copy of the text, rate and batch are not stated: Adam,
#   constant rate 0.001, batches of 128, no augmentation; positive answers weigh 10 for the classes and 1 for the extra tasks. As
#   the rate is constant, the first half of a training is a training of half the epochs, which tells whether groups have settled.
# - **Images** are drawn by the seed, with equal shares of the classes; some are every seed's, so that maps can be compared.
# - **Snapshots**: maps are kept after each quarter of the training, and a task's vector holds all of them.
# - **Standard deviation** after one epoch, 0/0 by the formula and NaN in the published code, is 0.
# - **Downside**: half of the images upside down, in G2 only. The published code flips images in G1 as well.
# - **Control**: one class has a second head with the same answers, which learns from the shared features and does not move them.
#   Its map ought to be its original's.
# - **Cuts**: part of the training images and fewer epochs, and in the quick profile a small network on 16 x 16 pixels; see the
#   parameters. Where CIFAR-10 is not at hand, digits take its place, with *Loop* for *Living being*.
# :::

# %%
for page in (fig2, fig4, fig5, variants):
    page.this_run()

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
