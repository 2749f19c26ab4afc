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
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile

# %%
from mtlrepro.parameters import params

p = params("transfer/fig4", globals())

# %%
from mtlrepro import results
from mtlrepro.papers.transfer import diagrams

results.record(p.exhibit, [], p, tier="no data")
page = results.shown(p)

# %%
page.figure(diagrams.alignment_module(), "An alignment matrix between each task's embedding and the shared module.")

# %% [markdown]
# In code an alignment matrix is one line, `mtlrepro.methods.alignment.Aligned`, around any model that takes inputs and a
# task. Figure 9 puts the algorithm to work.

# %% [markdown]
# :::{dropdown} How we read the paper
# - $E_i$ is what enters the shared module: raw inputs $X_i$ in the synthetic exhibits, embeddings elsewhere.
# - The paper calls $Z_i$ the *rotated* embedding, but nothing keeps $R_i$ orthogonal: it is any $d \times d$ matrix.
# - The paper does not say where $R_i$ starts. *Our reading*: at the identity, so that training begins at the unaligned model.
# :::
