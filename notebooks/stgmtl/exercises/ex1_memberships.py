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
# # Exercise 1: soft memberships
#
# About 10 minutes. You need distances and powers.
#
# With distances $d_{ij}$ of task $i$ to the cluster centers and fuzziness $F > 1$, equation 3 of the paper is
#
# $$u_{ij} = \Bigl[ \sum_{k} \Bigl( \frac{d_{ij}}{d_{ik}} \Bigr)^{2/(F-1)} \Bigr]^{-1} .$$
#
# Write it. Then see what $F$ does, and what happens when all distances are nearly equal.

# %%
import torch
from torch import Tensor

from mtlrepro.methods.task_grouping import memberships_of_distances


# %%
def memberships(distances: Tensor, fuzziness: float) -> Tensor:
    """(n, k) memberships from distances (n, k), all above 0."""
    # YOUR CODE HERE
    raise NotImplementedError("memberships is not written yet")


# %% tags=["test"]
def check(rule):
    distances = torch.rand(6, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64) + 0.1
    given = rule(distances, 2.0)
    assert torch.allclose(given.sum(1), torch.ones(6, dtype=torch.float64)), "the memberships of each task sum to 1"
    two = rule(torch.tensor([[1.0, 2.0]], dtype=torch.float64), 2.0)[0]
    assert two[0] > two[1], "the nearer center gets the larger membership"
    assert abs(two[0] - 0.8) < 1e-9, f"distances 1 and 2 with F = 2 give 0.8 and 0.2, yours {two[0]:.2f}: what is the exponent?"
    for fuzziness in (1.2, 2.0, 5.0):
        far = float((rule(distances, fuzziness) - memberships_of_distances(distances, fuzziness)).abs().max())
        assert far < 1e-9, f"at F = {fuzziness} a membership is off by {far:.2g}: where does F stand in the exponent?"


check(memberships)
print("Right: your memberships are the package's.")

# %% [markdown]
# ## Look

# %%
for name, distances in (("distances 1, 2, 4", [1.0, 2.0, 4.0]), ("distances 1, 1.05, 1.1", [1.0, 1.05, 1.1])):
    for fuzziness in (1.1, 2.0, 10.0):
        shares = memberships(torch.tensor([distances], dtype=torch.float64), fuzziness)[0]
        print(f"{name}, F = {fuzziness:4.1f}: " + ", ".join(f"{share:.2f}" for share in shares))

# %% [markdown]
# A data map has tens of thousands of numbers. In so many dimensions distances concentrate: they are all nearly equal. What does
# that do to the memberships at $F = 2$? What is then left of the groups?
