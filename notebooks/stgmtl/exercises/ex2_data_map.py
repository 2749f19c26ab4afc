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
# # Exercise 2: a data map without keeping the probabilities
#
# About 30 minutes. You need the mean and the sample standard deviation.
#
# For each training point the map holds the mean and the standard deviation, over epochs, of the probability of the true label. With
# a hundred tasks and fifty thousand points nobody keeps them all. Keep a count, a mean and a sum of squares $S$, and update them
# one epoch at a time (Welford):
#
# $$\mu \leftarrow \mu + \frac{p - \mu}{m}, \qquad S \leftarrow S + (p - \mu_{\text{old}})(p - \mu_{\text{new}}) .$$

# %%
import numpy as np
import torch

from mtlrepro.methods.data_maps import DataMap


# %%
def update(state: tuple[int, np.ndarray, np.ndarray], p: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """(count, mean (points,), sum of squares (points,)) after one more epoch with probabilities p (points,)."""
    # YOUR CODE HERE
    raise NotImplementedError("update is not written yet")


# %%
def variability(state: tuple[int, np.ndarray, np.ndarray]) -> np.ndarray:
    """(points,) the sample standard deviation; 0 for points seen once."""
    # YOUR CODE HERE
    raise NotImplementedError("variability is not written yet")


# %% tags=["test"]
def check(step, spread):
    probabilities = np.random.default_rng(6).uniform(size=(7, 50))
    state = (0, np.zeros(50), np.zeros(50))
    reference = DataMap(1, 50)
    for epoch, p in enumerate(probabilities, 1):
        state = step(state, p)
        reference.update(torch.tensor(p)[:, None], torch.arange(50))
        assert state[0] == epoch, "count the epochs"
        assert np.allclose(state[1], probabilities[:epoch].mean(0)), f"the mean is wrong after epoch {epoch}"
        if epoch == 1:
            assert np.all(spread(state) == 0), "after one epoch nothing has moved: the variability is 0, and no division by 0"
        else:
            wanted = probabilities[:epoch].std(0, ddof=1)
            assert np.allclose(spread(state), wanted), f"the spread is wrong after epoch {epoch}: divide by m - 1"
    assert np.allclose(spread(state), reference.std[0], atol=1e-5), "it must be what the package's map holds"


check(update, variability)
print("Right: your map is the package's.")

# %% [markdown]
# ## Look
#
# Three kinds of points: easy from the start, learned on the way, and never learned.

# %%
epochs = np.arange(20)[:, None]
kinds = np.hstack([np.full((20, 1), 0.95), 1 / (1 + np.exp(-(epochs - 10))), np.full((20, 1), 0.1)])
state = (0, np.zeros(3), np.zeros(3))
for p in kinds:
    state = update(state, p)
for name, mean, spread in zip(("easy", "learned on the way", "never learned"), state[1], variability(state)):
    print(f"{name}: confidence {mean:.2f}, variability {spread:.2f}")

# %% [markdown]
# Where on the map do mislabelled points lie? Can the standard deviation of a probability be above one half, and for how many epochs?
