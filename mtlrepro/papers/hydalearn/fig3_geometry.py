"""One step of a task weighting on a plane: two shared parameters, a quadratic main metric, and gradients of our choice.

For Figure 3 of the HydaLearn paper: four geometries of its kind, and thousands of random ones. The losses are linear,
L_i = g_i . theta, so that task i's gradient is g_i wherever the parameters stand; the metric M = -(theta - best)^T H (theta -
best) / 2 is larger when better. Everything else is the ordinary training step. Angles are measured from the metric's own
gradient, the direction in which it improves fastest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from mtlrepro.device import THEORY
from mtlrepro.errors import BadValue
from mtlrepro.methods.gradient_cosine import GradientCosine
from mtlrepro.methods.hydalearn import HydaLearn
from mtlrepro.methods.scale_matched import ScaleMatched
from mtlrepro.papers.hydalearn.training import visited_states
from mtlrepro.parameters import Params
from mtlrepro.training.loop import RunwiseSGD, train_step
from mtlrepro.training.weighting import Batch, Call, Weighting


@dataclass(frozen=True)
class Geometry:
    """Where `runs` models stand and what their mini-batch says.

    hessian: (runs, 2, 2), symmetric, positive. best: (runs, 2), the metric's optimum; all models stand at the origin.
    gradients: (runs, 2, 2), of the main and the auxiliary loss.
    """

    hessian: Tensor
    best: Tensor
    gradients: Tensor

    def metric(self, at: Tensor) -> Tensor:
        """M at points (..., runs, 2) -> (..., runs)."""
        off = at - self.best
        return -torch.einsum("...ri,rij,...rj->...r", off, self.hessian, off) / 2

    @property
    def ascent(self) -> Tensor:
        """Gradient of the metric at the origin, (runs, 2)."""
        return torch.einsum("rij,rj->ri", self.hessian, self.best)


def geometry(angles: Tensor, lengths: Tensor, condition: Tensor, turn: Tensor) -> Geometry:
    """Models at distance 1 from the optimum of a metric with eigenvalues condition^(+-1/2).

    angles: (runs, 2), of the main and the auxiliary *descent* direction -g_i against the metric's gradient, in radians.
    lengths: (runs, 2), of the gradients, in units of the metric's. condition, turn: (runs,), condition number of the metric and
    the angle of its axes against the line to the optimum. Raises BadValue for a condition below 1 or a negative length.
    """
    if (condition < 1).any() or (lengths < 0).any():
        raise BadValue("a condition number is at least 1 and a gradient's length not negative.")
    axes = torch.stack([torch.stack([turn.cos(), turn.sin()], -1), torch.stack([-turn.sin(), turn.cos()], -1)], -2)
    sizes = torch.stack([condition.sqrt(), condition.rsqrt()], -1)
    hessian = torch.einsum("rki,rk,rkj->rij", axes, sizes, axes)
    best = torch.zeros(len(turn), 2, dtype=THEORY)
    best[:, 0] = 1
    ascent = hessian[:, :, 0]
    direction = torch.atan2(ascent[:, 1], ascent[:, 0])[:, None] + angles
    descent = torch.stack([direction.cos(), direction.sin()], -1) * (lengths * ascent.norm(dim=-1, keepdim=True))[..., None]
    return Geometry(hessian, best, -descent)


# Angles of the main and the auxiliary descent direction in degrees, lengths of both gradients.
PANELS = {
    "A: dominant auxiliary": ((15, 65), (1.0, 3.0)),
    "B: harmful main": ((125, -20), (1.2, 1.0)),
    "C: dominant and better": ((65, 15), (1.0, 3.0)),
    "D: both harmful": ((100, -150), (1.0, 1.0)),
}
PANEL_RATE = 0.15  # large enough to see the updates


def panel_geometry(name: str) -> Geometry:
    """One of PANELS, on a metric with condition number 4."""
    angles, lengths = PANELS[name]
    values = [np.deg2rad([angles]), np.array([lengths]), np.array([4.0]), np.array([math.pi / 5])]
    return geometry(*(torch.tensor(value, dtype=THEORY) for value in values))


def random_geometry(n: int, seed: int) -> Geometry:
    """`n` geometries: both angles uniform, the main gradient as long as the metric's, the ratio of the two gradients' lengths
    log-uniform between 1/30 and 30, the condition number log-uniform up to 10, the axes turned at random."""
    rng = np.random.default_rng(seed)
    angles, turn = rng.uniform(-math.pi, math.pi, (n, 2)), rng.uniform(0, math.pi, n)
    lengths = np.stack([np.ones(n), 30.0 ** rng.uniform(-1, 1, n)], -1)
    condition = 10.0 ** rng.uniform(0, 1, n)
    return geometry(*(torch.tensor(array, dtype=THEORY) for array in (angles, lengths, condition, turn)))


class Plane(nn.Module):
    """Two shared parameters a run, at the origin; called with vectors (runs, k, 2) it gives their products with them."""

    def __init__(self, runs: int) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(runs, 2, dtype=THEORY))

    def forward(self, vectors: Tensor) -> Tensor:
        """(runs, k)."""
        return torch.einsum("rkj,rj->rk", vectors, self.theta)

    def shared_parameters(self) -> list[nn.Parameter]:
        """All."""
        return [self.theta]


def step(where: Geometry, weighting: Weighting, rate: float) -> tuple[Tensor, Tensor]:
    """One training step at the learning rate `rate`: task weights (runs, 2) and update (runs, 2) of the shared parameters.

    What a weighting's `look_ahead` evaluates is the metric.
    """
    runs = len(where.best)
    model, units = Plane(runs), torch.eye(2, dtype=THEORY).expand(runs, 2, 2)

    def losses(call: Call, batch: Batch) -> Tensor:
        products: Tensor = call(batch.inputs)
        return products

    _, weights = train_step(
        model,
        Batch(where.gradients, None),
        losses,
        RunwiseSGD(model.parameters(), torch.full((runs,), rate, dtype=THEORY)),
        weighting,
        look_ahead=lambda call: where.metric(call(units)),
    )
    return weights, model.theta.detach()


def gain(where: Geometry, update: Tensor) -> Tensor:
    """What the metric gains by an update (runs, 2), as a share of the whole way to the optimum's value: (runs,), at most 1."""
    start = where.metric(torch.zeros_like(update))
    return (where.metric(update) - start) / -start


