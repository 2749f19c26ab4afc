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
# # Figure 3: geometry against gradient cosine
#
# A conceptual figure of {cite}`verboven2020hydalearn`. Gradient cosine ({cite}`du2018gcosim`) adds the auxiliary gradient where
# it is within 90 degrees of the main one, at full length, and follows the main gradient always. The figure says:
#
# - **Top:** both gradients help, the auxiliary one is much longer, and the main one points better. Gradient cosine lets the
#   auxiliary task dominate; HydaLearn **gives the main task more weight**.
# - **Bottom:** the main gradient of a noisy batch is harmful. Gradient cosine follows it and blocks the helpful auxiliary
#   gradient; HydaLearn **does not follow it**.
#
# Here nothing is drawn by hand. Each panel is one training step of a model with two shared parameters and a quadratic main
# metric, with both methods from the package. Then the same step is made in thousands of random geometries.
#
# :::{note} How we read the paper
# - The figure is conceptual and gives no numbers; we chose the four geometries below. Quality of a gradient: its angle to the
#   direction in which the metric improves fastest.
# - Algorithm 1 normalises the fake steps only. *As printed*: the real step takes the raw gradients, so a weight that favours the
#   main task can still leave the auxiliary gradient in the lead. *Scale-matched*: the auxiliary gradient is first rescaled to the
#   main one's norm. For gradient cosine both are shown, too.
# - Mixed gains give all weight to the task with the positive one; two negative gains have the ratio of their absolute values and
#   the total of eq. 4. $W = 2$, which is the total of gradient cosine where it adds both.
# - The paper's text calls its panels "top", "bottom left" and "left"; what stands where makes no difference to the claims.
# :::

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
seeds: int | None = None  # None: the profile's value
first_seed: int | None = None
geometries: int | None = None  # random geometries a seed
rates: list[float] | None = None  # learning rates; the distance to the optimum is 1
betas: list[float] | None = None  # exponents of eq. 5; the last one is the paper's for its toys

# %%
from mtlrepro.parameters import params

p = params("hydalearn/fig3", globals(), positive=("seeds", "geometries", "rates", "betas"))

# %%
import json
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from mtlrepro import plots, results
from mtlrepro.papers.hydalearn import fig3_geometry
from mtlrepro.papers.hydalearn.fig3_geometry import METHODS

torch.set_num_threads(1)
plots.use()
runs = results.Runs(p)

# %% [markdown]
# ## Four geometries
#
# Angles are those of the *descent* directions $-g_m$, $-g_a$ against the best direction; lengths are in units of the metric's
# gradient.

# %%
PANELS = {  # angle of main and auxiliary in degrees, their lengths
    "A: dominant auxiliary": ((15, 65), (1.0, 3.0)),
    "B: harmful main": ((125, -20), (1.2, 1.0)),
    "C: dominant and better": ((65, 15), (1.0, 3.0)),
    "D: both harmful": ((100, -150), (1.0, 1.0)),
}
SHOWN = {"cosine": ("blue", 3.0), "hydalearn": ("vermillion", 3.0), "hydalearn, matched": ("orange", 1.8)}
SIZE = 0.15  # learning rate of the panels: large enough to see the updates


def panel(name: str, beta: float, rate: float) -> list[dict]:
    """The gradients of one panel, and the weights and updates of every method."""
    values = [np.deg2rad([PANELS[name][0]]), np.array([PANELS[name][1]]), np.array([4.0]), np.array([math.pi / 5])]
    here = fig3_geometry.geometry(*(torch.tensor(value, dtype=torch.float64) for value in values))
    rows = []
    for method, made in METHODS.items():
        weights, update = fig3_geometry.step(here, made.build(beta), rate)
        row = dict(zip(("w_m", "w_a", "x", "y"), torch.cat([weights, update], 1)[0].tolist(), strict=True))
        row |= {"gradients": here.gradients[0].flatten().tolist(), "hessian": here.hessian[0].flatten().tolist()}
        rows.append({"kind": "panel", "method": method, "gain": fig3_geometry.gain(here, update).item()} | row)
    return rows


shown = runs.map(panel, [{"name": name, "beta": beta, "rate": SIZE} for name in PANELS for beta in p.betas], "panels")


