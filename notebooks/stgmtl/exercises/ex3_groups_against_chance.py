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
# # Exercise 3: is it a group, or is it chance?
#
# About 45 minutes, and open at the end. You need permutations.
#
# A method puts tasks into groups, and the groups look like the true families. Any grouping agrees with the families a little. Shuffle
# the families many times and see how often the shuffled ones agree as well. Then find out how noisy data maps may be before
# grouping by them is no better than chance.

# %%
import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score

from mtlrepro.methods import task_grouping


# %%
def p_value(groups: np.ndarray, families: np.ndarray, shuffles: int, rng: np.random.Generator) -> float:
    """Share of shuffled families that agree with the groups at least as well as the true ones, which count as one of them.

    groups, families: (tasks,) integers. Agreement: the adjusted Rand index. The smallest possible value is 1 / (shuffles + 1).
    """
    # YOUR CODE HERE
    raise NotImplementedError("p_value is not written yet")


# %%
def groups_of_maps(maps: torch.Tensor, clusters: int) -> np.ndarray:
    """(tasks,) the group of each task by k-means on its map. maps: (tasks, numbers). Use the package's `hard`."""
    # YOUR CODE HERE
    raise NotImplementedError("groups_of_maps is not written yet")


# %% tags=["test"]
FAMILIES = np.repeat(np.arange(4), 4)


def maps_of_families(noise: float, seed: int) -> torch.Tensor:
    """Maps (16, 200) of sixteen tasks of four families: each family's own map, and noise."""
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(4, 200))[FAMILIES] + noise * rng.normal(size=(16, 200)))


def check(p_of, groups_of):
    rng = np.random.default_rng(7)
    best = p_of(FAMILIES, FAMILIES, 99, rng)
    assert 0 < best, "the p-value can never be 0: the true families are one of the shuffles"
    assert best < 0.05, f"perfect agreement must be rare by chance: got {best:.2f}"
    chance = [p_of(rng.permutation(FAMILIES), FAMILIES, 29, rng) for _ in range(40)]
    assert np.mean(np.array(chance) <= 0.1) < 0.25, "for random groups small p-values must be rare"
    assert np.mean(chance) > 0.4, f"for random groups p-values must not be small, yours are {np.mean(chance):.2f} on average"
    found = groups_of(maps_of_families(0.3, seed=1), 4)
    assert len(found) == 16, "one group for each task"
    assert adjusted_rand_score(FAMILIES, found) == 1, "with little noise the four families are the four groups"


check(p_value, groups_of_maps)
print("Right.")

# %% [markdown]
# ## Look

# %%
rng = np.random.default_rng(0)
for noise in (0.3, 2.0, 4.0, 10.0):
    groups = groups_of_maps(maps_of_families(noise, seed=2), 4)
    print(
        f"noise {noise:4.1f}: agreement {adjusted_rand_score(FAMILIES, groups):+.2f}, p = {p_value(groups, FAMILIES, 99, rng):.2f}"
    )

# %% [markdown]
# ## Go on
#
# - At which noise is the agreement no better than chance? Does it depend on the number of clusters you ask for?
# - A task *alone* in its group: is that a finding? How often does k-means on pure noise leave one alone?
# - Grouping that agrees with families need not help to *train*. Which experiment would show that it does (Figure 7)?
