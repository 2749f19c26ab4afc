"""SVD-based task reweighting (transfer paper, Algorithm 2), for k tasks with the same inputs X and labels y_1 .. y_k.

    theta_i = X^T y_i;   U_r: the r leading left singular vectors of (theta_1, ..., theta_k);   alpha_i = |theta_i^T U_r|.

The idea is that noise in a label vector is spread over all directions and so is lost in the projection. But |theta_i| itself
grows with the size of the labels and of their noise, and alpha_i grows with it: see the exhibit's page, and `normalise`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.refusals import refuse_kinds


def svd_weights(x: Tensor, ys: Tensor, rank: int, *, centre: bool = False, normalise: bool = False) -> Tensor:
    """Weights alpha (k,) of Algorithm 2, in the unit of X^T y.

    x: (..., m, d), ys: (..., k, m), with the same leading dimensions, a batch of problems. rank: r, from 1 to k. centre: take
    the means out of X and y first, so that offsets do not count. normalise: give each theta_i unit length first; a variant of
    ours whose weights lie in [0, 1] and do not change with the scale of any task's labels.
    Raises BadValue for shapes that do not match, a rank out of range, inputs and labels of no one real number format, and
    values that are not finite.
    """
    refuse_kinds("SVD reweighting", x, ys)
    if x.ndim < 2 or ys.ndim < 2 or x.shape[:-2] != ys.shape[:-2] or x.shape[-2] != ys.shape[-1]:
        raise BadValue(f"inputs must be (m, d) and labels (k, m), not {tuple(x.shape)} and {tuple(ys.shape)}.")
    if centre:
        # Either mean is enough: the centred labels are orthogonal to constants.
        ys = ys - ys.mean(-1, keepdim=True)
    return projected_lengths(ys @ x, rank, normalise)


def projected_lengths(thetas: Tensor, rank: int, normalise: bool = False) -> Tensor:
    """|theta_i^T U_r| of the rows of thetas (..., k, d), U_r their rank-r best approximation's column space -> (..., k).

    Where singular values r and r + 1 are equal U_r is not unique, and neither are the weights. Raises BadValue for a rank out
    of range and for values that are not finite.
    """
    k = thetas.shape[-2]
    if not 1 <= rank <= k:
        raise BadValue(f"rank must be from 1 to the number of tasks, {k}, not {rank}.")
    if not bool(thetas.isfinite().all()):
        raise BadValue("SVD reweighting needs finite inputs and labels: a task's X^T y is not; look for NaN in labels.")
    if normalise:
        lengths = thetas.norm(dim=-1, keepdim=True)
        thetas = torch.where(lengths > 0, thetas / lengths, 0)
    left, values, _ = torch.linalg.svd(thetas, full_matrices=False)
    # theta_i^T U_r are the coordinates of row i in the leading right singular vectors: row i of left times the singular values.
    alpha: Tensor = (left[..., :rank] * values[..., None, :rank]).norm(dim=-1)
    return alpha


class StreamedWeights:
    """Algorithm 2 over batches: keeps X^T y and the sums needed to centre it, never X itself.

    Batches may come in any order and of any size, from several machines too (`merge`); sums are float64.
    """

    def __init__(self) -> None:
        self.count = 0
        self.products: Tensor | None = None
        self.sums: tuple[Tensor, Tensor] | None = None

    def update(self, x: Tensor, ys: Tensor) -> None:
        """Add a batch. x: (n, d), ys: (n, k), one row a sample, as a loader gives them.

        Raises BadValue for shapes that do not match each other or the batches before.
        """
        if x.ndim != 2 or ys.ndim != 2 or len(x) != len(ys):
            raise BadValue(f"a batch is (n, d) and (n, k), not {tuple(x.shape)} and {tuple(ys.shape)}.")
        self._add(len(x), ys.double().mT @ x.double(), (x.double().sum(0), ys.double().sum(0)))

    def merge(self, other: StreamedWeights) -> None:
        """Add what another object has seen."""
        if other.products is not None and other.sums is not None:
            self._add(other.count, other.products, other.sums)

    def _add(self, count: int, products: Tensor, sums: tuple[Tensor, Tensor]) -> None:
        if self.products is None or self.sums is None:
            self.products, self.sums = products.clone(), (sums[0].clone(), sums[1].clone())
        elif self.products.shape != products.shape:
            raise BadValue(f"{tuple(products.shape)} tasks and inputs after {tuple(self.products.shape)}.")
        else:
            self.products += products
            self.sums = self.sums[0] + sums[0], self.sums[1] + sums[1]
        self.count += count

    def weights(self, rank: int, *, centre: bool = False, normalise: bool = False) -> Tensor:
        """(k,) float64, as `svd_weights` of all that was seen. Raises BadValue where nothing was, or for a rank out of range."""
        if self.products is None or self.sums is None:
            raise BadValue("no batch was seen: call update first.")
        thetas = self.products
        if centre:
            thetas = thetas - self.sums[1][:, None] * self.sums[0] / self.count
        return projected_lengths(thetas, rank, normalise)
