"""Steps with prescribed losses and gradients, for hand-worked examples."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mtlrepro.training.weighting import Batch, Step


def _step(gradients, losses=None, task=None):
    """gradients: (k, p) or (runs, k, p); losses: (k,) or (runs, k), default 1. The first column is parameter "first", the rest
    "last"; the losses are linear in both, with exactly these gradients."""
    gradients = torch.as_tensor(gradients, dtype=torch.float64)
    losses = torch.ones(gradients.shape[:-1]) if losses is None else torch.as_tensor(losses)
    lead, p = gradients.shape[:-2], gradients.shape[-1]
    model = nn.Module()
    model.first = nn.Parameter(torch.zeros(*lead, 1, dtype=torch.float64))
    model.last = nn.Parameter(torch.zeros(*lead, p - 1, dtype=torch.float64))
    theta = torch.cat([model.first, model.last], -1)
    values = losses.double() + (gradients @ theta[..., None])[..., 0]
    return Step(values, model, dict(model.named_parameters()), Batch(None, None, task), lambda call, batch: values)


@pytest.fixture(scope="session")
def step_of():
    return _step
