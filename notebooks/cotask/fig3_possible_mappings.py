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
# # Figure 3: the possible mappings
#
# An auxiliary task of CO-TASK ({cite}`hsieh2021cotask`) joins two tasks with $k$ classes each. Two random permutations $p_i, p_j$
# say which class of one goes with which class of the other,
#
# $$ C_z = C^i_{p_i(z)} \cup C^j_{p_j(z)}, \qquad z = 1, \dots, k . $$

# %% tags=["parameters"]
profile: str = "quick"  # quick, full or paper
show: str = "live"  # live: this run; recorded: the recorded run of the largest profile
source: str = None  # digits (comes with the package) or cifar; None: the profile's value
sizes: list = None  # [number of tasks, classes] to count by enumeration
per_task: int = None  # draws for each distinct auxiliary task when counting

# %%
from mtlrepro.parameters import params

p = params("cotask/fig3", globals(), positive=("per_task",))

# %%
from mtlrepro import results
from mtlrepro.papers.cotask import fig3_possible_mappings, fig3_possible_mappings_report as report

runs = results.Runs(p)
data = fig3_possible_mappings.task_set(p.source)
rows = runs.map(fig3_possible_mappings.rows_of, fig3_possible_mappings.settings(p), "settings", data=data.sha256)
results.record(p.exhibit, rows, runs, tier=data.tier)
page = results.shown(p)

# %% tags=["slide"]
page.figure(
    report.draw,
    "Four auxiliary tasks as the generator makes them, one for each of four seeds. A line joins the two classes that become one.",
)

# %%
page.table(report.first_mapping, "The first of the four: what each merged class holds, and how many records of each part")

# %% [markdown]
# ## How many there are
#
# Only which classes go together matters, not the number $z$ that the merged class gets. So a pair of tasks can be merged in
# $k!$ ways, and $N$ tasks have $\binom{N}{2}\, k!$ distinct auxiliary tasks. Small tasks are merged under many seeds, and the
# distinct results counted; the p-value is that of a chi-square test that all ways to merge a pair are equally likely.

# %%
page.table(report.count_table, "Distinct auxiliary tasks by enumeration and by the closed form")

# %% [markdown]
# The paper limits itself to pairs because the space of all combinations "equals to the Bell Number $B_K$ and grows much faster
# than $2^K$". $B_K$ counts the partitions of $K$ things. It is the number of all coarse labelings of $K$ classes, any classes
# merged with any; *our reading* is that this is meant, with $K$ the classes of all tasks together. One class of each task in
# each merged class is a far smaller space. And $B_K > 2^K$ from $K = 5$ on.

# %%
page.table(report.space_table(), "How many auxiliary tasks twenty tasks of five classes have, by what may be merged")

# %%
page.table(report.bell_table(), "Bell numbers beside powers of two")

# %% [markdown]
# ## Yes-no labels: three patterns of four
#
# For yes-no labels on the same record an auxiliary label is the *or* of two labels, each possibly negated. Of the four sign
# patterns the paper removes one, which leaves $3 \binom{N}{2}$. What the removed pattern does, for the five labels of Table 2
# with their imbalance ratios, were they independent: the smaller class of "not a or not b" are those with both labels. Beside the
# paper's reason (nearly all patients fall into one class) the table shows that "a or not b" is hardly more balanced than label b
# alone: its smaller class are those with b and not a.

# %%
page.table(report.pattern_table, "How often each pattern is made, and its smaller class over the ten pairs of Table 2's labels")

# %% [markdown]
# :::{dropdown} How we read the paper
# - The paper's picture has no numbers and claims nothing: one example of a mapping.
# - Both permutations are drawn, as in the text; that gives each of the $k!$ ways with the same probability.
# - "Down-sample with a ratio of $1/n$ when we combine $n$ tasks": a random half of the pooled records of both tasks, of the
#   training, the validation and the test part each, drawn once. Pooled, not class by class, so merged classes differ a little
#   in size.
# - "Patients with both disease labels as a class and the other patients as another class" is "not a or not b".
# :::
#
# ## Exercise
#
# Merge three tasks at a time, one class of each in every merged class. How many distinct auxiliary tasks do $N$ tasks have then?
#
# :::{dropdown} Solution
# $\binom{N}{3} (k!)^2$: the classes of the first task name the merged classes, and each of the other two can be matched to them
# in $k!$ ways.
# :::
