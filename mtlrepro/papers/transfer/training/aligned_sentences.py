"""Sentence classifiers with covariance alignment: their data, how they are built, and what they reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from mtlrepro.papers.transfer.models.aligned import AlignedBottom, Kind
from mtlrepro.papers.transfer.models.sentence import ENCODERS
from mtlrepro.papers.transfer.models.sentence import Kind as EncoderKind
from mtlrepro.papers.transfer.training.aligned_runs import Trained
from mtlrepro.papers.transfer.training.mixed_tasks import accuracy, predictions
from mtlrepro.papers.transfer.training.sentences import Prepared


def builder(
    prepared: Prepared, encoder: EncoderKind, capacity: int, tune: bool, dropout: float
) -> Callable[[Kind], AlignedBottom]:
    """The `build` of `train_ways`; capacity: the encoder's width."""
    dim = prepared.vectors.shape[1]

    def build(kind: Kind) -> AlignedBottom:
        bottom = ENCODERS[encoder](prepared.vectors, capacity, tune, dropout)
        return AlignedBottom(bottom, dim, capacity, prepared.classes, kind)

    return build


def only(prepared: Prepared, task: int) -> Prepared:
    """One of the tasks, its words numbered as before."""
    train, valid, test = ([of[task]] for of in (prepared.train, prepared.valid, prepared.test))
    return Prepared(train, valid, test, [prepared.classes[task]], prepared.vectors)


def best_rates(train: Callable[[float], dict[str, Trained]], rates: Sequence[float]) -> dict[str, tuple[float, Trained]]:
    """Each way's best training by mean validation accuracy over its tasks, the first of equals, and its learning rate."""
    tried = [(rate, train(rate)) for rate in rates]
    return {
        way: max(((rate, ways[way]) for rate, ways in tried), key=lambda one: float(one[1].validation.mean(-1).max()))
        for way in tried[0][1]
    }


def percent(prepared: Prepared, task: int, model: AlignedBottom, head: int, place: torch.device) -> dict[str, float]:
    """Accuracy of one task in validation and test."""
    parts = {"valid": prepared.valid[task], "test": prepared.test[task]}
    return {name: 100 * accuracy(part.labels, predictions(model, part, head, place)) for name, part in parts.items()}
