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
# # Exercise 1: the ratio, and a network that stands still
#
# About 10 minutes. You need differences and a division.
#
# Between two batches the main loss on pixels of class $c$ changes by $\Delta L^m_c$, and the class's weighted auxiliary loss by
# $\Delta (w_c l_c)$. Leave out the start losses and epsilon (take both starts as 1). The paper's rule moves the weight against
#
# $$g_c = \frac{\Delta L^m_c}{\Delta (w_c l_c)} \, l_c ,$$
#
# with $l_c$ of the present batch. Write it. Then feed it two random batches of a network that has *not learned at all* between them.

# %%
import torch
from torch import Tensor

from mtlrepro.methods.class_weights import class_weight_start, class_weight_step, difference_gradient


# %%
def ratio(main_before: Tensor, main_now: Tensor, aux_before: Tensor, aux_now: Tensor, weights: Tensor) -> Tensor:
    """g_c (C,) from the losses by class, (C,) each, of two batches in a row. The present weights count in both batches."""
    # YOUR CODE HERE
    raise NotImplementedError("ratio is not written yet")


# %% tags=["test"]
def check(rule):
    generator = torch.Generator().manual_seed(7)
    before, now, aux_before, aux_now = (torch.rand(3, generator=generator, dtype=torch.float64) for _ in range(4))
    one = torch.ones(3, dtype=torch.float64)
    assert (rule(before, before + 1, aux_before, aux_before + 1, one) > 0).all(), "both losses grew: the ratio is positive"
    assert (rule(before, before + 1, aux_before + 1, aux_before, one) <= 0).all(), "main grew, auxiliary fell: it is not positive"
    state = class_weight_step(class_weight_start(3, torch.tensor(1.0).double(), torch.tensor(1.0).double()), before, aux_before)
    wanted = difference_gradient(state, now, aux_now, "class", eps=1e-15)
    given = rule(before, now, aux_before, aux_now, one)
    assert torch.allclose(given, wanted, rtol=1e-6), f"want {wanted.tolist()}, got {given.tolist()}: times which batch's l_c?"
    halved = rule(before, now, aux_before, aux_now, 2 * one)
    assert torch.allclose(halved, given / 2), "a weight of 2 halves the ratio: the weighted loss changes twice as much"


check(ratio)
print("Right: your ratio is the package's.")

# %% [markdown]
# ## Look
#
# Nothing is learned here. A batch is harder or easier, and that moves both of its losses.

# %%
generator = torch.Generator().manual_seed(0)
hardness = 1 + 0.2 * torch.randn(10_001, generator=generator)
noise = 0.1 * torch.randn(2, 10_001, generator=generator)
main, aux = hardness + noise[0], hardness + noise[1]
given = ratio(main[:-1], main[1:], aux[:-1], aux[1:], torch.ones(10_000))
print(
    f"positive in {float((given > 0).float().mean()):.0%} of 10,000 pairs of batches, in size from "
    f"{float(given.abs().quantile(0.01)):.2f} to {float(given.abs().quantile(0.99)):.0f}"
)

# %% [markdown]
# The derivative of the main loss by the weight is 0 here, as no step was made. What does the rule do to the weight?
