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
# ChestX-ray14 has 14 findings to tell from one and the same image, the case that Algorithm 2 is made for. Its weights are claimed
# to give a higher mean AUC than equal weights, and than the uncertainty weights of Kendall et al. ({cite}`wu2020understanding`,
# section 3.2).

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None  # None: the profile's value
first_seed: int = None
sources: list[str] = None  # cifar100, nih64, digits; or chestxray14 alone
samples: int = None  # training images of CIFAR-100
epochs: int = None
model: str = None  # network (one shared layer) or densenet121
device: str = None  # for densenet121: cpu, cuda or auto

# %%
from mtlrepro.parameters import params

p = params("transfer/chestxray", globals(), positive=("seeds", "samples", "epochs"))

# %%
from mtlrepro import results
from mtlrepro.papers.transfer import chestxray_svd_reweighting as chestxray
from mtlrepro.papers.transfer import chestxray_svd_reweighting_report as report

runs = results.Runs(p)
rows = chestxray.rows(runs, p)
tier = "paper's data" if set(runs.data) == {"chestxray14"} else "public stand-in"
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier=tier, device=p.device)
page = results.shown(p)

# %%
page.figure(
    report.figure,
    "Gain in mean AUC over equal weights on each set: means with 95% intervals over seeds. Hollow marks: the paper's gains, "
    "whose rank it does not say.",
)

# %%
page.table(report.table, "Mean AUC over all tasks on test, and gains in AUC points with 95% intervals over seeds.")

# %% [markdown]
# ## What it shows
# The claims are judged on X-rays alone, whose findings occur together. The superclasses of CIFAR-100 exclude one another: they
# have no direction in common that $r = 1$ could keep, so small ranks drop tasks rather than noise.
#
# :::{dropdown} How we read the paper
# - **Data**: the whole set has to be fetched by hand ({doc}`its steps </data>`). Here two sets stand in: the *20 superclasses of
#   CIFAR-100*, large enough to see some tenths of a point, and the *1,000 chest X-rays* that are public at 64 by 64 pixels, split
#   by patient, with the findings that have at least 20 positives: real, but with wide intervals.
# - **Model**: one shared ReLU layer on principal components of the pooled pixels in place of DenseNet-121; see
#   [Figure 12](fig12_label_noise). The `paper` profile trains DenseNet-121 on the whole set.
# - **Rank** of Algorithm 2: not in the paper. We take 1, 5 and the number of tasks, where nothing is projected away; the claims
#   are judged with the rank that validation chooses.
# - **Choice**: learning rate and epoch by validation AUC, from the same grid for every method.
# :::

# %%
page.this_run()

# %% [markdown]
# ## The whole set, with DenseNet-121
#
# Put ChestX-ray14 where its manifest says (`mtlrepro data path chestxray14` tells what is missing), and the weights of
# torchvision's DenseNet-121 where torch looks for them, then on a machine with a GPU:
#
# ```
# mtlrepro run transfer/chestxray --profile paper
# ```
