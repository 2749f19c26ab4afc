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
# samples and label noise $\sigma_1$; task 2 the target. The step on which Theorem 2 rests (App. A.2.2) says that enough
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
draws: int = None  # random instances for each point of the curves; None: the profile's value
proofs: int = None  # random instances on which the lines of the proof are evaluated
noisy: int = None  # random instances for each constant in the counterexample

# %%
from mtlrepro.parameters import params

p = params("transfer/lemma8", globals(), positive=("draws", "proofs", "noisy"))
p

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mtlrepro import plots, results
from mtlrepro.papers.transfer.theory import thm2_bound
from mtlrepro.papers.transfer.theory.lemma10_landscape import rate_interval

plots.use()
runs = results.Runs(p)
DELTA = 0.1

# %% [markdown]
# :::{note} How we read the paper
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
#
# ## The bound, with too few and with enough samples


# %%
def tried(name: str, setting: dict, count: int, seed: int, factor: float, condition: str) -> list[dict]:
    return thm2_bound.try_bounds(setting, count, seed, factor, condition)


base = thm2_bound.Setting(d=10, delta=DELTA)
SETTINGS = {
    "well conditioned": thm2_bound.settings_with(base),
    "noisy source": thm2_bound.settings_with(base, sigma1=5.0),
    "ill-conditioned source": thm2_bound.settings_with(base, kappa1=10.0),
    "ill-conditioned target": thm2_bound.settings_with(base, kappa2=3.0),
}
factors = [4.0**power for power in range(-6, 3)]
settings = [
    {"name": name, "setting": setting, "count": p.draws, "seed": 100 * place, "factor": factor, "condition": "printed"}
    for place, (name, setting) in enumerate(SETTINGS.items())
    for factor in factors
]
curves = runs.map(tried, settings, what="instances").assign(kind="curve")

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
def noise(constant: float, c: float, delta: float, ratio: float, count: int, seed: int) -> list[dict]:
    return thm2_bound.noisy_source(constant, c, delta, ratio, count, seed)


constants = [
    {"constant": constant, "c": 0.3, "delta": DELTA, "ratio": 4.0, "count": p.noisy, "seed": 7} for constant in (1.0, 10.0, 100.0)
]
counter = runs.map(noise, constants, what="counterexample").assign(kind="counterexample")


def counter_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One constant a row: the size of the instance, the bound, the sine found, and how often the bound fails."""
    groups = rows[rows["kind"] == "counterexample"].groupby("constant")
    table = groups[["d", "m1", "sigma1", "lemma"]].first().astype({"d": int, "m1": int})
    table["sin(B*, θ₂), median"], table["least"] = groups["sin2"].median(), groups["sin2"].min()
    table["draws"], table["bound fails in"] = groups.size(), groups["lemma_failed"].sum().astype(int)
    table["m1 of the corrected condition"] = groups["corrected_m1"].first()
    return table.rename(columns={"sigma1": "σ₁", "lemma": "bound"})


counter_table(counter)


# %%
def draw(rows: pd.DataFrame) -> plt.Figure:
    """Share of instances in which the bound fails against m_1 over the printed condition, with exact intervals."""
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 4.0))
    shapes = zip(plots.COLORS.values(), plots.MARKERS, strict=False)
    names = [*rows.loc[rows["kind"] == "curve", "name"].unique(), "many inputs"]
    for (color, marker), name in zip(shapes, names, strict=False):
        if name == "many inputs":
            groups = rows[rows["kind"] == "counterexample"].groupby("constant")["lemma_failed"]
            label = "many inputs, noisy source"
        else:
            groups, label = rows[(rows["kind"] == "curve") & (rows["name"] == name)].groupby("factor")["lemma_failed"], name
        failed, count = groups.sum().astype(int), groups.size()
        bounds = np.array([rate_interval(hits, n) for hits, n in zip(failed, count, strict=True)])
        plots.band(ax, failed.index, failed / count, *bounds.T, label=label, color=color, marker=marker)
    ax.axhline(DELTA, color=plots.COLORS["black"], linestyle="--", linewidth=1, label="δ, allowed")
    ax.set(xscale="log", xlabel="$m_1$ over the printed condition (constants 1)", ylabel="share in which Lemma 8's bound fails")
    ax.legend()
    return fig


plots.show(draw(pd.concat([curves, counter])))

# %% [markdown]
# In ten inputs the bound holds from constant 1 on, and the theory's size is needed within a factor of about a hundred or
# less,
# depending on the setting; below that it fails often. With many inputs and a noisy source it fails at every constant.


# %%
def needed(rows: pd.DataFrame) -> pd.DataFrame:
    """For each setting: the printed m_1, and the least factor tried from which on failures stay below δ."""
    lines = {}
    for name, group in rows[rows["kind"] == "curve"].groupby("name", sort=False):
        rates = group.groupby("factor")["lemma_failed"].mean()
        bad = rates.index[rates > DELTA]
        enough = [factor for factor in rates.index if not len(bad) or factor > bad.max()]
        m1 = group[group["factor"] == 1.0]["m1"].median()
        lines[name] = {"printed m1, median": m1, "enough from factor": enough[0], "failed at the least factor": rates.iloc[0]}
    return pd.DataFrame(lines).T


needed(curves)

# %% [markdown]
# (errata-lemma8-optimality)=
# ## The printed proof, line by line
#
# $u = X_1B^*/\|X_1B^*\|$, $v = X_1\theta_1/\|X_1\theta_1\|$; $d = 20$, $\kappa(\Sigma_1) = 4$, $\kappa(X_2) = 2$,
# $\delta = 0.05$, $m_1$ at the printed condition with
# constant 1. Lines that claim a probability may fail in a share $\delta$ of the instances.


# %%
def lines(where: str, which: str, setting: dict, count: int, seed: int, condition: str) -> list[dict]:
    return thm2_bound.try_lines(which, setting, count, seed, condition)


EXAMINED = {
    "few inputs": thm2_bound.settings_with(base, d=20, kappa1=4.0, kappa2=2.0, rows=40, delta=0.05),
    "many inputs": thm2_bound.settings_with(base, d=60, sigma1=10.0, share=0.0, length=0.5, rows=80, delta=0.05),
}
examined = [
    {"where": where, "which": "lemma", "setting": setting, "count": p.proofs, "seed": 11, "condition": "printed"}
    for where, setting in EXAMINED.items()
]
steps = runs.map(lines, examined, what="proofs").assign(kind="line")


def line_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One displayed line a row: the share of instances in which it fails, in both settings, and the correction."""
    found = rows[rows["kind"] == "line"]
    table = found.assign(failed=found["broken"] / found["n"]).pivot_table("failed", ["line", "relation"], "where", sort=False)
    table.columns = [f"fails: {name}" for name in table.columns]
    notes = found.drop_duplicates("line").set_index("line")["correction"].fillna("")
    return table.reset_index("relation").join(notes)


