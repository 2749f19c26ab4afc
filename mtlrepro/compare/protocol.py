"""The protocol: every method on a problem with the same network, the same number of tuning trials and paired seeds.

All trials of all seeds are one batch of runs. A seed stands for a split, a start and an order of batches, the same for every
method. Each seed takes the trial and the state that are best for the main task on validation data; test data are looked at for
these alone. Weights act on the shared parameters; every head follows its own plain loss, so that all heads learn at one rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mtlrepro.compare.problems import METRICS, Part, Problem, Task, at, parts_at
from mtlrepro.device import generator
from mtlrepro.errors import BadValue
from mtlrepro.methods import registry
from mtlrepro.training.loop import RunwiseSGD, fit, minibatches
from mtlrepro.training.metrics import auroc
from mtlrepro.training.weighting import Batch, Call, Step, Weighting, WeightingWrapper

CHECKS = 20  # validations of a training
MEASURED = 200  # validation samples on which a method may measure the main task
REFERENCE = "static"
BASELINES = ("single_task", "equal", REFERENCE, "random_weights")


def methods_for(problem: Problem, wanted: Iterable[str] = ()) -> list[str]:
    """The methods whose needs the problem meets, in the registry's order: all, or those of `wanted` with the baselines.

    Raises UnknownName for a method that does not exist.
    """
    wanted = [name for name in wanted if registry.METHODS[name]]
    lacking: list[registry.Need] = ["validation"] if any(task.kind == "values" for task in problem.tasks) else []
    served = registry.serving(len(problem.tasks), lacking, variants=bool(wanted))
    return [name for name in served if not wanted or name in {*wanted, *BASELINES}]


def settings(
    places: Mapping[str, str],
    seeds: Sequence[int],
    trials: int,
    share: float = 1.0,
    wanted: Iterable[str] = (),
    at_once: int = 5,
) -> list[dict[str, Any]]:
    """Arguments of `measure`: every problem (name -> its place), every method that it serves, some seeds a call.

    share: of each problem's steps. Raises BadValue and UnknownName.
    """
    wanted = list(wanted)
    return [
        {
            "problem": name,
            "place": where,
            "method": method,
            "seeds": list(seeds[i : i + at_once]),
            "trials": trials,
            "share": share,
        }
        for name, where in places.items()
        for method in methods_for(at(where), wanted)
        for i in range(0, len(seeds), at_once)
    ]


def grid(name: str, rates: tuple[float, float], trials: int) -> list[dict[str, float]]:
    """`trials` settings of a method: its own grid's values, each at learning rates evenly spaced in logarithm.

    A method with nothing else to tune gets as many more rates. Raises BadValue where the trials do not divide into the values.
    """
    own = registry.METHODS[name].points()
    if trials % len(own) or trials // len(own) < 2:
        raise BadValue(
            f"{trials} trials do not hold the {len(own)} values of {name} at two learning rates or more: take another."
        )
    each = torch.logspace(math.log10(rates[0]), math.log10(rates[1]), trials // len(own), dtype=torch.float64).tolist()
    return [{"learning_rate": rate} | values for rate in each for values in own]


def measure(problem: str, place: str, method: str, seeds: Sequence[int], trials: int, share: float) -> list[dict[str, Any]]:
    """Train one method on a problem: a row per seed. problem: its name; the rest as `settings` gives it.

    Row: validation and test metric of the chosen state, the learning `rate` and the method's own `parameter` of the chosen
    trial, whether the rate is `inside` the grid, the updates until the state (`step`), gradients of a loss in an update
    (`gradients`), the `cost` of an update in plain ones, and the same choice within as many updates as cost what all plain ones
    do, one check at least: `equal_cost_*`.
    """
    of = at(place)
    tried, parts = grid(method, of.rates, trials), parts_at(place, tuple(seeds))
    steps = max(CHECKS, round(of.steps * share))
    states, scores, cost = train(of, parts, method, seeds, tried, steps)
    rates = [point["learning_rate"] for point in tried]
    own = next(iter(registry.METHODS[method].grid), "")
    larger, _ = METRICS[of.metric]
    rows: list[dict[str, Any]] = [
        {"seed": seed, "title": of.title, "metric": of.metric, "tasks": len(of.tasks), "traits": ", ".join(of.traits)}
        | {"gradients": gradients(method, len(of.tasks)), "cost": round(cost, 3)}
        for seed in seeds
    ]
    affordable = max(1, min(len(scores), int(len(scores) / cost)))
    for prefix, until in (("", len(scores)), ("equal_cost_", affordable)):
        check, point = chosen(scores[:until], len(tried))
        run = torch.arange(len(seeds)) * len(tried) + point
        kept = {name: value[check, run] for name, value in states.items()}
        model = of.model(_width(parts[0]), [generator(seed, "model") for seed in seeds])
        with torch.no_grad():
            test = _main_score(of, partial(_called, model, kept), parts[2])
        for i, row in enumerate(rows):
            of_point = tried[int(point[i])]
            best = float(scores[check[i], run[i]])
            row |= {f"{prefix}test": float(test[i]), f"{prefix}validation": best if larger else -best}
            row |= {f"{prefix}step": int(check[i] + 1) * (steps // CHECKS), f"{prefix}rate": round(of_point["learning_rate"], 5)}
            row |= {f"{prefix}parameter": of_point.get(own), f"{prefix}inside": rates[0] < of_point["learning_rate"] < rates[-1]}
    return rows


def chosen(scores: Tensor, trials: int) -> tuple[Tensor, Tensor]:
    """The check and the trial of each seed with the largest validation score; the earliest where several are equal.

    scores: (checks, seeds * trials), NaN for a run that diverged. Returns two (seeds,) int64.
    """
    by_seed = scores.nan_to_num(-torch.inf).view(len(scores), -1, trials).transpose(0, 1).flatten(1)
    best = by_seed.argmax(1)
    return best // trials, best % trials


def _called(model: nn.Module, parameters: dict[str, Tensor], *inputs: Any) -> Any:
    return functional_call(model, parameters, inputs)


def train(
    problem: Problem,
    parts: tuple[Part, Part, Part],
    method: str,
    seeds: Sequence[int],
    tried: Sequence[Mapping[str, float]],
    steps: int,
) -> tuple[dict[str, Tensor], Tensor, float]:
    """All trials of all seeds as one batch: the states at every check (checks, runs, ...), the main task's validation scores
    (checks, runs), larger is better, and the cost of an update in plain updates. parts: of `seeds`; the test part is not read."""
    count, needs = len(tried), registry.METHODS[method].needs
    each_seed = [seed for seed in seeds for _ in tried]
    own = {name: torch.tensor([point[name] for point in tried]).repeat(len(seeds)) for name in tried[0]}
    model = problem.model(_width(parts[0]), [generator(seed, "model") for seed in each_seed])
    held = _repeated(parts[1], count)
    sizes = [x.shape[1] for x in _each_input(parts[0])]
    plain = sum(min(problem.batch, n) for n in sizes)
    backward = plain if len(sizes) > 1 or "gradients" not in needs else plain * len(problem.tasks)
    backward += min(MEASURED, _each_input(held)[0].shape[1]) if "slope" in needs else 0
    weighting = Costed(_weighting(problem, method, held, each_seed, own), model, plain, backward)
    orders = [[generator(seed, "order", i) for seed in seeds] for i in range(len(sizes))]
    streams = [_endless(n, min(problem.batch, n), each) for n, each in zip(sizes, orders, strict=True)]

    def batches(_: int) -> Iterator[Batch]:
        for _ in range(steps // CHECKS):
            part = _repeated(_rows(parts[0], [next(stream) for stream in streams]), count)
            yield Batch(part.inputs, part.targets)

    states: dict[str, list[Tensor]] = {name: [] for name, _ in model.named_parameters()}

    def validate(trained: nn.Module) -> Tensor:
        for name, p in trained.named_parameters():
            states[name].append(p.detach().clone())
        larger, _ = METRICS[problem.metric]
        main = _main_score(problem, trained, held) * (1 if larger else -1)
        others = [_accuracy(task, trained(x, i), y) for i, (task, x, y) in enumerate(_tasks(problem, held)) if i]
        return torch.stack([main, *others], -1)

    result = fit(
        model, batches, _losses(problem), optimizer=RunwiseSGD(model.parameters(), own["learning_rate"]), epochs=CHECKS,
        weighting=weighting, validate=validate, select=lambda metrics: metrics[..., 0],
    )  # fmt: skip
    return {name: torch.stack(values) for name, values in states.items()}, result.validation[..., 0], weighting.cost


def gradients(method: str, tasks: int) -> int:
    """Gradients of a loss that a method takes in an update: of every task, or of the sum; one more for a slope."""
    needs = registry.METHODS[method].needs
    return (tasks if "gradients" in needs else 1) + ("slope" in needs)


class Costed(WeightingWrapper):
    """Another weighting, with the cost of an update counted in its second one; heads follow their own losses.

    cost: of an update, in those of a plain one: samples through the network forward, and twice those backward. A derivative along
    a direction (forward mode) counts as its forward pass. plain: samples of a plain update; backward: of the method's own.
    """

    def __init__(self, inner: Weighting, model: nn.Module, plain: int, backward: int) -> None:
        super().__init__(inner)
        self.weight_heads = False
        self.steps, self.forward, self.plain, self.backward, self.cost = 0, 0, plain, backward, 1.0
        model.register_forward_hook(self._count)

    def _count(self, model: nn.Module, inputs: tuple[Any, ...], outputs: Any) -> None:
        self.forward += inputs[0].shape[1]

    def __call__(self, step: Step) -> Tensor:
        """What the inner weighting gives."""
        self.steps += 1
        self.forward = self.plain  # the step's own losses
        return self.inner(step)

    def after_update(self, new_losses: Callable[[], Tensor]) -> None:
        """Passed on."""
        self.inner.after_update(new_losses)
        if self.steps == 2:  # some methods look back at the step before
            self.cost = (self.forward + 2 * self.backward) / (3 * self.plain)


def _weighting(problem: Problem, method: str, held: Part, seeds: Sequence[int], own: Mapping[str, Tensor]) -> Weighting:
    """The method, offered what it may ask for; one that needs a slope gets the main loss in place of the metric."""
    slope = "slope" in registry.METHODS[method].needs
    larger, _ = METRICS[problem.metric]
    inputs, targets = _each_input(held)[0][:, :MEASURED], held.targets[0][:, :MEASURED]
    some = Part(inputs, (targets,))
    metric: Callable[[Call], Tensor] = lambda call: _main_score(problem, call, some)
    loss: Callable[[Call], Tensor] = lambda call: _loss(problem.tasks[0], call(inputs, 0), targets)
    offered = {
        "metric": loss if slope else metric,
        "maximise": larger and not slope,
        "kinds": ["regression" if task.kind == "values" else "classification" for task in problem.tasks],
        "generators": [generator(seed, "weights") for seed in seeds],
        "total": float(len(problem.tasks)),
        "tasks": len(problem.tasks),
    }
    return registry.build(method, offered, **{name: value for name, value in own.items() if name != "learning_rate"})


def _losses(problem: Problem) -> Callable[[Call, Batch], Tensor]:
    """(runs, tasks): one forward pass where the tasks share their inputs, else one a task."""

    def losses(call: Call, batch: Batch) -> Tensor:
        shared = isinstance(batch.inputs, Tensor)
        outputs = call(batch.inputs) if shared else [call(x, i) for i, x in enumerate(batch.inputs)]
        return torch.stack([_loss(*each) for each in zip(problem.tasks, outputs, batch.targets, strict=True)], -1)

    return losses


def _loss(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """(runs,): mean loss of the known targets. outputs: (runs, n, outputs)."""
    if task.kind == "classes":
        return nn.functional.cross_entropy(outputs.transpose(1, 2), targets, reduction="none").mean(1)
    known = targets.isfinite()
    targets = targets.where(known, 0)
    logits = task.kind == "binary"
    each = nn.functional.binary_cross_entropy_with_logits if logits else nn.functional.mse_loss
    return (each(outputs, targets, reduction="none") * known).sum((1, 2)) / known.sum((1, 2)).clamp_min(1)


def _accuracy(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """(runs,) share of right answers among the known ones; of values there is none, and it is NaN."""
    if task.kind == "values":
        return outputs.new_full(outputs.shape[:1], torch.nan)
    if task.kind == "classes":
        return (outputs.argmax(-1) == targets).to(outputs.dtype).mean(1)
    known = targets.isfinite()
    return (((outputs > 0) == (targets > 0.5)) & known).sum((1, 2)) / known.sum((1, 2)).clamp_min(1)


def _main_score(problem: Problem, call: Call, part: Part) -> Tensor:
    """(runs,): the main task's metric, in its own sign; NaN where an output is not finite."""
    outputs, targets = call(_each_input(part)[0], 0), part.targets[0]
    if problem.metric == "AUROC":
        return torch.stack([auroc(o[k], t[k]) for o, t, k in zip(outputs, targets, targets.isfinite(), strict=True)]).to(
            outputs.dtype
        )
    if problem.metric == "accuracy":
        score = _accuracy(problem.tasks[0], outputs, targets)
        return score.where(outputs.isfinite().flatten(1).all(1), torch.nan)
    known = targets.isfinite()
    error: Tensor = ((outputs - targets.where(known, 0)).abs() * known).sum((1, 2)) / known.sum((1, 2)).clamp_min(1)
    return error


