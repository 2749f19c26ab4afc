"""The two real-data problems of the HydaLearn paper: in-hospital death with length of stay, mortgage default with prepayment.

Verboven, Chaudhary, Berrevoets and Verbeke, "HydaLearn" (2020), section "Experiments on Real World Datasets" and appendix.
One function, `compare`, trains any method on either problem; a seed stands for a split, a start and an order of batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Literal

import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from mtlrepro.device import generator
from mtlrepro.errors import DataCorrupt, UnknownName
from mtlrepro.papers.hydalearn.compared_methods import METHODS
from mtlrepro.papers.hydalearn.data.clinical import Stays, hospital_stays, prepared
from mtlrepro.papers.hydalearn.data.mortgage import Loans, load_mortgages, mortgage_tasks
from mtlrepro.papers.hydalearn.data.tabular import TwoTask
from mtlrepro.papers.hydalearn.data.toys import PairedSamples, Parts
from mtlrepro.papers.hydalearn.training.tuned_runs import Setup, stacked, stream, tune
from mtlrepro.parameters import Params
from mtlrepro.results.runs import Runs

UPDATES = ("as printed", "scale-matched")
# Regularisation strengths of the logistic regression, chosen on validation.
PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
BATCH = 16
MOST_EVENTS = 4  # batches with at least so many are counted together


@dataclass(frozen=True)
class Problem:
    """One data set with its network. source: loads the table; prepare: (table, seed) -> the split, prepared tasks.

    shared, head: widths of the layers, as in the paper's appendix. auxiliary: loss of the auxiliary task.
    """

    source: Callable[[], Any]
    prepare: Callable[[Any, int], TwoTask]
    shared: tuple[int, ...]
    head: tuple[int, ...]
    auxiliary: Literal["squared error", "cross-entropy"]


PROBLEMS = {
    "mortality": Problem(hospital_stays, prepared, (48,) * 4, (24,) * 2, "squared error"),
    "mortgage": Problem(load_mortgages, mortgage_tasks, (24,) * 2, (12,) * 2, "cross-entropy"),
}


def problem(name: str) -> Problem:
    """Raises UnknownName."""
    if name not in PROBLEMS:
        raise UnknownName("problem", name, PROBLEMS)
    return PROBLEMS[name]


@cache
def source(name: str) -> Stays | Loans:
    """The table of a problem, read once. Raises UnknownName, DataCorrupt."""
    found: Stays | Loans = problem(name).source()
    return found


def splits(name: str, seeds: Sequence[int], sha256: str) -> Parts:
    """The parts of every seed's split, each in a random order, so that the first rows of a part are a random sample of it.

    sha256: of the source data that the caller means. Raises UnknownName, DataCorrupt where the data are others.
    """
    table = source(name)
    if table.sha256 != sha256:
        raise DataCorrupt(f"the data of {name} are not those with sha256 {sha256[:12]}.")
    return Parts(*(_shuffled(part, seeds) for part in stacked([problem(name).prepare(table, seed) for seed in seeds])))


def _shuffled(part: PairedSamples, seeds: Sequence[int]) -> PairedSamples:
    order = torch.stack([torch.randperm(part.x.shape[1], generator=generator(seed, "rows")) for seed in seeds])
    return PairedSamples(*(values[torch.arange(len(seeds))[:, None], order] for values in part))


def compare(
    problem: str,
    method: str,
    update: str,
    seeds: Sequence[int],
    sha256: str,
    rates: Sequence[float],
    grid: int,
    steps: int,
    check: int,
    points: int,
    measured_on: Literal["validation", "training"] = "validation",
    curves: bool = False,
) -> list[dict[str, Any]]:
    """Train a method of `METHODS` at its whole grid on every seed's split, choose on validation, test once.

    update: one of UPDATES. rates: lowest and highest learning rate. grid: points. Other arguments as in `Setup`.
    Returns a row a seed (kind "seed"): chosen point, AUROC on validation and test, the auxiliary task's mean share of the
    weight and its standard deviation over batches. With `curves` also that share by epoch (kind "epoch") and by the number of
    events of the main task in the batch (kind "events", with how many batches had it). Raises UnknownName.
    """
    if update not in UPDATES:
        raise UnknownName("update", update, UPDATES)
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    task, own = PROBLEMS[problem], METHODS[method]
    setup = Setup(task.shared, task.head, ("cross-entropy", task.auxiliary), "AUROC", steps, check, BATCH, points, measured_on)
    low, high = rates
    parts, tried = splits(problem, seeds, sha256), own.grid(low, high, grid)
    found = tune(parts, seeds, tried, own.build, setup, update == UPDATES[1])
    share = found.weights[..., 1] / found.weights.sum(-1)
    rows: list[dict[str, Any]] = []
    for i, seed in enumerate(seeds):
        chosen = tried[found.point[i]]
        row = {"kind": "seed", "seed": seed, "rate": round(chosen["rate"], 4), "parameter": chosen.get(own.parameter)}
        row |= {name: round(getattr(found, name)[i].item(), 5) for name in ("validation", "test", "step", "diverged")}
        rows.append(row | {"share": round(share[:, i].mean().item(), 5), "spread": round(share[:, i].std().item(), 5)})
    return rows + (_curves(share, parts.train, seeds) if curves else [])


def _curves(share: torch.Tensor, train: PairedSamples, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Mean share (steps, seeds) by epoch and by the batch's number of main events, a row a seed and value."""
    orders = [generator(seed, "order") for seed in seeds]
    events = torch.stack([b.main.sum((1, 2)) for b in islice(stream(train, BATCH, orders), len(share))]).clamp_max(MOST_EVENTS)
    epoch = torch.arange(len(share)) // -(-train.x.shape[1] // BATCH)
    rows = []
    for i, seed in enumerate(seeds):
        for kind, value in (("epoch", epoch), ("events", events[:, i].int())):
            for level in value.unique().tolist():
                here = share[value == level, i]
                mean = {"share": round(here.mean().item(), 5), "batches": len(here)}
                rows.append({"kind": kind, "seed": seed, "level": level} | mean)
    return rows