line_table(steps)

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
def concentration(d: int, delta: float, count: int, seed: int) -> dict:
    return thm2_bound.try_concentration(d, delta, count, seed)


sampled = runs.map(concentration, [{"d": 100, "delta": DELTA, "count": p.draws, "seed": 13}], what="covariances")
sampled = sampled.assign(kind="concentration")
sampled[["n", "printed_m1", "printed", "corrected_m1", "corrected"]].rename(
    columns={
        "n": "draws", "printed_m1": "m1 in the proof", "printed": "fails",
        "corrected_m1": "m1, with L", "corrected": "fails, with L",
    }
)  # fmt: skip

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
def inequality(name: str, setting: dict, count: int, seed: int, factor: float, tolerance: float) -> dict:
    return thm2_bound.try_angle_bound(setting, count, seed, factor, tolerance)


exact = [
    {"name": name, "setting": setting, "count": p.draws, "seed": 500 + place, "factor": factor, "tolerance": 1e-7}
    for place, (name, setting) in enumerate(SETTINGS.items())
    for factor in (0.05, 1.0)
]
angles = runs.map(inequality, exact, what="inequality").assign(kind="inequality")
noisy_many = {"many inputs, noisy source": thm2_bound.settings_with(base, d=60, sigma1=10.0, share=0.0, rows=80)}
enough = [
    {"name": name, "setting": setting, "count": p.draws, "seed": 900 + place, "factor": 1.0, "condition": "corrected"}
    for place, (name, setting) in enumerate((SETTINGS | noisy_many).items())
]
corrected = runs.map(tried, enough, what="corrected condition").assign(kind="corrected")
angles[["name", "factor", "n", "violations", "worst", "trivial", "loose"]].rename(
    columns={"worst": "largest excess", "trivial": "bound is 1 in", "loose": "bound / truth, median"}
)


# %%
def corrected_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One setting a row: m_1 of the corrected condition, failures of the lemma there, and bound over truth."""
    groups = rows[rows["kind"] == "corrected"].groupby("name", sort=False)
    table = pd.DataFrame({"m1, median": groups["m1"].median(), "draws": groups.size()})
    table["bound fails in"] = groups["lemma_failed"].sum().astype(int)
    table["largest sine / bound"] = groups.apply(lambda group: (group["sin2"] / group["lemma"]).max())
    return table


corrected_table(corrected)

# %% [markdown]
# ## Verdict
#
# The printed condition with constant 1 in ten inputs, with constants 1 to 100 in the noisy case of many inputs. The effect is
# $\delta$ minus the share of failures, which the lemma puts above zero. (Without any failure the interval has no
# width; the exact one is in the figure.)

# %%
at_condition = curves[curves["factor"] == 1.0]
parts = [
    results.paired(
        "the bound fails in less than δ of instances", DELTA - group["lemma_failed"].astype(float).to_numpy(), setting=name,
        unit="δ - share of failures",
    )
    for name, group in [
        *at_condition.groupby("name", sort=False),
        *((f"many inputs, noisy source, constant {constant:g}", group) for constant, group in counter.groupby("constant")),
    ]
]  # fmt: skip
rows = pd.concat([curves, counter, steps, sampled, angles, corrected], ignore_index=True)
verdict = results.record(p.exhibit, rows, p, parts=parts, tier="paper's data", seconds=runs.seconds)
print(verdict)
verdict

# %% [markdown]
# ## Recorded runs

# %%
recorded = results.other_run(p)
if recorded:
    plots.show(draw(recorded.rows))
recorded.verdict if recorded else "No other run is recorded yet."

# %%
counter_table(recorded.rows) if recorded else None

# %%
corrected_table(recorded.rows) if recorded else None
