"""HydaLearn (Verboven, Chaudhary, Berrevoets, Verbeke 2020): weights from the main metric's gains after fake updates.

Algorithm 1, for each batch, with g_i the gradient of task i's loss in the shared parameters theta_s:
1. the heads move along the gradients of their own plain losses;
2. for each task i, theta_s makes a fake update along -g_i, and delta_i is what the main metric gains by it at the moved heads;
3. w_m / w_a = (delta_m / delta_a)^beta (eqs. 3 and 5) with w_m + w_a = W, and theta_s moves along -(w_m g_m + w_a g_a), all
   gradients being those before the step.
Where both gains are negative, W becomes W' = W / (1 + exp(-w_a / w_m)) (eq. 4), and the ratio is that of absolute values.

Our readings: a mixed pair of gains gives all weight to the task with the positive one (the ratio clipped to [0, inf)); a gain
of zero counts as not negative; the metric's reference value is that of the moved heads and the unmoved theta_s, not the value
carried over from a point that was never visited (Algorithm 1, lines 21 to 25: `carried`).

Beyond the paper: several auxiliary tasks (`gain_weights`), first-order gains without fake updates (`first_order`), and the
inverted ratio of two negative gains (`invert_negative`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.refusals import refuse_kinds, refuse_metric, refuse_negative
from mtlrepro.training.weighting import Evaluate, Step, Weighting, as_prefix


def hydalearn_weights(
    gain_main: Tensor | float,
    gain_aux: Tensor | float,
    total: Tensor | float,
    beta: Tensor | float = 1.0,
    downscale: bool = True,
) -> tuple[Tensor, Tensor]:
    """(w_main, w_aux) of eqs. 3 to 5 for one main and one auxiliary task: numbers, or tensors of one shape (a batch of runs).

    gain_main, gain_aux: improvement of the main metric by either fake update, in any unit (only the ratio counts).
    total: W > 0. beta: exponent of eq. 5, >= 0. downscale: eq. 4. See `gain_weights` for zero gains and gains that are no number.
    """
    refuse_negative("HydaLearn", beta=beta)
    refuse_negative("HydaLearn", zero=False, total=total)
    # Numbers count in double precision, as they do in Python.
    given = [g if isinstance(g, Tensor) else torch.tensor(g, dtype=torch.float64) for g in (gain_main, gain_aux)]
    gains = torch.stack(torch.broadcast_tensors(*given), -1)
    main, aux = gain_weights(gains, total, beta, downscale).unbind(-1)
    return main, aux


def gain_weights(
    gains: Tensor, total: Tensor | float, beta: Tensor | float = 1.0, downscale: bool = True, invert_negative: bool = False
) -> Tensor:
    """Weights (..., k) from gains (..., k) of k tasks, the main one first; total and beta: numbers or (...).

    For k = 2 this is the paper's rule. For more it is our extension: if any gain is positive, the tasks with positive gains share
    W in proportion to gain^beta and the others get nothing; if none is positive but some are zero, those share W equally; if all
    are negative, all share in proportion to |gain|^beta and eq. 4 scales W with the sum of the auxiliary weights as its w_a.
    invert_negative: where all are negative, share in proportion to |gain|^-beta instead. The printed ratio of two negative gains
    gives the task that hurts more the larger weight; this variant of ours gives it the smaller one.
    A gain that is NaN (a fake update that diverged) is worth no weight; where all are, so are the weights.
    """
    refuse_kinds("HydaLearn", gains)
    limits = torch.finfo(gains.dtype)
    negative = ~(gains >= 0).any(-1, keepdim=True)
    positive = (gains > 0).any(-1, keepdim=True)
    chosen = torch.where(negative, gains < 0, torch.where(positive, gains > 0, gains == 0))
    # Powers as differences of logarithms: no ratio and no beta overflows. Where zeros share W, all logarithms are equal.
    log = gains.abs().clamp(limits.smallest_normal * limits.eps, limits.max).log()
    log = torch.where(negative, -log, log) if invert_negative else log
    top = log.where(chosen, -torch.inf).amax(-1, keepdim=True)
    shares = (_column(beta, gains) * (log - top)).where(chosen, -torch.inf).softmax(-1)
    weights = _column(total, gains) * shares
    if not downscale:
        return weights
    main, others = shares[..., :1], shares[..., 1:].sum(-1, keepdim=True)
    factor = torch.sigmoid(others / main)
    return torch.where(negative, factor * weights, weights)


def _column(setting: Tensor | float, like: Tensor) -> Tensor | float:
    """A setting of each run beside the tasks, of the device and kind of `like`."""
    return setting.to(like)[..., None] if isinstance(setting, Tensor) else setting


class HydaLearn(Weighting):
    """Algorithm 1 as a weighting; task 0 is the main one. Heads follow their own plain losses.

    metric: model call -> () or (runs,), the main metric on whatever data it holds (`mtlrepro.training.metrics.measured_on`);
        it need not be differentiable. None: what `fit`'s `look_ahead` computes. maximise: whether larger is better.
    beta, total: of eqs. 5 and 3; numbers or (runs,). rate: step size of the heads and of the fake updates, a number or (runs,);
        None: the optimizer's current learning rate, with which plain SGD moves the heads just as step 1 does.
    normalise: fake updates along gradients of unit length (the paper's c-i). downscale: eq. 4 (c-iii). invert_negative: see
        `gain_weights`; not in the paper.
    carried: take the reference value of the metric as printed, carried over from the better fake update of the step before.
    first_order: extension beyond the paper, which names it as future work: delta_i = -+ rate <grad metric, g_i>, without fake
        updates; the metric must have a gradient. refresh: steps for which one gradient of the metric serves, first_order only.
    After each step `gains` holds delta, (..., tasks), larger being better, and `weights` the weights; the host reads neither.
    Raises BadValue for a beta below 0, a total not above 0, a refresh below 1 or without first_order, or first_order with
    carried; at the first step, without a rate.
    """

    weight_heads = False

    def __init__(
        self,
        metric: Evaluate | None = None,
        *,
        maximise: bool = True,
        beta: Tensor | float = 1.0,
        total: Tensor | float = 2.0,
        rate: Tensor | float | None = None,
        normalise: bool = True,
        downscale: bool = True,
        invert_negative: bool = False,
        carried: bool = False,
        first_order: bool = False,
        refresh: int = 1,
    ) -> None:
        refuse_negative("HydaLearn", beta=beta)
        refuse_negative("HydaLearn", zero=False, total=total)
        if refresh < 1 or (refresh > 1 and not first_order):
            raise BadValue("refresh must be at least 1, and needs first_order to be more.")
        if carried and first_order:
            raise BadValue("a first-order gain has no reference value to carry over.")
        self.metric, self.maximise = metric, maximise
        self.beta, self.total, self.rate = beta, total, rate
        self.normalise, self.downscale, self.carried = normalise, downscale, carried
        self.invert_negative = invert_negative
        self.first_order, self.refresh = first_order, refresh
        self.gains: Tensor | None = None
        self.weights: Tensor | None = None
        self._reference: Tensor | None = None
        self._slope: Tensor | None = None
        self._steps = 0

    def __call__(self, step: Step) -> Tensor:
        """(tasks,) or (runs, tasks). Raises BadValue for a batch of one task alone: every task's gradient is needed."""
        if step.task is not None:
            raise BadValue("HydaLearn compares the tasks of one batch: give batches that hold every task.")
        sizes = self._sizes(step)
        gains = self._slopes(step, sizes) if self.first_order else self._measured(step, sizes)
        self.gains = gains if self.maximise else -gains
        self.weights = gain_weights(self.gains, self.total, self.beta, self.downscale, self.invert_negative).to(step.losses)
        self._steps += 1
        return self.weights

    def _rate(self, step: Step) -> Tensor | float:
        rate = step.rate if self.rate is None else self.rate
        if rate is None:
            raise BadValue("HydaLearn needs a learning rate: give `rate`, or train with an optimizer that has one.")
        return rate.to(step.losses) if isinstance(rate, Tensor) else rate

    def _sizes(self, step: Step) -> Tensor:
        """(..., tasks): what the fake updates multiply the gradients by."""
        size: Tensor = torch.ones_like(step.losses) * _column(self._rate(step), step.losses)
        if not self.normalise:
            return size
        norms: Tensor = step.jacobian.norm(dim=-1)
        return size / norms.clamp_min(torch.finfo(norms.dtype).tiny)

    def _moved(self, step: Step) -> dict[str, Tensor]:
        """The updates of the heads."""
        rate = self._rate(step)
        return {n: -(as_prefix(rate, g) if isinstance(rate, Tensor) else rate) * g for n, g in step.head_gradients().items()}

    def _measured(self, step: Step, sizes: Tensor) -> Tensor:
        """Changes of the metric (..., tasks) by the fake updates."""
        by_task = sizes.movedim(-1, 0)
        updates = {name: -as_prefix(by_task, g) * g for name, g in step.gradients.items()}
        if not self.carried:
            reference, *each = step.look_ahead(updates, self.metric, self._moved(step), reference=True).unbind(0)
            refuse_metric(reference, step)
            return torch.stack(each, -1) - reference[..., None]
        if self._reference is None:
            self._reference = step.look_ahead({}, self.metric, reference=True)[0]
            refuse_metric(self._reference, step)
        values = step.look_ahead(updates, self.metric, self._moved(step)).movedim(0, -1)
        gains = values - self._reference[..., None]
        self._reference = values.amax(-1) if self.maximise else values.amin(-1)
        return gains

    def _slopes(self, step: Step, sizes: Tensor) -> Tensor:
        """First-order changes of the metric (..., tasks)."""
        if self._slope is None or self._steps % self.refresh == 0:
            gradient = step.look_ahead_gradient(self.metric, self._moved(step))
            self._slope = step.flat({name: g[None] for name, g in gradient.items()})
        return -sizes * (step.jacobian * self._slope).sum(-1)
