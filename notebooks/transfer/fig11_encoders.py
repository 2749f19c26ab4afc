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
# # Figure 11: Capacity of MLP, CNN and LSTM
#
# On two tasks with nearly the same inputs and labels, SST and MR, the best capacity of the shared network (MTL) is claimed to be
# below the sum of the two best single-task ones (STL) for each of three encoders {cite}`wu2020understanding`.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None
encoders: list[str] = None  # mlp, cnn, lstm
capacities: list[int] = None
larger: list[int] = None  # capacities that the shared network alone is tried at as well
rates: list[float] = None  # Adam's learning rate
epochs: int = None  # at most
patience: int = None  # epochs without a better validation accuracy
batch: int = None
sentences: int = None  # at most so many a set; 0: all
split: str = None  # random (80/10/10, the paper's), or auto: official where there is one
device: str = None  # cpu, cuda or auto

# %%
from mtlrepro.parameters import params

p = params("transfer/fig11", globals(), positive=("seeds", "encoders", "capacities", "rates", "epochs", "patience", "batch"))

# %%
from mtlrepro import results
from mtlrepro.papers.transfer import tab1_fig10_fig11_capacity as capacity
from mtlrepro.papers.transfer import tab1_fig10_fig11_report as report
from mtlrepro.papers.transfer.training import sentences as texts

runs = results.Runs(p)
tier, data = texts.sources()
rows = capacity.figure_11(runs, p, data)
results.record(p.exhibit, rows, runs, measured=report.measured_fig11(rows), tier=tier, device=p.device)
page = results.shown(p)

# %%
page.figure(
    report.figure_11,
    "Validation accuracy against capacity, for each encoder. Dots are seeds, lines their mean, stars the capacity with the best "
    "mean. Hollow marks: the paper's capacities and test accuracies of SST and MR alone with an LSTM (Table 1).",
)

# %%
page.table(
    report.table_11, "Best capacities by mean validation accuracy, and what the shared network loses one step beside its best."
)

# %% [markdown]
# ## What it shows
# A sum of two choices is above a third by mere chance, too, so even a clear result says little. What would matter to a user is
# whether accuracy falls beside the best shared capacity: the table's last two columns.

# %%
page.text(report.findings_fig11)

# %% [markdown]
# :::{dropdown} How we read the paper
# - **Capacity** is the width of what the shared module gives to the heads: the LSTM's output dimension; for the CNN the number of
#   filters, shared out evenly over windows of 3, 4 and 5 words; for the MLP the width of both layers, on the mean word vector.
# - **Data and training** are those of [Table 1](tab1_capacity): GloVe vectors of 50 dimensions that are trained too, Adam,
#   early stopping on validation, dropout of 0.3. SST and MR share sentences: no sentence of a test or validation part is
#   in a training part, of either task.
# - **Search.** The same for every encoder and for STL and MTL: the learning rate first (at the middle capacity with the first
#   seed), then every capacity with every seed, by validation accuracy, for MTL the mean of both tasks. No test part takes part.
# - **Claims.** Each seed chooses its own capacities, which gives one ratio per seed.
# - **Cuts.** The learning rate is searched at one capacity, with one seed. The quick profile has a random part of the sentences,
#   few seeds and a narrow grid; `paper` has the widest grid.
# :::

# %%
page.this_run()
