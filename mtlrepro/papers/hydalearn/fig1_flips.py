"""Figure 1 of the HydaLearn paper: how often the task that helps the main metric changes from batch to batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mtlrepro.errors import BadValue
from mtlrepro.papers.hydalearn.compared_methods import METHODS
from mtlrepro.papers.hydalearn.training.gain_meters import on_samples, trace
from mtlrepro.papers.hydalearn.training.toy_problems import BETA, INPUTS, TOY_PROBLEMS, prepare
from mtlrepro.papers.hydalearn.training.tuned_runs import UPDATES
from mtlrepro.parameters import Params

TASKS = ("main", "auxiliary")


def settings(p: Params) -> list[dict[str, Any]]:
    """Arguments of `measure`: every problem, inputs, update and learning rate, in batches of the paper's size."""
    return [
        _setting(p, problem, inputs, update, rate, batch=16)
        for problem in TOY_PROBLEMS
        for inputs in INPUTS
        for update in UPDATES
        for rate in p.rates[problem]
    ]


def batch_settings(p: Params) -> list[dict[str, Any]]:
    """Arguments of `measure`: Exp2 with softened labels, the update as printed, the largest rate; every batch size of `p`."""
    return [_setting(p, "Exp2", "softened", UPDATES[0], p.rates["Exp2"][-1], batch) for batch in p.batches]


def _setting(p: Params, problem: str, inputs: str, update: str, rate: float, batch: int) -> dict[str, Any]:
    seeds = list(range(p.first_seed, p.first_seed + p.seeds))
    setting = {"problem": problem, "inputs": inputs, "update": update, "rate": rate, "batch": batch, "seeds": seeds}
    return setting | {"steps": p.steps[problem], "points": p.points[problem], "bursts": p.bursts, "burst": p.burst}


def measure(
    problem: str,
    inputs: str,
    update: str,
    rate: float,
    batch: int,
    seeds: Sequence[int],
    steps: int,
    points: int,
    bursts: int,
    burst: int,
) -> list[dict[str, Any]]:
    """Train HydaLearn on all seeds at one setting; the rows of `colour_rows` for unit-length and raw fake steps.

    points: validation samples of the metric; as many others judge whether a colour depends on the samples. Measured are `burst`
    successive steps at the end of each of `bursts` equal parts of the training. Otherwise as in `toy_problems.prepare`.
    """
    period = steps // bursts
    parts, config = prepare(problem, inputs, seeds, steps=steps, check=period, points=points, batch=batch)
    first, second = slice(points), slice(points, 2 * points)
    meters = {
        "unit": on_samples(parts, config, first),
        "raw": on_samples(parts, config, first, normalise=False),
        "other samples": on_samples(parts, config, second),
    }
    point, matched = {"learning_rate": rate, "beta": BETA}, update == UPDATES[1]
    traced = trace(parts, seeds, config, METHODS["hydalearn"].build, point, meters, matched, every=period, burst=burst)
    return colour_rows(traced.gains, seeds, bursts)


def flip_rates(colour: Tensor, windows: int) -> tuple[Tensor, Tensor]:
    """How often a two-valued sequence changes from one step to the next, and how often it would in random order.

    colour: (steps, ...) bool, cut into `windows` equal windows; no pair of steps spans two of them.
    Returns (windows, ...) twice: the share of pairs of neighbours that differ, and the mean of that share over all orders of the
    window's own values, 2 k (n - k) / (n (n - 1)) with k true ones of n. Equal: no memory, like tosses of a coin of that share.
    Raises BadValue where `windows` does not divide the steps or leaves fewer than 2 in a window.
    """
    n = len(colour) // windows
    if n * windows != len(colour) or n < 2:
        raise BadValue(f"{len(colour)} steps cannot be cut into {windows} windows of at least 2.")
    cut = colour.unflatten(0, (windows, n))
    k = cut.double().sum(1)
    return (cut[:, 1:] != cut[:, :-1]).double().mean(1), 2 * k * (n - k) / (n * (n - 1))


def colour_rows(gains: Mapping[str, Tensor], seeds: Sequence[int], bursts: int) -> list[dict[str, Any]]:
    """What Figure 1 shows, one row per meter, seed and burst of successive steps.

    gains: meter -> (steps, seeds, 2), the steps those of `bursts` bursts; "unit" and "other samples" must be among them.
    Each row has, by task ("main", "auxiliary"): the share of green steps (a positive gain), the share of flips and that of a
    random order (`flip_rates`); the share of steps in which the tasks' colours differ, and that of two independent colours; the
    share of both red; and for "unit" by task the share of the same colour on the other samples, and the first seed's colours.
    `alive` is false where any gain is NaN (diverged) or all gains of a task are exactly zero (no unit of the network is active).
    """
    rows = []
    other = (gains["other samples"] > 0).unflatten(0, (bursts, -1))
    for meter in [name for name in gains if name != "other samples"]:
        measured = gains[meter].unflatten(0, (bursts, -1))
        green = measured > 0
        alive = measured.isfinite().all(3).all(1) & (measured != 0).any(1).all(-1)
        share, (flips, coin) = green.double().mean(1), flip_rates(gains[meter] > 0, bursts)
        differ, red = (green[..., 0] != green[..., 1]).double().mean(1), (~green).all(-1).double().mean(1)
        same = (green == other).double().mean(1)
        for at in range(bursts):
            for i, seed in enumerate(seeds):
                row: dict[str, Any] = {"meter": meter, "seed": seed, "at": at, "alive": alive[at, i].item()}
                main, auxiliary = share[at, i].tolist()
                row |= {"differ": differ[at, i].item(), "both red": red[at, i].item()}
                row |= {"differ by chance": main * (1 - auxiliary) + auxiliary * (1 - main)}
                for task, name in enumerate(TASKS):
                    values = {"green": share, "flips": flips, "coin": coin}
                    if meter == "unit":
                        values["same"] = same
                        if i == 0:
                            row[f"{name} colours"] = "".join("-+"[g] for g in green[at, :, i, task].int().tolist())
                    row |= {f"{name} {key}": value[at, i, task].item() for key, value in values.items()}
                rows.append({key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()})
    return rows
