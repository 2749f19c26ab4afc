"""The two real-data problems of the HydaLearn paper: in-hospital death with length of stay, mortgage default with prepayment.

Verboven, Chaudhary, Berrevoets and Verbeke, "HydaLearn" (2020), section "Experiments on Real World Datasets" and appendix.
One function, `compare`, trains any method on either problem; a seed stands for a split, a start and an order of batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor

from mtlrepro import data
from mtlrepro.device import generator
from mtlrepro.errors import DataCorrupt, UnknownName
from mtlrepro.papers.hydalearn.compared_methods import METHODS, inside
from mtlrepro.papers.hydalearn.data.clinical import Stays, hospital_stays, prepared
from mtlrepro.papers.hydalearn.data.mortgage import Loans, load_mortgages, mortgage_tasks
from mtlrepro.papers.hydalearn.data.tabular import TwoTask
from mtlrepro.papers.hydalearn.data.toys import PairedSamples, Parts
from mtlrepro.papers.hydalearn.training.tuned_runs import UPDATES, GridRuns, MeasuredOn, TrainingConfig, stacked, stream, tune
from mtlrepro.parameters import Params
from mtlrepro.results import Runs
from mtlrepro.training.weighting import Weighting

# Regularisation strengths of the logistic regression, chosen on validation.
PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
# Numbers of trees of the gradient boosting, chosen on validation.
TREES = (25, 50, 100, 200)
BASELINES = ("logistic", "boosting")
BATCH = 16
MOST_EVENTS = 4  # batches with at least so many are counted together
SEEDS_AT_ONCE = 5
STILL = 1e-12  # a learning rate


@dataclass(frozen=True)
class RealProblem:
    """A problem with its network. load: reads the table of a data set, or of the one that stands in for it; usual: the set of our
    recorded runs; prepare: (table, seed) -> the split, prepared tasks.

    event: what the main task predicts. shared, head: widths of the layers, as in the paper's appendix. auxiliary: loss of the
    auxiliary task. curves: whether the weights are followed along training.
    """

    load: Callable[[str], Any]
    usual: str
    prepare: Callable[[Any, int], TwoTask]
    event: str
    shared: tuple[int, ...]
    head: tuple[int, ...]
    auxiliary: Literal["squared error", "cross-entropy"]
    curves: bool


PROBLEMS = {
    "mortality": RealProblem(hospital_stays, "support2", prepared, "deaths", (48,) * 4, (24,) * 2, "squared error", curves=False),
    "mortgage": RealProblem(
        load_mortgages, "deep_credit_risk", mortgage_tasks, "defaults", (24,) * 2, (12,) * 2, "cross-entropy", curves=True
    ),
}
# Variants of HydaLearn by the name of an ablation: method and the part on which gains are measured.
ABLATIONS: dict[str, tuple[str, MeasuredOn]] = {
    "ExpImp-0": ("hydalearn", "validation"),
    "ExpImp-1": ("raw fake steps", "validation"),
    "ExpImp-2": ("hydalearn", "training"),
    "ExpImp-3": ("no downscaling", "validation"),
    "carried": ("carried", "validation"),
    "inverted": ("inverted", "validation"),
}
# Labels of the control runs -> the method trained on them: the auxiliary ones a noisy copy of the main task's logit, which
# leave the single task as it is, and the main ones shuffled within the training part.
CONTROLS = {"planted": "static", "shuffled": "hydalearn"}
# Columns of the rows that are one value throughout.
CONSTANT = ["problem", "data_set", "sha256", "check", "at"]


def real_problem(name: str) -> RealProblem:
    """Raises UnknownName."""
    if name not in PROBLEMS:
        raise UnknownName("problem", name, PROBLEMS)
    return PROBLEMS[name]


@cache
def source(name: str, data_set: str = "") -> Stays | Loans:
    """The table of a problem from a data set, by default the usual one, read once. Raises UnknownName, DataCorrupt."""
    problem = real_problem(name)
    table: Stays | Loans = problem.load(data_set or problem.usual)
    return table


def chosen_source(p: Params, name: str) -> Stays | Loans:
    """The table of the data set that `p` names. Raises BadValue, DataMissing, DataCorrupt."""
    return source(name, data.checked_source(p))


def sizes(name: str, seed: int, data_set: str = "") -> pd.DataFrame:
    """Rows and events of the parts of one seed's split, and the number of inputs."""
    problem = real_problem(name)
    task = problem.prepare(source(name, data_set), seed)
    parts = {"training": task.train, "validation": task.validation, "test": task.test}
    lines = [{"part": part, "rows": len(rows), problem.event: int(rows.main.sum())} for part, rows in parts.items()]
    return pd.DataFrame(lines).assign(inputs=task.d)


