"""Class-wise weights (Yim and Kim 2020): one weight for each class of the auxiliary task, set by what the main loss does.

With l_c the part of the auxiliary loss on pixels of auxiliary class c, and L^m_c the part of the main loss on the same pixels:

    L = L_m / L_m(0) + L_a / L_a(0),  L_a = sum_c w_c l_c                                              (eqs. 2 to 4)
    g_c = [dL^m_c / L_m(0) + eps] / [d(w_c l_c) / L_a(0) + eps] * l_c,  w_c <- max(w_c - Adam(g_c), 0)  (eqs. 8 to 10)

where d is the difference between two batches in a row and L(0) is the first batch's value. Eq. 7 prints one difference of the
whole L_a as denominator (`scalar`); the paper's code takes each class's own (`class`, the default).

`exact` replaces the ratio of differences by the true derivative through one SGD step of rate lr (not in the paper):

    d L_m(theta_{t+1}) / d w_c = -lr <grad L_m(theta_{t+1}), grad l_c(theta_t)> / L_a(0)

which is one forward-mode product for all classes at once, along the direction grad L_m(theta_{t+1}).

Our readings: both terms of d(w_c l_c) take the present w_c; a class that a batch lacks has loss 0 there; Adam's moments move on
every update, also of classes without pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call, jvp

from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.training.weighting import Batch, LossFunction, Step, Weighting

Form = Literal["class", "scalar"]
FORMS = ("class", "scalar", "exact")
# The paper's 15 ranges of inverse depth as auxiliary classes of the driving scenes: thresholds 1/d, d in metres.
DISTANCES = (6, 8, 10, 14, 18, 23, 31, 40, 49, 59, 92, 147, 236, 655)


def quantise(depth: Tensor, thresholds: Sequence[float], valid: Tensor | None = None) -> Tensor:
    """The range of each value as a class: int64 of the shape of `depth`, the number of thresholds not above the value.

    thresholds: rising, n of them give classes 0 .. n. valid: bool; -1 where False. Raises BadValue for unsorted thresholds.
    """
    if any(a >= b for a, b in pairwise(thresholds)):
        raise BadValue("thresholds must rise.")
    classes = torch.bucketize(depth.contiguous(), torch.tensor(thresholds, dtype=depth.dtype, device=depth.device), right=True)
    return classes if valid is None else classes.where(valid, -1)


def class_sums(values: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Sum of `values` over the pixels of each class: (classes + 1,); the last entry is of labels outside 0 .. classes - 1.

    values: any shape, a loss a pixel. labels: integers of the same shape. One scatter-add, differentiable in `values`.
    """
    index = labels.flatten().long()
    index = index.where((index >= 0) & (index < classes), classes)
    return values.new_zeros(classes + 1).scatter_add(0, index, values.flatten())


class ClassWeightState(NamedTuple):
    """What `class_weight_step` carries from batch to batch, all tensors on one device; (C,) unless stated.

    weights: w_c. main_start, auxiliary_start: (), L_m(0) and L_a(0). main, auxiliary: mean L^m_c and l_c of the last whole window
    of batches; main_sum, auxiliary_sum: summed over the window now running. first, second: Adam's moments. batches: (), seen.
    updates: (), their number so far.
    """

    weights: Tensor
    main_start: Tensor
    auxiliary_start: Tensor
    main: Tensor
    auxiliary: Tensor
    main_sum: Tensor
    auxiliary_sum: Tensor
    first: Tensor
    second: Tensor
    batches: Tensor
    updates: Tensor


def class_weight_start(classes: int, main_start: Tensor, auxiliary_start: Tensor) -> ClassWeightState:
    """The state before the first batch: every weight 1. main_start, auxiliary_start: (), the first batch's L_m and L_a."""
    zeros = main_start.detach().new_zeros(classes)
    none = torch.zeros((), dtype=torch.int64, device=zeros.device)
    ones = torch.ones_like(zeros)
    return ClassWeightState(
        ones, main_start.detach(), auxiliary_start.detach(), zeros, zeros, zeros, zeros, zeros, zeros, none, none
    )


