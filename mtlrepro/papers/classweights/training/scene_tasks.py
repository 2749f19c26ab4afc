"""Segmentation and depth of procedural scenes by one U-Net with two decoders, trained with any weighting method.

The experiments of Yim and Kim (2020). One task is the main one; the other helps or hurts. Depth is the inverse distance in units
of the nearest one (driving, street) or the distance in units of the farthest one (indoor). Segmentation's auxiliary classes are
its own; depth's are 15 ranges, the paper's for driving scenes, else of equal shares of the training pixels. Every method's losses
are divided by their values on the first batch, so that the linear sum is the class-wise method with all weights held at 1.

A seed stands for scenes, initial weights and an order of batches. A training keeps, for each task that may be the main one, the
state with the lowest validation loss of that task; test scenes are seen once, by those states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from mtlrepro.device import choose, generator
from mtlrepro.errors import UnknownName
from mtlrepro.methods.class_weights import DISTANCES, ClassWeights, quantise
from mtlrepro.methods.held_out_class_weights import HeldOutClassWeights
from mtlrepro.methods.registry import build
from mtlrepro.methods.static import Static
from mtlrepro.papers.classweights.arms import METHODS, ORACLE, PARETO, TASKS, VECTORS
from mtlrepro.papers.classweights.data.scene_sets import CLASSES, drawn_scenes
from mtlrepro.papers.classweights.data.scenes import preset, scenes
from mtlrepro.papers.classweights.models.unet import DEPTH, SEGMENTATION, UNet
from mtlrepro.papers.classweights.training.dense_metrics import DepthScores, SegmentationScores, over_valid
from mtlrepro.papers.classweights.training.scene_losses import as_tasks, by_class, pixel_losses
from mtlrepro.parameters import Params
from mtlrepro.training.loop import fit, minibatches
from mtlrepro.training.precision import Precision, precision_on
from mtlrepro.training.weighting import Batch, Call, Equal, Evaluate, LossFunction, Weighting

RANGES = len(DISTANCES) + 1
_EVALUATED = 32  # images of a validation or test batch
_ASKED = 0.8  # share of the places that ask for the planted field
_SHOWN = 0.2  # of the planted field, whose standard deviation is below 1, in images of 0 to 1


@dataclass(frozen=True)
class SceneTraining:
    """What all methods share. kind: preset. source: a real set of that kind, or synthetic_scenes. images: of the training,
    validation and test part. size: height and width.

    width, halvings: of the U-Net. steps: updates, `check` of them between two validations. freeze: share of the steps after which
    the learning rate falls to a tenth; class weights stay 1 until then. explained, misleading: see `data.scenes`. planted:
    whether half of the classes are useless ones, see `with_planted`.
    precision: see `precision_on`; held-out class weights train in float32.
    """

    kind: str
    images: tuple[int, int, int] = (256, 64, 96)
    size: tuple[int, int] = (24, 48)
    width: int = 6
    halvings: int = 2
    batch: int = 8
    steps: int = 120
    check: int = 20
    freeze: float = 0.2
    explained: float = 0.5
    misleading: tuple[str, ...] = ()
    precision: Precision = "auto"
    device: str = "cpu"
    source: str = "synthetic_scenes"
    planted: bool = False

    @property
    def classes(self) -> list[str]:
        """Class names in the order of their labels."""
        own = list(CLASSES[self.source]) if self.source in CLASSES else preset(self.kind).names
        return own + [f"planted {i + 1}" for i in range(len(own))] if self.planted else own

    @staticmethod
    def of(values: Mapping[str, Any]) -> SceneTraining:
        """From plain data, such as JSON gives: lists become tuples."""
        given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return SceneTraining(**given)


def training_of(p: Params, kind: str) -> dict[str, Any]:
    """The `SceneTraining` of a preset with the values of `p`, as plain data."""
    names = ("source", "images", "size", "width", "halvings", "batch", "steps", "check", "freeze", "device")
    options = asdict(SceneTraining.of({"kind": kind} | {name: p.values[name] for name in names if name in p.values}))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


class ScenePart(NamedTuple):
    """images (n, 3, h, w); labels (n, h, w), -1 ignored; depth, the regression target; valid; ranges (n, h, w), -1 invalid."""

    images: Tensor
    labels: Tensor
    depth: Tensor
    valid: Tensor
    ranges: Tensor

    def batch(self, rows: Tensor | slice) -> Batch:
        """Some images; their targets are the other fields."""
        images, *targets = (values[rows] for values in self)
        return Batch(images.contiguous(memory_format=torch.channels_last), tuple(targets))


@lru_cache(maxsize=4)
def scene_parts(training: SceneTraining, seed: int) -> tuple[ScenePart, ScenePart, ScenePart]:
    """The training, validation and test part of a seed, on the training's device."""
    kind, device = preset(training.kind), choose(training.device)
    if training.source in CLASSES:
        drawn = drawn_scenes(training.source, training.images, training.size, seed)
    else:
        drawn = scenes(
            training.kind, sum(training.images), training.size, seed,
            explained=training.explained, misleading=training.misleading,
        )  # fmt: skip
    images, labels = drawn.images, drawn.labels
    if training.planted:
        images, labels = with_planted(images, labels, len(training.classes) // 2, generator(seed, "planted"))
    target = drawn.depth / kind.far if training.kind == "indoor" else drawn.inverse_depth * kind.near
    train = slice(training.images[0])
    if training.kind == "driving":
        thresholds = sorted(kind.near / d for d in DISTANCES)
    else:
        known = target[train][drawn.valid[train]]
        thresholds = torch.quantile(known[: 10**6], torch.linspace(0, 1, RANGES + 1)[1:-1]).unique().tolist()
    ranges = quantise(target, thresholds, drawn.valid)
    whole = ScenePart(*(values.to(device) for values in (images, labels, target, drawn.valid, ranges)))
    ends = np.cumsum([0, *training.images])
    first, second, third = (ScenePart(*(v[a:b] for v in whole)) for a, b in pairwise(ends))
    return first, second, third


def with_planted(images: Tensor, labels: Tensor, classes: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (n, 3, h, w) with a smooth random field in their blue; labels (n, h, w) that ask in _ASKED of the places, blocks of
    a quarter of the image's height, in which of `classes` ranges the field lies: `classes` and above. No such class knows of
    the scene, and all can be learnt."""
    n, _, h, w = images.shape
    field = interpolate(torch.randn(n, 1, max(h // 8, 2), max(w // 8, 2), generator=g), size=(h, w), mode="bilinear")[:, 0]
    places = interpolate((torch.rand(n, 1, 4, max(4 * w // h, 1), generator=g) < _ASKED).float(), size=(h, w))[:, 0] > 0
    limits = torch.quantile(field.flatten()[: 10**6], torch.linspace(0, 1, classes + 1)[1:-1])
    shown = torch.cat([images[:, :2], images[:, 2:] + _SHOWN * field[:, None]], 1)
    return shown, torch.where(places, classes + torch.bucketize(field, limits), labels)


def _starts(model: nn.Module, batch: Batch) -> list[float]:
    """Mean losses on the first batch, of a copy: its running means stay as they are."""
    with torch.no_grad():
        return [float(values.mean()) for values in pixel_losses(deepcopy(model), batch)]


class Trained(NamedTuple):
    """states: main task -> its state; validation: main task -> that state's loss; step: main task -> when; moved: main task ->
    mean absolute distance of the class weights from 1 then."""

    model: UNet
    states: dict[int, dict[str, Tensor]]
    validation: dict[int, float]
    step: dict[int, int]
    moved: dict[int, float]


def weighting_of(
    method: str, main: int, training: SceneTraining, classes: int, alpha: float, starts: Sequence[float], metric: Evaluate | None
) -> tuple[Weighting, LossFunction | None]:
    """A fresh weighting, with the losses it needs where these are not one a task. metric: the main loss on held-out images."""
    freeze = round(training.freeze * training.steps)
    if method == ORACLE:
        useful = classes // 2
        return Static([1.0] * (1 + useful) + [0.0] * (classes - useful)), as_tasks(main, classes, starts)[0]
    if method == "classes":
        return ClassWeights(rate=alpha, freeze=freeze), by_class(main, classes)
    if method == "held-out":
        losses, auxiliary = as_tasks(main, classes, starts)
        return HeldOutClassWeights(metric, rate=alpha, freeze=freeze, auxiliary=auxiliary), losses
    if method in PARETO:
        return build("pareto_mtl", vector=PARETO.index(method), count=VECTORS, search=training.steps // 10), None
    if method == "uncertainty":
        return build("uncertainty", kinds=["classification", "regression"]), None
    return (build("mgda") if method == "mgda" else Equal()), None


def class_weights_of(weighting: Weighting) -> Tensor | None:
    """(classes,): the class weights that a method has learnt; None of others."""
    if isinstance(weighting, ClassWeights) and weighting.state is not None:
        return weighting.state.weights
    if isinstance(weighting, HeldOutClassWeights) and weighting.weights is not None:
        return weighting.weights[1:]
    return None


def train(
    training: SceneTraining,
    method: str,
    main: int,
    seed: int,
    rate: float,
    alpha: float = 0.01,
    optimizer: str = "adam",
) -> Trained:
    """One training. main: SEGMENTATION or DEPTH; where a method serves both, a state is kept for each.

    method: of METHODS. alpha: rate of class weights. optimizer: adam (weight decay 1e-8, as in the paper) or sgd. Raises
    UnknownName.
    """
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    learned, held, _ = scene_parts(training, seed)
    classes = len(training.classes)
    auxiliary = classes if main == DEPTH else RANGES
    device = choose(training.device)
    # Autocast leaves out what a forward-mode product reads.
    precision = "float32" if method == "held-out" else precision_on(device, training.precision)
    model = UNet(classes, training.width, training.halvings, seed=seed, precision=precision).to(device)
    model = model.to(memory_format=torch.channels_last)
    stream = _stream(learned, training.batch, generator(seed, "order"))
    first = next(_stream(learned, training.batch, generator(seed, "order")))
    starts = _starts(model, first)

    def losses(call: Call, batch: Batch) -> Tensor:
        maps = pixel_losses(call, batch)
        return torch.stack([values.mean() / start for values, start in zip(maps, starts, strict=True)])

    def alone(call: Call, batch: Batch) -> Tensor:
        return pixel_losses(call, batch, main)[0].mean()[None] / starts[main]

    held_stream = _stream(held, min(training.batch, len(held.images)), generator(seed, "held out"))

    def held_out(call: Call) -> Tensor:
        return pixel_losses(call, next(held_stream), main)[0].mean()

    chosen, own = weighting_of(method, main, training, auxiliary, alpha, starts, held_out)
    mains = (main,) if METHODS[method].own_main else (SEGMENTATION, DEPTH)
    kept = Trained(model, {}, dict.fromkeys(mains, float("inf")), dict.fromkeys(mains, 0), {})
    done = [0]

    def validate(module: nn.Module) -> Tensor:
        done[0] += training.check
        losses = [_mean_loss(model, held, task) for task in mains]
        for task, value in zip(mains, losses, strict=True):
            if value < kept.validation[task]:
                kept.validation[task], kept.step[task] = value, done[0]
                weights = class_weights_of(chosen)
                kept.moved[task] = 0.0 if weights is None else float((weights - 1).abs().mean())
                kept.states[task] = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        return -torch.tensor(losses)

    stepper: torch.optim.Optimizer
    if optimizer == "adam":
        stepper = torch.optim.Adam(model.parameters(), lr=rate, weight_decay=1e-8, fused=True)
    elif optimizer == "sgd":
        stepper = torch.optim.SGD(model.parameters(), lr=rate)
    else:
        raise UnknownName("optimizer", optimizer, ("adam", "sgd"))
    epochs = max(training.steps // training.check, 1)
    fit(
        model,
        lambda _: (next(stream) for _ in range(training.check)),
        own or (alone if method == "single" else losses),
        optimizer=stepper,
        epochs=epochs,
        weighting=chosen,
        validate=validate,
        schedule=lambda epoch: 1.0 if epoch < training.freeze * epochs else 0.1,
    )
    return kept


def _stream(part: ScenePart, size: int, order: torch.Generator) -> Iterator[Batch]:
    """Batches without end, all of one size."""
    while True:
        for rows in minibatches(len(part.images), size, order):
            if len(rows) == size:
                yield part.batch(rows)


@torch.no_grad()
def _mean_loss(model: UNet, part: ScenePart, task: int) -> float:
    """Mean loss of a task over the pixels that count, in eval mode."""
    total = counted = 0.0
    for start in range(0, len(part.images), _EVALUATED):
        batch = part.batch(slice(start, start + _EVALUATED))
        counts = batch.targets[2] if task == DEPTH else batch.targets[0] >= 0
        share = float(counts.sum())
        total += share * float(over_valid(pixel_losses(model, batch, task)[0], counts))
        counted += share
    return total / counted


@torch.no_grad()
def scored(trained: Trained, training: SceneTraining, main: int, seed: int) -> list[dict[str, Any]]:
    """Test scores of the state kept for `main`: a row of the whole image and, where there are cars, of cars and the rest.

    segmentation, depth: mean losses (cross-entropy, L1), of the whole image only. accuracy, iou, log_l1, rmse, share
    (of the pixels): by region. class iou: of cars.
    """
    if main not in trained.states:
        return []
    model, test = trained.model, scene_parts(training, seed)[2]
    model.load_state_dict(trained.states[main])
    model.eval()
    names = training.classes
    segmented, estimated = SegmentationScores(len(names), test.images.device), DepthScores(len(names), device=test.images.device)
    for start in range(0, len(test.images), _EVALUATED):
        batch = test.batch(slice(start, start + _EVALUATED))
        labels, depth, valid, _ = batch.targets
        classes, predicted = model(batch.inputs)
        segmented.update(classes, labels)
        estimated.update(predicted, depth, valid, labels)
    car = names.index("car") if "car" in names else None
    regions: dict[str, list[int] | None] = {"full": None}
    if car is not None:
        regions |= {"non-car": [i for i in range(len(names)) if i != car], "car": [car]}
    rows = []
    for region, own in regions.items():
        scores = {"accuracy": segmented.accuracy(own), "iou": segmented.mean_iou(own)}
        if region == "car":
            scores["class iou"] = segmented.iou()[own].mean()
        scores["share"] = segmented.share(own)
        scores |= {"log_l1": estimated.log_l1(own), "rmse": estimated.rmse(own)}
        rows.append({"region": region} | {name: round(float(value), 6) for name, value in scores.items()})
    rows[0] |= {task: round(_mean_loss(model, test, i), 6) for i, task in enumerate(TASKS)}
    return rows


def constants(training: SceneTraining, seed: int) -> dict[str, float]:
    """Test losses of constants: the class frequencies of the training part (cross-entropy) and its median depth (L1); and how
    many metres a unit of indoor depth has."""
    learned, _, test = scene_parts(training, seed)
    counts = torch.bincount(learned.labels[learned.labels >= 0], minlength=len(training.classes)).double() + 1
    labels = test.labels[test.labels >= 0]
    entropy = -(counts / counts.sum()).log()[labels].mean()
    away = (test.depth[test.valid] - learned.depth[learned.valid].median()).abs().mean()
    metres = {"metres": preset(training.kind).far} if training.kind == "indoor" else {}
    return {"constant segmentation": round(float(entropy), 6), "constant depth": round(float(away), 6)} | metres


def tune(training: Mapping[str, Any], method: str, main: str, seed: int, rate: float, alpha: float) -> list[dict[str, Any]]:
    """One training at one rate: a row for each main task that it serves, its validation loss. No test scene is seen."""
    trained = train(SceneTraining.of(training), method, TASKS.index(main or "depth"), seed, rate, alpha)
    return [{"main": TASKS[task], "validation": round(value, 6)} for task, value in trained.validation.items()]


def final(
    training: Mapping[str, Any], method: str, mains: Sequence[str], seed: int, rate: float, alpha: float
) -> list[dict[str, Any]]:
    """One training at a chosen rate, tested once by the state kept for each of `mains`: rows as `scored`."""
    options, rows = SceneTraining.of(training), []
    trained = train(options, method, TASKS.index(mains[0]), seed, rate, alpha)
    for main in mains:
        task = TASKS.index(main)
        own = {"main": main, "validation": round(trained.validation[task], 6), "step": trained.step[task]}
        own["moved"] = round(trained.moved[task], 4)
        rows += [own | row for row in scored(trained, options, task, seed)]
    known = constants(options, seed)
    return [row | known for row in rows]
