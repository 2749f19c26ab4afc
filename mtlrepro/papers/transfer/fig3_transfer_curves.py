"""Figure 3 of the transfer paper: gains of multi-task over single-task models against the number of source samples.

`exact` and `sgd` compute all seeds of one setting as one batch and return one row a seed and source size, with the target's
Spearman correlation on test: of the multi-task model with the `same`- and with the `different`-covariance source, and of two
single-task models, `single` (plain) and `tuned` (on validation). Their argument `setting` is a label kept with the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtlrepro.device import generator
from mtlrepro.papers.transfer.data.synthetic import Orientation, Samples, transfer_tasks
from mtlrepro.papers.transfer.theory import optimum as theory
from mtlrepro.papers.transfer.training.run_grid import Order, fit_grid
from mtlrepro.training.metrics import spearman

# The paper's settings (appendix B.3).
RATES = (1e-4, 1e-3, 1e-2, 1e-1)
EPOCHS, BATCH = 30, 50

_PENALTIES = torch.logspace(-3, 8, 56, dtype=torch.float64)


def exact(
    seeds: list[int], sizes: list[int], m_target: int, noise: float, orientation: Orientation, kappa: float, setting: str = ""
) -> list[dict[str, Any]]:
    """Rows of the exact multi-task optimum (r = 1), least squares of smallest norm and ridge regression.

    sizes: source samples, ascending. The rest is as in `transfer_tasks`.
    """
    tasks = transfer_tasks(seeds, m_source=max(sizes), m_target=m_target, noise=noise, orientation=orientation, kappa=kappa)
    own = theory.moments(*tasks.target)

    def score(models: Tensor, samples: Samples = tasks.test) -> Tensor:
        """models: (seeds, n, d) -> (seeds, n)."""
        return spearman(models @ samples.x.mT, samples.y[:, None])

    ridges = theory.ridge(own, _PENALTIES)
    chosen = score(ridges, tasks.validation).argmax(-1)
    single = score(torch.stack([theory.least_squares(own), ridges[torch.arange(len(seeds)), chosen]], 1))
    found = {"single": single[:, :1], "tuned": single[:, 1:]}
    for name, source in (("same", tasks.same), ("different", tasks.different)):
        optimum = theory.moments_optimum([own, theory.nested_moments(*source, sizes)], rank=1)
        found[name] = score(optimum.models[..., 0, :].transpose(0, 1))
    return _rows("exact", seeds, sizes, found)


def sgd(
    seeds: list[int], sizes: list[int], m_target: int, noise: float, orientation: Orientation, kappa: float, setting: str = ""
) -> list[dict[str, Any]]:
    """Rows as `exact`, for models trained by mini-batch SGD as in appendix B.3, inputs and labels divided by `kappa`.

    The rate is chosen on validation for each run. `single` has as many epochs as the multi-task model, `tuned` as many
    updates as the longest multi-task run, and stops where its validation error is least.
    """
    m_source, count = max(sizes), len(seeds)
    tasks = transfer_tasks(seeds, m_source=m_source, m_target=m_target, noise=noise, orientation=orientation, kappa=kappa)
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
    found = {
        "single": selected(fit_grid(x, y, orders("alone", alone), RATES).models()[:, :, 0]),
        "tuned": selected(fit_grid(x, y, orders("alone", alone), RATES, epochs=longest, validate=error).models()[:, :, 0]),
    }
    for name, start in {"same": m_target, "different": m_target + m_source}.items():
        rows = [((0, m_target), (start, start + m)) for m in sizes]
        found[name] = selected(fit_grid(x, y, orders("joint", rows), RATES).models()[:, :, 0])
    return _rows("SGD", seeds, sizes, found)


def raw_sgd(seeds: list[int], m_target: int, m_source: int, noise: float, orientation: Orientation) -> list[dict[str, float]]:
    """Share of runs whose model is finite after training on unscaled inputs, one row a learning rate."""
    tasks = transfer_tasks(seeds, m_source=m_source, m_target=m_target, noise=noise, orientation=orientation)
    x, y = (torch.cat([task[part] for task in (tasks.target, tasks.same)], 1) for part in (0, 1))
    orders = [Order(i, ((0, m_target), (m_target, m_target + m_source)), generator(s, "raw")) for i, s in enumerate(seeds)]
    finite = fit_grid(x, y, orders, RATES).models().isfinite().all(-1).all(-1).double().mean(0)
    return [{"learning rate": rate, "finite": share} for rate, share in zip(RATES, finite.tolist(), strict=True)]


def _rows(solver: str, seeds: Sequence[int], sizes: Sequence[int], found: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """found: name -> (seeds, sizes) or (seeds, 1)."""
    wide = {name: values.expand(-1, len(sizes)).numpy().round(6) for name, values in found.items()}
    return [
        {"solver": solver, "seed": seed, "size": size} | {name: values[i, j] for name, values in wide.items()}
        for i, seed in enumerate(seeds)
        for j, size in enumerate(sizes)
    ]
