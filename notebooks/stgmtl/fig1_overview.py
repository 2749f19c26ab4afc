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
# # Figure 1: from data maps to task groups
#
# STG-MTL ({cite}`sherif2023stgmtl`) groups tasks by how their training went, not by trying groups out. One multi-task network is
# trained on all $n$ tasks. For each task $t$ and each training image, two numbers are kept while it learns
# ({cite}`swayamdipta2020cartography`): the mean $\mu$ over epochs of the probability of the true label (*confidence*), and its
# standard deviation $\sigma$ (*variability*). All of them in a row are the task's vector $x_t$.
#
# The vectors are clustered, by default softly: k-means gives $k$ centres $c_j$, and task $t$ belongs to cluster $j$ by
#
# $$ u_{tj} = \frac{1}{\sum_{l=1}^{k} \big(\|x_t - c_j\| / \|x_t - c_l\|\big)^{2/(F-1)}}, \qquad \sum_j u_{tj} = 1,\; F = 2. $$
#
# Then each cluster gets a model of its own, which trains on *all* tasks with the loss $L_j = \sum_t u_{tj} L_t$.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper

# %%
from mtlrepro.parameters import params

p = params("stgmtl/fig1", globals())

# %% tags=["hide-input"]
import torch

from mtlrepro import diagrams, plots, results
from mtlrepro.methods import task_grouping
from mtlrepro.methods.data_maps import DataMap, stacked
from mtlrepro.training.device import generator

plots.use()
plots.show(diagrams.task_groups())

# %% [markdown]
# :::{note} How we read the paper
# - The probabilities are those of the forward pass of training itself, before the step: recording needs no pass of its own.
# - At the first epoch the sample standard deviation is 0 / 0. *Our reading*: 0. The published code gives NaN there.
# - Memberships are one fuzzification step at k-means' centres, not the iterated fuzzy c-means ({cite}`bezdek1984fcm`).
# - A task alone in its cluster is at distance 0 from the centre. Then $u = 1$ there, the limit of the formula, whatever $F$.
# :::
#
# In code, with made-up probabilities for four tasks and fifty images over five epochs, two tasks learned fast and two slowly:

# %%
maps, draw = DataMap(tasks=4, points=50), generator(0)
for epoch in range(1, 6):
    speed = torch.tensor([0.9, 0.8, 0.1, 0.2])
    confidence = 1 - 0.5 * torch.exp(-speed * epoch) * (0.5 + torch.rand(50, 4, generator=draw))
    maps.update(confidence, torch.randperm(50, generator=draw))
vectors = task_grouping.task_vectors(stacked([maps.snapshot()]))
print("four task vectors of", vectors.shape[1], "numbers; memberships in two clusters:")
task_grouping.soft(vectors, clusters=2, seed=0).memberships.numpy().round(3)

# %% [markdown]
# [Table 1](tab1_models) counts what other methods train before they know a grouping.

# %%
verdict = results.record(p.exhibit, [], p, parts=(), tier="no data", reason="a diagram: nothing to measure")
print(verdict)
verdict
