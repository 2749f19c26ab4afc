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
# Is it only the LSTM whose shared network wants less capacity than the single ones together? Two tasks with nearly the same
# inputs and labels, SST and MR, are learned by three encoders, each once alone (STL) and once together (MTL)
# {cite}`wu2020understanding`. The claim: for each encoder, the best MTL capacity is below the sum of the two best STL ones.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
seeds: int = None
encoders: list[str] = None  # mlp, cnn, lstm
capacities: list[int] = None
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
p

# %%
import matplotlib.pyplot as plt

from mtlrepro import plots, results
from mtlrepro.papers.transfer import fig10_fig11_capacity
from mtlrepro.papers.transfer.training import sentences as training

plots.use()
runs = results.Runs(p)
ENCODERS = {"mlp": "MLP", "cnn": "CNN", "lstm": "LSTM"}
NETWORKS = {"sst": ("SST", "blue"), "mr": ("MR", "green"), "all": ("MTL, both", "vermillion")}
TASKS = ["sst", "mr"]

# %% [markdown]
# :::{note} How we read the paper
# - **Capacity** is the width of what the shared module gives to the heads: the LSTM's output dimension; for the CNN the number of
#   filters, shared out evenly over windows of 3, 4 and 5 words; for the MLP the width of both layers, on the mean word vector.
# - **Data and training** are those of [Table 1](tab1_capacity): GloVe vectors of 50 dimensions that are trained too, Adam,
#   early stopping on validation, dropout of 0.3. SST and MR share sentences: no sentence of a test or validation part is
#   in a training part, of either task.
# - **Search.** The same for every encoder and for STL and MTL: the learning rate first (at the middle capacity with the first
#   seed), then every capacity with every seed, by validation accuracy, for MTL the mean of both tasks. No test part takes part.
# - **Cuts.** To fit a CPU, each set is cut to a random part of its sentences, and seeds, epochs and capacities are few (the
#   parameters above); the profile `paper` has all sentences and wide grids.
# :::

# %%
sets, vectors = training.load_sets()
real = all(s.is_real for s in sets.values()) and vectors.tier != "synthetic"
tier = "paper's data" if real else "synthetic"
print(f"Data of this run: {tier}" + ("." if real else ": the real sets are not at hand, so these sentences are generated."))
fixed = {"epochs": p.epochs, "patience": p.patience, "batch": p.batch, "how": p.split, "device": p.device}
fixed |= {"rows": p.sentences or None, "data": training.data_digest()}
rows = fig10_fig11_capacity.search(
    lambda settings, what: runs.map(training.train, settings, what=what), TASKS, p.encoders, p.capacities, p.rates, p.seeds, fixed
).drop(columns=["data", "how", "device"])
print(f"Training sentences: {rows.groupby('task').train_sentences.max().to_dict()}.")

# %% [markdown]
# Dots are seeds, lines their mean, stars the capacity with the best mean.

# %%


def curve(axis, rows, color, label=None):
    """Mean over seeds as a line, its best capacity as a star, each seed as a dot."""
    every = fig10_fig11_capacity.accuracy(rows)
    mean = every.groupby("capacity").valid.mean()
    axis.plot(mean.index, mean, color=plots.COLORS[color], label=label)
    axis.plot(every.capacity, every.valid, ".", color=plots.COLORS[color], alpha=0.6)
    axis.plot(mean.idxmax(), mean.max(), "*", markersize=12, color=plots.COLORS[color])
    plots.log_sizes(axis, sorted(every.capacity.unique()), "capacity")


def draw(rows):
    searched = rows[rows.stage == "capacity"]
    shown = [e for e in ENCODERS if e in set(searched.encoder)]
    figure, axes = plt.subplots(1, len(shown), figsize=(plots.WIDTH, 3.0), sharey=True, squeeze=False)
    for axis, encoder in zip(axes[0], shown, strict=True):
        for network, (label, color) in NETWORKS.items():
            curve(axis, searched[(searched.encoder == encoder) & (searched.trained_on == network)], color, label)
        axis.set_title(ENCODERS[encoder])
    axes[0, 0].set_ylabel("validation accuracy (%)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncol=3)
    plots.show(figure)


draw(rows)


# %%
def table(rows):
    searched = rows[rows.stage == "capacity"]
    best = fig10_fig11_capacity.chosen(searched).unstack("trained_on").loc[:, list(NETWORKS)]
    best.insert(2, "sum of STL", best[TASKS].sum(axis=1))
    return best.rename(index=ENCODERS, columns={key: label for key, (label, _) in NETWORKS.items()}).rename_axis("best capacity")


table(rows)

# %% [markdown]
# ## Does it hold?
# A sum of two choices is above a third by mere chance, too. If all three were drawn at random from the grid, the claim would hold
# with this probability ([Table 1](tab1_capacity) has the same for six tasks), so even a clear result says little:

# %%
print(f"{fig10_fig11_capacity.chance(sorted(p.capacities), len(TASKS)):.3f}")

# %% [markdown]
# Beside the paper's claim we test what it would mean for a user: that accuracy falls above the best MTL capacity. For each
# seed the capacity is chosen on the other seeds and compared with the largest on this one.


# %%
def claims(rows):
    searched = rows[rows.stage == "capacity"]
    spare, parts = fig10_fig11_capacity.spare(searched), []
    name = "sum of the best STL capacities minus the best MTL capacity"
    parts += [results.paired(name, spare[e], unit="units", setting=ENCODERS[e]) for e in spare]
    if searched.seed.nunique() > 1:
        gain = fig10_fig11_capacity.below_largest(searched)
        name = "MTL's validation accuracy, capacity chosen on other seeds minus the largest"
        parts += [results.paired(name, gain[e]["all"], unit="points", setting=ENCODERS[e]) for e in spare]
    return parts


data = {name: s.sha256 for name, s in sets.items()} | {"word vectors": vectors.sha256}
verdict = results.record(p.exhibit, rows, p, parts=claims(rows), tier=tier, data=data, seconds=runs.seconds, device=p.device)
print(verdict)
verdict

# %% [markdown]
# ## Recorded runs
# A larger run recorded earlier, drawn by the same functions.

# %%
recorded = results.other_run(p)
if recorded:
    print(f"Profile {recorded.profile}, {recorded.tier}; parameters: {recorded.parameters}")
    draw(recorded.rows)
recorded.verdict if recorded else "No other run is recorded yet."

# %%
table(recorded.rows) if recorded else None
