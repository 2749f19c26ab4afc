"""The protocol of task weighting: a `Step` goes in, a tensor of task weights comes out.

For each batch the training loop calls the weighting with the `Step`, updates the model by the weighted losses, and calls
`Weighting.after_update`; after each epoch it calls `Weighting.end_epoch`. A weighting reads tensors and returns tensors: no
``.item()``, no Python branch on data, so that a training step holds no host synchronisation and can be captured in a CUDA
graph. State that it keeps lives in tensors on the losses' device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from mtlrepro.errors import BadValue
from mtlrepro.refusals import refuse_donated_buffers, refuse_metric, refuse_mixed_types, refuse_no_shared


@dataclass(frozen=True)
class Batch:
    """What one step trains on: any inputs and targets, for every task (`task` None) or for one task alone."""

    inputs: Any
    targets: Any
    task: int | None = None


Call = Callable[..., Any]
LossFunction = Callable[[Call, Batch], Tensor]
Evaluate = Callable[[Call], Tensor]
# Name of a parameter -> the gradient of each task's loss in it, None where the loss does not depend on it.
_PerTask = Mapping[str, Sequence[Tensor | None]]


@dataclass
class Step:
    """One training step, seen by a weighting before the update.

    losses: (k,) of one model, or (runs, k) of a batch of models; k is 1 where `batch` is for one task alone.
    shared: name -> parameter that all tasks share; with a batch of runs each has a leading runs dimension.
    evaluate: what `look_ahead` computes; None stands for the losses of this very batch.
    rate: the optimizer's learning rate at this step, a number or (runs,).
    """

    losses: Tensor
    model: nn.Module
    shared: dict[str, nn.Parameter]
    batch: Batch
    loss_function: LossFunction
    evaluate: Evaluate | None = None
    rate: float | Tensor | None = None

    @property
    def task(self) -> int | None:
        """The task of this batch; None where the losses hold every task."""
        return self.batch.task

    @cached_property
    def heads(self) -> dict[str, nn.Parameter]:
        """Name -> trained parameter that is not shared."""
        return {name: p for name, p in self.model.named_parameters() if name not in self.shared and p.requires_grad}

    @cached_property
    def _backward(self) -> tuple[_PerTask, _PerTask]:
        """One backward pass a task: the gradients of the shared and of the other parameters."""
        refuse_mixed_types(self)
        refuse_donated_buffers(self)
        wanted = self.shared | self.heads
        each = [
            torch.autograd.grad(loss.sum(), list(wanted.values()), retain_graph=True, allow_unused=True)
            for loss in self.losses.unbind(-1)
        ]
        per_task = dict(zip(wanted, zip(*each, strict=True), strict=True))
        return {name: per_task[name] for name in self.shared}, {name: per_task[name] for name in self.heads}

    @property
    def differentiated(self) -> bool:
        """Whether the gradients of the tasks have been taken."""
        return "_backward" in self.__dict__

    @cached_property
    def gradients(self) -> dict[str, Tensor]:
        """Name -> (k, *shape): the gradient of each task's loss in each shared parameter; computed when first asked for.

        Raises BadValue, with the remedy, where no shared parameter is trained and for parameters of another number format.
        """
        refuse_no_shared(self)
        rows, _ = self._backward
        return {n: torch.stack([torch.zeros_like(p) if g is None else g for g in rows[n]]) for n, p in self.shared.items()}

    @cached_property
    def jacobian(self) -> Tensor:
        """`gradients` as one matrix a run: (k, p), or (runs, k, p) for a batch of runs; p shared parameters a run."""
        return self.flat(self.gradients)

    def flat(self, rows: Mapping[str, Tensor]) -> Tensor:
        """Tensors (rows, *shape) by parameter as one matrix a run: (rows, p) or (runs, rows, p)."""
        if self.losses.ndim == 1:
            return torch.cat([g.reshape(g.shape[0], -1) for g in rows.values()], dim=-1)
        return torch.cat([g.reshape(*g.shape[:2], -1).transpose(0, 1) for g in rows.values()], dim=-1)

    def head_gradients(self) -> dict[str, Tensor]:
        """Name -> gradient of the plain sum of losses in each parameter that is not shared, from the same backward passes as
        `gradients`; parameters that no loss depends on are left out."""
        return _weighted(self._backward[1], None)

    def weighted_gradients(self, weights: Tensor, weight_heads: bool = True) -> dict[str, Tensor]:
        """Name -> sum_i w_i g_i of each parameter that a loss depends on; w = 1 for the heads unless `weight_heads`.

        weights: as `losses`. Nothing is differentiated again where gradients have been taken before.
        """
        shared, heads = self._backward
        return _weighted(shared, weights) | _weighted(heads, weights if weight_heads else None)

    def scaled(self, factors: Tensor) -> Step:
        """This step as if every task's loss were a constant factor times what it is. factors: as `losses`.

        Its gradients are those of this step times the factors, and its look-aheads on the batch give the scaled losses.
        """
        factors, function = factors.detach(), self.loss_function
        scaled = replace(self, losses=self.losses * factors, loss_function=lambda call, batch: function(call, batch) * factors)
        scaled.__dict__["_backward"] = tuple(_times(rows, factors) for rows in self._backward)
        return scaled

    def look_ahead(
        self,
        updates: Mapping[str, Tensor],
        evaluate: Evaluate | None = None,
        moved: Mapping[str, Tensor] | None = None,
        reference: bool = False,
    ) -> Tensor:
        """Evaluate the model as it would be after trial updates, in eval mode; the model itself stays as it is.

        updates: parameter name -> (trials, *shape), added to the parameter of that name; others keep their value.
        evaluate: what to compute on a model call; by default the step's own `evaluate`, else the losses on this batch.
        moved: parameter name -> (*shape), added in every trial. reference: one more trial, the first, without `updates`.
        Returns (trials, ...), one evaluation a trial. All runs are evaluated at once and the trials one after another: as
        further runs, or under `torch.vmap`, a batch takes longer, see tests/benchmarks/test_hydalearn_benchmark.py.
        """
        now = self._after(moved or {})
        trials = next(iter(updates.values())).shape[0] if updates else 0
        with torch.no_grad(), _evaluating(self.model):
            points = [now] if reference else []
            points += [now | {n: now[n] + update[i] for n, update in updates.items()} for i in range(trials)]
            return torch.stack([self._evaluate(point, evaluate) for point in points])

    def look_ahead_gradient(
        self, evaluate: Evaluate | None = None, moved: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Name -> gradient of `evaluate` in each shared parameter after the updates `moved`, in eval mode.

        Raises BadValue where what `evaluate` computes has no gradient.
        """
        refuse_no_shared(self)
        point = self._after(moved or {})
        there = {name: point[name].detach().requires_grad_() for name in self.shared}
        with torch.enable_grad(), _evaluating(self.model):
            value = self._evaluate(point | there, evaluate)
        refuse_metric(value, self)
        if not value.requires_grad:
            raise BadValue("a first-order gain needs a metric that has a gradient, such as the loss on validation data.")
        gradients = torch.autograd.grad(value.sum(), list(there.values()), materialize_grads=True)
        return dict(zip(there, gradients, strict=True))

    def _after(self, moved: Mapping[str, Tensor]) -> dict[str, Tensor]:
        now = {name: p.detach() for name, p in (self.shared | self.heads).items()}
        return now | {name: now[name] + update for name, update in moved.items()}

    def _evaluate(self, point: Mapping[str, Tensor], evaluate: Evaluate | None) -> Tensor:
        evaluate = evaluate or self.evaluate
        with self._standing_at(point):
            return self.loss_function(self.model, self.batch) if evaluate is None else evaluate(self.model)

    @contextmanager
    def _standing_at(self, point: Mapping[str, Tensor]) -> Iterator[None]:
        """Within it, the model computes with the values of `point` for its parameters.

        What `torch.func.functional_call` does, without its checks, which take as long as a fifth of a forward pass here.
        """
        for name, value in point.items():
            for holder, key in self._places[name]:
                holder[key] = value
        try:
            yield
        finally:
            for name, p in (self.shared | self.heads).items():
                for holder, key in self._places[name]:
                    holder[key] = p

    @cached_property
    def _places(self) -> dict[str, list[tuple[dict[str, Any], str]]]:
        """Where each parameter stands in the modules; a tied one stands in several places."""
        places: dict[int, list[tuple[dict[str, Any], str]]] = {}
        for module in self.model.modules():
            for key, p in module._parameters.items():
                places.setdefault(id(p), []).append((module._parameters, key))
        return {name: places[id(p)] for name, p in (self.shared | self.heads).items()}


