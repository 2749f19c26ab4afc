"""Covariance alignment on sentence tasks (Wu, Zhang, Re 2020, Sections 3.2 and 3.3, Figures 5b and 6): each training with and
without alignment, and with a linear layer of the same size that aligns nothing. The ways to train are those of `train_ways`;
"single" stands for each task by itself, plain.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mtlrepro.device import choose
from mtlrepro.methods.alignment import covariance_similarity
from mtlrepro.papers.transfer.data.text import TITLES
from mtlrepro.papers.transfer.models.aligned import AlignedBottom, Kind
from mtlrepro.papers.transfer.models.sentence import ENCODERS
from mtlrepro.papers.transfer.models.sentence import Kind as EncoderKind
from mtlrepro.papers.transfer.training import sentences
from mtlrepro.papers.transfer.training.aligned_runs import WAYS, train_ways
from mtlrepro.papers.transfer.training.mixed_tasks import accuracy, predictions
from mtlrepro.parameters import Params

Row = dict[str, Any]
# Width of the word vectors, and so of the encoder's features: R_i and the control's layer are then of one size.
_WIDTH = 50
SOURCE = "sst"
# The sets that share sentences.
_SHARING = {"sst", "mr", "subj"}


def _common(p: Params) -> dict[str, Any]:
    return {
        "encoder": p.encoder, "tune": p.tune, "rows": p.sentences or None, "epochs": p.epochs, "device": p.device,
    }  # fmt: skip


def _seeds(p: Params) -> range:
    return range(p.first_seed, p.first_seed + p.seeds)


def pair_settings(p: Params) -> list[dict[str, Any]]:
    """Settings of `pair`, for Figure 6: every pair in every way, pairs that share sentences also with the leak; each task."""

    def one(seed: int, tasks: Iterable[str], leak: bool, ways: list[str]) -> dict[str, Any]:
        return {"seed": seed, "tasks": list(tasks), "leak": leak, "ways": ways} | _common(p)

    pairs = list(itertools.combinations(p.tasks, 2))
    # With fixed word vectors the score before alignment needs no training.
    ways = [*(["single"] if p.tune else []), *WAYS]
    settings = [one(seed, tasks, False, ways) for seed in _seeds(p) for tasks in pairs]
    leaky = [tasks for tasks in pairs if set(tasks) <= _SHARING]
    settings += [one(seed, tasks, True, ["plain", "aligned"]) for seed in _seeds(p) for tasks in leaky]
    return settings + [one(seed, [task], leak, ["plain"]) for seed in _seeds(p) for task in p.tasks for leak in (False, True)]


def transfer_settings(p: Params) -> list[dict[str, Any]]:
    """Settings of `transfer`, for Figure 5b: from SST to every other task, without and with the leak."""
    return [
        {"source": SOURCE, "target": target, "seed": seed, "leak": leak, "ways": ["plain", "aligned", "control"]}
        | {"tuning_epochs": p.tuning_epochs} | _common(p)
        for seed in _seeds(p) for target in p.tasks if target != SOURCE for leak in (False, True)
    ]  # fmt: skip


def similarity(models: Sequence[tuple[AlignedBottom, int]], tasks: Sequence[sentences.TokenizedSentences]) -> float:
    """Equation 6 between two tasks' embeddings of all words of their training sentences, as the encoder reads them.

    models: for each task its model and which of that model's tasks it is.
    """
    embeddings = []
    for (model, number), part in zip(models, tasks, strict=True):
        inside = torch.arange(part.tokens.shape[1]) < part.lengths[:, None]
        words, counts = part.tokens[inside].unique(return_counts=True)
        with torch.no_grad():
            vectors = model.embedding((words[:, None].to(next(model.parameters()).device), torch.ones_like(words)), number)[0]
        # A row times the root of its count has the Gram matrix of that many copies.
        embeddings.append(vectors[:, 0].double().cpu() * counts.double().sqrt()[:, None])
    return float(covariance_similarity(*embeddings))


def _builder(prepared: sentences.Prepared, encoder: EncoderKind, tune: bool, dropout: float) -> Callable[[Kind], AlignedBottom]:
    dim = prepared.vectors.shape[1]

    def build(kind: Kind) -> AlignedBottom:
        return AlignedBottom(ENCODERS[encoder](prepared.vectors, _WIDTH, tune, dropout), dim, _WIDTH, prepared.classes, kind)

    return build


def _percent(prepared: sentences.Prepared, task: int, model: AlignedBottom, head: int, place: torch.device) -> dict[str, float]:
    """Accuracy of one task in validation and test."""
    parts = {"valid": prepared.valid[task], "test": prepared.test[task]}
    return {name: 100 * accuracy(part.labels, predictions(model, part, head, place)) for name, part in parts.items()}


def pair(
    tasks: list[str],
    seed: int,
    leak: bool,
    encoder: EncoderKind,
    epochs: int,
    ways: list[str],
    rate: float = 3e-3,
    batch: int = 64,
    dropout: float = 0.3,
    tune: bool = False,
    rows: int | None = None,
    device: str = "cpu",
) -> list[Row]:
    """Sentence tasks trained together in every one of `ways`, or one task (then "single"): one row per way and task.

    Row: `valid` and `test` accuracy in percent, `whole` (whether all sentences are trained on) and, for a pair, the similarity
    `score` of the two tasks' embeddings in the trained model; of "plain" with word vectors that are not tuned it is the score
    before any alignment. leak, rows: as in `sentences.splits`.
    """
    place = choose(device)
    prepared = sentences.prepare(tuple(tasks), seed, leak, "random", rows)
    options: dict[str, Any] = {"rate": rate, "epochs": epochs, "batch": batch, "place": place}
    # Each way's models, task by task; a model of several tasks stands for each of them.
    models: dict[str, list[tuple[AlignedBottom, int]]] = {}
    if "single" in ways:
        alone = [_only(prepared, i) for i in range(len(tasks))]
        builders = [_builder(one, encoder, tune, dropout) for one in alone]
        trained_alone = [
            train_ways(build, one.train, one.valid, seed, ["plain"], **options)["plain"]
            for build, one in zip(builders, alone, strict=True)
        ]
        models["single"] = [(trained.model, 0) for trained in trained_alone]
    build = _builder(prepared, encoder, tune, dropout)
    joint = [way for way in ways if way != "single"]
    for way, trained in train_ways(build, prepared.train, prepared.valid, seed, joint, **options).items():
        models[way] = [(trained.model, i) for i in range(len(tasks))]
    reached = []
    for way, each in models.items():
        score = round(similarity(each, prepared.train), 5) if len(tasks) == 2 else float("nan")
        for i, (task, (model, head)) in enumerate(zip(tasks, each, strict=True)):
            row = {"pair": "-".join(tasks), "way": way, "task": task, "score": score, "whole": rows is None}
            reached.append(row | _percent(prepared, i, model, head, place))
    return reached


def _only(prepared: sentences.Prepared, task: int) -> sentences.Prepared:
    """One of the tasks, its words numbered as before."""
    train, valid, test = ([of[task]] for of in (prepared.train, prepared.valid, prepared.test))
    return sentences.Prepared(train, valid, test, [prepared.classes[task]], prepared.vectors)


def transfer(
    source: str,
    target: str,
    seed: int,
    leak: bool,
    encoder: EncoderKind,
    epochs: int,
    tuning_epochs: int,
    ways: list[str],
    rate: float = 3e-3,
    batch: int = 64,
    dropout: float = 0.3,
    tune: bool = False,
    rows: int | None = None,
    device: str = "cpu",
) -> list[Row]:
    """A model of `source`, then fine-tuned on `target` in every one of `ways`, and "scratch", the target's own model, trained for
    `epochs`: one row per way. Everything is trained in fine-tuning, the encoder too, for `tuning_epochs`. Arguments as of `pair`.

    Row: as of `pair`, with the way's own `epochs` and its `rate`, and `late_change`: how far the validation accuracy moved in the
    last two epochs, in points.
    """
    place = choose(device)
    # One vocabulary of both tasks, so that a word has the same number in either.
    first, alone = (_only(sentences.prepare((source, target), seed, leak, "random", rows), i) for i in (0, 1))
    options: dict[str, Any] = {"rate": rate, "batch": batch, "place": place}
    build = _builder(first, encoder, tune, dropout)
    start = train_ways(build, first.train, first.valid, seed, ["plain"], epochs=epochs, **options)["plain"].model
    build = _builder(alone, encoder, tune, dropout)
    trained = train_ways(build, alone.train, alone.valid, seed, ways, epochs=tuning_epochs, start=start, **options)
    trained["scratch"] = train_ways(build, alone.train, alone.valid, seed, ["plain"], epochs=epochs, **options)["plain"]
    reached = []
    for way, (model, validation) in trained.items():
        row: Row = {"way": way, "task": target, "epochs": len(validation), "rate": rate, "whole": rows is None}
        reached.append(row | {"late_change": _late_change(validation)} | _percent(alone, 0, model, 0, place))
    return reached


def _late_change(validation: Tensor) -> float:
    """Range of the validation accuracy, in points, from the state before the last two epochs on; validation: (epochs, 1)."""
    last = validation[-3:]
    return 100 * float(last.max() - last.min())


def leaked(p: Params) -> pd.DataFrame:
    """Share of each task's test sentences (percent) that stand in another task's training part."""
    shares = {
        "the parts of the sets that are used": sentences.leaked(p.first_seed, "random", p.sentences or None),
        "whole sets": sentences.leaked(p.first_seed, "random"),
    }
    return pd.DataFrame(shares).T.rename(columns=TITLES).rename_axis("sets")
