"""The protocol of task weighting: a `Step` goes in, a tensor of task weights comes out.

A weighting reads tensors and returns tensors: no ``.item()``, no Python branch on data, so that a training step holds no
host synchronisation and can be captured in a CUDA graph. State that it keeps lives in tensors on the losses' device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


@dataclass(frozen=True)
class Batch:
    """What one step trains on: any inputs and targets, for every task (`task` None) or for one task alone."""

    inputs: Any
    targets: Any
    task: int | None = None


Call = Callable[..., Any]
LossFunction = Callable[[Call, Batch], Tensor]


@dataclass
class Step:
    """One training step, seen by a weighting before the update.

    losses: (k,) of one model, or (runs, k) of a batch of models; k is 1 where `batch` is for one task alone.
    shared: name -> parameter that all tasks share; with a batch of runs each has a leading runs dimension.
    evaluate: what `look_ahead` computes; None stands for the losses of this very batch.
    """

    losses: Tensor
    model: nn.Module
    shared: dict[str, nn.Parameter]
    batch: Batch
    loss_function: LossFunction
    evaluate: Callable[[Call], Tensor] | None = None

    @property
    def task(self) -> int | None:
        """The task of this batch; None where the losses hold every task."""
        return self.batch.task

    @cached_property
    def gradients(self) -> dict[str, Tensor]:
        """Name -> (k, *shape): the gradient of each task's loss in each shared parameter; computed when first asked for."""
        parameters = list(self.shared.values())
        each = [
            torch.autograd.grad(loss.sum(), parameters, retain_graph=True, materialize_grads=True)
            for loss in self.losses.unbind(-1)
        ]
        return {name: torch.stack(rows) for name, rows in zip(self.shared, zip(*each, strict=True), strict=True)}

    @cached_property
    def jacobian(self) -> Tensor:
        """`gradients` as one matrix a run: (k, p), or (runs, k, p) for a batch of runs; p shared parameters a run."""
        if self.losses.ndim == 1:
            return torch.cat([g.flatten(1) for g in self.gradients.values()], dim=-1)
        return torch.cat([g.flatten(2).transpose(0, 1) for g in self.gradients.values()], dim=-1)

    def look_ahead(self, updates: Mapping[str, Tensor]) -> Tensor:
        """Evaluate the model as it would be after trial updates; the model itself stays as it is.

        updates: parameter name -> (trials, *shape), added to the parameter of that name; others keep their value.
        Returns (trials, ...): `evaluate` of each trial, by default the losses on this batch.
        """
        now = {name: value.detach() for name, value in self.model.named_parameters()}
        trials = next(iter(updates.values())).shape[0]
        found = []
        with torch.no_grad():
            for trial in range(trials):
                there = now | {name: now[name] + update[trial] for name, update in updates.items()}
                found.append(self._evaluate(lambda *a, at=there, **k: functional_call(self.model, at, a, k)))
        return torch.stack(found)

    def _evaluate(self, call: Call) -> Tensor:
        return self.loss_function(call, self.batch) if self.evaluate is None else self.evaluate(call)


class Weighting:
    """Base of every weighting method.

    weight_heads: whether the weights also scale what a head gets (a weighted sum of losses), or only the shared
    parameters (each head then follows its own plain loss).
    """

    weight_heads = True

    def __call__(self, step: Step) -> Tensor:
        """Weights of the shape of ``step.losses``, without a gradient of their own."""
        raise NotImplementedError

    def end_epoch(self, losses: Tensor, validation: Tensor | None) -> None:
        """Told after each epoch: mean training losses (..., tasks) and validation metrics of the same shape or None."""