# ---------------------------------------------------------------------------------------------------------------------
# Rows
# ---------------------------------------------------------------------------------------------------------------------


def rows(runs: Runs, p: Params, problem: str) -> pd.DataFrame:
    """The rows of `settings`, then of `later_settings`; those of twice the updates are of kind "doubled" in place of "seed".

    Raises UnknownName for an unknown ablation, and what `chosen_source` raises.
    """
    table = chosen_source(p, problem)
    digest = {table.name: table.sha256}
    first = runs.map(measure, settings(p, problem), "training", data=digest)
    later = runs.map(measure, later_settings(p, problem, first), "at the chosen settings", data=digest)
    if len(later):  # none without ablations and doubled trainings
        longer = later["steps"] > p.steps
        later = later[~longer | (later["kind"] == "seed")].assign(kind=later["kind"].mask(longer, "doubled"))
    together: pd.DataFrame = pd.concat([first, later], ignore_index=True)
    return together.drop(columns=CONSTANT)


def settings(p: Params, problem: str) -> list[dict[str, Any]]:
    """Arguments of `measure`: every method that `p` names at its updates, the control runs, and the baselines.

    Some seeds per call. A single task has no auxiliary gradient and so one update. Raises UnknownName for an unknown ablation.
    """
    for name in p.ablations:
        if name not in ABLATIONS:
            raise UnknownName("ablation", name, ABLATIONS)
    common = _common(p, problem)
    trained = [
        {"method": method, "update": update, "labels": ""}
        for method in p.methods
        for update in (p.updates[:1] if method == "stl" else p.updates)
    ] + [
        {"method": method, "update": UPDATES[0], "labels": labels}
        for labels, method in CONTROLS.items()
        if labels == "planted" or real_problem(problem).curves
    ]
    chunks = _chunks(range(p.first_seed, p.first_seed + p.seeds))
    return [
        common | _training(p) | one | {"measured_on": "validation", "seeds": seeds, "at": None}
        for one in trained
        for seeds in chunks
    ] + [
        common | {"method": name, "update": "", "measured_on": "validation", "seeds": seeds}
        for name in BASELINES
        for seeds in chunks
    ]


