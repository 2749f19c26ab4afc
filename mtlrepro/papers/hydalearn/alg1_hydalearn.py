"""Algorithm 1 of the HydaLearn paper: against a version written out by hand, its variants on Exp2, its cost, three tasks."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from mtlrepro.device import NETWORK, generator, seeded
from mtlrepro.errors import UnknownName
from mtlrepro.methods.hydalearn import HydaLearn, hydalearn_weights
from mtlrepro.methods.scale_matched import ScaleMatched
from mtlrepro.methods.static import Static
from mtlrepro.models.shared_bottom import SharedBottom
from mtlrepro.models.stacked_mlp import StackedMLP
from mtlrepro.papers.hydalearn import fig4_toys
from mtlrepro.papers.hydalearn.compared_methods import METHODS, learning_rates
from mtlrepro.papers.hydalearn.data.toys import PairedSamples, Parts
from mtlrepro.papers.hydalearn.theory.algorithm1 import SWITCHES, algorithm, negative
from mtlrepro.papers.hydalearn.theory.theorem1 import SQUARED
from mtlrepro.papers.hydalearn.training.toy_problems import BETA, prepare
from mtlrepro.papers.hydalearn.training.tuned_runs import UPDATES, GridRuns, Traced, tune
from mtlrepro.parameters import Params
from mtlrepro.training.loop import fit, task_losses, train_step
from mtlrepro.training.metrics import mean_absolute_error, mean_squared_error
from mtlrepro.training.weighting import Batch, Call, Equal, Weighting

BATCH = 16
# Variants of HydaLearn that are trained, and the single task.
VARIANTS = {
    "hydalearn": "our reading",
    "carried": "reference carried over, as printed",
    "heads weighted": "heads weighted, line 36 as printed",
    "inverted": "inverted (ours)",
    "no downscaling": "without eq. 4",
    "first order": "first-order gains (ours)",
    "stl": "single task",
}
THREE_TASKS = ("HydaLearn", "equal weights", "single task")
REFRESH = 8  # steps that one gradient of the metric serves, where it is not renewed in each


def settings(p: Params) -> list[dict[str, Any]]:
    """Arguments of `measure`."""
    seeds = list(range(p.first_seed, p.first_seed + p.seeds))
    trained = [(method, update, BATCH, max(p.points)) for update in UPDATES for method in VARIANTS]
    trained += [("hydalearn", update, batch, max(p.points)) for update in UPDATES for batch in p.batches]
    trained += [("stl", UPDATES[0], batch, max(p.points)) for batch in p.batches]
    trained += [("hydalearn", update, BATCH, points) for update in UPDATES for points in p.points]
    return [
        *({"kind": "algorithm", "name": name, "seeds": list(range(p.instances)), "steps": 10} for name in SWITCHES),
        *({"kind": "negative", "beta": beta, "count": 1000, "seed": p.first_seed} for beta in (1.0, 3.0, 6.0)),
        *(
            {"kind": "training", "method": method, "update": update, "batch": batch, "points": points}
            | {"seeds": seeds, "steps": p.steps, "rates": p.rates, "grid": p.grid}
            for method, update, batch, points in dict.fromkeys(trained)
            if (method, update) != ("stl", "scale-matched")
        ),
        *(
            {"kind": "single", "problem": problem, "seeds": seeds[: sizes["seeds"]], "steps": sizes["steps"]}
            | {"rates": p.rates, "grid": p.grid}
            for problem, sizes in p.visited.items()
        ),
        {"kind": "copy", "seeds": seeds, "steps": p.steps},
        {"kind": "cost", "rounds": p.rounds, "points": 2000},
        *({"kind": "several", "method": method, "seeds": seeds, "steps": p.steps} for method in THREE_TASKS),
    ]


def measure(kind: str, **setting: Any) -> list[dict[str, Any]]:
    """Rows of one setting; kind: the name of what is measured."""
    functions: dict[str, Callable[..., Any]] = {
        "algorithm": algorithm,
        "negative": negative,
        "training": training,
        "single": single,
        "copy": copied,
        "cost": costs,
        "several": several,
    }
    rows = functions[kind](**setting)
    return rows if isinstance(rows, list) else [rows]


# ---------------------------------------------------------------------------------------------------------------------
# Variants, batch sizes and validation samples
# ---------------------------------------------------------------------------------------------------------------------


def training(
    method: str, update: str, batch: int, points: int, seeds: Sequence[int], steps: int, rates: Sequence[float], grid: int
) -> list[dict[str, Any]]:
    """Train one of VARIANTS on Exp2 with softened labels: a row per seed.

    rates: lowest and highest of `grid` learning rates; each seed takes the best on validation. test: the main metric. share,
    deviation: mean and standard deviation over steps of the auxiliary share. negative: share of steps that eq. 4 scales down.
    """
    splits, config = prepare("Exp2", "softened", seeds, steps=steps, check=steps // 20, points=points, batch=batch)
    build = _heads_weighted if method == "heads weighted" else METHODS[method].build
    own = {} if method == "stl" else {"beta": BETA}
    every = learning_rates(rates[0], rates[1], grid)
    tried = [{"learning_rate": rate} | own for rate in every]
    result = tune(splits, seeds, tried, build, config, update == "scale-matched")
    columns = {
        "test": result.test,
        "share": result.shares.mean(0),
        "deviation": result.shares.std(0),
        "negative": (result.weights.sum(-1) < 1.999).double().mean(0),
    }
    return [
        {"seed": seed, "rate": rate, "inside": min(every) < rate < max(every)}
        | {name: round(column[i].item(), 5) for name, column in columns.items()}
        for i, (seed, rate) in enumerate(zip(seeds, (every[point] for point in result.point), strict=True))
    ]


def single(problem: str, seeds: Sequence[int], steps: int, rates: Sequence[float], grid: int) -> list[dict[str, Any]]:
    """The single task on a problem, inputs as printed, and ridge regression: rows of `fig4_toys`, `role` network or ridge."""
    rows = fig4_toys.compare("stl", problem, "as printed", UPDATES[0], "tuned", seeds, steps, 1, rates, grid)
    networks = [{"role": "network", "seed": row["seed"], "loss": row["loss"]} for row in rows if row["kind"] == "seed"]
    return networks + [row | {"role": "ridge", "kind": "single"} for row in fig4_toys.ridge(problem, "as printed", seeds)]


def copied(seeds: Sequence[int], steps: int) -> list[dict[str, Any]]:
    """HydaLearn on Exp2, inputs as printed, the auxiliary labels a copy of the main ones: each seed's mean auxiliary share."""
    parts, config = prepare("Exp2", "as printed", seeds, steps=steps, check=steps, points=0)
    same = Parts(*(PairedSamples(part.x, part.main, part.main) for part in parts))
    result = tune(same, seeds, [{"learning_rate": 0.01, "beta": BETA}], METHODS["hydalearn"].build, config, False)
    return [{"seed": seed, "share": share.item()} for seed, share in zip(seeds, result.shares.mean(0), strict=True)]


