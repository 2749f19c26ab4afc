"""One run of `fit_grid` as an ordinary PyTorch loop: what the grid is checked and timed against."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtlrepro.papers.transfer.training.run_grid import Order, epoch_batches


def fit_alone(x: Tensor, y: Tensor, order: Order, rate: float, *, epochs: int = 30, size: int = 50, heads: float = 1.0) -> Tensor:
    """Linear, of rank 1. Returns the linear model of each task (tasks, d)."""
    samples, labels, d = x[order.data], y[order.data], x.shape[-1]

    def linear(inputs: int) -> nn.Linear:
        empty: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, 1, bias=False, dtype=x.dtype)  # type: ignore[no-untyped-call]
        return empty

    bottom, outputs = linear(d), [linear(1) for _ in order.rows]
    with torch.no_grad():
        bottom.weight.copy_((torch.rand(1, d, generator=order.generator, dtype=torch.float64) * 2 - 1) / d**0.5)
        for output in outputs:
            output.weight.fill_(heads)
    optimizer = torch.optim.SGD([bottom.weight, *(output.weight for output in outputs)], lr=rate)
    for _ in range(epochs):
        batches = epoch_batches(order, size)
        for rows, task in zip(batches.rows, batches.task.tolist(), strict=True):
            rows = rows[rows >= 0]
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(outputs[task](bottom(samples[rows])).squeeze(-1), labels[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return torch.cat([output.weight * bottom.weight for output in outputs]).detach()
