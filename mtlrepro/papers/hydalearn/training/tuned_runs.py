"""A main task with an auxiliary one: every weighting method at a whole tuning grid and all seeds as one batch of runs.

Each run is one grid point of one seed; the runs of a seed see the same data, batches and initial network. A run keeps its best
state by the main task's validation score; each seed then takes its best grid point, also on validation, and its test score is
computed for that one run alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mtlrepro.device import generator
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.methods.scale_matched import ScaleMatched
from mtlrepro.models.stacked_mlp import StackedMLP
from mtlrepro.papers.hydalearn.data.tabular import TwoTask
from mtlrepro.papers.hydalearn.data.toys import PairedSamples, Parts
from mtlrepro.training.loop import RunwiseSGD, fit, minibatches
from mtlrepro.training.metrics import Auroc, auroc, mean_absolute_error, mean_squared_error
from mtlrepro.training.weighting import Batch, Call, Step, Weighting

Point = Mapping[str, float]
Builder = Callable[["Runs"], Weighting]


def cross_entropy(found: Tensor, wanted: Tensor) -> Tensor:
    """Logits and labels in {0, 1}, (runs, n, outputs) -> (runs,) binary cross-entropy."""
    return nn.functional.binary_cross_entropy_with_logits(found, wanted, reduction="none").mean((1, 2))


def ranking(found: Tensor, wanted: Tensor) -> Tensor:
    """Scores and labels in {0, 1}, (runs, n, 1) -> (runs,) AUROC, as float32 like every other metric."""
    return auroc(found[..., 0], wanted[..., 0]).to(found.dtype)


LOSSES = {"squared error": mean_squared_error, "cross-entropy": cross_entropy}
# Name -> (function, whether larger is better).
METRICS = {"MAE": (mean_absolute_error, False), "AUROC": (ranking, True)}


@dataclass(frozen=True)
class Setup:
    """What all methods have in common.

    shared, head: widths of the shared and of each head's hidden layers. losses: of the main and the auxiliary task, names in
    LOSSES. metric: the main task's, a name in METRICS. steps: updates of a run. check: updates between two validations.
    measured_on: the part on which a weighting measures the main metric, validation or training; points: how many of its samples,
    the first ones; 0 for all.
    """

    shared: Sequence[int]
    head: Sequence[int]
    losses: tuple[str, str]
    metric: str
    steps: int
    check: int
    batch: int = 16
    points: int = 0
    measured_on: Literal["validation", "training"] = "validation"

    def __post_init__(self) -> None:
        for kind, known, names in (("loss", LOSSES, self.losses), ("metric", METRICS, (self.metric,))):
            for name in names:
                if name not in known:
                    raise UnknownName(kind, name, known)


@dataclass
class Chosen:
    """The chosen run of each seed.

    point: (seeds,) index in the grid. validation, test: (seeds,) main metric in its own sign. loss: (seeds,) main test loss.
    step: (seeds,) updates until the state that was kept. weights: (steps, seeds, 2) task weights, main first, before any
    rescaling. diverged: (seeds,) share of the grid's runs whose last training loss is not finite. model: call (x, task) ->
    outputs of the chosen runs, seeds first.
    """

    point: Tensor
    validation: Tensor
    test: Tensor
    loss: Tensor
    step: Tensor
    weights: Tensor = field(repr=False)
    diverged: Tensor
    model: Call = field(repr=False)


@dataclass(frozen=True)
class Runs:
    """What a weighting of many runs is built from.

    settings: name of a tuned parameter -> (runs,). metric: main metric of a model call, (runs,). maximise: whether larger is
    better. loss: the main loss on the same samples, for rules that need a gradient. kinds: of each task's loss. seeds: one a run.
    """

    settings: Mapping[str, Tensor]
    metric: Callable[[Call], Tensor]
    maximise: bool
    loss: Callable[[Call], Tensor]
    kinds: tuple[str, str]
    seeds: tuple[int, ...]


class Traced(Weighting):
    """Another weighting whose weights of every step are kept in `trace`."""

    def __init__(self, inner: Weighting) -> None:
        self.inner, self.trace = inner, list[Tensor]()
        self.weight_heads = inner.weight_heads

    def __call__(self, step: Step) -> Tensor:
        """What the inner weighting gives."""
        self.trace.append(self.inner(step).detach())
        return self.trace[-1]

    def end_epoch(self, losses: Tensor, validation: Tensor | None) -> None:
        """Passed on."""
        self.inner.end_epoch(losses, validation)


def tune(splits: Parts, seeds: Sequence[int], points: Sequence[Point], build: Builder, setup: Setup, matched: bool) -> Chosen:
    """Train every grid point on every seed's data as one batch, choose on validation, test once.

    splits: a leading dimension of the length of `seeds`. points: grid points, all with the same names; "rate" is the
    learning rate. matched: rescale the auxiliary gradient on the shared parameters to the main one's norm in every step.
    """
    device, grid = splits.train.x.device, len(points)
    settings = {name: torch.tensor([p[name] for p in points], device=device).repeat(len(seeds)) for name in points[0]}

    def each_run(split: PairedSamples, rows: slice = slice(None)) -> PairedSamples:
        return PairedSamples(*(part[:, rows].repeat_interleave(grid, 0) for part in split))

    held_out = each_run(splits.validation)
    source = splits.validation if setup.measured_on == "validation" else splits.train
    measured = each_run(source, slice(setup.points or None))
    score, maximise = METRICS[setup.metric]
    functions = [LOSSES[name] for name in setup.losses]
    outputs = [splits.train.main.shape[-1], splits.train.auxiliary.shape[-1]]
    starts = [generator(seed, "model") for seed in seeds for _ in points]
    model = StackedMLP(splits.train.x.shape[-1], setup.shared, setup.head, outputs, starts).to(device)

    def on_measured(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Call], Tensor]:
        return lambda call: function(call(measured.x, 0), measured.main)

    each_seed = tuple(seed for seed in seeds for _ in points)
    metric = on_measured(score)
    if setup.metric == "AUROC":
        area = Auroc(measured.main[..., 0])
        metric = lambda call: area(call(measured.x, 0)[..., 0])
    runs = Runs(settings, metric, maximise, on_measured(functions[0]), setup.losses, each_seed)
    weighting = Traced(build(runs))

    def losses(call: Call, batch: Batch) -> Tensor:
        found = call(batch.inputs)
        return torch.stack([f(*pair) for f, *pair in zip(functions, found, batch.targets, strict=True)], -1)

    sign = 1 if maximise else -1
    batches_of = stream(splits.train, setup.batch, [generator(seed, "order") for seed in seeds])

    def batches(_: int) -> Iterator[Batch]:
        for batch in islice(batches_of, setup.check):
            x, *targets = each_run(batch)
            yield Batch(x, targets)

    result = fit(
        model,
        batches,
        losses,
        optimizer=RunwiseSGD(model.parameters(), settings["rate"]),
        epochs=setup.steps // setup.check,
        weighting=ScaleMatched(weighting) if matched else weighting,
        validate=lambda m: sign * score(m(held_out.x, 0), held_out.main)[:, None],
    )
    best = result.best.nan_to_num(-torch.inf).view(-1, grid)
    point = best.argmax(1)
    run = torch.arange(len(seeds), device=device) * grid + point
    kept = {name: value[run].detach() for name, value in model.named_parameters()}
    call: Call = lambda x, task: functional_call(model, kept, (x, task))
    with torch.no_grad():
        found = call(splits.test.x, 0)
    return Chosen(
        point=point,
        validation=sign * result.best[run],
        test=score(found, splits.test.main),
        loss=functions[0](found, splits.test.main),
        step=result.best_epoch[run] * setup.check,
        weights=torch.stack(weighting.trace)[:, run],
        diverged=(~result.losses[-1, :, 0].isfinite()).view(-1, grid).double().mean(1),
        model=call,
    )


def stacked(tasks: Sequence[TwoTask]) -> Parts:
    """The same task pair under several seeds as one: parts with a leading seeds dimension, targets (seeds, n, 1).

    Where seeds have different numbers of inputs (a rare category in some training parts only), columns of zeros fill up.
    Raises BadValue where the parts of the seeds have different sizes.
    """
    width = max(task.d for task in tasks)

    def joined(name: str) -> PairedSamples:
        parts = [getattr(task, name) for task in tasks]
        if len({len(part) for part in parts}) > 1:
            raise BadValue(f"the {name} parts of the seeds differ in size.")
        x = torch.stack([nn.functional.pad(part.x, (0, width - part.x.shape[1])) for part in parts])
        main, auxiliary = (torch.stack([getattr(part, task)[:, None] for part in parts]) for task in ("main", "auxiliary"))
        return PairedSamples(x, main, auxiliary)

    return Parts(joined("train"), joined("validation"), joined("test"))


def stream(train: PairedSamples, size: int, generators: Sequence[torch.Generator]) -> Iterator[PairedSamples]:
    """Endless batches: each seed goes through its own samples in a fresh order again and again.

    With `generator(seed, "order")` for each seed they are the batches of `tune`.
    """
    row = torch.arange(len(generators))[:, None]
    while True:
        for index in minibatches(train.x.shape[1], size, generators):
            yield PairedSamples(*(part[row, index] for part in train))
