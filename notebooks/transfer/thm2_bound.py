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
draws: int = None  # random instances for each point of the curves; None: the profile's value
proofs: int = None  # random instances on which the lines of the proof are evaluated
noisy: int = None  # random instances for each constant in the counterexample
constants: list[float] = None  # constants C of the counterexample; its number of inputs grows with C

# %%
from mtlrepro.parameters import params

p = params("transfer/thm2", globals(), positive=("draws", "proofs", "noisy", "constants"))
p

# %%
import matplotlib.pyplot as plt
import pandas as pd

from mtlrepro import plots, results
from mtlrepro.papers.transfer.theory import thm2_bound

plots.use()
runs = results.Runs(p)
DELTA = 0.1

# %% [markdown]
# :::{note} How we read the paper
# - "On the order of": constant 1 for each of the three terms of the formal statement, unless a constant is named. Where the
#   bound fails for every constant, that is shown with several.
# - $B^*, A_2^*$ are the exact optimum of the two-task problem with $r = 1$. $\theta_1^\top\Sigma_1\theta_1 = 1$. Source rows
#   have length
#   $\sqrt L = \sqrt{\operatorname{tr}\Sigma_1}$ as on the page of Lemma 8. $\delta = 0.1$ and $d = 10$.
# - The single-task error is that of least squares on the target alone,
#   $\|(X_2^\top X_2)^{-1}X_2^\top\varepsilon_2\|/\|\theta_2\|$.
# :::
#
# ## The bound, with too few and with enough source samples


# %%
def tried(name: str, setting: dict, count: int, seed: int, factor: float, condition: str) -> list[dict]:
    return thm2_bound.try_bounds(setting, count, seed, factor, condition)


base = thm2_bound.Setting(d=10, delta=DELTA, c=0.1)
SETTINGS = {
    "well conditioned": thm2_bound.settings_with(base),
    "noisy source": thm2_bound.settings_with(base, sigma1=5.0),
    "ill-conditioned source": thm2_bound.settings_with(base, kappa1=10.0),
    "ill-conditioned noisy target": thm2_bound.settings_with(base, c=0.05, share=0.2, kappa2=30.0, noise=1.0),
    "target without noise": thm2_bound.settings_with(base, c=0.05, noise=0.0),
}
factors = [4.0**power for power in range(-8, 3, 2)]
settings = [
    {"name": name, "setting": setting, "count": p.draws, "seed": 100 * place, "factor": factor, "condition": "printed"}
    for place, (name, setting) in enumerate(SETTINGS.items())
    for factor in factors
]
curves = runs.map(tried, settings, what="instances").assign(kind="curve")


def bound_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Each setting where the condition holds (factor 1) and far below it: failures, and medians of errors and bounds."""
    found = rows[(rows["kind"] == "curve") & rows["factor"].isin([1.0, rows["factor"].min()])]
    groups = found.groupby(["name", "factor"], sort=False)
    table = groups[["m1", "error", "single", "theorem", "sharper"]].median()
    table.insert(1, "draws", groups.size())
    table.insert(2, "bound fails in", groups["theorem_failed"].sum().astype(int))
    names = {"m1": "m1, median", "single": "single-task error", "theorem": "bound", "sharper": "our sharper bound"}
    return table.rename(columns=names)


bound_table(curves)


# %%
def draw(rows: pd.DataFrame) -> plt.Figure:
    """Left: bound over truth for each setting. Right: errors and bounds with the noisy source."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(plots.WIDTH * 1.5, 4.2))
    curve = rows[rows["kind"] == "curve"].assign(loose=lambda table: table["theorem"] / table["error"])
    shapes = list(zip(plots.COLORS.values(), plots.MARKERS, strict=False))
    for (color, marker), (name, group) in zip(shapes, curve.groupby("name", sort=False), strict=False):
        groups = group.groupby("factor")["loose"]
        low, high = groups.quantile(0.1), groups.quantile(0.9)
        plots.band(left, low.index, groups.median(), low, high, label=name, color=color, marker=marker)
    left.axhline(1, color=plots.COLORS["black"], linestyle="--", linewidth=1)
    left.set(xscale="log", yscale="log", xlabel="$m_1$ over the printed condition", ylabel="tightness: bound / true error")
    left.legend(loc="upper left", fontsize=9)
    chosen = curve[curve["name"] == "noisy source"]
    lines = {"error": "multi-task error", "single": "single-task error", "theorem": "Theorem 2", "sharper": "our sharper bound"}
    for (color, marker), (column, label) in zip(shapes, lines.items(), strict=False):
        groups = chosen.groupby("factor")[column]
        low, high = groups.quantile(0.1), groups.quantile(0.9)
        plots.band(right, low.index, groups.median(), low, high, label=label, color=color, marker=marker)
    right.set(
        xscale="log", yscale="log", xlabel="$m_1$ over the printed condition", ylabel="relative error of the target's model"
    )
    right.set_title("noisy source")
    right.legend(fontsize=9)
    return fig


