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
instances: int = None  # random instances of each case; None: the profile's value
descents: int = None  # of them, how many are also solved by alternating least squares
draws: int = None  # random draws for each point of the figure
proofs: int = None  # random instances on which the lines of the proof are evaluated

# %%
from mtlrepro.parameters import params

p = params("transfer/prop3", globals(), positive=("instances", "descents", "draws", "proofs"))
p

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mtlrepro import plots, results
from mtlrepro.papers.transfer.theory import prop3_same_inputs

plots.use()
COLORS = [plots.COLORS[name] for name in ("blue", "vermillion", "green", "purple")]
TOLERANCE = 1e-9  # relative to the label energy; rounding leaves about 1e-15
runs = results.Runs(p)

# %% [markdown]
# :::{note} How we read the paper
# - "Full rank" must be full *column* rank, or $(X^\top X)^{-1}$ does not exist. We also try rank-deficient $X$ and fewer samples
#   than inputs, with the pseudo-inverse.
# - The columns of $Q_r$ span the first $r$ left singular vectors of
#   $Z = U^\top[\sqrt{\alpha_1}y_1, \dots, \sqrt{\alpha_k}y_k]$; $\lambda_1 \ge \lambda_2 \ge \dots$ are its squared singular
#   values.
# - "The" best approximation presupposes $\lambda_r > \lambda_{r+1}$. Ties are tried apart.
# - In the remark $r = 1$, $\alpha_2 = 1$, and $\alpha_1$ grows from 1. Any multiple of $B^*$ is optimal too, so its cosine
#   has no sign of its own; we look at $|\cos(B^*, \theta)|$ and at task 1's model $B^*A_1^*$, which has one.
# :::
#
# ## The formula on random instances
#
# $d$ is 2 to 7, $k$ 2 to 6, $r$ from 1 to the rank of $Z$. The loss at the formula is compared with the closed-form minimum.
# Ten other $B$ per instance, near and far, must lose at least $(\lambda_r - \lambda_{r+1})\|\sin\Theta\|^2$ more, with
# $\Theta$ the angles between the spans of $XB$ and $XB^*$: this makes the optimal span unique.
# Alternating least squares from a random start, which knows no SVD, must end in the same span.


# %%
def optimum(case: str, count: int, seed: int, tolerance: float, descents: int) -> dict:
    return prop3_same_inputs.try_optimum(case, count, seed, tolerance, descents)


settings = [
    {"case": case, "count": p.instances, "seed": place, "tolerance": TOLERANCE, "descents": p.descents}
    for place, case in enumerate(prop3_same_inputs.CASES)
]
tried = runs.map(optimum, settings, what="instances").assign(kind="optimum")


def worst_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a case: instances, and the worst of each comparison."""
    some = rows[rows["kind"] == "optimum"].set_index("case")
    return pd.DataFrame(
        {
            "instances": some["n"].astype(int),
            "largest difference to the least loss": some["closed_worst"],
            "least excess above the demanded, other B": some["margin_worst"],
            "solved by alternation": some["angle_n"].astype(int),
            "largest sine between the spans": some["angle_worst"],
        }
    )


worst_table(tried)

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
def degenerate(case: str, count: int, seed: int, tolerance: float) -> dict:
    return prop3_same_inputs.try_degenerate(case, count, seed, tolerance)


ties = runs.map(
    degenerate,
    [{"case": case, "count": p.instances, "seed": 7, "tolerance": TOLERANCE} for case in prop3_same_inputs.DEGENERATE],
    what="degenerate",
).assign(kind="degenerate")
ties.set_index("case")[["n", "excess", "sine_least", "sine_median", "broken"]].rename(
    columns={
        "n": "instances",
        "excess": "largest difference in loss",
        "sine_least": "least sine between the spans",
        "sine_median": "median sine",
        "broken": "two optimal spans in",
    }
)

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
def curve(kappa: float, noise: float, seed: int, points: int) -> list[dict]:
    rng = np.random.default_rng(seed)
    drawn = prop3_same_inputs.smallest_dip() if kappa == 2 else prop3_same_inputs.draw_remark(kappa, noise, rng)
    alphas = np.geomspace(1, 1e4, points)
    names = ("signed", "absolute", "outputs")
    curves = zip(alphas, *prop3_same_inputs.weighted_line(*drawn, alphas), strict=True)
    return [{"alpha": a, "dip": kappa == 2} | dict(zip(names, values, strict=True)) for a, *values in curves]


def remark(kappa: float, noise: float, count: int, seed: int, tolerance: float) -> dict:
    return prop3_same_inputs.try_remark(kappa, noise, count, seed, tolerance)


examples = [{"kappa": 2.0, "noise": (29 / 5) ** 0.5, "seed": 0, "points": 200}]
examples += [{"kappa": 30.0, "noise": 3.0, "seed": s, "points": 200} for s in range(10)]
curves = runs.map(curve, examples, what="curves").assign(kind="curve")
grid = [
    {"kappa": kappa, "noise": noise, "count": p.draws, "seed": 11, "tolerance": TOLERANCE}
    for noise in (0.3, 1.0, 3.0)
    for kappa in (1.0, 3.0, 10.0, 30.0, 100.0)
]
shares = runs.map(remark, grid, what="remark").assign(kind="remark")
rows = pd.concat([tried, ties, curves, shares], ignore_index=True)


def draw(rows: pd.DataFrame) -> plt.Figure:
    """Top: the three cosines of the smallest case, and |cos| of random draws. Bottom: share of draws where |cos| falls."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(plots.WIDTH, 8))
    some = rows[rows["kind"] == "curve"]
    for _, group in some[some["kappa"] != 2].groupby("seed"):
        top.plot(group["alpha"], group["absolute"], color="0.75", linewidth=1)
    top.plot([], [], color="0.75", linewidth=1, label=r"$|\cos(B^*,\theta)|$, random draws, $\kappa(X)=30$")
    example = some[some["kappa"] == 2]
    labels = {
        "outputs": r"$\cos(XB^*,X\theta)$",
        "signed": r"$\cos(B^*A_1^*,\theta)$",
        "absolute": r"$|\cos(B^*,\theta)|$",
    }
    for (name, label), color, style in zip(labels.items(), (COLORS[2], COLORS[0], COLORS[1]), (":", "-", "--"), strict=True):
        top.plot(example["alpha"], example[name], color=color, linestyle=style, label=label, linewidth=2.4)
    top.axhline(0, color="0.4", linewidth=0.9)
    top.set(xscale="log", xlabel=r"weight $\alpha_1$ of the clean task ($\alpha_2=1$)", ylabel="cosine", ylim=(-0.45, 1.05))
    top.legend(title=r"colours: $X=\mathrm{diag}(2,1)$", loc="center right")
    for color, marker, (noise, group) in zip(COLORS, "osv", rows[rows["kind"] == "remark"].groupby("noise"), strict=False):
        bottom.plot(group["kappa"], group["falls_absolute"] / group["n"], marker + "-", color=color, label=f"{noise:g}")
    bottom.set(
        xscale="log", xlabel=r"condition number $\kappa(X)$ (5 inputs)", ylabel=r"share of draws where $|\cos(B^*,\theta)|$ falls"
    )
    bottom.legend(title=r"noise $|\varepsilon_2|/|X\theta|$")
    return fig


