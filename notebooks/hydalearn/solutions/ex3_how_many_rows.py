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
# # Exercise 3: how many validation rows does a gain need?
#
# About 45 minutes, and open at the end. You need exercise 2.
#
# HydaLearn measures a gain on held-out rows, at every step. With few rows the *sign* of the gain may be chance. Write the share of
# draws in which the sign on `rows` random rows differs from the sign on all of them. Then choose the smallest number of rows you
# would use, and defend it.

# %%
import torch
from torch import Tensor

from mtlrepro import plots
import matplotlib.pyplot as plt

SIZES = (5, 10, 20, 50, 100, 200, 500, 1000)


def gains_of_rows(seed: int = 0, batches: int = 30, held_out: int = 1000) -> Tensor:
    """(batches, held_out): what each held-out row's squared error gains by a fake step on each of 30 mini-batches.

    A linear model near the end of its training: the steps are small, and so are the gains.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    truth = normal(10)
    theta = truth + 0.1 * normal(10)
    rows = normal(held_out, 10)
    labels = rows @ truth + normal(held_out)
    gains = []
    for _ in range(batches):
        x = normal(16, 10)
        gradient = 2 * x.T @ (x @ theta - (x @ truth + normal(16))) / 16
        moved = theta - 0.02 * gradient
        gains.append((rows @ theta - labels).square() - (rows @ moved - labels).square())
    return torch.stack(gains)


# %% [markdown]
# The gain on a set of rows is the *mean* of its rows' gains.


# %%
def share_of_flips(gains: Tensor, rows: int, draws: int, generator: torch.Generator) -> float:
    """Share of batches and draws in which the gain on `rows` rows, drawn without replacement, has another sign than on all.

    gains: (batches, held_out), of single rows.
    """
    ### BEGIN SOLUTION
    whole = gains.mean(1) > 0
    flips = 0.0
    for _ in range(draws):
        chosen = torch.randperm(gains.shape[1], generator=generator)[:rows]
        flips += float(((gains[:, chosen].mean(1) > 0) != whole).double().mean())
    return flips / draws
    ### END SOLUTION


# %%
def smallest_number_of_rows(gains: Tensor, allowed: float, generator: torch.Generator) -> int:
    """The first of SIZES with at most a share `allowed` of flips."""
    ### BEGIN SOLUTION
    return next(rows for rows in SIZES if share_of_flips(gains, rows, 50, generator) <= allowed)
    ### END SOLUTION


# %% tags=["test"]
def check(share, smallest):
    generator = torch.Generator().manual_seed(8)
    gains = gains_of_rows()
    assert share(gains, gains.shape[1], 3, generator) == 0, "with all rows there is nothing left to chance: no flip"
    certain = torch.ones(4, 100, dtype=torch.float64)
    assert share(certain, 5, 20, generator) == 0, "where every row gains, no choice of rows can flip the sign"
    # Of 100 rows 40 lose as much as the others win: one row alone has the wrong sign with probability 0.4.
    mixed = torch.where(torch.arange(100) < 40, -1.0, 1.0)[None].double()
    one = share(mixed, 1, 2000, generator)
    assert abs(one - 0.4) < 0.05, f"here a single row flips the sign 2 times in 5, yours says {one:.2f}: mean, not sum of signs?"
    few, many = share(gains, 5, 200, generator), share(gains, 500, 200, generator)
    assert few > many, f"more rows must flip less: {few:.2f} on 5 rows, {many:.2f} on 500"
    chosen = smallest(gains, 0.05, generator)
    assert chosen in SIZES, "choose one of SIZES"
    assert share(gains, chosen, 200, generator) < 0.07, f"{chosen} rows flip too often"


check(share_of_flips, smallest_number_of_rows)
print("Right.")
### BEGIN HIDDEN TESTS
try:
    # Not centred on the whole set: counts negative gains, whatever the sign on all rows.
    check(lambda gains, rows, draws, generator: float((gains[:, :rows].mean(1) < 0).double().mean()), smallest_number_of_rows)
except AssertionError as said:
    print(f"For the share of negative gains, the check says: {said}")
else:
    raise RuntimeError("the check lets the share of negative gains pass")
### END HIDDEN TESTS

# %% [markdown]
# ## Look

# %%
plots.use()
figure, ax = plt.subplots()
generator = torch.Generator().manual_seed(9)
ax.plot(SIZES, [share_of_flips(gains_of_rows(), rows, 50, generator) for rows in SIZES], marker="o")
plots.log_sizes(ax, SIZES, "validation rows")
ax.set_ylabel("share of flipped signs")
plt.show()

# %% [markdown]
# ## Go on
#
# - Make the step ten times larger. Do fewer rows do?
# - The gain of the *auxiliary* task is smaller. Does its sign need more rows?
# - What does a step cost with all rows, and what does it cost with none (`first_order` of the package)? Where is the balance?
