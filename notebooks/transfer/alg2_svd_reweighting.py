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
# # Algorithm 2: SVD-based task weights
#
# $k$ tasks have the same inputs $X$, and some have noisy labels. Algorithm 2 weights their losses by
#
# $$ \theta_i = X^\top y_i, \qquad U_r = \text{the } r \text{ leading left singular vectors of } (\theta_1, \dots, \theta_k),
#    \qquad \alpha_i = \lVert \theta_i^\top U_r \rVert , $$
#
# so that a task counts by what of it lies in the directions that the tasks have in common. It is claimed to give a noisy task the
# smaller weight, and to be more robust to label noise than equal weights ({cite}`wu2020understanding`, section 2.4).

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None  # None: the profile's value
first_seed: int = None
tasks: list[int] = None  # numbers of tasks
samples: int = None  # training samples; there are 20 inputs

# %%
from mtlrepro.parameters import params

p = params("transfer/alg2", globals(), positive=("seeds", "tasks", "samples"))

# %%
import pandas as pd

from mtlrepro import results
from mtlrepro.papers.transfer import alg2_svd_reweighting as reweighting
from mtlrepro.papers.transfer import alg2_svd_reweighting_report as report

runs = results.Runs(p)
mapped = runs.map(reweighting.compare, reweighting.settings(p), "map").assign(part="map")
example = runs.map(reweighting.motivating_example, reweighting.example_settings(p), "example").assign(part="example")
rows = pd.concat([mapped, example], ignore_index=True)
results.record(p.exhibit, rows, runs, measured=report.measured(rows, report.figure_12()), tier="paper's data")
page = results.shown(p)

# %% tags=["slide"]
page.figure(
    report.figure_one_model,
    "What each method gains over equal weights where all tasks have one model and one of them is noisy: correlation with the "
    "clean labels on fresh inputs, for flipped signs accuracy. Means with 95% intervals over seeds. The paper draws none.",
)

# %% [markdown]
# (errata-alg2-noise)=
# ## What it shows
# The paper's reason for the scheme is that noisy labels have a small entropy, which the projection removes. Noise makes entropy
# larger, not smaller. **Additive noise raises the printed weight**: $\lVert X^\top y_i \rVert$ grows with the noise, and with two
# tasks the leading direction turns towards the noisy one. Replaced labels have the same spread but less of the signal, so there
# the weight falls. With two tasks and $r = 1$ the normalised weights are always equal: two unit vectors have the same projection
# on their bisector.

# %%
page.table(
    report.noisy_weight,
    "Weight of the noisy task over the mean weight of the clean ones, mean over seeds, for one model and r = 1. Below 1 it is "
    "down-weighted, as intended.",
)

# %% [markdown]
# ## What we asked besides
# Where the tasks' models differ, at a cosine of about 0.8, a task that is down-weighted loses its own model, so even weights that
# know the noise need not help:

# %%
page.figure(report.figure_own_models, "As above, for tasks with models of their own.")

# %% [markdown]
# :::{dropdown} How we read the paper
# - **Unit**: only the ratios of the weights matter for the optimum of a linear model; we scale them to sum to $k$.
# - **Rank**: the paper does not say which $r$ it takes. We take the model's capacity, $r = 1$ and $r = 2$; the claims are judged
#   at $r = 1$.
# - **The motivating example** is Section 2.4's: two tasks of one model on common Gaussian inputs, the labels of one exact,
#   those of the other with Gaussian noise, at levels from a tenth to ten times the signal.
# - **Noise**: the paper's experiment gives 20% of one task's data random labels. We map three kinds at several levels: *random
#   labels* (replaced by draws of the same spread), *flipped signs* (the same for labels that are classes) and *additive* noise.
#   The claim on random labels is judged on classes.
# - **Exact optima**: for equal inputs the weighted optimum is known (Proposition 3), so nothing is trained here, and what differs
#   between methods is their weights alone. *Kendall* is the fixed point of uncertainty weighting, $\alpha_i = 1 / (2 \sigma_i^2)$
#   with $\sigma_i^2$ the task's training error at the optimum. The *oracle* weights by the inverse variance of the labels around
#   the true model, which no method can know.
# - **Normalised** is a variant of ours: each $\theta_i$ gets unit length first.
# - **Measure**: correlation of predictions with the clean labels on fresh inputs, or accuracy where labels are signs, both in
#   closed form and averaged over all tasks, the noisy one included.
# - **The third claim** is that of [Figure 12](fig12_label_noise), taken from its recorded run with its gates.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Exercise
#
# Show that with $r = k$ Algorithm 2 gives $\alpha_i = \lVert \theta_i \rVert$. What does it then do to a task whose labels are
# measured in grams instead of kilograms?
#
# :::{dropdown} Solution
# $U_k$ spans all $\theta_i$, so nothing is lost in the projection. The task in grams has a $\theta_i$ a thousand times as long
# and gets a thousand times the weight, on top of a loss that is a million times as large.
# :::
