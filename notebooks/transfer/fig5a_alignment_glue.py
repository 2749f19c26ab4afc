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
# # Figure 5a: covariance alignment on five GLUE tasks
#
# Algorithm 1 ({cite}`wu2020understanding`, section 3.2) is applied to CoLA, MRPC, QNLI, RTE and SST-2 on the embeddings of
# BERT-large: alignment layers $R_i$ and output layers $A_i$ are trained. The paper claims **2.35 points more of average GLUE
# score for the five tasks trained together, and a gain on 7 of the 10 pairs**.
#
# :::{note} How we read the paper
# - **Encoder**: frozen, its embeddings computed once. A small public sentence encoder (all-MiniLM-L6-v2) stands in for
#   BERT-large, or the mean GloVe vector where MiniLM is not at hand; see below for an encoder of your own.
# - **Embedding** $E_i$: of a single text, the mean of its token states, scaled to length 1; of a pair of texts $u, v$, the
#   entries of $u \circ v$, which sum to their cosine. BERT reads both texts of a
#   pair at once; a frozen sentence encoder was not made for that. Each task is scaled by one number to a mean square of 1.
# - **Shared module** $B$: one ReLU layer as wide as the embedding. A frozen encoder has no trainable part that tasks could share.
# - **Ways to train**, all from the same start, on the same mixed batches, for the same epochs and at the same rate (Adam), the
#   best epoch by mean validation score kept: *plain*; *alignment along* ($A_i$, $R_i$ and $B$ trained); *Algorithm 1 as printed*
#   (half of the epochs plain, then $A_i$ and $R_i$ in turn with $B$ fixed); and two controls, a linear layer of the size
#   of $R_i$ after the shared module, and the second half without $R_i$.
# - **Data**: at most as many training samples a task as the table says, a fifth of them for validation. Test is the official
#   development set (MRPC: the corpus's test set). Of QNLI only the development set is at hand; it is split so that no question
#   and no sentence stands on both sides.
# - **Score**: GLUE's: Matthews' correlation for CoLA, mean of accuracy and F1 for MRPC, accuracy for the others, times 100.
# :::

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
seeds: int | None = None  # None: the profile's value
first_seed: int | None = None
encoder: str | None = None  # minilm, glove, or the folder of a BERT with model.safetensors
samples: int | None = None  # training samples a task, at most
tested: int | None = None  # test samples a task, at most
epochs: int | None = None
device: str | None = None  # cpu, cuda or auto

# %%
from mtlrepro.parameters import params

p = params("transfer/fig5a", globals(), positive=("seeds", "samples", "tested", "epochs"))

# %%
import itertools
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from mtlrepro import plots, results
from mtlrepro.papers.transfer.data.glue import TASKS
from mtlrepro.papers.transfer import fig5a_alignment_glue
from mtlrepro.papers.transfer.training import aligned_runs

torch.set_num_threads(1)
plots.use()
runs = results.Runs(p)
loaded = fig5a_alignment_glue.load_tasks()
real = all(task.tier != "synthetic" for task in loaded.values())
encoder, encoder_sha256 = fig5a_alignment_glue.encoder_used(p.encoder)
tier = "public stand-in" if real else "synthetic"  # the encoder is never BERT-large unless a reader brings it
print(f"Encoder of this run: {encoder}. Texts: {'GLUE' if real else 'generated, since GLUE is not at hand'}.")
pd.DataFrame(
    {
        name: {
            "training (with validation)": len(fig5a_alignment_glue.pool(name, p.encoder, p.samples, p.tested, p.device)[0]),
            "test": len(fig5a_alignment_glue.pool(name, p.encoder, p.samples, p.tested, p.device)[1]),
            "share of the larger class, test (%)": round(100 * max(np.bincount(task.labels[task.test]) / task.test.sum()), 1),
        }
        for name, task in loaded.items()
    }
).T

# %% [markdown]
# ## Training

# %%
groups = [list(pair) for pair in itertools.combinations(TASKS, 2)] + [list(TASKS)]
common = {"encoder": p.encoder, "ways": list(aligned_runs.WAYS), "epochs": p.epochs, "rows": p.samples, "tested": p.tested}
common |= {"device": p.device, "data": fig5a_alignment_glue.digest(p.encoder)}
every = list(range(p.first_seed, p.first_seed + p.seeds))
rows = runs.map(fig5a_alignment_glue.train, [{"tasks": tasks, "seed": s} | common for s in every for tasks in groups], "training")
rows = rows[["together", "seed", "way", "task", "valid", "test"]]

# %% [markdown]
# ## Figure 5a
#
# What alignment adds to the mean GLUE score of the tasks trained together: mean over seeds with the 95% interval.

