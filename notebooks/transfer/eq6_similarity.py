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
# # Equation 6: the covariance similarity score
#
# To say how alike the inputs of two tasks are, the paper takes $X_i^\top X_i$, its best approximation $U_iD_iU_i^\top$ of
# the rank
# that contains 99% of the singular values, and
#
# $$ \text{score} = \frac{\big\|(U_1D_1^{1/2})^\top U_2D_2^{1/2}\big\|_F}{\|U_1D_1^{1/2}\|_F\;\|U_2D_2^{1/2}\|_F}
#    \qquad\text{that is}\qquad \text{score}^2 = \frac{\operatorname{tr}(S_1S_2)}{\operatorname{tr}S_1\,\operatorname{tr}S_2},
#    \quad S_i = U_iD_iU_i^\top . $$
#
# It is said to be invariant to rotations of the columns of $X_1$ and $X_2$, and Figure 6 reads a higher score as better
# aligned
# tasks. This page finds every transformation that leaves the score unchanged, its range, and what moves it besides alignment.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
pairs: int = None  # random pairs of tasks for each check; None: the profile's value

# %%
from mtlrepro.parameters import params

p = params("transfer/eq6", globals(), positive=("pairs",))

# %%
from mtlrepro import results
from mtlrepro.papers.transfer.theory import eq6_similarity, eq6_similarity_report as report

runs = results.Runs(p)
rows = runs.map(eq6_similarity.measure, eq6_similarity.settings(p))
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="paper's data")
page = results.shown(p)

# %% [markdown]
# ## What leaves the score unchanged

# %%
page.table(report.move_table, "Random pairs of tasks: in how many each transformation changes the score.")

# %% [markdown]
# (errata-eq6-rotations)=
# So the sentence is right for rotations among the samples, different for each task if one likes, and for one common rotation
# of
# the inputs, but not for a rotation of each task's inputs. The smallest case: one sample each, $X_1 = X_2 = (1, 0)$, score 1;
# turn the second by a right angle to $(0, 1)$, score 0. It could not be otherwise: were the score unchanged by
# $X_i \to X_iR_i$, the
# alignment matrices of Algorithm 1 could never raise it.

# %%
page.table(report.smallest_table, "The smallest case, before and after the turn.")

# %% [markdown]
# **Nothing else does.** Let $(X_1, X_2) \to (L_1X_1M_1, L_2X_2M_2)$ leave the score unchanged for all inputs. (Without the
# cut; for one
# sample each, used here, the cut does nothing.)
#
# 1. For $X_1 = u^\top$, $X_2 = v^\top$ the score is $|\cos(u, v)|$, so $u \perp v$ implies $u^\top M_1M_2^\top v = 0$. With
# $u, v$ from
#    $e_i, e_j$ the off-diagonal entries of $M_1M_2^\top$ vanish, with $e_i \pm e_j$ its diagonal is constant:
#   $M_1M_2^\top = \lambda I$, $\lambda \ne 0$.
# 2. With $u = v$ the score must stay 1, so $M_1^\top u$ and $M_2^\top u = \lambda M_1^{-1}u$ are parallel:
# $M_1M_1^\top u \propto u$ for all $u$, hence
#    $M_1M_1^\top = a^2I$. So $M_1 = aQ$ and $M_2 = bQ$ with **the same** orthogonal $Q$.
# 3. For rows, two samples $u, v$ at places $i, j$ of $X_1$ turn into
# $P_{ii}uu^\top + P_{jj}vv^\top + P_{ij}(uv^\top + vu^\top)$ with
#    $P = L_1^\top L_1$. To score as before against every one-sample task it must be a multiple of $uu^\top + vv^\top$:
#   $P = c^2I$.
#
# The converse is plain from the formula with traces. $\square$ Steps 1 and 2 use finitely many inputs; below, the largest
# change
# over exactly these, for maps in the group and for maps a little outside of it (disturbed by a millionth and more).

# %%
page.table(
    report.map_table, "Largest change of the score over finitely many inputs, for maps in the group and a little outside of it."
)

