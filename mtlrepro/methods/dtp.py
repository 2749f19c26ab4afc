"""Dynamic task prioritization (Guo, Haque, Huang, Yeung, Fei-Fei 2018, section 3).

    w_i = -(1 - k_i)^gamma log k_i,   k_i(t) = alpha m_i(t) + (1 - alpha) k_i(t-1),

with m_i(t) in [0, 1] task i's performance after epoch t, such as its accuracy: a task that is done badly gets more weight.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.refusals import refuse_validation
from mtlrepro.training.per_run import RunValue, of_task
from mtlrepro.training.weighting import Step, Weighting


class DynamicTaskPriority(Weighting):
    """Weights from the moving average of each task's validation metric, larger for a harder task.

    alpha: share of the newest epoch in the moving average, in [0, 1]. gamma: focus on hard tasks, 0 or above. scale: factor on
    the weight. low, high: what it is then clipped to. Each is a number or (runs,). `average` and `weights` are (..., tasks);
    None, with every weight 1, before the first epoch ended.

    The paper's equation has no scale and no clip: scale=1, low=0, high=inf. Defaults are our reading of what CO-TASK compares
    with: the validation metric each epoch, alpha 0.75 on the newest, gamma 1, scale 5, clip to [0.1, 5].
    Raises BadValue where nothing is validated or a metric lies outside [0, 1] (NaN, of a run that diverged, stays in its run).
    """

    def __init__(
        self,
        alpha: float | Tensor = 0.75,
        gamma: float | Tensor = 1.0,
        scale: float | Tensor = 5.0,
        low: float | Tensor = 0.1,
        high: float | Tensor = 5.0,
    ) -> None:
        self.alpha, self.gamma = RunValue("alpha", alpha, 0, 1), RunValue("gamma", gamma, low=0)
        self.scale, self.low, self.high = (RunValue(n, v, low=0) for n, v in (("scale", scale), ("low", low), ("high", high)))
        self.average: Tensor | None = None
        self.weights: Tensor | None = None

    def __call__(self, step: Step) -> Tensor:
        """(..., k), as the step's losses."""
        return torch.ones_like(step.losses) if self.weights is None else of_task(self.weights, step).to(step.losses)

    def end_epoch(self, losses: Tensor, validation: Tensor | None) -> None:
        """Take the epoch's validation metrics (..., tasks) into account."""
        if validation is None:
            raise BadValue("dtp needs a validation function: its weights come from the validation metric.")
        refuse_validation(validation, losses, False)
        if bool(((validation < 0) | (validation > 1)).any()):  # between epochs, where the loop reads the host anyway
            raise BadValue("dtp needs validation metrics between 0 and 1, such as accuracies.")
        alpha, k = self.alpha.along(validation), validation
        self.average = k.clone() if self.average is None else alpha * k + (1 - alpha) * self.average
        focal = -((1 - self.average) ** self.gamma.along(k)) * torch.log(self.average)
        scaled = focal * self.scale.along(k)
        low, high = (bound.along(k) for bound in (self.low, self.high))
        self.weights = torch.minimum(torch.maximum(scaled, scaled.new_zeros(()) + low), scaled.new_zeros(()) + high)