# %%
LABELS = {"aligned": "alignment along", "fixed": "Algorithm 1, B fixed", "control": "control layer"}
CONTROL = {"aligned": "control", "fixed": "fixed control"}
ALL = " + ".join(TASKS)


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean score over the tasks minus that of plain training: a line a group and seed, a column a way."""
    table = rows.groupby(["together", "seed", "way"]).test.mean().unstack()
    return table.sub(table.plain, axis=0).drop(columns="plain")


def draw(rows: pd.DataFrame) -> None:
    found = gains(rows)
    names = [*(name for name in dict.fromkeys(rows.together) if name != ALL), ALL]
    fig, ax = plt.subplots(figsize=(plots.WIDTH, 5), layout="constrained")
    for number, (way, color) in enumerate((("aligned", "vermillion"), ("fixed", "blue"), ("control", "black"))):
        bars = np.array([results.interval(found.loc[name][way].to_numpy()) for name in names])
        errors = np.abs(bars[:, 1:] - bars[:, :1]).T
        y = np.arange(len(names)) + 0.22 * (number - 1)
        ax.errorbar(bars[:, 0], y, xerr=errors, fmt=plots.MARKERS[number], color=plots.COLORS[color], label=LABELS[way])
    ax.axvline(0, color=plots.COLORS["black"], linewidth=0.8)
    ax.set_yticks(range(len(names)), [name if name != ALL else "all five" for name in names])
    ax.invert_yaxis()
    ax.set_xlabel("gain in mean GLUE score (points)")
    fig.legend(loc="outside lower center", ncols=3)
    plots.show(fig)


draw(rows)

# %% [markdown]
# The same in numbers. *Beyond the control*: alignment along minus the control layer, which adds as many parameters, and
# Algorithm 1 with $B$ fixed minus the same second half without $R_i$.


# %%
def table(rows: pd.DataFrame) -> pd.DataFrame:
    found = gains(rows)
    pairs = found[found.index.get_level_values(0) != ALL]
    paper = results.paper_values(p.exhibit)
    lines: dict[str, dict[str, Any]] = {}
    for way, label in LABELS.items():
        per_pair = pairs[way].groupby("together").mean()
        lines[label] = {
            "gain, all five": results.told(found.loc[ALL][way]),
            "gain, mean over pairs": results.told(pairs[way].groupby("seed").mean()),
            "pairs with a gain": f"{(per_pair > 0).sum()} of {len(per_pair)}",
        }
        if way in CONTROL:
            beyond = pairs[way] - pairs[CONTROL[way]]
            lines[label]["pairs, beyond the control"] = results.told(beyond.groupby("seed").mean())
            lines[label]["all five, beyond the control"] = results.told(found.loc[ALL][way] - found.loc[ALL][CONTROL[way]])
    lines["paper"] = {
        "gain, all five": f"{paper['glue_average_gain_points']:+.2f}",
        "pairs with a gain": f"{paper['pairs_improved']} of {paper['pairs']}",
    }
    return pd.DataFrame(lines).T.fillna("")


table(rows)

# %% [markdown]
# Scores of the five tasks trained together, mean over seeds:


# %%
def scores(rows: pd.DataFrame) -> pd.DataFrame:
    here = rows[rows.together == ALL]
    found = here.pivot_table(index="way", columns="task", values="test").loc[list(aligned_runs.WAYS), list(TASKS)]
    return found.assign(mean=found.mean(axis=1)).round(1)


scores(rows)

# %% [markdown]
# ## Verdict


# %%
def claims(rows: pd.DataFrame) -> list[results.Part]:
    found, parts = gains(rows), []
    pairs = found[found.index.get_level_values(0) != ALL].groupby("seed").mean()
    for way in CONTROL:
        for name, effect in (("gain on all five tasks", found.loc[ALL][way]), ("gain on a pair, mean over the ten", pairs[way])):
            parts.append(results.paired(name, effect.to_numpy(), setting=LABELS[way], unit="points"))
    return parts


data = {name: task.sha256 for name, task in loaded.items()} | {f"encoder: {encoder}": encoder_sha256}
verdict = results.record(p.exhibit, rows, p, parts=claims(rows), tier=tier, data=data, seconds=runs.seconds, device=p.device)
print(verdict)
verdict

# %% [markdown]
# ## Recorded runs

# %%
recorded = results.other_run(p)
if recorded:
    print(f"Encoder: {recorded.parameters['encoder']}. {recorded.verdict}")
    draw(recorded.rows)
recorded.verdict if recorded else "No other run is recorded yet."

# %%
table(recorded.rows) if recorded else None

# %%
scores(recorded.rows) if recorded else None

# %% [markdown]
# ## With an encoder of your own
#
# Any BERT in a folder with `config.json`, `vocab.txt` and `model.safetensors` fits, BERT-large included. Nothing is fetched:
#
# ```
# mtlrepro run transfer/fig5a --profile paper -p encoder=/path/to/bert-large-uncased
# ```
