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
# # Figure 2: representations through training
#
# Why should merging classes of two tasks help? The paper ({cite}`hsieh2021cotask`) reasons: if the representations of classes
# $\alpha$, $\beta$ and $\gamma$ are separable, then $\alpha \cup \beta$ must be separable from $\gamma$; and merging "could
# encourage the model to map the representation of different tasks onto a much similar representation space". Its Figure 2 is a
# sketch of that. Here is the real thing: features of test images before training, after multi-task training, and after CO-TASK
# with the same number of steps.
#
# :::{note} How we read the paper
# - **Picture**: the first two principal components of the shared features of the two tasks that the first auxiliary task merges.
# - **Separable**: test accuracy of a linear probe (logistic regression on the features of validation images, one for each task),
#   and the silhouette of a task's classes, from -1 to 1.
# - **Similar space**: the share of the features' variance that lies between the tasks' means; the claim is that CO-TASK lowers
#   it.
# - **Merged classes come together**: 1 - (distance of the means of two merged classes) / (distance of the means of two classes of
#   the same two tasks that are not merged), mean over auxiliary tasks. 0 means that merging left no trace.
# - **Budget and cuts**: networks and images as on [the page of Tables 3 to 6](tab3_cifar_mtl): a small residual network
#   and few epochs. Both trainings take the same number of steps in all. Where CIFAR-100 is not at hand, two tasks of digits take
#   its place.
# :::

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
seeds: int = None  # None: the profile's value
first_seed: int = None
epochs: int = None
per_class: int = None  # training images of a class, at most 400
blocks: list[int] = None  # of each stage
widths: list[int] = None  # channels of each stage
side: int = None  # pixels a side
batch: int = None
auxiliary: int = None  # auxiliary tasks
shown: int = None  # images of each class in the picture
device: str = None

# %%
from mtlrepro.parameters import params

p = params("cotask/fig2", globals(), positive=("seeds", "epochs", "per_class", "side", "batch", "auxiliary", "shown"))

# %%
from dataclasses import asdict

import matplotlib.pyplot as plt
import pandas as pd
import torch

from mtlrepro import plots, results
from mtlrepro.papers.cotask import fig2_representations as representation
from mtlrepro.papers.cotask.training import cifar_runs as training

torch.set_num_threads(1)
plots.use()
runs = results.Runs(p)
same = ("epochs", "side", "batch", "per_class", "device")
setup = training.Setup(blocks=tuple(p.blocks), widths=tuple(p.widths), **{name: getattr(p, name) for name in same})
given = training.problem(p.first_seed, 0.0, setup)
AUXILIARY = p.auxiliary if len(given.tasks) == 20 else 1
MEASURES = {
    "probe": "accuracy of a linear probe",
    "silhouette": "silhouette of a task's classes",
    "between tasks": "share of variance between tasks",
    "togetherness": "togetherness of merged classes",
}

# %% [markdown]
# ## Training and measuring


# %%
def look(seed: int, auxiliary: int, shown: int, setup: dict, data: dict) -> list[dict]:
    """One row a state and measure; for seeds with a picture one row an image too."""
    options = training.Setup(**setup | {"blocks": tuple(setup["blocks"]), "widths": tuple(setup["widths"])})
    found, lines = representation.representations(seed, auxiliary, options, shown)
    values = [{"state": state, "measure": name, "value": v} for state, own in found.items() for name, v in own.items()]
    return values + [{"measure": "image"} | line for line in lines]


settings = [
    {"seed": p.first_seed + i, "auxiliary": AUXILIARY, "shown": 0 if i else p.shown, "setup": asdict(setup), "data": given.sha256}
    for i in range(p.seeds)
]
rows = runs.map(look, settings, "seeds").drop(columns=["setup", "data", "shown"], errors="ignore")

# %% [markdown]
# ## The picture
#
# A colour is a merged class of the auxiliary task, a marker one of its two parents: where merging works, both markers of a colour
# lie together, and apart from the other colours.


# %%
def draw(rows: pd.DataFrame) -> None:
    images = rows[rows.measure == "image"]
    colors = [plots.COLORS[name] for name in ("blue", "orange", "green", "vermillion", "purple")]
    fig, axes = plt.subplots(1, 3, figsize=(plots.WIDTH, 3.4), layout="constrained")
    for ax, state in zip(axes, representation.STATES, strict=True):
        here = images[images.state == state]
        for marker, (parent, own) in zip("ox", here.groupby("parent", sort=False), strict=True):
            shades = [colors[int(z)] for z in own.merged]
            ax.scatter(own.x, own.y, s=12, c=shades, marker=marker, linewidths=0.8, label=parent)
        ax.set(title=state, xticks=[], yticks=[])
    axes[0].set(xlabel="first component", ylabel="second component")
    handles, names = axes[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    plots.show(fig)


draw(rows)


# %%
def merged(rows: pd.DataFrame) -> pd.DataFrame:
    """Which classes the colours stand for."""
    images = rows[rows.measure == "image"].astype({"merged": int})
    return images.pivot_table(index="merged", columns="parent", values="class", aggfunc="first", sort=False).sort_index()


merged(rows)

# %% [markdown]
# ## Measured on all tasks
#
# Means over seeds, and what CO-TASK changes against multi-task training, paired over seeds with 95% intervals.


# %%
def effects(rows: pd.DataFrame, measure: str, first: str, second: str) -> pd.Series:
    table = rows[rows.measure == measure].pivot(index="seed", columns="state", values="value")
    return table[first] - table[second]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    found = rows[rows.measure != "image"].groupby(["measure", "state"]).value.mean().unstack()
    found = found.loc[list(MEASURES), list(representation.STATES)].round(3)
    found["CO-TASK minus multi-task"] = [results.told(effects(rows, name, "CO-TASK", "multi-task"), 3) for name in MEASURES]
    return found.rename(index=MEASURES)


table(rows)

# %% [markdown]
# ## Verdict


# %%
def claims(rows: pd.DataFrame) -> list[results.Part]:
    def part(name: str, measure: str, first: str, second: str, claim: str = "positive") -> results.Part:
        return results.paired(name, effects(rows, measure, first, second).to_numpy(), claim=claim, unit=MEASURES[measure])

    return [
        part("multi-task training separates classes", "probe", "multi-task", "before training"),
        part("CO-TASK separates them better than multi-task", "probe", "CO-TASK", "multi-task"),
        part("CO-TASK separates them better than multi-task", "silhouette", "CO-TASK", "multi-task"),
        part("tasks lie nearer to each other with CO-TASK", "between tasks", "CO-TASK", "multi-task", "negative"),
        part("merged classes come together", "togetherness", "CO-TASK", "multi-task"),
    ]


verdict = results.record(
    p.exhibit, rows, p, parts=claims(rows), tier=given.tier, data=given.sha256, seconds=runs.seconds, device=p.device
)
print(verdict)
verdict

# %% [markdown]
# ## Recorded runs

# %%
recorded = results.other_run(p)
if recorded:
    print(recorded.verdict)
    draw(recorded.rows)
recorded.verdict if recorded else "No other run is recorded yet."

# %%
table(recorded.rows) if recorded else None

# %%
merged(recorded.rows) if recorded else None