def draw_panels(rows: pd.DataFrame, beta: float) -> None:
    """Contours of the metric, the descent steps of both tasks (thin, black) and the updates of the methods."""
    fig, axes = plt.subplots(2, 2, figsize=(plots.WIDTH, 7.2), layout="constrained")
    grid = np.stack(np.meshgrid(np.linspace(-0.6, 1.15, 80), np.linspace(-0.75, 1.0, 80)), -1)
    for ax, name in zip(axes.flat, PANELS, strict=True):
        here = rows[(rows.kind == "panel") & (rows.name == name) & (rows.beta == beta)].set_index("method")
        gradients, hessian = (np.reshape(_list(here[column].iloc[0]), (2, 2)) for column in ("gradients", "hessian"))
        off = grid - np.array([1.0, 0.0])
        value = -np.einsum("...i,ij,...j->...", off, hessian, off) / hessian[0, 0]
        ax.contour(
            *grid.transpose(2, 0, 1), value, levels=np.arange(-6, 0, 0.25), colors="#DDDDDD", linestyles="-", linewidths=0.8
        )
        ax.contour(*grid.transpose(2, 0, 1), value, levels=[-1], colors="#777777", linestyles="-", linewidths=1.4)
        ax.plot(1, 0, marker="*", markersize=12, color=plots.COLORS["black"])
        arrow = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0}
        for number, (method, (color, width)) in enumerate(SHOWN.items()):
            style = arrow | {"color": plots.COLORS[color], "lw": width}
            ax.annotate("", here.loc[method, ["x", "y"]].astype(float), (0, 0), arrowprops=style, zorder=3 + number)
            ax.plot([], [], color=plots.COLORS[color], linewidth=width, label=METHODS[method].title)
        for tip, label in zip(-SIZE * gradients, ("$-g_m$", "$-g_a$"), strict=True):
            ax.annotate("", tip, (0, 0), arrowprops=arrow | {"color": plots.COLORS["black"], "lw": 1.0}, zorder=8)
            # Beside the arrow, away from the other one.
            side = np.array([-tip[1], tip[0]]) * np.sign(np.linalg.det(gradients)) * (-1 if label == "$-g_m$" else 1)
            where = 15 * side / np.linalg.norm(side)
            ax.annotate(label, 0.7 * tip, where, textcoords="offset points", ha="center", va="center", fontsize=13, zorder=9)
        ax.set(title=name, xlim=(-0.6, 1.15), ylim=(-0.75, 1.0), xticks=[], yticks=[], aspect="equal")
        ax.grid(False)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=1)
    plots.show(fig)


def _list(cell: list[float] | str) -> list[float]:
    """A list of numbers, also from a recorded table, where it is text."""
    return json.loads(cell) if isinstance(cell, str) else cell


draw_panels(shown, p.betas[0])

# %% [markdown]
# Equation 3 as it is ($\beta$ the first of the parameter list). The grey contour runs through the model's place: inside it the
# metric is better than before the step; the star is the optimum. In A, HydaLearn gives the main task more weight, and still its
# step as printed leans to the longer auxiliary gradient; scale-matched it does not. In B it turns to the auxiliary task. C is A
# with the roles of the tasks exchanged: the weight follows quality, not the name. In D both fake steps do harm, and the ratio of
# two negative gains favours the gradient that does *more* harm.
#
# The table has the weights, and what the step gains as a share of the whole way to the optimum's value.


# %%
def panel_table(rows: pd.DataFrame) -> pd.DataFrame:
    here = rows[rows.kind == "panel"].assign(method=[METHODS[name].title for name in rows[rows.kind == "panel"]["method"]])
    table = here.pivot(index=["name", "method"], columns="beta", values=["w_m", "w_a", "gain"]).astype(float).round(3)
    order = pd.MultiIndex.from_product([PANELS, [made.title for made in METHODS.values()]])
    return table.loc[order].rename(columns={"w_m": "weight of main", "w_a": "weight of auxiliary"})


panel_table(shown)

# %% [markdown]
# ## Random geometries
#
# The angles of both descent directions are uniform, the ratio of the gradients' lengths log-uniform between $1/30$ and 30, the
# metric's condition number log-uniform up to 10. How often does each property of the figure hold in the geometries it speaks of?
#
# - *Dominant auxiliary* (panel A): both gradients within 90 degrees of each other and of the best direction, the auxiliary one at
#   least twice as long, the main one better directed.
# - *Harmful main, helpful auxiliary* (B): by their angles to the best direction, and more than 90 degrees apart, so that
#   gradient cosine blocks the auxiliary one.
# - *Harmful main*: the same without a condition on the auxiliary gradient.
# - *Both harmful* (D): the metric worsens after either fake step.


