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
# # Theorem 2: what a large source guarantees for the target
#
# In the setting of Lemma 8 (two linear tasks, one shared direction $B$, source 1, target 2;
# $\kappa(X_2)\sin(\theta_1, \theta_2) \le c \le 1/3$)
# the paper bounds the error of the target's model $B^*A_2^*$ at the multi-task optimum: with probability $1 - \delta$
#
# $$ \frac{\|B^*A_2^* - \theta_2\|}{\|\theta_2\|} \;\le\; 6c + \frac{1}{1 - 3c}\,\frac{\|\varepsilon_2\|}{\|X_2\theta_2\|} $$
#
# once the source has enough samples,
#
# $$ m_1 \gtrsim \max\Big( \frac{L\,\|\Sigma_1\| \log\frac d\delta}{\lambda_{\min}^2(\Sigma_1)},\;
#    \frac{\kappa(\Sigma_1)\,\kappa^2(X_2)}{c^2}\,\|y_2\|^2,\;
#    \frac{\kappa^2(\Sigma_1)\,\kappa^4(X_2)}{c^4}\,\sigma_1^2 \log\frac1\delta \Big). $$
#
# The informal version in the text keeps only $\kappa^2(\Sigma_1)\kappa^4(X_2)\|y_2\|^2/c^4$. The remarks after the theorem
# say that it
# "guarantees positive transfers".
#
# This page shows the bound where the condition on $m_1$ holds and where it does not, how tight it is, and whether it lies
# below
# the error of the target alone, as a guarantee of positive transfer would have to.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
draws: int = None  # random instances for each point of the curves; None: the profile's value
proofs: int = None  # random instances on which the lines of the proof are evaluated
noisy: int = None  # random instances for each constant in the counterexample
constants: list[float] = None  # constants C of the counterexample; its number of inputs grows with C

# %%
from mtlrepro.parameters import params

p = params("transfer/thm2", globals(), positive=("draws", "proofs", "noisy", "constants"))

# %%
from mtlrepro import results
from mtlrepro.papers.transfer.theory import thm2_bound, thm2_bound_report as report

runs = results.Runs(p)
rows = runs.map(thm2_bound.measure, thm2_bound.settings(p))
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="paper's data")
page = results.shown(p)

# %% [markdown]
# ## The bound, with too few and with enough source samples

# %%
page.table(report.bound_table, "The bound where the condition on m₁ holds (factor 1) and far below it; medians over draws.")

# %% tags=["slide"]
page.figure(
    report.draw,
    "Bound over true error (top) and errors with a noisy source (bottom) against the source samples over the printed "
    "condition; medians with 10% to 90% of draws.",
)

# %% [markdown]
# Medians with 10% to 90% of the instances. The bound holds long before the condition does, and it is loose: it allows for the
# whole of $\|\varepsilon_2\|$, of which a single direction picks up little.
#
# (errata-thm2-positive)=
# ## Is it a guarantee of positive transfer?
#
# Positive transfer means an error below that of the target alone. The theorem bounds the error of multi-task learning, not
# the
# difference. With $\kappa(X_2) = 1$ its bound is *never* below the single-task error: there
#
# $$ \frac{\|(X_2^\top X_2)^{-1}X_2^\top\varepsilon_2\|}{\|\theta_2\|} = \frac{\|P_2\varepsilon_2\|}{\|X_2\theta_2\|}
#    \le \frac{\|\varepsilon_2\|}{\|X_2\theta_2\|}
#    < 6c + \frac{1}{1-3c}\frac{\|\varepsilon_2\|}{\|X_2\theta_2\|}, $$
#
# with $P_2$ the projection on the columns of $X_2$; in general it can be lower only if
# $\kappa(X_2) > \|\varepsilon_2\|/\|P_2\varepsilon_2\|$, about
# $\sqrt{m_2/d}$. And transfer can be negative under all assumptions, with any number of source samples: without target noise
# the
# target alone makes no error, while sharing one direction with $\theta_1 \ne \theta_2$ must (last line of the table). The
# smallest case
# is two inputs, $X_2 = I$, $\varepsilon_2 = 0$.

