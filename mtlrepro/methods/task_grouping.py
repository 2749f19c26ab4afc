"""Groups of tasks from their data maps: STG-MTL (Sherif, Abid, Elattar, ElHelw 2023), Sec. 3.3 and 3.4.

A task's vector x_t holds all its confidences and variabilities: d = 2 x points x snapshots numbers. With k centres c_j:
    hard (k-means)         u_tj = 1 for the nearest centre, else 0
    soft (eqs. 2 and 3)    u_tj = 1 / sum_l (|x_t - c_j| / |x_t - c_l|)^(2 / (F - 1)), c the centres of k-means
    iterated               fuzzy c-means (Bezdek et al. 1984): the same u, then c_j = sum_t u_tj^F x_t / sum_t u_tj^F, and again
    point-based (eq. 4)    u_tj = share of task t's (confidence, variability) pairs in cluster j of a k-means over all pairs
In each, sum_j u_tj = 1. Model j trains with L_j = sum_t u_tj L_t (eq. 1) and the prediction of task t is sum_j u_tj o_jt (eq. 5).

Centres are weighted means of the vectors, so nothing here needs more than the vectors' inner products. `gram` adds those up over
chunks of columns and `coordinates` makes n vectors of n numbers with the same distances, to be used in place of the vectors: for
100 tasks x 5,000,000 numbers, 80 kB in place of 2 GB.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.refusals import refuse_negative, refuse_not_finite

# k-means is restarted this often from fresh k-means++ centres; the best of them counts.
RESTARTS = 10


@dataclass(frozen=True, eq=False)
class Grouping:
    """`memberships` (n, k) of n tasks in k clusters, each row summing to 1, and `centers` (k, d); float64."""

    memberships: Tensor
    centers: Tensor

    @property
    def labels(self) -> Tensor:
        """(n,) the cluster in which each task is most."""
        return self.memberships.argmax(-1)


# --- vectors, or what stands for them ---------------------------------------------------------------------------------


def task_vectors(maps: Tensor) -> Tensor:
    """(tasks, snapshots, points, 2), as `data_maps.stacked` gives it -> (tasks, d) float64."""
    return maps.flatten(1).double()


def gram(chunks: Iterable[Tensor]) -> Tensor:
    """(n, n) float64 inner products of n vectors that come as chunks of their columns, each (n, some columns)."""
    total: Tensor | None = None
    for chunk in chunks:
        part = chunk.double()
        total = part @ part.T if total is None else total.addmm_(part, part.T)
    if total is None:
        raise BadValue("no chunk to take inner products of.")
    return total


def map_chunks(maps: Tensor, columns: int = 100_000) -> Iterable[Tensor]:
    """Chunks for `gram` of data maps (tasks, snapshots, points, 2): at most `columns` numbers a task, no copy of the whole."""
    flat = maps.flatten(1)
    return (flat[:, start : start + columns] for start in range(0, flat.shape[1], columns))


def coordinates(inner: Tensor) -> Tensor:
    """(n, n) float64 rows that have the distances of the vectors whose inner products are `inner` (n, n).

    Their centre is at 0. Distances agree up to rounding: about 1e-8 of the vectors' lengths (the square root of 1e-16).
    """
    centred = inner.double() - inner.mean(0, keepdim=True) - inner.mean(1, keepdim=True) + inner.mean()
    values, vectors = torch.linalg.eigh((centred + centred.T) / 2)
    rows: Tensor = vectors * values.clamp_min(0).sqrt()
    return rows


def coordinates_of_distances(distances: Tensor) -> Tensor:
    """`coordinates` from the Euclidean distances (n, n) themselves."""
    return coordinates(-0.5 * distances.double().square())


# --- groupings --------------------------------------------------------------------------------------------------------


def hard(points: Tensor, clusters: int, seed: int, restarts: int = RESTARTS) -> Grouping:
    """scikit-learn's k-means (k-means++, best of `restarts` starts) of n task vectors (n, d); memberships are 0 and 1.

    Raises BadValue for fewer tasks than clusters, for vectors that are not finite, and without a start.
    """
    _enough(points, clusters)
    refuse_negative("task grouping", zero=False, restarts=restarts)
    refuse_not_finite("task grouping", points)
    x = points.double()
    labels = KMeans(clusters, n_init=restarts, random_state=seed).fit(x.numpy(force=True)).labels_
    memberships = torch.nn.functional.one_hot(torch.from_numpy(labels).long().to(x.device), clusters).double()
    # scikit-learn's own centres are off by rounding; these are exact for a task alone, whose distance to its centre is then 0.
    return Grouping(memberships, torch.stack([x[own > 0].mean(0) for own in memberships.T]))


def soft(points: Tensor, clusters: int, seed: int, fuzziness: float = 2.0, restarts: int = RESTARTS) -> Grouping:
    """The paper's own: k-means' centres, then one fuzzification step. points: (n, d)."""
    centers = hard(points, clusters, seed, restarts).centers
    return Grouping(fuzzy_memberships(points, centers, fuzziness), centers)


def iterated(
    points: Tensor, clusters: int, seed: int, fuzziness: float = 2.0, iterations: int = 1000, tolerance: float = 1e-10
) -> Grouping:
    """Fuzzy c-means, started at k-means' centres, until no membership moves by more than `tolerance`. points: (n, d)."""
    x, grouping = points.double(), soft(points, clusters, seed, fuzziness)
    for _ in range(iterations):
        weights = grouping.memberships**fuzziness
        centers = weights.T @ x / weights.sum(0)[:, None]
        moved = Grouping(fuzzy_memberships(x, centers, fuzziness), centers)
        change = (moved.memberships - grouping.memberships).abs().max()
        grouping = moved
        if change <= tolerance:
            break
    return grouping


