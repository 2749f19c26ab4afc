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
# # Exercise 2: what a narrow shared module costs
#
# About 30 minutes. You need singular values and least squares.
#
# Two or more tasks share the inputs $X$. The model of task $i$ is $X B a_i$, where $B$ has $r$ columns and is shared. How small can
# the sum of squared errors get? Write $X = QR$ with orthonormal columns of $Q$, and $Y = (y_1, \dots, y_k)$. Every model predicts
# inside the span of $Q$. So the question is how well $Q^\top Y$ is approximated by a matrix of rank $r$.
#
# Write the smallest loss of width $r$, and the price of sharing: what that loss is above the sum of the single-task losses.

# %%
import torch
from torch import Tensor

from mtlrepro import plots
import matplotlib.pyplot as plt


# %%
def loss_of_width(x: Tensor, y: Tensor, r: int) -> Tensor:
    """The smallest sum of squared errors of k tasks with labels y (m, k) on inputs x (m, d), through a shared module of width r."""
    # YOUR CODE HERE
    raise NotImplementedError("loss_of_width is not written yet")


# %%
def price_of_sharing(x: Tensor, y: Tensor, r: int) -> Tensor:
    """How much the loss of width r is above the sum of the losses of k single-task models."""
    # YOUR CODE HERE
    raise NotImplementedError("price_of_sharing is not written yet")


# %% tags=["test"]
def tasks(seed: int, k: int = 4) -> tuple[Tensor, Tensor]:
    """Inputs (60, 6) and the labels (60, k) of k tasks with noise."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(60, 6, generator=generator, dtype=torch.float64)
    truth = torch.randn(6, k, generator=generator, dtype=torch.float64)
    return x, x @ truth + torch.randn(60, k, generator=generator, dtype=torch.float64)


def check(loss, price):
    for seed in range(5):
        x, y = tasks(seed)
        single = sum((y[:, i] - x @ torch.linalg.lstsq(x, y[:, i, None]).solution[:, 0]).square().sum() for i in range(4))
        given = loss(x, y, 4)
        assert abs(given - single) < 1e-8, (
            f"with a width of k each task has its own solution: a loss of {single:.3f}, yours is {given:.3f}"
        )
        assert abs(loss(x, y, 0) - y.square().sum()) < 1e-8, "with a width of 0 every prediction is 0"
        prices = [price(x, y, r) for r in range(5)]
        assert all(a >= b - 1e-9 for a, b in zip(prices, prices[1:])), "a wider module cannot have a larger smallest loss"
        scaled = price(x, 3 * y, 1) / prices[1]
        assert abs(scaled - 9) < 1e-6, f"labels 3 times as large have errors 9 times as large, yours grow {scaled:.1f} times"


check(loss_of_width, price_of_sharing)
print("Right: a price that falls with the width and is 0 at k.")

# %% [markdown]
# ## Look

# %%
plots.use()
figure, ax = plt.subplots()
ax.plot(range(5), [price_of_sharing(*tasks(0), r) for r in range(5)], marker="o")
ax.set_xlabel("width r of the shared module")
ax.set_ylabel("price of sharing")
plt.show()

# %% [markdown]
# The corollary of Proposition 5 bounds this price by a sum of *squares*, $\sum_{i>r} \lambda_i^2$, where $\lambda_i$ grows with
# the square of the labels. Scale the labels down and see on which side of the bound the price lies. The errata have the answer.
