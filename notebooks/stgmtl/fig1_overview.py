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
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile

# %%
from mtlrepro.parameters import params

p = params("stgmtl/fig1", globals())

# %%
import numpy as np
import pandas as pd
import torch
from sklearn.neural_network import MLPClassifier
from torch.utils.data import DataLoader, TensorDataset

from mtlrepro import paths, plots, results
from mtlrepro.data.binary_tasks import digits_tasks
from mtlrepro.device import generator
from mtlrepro.papers.stgmtl import diagrams

plots.use()
results.record(p.exhibit, [], p, tier="no data")
page = results.shown(p)

# %%
page.figure(
    diagrams.task_groups(),
    "One training of all tasks gives a data map per task; their vectors are clustered; each cluster trains a model of its own.",
)

# %% [markdown]
# ## Your own tasks
#
# `loader` and `train_step`, a function that makes one training step and returns its logits, are yours.

# %% tags=["remove-input"]
snippet = (paths.book() / "snippets" / "stgmtl_own_tasks.py").read_text()
print(snippet.partition("# ruff")[0])

# %% [markdown]
# Run as it stands on handwritten digits: ten tasks "is it a 3?" and five more, among them a closed loop, none, and a coin toss; a
# linear model, one snapshot per epoch. *Loop* and *No loop* must come out the same: the answer to one is the answer to the other.

# %%
digits = digits_tasks("G2")
x = torch.from_numpy(digits.images).flatten(1) / 16
y = torch.from_numpy(digits.labels).float()
model = torch.nn.Linear(x.shape[1], y.shape[1])
torch.nn.init.zeros_(model.weight)
torch.nn.init.zeros_(model.bias)
adam = torch.optim.Adam(model.parameters(), lr=0.01)


def train_step(inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    adam.zero_grad()
    logits = model(inputs)
    torch.nn.functional.binary_cross_entropy_with_logits(logits, labels).backward()
    adam.step()
    return logits


rows = torch.arange(len(x))
loader = DataLoader(TensorDataset(x, y, rows), batch_size=64, shuffle=True, generator=generator(0))
own = {"tasks": y.shape[1], "points": len(x), "epochs": 5, "loader": loader, "train_step": train_step}
exec(compile(snippet, "stgmtl_own_tasks.py", "exec"), own)
memberships = pd.DataFrame(own["groups"].memberships.numpy(), columns=["cluster 1", "cluster 2"])
page.table(memberships.assign(task=digits.tasks)[["task", "cluster 1", "cluster 2"]], "Memberships of the digits' tasks")

# %% [markdown]
# ### From another framework
#
# All that is needed of a training is `confidences`: of each epoch an array (n, tasks), the probabilities that the model gave to
# the true answers of the n points, always in the same order. `tasks` are the tasks' names.

# %% tags=["remove-input"]
snippet = (paths.book() / "snippets" / "stgmtl_own_confidences.py").read_text()
print(snippet.partition("# ruff")[0])

# %% [markdown]
# Run as it stands on the same tasks, learned by a small network of scikit-learn:

# %% tags=["slide"]
network = MLPClassifier(32, learning_rate_init=0.01, random_state=0)
answers, confidences = digits.labels.astype(int), []
for _ in range(20):
    network.partial_fit(x.numpy(), answers, classes=np.arange(len(digits.tasks)))
    yes = network.predict_proba(x.numpy())
    confidences.append(np.where(answers == 1, yes, 1 - yes))
own = {"tasks": digits.tasks, "confidences": confidences}
exec(compile(snippet, "stgmtl_own_confidences.py", "exec"), own)
page.figure(
    own["figure"],
    "Data maps of fifteen tasks of handwritten digits, each in the colour of its cluster, and the memberships.",
)

# %% [markdown]
# Where tasks x points is more than memory holds, `DataMapOnDisk(folder, tasks, points)` of `mtlrepro.methods.data_map_on_disk`
# takes the place of `DataMap`: it records the same numbers in files and goes on after a stop from its last snapshot. Groups
# follow from chunks: `grouping.soft(grouping.coordinates(grouping.gram(maps.map_chunks())), clusters=2, seed=0)`.

# %% [markdown]
# Then train one model for each column, with the losses of the tasks weighted by it, and average their logits:
# `grouping.combined_probability(logits, groups.memberships)`, with logits (clusters, n, tasks).

# %% [markdown]
# [Table 1](tab1_models) counts what other methods train before they know a grouping.
#
# :::{dropdown} How we read the paper
# - The probabilities are those of the forward pass of training itself, before the step: recording needs no pass of its own.
# - At the first epoch the sample standard deviation is 0 / 0. *Our reading*: 0. The published code gives NaN there.
# - Memberships are one fuzzification step at k-means' centres, not the iterated fuzzy c-means ({cite}`bezdek1984fcm`).
# - A task alone in its cluster is at distance 0 from the centre. Then $u = 1$ there, the limit of the formula, whatever $F$.
# :::
