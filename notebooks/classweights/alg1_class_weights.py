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
# It claims that weights of harmful classes converge to nearly zero and those of helpful ones show their importance. Two
# questions the paper does not ask:
#
# 1. Both differences are mostly due to the *images* of the two batches, not to the weights. Does $g_c$ have the sign of the
#    derivative more often than by chance?
# 2. Where we *know* which classes harm, do their weights fall?
#
# :::{note} How we read the paper
# - **Form**: the paper's code takes each class's own difference as the denominator; eq. 7 prints one for the whole auxiliary loss
#   (*scalar form*). Both are measured; the weights follow the first.
# - **Exact derivative** (ours): through one plain step of rate $\eta$,
#   $\partial L_m(\theta_{t+1}) / \partial w_c = -\eta\, \langle \nabla L_m(\theta_{t+1}), \nabla l_c(\theta_t) \rangle / L_a(0)$,
#   for all classes by one forward-mode product. With Adam it leaves out Adam's scaling, so plain SGD is shown beside.
# - **Data**: synthetic driving-like scenes; depth is the main task, segmentation's classes carry the weights.
# :::

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
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
import pandas as pd
import torch

from mtlrepro.papers.classweights import alg1_class_weights_report as figures
from mtlrepro import paths, plots, results
from mtlrepro.methods import class_weights as cw
from mtlrepro.papers.classweights import tab1_trade_off
from mtlrepro.papers.classweights import alg1_class_weights as study

torch.set_num_threads(1)
plots.use()
runs = results.Runs(p)

# %% [markdown]
# ## The rule by hand
#
# Two classes, two batches. The first class's main and auxiliary loss both grew, the second's main loss grew while its auxiliary
# loss fell: the first weight goes down by Adam's first step, the second up.

# %%
start = cw.class_weight_start(2, torch.tensor(2.0), torch.tensor(1.0))
first = cw.class_weight_step(start, main=torch.tensor([1.0, 1.0]), auxiliary=torch.tensor([0.5, 0.5]))
main, auxiliary = torch.tensor([2.0, 2.0]), torch.tensor([1.0, 0.4])
print("ratio:", cw.difference_gradient(first, main, auxiliary, "class").tolist())
print("weights:", cw.class_weight_step(first, main, auxiliary, rate=0.1).weights.tolist())

# %% [markdown]
# ## Question 1: the sign
#
# Along a training that follows the ratio, all rules are measured at the same steps. The *reference* is the exact derivative with
# the main loss of other images: where even the exact one agrees with it only now and then, a batch is too small to tell.

# %%
setup = tab1_trade_off.setup_of(p, "driving")


def derivatives(setup: dict, optimizer: str, rate: float, alpha: float, interval: int, seed: int) -> list[dict]:
    return study.derivatives(setup, seed, optimizer, rate, alpha, interval)


same = {"setup": setup, "alpha": p.alpha}
every = range(p.first_seed, p.first_seed + p.seeds)
settings = [{"optimizer": o, "rate": r, "interval": p.interval, "seed": s} | same for o, r in p.rates.items() for s in every]
found = figures.grouped(runs.map(derivatives, settings, "derivatives").drop(columns=["alpha", "rate", "interval"]))
print(len(found), "measured derivatives")
figures.draw_agreement(found)

# %%
figures.agreement_table(found)

# %% [markdown]
# (errata-eq7-differences)=
# ### A network that stands still
#
# With a learning rate of 0 the network never changes, so no weight can change its main loss: every derivative is 0. The ratio
# does not see that. It compares two batches of different images, and its values are as large as before:

# %%
still = pd.DataFrame(derivatives(**same, optimizer="sgd", rate=0.0, interval=p.interval, seed=p.first_seed))
print("largest exact derivative:", still["exact"].abs().max())
print(f"ratio: median size {still['ratio'].abs().median():.3f}, share above 0 {(still['ratio'] > 0).mean():.2f}")
moving = found[(found.optimizer == "sgd") & (found.seed == p.first_seed)]
print(f"while learning: median size {moving['ratio'].abs().median():.3f}, share above 0 {(moving['ratio'] > 0).mean():.2f}")

# %% [markdown]
# How are the ratios distributed? Where the denominator happens to be near 0, the ratio is huge, and Adam's second moment
# remembers it: later steps of that weight become tiny. And a share above 0 that is not a half pushes all weights one way,
# whatever the class.

# %%
figures.draw_tails(found)

# %%
figures.tail_table(found)

# %% [markdown]
# ## Question 2: classes that are known to harm
#
# We make some classes harm in one of two ways: *misleading texture*, whose grain and haze belong to another distance, or
# *scrambled labels*, exchanged at random among themselves in the training images. Do they harm at all? Trainings with fixed
# weights tell: the change of the main loss where harmful classes have weight 0 should be negative. Where its interval is not,
# the classes are not shown to harm *depth*, and question 2 stays open for them, whatever their weights do.

# %%
print("harmful classes:", ", ".join(p.harmful))


def planted(setup: dict, plant: str, how: str, rate: float, alpha: float, seed: int) -> list[dict]:
    return study.planted(setup, seed, how, rate, alpha)


settings = [
    {"plant": plant, "how": how, "rate": p.rates["adam"], "seed": s} | same | {"setup": setup | {plant: p.harmful}}
    for plant in figures.PLANTS
    for how in study.PLANTED
    for s in every
]
tried = runs.map(planted, settings, "planted harm").drop(columns=["alpha", "rate"])
figures.planted_table(tried)

# %% [markdown]
# The weights over time, means over seeds. Small steps one way and the other cancel out where the sign is random.

# %%
figures.draw_weights(tried)

# %% [markdown]
# ## Verdict
#
# Agreement is counted beyond what independent signs of the same frequencies would give.

# %%
rows = pd.concat([found.assign(kind="derivative"), tried]).drop(columns=["group", "accuracy", "iou", "log_l1", "rmse", "region"])
verdict = results.record(
    p.exhibit, rows, p, parts=figures.claims(found, tried), tier="synthetic", seconds=runs.seconds, device=p.device
)
print(verdict)
verdict

# %% [markdown]
# ## Recorded runs

# %%
recorded = results.other_run(p)
if recorded:
    print(recorded.verdict)
    kept = figures.grouped(recorded.rows[recorded.rows.kind == "derivative"])
    figures.draw_agreement(kept)
    figures.draw_tails(kept)
    figures.draw_weights(recorded.rows)
recorded.verdict if recorded else "No other run is recorded yet."

# %%
figures.agreement_table(kept) if recorded else None

# %%
figures.tail_table(kept) if recorded else None

# %%
figures.planted_table(recorded.rows) if recorded else None

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
