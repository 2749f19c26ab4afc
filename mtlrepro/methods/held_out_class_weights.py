"""Held-out class weights (ours): weights of auxiliary losses by the exact derivative of a held-out main loss through one step.

Each auxiliary loss, be it a task or one class of a task, has a weight w_c >= 0, and the loss is L_m + sum_c w_c l_c. A plain step
theta_{t+1} = theta_t - lr grad (L_m + sum_c w_c l_c)(theta_t) makes the main loss V on held-out data a function of the weights:

    d V(theta_{t+1}) / d w_c = -lr <grad V(theta_{t+1}), grad l_c(theta_t)>

which is one gradient of V and one forward-mode product of all l_c along it, whatever the number of classes. An Adam step on
each w_c follows. A class whose gradient agrees with that of the held-out main loss gains weight, one that opposes it loses it.

One-step look-ahead weights are known for samples (Ren et al. 2018, learning to reweight; Shu et al. 2019, meta-weight-net) and
for tasks (Lin et al. 2019, OL-AUX, with gradients of one batch; Navon et al. 2021, by implicit differentiation). Ours is their
use for the classes of Yim and Kim (2020), whose ratio of differences is no derivative of the main loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, jvp

from mtlrepro.errors import BadValue
from mtlrepro.methods.class_weights import adam_step
from mtlrepro.refusals import refuse_main, refuse_no_shared
from mtlrepro.training.per_run import RunValue, all_losses
from mtlrepro.training.weighting import Batch, Evaluate, LossFunction, Step, Weighting


class HeldOutClassWeights(Weighting):
    """`step.losses` are (..., 1 + C): the main loss and the loss of each class (or auxiliary task), in any order.

    metric: model call -> the main loss on data held out from training, () or (runs,); None: that of the next training batch,
    whose forward pass is made anyway. rate: of Adam on the weights, a number or (runs,). freeze: so many steps leave the weights
    at 1. main: index of the main loss, whose weight is 1. auxiliary: (call, batch) -> losses as the step's, where those of the
    classes can be had without the main task's own layers (its entry may then hold anything).
    The optimizer's step is taken as plain SGD: with Adam the derivative leaves out its scaling. A copy of the parameters is kept.
    `weights` are (..., 1 + C), `gradient` the last derivatives, None before the first step.
    Raises BadValue for batches of one task, for a `main` that is none, or where the optimizer's rate is not known.
    """

    def __init__(
        self,
        metric: Evaluate | None = None,
        rate: float | Tensor = 0.01,
        freeze: int = 0,
        main: int = 0,
        auxiliary: LossFunction | None = None,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-12,
    ) -> None:
        self.metric, self.freeze, self.main, self.auxiliary = metric, freeze, main, auxiliary
        self.rate, self.betas, self.eps = RunValue("rate", rate, low=0), betas, eps
        self.weights: Tensor | None = None
        self.gradient: Tensor | None = None
        self.last: tuple[dict[str, Tensor], Batch] | None = None

    def __call__(self, step: Step) -> Tensor:
        """(..., 1 + C): the weights, after their update by what the last step did to the main loss."""
        losses = all_losses(step, "held_out_class_weights")
        refuse_main(self.main, step)
        refuse_no_shared(step)
        if self.weights is None or self.last is None:
            self.weights = torch.ones_like(losses)
            self.first, self.second = torch.zeros_like(losses), torch.zeros_like(losses)
            self.steps = torch.zeros((), dtype=torch.int64, device=losses.device)
        else:
            self.gradient = self._derivative(step, self.last)
            self.steps = self.steps + 1
            updates = (self.steps - self.freeze).clamp_min(0)
            moving = (updates > 0).to(losses.dtype)
            moved, self.first, self.second = adam_step(
                self.weights, moving * self.gradient, self.first, self.second, updates, moving * self.rate.along(losses),
                self.betas, self.eps,
            )  # fmt: skip
            moved[..., self.main] = 1.0
            self.weights = moved
        self.last = {name: p.detach().clone() for name, p in (step.shared | step.heads).items()}, step.batch
        return self.weights.clone()

    def _derivative(self, step: Step, last: tuple[dict[str, Tensor], Batch]) -> Tensor:
        """(..., 1 + C): d V / d w_c through the last step; 0 at the main loss."""
        if step.rate is None:
            raise BadValue("the derivative through a step needs the step's rate.")
        if self.metric is None:
            values = torch.autograd.grad(step.losses[..., self.main].sum(), list(step.shared.values()), retain_graph=True)
            slope = dict(zip(step.shared, values, strict=True))
        else:
            slope = step.look_ahead_gradient(self.metric)
        before, batch = last
        function = self.auxiliary or step.loss_function

        def losses(shared: Mapping[str, Tensor]) -> Tensor:
            buffers = {name: value.clone() for name, value in step.model.named_buffers()}  # running means must not move

            def call(*inputs: Any) -> Any:
                return functional_call(step.model, {**before, **buffers, **shared}, inputs)

            return function(call, batch)

        product: Tensor = jvp(losses, ({name: before[name] for name in step.shared},), (slope,))[1]
        rate = step.rate[..., None] if isinstance(step.rate, Tensor) else step.rate
        derivative = -rate * product.detach()
        derivative[..., self.main] = 0.0
        return derivative
