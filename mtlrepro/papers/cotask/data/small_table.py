"""A small tabular set with several label columns, for examples and tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor


def small_tabular_set(seed: int, n: int = 1200, inputs: int = 8) -> tuple[Tensor, pd.DataFrame]:
    """A made-up table with four yes-no labels of growing rarity: inputs (n, d) float32, labels (n, 4) with named columns.

    Each label says whether a random direction of standard Gaussian inputs plus noise exceeds its threshold.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, inputs))
    scores = x @ rng.standard_normal((inputs, 4)) / np.sqrt(inputs) + 0.3 * rng.standard_normal((n, 4))
    shares = {"common": 0.4, "frequent": 0.2, "rare": 0.08, "very rare": 0.03}
    labels = {
        name: (s > np.quantile(s, 1 - share)).astype(int) for (name, share), s in zip(shares.items(), scores.T, strict=True)
    }
    return torch.tensor(x, dtype=torch.float32), pd.DataFrame(labels)
