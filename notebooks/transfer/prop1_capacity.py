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
# # Proposition 1: enough capacity, and what it does to transfer
#
# $k$ linear regression tasks share a module $B \in \mathbb{R}^{d \times r}$; each has its own head
# $A_i \in \mathbb{R}^r$. Training
# minimises (eq. 3)
#
# $$ f(A_1, \dots, A_k; B) = \sum_{i=1}^k \|X_i B A_i - y_i\|^2. $$
#
# With $\theta_i = (X_i^\top X_i)^\dagger X_i^\top y_i$ the single-task solution, Proposition 1 says: **if $r \ge k$,
# some optimum has
# $B^* A_i^* = \theta_i$ for every task.** The paper concludes that with $r \ge k$ there is no transfer between any two tasks,
# and that the shared module must therefore be kept smaller. This page checks the statement, shows what changes below
# $r = k$, and then tests the conclusion and its extension to ReLU.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
instances: int = None  # random instances of each case; None: the profile's value
descents: int = None  # of them, how many are also minimised from a random start
draws: int = None  # random draws for each point of the figures

# %%
from mtlrepro.parameters import params

p = params("transfer/prop1", globals(), positive=("instances", "draws"))

# %%
from mtlrepro import results
from mtlrepro.papers.transfer.theory import prop1_capacity, prop1_capacity_report as report

runs = results.Runs(p)
rows = runs.map(prop1_capacity.measure, prop1_capacity.settings(p))
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="paper's data")
page = results.shown(p)

# %% [markdown]
# ## The statement on random instances
#
# Per instance $d$ is 2 to 12, $k$ 1 to 5 and $r$ from $k$ to $k + 4$. We build $B^*$ and $A_i^* = B^{*\dagger}\theta_i$,
# compare the loss with the single-task minima (found by projecting $y_i$, without any $\theta_i$), disturb all parameters at
# ten sizes, and let L-BFGS minimise some instances from random starts.

# %%
page.table(
    report.worst_table, "Random instances of each case: errors of model and loss, and the least excess of any other model."
)

# %% [markdown]
# The descents also arrive at the bound although they know nothing of the $\theta_i$: for $r \ge k$ the optimum is easy to reach.
#
# ## Below $r = k$
#
# With fewer directions than tasks the models must share. When all tasks have the same inputs $X = UDV^\top$ the gap to the
# single-task minima is known in closed form (Proposition 3): the sum of the squared singular values of
# $U^\top[y_1 \dots y_k]$ beyond the $r$-th. It closes at $r = k$ at the latest, and early if the tasks are similar.

# %%
page.figure(
    report.draw,
    "Loss above the single-task minima against capacity (top), and error of the target's model at several optima of "
    "the same loss (bottom).",
)

# %% [markdown]
# (errata-prop1-no-transfer)=
# ## Does it follow that there is no transfer?
#
# If every $X_i$ has full column rank, yes: each task's least-squares solution is unique, so every optimum has
# $BA_i = \theta_i$. But the statement also covers rank-deficient $X_i$, the case of "limited data" that the paper has in mind,
# and there it says only that *an* optimum without transfer exists. If $X_2$ does not see a direction, any $BA_2$ that
# differs from
# $\theta_2$ along it fits equally well. The loss leaves that part open, and other tasks can fill it.
#
# The lower panel above has a source with 200 samples, a target with few, models with cosine 0.96, and $r = k = 2$. All
# points up to 15 target samples are optima of the same loss (or, for gradient descent, close to one: see the excess
# below), with the same predictions in sample. One of them takes from the source what the target's data leave open.
# Gradient descent from small weights finds an optimum of that kind by itself; from large weights it keeps random
# remains of its start.

# %%
page.table(report.transfer_table, "Medians over draws of each optimum's error, excess loss and change of in-sample predictions.")

# %% [markdown]
# So capacity $r \ge k$ removes the *need* to share, not the possibility. With fewer samples than inputs, whether anything is
# transferred is decided by the start and the training, not by the capacity.

# %% [markdown]
# (errata-prop1-relu)=
# ## The extension to ReLU
#
# Appendix A.1 says that with ReLU units, too, putting all single-task units into $B$ and letting each $A_i$ pick its own
# is an optimum.
# That is so when the single-task models fit their labels exactly. In general it is not: a linear task can use
# only one direction however many $B$ offers, but a ReLU task gains from every unit it is offered. The smallest
# counterexample has one input, two samples $x = (1, -1)$ and two tasks, $y_1 = (1, \tfrac12)$ and $y_2 = (\tfrac12, 1)$.

# %%
page.table(report.smallest_table, "Losses of the smallest counterexample to the ReLU extension.")

# %% [markdown]
# On one input all optima are exact, because only the sign of a unit's weight matters. Random tasks
# $y = \mathrm{ReLU}(\pm x) + $ noise, 2 to 5 of them, $r = k$:

# %%
page.table(report.relu_table, "Random ReLU tasks: how often the claimed optimum is beaten.")

# %% [markdown]
# Without noise the claim holds. With noise the column "claimed optimum beaten" counts how often it is none; the better heads
# use the other tasks' units, which is transfer.

# %% [markdown]
# :::{dropdown} How we read the paper
# - $\dagger$ is the pseudo-inverse, so $X_i$ may be rank deficient or have fewer samples than inputs; then $\theta_i$ is the
#   least-squares solution of least norm and one of infinitely many.
# - "An optimum" is a global minimum. No model can do better on a task than its own least squares, so the sum of
#   single-task minima is a lower bound for $f$, and a model that attains it is optimal.
# - $B^*$ is any matrix whose columns span all $\theta_i$ (Proposition 4 says that any such $B^*$ is optimal); here it is a random
#   rotation of a random such basis, also with $r > d$.
# - "Transfer" means that task $i$'s model depends on the other tasks' data.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Exercise
#
# Let $k = 2$, $r = 2$ and $X_2 = 0$. Which models $BA_2$ occur among the optima, and which one does Proposition 1 name?
#
# :::{dropdown} Solution
# All of $\mathbb{R}^d$: the second task's loss is $\|y_2\|^2$ whatever its model, and two columns leave one free once
# $\theta_1$ is spanned. The
# Proposition names $\theta_2 = 0$, the least-norm one.
# :::
