"""Trainings on planted classes: one arm, a grid of learning rates and of weight rates, and all seeds, as one batch of runs.

Every arm minimises L_m / L_m(0) + sum_c w_c l_c / L_a(0), the start values being those of the whole training part, by plain SGD
with equal steps; arms differ in how w is set. Held-out places choose the rates of every arm; "held-out" and "one weight" also
take their weights' derivative there. "more labels" is the control of that use: all weights 1, and the held-out main labels
trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from mtlrepro.device import generator
from mtlrepro.errors import UnknownName
from mtlrepro.methods.class_weights import ClassWeights, adam_step, class_weight_start
from mtlrepro.methods.held_out_class_weights import HeldOutClassWeights
from mtlrepro.methods.static import Static
from mtlrepro.methods.uncertainty import Uncertainty
from mtlrepro.papers.classweights.data.planted_classes import Places, PlantedClasses, drawn
from mtlrepro.papers.classweights.models.bottleneck import Bottleneck
from mtlrepro.papers.classweights.planted_arms import PLANTED_ARMS
from mtlrepro.training.loop import RunwiseSGD, minibatches, train_step
from mtlrepro.training.weighting import Batch, Call, LossFunction, Step, Weighting


class RandomGradients(Weighting):
    """Class weights moved by Adam along normal random numbers: what drift alone does. As `HeldOutClassWeights` else."""

    def __init__(self, rate: Tensor, freeze: int, generators: Sequence[torch.Generator]) -> None:
        self.rate, self.freeze, self.generators = rate, freeze, generators
        self.weights: Tensor | None = None

    def __call__(self, step: Step) -> Tensor:
        """(runs, 1 + C), the weights before this step's update."""
        losses = step.losses.detach()
        if self.weights is None:
            self.weights, self.steps = torch.ones_like(losses), torch.zeros((), dtype=torch.int64)
            self.first, self.second = torch.zeros_like(losses), torch.zeros_like(losses)
        weights = self.weights
        self.steps = self.steps + 1
        if self.steps > self.freeze:
            g = torch.stack([torch.randn(losses.shape[-1], generator=own) for own in self.generators])
            moved, self.first, self.second = adam_step(
                weights, g, self.first, self.second, self.steps - self.freeze, self.rate[:, None], (0.9, 0.999), 1e-8
            )
            moved[:, 0] = 1.0
            self.weights = moved
        return weights.clone()


