"""What single steps gain on the main metric from states that a training on a toy problem visits.

Gains that judge are measured on test rows, which neither the training nor the weights use.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from mtlrepro.device import generator
from mtlrepro.methods.gradient_cosine import GradientCosine
from mtlrepro.methods.hydalearn import HydaLearn
from mtlrepro.methods.static import MainShare
from mtlrepro.papers.hydalearn.data.toys import PairedSamples
from mtlrepro.papers.hydalearn.training.toy_problems import BETA, prepare
from mtlrepro.papers.hydalearn.training.tuned_runs import METRICS, GridRuns, stream, tune
from mtlrepro.parameters import Params
from mtlrepro.training.metrics import mean_absolute_error
from mtlrepro.training.weighting import Batch, Call, Evaluate, Step, Weighting, WeightingWrapper

PAPER_RATE = 0.01
# Steps tried at a visit, all from the same parameters and batch, each along coefficients of the two tasks' gradients.
UNIT = ("main", "auxiliary", "HydaLearn", "cosine", "metric")  # as long as the learning rate
RAW = ("HydaLearn, raw", "equal, raw", "main, raw")  # the learning rate times the weighted gradients


class Visits(WeightingWrapper):
    """Another weighting; before the steps whose numbers are in `at`, `look` is shown the number and the step."""

    def __init__(self, inner: Weighting, at: Collection[int], look: Callable[[int, Step], None]) -> None:
        super().__init__(inner)
        self.at, self.look, self.steps = frozenset(at), look, 0

    def __call__(self, step: Step) -> Tensor:
        """What the inner weighting gives."""
        if self.steps in self.at:
            self.look(self.steps, step)
        self.steps += 1
        return self.inner(step)


def settings(p: Params) -> list[dict[str, Any]]:
    """Arguments of `visit`: one training of all seeds per problem of `p.visited`, steps at the paper's rate."""
    return [
        {**sizes, "problem": problem, "seeds": list(range(p.first_seed, p.first_seed + sizes["seeds"])), "rate": PAPER_RATE}
        for problem, sizes in p.visited.items()
    ]


