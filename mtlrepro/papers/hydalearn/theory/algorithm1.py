"""Algorithm 1 of the HydaLearn paper written out by hand, beside the method's code, and its rule on two negative gains."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mtlrepro.device import THEORY, generator, seeded
from mtlrepro.methods.hydalearn import HydaLearn, gain_weights
from mtlrepro.methods.scale_matched import ScaleMatched
from mtlrepro.models.shared_bottom import SharedBottom
from mtlrepro.papers.hydalearn.theory.theorem1 import BATCH, INPUTS, OUTPUTS, POINTS, SQUARED, first_order_value
from mtlrepro.training.loop import train_step
from mtlrepro.training.metrics import mean_absolute_error, mean_squared_error
from mtlrepro.training.weighting import Batch, Call, Weighting

SWITCHES: dict[str, dict[str, bool]] = {
    "ExpImp-0: normalised, eq. 4": {},
    "fake steps raw": {"normalise": False},
    "without eq. 4": {"downscale": False},
    "reference carried over, as printed": {"carried": True},
    "inverted": {"invert_negative": True},
    "inverted, without eq. 4, raw": {"invert_negative": True, "downscale": False, "normalise": False},
    "scale-matched": {"matched": True},
    "scale-matched, raw, carried over": {"matched": True, "normalise": False, "carried": True},
    "larger is better": {"maximise": True},
    "larger is better, carried over": {"maximise": True, "carried": True},
}


@dataclass
class Switches:
    """Switches of `written_out`, named as those of `HydaLearn`; matched: as `ScaleMatched`."""

    rate: float
    total: float
    beta: float
    maximise: bool = False
    normalise: bool = True
    downscale: bool = True
    invert_negative: bool = False
    carried: bool = False
    matched: bool = False


def written_out(
    model: SharedBottom, batches: Iterable[Batch], metric: Callable[[nn.Module], Tensor], switches: Switches
) -> list[tuple[float, float, float, float, float]]:
    """Algorithm 1, line by line, for one model; returns (w_m, w_a, δ_m, δ_a, e) of every step and leaves the model trained.

    e: the reference μ minus M at the moved heads and the unmoved shared parameters, 0 unless it is carried over. Nothing is
    shared with `HydaLearn`: Python numbers, and parameters set by hand. metric: in its own sign.
    """
    s, shared = switches, list(model.shared_parameters())
    sign = 1.0 if s.maximise else -1.0
    mu = sign * float(metric(model).detach())  # line 9, where no value is given: that of the initial model
    trace = []
    for batch in batches:  # lines 28 and 29
        before = [p.detach().clone() for p in shared]
        gradients, updates = [], []
        for task in range(2):
            heads, loss = model.head_parameters(task), mean_squared_error(model(batch.inputs, task), batch.targets[task])
            both = torch.autograd.grad(loss, shared + heads)
            gradients.append(list(both[: len(shared)]))
            updates += list(zip(heads, both[len(shared) :], strict=True))
        with torch.no_grad():
            for p, g in updates:
                p.sub_(s.rate * g)  # lines 31 and 32
            norms = [math.sqrt(sum(float(g.square().sum()) for g in each)) for each in gradients]
            if s.matched and norms[1] > 0:
                gradients[1] = [g * norms[0] / norms[1] for g in gradients[1]]
                norms[1] = norms[0]
            now = sign * float(metric(model))
            mu = mu if s.carried else now
            values = []
            for each, norm in zip(gradients, norms, strict=True):
                for p, start, g in zip(shared, before, each, strict=True):
                    p.copy_(start - s.rate * g / (norm if s.normalise and norm > 0 else 1.0))  # lines 13 and 17
                values.append(sign * float(metric(model)))  # lines 14 and 18
            main, aux = values[0] - mu, values[1] - mu  # lines 15 and 19
            weights, error = weights_by_hand(main, aux, s), mu - now  # line 20
            mu = values[0] if main >= aux else values[1]  # lines 21 to 25
            for p, start, g, h in zip(shared, before, *gradients, strict=True):
                p.copy_(start - s.rate * (weights[0] * g + weights[1] * h))  # lines 35 and 36
        trace.append((*weights, main, aux, error))
    return trace


def weights_by_hand(main: float, aux: float, s: Switches) -> tuple[float, float]:
    if (main >= 0) != (aux >= 0):
        return (s.total, 0.0) if main >= 0 else (0.0, s.total)
    if main * aux == 0:  # a dead network gains nothing
        return (s.total / 2, s.total / 2) if main == aux else (s.total, 0.0) if main > aux else (0.0, s.total)
    ratio = (main / aux) ** (-s.beta if s.invert_negative and main < 0 else s.beta)  # eq. 5
    total = s.total / (1 + math.exp(-1 / ratio)) if s.downscale and main < 0 else s.total  # eq. 4
    return total * ratio / (1 + ratio), total / (1 + ratio)


def algorithm(name: str, seeds: list[int], steps: int) -> dict[str, float]:
    """`HydaLearn` beside `written_out`, from the same start on the same batches, with the switches `name` of SWITCHES.

    worst: largest difference of any parameter after the last step, or of any weight in any step. both_positive, both_negative,
    mixed: steps of either kind. off: steps in which the reference is not the metric of the parameters; off_median: median
    |error| of the reference there, over the median |δ_m - δ_a|, which no reference changes.
    """
    errors, differences, worst, cases = list[float](), list[float](), 0.0, {"both_positive": 0, "both_negative": 0, "mixed": 0}
    switches = Switches(rate=0.4, total=2.0, beta=3.0, **SWITCHES[name])
    options = {option: on for option, on in SWITCHES[name].items() if option != "matched"}
    for seed in seeds:
        ours, by_hand = _network(seed), _network(seed)
        batches = [_samples(BATCH, seed, f"batch {step}") for step in range(steps)]
        held = _samples(POINTS, seed, "validation")
        score = -1.0 if switches.maximise else 1.0

        def metric(call: Call, held: Batch = held, score: float = score) -> Tensor:
            return score * mean_absolute_error(call(held.inputs, 0), held.targets[0])

        inner = HydaLearn(metric, total=switches.total, beta=switches.beta, **({"maximise": False} | options))
        weighting: Weighting = ScaleMatched(inner) if switches.matched else inner
        optimizer = torch.optim.SGD(ours.parameters(), lr=switches.rate)
        trace = written_out(by_hand, batches, metric, switches)
        for batch, (*weights, main, aux, error) in zip(batches, trace, strict=True):
            train_step(ours, batch, SQUARED, optimizer, weighting)
            assert inner.weights is not None
            worst = max(worst, float((inner.weights - torch.tensor(weights, dtype=THEORY)).abs().max()))
            errors.append(abs(error))
            differences.append(abs(main - aux))
            cases["both_positive" if min(main, aux) >= 0 else "both_negative" if max(main, aux) < 0 else "mixed"] += 1
        pairs = zip(ours.parameters(), by_hand.parameters(), strict=True)
        worst = max(worst, *(float((a - b).detach().abs().max()) for a, b in pairs))
    off = [error for error in errors if error > 1e-12]
    size = statistics.median(off) / statistics.median(differences) if off else 0.0
    return {"runs": len(seeds), "steps": len(errors), "worst": worst, "off": len(off), "off_median": size} | cases


def negative(beta: float, count: int, seed: int) -> dict[str, float]:
    """The printed rule on `count` pairs of negative gains, log-normal in size.

    wrong: pairs where the task that hurts more has the larger weight. worse_than_equal: pairs where the first-order harm of the
    rule without eq. 4 is larger than that of equal weights. factor_low, factor_high: extremes of eq. 4's W' / W.
    outside: pairs where that is outside (1/2, 1), rounding to an end not counted.
    """
    drawn = torch.randn(count, 2, generator=generator(seed, "negative"), dtype=THEORY)
    gains = -drawn.exp()
    weights = gain_weights(gains, 2.0, beta)
    worse = gains.argmin(-1, keepdim=True)
    factor = weights.sum(-1) / 2
    return {
        "n": count,
        "wrong": int((weights.gather(-1, worse) > weights.gather(-1, 1 - worse)).sum()),
        "worse_than_equal": int((first_order_value(gains, beta) < gains.mean(-1)).sum()),
        "factor_low": factor.min().item(),
        "factor_high": factor.max().item(),
        "outside": int(((factor < 0.5 - 1e-12) | (factor > 1 + 1e-12)).sum()),
    }


def _network(seed: int) -> SharedBottom:
    with seeded(seed, "algorithm 1"):
        bottom = nn.Sequential(nn.Linear(INPUTS, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
        heads = [nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, OUTPUTS)) for _ in range(2)]
        return SharedBottom(bottom, heads).to(THEORY)


def _samples(n: int, seed: int, name: str) -> Batch:
    drawn = generator(seed, "algorithm 1", name)
    x = torch.randn(n, INPUTS, generator=drawn, dtype=THEORY)
    noise = torch.randn(2, n, OUTPUTS, generator=drawn, dtype=THEORY)
    return Batch(x, [torch.tanh(x[:, task : task + OUTPUTS]) + 0.5 * noise[task] for task in range(2)])
