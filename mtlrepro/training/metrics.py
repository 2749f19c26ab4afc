"""Metrics over a batch of runs."""

from __future__ import annotations

import torch
from torch import Tensor


def spearman(predicted: Tensor, observed: Tensor) -> Tensor:
    """Spearman's rank correlation along the last dimension; NaN where a prediction is not finite or all are equal.

    predicted, observed: (..., n), broadcast against each other; values without ties (continuous). Returns (...).
    """
    finite = predicted.isfinite().all(-1) & (predicted.amax(-1) > predicted.amin(-1))
    a, b = _ranks(predicted), _ranks(observed)
    n = a.shape[-1]
    # Without ties the ranks are 0 .. n - 1, so mean and variance are known.
    rho = ((a - (n - 1) / 2) * (b - (n - 1) / 2)).sum(-1) / (n * (n**2 - 1) / 12)
    return torch.where(finite, rho, torch.nan)


def _ranks(values: Tensor) -> Tensor:
    order = values.argsort(-1)
    ranks = torch.empty_like(values)
    return ranks.scatter_(-1, order, torch.arange(values.shape[-1], dtype=values.dtype, device=values.device).expand_as(values))