def alignment(where: Geometry, update: Tensor) -> Tensor:
    """Cosine of an update (runs, 2) with the direction in which the metric improves fastest; 0 for no update."""
    return nn.functional.cosine_similarity(update, where.ascent, dim=-1)


class PlaneMethod(NamedTuple):
    """title: for readers. build: exponent of eq. 5 -> weighting. rival: the name of the gradient cosine at the same scale."""

    title: str
    build: Callable[[float], Weighting]
    rival: str = "cosine"


METHODS = {
    "cosine": PlaneMethod("gradient cosine", lambda beta: GradientCosine()),
    "cosine, matched": PlaneMethod(
        "gradient cosine, scale-matched", lambda beta: ScaleMatched(GradientCosine()), "cosine, matched"
    ),
    "hydalearn": PlaneMethod("HydaLearn, as printed", lambda beta: HydaLearn(beta=beta)),
    "hydalearn, matched": PlaneMethod(
        "HydaLearn, scale-matched", lambda beta: ScaleMatched(HydaLearn(beta=beta)), "cosine, matched"
    ),
    "inverted": PlaneMethod("HydaLearn, inverted (ours)", lambda beta: HydaLearn(beta=beta, invert_negative=True)),
}
# Weights, cosines and gains are compared beyond rounding.
_ROUNDING = 1e-12


