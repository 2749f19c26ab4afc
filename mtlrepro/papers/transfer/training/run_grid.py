"""Many small linear or ReLU runs of different sizes as one training.

The grid of Figure 3 is seeds x source sizes x learning rates. Runs of one seed and size differ only in the learning rate
and see the same batches, so those are gathered once (`order` dimension) and shared by all rates. Orders are sorted by
their number of batches: as the short ones finish their epoch, the step narrows to those that go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mtlrepro.errors import BadValue
from mtlrepro.training.loop import RunwiseSGD, fit
from mtlrepro.training.weighting import Batch, Call


@dataclass(frozen=True)
class Order:
    """One sequence of batches: which rows of which data set, task by task, and the generator that shuffles them.

    data: index of the data set. rows: first row and end of each task's samples. generator: its own, advanced epoch by epoch.
    """

    data: int
    rows: tuple[tuple[int, int], ...]
    generator: torch.Generator


class Batches(NamedTuple):
    """The batches of one epoch of one order.

    rows: (batches, size) row numbers, -1 where a last batch is not full. task: (batches,).
    """

    rows: Tensor
    task: Tensor


def epoch_batches(order: Order, size: int) -> Batches:
    """Each task's rows in a fresh order, cut into batches of `size`; the batches of all tasks mixed (appendix B.3)."""
    rows, tasks = [], []
    for task, (start, stop) in enumerate(order.rows):
        shuffled = start + torch.randperm(stop - start, generator=order.generator)
        rows.append(nn.functional.pad(shuffled, (0, -len(shuffled) % size), value=-1).view(-1, size))
        tasks.append(torch.full((len(rows[-1]),), task))
    mix = torch.randperm(sum(map(len, rows)), generator=order.generator)
    return Batches(torch.cat(rows)[mix], torch.cat(tasks)[mix])


class RunGrid(nn.Module):
    """g(x B) A_task for orders x rates runs; all rates of an order see the same samples.

    Parameters: shared (orders, rates, r, d), heads (orders, rates, tasks, r). B starts uniform in +-1 / sqrt(d), drawn once
    per order, the same for every rate; every head starts at `heads`.
    """

    def __init__(
        self, d: int, rank: int, tasks: int, rates: int, generators: Sequence[torch.Generator], heads: float, relu: bool
    ) -> None:
        super().__init__()
        drawn = torch.stack([torch.rand(rank, d, generator=g, dtype=torch.float64) for g in generators])
        start = ((drawn * 2 - 1) / d**0.5)[:, None].expand(-1, rates, -1, -1)
        self.shared = nn.Parameter(start.contiguous())
        self.heads = nn.Parameter(torch.full((len(generators), rates, tasks, rank), heads, dtype=torch.float64))
        self.relu = relu

    def forward(self, x: Tensor, y: Tensor, share: Tensor, task: Tensor) -> Tensor:
        """Mean squared error of a batch of the first n orders -> (orders, rates), 0 for the orders after them.

        x: (n, size, d), y: (n, size, 1), share: (n, size, 1) of each sample in its batch's mean, task: (n, 1, tasks, 1)
        one-hot.
        """
        loss: Tensor = _BatchError.apply(self.shared, self.heads, x, y, share, task, self.relu)  # type: ignore[no-untyped-call]
        return loss

    def models(self) -> Tensor:
        """(orders, rates, tasks, d): the linear model B A_i of each task (meaningful without ReLU)."""
        return self.heads @ self.shared

    def shared_parameters(self) -> list[nn.Parameter]:
        """B."""
        return [self.shared]


class _BatchError(torch.autograd.Function):
    """`RunGrid.forward` with its gradient written out: at this size autograd's bookkeeping would cost more than the sums."""

    @staticmethod
    def forward(ctx: Any, shared: Tensor, heads: Tensor, x: Tensor, y: Tensor, share: Tensor, task: Tensor, relu: bool) -> Tensor:
        n, (rates, rank) = len(x), shared.shape[1:3]
        z = torch.bmm(x, shared[:n].flatten(1, 2).mT)
        features = z.relu_() if relu else z
        head = (heads[:n] * task).sum(2).flatten(1)[:, None]
        predicted = features * head if rank == 1 else (features * head).unflatten(-1, (rates, rank)).sum(-1)
        error = predicted.sub_(y)
        weighted = error * share
        ctx.save_for_backward(features, head, x, weighted, task)
        ctx.sizes, ctx.relu = (shared.shape, heads.shape), relu
        loss = shared.new_zeros(len(shared), rates)
        torch.sum(weighted * error, 1, out=loss[:n])
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        features, head, x, weighted, task = ctx.saved_tensors
        n, rank = len(x), ctx.sizes[0][2]
        slope = weighted * (2 * gradients[0][:n, None])
        slope = slope if rank == 1 else slope.repeat_interleave(rank, -1)
        fresh = features.new_empty if n == ctx.sizes[0][0] else features.new_zeros
        to_shared, to_heads = (fresh(size) for size in ctx.sizes)
        to_head = (features * slope).sum(1).view(n, -1, 1, rank)
        torch.mul(to_head, task, out=to_heads[:n])
        slope = slope * head
        if ctx.relu:
            slope = slope * (features > 0)
        torch.bmm(slope.mT, x, out=to_shared[:n].view(n, -1, x.shape[-1]))
        return to_shared, to_heads, None, None, None, None, None


