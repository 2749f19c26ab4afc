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

# %%
from mtlrepro.parameters import params

p = params("classweights/fig1", globals())

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import torch

from mtlrepro import plots, results
from mtlrepro.papers.classweights import diagrams
from mtlrepro.papers.classweights.data.scenes import preset, scenes
from mtlrepro.methods.class_weights import class_sums
from mtlrepro.papers.classweights.models.unet import UNet
from mtlrepro.papers.classweights.training.dense_metrics import segmentation_loss

plots.use()
plots.show(diagrams.class_weights())

# %% [markdown]
# In code, on one generated scene and an untrained network: the auxiliary loss as one map, and its parts by class, by one
# scatter-add over all pixels.

# %%
made, scene = preset("driving"), scenes("driving", 1, (64, 128), seed=4)
with torch.no_grad():
    scores, depth = UNet(len(made.classes), width=4)(scene.images)
losses = segmentation_loss(scores, scene.labels)
parts = class_sums(losses / losses.numel(), scene.labels, len(made.classes))[:-1]
fig, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 1.9))
for ax, shown, name in zip(axes, (scene.images[0].permute(1, 2, 0), losses[0]), ("scene", "auxiliary loss"), strict=True):
    ax.imshow(shown)
    ax.set(title=name, xticks=[], yticks=[])
    ax.grid(False)
plots.show(fig)
{name: round(float(value), 3) for name, value in zip(made.names, parts, strict=True)}

# %% [markdown]
# :::{note} How we read the paper
# - **Both directions**: where segmentation is the main task, depth is auxiliary, and 15 ranges of depth are its "classes".
# - **$l_c$** is the sum over the pixels of class $c$ by the number of all pixels: a rare class has a small part.
# - **Two full decoders** share the encoder of a U-Net ({cite}`ronneberger2015unet`).
# :::
#
# [Algorithm 1](alg1_class_weights) looks at how the weights are set, [Figures 2 to 4](tab1_trade_off) at what they reach.

# %%
verdict = results.record(p.exhibit, [], p, parts=(), tier="no data", reason="a diagram: nothing to measure")
print(verdict)
verdict