plots.show(draw(curves))

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
def transfer_table(rows: pd.DataFrame) -> pd.DataFrame:
    """At the condition on m_1: how often each bound, and the multi-task error itself, lies below the single-task error."""
    found = rows[(rows["kind"] == "curve") & (rows["factor"] == 1.0)]
    groups = found.assign(
        theorem_below=found["theorem"] < found["single"],
        sharper_below=found["sharper"] < found["single"],
        error_below=found["error"] < found["single"],
    ).groupby("name", sort=False)
    names = {"theorem_below": "Theorem 2 below", "sharper_below": "our bound below", "error_below": "multi-task error below"}
    return groups[list(names)].mean().rename(columns=names)


transfer_table(curves)

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
def noise(constant: float, c: float, delta: float, ratio: float, count: int, seed: int) -> list[dict]:
    return thm2_bound.noisy_source(constant, c, delta, ratio, count, seed)


counter = runs.map(
    noise,
    [{"constant": constant, "c": 0.1, "delta": DELTA, "ratio": 4.0, "count": p.noisy, "seed": 17} for constant in p.constants],
    what="counterexample",
).assign(kind="counterexample")


def counter_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One constant a row: the size of the instance, the bound, the error found, and how often the bound fails."""
    groups = rows[rows["kind"] == "counterexample"].groupby("constant")
    table = groups[["d", "m1", "sigma1", "theorem"]].first().astype({"d": int, "m1": int})
    table["error, median"], table["least"] = groups["error"].median(), groups["error"].min()
    table["draws"], table["bound fails in"] = groups.size(), groups["theorem_failed"].sum().astype(int)
    table["m1 of the corrected condition"] = groups["corrected_m1"].first()
    return table.rename(columns={"sigma1": "σ₁", "theorem": "bound"})


counter_table(counter)

# %%
noisy_many = {"many inputs, noisy source": thm2_bound.settings_with(base, d=60, sigma1=10.0, rows=80)}
enough = [
    {"name": name, "setting": setting, "count": p.draws, "seed": 900 + place, "factor": 1.0, "condition": "corrected"}
    for place, (name, setting) in enumerate((SETTINGS | noisy_many).items())
]
corrected = runs.map(tried, enough, what="corrected condition").assign(kind="corrected")


def corrected_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One setting a row at the corrected condition: failures of either bound, and the largest error over each."""
    groups = rows[rows["kind"] == "corrected"].groupby("name", sort=False)
    table = pd.DataFrame({"m1, median": groups["m1"].median(), "draws": groups.size()})
    table["bound fails in"] = groups["theorem_failed"].sum().astype(int)
    table["largest error / bound"] = groups.apply(lambda group: (group["error"] / group["theorem"]).max())
    table["largest error / our bound"] = groups.apply(lambda group: (group["error"] / group["sharper"]).max())
    return table


corrected_table(corrected)

# %% [markdown]
# ## The printed proof from Lemma 8 on, line by line
#
# All lines hold on every instance where Lemma 8 does (but for $\hat\theta$, which stands for $B^*$ in the formula of
# $A_2^*$). The
# constants have little slack: $4\sqrt2 c \le 6c$ and $2\sqrt2c \le 3c$.


# %%
def lines(which: str, setting: dict, count: int, seed: int, condition: str) -> list[dict]:
    return thm2_bound.try_lines(which, setting, count, seed, condition)


examined = thm2_bound.settings_with(base, d=20, kappa1=4.0, kappa2=2.0, rows=40)
steps = runs.map(
    lines, [{"which": "theorem", "setting": examined, "count": p.proofs, "seed": 11, "condition": "printed"}], what="proofs"
).assign(kind="line")  # fmt: skip


def line_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One displayed line a row: in how many instances it fails, and left over right."""
    table = rows[rows["kind"] == "line"][["line", "relation", "n", "broken", "left_over_right"]]
    names = {"n": "instances", "broken": "fails in", "left_over_right": "left / right, median"}
    return table.astype({"n": int, "broken": int}).rename(columns=names).set_index("line")


line_table(steps)

# %% [markdown]
# ## Verdict
#
# The bound at the printed condition (effect: $\delta$ minus the share of failures), in ten inputs and in the noisy case of
# many
# inputs; and the remark on positive transfer (effect: single-task error minus multi-task error, at the condition).

# %%
at_condition = [*curves[curves["factor"] == 1.0].groupby("name", sort=False)]
parts = [
    results.paired(
        "the bound fails in less than δ of instances", DELTA - group["theorem_failed"].astype(float).to_numpy(), setting=name,
        unit="δ - share of failures",
    )
    for name, group in [
        *at_condition,
        *((f"many inputs, noisy source, constant {constant:g}", group) for constant, group in counter.groupby("constant")),
    ]
] + [
    results.paired("transfer is positive", (group["single"] - group["error"]).to_numpy(), setting=name, unit="error saved")
    for name, group in at_condition
]  # fmt: skip
rows = pd.concat([curves, counter, corrected, steps], ignore_index=True)
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
transfer_table(recorded.rows) if recorded else None

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
