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
# # Exercise 1: how alike are the data of two tasks?
#
# About 10 minutes. You need matrix products and traces.
#
# Equation 6 of the paper scores two tasks by the covariance of their inputs alone. With $S_i = X_i^\top X_i$, and all singular
# values kept, it is
#
# $$\sqrt{\frac{\operatorname{tr}(S_1 S_2)}{\operatorname{tr}(S_1)\,\operatorname{tr}(S_2)}} .$$
#
# Write it in three lines. Then guess, before you run the last cell: what is the score of a task with *itself*?

# %%
import torch
from torch import Tensor

from mtlrepro.methods.alignment import covariance_similarity


# %%
def similarity_score(x1: Tensor, x2: Tensor) -> Tensor:
    """The score of inputs x1 (m1, d) and x2 (m2, d), a number between 0 and 1."""
    # YOUR CODE HERE
    raise NotImplementedError("similarity_score is not written yet")


# %% tags=["test"]
def check(score):
    generator = torch.Generator().manual_seed(1)
    x1, x2 = (torch.randn(m, 5, generator=generator, dtype=torch.float64) for m in (40, 60))
    first, second = torch.zeros(4, 5, dtype=torch.float64), torch.zeros(4, 5, dtype=torch.float64)
    first[:, 0], second[:, 1] = 1, 1
    for other, wanted, words in ((second, 0, "orthogonal directions"), (first, 1, "one and the same direction")):
        given = score(first, other)
        assert abs(given - wanted) < 1e-12, f"inputs along {words} have the score {wanted}, yours is {given:.4f}"
    assert abs(score(3 * x1, x2) - score(x1, x2)) < 1e-12, "the score must not change when a task's inputs are scaled"
    given, wanted = score(x1, x2), covariance_similarity(x1, x2, energy=1.0)
    assert abs(given - wanted) < 1e-9, (
        f"two random tasks have the score {wanted:.4f}, yours is {given:.4f}: did you forget the root?"
    )


check(similarity_score)
print("Right: your score is the package's.")

# %% [markdown]
# ## Look
#
# Tasks whose inputs have the same covariance, in ever more dimensions.

# %%
for d in (1, 2, 10, 50):
    x = torch.randn(2000, d, generator=torch.Generator().manual_seed(d), dtype=torch.float64)
    print(f"d = {d:2d}: the score of a task with itself is {similarity_score(x, x):.2f}")

# %% [markdown]
# Why is it not 1? What would you divide by, if it should be?
