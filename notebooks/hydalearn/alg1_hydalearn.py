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
# # Algorithm 1: HydaLearn, line by line
#
# HydaLearn ({cite}`verboven2020hydalearn`, Algorithm 1 and eqs. 2 to 5) weights the two losses of a batch by what a step on each
# gains on the main metric, $w_m / w_a = (\delta_m / \delta_a)^\beta$ with $w_m + w_a = W$, and the paper claims that a step with
# these weights improves the main metric more than one with equal weights.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None  # None: the profile's value
first_seed: int = None
instances: int = None  # runs of either switch beside the algorithm written out
steps: int = None  # updates of a training
rates: list[float] = None  # lowest and highest learning rate
grid: int = None  # learning rates
batches: list[int] = None  # batch sizes
points: list[int] = None  # validation samples on which gains are measured
rounds: int = None  # of the timing
visited: dict[str, dict] = None  # by problem, arguments of visited_states.visit; seeds: how many

# %%
from mtlrepro.parameters import params

p = params("hydalearn/alg1", globals(), positive=("seeds", "instances", "steps", "rates", "grid", "batches", "points", "rounds"))

# %%
import pandas as pd
import torch
from torch import nn

from mtlrepro import plots, results
from mtlrepro.papers.hydalearn import alg1_hydalearn, alg1_hydalearn_report as report
from mtlrepro.papers.hydalearn.training import visited_states

torch.set_num_threads(1)
plots.use()
runs = results.Runs(p)
trained = runs.map(alg1_hydalearn.measure, alg1_hydalearn.settings(p), "steps and trainings")
visited = runs.map(visited_states.visit, visited_states.settings(p), "visited states").query("kind == 'visit'")
rows = pd.concat([trained, visited[report.VISITED]], ignore_index=True)
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="paper's data")
page = results.shown(p)

# %%
page.table(
    report.variant_table,
    "Variants of the algorithm on Exp2 (unrelated auxiliary task, softened labels): test error, minus our reading's on the same "
    "seeds, the auxiliary task's share of the weight, and the share of steps with two negative gains, where eq. 4 is on.",
)

# %% [markdown]
# ## What it shows

# %%
page.table(
    report.step_table,
    "Single steps along HydaLearn's training at the paper's rate, measured on rows that the weights do not use: how the main "
    "weight ranks the mini-batches of an epoch against what the main unit step gains more than the auxiliary one, and how often "
    "the step gains more than with equal weights. Means over epochs and seeds.",
)

# %%
page.text(report.findings)

# %% [markdown]
# ## The algorithm and the code
#
# | lines | what | code in `mtlrepro.methods.hydalearn` |
# |---|---|---|
# | 9 | $w_m = w_a = W/2$, a first $\mu_0$ | `total`; weights are computed before they are first used |
# | 28, 29 | for each mini-batch | `mtlrepro.training.fit` |
# | 30 to 32 | each head takes a plain step, $\theta_i - \alpha \nabla_{\theta_i} L_i$ | `_moved`, `weight_heads = False` |
# | 13, 17 | fake steps of the shared parameters, $\theta_s - \alpha g_i$, unit length in ExpImp-0 | `_sizes`, `normalise` |
# | 14, 18 | main metric $M$ after each, at the moved heads | `Step.look_ahead` |
# | 15, 19 | gains $\delta_i = \mu_i - \mu_t$ | `gains`; `carried` for the printed reference |
# | 20 | $w_m / w_a = (\delta_m / \delta_a)^\beta$, $w_m + w_a = W$ (eqs. 3, 5) | `gain_weights`, `beta` |
# | | $W' = W / (1 + \exp(-w_a/w_m))$ if both gains are negative (eq. 4) | `downscale` |
# | 21 to 25 | the better fake metric becomes the next reference | only with `carried` |
# | 34 to 36 | $\theta_s - \alpha (w_m g_m + w_a g_a)$, raw gradients | the optimizer, `Step.weighted_gradients` |
#
# (errata-alg1-line-32)=
# ## Misprints
#
# *Line 32* reads $\theta_{a,t+1} \leftarrow \theta_{m,t} - \alpha\nabla_{\theta_{a,t}} L_a$: the auxiliary head would start every
# step from the main head's values. It must be $\theta_{a,t}$. The two heads need not even have the same shape.
#
# (errata-alg1-line-36)=
# *Line 36* reads $\theta_{t+1} \leftarrow \theta_t - \alpha\nabla L(\theta_t)$ with $\theta_t = [\theta_{s,t}, \theta_{m,t},
# \theta_{a,t}]$: the heads of line 31 and 32 would be overwritten by a weighted step from their old values, and a task of weight
# zero would not train its head at all. Line 34 says "shared layers"; it must be $\theta_s$. What it would do is in the table of
# variants below ("heads weighted").
#
# (errata-alg1-carried)=
# ## The carried-over reference
#
# In eqs. 6 and 7 a gain is $M(\theta_{t+1}) - M(\theta_t)$. In lines 21 to 25 the reference of the next step is the better of the
# two *fake* metrics: that of a point which training undoes and never visits, with other heads.

