"""Figure 2 of the transfer paper: two-dimensional classification with one shared direction, many seeds at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mtlrepro.device import deterministic, generator
from mtlrepro.models.shared_bottom import StackedSharedBottom
from mtlrepro.papers.transfer.data.synthetic import Samples, boundary_tasks
from mtlrepro.papers.transfer.training.pair_grid import logistic_loss
from mtlrepro.parameters import Params
from mtlrepro.training.loop import RunwiseSGD, fit
from mtlrepro.training.weighting import Batch, Call

PICTURE: dict[str, Any] = {"m": 12, "angle": 5.0, "wedge": -80.0, "noise": 0.0, "steps": 400, "rank": 1}
PARTNERS = {"alone": (0,), "with task 2": (0, 1), "with task 3": (0, 2)}
# The picture with one thing changed at a time.
CHANGES = [
    ("wedge", 80.0), ("wedge", -60.0), ("wedge", -40.0), ("noise", 0.2), ("angle", 0.0), ("angle", 8.0), ("m", 8), ("m", 20),
    ("m", 40), ("steps", 800), ("rank", 2),
]  # fmt: skip
SETTINGS = {"as above": PICTURE} | {f"{key} = {value:g}": PICTURE | {key: value} for key, value in CHANGES}


def fit_boundaries(
    tasks: Sequence[Samples], seeds: Sequence[int], *, steps: int = 400, rank: int = 1, rate: float = 0.5, penalty: float = 0.01
) -> Tensor:
    """Train logits a_i^T B^T x on all tasks by gradient descent on the sum of their mean logistic losses; one run per seed.

    tasks: x: (seeds, m, 2), y: (seeds, m) in {0, 1}. B, of width `rank`, starts at random, the same for every set of tasks of a
    seed, a_i at 1 (at random for a larger rank). penalty: each task's loss has penalty / 2 |B a_i|^2 added, which keeps
    separable data from growing B without end. Weight decay on B and a_i would share more than B: it penalises the trace norm of
    the tasks' models together, which couples them at any width.
    Returns the direction B a_1 of the first task, (seeds, 2).
    """
    streams = [generator(s, "fit boundaries") for s in seeds]
    model = StackedSharedBottom(2, rank, len(tasks), streams, heads=1.0 if rank == 1 else None)
    x, y = torch.stack([own.x for own in tasks], 1), torch.stack([own.y for own in tasks], 1)
    optimizer = RunwiseSGD(model.parameters(), torch.full((len(seeds),), rate, dtype=x.dtype))
    unit_inputs = torch.eye(2, dtype=x.dtype).expand(len(seeds), 2, 2)

    def losses(call: Call, batch: Batch) -> Tensor:
        models: Tensor = call(unit_inputs)  # (seeds, tasks, 2): B a_i
        return logistic_loss(lambda x, task: call(x), batch).squeeze(-1) + penalty / 2 * models.square().sum(-1)

    fit(model, lambda step: [Batch(x, y)], losses, optimizer=optimizer, epochs=steps)
    return (model.bottom.weight @ model.heads[:, 0, :, None])[..., 0].detach()


def turned(directions: Tensor) -> Tensor:
    """Degrees against the clock by which the boundary of directions (..., 2) is turned from the first axis, in (-180, 180]."""
    return torch.rad2deg(torch.atan2(-directions[..., 0], directions[..., 1]))


def compare(changed: str, seeds: list[int]) -> list[dict[str, Any]]:
    """Accuracy of task 1 on test, and by how many degrees its learned boundary is off, alone and with either partner.

    changed: one of SETTINGS. Returns one row per seed and partner.
    """
    setting = SETTINGS[changed]
    kind = {key: setting[key] for key in ("steps", "rank")}
    rows = []
    with deterministic(threads=1):
        tasks, test = boundary_tasks(seeds, **{key: value for key, value in setting.items() if key not in kind})
        for partner, members in PARTNERS.items():
            b = fit_boundaries([tasks[i] for i in members], seeds, **kind)
            right = ((test.x @ b[..., None])[..., 0] > 0) == (test.y > 0.5)
            rows += [
                setting | {"seed": seed, "partner": partner, "accuracy": round(accuracy, 6), "off": round(off, 3)}
                for seed, accuracy, off in zip(seeds, right.double().mean(-1).tolist(), turned(b).tolist(), strict=True)
            ]
    return rows


def settings(p: Params) -> list[dict[str, Any]]:
    """The picture and its changes, all seeds at once."""
    return [{"changed": changed, "seeds": list(range(p.first_seed, p.first_seed + p.seeds))} for changed in SETTINGS]


def points(seed: int) -> list[dict[str, Any]]:
    """The picture's training samples of one seed: task (1 to 3), both coordinates and the class."""
    tasks, _ = boundary_tasks([seed], **{key: PICTURE[key] for key in ("m", "angle", "wedge", "noise")})
    return [
        {"task": number, "x1": x1, "x2": x2, "class": int(y)}
        for number, own in enumerate(tasks, 1)
        for (x1, x2), y in zip(own.x[0].tolist(), own.y[0].tolist(), strict=True)
    ]