class Weighting(ABC):
    """Base of every weighting method.

    weight_heads: whether the weights also scale what a head gets (a weighted sum of losses), or only the shared
    parameters (each head then follows its own plain loss).
    """

    weight_heads = True

    @abstractmethod
    def __call__(self, step: Step) -> Tensor:
        """Weights of the shape of ``step.losses``, without a gradient of their own."""

    def after_update(self, new_losses: Callable[[], Tensor]) -> None:  # noqa: B027 (most methods need not know)
        """Called after each update. new_losses() gives the losses of the same batch after it, of the shape of ``step.losses``
        and without a gradient; they cost a forward pass, which is made only where they are asked for."""

    def end_epoch(self, losses: Tensor, validation: Tensor | None) -> None:  # noqa: B027 (most methods need not know)
        """Called after each epoch with mean training losses (..., tasks), and validation metrics of that shape or None."""


class Equal(Weighting):
    """Equal weights: every task counts 1. What the training loop does where no weighting is given."""

    def __call__(self, step: Step) -> Tensor:
        """Ones of the shape of the step's losses."""
        return torch.ones_like(step.losses)


class WeightingWrapper(Weighting):
    """Another weighting, `inner`, to which every call is passed on; a subclass changes or watches some of them."""

    def __init__(self, inner: Weighting) -> None:
        self.inner = inner
        self.weight_heads = inner.weight_heads

    def __call__(self, step: Step) -> Tensor:
        """What the inner weighting gives."""
        return self.inner(step)

    def after_update(self, new_losses: Callable[[], Tensor]) -> None:
        """Passed on."""
        self.inner.after_update(new_losses)

    def end_epoch(self, losses: Tensor, validation: Tensor | None) -> None:
        """Passed on."""
        self.inner.end_epoch(losses, validation)


