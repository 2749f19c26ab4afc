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
# # Lemma 8: how close the shared direction comes to the target's model
#
# Two linear tasks, $y_i = X_i\theta_i + \varepsilon_i$, share one direction $B \in \mathbb{R}^d$ ($r = 1$). Task 1 is the
# source, with $m_1$
# samples and label noise $\sigma_1$; task 2 the target. The step on which Theorem 2 rests (appendix A.2.2) says that enough
# source
# samples bring the optimum $B^*$ close to the target's model:
#
# $$ |\sin(B^*, \theta_2)| \le \sin(\theta_1, \theta_2) + c/\kappa(X_2) \qquad \text{with probability } 1 - \delta , $$
#
# $$ m_1 \gtrsim \max\Big( \frac{L\,\|\Sigma_1\| \log\frac d\delta}{\lambda_{\min}^2(\Sigma_1)},\;
#    \frac{\kappa(\Sigma_1)\,\kappa^2(X_2)}{c^2}\,\|y_2\|^2,\;
#    \frac{\kappa^2(\Sigma_1)\,\kappa^4(X_2)}{c^4}\,\sigma_1^2 \log\frac1\delta \Big). $$
#
# Assumed: rows of $X_1$ independent with covariance $\Sigma_1$ and length at most $\sqrt L$, scaled so that
# $\theta_1^\top\Sigma_1\theta_1 = 1$; $\kappa(X_2)\sin(\theta_1, \theta_2) \le c \le 1/3$.
#
# This page tries the bound where the condition on $m_1$ holds and where it does not, evaluates each displayed line of the
# proof,
# shows that no constant makes the printed condition sufficient, and proves a corrected one.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
draws: int = None  # random instances for each point of the curves; None: the profile's value
proofs: int = None  # random instances on which the lines of the proof are evaluated
noisy: int = None  # random instances for each constant in the counterexample

# %%
from mtlrepro.parameters import params

p = params("transfer/lemma8", globals(), positive=("draws", "proofs", "noisy"))

# %%
from mtlrepro import results
from mtlrepro.papers.transfer.theory import lemma8_angle, lemma8_angle_report as report

runs = results.Runs(p)
rows = runs.map(lemma8_angle.measure, lemma8_angle.settings(p))
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="paper's data")
page = results.shown(p)

# %% [markdown]
# (errata-lemma8-dimension)=
# ## No constant makes the printed condition enough
#
# The proof bounds $\langle X_1B^*/\|X_1B^*\|, \varepsilon_1\rangle$ as if $B^*$ did not depend on the noise. It does: the
# best of all directions can pick up
# the whole of $\varepsilon_1$ in the column space of $X_1$, of squared length about $\sigma_1^2 d$. The dimension is missing
# from the third
# term. With identical tasks, $\theta_1 = \theta_2$, no target noise, $\Sigma_1 = I$ and orthonormal columns in $X_2$, the
# condition reads
#
# $$ m_1 \ge C\max\big(d\log\tfrac d\delta,\; \tfrac{1}{c^2},\; \tfrac{\sigma_1^2}{c^4}\log\tfrac1\delta\big), $$
#
# while $\sin^2(B^*, \theta_2)$ is about $\sigma_1^2d/(m_1 + \sigma_1^2d)$. Take $\sigma_1^2 = 4C\log\frac d\delta$ and $d$
# large enough that the first term is the
# largest: then the sine is near $\sqrt{4/5}$, for every $C$.

# %%
page.table(report.counter_table, "The counterexample: identical tasks, a noisy source and many inputs.")

# %%
page.figure(
    report.draw,
    "Share of instances in which the bound fails, against the source samples over the printed condition, with exact "
    "95% intervals.",
)

# %% [markdown]
# In ten inputs the bound holds from constant 1 on, and the theory's size is needed within a factor of about a hundred or
# less,
# depending on the setting; below that it fails often. With many inputs and a noisy source it fails at every constant.

# %%
page.table(report.needed_table, "The least factor on the printed condition from which on failures stay below δ.")

# %% [markdown]
# (errata-lemma8-optimality)=
# ## The printed proof, line by line
#
# $u = X_1B^*/\|X_1B^*\|$, $v = X_1\theta_1/\|X_1\theta_1\|$; $d = 20$, $\kappa(\Sigma_1) = 4$, $\kappa(X_2) = 2$,
# $\delta = 0.05$, $m_1$ at the printed condition with
# constant 1. Lines that claim a probability may fail in a share $\delta$ of the instances.

# %%
page.table(report.proof_table, "Every displayed line of the printed proof: the share of instances in which it fails.")

