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
# # Figure 2: representations through training
#
# Why should merging classes of two tasks help? The paper ({cite}`hsieh2021cotask`) reasons: if the representations of classes
# $\alpha$, $\beta$ and $\gamma$ are separable, then $\alpha \cup \beta$ must be separable from $\gamma$; and merging "could
# encourage the model to map the representation of different tasks onto a much similar representation space". Its Figure 2 is a
# sketch of that. Here are the features of test images before and after training.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None  # None: the profile's value
first_seed: int = None
states: list[str] = None  # of the networks
epochs: int = None
per_class: int = None  # training images of a class, at most 400
blocks: list[int] = None  # of each stage
widths: list[int] = None  # channels of each stage
side: int = None  # pixels a side
batch: int = None
auxiliary: int = None  # auxiliary tasks
shown: int = None  # images of each class in the picture
device: str = None

# %%
from mtlrepro.parameters import params

p = params("cotask/fig2", globals(), positive=("seeds", "epochs", "per_class", "side", "batch", "auxiliary", "shown"))

# %%
import torch

from mtlrepro import results
from mtlrepro.papers.cotask import fig2_representations, fig2_representations_report as report
from mtlrepro.papers.cotask.training.cifar_training import first_data

torch.set_num_threads(1)
runs = results.Runs(p)
data = first_data(p)
rows = runs.map(fig2_representations.representations, fig2_representations.settings(p), "seeds", data=data.sha256)
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier=data.tier, device=p.device)
page = results.shown(p)

# %% tags=["slide"]
page.figure(
    report.draw,
    "Test images of two tasks by the first two principal components of their shared features, for one seed. A colour is a merged "
    "class of the auxiliary task, a marker one of its two parents: where merging works, both markers of a colour lie together, "
    "and apart from the other colours.",
)

# %%
page.table(report.merged_classes, "Which classes were merged: one line per colour")

# %%
page.table(report.claimed_table, "The paper's three sentences, measured; means over seeds, CO-TASK with the paper's steps")

# %% [markdown]
# ## What it shows

# %%
page.text(report.findings)

# %% [markdown]
# ## What we asked besides
#
# Are the features *better* with merged tasks, or only different? CO-TASK with as many steps as multi-task training, where the run
# has it, else with the paper's:

# %%
page.table(report.our_table, "Features of all tasks, means over seeds, and what CO-TASK changes, with 95% intervals")

# %% [markdown]
# The paper's "must be separable" is not true of a linear classifier in general: with $\gamma$ between $\alpha$ and $\beta$ on a
# line, each is separable from it and their union is not. It is true where $\gamma$ is separable from all the rest at once.
#
# :::{dropdown} How we read the paper
# - **Picture**: the first two principal components of the shared features of the two tasks that the first auxiliary task merges.
# - **Union**: balanced test accuracy of a linear classifier (least squares on the training images) of $\alpha \cup \beta$ against
#   $\gamma$, minus the mean of those of $\alpha$ and of $\beta$ against $\gamma$; $\beta, \gamma$ of one task, $\alpha$ of
#   another; over all triples in which both parts are told from $\gamma$ with accuracy 0.9.
# - **Two tasks apart**: the same classifier on the images of both parents of an auxiliary task. The claim is that CO-TASK lowers
#   it.
# - **Merged classes come closer**: cosine of the means of two merged classes (about the mean of all images), minus that of two
#   classes of the same two tasks that are not merged, mean over auxiliary tasks.
# - **Probe**: logistic regression on the features of validation images, one for each task. **Silhouette** of a task's classes:
#   from -1 to 1. **Variance between tasks**: the share of the features' variance that lies between the tasks' means.
# - **Budget and cuts**: the very networks of [the page of Tables 3 to 6](tab3_cifar_mtl): small, on small images, and few epochs.
#   *Equal steps*: both trainings take the same number of steps in all. Where CIFAR-100 is not at hand, two tasks of digits take
#   its place.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Exercise
#
# Three classes have their means at -1, 0 and 1 on a line, with small spread. Which unions of two are linearly separable from the
# third? What changes when the features get the square of the position as a second coordinate?
#
# :::{dropdown} Solution
# -1 and 0 against 1, and 0 and 1 against -1; not -1 and 1 against 0. With the square all three are: the means are then at
# $(-1, 1)$, $(0, 0)$ and $(1, 1)$, the corners of a triangle, each of which a line cuts off.
# :::
