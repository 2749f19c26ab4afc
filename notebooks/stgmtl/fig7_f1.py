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
# # Figure 7: does the grouping pay?
#
# For each of $k$ soft clusters the paper ({cite}`sherif2023stgmtl`) trains one model on *all* tasks, with the loss of task $t$
# weighted by its membership $u_{tj}$, and predicts task $t$ by $\sum_j u_{tj}\, z_{jt}$, the models' logits weighted alike. It
# claims a **higher mean F1 on test images than one multi-task model, and on G1 and G2 than single-task models**.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: dict[str, int] = None  # seeds by task set; None: the profile's value
first_seed: int = None
images: int = None  # training images
tests: int = None  # test images
epochs: int = None
widths: list[int] = None  # channels of the stages; empty: ResNet-18
side: int = None  # pixels a side
clusters: dict[str, list[int]] = None  # numbers of clusters, by task set
single_tasks: dict[str, int] = None  # tasks with a single-task model, by task set
deals: dict[str, int] = None  # deals of random groups in each seed, by task set
fuzziness: list[float] = None  # values of F; the paper's is 2
device: str = None  # cpu, cuda, or auto

# %%
from mtlrepro.parameters import params

p = params("stgmtl/fig7", globals(), positive=("images", "tests", "epochs", "side"))

# %%
from mtlrepro import plots, results
from mtlrepro.papers.stgmtl import fig7_f1
from mtlrepro.papers.stgmtl import fig7_f1_report as report
from mtlrepro.papers.stgmtl.training import image_runs

plots.use()
runs = results.Runs(p)
settings = fig7_f1.settings(p)
rows = runs.map(fig7_f1.grouped_f1, settings, "trainings", data=image_runs.digests(settings))
tier, device = image_runs.tier(settings), str(image_runs.choose(p.device))
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier=tier, device=device)
page = results.shown(p)

# %% tags=["slide"]
page.figure(
    report.draw,
    "Mean F1 over tasks on training and test images, by task set and number of clusters k. Bars: means, dots: seeds. The paper's "
    "numbers are in a picture that our copy lacks.",
)

# %% [markdown]
# The same values, and what each method has to spend: *networks*, all of one size, that answer, so that parameters are equal where
# they are; *trainings*, all of one length. STG-MTL needs one more than its networks, which gives the data maps.

# %%
page.table(report.score_table, "F1 and average precision, means over tasks and seeds, F = 2")

# %% [markdown]
# ## What it shows

# %%
page.text(report.findings)

# %% [markdown]
# ## What we asked besides
#
# The paper compares $k$ models with one. To know what the *groups* add, two more kinds of $k$ models are trained, with the same
# number of updates in the same way:
#
# - **random groups**: the same memberships, dealt to other tasks, once or more in each seed (`deals`). If grouping by data maps
#   matters, this must be worse;
# - **no groups**: every membership $1/k$, that is, an ensemble of $k$ multi-task models that differ in their seeds only.
#
# With $F = 2$ memberships are near $1/k$ where there are many clusters; the parameter `fuzziness` takes smaller $F$ as well. Is
# the data map worth anything beyond the ensemble?

# %%
page.text(report.worth)

# %%
page.figure(
    report.draw_gain,
    "What grouping by data maps gains on random groups, left, and on an ensemble without groups, right, by number of clusters "
    "and fuzziness: mean test F1, means over seeds with 95% intervals.",
)

# %% [markdown]
# F1 at threshold 1/2 mixes how well positives are ranked with where the positive weight puts the threshold; average precision is
# ranking alone. *Entropy*: of the memberships, over that of uniform ones; at 1 every model is a multi-task model.

# %%
page.table(report.gain_table, "STG-MTL minus the others, paired over seeds, with 95% intervals of test F1")

# %% [markdown]
# Does the answer move with the epochs? The rate is constant, so each point is what so many epochs would have given; training F1
# before the last is of as many images as the test set has.

# %%
page.figure(report.draw_curves, "Mean F1 by epochs of training, F = 2, means over seeds.")

# %% [markdown]
# What is missing to an answer at the full profile's size? Core hours follow from its trainings, images and epochs, at the
# network's measured throughput.

# %%
page.table(report.cost_table, "Trainings and core hours of the full profile, and what this run lacks of it")

# %% [markdown]
# :::{dropdown} How we read the paper
# - **Memberships**: $F = 2$, from the data maps of one multi-task training, as on [the page of Figures 4 and 5](fig4_groups); in
#   two and three clusters for G1, three and five for G2, ten and twenty for G3, as far as the profile goes; the paper's numbers
#   of clusters and epochs are lost in our copy.
# - **Average** of logits, as in the published code. Threshold 1/2. F1 of the positive class, mean over tasks.
# - **Initial weights** are each model's own, images and their order those of the seed. All models have the same number of
#   updates; *random groups* and *no groups* have as many models as STG-MTL, so equal parameters and equal training in all.
# - **Nothing is chosen** on test or validation images: fixed rate and epochs, the last state, for every method alike.
# - **Cuts**: in the quick profile a small residual network on few images of 16 x 16 pixels; in the full one, for want of hours,
#   10,000 images, of G2 three clusters only and of G3 ten, single-task networks of ten of G3's tasks, one deal, $F = 2$. Without
#   CIFAR at hand digits take its place, and G3 is left out.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Exercise
#
# With $F \to \infty$ every membership is $1/k$. What is STG-MTL then, and which bar of the figure shows it? What is it with
# $F \to 1$ and $k$ equal to the number of tasks?
#
# :::{dropdown} Solution
# With equal memberships all $k$ models have the same loss, a multi-task one divided by $k$, which Adam does not see, and their
# logits are averaged: an ensemble, *no groups*. With hard memberships and one cluster per task, each model is trained on one
# task: *single-task*. STG-MTL lies between the two.
# :::