# %% [markdown]
# In "many inputs" ($d = 60$, $\sigma_1 = 10$, one model) the dependence of $B^*$ on the noise shows; in "few inputs" most
# lines hold.
#
# The optimality step: "$h(B^*) \ge \|y_1\|^2$ by the optimality of $B^*$" fails as soon as there is noise outside the column
# space of
# $X_1$, and by the more the larger $m_1$. Smallest case: one input, two samples, $X_1 = (1, 0)^\top$, $y_1 = (1, 1)^\top$,
# and any target
# with $\|y_2\|^2 < 1$: then $h \le 1 + \|y_2\|^2 < 2 = \|y_1\|^2$. What optimality gives is $h(B^*) \ge h(\theta_1)$; the
# proof needs no more.
#
# (errata-lemma8-noise)=
# ### The terms with the source noise
#
# Besides the dimension, a $\chi^2$ variable has no tail like $\sigma_1^2\sqrt{\log\frac1\delta}$: even for a direction fixed
# in advance the bound
# fails more often than $\delta$. The two bounds of $2\sigma_1\|X_1\theta_1\|\sqrt{\log\frac1\delta}$ are then added up to
# three, not four.
#
# (errata-lemma8-square)=
# ### The last display
#
# $\|X_1\theta_1\|^2 \ge m_1/2$ gives $\|y_2\|^2/(m_1/2)$, not $\|y_2\|^2/(m_1^2/4)$, which is smaller than what it should
# bound. Early in the proof a
# square is missing on $\langle X_2B^*/\|X_2B^*\|, y_2\rangle \le \|y_2\|^2$ (for labels shorter than 1 it fails). Fact 7 is
# used with its sharp constant,
# not the printed one.
#
# (errata-lemma8-bernstein)=
# ### The number of samples for the covariance
#
# The proof asks for $m_1 \ge 10\,\|\Sigma_1\|\log\frac d\delta/\lambda_{\min}^2(\Sigma_1)$ before it uses Bernstein's
# inequality; the statement has a factor $L$
# there, and needs it. With rows $\sqrt d\,e_j$ ($\Sigma_1 = I$, $L = d$) and $d = 100$, the proof's number is below $d$:
# some coordinate is
# never seen and the claimed $\|X_1^\top X_1/m_1 - \Sigma_1\| \le \lambda_{\min}/2$ is impossible.

# %%
page.table(
    report.concentration_table,
    "How often the source's covariance is far off, at the proof's number of samples and with the factor L.",
)

# %% [markdown]
# ## The corrected lemma
#
# Let $N = \|X_1\theta_1\| + \langle v, \varepsilon_1\rangle$, $W$ the length of $\varepsilon_1$ in the column space of $X_1$
# off $v$, and $Y \le \|y_2\|$ what task 2 can
# explain at most. Choose the sign of $B^*$ so that $u = \cos\phi\, v + \sin\phi\, w$ with $\phi \in [0, \frac\pi2]$,
# $w \perp v$ a unit vector. Then
#
# $$ N^2 \le h(\theta_1) \le h(B^*) \le (N\cos\phi + W\sin\phi)^2 + Y^2 , $$
#
# so $(N^2 - W^2)\sin^2\phi \le 2NW\sin\phi + Y^2$, and if $N > W$
#
# $$ \sin(X_1B^*, X_1\theta_1) \;\le\; \frac{NW + \sqrt{N^2W^2 + (N^2 - W^2)\,Y^2}}{N^2 - W^2} . $$
#
# This holds without any probability, and is checked below. Let $E = \sigma_1\big(\sqrt d + \sqrt{2\log\frac3\delta}\big)$,
# which exceeds $W$ and
# $|\langle v, \varepsilon_1\rangle|$ with probability $1 - \frac23\delta$. With $\kappa^2(X_1) \le 3\kappa(\Sigma_1)$ and
# $\|X_1\theta_1\|^2 \ge m_1/2$ (Bernstein) and the sharp Fact 7,
# $\sin(B^*, \theta_1) \le \sqrt{3\kappa(\Sigma_1)}\,(4E + 2\|y_2\|)\sqrt{2/m_1}$ whenever $E \le \|X_1\theta_1\|/3$. So the
# lemma holds, all constants
# included, when
#
# $$ m_1 \ge \max\Big( \frac{11\,L\,\|\Sigma_1\|\log\frac{6d}\delta}{\lambda_{\min}^2(\Sigma_1)},\;
#    \frac{6\,\kappa(\Sigma_1)\,\kappa^2(X_2)}{c^2}\,(4E + 2\|y_2\|)^2 \Big). $$
#
# The noise enters as $\sigma_1^2d/c^2$ in place of $\sigma_1^2/c^4$: worse in the dimension, better in $c$ and in both
# condition numbers.

# %%
page.table(report.inequality_table, "The deterministic inequality on random instances.")

# %%
page.table(report.corrected_table, "At the corrected condition.")

# %% [markdown]
# :::{dropdown} How we read the paper
# - "On the order of" is defined in the paper's notation section as "up to an absolute constant". Curves below use constant 1
#   for
#   each of the three terms; the constants that the printed proof itself needs are 10, 12 and 1152. The counterexample is for
#   every constant.
# - Rows of $X_1$ are $\sqrt{\operatorname{tr}\Sigma_1}\,v_j$ with probability $\lambda_j/\operatorname{tr}\Sigma_1$ for the
#   eigenpairs of $\Sigma_1$: a distribution
#   with covariance $\Sigma_1$ and the least possible $L = \operatorname{tr}\Sigma_1$ (for Gaussian rows there is no $L$).
#   Then $X_1^\top X_1$ follows from
#   multinomial counts, and any $m_1$ can be tried.
# - $B^*$ is the exact optimum of equation 4, not a trained one. $\delta = 0.1$, $c = 0.3$, and $\sin(\theta_1, \theta_2)$ is
#   the largest that
#   $c$ allows, if nothing else is said. $\kappa(\Sigma_1)$ and $\kappa(X_2)$ come from spectra that are evenly spaced on a
#   log scale.
# :::

# %%
page.this_run()
