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
# # Exercise 2: the derivative through one step
#
# About 30 minutes. You need the chain rule.
#
# A weight $w_c$ reaches the main loss through the network's update alone. With a plain step
# $\theta' = \theta - \eta \nabla \bigl( L_m + \sum_c w_c l_c \bigr)(\theta)$ the held-out main loss $V(\theta')$ is a function of the
# weights. Write its derivative by each weight with two gradients and no further step.

# %%
import torch
from torch import Tensor
from torch.func import grad

generator = torch.Generator().manual_seed(11)
X, LABELS = torch.randn(30, 5, generator=generator).double(), torch.randint(0, 3, (30,), generator=generator)
HELD_OUT = torch.randn(100, 5, generator=generator).double()
MAIN = torch.ones(5, dtype=torch.float64)
# What each auxiliary class teaches: the first agrees with the main task, the last opposes it.
CLASSES = torch.stack([MAIN, torch.tensor([1.0, -1.0, 1.0, -1.0, 0.0], dtype=torch.float64), -MAIN])


def main_loss(theta: Tensor) -> Tensor:
    return (X @ (theta - MAIN)).square().mean()


def class_loss(theta: Tensor, c: int) -> Tensor:
    """l_c: squared error of the class's own rows against what the class teaches."""
    return ((X @ (theta - CLASSES[c])).square() * (LABELS == c)).mean()


def held_out_loss(theta: Tensor) -> Tensor:
    """V: the main loss on other rows."""
    return (HELD_OUT @ (theta - MAIN)).square().mean()


def step(theta: Tensor, weights: Tensor, rate: float) -> Tensor:
    """theta' after one plain step on the weighted loss."""
    return theta - rate * grad(lambda t: main_loss(t) + sum(weights[c] * class_loss(t, c) for c in range(3)))(theta)


# %%
def derivative(theta: Tensor, weights: Tensor, rate: float) -> Tensor:
    """(3,) d V(theta') / d w_c."""
    # YOUR CODE HERE
    raise NotImplementedError("derivative is not written yet")


# %% tags=["test"]
def check(rule):
    draw = torch.Generator().manual_seed(12)
    for rate in (0.01, 0.3):
        for _ in range(5):
            theta, weights = torch.randn(5, generator=draw).double(), torch.rand(3, generator=draw).double()
            given, small = rule(theta, weights, rate), 1e-5
            for c in range(3):
                push = small * torch.eye(3, dtype=torch.float64)[c]
                up, down = (held_out_loss(step(theta, weights + sign * push, rate)) for sign in (1, -1))
                wanted = (up - down) / (2 * small)
                assert abs(given[c] - wanted) < 1e-6 * (1 + abs(wanted)), (
                    f"pushing w_{c} a little changes V by {wanted:+.4f} a unit, yours is {given[c]:+.4f} (rate {rate}): "
                    "which sign, and at which theta is each gradient?"
                )
    assert rule(theta, weights, 0.0).abs().max() == 0, "a network that stands still has the derivative 0"


check(derivative)
print("Right: the chain rule agrees with finite differences.")

# %% [markdown]
# ## Look
#
# From many places early in a training: a negative derivative says that more of this class would lower the held-out loss.

# %%
draw = torch.Generator().manual_seed(13)
signs = torch.stack(
    [derivative(0.5 * torch.randn(5, generator=draw).double(), torch.ones(3).double(), 0.05) < 0 for _ in range(200)]
)
for name, share in zip(("agrees with", "has little to do with", "opposes"), signs.double().mean(0)):
    print(f"the class that {name} the main task: more of it helps at {float(share):.0%} of the places")

# %% [markdown]
# What would these shares be near the main task's solution, where little is left to gain? Try, and say why.