# %%
page.table(report.carried_table, "How far the carried-over reference is from M(θ), in units of what the gains differ by.")

# %% [markdown]
# The error shifts both gains alike, so it changes their signs and their ratio, all that the rule looks at.
#
# (errata-alg1-negative)=
# ## Two negative gains
#
# Line 20 takes the ratio of two negative gains as it is, and eq. 4 is made for this case. But $(-3)/(-1) = 3$: the task that
# hurts three times as much gets three times the weight.

# %%
page.table(
    pd.DataFrame(alg1_hydalearn.weights_of([(3, 1), (1, 3), (-3, -1), (-1, -3)])),
    "The printed rule for pairs of gains, W = 2.",
)

# %% tags=["slide"]
page.figure(
    report.draw_geometry(),
    "Two harmful unit steps, and the updates that the printed, equal and inverted weights make of them ($W = 2$, without eq. 4).",
)

# %%
page.table(report.negative_table, "The printed rule on random pairs of negative gains, log-normal in size.")

# %% [markdown]
# Eq. 4's factor lies between 1/2 and 1. It tends to 1/2 where the main task has the weight and to 1 where the auxiliary one has
# it: in the printed rule that is where the *auxiliary* task hurts more, and there nothing is scaled down.
#
# How often both gains are negative, and what it costs in the end, is in the table of variants; what a single step gains under
# either rule is on the page of [Theorem 1](thm1_weight_ratio). *Inverted*, a variant of ours, inverts the ratio of two negative
# gains.
#
# ## What we asked besides
#
# ### The code does what the algorithm says
#
# The algorithm is written out a second time with Python numbers and parameters set by hand, sharing nothing with the method's
# code. Both train the same networks in float64 on the same batches, under every switch.

# %%
page.table(report.algorithm_table, "Largest difference of any weight in any step and of any parameter in the end, by switches.")

# %% [markdown]
# ### Batch size and validation size

# %%
page.figure(
    report.draw_sweeps,
    "Test error and spread of the weights against the batch size and the number of validation samples of the gains: mean and 95% "
    "interval over seeds, Exp2, softened labels.",
)

# %%
page.table(report.sweep_table, "The same in numbers.")

# %% [markdown]
# ### First-order gains: accuracy and cost
#
# $-\alpha \langle \nabla M, g_i \rangle$ in place of a fake step, which the authors name as future work: one gradient of the
# metric (here of the loss on the validation samples) instead of three evaluations. Its accuracy is in the table of variants.

# %%
page.table(
    report.cost_table,
    "Cost of a step beside a plain static one, on the network of Exp1 with 2,000 validation samples, one thread.",
)

# %% [markdown]
# A backward pass over the validation samples costs what two forward ones do, so nothing is saved until one gradient of the metric
# serves several steps.
#
# ### More than one auxiliary task
#
# Our extension: tasks with positive gains share $W$ in proportion to $\delta^\beta$; if there is none, all share as two would.
# A main task, a related one and one with shuffled labels, few training samples, scale-matched.

# %%
page.table(report.several_table, "Three tasks: test error of the main one, and mean shares of the weight.")

# %% [markdown]
# ## Your own model in under ten lines
#
# Any model with `shared_parameters()` and loaders of (inputs, label of task 0, label of task 1). Here a yes-no label with a
# related number, and AUROC as the metric:

# %%
model, training_loader, validation_loader = alg1_hydalearn.own_example()

# %%
from mtlrepro.methods.hydalearn import HydaLearn
from mtlrepro.training import fit, labelled, task_losses
from mtlrepro.training.metrics import auroc, measured_on

metric = measured_on(validation_loader, auroc)  # of the first task, on all validation data
losses = task_losses(nn.functional.binary_cross_entropy_with_logits, nn.functional.mse_loss)
sgd = torch.optim.SGD(model.parameters(), lr=0.1)
hydalearn = HydaLearn(metric, beta=3.0)
fit(model, labelled(training_loader), losses, optimizer=sgd, epochs=15, weighting=hydalearn, validate=lambda m: metric(m)[None])
model.eval()
print(f"validation AUROC {float(metric(model)):.3f}, last weights {hydalearn.weights.tolist()}")

# %% [markdown]
# :::{dropdown} How we read the paper
# - **Reference** $\mu_t$: the metric at the moved heads and unchanged shared parameters, computed anew in every step.
# - **Mixed signs**: all weight to the task with the positive gain, the limit of a ratio clipped to $[0, \infty)$. A gain of zero
#   counts as not negative. **Two negative gains**: the printed ratio, which is positive, and eq. 4.
# - **Line 36** moves the shared parameters only, as line 34 says.
# - **Scale of the real update**: *as printed*, raw gradients; *scale-matched*, the auxiliary one rescaled to the norm of the main
#   one. Both are shown everywhere.
# - Trainings here: Exp2 (unrelated auxiliary task) with softened labels, see [Figure 4](fig4_toys). Each seed takes the learning
#   rate and the number of updates that are best on its validation set; $\beta = 6$ as in Table 6.
# :::

# %%
page.this_run()
