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
# # Figure 10: Choosing capacity by validation
#
# Validation accuracy against the LSTM's output dimension, the *capacity*, is claimed to peak inside the range for the network
# that all six tasks share (MTL), at a capacity below the sum of the six best single-task ones (STL)
# {cite}`wu2020understanding`. It is how the capacities of [Table 1](tab1_capacity) are chosen.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None
capacities: list[int] = None
larger: list[int] = None  # capacities that the shared network alone is tried at as well
rates: list[float] = None  # Adam's learning rate
epochs: int = None  # at most
patience: int = None  # epochs without a better validation accuracy
batch: int = None
sentences: int = None  # at most so many a set; 0: all
split: str = None  # random (80/10/10, the paper's), or auto: official where there is one
device: str = None  # cpu, cuda or auto
reuse: str = None  # a profile of Table 1 whose recorded search is drawn; empty: train here

# %%
from mtlrepro.parameters import params

p = params("transfer/fig10", globals(), positive=("seeds", "capacities", "rates", "epochs", "patience", "batch"))

# %%
from mtlrepro import results
from mtlrepro.papers.transfer import tab1_fig10_fig11_capacity as capacity
from mtlrepro.papers.transfer import tab1_fig10_fig11_report as report
from mtlrepro.papers.transfer.training import sentences as texts

runs = results.Runs(p)
tier, data = texts.sources()
rows = capacity.figure_10(runs, p, data)
results.record(p.exhibit, rows, runs, measured=report.measured_fig10(rows), tier=tier, device=p.device)
page = results.shown(p)

# %%
page.figure(
    report.figure_10,
    "Validation accuracy against capacity. Dots are seeds, the line their mean, the star the capacity with the best mean. Hollow "
    "marks: the paper's chosen capacity and its test accuracy (Table 1).",
)

# %%
page.table(report.table_10, "Mean validation accuracy in percent by capacity, and the best capacity.")

# %% [markdown]
# ## What it shows
# The best of several noisy accuracies is above the accuracy at the largest capacity whatever the networks learn. So the
# capacity is chosen on validation, and what it gains over the largest one is read on test. Where the largest capacity itself is
# best, the grid has no interior peak to show, and a wider one is needed.
#
# :::{dropdown} How we read the paper
# - **Cross validation** is validation on the 10% development part of a random split, a fresh split for each seed.
# - **Data, model, training** are those of [Table 1](tab1_capacity), where its readings stand; no sentence of any task's test or
#   validation part is in a training part of another. MTL's accuracy is the mean over tasks.
# - **Cuts.** Where the parameter `reuse` names a profile, the search recorded for Table 1 with that profile is drawn, and nothing
#   is trained: it holds few seeds and few capacities, since an LSTM on all sentences takes hours on a CPU. Else networks are
#   trained here, the rate chosen first (at the middle capacity with the first seed), then every capacity with every seed;
#   the quick profile does so on a random part of the sentences.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Exercise
# Comparing one choice with a sum of six says little. With what probability does "the shared capacity is below the sum" hold if
# all seven are drawn at random from the grid?
#
# :::{dropdown} Solution
# Count: `capacity_choice.chance(capacities, 6, capacities)` in `mtlrepro.papers.transfer`. It is near 1, since only the largest
# capacities can reach the sum of six at all.
# :::
