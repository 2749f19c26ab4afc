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
# # Proposition 3: tasks on the same inputs, and what their weights do
#
# All $k$ tasks have the same inputs $X \in \mathbb{R}^{m \times d}$ and each its own labels $y_i$, as with images that carry
# several labels. With task weights $\alpha_i > 0$ and a module $B \in \mathbb{R}^{d \times r}$, $r \le k$, training minimises
#
# $$ \sum_{i=1}^k \alpha_i \|X B A_i - y_i\|^2. $$
#
# Let $X$ be of full rank with the SVD $X = UDV^\top$. Proposition 3 says that **the column span of an optimal $B^*$ is that of
# $(X^\top X)^{-1}VDQ_r$, where $Q_rQ_r^\top$ is the best rank-$r$ approximation of $\sum_i \alpha_i U^\top y_iy_i^\top U$.** From
# it the paper concludes (Section 2.4): if $y_1 = X\theta$ is clean and $y_2 = X\theta + \varepsilon_2$ is noisy, then
# **$\cos(B^*, \theta)$ increases towards 1 as $\alpha_1$ grows.** This is the motive for its weighting scheme.
#
# The formula is right, and unique up to degenerate cases. The conclusion is right for the model of task 1 and for
# its predictions, but not for the unsigned cosine of $B^*$, which can first fall to zero.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
instances: int = None  # random instances of each case; None: the profile's value
descents: int = None  # of them, how many are also solved by alternating least squares
draws: int = None  # random draws for each point of the figure
proofs: int = None  # random instances on which the lines of the proof are evaluated

# %%
from mtlrepro.parameters import params

p = params("transfer/prop3", globals(), positive=("instances", "descents", "draws", "proofs"))

# %%
from mtlrepro import results
from mtlrepro.papers.transfer.theory import prop3_same_inputs, prop3_same_inputs_report as report

runs = results.Runs(p)
rows = runs.map(prop3_same_inputs.measure, prop3_same_inputs.settings(p))
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="paper's data")
page = results.shown(p)

# %% [markdown]
# ## The formula on random instances
#
# $d$ is 2 to 7, $k$ 2 to 6, $r$ from 1 to the rank of $Z$. The loss at the formula is compared with the closed-form minimum.
# Ten other $B$ per instance, near and far, must lose at least $(\lambda_r - \lambda_{r+1})\|\sin\Theta\|^2$ more, with
# $\Theta$ the angles between the spans of $XB$ and $XB^*$: this makes the optimal span unique.
# Alternating least squares from a random start, which knows no SVD, must end in the same span.

# %%
page.table(
    report.worst_table,
    "Random instances of each case: the formula against the least loss, other spans, and alternating least squares.",
)

# %% [markdown]
# Losses are relative to $\sum_i \alpha_i\|y_i\|^2$. Alternation is not run where $X$ lacks full column rank: the span of $B$ is
# not unique there, as the next section shows.
#
# (errata-prop3-span)=
# ## Where the span is not unique
#
# The statement speaks of any optimal $B^*$. In three cases there are optima of other spans:
# labels of rank below $r$ (the last columns of $B$ are idle, so they may point anywhere), a tie
# $\lambda_r = \lambda_{r+1}$, and inputs that $X$ does not see (excluded by the statement). For each we build a second optimum.

# %%
page.table(report.degenerate_table, "Two optima of one loss where the span is not unique.")

