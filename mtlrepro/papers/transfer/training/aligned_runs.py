"""Training with covariance alignment and its controls: every way on the same tasks and seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mtlrepro.device import deterministic, generator, seeded
from mtlrepro.papers.transfer.models.aligned import AlignedBottom, Kind
from mtlrepro.papers.transfer.training.mixed_tasks import Metric, Samples, fit_tasks
from mtlrepro.training.schedules import Kind as Schedule

WAYS = ("plain", "aligned", "control", "fixed", "fixed control")
# The ways that keep B fixed: whether R_i is trained, and whether the last task's embedding is rotated.
_FIXED = {"fixed": (True, False), "fixed control": (False, False), "rotated": (True, True), "rotated control": (False, True)}


class Trained(NamedTuple):
    """A trained model, in its best state by validation, and its validation scores (epochs, tasks)."""

    model: AlignedBottom
    validation: Tensor


def train_ways(
    build: Callable[[Kind], AlignedBottom],
    train: Sequence[Samples],
    valid: Sequence[Samples],
    seed: int,
    ways: Sequence[str],
    *,
    rate: float,
    epochs: int,
    batch: int,
    place: torch.device,
    metrics: Sequence[Metric] | None = None,
    start: AlignedBottom | None = None,
    schedule: Schedule = "constant",
) -> dict[str, Trained]:
    """A trained model for each of `ways`, all for the same number of epochs, from the same start and on the same batches.

    "plain": no alignment. "aligned": R_i trained along with everything else. "fixed": half of the epochs plain, then Algorithm 1
    as printed, steps on A_i and R_i in turn with B fixed. "fixed control": the same second half with R_i = I, so steps on A_i
    alone. "rotated", "rotated control": the same two with the last task's embedding rotated at random. "control": a linear layer
    after the shared module, trained along with everything else.
    build: kind -> a fresh model, drawn from the global generators, seeded here. start: a trained model whose encoder every one of
    them starts from (transfer learning); B is then fixed at that encoder for all of the epochs.
    """

    def fitted(model: AlignedBottom, count: int, turns: list[list[nn.Parameter]] | None = None) -> Trained:
        order = generator(seed, "alignment", "order")
        with seeded(seed, "alignment", "steps"):
            done = fit_tasks(
                model, train, valid, order, rate=rate, epochs=count, batch=batch, place=place, metrics=metrics, turns=turns,
                schedule=schedule,
            )  # fmt: skip
        return Trained(model, done.validation)

    def fresh(kind: Kind) -> AlignedBottom:
        with seeded(seed, "alignment", "start"):
            model = build(kind).to(place)
        if start is not None:
            model.encoder.load_state_dict(start.encoder.state_dict())
        return model

    def with_fixed_encoder(way: str, half: AlignedBottom) -> Trained:
        model = fresh("aligned")
        model.encoder.load_state_dict(half.encoder.state_dict())
        model.heads.load_state_dict(half.heads.state_dict())
        model.encoder.requires_grad_(False)
        trains, rotates = _FIXED[way]
        if rotates:
            model.rotation = rotation(seed, len(model.matrices[0]), place)
        heads, alignments = model.turns()
        trained = fitted(model, epochs // 2 if start is None else epochs, [heads, alignments] if trains else [heads])
        model.requires_grad_(True)
        return trained

    trained: dict[str, Trained] = {}
    kinds: dict[str, Kind] = {"plain": "plain", "aligned": "aligned", "control": "control"}
    with deterministic(threads=1):
        half: AlignedBottom | None = None
        for way in ways:
            if way in kinds:
                trained[way] = fitted(fresh(kinds[way]), epochs)
                continue
            if half is None:
                half = fitted(fresh("plain"), epochs - epochs // 2).model if start is None else fresh("plain")
            trained[way] = with_fixed_encoder(way, half)
    return trained


def rotation(seed: int, d: int, place: torch.device) -> Tensor:
    """(d, d), a random orthogonal matrix."""
    turned: Tensor = torch.linalg.qr(torch.randn(d, d, generator=generator(seed, "rotation")))[0]
    return turned.to(place)
