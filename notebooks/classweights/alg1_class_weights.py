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
# # Algorithm 1: do class-wise weights follow the main loss?
#
# The main task's loss $L_m$ should decide what each class $c$ of the auxiliary task weighs ({cite}`yim2020classweights`):
# $w_c \leftarrow w_c - \alpha\, \partial L_m / \partial w_c$ (eq. 5). The weights act on $L_m$ only through the network's next
# update, so the paper replaces the derivative by a ratio of differences between two batches in a row (eqs. 6 to 10),
#
# $$ g_c = \frac{\Delta L^m_c / L_m(0) + \varepsilon}{\Delta (w_c l_c) / L_a(0) + \varepsilon}\; l_c, \qquad
#    w_c \leftarrow \max(w_c - \mathrm{Adam}(g_c),\, 0). $$
#
# It claims that weights of harmful classes converge to nearly zero and those of helpful ones show their importance.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None  # None: the profile's value
first_seed: int = None
rates: dict[str, float] = None  # learning rate by optimizer
alpha: float = None  # rate of the class weights
interval: int = None  # steps between two measurements
harmful: list[str] = None  # classes that are made to harm
images: list[int] = None  # of the training, validation and test part
size: list[int] = None
width: int = None
halvings: int = None
batch: int = None
steps: int = None
check: int = None
device: str = None

# %%
from mtlrepro.parameters import params

p = params(
    "classweights/alg1",
    globals(),
    positive=("seeds", "alpha", "interval", "images", "size", "width", "halvings", "batch", "steps", "check"),
)

# %%
from dataclasses import replace

import pandas as pd
import torch

from mtlrepro import paths, plots, results
from mtlrepro.methods import class_weights as cw
from mtlrepro.papers.classweights import alg1_class_weights
from mtlrepro.papers.classweights import alg1_class_weights_report as report

torch.set_num_threads(1)
plots.use()
runs = results.Runs(p)
derivatives = runs.map(alg1_class_weights.derivatives, alg1_class_weights.settings(p), "derivatives")
still = runs.map(alg1_class_weights.derivatives, alg1_class_weights.still_settings(p), "a network that stands still")
planted = runs.map(alg1_class_weights.planted, alg1_class_weights.planted_settings(p), "planted harm")
rows = report.joined(derivatives, still, planted)
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="synthetic", device=p.device)
page = results.shown(p)

# %%
page.figure(
    lambda rows: report.draw_weights(rows),
    "Weights of each class over the training, means over seeds, by kind of harm and rule; red: classes that were made to harm "
    "depth. "
    "The paper says that these go to nearly zero.",
)

# %%
page.table(
    report.planted_table,
    "Depth's test loss by weights, its change from equal weights, and the final weight of harmful classes minus that of the "
    "others. "
    "Where the harmful classes at weight 0 do not lower the loss, they are not shown to harm.",
)

# %% [markdown]
# ## What it shows

# %%
page.text(report.findings)

# %% [markdown]
# ## What we asked besides
#
# Both differences of the ratio are mostly due to the *images* of the two batches, not to the weights. Does $g_c$ have the sign of
# the derivative more often than by chance? Along a training that follows the ratio, all rules are measured at the same steps. The
# *reference* is the exact derivative with the main loss of other images: where even the exact one agrees with it only now and
# then, a batch is too small to tell.

# %%
page.figure(
    lambda rows: report.draw_agreement(report.derivatives_of(rows)),
    "Share of steps and classes where two rules have one sign, beyond what independent signs of the same frequencies would "
    "give; means "
    "over seeds with 95% intervals.",
)

# %%
page.table(
    lambda rows: report.agreement_table(report.derivatives_of(rows)), "Agreement of the rules, with 95% intervals over seeds"
)

# %% [markdown]
# (errata-eq7-differences)=
# ### A network that stands still
#
# With a learning rate of 0 the network never changes, so no weight can change its main loss: every derivative is 0. The ratio
# does not see that. It compares two batches of different images, and its values are as large as before:

# %%
own_run = replace(page, run="live", body=page.live)
own_run.table(
    report.still_table, "The ratio while the network learns, and while it stands still (SGD, one seed; this build's own run)"
)

# %% [markdown]
# How are the ratios distributed? Where the denominator happens to be near 0, the ratio is huge, and Adam's second moment
# remembers it: later steps of that weight become tiny. And a share above 0 that is not a half pushes all weights one way,
# whatever the class.

# %%
page.figure(
    lambda rows: report.draw_tails(report.derivatives_of(rows)),
    "Size of the derivative over its class's median, trained with Adam: the share of steps in which it is larger.",
)

# %%
page.table(lambda rows: report.tail_table(report.derivatives_of(rows)), "Tails by rule")

# %% [markdown]
# The rule by hand: two classes, two batches. The first class's main and auxiliary loss both grew, the second's main loss grew
# while its auxiliary loss fell: the first weight goes down by Adam's first step, the second up.

# %%
start = cw.class_weight_start(2, torch.tensor(2.0), torch.tensor(1.0))
first = cw.class_weight_step(start, main=torch.tensor([1.0, 1.0]), auxiliary=torch.tensor([0.5, 0.5]))
main, auxiliary = torch.tensor([2.0, 2.0]), torch.tensor([1.0, 0.4])
ratio = cw.difference_gradient(first, main, auxiliary, "class")
second = cw.class_weight_step(first, main, auxiliary, rate=0.1).weights
page.table(pd.DataFrame({"class": ["first", "second"], "ratio": ratio.tolist(), "weight": second.tolist()}), "One step by hand")

# %% [markdown]
# :::{dropdown} How we read the paper
# - **Form**: the paper's code takes each class's own difference as the denominator; eq. 7 prints one for the whole auxiliary loss
#   (*scalar form*). Both are measured; the weights follow the first.
# - **Exact derivative** (ours): through one plain step of rate $\eta$,
#   $\partial L_m(\theta_{t+1}) / \partial w_c = -\eta\, \langle \nabla L_m(\theta_{t+1}), \nabla l_c(\theta_t) \rangle / L_a(0)$,
#   for all classes by one forward-mode product. With Adam it leaves out Adam's scaling, so plain SGD is shown beside.
# - **Data**: synthetic driving-like scenes; depth is the main task, segmentation's classes carry the weights.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Your own data
#
# A model with two outputs and a loader of inputs, main targets and class labels are enough. `model`, `loader` and `classes`, the
# number of classes, are yours; everything else stands here.

# %%
snippet = (paths.book() / "snippets" / "classweights_own_data.py").read_text()
print(snippet.partition("# ruff")[0])

# %% [markdown]
# ## Exercise
#
# Suppose the network did not learn at all between two batches. What would $g_c$ measure?
#
# :::{dropdown} Solution
# Both differences would be those between two sets of images. A batch whose pixels of class $c$ are more, or harder, has a larger
# main *and* a larger auxiliary loss on them: numerator and denominator tend to have the same sign, the ratio is positive, and the
# weight falls, whatever the class does for the main task.
# :::