# %%
def sweep(seed: int, geometries: int, rate: float, beta: float) -> list[dict]:
    """One row a group and method: the share of a seed's random geometries in which each property holds."""
    here = fig3_geometry.random_geometry(geometries, seed)
    found, rows = fig3_geometry.properties(here, rate, beta), []
    for group, chosen in fig3_geometry.groups(here, rate).items():
        for name, properties in found.items():
            shares = {key: round(value[chosen].double().mean().item(), 5) for key, value in properties.items() if key != "gain"}
            median = round(properties["gain"][chosen].median().item(), 5)
            rows.append({"kind": "sweep", "group": group, "method": name, "n": int(chosen.sum()), "gain": median} | shares)
    return rows


every = range(p.first_seed, p.first_seed + p.seeds)
settings = [
    {"seed": seed, "geometries": p.geometries, "rate": rate, "beta": beta}
    for rate in p.rates
    for beta in p.betas
    for seed in every
]
swept = runs.map(sweep, settings, "geometries")
rows = pd.concat([shown, swept], ignore_index=True)
CLAIMED = {
    "dominant auxiliary": ["more weight to main", "main leads the step", "gains more than gradient cosine",
                           "points better than gradient cosine"],
    "harmful main, helpful auxiliary": ["main not followed", "step improves the metric", "gains more than gradient cosine"],
    "both harmful": ["more weight to the worse", "gains more than gradient cosine"],
}  # fmt: skip


def sweep_table(rows: pd.DataFrame, rate: float, beta: float) -> pd.DataFrame:
    """Mean shares over seeds, one line a group and method."""
    here = rows[(rows.kind == "sweep") & (rows.rate == rate) & (rows.beta == beta)]
    other = ["main not followed", "step improves the metric", "more weight to the worse", "gain"]
    columns = [*CLAIMED["dominant auxiliary"], *other]
    table = here.assign(method=[METHODS[name].title for name in here["method"]]).groupby(["group", "method"], sort=False)
    return table[columns].mean().round(3).rename(columns={"gain": "median gain"})


sweep_table(rows, p.rates[-1], p.betas[0])

# %% [markdown]
# Of the same, the properties that the figure claims, at every learning rate and exponent of eq. 5 (1 is eq. 3). The dots are
# means over seeds; their intervals are narrower than the markers.


# %%
def draw_shares(rows: pd.DataFrame) -> None:
    lines = [(group, name) for group, names in CLAIMED.items() for name in names]
    here = rows[rows.kind == "sweep"]
    rates, betas = (sorted(here[column].unique()) for column in ("rate", "beta"))
    fig, axes = plt.subplots(len(rates), 1, figsize=(plots.WIDTH, 3.9 * len(rates)), sharex=True, layout="constrained")
    for ax, rate in zip(np.atleast_1d(axes), rates, strict=True):
        for number, beta in enumerate((betas[0], betas[-1])):
            for method, color, offset in (("hydalearn", "vermillion", 0.16), ("hydalearn, matched", "blue", -0.16)):
                some = here[(here.rate == rate) & (here.beta == beta) & (here.method == method)]
                at = [some.loc[some.group == group, name].mean() for group, name in lines]
                fill = plots.COLORS[color] if number == 0 else "white"
                label = rf"{METHODS[method].title}, $\beta$ = {beta:g}"
                ax.plot(at, -np.arange(len(lines)) + offset, plots.MARKERS[number], color=plots.COLORS[color],
                        markerfacecolor=fill, markersize=6.5, label=label, clip_on=False)  # fmt: skip
        for edge in np.cumsum([len(names) for names in CLAIMED.values()])[:-1]:
            ax.axhline(0.5 - edge, color="#777777", linewidth=0.9)
        for start, group in zip(np.cumsum([0, *map(len, CLAIMED.values())]), CLAIMED, strict=False):
            ax.text(1.02, -start + 0.3, group.replace(", ", ",\n"), fontsize=10.5, va="top", transform=ax.get_yaxis_transform())
        ax.axvline(0.5, color="#555555", linewidth=0.9, linestyle=":")
        ax.set_yticks(-np.arange(len(lines)), [name for _, name in lines])
        ax.set(title=f"learning rate {rate:g}", xlim=(-0.02, 1.02), ylim=(0.5 - len(lines), 0.5))
    ax.set_xlabel("share of geometries")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=1)
    plots.show(fig)


