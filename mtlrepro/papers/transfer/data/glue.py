"""Five GLUE tasks (Wang and others 2018): CoLA, MRPC, QNLI, RTE and SST-2, with labelled test parts.

GLUE's own test labels are not public. Test is the official development set, for MRPC the original corpus's test set. Where only
QNLI's development set is at hand it is split, so that no question and no sentence is on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlrepro import data
from mtlrepro.data.places import Located, arrays_sha256, locate
from mtlrepro.data.schema import Tier
from mtlrepro.errors import DataCorrupt, UnknownName
from mtlrepro.files import decoded, gunzip
from mtlrepro.papers.transfer.data import text

TASKS = ("CoLA", "MRPC", "QNLI", "RTE", "SST-2")
PAIRS = ("MRPC", "QNLI", "RTE")
Ints = NDArray[np.int64]
# Columns of the text, the second text and the label, and what a header calls the label; None where there is no header.
_COLUMNS = {"CoLA": (3, None, 1, None), "MRPC": (3, 4, 0, "Quality"), "QNLI": (1, 2, 3, "label"), "RTE": (1, 2, 3, "label"),
            "SST-2": (0, None, 1, "label")}  # fmt: skip
_LARGEST = 2**26  # QNLI's training part has 20 MB
_LABELS = {"0": 0, "1": 1, "not_entailment": 0, "entailment": 1}


@dataclass(frozen=True, eq=False)
class GlueTask:
    """n texts, or pairs of texts, with labels (n,) 0 or 1. `test` (n,): whether a row is of the test part."""

    name: str
    first: tuple[str, ...]
    second: tuple[str, ...] | None
    labels: Ints
    test: NDArray[np.bool_]
    sha256: str
    tier: Tier

    def __len__(self) -> int:
        return len(self.labels)


def _rows(place: Located, file: str, task: str) -> list[tuple[str, str, int]]:
    """Text, second text ("" where there is none) and label of each line. Raises DataCorrupt, with the line."""
    content, where = place.read(file), place.folder / file
    if file.endswith(".gz"):
        content = gunzip(content, where, _LARGEST)
    first, second, label, header = _COLUMNS[task]
    rows = []
    for number, line in enumerate(decoded(content, where).removesuffix("\n").split("\n"), start=1):
        columns = line.removesuffix("\r").split("\t")
        if number == 1 and header:
            if columns[label : label + 1] != [header]:
                raise DataCorrupt(f"{where}, line 1: no header of {task} with {header!r} in column {label + 1}.")
            continue
        try:
            texts = columns[first].strip(), columns[second].strip() if second else "-"
            rows.append((texts[0], texts[1] if second else "", _LABELS[columns[label]]))
        except (IndexError, KeyError):
            raise DataCorrupt(f"{where}, line {number}: not a row of {task}.") from None
        if not all(texts):
            raise DataCorrupt(f"{where}, line {number}: an empty text.")
    if not rows:
        raise DataCorrupt(f"{where} has no row of {task}.")
    return rows


def _split_qnli(rows: Sequence[tuple[str, str, int]], share: float = 0.3) -> Ints:
    """Rows of a test part of about `share`: whole groups that share a question or a sentence, drawn with a fixed seed."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    for question, sentence, _ in rows:
        parent[root("q" + question)] = root("s" + sentence)
    groups: dict[str, list[int]] = {}
    for i, (question, _, _) in enumerate(rows):
        groups.setdefault(root("q" + question), []).append(i)
    order = np.random.default_rng(5).permutation(len(groups))
    members = list(groups.values())
    chosen: list[int] = []
    for number in order:
        if len(chosen) >= share * len(rows):
            break
        chosen += members[number]
    return np.array(sorted(chosen), np.int64)


def _set_name(task: str) -> str:
    return f"glue_{task.lower().replace('-', '')}"


def load_glue(name: str, mirror: Path | None = None) -> GlueTask:
    """A task with its training and test rows. Raises UnknownName, DataMissing, DataCorrupt."""
    if name not in TASKS:
        raise UnknownName("GLUE task", name, TASKS)
    place = locate(_set_name(name), mirror)
    parts = {kind: [f for f in place.files if kind in Path(f).name] for kind in ("train", "test" if name == "MRPC" else "dev")}
    (train, held) = ([row for f in files for row in _rows(place, f, name)] for files in parts.values())
    if train:
        rows, test = train + held, np.arange(len(train) + len(held)) >= len(train)
    else:
        rows, test = held, np.zeros(len(held), bool)
        test[_split_qnli(held)] = True
    first, second, labels = zip(*rows, strict=True)
    return _glue_task(name, first, second if name in PAIRS else None, np.array(labels, np.int64), test, place.manifest.tier)


def _glue_task(
    name: str, first: Sequence[str], second: Sequence[str] | None, labels: Ints, test: NDArray[np.bool_], tier: Tier
) -> GlueTask:
    joined = "\n".join([*first, *(second or ())])
    arrays: dict[str, NDArray[Any]] = {
        "texts": np.frombuffer(joined.encode(), np.uint8),
        "labels": labels,
        "test": test.astype(np.uint8),
    }
    return GlueTask(name, tuple(first), tuple(second) if second else None, labels, test, arrays_sha256(arrays), tier)


def synthetic_glue(name: str, seed: int = 0, count: int = 600) -> GlueTask:
    """A small synthetic task in place of a real one: sentences of the synthetic sentence sets, and for tasks on pairs two of them
    that have the same label or not."""
    if name not in TASKS:
        raise UnknownName("GLUE task", name, TASKS)
    key = {"SST-2": "sst", "MRPC": "mr", "RTE": "cr", "QNLI": "mpqa", "CoLA": "subj"}[name]
    sentences = text.synthetic_sentences(seed, [key], {key: count})[key]
    rng = np.random.default_rng([seed, *name.encode()])
    labels = sentences.labels
    second = None
    if name in PAIRS:
        other = rng.permutation(len(sentences))
        labels = (labels == labels[other]).astype(np.int64)
        second = [sentences.texts[i] for i in other]
    return _glue_task(name, sentences.texts, second, labels, rng.random(len(labels)) < 0.3, "synthetic")


def glue_tasks(prefer: str = "real", mirror: Path | None = None) -> dict[str, GlueTask]:
    """All five tasks; synthetic ones, all of them, where a real one is not at hand."""
    if prefer == "real" and all(data.which(_set_name(name), mirror) == _set_name(name) for name in TASKS):
        return {name: load_glue(name, mirror) for name in TASKS}
    return {name: synthetic_glue(name) for name in TASKS}
