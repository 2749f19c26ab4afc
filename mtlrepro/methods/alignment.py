"""Covariance similarity score (transfer paper, eq. 6) between the inputs of two tasks, and Algorithm 1, covariance alignment.

score = |(U1 D1^½)ᵀ U2 D2^½|_F / (|U1 D1^½|_F |U2 D2^½|_F), with U_i D_i U_iᵀ the best approximation of X_iᵀ X_i of the rank
that holds 99% of its singular values. With S_i for that approximation, score² = tr(S1 S2) / (tr S1 · tr S2).

Algorithm 1 puts a square matrix R_i between a task's embedding and the shared module: g(X_i R_i B) A_i.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtlrepro.errors import BadValue
from mtlrepro.refusals import refuse_kinds, refuse_not_finite

# Singular values this close to the last one kept count as tied with it.
_TIE = 1e-9


def covariance_similarity(x1: Tensor, x2: Tensor, energy: float = 0.99) -> Tensor:
    """Equation 6 for the inputs of two tasks: a scalar in [0, 1], 1 only if both lie along one and the same direction.

    x1: (..., m1, d), x2: (..., m2, d), in any unit: the score does not change with the scale of either. They are not
    centred, as in the paper. energy: the share of the sum of the singular values of XᵀX to keep, in (0, 1]; the smallest
    rank that reaches it is used. Values tied with the last one kept are kept too, since which of them is "the best
    approximation" would be arbitrary. Leading dimensions are a batch. Raises BadValue where the widths differ, `energy` is
    out of range, or inputs are all zero, not finite or not of one real number format.
    """
    refuse_kinds("covariance similarity", x1, x2)
    refuse_not_finite("covariance similarity", x1, x2)
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


# ---------------------------------------------------------------------------------------------------------------------
# Algorithm 1: covariance alignment
# ---------------------------------------------------------------------------------------------------------------------


class AlignmentMatrices(nn.ParameterList):
    """The alignment matrices R_i: one (d, d) parameter per task that starts as the identity.

    runs: size of a leading batch dimension, (runs, d, d); None for one model. like: a tensor whose dtype and device they get.
    """

    def __init__(self, d: int, tasks: int, runs: int | None = None, like: Tensor | None = None) -> None:
        start = torch.eye(d) if like is None else torch.eye(d, dtype=like.dtype, device=like.device)
        start = start if runs is None else start.expand(runs, d, d)
        super().__init__([nn.Parameter(start.clone(memory_format=torch.contiguous_format)) for _ in range(tasks)])


class Aligned(nn.Module):
    """Algorithm 1's model: task i's prediction is model(X_i R_i, i), with an alignment matrix R_i that starts as the identity.

    model: any module called as ``model(x, task)`` that knows its ``shared_parameters()`` (the B of the paper).
    d: width of the task embeddings X_i. runs: size of the leading batch dimension of models and inputs, None for one model.
    Algorithm 1 minimises sum_i L(g(X_i R_i B) A_i, y_i) by gradient steps on A_i and R_i in turn, each on a batch of task i, with
    B fixed: train by turns (`turns`), one group of parameters after the other. With B fixed no parameter but B is
    common to two tasks, so the tasks do not influence one another any more: what they share is B alone, as it was.
    """

    def __init__(self, model: nn.Module, d: int, tasks: int, runs: int | None = None) -> None:
        super().__init__()
        self.model = model
        self.alignments = AlignmentMatrices(d, tasks, runs, next(model.parameters()))

    def forward(self, x: Tensor, task: int) -> Tensor:
        """x: (..., n, d), with the runs first where there are any -> what the model gives for X_i R_i."""
        outputs: Tensor = self.model(x @ self.alignments[task], task)
        return outputs

    def shared_parameters(self) -> list[nn.Parameter]:
        """B."""
        shared: list[nn.Parameter] = self.model.shared_parameters()  # type: ignore[operator]
        return shared

    def turns(self, joint: bool = False) -> list[list[nn.Parameter]]:
        """What is updated in turn: the output modules A, then the alignments R. joint: B is trained too, along with A."""
        fixed = {id(p) for p in self.shared_parameters()} if not joint else set()
        return [[p for p in self.model.parameters() if id(p) not in fixed], list(self.alignments)]
