"""Algorithm 1 of the transfer paper against its own formulas, on random instances."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from mtlrepro.device import generator
from mtlrepro.methods.alignment import Aligned
from mtlrepro.models.shared_bottom import StackedSharedBottom
from mtlrepro.papers.transfer.training.alternating import AlternatingSGD, each_turn
from mtlrepro.papers.transfer.training.pair_grid import squared_loss
from mtlrepro.parameters import Params
from mtlrepro.training.loop import fit
from mtlrepro.training.weighting import Batch

# Relative to the size of what is compared; rounding leaves about 1e-14.
TOLERANCE = 1e-10


def one_turn(x: Tensor, y: Tensor, align: Tensor, shared: Tensor, head: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """A and R of one task after one turn on the squared loss, by the formulas, linear model.

    x: (n, d), y: (n,), align: (d, d), shared: (d, r), head: (r,). With e = X R B A - y:
    A -= 2 rate / n (X R B)^T e, then with the new A in e: R -= 2 rate / n X^T e (B A)^T.
    """
    z = x @ align @ shared
    head = head - 2 * rate / len(y) * z.mT @ (z @ head - y)
    align = align - 2 * rate / len(y) * torch.outer(x.mT @ (z @ head - y), shared @ head)
    return head, align


def check(count: int, seed: int) -> dict[str, Any]:
    """Worst relative error, and number of violations, over `count` random instances of three properties of Algorithm 1.

    step: one turn of training is `one_turn`. identity: R = I leaves predictions as they are. decoupled: with B fixed, training on
    two tasks gives task 1 the model of training on it alone.
    """
    errors: dict[str, list[float]] = {"step": [], "identity": [], "decoupled": []}
    for number in range(count):
        g = generator(seed, "alg1", number)
        d, r, n = (int(torch.randint(low, high, (), generator=g)) for low, high in ((2, 8), (1, 4), (3, 12)))
        x, y = torch.randn(2, 1, n, d, generator=g, dtype=torch.float64), torch.randn(2, 1, n, generator=g, dtype=torch.float64)
        plain = StackedSharedBottom(d, r, 2, [g], relu=bool(number % 2))
        model = Aligned(copy.deepcopy(plain), d, 2, runs=1)
        errors["identity"].append(_relative(model(x[0], 0), plain(x[0], 0)))
        # From here on with an R that is not the identity; the hand-written step is the linear model's.
        for align in model.alignments:
            align.data += 0.3 * torch.randn(1, d, d, generator=g, dtype=torch.float64)
        plain.relu = model.model.relu = False  # type: ignore[assignment]
        turned = _trained(model, x[:1], y[:1], epochs=1)
        head, align = one_turn(x[0, 0], y[0, 0], model.alignments[0][0], plain.bottom.weight[0], plain.heads[0, 0], 0.05)
        errors["step"].append(max(_relative(turned.model.heads[0, 0], head), _relative(turned.alignments[0][0], align)))  # type: ignore[index, union-attr]
        alone, together = _trained(model, x[:1], y[:1], epochs=10), _trained(model, x, y, epochs=10)
        errors["decoupled"].append(_relative(together(x[0], 0), alone(x[0], 0)))
    worst: dict[str, Any] = {name: max(values) for name, values in errors.items()}
    return worst | {f"{name} violations": sum(v > TOLERANCE for v in values) for name, values in errors.items()}


def settings(p: Params) -> list[dict[str, Any]]:
    """What the page of Figure 9 runs for Algorithm 1 itself."""
    return [{"count": p.instances, "seed": 7}]


def _trained(model: Aligned, x: Tensor, y: Tensor, epochs: int) -> Aligned:
    """A copy of `model` after `epochs` turns on each of the given tasks, full batches, B fixed."""
    trained = copy.deepcopy(model)
    batches = [Batch(x[task], y[task], task) for task in reversed(range(len(x)))]
    optimizer = AlternatingSGD(trained.turns(), torch.full((1,), 0.05, dtype=torch.float64))
    fit(trained, lambda epoch: each_turn(batches, 2), squared_loss, optimizer=optimizer, epochs=epochs)
    return trained


def _relative(value: Tensor, wanted: Tensor) -> float:
    return float(((value - wanted).norm() / wanted.norm()).item())
