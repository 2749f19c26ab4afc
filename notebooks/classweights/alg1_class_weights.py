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
# It claims that weights of harmful classes converge to nearly zero and those of helpful ones show their importance. To see that,
# one must know which classes harm. Here ten classes of equal frequency and equal loss share a bottleneck of one channel with the
# main task: five ask for what the main task asks for, five for something else, which takes the channel's room. An *oracle* that
# knows them, and its opposite, show how much class weights can matter at all.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None  # None: the profile's value
further: dict[str, int] = None  # seeds more on a kind of problem
first_seed: int = None
tuning: int = None  # seeds on which the rates are chosen
compared: int = None  # seeds on which the rules' derivatives are compared
alphas: list[float] = None  # rates of the class weights
rates: dict[str, list[float]] = None  # learning rates by kind of problem
map: dict = None  # what else is varied on the first problem: width, labelled, noise
frequencies: list = None  # of classes that help alike
problems: dict[str, dict[str, object]] = None  # kind of problem -> its network, steps and data
rungs: dict[str, dict[str, object]] = None  # real set with planted classes -> its network, steps, data and rates

# %%
from mtlrepro.parameters import params

p = params("classweights/alg1", globals(), positive=("seeds", "tuning", "compared", "alphas"))

# %%
import pandas as pd
import torch

from mtlrepro import paths, results
from mtlrepro.methods import class_weights as cw
from mtlrepro.papers.classweights import alg1_class_weights, alg1_ladder
from mtlrepro.papers.classweights import alg1_class_weights_report as report

torch.set_num_threads(1)
runs = results.Runs(p)
rows = pd.concat([alg1_class_weights.rows_of(runs, p), *alg1_ladder.ladder_rows(runs, p)], ignore_index=True)
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="synthetic", device="cpu")
page = results.shown(p)

# %% tags=["slide"]
page.figure(
    report.draw_room,
    "Test loss of the main task against that with all weights 1, on three planted problems, which the claims are judged on, "
    "and, where these were run, on real sets with planted classes; means over seeds with 95% intervals. The band is the "
    "oracle's room. Red: rules that set the weights; blue: ours; an arrow: beyond twice what the inverse oracle costs.",
)

# %%
page.table(
    report.arm_table,
    "The same in numbers, with the share of the oracle's gain, final weights of both kinds of classes, and the rates, which "
    "every arm chose on held-out labels and other seeds.",
)

# %% tags=["slide"]
page.figure(
    report.draw_weights,
    "Weights at the end of training, means over seeds with 95% intervals. The paper: classes that harm go to nearly zero, and "
    "weights of the others show how much they help.",
)

# %% [markdown]
# ## What it shows

# %%
page.text(report.findings)

# %% [markdown]
# ## A rule that follows the main loss: held-out class weights (ours)
#
# One plain step of rate $\eta$ leads from $\theta_t$ to
# $\theta_{t+1} = \theta_t - \eta\, \nabla \big(L_m + \sum_c w_c l_c\big)(\theta_t)$. So the main loss $V$ on *held-out* data is a
# function of the weights, with the derivative
#
# $$ \frac{\partial V(\theta_{t+1})}{\partial w_c}
#    = -\eta\, \big\langle \nabla V(\theta_{t+1}),\, \nabla l_c(\theta_t) \big\rangle . $$
#
# It needs no gradient per class: with $v = \nabla V(\theta_{t+1})$, all products $\langle v, \nabla l_c \rangle$ are one
# forward-mode product of the losses along $v$, so a step costs the same for 10 classes and for 100
# ([Table 2](tab2_seconds)). The sign is that of the agreement of two gradients. The ratio of eq. 8 has the sign of two changes
# over time, which both are negative while a network learns, whether the gradients agree or not.
#
# One step of look-ahead weights *samples* in learning to reweight {cite}`ren2018reweight` and meta-weight-net
# {cite}`shu2019metaweight`, and *tasks* in {cite}`lin2019olaux`; auxiliary learning by implicit differentiation
# {cite}`navon2021auxilearn` looks further than one step.
#
# Whether the main loss must be a held-out one is what the arm *exact, training batch* asks, with that of the next training batch.
# Held-out labels are not free either: *all weights 1, held-out labels trained on* uses them for training instead.

# %% [markdown]
# ## What we asked besides
#
# ### Does the ratio point where the derivative points?
#
# Along a training that follows the ratio, all rules are measured at the same steps. The *reference* is the derivative of the
# main loss on the test part, free of label noise. A single step is noisy for any rule; a sum over many steps, which is what moves
# a weight, shows whether the noise hides a direction.

# %% tags=["slide"]
page.figure(
    report.draw_agreement,
    "Rank correlation over classes between each rule's derivatives and the reference, by the number of steps that are summed; "
    "means over seeds with 95% intervals.",
)

