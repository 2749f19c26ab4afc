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
# # Figure 1: who helps flips from batch to batch
#
# The motivation of HydaLearn ({cite}`verboven2020hydalearn`) is a row of boxes for each task, one box a mini-batch: green where a
# step on that task's loss would improve the *main* metric, red where it would worsen it. The point: both rows change colour from
# batch to batch, and each in its own way. So task weights should follow the mini-batch and not a slow trend.
#
# Here the boxes are measured along real training on the paper's two toy problems. The colour of task $i$ is the sign of its gain,
#
# $$ \delta_i = M_m\big(\theta_s - s_i\, g_i,\ \theta_m'\big) - M_m\big(\theta_s,\ \theta_m'\big), $$
#
# with $g_i$ its gradient on the shared parameters and $\theta_m'$ the main head after its own step. Four questions:
#
# 1. In which share of the batches is a box green, and how does that change along training?
# 2. How often does the colour flip from one batch to the next? Independent tosses of a coin with the same share $p$ of green
#    would flip in $2p(1-p)$ of the cases. Fewer flips mean memory: a colour that lasts, and that slow weights could follow.
# 3. How often do the two tasks' boxes differ?
# 4. Is it the batch? Larger batches should flip less.
#
# :::{note} How we read the paper
# - **Step size** $s_i$: as in Algorithm 1, the learning rate over the gradient's length (*unit step*), or the learning rate (*raw
#   step*).
# - **Metric**: mean absolute error on the first validation samples, the same throughout, averaged in double precision. A second
#   set of validation samples shows how much of a colour depends on the samples.
# - **Training**: HydaLearn with $\beta = 6$ (Table 6), with the update *as printed* or *scale-matched* (the auxiliary gradient on
#   the shared layers rescaled to the main one's norm); learning rates 0.01, the paper's, and a larger one with which the networks
#   come closer to convergence.
# - **Inputs**: *as printed* (standard Gaussian into a tanh that saturates) or *softened* (what enters the tanh has spread 1); see
#   [Figure 4](fig4_toys).
# - **"Flips"**: the paper gives no number. We call it shown where at least one batch in ten flips, at least nine tenths as often
#   as the coin, and where the tasks' boxes differ in at least one batch in ten.
# - Measured in bursts of successive batches at equal distances along training. The coin has the burst's own share, so that the
#   slow drift from burst to burst is not taken for memory. For $k$ green boxes of $n$ in random order the mean share of flips is
#   $2k(n-k)/(n(n-1))$.
# :::

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
seeds: int | None = None  # None: the profile's value
first_seed: int | None = None
steps: dict[str, int] | None = None  # updates, by problem
points: dict[str, int] | None = None  # validation samples of either set, by problem
rates: dict[str, list[float]] | None = None  # learning rates, by problem
bursts: int | None = None  # bursts along a training
burst: int | None = None  # successive batches of a burst
batches: list[int] | None = None  # batch sizes of question 4

# %%
from mtlrepro.parameters import params

p = params("hydalearn/fig1", globals(), positive=("seeds", "bursts", "burst", "batches"))

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from mtlrepro import plots, results
from mtlrepro.papers.hydalearn.data.toys import toy
from mtlrepro.papers.hydalearn.compared_methods import METHODS
from mtlrepro.papers.hydalearn.training.tuned_runs import Setup
from mtlrepro.papers.hydalearn.fig1_flips import colour_rows
from mtlrepro.papers.hydalearn.training.gain_meters import on_samples, trace

torch.set_num_threads(1)
plots.use()
runs = results.Runs(p)
PROBLEMS = {"Exp1": ("related", [64] * 4, [32]), "Exp2": ("unrelated", [40] * 2, [20])}
INPUTS = {"as printed": None, "softened": 1.0}
UPDATES = ("as printed", "scale-matched")
TASKS = ("main", "auxiliary")


