"""Batch normalisation by statistics of chosen images, without training again.

A network that is trained with one task a batch normalises by the task's own batches, and its running statistics are a mixture of
all tasks' that no batch ever had. So what it is worth depends on the statistics it is tested with:
    "running"  the running statistics that training left
    "own"      those of each task's own training images
    "mixed"    those of batches mixed over all tasks' training images
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

Statistics = Literal["running", "own", "mixed"]


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """The layers of `model` that keep running statistics."""
    return [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within it, `model` is in eval mode; every layer's mode is as before afterwards, also after an error."""
    modes = [(m, m.training) for m in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for m, training in modes:
            m.training = training


@contextmanager
def statistics_of(model: nn.Module, passes: Callable[[], object]) -> Iterator[None]:
    """Within it, `model` is in eval mode and normalises by the statistics of the batches that `passes` runs through it.

    passes: calls the model on some batches of about equal size; the mean of their means and unbiased variances counts. The
    model's own running statistics and modes are as before afterwards, also after an error.
    """
    norms = batch_norms(model)
    kept = [({name: b.clone() for name, b in m.named_buffers(recurse=False)}, m.momentum) for m in norms]
    with evaluating(model):
        try:
            for m in norms:
                m.reset_running_stats()
                m.momentum = None  # torch's own sign for a cumulative mean
                m.train()
            with torch.no_grad():
                passes()
            model.eval()
            yield
        finally:
            for m, (buffers, momentum) in zip(norms, kept, strict=True):
                m.momentum = momentum
                for name, value in buffers.items():
                    getattr(m, name).copy_(value)