# %%
page.table(
    report.transfer_table, "Share of draws in which each bound, and the multi-task error, lies below the single-task error."
)

# %% [markdown]
# **A sharper bound.** The first term of the proof's triangle inequality is $|\langle u, \varepsilon_2\rangle| / \|X_2B^*\|$
# with $u$ the unit vector along
# $X_2B^*$. By Lemma 8 its angle to $v = X_2\theta_2/\|X_2\theta_2\|$ has sine at most $2\sqrt2c$, so
# $|\langle u, \varepsilon_2\rangle| \le
# |\langle v, \varepsilon_2\rangle| + 3c\|P_2\varepsilon_2\|$, and the rest of the proof gives
#
# $$ \frac{\|B^*A_2^* - \theta_2\|}{\|\theta_2\|} \le 6c
#    + \frac{1}{1 - 3c}\,\frac{|\langle v, \varepsilon_2\rangle| + 3c\,\|P_2\varepsilon_2\|}{\|X_2\theta_2\|} . $$
#
# $\langle v, \varepsilon_2\rangle$ is a single Gaussian variable of deviation $\sigma_2$, against
# $\|\varepsilon_2\| \approx \sigma_2\sqrt{m_2}$. This version does fall below the
# single-task error when $c$ is small and the target noisy, and then positive transfer is indeed guaranteed.
#
# (errata-thm2-dimension)=
# ## The condition on the source fails with its dimension
#
# As on the page of Lemma 8, the third term lacks the dimension. With *identical* tasks ($\theta_1 = \theta_2$), a target
# without noise,
# $\Sigma_1 = I$, $\kappa(X_2) = 1$ and $c = 0.1$, the theorem promises an error of at most $6c$ from $m_1 = C\max(\dots)$
# on. For a source with
# $\sigma_1^2 = 4C\log\frac d\delta$ and enough inputs it is near $\sqrt{4/5}$. The corrected condition of Lemma 8 asks for
# the number in the last column,
# and with it the theorem holds.

# %%
page.table(report.counter_table, "The counterexample: identical tasks, a noisy source and many inputs.")

# %%
page.table(report.corrected_table, "At the corrected condition.")

# %% [markdown]
# ## The printed proof from Lemma 8 on, line by line
#
# All lines hold on every instance where Lemma 8 does (but for $\hat\theta$, which stands for $B^*$ in the formula of
# $A_2^*$). The
# constants have little slack: $4\sqrt2 c \le 6c$ and $2\sqrt2c \le 3c$.

# %%
page.table(report.proof_table, "Every displayed line of the printed proof on random instances: in how many it fails.")

# %% [markdown]
# :::{dropdown} How we read the paper
# - "On the order of": constant 1 for each of the three terms of the formal statement, unless a constant is named. Where the
#   bound fails for every constant, that is shown with several.
# - $B^*, A_2^*$ are the exact optimum of the two-task problem with $r = 1$. $\theta_1^\top\Sigma_1\theta_1 = 1$. Source rows
#   have length
#   $\sqrt L = \sqrt{\operatorname{tr}\Sigma_1}$ as on the page of Lemma 8. $\delta = 0.1$ and $d = 10$.
# - The single-task error is that of least squares on the target alone,
#   $\|(X_2^\top X_2)^{-1}X_2^\top\varepsilon_2\|/\|\theta_2\|$.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Exercise
#
# The informal statement asks for $m_1$ of the order of $\kappa^2(\Sigma_1)\kappa^4(X_2)\|y_2\|^2/c^4$. Measure the target's
# labels in another
# unit, $y_2 \to ty_2$. What happens to the condition and to the claim?
#
# :::{dropdown} Solution
# Both sides of the claim stay the same ($\theta_2$ and $\varepsilon_2$ scale with $y_2$), but the condition changes with
# $t^2$, so with a small unit
# any $m_1$ satisfies it, while the source noise has not changed. The other terms of the formal statement are needed.
# :::
