"""Pareto MTL (Lin, Zhen, Li, Zhang and Kwong 2019): one trade-off a training, chosen by a preference vector.

Unit vectors u_1 .. u_K divide the space of losses; the training for u_k minimises all losses within its own sector,

    G_j(theta) = <u_j - u_k, L(theta)> <= 0  for all j    (eq. 5 to 7)

First, while some constraint is active (G_j > 0), a step only reduces those: d = -sum_j beta_j grad G_j with beta in the simplex
and |d| smallest (eq. 9). Once inside, or after `search` steps, it descends all losses and the active constraints together,

    d = -(sum_i lambda_i grad L_i + sum_j beta_j grad G_j),  lambda, beta >= 0, summing to 1, |d| smallest    (eq. 12 to 14)

which is a weighted sum of the tasks' gradients with weights alpha_i = lambda_i + sum_j beta_j (u_ji - u_ki) (eq. 15).
The smallest vector of a convex hull, of rows a_i, is the solution w / sum(w) of the non-negative least squares problem
min |A^T w|^2 + (sum(w) - 1)^2, solved exactly by scipy.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.training.per_run import RunValue, all_losses
from mtlrepro.training.weighting import Step, Weighting


def preferences(count: int) -> Tensor:
    """`count` unit vectors of two tasks, evenly spread over the quarter circle from (1, 0) to (0, 1): (count, 2), float64.

    Five are the paper's (1, 0), (0.92, 0.38), (0.71, 0.71), (0.38, 0.92), (0, 1). Raises BadValue for fewer than 2.
    """
    if count < 2:
        raise BadValue("there must be at least 2 preference vectors.")
    angle = torch.linspace(0, math.pi / 2, count, dtype=torch.float64)
    return torch.stack([angle.cos(), angle.sin()], -1)


def smallest_combination(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (m,) of the smallest vector in the convex hull of `rows` (m, d): >= 0, summing to 1."""
    size = np.abs(rows).max(initial=0.0)
    if size == 0:
        return np.full(len(rows), 1 / len(rows))
    scaled, _ = nnls(np.vstack([rows.T / size, np.ones(len(rows))]), np.append(np.zeros(rows.shape[1]), 1.0))
    weights: NDArray[np.float64] = scaled / scaled.sum()
    return weights


class ParetoMTL(Weighting):
    """The weights alpha of the shared parameters, scaled to sum_i |alpha_i| = k as in the paper's code; a weight can be negative.

    vector: which of the `count` preference vectors (see `preferences`), counted from 0, a number or (runs,). search: at most so
    many steps for the first phase; the paper takes two epochs. Only two tasks are supported.

    Our reading: as for the other rules on gradients here, the weights are of the shared parameters, and every head follows its
    own loss: a negative weight on a head would drive its loss up without bound. The problem is solved on the host, run by run. A
    run whose gradients are not finite gets NaN. Raises BadValue for numbers out of range and for losses of another number of
    tasks.
    """

    weight_heads = False

    def __init__(self, vector: int | Tensor = 2, count: int = 5, search: int = 100) -> None:
        self.vectors = preferences(count).numpy()
        if search < 0:
            raise BadValue("search must not be negative.")
        self.vector, self.search = RunValue("vector", vector, 0, count - 1), search
        self.steps = 0
        self.inside: set[int] = set()  # runs that have left the first phase

    def __call__(self, step: Step) -> Tensor:
        """(2,) or (runs, 2)."""
        losses = all_losses(step, "pareto_mtl")
        if losses.shape[-1] != 2:
            raise BadValue(f"pareto_mtl has preference vectors of two tasks, not of {losses.shape[-1]}.")
        gramians = (step.jacobian @ step.jacobian.mT).detach().double().cpu()
        every = zip(losses.double().cpu().reshape(-1, 2).numpy(), gramians.reshape(-1, 2, 2).numpy(), strict=True)
        own = (losses.new_zeros((*losses.shape[:-1], 1)) + self.vector.along(losses)).int().reshape(-1).tolist()
        weights = np.stack([self._weights(run, own[run], *each) for run, each in enumerate(every)])
        self.steps += 1
        return torch.from_numpy(weights).to(losses).reshape(losses.shape)

    def _weights(self, run: int, vector: int, losses: NDArray[np.float64], gramian: NDArray[np.float64]) -> NDArray[np.float64]:
        if not (np.isfinite(losses).all() and np.isfinite(gramian).all()):
            return np.full(2, np.nan)
        sides = np.delete(self.vectors - self.vectors[vector], vector, axis=0)
        active = sides[sides @ losses > 0]
        if not len(active) or self.steps >= self.search:
            self.inside.add(run)
        # Rows of `mixes` are combinations of the two tasks' gradients; `root` holds those gradients in two coordinates.
        mixes = np.vstack([np.eye(2), active]) if run in self.inside else active
        values, directions = np.linalg.eigh(gramian)
        root = directions * np.sqrt(values.clip(0))
        weights = smallest_combination(mixes @ root) @ mixes
        total = np.abs(weights).sum()
        return np.full(2, 1.0) if total == 0 else 2 * weights / total