# %% [markdown]
# (errata-eq6-itself)=
# ## The range, and a task against itself
#
# By the formula with traces, $0 \le \text{score} \le 1$: 0 for inputs in orthogonal subspaces, 1 only if both tasks lie
# along one
# line. For given spectra $\lambda, \mu$ (each summing to 1, in decreasing order) von Neumann's inequality gives the exact
# range,
#
# $$ \sum_j \lambda_j\mu_{d+1-j} \;\le\; \text{score}^2 \;\le\; \sum_j \lambda_j\mu_j , $$
#
# and the score of a task with itself is not 1 but $\|\Lambda\|_F / \operatorname{tr}\Lambda$, from $1/\sqrt d$ for isotropic
# inputs to 1 for inputs
# along a line. A task can score *higher with another than with itself*: $X_1 = \operatorname{diag}(2, 1)$ against a single
# sample along its
# first axis, below. So the score measures concentration along shared directions, not only likeness. Beside it we offer
#
# $$ \text{normalised} = \frac{\text{score}(1,2)^2}{\text{score}(1,1)\,\text{score}(2,2)}
#    = \frac{\operatorname{tr}(S_1S_2)}{\|S_1\|_F\|S_2\|_F}, $$
#
# the cosine of the two covariances, with the same invariances, and 1 exactly where the covariances are proportional.

# %%
page.table(report.itself_table, "diag(2, 1) against itself and against one sample.")

# %%
page.table(report.range_table, "Bounds of the score on random pairs.")

# %% [markdown]
# ## What else moves the score
#
# Above: two tasks with eigenvalues $j^{-s}$ in *unrelated* random orientations, so nothing is aligned. The steeper the
# spectrum, the
# higher the score of a task with itself; the normalised form starts at 1 for isotropic inputs, which are alike whatever the
# orientation, and falls as there is more to misalign. Below: to every sample of both tasks one vector is added. Since
# $X^\top X$ is
# not centred, the score goes to 1 although the tasks have nothing else in common; after centring it stays where it was.

# %% tags=["slide"]
page.figure(
    report.draw,
    "Median score with its 10% to 90% of pairs, against the steepness of the spectrum (above) and the length of a "
    "common offset (below).",
)

# %% [markdown]
# What this means for Figure 6: that the score rises with the alignment of Algorithm 1 for all pairs does not by itself show
# that
# directions were aligned. Matrices $R_i$ that shrink all directions but a common one, or training that gives both a common
# mean, raise it too. Pages that use the score show the normalised form and the centred one beside it.
#
# (errata-eq6-cut)=
# ## The cut at 99%
#
# Cutting can only lower the score by little, but not by nothing: with shares $\tau = 1 - 0.99$ cut from each, the score
# loses at most
# $\sqrt{2\tau - \tau^2}$ and gains at most a factor $1/0.99$. Eigenvalues $(0.99, 0.01)$ against $(0.01, 0.99)$ nearly reach
# the loss: both keep
# one direction, and the score falls to 0.
#
# Two things are not settled by the text. *Which numbers*: the singular values of $X^\top X$, of $X$, their squares, or their
# count give
# different ranks. *Ties*: for eigenvalues $98, 1, 1$ two directions hold 99%, but there is no reason to prefer one of the
# two equal
# ones, and the score against a task along one of them depends on the choice. This is the smallest number of inputs with such
# a
# tie. We keep tied values together, without which not even a common rotation would leave the computed score unchanged.

# %%
page.table(report.cut_table, "How much the cut moves the score.")

# %%
page.table(report.edge_table, "The worst cut, and a tie at the cut.")

# %%
page.table(report.rank_table, "Rank under each reading of the cut, 100 inputs.")

# %% [markdown]
# (100 inputs with eigenvalues near $1/j$, 500 samples.)

# %% [markdown]
# :::{dropdown} How we read the paper
# - "Contain 99% of the singular values": the smallest $r_i$ with
#   $\lambda_1 + \dots + \lambda_{r_i} \ge 0.99 \operatorname{tr}(X_i^\top X_i)$, where
#   $\lambda_j$ are the singular values of the matrix approximated, $X_i^\top X_i$. Other readings are compared below.
# - Inputs are not centred, since the paper calls $X_i^\top X_i$ the covariance.
# - "Rotations of the columns of $X_1$ and $X_2$" can mean three things, and all three are tried: each column turned as a
#   vector of
#   samples ($X_i \to R_iX_i$), one rotation of the inputs of both tasks ($X_i \to X_iQ$), or one for each ($X_i \to X_iQ_i$).
# :::

# %%
page.this_run()

# %% [markdown]
# ## Exercise
#
# Which task scores highest with a given task? And by the normalised form?
#
# :::{dropdown} Solution
# $\operatorname{tr}(S_1S_2)/\operatorname{tr}S_2$ is an average of $v^\top S_1v$ over directions $v$, so it is largest for a
# task all of whose samples lie along the top
# eigenvector of $S_1$. By the Cauchy-Schwarz inequality the normalised form is largest, 1, exactly for $S_2 \propto S_1$.
# :::
