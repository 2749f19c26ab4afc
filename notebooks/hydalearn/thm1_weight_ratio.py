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
# # Theorem 1: the weight ratio, and the factor it drops
#
# HydaLearn sets task weights in proportion to gains ({cite}`verboven2020hydalearn`, Theorem 1, eqs. 6 to 10). With $M$ the main
# metric, larger being better, $g_i$ the gradient of task $i$'s loss and $\delta_i$ what $M$ gains by a step $-\alpha w_i g_i$:
#
# $$ \delta_i \approx -\alpha w_i \langle \nabla M, g_i \rangle \quad (6, 7), \qquad
#    \frac{\delta_m}{\delta_a} \approx \frac{w_m}{w_a} \cdot \frac1q, \quad
#    q = \frac{\langle \nabla M, g_a \rangle}{\langle \nabla M, g_m \rangle} \quad (8, 9). $$
#
# The paper then assumes $q \approx 1$, "expected to hold" when there are many parameters and the losses are on the same scale,
# and concludes $w_m / w_a \approx \delta_m / \delta_a$ (10).

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None  # None: the profile's value
first_seed: int = None
instances: int = None  # random problems for the equations
steps: dict[str, int] = None  # updates, by problem
every: int = None  # measured is one step of so many
points: int = None  # validation samples of the gains that train
sizes: dict[str, list[int]] = None  # validation samples of either half, by problem
widths: list[int] = None  # of the shared layers
width_steps: int = None

# %%
from mtlrepro.parameters import params

p = params("hydalearn/thm1", globals(), positive=("seeds", "instances", "every", "points", "widths", "width_steps"))

# %%
import torch

from mtlrepro import plots, results
from mtlrepro.papers.hydalearn import thm1_weight_ratio, thm1_weight_ratio_report as report

torch.set_num_threads(1)
plots.use()
runs = results.Runs(p)
rows = runs.map(thm1_weight_ratio.measure, thm1_weight_ratio.settings(p), "instances and trainings")
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="paper's data")
page = results.shown(p)

# %%
page.figure(
    lambda rows: report.draw_factor(rows, "softened"),
    "The factor $q$ along training of HydaLearn on both toy problems, by quarter of training: along raw gradients, as in the "
    "theorem, and along gradients of unit length, as in the fake updates. The theorem assumes that it is near 1. Softened "
    "labels.",
)

# %% [markdown]
# ## What it shows

# %%
page.text(report.findings)

# %% [markdown]
# Equations 6 to 9 are true. But $q$ is the ratio of the two gains themselves, so that eq. 9 returns whatever weights it is given,
# and $q$ is hardly ever near 1. **What the rule is**: not a solution of eqs. 6 to 8, which fix no weights, but a heuristic: try
# each task's step, and weight by what it gained. That needs no assumption on $q$; it lives from $q$ being different from 1.
#
# (errata-thm1-differentiable)=
# ## Equations 6 to 8 hold to first order
#
# Random smooth networks with random data, weights and metric samples, in float64. The error of the first-order gain should fall
# with the square of the step size: slope 2 in the picture, and slope 1 for the relative error of the ratio, eq. 8. The absolute
# error has kinks, but few of them lie on a short step. AUROC, the paper's metric on both real data sets, is a step function: its
# gradient is zero wherever it exists, so the equations read $0 \approx 0$ and $q$ is $0/0$, and of short steps nearly all gain
# exactly nothing.

# %% tags=["slide"]
page.figure(
    report.draw_taylor,
    "Error of the first-order gain, and relative error of the ratio, against the step size: medians and quartiles over random "
    "smooth networks with random data, weights and metric samples, in float64. Dashed: the slopes that a smooth metric has.",
)

# %%
page.table(report.order_table, "Slopes of log error against log step size, and gains that are exactly zero.")

# %% [markdown]
# (errata-thm1-circular)=
# ## With the factor kept, the weights go in a circle
#
# By eqs. 6 and 7, steps of equal weight gain in the ratio $\delta_m / \delta_a = 1/q$: the factor *is* the inverse ratio of
# gains. So eq. 9 holds for any weights whatsoever, returns those it is given, and determines nothing; at equal weights it gives
# $w_m = w_a$ always. The only thing that makes eq. 10 differ from that is the error of its assumption: it gives $1/q$ times the
# ratio put in. Were the assumption true, both gains would be equal, and the rule would weight both tasks alike in every step.

# %%
page.table(
    report.circle_table,
    "Steps whose weights have the ratio on the left give the ratios on the right, over random instances. Sizes are absolute "
    "values.",
)

# %% [markdown]
# (errata-thm1-weighted-steps)=
# The table also shows why it matters that the appendix and the algorithm mean different gains. The appendix's fake steps carry
# the weights $w_{m,t+1}, w_{a,t+1}$ that are sought; those of Algorithm 1 (lines 13 and 17) carry none. Eq. 10 with weighted
# steps, applied again and again, multiplies the ratio by $1/q$ each time, until one task has all the weight; $\beta$ rounds of
# it from equal weights are eq. 5. The algorithm does one round from equal weights.
#
# ## The factor along training

# %%
page.table(
    report.factor_table,
    "The factor over all measured steps. Raw depends on the units of the losses; a factor that is negative or far from 1 for "
    "vectors of unit length is so because of directions.",
)

# %%
page.table(
    report.error_table,
    "How much the networks have learnt by the end (mean absolute error on test data; labels that are nearly signs start near 1).",
)