def groups(where: Geometry, rate: float) -> dict[str, Tensor]:
    """The kinds of geometry that the figure speaks of: name -> (runs,) bool.

    Dominant auxiliary: both gradients within 90 degrees of each other and of the best direction, the auxiliary one at least twice
    as long, the main one better directed. Harmful main: a short step along it worsens the metric; with a helpful auxiliary:
    that improves it, and the two are more than 90 degrees apart. Both harmful: fake steps of length `rate` both worsen it.
    """
    length = where.gradients.norm(dim=-1)
    main, auxiliary = (alignment(where, -where.gradients[:, task]) for task in (0, 1))
    together = (where.gradients[:, 0] * where.gradients[:, 1]).sum(-1) > 0
    return {
        "dominant auxiliary": together & (main > auxiliary) & (auxiliary > 0) & (length[:, 1] >= 2 * length[:, 0]),
        "harmful main, helpful auxiliary": ~together & (main < 0) & (auxiliary > 0),
        "harmful main": main < 0,
        "both harmful": (fake_gains(where, rate) < 0).all(-1),
        "any": torch.ones_like(together),
    }


def fake_gains(where: Geometry, rate: float) -> Tensor:
    """Gains of steps of length `rate` along each task's gradient, (runs, 2)."""
    units = where.gradients / where.gradients.norm(dim=-1, keepdim=True)
    return torch.stack([gain(where, -rate * units[:, task]) for task in (0, 1)], -1)


def properties(where: Geometry, rate: float, beta: float) -> dict[str, dict[str, Tensor]]:
    """What each of METHODS does in one step: name -> property -> (runs,) bool, and "gain", the step's.

    Task weights are compared as the rule chose them, before scale matching.
    """
    length, fake = where.gradients.norm(dim=-1), fake_gains(where, rate)
    steps = {name: step(where, method.build(beta), rate) for name, method in METHODS.items()}
    gains = {name: gain(where, update) for name, (_, update) in steps.items()}
    cosines = {name: alignment(where, update) for name, (_, update) in steps.items()}
    properties = {}
    for name, (weights, _) in steps.items():
        rival, pulls = METHODS[name].rival, weights * length
        # Matched: both gradients count as long as the main one.
        chosen = pulls / length[:, :1] if rival == "cosine, matched" else weights
        prefers_main = chosen[:, 0] > chosen[:, 1] + _ROUNDING
        prefers_auxiliary = chosen[:, 1] > chosen[:, 0] + _ROUNDING
        properties[name] = {
            "more weight to main": prefers_main,
            "main leads the step": pulls[:, 0] > pulls[:, 1] + _ROUNDING,
            "main not followed": weights[:, 0] == 0,
            "step improves the metric": gains[name] > 0,
            "gains more than gradient cosine": gains[name] > gains[rival] + _ROUNDING,
            "points better than gradient cosine": cosines[name] > cosines[rival] + _ROUNDING,
            "more weight to the worse": torch.where(fake[:, 0] < fake[:, 1], prefers_main, prefers_auxiliary),
            "gain": gains[name],
        }
    return properties


# ---------------------------------------------------------------------------------------------------------------------
# Rows
# ---------------------------------------------------------------------------------------------------------------------


def settings(p: Params) -> list[dict[str, Any]]:
    """Arguments of `measure`: every panel, and the random geometries of every seed."""
    panels = [{"kind": "panel", "name": name, "beta": beta, "rate": PANEL_RATE} for name in PANELS for beta in p.betas]
    return panels + [
        {"kind": "sweep", "seed": seed, "geometries": p.geometries, "rate": rate, "beta": beta}
        for rate in p.rates
        for beta in p.betas
        for seed in range(p.first_seed, p.first_seed + p.seeds)
    ]


def measure(kind: str, **setting: Any) -> list[dict[str, Any]]:
    """Rows of one setting; kind: "panel" or "sweep", the functions of that name."""
    return panel(**setting) if kind == "panel" else sweep(**setting)


