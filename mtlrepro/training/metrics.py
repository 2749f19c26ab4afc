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


def tied_spearman(predicted: Tensor, observed: Tensor) -> Tensor:
    """`spearman` for values that may repeat, such as ReLU outputs: tied values share the mean of their ranks.

    predicted, observed: (..., n), broadcast against each other. NaN where either is not finite or all equal. Returns (...).
    """
    a, b = torch.broadcast_tensors(predicted, observed)
    finite = a.isfinite().all(-1) & b.isfinite().all(-1)
    a, b = (_mean_ranks(values) - (values.shape[-1] - 1) / 2 for values in (a, b))
    rho = (a * b).sum(-1) / (a.square().sum(-1) * b.square().sum(-1)).sqrt()
    return torch.where(finite, rho, torch.nan)


def _mean_ranks(values: Tensor) -> Tensor:
    """Ranks from 0, ties at their mean: (values below + values not above - 1) / 2."""
    flat = values.contiguous()
    ordered = flat.sort(-1).values
    below, upto = (torch.searchsorted(ordered, flat, right=right) for right in (False, True))
    return (below + upto - 1).to(values.dtype) / 2
