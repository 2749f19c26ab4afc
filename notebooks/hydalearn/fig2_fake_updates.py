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
# # Figure 2: two fake updates and one real one
#
# One training step of HydaLearn ({cite}`verboven2020hydalearn`) on one mini-batch. The forward pass is the usual one. Then
#
# 1. each **head** takes its own plain step, $\theta_i - \alpha \nabla_{\theta_i} L_i$;
# 2. the shared layers take two **fake** steps, one along each task's gradient, both undone; after each, the *main* metric is
#    measured on many samples, and its improvement is the gain, $\delta_m$ or $\delta_a$;
# 3. the gains set the task weights, and the shared layers take one **real** step along the weighted sum of the same gradients.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile

# %%
from mtlrepro.parameters import params

p = params("hydalearn/fig2", globals())

# %%
from mtlrepro import plots, results
from mtlrepro.papers.hydalearn import fig2_fake_updates

plots.use()
results.record(p.exhibit, [], p, tier="no data")
page = results.shown(p)

# %% tags=["slide"]
page.figure(
    fig2_fake_updates.draw(),
    "One training step of HydaLearn: forward pass, the heads' own steps, two fake updates of the shared layers with the gains "
    "that they bring, the weights, and the one real update. Dashed: tried and thrown away.",
)

# %% [markdown]
# :::{dropdown} How we read the paper
# - Every gradient is taken once, at the parameters before the step; only the metric is measured at the heads' new values. So a
#   step needs one forward and one backward pass on the batch, and besides them forward passes alone.
# - Both gains are measured against the metric at the *same heads and unchanged shared layers*. Algorithm 1 carries the better of
#   the two fake metrics over as the next reference, a point that training never visits.
# - The fake gradients have unit length (ExpImp-0, c-i), the real ones do not.
# :::
#
# [Algorithm 1](alg1_hydalearn) puts the step to the test, number by number.