def difference_gradient(state: ClassWeightState, main: Tensor, auxiliary: Tensor, form: Form, eps: float = 1e-8) -> Tensor:
    """g_c of eq. 8: (C,), from this window's L^m_c and l_c, (C,) each, and those of the window before."""
    change = (main - state.main) / state.main_start + eps
    weighted = state.weights * (auxiliary - state.auxiliary) / state.auxiliary_start
    return change / ((weighted if form == "class" else weighted.sum()) + eps) * auxiliary


def class_weight_step(
    state: ClassWeightState,
    main: Tensor,
    auxiliary: Tensor,
    *,
    form: Form = "class",
    gradient: Tensor | None = None,
    rate: float = 2e-4,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    freeze: int = 0,
    every: int = 1,
) -> ClassWeightState:
    """The state after one batch, whose losses by auxiliary class are main L^m_c and auxiliary l_c, (C,) each.

    form: denominator of the ratio, see above. gradient: (C,), used in place of the ratio (`exact`). rate, betas: Adam's; eps: in
    the ratio and in Adam. freeze: so many batches leave the weights at 1. every: batches a window; an update at the end
    of each, from the means of this window and the one before. No host synchronisation: updates are selected, not branched on.
    Raises UnknownName for a form, BadValue for numbers out of range.
    """
    if form not in ("class", "scalar"):
        raise UnknownName("form", form, ("class", "scalar"))
    if every < 1 or freeze < 0:
        raise BadValue("every must be at least 1 and freeze must not be negative.")
    batches = state.batches + 1
    main_sum, auxiliary_sum = state.main_sum + main.detach(), state.auxiliary_sum + auxiliary.detach()
    main, auxiliary = main_sum / every, auxiliary_sum / every
    ends = batches % every == 0
    # The first window has none before it to differ from; a given derivative needs none, but starts with it alike.
    due = ends & (batches > freeze) & (batches >= 2 * every)

    g = difference_gradient(state, main, auxiliary, form, eps) if gradient is None else gradient.detach()
    updates = state.updates + due
    first, second = torch.lerp(g, state.first, betas[0]), torch.lerp(g.square(), state.second, betas[1])
    count = updates.clamp_min(1).to(g.dtype)
    scaled = (first / (1 - betas[0] ** count)) / ((second / (1 - betas[1] ** count)).sqrt() + eps)
    stepped = (state.weights - rate * scaled).clamp_min(0)

    def kept(when: Tensor, new: Tensor, old: Tensor) -> Tensor:
        return torch.where(when, new, old)

    zeros = torch.zeros_like(main_sum)
    return ClassWeightState(
        kept(due, stepped, state.weights), state.main_start, state.auxiliary_start,
        kept(ends, main, state.main), kept(ends, auxiliary, state.auxiliary),
        kept(ends, zeros, main_sum), kept(ends, zeros, auxiliary_sum),
        kept(due, first, state.first), kept(due, second, state.second), batches, updates,
    )  # fmt: skip


def exact(
    auxiliary: Callable[[Mapping[str, Tensor]], Tensor],
    before: Mapping[str, Tensor],
    main_gradient: Mapping[str, Tensor],
    rate: float | Tensor,
) -> Tensor:
    """d L_m(theta_{t+1}) / d w_c for every class, (C,), where theta_{t+1} came from theta_t by an SGD step of rate `rate`.

    auxiliary: parameters -> what w_c multiplies in the loss, (C,): l_c / L_a(0). before: theta_t by name, all or only those that
    main and auxiliary loss share (others add nothing). main_gradient: the gradient of L_m at theta_{t+1}, same names.
    One forward-mode product, whatever C.
    """
    point = {name: value.detach() for name, value in before.items()}
    along = {name: main_gradient[name].detach() for name in point}
    product: Tensor = jvp(auxiliary, (point,), (along,))[1]
    return -rate * product.detach()


