"""Algorithm 1 of the HydaLearn paper against a version written out by hand: its weights, its switches, its cost."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from mtlrepro.device import NETWORK, THEORY, generator, seeded
from mtlrepro.errors import UnknownName
from mtlrepro.methods.hydalearn import HydaLearn, gain_weights
from mtlrepro.methods.scale_matched import ScaleMatched
from mtlrepro.methods.static import Static
from mtlrepro.models.shared_bottom import SharedBottom
from mtlrepro.models.stacked_mlp import StackedMLP
from mtlrepro.papers.hydalearn.thm1_weight_ratio import BATCH, INPUTS, OUTPUTS, POINTS, first_order_value, squared
from mtlrepro.papers.hydalearn.training.tuned_runs import Traced
from mtlrepro.training.loop import fit, train_step
from mtlrepro.training.metrics import mean_absolute_error, mean_squared_error
from mtlrepro.training.weighting import Batch, Call, Weighting

# ---------------------------------------------------------------------------------------------------------------------
# Algorithm 1 written out
# ---------------------------------------------------------------------------------------------------------------------

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
class Settings:
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
    model: SharedBottom, batches: Iterable[Batch], metric: Callable[[nn.Module], Tensor], settings: Settings
) -> list[tuple[float, float, float, float, float]]:
    """Algorithm 1, line by line, for one model; returns (w_m, w_a, δ_m, δ_a, e) of every step and leaves the model trained.

    e: the reference μ minus M at the moved heads and the unmoved shared parameters, 0 unless it is carried over. Nothing is
    shared with `HydaLearn`: Python numbers, and parameters set by hand. metric: in its own sign.
    """
    s, shared = settings, list(model.shared_parameters())
    sign = 1.0 if s.maximise else -1.0
    mu = sign * float(metric(model).detach())  # line 9, where no value is given: that of the initial model
    trace = []
    for batch in batches:  # lines 28 and 29
        before = [p.detach().clone() for p in shared]
        gradients, updates = [], []
        for task in range(2):
            heads, loss = model.head_parameters(task), mean_squared_error(model(batch.inputs, task), batch.targets[task])
            found = torch.autograd.grad(loss, shared + heads)
            gradients.append(list(found[: len(shared)]))
            updates += list(zip(heads, found[len(shared) :], strict=True))
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
            weights, error = _weights_by_hand(main, aux, s), mu - now  # line 20
            mu = values[0] if main >= aux else values[1]  # lines 21 to 25
            for p, start, g, h in zip(shared, before, *gradients, strict=True):
                p.copy_(start - s.rate * (weights[0] * g + weights[1] * h))  # lines 35 and 36
        trace.append((*weights, main, aux, error))
    return trace


def _weights_by_hand(main: float, aux: float, s: Settings) -> tuple[float, float]:
    if (main >= 0) != (aux >= 0):
        return (s.total, 0.0) if main >= 0 else (0.0, s.total)
    if main * aux == 0:  # a dead network gains nothing
        return (s.total / 2, s.total / 2) if main == aux else (s.total, 0.0) if main > aux else (0.0, s.total)
    ratio = (main / aux) ** (-s.beta if s.invert_negative and main < 0 else s.beta)  # eq. 5
    total = s.total / (1 + math.exp(-1 / ratio)) if s.downscale and main < 0 else s.total  # eq. 4
    return total * ratio / (1 + ratio), total / (1 + ratio)


def try_algorithm(name: str, seeds: list[int], steps: int) -> dict[str, float]:
    """`HydaLearn` beside `written_out`, from the same start on the same batches, with the switches `name` of SWITCHES.

    worst: largest difference of any parameter after the last step, or of any weight in any step. both_positive, both_negative,
    mixed: steps of either kind. off: steps in which the reference is not the metric of the parameters; off_median: median
    |error| of the reference there, over the median |δ_m - δ_a|, which no reference changes.
    """
    errors, differences, worst, cases = list[float](), list[float](), 0.0, {"both_positive": 0, "both_negative": 0, "mixed": 0}
    for seed in seeds:
        switches = dict(SWITCHES[name])
        settings = Settings(rate=0.4, total=2.0, beta=3.0, **switches)
        models = [_network(seed) for _ in range(2)]
        batches = [_samples(BATCH, seed, f"batch {step}") for step in range(steps)]
        held = _samples(POINTS, seed, "validation")
        score = -1.0 if settings.maximise else 1.0

        def metric(call: Call, held: Batch = held, score: float = score) -> Tensor:
            return score * mean_absolute_error(call(held.inputs, 0), held.targets[0])

        trace = written_out(models[0], batches, metric, settings)
        matched = switches.pop("matched", False)
        maximise = switches.pop("maximise", False)
        inner = HydaLearn(metric, maximise=maximise, beta=settings.beta, total=settings.total, **switches)
        weighting: Weighting = ScaleMatched(inner) if matched else inner
        optimizer = torch.optim.SGD(models[1].parameters(), lr=settings.rate)
        for batch, (*weights, main, aux, error) in zip(batches, trace, strict=True):
            train_step(models[1], batch, squared, optimizer, weighting)
            assert inner.weights is not None
            worst = max(worst, float((inner.weights - torch.tensor(weights, dtype=THEORY)).abs().max()))
            errors.append(abs(error))
            differences.append(abs(main - aux))
            cases["both_positive" if min(main, aux) >= 0 else "both_negative" if max(main, aux) < 0 else "mixed"] += 1
        pairs = zip(*(model.parameters() for model in models), strict=True)
        worst = max(worst, *(float((a - b).detach().abs().max()) for a, b in pairs))
    off = [error for error in errors if error > 1e-12]
    size = statistics.median(off) / statistics.median(differences) if off else 0.0
    return {"runs": len(seeds), "steps": len(errors), "worst": worst, "off": len(off), "off_median": size} | cases


def try_negative(count: int, seed: int, beta: float, total: float = 2.0) -> dict[str, float]:
    """The printed rule on `count` pairs of negative gains, log-normal in size.

    wrong: pairs where the task that hurts more has the larger weight. worse_than_equal: pairs where the first-order harm of the
    rule without eq. 4 is larger than that of equal weights. factor_low, factor_high: extremes of eq. 4's W' / W.
    outside: pairs where that is outside (1/2, 1), rounding to an end not counted.
    """
    drawn = torch.randn(count, 2, generator=generator(seed, "negative"), dtype=THEORY)
    gains = -drawn.exp()
    weights = gain_weights(gains, total, beta)
    worse = gains.argmin(-1, keepdim=True)
    factor = weights.sum(-1) / total
    return {
        "n": count,
        "wrong": int((weights.gather(-1, worse) > weights.gather(-1, 1 - worse)).sum()),
        "worse_than_equal": int((first_order_value(gains, beta) < gains.mean(-1)).sum()),
        "factor_low": factor.min().item(),
        "factor_high": factor.max().item(),
        "outside": int(((factor < 0.5 - 1e-12) | (factor > 1 + 1e-12)).sum()),
    }


# ---------------------------------------------------------------------------------------------------------------------
# Beyond the paper: cost of first-order gains, several auxiliary tasks, an own model
# ---------------------------------------------------------------------------------------------------------------------


def step_costs(rounds: int, points: int, refresh: int = 8) -> dict[str, float]:
    """What steps cost beside a plain static step of the same network (Exp1's), one run, batch 16: medians over `rounds`.

    The kinds take turns, and times are processor time, so that other work on the machine falls on all alike. points:
    validation samples of the metric. Renewed: one gradient of the metric serves `refresh` steps.
    """
    inputs, outputs = 75, 25
    drawn = generator(0, "costs")

    def normal(n: int, last: int) -> Tensor:
        return torch.randn(1, n, last, generator=drawn)

    batch, held, wanted = (
        Batch(normal(16, inputs), [normal(16, outputs) for _ in range(2)]),
        normal(points, inputs),
        normal(points, 25),
    )

    def metric(call: Call) -> Tensor:
        return mean_absolute_error(call(held, 0), wanted)

    kinds: dict[str, tuple[Weighting, int]] = {
        "static": (Static(), 1),
        "HydaLearn": (HydaLearn(metric, maximise=False), 1),
        "first order": (HydaLearn(metric, maximise=False, first_order=True), 1),
        f"first order, renewed every {refresh} steps": (
            HydaLearn(metric, maximise=False, first_order=True, refresh=refresh),
            refresh,
        ),
    }
    models = {name: StackedMLP(inputs, [64] * 4, [32], [outputs] * 2, [generator(0)], NETWORK) for name in kinds}
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds + 2):
        for name, (weighting, steps) in kinds.items():
            optimizer = torch.optim.SGD(models[name].parameters(), lr=0.01)
            start = time.process_time()
            for _ in range(steps):
                train_step(models[name], batch, squared, optimizer, weighting)
            taken[name].append((time.process_time() - start) / steps)
    static = taken.pop("static")[2:]
    return {n: statistics.median(a / b for a, b in zip(t[2:], static, strict=True)) for n, t in taken.items()}


def several(seeds: list[int], steps: int, rate: float, beta: float, method: str) -> list[dict[str, Any]]:
    """Our extension to three tasks: main, a related auxiliary one, and one whose labels are shuffled; scale-matched updates.

    Labels of eq. 11 softened, 25 inputs, 5 outputs, 300 training samples, 200 to validate, 1,000 to test. method: "HydaLearn",
    "equal weights" or "single task". One row a seed: the test error where the validation error is best, and the mean shares.
    Raises UnknownName for another method.
    """
    if method not in SEVERAL:
        raise UnknownName("method", method, SEVERAL)
    drawn = [_three_tasks(seed) for seed in seeds]
    train, validation, test = (
        Batch(torch.stack([d[part][0] for d in drawn]), [torch.stack([d[part][1][t] for d in drawn]) for t in range(3)])
        for part in range(3)
    )

    def error(call: Call, on: Batch) -> Tensor:
        return mean_absolute_error(call(on.inputs, 0), on.targets[0])

    inner = {
        "HydaLearn": HydaLearn(lambda call: error(call, validation), maximise=False, beta=beta, total=3.0),
        "equal weights": Static(),
        "single task": Static([1.0, 0.0, 0.0]),
    }[method]
    weighting = Traced(inner)
    model = StackedMLP(25, [40] * 2, [20], [5] * 3, [generator(seed, "model") for seed in seeds], NETWORK)
    orders = [generator(seed, "order") for seed in seeds]
    row, check = torch.arange(len(seeds))[:, None], max(1, steps // 20)

    def batches(_: int) -> Iterable[Batch]:
        for _ in range(check):
            index = torch.stack([torch.randint(train.inputs.shape[1], (16,), generator=order) for order in orders])
            yield Batch(train.inputs[row, index], [y[row, index] for y in train.targets])

    fit(
        model,
        batches,
        squared,
        optimizer=torch.optim.SGD(model.parameters(), lr=rate),
        epochs=steps // check,
        weighting=weighting if method == "single task" else ScaleMatched(weighting),
        validate=lambda m: -error(m, validation)[:, None],
    )
    with torch.no_grad():
        found = error(model, test)
    weights = torch.stack(weighting.trace)
    shares = (weights / weights.sum(-1, keepdim=True)).mean(0)
    return [
        {"seed": seed, "method": method, "test": found[i].item()}
        | {name: shares[i, t].item() for t, name in enumerate(("main", "related", "shuffled"))}
        for i, seed in enumerate(seeds)
    ]


SEVERAL = ("HydaLearn", "equal weights", "single task")


def _three_tasks(seed: int) -> list[tuple[Tensor, list[Tensor]]]:
    """(x, labels of the three tasks) of the training, validation and test samples."""
    drawn = generator(seed, "three tasks")

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=drawn, dtype=NETWORK)

    basis, own, x = math.sqrt(10) * normal(25, 5), math.sqrt(3.5) * normal(2, 25, 5), normal(1500, 25)
    labels = [torch.tanh(x @ (basis + each) / math.sqrt(25 * 13.5)) + 0.1 * normal(1500, 5) for each in own]
    labels.append(labels[1][torch.randperm(1500, generator=drawn)])
    return [(x[rows], [y[rows] for y in labels]) for rows in (slice(300), slice(300, 500), slice(500, None))]


def own_example() -> tuple[SharedBottom, DataLoader[Any], DataLoader[Any]]:
    """An ordinary model of two tasks, a yes-no label and a number, with its training and validation loaders, seeded."""
    drawn = generator(0, "own model")
    x, noise = torch.randn(400, 5, generator=drawn), torch.randn(2, 400, generator=drawn)
    signal = x @ torch.tensor([1.0, -1.0, 0.5, 0.0, 0.0])
    whole = (x, (signal + noise[0] > 0).float(), signal + noise[1])
    training, validation = (TensorDataset(*(part[rows] for part in whole)) for rows in (slice(300), slice(300, None)))
    with seeded(0, "own model"):
        heads = [nn.Sequential(nn.Linear(16, 1), nn.Flatten(0)) for _ in range(2)]
        model = SharedBottom(nn.Sequential(nn.Linear(5, 16), nn.ReLU()), heads)
    return model, DataLoader(training, 16, shuffle=True, generator=drawn), DataLoader(validation, 64)


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