# %% [markdown]
# (errata-thm1-assumption)=
# ## Many parameters and equal scales
#
# Random directions in $p$ dimensions show what dimension does: let $g_m$ have a fixed cosine with $\nabla M$ and draw $g_a$ at
# random, as a task that has nothing to do with the metric. Then $|q|$ shrinks like $1/\sqrt p$. More dimensions bring the factor
# closer to the ratio of the *true* alignments, and that is 1 only if the auxiliary task is as useful as the main one.

# %%
page.table(report.direction_table, "The factor for random directions, by dimension.")

# %% [markdown]
# On the toy problems themselves: networks of other widths, and labels of equal scale ($\sigma_a = 1$; Exp2's auxiliary labels are
# on the main ones' scale by construction).

# %%
page.figure(
    report.draw_widths,
    "Share of the steps in which the factor is within a factor of two of 1, and in which it is negative, against the width of "
    "the shared layers: mean and 95% interval over seeds.",
)

# %% [markdown]
# (errata-thm1-optimal)=
# ## What the rule maximises
#
# Let a step of weight 1 on task $i$ gain $\delta_i$. To first order, weights gain $w_m\delta_m + w_a\delta_a$, and under $w_m +
# w_a = W$, $w \ge 0$ the largest is $W \max(\delta_m, \delta_a)$: **all weight to the larger gain**. The proportional rule is
# not that. With two positive gains of ratio $r \le 1$ it gains $(1 + r^{\beta+1}) / (1 + r^\beta)$ of it: at least
# $2(\sqrt2 - 1)$ with $\beta = 1$, and closer to all with a larger $\beta$. What eq. 5 does maximise, by Hölder's inequality, is
# the first-order gain among weights of the same $p$-norm, $p = 1 + 1/\beta$: for $\beta = 1$ those with the same $w_m^2 + w_a^2$,
# which is steepest ascent in the weights. For two negative gains the printed ratio is not even better than equal weights
# ([Algorithm 1](alg1_hydalearn)).

# %%
page.figure(
    report.draw_rule(),
    "First-order gain (left) and harm (right) of the rule, as a share of the larger one, against the ratio of the two gains.",
)

# %%
page.table(
    report.best_table,
    "Random pairs of gains: how often the rule is below the best weights of the same sum, and how often random weights of the "
    "same p-norm beat it.",
)

# %% [markdown]
# ## What we asked besides
#
# ### Do better weights gain more?
#
# At the traced steps of a training, several rules take the *same* real update from the same gradients; gains that set the
# weights come from the first validation samples, the gain of the update is measured on others. In Exp1, hardly learnt at this
# length of training, gains are tiny.

# %%
page.table(
    lambda rows: report.update_table(rows, "softened", "as printed"),
    "Mean gain of a step in thousandths of the MAE, by the signs of the two gains. Softened labels, update as printed.",
)

# %%
page.table(lambda rows: report.update_table(rows, "softened", "scale-matched"), "The same, scale-matched.")

# %% [markdown]
# ### How often the two gains disagree in sign
#
# By first-order gains, which are about directions alone, and by measured ones, which include the curvature along the step: a fake
# step of unit gradient length is longer than the real one wherever the gradient is shorter than 1. Then both gains can be
# negative although both directions are good.

# %%
page.table(lambda rows: report.sign_table(rows, "as printed"), "Shares of the signs of the two gains, update as printed.")

# %%
page.table(lambda rows: report.sign_table(rows, "scale-matched"), "The same, scale-matched.")

# %%
page.table(
    report.step_table,
    "How good the first-order gain is at the step sizes that training uses. Slope: of measured on first-order gains.",
)

# %% [markdown]
# ### Are the weights signal or noise?
#
# The same steps, weighted twice: with gains from $n$ validation samples and from $n$ others. The correlation of the two auxiliary
# shares $w_a / (w_m + w_a)$ over the steps of a quarter of training is the part of their variance that belongs to the batch;
# the rest is chance in the choice of validation samples.

# %%
page.figure(
    report.draw_noise,
    "Correlation of the weights from disjoint sets of validation samples against their number, within quarters of the training: "
    "mean and 95% interval over seeds.",
)

# %%
page.table(report.noise_table, "Agreement of the weights from disjoint sets of validation samples.")

# %% [markdown]
# :::{dropdown} How we read the paper
# - "$\approx$" in eqs. 6 and 7: an error of second order in $\alpha$. In eq. 10: within a factor of two, a generous reading.
# - $\theta$: the shared parameters, the only ones that the task weights move.
# - Along training, $q$ and all gains are taken where Algorithm 1 takes its gains: at the heads' new values, on the same samples.
#   *Raw*: with the gradients as they are, as in the theorem. *Unit length*: with those of the fake updates (ExpImp-0, c-i).
# - *As printed*: raw gradients in the real update. *Scale-matched*: the auxiliary one has the norm of the main one.
# - *Paper's values*: labels of eq. 11 with standard Gaussian inputs as they are (nearly signs), learning rate 0.01. *Softened*:
#   what enters the tanh of the labels has standard deviation 1, learning rate 0.1; the networks learn more of it.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Exercise
#
# Start from $w_m = w_a$, apply eq. 10 to the gains of the *weighted* steps, put the new weights into the steps, and repeat. Which
# weights are fixed points?
#
# :::{dropdown} Solution
# One round turns the ratio $\rho$ into $\rho / q$, so after $k$ rounds it is $q^{-k}$. For $q > 0$ other than 1 only 0 and
# $\infty$ stay as they are, and the second attracts if $q < 1$: all weight to the task with the larger gain, the optimum.
# :::