class ClassWeights(Weighting):
    """Class-wise weights as a weighting: `step.losses` are (2 (C + 1),), [L^m_0 .. L^m_C, l_0 .. l_C] by auxiliary class.

    The losses are what `class_sums` gives for the main and for the auxiliary pixel losses; entries C are of pixels without
    auxiliary class, whose main loss counts and whose auxiliary loss gets weight 0. Weights: 1 / L_m(0) and w_c / L_a(0).
    form: class, scalar or exact. Other arguments as in `class_weight_step`.
    `exact` takes L_m(theta_{t+1}) from the next batch, whose forward pass training makes anyway, and l_c(theta_t) from this one;
    it keeps a copy of the shared parameters and needs the optimizer's rate (its step is taken as plain SGD).
    auxiliary: for `exact`, what gives [l_0 .. l_C] alone of a batch, where that spares the main task's own layers.
    `state.weights` are the weights, `gradient` the last g_c. Raises UnknownName, BadValue.
    """

    def __init__(
        self,
        form: Literal["class", "scalar", "exact"] = "class",
        rate: float = 2e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        freeze: int = 0,
        every: int = 1,
        auxiliary: LossFunction | None = None,
    ) -> None:
        if form not in FORMS:
            raise UnknownName("form", form, FORMS)
        if not (math.isfinite(rate) and rate > 0):
            raise BadValue(f"rate must be above 0, not {rate:g}.")
        if form == "exact" and every != 1:
            raise BadValue("the exact derivative is of one step: every must be 1.")
        self.form = form
        self.auxiliary = auxiliary
        self.options: dict[str, Any] = {"rate": rate, "betas": betas, "eps": eps, "freeze": freeze, "every": every}
        self.state: ClassWeightState | None = None
        self.gradient: Tensor | None = None
        self.last: tuple[dict[str, Tensor], Batch] | None = None

    def __call__(self, step: Step) -> Tensor:
        """(2 (C + 1),), the weights before this batch's update of them."""
        main, auxiliary = step.losses.detach().chunk(2)
        classes = len(main) - 1
        if self.state is None:
            self.state = class_weight_start(classes, main.sum(), auxiliary[:-1].sum())
        state = self.state
        weights = torch.cat([
            (1 / state.main_start).expand(classes + 1), state.weights / state.auxiliary_start, torch.zeros_like(main[:1])
        ])  # fmt: skip
        if self.form == "exact":
            self.gradient = self._exact(step, state)
            self.state = class_weight_step(state, main[:-1], auxiliary[:-1], gradient=self.gradient, **self.options)
        else:
            form: Form = "class" if self.form == "class" else "scalar"
            self.gradient = difference_gradient(state, main[:-1], auxiliary[:-1], form, self.options["eps"])
            self.state = class_weight_step(state, main[:-1], auxiliary[:-1], form=form, **self.options)
        return weights

    def _exact(self, step: Step, state: ClassWeightState) -> Tensor:
        """d L_m / d w_c over L_m(0), of this batch's L_m and the last step's weights; zeros at the first step."""
        last = self.last
        self.last = {name: p.detach().clone() for name, p in (step.shared | step.heads).items()}, step.batch
        if last is None:
            return torch.zeros_like(state.weights)
        main = step.losses[: len(step.losses) // 2].sum() / state.main_start
        gradient = torch.autograd.grad(main, list(step.shared.values()), retain_graph=True)
        return self.along(step, state, last, dict(zip(step.shared, gradient, strict=True)))

    def along(
        self, step: Step, state: ClassWeightState, last: tuple[dict[str, Tensor], Batch], main_gradient: Mapping[str, Tensor]
    ) -> Tensor:
        """`exact` at `last`, the step before: its parameters and its batch. main_gradient: by name of the shared parameters."""
        if step.rate is None:
            raise BadValue("the exact derivative needs the step's rate.")
        before, batch = last

        def auxiliary(shared: Mapping[str, Tensor]) -> Tensor:
            buffers = {name: value.clone() for name, value in step.model.named_buffers()}  # running means must not move

            def call(*inputs: Any) -> Any:
                return functional_call(step.model, {**before, **buffers, **shared}, inputs)

            sums = step.loss_function(call, batch).chunk(2)[1] if self.auxiliary is None else self.auxiliary(call, batch)
            return sums[:-1] / state.auxiliary_start

        shared = {name: before[name] for name in step.shared}
        return exact(auxiliary, shared, main_gradient, step.rate)
