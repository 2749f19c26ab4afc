"""Theorem 1 of HydaLearn (Verboven et al. 2020), tried in float64.

Theorem 1, for a metric M (larger is better), shared parameters θ, step size α and gradients g_i of the losses L_i:
    δ_i  = M(θ - α w_i g_i) - M(θ)  ≈  - α w_i <∇M, g_i>               eqs. 6 and 7
    δ_m / δ_a ≈ (w_m / w_a) / q,      q = <∇M, g_a> / <∇M, g_m>         eq. 8
    w_m / w_a ≈ (δ_m / δ_a) q                                           eq. 9, eq. 8 solved for the weights
    w_m / w_a ≈ δ_m / δ_a             assuming q ≈ 1                    eq. 10
The factor q is 1 over the ratio of the gains of two equally weighted steps: with it, eq. 9 returns the weights it was given.

Random instances are small smooth networks, one a run of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mtlrepro.device import THEORY, generator
from mtlrepro.errors import UnknownName
from mtlrepro.methods.hydalearn import gain_weights
from mtlrepro.models.stacked_mlp import StackedMLP
from mtlrepro.training.loop import task_losses
from mtlrepro.training.metrics import auroc, mean_absolute_error, mean_squared_error
from mtlrepro.training.weighting import Batch, Evaluate, Step

INPUTS, OUTPUTS, BATCH, POINTS = 6, 2, 16, 64
METRICS = ("squared error", "absolute error", "AUROC")
# Between rounding (1e-16 / α²) and the third order (α), which would bend the line.
STEP_SIZES = (1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
ORDER = 1.8  # a slope of log error against log α that counts as second order
CIRCLE = 0.05  # the relative error up to which eq. 9 returns a ratio, at first order
SQUARED = task_losses(mean_squared_error, mean_squared_error)


class Smooth(StackedMLP):
    """`StackedMLP` with tanh in the shared layers, so that every loss is smooth in them; give it linear heads."""

    def forward(self, x: Tensor, task: int | None = None) -> Tensor | list[Tensor]:
        """As `StackedMLP`."""
        for layer in self.bottom:
            x = layer(x).tanh()
        return [self._head(x, i) for i in range(len(self.heads))] if task is None else self._head(x, task)


@dataclass(frozen=True)
class Instances:
    """Random problems as a batch of runs. step: at random parameters, two squared losses. metric: larger is better, (runs,)."""

    step: Step
    metric: Evaluate

    def measured(self, weights: Tensor, alpha: float) -> Tensor:
        """δ of eqs. 6 and 7, exactly: gains (runs, 2) of two steps along the weighted gradients. weights: (runs, 2)."""
        sizes = alpha * weights.T
        updates = {n: -sizes.reshape(*sizes.shape, *[1] * (g.ndim - 2)) * g for n, g in self.step.gradients.items()}
        before, *after = self.step.look_ahead(updates, self.metric, reference=True).unbind(0)
        return torch.stack(after, -1) - before[:, None]

    def products(self) -> Tensor:
        """<∇M, g_i>, (runs, 2)."""
        gradient = self.step.look_ahead_gradient(self.metric)
        slope = self.step.flat({name: g[None] for name, g in gradient.items()})
        products: Tensor = (self.step.jacobian * slope).sum(-1)
        return products


def random_instances(seeds: Sequence[int], metric: str = "squared error") -> Instances:
    """One random problem per seed: Gaussian inputs and targets, two shared layers of 8, linear heads, float64.

    metric: a name in METRICS, its negative for the errors; on samples of its own. Raises UnknownName for another.
    """
    if metric not in METRICS:
        raise UnknownName("metric", metric, METRICS)

    def normal(name: str, n: int, last: int) -> Tensor:
        drawn = [torch.randn(n, last, generator=generator(seed, "theorem 1", name), dtype=THEORY) for seed in seeds]
        return torch.stack(drawn)

    model = Smooth(INPUTS, [8] * 2, [], [OUTPUTS] * 2, [generator(seed, "theorem 1") for seed in seeds], THEORY)
    batch = Batch(normal("x", BATCH, INPUTS), [normal(f"y{task}", BATCH, OUTPUTS) for task in range(2)])
    held, targets = normal("held out", POINTS, INPUTS), normal("targets", POINTS, OUTPUTS)
    scores: dict[str, Evaluate] = {
        "squared error": lambda call: -mean_squared_error(call(held, 0), targets),
        "absolute error": lambda call: -mean_absolute_error(call(held, 0), targets),
        "AUROC": lambda call: auroc(call(held, 0)[..., 0], targets[..., 0]),
    }
    shared = {name: p for name, p in model.named_parameters() if name.startswith("bottom")}
    return Instances(Step(SQUARED(model, batch), model, shared, batch, SQUARED), scores[metric])


def taylor(metric: str, count: int, seed: int) -> list[dict[str, Any]]:
    """Eqs. 6 to 8 with weights drawn anew for each of `count` instances; one row per step size.

    gain: median |δ|. error: quartiles of |δ - first order| over both tasks. ratio_error: median relative error of eq. 8.
    order_low, order_median: smallest and median slope of log error against log α; order_broken: how many are below ORDER, all
    where there is no error. They are the same in every row. zero: share of gains that are exactly 0.
    """
    instances = random_instances(range(seed, seed + count), metric)
    weights = torch.rand(count, 2, generator=generator(seed, "weights"), dtype=THEORY) + 0.5
    # AUROC has no gradient where it is defined: eqs. 6 and 7 read 0.
    slopes = torch.zeros(count, 2, dtype=THEORY) if metric == "AUROC" else instances.products()
    gains = torch.stack([instances.measured(weights, alpha) for alpha in STEP_SIZES])
    alphas = torch.tensor(STEP_SIZES, dtype=THEORY)[:, None, None]
    errors = (gains + alphas * weights * slopes).abs()
    x = alphas.log() - alphas.log().mean()
    orders = ((x * errors.log()).sum(0) / x.square().sum()).flatten()
    order = {
        "order_low": orders.min().item(),
        "order_median": orders.median().item(),
        "order_broken": int((~(orders >= ORDER)).sum()),
    }
    predicted = weights[:, 0] * slopes[:, 0] / (weights[:, 1] * slopes[:, 1])
    ratio = ((gains[..., 0] / gains[..., 1]) / predicted - 1).abs()
    quartiles = torch.quantile(errors.flatten(1), torch.tensor([0.25, 0.5, 0.75], dtype=THEORY), dim=1)
    return [
        {"alpha": alpha, "n": 2 * count, "gain": gains[i].abs().median().item()}
        | dict(zip(("error_low", "error", "error_high"), quartiles[:, i].tolist(), strict=True))
        | {"ratio_error": ratio[i].median().item(), "zero": (gains[i] == 0).double().mean().item()}
        | order
        for i, alpha in enumerate(STEP_SIZES)
    ]


def circle(ratio: float, alpha: float, count: int, seed: int) -> dict[str, float]:
    """Eqs. 9 and 10 fed with the gains of steps whose weights have the given ratio w_m / w_a, on `count` instances.

    kept_worst: largest |eq. 9's ratio / ratio - 1|; kept_median: its median; kept_broken: how many are above CIRCLE.
    dropped_low, dropped_median, dropped_high: quartiles of eq. 10's ratio / ratio, in absolute value. near: share of instances
    where that is within [1/2, 2]. negative: share where it is negative.
    """
    instances = random_instances(range(seed, seed + count))
    slopes = instances.products()
    q = slopes[:, 1] / slopes[:, 0]
    gains = instances.measured(torch.tensor([ratio, 1.0], dtype=THEORY).expand(count, 2), alpha)
    dropped = gains[:, 0] / gains[:, 1] / ratio
    kept = (dropped * q - 1).abs()
    low, median, high = torch.quantile(dropped.abs(), torch.tensor([0.25, 0.5, 0.75], dtype=THEORY)).tolist()
    return {
        "n": count,
        "kept_worst": kept.max().item(),
        "kept_median": kept.median().item(),
        "kept_broken": int((~(kept <= CIRCLE)).sum()),
        "dropped_low": low,
        "dropped_median": median,
        "dropped_high": high,
        "near": within(dropped).double().mean().item(),
        "negative": (dropped < 0).double().mean().item(),
    }


def within(factor: Tensor) -> Tensor:
    """Whether a factor lies in [1/2, 2]: our reading of "approximately equal"."""
    return (factor >= 0.5) & (factor <= 2)


def directions(dimension: int, count: int, seed: int, cosine: float = 0.3) -> dict[str, float]:
    """The factor q for `count` random triples of directions of `dimension` entries.

    g_m has the given cosine with ∇M; g_a, of the same length, is drawn without regard to either.
    """
    drawn = generator(seed, "directions", dimension)
    slope, other, aux = (torch.randn(count, dimension, generator=drawn, dtype=THEORY) for _ in range(3))
    slope, aux = slope / slope.norm(dim=1, keepdim=True), aux / aux.norm(dim=1, keepdim=True)
    other = other - (other * slope).sum(1, keepdim=True) * slope
    main = cosine * slope + math.sqrt(1 - cosine**2) * other / other.norm(dim=1, keepdim=True)
    q = (slope * aux).sum(1) / (slope * main).sum(1)
    return {"n": count, "within": within(q).double().mean().item(), "size": q.abs().median().item()}


def first_order_value(gains: Tensor, beta: float, invert_negative: bool = False) -> Tensor:
    """Σ w_i δ_i / W of the rule without eq. 4: its first-order gain when a step of weight 1 gains δ_i. (..., k) -> (...)."""
    weights = gain_weights(gains, 1.0, beta, downscale=False, invert_negative=invert_negative)
    return (weights * gains).sum(-1)


def best(beta: float, count: int, seed: int, trials: int = 200) -> dict[str, float]:
    """The rule's weights against every other choice at first order, for `count` pairs of gains, normal.

    below: pairs for which weights w >= 0 of the same sum W gain more. shortfall: the largest relative one where both gains are
    positive. norm_broken: among pairs with a positive gain, those for which one of `trials` random w >= 0 of the same p-norm,
    p = 1 + 1/beta, gains more than the rule does (Hölder's inequality says none).
    """
    gains = torch.randn(count, 2, generator=generator(seed, "gains", str(beta)), dtype=THEORY)
    value, largest = first_order_value(gains, beta), gains.amax(-1)
    both, some = (gains > 0).all(-1), (gains > 0).any(-1)
    p = 1 + 1 / beta
    weights = gain_weights(gains, 1.0, beta, downscale=False)
    other = torch.rand(trials, count, 2, generator=generator(seed, "trials", str(beta)), dtype=THEORY)
    other = other * (weights.pow(p).sum(-1) / other.pow(p).sum(-1)).pow(1 / p)[..., None]
    beaten = ((other * gains).sum(-1) > value * (1 + 1e-9)).any(0)
    return {
        "n": count,
        "below": int((value < largest - 1e-9 * largest.abs()).sum()),
        "shortfall": ((largest - value) / largest)[both].max().item(),
        "n_norm": int(some.sum()),
        "norm_broken": int((beaten & some).sum()),
    }
