"""One training loop for every method, for one model or for many runs at once.

Many runs at once: every parameter of the model has a leading `runs` dimension and the losses have shape (runs, tasks).
Run i's losses depend on slice i of the parameters alone, so the gradient of the sum of all losses holds in slice i
exactly the gradient that run i would have had alone.

The loop sees training batches and a validation function, never test data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mtlrepro.errors import BadValue
from mtlrepro.refusals import (
    checked_losses,
    checked_outputs,
    refuse_diverged,
    refuse_loaded,
    refuse_losses,
    refuse_nan_selection,
    refuse_negative,
    refuse_optimizer,
    refuse_selection,
    refuse_validation,
)
from mtlrepro.training.weighting import Batch, Call, Equal, LossFunction, Step, Weighting, as_prefix

T = TypeVar("T")


@dataclass
class Fit:
    """What a training leaves; the model it was given holds the selected state.

    best_epoch: () or (runs,) epochs trained until the selected state (0: the initial one). best: () or (runs,) its
    selection value. losses: (epochs, ..., tasks) mean training losses. weights: the same for the task weights.
    validation: (epochs, ..., tasks), empty where nothing was validated.
    """

    best_epoch: Tensor
    best: Tensor
    losses: Tensor = field(repr=False)
    weights: Tensor = field(repr=False)
    validation: Tensor = field(repr=False)


def fit(
    model: nn.Module,
    batches: Callable[[int], Iterable[Batch]],
    losses: LossFunction,
    *,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    weighting: Weighting | None = None,
    validate: Callable[[nn.Module], Tensor] | None = None,
    select: Callable[[Tensor], Tensor] = lambda metrics: metrics.mean(-1),
    patience: int | None = None,
    schedule: Callable[[int], float] | None = None,
    look_ahead: Callable[[Call], Tensor] | None = None,
) -> Fit:
    """Train `model` in place and leave it in its best state by validation (the last one where nothing is validated).

    batches: epoch number (from 0) -> the batches of that epoch; seeded by the caller (`minibatches`, `mixed`).
    losses: (model, batch) -> (k,) or (runs, k) losses; calls the model only as ``model(...)``, so that a look-ahead can
        put trial parameters in. k is the number of tasks, or 1 where the batch names its one task.
    optimizer: over the model's parameters; `RunwiseSGD` where each run has its own learning rate.
    weighting: task weights of each step, by default equal. It needs ``model.shared_parameters()`` only where it asks for
        gradients.
    validate: model -> (tasks,) or (runs, tasks), larger is better; called after each epoch in eval mode without gradients. One
        value in place of `tasks` will do where the weighting reads none.
    select: metrics (..., tasks) -> (...), the value whose largest epoch is kept; default the mean over tasks. A pure function.
    patience: a run takes no further improvement after this many epochs without one; training ends when no run does.
    schedule: epoch -> factor on the learning rates that the optimizer came with.
    look_ahead: what ``step.look_ahead`` evaluates (see `Step`).
    Raises BadValue for patience without validation, an epoch without batches, an optimizer that does not fit, and where the
    losses, weights or validation values of a training are no numbers: in a batch of runs only where all of them are none, so that
    one that diverges leaves the others alone.
    """
    if patience is not None and validate is None:
        raise BadValue("patience needs a validation function.")
    weighting = weighting or Equal()
    refuse_optimizer(model, optimizer)
    refuse_negative("fit", epochs=epochs)
    rates = [group["lr"] for group in optimizer.param_groups]
    history: dict[str, list[Tensor]] = {"losses": [], "weights": [], "validation": []}
    keeper = _Keeper(model, patience)
    for epoch in range(epochs):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (schedule(epoch) if schedule else 1.0)
        model.train()
        means = _Means()
        for batch in batches(epoch):
            means.add(batch.task, *train_step(model, batch, losses, optimizer, weighting, look_ahead))
        epoch_losses, epoch_weights = means.stacked()
        refuse_diverged(epoch, epoch_losses, epoch_weights, weighting)
        history["losses"].append(epoch_losses)
        history["weights"].append(epoch_weights)
        metrics = None
        if validate is not None:
            model.eval()
            with torch.no_grad():
                metrics = validate(model)
            refuse_validation(metrics, epoch_losses)
            refuse_selection(select, metrics)
            history["validation"].append(metrics)
            keeper.see(epoch + 1, select(metrics))
        weighting.end_epoch(epoch_losses, metrics)
        if keeper.exhausted():
            break
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    best_epoch, best = keeper.restore(len(history["losses"]))
    stacked = {name: torch.stack(rows) if rows else torch.empty(0) for name, rows in history.items()}
    return Fit(best_epoch, best, **stacked)


def train_step(
    model: nn.Module,
    batch: Batch,
    losses: LossFunction,
    optimizer: torch.optim.Optimizer,
    weighting: Weighting,
    look_ahead: Callable[[Call], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """One update by the weighted sum of losses; returns (losses, weights), detached. Holds no host synchronisation.

    Arguments as of `fit`. The weighting may then ask for the losses after the update (`Weighting.after_update`).
    """
    batch_losses = losses(model, batch)
    wanted = {id(p) for p in getattr(model, "shared_parameters", list)()}
    shared = {name: p for name, p in model.named_parameters() if id(p) in wanted and p.requires_grad}
    step = Step(batch_losses, model, shared, batch, losses, look_ahead, optimizer.param_groups[0]["lr"])
    refuse_losses(step, weighting)
    weights = weighting(step).detach()
    optimizer.zero_grad(set_to_none=True)
    if weighting.weight_heads and not step.differentiated:
        (weights * batch_losses).sum().backward()
    else:
        parameters = shared | step.heads
        for name, gradient in step.weighted_gradients(weights, weighting.weight_heads).items():
            parameters[name].grad = gradient
    optimizer.step()
    weighting.after_update(lambda: _losses_without_trace(model, batch, losses))
    return batch_losses.detach(), weights


def _losses_without_trace(model: nn.Module, batch: Batch, losses: LossFunction) -> Tensor:
    """The losses in the mode that the model is in, without a gradient; running means stay as they are, dropout draws afresh."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}

    def call(*inputs: Any, **options: Any) -> Any:
        return functional_call(model, buffers, inputs, options)

    with torch.no_grad():
        return losses(call if buffers else model, batch)


