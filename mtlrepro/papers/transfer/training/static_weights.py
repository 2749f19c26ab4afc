"""Fixed task weights that are compared with SVD reweighting (Algorithm 2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtlrepro.methods.svd_reweighting import svd_weights


def methods(k: int, ranks: Sequence[int]) -> list[tuple[str, int]]:
    """(method, rank) to compare for k tasks; rank 0 stands for k. Normalised weights are equal where the rank is k or k is 2."""
    compared = [("unweighted", 0), ("Kendall", 0)]
    for rank in (rank or k for rank in ranks):
        if rank <= k:
            compared.append(("SVD", rank))
        if rank < k > 2:
            compared.append(("SVD, normalised", rank))
    return compared


def weights_of(x: Tensor, ys: Tensor, method: str, rank: int) -> Tensor:
    """(..., k) weights of sum k by a static method, for x (..., m, d) and ys (..., k, m), labels centred."""
    if method == "unweighted":
        return torch.ones_like(ys[..., 0])
    weights = svd_weights(x, ys, rank, centre=True, normalise=method != "SVD")
    return weights * (ys.shape[-2] / weights.sum(-1, keepdim=True))
