"""Figure 4 of the HydaLearn paper: every method on both toy problems, at the paper's settings and tuned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mtlrepro.papers.hydalearn.compared_methods import METHODS
from mtlrepro.papers.hydalearn.training.toy_problems import BETA, INPUTS, TOY_PROBLEMS, prepare
from mtlrepro.papers.hydalearn.training.tuned_runs import UPDATES, Point, tune
from mtlrepro.parameters import Params

CHOICES = ("paper's", "tuned")
PAPER_RATE = 0.01
# The methods' own parameters of Table 6; what the table does not have is our choice.
PAPER_VALUES = {"main weight": 1.5, "alpha": 1.5, "beta": BETA, "step size": 1.0, "scale": 1.0, "temperature": 2.0}
PAPER_VALUES |= {"log-variance rate": 0.01}
WINDOWS = 20  # of a training


def settings(p: Params) -> list[dict[str, Any]]:
    """Arguments of `compare`: every method in every setting; a single task has no auxiliary gradient and so one update."""
    return [
        {"problem": problem, "inputs": inputs, "update": update, "chosen": chosen, "method": method}
        | {"seeds": list(range(p.first_seed, p.first_seed + p.seeds)), "steps": p.steps[problem], "points": p.points}
        | {"rates": p.rates, "grid": p.grid}
        for chosen in CHOICES
        for problem in TOY_PROBLEMS
        for inputs in INPUTS
        for update in UPDATES
        for method in p.methods[problem] + (["stl, weight 1"] if chosen == "paper's" else [])
        if not (method.startswith("stl") and update == "scale-matched")
    ]


def compare(
    problem: str,
    inputs: str,
    update: str,
    chosen: str,
    method: str,
    seeds: Sequence[int],
    steps: int,
    points: int,
    rates: Sequence[float],
    grid: int,
) -> list[dict[str, Any]]:
    """Train one method on all seeds: rows "seed", one per seed, and "curve", one per window of the training.

    chosen: "paper's", one grid point, or "tuned", `grid` points at learning rates from `rates`[0] to `rates`[1]; each seed takes
    the best on validation. share: the auxiliary task's share of the weight; spread: its standard deviation over batches (within
    the window, in "curve"); first, last: its mean over the first and the last fifth of the training. Otherwise as in `prepare`.
    """
    splits, config = prepare(problem, inputs, seeds, steps=steps, check=steps // WINDOWS, points=points)
    compared = METHODS[method]
    tried = _grid(method) if chosen == "paper's" else compared.grid(rates[0], rates[1], grid)
    result = tune(splits, seeds, tried, compared.build, config, update == "scale-matched")
    share = result.shares
    windows = share.unflatten(0, (WINDOWS, -1))
    fifth = WINDOWS // 5
    columns = {
        "share": share.mean(0),
        "spread": share.std(0),
        "first": windows[:fifth].mean((0, 1)),
        "last": windows[-fifth:].mean((0, 1)),
    }
    rows: list[dict[str, Any]] = []
    for i, seed in enumerate(seeds):
        point = tried[result.point[i]]
        row = {"kind": "seed", "seed": seed, "rate": point["rate"], "parameter": point.get(compared.parameter)}
        row |= {name: round(getattr(result, name)[i].item(), 5) for name in ("validation", "test", "loss", "step", "diverged")}
        rows.append(row | {name: column[i].item() for name, column in columns.items()})
    curve = zip(windows.mean((1, 2)).tolist(), windows.std(1).mean(1).tolist(), strict=True)
    return rows + [{"kind": "curve", "window": i, "share": mean, "spread": sd} for i, (mean, sd) in enumerate(curve)]


def _grid(method: str) -> list[Point]:
    """The one grid point of the paper's settings."""
    return [METHODS[method].point(PAPER_RATE, PAPER_VALUES.get(METHODS[method].parameter))]
