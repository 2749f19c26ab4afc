"""Training with covariance alignment and its controls: every way on the same tasks and seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from mtlrepro.device import deterministic, generator, seeded
from mtlrepro.papers.transfer.models.aligned import AlignedBottom, Kind
from mtlrepro.papers.transfer.training.mixed_tasks import Metric, Samples, fit_tasks

WAYS = ("plain", "aligned", "control", "fixed", "fixed control")


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
) -> dict[str, AlignedBottom]:
    """A trained model for each of `ways`. build: kind -> a fresh model, drawn from the global generators, seeded here.

    start: a trained model whose encoder every one of them starts from (transfer learning).
    """
    found: dict[str, AlignedBottom] = {}

    def run(model: AlignedBottom, count: int, turns: list[list[nn.Parameter]] | None = None) -> AlignedBottom:
        options: dict[str, Any] = {
            "rate": rate,
            "epochs": count,
            "batch": batch,
            "place": place,
            "metrics": metrics,
            "turns": turns,
        }
        with seeded(seed, "alignment", "steps"):
            fit_tasks(model, train, valid, generator(seed, "alignment", "order"), **options)
        return model

    def made(kind: Kind) -> AlignedBottom:
        with seeded(seed, "alignment", "start"):
            model = build(kind).to(place)
        if start is not None:
            model.encoder.load_state_dict(start.encoder.state_dict())
        return model

    with deterministic(threads=1):
        half = run(made("plain"), epochs - epochs // 2) if {"fixed", "fixed control"} & set(ways) else None
        for way in ways:
            if way in ("plain", "aligned", "control"):
                found[way] = run(made(way), epochs)  # type: ignore[arg-type]
                continue
            assert half is not None
            model = made("aligned")
            model.encoder.load_state_dict(half.encoder.state_dict())
            model.heads.load_state_dict(half.heads.state_dict())
            heads, alignments = model.turns()
            found[way] = run(model, epochs // 2, [heads, alignments] if way == "fixed" else [heads])
            for p in model.parameters():
                p.requires_grad_(True)
    return found
