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
# # Exercise 3: make a source that hurts
#
# About 45 minutes, and open at the end. You need the idea of Figures 2 and 3.
#
# A target task in the plane has few samples and noisy labels. You choose a source task for it. Its model must be *close* to the
# target's: the cosine between the two is at least 0.9. Its labels carry no noise, and its inputs are at most 100 times longer in
# one direction than in the other. All that is left to you is where its data lie, and which of the close models it has.
#
# Both share one direction $b$ (capacity $r = 1$). Find a source that *helps*, and one that *hurts*.

# %%
import math

import torch
from torch import Tensor

from mtlrepro.results.intervals import interval

TARGET = torch.tensor([1.0, 0.0], dtype=torch.float64)
DIRECTIONS = torch.linspace(0, math.pi, 721, dtype=torch.float64)[:-1]
DIRECTIONS = torch.stack([DIRECTIONS.cos(), DIRECTIONS.sin()])


# %% [markdown]
# What is given: the shared direction that fits all tasks best (equation 3 of the paper, by trying every direction), and what a
# source does to the target's error on fresh samples.


# %%
def best_direction(tasks: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The b (2,) that minimises the tasks' summed squared error, each task with its best scale. tasks: inputs (m, 2), labels (m,)."""
    fit = torch.zeros(DIRECTIONS.shape[1], dtype=torch.float64)
    for x, y in tasks:
        along = x @ DIRECTIONS
        fit += (y @ along).square() / along.square().sum(0)
    return DIRECTIONS[:, fit.argmax()]


def error(b: Tensor, x: Tensor, y: Tensor) -> float:
    """Squared distance from the target's true model of the model b a, with a fitted to the target's samples."""
    along = x @ b
    return float((b * (along @ y) / along.square().sum() - TARGET).square().sum())


def gain(source, seed: int) -> float:
    """How much smaller the target's error is with the source than without it, on one draw of its 8 samples."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(8, 2, generator=generator, dtype=torch.float64)
    y = x @ TARGET + torch.randn(8, generator=generator, dtype=torch.float64)
    alone = best_direction([(x, y)])
    return error(alone, x, y) - error(best_direction([(x, y), source(generator)]), x, y)


# %% [markdown]
# A source returns a model and its inputs' standard deviations along two directions at an angle `turn`.


# %%
def helpful() -> tuple[Tensor, tuple[float, float], float]:
    """(model (2,), standard deviations, turn in radians) of a source that helps."""
    ### BEGIN SOLUTION
    return TARGET, (1.0, 1.0), 0.0
    ### END SOLUTION


# %%
def harmful() -> tuple[Tensor, tuple[float, float], float]:
    """(model (2,), standard deviations, turn in radians) of a source that hurts."""
    ### BEGIN SOLUTION
    # Most of the source's data lie across the target's direction, so its fit insists on its own model, not on one near it.
    angle = math.acos(0.9)
    model = torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
    return model, (1.0, 100.0), 0.0
    ### END SOLUTION


# %% tags=["test"]
def source_of(choice):
    """A function that draws the source's 200 samples. Refuses what the rules forbid."""
    model, deviations, turn = choice()
    model = torch.as_tensor(model, dtype=torch.float64)
    cosine = float(model @ TARGET / model.norm())
    assert cosine >= 0.9 - 1e-9, f"the cosine between the models is {cosine:.2f}, it must be at least 0.9"
    assert max(deviations) <= 100 * min(deviations) * (1 + 1e-9), "one standard deviation is over 100 times the other"
    axes = torch.tensor([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]], dtype=torch.float64)

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randn(200, 2, generator=generator, dtype=torch.float64) * torch.tensor(deviations, dtype=torch.float64) @ axes
        y = x @ model
        # Both tasks count alike in the fit: labels of the source are brought to the length of the target's.
        return x, y * 4 / y.norm()

    return draw


def check(helps, hurts):
    for choice, sign, word in ((helps, 1, "help"), (hurts, -1, "hurt")):
        source = source_of(choice)
        mean, low, high = interval([sign * gain(source, seed) for seed in range(200)])
        print(f"{choice.__name__}: the gain is {sign * mean:+.3f} over 200 draws of the target")
        assert low > 0, (
            f"your source does not {word}: the interval [{min(sign * low, sign * high):+.3f}, {max(sign * low, sign * high):+.3f}] has to be clear of zero"
        )


check(helpful, harmful)
print("Right: one helps and one hurts.")
### BEGIN HIDDEN TESTS
try:
    check(helpful, helpful)
except AssertionError as said:
    print(f"For a source that is the same task, the check says: {said}")
else:
    raise RuntimeError("the check lets a helpful source pass as a harmful one")
### END HIDDEN TESTS

# %% [markdown]
# ## Go on
#
# - With the target's own model, can any source hurt? Try, and then argue why not.
# - How many samples must the target have until your source no longer hurts?
# - Put an alignment matrix $R$ (Algorithm 1) before the source's inputs. Which $R$ takes the harm away?