def _each_input(part: Part) -> tuple[Tensor, ...]:
    return (part.inputs,) if isinstance(part.inputs, Tensor) else part.inputs


def _width(part: Part) -> int:
    return _each_input(part)[0].shape[-1]


def _tasks(problem: Problem, part: Part) -> Iterator[tuple[Task, Tensor, Tensor]]:
    inputs = _each_input(part)
    each = inputs * len(problem.tasks) if len(inputs) == 1 else inputs
    yield from zip(problem.tasks, each, part.targets, strict=True)


def _repeated(part: Part, count: int) -> Part:
    """Every seed's part `count` times in a row."""
    each = [x.repeat_interleave(count, 0) for x in _each_input(part)]
    targets = tuple(y.repeat_interleave(count, 0) for y in part.targets)
    return Part(each[0] if isinstance(part.inputs, Tensor) else tuple(each), targets)


def _rows(part: Part, index: Sequence[Tensor]) -> Part:
    """Of every seed its own rows. index: (seeds, size), one for all tasks or one a task."""
    run = torch.arange(len(index[0]))[:, None]
    each = [x[run, i] for x, i in zip(_each_input(part), index, strict=True)]
    by_task = list(index) * len(part.targets) if len(index) == 1 else index
    targets = tuple(y[run, i] for y, i in zip(part.targets, by_task, strict=True))
    return Part(each[0] if isinstance(part.inputs, Tensor) else tuple(each), targets)


def _endless(n: int, size: int, generators: Sequence[torch.Generator]) -> Iterator[Tensor]:
    """(seeds, size) indices: each seed goes through its own samples in a fresh order again and again, whole batches only."""
    while True:
        yield from (index for index in minibatches(n, size, generators) if index.shape[1] == size)
