"""Covariance similarity score (transfer paper, eq. 6) between the inputs of two tasks.

score = |(U1 D1^½)ᵀ U2 D2^½|_F / (|U1 D1^½|_F |U2 D2^½|_F), with U_i D_i U_iᵀ the best approximation of X_iᵀ X_i of the rank
that holds 99% of its singular values. With S_i for that approximation, score² = tr(S1 S2) / (tr S1 · tr S2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtlrepro.errors import BadValue

# Singular values this close to the last one kept count as tied with it.
_TIE = 1e-9


def covariance_similarity(x1: Tensor, x2: Tensor, energy: float = 0.99) -> Tensor:
    """Equation 6 for the inputs of two tasks: a scalar in [0, 1], 1 only if both lie along one and the same direction.

    x1: (..., m1, d), x2: (..., m2, d), in any unit: the score does not change with the scale of either. They are not
    centred, as in the paper. energy: the share of the sum of the singular values of XᵀX to keep, in (0, 1]; the smallest
    rank that reaches it is used. Values tied with the last one kept are kept too, since which of them is "the best
    approximation" would be arbitrary. Leading dimensions are a batch. Raises BadValue where the widths differ, `energy` is
    out of range, or inputs are all zero or not finite.
    """
    if not 0 < energy <= 1:
        raise BadValue(f"energy must be in (0, 1], not {energy}.")
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise BadValue(f"inputs must be (m1, d) and (m2, d), not {tuple(x1.shape)} and {tuple(x2.shape)}.")
    values1, vectors1 = _kept(x1, energy)
    values2, vectors2 = _kept(x2, energy)
    overlap = (vectors1.mT @ vectors2).square()
    shared = (values1[..., None, :] @ overlap @ values2[..., :, None])[..., 0, 0]
    score: Tensor = (shared / (values1.sum(-1) * values2.sum(-1))).sqrt()
    return score


def _kept(x: Tensor, energy: float) -> tuple[Tensor, Tensor]:
    """Eigenvalues (..., d) of XᵀX divided by their sum, 0 where cut off, and eigenvectors (..., d, d) as columns."""
    values, vectors = torch.linalg.eigh(x.mT @ x)
    values = values.clamp_min(0)
    total = values.sum(-1, keepdim=True)
    if not bool((torch.isfinite(total) & (total > 0)).all()):
        raise BadValue("inputs must be finite and not all zero.")
    values = values / total
    # Ascending order: value j is needed where the larger ones alone do not reach the share; rounding must not add one.
    larger = values.flip(-1).cumsum(-1).flip(-1) - values
    needed = larger < energy - 8 * torch.finfo(values.dtype).eps * values.shape[-1]
    last = torch.where(needed, values, 2).amin(-1, keepdim=True)
    return torch.where(values >= last * (1 - _TIE), values, 0), vectors
