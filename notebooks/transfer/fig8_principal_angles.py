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
# # Figure 8: principal angles and transfer, ReLU of rank 10
#
# Figure 7 varied the angle between two single directions. Here each task has ten ({cite}`wu2020understanding`, appendix B.4), and
# a shared ReLU layer of width $H = 10$ is trained on both. The paper claims that the target (task 1, $m_1 = 100$ samples) gains
# more from the source the larger $\alpha$ is, and the more source samples there are.
#
# $$ y_i = \mathrm{ReLU}(X_i \Theta_i)\, e + \varepsilon_i, \qquad \Theta_2 = \alpha\, \Theta_1 + (1 - \alpha)\, \Theta' $$
#
# $\Theta_i \in \mathbb{R}^{100 \times 10}$, $e$ the all-ones vector; the columns of $\Theta_1$ and $\Theta'$ are orthonormal and
# orthogonal to each other.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None  # None: the profile's value
first_seed: int = None
alphas: list[float] = None
sizes: list[int] = None  # source samples, ascending
epochs: int = None
instances: int = None  # random instances for the principal angles

# %%
from mtlrepro.parameters import params

p = params("transfer/fig8", globals(), positive=("seeds", "sizes", "epochs", "instances"))

# %%
from mtlrepro import results
from mtlrepro.papers.transfer import fig8_principal_angles, fig8_principal_angles_report as report

runs = results.Runs(p)
rows = runs.map(fig8_principal_angles.measure, fig8_principal_angles.settings(p), "training")
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier="paper's data")
page = results.shown(p)

# %% tags=["slide"]
page.figure(
    report.draw,
    "Gain of multi-task over single-task learning on the target against α, by number of source samples: mean over seeds with its "
    "95% interval. The upper axis has the cosine that α stands for.",
)

# %% [markdown]
# ## What it shows
#
# Gains rise with the similarity of the models and, for similar models, with the source. A linear model suits this target better
# than one may think: a sum of ten ReLUs is half a linear function plus half a sum of absolute values.
#
# ## What we asked besides
#
# **Against tuned ridge:**

# %%
page.figure(report.draw_ridge, "The same gain over tuned ridge.")

# %%
page.table(report.table, "Mean Spearman correlation on the target.")

# %% [markdown]
# **The third ingredient** that the text names is the alignment of the covariances. Here both tasks have inputs with a covariance
# of Section 2.3's kind, the source the target's or another one of the same spectrum.

# %%
page.table(report.covariance_table, "Gain of multi-task learning by the source's covariance: mean over seeds.")

# %% [markdown]
# (errata-fig8-principal-angle)=
# ## What $\alpha$ is
#
# The text calls $\alpha$ "the cosine value/similarity of the principal angle". The columns of $\Theta_2$ are orthogonal and all
# of length $\sqrt{\alpha^2 + (1 - \alpha)^2}$, so an orthonormal basis of its span is $\Theta_2$ divided by that length, and
# every principal angle between the two spans has the cosine
#
# $$ \frac{\alpha}{\sqrt{\alpha^2 + (1 - \alpha)^2}} \;\ge\; \alpha. $$
#
# By singular values on random instances:

# %%
page.table(report.angle_table, "Principal cosines of random instances.")

# %% [markdown]
# (errata-fig8-rank)=
# The setup fixes $r = 10$ and $H = 10$; the remark after it says that the setting "applies to rank $r = 5$". The two cannot both
# be meant; the last column above has the rank of $\Theta_1$ as drawn here.

# %% [markdown]
# :::{dropdown} How we read the paper
# - $\alpha$ is not the cosine of the principal angles, as the text has it; see above. We vary $\alpha$ as printed, from 0 to 1,
#   and give the cosine beside it.
# - The text has $r = 10$ and, two paragraphs on, "rank $r = 5$". *Our reading*: 10, which is also the width $H$.
# - The size of the noise is not stated. *Our reading*: standard deviation 1, about half that of the noise-free labels.
# - The source sizes are not stated in the text. *Our reading*: from as many as the target's upwards.
# - **Training**: SGD with batches of 50, weights and output scales from a random start (a start at the true $e$ would tell
#   the answer). Learning rate and stopping epoch of every model are chosen on 1,000 validation samples of the target.
# - **Single-task models**: *single-task* has the same width 10 and may take as many updates as the longest multi-task run;
#   *ridge* is linear, its penalty chosen on validation. A linear model suits this target better than one may think: a sum of
#   ten ReLUs is half a linear function plus half a sum of absolute values.
# - **Measure**: Spearman correlation on 1,000 test samples of the target, used once.
# :::

# %%
page.this_run()

# %% [markdown]
# ## Exercise
#
# At $\alpha = 0$ the source has nothing in common with the target. Why can more of its samples make the target *worse*,
# although the width is that of the target alone?
#
# :::{dropdown} Solution
# Ten units would be enough for either task, but not for both. The source's batches are the many, so its directions take the
# units.
# :::