def as_prefix(per_run: Tensor, like: Tensor) -> Tensor:
    """() or (runs,) with trailing dimensions of 1, so that it broadcasts along the runs of `like` (runs, ...)."""
    return per_run.reshape(per_run.shape + (1,) * (like.ndim - per_run.ndim))


def _times(rows: _PerTask, factors: Tensor) -> _PerTask:
    each = factors.unbind(-1)
    return {
        name: [None if g is None else as_prefix(f, g) * g for f, g in zip(each, gradients, strict=True)]
        for name, gradients in rows.items()
    }


def _weighted(rows: _PerTask, weights: Tensor | None) -> dict[str, Tensor]:
    """The sum over tasks, weighted unless None; parameters without any gradient are left out."""
    each = None if weights is None else weights.unbind(-1)
    sums: dict[str, Tensor] = {}
    for name, gradients in rows.items():
        for i, g in enumerate(gradients):
            if g is None:
                continue
            if each is None:
                sums[name] = sums[name] + g if name in sums else g
            else:
                w = as_prefix(each[i], g)
                sums[name] = torch.addcmul(sums[name], w, g) if name in sums else w * g
    return sums


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Within it, every module of `model` is in eval mode, so that nothing is drawn and no running mean moves."""
    # The flag itself, past the checks of Module.__setattr__; a module's own train() may do more than this needs.
    switched = [vars(module) for module in model.modules() if module.training]
    for attributes in switched:
        attributes["training"] = False
    try:
        yield
    finally:
        for attributes in switched:
            attributes["training"] = True
