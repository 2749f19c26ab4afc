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
# # Exercise 2: which classes does the sampler draw?
#
# About 30 minutes. You need counts and probabilities.
#
# The task-aware sampler draws *records*, each in proportion to $w(x) = \log(x) / x$, where $x$ is the number of records in its
# class. A class of one record gets the weight $\log 2$ instead of $\log 1 = 0$. Write the weight of each record. Then write how
# often each *class* is drawn. Then say how unequal the drawn classes still are when one class has $r$ times the records of the other.

# %%
import torch
from torch import Tensor

from mtlrepro.methods.task_aware_sampler import TaskAwareSampler, task_aware_weights


# %%
def record_weights(labels: Tensor) -> Tensor:
    """(n,) the weight of each record; labels (n,), integer classes from 0 on, none of them empty."""
    # YOUR CODE HERE
    raise NotImplementedError("record_weights is not written yet")


# %%
def class_shares(labels: Tensor) -> Tensor:
    """(classes,) the probability that a drawn record is of each class."""
    # YOUR CODE HERE
    raise NotImplementedError("class_shares is not written yet")


# %%
def drawn_imbalance(rare: int, ratio: int) -> float:
    """How many times more often the frequent class is drawn, where the rare one has `rare` > 1 records and the other `ratio` times that."""
    # YOUR CODE HERE
    raise NotImplementedError("drawn_imbalance is not written yet")


# %% tags=["test"]
def check(weights, shares, imbalance):
    labels = torch.tensor([0] * 90 + [1] * 9 + [2])
    own, wanted = weights(labels).double(), task_aware_weights(labels)
    assert own.shape == labels.shape, (
        f"100 records have 100 weights, yours are {tuple(own.shape)}: one for each record, not class"
    )
    for x, record in ((90, 0), (9, 90), (1, 99)):
        assert abs(own[record] - wanted[record]) < 1e-9, (
            f"a record in a class of {x} has the weight {wanted[record]:.4f}, yours {own[record]:.4f}"
        )
    given = shares(labels)
    assert abs(float(given.sum()) - 1) < 1e-9, "the shares of all classes sum to 1"
    drawn = torch.bincount(
        TaskAwareSampler(labels[:, None], 50_000, torch.Generator().manual_seed(5)).draw(torch.tensor([0]))[1][0]
    )
    far = float((drawn / drawn.sum() - given).abs().max())
    assert far < 0.01, (
        f"of 50,000 draws your shares are off by {far:.2f}: a class is drawn x times as often as one of its records"
    )
    assert abs(imbalance(10, 10) - 2) < 1e-9, "10 and 100 records: log 100 / log 10 = 2, in place of 10"
    assert abs(imbalance(10, 100) - 3) < 1e-9, "10 and 1000 records: the ratio is 3, in place of 100"


check(record_weights, class_shares, drawn_imbalance)
print("Right: your shares are what the sampler draws.")

# %% [markdown]
# ## Look

# %%
for ratio in (1, 10, 100, 1000):
    print(f"ratio of the records {ratio:4d}: ratio of the draws {drawn_imbalance(10, ratio):.2f}")

# %% [markdown]
# The draws depend on the *size* of the rare class too, not on the ratio alone. Is that wanted? What does a weight of $1/x$ do?