draw_shares(rows)

# %% [markdown]
# - **The weights do what the figure says.** The exceptions are fake steps so long that curvature changes the order of the gains.
# - **The real step need not.** As printed, the raw auxiliary gradient can lead the step in spite of the weights.
# - **Better direction, shorter step.** Where both gradients help, gradient cosine's step is the longer one, and at a small
#   learning rate longer is better: it gains more from the dominant gradient that it is blamed for. At a large rate the same step
#   overshoots. So "dominated" is harmful or not with the learning rate, not with the angle.
# - **A harmful main gradient** is dropped only where the auxiliary one helps. As printed, the auxiliary step is then taken at
#   its raw length with all of $W$, which at the large rate overshoots in many geometries.
#
# ## Two harmful gradients
#
# The paper's aim is to give weight to "the task for which a particular mini-batch yields the most valuable signal". With both
# gains negative, eq. 3 does the reverse: $w_m / w_a = |\delta_m| / |\delta_a|$ is large where the main task hurts most.
# Equation 4 shrinks the total, but to between a half and all of $W$, and it shrinks least where $w_a / w_m$ is large, that is,
# where the auxiliary task does most of the harm. The *inverted* ratio is ours; [Algorithm 1](alg1_hydalearn) trains with it.


# %%
def harm_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Both gains negative: how often the worse task gets more weight, and the median loss of the step."""
    here = rows[(rows.kind == "sweep") & (rows.group == "both harmful") & rows.method.isin(["cosine", "hydalearn", "inverted"])]
    names = ["more weight to the worse", "points better than gradient cosine", "gain"]
    table = here.assign(method=[METHODS[name].title for name in here["method"]]).groupby(["rate", "beta", "method"], sort=False)
    return table[names].mean().round(3).rename(columns={"gain": "median gain"})


harm_table(rows)

# %% [markdown]
# ## Verdict
#
# The paper claims no numbers. A property counts as shown where it holds in most geometries of its kind: the effect of a seed is
# the share in which it holds, minus one half.


# %%
def claims(rows: pd.DataFrame, method: str, rate: float, beta: float) -> list[results.Part]:
    here = rows[(rows.kind == "sweep") & (rows.method == method) & (rows.rate == rate) & (rows.beta == beta)]
    label = f"{METHODS[method].title}, learning rate {rate:g}, β = {beta:g}"
    parts = []
    for group, names in CLAIMED.items():
        some = here[here.group == group]
        for name in names[:1] if group == "both harmful" else names:
            share = some[name].to_numpy()
            text = "less weight to the worse" if group == "both harmful" else name
            effect = (1 - share if group == "both harmful" else share) - 0.5
            parts.append(results.paired(f"{group}: {text}", effect, claim="positive", setting=label, unit="share − ½"))
    return parts


parts = [
    part
    for method in ("hydalearn", "hydalearn, matched")
    for rate in p.rates
    for beta in (p.betas[0], p.betas[-1])
    for part in claims(rows, method, rate, beta)
]
verdict = results.record(p.exhibit, rows, p, parts=parts, tier="paper's data", seconds=runs.seconds)
print(verdict)
verdict

# %% [markdown]
# ## Recorded runs

# %%
recorded = results.other_run(p)
if recorded:
    print(recorded.verdict)
    draw_panels(recorded.rows, p.betas[0])
    draw_shares(recorded.rows)
recorded.verdict if recorded else "No other run is recorded yet."

# %%
sweep_table(recorded.rows, p.rates[-1], p.betas[0]) if recorded else None

# %% [markdown]
# ## Exercise
#
# In panel A, by which factor may $g_a$ be longer than $g_m$ before the printed step leans to the auxiliary task, in terms of the
# gains of the fake steps?
#
# :::{dropdown} Solution
# The step is $w_m g_m + w_a g_a$ with $w_m / w_a = (\delta_m / \delta_a)^\beta$. The two parts are equally long where
# $\|g_a\| / \|g_m\| = (\delta_m / \delta_a)^\beta$. For short steps the gains are proportional to the cosines with the best
# direction, so two gradients of nearly equal quality tolerate hardly any difference in length.
# :::
