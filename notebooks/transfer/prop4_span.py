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
# # Proposition 4: only the span of B matters
#
# Linear tasks $(X_i, y_i)$ share $B \in \mathbb{R}^{d \times r}$, and each has its own head $A_i$ (eq. 3). With the
# best heads the loss becomes a function of $B$ alone, $h(B) = \min_A \sum_i \|X_iBA_i - y_i\|^2$. Proposition 4 (appendix A.1)
# says that
#
# 1. each optimal $A_i$ picks the vector nearest to $y_i$ in the span of $X_iB$;
# 2. **an optimal $B$ can be taken with orthonormal columns, and maximises**
#    (eq. 7) $\; \sum_i \langle B(B^\top X_i^\top X_iB)^\dagger B^\top,\; X_i^\top y_iy_i^\top X_i\rangle$;
# 3. **any $B$ whose span contains all single-task models $\theta_i$ is optimal.**
#
# Multi-task learning is thus a choice of a *subspace*. All three hold wherever an optimum exists; one line of the
# proof lacks a pseudo-inverse; and with rank-deficient inputs there may be no optimum at all.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
instances: int = None  # random instances of each case; None: the profile's value
draws: int = None  # random draws for each point of the figure
proofs: int = None  # random instances on which the lines of the proof are evaluated

# %%
from mtlrepro.parameters import params

p = params("transfer/prop4", globals(), positive=("instances", "draws", "proofs"))

# %%
from mtlrepro import results
from mtlrepro.papers.transfer.theory import prop4_span, prop4_span_report as report

runs = results.Runs(p)
rows = runs.map(prop4_span.measure, prop4_span.settings(p))
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="paper's data")
page = results.shown(p)

# %% [markdown]
# ## The three claims on random instances
#
# $d$ is 2 to 8, $k$ 1 to 5, $r < d$, in the six kinds of inputs of Proposition 1, rank-deficient ones included. The reference is
# $h(B)$ by projecting each $y_i$ on the span of $X_iB$. "Orbit" compares $B$ with $BG$ for invertible $G$ of condition number
# up to 1000: same span, other matrix. "Another span" is the median change when $B$ is disturbed at random by a tenth
# of its size.

# %%
page.table(report.worst_table, "Random instances of each case: the worst of each comparison, relative to the label energy.")

# %% [markdown]
# Equation 7 needs no orthonormal columns: $X_iB(B^\top X_i^\top X_iB)^\dagger B^\top X_i^\top$ projects on the span of $X_iB$
# for every $B$.
#
# (errata-prop4-no-optimum)=
# ## Is there an optimum?
#
# If every $X_i$ has full column rank, $h$ is continuous on the compact set of $r$-dimensional subspaces, so its minimum is
# attained.
# If $r \ge k$, claim 3 gives one. Otherwise the minimum may not exist. The smallest case has two inputs, two tasks and three
# samples:
#
# $$ X_1 = I_2,\quad y_1 = (0, 1), \qquad X_2 = (1, 0),\quad y_2 = 1, \qquad r = 1. $$
#
# Task 1 wants $B = (0, 1)$; task 2 does not see that direction, but it needs no more than a trace of the other:
# with $B = (\varepsilon, 1)$ and $A_2 = 1/\varepsilon$ it fits exactly.

# %%
page.table(report.approach_table, "The case without optimum: loss and head at B = (ε, 1).")

# %% [markdown]
# As $\varepsilon \to 0$ the loss tends to 0 and the head to infinity; at $\varepsilon = 0$ the loss jumps to 1. No $B$ has
# loss 0, so
# equation 7 has a supremum and no maximum. A descent would drive the head without bound.
#
# ## The figure
#
# Top: two inputs, $r = 1$, so a span is an angle. The curves are $h$; every dot is a random $B$ of random length
# and sign, each with its own best heads, and falls on the curve. The curve of the case without optimum has a hole
# at its lowest point. Bottom: $B$ moves by the same relative step either within its span or across it.

# %%
page.figure(
    report.draw,
    "Loss with the best heads against the angle of B (top; dots: random length and sign), and its change when B "
    "moves within or across its span (bottom).",
)

# %% [markdown]
# Zero changes are drawn at $10^{-17}$. Within the span the loss stays the same to rounding however far
# $B$ moves.
#
# (errata-prop4-pseudo-inverse)=
# ## The printed proof, line by line
#
# The chain of equations ends in $\langle B(B^\top X_i^\top X_iB)B^\top, X_i^\top y_iy_i^\top X_i\rangle$, without the
# pseudo-inverse, while equation 7 has it. One number shows the difference: $X = 2$, $y = 1$, $B = 1$ gives $\|y\|^2 = 1$ on
# the left and $2^2 \cdot 2^2 = 16$ on the right. The proof also calls $f$ linear in $A_i$. The model is; $f$ is quadratic
# and convex, which is why a stationary $A_i$ is a minimum.

# %%
page.table(report.proof_table, "Every displayed line of the printed proof on random instances: in how many it fails.")

# %%
page.table(report.display_table, "The last display at X = 2, y = 1, B = 1, where the left side is 1.")

# %% [markdown]
# :::{dropdown} How we read the paper
# - A "rotation matrix" of shape $d \times r$ has orthonormal columns, which needs $r \le d$.
# - The "span" is the column span of $B$. Claim 3 needs $r$ at least the dimension of the span of the $\theta_i$.
# - Claim 1 holds for any encoding $g_B$ and loss by the definition of a minimum; the check here is that the printed
#   $A_i = (B^\top X_i^\top X_iB)^\dagger B^\top X_i^\top y_i$ is that minimum in the linear case.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Exercise
#
# How many numbers does $B \in \mathbb{R}^{d \times r}$ have, and how many does its span need?
#
# :::{dropdown} Solution
# $dr$ numbers, but $BG$ has the same span for every invertible $G \in \mathbb{R}^{r \times r}$, so $dr - r^2 = r(d - r)$ are
# left:
# the dimension of the set of $r$-dimensional subspaces.
# :::