# %% [markdown]
# The smallest case: $X = I_2$, $y_1 = y_2 = (1, 0)$ and $r = 2$. Then $Q_r = (1, 0)^\top$ up to scale, so the formula spans a
# line,
# while $B^* = I_2$ is optimal and spans the plane. *Corrected statement:* with $X$ of full column rank and
# $\lambda_r > \lambda_{r+1}$ all optimal $B^*$ have the span of the formula. In general $B$ is optimal if and only if the span of
# $XB$ contains leading left singular vectors of $UZ$ for all its positive $\lambda_i$ up to $r$, ties chosen freely.
#
# (errata-prop3-remark)=
# ## More weight on the clean task
#
# Let $z_i = U^\top y_i$, so that $z_1 = DV^\top\theta$. For $r = 1$ we have $B^* = VD^{-1}q$, where the unit vector $q$ maximises
# $\alpha_1\langle q, z_1\rangle^2 + \langle q, z_2\rangle^2$. Give $q$ the sign with $A_1^* = \langle q, z_1\rangle > 0$.
#
# *What is true.* Let $z_1$ and $z_2$ be neither parallel nor orthogonal. As $\alpha_1$ grows,
# $q$ turns within the plane of $z_1$ and $z_2$ steadily towards $z_1$, never
# past a right angle. The map $VD^{-1}$ keeps the order of directions in that plane, so
# $B^*$ turns steadily towards $\theta$. Hence $\cos(XB^*, X\theta)$ and the signed $\cos(B^*A_1^*, \theta)$ both increase to 1.
# $\square$
#
# *What is not.* The map keeps the order of directions but not right angles. If $B^*A_1^*$ starts at more than a right angle from
# $\theta$, then $|\cos(B^*, \theta)|$ falls to zero before it rises. More weight on the clean task then makes the shared
# direction worse for a while, although the predictions of task 1 improve all the time. Two inputs suffice:
# $X = \mathrm{diag}(2, 1)$, $\theta = (1, 1)$, $\varepsilon_2 = (2, -5)$, so $y_1 = (2, 1)$ and $y_2 = (4, -4)$.

# %%
page.figure(
    report.draw,
    "Cosines against the weight of the clean task (top; grey: random draws), and the share of draws in which the "
    "unsigned cosine falls (bottom).",
)

# %%
page.table(report.remark_table, "In how many draws each cosine falls, by noise and condition number.")

# %% [markdown]
# With equally scaled inputs ($\kappa = 1$) the unsigned cosine never falls. It takes noise and an ill-conditioned $X$
# together, and
# it falls only where task 1's model starts beyond a right angle.
#
# (errata-prop3-proof)=
# ## The printed proof, line by line
#
# Where the printed shapes do not fit, they do for $m = d$; there each line is evaluated. Losses are compared for spans, and
# "1 + distance" to 1 for matrices. Four things need mending: $VD^{-1}Q_r$ is not $(X^\top X)^{-1}XQ_r$ (nor is its span
# optimal), the
# sum over $i$ is missing, $Z$ is $m$ by $k$ rather than $d$ by $k$, and the remark writes $X$ for $X^\top$ and $\alpha_i$
# where the
# columns of $Z$ carry $\sqrt{\alpha_i}$. None touches the result.

# %%
page.table(report.proof_table, "Every displayed line of the printed proof on random instances: in how many it fails.")

# %% [markdown]
# :::{dropdown} How we read the paper
# - "Full rank" must be full *column* rank, or $(X^\top X)^{-1}$ does not exist. We also try rank-deficient $X$ and fewer samples
#   than inputs, with the pseudo-inverse.
# - The columns of $Q_r$ span the first $r$ left singular vectors of
#   $Z = U^\top[\sqrt{\alpha_1}y_1, \dots, \sqrt{\alpha_k}y_k]$; $\lambda_1 \ge \lambda_2 \ge \dots$ are its squared singular
#   values.
# - "The" best approximation presupposes $\lambda_r > \lambda_{r+1}$. Ties are tried apart.
# - In the remark $r = 1$, $\alpha_2 = 1$, and $\alpha_1$ grows from 1. Any multiple of $B^*$ is optimal too, so its cosine
#   has no sign of its own; we look at $|\cos(B^*, \theta)|$ and at task 1's model $B^*A_1^*$, which has one.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Exercise
#
# Let $X^\top X = I$. Show that $|\cos(B^*, \theta)|$ cannot fall.
#
# :::{dropdown} Solution
# Then $B^* = Vq$ and $\theta = Vz_1$, so $|\cos(B^*, \theta)| = |\cos(q, z_1)| = |\cos(XB^*, X\theta)|$, which increases.
# :::
