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
# # Table 2: seconds per step
#
# The paper ({cite}`yim2020classweights`) measures one training step: class-wise weights take at most **1.7 times** a plain sum of
# losses, Pareto MTL ({cite}`lin2019pareto`) **about six times**. Seconds depend on the machine, so what is compared are ratios,
# with all methods taking turns in one process.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
turns: int = None  # steps of every method; None: the profile's value
classes: list[int] = None  # few and many
size: list[int] = None  # height and width in pixels
images: int = None  # a batch
width: int = None  # channels of the U-Net's finest stage
device: str = None

# %%
from mtlrepro.parameters import params

p = params("classweights/tab2", globals(), positive=("turns", "classes", "size", "images", "width"))

# %%
import torch

from mtlrepro import results
from mtlrepro.papers.classweights import tab2_seconds
from mtlrepro.papers.classweights import tab2_seconds_report as report

torch.set_num_threads(1)
runs = results.Runs(p)
rows = runs.map(tab2_seconds.seconds, tab2_seconds.settings(p), "seconds")
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="synthetic", device=p.device)
page = results.shown(p)

# %% tags=["slide"]
page.table(report.table, "Table 2: seconds of a step, medians over turns, and ratios to equal weights")

# %% [markdown]
# ## What it shows

# %%
page.text(report.findings)

# %% [markdown]
# ## What we asked besides
#
# Do held-out class weights grow with the number of classes? Seconds with many classes over those with few, and the same of equal
# weights, whose last layer also grows:

# %%
page.table(report.growth, "Growth with the number of classes")

# %% [markdown]
# :::{dropdown} How we read the paper
# - Random images and labels: the time of a step does not depend on what they show. Adam, one thread, this process's own time.
# - Image size, batch and width are smaller here than the paper's, for every method alike: see the parameters.
# - *Held-out* is ours: the exact derivative in place of the finite difference, one gradient on a held-out batch and one
#   forward-mode product more. Its cost should not grow with the number of classes, so it is measured with few and with many.
# - Pareto MTL costs what its implementation makes of it: the same update comes from one forward pass and a backward pass a task,
#   or from a forward and a backward pass a task and again both for the weighted sum, as in its published code. The claim is
#   judged against the first, which the method needs.
# :::

# %%
page.this_run()
