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
from mtlrepro.training.loop import RunwiseSGD, fit, minibatches, task_losses
from mtlrepro.training.metrics import Auroc, auroc, mean_absolute_error, mean_squared_error
from mtlrepro.training.weighting import Batch, Call, Step, Weighting, WeightingWrapper

MeasuredOn = Literal["validation", "training"]
Point = Mapping[str, float]
Builder = Callable[["GridRuns"], Weighting]
# How the auxiliary gradient on the shared parameters enters the real update: raw, or rescaled to the main one's norm.
UPDATES = ("as printed", "scale-matched")


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Labels in {0, 1}, (runs, n, outputs) -> (runs,) binary cross-entropy."""
    return nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean((1, 2))


def ranking(scores: Tensor, labels: Tensor) -> Tensor:
    """Labels in {0, 1}, (runs, n, 1) -> (runs,) AUROC, as float32 like every other metric."""
    return auroc(scores[..., 0], labels[..., 0]).to(scores.dtype)


LOSSES = {"squared error": mean_squared_error, "cross-entropy": cross_entropy}
# Name -> (function, whether larger is better).
METRICS = {"MAE": (mean_absolute_error, False), "AUROC": (ranking, True)}


@dataclass(frozen=True)
class TrainingConfig:
    """What all methods of a comparison have in common.

    shared, head: widths of the shared and of each head's hidden layers. steps: updates of a run. check: updates between two
    validations. losses: of the main and the auxiliary task, names in LOSSES. metric: the main task's, a name in METRICS.
    measured_on: the part on which a weighting measures the main metric, validation or training; points: how many of its samples,
    the first ones; 0 for all. Raises UnknownName for a loss or metric that does not exist.
    """

    shared: Sequence[int]
    head: Sequence[int]
    steps: int
    check: int
    points: int = 0
    batch: int = 16
    losses: tuple[str, str] = ("squared error", "squared error")
    metric: str = "MAE"
    measured_on: MeasuredOn = "validation"

    def __post_init__(self) -> None:
        for kind, known, names in (("loss", LOSSES, self.losses), ("metric", METRICS, (self.metric,))):
            for name in names:
                if name not in known:
                    raise UnknownName(kind, name, known)


@dataclass
class Chosen:
    """The chosen run of each seed.

    point: (seeds,) index in the grid. validation, test: (seeds,) main metric in its own sign. validation_loss, loss: (seeds,)
    main loss on validation and test. step: (seeds,) updates until the state that was kept. weights: (steps, seeds, 2) task
    weights, main first, before any rescaling. head_weight: (seeds,) mean factor on the main head's learning rate.
    gradient_ratio: (seeds,) mean ratio of the longer to the shorter task gradient on the shared parameters, NaN for a method
    that takes none. diverged: (seeds,) share of the grid's runs whose last training loss is not finite.
    test_curve: (checks, seeds) test metric at every check, where it was asked for; nothing is chosen by it.
    """

    point: Tensor
    validation: Tensor
    validation_loss: Tensor
    test: Tensor
    loss: Tensor
    step: Tensor
    weights: Tensor = field(repr=False)
    head_weight: Tensor
    gradient_ratio: Tensor
    diverged: Tensor
    test_curve: Tensor | None = field(repr=False)

    @property
    def shares(self) -> Tensor:
        """The auxiliary task's share of the weight, (steps, seeds)."""
        return self.weights[..., 1] / self.weights.sum(-1)


@dataclass(frozen=True)
class GridRuns:
    """The runs of a grid (every point of every seed), as a weighting needs to know them.

    settings: name of a tuned parameter -> (runs,). metric: main metric of a model call, (runs,). maximise: whether larger is
    better. loss: the main loss on the same samples, for rules that need a gradient. kinds: of each task's loss. seeds: one a run.
    """

    settings: Mapping[str, Tensor]
    metric: Callable[[Call], Tensor]
    maximise: bool
    loss: Callable[[Call], Tensor]
    kinds: tuple[str, str]
    seeds: tuple[int, ...]


class Traced(WeightingWrapper):
    """Another weighting whose weights of every step are kept in `trace`.

    ratios: of the longer to the shorter task gradient on the shared parameters, (runs,) per step, where the weighting takes them.
    """

    def __init__(self, inner: Weighting) -> None:
        super().__init__(inner)
        self.trace, self.ratios = list[Tensor](), list[Tensor]()

    def __call__(self, step: Step) -> Tensor:
        """What the inner weighting gives."""
        self.trace.append(self.inner(step).detach())
        if step.differentiated:
            norms = step.jacobian.norm(dim=-1)
            self.ratios.append(norms.amax(-1) / norms.amin(-1))
        return self.trace[-1]


