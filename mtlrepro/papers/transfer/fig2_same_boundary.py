"""Two-dimensional classification with one shared direction, many seeds at once: the toy of the transfer paper's Figure 2."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtlrepro.device import generator
from mtlrepro.models.shared_bottom import StackedSharedBottom
from mtlrepro.papers.transfer.data.synthetic import Samples
from mtlrepro.papers.transfer.training.pair_grid import logistic_loss
from mtlrepro.training.loop import RunwiseSGD, fit
from mtlrepro.training.weighting import Batch


def fit_boundaries(
    tasks: Sequence[Samples], seeds: Sequence[int], *, steps: int = 400, rate: float = 0.5, decay: float = 0.01
) -> Tensor:
    """Train logits a_i b^T x on all tasks by gradient descent on the sum of their mean logistic losses; one run a seed.

    tasks: x: (seeds, m, 2), y: (seeds, m) in {0, 1}. b starts at random, the same for every set of tasks of a seed, a_i at 1.
    decay: weight decay, which keeps separable data from growing b without end. Returns the direction a_1 b of the first task,
    (seeds, 2).
    """
    streams = [generator(s, "fit boundaries") for s in seeds]
    model = StackedSharedBottom(2, 1, len(tasks), streams, heads=1.0)
    x, y = torch.stack([own.x for own in tasks], 1), torch.stack([own.y for own in tasks], 1)
    optimizer = RunwiseSGD(model.parameters(), torch.full((len(seeds),), rate, dtype=x.dtype), weight_decay=decay)
    fit(model, lambda step: [Batch(x, y)], _losses, optimizer=optimizer, epochs=steps)
    return (model.bottom.weight[..., 0] * model.heads[:, 0]).detach()


def _losses(model: object, batch: Batch) -> Tensor:
    return logistic_loss(lambda x, task: model(x), batch).squeeze(-1)  # type: ignore[operator]


def turned(directions: Tensor) -> Tensor:
    """Degrees against the clock by which the boundary of directions (..., 2) is turned from the first axis, in (-180, 180]."""
    return torch.rad2deg(torch.atan2(-directions[..., 0], directions[..., 1]))