# %%
def measure(
    problem: str, inputs: str, update: str, rate: float, batch: int, seeds: list[int], steps: int, points: int, bursts: int,
    burst: int,
) -> list[dict]:  # fmt: skip
    """Train all seeds at one setting; rows of colours by seed, burst and kind of step (see `colour_rows`)."""
    kind, shared, head = PROBLEMS[problem]
    parts = toy(kind, seeds, spread=INPUTS[inputs])
    setup = Setup(shared, head, ("squared error",) * 2, "MAE", steps, check=steps // bursts, batch=batch, points=points)
    first, second = slice(points), slice(points, 2 * points)
    meters = {
        "unit": on_samples(parts, setup, first),
        "raw": on_samples(parts, setup, first, normalise=False),
        "other samples": on_samples(parts, setup, second),
    }
    found = trace(
        parts, seeds, setup, METHODS["hydalearn"].build, {"rate": rate, "beta": 6.0}, meters, update == "scale-matched",
        every=steps // bursts, burst=burst,
    )  # fmt: skip
    return colour_rows(found.gains, seeds, bursts)


every = list(range(p.first_seed, p.first_seed + p.seeds))
common = {"seeds": every, "bursts": p.bursts, "burst": p.burst}
settings = [
    {"problem": problem, "inputs": inputs, "update": update, "rate": rate, "batch": 16, "steps": p.steps[problem],
     "points": p.points[problem]} | common
    for problem in PROBLEMS for inputs in INPUTS for update in UPDATES for rate in p.rates[problem]
]  # fmt: skip
rows = runs.map(measure, settings, "training").assign(part="boxes")

# %% [markdown]
# ## The boxes
#
# One seed, successive batches of the first and of the last burst, unit steps, softened inputs. A plus is green, a dash red.


# %%
def draw_boxes(rows: pd.DataFrame) -> None:
    """The paper's figure from measured colours: the first seed's rows of each task, early and late."""
    rates = rows.groupby("problem", sort=False)["rate"].max()
    lines = [(problem, rate, update) for problem, rate in rates.items() for update in UPDATES]
    fig, axes = plt.subplots(2 * len(lines), 1, figsize=(plots.WIDTH, 2.1 * len(lines) + 0.4), layout="constrained")
    boxes = rows[(rows.part == "boxes") & (rows.meter == "unit") & (rows.inputs == "softened") & rows["main colours"].notna()]
    for number, (problem, rate, update) in enumerate(lines):
        here = boxes[(boxes.problem == problem) & (boxes.rate == rate) & (boxes["update"] == update)]
        for ax, when, row in ((axes[2 * number], "early", here.iloc[0]), (axes[2 * number + 1], "late", here.iloc[-1])):
            for y, task in enumerate(TASKS):
                for x, mark in enumerate(row[f"{task} colours"][:20]):
                    color = plots.COLORS["green" if mark == "+" else "vermillion"]
                    ax.add_patch(plt.Rectangle((x + 0.06, -y + 0.06), 0.88, 0.84, color=color, linewidth=0))
                    ax.text(
                        x + 0.5, -y + 0.5, "+" if mark == "+" else "–", color="white", ha="center", va="center", weight="bold"
                    )
            ax.set(xlim=(0, 20), ylim=(-1.05, 1.05), xticks=[])
            ax.set_yticks([0.5, -0.5], TASKS)
            ax.tick_params(length=0)
            ax.set_title(f"{problem}, rate {rate:g}, update {update}: {when}", fontsize=11, loc="left", pad=3)
            ax.grid(False)
            ax.spines[:].set_visible(False)
    plots.show(fig)


draw_boxes(rows)

# %% [markdown]
# ## Share of green, and flips
#
# By setting, means over bursts and seeds. *Coin*: the flips of the same colours in random order. *Other samples*: the share of
# batches whose colour is the same on other validation samples. *Out*: share of bursts left out because the network is dead (no
# active unit) or diverged.

# %%
SETTING = ["problem", "inputs", "update", "rate"]


def box_table(rows: pd.DataFrame, meter: str) -> pd.DataFrame:
    here = rows[(rows.part == "boxes") & (rows.meter == meter)]
    out = 1 - here.groupby(SETTING, sort=False)["alive"].mean()
    columns = [f"{task} {key}" for task in TASKS for key in ("green", "flips", "coin")] + [
        "differ",
        "differ by chance",
        "both red",
    ]
    columns += [f"{task} same" for task in TASKS] if meter == "unit" else []
    table = here[here["alive"].astype(bool)].groupby(SETTING, sort=False)[columns].mean().assign(out=out)
    return table.rename(columns={f"{task} same": f"{task}: same on other samples" for task in TASKS}).round(3)


box_table(rows, "unit")

# %%
box_table(rows, "raw")

# %% [markdown]
# Along training: share of green by burst, mean and 95% interval over seeds, unit steps.


# %%
def draw_shares(rows: pd.DataFrame, inputs: str) -> None:
    here = rows[(rows.part == "boxes") & (rows.meter == "unit") & (rows.inputs == inputs) & rows["alive"].astype(bool)]
    panels = here[["problem", "rate"]].drop_duplicates().to_numpy().tolist()
    fig, axes = plt.subplots(
        2, -(-len(panels) // 2), figsize=(plots.WIDTH, 5.6), sharey=True, layout="constrained", squeeze=False
    )
    for ax, (problem, rate) in zip(axes.flat, panels, strict=False):
        for task, color in zip(TASKS, ("blue", "vermillion"), strict=True):
            for update, marker, style in zip(UPDATES, ("o", "s"), ("-", "--"), strict=True):
                some = here[(here.problem == problem) & (here.rate == rate) & (here["update"] == update)]
                points = [(at, *results.interval(group[f"{task} green"])) for at, group in some.groupby("at")]
                at, mean, low, high = np.array(points).T
                ends = np.clip([mean - low, high - mean], 0, 1)
                ax.errorbar((at + 1) / (here["at"].max() + 1), mean, ends, label=f"{task}, update {update}",
                            color=plots.COLORS[color], marker=marker, linestyle=style, linewidth=1.2, markersize=4)  # fmt: skip
        ax.axhline(0.5, color="#777777", linewidth=0.8, linestyle=":")
        ax.set(title=f"{problem}, learning rate {rate:g}", ylim=(-0.03, 1.03))
    for ax in axes[-1]:
        ax.set_xlabel("share of training")
    for ax in axes[:, 0]:
        ax.set_ylabel("share of green boxes")
    fig.suptitle(f"inputs {inputs}", fontsize=12.5)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    plots.show(fig)


for inputs in INPUTS:
    draw_shares(rows, inputs)

# %% [markdown]
# ## Is it the batch?
#
# Exp2, softened inputs, update as printed, the larger learning rate: the same training with other batch sizes.

# %%
large = [
    {"problem": "Exp2", "inputs": "softened", "update": "as printed", "rate": p.rates["Exp2"][-1], "batch": batch,
     "steps": p.steps["Exp2"], "points": p.points["Exp2"]} | common
    for batch in p.batches
]  # fmt: skip
rows = pd.concat([rows, runs.map(measure, large, "batch sizes").assign(part="batch size")], ignore_index=True)


def batch_table(rows: pd.DataFrame) -> pd.DataFrame:
    here = rows[(rows.part == "batch size") & (rows.meter == "unit") & rows["alive"].astype(bool)]
    columns = [f"{task} {key}" for task in TASKS for key in ("green", "flips", "coin", "same")]
    return here.groupby("batch")[[*columns, "differ", "both red"]].mean().round(3)


batch_table(rows)

# %% [markdown]
# ## Verdict
#
# One effect a seed: the mean over its bursts. Inputs, update, learning rate and kind of step make settings of their own.


# %%
def by_seed(rows: pd.DataFrame, **setting: str | float) -> pd.DataFrame:
    """Means over the bursts of each seed."""
    chosen = rows["alive"].astype(bool) & (rows.part == "boxes")
    for name, value in setting.items():
        chosen &= rows[name] == value
    return rows[chosen].groupby("seed").mean(numeric_only=True)


def claims(rows: pd.DataFrame, **setting: str | float) -> list[results.Part]:
    here = by_seed(rows, **setting)
    if here.empty:
        return []
    label = "{problem}, inputs {inputs}, update {update}, rate {rate:g}, {meter} step".format(**setting)
    parts = []
    for task in TASKS:
        flips, coin = here[f"{task} flips"], here[f"{task} coin"]
        effects = {
            "flips in at least a tenth of the batches": flips - 0.1,
            "flips at least 0.9 times as often as a coin": flips - 0.9 * coin,
        }
        parts += [
            results.paired(f"the {task} box {name}", effect.to_numpy(), claim="positive", setting=label, unit="flips a batch")
            for name, effect in effects.items()
        ]
    differ = (here["differ"] - 0.1).to_numpy()
    return [*parts, results.paired("the boxes differ in at least a tenth", differ, claim="positive", setting=label, unit="share")]


keys = rows.loc[rows.part == "boxes", [*SETTING, "meter"]].drop_duplicates().to_dict("records")
parts = [part for key in keys for part in claims(rows, **key)]
verdict = results.record(p.exhibit, rows, p, parts=parts, tier="paper's data", seconds=runs.seconds)
print(verdict)
verdict

# %% [markdown]
# ## Recorded runs
#
# In short, from the longer run: colours do change from batch to batch, nearly everywhere. They change as often as the tosses of a
# coin with the same share of green, and the two tasks' boxes differ as often as two independent coins. So nothing lasts that slow
# weights could follow, but also nothing that the last batch tells about the next one: the motive of the paper holds, and the
# question becomes how much of a colour is the batch and how much is the validation sample (column *same on other samples*). The
# exception is the paper's small rate in Exp2, where every batch still helps the main task.

# %%
recorded = results.other_run(p)
if recorded:
    print(recorded.verdict)
    draw_boxes(recorded.rows)
    for inputs in INPUTS:
        draw_shares(recorded.rows, inputs)
recorded.verdict if recorded else "No other run is recorded yet."

# %%
box_table(recorded.rows, "unit") if recorded else None

# %%
batch_table(recorded.rows) if recorded else None

# %% [markdown]
# ## Exercise
#
# A box that is green with probability $p$, independently for each batch, flips in $2p(1-p)$ of the cases. Why must the flips of a
# burst be compared with $2k(n-k)/(n(n-1))$ and not with $2\hat p(1-\hat p)$, where $\hat p = k/n$?
#
# :::{dropdown} Solution
# $\hat p(1-\hat p)$ underestimates $p(1-p)$ by the factor $(n-1)/n$ on average, as every sample variance does. In random order
# the two of a neighbouring pair are drawn without replacement, and they differ with probability $2k(n-k)/(n(n-1))$ exactly.
# :::
