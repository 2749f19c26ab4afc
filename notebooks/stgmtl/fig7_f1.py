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
# # Figure 7: does the grouping pay?
#
# For each of $k$ soft clusters the paper ({cite}`sherif2023stgmtl`) trains one model on *all* tasks, with the loss of task $t$
# weighted by its membership $u_{tj}$, and predicts task $t$ by $\sum_j u_{tj}\, z_{jt}$, the models' logits weighted alike. It
# claims a **higher mean F1 on test images than one multi-task model, and on G1 and G2 than single-task models**.
#
# That comparison is between $k$ models and one. To know what the *groups* add, two more kinds of $k$ models are trained, with the
# same number of updates in the same way:
#
# - **random groups**: the same memberships, dealt to other tasks. If grouping by data maps matters, this must be worse;
# - **no groups**: every membership $1/k$, that is, an ensemble of $k$ multi-task models that differ in their seeds only.
#
# :::{note} How we read the paper
# - **Memberships**: $F = 2$, from the data maps of one multi-task training, as on [the page of Figures 4 and 5](fig4_groups); two
#   clusters for G1, three for G2, twenty for G3, and five besides.
# - **Average** of logits, as in the published code; of probabilities beside it. Threshold 1/2. F1 of the positive class, mean
#   over tasks.
# - **Nothing is chosen** on test or validation images: fixed rate and epochs, the last state, for every method alike.
# - **Cuts**: a small residual network on images of 16 x 16 pixels and the first training images only; see the parameters.
#   Without CIFAR at hand digits take its place, and G3 is left out.
# :::

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
seeds: dict[str, int] = None  # seeds by task set; None: the profile's value
first_seed: int = None
images: int = None  # training images
tests: int = None  # test images
epochs: int = None
widths: list[int] = None  # channels of the stages; empty: ResNet-18
side: int = None  # pixels a side
clusters: dict[str, list[int]] = None  # numbers of clusters, by task set
fuzziness: float = None

# %%
from mtlrepro.parameters import params

p = params("stgmtl/fig7", globals(), positive=("images", "tests", "epochs", "side"))

# %%
from dataclasses import asdict

import matplotlib.pyplot as plt
import pandas as pd
import torch

from mtlrepro import plots, results
from mtlrepro.errors import DataMissing
from mtlrepro.papers.stgmtl.training import image_runs
from mtlrepro.papers.stgmtl import fig7_f1

torch.set_num_threads(1)
plots.use()
runs = results.Runs(p)
METHODS = {
    "single-task": "single-task",
    "multi-task": "multi-task, one model",
    "no groups": "k models, no groups",
    "random groups": "k models, random groups",
    "grouped": "k models, STG-MTL",
}
sets = {}
for group in p.seeds:
    try:
        sets[group] = image_runs.task_sets(group, p.images, p.tests)
    except DataMissing as error:
        print(f"{group} is left out: {error}")

# %% [markdown]
# ## Training


# %%
def compare(group: str, clusters: int, fuzziness: float, seed: int, size: list[int], setup: dict, data: list) -> list[dict]:
    made, both = image_runs.Setup(**setup | {"widths": tuple(setup["widths"])}), image_runs.task_sets(group, *size)
    return fig7_f1.grouped_f1(both, clusters, fuzziness, seed, made, single=group != "G3")


setup = asdict(image_runs.Setup(epochs=p.epochs, widths=p.widths, side=p.side))
settings = [
    {"group": group, "clusters": count, "fuzziness": p.fuzziness, "seed": p.first_seed + i,
     "size": [p.images, p.tests], "setup": setup, "data": [each.sha256 for each in sets[group]]}
    for group in sets
    for count in p.clusters[group]
    for i in range(p.seeds[group])
]  # fmt: skip
rows = runs.map(compare, settings, "trainings").drop(columns=["setup", "data", "size"], errors="ignore")

# %% [markdown]
# ## Mean F1


# %%
def draw(rows: pd.DataFrame) -> None:
    cases = list(rows.groupby(["group", "clusters"]))
    height = -(-len(cases) // 2)
    size = (plots.WIDTH, 0.7 + 3 * height)
    fig, axes = plt.subplots(height, 2, figsize=size, sharey=True, layout="constrained", squeeze=False)
    for ax, ((group, clusters), case) in zip(axes.flat, cases, strict=False):
        here = case[case.average == "logits"]
        for y, method in enumerate(METHODS):
            own = here[here.method == method]
            ax.plot(own.train, [y + 0.13] * len(own), "o", color=plots.COLORS["sky"], label="training images" if y == 1 else None)
            ax.plot(own.test, [y - 0.13] * len(own), "o", color=plots.COLORS["blue"], label="test images" if y == 1 else None)
        ax.set(title=f"{group}, k = {clusters}", xlabel="mean F1", yticks=range(len(METHODS)))
        ax.set_yticklabels(METHODS.values())
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    plots.show(fig)


draw(rows)

# %% [markdown]
# STG-MTL's test F1 minus the others', paired over seeds, with 95% intervals; and what averaging probabilities in place of logits
# does.


# %%
def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Seeds by methods: STG-MTL's test F1 minus the method's; "probabilities": STG-MTL's with probabilities minus with logits."""
    here = rows.pivot(index="seed", columns=["average", "method"], values="test")
    found = here["logits"].rsub(here["logits"]["grouped"], axis=0).drop(columns="grouped")
    return found.assign(probabilities=here["probabilities"]["grouped"] - here["logits"]["grouped"])


def table(rows: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for (group, clusters), case in rows.groupby(["group", "clusters"]):
        for name, values in gains(case).items():
            mean, low, high = results.interval(values.to_numpy())
            other = METHODS.get(name, "itself with logits, from probabilities")
            lines.append({"task set": f"{group}, k = {clusters}", "STG-MTL minus": other,
                          "test F1": f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]", "n": len(values)})  # fmt: skip
    return pd.DataFrame(lines).set_index(["task set", "STG-MTL minus"])


table(rows)

# %% [markdown]
# ## Verdict


# %%
def claims(rows: pd.DataFrame) -> list[results.Part]:
    parts = []
    for (group, clusters), case in rows.groupby(["group", "clusters"]):
        found = gains(case)
        for method in ("multi-task", "single-task", "random groups", "no groups"):
            if method in found:
                name = f"higher test F1 than {METHODS[method]}"
                parts.append(results.paired(name, found[method].to_numpy(), setting=f"{group}, k = {clusters}", unit="F1"))
    return parts


tier = "paper's data" if all(train.name.endswith("train") for train, _ in sets.values()) else "public stand-in"
data = {f"{group} {each.name}": each.sha256 for group, both in sets.items() for each in both}
verdict = results.record(p.exhibit, rows, p, parts=claims(rows), tier=tier, data=data, seconds=runs.seconds)
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

# %% [markdown]
# ## Exercise
#
# With $F \to \infty$ every membership is $1/k$. What is STG-MTL then, and which bar of the figure shows it? What is it with
# $F \to 1$ and $k$ equal to the number of tasks?
#
# :::{dropdown} Solution
# With equal memberships all $k$ models have the same loss, a multi-task one divided by $k$, which Adam does not see, and their
# logits are averaged: an ensemble, *no groups*. With hard memberships and one cluster a task, each model is trained on one task:
# *single-task*. STG-MTL lies between the two.
# :::
