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
# # Table 2: seconds a step
#
# The paper ({cite}`yim2020classweights`) measures one training step: class-wise weights take at most **1.7 times** a plain sum of
# losses, Pareto MTL ({cite}`lin2019pareto`) **about six times**. Seconds depend on the machine, so what is compared are ratios,
# with all methods taking turns in one process.
#
# :::{note} How we read the paper
# - Random images and labels: the time of a step does not depend on what they show. Adam, one thread, this process's own time.
# - Image size, batch and width are smaller here than the paper's, for every method alike: see the parameters.
# - *Exact* is ours: the derivative in place of the finite difference, one backward pass and one forward-mode product more. Its
#   cost should not grow with the number of classes, so it is measured with few and with many.
# - Pareto MTL here runs the network forward once, takes one backward pass a task, and solves for its weights exactly. An
#   implementation that runs the network once a task, and again for the weighted sum, is slower.
# :::

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
turns: int = None  # steps of every method; None: the profile's value
classes: list[int] = None  # few and many
size: list[int] = None  # height and width in pixels
images: int = None  # a batch
width: int = None  # channels of the U-Net's finest stage
device: str = None

# %%
from mtlrepro.parameters import params

p = params("classweights/tab2", globals(), positive=("turns", "classes", "size", "images", "width"))

# %%
import pandas as pd
import torch

from mtlrepro import results
from mtlrepro.papers.classweights import tab2_seconds

torch.set_num_threads(1)
runs = results.Runs(p)
few, many = p.classes
TITLES = {"linear": "linear sum", "classes": "class-wise", "exact": "class-wise, exact", "pareto": "Pareto MTL"}

# %% [markdown]
# ## Same results?
#
# Before the weights move, both class-wise forms *are* the linear sum. The largest difference between their parameters after one
# step, over the largest change in that step:

# %%
difference = tab2_seconds.same_updates(few, (32, 32), 2, 8)
print(f"{difference:.1e}")

# %% [markdown]
# ## Seconds


# %%
def seconds(classes: int, size: list[int], images: int, width: int, turns: int, device: str) -> list[dict]:
    return tab2_seconds.seconds(classes, size, images, width, turns, device)


same = {"size": p.size, "images": p.images, "width": p.width, "turns": p.turns, "device": p.device}
rows = runs.map(seconds, [{"classes": n} | same for n in p.classes], "seconds")
paper = results.paper_values(p.exhibit)


def ratios(rows: pd.DataFrame, classes: int) -> pd.DataFrame:
    """Each method's seconds over the linear sum's of the same turn."""
    times = rows[rows["classes"] == classes].pivot(index="turn", columns="method", values="seconds")
    return times.div(times["linear"], axis=0)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    printed = {"linear": paper["linear_sum"], "classes": paper["ours"], "pareto": paper["pareto_mtl"]}
    lines = {}
    for name, title in TITLES.items():
        line = {"paper, s": printed.get(name, ""), "paper, ratio": ""}
        if name in printed:
            line["paper, ratio"] = round(printed[name] / printed["linear"], 2)
        for n in sorted(rows["classes"].unique()):
            own = rows[(rows["classes"] == n) & (rows.method == name)]
            line |= {f"{n} classes, s": own.seconds.median(), f"{n} classes, ratio": ratios(rows, n)[name].median()}
        lines[title] = line
    return pd.DataFrame(lines).T


table(rows)

# %% [markdown]
# The exact form's seconds with many classes over those with few, and the same of the linear sum, whose last layer also grows:


# %%
def growth(rows: pd.DataFrame) -> pd.Series:
    medians = rows.groupby(["method", "classes"])["seconds"].median().unstack()
    return (medians.max(axis=1) / medians.min(axis=1)).rename("many over few").reindex(list(TITLES))


growth(rows).round(2)

# %% [markdown]
# ## Verdict

# %%
at_few = ratios(rows, few)
parts = [
    results.check("same update as the linear sum while weights are 1", worst=difference, n=2, violations=int(difference > 1e-3)),
    results.paired("class-wise weights cost at most 1.7 times a linear sum (1.7 minus ratio)", 1.7 - at_few["classes"]),
    results.paired("Pareto MTL costs more than class-wise weights", at_few["pareto"] - at_few["classes"]),
    results.paired("Pareto MTL costs about six times a linear sum (ratio minus 5)", at_few["pareto"] - 5),
]
verdict = results.record(p.exhibit, rows, p, parts=parts, tier="synthetic", seconds=runs.seconds, device=p.device)
print(verdict)
verdict

# %% [markdown]
# ## Recorded runs

# %%
recorded = results.other_run(p)
if recorded:
    print(recorded.verdict)
recorded.verdict if recorded else "No other run is recorded yet."

# %%
table(recorded.rows) if recorded else None

# %%
growth(recorded.rows).round(2) if recorded else None
