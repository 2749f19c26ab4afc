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
# # Chest X-rays: SVD-based task weights on tasks with the same images
#
# ChestX-ray14 has 14 findings to tell from one and the same image, the case that Algorithm 2 is made for. The paper
# ({cite}`wu2020understanding`, section 3.2) claims for all 14 findings together that its weights give **a mean AUC 0.4 points
# above equal weights and 0.1 points above the uncertainty weights of Kendall et al.**
#
# :::{note} How we read the paper
# - **Data**: the whole set has to be fetched by hand ({doc}`its steps </data>`). Here two sets stand in: the *20 superclasses of
#   CIFAR-100*, large enough to see some tenths of a point, and the *1,000 chest X-rays* that are public at 64 by 64 pixels, split
#   by patient, with the findings that have at least 20 positives: real, but with wide intervals.
# - **Model**: one shared ReLU layer on principal components of the pooled pixels in place of DenseNet-121; see
#   [Figure 12](fig12_label_noise). The `paper` profile trains DenseNet-121 on the whole set.
# - **Rank** of Algorithm 2: not in the paper. We take 1, 5 and the number of tasks, where nothing is projected away.
# - **Choice**: learning rate and epoch by validation AUC, from the same grid for every method.
# :::

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
seeds: int | None = None  # None: the profile's value
first_seed: int | None = None
sources: list[str] | None = None  # cifar100, nih64, digits; or chestxray14 alone
samples: int | None = None  # training images of CIFAR-100
epochs: int | None = None
model: str | None = None  # network (one shared layer) or densenet121
device: str | None = None  # for densenet121: cpu, cuda or auto

# %%
from mtlrepro.parameters import params

p = params("transfer/chestxray", globals(), positive=("seeds", "samples", "epochs"))

# %%
import matplotlib.pyplot as plt
import pandas as pd
import torch

from mtlrepro import plots, results
from mtlrepro.papers.transfer import fig12_label_noise, chestxray_svd_reweighting
from mtlrepro.papers.transfer.data import same_image_tasks

torch.set_num_threads(1)
plots.use()
runs = results.Runs(p)
# A set that is not at hand is replaced by digits, once.
known = {same_image_tasks.digest(source)[0]: source for source in p.sources}
digests = {same_image_tasks.digest(source)[0]: same_image_tasks.digest(source)[1] for source in p.sources}
tier = "paper's data" if set(known) == {"chestxray14"} else "public stand-in"
print(f"Data of this run: {', '.join(known)} ({tier}).")
RANKS = [1, 5, 0]  # 0: the number of tasks


# %%
def trained() -> pd.DataFrame:
    """One row a set, seed and method."""
    every = list(range(p.first_seed, p.first_seed + p.seeds))
    settings = [
        {"source": source, "seed": s, "data": digests[name], "epochs": p.epochs} for name, source in known.items() for s in every
    ]
    if p.model == "densenet121":
        return runs.map(
            chestxray_svd_reweighting.compare, [one | {"ranks": RANKS, "device": p.device} for one in settings], "DenseNet-121"
        )
    small = {"k": 0, "groups": 1, "noise": "coin", "level": 0.0, "ranks": RANKS, "count": p.samples}
    return runs.map(fig12_label_noise.compare, [one | small for one in settings], "training")


rows = trained().rename(columns={"svd rank": "rank"})
rows["source"] = rows.source.map({source: name for name, source in known.items()})
rows = rows[["source", "seed", "method", "rank", "auc"]]

# %% [markdown]
# ## The table
#
# Mean AUC over all tasks on test, in percent, and the gain over equal weights and over Kendall's, with 95% intervals over seeds.


# %%
def pivot(rows: pd.DataFrame, source: str) -> pd.DataFrame:
    """AUC: a line a seed, a column a method."""
    here = rows[rows.source == source]
    last = here["rank"].max()
    ranks = here["rank"].map(lambda r: "" if r == 0 else ", r = k" if r == last else f", r = {r}")
    return here.assign(method=here.method + ranks).pivot(index="seed", columns="method", values="auc")


def table(rows: pd.DataFrame) -> pd.DataFrame:
    paper = results.paper_values(p.exhibit)
    printed = {
        "over equal weights": f"{paper['over_unweighted_auc_points']:+.1f}",
        "over Kendall": f"{paper['over_kendall_auc_points']:+.1f}",
    }
    lines = {("paper, ChestX-ray14", "SVD"): {"AUC": "", **printed}}
    for source in rows.source.unique():
        found = pivot(rows, source)
        for method in found:
            line = {"AUC": f"{found[method].mean():.2f}"}
            for name, base in (("over equal weights", "unweighted"), ("over Kendall", "Kendall")):
                difference = (found[method] - found[base]).to_numpy()
                line[name] = results.told(difference) if method != base else ""
            lines[source, str(method)] = line
    return pd.DataFrame(lines).T


table(rows)

# %%
COLOR = {
    "SVD, r = 1": "vermillion",
    "SVD, r = 5": "orange",
    "SVD, r = k": "black",
    "Kendall": "blue",
    "SVD, normalised, r = 1": "green",
}


def draw(rows: pd.DataFrame) -> None:
    sources = list(rows.source.unique())
    fig, axes = plt.subplots(1, len(sources), figsize=(plots.WIDTH, 3), squeeze=False, layout="constrained")
    for ax, source in zip(axes[0], sources, strict=True):
        found = pivot(rows, source)
        shown = [method for method in COLOR if method in found]
        for line, method in enumerate(shown):
            mean, low, high = results.interval((found[method] - found["unweighted"]).to_numpy())
            ax.errorbar(
                mean, line, xerr=[[mean - low], [high - mean]], fmt=plots.MARKERS[line], color=plots.COLORS[COLOR[method]]
            )
        ax.set_yticks(range(len(shown)), shown if ax is axes[0, 0] else [""] * len(shown))
        ax.invert_yaxis()
        ax.axvline(0, color=plots.COLORS["black"], linewidth=0.8)
        ax.set(title=source, xlabel="gain over equal weights\n(AUC points)")
    plots.show(fig)


draw(rows)

# %% [markdown]
# ## Verdict


# %%
def claims(rows: pd.DataFrame) -> list[results.Part]:
    parts = []
    for source in rows.source.unique():
        found = pivot(rows, source)
        for method in (m for m in ("SVD, r = 1", "SVD, r = 5", "SVD, r = k") if m in found):
            for what, base in (("gains on equal weights", "unweighted"), ("gains on Kendall's weights", "Kendall")):
                effect = (found[method] - found[base]).to_numpy()
                parts.append(results.paired(f"{method}: {what}", effect, setting=source, unit="AUC points"))
    return parts


verdict = results.record(
    p.exhibit, rows, p, parts=claims(rows), tier=tier, data=digests, seconds=runs.seconds, device=p.device
)  # fmt: skip
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
# ## The whole set, with DenseNet-121
#
# Put ChestX-ray14 where its manifest says (`mtlrepro data path chestxray14` tells what is missing), and the weights of
# torchvision's DenseNet-121 where torch looks for them, then on a machine with a GPU:
#
# ```
# mtlrepro run transfer/chestxray --profile paper
# ```
