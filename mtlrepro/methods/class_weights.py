"""Class-wise weights (Yim and Kim 2020): one weight for each class of the auxiliary task, set by what the main loss does.

With l_c the part of the auxiliary loss on pixels of auxiliary class c, and L^m_c the part of the main loss on the same pixels:

    L = L_m / L_m(0) + L_a / L_a(0),  L_a = sum_c w_c l_c                                              (eqs. 2 to 4)
    g_c = [dL^m_c / L_m(0) + eps] / [d(w_c l_c) / L_a(0) + eps] * l_c,  w_c <- max(w_c - Adam(g_c), 0)  (eqs. 8 to 10)

where d is the difference between two batches in a row and L(0) is the first batch's value. Eq. 7 prints one difference of the
whole L_a as denominator (`scalar`); the paper's code takes each class's own (`class`, the default).

The ratio is no derivative of the main loss; `held_out_class_weights` takes that one.

Our readings: both terms of d(w_c l_c) take the present w_c; a class that a batch lacks has loss 0 there; Adam's moments move on
every update, also of classes without pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.refusals import refuse_nan_ranges
from mtlrepro.training.per_run import RunValue
from mtlrepro.training.weighting import Step, Weighting

Form = Literal["class", "scalar"]
FORMS = ("class", "scalar")
# The paper's 15 ranges of inverse depth as auxiliary classes of the driving scenes: thresholds 1/d, d in metres.
DISTANCES = (6, 8, 10, 14, 18, 23, 31, 40, 49, 59, 92, 147, 236, 655)


def quantise(depth: Tensor, thresholds: Sequence[float], valid: Tensor | None = None) -> Tensor:
    """The range of each value as a class: int64 of the shape of `depth`, the number of thresholds not above the value.

    thresholds: rising, n of them give classes 0 .. n. valid: bool; -1 where False. Raises BadValue for unsorted thresholds, and
    for NaN among them or where `valid` is not False.
    """
    refuse_nan_ranges(depth, thresholds, valid)
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
    """What `class_weight_step` carries from batch to batch, all tensors on one device; (C,), or (runs, C), unless stated.

    weights: w_c. main_start, auxiliary_start: () or (runs,), L_m(0) and L_a(0). main, auxiliary: mean L^m_c and l_c of the last
    whole window of batches; main_sum, auxiliary_sum: summed over the window now running. first, second: Adam's moments.
    batches: (), seen. updates: (), their number so far.
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
    """The state before the first batch: every weight 1. main_start, auxiliary_start: () or (runs,), the first L_m and L_a."""
    zeros = main_start.detach().new_zeros(*main_start.shape, classes)
    none = torch.zeros((), dtype=torch.int64, device=zeros.device)
    ones = torch.ones_like(zeros)
    return ClassWeightState(
        ones, main_start.detach(), auxiliary_start.detach(), zeros, zeros, zeros, zeros, zeros, zeros, none, none
    )


def difference_gradient(state: ClassWeightState, main: Tensor, auxiliary: Tensor, form: Form, eps: float = 1e-8) -> Tensor:
    """g_c of eq. 8: (..., C), from this window's L^m_c and l_c, (..., C) each, and those of the window before."""
    change = (main - state.main) / state.main_start[..., None] + eps
    weighted = state.weights * (auxiliary - state.auxiliary) / state.auxiliary_start[..., None]
    return change / ((weighted if form == "class" else weighted.sum(-1, keepdim=True)) + eps) * auxiliary


def adam_step(
    weights: Tensor, g: Tensor, first: Tensor, second: Tensor, updates: Tensor, rate: float | Tensor,
    betas: tuple[float, float], eps: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """One Adam step of weights that stay at or above 0: (weights, first, second), all (..., C). updates: (), this one counted."""
    first, second = torch.lerp(g, first, betas[0]), torch.lerp(g.square(), second, betas[1])
    count = updates.clamp_min(1).to(g.dtype)
    scaled = (first / (1 - betas[0] ** count)) / ((second / (1 - betas[1] ** count)).sqrt() + eps)
    return (weights - rate * scaled).clamp_min(0), first, second


def class_weight_step(
    state: ClassWeightState,
    main: Tensor,
    auxiliary: Tensor,
    *,
    form: Form = "class",
    rate: float | Tensor = 2e-4,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    freeze: int = 0,
    every: int = 1,
) -> ClassWeightState:
    """The state after one batch, whose losses by auxiliary class are main L^m_c and auxiliary l_c, (C,) or (runs, C) each.

    form: denominator of the ratio, see above. rate: Adam's, a number or (runs, 1); betas: Adam's; eps: in the ratio and in Adam.
    freeze: so many batches leave the weights at 1. every: batches a window; an update at the end of each, from the means of this
    window and the one before. No host synchronisation: updates are selected, not branched on.
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
    # The first window has none before it to differ from.
    due = ends & (batches > freeze) & (batches >= 2 * every)

    g = difference_gradient(state, main, auxiliary, form, eps)
    updates = state.updates + due
    stepped, first, second = adam_step(state.weights, g, state.first, state.second, updates, rate, betas, eps)

    def kept(when: Tensor, new: Tensor, old: Tensor) -> Tensor:
        return torch.where(when, new, old)

    zeros = torch.zeros_like(main_sum)
    return ClassWeightState(
        kept(due, stepped, state.weights), state.main_start, state.auxiliary_start,
        kept(ends, main, state.main), kept(ends, auxiliary, state.auxiliary),
        kept(ends, zeros, main_sum), kept(ends, zeros, auxiliary_sum),
        kept(due, first, state.first), kept(due, second, state.second), batches, updates,
    )  # fmt: skip


class ClassWeights(Weighting):
    """Class-wise weights as a weighting: `step.losses` are (..., 2 (C + 1)), [L^m_0 .. L^m_C, l_0 .. l_C] by auxiliary class.

    The losses are what `class_sums` gives for the main and for the auxiliary pixel losses; entries C are of pixels without
    auxiliary class, whose main loss counts and whose auxiliary loss gets weight 0. Weights: 1 / L_m(0) and w_c / L_a(0).
    form: class or scalar. rate: a number or (runs,). Other arguments as in `class_weight_step`.
    `state.weights` are the weights, `gradient` the last g_c. Raises UnknownName, BadValue.
    """

    def __init__(
        self,
        form: Form = "class",
        rate: float | Tensor = 2e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        freeze: int = 0,
        every: int = 1,
    ) -> None:
        if form not in FORMS:
            raise UnknownName("form", form, FORMS)
        self.form: Form = form
        self.rate = RunValue("rate", rate, low=0)
        self.options: dict[str, Any] = {"betas": betas, "eps": eps, "freeze": freeze, "every": every}
        self.state: ClassWeightState | None = None
        self.gradient: Tensor | None = None

    def __call__(self, step: Step) -> Tensor:
        """(..., 2 (C + 1)), the weights before this batch's update of them."""
        main, auxiliary = step.losses.detach().chunk(2, -1)
        if self.state is None:
            self.state = class_weight_start(main.shape[-1] - 1, main.sum(-1), auxiliary[..., :-1].sum(-1))
        state = self.state
        own = [1 / state.main_start[..., None].expand_as(main), state.weights / state.auxiliary_start[..., None]]
        main, auxiliary = main[..., :-1], auxiliary[..., :-1]
        self.gradient = difference_gradient(state, main, auxiliary, self.form, self.options["eps"])
        self.state = class_weight_step(state, main, auxiliary, form=self.form, rate=self.rate.along(step.losses), **self.options)
        return torch.cat([*own, torch.zeros_like(own[0][..., :1])], -1)
