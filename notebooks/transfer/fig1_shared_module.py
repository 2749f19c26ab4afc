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
# # Figure 1: a shared module and one module per task
#
# The architecture of the whole paper ({cite}`wu2020understanding`, section 2.1): every task's inputs $X_i$ go through one
# shared module $B$, and each task has an output module $A_i$ of its own. Training minimises (eq. 1)
#
# $$ f(A_1, \dots, A_k; B) = \sum_{i=1}^k L\big(g(X_i B)\, A_i,\; y_i\big), $$
#
# with $g$ the identity (linear) or ReLU. What one task learns can reach another only through $B$, whose width $r$ is the
# model's capacity.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile

# %%
from mtlrepro.parameters import params

p = params("transfer/fig1", globals())

# %%
import pandas as pd

from mtlrepro import results
from mtlrepro.device import generator
from mtlrepro.models.shared_bottom import StackedSharedBottom
from mtlrepro.papers.transfer import diagrams

results.record(p.exhibit, [], p, tier="no data")
page = results.shown(p)

# %%
page.figure(diagrams.shared_module(), "One shared module for all tasks, and a task module each; read from bottom to top.")

# %% [markdown]
# The same in code: the model that the synthetic exhibits train, here with $d = 100$ inputs, $r = 1$ and $k = 3$ tasks. Its first
# dimension counts independent runs (seeds, learning rates), all trained at once.

# %%
model = StackedSharedBottom(d=100, r=1, tasks=3, generators=[generator(seed) for seed in range(5)])
shapes = {"B (runs, d, r)": model.bottom.weight, "A (runs, tasks, r)": model.heads}
page.table(pd.DataFrame([{"parameter": name, "shape": str(tuple(tensor.shape))} for name, tensor in shapes.items()]))

# %% [markdown]
# :::{dropdown} How we read the paper
# - Read from bottom to top. Blue is shared by all tasks; orange belongs to one task; grey is data.
# - The drawing is ours, made by code; it shows the same structure as the paper's Figure 1.
# - $A_i \in \mathbb{R}^r$ has one output. A task with several outputs counts as several tasks on the same inputs.
# :::
