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
# # Figure 1: who helps flips from batch to batch
#
# The motivation of HydaLearn ({cite}`verboven2020hydalearn`): whether a step on a task's loss improves the *main* metric
# changes from mini-batch to mini-batch, and for each task in its own way, so that task weights should follow the mini-batch and
# not a slow trend. One box is one mini-batch, its colour the sign of the gain
#
# $$ \delta_i = M_m\big(\theta_s - s_i\, g_i,\ \theta_m'\big) - M_m\big(\theta_s,\ \theta_m'\big), $$
#
# with $g_i$ the task's gradient on the shared parameters and $\theta_m'$ the main head after its own step.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None  # None: the profile's value
first_seed: int = None
steps: dict[str, int] = None  # updates, by problem
points: dict[str, int] = None  # validation samples of either set, by problem
rates: dict[str, list[float]] = None  # learning rates, by problem
bursts: int = None  # bursts along a training
burst: int = None  # successive batches of a burst
batches: list[int] = None  # batch sizes of the last table
visited: dict[str, dict] = None  # by problem, arguments of visited_states.visit; seeds: how many

# %%
from mtlrepro.parameters import params

p = params("hydalearn/fig1", globals(), positive=("seeds", "bursts", "burst", "batches"))

# %%
import pandas as pd
import torch

from mtlrepro import plots, results
from mtlrepro.papers.hydalearn import fig1_flips, fig1_flips_report as report, fig4_toys
from mtlrepro.papers.hydalearn.training import visited_states

torch.set_num_threads(1)
plots.use()
runs = results.Runs(p)
boxes = runs.map(fig1_flips.measure, fig1_flips.settings(p), "training").assign(part="boxes")
batches = runs.map(fig1_flips.measure, fig1_flips.batch_settings(p), "batch sizes").assign(part="batch size")
visits = visited_states.settings(p)
visited = runs.map(visited_states.visit, visits, "visited states").query("kind != 'visit'").dropna(axis=1, how="all")
ridge = runs.map(fig4_toys.measure, visited_states.ridge_settings(visits), "ridge regression")
visited = pd.concat([visited, ridge]).assign(part="visited")
rows = pd.concat([boxes, batches, visited], ignore_index=True)
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="paper's data")
page = results.shown(p)

# %% tags=["slide"]
page.figure(
    report.draw_fixed,
    "The boxes of one seed of Exp1, measured: mini-batches of 16 at the same parameters, a line per state along training. "
    "Green with a plus: one step of the shared layers on the task's loss improves the main metric on test rows; red with a dash: "
    "it worsens it.",
)

# %% [markdown]
# ## What it shows

# %%
page.table(
    report.fixed_table,
    "Mini-batches at fixed parameters: in what share of them the main step does harm, and the rarer sign of the auxiliary step's "
    "gain; how often a gain has the same sign on both halves of the test rows. Means over states to the selected one and seeds.",
)

# %% [markdown]
# ## Successive batches
#
# In training the parameters move on from box to box. Below are successive batches, on validation rows.

# %%
page.figure(
    report.draw_boxes,
    "The boxes of one seed, measured: successive batches of the first and of the last burst of a training, unit steps, softened "
    "inputs. Green with a plus: a step on the task's loss improves the main metric; red with a dash: it worsens it.",
)

# %%
page.text(report.findings)

# %% [markdown]
# ## What we asked besides
#
# - In which share of the batches is a box green, and how does that change along training?
# - Do colours last? Tosses of a coin with the burst's own share of green have no memory; fewer flips than theirs would be memory.
# - Is it the batch? Larger batches should flip less.

# %%
page.table(
    lambda rows: report.box_table(rows, "unit"),
    "Unit steps, means over bursts and seeds. Flips of a coin: the same colours in random order.",
)

# %%
page.table(
    lambda rows: report.pair_table(rows, "unit"),
    "Unit steps, both tasks together. Left out: bursts in which the network has no active unit or has diverged.",
)

# %%
page.table(lambda rows: report.box_table(rows, "raw"), "Raw steps, as long as the gradient times the learning rate.")

# %%
page.table(lambda rows: report.pair_table(rows, "raw"), "Raw steps, both tasks together.")

# %%
page.figure(
    lambda rows: report.draw_shares(rows, "as printed"),
    "Share of green boxes along training, inputs as printed, unit steps: mean and 95% interval over seeds.",
)

# %%
page.figure(lambda rows: report.draw_shares(rows, "softened"), "The same with softened inputs.")

# %%
page.table(
    report.batch_table,
    "Other batch sizes in the same training: Exp2, softened inputs, update as printed, the largest learning rate, unit steps.",
)

# %% [markdown]
# :::{dropdown} How we read the paper
# - **States** of the first figure and table: a training by the main task alone, which learns Exp1 (each head follows its own
#   loss). The steps that are tried from them have the paper's rate, 0.01, move the shared layers alone, and are judged on test
#   rows. All other figures and tables here are of successive batches:
# - **Step size** $s_i$: as in Algorithm 1, the learning rate over the gradient's length (*unit step*), or the learning rate (*raw
#   step*).
# - **Metric**: mean absolute error on the first validation samples, the same throughout, averaged in double precision. A second
#   set of validation samples shows how much of a colour depends on the samples.
# - **Training**: HydaLearn with $\beta = 6$ (Table 6), with the update *as printed* or *scale-matched* (the auxiliary gradient on
#   the shared layers rescaled to the main one's norm); learning rates 0.01, the paper's, and a larger one with which the networks
#   come closer to convergence.
# - **Inputs**: *as printed* (standard Gaussian into a tanh that saturates) or *softened* (what enters the tanh has spread 1); see
#   [Figure 4](fig4_toys).
# - Measured in bursts of successive batches at equal distances along training. The coin has the burst's own share, so that the
#   slow drift from burst to burst is not taken for memory. For $k$ green boxes of $n$ in random order the mean share of flips is
#   $2k(n-k)/(n(n-1))$.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Exercise
#
# A box that is green with probability $p$, independently for each batch, flips in $2p(1-p)$ of the cases. Why must the flips of a
# burst be compared with $2k(n-k)/(n(n-1))$ and not with $2\hat p(1-\hat p)$, where $\hat p = k/n$?
#
# :::{dropdown} Solution
# $\hat p(1-\hat p)$ underestimates $p(1-p)$ by the factor $(n-1)/n$ on average, as every sample variance does. In random order
# the two of a neighbouring pair are drawn without replacement, and they differ with probability $2k(n-k)/(n(n-1))$ exactly.
# :::
