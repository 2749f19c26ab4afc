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
#
# That comparison is between $k$ models and one. To know what the *groups* add, two more kinds of $k$ models are trained, with the
# same number of updates in the same way:
#
# - **random groups**: the same memberships, dealt to other tasks. If grouping by data maps matters, this must be worse;
# - **no groups**: every membership $1/k$, that is, an ensemble of $k$ multi-task models that differ in their seeds only.
#
# :::{dropdown} How we read the paper
# - **Memberships**: $F = 2$, from the data maps of one multi-task training, as on [the page of Figures 4 and 5](fig4_groups); two
#   clusters for G1, three for G2, twenty for G3, and five besides.
# - **Average** of logits, as in the published code; of probabilities beside it. Threshold 1/2. F1 of the positive class, mean
#   over tasks.
# - **Nothing is chosen** on test or validation images: fixed rate and epochs, the last state, for every method alike.
# - **Cuts**: a small residual network on images of 16 x 16 pixels and the first training images only; see the parameters.
#   Without CIFAR at hand digits take its place, and G3 is left out.
# :::

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
seeds: dict[str, int] = None  # seeds by task set; None: the profile's value
first_seed: int = None
images: int = None  # training images
tests: int = None  # test images
epochs: int = None
widths: list[int] = None  # channels of the stages; empty: ResNet-18
side: int = None  # pixels a side
clusters: dict[str, list[int]] = None  # numbers of clusters, by task set
fuzziness: float = None
device: str = None  # cpu, cuda, or auto

# %%
from mtlrepro.parameters import params

p = params("stgmtl/fig7", globals(), positive=("images", "tests", "epochs", "side"))

# %%
from mtlrepro import plots, results
from mtlrepro.papers.stgmtl import fig7_f1, fig7_f1_report
from mtlrepro.papers.stgmtl.training.image_runs import provenance

plots.use()
runs = results.Runs(p)

# %% [markdown]
# ## Training

# %%
settings = fig7_f1.settings(p)
rows = runs.map(fig7_f1.grouped_f1, settings, "trainings")

# %% [markdown]
# ## Mean F1

# %%
plots.show(fig7_f1_report.draw(rows))

# %% [markdown]
# STG-MTL's test F1 minus the others', paired over seeds, with 95% intervals; and what averaging probabilities in place of logits
# does.

# %%
fig7_f1_report.gain_table(rows)

# %% [markdown]
# ## Verdict

# %%
verdict = results.record(p.exhibit, rows, p, parts=fig7_f1_report.claims(rows), seconds=runs.seconds, **provenance(settings))
print(verdict)
verdict

# %% [markdown]
# ## Recorded runs

# %%
recorded = results.other_run(p)
if recorded:
    plots.show(fig7_f1_report.draw(recorded.rows))
recorded.verdict if recorded else "No other run is recorded yet."

# %%
fig7_f1_report.gain_table(recorded.rows) if recorded else None

# %% [markdown]
# ## Exercise
#
# With $F \to \infty$ every membership is $1/k$. What is STG-MTL then, and which bar of the figure shows it? What is it with
# $F \to 1$ and $k$ equal to the number of tasks?
#
# :::{dropdown} Solution
# With equal memberships all $k$ models have the same loss, a multi-task one divided by $k$, which Adam does not see, and their
# logits are averaged: an ensemble, *no groups*. With hard memberships and one cluster a task, each model is trained on one task:
# *single-task*. STG-MTL lies between the two.
# :::