def panel(name: str, beta: float, rate: float) -> list[dict[str, Any]]:
    """The gradients of one of PANELS, and the weights, update (x, y) and gain of every method: a row per method."""
    here, rows = panel_geometry(name), []
    plane = {"gradients": here.gradients[0].flatten().tolist(), "hessian": here.hessian[0].flatten().tolist()}
    for method, rule in METHODS.items():
        weights, update = step(here, rule.build(beta), rate)
        (w_m, w_a), (x, y) = weights[0].tolist(), update[0].tolist()
        rows.append({"method": method, "gain": gain(here, update).item(), "w_m": w_m, "w_a": w_a, "x": x, "y": y} | plane)
    return rows


def sweep(seed: int, geometries: int, rate: float, beta: float) -> list[dict[str, Any]]:
    """The share of a seed's random geometries in which each property holds, and the median gain: a row per group and method."""
    here, rows = random_geometry(geometries, seed), []
    measured = properties(here, rate, beta)
    for group, chosen in groups(here, rate).items():
        for method, values in measured.items():
            row: dict[str, Any] = {"group": group, "method": method, "n": int(chosen.sum())}
            for name, value in values.items():
                share = value[chosen].median() if name == "gain" else value[chosen].double().mean()
                row[name] = round(share.item(), 5)
            rows.append(row)
    return rows


# Claim -> the states it speaks of, and what it says of them; gains of steps along a task's gradient, or of a method's update.
_Of = Callable[[pd.DataFrame], "pd.Series[bool]"]
KINDS: dict[str, tuple[_Of, _Of]] = {
    "dominant-auxiliary": (
        lambda v: (v["cosine of"] > 0) & (v["ratio of"] > 1) & (v["main"] > v["auxiliary"]),
        lambda v: v["HydaLearn"] > v["cosine"],
    ),
    "bad-main-gradient": (lambda v: (v["main"] < 0) & (v["auxiliary"] > 0), lambda v: v["HydaLearn"] > v["cosine"]),
    "cosine-worsens-bad-step": (
        lambda v: (v["main"] < 0) & (v["cosine of"] > 0),
        lambda v: v["equal, raw"] < v["main, raw"],
    ),
    "cosine-blocks-help": (lambda v: v["auxiliary"] > 0, lambda v: v["cosine of"] <= 0),
}
_SEEDS = 10  # of one training; more are trained apart


def met_settings(p: Params) -> list[dict[str, Any]]:
    """Arguments of `met`: those of `visited_states.visit`, ten seeds at a time."""
    every = visited_states.settings(p)
    return [one | {"seeds": one["seeds"][i : i + _SEEDS]} for one in every for i in range(0, len(one["seeds"]), _SEEDS)]


def met(**setting: Any) -> list[dict[str, Any]]:
    """How often a training meets each of KINDS. setting: of `visited_states.visit`.

    Rows "met", per seed and claim: `states` of its kind, in how many it is so (`so`), and in how many a step along the metric's
    own gradient gains more than gradient cosine's (`metric gains more`). Rows "visits", per seed: how many, and the shares in
    which a unit step's gain has one sign on both halves of the test rows. Rows "seed": as of `visit`.
    """
    every = visited_states.visit(**setting)
    rows = [row for row in every if row["kind"] == "seed"]
    for seed, visits in pd.DataFrame([row for row in every if row["kind"] == "visit"]).groupby("seed"):
        same = {name: round(float(visits[name].mean()), 5) for name in ("same main", "same auxiliary")}
        rows.append({"kind": "visits", "seed": seed, "visits": len(visits)} | same)
        for claim, (of_kind, is_so) in KINDS.items():
            some = visits[of_kind(visits)]
            more = (some["metric"] > some["cosine"]).sum()
            counts = {"states": len(some), "so": int(is_so(some).sum()), "metric gains more": int(more)}
            rows.append({"kind": "met", "seed": seed, "claim": claim} | counts)
    return rows
