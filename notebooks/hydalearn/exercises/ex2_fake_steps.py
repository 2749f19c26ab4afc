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
# # Exercise 2: fake steps, and what they measure
#
# About 30 minutes. You need the gradient and a first-order Taylor expansion.
#
# The shared parameters are a vector $\theta$. There are two training losses, and a metric on held-out data that should be *large*.
# A fake step along task $i$ goes to $\theta - \eta \nabla L_i(\theta)$. Its gain is the metric there minus the metric here.
#
# Write the gain. Write also what it comes to for small steps, without taking any step. Then find the factor $q$ on which
# Theorem 1 rests.

# %%
import torch
from torch import Tensor
from torch.func import grad

generator = torch.Generator().manual_seed(3)
X = torch.randn(50, 4, generator=generator, dtype=torch.float64)
HELD_OUT = torch.randn(200, 4, generator=generator, dtype=torch.float64)
MAIN, AUXILIARY = (torch.tensor(v, dtype=torch.float64) for v in ([1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]))


def main_loss(theta: Tensor) -> Tensor:
    return (X @ (theta - MAIN)).square().mean()


def auxiliary_loss(theta: Tensor) -> Tensor:
    return (X @ (theta - AUXILIARY)).square().mean()


def metric(theta: Tensor) -> Tensor:
    """Held-out quality of the main task: larger is better."""
    return -(HELD_OUT @ (theta - MAIN)).square().mean()


# %%
def gain(loss, theta: Tensor, rate: float) -> Tensor:
    """What the metric gains by one fake step of `rate` on `loss` at theta (d,)."""
    # YOUR CODE HERE
    raise NotImplementedError("gain is not written yet")


# %%
def first_order_gain(loss, theta: Tensor, rate: float) -> Tensor:
    """The same for small rates, from two gradients at theta, without a step."""
    # YOUR CODE HERE
    raise NotImplementedError("first_order_gain is not written yet")


# %%
def q(theta: Tensor) -> Tensor:
    """<grad M, grad L_a> / <grad M, grad L_m> at theta, the factor of equation 9 that Theorem 1 takes as 1."""
    # YOUR CODE HERE
    raise NotImplementedError("q is not written yet")


# %% tags=["test"]
def points() -> list[Tensor]:
    """Twenty places near the main task's solution, as late in a training."""
    draw = torch.Generator().manual_seed(4)
    return [MAIN + 0.3 * torch.randn(4, generator=draw, dtype=torch.float64) for _ in range(20)]


def check(measured, linear, factor):
    theta = torch.zeros(4, dtype=torch.float64)
    assert measured(main_loss, theta, 0.01) > 0, "a small step on the main loss improves the metric here: the gain is positive"
    for theta in points():
        for loss in (main_loss, auxiliary_loss):
            exact, approximate = measured(loss, theta, 1e-6), linear(loss, theta, 1e-6)
            assert abs(exact - approximate) < 1e-4 * abs(exact) + 1e-12, "for tiny steps both gains must agree, sign and size"
        ratio = measured(auxiliary_loss, theta, 1e-7) / measured(main_loss, theta, 1e-7)
        assert abs(factor(theta) - ratio) < 1e-3 * (1 + abs(ratio)), "q is the ratio of the two gains, auxiliary over main"


check(gain, first_order_gain, q)
print("Right: the gains agree, and q is their ratio.")

# %% [markdown]
# ## Look

# %%
factors = torch.stack([q(theta) for theta in points()])
print(
    f"q is below 0 at {int((factors < 0).sum())} of 20 places, within a factor of two of 1 at "
    f"{int(((factors > 0.5) & (factors < 2)).sum())}"
)

# %% [markdown]
# You have just seen that $q$ *is* the inverse ratio of the two gains, $\delta_a / \delta_m$. If $q = 1$, what are the weights
# of equation 10? Why does that make the theorem a circle?
