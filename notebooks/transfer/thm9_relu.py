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
# # Theorem 9: the same for ReLU tasks
#
# Tasks are now $y_i = a_i\,\mathrm{ReLU}(X_i\theta_i) + \varepsilon_i$ and share one direction $B$ inside the ReLU. Rows of
# the source $X_1$ are
# standard normal, and $\mathbb{E}[(a_1\mathrm{ReLU}(x^\top\theta_1))^2] = 1$. The paper (appendix A.2.3) claims that for
# $c \ge \sin(\theta_1, \theta_2)/\kappa(X_2)$ and
#
# $$ m_1 \gtrsim \max\Big( \frac{d\log d}{c^2}\Big(\frac{1}{c^2} + \log d\Big),\; \frac{\|y_2\|^2}{c^2} \Big) $$
#
# the multi-task optimum satisfies, with high probability,
#
# $$ \sin(B^*, \theta_1) \le \sin(\theta_1, \theta_2) + O\big(c/\kappa(X_2)\big), $$
#
# $$ \frac{|A_2^* - a_2|}{a_2} \le O(c) + \frac{1}{1 -
#   O(c)}\cdot\frac{\|\varepsilon_2\|}{a_2\,\mathrm{ReLU}(\|X_2\theta_2\|)} . $$
#
# Its proof rests on a kernel identity for the ReLU. This page checks the identity, the step that turns it into an angle, each
# displayed line, and both claims on simulated tasks, and gives counterexamples to the statement as printed.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
draws: int = None  # simulated pairs of tasks for each point; None: the profile's value
restored: int = None  # simulated pairs for each setting of the restored condition, which has more samples
proofs: int = None  # random instances on which the lines of the proof are evaluated
samples: int = None  # normal vectors for each angle of the kernel

# %%
from mtlrepro.parameters import params

p = params("transfer/thm9", globals(), positive=("draws", "restored", "proofs", "samples"))

# %%
from mtlrepro import results
from mtlrepro.papers.transfer.theory import thm9_relu, thm9_relu_report as report

runs = results.Runs(p)
rows = runs.map(thm9_relu.measure, thm9_relu.settings(p))
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="paper's data")
page = results.shown(p)

# %% [markdown]
# ## The kernel identity
#
# For unit $u, v$ at angle $\varphi$ and standard normal $x$, the mean of
# $\mathrm{ReLU}(x^\top u)\,\mathrm{ReLU}(x^\top v)$ is
#
# $$ \frac{\cos\varphi}{2} + \frac{\cos\varphi\,(\tan\varphi - \varphi)}{2\pi}
#    = \frac{\sin\varphi + (\pi - \varphi)\cos\varphi}{2\pi} =: \frac{g(\varphi)}{2} . $$
#
# The display is right (at $\varphi = \pi/2$ as a limit). Checked by integration in polar coordinates, and by sampling in
# five inputs.

# %%
page.table(report.kernel_table, "The kernel as printed, by quadrature and by sampling.")

# %% [markdown]
# (errata-thm9-direction)=
# ## From the kernel to the angle
#
# The proof arrives at $1 - g(\varphi') \le O(c^2/\kappa^2(X_2))$ and must conclude that $\varphi'$ is small. It writes
#
# $$ 1 - g(\varphi') = 1 - \cos\varphi' - \cos\varphi'(\tan\varphi' - \varphi')
#    \le 1 - \cos\varphi' = 2\sin^2\tfrac{\varphi'}{2} \lesssim c^2/\kappa^2(X_2). $$
#
# The inequality is true, but it bounds $1 - g$ by $1 - \cos$ from above, and the last step needs the opposite. The factor
# $1/\pi$ of the
# bracket is lost as well, and not without harm: without it the expression returns to 0 at $\varphi' = \pi/2$, where $B^*$
# has nothing
# in common with $\theta_1$, and below it beyond. The conclusion does follow, from
#
# $$ 1 - g(\varphi) \ge \big(1 - \tfrac1\pi\big)(1 - \cos\varphi)
#    \quad\text{and}\quad 1 - g(\varphi) \ge \tfrac{4}{\pi^2}\big(1 - \tfrac1\pi\big)\varphi^2
#    \qquad \text{on } [0, \tfrac\pi2], $$
#
# both sharp at $\pi/2$; on $[0, \pi]$ the sharp constants are $\frac12$ and $1/\pi^2$. Against $\sin^2\varphi$, which is
# what the proof wants, one
# constant serves the whole range; it is attained inside.

# %%
page.table(report.constant_table, "Sharp constants of the last step.")

# %%
page.figure(report.draw_chain, "1 − g over the angle, with what the proof compares it to.")

# %% [markdown]
# (errata-thm9-missing)=
# ## Both claims on simulated tasks
#
# The condition on $m_1$ contains neither the source noise $\sigma_1$ (which the theorem defines) nor $\kappa(X_2)$, although
# the claimed angle
# shrinks with $1/\kappa(X_2)$. The proof's "by our setting of $m_1$" needs $\sqrt{m_1d\log d} \le m_1c^2/\kappa^2(X_2)$,
# that is
# $m_1 \ge \kappa^4(X_2)\,d\log d/c^4$, and the noise terms of its equation 11 enter as in Theorem 2. So with $m_1$ at $C$
# times the printed
# condition the first claim must fail when $\sigma_1$ or $\kappa(X_2)$ is large enough for that $C$: below
# $\sigma_1 = 20\sqrt C$ and $\kappa(X_2) = 40\sqrt C$.

# %%
page.table(report.task_table, "Simulated tasks: medians of both errors, and how often each bound fails.")