# Variants of HydaLearn by the name of an ablation: method and the part on which gains are measured.
ABLATIONS: dict[str, tuple[str, Literal["validation", "training"]]] = {
    "ExpImp-0": ("hydalearn", "validation"),
    "ExpImp-1": ("raw fake steps", "validation"),
    "ExpImp-2": ("hydalearn", "training"),
    "ExpImp-3": ("no downscaling", "validation"),
    "carried": ("carried", "validation"),
    "inverted": ("inverted", "validation"),
}


def settings(
    problem: str, methods: Sequence[str], ablations: Sequence[str], seeds: Sequence[int], chunk: int = 10, **fixed: Any
) -> list[dict[str, Any]]:
    """Arguments of `compare`: every method and ablation at both updates, `chunk` seeds a call; a single task has one update.

    fixed: the other arguments. Raises UnknownName.
    """
    for name in ablations:
        if name not in ABLATIONS:
            raise UnknownName("ablation", name, ABLATIONS)
    pairs = dict.fromkeys([(name, "validation") for name in methods] + [ABLATIONS[name] for name in ablations])
    return [
        {"problem": problem, "method": method, "update": update, "measured_on": part, "seeds": list(seeds[i : i + chunk])} | fixed
        for method, part in pairs
        for update in (UPDATES[:1] if method == "stl" else UPDATES)
        for i in range(0, len(seeds), chunk)
    ]


def logistic(problem: str, seeds: Sequence[int], sha256: str) -> list[dict[str, Any]]:
    """Logistic regression on the same splits, its penalty chosen on validation: a row a seed."""
    parts, rows = splits(problem, seeds, sha256), []
    for i, seed in enumerate(seeds):
        (x, y), *held = ((part.x[i].numpy(), part.main[i, :, 0].numpy()) for part in parts)
        models = [LogisticRegression(C=strength, max_iter=2000).fit(x, y) for strength in PENALTIES]
        found = [[roc_auc_score(labels, m.decision_function(inputs)) for inputs, labels in held] for m in models]
        validation, test = max(found)
        parameter = PENALTIES[found.index([validation, test])]
        rows.append({"kind": "seed", "seed": seed, "parameter": parameter, "validation": validation, "test": test})
    return rows


_FIXED = ("grid", "rates", "steps", "check", "points")


def trained(runs: Runs, p: Params, problem: str, **more: Any) -> pd.DataFrame:
    """Rows of `compare` for every method and ablation that `p` names, and of `logistic`, on seeds counted from p.first_seed.

    more: further arguments of `compare`, the same for all.
    """
    sha256 = source(problem).sha256
    every = list(range(p.first_seed, p.first_seed + p.seeds))
    fixed = {name: p.values[name] for name in _FIXED} | {"sha256": sha256} | more
    found = runs.map(compare, settings(problem, p.methods, p.ablations, every, **fixed), "training")
    plain = runs.map(logistic, [{"problem": problem, "seeds": every, "sha256": sha256}], "logistic regression")
    rows = pd.concat([found, plain.assign(method="logistic", update="", measured_on="validation")])
    return rows.drop(columns=["problem", *fixed], errors="ignore")
