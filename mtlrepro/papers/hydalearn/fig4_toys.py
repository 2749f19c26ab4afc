"""Figure 4 of the HydaLearn paper: every method on both toy problems, at the paper's settings and tuned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error
from torch import Tensor

from mtlrepro.methods import registry
from mtlrepro.papers.hydalearn.compared_methods import METHODS, inside
from mtlrepro.papers.hydalearn.training.toy_problems import INPUTS, TOY_PROBLEMS, prepare
from mtlrepro.papers.hydalearn.training.tuned_runs import UPDATES, Point, tune
from mtlrepro.parameters import Params

CHOICES = ("paper's", "tuned")
PAPER_RATE = 0.01
STATIC_SHARE = 0.75  # of the main task: 1.5 of W = 2 (Table 6)
WINDOWS = 20  # of a training
ADAPTIVE = ("hydalearn", "gradnorm")  # methods whose weights are kept epoch by epoch
RESULTS = ("validation", "validation_loss", "test", "loss", "step", "diverged")


PENALTIES = (1.0, 10.0, 100.0, 1000.0)  # of the ridge regression, chosen on validation


def settings(p: Params) -> list[dict[str, Any]]:
    """Arguments of `measure`: every method in every setting, and ridge regression.

    A single task has no auxiliary gradient and so one update.
    """
    seeds = list(range(p.first_seed, p.first_seed + p.seeds))
    return [
        {"problem": problem, "inputs": inputs, "update": update, "chosen": chosen, "method": method, "seeds": seeds}
        | {"steps": p.steps[problem], "points": p.points, "rates": p.rates, "grid": p.grid}
        for chosen in CHOICES
        for problem in TOY_PROBLEMS
        for inputs in INPUTS
        for update in UPDATES
        for method in p.methods[problem] + (["stl, weight 1"] if chosen == "paper's" else [])
        if not (method.startswith("stl") and update == "scale-matched")
    ] + [
        {"problem": problem, "inputs": inputs, "method": "ridge", "seeds": seeds} for problem in TOY_PROBLEMS for inputs in INPUTS
    ]


def measure(method: str, **setting: Any) -> list[dict[str, Any]]:
    """Rows of one method: `ridge` or `compare`."""
    return ridge(**setting) if method == "ridge" else compare(method, **setting)


def compare(
    method: str,
    problem: str,
    inputs: str,
    update: str,
    chosen: str,
    seeds: Sequence[int],
    steps: int,
    points: int,
    rates: Sequence[float],
    grid: int,
) -> list[dict[str, Any]]:
    """Train one method on all seeds: rows "seed", one per seed, and "curve", one per window of the training.

    chosen: "paper's", one grid point, or "tuned", `grid` points at learning rates from `rates`[0] to `rates`[1]; each seed takes
    the best on validation. Otherwise as in `prepare`. Columns of "seed": those of `Chosen`; of the auxiliary task's share of the
    weight its mean (share), standard deviation over batches (spread), mean over the first and the last fifth (first, last) and
    tenth of the training, and `epoch_columns`. Of "curve": share, its spread within the window, and the test error at the end of
    the window, all means over seeds.
    """
    splits, config = prepare(problem, inputs, seeds, steps=steps, check=steps // WINDOWS, points=points)
    compared = METHODS[method]
    tried = [paper_point(method)] if chosen == "paper's" else compared.grid(rates[0], rates[1], grid)
    result = tune(splits, seeds, tried, compared.build, config, update == "scale-matched", test_curve=True)
    assert result.test_curve is not None
    share = result.shares
    fifth, tenth = steps // 5, steps // 10
    columns = {"share": share.mean(0), "spread": share.std(0), "first": share[:fifth].mean(0), "last": share[-fifth:].mean(0)}
    columns |= {"first_tenth": share[:tenth].mean(0), "last_tenth": share[-tenth:].mean(0), "head_weight": result.head_weight}
    epochs = epoch_columns(share, -(-splits.train.x.shape[1] // config.batch), chosen == "paper's" and method in ADAPTIVE)
    rows: list[dict[str, Any]] = []
    for i, seed in enumerate(seeds):
        point = tried[result.point[i]]
        row = {"kind": "seed", "seed": seed, "rate": point["learning_rate"], "parameter": compared.value(point)}
        row |= {"inside": inside(point, tried)} if chosen == "tuned" else {}
        row |= {name: round(getattr(result, name)[i].item(), 5) for name in RESULTS}
        rows.append(row | {name: column[i].item() for name, column in columns.items()} | epochs[i])
    windows = share.unflatten(0, (WINDOWS, -1))
    curve = {"share": windows.mean((1, 2)), "spread": windows.std(1).mean(1), "test": result.test_curve.mean(1)}
    return rows + [
        {"kind": "curve", "window": window} | {name: values[window].item() for name, values in curve.items()}
        for window in range(WINDOWS)
    ]


def epoch_columns(share: Tensor, length: int, each: bool) -> list[dict[str, Any]]:
    """Of every seed, what its auxiliary share (steps, seeds) does within and across epochs of `length` updates.

    epoch_high: 95th percentile over epochs, the first left out, of the epoch's mean; NaN for one epoch. epoch_spread: mean over
    epochs of the standard deviation over batches. each: also the epochs' means, as text.
    """
    epochs = [epoch.double().numpy() for epoch in share.split(length)]
    means, spreads = (np.array([reduce(epoch, axis=0) for epoch in epochs]) for reduce in (np.mean, np.std))
    columns = []
    for i in range(share.shape[1]):
        high = float(np.quantile(means[1:, i], 0.95)) if len(epochs) > 1 else float("nan")
        row: dict[str, Any] = {"epoch_high": round(high, 5), "epoch_spread": round(float(spreads[:, i].mean()), 5)}
        columns.append(row | ({"epoch_shares": " ".join(f"{mean:.4f}" for mean in means[:, i])} if each else {}))
    return columns


def ridge(problem: str, inputs: str, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Ridge regression on the main task, its penalty chosen on validation: rows "baseline", one per seed.

    loss: its squared error on test data. variance: that of the test labels, each output about its own mean.
    """
    splits, _ = prepare(problem, inputs, seeds, steps=1, check=1, points=1)
    rows = []
    for i, seed in enumerate(seeds):
        (x, y), *held = ((part.x[i].numpy(), part.main[i].numpy()) for part in splits)
        models = [Ridge(alpha=penalty).fit(x, y) for penalty in PENALTIES]
        losses = [[mean_squared_error(labels, model.predict(inputs)) for inputs, labels in held] for model in models]
        variance = float(splits.test.main[i].var(0, correction=0).mean())
        rows.append({"kind": "baseline", "seed": seed, "loss": min(losses)[1], "variance": variance})
    return rows


def paper_point(method: str) -> Point:
    """The paper's settings: one learning rate for all, and what each method's authors or Table 6 give for its own parameter."""
    compared = METHODS[method]
    recommended = {**registry.METHODS[compared.registered].recommended, "share": STATIC_SHARE}
    own = {compared.parameter: recommended[compared.parameter]} if compared.parameter else {}
    return {"learning_rate": PAPER_RATE} | own
