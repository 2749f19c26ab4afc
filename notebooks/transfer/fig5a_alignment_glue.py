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
# Alignment matrices $R_i$ before a shared, fixed BERT-large (Algorithm 1, {cite}`wu2020understanding`) are claimed to raise the
# average GLUE score of CoLA, MRPC, QNLI, RTE and SST-2 trained together, and the mean score of most pairs.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None  # None: the profile's value
first_seed: int = None
encoder: str = None  # minilm, glove, or the folder of a BERT with model.safetensors
samples: int = None  # training samples per task, at most
tested: int = None  # test samples per task, at most
epochs: int = None
device: str = None  # cpu, cuda or auto

# %%
from mtlrepro.parameters import params

p = params("transfer/fig5a", globals(), positive=("seeds", "samples", "tested", "epochs"))

# %%
from mtlrepro import results
from mtlrepro.papers.transfer import fig5a_alignment_glue as glue
from mtlrepro.papers.transfer import fig5a_alignment_glue_report as report

runs = results.Runs(p)
tier, data = glue.sources(p.encoder)
rows = runs.map(glue.train, glue.settings(p), "training", data=data)
rows = rows[["together", "seed", "way", "task", "valid", "test", "majority"]]
results.record(p.exhibit, rows, runs, measured=report.measured(rows), tier=tier, device=p.device)
page = results.shown(p)

# %%
page.figure(
    report.figure,
    "What alignment adds to the mean GLUE score of the tasks trained together: mean over seeds with the 95% interval. Algorithm "
    "1 is compared with the same training of the output layers alone, the others with plain training. Hollow mark: the paper.",
)

# %%
page.table(report.table, "Gain in mean GLUE score, in points, with 95% intervals over seeds.")

# %% [markdown]
# ## What it shows
# A frozen encoder has no trainable part that tasks could share, so here $R_i$ stands behind the encoder and before a new layer.
# There it can act as a wider output layer. The control, a layer of the same size behind the shared one, tells how much of a
# gain is that of more parameters. With $B$ fixed the tasks have no trained parameter in common: the gain on a pair is the mean
# of two single-task gains.

# %%
page.table(report.scores, "GLUE scores of the five tasks trained together, mean over seeds.")

# %%
page.live_table(glue.overview(p), "The samples of this run.")

# %% [markdown]
# :::{dropdown} How we read the paper
# - **Encoder**: frozen, its embeddings computed once. A small public sentence encoder (all-MiniLM-L6-v2) stands in for
#   BERT-large, or the mean GloVe vector where MiniLM is not at hand; see below for an encoder of your own. Where GLUE is not at
#   hand, texts are generated, and the page says *synthetic*.
# - **Embedding** $E_i$: of a single text, the mean of its token states, scaled to length 1; of a pair of texts $u, v$, the
#   entries of $u \circ v$, which sum to their cosine. BERT reads both texts of a
#   pair at once; a frozen sentence encoder was not made for that. Each task is scaled by one number to a mean square of 1.
# - **Shared module** $B$: one ReLU layer as wide as the embedding.
# - **Ways to train**, all from the same start, on the same mixed batches, for the same epochs and at the same rate (Adam), the
#   best epoch by mean validation score kept: *plain*; *alignment, all trained* ($A_i$, $R_i$ and $B$); *Algorithm 1 as printed*
#   (half of the epochs plain, then $A_i$ and $R_i$ in turn with $B$ fixed), and beside it the same second half without $R_i$;
#   and a *control*, a linear layer of the size of $R_i$ after the shared module.
# - **Data**: at most as many training samples per task as the table says, a fifth of them for validation. Test is the official
#   development set (MRPC: the corpus's test set). Of QNLI only the development set is at hand; it is split so that no question
#   and no sentence stands on both sides.
# - **Score**: GLUE's: Matthews' correlation for CoLA, mean of accuracy and F1 for MRPC, accuracy for the others, times 100.
# :::

# %%
page.this_run()

# %% [markdown]
# ## With an encoder of your own
#
# Any BERT in a folder with `config.json`, `vocab.txt` and `model.safetensors` fits, BERT-large included. Nothing is fetched:
#
# ```
# mtlrepro run transfer/fig5a --profile paper -p encoder=/path/to/bert-large-uncased
# ```
