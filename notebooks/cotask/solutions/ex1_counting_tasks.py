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
# # Exercise 1: how many auxiliary tasks are there?
#
# About 10 minutes. You need permutations and factorials.
#
# CO-TASK joins two tasks of $k$ classes each: a random permutation of the classes of the first, one of the second, and class $z$ of
# the new task holds one class of each. Two pairs of permutations give *the same* task when they merge the same classes: the
# numbers of the merged classes do not matter.
#
# How many different auxiliary tasks do $N$ tasks have?

# %%
import itertools
import math

from mtlrepro.methods.cotask import combine_tasks


# %%
def merged(first: tuple[int, ...], second: tuple[int, ...]) -> frozenset[tuple[int, int]]:
    """The merged classes, as pairs (class of the first task, class of the second), without their numbers."""
    ### BEGIN SOLUTION
    return frozenset(zip(first, second))
    ### END SOLUTION


# %%
def auxiliary_tasks(tasks: int, classes: int) -> int:
    """How many different auxiliary tasks so many tasks with so many classes have."""
    ### BEGIN SOLUTION
    return math.comb(tasks, 2) * math.factorial(classes)
    ### END SOLUTION


# %% tags=["test"]
def check(merge, count):
    assert merge((0, 1), (1, 0)) == merge((1, 0), (0, 1)), "numbering the merged classes otherwise is no new task"
    assert merge((0, 1), (0, 1)) != merge((0, 1), (1, 0)), "merging other classes is a new task"
    for k in (2, 3, 4):
        permutations = list(itertools.permutations(range(k)))
        different = len({merge(a, b) for a in permutations for b in permutations})
        assert count(2, k) == different, (
            f"two tasks of {k} classes: your merges give {different} tasks, your formula {count(2, k)}"
        )
    assert count(4, 3) == 6 * count(2, 3), "four tasks have six pairs"


check(merged, auxiliary_tasks)
print("Right: your formula counts what your merges give.")
### BEGIN HIDDEN TESTS
try:
    check(merged, lambda tasks, classes: math.comb(tasks, 2) * math.factorial(classes) ** 2)
except AssertionError as said:
    print(f"Where renumbered classes are counted anew, the check says: {said}")
else:
    raise RuntimeError("the check lets (k!)^2 pass")
### END HIDDEN TESTS

# %% [markdown]
# ## Look
#
# The package draws such tasks. Each merged class holds one class of either parent, on half of the records.

# %%
records = {"animals": (range(12), [0, 1, 2] * 4), "plants": (range(12, 24), [2, 1, 0] * 4)}
combine_tasks(records, count=1, seed=0).table()

# %% [markdown]
# Twenty tasks of five classes have how many auxiliary tasks? How many of them can a network be trained on?
