"""Trainings on real data with planted classes: one arm, one learning rate, one rate of the weights and one seed.

As in `planted_training`, every arm minimises L_m / L_m(0) + sum_c w_c l_c / L_a(0) by plain SGD with equal steps. Both tasks are
classifications, and their losses cross-entropies summed over the places of an auxiliary class, over the number of all places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from mtlrepro.device import generator, seeded
from mtlrepro.errors import UnknownName
from mtlrepro.methods.class_weights import ClassWeights, class_sums, class_weight_start
from mtlrepro.methods.held_out_class_weights import HeldOutClassWeights
from mtlrepro.methods.static import Static
from mtlrepro.methods.uncertainty import Uncertainty
from mtlrepro.papers.classweights.data.ladder_sets import LADDER_SETS, LadderPart
from mtlrepro.papers.classweights.ladder_arms import LADDER_ARMS
from mtlrepro.papers.classweights.models.bottleneck_net import BottleneckNet
from mtlrepro.training.loop import minibatches, train_step
from mtlrepro.training.weighting import Batch, Call, LossFunction, Weighting

_EVALUATED = 256  # samples of a batch without gradients


class LadderTraining:
    """What the arms share: data, network, losses. settings: one of a profile's `rungs`; seed: of draw, network and order."""

    def __init__(self, settings: Mapping[str, Any], seed: int, rate: float) -> None:
        own = LADDER_SETS[settings["set"]]
        self.classes, self.steps, self.batch = own.auxiliary, settings["steps"], settings["batch"]
        self.freeze = round(settings["freeze"] * self.steps)
        self.seed, self.rate = seed, rate
        self.parts = dict(zip(("train", "held", "test"), own.drawn(settings["samples"], settings["labelled"], seed), strict=True))
        with seeded(seed, "bottleneck"):
            self.model = BottleneckNet(settings["set"], settings["width"], settings["bottleneck"], own.main, own.auxiliary)
        self.starts = (1.0, 1.0)
        with torch.no_grad():
            some = torch.randperm(len(self.parts["train"].x), generator=generator(seed, "start"))[:_EVALUATED]
            main, auxiliary = self.in_two(self.model, _batch(self.parts["train"], some)).tolist()
        self.starts = (main, auxiliary)
        self.held_batches = self._batches("held", min(self.batch, len(self.parts["held"].x)))

    def by_class(self, call: Call, batch: Batch) -> Tensor:
        """(2 (C + 1),), as `ClassWeights` takes them: every place has a class."""
        scores, of_classes = call(batch.inputs)
        main, auxiliary = batch.targets
        pairs = ((scores, main, self.starts[0]), (of_classes, auxiliary, self.starts[1]))
        return torch.cat([class_sums(_entropies(s, y), auxiliary, self.classes) / y.numel() / start for s, y, start in pairs])

    def as_tasks(self, call: Call, batch: Batch) -> Tensor:
        """(1 + C,): the main loss and each class's."""
        main, auxiliary = self.by_class(call, batch).chunk(2)
        return torch.cat([main.sum()[None], auxiliary[:-1]])

    def in_two(self, call: Call, batch: Batch) -> Tensor:
        """(2,): the main and the auxiliary loss."""
        return torch.stack([values.sum() for values in self.by_class(call, batch).chunk(2)])

    def held_out(self, call: Call) -> Tensor:
        """(): the mean main loss over the next batch of the part held out."""
        batch = next(self.held_batches)
        main: Tensor = batch.targets[0]
        return _entropies(call(batch.inputs)[0], main).sum() / (main >= 0).sum()

    @torch.no_grad()
    def mean_loss(self, part: str) -> float:
        """The mean main loss over a whole part."""
        own, total = self.parts[part], 0.0
        for rows in torch.arange(len(own.x)).split(_EVALUATED):
            total += float(_entropies(self.model(own.x[rows])[0], own.main[rows]).sum())
        return total / float((own.main >= 0).sum())

    def fit(self, weighting: Weighting, losses: LossFunction) -> None:
        """Train."""
        optimizer = torch.optim.SGD(self.model.parameters(), lr=self.rate)
        for _, batch in zip(range(self.steps), self._batches("train", self.batch), strict=False):
            train_step(self.model, batch, losses, optimizer, weighting)

    def _batches(self, part: str, size: int) -> Iterator[Batch]:
        order = generator(self.seed, "order", part)
        while True:
            for rows in minibatches(len(self.parts[part].x), size, order):
                if len(rows) == size:
                    yield _batch(self.parts[part], rows)


def _batch(part: LadderPart, rows: Tensor) -> Batch:
    return Batch(part.x[rows], (part.main[rows], part.auxiliary[rows]))


def _entropies(scores: Tensor, labels: Tensor) -> Tensor:
    """(places,): 0 where the label is not known."""
    return cross_entropy(scores.flatten(0, -2), labels.flatten(), ignore_index=-1, reduction="none")


def weighting_of(arm: str, training: LadderTraining, alpha: float) -> tuple[Weighting, LossFunction]:
    """A fresh weighting of an arm and the losses it takes. alpha: the rate of learnt weights. Raises UnknownName."""
    half, freeze = training.classes // 2, training.freeze
    fixed = {"single": (0.0, 0.0), "equal": (1.0, 1.0), "oracle": (1.0, 0.0), "inverse oracle": (0.0, 1.0)}
    if arm in fixed:
        helpful, harmful = fixed[arm]
        return Static([1.0, *[helpful] * half, *[harmful] * half]), training.as_tasks
    if arm in ("ratio", "scalar"):
        ratio = ClassWeights("scalar" if arm == "scalar" else "class", alpha, freeze=freeze)
        # The losses are divided by their start values already.
        ratio.state = class_weight_start(training.classes, torch.ones(()), torch.ones(()))
        return ratio, training.by_class
    if arm == "uncertainty":
        return Uncertainty("classification", rate=alpha), training.in_two
    if arm in ("one weight", "exact on the batch", "held-out"):
        metric = None if arm == "exact on the batch" else training.held_out
        return HeldOutClassWeights(metric, alpha, freeze), training.in_two if arm == "one weight" else training.as_tasks
    raise UnknownName("arm of the ladder", arm, LADDER_ARMS)


def rung(settings: Mapping[str, Any], arm: str, rate: float, alpha: float, seed: int, tested: bool) -> dict[str, float]:
    """The main loss on held-out labels of one training and, if `tested`, on the test part, with the mean final weight of the
    helpful and of the harmful classes where classes learn theirs. alpha: rate of learnt weights."""
    training = LadderTraining(settings, seed, rate)
    weighting, losses = weighting_of(arm, training, alpha)
    training.fit(weighting, losses)
    row = {"validation": training.mean_loss("held")}
    if tested:
        row["test"] = training.mean_loss("test")
        weights: Tensor | None = None
        if isinstance(weighting, ClassWeights) and weighting.state is not None:
            weights = weighting.state.weights
        elif isinstance(weighting, HeldOutClassWeights) and weighting.weights is not None:
            weights = weighting.weights[1:].expand(training.classes)
        if weights is not None:
            row |= {name: float(own.mean()) for name, own in zip(("helpful", "harmful"), weights.chunk(2), strict=True)}
    return {name: float(f"{value:.5g}") for name, value in row.items()}
