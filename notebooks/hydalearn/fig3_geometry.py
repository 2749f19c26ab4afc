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
# # Figure 3: geometry against gradient cosine
#
# A conceptual figure of {cite}`verboven2020hydalearn`. Gradient cosine ({cite}`du2018gcosim`) adds the auxiliary gradient where
# it is within 90 degrees of the main one, at full length, and follows the main gradient always. Where the auxiliary gradient is
# much longer and points worse, HydaLearn **gives the main task more weight**; where the main gradient of a noisy batch is harmful
# and the auxiliary one helps, HydaLearn **does not follow the main one**.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None  # None: the profile's value
first_seed: int = None
geometries: int = None  # random geometries per seed
rates: list[float] = None  # learning rates; the distance to the optimum is 1
betas: list[float] = None  # exponents of eq. 5; the last one is the paper's for its toys
visited: dict[str, dict] = None  # by problem, arguments of visited_states.visit; seeds: how many

# %%
from mtlrepro.parameters import params

p = params("hydalearn/fig3", globals(), positive=("seeds", "geometries", "rates", "betas"))

# %%
import pandas as pd
import torch

from mtlrepro import results
from mtlrepro.papers.hydalearn import fig3_geometry, fig3_geometry_report as report, fig4_toys
from mtlrepro.papers.hydalearn.training import visited_states

torch.set_num_threads(1)
runs = results.Runs(p)
geometries = runs.map(fig3_geometry.measure, fig3_geometry.settings(p), "geometries")
met = runs.map(fig3_geometry.met, fig3_geometry.met_settings(p), "states met in training")
ridge = runs.map(fig4_toys.measure, visited_states.ridge_settings(visited_states.settings(p)), "ridge regression")
rows = pd.concat([geometries, met, ridge], ignore_index=True)
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="paper's data")
page = results.shown(p)

# %% tags=["slide"]
page.figure(
    report.draw_panels,
    "One training step of a model with two shared parameters and a quadratic main metric, in four geometries of our choice; "
    "equation 3 as it is. Inside the dark contour, which runs through the model's place, the metric is better than before the "
    "step; the star is the optimum. Thin arrows: the descent steps of both tasks.",
)

# %% [markdown]
# ## What it shows
#
# In A, HydaLearn gives the main task more weight, and still its step as printed leans to the longer auxiliary gradient;
# scale-matched it does not. In B it turns to the auxiliary task. C is A with the roles of the tasks exchanged: the weight follows
# quality, not the name. In D both fake steps do harm, and the ratio of two negative gains favours the gradient that does *more*
# harm. The paper's claims are about states met in training:

# %%
page.table(
    report.met_table,
    "States (parameters and a mini-batch) along a training on Exp1. In the first two kinds HydaLearn's update gains "
    "more than gradient cosine's of the same length; in the third gradient cosine's step is worse than the main gradient alone; "
    "in the fourth it drops an auxiliary gradient that helps. Gains are measured on test rows.",
)

# %%
page.table(
    report.panel_table,
    "The weights in the four panels, and what the step gains as a share of the whole way to the optimum's value.",
)

# %% [markdown]
# ## What we asked besides: random geometries
#
# How often does each property of the figure hold in the geometries it speaks of?
#
# - *Dominant auxiliary* (panel A): both gradients within 90 degrees of each other and of the best direction, the auxiliary one at
#   least twice as long, the main one better directed.
# - *Harmful main, helpful auxiliary* (B): by their angles to the best direction, and more than 90 degrees apart, so that
#   gradient cosine blocks the auxiliary one.
# - *Harmful main*: the same without a condition on the auxiliary gradient.
# - *Both harmful* (D): the metric worsens after either fake step.

# %%
page.figure(
    report.draw_shares,
    "Share of random geometries of each kind in which a property holds, at every learning rate and exponent of eq. 5 (1 is "
    "eq. 3). Means over seeds; their intervals are narrower than the marks.",
)

# %%
page.table(
    report.sweep_table,
    "The same with all properties, at the largest learning rate, equation 3 as it is.",
)

# %% [markdown]
# - **The weights do what the figure says.** The exceptions are fake steps so long that curvature changes the order of the gains.
# - **The real step need not.** As printed, the raw auxiliary gradient can lead the step in spite of the weights.
# - **Better direction, shorter step.** Where both gradients help, gradient cosine's step is the longer one, and at a small
#   learning rate longer is better: it gains more from the dominant gradient that it is blamed for. At a large rate the same step
#   overshoots. So "dominated" is harmful or not with the learning rate, not with the angle.
# - **A harmful main gradient** is dropped only where the auxiliary one helps. As printed, the auxiliary step is then taken at
#   its raw length with all of $W$, which at the large rate overshoots in many geometries.
#
# ## Two harmful gradients
#
# The paper's aim is to give weight to "the task for which a particular mini-batch yields the most valuable signal". With both
# gains negative, eq. 3 does the reverse: $w_m / w_a = |\delta_m| / |\delta_a|$ is large where the main task hurts most.
# Equation 4 shrinks the total, but to between a half and all of $W$, and it shrinks least where $w_a / w_m$ is large, that is,
# where the auxiliary task does most of the harm. The *inverted* ratio is ours; [Algorithm 1](alg1_hydalearn) trains with it.

# %%
page.table(report.harm_table, "Both gains negative: how often the worse task gets more weight, and the median gain of the step.")

# %% [markdown]
# :::{dropdown} How we read the paper
# - **States met in training**: of a training by the main task alone (each head follows its own loss), which learns Exp1. Updates
#   are as long as the paper's rate, 0.01, and are measured on test rows at the moved heads; HydaLearn sees the validation rows.
# - The figure is conceptual and gives no numbers; we chose the four geometries. Angles are those of the
#   *descent* directions $-g_m$, $-g_a$ against the best direction. Quality of a gradient: its angle to the
#   direction in which the metric improves fastest.
# - Algorithm 1 normalises the fake steps only. *As printed*: the real step takes the raw gradients, so a weight that favours the
#   main task can still leave the auxiliary gradient in the lead. *Scale-matched*: the auxiliary gradient is first rescaled to the
#   main one's norm. For gradient cosine both are shown, too.
# - Mixed gains give all weight to the task with the positive one; two negative gains have the ratio of their absolute values and
#   the total of eq. 4. $W = 2$, which is the total of gradient cosine where it adds both.
# - The paper's text calls its panels "top", "bottom left" and "left"; what stands where makes no difference to the claims.
# - Random geometries: the angles of both descent directions are uniform, the ratio of the gradients' lengths log-uniform between
#   $1/30$ and 30, the metric's condition number log-uniform up to 10.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Exercise
#
# In panel A, by which factor may $g_a$ be longer than $g_m$ before the printed step leans to the auxiliary task, in terms of the
# gains of the fake steps?
#
# :::{dropdown} Solution
# The step is $w_m g_m + w_a g_a$ with $w_m / w_a = (\delta_m / \delta_a)^\beta$. The two parts are equally long where
# $\|g_a\| / \|g_m\| = (\delta_m / \delta_a)^\beta$. For short steps the gains are proportional to the cosines with the best
# direction, so two gradients of nearly equal quality tolerate hardly any difference in length.
# :::