# %%
page.figure(report.draw, "Share of simulated tasks in which the bound on the angle fails, with exact 95% intervals.")

# %% [markdown]
# From factor 1 to 10 the two failing lines have their $\sigma_1$ and $\kappa(X_2)$ raised by $\sqrt{10}$. With the factors
# restored
# ($\kappa^4(X_2)(1 + \sigma_1^2)\,d\log d/c^4$, $\kappa^2(X_2)\,d\log^2d/c^2$ and $\kappa^2(X_2)\|y_2\|^2/c^2$) the bound
# holds; we checked that only by simulation.
#
# (errata-thm9-head)=
# ## The second claim: three counterexamples
#
# All with a source so large that $B^* = \theta_1$, and $a_2 = 1$. In each family a number $K$ grows, the claimed bound goes
# to 0, and the error
# of $A_2^*$ does not.
#
# - *Condition on $c$*: with $c = \sin(\theta_1, \theta_2)/\kappa(X_2)$ as printed, $X_2 = \operatorname{diag}(1, K)$,
#   $\theta_2 = e_1$ and $\sin(\theta_1, \theta_2) = 1/K$. So the
#   condition must be $c \ge \kappa(X_2)\sin(\theta_1, \theta_2)$, as in Theorem 2.
# - *Inactive target*: also with $c = \kappa(X_2)\sin(\theta_1, \theta_2)$. Rows $(1/K, 0), (-1, 0), (0, 1)$,
#   $\theta_2 = e_1$, $\sin(\theta_1, \theta_2) = 1/K$: $X_2$ is
#   nearly orthonormal, but the target's unit is on for one small sample only, and a small turn switches on a large one. The
#   proof's
#   "similarly, the second part is at most $O(c)$" compares with $\|X_2\theta_2\|$ where $\|\mathrm{ReLU}(X_2\theta_2)\|$
#   stands.
# - *ReLU of the norm*: $\mathrm{ReLU}(\|X_2\theta_2\|)$, which is just $\|X_2\theta_2\|$. One input, samples $1$ and $-K$,
#   noise on the first.

# %%
page.table(report.counter_table, "Three families in which the claimed bound vanishes and the error does not.")

# %% [markdown]
# What does hold, for any target: let $q = \|X_2(B^* - \theta_2)\| / \|\mathrm{ReLU}(X_2\theta_2)\| < 1$ ($B^*$ and
# $\theta_2$ of unit length). Then
#
# $$ \frac{|A_2^* - a_2|}{|a_2|} \;\le\; \frac{1}{1 - q}\Big( q +
# \frac{\|\varepsilon_2\|}{|a_2|\,\|\mathrm{ReLU}(X_2\theta_2)\|} \Big), $$
#
# since $\|\mathrm{ReLU}(X_2B^*) - \mathrm{ReLU}(X_2\theta_2)\| \le q\,\|\mathrm{ReLU}(X_2\theta_2)\|$. If the unit is on for
# a fair share of the data,
# $\|\mathrm{ReLU}(X_2\theta_2)\| \ge \rho\|X_2\theta_2\|$, then $q \le O(c)/\rho$, and the paper's claim follows with
# $c/\rho$ for $c$. It is an assumption the theorem needs.

# %%
page.table(report.head_table, "The deterministic form of the second claim.")

# %% [markdown]
# (errata-thm9-lines)=
# ## The printed proof, line by line
#
# At the printed condition, small noise. Apart from the step on $1 - g$: the left side of equation 11 has
# $\mathrm{ReLU}(X_1B^*)$ where
# $\mathrm{ReLU}(X_1\theta_1)$ is meant; its noise terms treat $B^*$ as independent of $\varepsilon_1$, as in Lemma 8; and
# $2(1 - \cos) \ge 2\sin^2$ points the wrong
# way ($\ge \sin^2$ is true and enough).
#
# (errata-thm9-hoeffding)=
# Hoeffding's bound is applied to $\mathrm{ReLU}(x^\top\theta_1)^2$, which is not bounded. Its variance is $\frac54$, so by
# the normal law the claimed
# deviation $\sqrt{\frac{m_1}2\log\frac1\delta}$ is exceeded far more often than $\delta$; Bernstein's inequality gives a
# constant times it.

# %%
page.table(report.proof_table, "Every displayed line of the printed proof on random instances: in how many it fails.")

# %%
page.table(report.deviation_table, "How often the deviation claimed by Hoeffding's bound is exceeded.")

# %% [markdown]
# :::{dropdown} How we read the paper
# - The first claim is about $\sin(B^*, \theta_2)$: that is what the proof ends with. The norm in the second is
#   $\|\mathrm{ReLU}(X_2\theta_2)\|$, as in the proof. Both as printed are discussed below.
# - In the simulations $c \ge \kappa(X_2)\sin(\theta_1, \theta_2)$, as in Theorem 2, and not
#   $c \ge \sin(\theta_1, \theta_2)/\kappa(X_2)$: with the printed one the
#   second claim is false (below).
# - Constants: 1 in "on the order of" and in $O(c/\kappa(X_2))$; for $O(c)$ those of Theorem 2, $6c$ and $3c$. Where a claim
#   fails for every
#   constant, several are shown. $c = 0.3$, $d = 5$, $\delta = 0.1$.
# - Equation 10 is not concave; $B^*$ is the best end of L-BFGS from both true models and random starts. It is not certified
#   to be the
#   global optimum, but explains at least as much as either true model, which is all that the proof uses.
# :::

# %%
page.this_run()
