"""Training sentence classifiers, one task alone or several together (Wu, Zhang, Re 2020, Section 3.3, Appendix B.3)."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mtlrepro.device import choose, deterministic, generator, seeded
from mtlrepro.papers.transfer.data import text
from mtlrepro.papers.transfer.models.sentence import Kind, sentence_classifier
from mtlrepro.papers.transfer.training.mixed_tasks import fit_tasks, scores
from mtlrepro.training.weighting import Batch

How = Literal["auto", "random", "official"]

_PADDING, _UNKNOWN = 0, 1
# Batches are cut from pools of this many batches sorted by length, so that a batch holds little padding.
_POOL = 20


@dataclass(frozen=True)
class TokenizedSentences:
    """n tokenised sentences of one task: tokens (n, longest) int64 padded with 0, lengths (n,), labels (n,)."""

    tokens: Tensor
    lengths: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: Tensor, task: int, device: torch.device) -> Batch:
        """The batch of these rows on `device`, as narrow as its longest sentence."""
        lengths = self.lengths[rows]
        tokens = self.tokens[rows, : int(lengths.max())]
        return Batch((tokens.to(device), lengths.to(device)), self.labels[rows].to(device), task)

    def batches(self, size: int, shuffle: torch.Generator | None = None) -> list[Tensor]:
        """Row numbers of all batches, each of sentences of like lengths; in random order with a generator."""
        if shuffle is None:
            return list(self.lengths.argsort(stable=True).split(size))
        pools = torch.randperm(len(self), generator=shuffle).split(size * _POOL)
        cut = [rows for pool in pools for rows in pool[self.lengths[pool].argsort(stable=True)].split(size)]
        return [cut[i] for i in torch.randperm(len(cut), generator=shuffle).tolist()]


@dataclass(frozen=True)
class Prepared:
    """The tasks of a training: sentences by task, numbers of classes, and the vectors of the words that occur."""

    train: list[TokenizedSentences]
    valid: list[TokenizedSentences]
    test: list[TokenizedSentences]
    classes: list[int]
    vectors: Tensor


@functools.cache
def load_sets(source: Literal["real", "synthetic"] = "real") -> tuple[dict[str, text.SentenceSet], text.WordVectors]:
    """The six sets and word vectors, kept for the process; synthetic ones where the real ones are not at hand."""
    sets = text.sentence_sets(prefer=source)
    return sets, text.word_vectors(sets)


@functools.cache
def splits(seed: int, leak: bool, how: How = "random", rows: int | None = None) -> Mapping[str, text.Split]:
    """Split of every set. Without `leak` no sentence of any task's test part stands in any training or validation part,
    and none of a validation part in a training part; test parts are the same with and without.

    rows: at most so many rows a set, drawn by `seed` before splitting; None: all.
    """
    sets, _ = load_sets()
    plain = {name: text.split(sentences, seed, how) for name, sentences in sets.items()}
    if rows is not None:
        plain = {name: _thinned(split, rows / len(sets[name])) for name, split in plain.items()}
    return plain if leak else text.without_leaks(sets, plain)


def _thinned(split: text.Split, share: float) -> text.Split:
    """The first `share` of each part, which is in random order in a random split."""
    if share >= 1:
        return split
    kept = {name: part[: max(1, round(share * len(part)))] for name, part in split.parts().items()}
    return replace(split, **kept)


@functools.lru_cache(maxsize=8)
def prepare(
    tasks: tuple[str, ...],
    seed: int,
    leak: bool,
    how: How = "random",
    rows: int | None = None,
    longest: int = 60,
) -> Prepared:
    """Tokens of `tasks` in one vocabulary. Sentences are cut at `longest` words; an empty one is one unknown word."""
    sets, vectors = load_sets()
    parts = splits(seed, leak, how, rows)
    used: dict[int, int] = {}
    prepared: dict[str, list[TokenizedSentences]] = {name: [] for name in text.SPLITS}
    for task in tasks:
        for name, numbers in parts[task].parts().items():
            sentences = [_numbers(sets[task].texts[i], vectors, used)[:longest] or [_UNKNOWN] for i in numbers]
            lengths = torch.tensor([len(words) for words in sentences])
            tokens = torch.full((len(sentences), int(lengths.max())), _PADDING)
            for row, words in enumerate(sentences):
                tokens[row, : len(words)] = torch.tensor(words)
            prepared[name].append(TokenizedSentences(tokens, lengths, torch.from_numpy(sets[task].labels[numbers])))
    matrix = np.zeros((2 + len(used), vectors.matrix.shape[1]), np.float32)
    matrix[2:] = vectors.matrix[list(used)]
    return Prepared(**prepared, classes=[len(sets[t].classes) for t in tasks], vectors=torch.from_numpy(matrix))


def _numbers(sentence: str, vectors: text.WordVectors, used: dict[int, int]) -> list[int]:
    """Numbers of a sentence's words; words without a vector share one. `used`: vector row -> number, grown here."""
    rows = [vectors.index.get(word) for word in text.tokenize(sentence, vectors.index)]
    return [_UNKNOWN if row is None else used.setdefault(row, 2 + len(used)) for row in rows]


