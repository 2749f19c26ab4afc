"""Pairs of sentence tasks on frozen features, the mean word vector of each sentence; few main sentences are labelled."""

from __future__ import annotations

from functools import cache
from typing import Any

from mtlrepro.compare.problems import Problem, Task
from mtlrepro.papers.transfer.fig5a_alignment_glue import embeddings, encoder_used
from mtlrepro.papers.transfer.training.sentences import load_sets, splits

# Sentences of the main and of the auxiliary task in each part.
SIZES = {"train": (300, 2000), "validation": (300, 300), "test": (300, 300)}
_PART = {"train": "train", "validation": "valid", "test": "test"}


@cache
def features(name: str) -> Any:
    """(n, d), a row per sentence of a set."""
    return embeddings(load_sets()[0][name].texts, "glove")


def pair(main: str, auxiliary: str, title: str, trait: str) -> Problem:
    """The problem of a main and an auxiliary sentence task, split without shared sentences."""
    names = (main, auxiliary)
    sets = {"mpqa": 2, "trec": 6, "cr": 2, "mr": 2}

    def load(seed: int) -> dict[str, tuple[Any, ...]]:
        parts = splits(seed, leak=False)
        chosen: dict[str, tuple[Any, ...]] = {}
        for part, sizes in SIZES.items():
            rows = [parts[name].parts()[_PART[part]][:size] for name, size in zip(names, sizes, strict=True)]
            x = [features(name)[own] for name, own in zip(names, rows, strict=True)]
            chosen[part] = (x, *(load_sets()[0][name].labels[own] for name, own in zip(names, rows, strict=True)))
        return chosen

    return Problem(
        title=title,
        load=load,
        tasks=tuple(Task("classes", sets[name]) for name in names),
        metric="accuracy",
        shared=(32,),
        steps=1000,
        rates=(0.1, 5.0),
        traits=("few main labels", trait),
        data=lambda: {name: load_sets()[0][name].sha256 for name in names} | dict([encoder_used("glove")]),
    )
