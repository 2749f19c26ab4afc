"""Covariance alignment on real text (Wu, Zhang, Re 2020, Sections 3.2 and 3.3): each training with and without alignment, and
with a linear layer of the same size that aligns nothing.

Ways to train a model, each for the same number of epochs, from the same start and on the same batches:
"plain": no alignment. "aligned": R_i trained along with everything else. "fixed": half of the epochs plain, then Algorithm 1 as
printed, steps on A_i and R_i in turn with B fixed. "fixed control": the same second half with R_i = I, so steps on A_i alone.
"control": a linear layer after the shared module, trained along with everything else. "single": each task by itself, plain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mtlrepro.device import choose
from mtlrepro.methods.alignment import covariance_similarity
from mtlrepro.papers.transfer.models.aligned import AlignedBottom, Kind
from mtlrepro.papers.transfer.models.sentence import ENCODERS
from mtlrepro.papers.transfer.models.sentence import Kind as EncoderKind
from mtlrepro.papers.transfer.training import sentences
from mtlrepro.papers.transfer.training.aligned_runs import train_ways
from mtlrepro.papers.transfer.training.mixed_tasks import accuracy, predictions

Row = dict[str, Any]
# Width of the word vectors, and so of the encoder's features: R_i and the control's layer are then of one size.
_WIDTH = 50


def similarity(models: Sequence[tuple[AlignedBottom, int]], tasks: Sequence[sentences.Part]) -> float:
    """Equation 6 between two tasks' embeddings of all words of their training sentences, as the encoder reads them.

    models: for each task its model and which of that model's tasks it is.
    """
    found = []
    for (model, number), part in zip(models, tasks, strict=True):
        inside = torch.arange(part.tokens.shape[1]) < part.lengths[:, None]
        words, counts = part.tokens[inside].unique(return_counts=True)
        with torch.no_grad():
            vectors = model.embedding((words[:, None].to(next(model.parameters()).device), torch.ones_like(words)), number)[0]
        # A row times the root of its count has the Gram matrix of that many copies.
        found.append(vectors[:, 0].double().cpu() * counts.double().sqrt()[:, None])
    return float(covariance_similarity(*found))


def _builder(prepared: sentences.Prepared, encoder: EncoderKind, tune: bool, dropout: float) -> Callable[[Kind], AlignedBottom]:
    dim = prepared.vectors.shape[1]

    def build(kind: Kind) -> AlignedBottom:
        return AlignedBottom(ENCODERS[encoder](prepared.vectors, _WIDTH, tune, dropout), dim, _WIDTH, prepared.classes, kind)

    return build


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
    data: str = "",
) -> list[Row]:
    """Sentence tasks trained together in every one of `ways`, or one task (then "single"): one row a way and task.

    Row: `valid` and `test` accuracy in percent and, for a pair, the similarity `score` of the two tasks' embeddings in the
    trained model; of "plain" with word vectors that are not tuned it is the score before any alignment. leak, rows: as in
    `sentences.splits`. data: `sentences.data_digest`.
    """
    place = choose(device)
    prepared = sentences.prepare(tuple(tasks), seed, leak, "random", rows)
    options: dict[str, Any] = {"rate": rate, "epochs": epochs, "batch": batch, "place": place}
    # Each way's models, task by task; a model of several tasks stands for each of them.
    made: dict[str, list[tuple[AlignedBottom, int]]] = {}
    if "single" in ways:
        made["single"] = []
        for i in range(len(tasks)):
            one = _only(prepared, i)
            model = train_ways(_builder(one, encoder, tune, dropout), one.train, one.valid, seed, ["plain"], **options)["plain"]
            made["single"].append((model, 0))
    build = _builder(prepared, encoder, tune, dropout)
    joint = [way for way in ways if way != "single"]
    for way, model in train_ways(build, prepared.train, prepared.valid, seed, joint, **options).items():
        made[way] = [(model, i) for i in range(len(tasks))]
    found = []
    for way, models in made.items():
        score = similarity(models, prepared.train) if len(tasks) == 2 else float("nan")
        for i, (task, (model, head)) in enumerate(zip(tasks, models, strict=True)):
            valid, test = (
                100 * accuracy(of[i].labels, predictions(model, of[i], head, place)) for of in (prepared.valid, prepared.test)
            )
            found.append(
                {"pair": "-".join(tasks), "way": way, "task": task, "valid": valid, "test": test, "score": round(score, 5)}
            )
    return found


def _only(prepared: sentences.Prepared, task: int) -> sentences.Prepared:
    """One of the tasks, its words numbered as before."""
    train, valid, test = ([of[task]] for of in (prepared.train, prepared.valid, prepared.test))
    return sentences.Prepared(train, valid, test, [prepared.classes[task]], prepared.vectors)


def _source(task: str, seed: int, leak: bool, encoder: EncoderKind, epochs: int, rate: float, batch: int, dropout: float,
            tune: bool, rows: int | None, device: str, beside: str) -> AlignedBottom:  # fmt: skip
    """The single-task model of the source, its words numbered as in a joint vocabulary with the target."""
    place = choose(device)
    prepared = sentences.prepare((task, beside), seed, leak, "random", rows)
    one = _only(prepared, 0)
    options: dict[str, Any] = {"rate": rate, "epochs": epochs, "batch": batch, "place": place}
    build = _builder(one, encoder, tune, dropout)
    return train_ways(build, one.train, one.valid, seed, ["plain"], **options)["plain"]


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
    data: str = "",
) -> list[Row]:
    """A model of `source`, then fine-tuned on `target` in every one of `ways`, and "scratch", the target's own model, trained for
    `epochs`: one row a way. Everything is trained in fine-tuning, the encoder too, for `tuning_epochs`. Arguments as of `pair`.
    """
    place = choose(device)
    both = sentences.prepare((source, target), seed, leak, "random", rows)
    alone = _only(both, 1)
    start = _source(source, seed, leak, encoder, epochs, rate, batch, dropout, tune, rows, device, target)
    options: dict[str, Any] = {"rate": rate, "batch": batch, "place": place}
    build = _builder(alone, encoder, tune, dropout)
    made = train_ways(build, alone.train, alone.valid, seed, ways, epochs=tuning_epochs, start=start, **options)
    made["scratch"] = train_ways(build, alone.train, alone.valid, seed, ["plain"], epochs=epochs, **options)["plain"]
    found = []
    for way, model in made.items():
        valid, test = (100 * accuracy(of[0].labels, predictions(model, of[0], 0, place)) for of in (alone.valid, alone.test))
        found.append({"way": way, "task": target, "valid": valid, "test": test})
    return found