def tune(
    splits: Parts,
    seeds: Sequence[int],
    points: Sequence[Point],
    build: Builder,
    config: TrainingConfig,
    matched: bool,
    test_curve: bool = False,
) -> Chosen:
    """Train every grid point on every seed's data as one batch, choose on validation, test once.

    splits: a leading dimension of the length of `seeds`. points: grid points, all with the same names, "learning_rate" among
    them. matched: rescale the auxiliary gradient on the shared parameters to the main one's norm in every step.
    test_curve: also evaluate every run on test data at every check, for a figure.
    """
    device, grid = splits.train.x.device, len(points)
    settings = {name: torch.tensor([p[name] for p in points], device=device).repeat(len(seeds)) for name in points[0]}

    def each_run(split: PairedSamples, rows: slice = slice(None)) -> PairedSamples:
        return PairedSamples(*(part[:, rows].repeat_interleave(grid, 0) for part in split))

    held_out = each_run(splits.validation)
    source = splits.validation if config.measured_on == "validation" else splits.train
    measured = each_run(source, slice(config.points or None))
    score, maximise = METRICS[config.metric]
    functions = [LOSSES[name] for name in config.losses]
    outputs = [splits.train.main.shape[-1], splits.train.auxiliary.shape[-1]]
    starts = [generator(seed, "model") for seed in seeds for _ in points]
    model = StackedMLP(splits.train.x.shape[-1], config.shared, config.head, outputs, starts).to(device)

    def on_measured(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Call], Tensor]:
        return lambda call: function(call(measured.x, 0), measured.main)

    metric = on_measured(score)
    if config.metric == "AUROC":
        area = Auroc(measured.main[..., 0])
        metric = lambda call: area(call(measured.x, 0)[..., 0])
    each_seed = tuple(seed for seed in seeds for _ in points)
    runs = GridRuns(settings, metric, maximise, on_measured(functions[0]), config.losses, each_seed)
    weighting = Traced(build(runs))

    sign = 1 if maximise else -1
    batches_of = stream(splits.train, config.batch, [generator(seed, "order") for seed in seeds])

    def batches(_: int) -> Iterator[Batch]:
        for batch in islice(batches_of, config.check):
            x, *targets = each_run(batch)
            yield Batch(x, targets)

    test, test_values = each_run(splits.test), list[Tensor]()

    def validate(trained: nn.Module) -> Tensor:
        if test_curve:
            test_values.append(score(trained(test.x, 0), test.main))
        return sign * score(trained(held_out.x, 0), held_out.main)[:, None]

    result = fit(
        model,
        batches,
        task_losses(*functions),
        optimizer=RunwiseSGD(model.parameters(), settings["learning_rate"]),
        epochs=config.steps // config.check,
        weighting=ScaleMatched(weighting) if matched else weighting,
        validate=validate,
    )
    best = result.best.nan_to_num(-torch.inf).view(-1, grid)
    point = best.argmax(1)
    run = torch.arange(len(seeds), device=device) * grid + point
    kept = {name: value[run].detach() for name, value in model.named_parameters()}
    call: Call = lambda x, task: functional_call(model, kept, (x, task))
    with torch.no_grad():
        held_outputs, test_outputs = (call(part.x, 0) for part in (splits.validation, splits.test))
    weights = torch.stack(weighting.trace)[:, run]
    ratios = torch.stack(weighting.ratios)[:, run] if weighting.ratios else weights[:1, :, 0] * torch.nan
    return Chosen(
        point=point,
        validation=sign * result.best[run],
        validation_loss=functions[0](held_outputs, splits.validation.main),
        test=score(test_outputs, splits.test.main),
        loss=functions[0](test_outputs, splits.test.main),
        step=result.best_epoch[run] * config.check,
        weights=weights,
        head_weight=weights[..., 0].mean(0) if weighting.weight_heads else torch.ones(len(seeds)),
        # A dead network has no gradient, and the ratio is no number.
        gradient_ratio=ratios.where(ratios.isfinite(), torch.nan).nanmean(0),
        diverged=(~result.losses[-1, :, 0].isfinite()).view(-1, grid).double().mean(1),
        test_curve=torch.stack(test_values)[:, run] if test_curve else None,
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