def _heads_weighted(runs: GridRuns) -> Weighting:
    weighting = METHODS["hydalearn"].build(runs)
    weighting.weight_heads = True
    return weighting


# ---------------------------------------------------------------------------------------------------------------------
# Two harmful steps
# ---------------------------------------------------------------------------------------------------------------------


def weights_of(gains: Iterable[tuple[float, float]]) -> list[dict[str, float]]:
    """The printed rule on pairs of gains, W = 2: a row per pair."""
    rows = []
    for main, aux in gains:
        w_m, w_a = hydalearn_weights(main, aux, 2.0)
        rows.append({"δ_m": main, "δ_a": aux, "w_m": float(w_m), "w_a": float(w_a)})
    return rows


# ---------------------------------------------------------------------------------------------------------------------
# Beyond the paper: cost of first-order gains, several auxiliary tasks, an own model
# ---------------------------------------------------------------------------------------------------------------------


def costs(rounds: int, points: int) -> dict[str, float]:
    """What steps cost beside a plain static step of the same network (Exp1's), one run, batch 16: medians over `rounds`.

    The kinds take turns, and times are processor time, so that other work on the machine falls on all alike. points:
    validation samples of the metric. Renewed: one gradient of the metric serves REFRESH steps.
    """
    inputs, outputs = 75, 25
    drawn = generator(0, "costs")

    def normal(n: int, last: int) -> Tensor:
        return torch.randn(1, n, last, generator=drawn)

    batch = Batch(normal(16, inputs), [normal(16, outputs) for _ in range(2)])
    held, targets = normal(points, inputs), normal(points, outputs)

    def metric(call: Call) -> Tensor:
        return mean_absolute_error(call(held, 0), targets)

    kinds: dict[str, tuple[Weighting, int]] = {
        "static": (Equal(), 1),
        "HydaLearn": (HydaLearn(metric, maximise=False), 1),
        "first order": (HydaLearn(metric, maximise=False, first_order=True), 1),
        f"first order, renewed every {REFRESH} steps": (
            HydaLearn(metric, maximise=False, first_order=True, refresh=REFRESH),
            REFRESH,
        ),
    }
    models = {name: StackedMLP(inputs, [64] * 4, [32], [outputs] * 2, [generator(0)], NETWORK) for name in kinds}
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds + 2):
        for name, (weighting, steps) in kinds.items():
            optimizer = torch.optim.SGD(models[name].parameters(), lr=0.01)
            start = time.process_time()
            for _ in range(steps):
                train_step(models[name], batch, SQUARED, optimizer, weighting)
            taken[name].append((time.process_time() - start) / steps)
    static = taken.pop("static")[2:]
    return {n: statistics.median(a / b for a, b in zip(t[2:], static, strict=True)) for n, t in taken.items()}