class PlantedTraining:
    """What the arms share: data, network, losses. settings: one of a profile's `problems`; seeds, rates: one per run."""

    def __init__(
        self, settings: Mapping[str, Any], seeds: Sequence[int], rates: Sequence[float], more_labels: bool = False
    ) -> None:
        self.problem = PlantedClasses.of(settings["problem"])
        self.steps, self.batch = settings["steps"], settings["batch"]
        self.freeze = round(settings["freeze"] * self.steps)
        self.seeds, self.rates = seeds, torch.tensor(rates)
        unique = sorted(set(seeds))
        rows = [unique.index(seed) for seed in seeds]
        parts = drawn(self.problem, unique)
        self.train, self.held, self.test = (Places(*(values[rows] for values in part)) for part in parts)
        if more_labels:
            # Their auxiliary labels stay unknown: only the main labels are more.
            self.train = Places(*(torch.cat(pair, 1) for pair in zip(self.train, self.held, strict=True)))
        self.auxiliary_known = self.problem.samples[0]
        self.model = Bottleneck(
            self.train.x.shape[-1], settings["hidden"], settings["width"], self.problem.classes,
            [generator(seed, "bottleneck") for seed in seeds],
        )  # fmt: skip
        with torch.no_grad():
            whole = torch.arange(self.auxiliary_known).expand(len(seeds), -1)
            main, auxiliary = self._sums(self.model, self._batch(self.train, whole)).chunk(2, -1)
        # With more main labels fewer places have an auxiliary label; the auxiliary loss keeps its weight.
        known = self.auxiliary_known / self.train.main.shape[1]
        self.starts = main.sum(-1, keepdim=True), auxiliary.sum(-1, keepdim=True) * known

    def _batch(self, part: Places, rows: Tensor) -> Batch:
        """rows: (runs, size) of the samples; places are joined.

        Targets: main, signal, labelled (runs, places); then, with one column per class: its places, those of known auxiliary
        label, and these labels.
        """
        own = torch.arange(len(rows))[:, None]
        x, main, signal, labelled, classes, auxiliary = (values[own, rows].flatten(1, 2) for values in part)
        known = (rows < self.auxiliary_known)[:, :, None].expand(-1, -1, part.main.shape[-1]).flatten(1)
        member = one_hot(classes, self.problem.classes).to(x.dtype)
        # Places without auxiliary label belong to no class there.
        target = member * known[..., None]
        return Batch(x, (main, signal, labelled, member, target, target * auxiliary[..., None]))

    def _sums(self, call: Call, batch: Batch) -> Tensor:
        """(runs, 2 C): main loss, then auxiliary loss, by class, over the number of places."""
        main, _, labelled, member = batch.targets[:4]
        value, values = call(batch.inputs)
        of_main = ((value - main).square() * labelled)[:, None] @ member
        return torch.cat([of_main[:, 0] / member.shape[1], self._auxiliary(values, batch)], -1)

    def _auxiliary(self, values: Tensor, batch: Batch) -> Tensor:
        """(runs, C): each class's loss, over the number of places. values: (runs, places, C)."""
        member, auxiliary = batch.targets[4:]
        losses: Tensor = (values * member - auxiliary).square().sum(1) / member.shape[1]
        return losses

    def classes_alone(self, call: Call, batch: Batch) -> Tensor:
        """As `as_tasks`, 0 in place of the main loss."""
        values = self._auxiliary(call(batch.inputs)[1], batch) / self.starts[1]
        return torch.nn.functional.pad(values, (1, 0))

    def auxiliary_alone(self, call: Call, batch: Batch) -> Tensor:
        """As `in_two`, 0 in place of the main loss."""
        values = self._auxiliary(call(batch.inputs)[1], batch) / self.starts[1]
        return torch.nn.functional.pad(values.sum(-1, keepdim=True), (1, 0))

    def by_class(self, call: Call, batch: Batch) -> Tensor:
        """(runs, 2 (C + 1)), as `ClassWeights` takes them: every place has a class."""
        main, auxiliary = self._sums(call, batch).chunk(2, -1)
        none = torch.zeros_like(main[:, :1])
        return torch.cat([main / self.starts[0], none, auxiliary / self.starts[1], none], -1)

    def as_tasks(self, call: Call, batch: Batch) -> Tensor:
        """(runs, 1 + C): the main loss and each class's."""
        main, auxiliary = self._sums(call, batch).chunk(2, -1)
        return torch.cat([main.sum(-1, keepdim=True) / self.starts[0], auxiliary / self.starts[1]], -1)

    def in_two(self, call: Call, batch: Batch) -> Tensor:
        """(runs, 2): the main and the auxiliary loss."""
        values = self.as_tasks(call, batch)
        return torch.stack([values[:, 0], values[:, 1:].sum(-1)], -1)

    def held_out(self, call: Call, part: str = "held") -> Tensor:
        """(runs,): the main loss over the labels of a part; of the test part, over all places without label noise."""
        places: Places = getattr(self, part)
        value: Tensor = call(places.x.flatten(1, 2))[0]
        if part == "test":
            return (value - places.signal.flatten(1)).square().mean(-1)
        known = places.labelled.flatten(1).to(value.dtype)
        return ((value - places.main.flatten(1)).square() * known).sum(-1) / known.sum(-1)

    def batches(self) -> Iterator[Batch]:
        """Without end."""
        order = [generator(seed, "order") for seed in self.seeds]
        while True:
            for rows in minibatches(self.train.main.shape[1], self.batch, order):
                if rows.shape[1] == self.batch:
                    yield self._batch(self.train, rows)

    def fit(self, weighting: Weighting, losses: LossFunction) -> Iterator[int]:
        """Train; yields the number of steps done after each."""
        optimizer = RunwiseSGD(self.model.parameters(), lr=self.rates)
        for step, batch in zip(range(1, self.steps + 1), self.batches(), strict=False):
            train_step(self.model, batch, losses, optimizer, weighting)
            yield step