class RunwiseSGD(torch.optim.Optimizer):
    """SGD as `torch.optim.SGD`, over parameters with a leading runs dimension, with one learning rate a run.

    lr: (runs,) tensor. momentum, weight_decay: as in `torch.optim.SGD`, the same for all runs.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: Tensor, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of every run by its own rate."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                update = p.grad.add(p, alpha=group["weight_decay"]) if group["weight_decay"] else p.grad
                if group["momentum"]:
                    state = self.state[p]
                    buffer = state.get("momentum_buffer")
                    state["momentum_buffer"] = update.clone() if buffer is None else buffer.mul_(group["momentum"]).add_(update)
                    update = state["momentum_buffer"]
                p.sub_(as_prefix(group["lr"].to(p), p) * update)


def labelled(loader: Iterable[Any]) -> Callable[[int], Iterator[Batch]]:
    """The `batches` of `fit` from a DataLoader that yields (inputs, targets of task 0, targets of task 1, ...)."""

    def batches(_: int) -> Iterator[Batch]:
        for inputs, *targets in loader:
            refuse_loaded(inputs, targets)
            yield Batch(inputs, targets)

    return batches


def task_losses(*functions: Callable[[Any, Any], Tensor]) -> LossFunction:
    """The `losses` of `fit` for a model whose output is a list, one entry a task: function i of (output i, target i).

    They raise BadValue, saying what to return, for outputs or losses of another kind.
    """

    def losses(call: Call, batch: Batch) -> Tensor:
        triples = zip(functions, checked_outputs(call(batch.inputs), functions, batch.targets), batch.targets, strict=True)
        return torch.stack(checked_losses([function(output, target) for function, output, target in triples]), -1)

    return losses


def minibatches(n: int, size: int, generators: torch.Generator | Sequence[torch.Generator]) -> Iterator[Tensor]:
    """The batches of one epoch over `n` samples in a fresh random order; the last one may be smaller.

    Yields indices (size,); with a list of generators, one a run, (runs, size): each run its own order, the very one
    that it would have had alone.
    """
    refuse_negative("a batch", zero=False, size=size)
    if isinstance(generators, torch.Generator):
        order = torch.randperm(n, generator=generators, device=generators.device)
    else:
        order = torch.stack([torch.randperm(n, generator=g, device=g.device) for g in generators])
    yield from order.split(size, dim=-1)


def mixed(per_task: Sequence[Sequence[T]], generator: torch.Generator) -> Iterator[tuple[int, T]]:
    """The batches of all tasks in one shuffled sequence: (task, batch), each once, a task's own in their given order."""
    tasks = torch.tensor([task for task, own in enumerate(per_task) for _ in own])
    remaining = [iter(own) for own in per_task]
    for task in tasks[torch.randperm(len(tasks), generator=generator)].tolist():
        yield task, next(remaining[task])


class _Means:
    """Mean losses and weights of an epoch, added up on the device; batches of one task are averaged task by task."""

    def __init__(self) -> None:
        self.sums: dict[int | None, list[Tensor]] = {}
        self.counts: dict[int | None, int] = {}

    def add(self, task: int | None, losses: Tensor, weights: Tensor) -> None:
        if task not in self.sums:
            self.sums[task], self.counts[task] = [torch.zeros_like(losses), torch.zeros_like(losses)], 0
        self.sums[task][0] += losses
        self.sums[task][1] += weights
        self.counts[task] += 1

    def stacked(self) -> tuple[Tensor, Tensor]:
        if not self.sums:
            raise BadValue("an epoch had no batch.")
        tasks = sorted(self.sums, key=lambda task: -1 if task is None else task)
        losses, weights = (torch.cat([self.sums[t][i] / self.counts[t] for t in tasks], -1) for i in (0, 1))
        return losses, weights


class _Keeper:
    """Keeps the best state of each run by validation."""

    def __init__(self, model: nn.Module, patience: int | None) -> None:
        self.model, self.patience = model, patience
        self.best: Tensor | None = None

    def see(self, epoch: int, value: Tensor) -> None:
        refuse_nan_selection(epoch, value)
        state = self.model.state_dict()
        if self.best is None:
            # NaN never wins, so a run that diverges at once keeps its first state.
            self.best = torch.full_like(value, -torch.inf)
            self.epoch = torch.full(value.shape, epoch, device=value.device)
            self.since = torch.zeros_like(self.epoch)
            self.state = {name: tensor.clone() for name, tensor in state.items()}
        better = value > self.best
        if self.patience is not None:
            better &= self.since < self.patience
        self.best = torch.where(better, value, self.best)
        self.epoch = torch.where(better, epoch, self.epoch)
        self.since = torch.where(better, 0, self.since + 1)
        for name, kept in self.state.items():
            self.state[name] = torch.where(as_prefix(better, kept), state[name], kept)

    def exhausted(self) -> bool:
        return self.patience is not None and self.best is not None and bool((self.since >= self.patience).all())

    def restore(self, epochs: int) -> tuple[Tensor, Tensor]:
        if self.best is None:
            return torch.tensor(epochs), torch.tensor(torch.nan)
        self.model.load_state_dict(self.state)
        return self.epoch, self.best
