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
# # Figure 4: where the alignment module sits
#
# Tasks whose inputs vary in different directions can hurt one another even if their models agree. Algorithm 1 of the paper
# ({cite}`wu2020understanding`) puts a square matrix $R_i$ between the embedding $E_i$ of task $i$ and the shared module:
#
# $$ Z_i = E_i R_i, \qquad \hat f(A_1, \dots, A_k; R_1, \dots, R_k) = \sum_{i=1}^k L\big(g(Z_i B)\, A_i,\; y_i\big). $$
#
# Gradient steps on $A_i$ and $R_i$ alternate, each on a batch of task $i$, with $B$ held fixed.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper

# %%
from mtlrepro.parameters import params

p = params("transfer/fig4", globals())

# %% tags=["hide-input"]
import torch

from mtlrepro import plots, results
from mtlrepro.papers.transfer import diagrams
from mtlrepro.methods.alignment import Aligned
from mtlrepro.models.shared_bottom import StackedSharedBottom
from mtlrepro.device import generator

plots.use()
plots.show(diagrams.alignment_module())

# %% [markdown]
# :::{note} How we read the paper
# - $E_i$ is what enters the shared module: raw inputs $X_i$ in the synthetic exhibits, embeddings elsewhere.
# - The paper calls $Z_i$ the *rotated* embedding, but nothing keeps $R_i$ orthogonal: it is any $d \times d$ matrix.
# - The paper does not say where $R_i$ starts. *Our reading*: at the identity, so that training begins at the unaligned model.
# :::
#
# In code, and that the identity changes nothing:

# %%
streams = [generator(seed) for seed in range(5)]
plain = StackedSharedBottom(d=20, r=2, tasks=3, generators=streams)
aligned = Aligned(plain, d=20, tasks=3, runs=5)
x = torch.randn(5, 8, 20, generator=generator(0, "x"), dtype=torch.float64)
print("R_1 of each run:", tuple(aligned.alignments[0].shape))
print("largest change of a prediction by R = I:", (aligned(x, 0) - plain(x, 0)).abs().max().item())

# %% [markdown]
# Figure 9 puts the algorithm to work.

# %%
verdict = results.record(p.exhibit, [], p, parts=(), tier="no data", reason="a diagram: nothing to measure")
print(verdict)
verdict