def weighting_of(arm: str, training: PlantedTraining, alphas: Tensor) -> tuple[Weighting, LossFunction]:
    """A fresh weighting of an arm and the losses it takes. alphas: (runs,), the rates of learnt weights. Raises UnknownName."""
    classes, helpful, freeze = training.problem.classes, len(training.problem.shares), training.freeze
    fixed = {
        "single": [0.0] * classes, "equal": [1.0] * classes, "more labels": [1.0] * classes,
        "oracle": [1.0] * helpful + [0.0] * (classes - helpful), "inverse oracle": [0.0] * helpful + [1.0] * (classes - helpful),
        **{f"without {c}": [float(i != c) for i in range(classes)] for c in range(classes)},
    }  # fmt: skip
    if arm in fixed:
        return Static([1.0, *fixed[arm]]), training.as_tasks
    if arm in ("ratio", "ratio, every 10", "ratio, every 50", "scalar"):
        every = int(arm.rpartition(" ")[2]) if "every" in arm else 1
        weighting = ClassWeights("scalar" if arm == "scalar" else "class", alphas, freeze=freeze, every=every)
        ones = torch.ones(len(alphas))
        weighting.state = class_weight_start(classes, ones, ones)  # the losses are divided by their start values already
        return weighting, training.by_class
    if arm == "uncertainty":
        return Uncertainty("regression", rate=alphas), training.in_two
    if arm == "random":
        draws = [generator(seed, "random gradients") for seed in training.seeds]
        return RandomGradients(alphas, freeze, draws), training.as_tasks
    if arm in ("one weight", "exact on the batch", "held-out"):
        metric = None if arm == "exact on the batch" else training.held_out
        one = arm == "one weight"
        alone = training.auxiliary_alone if one else training.classes_alone
        return HeldOutClassWeights(metric, alphas, freeze, auxiliary=alone), training.in_two if one else training.as_tasks
    raise UnknownName("arm", arm, PLANTED_ARMS)


def class_weights_of(weighting: Weighting, classes: int) -> Tensor | None:
    """(runs, C): the weights that a method has learnt; None where they are given."""
    if isinstance(weighting, ClassWeights):
        assert weighting.state is not None
        return weighting.state.weights
    weights = getattr(weighting, "weights", None)
    return None if weights is None else weights[:, 1:].expand(-1, classes)


def trained(
    settings: Mapping[str, Any], arm: str, rates: Sequence[float], alphas: Sequence[float], seeds: Sequence[int], tested: bool
) -> list[dict[str, Any]]:
    """A row per learning rate, rate of the weights and seed: the main loss on held-out labels and, if `tested`, on the test part.

    A tested run also has the loss of the best constant (1 but for the draw) and, where weights are learnt, those at the end and
    after half of their updates, w0.. and half0.. by class.
    """
    points = list(product(rates, alphas, seeds))
    training = PlantedTraining(settings, [seed for *_, seed in points], [rate for rate, *_ in points], arm == "more labels")
    weighting, losses = weighting_of(arm, training, torch.tensor([alpha for _, alpha, _ in points]))
    half, middle = training.freeze + (training.steps - training.freeze) // 2, None
    for step in training.fit(weighting, losses):
        if step == half:
            middle = class_weights_of(weighting, training.problem.classes)
    weights = class_weights_of(weighting, training.problem.classes)
    with torch.no_grad():
        values = {"validation": training.held_out(training.model)}
        if tested:
            signal = training.test.signal.flatten(1)
            values |= {"test": training.held_out(training.model, "test"), "constant": signal.var(-1, correction=0)}
            for name, own in (("w", weights), ("half", middle)):
                values |= {} if own is None else {f"{name}{c}": column for c, column in enumerate(own.unbind(-1))}
    rows = torch.stack(list(values.values()), -1).tolist()
    return [
        {"rate": rate, "alpha": alpha, "seed": seed}
        | {name: float(f"{value:.5g}") for name, value in zip(values, row, strict=True)}
        for (rate, alpha, seed), row in zip(points, rows, strict=True)
    ]
