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
# # Figures 5b and 6: covariance alignment of sentence tasks
#
# Algorithm 1 puts a matrix $R_i$ between the embedding $E_i$ of task $i$ and the shared module, $Z_i = E_i R_i$. With an LSTM on
# sentence tasks it is claimed to improve most targets of a model of SST (Figure 5b), and to raise both accuracy and the
# covariance similarity score (equation 6) on most pairs of tasks (Figure 6) {cite}`wu2020understanding`.

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
seeds: int = None  # None: the profile's value
first_seed: int = None
encoder: str = None  # lstm, mlp or cnn
tune: bool = None  # train the word vectors too
sentences: int = None  # at most so many a set; 0: all
tasks: list[str] = None
epochs: int = None
tuning_epochs: int = None  # of the fine-tuning in Figure 5b
device: str = None  # cpu, cuda or auto

# %%
from mtlrepro.parameters import params

p = params("transfer/fig5b", globals(), positive=("seeds", "epochs", "tuning_epochs"))

# %%
from mtlrepro import results
from mtlrepro.papers.transfer import fig5b_alignment_sentences as alignment
from mtlrepro.papers.transfer import fig5b_alignment_sentences_report as report
from mtlrepro.papers.transfer.training import sentences as texts

runs = results.Runs(p)
tier, data = texts.sources()
keep = ["seed", "leak", "way", "task", "valid", "test", "tune", "whole"]
moved = runs.map(alignment.transfer, alignment.transfer_settings(p), "transfer", data=data)
moved = moved[[*keep, "epochs", "rate", "late_change"]]
pairs = runs.map(alignment.pair, alignment.pair_settings(p), "pairs", data=data)[["pair", "score", *keep]]
results.record(p.exhibit, moved, runs, measured=report.measured_fig5b(moved), tier=tier, device=p.device)
results.record("transfer/fig6", pairs, runs, measured=report.measured_fig6(pairs), tier=tier, device=p.device)
page = results.shown(p)
page_6 = results.shown(p, "transfer/fig6")

# %%
page.figure(
    report.figure_5b,
    "What alignment adds to fine-tuning a model of SST on each target: test accuracy in points, with 95% intervals over seeds. "
    "The control is a layer of the same size behind the shared module. Dashed: the largest gain that the paper reports.",
)

# %%
page.table(
    report.table_5b, "Test accuracy in percent, and gains in points over fine-tuning without alignment, with 95% intervals."
)

# %%
page.text(report.findings_5b)

# %%
page_6.figure(
    report.figure_6,
    "One point per pair, means over seeds: what alignment changes in the similarity score against what it changes in the pair's "
    "mean test accuracy. Of the paper's points all lie on the right, most in the upper half. Dashed: its largest gain.",
)

# %%
page_6.table(
    report.table_6,
    "Gains in accuracy over plain joint training (points) and changes of the score: mean over pairs, 95% intervals over seeds.",
)

# %% [markdown]
# ## What it shows
# An alignment module also adds parameters, so each training is repeated with a control: for alignment trained along with
# everything, a layer behind the shared module; for Algorithm 1 with $B$ fixed, the same second half without $R_i$. The paper's
# hypothesis is that $R_i$ helps because it makes the covariances more alike. A gain together with a lower score speaks against
# the explanation, not against the module: nothing in the training asks for a higher score, and two tasks have different words
# to bring out.
#
# ## What we asked besides
# MR, SST and SUBJ share sentences. What does one of them gain from another over learning alone, without and with the shared
# sentences? Test parts are the same. A run that takes only a part of each set also leaks less than the whole sets on which
# [Table 1](tab1_capacity) trains.

# %%
page.table(
    report.leak_table(page_6.rows, page.rows),
    "Gains in test accuracy (points) over a task's own model. SST-MR: joint training, mean over both; SST to MR: fine-tuned.",
)

# %%
page.live_table(alignment.leaked(p), "Test sentences that stand in another task's training part, in percent.")

# %% [markdown]
# :::{dropdown} How we read the paper
# - **Model**: PyTorch's LSTM on 50-dimensional GloVe vectors, output dimension 50 so that $R_i$ and the control's layer have one
#   size, dropout 0.3. Word vectors stay fixed except in the `paper` profile, so that alignment alone can move the covariances.
# - **Alignment, all trained**: $R_i$ starts as the identity and is trained with $A_i$ and $B$. **Algorithm 1 as printed** keeps
#   $B$ fixed: plain training for half of the epochs, then steps on $A_i$ and $R_i$ in turn.
# - **Equal budgets**: every way starts from the same draw, sees the same batches (mixed over tasks), has the same epochs and the
#   same learning rate (Adam); the epoch with the best mean validation accuracy is kept.
# - **Score**: equation 6 of the vectors of all words of the tasks' training sentences; before alignment those of the single-task
#   models, which are the GloVe vectors where these stay fixed.
# - **Data**: random 80/10/10 splits, a fresh one per seed. Figure 5b is on plain splits, as in the paper; for Figure 6 no test
#   sentence of any task is in any training part. Where the real sets are not at hand, sentences are generated, and the page says
#   *synthetic*.
# - **Claims**: a share of targets or pairs is taken seed by seed. The largest gain is compared with what the largest of as many
#   gains would be if the sign of each seed's gains were random.
# :::

# %%
page.this_run()

# %%
page_6.this_run()

# %% [markdown]
# ## Exercises
#
# 1. Why can the score of a pair only be moved by $R_i$ when word vectors are fixed, and which $R_1, R_2$ make it 1?
# 2. The control's layer comes after the shared module. A sharper control is one matrix $R$ before it that both tasks share: it
#    can change how words are read, but cannot align one task with the other. Which gain would show that alignment is the cause?
#
# :::{dropdown} Solution
# 1. The score reads $E_i R_i$ and nothing else. It is 1 only if both embeddings lie along one and the same direction, as with
#    $R_1 = R_2$ of rank one: all words on one line. A high score is no aim by itself.
#
# 2. A gain of two matrices over one. To try it, let the tasks share the parameter before training: `model.matrices[1] =
#    model.matrices[0]` for an `AlignedBottom` of kind "aligned". If one matrix gains as much, what helped is a trained layer
#    before the encoder.
# :::
