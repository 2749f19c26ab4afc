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
# The motivation of HydaLearn ({cite}`verboven2020hydalearn`) is a row of boxes for each task, one box a mini-batch: green where a
# step on that task's loss would improve the *main* metric, red where it would worsen it. The point: both rows change colour from
# batch to batch, and each in its own way. So task weights should follow the mini-batch and not a slow trend.
#
# Here the boxes are measured along real training on the paper's two toy problems. The colour of task $i$ is the sign of its gain,
#
# $$ \delta_i = M_m\big(\theta_s - s_i\, g_i,\ \theta_m'\big) - M_m\big(\theta_s,\ \theta_m'\big), $$
#
# with $g_i$ its gradient on the shared parameters and $\theta_m'$ the main head after its own step. Four questions:
#
# 1. In which share of the batches is a box green, and how does that change along training?
# 2. How often does the colour flip from one batch to the next? Independent tosses of a coin with the same share $p$ of green
#    would flip in $2p(1-p)$ of the cases. Fewer flips mean memory: a colour that lasts, and that slow weights could follow.
# 3. How often do the two tasks' boxes differ?
# 4. Is it the batch? Larger batches should flip less.
#
# :::{dropdown} How we read the paper
# - **Step size** $s_i$: as in Algorithm 1, the learning rate over the gradient's length (*unit step*), or the learning rate (*raw
#   step*).
# - **Metric**: mean absolute error on the first validation samples, the same throughout, averaged in double precision. A second
#   set of validation samples shows how much of a colour depends on the samples.
# - **Training**: HydaLearn with $\beta = 6$ (Table 6), with the update *as printed* or *scale-matched* (the auxiliary gradient on
#   the shared layers rescaled to the main one's norm); learning rates 0.01, the paper's, and a larger one with which the networks
#   come closer to convergence.
# - **Inputs**: *as printed* (standard Gaussian into a tanh that saturates) or *softened* (what enters the tanh has spread 1); see
#   [Figure 4](fig4_toys).
# - **"Flips"**: the paper gives no number. We call it shown where at least one batch in ten flips, at least nine tenths as often
#   as the coin, and where the tasks' boxes differ in at least one batch in ten.
# - Measured in bursts of successive batches at equal distances along training. The coin has the burst's own share, so that the
#   slow drift from burst to burst is not taken for memory. For $k$ green boxes of $n$ in random order the mean share of flips is
#   $2k(n-k)/(n(n-1))$.
# :::

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
seeds: int | None = None  # None: the profile's value
first_seed: int | None = None
steps: dict[str, int] | None = None  # updates, by problem
points: dict[str, int] | None = None  # validation samples of either set, by problem
rates: dict[str, list[float]] | None = None  # learning rates, by problem
bursts: int | None = None  # bursts along a training
burst: int | None = None  # successive batches of a burst
batches: list[int] | None = None  # batch sizes of question 4

# %%
from mtlrepro.parameters import params

p = params("hydalearn/fig1", globals(), positive=("seeds", "bursts", "burst", "batches"))

# %%
import pandas as pd
import torch

from mtlrepro import plots, results
from mtlrepro.papers.hydalearn import fig1_flips, fig1_flips_report as report
from mtlrepro.papers.hydalearn.recorded_run import show_recorded

torch.set_num_threads(1)
plots.use()
runs = results.Runs(p)
boxes = runs.map(fig1_flips.measure, fig1_flips.settings(p), "training").assign(part="boxes")
batches = runs.map(fig1_flips.measure, fig1_flips.batch_settings(p), "batch sizes").assign(part="batch size")
rows = pd.concat([boxes, batches], ignore_index=True)

# %% [markdown]
# ## The boxes
#
# One seed, successive batches of the first and of the last burst, unit steps, softened inputs. A plus is green, a dash red.

# %%
plots.show(report.draw_boxes(rows))

# %% [markdown]
# ## Share of green, and flips
#
# By setting, means over bursts and seeds. *Coin*: the flips of the same colours in random order. *Other samples*: the share of
# batches whose colour is the same on other validation samples. *Out*: share of bursts left out because the network is dead (no
# active unit) or diverged.

# %%
report.box_table(rows, "unit")

# %%
report.box_table(rows, "raw")

# %% [markdown]
# Along training: share of green by burst, mean and 95% interval over seeds, unit steps.

# %%
plots.show(report.draw_shares(rows, "as printed"))
plots.show(report.draw_shares(rows, "softened"))

# %% [markdown]
# ## Is it the batch?
#
# Exp2, softened inputs, update as printed, the larger learning rate: the same training with other batch sizes.

# %%
report.batch_table(rows)

# %% [markdown]
# ## Verdict
#
# One effect per seed: the mean over its bursts. Inputs, update, learning rate and kind of step make settings of their own.

# %%
verdict = results.record(p.exhibit, rows, p, parts=report.claims(rows), tier="paper's data", seconds=runs.seconds)
print(verdict)
verdict

# %% [markdown]
# ## Recorded runs
#
# In short, from the longer run: colours do change from batch to batch, nearly everywhere. They change as often as the tosses of a
# coin with the same share of green, and the two tasks' boxes differ as often as two independent coins. So nothing lasts that slow
# weights could follow, but also nothing that the last batch tells about the next one: the motive of the paper holds, and the
# question becomes how much of a colour is the batch and how much is the validation sample (column *same on other samples*). The
# exception is the paper's small rate in Exp2, where every batch still helps the main task.

# %%
show_recorded(
    p,
    [report.draw_boxes, lambda r: report.draw_shares(r, "as printed"), lambda r: report.draw_shares(r, "softened")],
    [lambda r: report.box_table(r, "unit"), report.batch_table],
)

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
