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
# # Figure 3: inference with weighted outputs
#
# After grouping there are $k$ models, one per cluster, and each of them answers every task. The answer to task $t$ is their mean,
# weighted by how much the task belongs to each cluster ({cite}`sherif2023stgmtl`, eq. 5):
#
# $$ o_t = \sum_{j=1}^{k} u_{tj}\, o_{jt}, \qquad \sum_j u_{tj} = 1. $$

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile

# %%
from mtlrepro.parameters import params

p = params("stgmtl/fig3", globals())

# %%
import pandas as pd
import torch

from mtlrepro import results
from mtlrepro.methods.task_grouping import combined_probability
from mtlrepro.papers.stgmtl import diagrams

results.record(p.exhibit, [], p, tier="no data")
page = results.shown(p)

# %%
page.figure(
    diagrams.weighted_outputs(),
    "Every model sees the image; the output for a task is the mean of the models' logits, weighted by its memberships.",
)

# %% [markdown]
# Logits may be averaged, or probabilities. The two ways differ where models disagree. Two models, the task belonging to the
# second one a little more: a first model that is sure enough outvotes the second when logits are averaged, never when
# probabilities are.

# %%
logits = torch.tensor([[0.5, 2.0, 4.0, 8.0], [-1.5, -1.5, -1.5, -1.5]])  # (models, examples) of one task
memberships = torch.tensor([[0.45, 0.55]])
averages = {way: combined_probability(logits[..., None], memberships, way)[:, 0] for way in ("logits", "probabilities")}
columns = {"logit of model 1": logits[0], "logit of model 2": logits[1]}
columns |= {f"p, {way} averaged": values for way, values in averages.items()}
page.table(pd.DataFrame({name: values.tolist() for name, values in columns.items()}), "One task, four examples")

# %% [markdown]
# :::{dropdown} How we read the paper
# - The paper does not say whether $o_{jt}$ is a probability or a logit. The published code takes logits, as drawn here, and
#   answers "yes" above a probability of one half. Both ways are in our code and are compared where models are trained.
# - Memberships are used as they are: no task is dropped from a model for a small $u_{tj}$, so inference costs $k$ forward passes.
# :::
