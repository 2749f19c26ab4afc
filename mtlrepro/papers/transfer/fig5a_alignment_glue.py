"""GLUE tasks, their metrics, and embeddings of whole texts by a frozen encoder (Wu, Zhang, Re 2020, Figure 5a).

Figure 5a's rows come from `fig5a_aligned_encoder`, which takes tasks and metrics from here; the comparison's sentence problems
take embeddings. `train` has R_i behind the encoder, before a new layer, which is not the paper's place for it. Embeddings are
computed once and kept in the cache under a name that holds the encoder's and the texts' hashes.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score, matthews_corrcoef
from torch import Tensor

from mtlrepro import paths
from mtlrepro.data.places import locate
from mtlrepro.device import choose
from mtlrepro.errors import BadValue, DataMissing
from mtlrepro.files import replacing, sha256_of
from mtlrepro.papers.transfer.data import text
from mtlrepro.papers.transfer.data.glue import TASKS, GlueTask, glue_tasks
from mtlrepro.papers.transfer.models.aligned import AlignedBottom, EmbeddedMLP, Kind
from mtlrepro.papers.transfer.models.bert import embed, load_bert
from mtlrepro.papers.transfer.training.aligned_runs import WAYS, train_ways
from mtlrepro.papers.transfer.training.mixed_tasks import Metric, accuracy, predictions
from mtlrepro.parameters import Params
from mtlrepro.training.weighting import Batch

Row = dict[str, Any]
Floats = NDArray[np.float32]
# Longest text in tokens.
_LONGEST = 64


@dataclass(frozen=True)
class Embedded:
    """n embedded texts or pairs: x (n, d) and labels (n,)."""

    x: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, rows: Sequence[int] | NDArray[np.int64]) -> Embedded:
        """Some of them, by number."""
        chosen = torch.as_tensor(np.asarray(rows))
        return Embedded(self.x[chosen], self.labels[chosen])

    def batches(self, size: int, shuffle: torch.Generator | None = None) -> list[Tensor]:
        """Row numbers of all batches, shuffled with a generator."""
        order = torch.arange(len(self)) if shuffle is None else torch.randperm(len(self), generator=shuffle)
        return list(order.split(size))

    def batch(self, rows: Tensor, task: int, device: torch.device) -> Batch:
        """The batch of these rows."""
        return Batch(self.x[rows].to(device), self.labels[rows].to(device), task)


# --- encoders ---------------------------------------------------------------------------------------------------------


@functools.cache
def encoder_folder(encoder: str) -> Path | None:
    """Folder of "minilm" (its data set's) or of an encoder given by its path; None for "glove", and for "minilm" where it is not
    at hand. Raises BadValue for a path that is no folder."""
    if encoder == "glove":
        return None
    if encoder == "minilm":
        try:
            place = locate("minilm")
        except DataMissing:
            return None
        return place.check("model.safetensors").parent
    if not Path(encoder).expanduser().is_dir():
        raise BadValue(f"encoder is minilm, glove or the folder of a BERT with model.safetensors, not {encoder!r}.")
    return Path(encoder).expanduser()


def encoder_used(encoder: str) -> tuple[str, str]:
    """Name and hash of the encoder that `encoder` stands for here: "glove" where MiniLM is not at hand."""
    folder = encoder_folder(encoder)
    if folder is None:
        return "glove", _glove().sha256
    return ("minilm" if encoder == "minilm" else folder.name), sha256_of(folder / "model.safetensors")


@functools.cache
def _glove() -> text.WordVectors:
    """GloVe vectors; those of the synthetic sentence sets where it is not at hand."""
    try:
        return text.load_glove(50)
    except DataMissing:
        return text.synthetic_vectors(text.synthetic_sentences(0))


def embeddings(texts: Sequence[str], encoder: str, device: str = "cpu") -> Floats:
    """(n, d) one row per text, of length 1, by the encoder that `encoder` stands for; "glove": the mean word vector."""
    name, sha256 = encoder_used(encoder)
    joined = hashlib.sha256("\n".join([str(_LONGEST), *texts]).encode()).hexdigest()
    kept = paths.cache() / "embeddings" / f"{name}-{sha256[:16]}-{joined[:16]}.npy"
    if kept.is_file():
        cached: Floats = np.load(kept, allow_pickle=False)
        return cached
    folder = encoder_folder(encoder)
    if folder is None:
        return _mean_vectors(texts, _glove())
    model, tokenizer = load_bert(folder)
    states: Floats = embed(model.to(choose(device)), tokenizer, texts, _LONGEST).numpy()
    with replacing(kept) as target, target.open("wb") as file:
        np.save(file, states, allow_pickle=False)
    return states


def _mean_vectors(texts: Sequence[str], vectors: text.WordVectors) -> Floats:
    rows = [[vectors.index[w] for w in text.tokenize(one, vectors.index) if w in vectors.index] for one in texts]
    means = np.stack([vectors.matrix[chosen].mean(0) if chosen else np.zeros(vectors.matrix.shape[1]) for chosen in rows])
    lengths = np.linalg.norm(means.astype(np.float32), axis=1, keepdims=True)
    scaled: Floats = means.astype(np.float32) / np.maximum(lengths, 1e-9)
    return scaled


# --- data -------------------------------------------------------------------------------------------------------------


@functools.cache
def load_tasks() -> dict[str, GlueTask]:
    """The five tasks, kept for the process."""
    return glue_tasks()


@functools.cache
def pool(task: str, encoder: str, rows: int, tested: int, device: str = "cpu") -> tuple[Embedded, Embedded]:
    """At most `rows` training and `tested` test samples of a task, drawn once with a fixed seed, embedded.

    A single text is its embedding u; a pair is u * v, entry by entry, whose entries sum to the cosine of the two texts. Both are
    scaled by one number a task so that the mean square of an entry is 1 in training.
    """
    whole = load_tasks()[task]
    order = np.random.default_rng(17).permutation(len(whole))
    train, test = order[~whole.test[order]][:rows], order[whole.test[order]][:tested]
    chosen = np.concatenate([train, test])
    x = embeddings([whole.first[i] for i in chosen], encoder, device)
    if whole.second is not None:
        x = x * embeddings([whole.second[i] for i in chosen], encoder, device)
    x = x / np.sqrt(np.square(x[: len(train)]).mean())
    embedded = Embedded(torch.from_numpy(x), torch.from_numpy(whole.labels[chosen]))
    return embedded.of(np.arange(len(train))), embedded.of(np.arange(len(train), len(chosen)))


def matthews(labels: Tensor, predicted: Tensor) -> float:
    """Matthews' correlation, CoLA's metric; 0 where all predictions are equal."""
    return float(matthews_corrcoef(labels.numpy(), predicted.numpy()))


def accuracy_and_f1(labels: Tensor, predicted: Tensor) -> float:
    """Mean of accuracy and F1, MRPC's metric."""
    return (accuracy(labels, predicted) + float(f1_score(labels.numpy(), predicted.numpy(), zero_division=0.0))) / 2


METRICS: dict[str, Metric] = {"CoLA": matthews, "MRPC": accuracy_and_f1, "QNLI": accuracy, "RTE": accuracy, "SST-2": accuracy}


# --- training ---------------------------------------------------------------------------------------------------------


def settings(p: Params) -> list[dict[str, Any]]:
    """Every pair and all five tasks together, with every seed, in every way."""
    groups = [list(pair) for pair in itertools.combinations(TASKS, 2)] + [list(TASKS)]
    common = {
        "encoder": p.encoder, "ways": list(WAYS), "epochs": p.epochs, "rows": p.samples, "tested": p.tested, "device": p.device,
    }  # fmt: skip
    return [{"tasks": tasks, "seed": p.first_seed + i} | common for i in range(p.seeds) for tasks in groups]


def train(
    tasks: list[str],
    seed: int,
    encoder: str,
    ways: list[str],
    epochs: int,
    rows: int = 2500,
    tested: int = 1000,
    width: int = 0,
    rate: float = 1e-3,
    batch: int = 64,
    dropout: float = 0.3,
    device: str = "cpu",
) -> list[Row]:
    """GLUE tasks trained together in every one of `ways` (see `train_ways`): one row per way and task.

    A fifth of the training samples, drawn by `seed`, is for validation. Row: `valid` and `test`, 100 times the GLUE metric, and
    `majority`, the same on test for always answering training's larger class.
    width: of the shared layer; 0: that of the embeddings, so that the control's layer is as large as R_i.
    """
    place = choose(device)
    parts: dict[str, list[Embedded]] = {"train": [], "valid": [], "test": []}
    for task in tasks:
        known, test = pool(task, encoder, rows, tested, device)
        order = np.random.default_rng([seed, *task.encode()]).permutation(len(known))
        held = len(known) // 5
        for name, part in zip(parts, (known.of(order[held:]), known.of(order[:held]), test), strict=True):
            parts[name].append(part)
    d = parts["train"][0].x.shape[1]
    metrics = [METRICS[task] for task in tasks]

    def build(kind: Kind) -> AlignedBottom:
        return AlignedBottom(EmbeddedMLP(d, width or d, dropout), d, width or d, [2] * len(tasks), kind)

    def points(task: int, labels: Tensor, predicted: Tensor) -> float:
        return round(100 * metrics[task](labels, predicted), 4)

    trained = train_ways(
        build, parts["train"], parts["valid"], seed, ways, rate=rate, epochs=epochs, batch=batch, place=place, metrics=metrics
    )
    reached = []
    for way, (model, _) in trained.items():
        for i, task in enumerate(tasks):
            row: Row = {"together": " + ".join(tasks), "way": way, "task": task}
            for name in ("valid", "test"):
                row[name] = points(i, parts[name][i].labels, predictions(model, parts[name][i], i, place))
            labels = parts["test"][i].labels
            row["majority"] = points(i, labels, torch.full_like(labels, int(parts["train"][i].labels.mode().values)))
            reached.append(row)
    return reached


def sources(encoder: str) -> tuple[Literal["public stand-in", "synthetic"], dict[str, str]]:
    """Tier of the data that `train` reads here, and the sha256 of each task and of the encoder.

    The encoder is never BERT-large unless a reader brings it, so the best tier is a stand-in.
    """
    tasks, (name, sha256) = load_tasks(), encoder_used(encoder)
    real = all(task.tier != "synthetic" for task in tasks.values())
    digests = {task: loaded.sha256 for task, loaded in tasks.items()} | {f"encoder: {name}": sha256}
    return "public stand-in" if real else "synthetic", digests


def overview(p: Params) -> pd.DataFrame:
    """One line per task: how many samples are used, and the share of the larger class in all of the test part."""
    lines = {}
    for name, task in load_tasks().items():
        known, test = pool(name, p.encoder, p.samples, p.tested, p.device)
        larger = 100 * max(np.bincount(task.labels[task.test]) / task.test.sum())
        lines[name] = {"training, with validation": len(known), "test": len(test), "larger class, all of test (%)": larger}
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("task")