plots.show(draw(rows))


# %%
def remark_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a setting: draws, in how many each cosine falls somewhere, the deepest fall, and the cosine at the last weight."""
    some = rows[rows["kind"] == "remark"].set_index(["noise", "kappa"])
    names = {
        "n": "draws",
        "falls_absolute": "|cos(B*, θ)| falls in",
        "obtuse": "starts beyond a right angle in",
        "acute_falls": "falls from an acute angle in",
        "falls_signed": "cos(B*A_1*, θ) falls in",
        "falls_outputs": "cos(XB*, Xθ) falls in",
    }
    table = some[list(names)].astype(int).rename(columns=names)
    return table.assign(**{"deepest fall": some["depth"], "least cosine at α_1 = 1e10": some["limit"]})


remark_table(shares)

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
def lines(count: int, seed: int) -> list[dict]:
    return prop3_same_inputs.try_lines(count, seed)


def line_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line of the proof a row: in how many instances it fails, its largest relative error, the median left / right."""
    table = rows[rows["kind"] == "line"].copy()
    table["holds"] = np.where(table["broken"] == 0, "yes", "no")
    names = {
        "n": "instances",
        "broken": "fails in",
        "worst_error": "largest relative error",
        "left_over_right": "left / right, median",
    }
    table = table[["line", "relation", "holds", *names, "correction"]].astype({"n": int, "broken": int}).rename(columns=names)
    return table.set_index("line").fillna("")


steps = runs.map(lines, [{"count": p.proofs, "seed": 6}], what="lines of the proof").assign(kind="line")
rows = pd.concat([rows, steps], ignore_index=True)
line_table(steps)

# %% [markdown]
# ## Verdict
#
# The first four parts judge the proposition, the others the remark.

# %%
parts = [
    results.check(
        name, worst=tried[f"{column}_worst"].agg(worst), n=int(tried[count].sum()), tolerance=tolerance,
        violations=int(tried[f"{column}_violations"].sum()), setting=setting,
    )
    for name, column, worst, count, tolerance, setting in (
        ("the formula attains the least loss", "closed", "max", "n", TOLERANCE, "all cases"),
        ("any other span of X B loses more, by its angle", "margin", "min", "margin_n", TOLERANCE, "all cases"),
        ("alternating least squares ends in the same span", "angle", "max", "angle_n", 1e-6, "full column rank, λ_r > λ_{r+1}"),
    )
]  # fmt: skip
idle = ties[ties["case"] == prop3_same_inputs.DEGENERATE[0]].iloc[0]
n = int(shares["n"].sum())
parts += [
    results.check(
        "every optimal B has the span of the formula", worst=idle["sine_median"], n=int(idle["n"]),
        violations=int(idle["broken"]), tolerance=TOLERANCE, setting="labels of rank below r",
    ),
    results.check(
        "the cosine tends to 1", worst=shares["limit"].min(), n=n, violations=int((shares["limit"] < 1 - 1e-6).sum()),
        tolerance=1e-6, setting="α_1 = 1e10",
    ),
    results.check(
        "cos(B* A_1*, θ) increases with α_1", worst=shares["worst"].max(), n=n,
        violations=int(shares["falls_signed"].sum()), tolerance=TOLERANCE, setting="signed",
    ),
    results.check(
        "|cos(B*, θ)| increases with α_1", worst=shares["depth"].max(), n=n,
        violations=int(shares["falls_absolute"].sum()), tolerance=TOLERANCE, setting="unsigned",
    ),
]  # fmt: skip
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
worst_table(recorded.rows) if recorded else None

# %%
remark_table(recorded.rows) if recorded else None

# %% [markdown]
# ## Exercise
#
# Let $X^\top X = I$. Show that $|\cos(B^*, \theta)|$ cannot fall.
#
# :::{dropdown} Solution
# Then $B^* = Vq$ and $\theta = Vz_1$, so $|\cos(B^*, \theta)| = |\cos(q, z_1)| = |\cos(XB^*, X\theta)|$, which increases.
# :::
