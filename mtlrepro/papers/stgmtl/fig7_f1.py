"""Figure 7 of STG-MTL: F1 of single-task, multi-task and grouped models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch import Tensor

from mtlrepro.data.binary_tasks import TaskSet
from mtlrepro.device import generator
from mtlrepro.methods import task_grouping
from mtlrepro.papers.stgmtl.fig4_groups import distances
from mtlrepro.papers.stgmtl.training.image_runs import Images, Setup, prepared, train


def f1(probabilities: Tensor, labels: Tensor) -> NDArray[np.float64]:
    """(tasks,) F1 of the positive class at threshold 1/2; 0 where nothing is positive. Both (tasks, n)."""
    found, wanted = probabilities.cpu().numpy() > 0.5, labels.cpu().numpy() > 0.5
    return np.array([f1_score(w, p, zero_division=0) for w, p in zip(wanted, found, strict=True)])


def grouped_f1(
    sets: tuple[TaskSet, TaskSet], clusters: int, fuzziness: float, seed: int, setup: Setup, single: bool
) -> list[dict[str, Any]]:
    """Mean F1 over tasks, on training and test images, of STG-MTL and of what it is to be compared with; one row each.

    Columns: method, average (of "logits" or "probabilities"), train, test. Methods: "multi-task", one model; "grouped", one model
    for each of `clusters` soft clusters; "random groups", the same memberships dealt to other tasks; "no groups", as many models
    with every membership 1 / clusters, that is, an ensemble of multi-task models; "single-task" where `single`.
    """
    data, tests = prepared(*sets, setup=setup)
    tasks = len(sets[0].tasks)
    both = (data, tests)
    first = train(data, torch.ones(1, tasks), seed, setup, both, record=True)
    rows_of = task_grouping.coordinates_of_distances(distances(first.maps))
    memberships = task_grouping.soft(rows_of, clusters, seed, fuzziness).memberships
    dealt = torch.randperm(tasks, generator=generator(seed, "dealt"))
    plans = {
        "grouped": memberships,
        "random groups": memberships[dealt],
        "no groups": torch.full_like(memberships, 1 / clusters),
    } | ({"single-task": torch.eye(tasks, dtype=memberships.dtype)} if single else {})  # fmt: skip
    rows = [_scored("multi-task", "logits", first.logits, torch.ones(tasks, 1), both)]
    for number, (method, plan) in enumerate(plans.items()):
        weights = task_grouping.loss_weights(plan).float()
        logits = train(data, weights, generator(seed, number).initial_seed() % 2**31, setup, both).logits
        for average in ("logits", "probabilities") if method != "single-task" else ("logits",):
            rows.append(_scored(method, average, logits, plan, both))
    return rows


def _scored(method: str, average: str, logits: list[Tensor], plan: Tensor, sets: Sequence[Images]) -> dict[str, Any]:
    row: dict[str, Any] = {"method": method, "average": average}
    for name, found, each in zip(("train", "test"), logits, sets, strict=True):
        mixed = task_grouping.combined_probability(found.transpose(1, 2), plan, average)  # type: ignore[arg-type]
        row[name] = round(float(f1(mixed.T, each.labels).mean()), 5)
    return row
