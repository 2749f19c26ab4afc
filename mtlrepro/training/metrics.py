"""Metrics over a batch of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.refusals import refuse_broadcast, refuse_nan_labels, refuse_not_finite
from mtlrepro.training.weighting import Evaluate


def spearman(predicted: Tensor, observed: Tensor) -> Tensor:
    """Spearman's rank correlation along the last dimension; NaN where a prediction is not finite or all are equal.

    predicted, observed: (..., n), broadcast against each other; values without ties (continuous). Returns (...).
    """
    refuse_not_finite("Spearman's correlation", observed)
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


def auroc(scores: Tensor, labels: Tensor) -> Tensor:
    """Area under the ROC curve along the last dimension, tied scores counting one half, in float64.

    scores, labels: (..., n), broadcast against each other; a label above 0 is positive. NaN where a score is NaN or a class is
    missing. Returns (...). Raises BadValue for scores (n, 1) against labels (n,), and for a label that is NaN.
    """
    refuse_broadcast(scores, labels)
    refuse_nan_labels("AUROC", labels)
    a, positive = torch.broadcast_tensors(scores, labels > 0)
    ranks = _mean_ranks(a.double())
    n = positive.sum(-1).double()
    area = ((ranks * positive).sum(-1) - n * (n - 1) / 2) / (n * (positive.shape[-1] - n))
    return torch.where(a.isnan().any(-1), torch.nan, area)


class Auroc:
    """`auroc` against labels that stay the same, several times as fast where positives are few, in the scores' dtype.

    labels: (..., n); above 0 is positive. Called with scores (..., n) of the same shape. Only the positives' places among the
    negatives are looked up. As in `auroc`, ties count one half, and it is NaN where a score is NaN or a class is missing.
    """

    def __init__(self, labels: Tensor) -> None:
        refuse_nan_labels("AUROC", labels)
        self.positive = labels > 0
        count = self.positive.sum(-1, keepdim=True)
        most = int(count.max())
        self.places = self.positive.int().argsort(dim=-1, descending=True, stable=True)[..., :most]
        self.used = torch.arange(most, device=labels.device) < count
        self.negatives = labels.shape[-1] - count
        self.pairs = (count * self.negatives)[..., 0]

    def __call__(self, scores: Tensor) -> Tensor:
        """(...), the area."""
        # Positives go to the end of the order, behind all negatives.
        negatives = scores.masked_fill(self.positive, torch.inf).sort(-1).values
        found = scores.gather(-1, self.places)
        below = torch.searchsorted(negatives, found)
        upto = torch.minimum(torch.searchsorted(negatives, found, right=True), self.negatives)
        area = (((below + upto) * self.used).sum(-1) / (2 * self.pairs)).to(scores.dtype)
        return torch.where(scores.isnan().any(-1), torch.nan, area)


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of samples whose largest logit is their label. logits: (..., n, classes), labels: (..., n). Returns (...).

    Raises BadValue for logits (n, classes) against labels (n, 1).
    """
    refuse_broadcast(logits, labels, classes=True)
    return (logits.argmax(-1) == labels).to(logits.dtype).mean(-1)


def mean_absolute_error(found: Tensor, wanted: Tensor) -> Tensor:
    """(..., n, outputs) twice -> (...). Smaller is better."""
    refuse_broadcast(found, wanted)
    return (found - wanted).abs().mean((-2, -1))


def mean_squared_error(found: Tensor, wanted: Tensor) -> Tensor:
    """(..., n, outputs) twice -> (...). Smaller is better."""
    refuse_broadcast(found, wanted)
    return (found - wanted).square().mean((-2, -1))


def measured_on(
    data: Iterable[Any], score: Callable[[Tensor, Tensor], Tensor], task: int = 0, points: int | None = None
) -> Evaluate:
    """A metric of one task on fixed data, to be called with a model: score(model(inputs, task), targets of that task).

    data: (inputs, targets of task 0, targets of task 1, ...) batches, such as a DataLoader gives, of the validation set, the
    training set or any part; they are joined once, here. points: only so many samples, the first ones; None: all. With a
    batch of runs give one batch whose first dimension is the runs', cut beforehand. score: such as `auroc`.
    Raises BadValue without data.
    """
    batches = list(data)
    if not batches:
        raise BadValue("a metric needs data: none was given.")
    inputs, targets = (torch.cat([batch[i] for batch in batches])[:points] for i in (0, 1 + task))
    return lambda call: score(call(inputs, task), targets)