def later_settings(p: Params, problem: str, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Arguments of `measure` at the settings that `rows`, of `settings`, chose, seeds that chose alike in one call.

    The ablations, each HydaLearn as it was chosen but for one part, and every method of the paper once more with twice the
    updates, on the first `p.longer_seeds` seeds.
    """
    chosen = rows[(rows["kind"] == "seed") & (rows["update"] == UPDATES[0]) & (rows["labels"] == "")]
    variants = [(*ABLATIONS[name], "hydalearn", p.steps, p.seeds) for name in p.ablations if name != "ExpImp-0"]
    longer = [(method, "validation", method, 2 * p.steps, p.longer_seeds) for method in p.methods]
    common = _common(p, problem) | _training(p) | {"update": UPDATES[0], "labels": ""}
    return [
        common | {"method": method, "measured_on": part, "seeds": seeds, "at": int(at), "steps": steps}
        for method, part, like, steps, count in variants + longer
        for at, own in chosen[(chosen["method"] == like) & (chosen["seed"] < p.first_seed + count)].groupby("point")
        for seeds in _chunks(own["seed"].astype(int).tolist())
    ]


def _common(p: Params, problem: str) -> dict[str, Any]:
    return {"problem": problem, "data_set": p.source, "sha256": chosen_source(p, problem).sha256}


def _training(p: Params) -> dict[str, Any]:
    return {name: p.values[name] for name in ("rates", "grid", "steps", "check", "points")}


def _chunks(seeds: Sequence[int]) -> list[list[int]]:
    return [list(seeds[i : i + SEEDS_AT_ONCE]) for i in range(0, len(seeds), SEEDS_AT_ONCE)]


def measure(
    problem: str, data_set: str, method: str, update: str, measured_on: MeasuredOn, seeds: Sequence[int], sha256: str,
    **training: Any,
) -> list[dict[str, Any]]:  # fmt: skip
    """Rows of one method: `logistic`, `boosting` or `compare`."""
    if method in BASELINES:
        return {"logistic": logistic, "boosting": boosting}[method](problem, seeds, sha256, data_set)
    return compare(problem, method, update, seeds, sha256, measured_on=measured_on, data_set=data_set, **training)


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
    measured_on: MeasuredOn = "validation",
    data_set: str = "",
    labels: str = "",
    at: int | None = None,
) -> list[dict[str, Any]]:
    """Train a method of `METHODS` at its whole grid on every seed's split, choose on validation, test once.

    update: one of UPDATES. rates: lowest and highest learning rate. grid: points; at: the number of the only one to train.
    Other arguments as in `TrainingConfig`.
    Returns a row per seed (kind "seed"): chosen point and whether its rate is inside the grid, AUROC on validation and test, the
    auxiliary task's mean share of the weight and its standard deviation over batches, the share of steps whose total weight is
    below W = 2 (eq. 4), and on which share of their part the gains are measured. Where the problem says so, also `weight_rows`.
    Every head learns at the learning rate, whatever the weights. labels: of CONTROLS; rows are then of kind "control", and have
    `gap`, the mean over epochs of the main share in batches with an event minus in those without, until the kept state.
    Raises UnknownName.
    """
    if update not in UPDATES:
        raise UnknownName("update", update, UPDATES)
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    task, own = real_problem(problem), METHODS[method]
    losses = ("cross-entropy", task.auxiliary)
    config = TrainingConfig(task.shared, task.head, steps, check, points, BATCH, losses, "AUROC", measured_on)
    parts, points_of = splits(problem, seeds, sha256, data_set), own.grid(rates[0], rates[1], grid)
    # Beside a lone point a run that stands still: `fit` refuses a batch whose runs all diverge, and one that does keeps its best.
    tried = points_of if at is None else [points_of[at], {**points_of[at], "learning_rate": STILL}]
    if labels:
        parts = planted(parts, seeds, task.auxiliary) if labels == "planted" else shuffled_main(parts, seeds)

    def build(runs: GridRuns) -> Weighting:
        weighting = own.build(runs)
        weighting.weight_heads = False
        return weighting

    result = tune(parts, seeds, tried, build, config, update == UPDATES[1])
    share, total = result.shares, result.weights.sum(-1)
    part = parts.validation if measured_on == "validation" else parts.train
    columns = {name: getattr(result, name) for name in ("validation", "test", "step")}
    columns["diverged"] = result.diverged if at is None else 2 * result.diverged
    columns |= {"share": share.mean(0), "spread": share.std(0), "downscaled": (total < 1.999).double().mean(0)}
    columns |= {"head_weight": result.head_weight, "gradient_ratio": result.gradient_ratio}
    rows: list[dict[str, Any]] = []
    for i, seed in enumerate(seeds):
        chosen = tried[result.point[i]] if at is None else points_of[at]
        row = {"kind": "seed", "seed": seed, "rate": round(chosen["learning_rate"], 4), "parameter": own.value(chosen)}
        row |= {"point": points_of.index(chosen)}
        row |= {
            "inside": inside({"learning_rate": chosen["learning_rate"]}, points_of),
            "measured_share": round(min(1.0, (points or part.x.shape[1]) / part.x.shape[1]), 5),
        }
        rows.append(row | {name: round(column[i].item(), 5) for name, column in columns.items()})
    if not labels:
        return rows + (weight_rows(share, result.step, parts.train, seeds) if task.curves else [])
    epochs = pd.DataFrame(row for row in weight_rows(share, result.step, parts.train, seeds) if row["kind"] == "epoch")
    gaps = (epochs["kept_without"] - epochs["kept_with"]).groupby(epochs["seed"]).mean()
    return [row | {"kind": "control", "gap": gaps[row["seed"]]} for row in rows]


def planted(parts: Parts, seeds: Sequence[int], auxiliary: str) -> Parts:
    """The auxiliary labels in every part a noisy copy of the main task's logit, that of a logistic regression on all parts.

    Its standard deviation is 1, that of the noise a half; as a probability where the auxiliary loss is a cross-entropy.
    """
    sizes = [part.x.shape[1] for part in parts]
    labels = []
    for i, seed in enumerate(seeds):
        x, y = (np.concatenate([getattr(part, name)[i].numpy() for part in parts]) for name in ("x", "main"))
        logit = torch.tensor(LogisticRegression(C=0.1, max_iter=2000).fit(x, y[:, 0]).decision_function(x), dtype=torch.float32)
        logit = (logit - logit.mean()) / logit.std()
        noisy = logit + 0.5 * torch.randn(len(logit), generator=generator(seed, "planted"))
        labels.append((noisy.sigmoid() if auxiliary == "cross-entropy" else noisy)[:, None])
    split = torch.stack(labels).split(sizes, dim=1)
    return Parts(*(PairedSamples(part.x, part.main, own) for part, own in zip(parts, split, strict=True)))


def shuffled_main(parts: Parts, seeds: Sequence[int]) -> Parts:
    """The main labels in a random order within the training part."""
    x, main, auxiliary = parts.train
    order = torch.stack([torch.randperm(main.shape[1], generator=generator(seed, "shuffled")) for seed in seeds])
    return parts._replace(train=PairedSamples(x, main[torch.arange(len(seeds))[:, None], order], auxiliary))


def weight_rows(share: Tensor, kept: Tensor, train: PairedSamples, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """The auxiliary share (steps, seeds) by epoch, and by the number of main events in the batch: rows "epoch" and "events".

    A row per seed and level: the mean over its batches and how many they are. Of an epoch also the mean over its batches until
    the state that was kept, (seeds,) updates, and over those of them without and with an event; NaN where there are none.
    """
    orders = [generator(seed, "order") for seed in seeds]
    events = torch.stack([b.main.sum((1, 2)) for b in islice(stream(train, BATCH, orders), len(share))]).clamp_max(MOST_EVENTS)
    step = torch.arange(len(share))
    epoch = step // -(-train.x.shape[1] // BATCH)
    rows: list[dict[str, Any]] = []
    for i, seed in enumerate(seeds):
        for kind, levels in (("epoch", epoch), ("events", events[:, i].int())):
            for level in levels.unique().tolist():
                here = levels == level
                row = {"kind": kind, "seed": seed, "level": level, "batches": int(here.sum())}
                chosen = {"share": here}
                if kind == "epoch":
                    until = here & (step < kept[i])
                    chosen |= {
                        "kept": until,
                        "kept_without": until & (events[:, i] == 0),
                        "kept_with": until & (events[:, i] > 0),
                    }
                rows.append(row | {name: round(share[batches, i].mean().item(), 5) for name, batches in chosen.items()})
    return rows


def logistic(problem: str, seeds: Sequence[int], sha256: str, data_set: str = "") -> list[dict[str, Any]]:
    """Logistic regression on the same splits, its penalty chosen on validation: a row per seed."""
    models = {strength: LogisticRegression(C=strength, max_iter=2000) for strength in PENALTIES}
    return _baseline(problem, seeds, sha256, data_set, models)


def boosting(problem: str, seeds: Sequence[int], sha256: str, data_set: str = "") -> list[dict[str, Any]]:
    """Gradient boosted trees on the same splits, their number chosen on validation: a row per seed."""
    models = {
        trees: HistGradientBoostingClassifier(
            learning_rate=0.05, max_iter=trees, early_stopping=False, max_leaf_nodes=15, random_state=0
        )
        for trees in TREES
    }
    return _baseline(problem, seeds, sha256, data_set, models)


def _baseline(problem: str, seeds: Sequence[int], sha256: str, data_set: str, models: Mapping[Any, Any]) -> list[dict[str, Any]]:
    """models: value of `parameter` -> unfitted classifier."""
    parts, rows = splits(problem, seeds, sha256, data_set), []
    for i, seed in enumerate(seeds):
        (x, y), *held = ((part.x[i].numpy(), part.main[i, :, 0].numpy()) for part in parts)
        scores = {}
        for value, model in models.items():
            probability = model.fit(x, y).predict_proba
            scores[value] = [float(roc_auc_score(labels, probability(inputs)[:, 1])) for inputs, labels in held]
        parameter = max(scores, key=lambda value: scores[value][0])
        validation, test = scores[parameter]
        rows.append({"kind": "seed", "seed": seed, "parameter": parameter, "validation": validation, "test": test})
    return rows


def splits(name: str, seeds: Sequence[int], sha256: str, data_set: str = "") -> Parts:
    """The parts of every seed's split, each in a random order, so that the first rows of a part are a random sample of it.

    sha256: of the source data that the caller means. Raises UnknownName, DataCorrupt where the data are others.
    """
    table = source(name, data_set)
    if table.sha256 != sha256:
        raise DataCorrupt(f"the data of {name} are not those with sha256 {sha256[:12]}.")
    return Parts(*(_shuffled(part, seeds) for part in stacked([real_problem(name).prepare(table, seed) for seed in seeds])))


def _shuffled(part: PairedSamples, seeds: Sequence[int]) -> PairedSamples:
    order = torch.stack([torch.randperm(part.x.shape[1], generator=generator(seed, "rows")) for seed in seeds])
    return PairedSamples(*(values[torch.arange(len(seeds))[:, None], order] for values in part))