def grid_losses(model: Call, batch: Batch) -> Tensor:
    """Mean squared error of this step's batch for each run: (orders, rates, 1), 0 for an order that finished its epoch."""
    losses: Tensor = model(*batch.inputs)
    return losses.unsqueeze(-1)


def fit_grid(
    x: Tensor,
    y: Tensor,
    orders: Sequence[Order],
    rates: Sequence[float],
    *,
    epochs: int = 30,
    size: int = 50,
    rank: int = 1,
    heads: float = 1.0,
    relu: bool = False,
    validate: Callable[[Tensor], Tensor] | None = None,
) -> RunGrid:
    """Mini-batch SGD on every order at every rate, each batch updating the shared part and the head of its own task.

    x: (data, rows, d), y: (data, rows), float64. orders: each with its own generator, which also draws its start.
    validate: models (orders, rates, tasks, d) -> (orders, rates), larger is better, asked after each epoch; each run then
    keeps its best epoch, else its last. Returns the trained runs in the sequence of `orders`.
    Raises BadValue where the orders differ in their number of tasks.
    """
    tasks = len(orders[0].rows)
    if any(len(order.rows) != tasks for order in orders):
        raise BadValue("all orders need the same number of tasks.")
    count = [sum(-(-(stop - start) // size) for start, stop in order.rows) for order in orders]
    longest_first = sorted(range(len(orders)), key=lambda i: -count[i])
    ordered = [orders[i] for i in longest_first]
    # Label beside inputs, rows of whole cache lines: picking random rows is what a step spends most of its time on.
    d = x.shape[-1]
    samples = nn.functional.pad(torch.cat([x, y[..., None]], -1).flatten(0, 1), (0, -(d + 1) % 8))
    model = RunGrid(d, rank, tasks, len(rates), [order.generator for order in ordered], heads, relu)
    offset = torch.tensor([order.data * x.shape[1] for order in ordered], device=x.device)

    def batches(epoch: int) -> Iterator[Batch]:
        del epoch  # the generators know
        drawn = [epoch_batches(order, size) for order in ordered]
        rows = nn.utils.rnn.pad_sequence([b.rows for b in drawn], padding_value=-1).to(x.device)
        task = nn.utils.rnn.pad_sequence([b.task for b in drawn]).to(x.device)
        there = rows >= 0
        share = (there / there.sum(-1, keepdim=True).clamp_min(1).to(x))[..., None]
        chosen = nn.functional.one_hot(task, tasks).to(x)[:, :, None, :, None]
        place = offset[:, None] + rows.clamp_min(0)
        active = (torch.tensor([len(b.task) for b in drawn])[:, None] > torch.arange(len(rows))).sum(0).tolist()
        # Step by step, one contiguous slice of each.
        for n, at, one, part in zip(active, place.unbind(), chosen.unbind(), share.unbind(), strict=True):
            at = at[:n].flatten()
            picked = samples.index_select(0, at).view(n, size, -1)
            yield Batch((picked[..., :d], picked[..., d : d + 1], part[:n], one[:n]), None)

    # Back in the sequence of `orders`.
    place_of = torch.tensor(longest_first, device=x.device)
    back = place_of.argsort()
    check = None if validate is None else lambda m: validate(m.models()[back])[place_of][..., None]
    rate = torch.tensor(rates, dtype=x.dtype, device=x.device).expand(len(orders), len(rates))
    fit(model, batches, grid_losses, optimizer=RunwiseSGD(model.parameters(), rate), epochs=epochs, validate=check)
    model.shared.data, model.heads.data = model.shared.data[back], model.heads.data[back]
    return model
