"""Gradient cosine similarity (Du et al. 2018, "Adapting auxiliary losses using gradient similarity").

    g = g_main + sum_a w_a g_a,   w_a = max(0, cos(g_main, g_a))    (weighted)
                                  w_a = 1 if cos(g_main, g_a) > 0 else 0    (thresholded)

on the shared parameters; every head follows its own loss.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtlrepro.refusals import refuse_main
from mtlrepro.training.per_run import RunValue, all_losses
from mtlrepro.training.weighting import Step, Weighting


class GradientCosine(Weighting):
    """Auxiliary gradients only where they do not conflict with the main one; the main task's weight is 1.

    weighted: by the cosine, instead of all or nothing. scale: factor on the auxiliary weights, a number or (runs,); 1 in the
    paper. main: index of the main task.

    Our reading of the thresholded form: an auxiliary gradient at a cosine of exactly 0 is dropped, and a zero gradient has cosine
    0. Which form HydaLearn compares with is open: its Table 6 gives a parameter of 1 or none; we take thresholded, the form that
    its text describes. Raises BadValue for batches of one task.
    """

    weight_heads = False

    def __init__(self, weighted: bool = False, scale: float | Tensor = 1.0, main: int = 0) -> None:
        self.weighted, self.main = weighted, main
        self.scale = RunValue("scale", scale, low=0)

    def __call__(self, step: Step) -> Tensor:
        """(k,) or (runs, k); 1 for the main task."""
        losses = all_losses(step, "gradient_cosine")
        refuse_main(self.main, step)
        gradients = step.jacobian
        size = torch.linalg.vector_norm(gradients, dim=-1, keepdim=True)
        units = torch.where(size > 0, gradients / size, 0)
        cosines = (units * units[..., self.main, None, :]).sum(-1)
        weights = (cosines.clamp_min(0) if self.weighted else (cosines > 0).to(cosines)) * self.scale.along(losses)
        weights[..., self.main] = 1.0
        return weights