def sources() -> tuple[Literal["paper's data", "synthetic"], dict[str, str]]:
    """Tier of the data that `train` reads here, and the sha256 of each set and of the word vectors."""
    sets, vectors = load_sets()
    real = all(s.is_real for s in sets.values()) and vectors.tier != "synthetic"
    return "paper's data" if real else "synthetic", {name: s.sha256 for name, s in sets.items()} | {
        "word vectors": vectors.sha256
    }


def overview(seed: int, how: How, rows: int | None) -> pd.DataFrame:
    """One line per task: its numbers of sentences, and how many of its test sentences the other tasks' training would show."""
    sets, _ = load_sets()
    plain, clean, shares = splits(seed, True, how, rows), splits(seed, False, how, rows), leaked(seed, how, rows)
    lines = {
        title: {
            "sentences": len(sets[task]),
            "test": len(plain[task].test),
            "training, with the leak": len(plain[task].train),
            "training, without": len(clean[task].train),
            "test sentences in another task's training part (%)": shares[task],
        }
        for task, title in text.TITLES.items()
    }
    return pd.DataFrame(lines).T.rename_axis("task").convert_dtypes()


def shared_sentences() -> pd.DataFrame:
    """How many different sentences each pair of sets shares; on the diagonal, how many each has."""
    shared = text.shared_sentences(load_sets()[0]).loc[list(text.TITLES), list(text.TITLES)]
    return shared.rename(index=text.TITLES, columns=text.TITLES).rename_axis("set")


def leaked(seed: int, how: How = "random", rows: int | None = None) -> dict[str, float]:
    """Task -> share (in percent) of its test sentences that stand, labelled, in another task's training part."""
    sets, _ = load_sets()
    parts = splits(seed, True, how, rows)

    def forms(task: str, numbers: Sequence[int]) -> list[str]:
        return [text.normal_form(sets[task].texts[i]) for i in numbers]

    trained = {task: set(forms(task, parts[task].train.tolist())) for task in sets}
    shares = {}
    for task in sets:
        elsewhere = set().union(*(theirs for other, theirs in trained.items() if other != task))
        shares[task] = 100 * float(np.mean([form in elsewhere for form in forms(task, parts[task].test.tolist())]))
    return shares


def train(
    tasks: Sequence[str],
    capacity: int,
    rate: float,
    seed: int,
    leak: bool,
    epochs: int,
    patience: int = 2,
    batch: int = 64,
    dropout: float = 0.3,
    tune: bool = True,
    how: How = "random",
    rows: int | None = None,
    device: str = "cpu",
    encoder: Kind = "lstm",
) -> list[dict[str, Any]]:
    """Train one encoder on `tasks` (one: single-task) and return one row per task, accuracies in percent.

    Adam at `rate`; batches of all tasks mixed and shuffled (Appendix B.3); the epoch with the best mean validation
    accuracy over the tasks is kept, and the test parts are read once, after that. seed: of the split, the initial
    weights, the batch order and the dropout. leak, how, rows: see `splits`.
    """
    place = choose(device)
    prepared = prepare(tuple(tasks), seed, leak, how, rows)
    order = generator(seed, "order", *tasks)
    with deterministic(threads=1), seeded(seed, "model", *tasks):
        model = sentence_classifier(prepared.vectors, capacity, prepared.classes, tune, dropout, encoder).to(place)
        done = fit_tasks(
            model, prepared.train, prepared.valid, order, rate=rate, epochs=epochs, batch=batch, patience=patience, place=place
        )
        valid, test = scores(model, prepared.valid, place), scores(model, prepared.test, place)
    return [
        {
            "trained_on": task if len(tasks) == 1 else "all",
            "task": task,
            "valid": 100 * float(valid[i]),
            "test": 100 * float(test[i]),
            "best_epoch": int(done.best_epoch),
            "trained_epochs": len(done.losses),
            "train_sentences": len(prepared.train[i]),
            "test_sentences": len(prepared.test[i]),
        }
        for i, task in enumerate(tasks)
    ]
