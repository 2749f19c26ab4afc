"""Figure 3 of the transfer paper: gains of multi-task over single-task models against the number of source samples.

Rows hold the target's Spearman correlation on test: of the multi-task model with the `same`- and with the
`different`-covariance source, and of two single-task models, `single` (plain) and `tuned` (on validation).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtlrepro.device import generator
from mtlrepro.papers.transfer.data.synthetic import Samples, TransferTasks, transfer_tasks
from mtlrepro.papers.transfer.theory import optimum as theory
from mtlrepro.papers.transfer.training.run_grid import Order, fit_grid
from mtlrepro.parameters import Params
from mtlrepro.training.metrics import spearman

# The paper's settings (appendix B.3).
RATES = (1e-4, 1e-3, 1e-2, 1e-1)
EPOCHS, BATCH = 30, 50

# The paper's text as it stands, and what we think the figure shows.
LITERAL = {"m_target": 9_000, "noise": 0.0, "orientation": "printed", "kappa": 100.0}
READING = {"m_target": 50, "noise": 20.0, "orientation": "rotated", "kappa": 100.0}
# One ingredient of our reading changed at a time: name -> (argument, values).
CHANGES: dict[str, tuple[str, Sequence[Any]]] = {
    "target samples": ("m_target", [50, 100, 200, 1_000, 9_000]),
    "label noise (sd)": ("noise", [0.0, 5.0, 20.0, 60.0]),
    "form of X": ("orientation", ["printed", "rotated"]),
    "condition (kappa)": ("kappa", [1.0, 10.0, 100.0]),
}
SETTINGS: dict[str, dict[str, Any]] = {"literal": LITERAL, "our reading": READING} | {
    f"{name} = {value if isinstance(value, str) else format(value, ',g')}": READING | {key: value}
    for name, (key, values) in CHANGES.items()
    for value in values
}

_PENALTIES = torch.logspace(-3, 8, 56, dtype=torch.float64)


def exact(setting: str, seeds: list[int], sizes: list[int]) -> list[dict[str, Any]]:
    """Rows of the exact multi-task optimum (r = 1), least squares of smallest norm and ridge regression.

    setting: one of SETTINGS. sizes: source samples, ascending. control: the multi-task optimum of width r = 2 with the
    different-covariance source, which has to be the single-task model (proposition 1).
    """
    tasks = _draw(setting, seeds, max(sizes))
    own = theory.moments(*tasks.target)

    def score(models: Tensor, samples: Samples = tasks.test) -> Tensor:
        """models: (seeds, n, d) -> (seeds, n)."""
        rho: Tensor = spearman(models @ samples.x.mT, samples.y[:, None])
        return rho

    ridges = theory.ridge(own, _PENALTIES)
    chosen = score(ridges, tasks.validation).argmax(-1)
    single = score(torch.stack([theory.least_squares(own), ridges[torch.arange(len(seeds)), chosen]], 1))
    scores = {"single": single[:, :1], "tuned": single[:, 1:]}
    for name, source, rank in (("same", tasks.same, 1), ("different", tasks.different, 1), ("control", tasks.different, 2)):
        optimum = theory.moments_optimum([own, theory.nested_moments(*source, sizes)], rank)
        scores[name] = score(optimum.models[..., 0, :].transpose(0, 1))
    return _rows(setting, seeds, sizes, scores)


def sgd(setting: str, seeds: list[int], sizes: list[int]) -> list[dict[str, Any]]:
    """Rows as `exact`, for models trained by mini-batch SGD as in appendix B.3, inputs and labels divided by `kappa`.

    The rate is chosen on validation for each run. `single` has as many epochs as the multi-task model, `tuned` as many
    updates as the longest multi-task run, and stops where its validation error is least.
    """
    m_source, count = max(sizes), len(seeds)
    m_target: int = SETTINGS[setting]["m_target"]
    kappa: float = SETTINGS[setting]["kappa"]
    tasks = _draw(setting, seeds, m_source)
    x = torch.cat([tasks.target.x, tasks.same.x, tasks.different.x], 1) / kappa
    y = torch.cat([tasks.target.y, tasks.same.y, tasks.different.y], 1) / kappa

    def score(models: Tensor, samples: Samples) -> Tensor:
        """models: (orders, rates, d), the seed varying fastest over orders -> (orders, rates)."""
        by_seed = models.unflatten(0, (-1, count)).transpose(0, 1).flatten(1, 2)
        rho: Tensor = spearman(by_seed @ samples.x.mT, samples.y[:, None])
        by_order: Tensor = rho.unflatten(1, (-1, models.shape[1])).transpose(0, 1).flatten(0, 1)
        return by_order

    def selected(models: Tensor) -> Tensor:
        """Score on test at the rate that is best on validation; a diverged rate is never chosen."""
        best = score(models, tasks.validation).nan_to_num(-2).argmax(-1, keepdim=True)
        return score(models, tasks.test).gather(1, best).view(-1, count).T

    def error(models: Tensor) -> Tensor:
        fitted: Tensor = models[:, :, 0] @ (tasks.validation.x.mT / kappa)
        return -(fitted - tasks.validation.y[:, None] / kappa).square().mean(-1)

    def orders(name: str, rows: Sequence[tuple[tuple[int, int], ...]]) -> list[Order]:
        return [Order(i, r, generator(s, "sgd", name, k)) for k, r in enumerate(rows) for i, s in enumerate(seeds)]

    alone = [((0, m_target),)]
    updates = -(-m_target // BATCH)
    longest = EPOCHS * (updates + -(-m_source // BATCH)) // updates
    scores = {
        "single": selected(fit_grid(x, y, orders("alone", alone), RATES).models()[:, :, 0]),
        "tuned": selected(fit_grid(x, y, orders("alone", alone), RATES, epochs=longest, validate=error).models()[:, :, 0]),
    }
    for name, start in {"same": m_target, "different": m_target + m_source}.items():
        rows = [((0, m_target), (start, start + m)) for m in sizes]
        scores[name] = selected(fit_grid(x, y, orders("joint", rows), RATES).models()[:, :, 0])
    return _rows(setting, seeds, sizes, scores)


def raw_sgd(setting: str, seeds: list[int], m_source: int) -> list[dict[str, float]]:
    """Share of runs whose model is finite after training on unscaled inputs, one row per learning rate."""
    m_target: int = SETTINGS[setting]["m_target"]
    tasks = _draw(setting, seeds, m_source)
    x, y = (torch.cat([task[part] for task in (tasks.target, tasks.same)], 1) for part in (0, 1))
    orders = [Order(i, ((0, m_target), (m_target, m_target + m_source)), generator(s, "raw")) for i, s in enumerate(seeds)]
    finite = fit_grid(x, y, orders, RATES).models().isfinite().all(-1).all(-1).double().mean(0)
    return [{"learning rate": rate, "finite": share} for rate, share in zip(RATES, finite.tolist(), strict=True)]


def _draw(setting: str, seeds: list[int], m_source: int) -> TransferTasks:
    return transfer_tasks(seeds, m_source=m_source, **SETTINGS[setting])


def _rows(setting: str, seeds: Sequence[int], sizes: Sequence[int], scores: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """One row per seed and size. scores: name -> (seeds, sizes) or (seeds, 1)."""
    wide = {name: values.expand(-1, len(sizes)).numpy().round(6) for name, values in scores.items()}
    return [
        SETTINGS[setting] | {"seed": seed, "size": size} | {name: values[i, j] for name, values in wide.items()}
        for i, seed in enumerate(seeds)
        for j, size in enumerate(sizes)
    ]


MEASURES: dict[str, Callable[..., Any]] = {"exact": exact, "SGD": sgd, "sensitivity": exact, "raw SGD": raw_sgd}


def measure(solver: str, **setting: Any) -> list[dict[str, Any]]:
    """The rows of one of `settings`."""
    rows: list[dict[str, Any]] = MEASURES[solver](**setting)
    return rows


def settings(p: Params) -> list[dict[str, Any]]:
    """The curves, exact and by SGD, in both settings; our reading with one ingredient changed; SGD on unscaled inputs."""

    def chunks(solver: str, names: Sequence[str], count: int, sizes: list[int]) -> list[dict[str, Any]]:
        """Seeds from first_seed on, ten at a time: what one call computes and one line of the log keeps."""
        every = list(range(p.first_seed, p.first_seed + count))
        return [
            {"solver": solver, "setting": name, "seeds": every[i : i + 10], "sizes": sizes}
            for name in names
            for i in range(0, count, 10)
        ]

    both = ["literal", "our reading"]
    return [
        *chunks("exact", both, p.seeds, p.sizes),
        *chunks("SGD", both, p.sgd_seeds, p.sgd_sizes),
        *chunks("sensitivity", list(SETTINGS)[2:], p.sensitivity_seeds, p.sensitivity_sizes),
        {"solver": "raw SGD", "setting": "our reading", "seeds": list(range(p.first_seed, p.first_seed + 3)), "m_source": 1_000},
    ]
