"""Methods that need more of a problem than the registry's weightings are offered: its labels, or a second set of tasks.

Each is trained as `protocol` trains, with as many tuning trials: two values of its own at half as many learning rates. This
module trains itself, beside `protocol.train`, so that finished runs of the weightings stay what they are: their keys hold the
code of `protocol`.

- SVD reweighting: constant weights, once from the training part, of sum k; labels centred. Not counted as cost: one product.
- Class-wise ratio: each auxiliary task is one class of the samples, L^m_c the main loss on that class's samples, both as parts
  of the batch's mean loss.
- STG grouping: all tasks are trained jointly with equal weights, for half the updates; the state of the learning rate that is
  best on validation gives the data maps of the training part at `TIMES` times, and k-means on them the groups. The main task is
  then trained anew with its group. Joint training and passes over the training part count as cost.
- CO-TASK: auxiliary tasks from pairs of tasks, on half of their records, trained beside the given ones, all with weight 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mtlrepro.compare import protocol
from mtlrepro.compare.problems import METRICS, Part, Problem, Task, at, parts_at
from mtlrepro.compare.protocol import CHECKS
from mtlrepro.device import generator
from mtlrepro.methods import cotask
from mtlrepro.methods.class_weights import ClassWeights
from mtlrepro.methods.data_maps import DataMap, stacked, true_label_probability
from mtlrepro.methods.static import Equal, Static
from mtlrepro.methods.svd_reweighting import svd_weights
from mtlrepro.methods.task_grouping import hard, task_vectors
from mtlrepro.training.loop import RunwiseSGD, fit
from mtlrepro.training.weighting import Batch, Step, Weighting

TIMES = 5  # of a joint training, at which a data map sees every training sample

Parts = tuple[Part, Part, Part]


class Prepared(NamedTuple):
    """What is trained: problem and parts, the weighting of a model, and the plain updates that getting there has cost."""

    problem: Problem
    parts: Parts
    weighting: Callable[[nn.Module], Weighting]
    before: float = 0.0


@dataclass(frozen=True, kw_only=True)
class LabelMethod:
    """title, paper: as of a `registry.Method`. needs: of a problem, in words. values: of its own parameter, that are tried.

    serves: (problem, its training part) -> whether the problem has that. prepare: (problem, parts, seeds, learning rates, values,
    updates) -> what is trained, its runs in the order of seeds, rates, values.
    """

    title: str
    paper: str
    needs: str
    values: tuple[float, ...]
    serves: Callable[[Problem, Part], bool]
    prepare: Callable[[Problem, Parts, Sequence[int], Sequence[float], Sequence[float], int], Prepared]


def methods_for(place: str, seed: int) -> list[str]:
    """The methods whose needs the problem at a place meets, by the training part of a seed."""
    train = parts_at(place, (seed,))[0]
    return [name for name, method in METHODS.items() if method.serves(at(place), train)]


def measure(problem: str, place: str, method: str, seeds: Sequence[int], trials: int, share: float) -> list[dict[str, Any]]:
    """As `protocol.measure`: a row per seed. The `cost` of an update holds its part of what was computed before the training, and
    `equal_cost_*` the choice within the updates that are left of as many plain ones, one check at least."""
    of, parts, values = at(place), parts_at(place, tuple(seeds)), METHODS[method].values
    rates = [point["learning_rate"] for point in protocol.grid("equal", of.rates, trials // len(values))]
    tried = [(rate, value) for rate in rates for value in values]
    steps = max(CHECKS, round(of.steps * share))
    prepared = METHODS[method].prepare(of, parts, seeds, rates, values, steps)
    states, scores, cost = train(prepared, seeds, [rate for rate, _ in tried], steps)
    cost *= _samples(prepared.problem, prepared.parts[0]) / _samples(of, parts[0])
    larger, _ = METRICS[of.metric]
    rows: list[dict[str, Any]] = [
        {"seed": seed, "title": of.title, "metric": of.metric, "tasks": len(of.tasks), "traits": ", ".join(of.traits)}
        | {"gradients": 1, "cost": round(cost + prepared.before / steps, 3)}
        for seed in seeds
    ]
    affordable = int((CHECKS - prepared.before / (steps // CHECKS)) / cost)
    for prefix, until in (("", CHECKS), ("equal_cost_", max(1, min(CHECKS, affordable)))):
        check, point = protocol.chosen(scores[:until], len(tried))
        runs = torch.arange(len(seeds)) * len(tried) + point
        test = protocol._main_score(of, _called(prepared, states, check, runs, seeds), parts[2])
        for i, row in enumerate(rows):
            rate, value = tried[int(point[i])]
            best = float(scores[check[i], runs[i]])
            row |= {f"{prefix}test": float(test[i]), f"{prefix}validation": best if larger else -best}
            row |= {f"{prefix}step": int(check[i] + 1) * (steps // CHECKS), f"{prefix}rate": round(rate, 5)}
            row |= {f"{prefix}parameter": value, f"{prefix}inside": rates[0] < rate < rates[-1]}
    return rows


def train(
    prepared: Prepared, seeds: Sequence[int], rates: Sequence[float], steps: int
) -> tuple[dict[str, Tensor], Tensor, float]:
    """As `protocol.train`, of a weighting in place of a method's name. rates: of the trials of each seed."""
    problem, parts, weighting, _ = prepared
    count = len(rates)
    model = problem.model(protocol._width(parts[0]), [generator(seed, "model") for seed in seeds for _ in rates])
    plain, held = _samples(problem, parts[0]), protocol._repeated(parts[1], count)
    costed = protocol.Costed(weighting(model), model, plain, plain)
    streams = [
        protocol._endless(n, min(problem.batch, n), [generator(seed, "order", i) for seed in seeds])
        for i, n in enumerate(x.shape[1] for x in protocol._each_input(parts[0]))
    ]

    def batches(_: int) -> Iterator[Batch]:
        for _ in range(steps // CHECKS):
            yield Batch(*protocol._repeated(protocol._rows(parts[0], [next(stream) for stream in streams]), count))

    states: dict[str, list[Tensor]] = {name: [] for name, _ in model.named_parameters()}
    larger, _ = METRICS[problem.metric]

    def validate(trained: nn.Module) -> Tensor:
        for name, p in trained.named_parameters():
            states[name].append(p.detach().clone())
        return protocol._main_score(problem, trained, held)[:, None] * (1 if larger else -1)

    optimizer = RunwiseSGD(model.parameters(), torch.tensor(rates).repeat(len(seeds)))
    result = fit(
        model, batches, protocol._losses(problem), optimizer=optimizer, epochs=CHECKS, weighting=costed, validate=validate
    )
    return {name: torch.stack(values) for name, values in states.items()}, result.validation[..., 0], costed.cost


def _samples(problem: Problem, train: Part) -> int:
    """Of a plain update."""
    return sum(min(problem.batch, x.shape[1]) for x in protocol._each_input(train))


def _called(
    prepared: Prepared, states: Mapping[str, Tensor], check: Tensor | int, runs: Tensor, seeds: Sequence[int]
) -> Callable[..., Any]:
    """The network of each seed in the state of its run at a check."""
    model = prepared.problem.model(protocol._width(prepared.parts[0]), [generator(seed, "model") for seed in seeds])
    return torch.no_grad()(partial(protocol._called, model, {name: value[check, runs] for name, value in states.items()}))


def _constant(weights: Tensor, rates: int) -> Callable[[nn.Module], Weighting]:
    """Constant weights (seeds, values, tasks), the same at every learning rate."""
    return lambda model: Static(weights[:, None].expand(-1, rates, -1, -1).flatten(0, 2))


def _known(part: Part) -> bool:
    return all(bool(y.isfinite().all()) for y in part.targets)


def _one_label(problem: Problem, train: Part) -> bool:
    """Whether every task has one known number for each sample of the same inputs."""
    single = all(task.kind != "classes" and task.outputs == 1 for task in problem.tasks)
    return single and isinstance(train.inputs, Tensor) and _known(train)


# --- SVD reweighting --------------------------------------------------------------------------------------------------------


def svd_reweighting(
    of: Problem, parts: Parts, seeds: Sequence[int], rates: Sequence[float], values: Sequence[float], steps: int
) -> Prepared:
    """Algorithm 2 of Wu, Zhang, Re 2020. values: ranks."""
    x, ys = torch.as_tensor(parts[0].inputs).double(), torch.cat(parts[0].targets, -1).mT.double()
    alpha = torch.stack([svd_weights(x, ys, int(rank), centre=True) for rank in values], 1)
    return Prepared(of, parts, _constant(alpha * (len(of.tasks) / alpha.sum(-1, keepdim=True)), len(rates)))


# --- class-wise ratio -------------------------------------------------------------------------------------------------------


class ClassRatio(Weighting):
    """`ClassWeights` for losses (runs, 1 + C), the main task's and each class's mean, from the outputs of the same forward pass.

    problem: task 1 + c is class c, whose samples alone have a target for it. model: that is trained. rate: (runs,), of Adam.
    """

    def __init__(self, problem: Problem, model: nn.Module, rate: Tensor) -> None:
        self.task, self.inner, self.outputs = problem.tasks[0], ClassWeights(rate=rate), torch.empty(0)
        model.register_forward_hook(self._keep)

    def _keep(self, model: nn.Module, inputs: Any, outputs: Any) -> None:
        self.outputs = outputs[0].detach()

    def __call__(self, step: Step) -> Tensor:
        """(runs, 1 + C)."""
        target, *classes = step.batch.targets
        own = [y.isfinite().any(-1, keepdim=True) for y in classes]
        each = [target.where(mask, torch.nan) for mask in [*own, ~torch.stack(own).any(0)]]
        main = torch.stack([_summed(self.task, self.outputs, y) for y in each], -1) / target.isfinite().sum((1, 2))[:, None]
        counts = torch.stack([mask.sum((1, 2)) for mask in own], -1)
        share = counts / counts.sum(-1, keepdim=True).clamp_min(1)
        parts = step.losses[:, 1:].detach() * share
        given = self.inner(replace(step, losses=torch.cat([main, parts, torch.zeros_like(parts[:, :1])], -1)))
        return torch.cat([given[:, :1], given[:, main.shape[1] : -1] * share], -1)


def _summed(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """(runs,): the loss summed over the known targets."""
    return protocol._loss(task, outputs, targets) * targets.isfinite().sum((1, 2))


def class_ratio(
    of: Problem, parts: Parts, seeds: Sequence[int], rates: Sequence[float], values: Sequence[float], steps: int
) -> Prepared:
    """Yim and Kim 2020, equations 2 to 10. values: rates of Adam on the weights."""
    return Prepared(of, parts, lambda model: ClassRatio(of, model, torch.tensor(values).repeat(len(seeds) * len(rates))))


def _classes_as_tasks(problem: Problem, train: Part) -> bool:
    if not isinstance(train.inputs, Tensor) or len(problem.tasks) < 3 or any(task.kind == "classes" for task in problem.tasks):
        return False
    return bool((torch.stack([y.isfinite().any(-1) for y in train.targets[1:]]).sum(0) <= 1).all())


# --- STG grouping -----------------------------------------------------------------------------------------------------------


def task_grouping(
    of: Problem, parts: Parts, seeds: Sequence[int], rates: Sequence[float], values: Sequence[float], steps: int
) -> Prepared:
    """Sherif, Abid, Elattar, ElHelw 2023: k-means on data maps of a joint training. values: numbers of groups."""
    joint = max(CHECKS, steps // 2)
    alike = Prepared(of, parts, lambda model: Equal())
    states, scores, _ = train(alike, seeds, rates, joint)
    runs = torch.arange(len(seeds)) * len(rates) + protocol.chosen(scores, len(rates))[1]
    inputs, labels = torch.as_tensor(parts[0].inputs), torch.cat(parts[0].targets, -1)
    maps = [DataMap(len(of.tasks), inputs.shape[1]) for _ in seeds]
    for check in range(CHECKS // TIMES - 1, CHECKS, CHECKS // TIMES):
        outputs = torch.cat(_called(alike, states, check, runs, seeds)(inputs), -1)
        for own, confidence in zip(maps, true_label_probability(outputs, labels), strict=True):
            own.update(confidence, torch.arange(inputs.shape[1]))
    vectors = [task_vectors(stacked([own.snapshot()])) for own in maps]
    groups = [[hard(v, int(k), seed).labels for k in values] for v, seed in zip(vectors, seeds, strict=True)]
    labels = torch.stack([torch.stack(own) for own in groups])
    before = joint + TIMES * inputs.shape[1] / (3 * _samples(of, parts[0]))
    return Prepared(of, parts, _constant((labels == labels[..., :1]).float(), len(rates)), before)


# --- CO-TASK ----------------------------------------------------------------------------------------------------------------


def combined_tasks(
    of: Problem, parts: Parts, seeds: Sequence[int], rates: Sequence[float], values: Sequence[float], steps: int
) -> Prepared:
    """Hsieh and Tseng 2021. values: numbers of auxiliary tasks, in those of the given labels or tasks."""
    train, given = parts[0], len(of.tasks)
    own = isinstance(train.inputs, tuple)
    labels = given if own else sum(task.outputs for task in of.tasks)
    counts = [max(1, round(value * labels)) for value in values]
    combine = _of_classes if own else _of_labels
    drawn = [combine(train, i, max(counts), seed) for i, seed in enumerate(seeds)]
    inputs, targets = (tuple(map(torch.stack, zip(*some, strict=True))) for some in zip(*drawn, strict=True))
    task = of.tasks[0] if own else Task("binary")
    joined = Part((*train.inputs, *inputs) if own else train.inputs, (*train.targets, *targets))
    weights = torch.tensor([[1.0] * (given + n) + [0.0] * (max(counts) - n) for n in counts]).expand(len(seeds), -1, -1)
    problem = replace(of, tasks=(*of.tasks, *(task,) * max(counts)))
    return Prepared(problem, (joined, *parts[1:]), _constant(weights, len(rates)))


def _of_labels(train: Part, i: int, count: int, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Of run i no further inputs, and the auxiliary labels (n, 1), NaN for records that they do not keep."""
    labels = torch.cat(train.targets, -1)[i]
    targets = []
    for auxiliary in cotask.combine_labels(labels.numpy(), count, seed):
        rows, values = auxiliary.parts["train"]
        targets.append(labels.new_full((len(labels), 1), torch.nan))
        targets[-1][rows, 0] = torch.from_numpy(values).to(labels)
    return [], targets


def _of_classes(train: Part, i: int, count: int, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Of run i the inputs (n, d) and classes (n,) of each auxiliary task."""
    x, n = torch.cat([inputs[i] for inputs in train.inputs]), train.targets[0].shape[1]
    tasks = {str(t): (torch.arange(t * n, (t + 1) * n).numpy(), y[i].numpy()) for t, y in enumerate(train.targets)}
    records = [auxiliary.parts["train"] for auxiliary in cotask.combine_tasks(tasks, count, seed)]
    return [x[rows] for rows, _ in records], [torch.from_numpy(classes) for _, classes in records]


def _combinable(problem: Problem, train: Part) -> bool:
    if isinstance(train.inputs, tuple):
        alike = len(set(problem.tasks)) == len({y.shape for y in train.targets}) == 1
        return alike and len(problem.tasks) > 2 and problem.tasks[0].kind == "classes"
    binary = all(task.kind == "binary" for task in problem.tasks)
    return binary and _known(train) and sum(task.outputs for task in problem.tasks) > 2


METHODS: Mapping[str, LabelMethod] = {
    "svd_reweighting": LabelMethod(
        title="SVD reweighting", paper="Wu, Zhang, Re 2020", needs="one label of every task for each sample",
        values=(1, 2), serves=_one_label, prepare=svd_reweighting,
    ),
    "class_ratio": LabelMethod(
        title="class-wise ratio", paper="Yim and Kim 2020", needs="auxiliary tasks that are classes of samples",
        values=(0.01, 0.03), serves=_classes_as_tasks, prepare=class_ratio,
    ),
    "task_grouping": LabelMethod(
        title="STG grouping", paper="Sherif et al. 2023", needs="three binary tasks or more on the same samples",
        values=(2, 3), serves=lambda problem, train: _one_label(problem, train) and len(problem.tasks) > 2
        and all(task.kind == "binary" for task in problem.tasks), prepare=task_grouping,
    ),
    "cotask": LabelMethod(
        title="CO-TASK", paper="Hsieh and Tseng 2021", needs="three yes-no labels of a sample, or three tasks of k classes",
        values=(0.5, 1.0), serves=_combinable, prepare=combined_tasks,
    ),
}  # fmt: skip