def several(method: str, seeds: Sequence[int], steps: int) -> list[dict[str, Any]]:
    """Our extension to three tasks: main, a related auxiliary one, and one whose labels are shuffled; scale-matched updates.

    Labels of eq. 11 softened, 25 inputs, 5 outputs, 300 training samples, 200 to validate, 1,000 to test; learning rate 0.1,
    beta = 3. method: one of THREE_TASKS. One row per seed: the test error where the validation error is best, and the mean
    shares. Raises UnknownName for another method.
    """
    if method not in THREE_TASKS:
        raise UnknownName("method", method, THREE_TASKS)
    train, validation, test = _three_tasks(seeds)

    def error(call: Call, on: Batch) -> Tensor:
        return mean_absolute_error(call(on.inputs, 0), on.targets[0])

    inner = {
        "HydaLearn": HydaLearn(lambda call: error(call, validation), maximise=False, beta=3.0, total=3.0),
        "equal weights": Equal(),
        "single task": Static([1.0, 0.0, 0.0]),
    }[method]
    weighting = Traced(inner)
    model = StackedMLP(25, [40] * 2, [20], [5] * 3, [generator(seed, "model") for seed in seeds], NETWORK)
    orders = [generator(seed, "order") for seed in seeds]
    row, check = torch.arange(len(seeds))[:, None], max(1, steps // 20)

    def batches(_: int) -> Iterable[Batch]:
        for _ in range(check):
            index = torch.stack([torch.randint(train.inputs.shape[1], (BATCH,), generator=order) for order in orders])
            yield Batch(train.inputs[row, index], [y[row, index] for y in train.targets])

    fit(
        model,
        batches,
        task_losses(*[mean_squared_error] * 3),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        epochs=steps // check,
        weighting=weighting if method == "single task" else ScaleMatched(weighting),
        validate=lambda m: -error(m, validation)[:, None],
    )
    with torch.no_grad():
        errors = error(model, test).tolist()
    weights = torch.stack(weighting.trace)
    shares = (weights / weights.sum(-1, keepdim=True)).mean(0).tolist()
    return [
        {"seed": seed, "test": errors[i]} | dict(zip(("main", "related", "shuffled"), shares[i], strict=True))
        for i, seed in enumerate(seeds)
    ]


def _three_tasks(seeds: Sequence[int]) -> list[Batch]:
    """Training, validation and test samples of every seed, with labels of three tasks."""
    every = [_draw_three_tasks(seed) for seed in seeds]
    parts = (slice(300), slice(300, 500), slice(500, None))
    return [
        Batch(torch.stack([x[rows] for x, _ in every]), [torch.stack([y[task][rows] for _, y in every]) for task in range(3)])
        for rows in parts
    ]


def _draw_three_tasks(seed: int) -> tuple[Tensor, list[Tensor]]:
    """1,500 samples: inputs, and the labels of each task."""
    drawn = generator(seed, "three tasks")

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=drawn, dtype=NETWORK)

    basis, own, x = math.sqrt(10) * normal(25, 5), math.sqrt(3.5) * normal(2, 25, 5), normal(1500, 25)
    labels = [torch.tanh(x @ (basis + each) / math.sqrt(25 * 13.5)) + 0.1 * normal(1500, 5) for each in own]
    labels.append(labels[1][torch.randperm(1500, generator=drawn)])
    return x, labels


def own_example() -> tuple[SharedBottom, DataLoader[Any], DataLoader[Any]]:
    """An ordinary model of two tasks, a yes-no label and a number, with its training and validation loaders, seeded."""
    drawn = generator(0, "own model")
    x, noise = torch.randn(400, 5, generator=drawn), torch.randn(2, 400, generator=drawn)
    signal = x @ torch.tensor([1.0, -1.0, 0.5, 0.0, 0.0])
    whole = (x, (signal + noise[0] > 0).float(), signal + noise[1])
    training, validation = (TensorDataset(*(part[rows] for part in whole)) for rows in (slice(300), slice(300, None)))
    with seeded(0, "own model"):
        heads = [nn.Sequential(nn.Linear(16, 1), nn.Flatten(0)) for _ in range(2)]
        model = SharedBottom(nn.Sequential(nn.Linear(5, 16), nn.ReLU()), heads)
    return model, DataLoader(training, 16, shuffle=True, generator=drawn), DataLoader(validation, 64)
