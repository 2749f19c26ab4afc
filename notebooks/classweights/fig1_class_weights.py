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
# # Figure 1: an auxiliary task in pieces
#
# Learning to segment cars may help to tell how far away cars are, while learning to segment sky helps nobody. So the paper
# ({cite}`yim2020classweights`) takes the auxiliary task apart by class $c$ and gives every part $l_c$ of its loss a weight of its
# own (eqs. 2 to 4):
#
# $$ L = \frac{L_m}{L_m(0)} + \frac{L_a}{L_a(0)}, \qquad L_a = \sum_c w_c\, l_c . $$
#
# The main loss $L_m$ alone sets the weights, during the same training.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile

# %%
from mtlrepro.parameters import params

p = params("classweights/fig1", globals())

# %%
from mtlrepro import results
from mtlrepro.papers.classweights import diagrams, fig1_class_weights

results.record(p.exhibit, [], p, tier="no data")
page = results.shown(p)

# %%
page.figure(
    diagrams.class_weights(),
    "A shared encoder with one decoder per task; the auxiliary loss is taken apart by class, each part with a weight of its own.",
)

# %% [markdown]
# On one generated scene and an untrained network: the auxiliary loss as one map, and its parts by class, by one scatter-add over
# all pixels.

# %% tags=["slide"]
scene = fig1_class_weights.loss_by_class()
page.figure(fig1_class_weights.draw(scene), "A generated scene, and the segmentation loss of an untrained network at each pixel.")

# %%
page.table(fig1_class_weights.table(scene), "The auxiliary loss by class; the parts add up to the mean loss")

# %% [markdown]
# :::{dropdown} How we read the paper
# - **Both directions**: where segmentation is the main task, depth is auxiliary, and 15 ranges of depth are its "classes".
# - **$l_c$** is the sum over the pixels of class $c$ by the number of all pixels: a rare class has a small part.
# - **Two full decoders** share the encoder of a U-Net ({cite}`ronneberger2015unet`).
# :::
#
# [Algorithm 1](alg1_class_weights) looks at how the weights are set, [Figures 2 to 4](tab1_trade_off) at what they reach.