def ridge_settings(visits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Arguments of `fig4_toys.measure` for ridge regression on the data of `settings`."""
    return [{"method": "ridge", "inputs": "as printed", "problem": v["problem"], "seeds": v["seeds"]} for v in visits]


def visit(
    problem: str,
    seeds: Sequence[int],
    rate: float,
    trained_by: Literal["HydaLearn", "main task"],
    training_rate: float,
    steps: int,
    points: int,
    judging: int,
    epochs: int,
    states: int,
    visits: int,
    batches: int,
    sizes: Sequence[int],
) -> list[dict[str, Any]]:
    """Train on a problem, inputs as printed, and measure in `epochs` epochs at equal distances, not the first.

    rate: of the steps that are tried; training_rate: of the training that leads to the states. trained_by: HydaLearn, beta 6, or
    the main task alone, weight 2, which moves the shared layers while each head follows its own loss.
    points: validation rows of the training's own gains. judging: test rows, the first ones, of all gains recorded.
    Rows "state", at `states` equally spaced states of such an epoch: `colours`, of the same `batches` mini-batches everywhere; at
    an epoch's first state also of each of `sizes` and for steps of unit length. Rows "visit", at `visits` steps of it: `tried`.
    Rows "seed": `loss`, test MSE of the state that is best on validation, and `selected`, its step.
    """
    parts, config = prepare(problem, "as printed", seeds, steps=steps, check=steps // 20, points=points)
    length = -(-parts.train.x.shape[1] // config.batch)
    starts = [length * round(1 + i * (steps // length - 2) / max(1, epochs - 1)) for i in range(epochs)]
    within = {n: [round(i * length / n) for i in range(n)] for n in (states, visits)}
    fixed = {start + offset for start in starts for offset in within[states]}
    moving = {start + offset for start in starts for offset in within[visits]}
    judge = _halves(PairedSamples(*(part[:, :judging] for part in parts.test)))
    weigh = HydaLearn(_metric(parts.validation), maximise=False, beta=BETA, rate=rate, downscale=False)
    drawn = {size: _batches(parts.train, size, batches, seeds) for size in (config.batch, *sizes)}
    whole = Batch(parts.train.x, [parts.train.main, parts.train.auxiliary])
    rows: list[dict[str, Any]] = []

    def look(number: int, step: Step) -> None:
        at = {"step": number, "epoch": number // length}
        if number in fixed:
            for size in drawn if number in starts else (config.batch,):
                for unit in (False, True) if number in starts and size == config.batch else (False,):
                    every = [fake_gains(on_batch(step, batch), rate, judge, unit) for batch in drawn[size]]
                    rows.extend(_rows("state", seeds, at | {"batch": size, "unit": unit}, colours(torch.stack(every))))
            improves = fake_gains(on_batch(step, whole), rate, judge, False)[:, 0].mean(0) > 0
            rows.extend(_rows("whole", seeds, at, {"improves": improves.double()}))
        if number in moving:
            rows.extend(_rows("visit", seeds, at, tried(step, rate, weigh, judge)))

    def build(runs: GridRuns) -> Weighting:
        alone = MainShare(share=1.0, total=2.0)
        alone.weight_heads = False
        own = HydaLearn(runs.metric, maximise=runs.maximise, beta=BETA)
        return Visits(own if trained_by == "HydaLearn" else alone, fixed | moving, look)

    chosen = tune(parts, seeds, [{"learning_rate": training_rate}], build, config, matched=False)
    return rows + _rows("seed", seeds, {}, {"loss": chosen.loss, "selected": chosen.step})


def on_batch(step: Step, batch: Batch) -> Step:
    """The same state with another batch."""
    return replace(step, batch=batch, losses=step.loss_function(step.model, batch))


def fake_gains(step: Step, rate: float, metric: Evaluate, unit: bool) -> Tensor:
    """What one step of the shared layers on each task's loss gains, the heads fixed: (halves, tasks, runs), larger is better.

    metric: (halves, runs), smaller is better. unit: steps as long as the rate, in place of the rate times the gradient.
    """
    gradients = {name: each / _lengths(step, each) for name, each in step.gradients.items()} if unit else step.gradients
    before, *after = step.look_ahead({name: -rate * each for name, each in gradients.items()}, metric, reference=True)
    gains: Tensor = before[:, None] - torch.stack(after, 1)
    return gains


def _lengths(step: Step, like: Tensor) -> Tensor:
    """Of each task's gradient, (tasks, runs, 1, ...)."""
    lengths: Tensor = step.jacobian.norm(dim=-1).T.reshape(*like.shape[:2], *[1] * (like.ndim - 2))
    return lengths.clamp_min(torch.finfo(like.dtype).tiny)


def colours(gains: Tensor) -> dict[str, Tensor]:
    """Of gains (batches, halves, tasks, runs), main task first, each (runs,); a batch's gain is the mean of its halves.

    worse: share of batches whose main step does harm. rarer: share of the rarer sign of the auxiliary step's gain. same main,
    same auxiliary: share of batches in which a gain has one sign on both halves. q_mean, q_variance: over batches, of the
    auxiliary gain divided by the sum of both gains' sizes. signs: main and auxiliary signs of the first ten batches, as digits
    0 to 3 of a number in base 4 (main counts 2).
    """
    mean = gains.mean(1)
    main, auxiliary = mean.unbind(1)
    q = auxiliary / (main.abs() + auxiliary.abs())
    helps = (auxiliary > 0).double().mean(0)
    same = _same_sign(gains).mean(0)
    digits = 2 * (main[:10] > 0).double() + (auxiliary[:10] > 0).double()
    return {
        "worse": (main < 0).double().mean(0),
        "rarer": torch.minimum(helps, 1 - helps),
        "same main": same[0],
        "same auxiliary": same[1],
        "q_mean": q.mean(0),
        "q_variance": q.var(0),
        "signs": (digits * 4.0 ** torch.arange(len(digits), dtype=torch.float64)[:, None]).sum(0),
    }


def tried(step: Step, rate: float, weigh: HydaLearn, metric: Evaluate) -> dict[str, Tensor]:
    """What the steps of UNIT and RAW gain from this state and batch, at the moved heads, (runs,) each, larger is better.

    weigh: its weights, eq. 4 off, are HydaLearn's; `share`: the main one's share; `seen main`, `seen auxiliary`: the gains of
    unit steps on its own rows. metric: (halves, runs), smaller is better, of the gains; "metric": the step along its gradient.
    same main, same auxiliary: whether a unit step's gain has one sign on both halves. cosine of, ratio of: the angle of the two
    gradients and how much longer the auxiliary one is.
    """
    weights, norms = weigh(step), step.jacobian.norm(dim=-1)
    assert weigh.gains is not None
    moved = {name: -rate * gradient for name, gradient in step.head_gradients().items()}
    slope = step.look_ahead_gradient(lambda call: metric(call).mean(0), moved)
    # The slope counts as a third gradient, so that every step is a combination of three.
    three = {name: torch.cat([each, slope[name][None]]) for name, each in step.gradients.items()}
    zero, one = torch.zeros_like(norms[:, 0]), torch.ones_like(norms[:, 0])
    along = {
        "main": (one, zero, zero),
        "auxiliary": (zero, one, zero),
        "HydaLearn": (*weights.unbind(-1), zero),
        "cosine": (*GradientCosine()(step).unbind(-1), zero),
        "metric": (zero, zero, one),
        "HydaLearn, raw": (*weights.unbind(-1), zero),
        "equal, raw": (one, one, zero),
        "main, raw": (one, zero, zero),
    }
    factors = torch.stack([torch.stack(along[name], -1) for name in UNIT + RAW])
    lengths = (factors[: len(UNIT)].transpose(0, 1) @ step.flat(three)).norm(dim=-1).T[..., None]
    factors[: len(UNIT)] /= lengths.clamp_min(torch.finfo(lengths.dtype).tiny)
    updates = {name: -rate * torch.einsum("trk,kr...->tr...", factors, each) for name, each in three.items()}
    before, *after = step.look_ahead(updates, metric, moved, reference=True)
    gains = before - torch.stack(after)
    same = _same_sign(gains)
    return dict(zip(UNIT + RAW, gains.mean(1), strict=True)) | {
        "same main": same[0],
        "same auxiliary": same[1],
        "seen main": weigh.gains[:, 0],
        "seen auxiliary": weigh.gains[:, 1],
        "share": weights[:, 0] / weights.sum(-1),
        "cosine of": (step.jacobian[:, 0] * step.jacobian[:, 1]).sum(-1) / norms.prod(-1),
        "ratio of": norms[:, 1] / norms[:, 0],
    }


def _same_sign(gains: Tensor) -> Tensor:
    """1 where both halves of gains (n, halves, ...) agree, else 0."""
    return ((gains > 0).all(1) | (gains <= 0).all(1)).double()


def _metric(rows: PairedSamples) -> Evaluate:
    """The main metric, in double precision: the gain of a short step would drown in the rounding of single precision."""
    score, _ = METRICS["MAE"]
    targets = rows.main.double()
    return lambda call: score(call(rows.x, 0).double(), targets)


def _halves(rows: PairedSamples) -> Callable[[Call], Tensor]:
    """The main metric of each half of the rows, (2, runs)."""
    targets, half = rows.main.double(), rows.x.shape[1] // 2

    def halves(call: Call) -> Tensor:
        outputs = call(rows.x, 0).double()
        return torch.stack([mean_absolute_error(outputs[:, at], targets[:, at]) for at in (slice(half), slice(half, None))])

    return halves


def _batches(train: PairedSamples, size: int, count: int, seeds: Sequence[int]) -> list[Batch]:
    """The first mini-batches of an order of their own, the same ones for every state."""
    drawn = zip(range(count), stream(train, size, [generator(seed, "fixed batches", size) for seed in seeds]), strict=False)
    return [Batch(part.x, [part.main, part.auxiliary]) for _, part in drawn]


def _rows(kind: str, seeds: Sequence[int], at: Mapping[str, Any], columns: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """One row per seed, five significant digits."""
    values = {name: column.tolist() for name, column in columns.items()}
    return [
        {"kind": kind, "seed": seed, **at}
        | {name: value[i] if name == "signs" else float(f"{value[i]:.5g}") for name, value in values.items()}
        for i, seed in enumerate(seeds)
    ]