def point_based(maps: Tensor, clusters: int, seed: int, sample: int | None = 200_000, restarts: int = RESTARTS) -> Grouping:
    """Eq. 4. maps: (tasks, snapshots, points, 2); the centres are in the plane of confidence and variability, (k, 2).

    sample: centres are fitted to so many pairs, drawn without replacement; None: to all. Every pair votes, whichever it is.
    """
    pairs = maps.reshape(maps.shape[0], -1, 2)
    flat = pairs.reshape(-1, 2)
    _enough(flat, clusters)
    refuse_negative("task grouping", zero=False, restarts=restarts)
    refuse_not_finite("task grouping", maps)
    if sample is not None and sample < len(flat):
        flat = flat[torch.from_numpy(np.random.default_rng(seed).choice(len(flat), sample, replace=False)).to(flat.device)]
    fitted = KMeans(clusters, n_init=restarts, random_state=seed).fit(flat.double().numpy(force=True))
    votes = [np.bincount(fitted.predict(own.double().numpy(force=True)), minlength=clusters) for own in pairs]
    shares = torch.from_numpy(np.stack(votes)).double() / pairs.shape[1]
    return Grouping(shares, torch.from_numpy(fitted.cluster_centers_).double())


def fuzzy_memberships(points: Tensor, centers: Tensor, fuzziness: float = 2.0) -> Tensor:
    """Eq. 3: (n, k) float64 memberships of points (n, d) in clusters with centers (k, d); see `memberships_of_distances`."""
    # Without the expansion into inner products, whose rounding would hide a distance of 0.
    apart = torch.cdist(points.double(), centers.double(), compute_mode="donot_use_mm_for_euclid_dist")
    return memberships_of_distances(apart, fuzziness)


def memberships_of_distances(distances: Tensor, fuzziness: float = 2.0) -> Tensor:
    """Eq. 3 from the distances (n, k) to the centers. fuzziness: F > 1; towards 1 memberships become hard, far above it 1 / k.

    A point at distance 0 from a center, the limit of the formula: all its membership is there, shared equally among such centers.
    Hence a task alone in a cluster of k-means has membership 1, whatever F. Raises BadValue for F <= 1.
    """
    if not fuzziness > 1:
        raise BadValue(f"fuzziness must be above 1, not {fuzziness}.")
    refuse_not_finite("memberships", distances)
    d = distances.double()
    # d^-p / sum of d^-p by logarithms: with F near 1 the powers themselves overflow.
    soft_shares = torch.softmax(-2 / (fuzziness - 1) * d.log(), -1)
    at_center = (d == 0).double()
    return torch.where(at_center.any(-1, keepdim=True), at_center / at_center.sum(-1, keepdim=True).clamp_min(1), soft_shares)


# --- training and prediction with memberships -------------------------------------------------------------------------


def loss_weights(memberships: Tensor) -> Tensor:
    """(k, n): the task weights of each cluster's model, for `Static` with the k models as runs of one batch."""
    return memberships.T.contiguous()


def weighted_loss(losses: Tensor, memberships: Tensor) -> Tensor:
    """Eq. 1: (k,) losses L_j = sum_t u_tj L_jt of k models, from theirs on each task (k, n) and memberships (n, k)."""
    return (losses * loss_weights(memberships).to(losses)).sum(-1)


def combined_probability(logits: Tensor, memberships: Tensor, average: Literal["logits", "probabilities"] = "logits") -> Tensor:
    """Eq. 5: (..., n) probabilities of n binary tasks, from the logits of the k models (k, ..., n) and memberships (n, k).

    average: of logits, as the published code does, or of the models' probabilities. Raises BadValue for any other.
    """
    if average not in ("logits", "probabilities"):
        raise BadValue(f"average must be 'logits' or 'probabilities', not {average!r}.")
    outputs = logits if average == "logits" else logits.sigmoid()
    combined = torch.einsum("k...n,nk->...n", outputs, memberships.to(logits))
    return combined.sigmoid() if average == "logits" else combined


def _enough(points: Tensor, clusters: int) -> None:
    if not 1 <= clusters <= len(points):
        raise BadValue(f"{len(points)} points cannot make {clusters} clusters.")
