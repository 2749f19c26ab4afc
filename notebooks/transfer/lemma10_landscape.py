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
# # Lemma 10: when every local minimum is global
#
# Training a linear multi-task model means minimising
#
# $$ f(A_1, \dots, A_k; B) = \sum_{i=1}^k w_i\, \|X_i B A_i - y_i\|^2, \qquad B \in \mathbb{R}^{d \times r}, $$
#
# a function of products $BA_i$, not convex. The paper (appendix A.3) shows that nothing is lost by that when the covariances
# agree up to a factor, $X_i^\top X_i = a_i \Sigma$ with $a_i > 0$: **every local minimum is global**. The proof turns the
# loss into
# $\|CA - Z\|_F^2$, the approximation of one matrix by another of rank $r$, and quotes Balcan et al. (2018) for that problem.
#
# This page descends from many random starts, looks at the curvature of every kind of stationary point, checks each displayed
# line, and then draws what happens when the covariances differ, which the lemma does not cover.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
instances: int = None  # random instances of each case of descents; None: the profile's value
starts: int = None  # random starts an instance
points: int = None  # random instances whose stationary points are examined
planes: int = None  # random landscapes in two inputs for each setting

# %%
from mtlrepro.parameters import params

p = params("transfer/lemma10", globals(), positive=("instances", "starts", "points", "planes"))

# %%
from mtlrepro import results
from mtlrepro.papers.transfer.theory import lemma10_landscape, lemma10_landscape_report as report

runs = results.Runs(p)
rows = runs.map(lemma10_landscape.measure, lemma10_landscape.settings(p))
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="paper's data")
page = results.shown(p)

# %% [markdown]
# ## Descents from random starts
#
# L-BFGS on $f$ itself, told nothing of the proof. The optimum is known in closed form where the covariances agree. Where
# they differ it is not, so ends are compared with the best end found from the same tasks, and what is shown is at most
# the true share of bad ends.

# %%
page.table(report.descent_table, "Descents from random starts: how many end above the optimum.")

# %% [markdown]
# ## The other stationary points are strict saddles
#
# With $Z = P\Lambda Q^\top$ the loss has a stationary point for each set $S$ of at most $r$ singular directions: $CA$ is the
# part of
# $Z$ along $S$. Only the $r$ largest give a minimum; at every other one the smallest eigenvalue of the Hessian must be
# negative, which is what lets gradient descent leave it. Eigenvalues below are relative to the largest.

# %%
page.table(report.saddle_table, "Curvature at constructed stationary points.")

# %% [markdown]
# The value at a minimum is zero up to rounding because of the freedom $G$. The worst saddle is nearly flat: the negative
# curvature
# shrinks with the difference of two singular values of $Z$. The lemma says nothing about the time that descent needs.
#
# (errata-lemma10-weights)=
# ## The printed proof, line by line
#
# Read as equation 12 with *equal* covariances and loss weights $\alpha_i$, both displays hold. Read as the lemma is stated,
# with covariances $\alpha_i\Sigma$, they do not: then $X_i = \sqrt{\alpha_i}\, U_i D V^\top$, the factor goes with $A_i$
# alone and the columns
# of $Z$ are $U_i^\top y_i$, not $\sqrt{\alpha_i}\, U_i^\top y_i$. In general
#
# $$ \sum_i w_i\|X_iBA_i - y_i\|^2 = \sum_i \big\| C\,(\sqrt{w_ia_i}\,A_i) - \sqrt{w_i}\,U_i^\top y_i \big\|^2
#    + \sum_i w_i\big(\|y_i\|^2 - \|U_i^\top y_i\|^2\big), $$
#
# so the lemma is right, for scales and weights of any positive values, and with the corrected $Z$. It also holds for singular
# $\Sigma$: $C$ then ranges over its range only, and the map $B \mapsto C$ is open.

# %%
page.table(report.proof_table, "Every displayed line of the printed proof on random instances: in how many it fails.")

# %% [markdown]
# ## The landscape when covariances agree and when they do not
#
# For two tasks and $r = 1$ the best heads can be put in, which leaves equation 4, a function of the direction of $B$ alone:
#
# $$ h(B) = \sum_{i=1}^2 \Big\langle \frac{X_iB}{\|X_iB\|}, y_i \Big\rangle^2, \qquad f = \|y_1\|^2 + \|y_2\|^2 - h . $$
#
# In two inputs that is a curve over one angle, and its maxima can be counted exactly: in $\tau = \tan t$ the derivative of
# each
# term is a product of two linear functions over a square, so the sum vanishes at the roots of a polynomial of degree 6.
# There can be at most three local maxima. With equal covariances $h$ is a Rayleigh quotient, which has one.

