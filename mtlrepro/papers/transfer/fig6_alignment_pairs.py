"""Covariance alignment of pairs of sentence tasks (Wu, Zhang, Re 2020, Section 3.3, Figure 6): accuracy and similarity score.

Every pair is trained together in the ways of `train_ways`, each task also by itself ("single"). Capacity and learning rate are
chosen for joint training without alignment and for Algorithm 1 alike, by validation, on a seed that judges nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch

from mtlrepro.device import choose
from mtlrepro.methods.alignment import covariance_similarity
from mtlrepro.papers.transfer.models.aligned import AlignedBottom
from mtlrepro.papers.transfer.models.sentence import Kind as EncoderKind
from mtlrepro.papers.transfer.training import sentences
from mtlrepro.papers.transfer.training.aligned_runs import train_ways
from mtlrepro.papers.transfer.training.aligned_sentences import builder, only, percent
from mtlrepro.parameters import Params
from mtlrepro.results import Runs
from mtlrepro.training.schedules import Kind as Schedule

Row = dict[str, Any]
# The methods that are compared, and whose capacity and rate are chosen.
COMPARED = ("plain", "fixed")
# The sets that share sentences.
_SHARING = {"sst", "mr", "subj"}


def figure_6(runs: Runs, p: Params, data: dict[str, str]) -> pd.DataFrame:
    """The search, then every pair with the chosen capacity and rate, and the controls. Rows of `pair` and of `single`, their
    `stage` "search", "final" or, with twice the epochs, "doubled". data: name -> sha256 of what is read."""
    pairs = [list(tasks) for tasks in itertools.combinations(p.tasks, 2)]
    seeds = range(p.first_seed, p.first_seed + p.seeds)
    given = {"encoder": p.encoder, "tune": p.tune, "rows": p.sentences or None, "epochs": p.epochs, "device": p.device}

    def one(seed: int, tasks: Sequence[str], choice: dict[str, Any], **more: Any) -> dict[str, Any]:
        return given | choice | {"seed": seed, "tasks": list(tasks), "leak": False} | more

    grid = [{"capacity": c, "rate": r} for c, r in itertools.product(p.capacities, p.rates)]
    # As few pairs as hold every task.
    apart = [tasks for tasks in pairs if abs(p.tasks.index(tasks[0]) - p.tasks.index(tasks[1])) == len(p.tasks) // 2]
    tries = [
        one(p.first_seed - 1, tasks, choice, ways=[way]) for way in COMPARED for choice in grid for tasks in (apart or pairs)
    ]
    search = runs.map(pair, tries, "capacity and rate", data=data)
    plain, fixed = (chosen(search, way) for way in COMPARED)
    few = seeds[: p.control_seeds]
    settings = {
        "final": [one(seed, tasks, plain, ways=["plain"]) for seed in seeds for tasks in pairs]
        + [
            one(seed, tasks, fixed, ways=["fixed", "fixed control", *(["aligned", "control", *ROTATED] if seed in few else [])])
            for seed in seeds for tasks in pairs
        ]
        + [
            one(seed, tasks, plain, ways=["plain"], leak=True)
            for seed in few for tasks in pairs if set(tasks) <= _SHARING
        ],
        "doubled": [
            one(seed, tasks, choice, ways=[way], epochs=2 * p.epochs)
            for seed in few for tasks in pairs for way, choice in zip(COMPARED, (plain, fixed), strict=True)
        ],
    }  # fmt: skip
    tables = [search.assign(stage="search")]
    tables += [runs.map(pair, each, stage, data=data).assign(stage=stage) for stage, each in settings.items()]
    alone = [one(seed, p.tasks, plain, leak=leak) for seed in seeds for leak in ((False, True) if seed in few else (False,))]
    tables.append(runs.map(single, alone, "single tasks", data=data).assign(stage="final"))
    return pd.concat(tables, ignore_index=True)


ROTATED = ("rotated control", "rotated")


def chosen(search: pd.DataFrame, way: str) -> dict[str, Any]:
    """Capacity and rate of one way by validation: the smallest capacity that, at its own best rate, is no more than one standard
    error below the best of all, in the mean over the tasks of the difference (Breiman et al. 1984, the 1-SE rule)."""
    table = search[search.way == way].pivot(index=["pair", "task"], columns=["capacity", "rate"], values="valid")
    means = table.mean()
    best = table[means.idxmax()]
    for capacity in means.index.unique("capacity").sort_values():
        rate = means[capacity].idxmax()
        short = best - table[capacity, rate]
        if short.mean() <= short.sem():
            break
    return {"capacity": int(capacity), "rate": float(rate)}


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


def pair(
    tasks: list[str],
    seed: int,
    leak: bool,
    encoder: EncoderKind,
    epochs: int,
    ways: list[str],
    rate: float,
    capacity: int = 50,
    batch: int = 64,
    dropout: float = 0.3,
    tune: bool = False,
    rows: int | None = None,
    schedule: Schedule = "cosine",
    device: str = "cpu",
) -> list[Row]:
    """Two sentence tasks trained together in every one of `ways`: one row per way and task.

    Row: `valid` and `test` accuracy in percent, `whole` (whether all sentences are trained on) and the similarity `score` of the
    two tasks' embeddings in the trained model. leak, rows: as in `sentences.splits`.
    """
    place = choose(device)
    prepared = sentences.prepare(tuple(tasks), seed, leak, "random", rows)
    trained = train_ways(
        builder(prepared, encoder, capacity, tune, dropout), prepared.train, prepared.valid, seed, ways,
        rate=rate, epochs=epochs, batch=batch, place=place, schedule=schedule,
    )  # fmt: skip
    return [
        {"pair": "-".join(tasks), "way": way, "task": task, "whole": rows is None}
        | {"score": round(similarity([(model, 0), (model, 1)], prepared.train), 5)}
        | percent(prepared, i, model, i, place)
        for way, (model, _) in trained.items()
        for i, task in enumerate(tasks)
    ]


def single(
    tasks: list[str],
    seed: int,
    leak: bool,
    encoder: EncoderKind,
    epochs: int,
    rate: float,
    capacity: int = 50,
    batch: int = 64,
    dropout: float = 0.3,
    tune: bool = False,
    rows: int | None = None,
    schedule: Schedule = "cosine",
    device: str = "cpu",
) -> list[Row]:
    """Every task trained by itself: rows as of `pair`, of way "single", for each task alone (without a score) and each pair."""
    place = choose(device)
    prepared = sentences.prepare(tuple(tasks), seed, leak, "random", rows)
    models, alone = [], {}
    for i, task in enumerate(tasks):
        one = only(prepared, i)
        build = builder(one, encoder, capacity, tune, dropout)
        options: dict[str, Any] = {"rate": rate, "epochs": epochs, "batch": batch, "place": place, "schedule": schedule}
        model = train_ways(build, one.train, one.valid, seed, ["plain"], **options)["plain"].model
        models.append((model, 0))
        alone[task] = {"way": "single", "task": task, "whole": rows is None} | percent(one, 0, model, 0, place)
    reached = [{"pair": task, "score": float("nan")} | row for task, row in alone.items()]
    for i, j in itertools.combinations(range(len(tasks)), 2):
        score = round(similarity([models[i], models[j]], [prepared.train[i], prepared.train[j]]), 5)
        reached += [{"pair": f"{tasks[i]}-{tasks[j]}", "score": score} | alone[tasks[n]] for n in (i, j)]
    return reached
