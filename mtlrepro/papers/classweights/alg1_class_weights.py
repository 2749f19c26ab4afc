"""What class-wise weights do while they train: their derivatives by three rules, and classes that are known to harm.

Depth is the main task, segmentation's classes carry the weights (Yim and Kim 2020, Algorithm 1). `derivatives` measures along one
training, at the same steps, the finite-difference ratio of eq. 8, its scalar form of eq. 7, the exact derivative through the last
step, and a *reference*: that derivative with the main loss of other images, drawn from the validation part. The exact one and the
reference differ by the noise of the batch on which the main loss is taken, so their agreement bounds what any rule can reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from mtlrepro.device import generator
from mtlrepro.errors import UnknownName
from mtlrepro.methods.class_weights import ClassWeights, difference_gradient
from mtlrepro.papers.classweights.arms import PLANTED, PLANTS, RULES
from mtlrepro.papers.classweights.data.scenes import preset
from mtlrepro.papers.classweights.models.unet import DEPTH
from mtlrepro.papers.classweights.training.scene_tasks import (
    ScenePart,
    SceneTraining,
    auxiliary_classes,
    pixel_losses,
    scene_parts,
    scored,
    train,
    training_of,
)
from mtlrepro.parameters import Params
from mtlrepro.training.weighting import LossFunction, Step, Weighting, WeightingWrapper


class Compared(ClassWeights):
    """`ClassWeights` that also measures all rules at every `interval`-th step. held: images of the reference.

    `measured`: one (4, classes) a measured step, rows as RULES; `shares`: (classes,), of the batch's pixels; `steps`: when.
    """

    def __init__(self, held: ScenePart, seed: int, interval: int, **options: Any) -> None:
        super().__init__(**options)
        self.held, self.interval, self.drawn = held, interval, generator(seed, "reference")
        self.measured: list[Tensor] = []
        self.shares: list[Tensor] = []
        self.steps: list[int] = []
        self.seen = 0

    def __call__(self, step: Step) -> Tensor:
        state = self.state
        self.seen += 1
        due = state is not None and self.seen % self.interval == 0
        if due and state is not None and self.last is not None:
            main, auxiliary = (values[:-1] for values in step.losses.detach().chunk(2))
            before = self.last
            # As in `class_weight_step`: the differences are to the batch before.
            ratio, scalar = (difference_gradient(state, main, auxiliary, form) for form in ("class", "scalar"))
            exact = super()._exact(step, state)
            self.last = before
            self.measured.append(torch.stack([ratio, scalar, exact, self._reference(step)]))
            labels = auxiliary_classes(DEPTH, step.batch).flatten()
            counts = torch.bincount(labels[labels >= 0], minlength=len(ratio))[: len(ratio)]
            self.shares.append(counts / labels.numel())
            self.steps.append(self.seen)
        weights = super().__call__(step)
        if self.form != "exact" and self.seen % self.interval == self.interval - 1:  # the step before a measured one
            self.last = {name: p.detach().clone() for name, p in (step.shared | step.heads).items()}, step.batch
        return weights

    def _reference(self, step: Step) -> Tensor:
        """As `exact`, of the main loss on images of the validation part."""
        assert self.state is not None
        assert self.last is not None
        rows = torch.randperm(len(self.held.images), generator=self.drawn)[: len(self.last[1].inputs)]
        buffers = {name: value.clone() for name, value in step.model.named_buffers()}
        now = {name: p.detach().requires_grad_() for name, p in step.shared.items()}
        heads = {name: p.detach() for name, p in step.heads.items()}

        def call(*inputs: Any) -> Any:
            return functional_call(step.model, {**heads, **buffers, **now}, inputs)

        loss = pixel_losses(call, self.held.batch(rows), DEPTH)[0].mean() / self.state.main_start
        gradient = torch.autograd.grad(loss, list(now.values()))
        return self.along(step, self.state, self.last, dict(zip(now, gradient, strict=True)))


def settings(p: Params) -> list[dict[str, Any]]:
    """Of `derivatives`: one per optimizer and seed."""
    same = {"training": training_of(p, "driving"), "alpha": p.alpha, "interval": p.interval}
    return [
        {"optimizer": name, "rate": rate, "seed": p.first_seed + i} | same
        for name, rate in p.rates.items()
        for i in range(p.seeds)
    ]


def still_settings(p: Params) -> list[dict[str, Any]]:
    """Of `derivatives`: one seed whose network never changes."""
    return [setting | {"rate": 0.0} for setting in settings(p) if setting["optimizer"] == "sgd"][:1]


def planted_settings(p: Params) -> list[dict[str, Any]]:
    """Of `planted`: one per kind of harm, of training, and seed."""
    same = {"training": training_of(p, "driving"), "harmful": p.harmful, "rate": p.rates["adam"], "alpha": p.alpha}
    return [
        {"plant": plant, "how": how, "seed": p.first_seed + i} | same
        for plant in PLANTS
        for how in PLANTED
        for i in range(p.seeds)
    ]


def derivatives(
    training: Mapping[str, Any], optimizer: str, rate: float, alpha: float, interval: int, seed: int
) -> list[dict[str, Any]]:
    """A row per measured step and class with pixels: the four rules, the class's share of the batch's pixels.

    The weights follow the finite-difference ratio. With plain SGD (`optimizer` sgd) `exact` is exact up to the changing batch;
    with adam it leaves out Adam's scaling.
    """
    options = SceneTraining.of(training)
    held, names = scene_parts(options, seed)[1], preset(options.kind).names
    watching: list[Compared] = []

    def exchanged(weighting: Weighting, losses: LossFunction | None) -> tuple[Weighting, LossFunction | None]:
        assert isinstance(weighting, ClassWeights)
        kept = {name: weighting.options[name] for name in ("rate", "freeze")}
        watching.append(Compared(held, seed, interval, auxiliary=weighting.auxiliary, **kept))
        return watching[0], losses

    train(options, "classes", DEPTH, seed, rate, alpha, optimizer, weighting=exchanged)
    rows = []
    for at, values, shares in zip(watching[0].steps, watching[0].measured, watching[0].shares, strict=True):
        for c, name in enumerate(names):
            if shares[c] > 0:
                own = {rule: float(f"{values[i, c].item():.4g}") for i, rule in enumerate(RULES)}
                rows.append({"step": at, "class": name, "share": round(shares[c].item(), 5)} | own)
    return rows


def planted(
    training: Mapping[str, Any], plant: str, harmful: Sequence[str], how: str, rate: float, alpha: float, seed: int
) -> list[dict[str, Any]]:
    """One training with depth as the main task and classes `harmful` made to harm. plant: one of PLANTS, how.

    how: one of PLANTED: fixed weights (all 1, the harmful ones 0, the others 0), no auxiliary task, or weights by either rule.
    Returns a row with the test losses and, for learnt weights, a row per class and tenth of the training. Raises UnknownName.
    """
    for what, name, known in (("kind of training", how, PLANTED), ("kind of harm", plant, PLANTS)):
        if name not in known:
            raise UnknownName(what, name, known)
    options = SceneTraining.of({**training, plant: harmful})
    names = preset(options.kind).names
    rows: list[dict[str, Any]] = []
    if how in ("classes", "exact", "single"):
        history: list[Tensor] = []

        def watched(weighting: Weighting, losses: LossFunction | None) -> tuple[Weighting, LossFunction | None]:
            return (_Kept(weighting, history) if how != "single" else weighting), losses

        trained = train(options, how, DEPTH, seed, rate, alpha, weighting=watched)
        rows = [
            {
                "kind": "weights",
                "step": at + 1,
                "class": name,
                "harmful": name in harmful,
                "weight": round(float(history[at][c]), 4),
            }
            for at in range(options.steps // 10 - 1, len(history), options.steps // 10)
            for c, name in enumerate(names)
        ]
    else:
        of_harmful, of_others = {"all weights 1": (1.0, 1.0), "harmful 0": (0.0, 1.0), "others 0": (1.0, 0.0)}[how]
        device = scene_parts(options, seed)[0].depth.device
        weights = torch.tensor([of_harmful if name in harmful else of_others for name in names], device=device)
        trained = train(options, "linear", DEPTH, seed, rate, class_weights=weights)
    return [{"kind": "test"} | scored(trained, options, DEPTH, seed)[0], *rows] if trained.states else rows


class _Kept(WeightingWrapper):
    """A class-wise weighting that leaves its weights after each step in `history`."""

    def __init__(self, weighting: Weighting, history: list[Tensor]) -> None:
        super().__init__(weighting)
        self.history = history

    def __call__(self, step: Step) -> Tensor:
        weights = self.inner(step)
        assert isinstance(self.inner, ClassWeights)
        assert self.inner.state is not None
        self.history.append(self.inner.state.weights.clone())
        return weights