# %%
page.table(report.agreement_table, "Agreement of the rules in sign and in rank, with 95% intervals over seeds")

# %% [markdown]
# (errata-eq7-differences)=
# ### A network that stands still
#
# With a learning rate of 0 the network never changes, so no weight can change its main loss: every derivative is 0. The ratio
# does not see that. It compares two batches of different samples:

# %%
page.table(report.still_table, "The ratio while the network learns, and while it stands still, one seed")

# %%
page.table(
    report.size_table,
    "Share of positive values, and quantiles of the size over its class's median. Where the denominator happens to be near 0, "
    "the ratio is huge, and Adam's second moment remembers it.",
)

# %% [markdown]
# ### From planted to real data
#
# Where the oracle gains nothing, no rule can. So each problem has a gate: the oracle's loss must lie below that of all weights 1
# and its inverse's above, with intervals clear of 0. On real data the classes that harm are planted too. *Digits*: handwritten
# ones, a tenth of those to learn from with a label; half of them ask besides for their digit too, half for a range of the amount
# of their ink, which takes the bottleneck's room. *CIFAR-10*, in cells of 4 x 4 pixels: the same, with a fifth of the images
# asking for their class and the others for a range of their brightness. *LUDB*: waves of the ECG
# at each sample of lead II, with marks for a tenth of the training recordings; each second of a recording asks besides either for
# the range of lead V2's voltage or for that of lead II's base line, meant to be of no use. *CIFAR-100*, in cells of 2 x 2
# pixels: 20 superclasses with a tenth of the labels, beside the 100 fine classes, the labels of every second one permuted among
# its images. A set that is not on this machine is left out.

# %%
page.table(
    report.ladder_table,
    "The oracle's room on each problem, with 95% intervals, and how much of its gain each rule gets; below 0% the rule loses. "
    "These are our questions: no claim of the paper is judged on the real sets.",
)

# %% [markdown]
# ### Where can class weights matter?

# %%
page.table(
    report.map_table,
    "The linear problem with a wider bottleneck, or with other shares of labelled places (of 1, all have a main label): test "
    "loss against that with all weights 1, with 95% intervals. Rates as chosen for the first setting.",
)

# %% [markdown]
# ### Do weights follow frequency?

# %%
page.table(
    report.frequency_table,
    "Ten classes that help alike and differ only in frequency: an informative rule has no reason to rank them.",
)

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
#   (*scalar form*). "A set of batches" are means over 10 or 50 batches in a row.
# - **Problems**: a *linear* bottleneck; a *dense* network with one hidden layer, where the main task asks for the size of a
#   value; a *convolutional* one on small images, where it asks at some pixels for the strength of a texture, and harmful classes
#   for a colour. Helpful classes carry the main task's signal in five degrees, harmful ones another signal; variances and
#   frequencies are equal.
# - **Protocol**: plain SGD, so that the exact derivative is exact; weights 1 for the first fifth of the steps, then moved each
#   step; both losses divided by their start values; the state at the end is tested, once, against labels without noise.
# - **Real sets**: one hidden layer, a U-Net along time or a residual network that ends in a bottleneck shared by two linear
#   heads; training as on the planted problems, with a draw of parts, network and order for each seed. Trials on other seeds chose
#   the bottleneck, the share of labels and, on CIFAR-10, that of the useless questions so that the oracle has room; LUDB and
#   CIFAR-100 as they stand, in the `paper` profile alone, showed none.
# - **Rates**: every arm chooses its learning rate and its rate of the weights from one grid on held-out labels, on other seeds.
#   With windows of n batches the grid of the weights is n times larger, so that they can move as far.
# - **Claims** are judged on the mean over the three problems, paired by seed. For *stable with Adam* the plain rule's updates are
#   the ratios of the same training. A batch is 64 samples or 4 images of 64 pixels, in place of 16 images.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Your own data
#
# A model with two outputs, a loader of inputs, main targets and class labels, and some held-out data are enough. `model`,
# `loader`, `held_x`, `held_y` and `classes`, the number of classes, are yours; everything else stands here.

# %% tags=["remove-input"]
snippet = (paths.book() / "snippets" / "classweights_own_data.py").read_text()
print(snippet.partition("# ruff")[0])

# %% [markdown]
# ## Exercise
#
# Suppose the network did not learn at all between two batches. What would $g_c$ measure?
#
# :::{dropdown} Solution
# Both differences would be those between two sets of samples. A batch with more, or harder, places of class $c$ has a larger main
# *and* a larger auxiliary loss on them: numerator and denominator tend to have the same sign, the ratio is positive, and the
# weight falls, whatever the class does for the main task.
# :::