# %%
page.figure(
    report.draw,
    "Share of the labels that a direction explains, over its angle, for random pairs of tasks; full dots: best "
    "maximum, hollow: a worse one.",
)

# %% [markdown]
# Each colour is one random pair of tasks with models at cosine 0.96; singular values 10 and 1 in random orientations. Full
# dots
# are the best direction, hollow ones a second, worse local maximum, where training from an unlucky start stays.
#
# How often is there one? Below, over random orientations, with exact (Clopper-Pearson) intervals.

# %%
page.figure(
    report.draw_counts, "Share of landscapes with a second, worse maximum against the condition number, with exact 95% intervals."
)

# %%
page.table(report.count_table, "Landscapes counted.")

# %% [markdown]
# (errata-lemma10-covariances)=
# ## The smallest counterexample without equal covariances
#
# Section 2.4 says that Proposition 3 extends "to show that all local minima of equation 3 are global minima in the linear
# setting". Without equal covariances it is false already for two inputs, two tasks with two samples each, and $r = 1$ (with
# one
# input, or with one sample per task, the height does not depend on $B$ or on one of the tasks, and there is one maximum):
#
# $$ X_1 = \begin{pmatrix}1 & 0\\ 0 & 1\end{pmatrix},\quad y_1 = \begin{pmatrix}0\\ 1\end{pmatrix},\qquad
#    X_2 = \begin{pmatrix}1 & 0\\ 0 & 3\end{pmatrix},\quad y_2 = \begin{pmatrix}2\\ 0\end{pmatrix}. $$
#
# $B = e_1$ fits task 2 and leaves task 1, $B = e_2$ fits task 1 and leaves task 2. Both are local minima.

# %%
page.table(report.smallest_table, "Both local minima of the smallest counterexample without equal covariances.")

# %% [markdown]
# The single zero eigenvalue is the freedom of scale, $(B, A) \to (tB, A/t)$; all others are positive.
#
# **The condition of the lemma is exactly right for two tasks and $r = 1$.** Let $X_1, X_2$ be any pair of full column rank
# whose
# covariances are *not* proportional, and $v, w$ the generalised eigenvectors of $S_2v = \mu S_1v$ for the least and the
# largest $\mu$,
# $\kappa^2 = \mu_{\max}/\mu_{\min} > 1$. Label task 1 by $w$ and task 2 by $v$: $y_1 \propto X_1w$ and $y_2 \propto X_2v$.
# Near $B = w + uv$ (both of
# length 1 in $S_1$) the heights are $\|y_1\|^2(1 - u^2)$ and $\|y_2\|^2 u^2/\kappa^2$ to second order, and the other
# directions only lower
# them. So both $v$ and $w$ are local maxima of $h$ as soon as
#
# $$ \|y_2\|^2/\kappa^2 \;<\; \|y_1\|^2 \;<\; \|y_2\|^2\,\kappa^2, $$
#
# and unless the lengths are equal one of them is spurious. Tried on random pairs in up to six inputs:

# %%
page.table(report.pair_table, "Crossed labels on random pairs of covariances.")

# %% [markdown]
# So on the paper's own example (Figure 3, green line: different covariances) a trained model need not be the optimum that the
# theory speaks of. Pages that need the optimum compute it exactly.

# %% [markdown]
# :::{dropdown} How we read the paper
# - The lemma writes $\alpha_i$ for the factor of the covariance while equation 12, which it is about, uses $\alpha_i$ for the
#   weight of the loss. We keep them apart: scales $a_i$ and weights $w_i$, both positive and arbitrary.
# - "Proportional covariances" are drawn with a different $X_i$ of a different height for every task; condition numbers go up
#   to 30, labels are noisy, $d$ from 2 to 6, $k$ from 2 to 5, $r$ from 1 to $\min(d, k) - 1$.
# - $(B, A) \to (BG, G^{-1}A)$ never changes the loss, so no minimum is isolated; "strict" means strict across that freedom.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Exercise
#
# Both directions explain the same in the smallest counterexample when $y_2 = (1, 0)^\top$. Is a local minimum spurious then?
#
# :::{dropdown} Solution
# No: both losses are 1, so both minima are global, and the point between them is a saddle. The lemma's conclusion then holds
# although its assumption does not. Any $\|y_2\| \ne \|y_1\|$ within the factor $\kappa = 3$ breaks it.
# :::
