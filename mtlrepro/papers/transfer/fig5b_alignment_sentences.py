"""Covariance alignment in transfer from SST to another sentence task (Wu, Zhang, Re 2020, Section 3.2, Figure 5b).

The ways to fine-tune are those of `train_ways`: with and without alignment, and with a linear layer of the same size that aligns
nothing; for the control of Algorithm 1, B fixed at the source's encoder, with and without a random rotation of the target's
embeddings.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from torch import Tensor

from mtlrepro.device import choose
from mtlrepro.papers.transfer.data.text import TITLES
from mtlrepro.papers.transfer.models.sentence import Kind as EncoderKind
from mtlrepro.papers.transfer.training import sentences
from mtlrepro.papers.transfer.training.aligned_runs import Trained, train_ways
from mtlrepro.papers.transfer.training.aligned_sentences import best_rates, builder, only, percent
from mtlrepro.parameters import Params
from mtlrepro.training.schedules import Kind as Schedule

Row = dict[str, Any]
SOURCE = "sst"
# The sets that share sentences with it.
_SHARING = ("mr", "subj")
_JUDGED = ("plain", "aligned")
_CONTROL = ("fixed control", "rotated control", "rotated")


def settings(p: Params) -> list[dict[str, Any]]:
    """Settings of `transfer`: from SST to every other task with the leak, as on the paper's plain splits; with the first of the
    seeds also the control of Algorithm 1 and, without the leak, the tasks that share sentences with SST."""
    targets = [task for task in p.tasks if task != SOURCE]
    given = {"encoder": p.encoder, "capacity": p.capacity, "tune": p.tune, "rows": p.sentences or None, "epochs": p.epochs}
    given |= {"tuning_epochs": p.tuning_epochs, "rates": list(p.rates), "device": p.device}

    def one(seed: int, tasks: list[str], leak: bool, ways: list[str]) -> dict[str, Any]:
        return {"source": SOURCE, "targets": tasks, "seed": seed, "leak": leak, "ways": ways} | given

    seeds = range(p.first_seed, p.first_seed + p.seeds)
    checked = seeds[: p.control_seeds]
    chosen = [one(seed, targets, True, [*_JUDGED, "control", *(_CONTROL if seed in checked else ())]) for seed in seeds]
    sharing = [task for task in targets if task in _SHARING]
    return chosen + [one(seed, sharing, False, list(_JUDGED)) for seed in checked]


def transfer(
    source: str,
    targets: list[str],
    seed: int,
    leak: bool,
    encoder: EncoderKind,
    epochs: int,
    tuning_epochs: int,
    ways: list[str],
    rates: list[float],
    capacity: int = 50,
    batch: int = 64,
    dropout: float = 0.3,
    tune: bool = False,
    rows: int | None = None,
    schedule: Schedule = "cosine",
    device: str = "cpu",
) -> list[Row]:
    """A model of `source`, trained for `epochs`, then fine-tuned on each of `targets` in every one of `ways`, and "scratch", the
    target's own model, both for `tuning_epochs`: one row per target and way. Where B is not fixed everything is trained.

    Each training is tried at every one of `rates`; its best epoch and rate are those with the best validation accuracy. capacity:
    width of the encoder's features. schedule: of the learning rate. leak, rows: as in `sentences.splits`.
    Row: `valid` and `test` accuracy in percent, `whole` (whether all sentences are trained on), the way's own `epochs`, the
    `rates` that it tried and the `rate` that it chose, and `late_change`: by how much the validation accuracy rose in the last
    two epochs, in points.
    """
    place = choose(device)
    # One vocabulary of all tasks, so that a word has the same number in each.
    prepared = sentences.prepare((source, *targets), seed, leak, "random", rows)
    options: dict[str, Any] = {"batch": batch, "place": place, "schedule": schedule}

    def trained(task: int, which: list[str], count: int, **start: Any) -> dict[str, tuple[float, Trained]]:
        one = only(prepared, task)
        build = builder(one, encoder, capacity, tune, dropout)
        return best_rates(
            lambda rate: train_ways(build, one.train, one.valid, seed, which, rate=rate, epochs=count, **options, **start), rates
        )

    _, (start, _) = trained(0, ["plain"], epochs)["plain"]
    reached = []
    for number, target in enumerate(targets, start=1):
        fits = trained(number, ways, tuning_epochs, start=start)
        fits["scratch"] = trained(number, ["plain"], tuning_epochs)["plain"]
        for way, (rate, (model, validation)) in fits.items():
            row: Row = {"way": way, "task": target, "epochs": len(validation), "rates": str(rates), "rate": rate}
            row |= {"whole": rows is None, "late_change": _late_change(validation)}
            reached.append(row | percent(prepared, number, model, 0, place))
    return reached


def _late_change(validation: Tensor) -> float:
    """Of the validation accuracy, in points, from before the last two epochs to the end; validation: (epochs, 1)."""
    last = validation[-3:]
    return 100 * float(last[-1] - last[0])


def leaked(p: Params) -> pd.DataFrame:
    """Share of each task's test sentences (percent) that stand in another task's training part."""
    shares = {
        "the parts of the sets that are used": sentences.leaked(p.first_seed, "random", p.sentences or None),
        "whole sets": sentences.leaked(p.first_seed, "random"),
    }
    return pd.DataFrame(shares).T.rename(columns=TITLES).rename_axis("sets")
