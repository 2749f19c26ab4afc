"""Pairs of tasks as one training: data sets (seeds) x columns, a column being one pair of tasks at one learning rate.

All columns of a data set see the same inputs in the same batches, so a step is one large matrix product for all of them.
`fit_aligned` is Algorithm 1 on one pair, all seeds and rates as one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mtlrepro.device import generator
from mtlrepro.methods.alignment import Aligned
from mtlrepro.models.shared_bottom import StackedSharedBottom
from mtlrepro.papers.transfer.data.synthetic import Samples
from mtlrepro.papers.transfer.training.alternating import AlternatingSGD, each_turn
from mtlrepro.training.loop import RunwiseSGD, fit, minibatches, mixed
from mtlrepro.training.metrics import tied_spearman
from mtlrepro.training.weighting import Batch, Call


class PairGrid(nn.Module):
    """g(x B) A_task for seeds x columns runs, g linear or ReLU.

    Parameters: shared (seeds, columns, r, d), heads (seeds, columns, tasks, r). B starts uniform in +-1 / sqrt(d), drawn from
    the seed's generator, the same for every column; heads start at 1 for r = 1, else uniform in +-1 / sqrt(r). `rates`: the
    learning rate of each column that was kept, (seeds, columns), after `fit_pairs`.
    """

    rates: Tensor

    def __init__(
        self, d: int, rank: int, tasks: int, columns: int, generators: Sequence[torch.Generator], relu: bool, dtype: torch.dtype
    ) -> None:
        super().__init__()

        def uniform(*shape: int) -> Tensor:
            drawn = torch.stack([torch.rand(shape, generator=g, dtype=torch.float64) for g in generators])
            spread: Tensor = ((drawn * 2 - 1) / shape[-1] ** 0.5)[:, None].expand(-1, columns, *shape)
            return spread.to(dtype).contiguous()

        self.shared = nn.Parameter(uniform(rank, d))
        heads = uniform(tasks, rank)
        self.heads = nn.Parameter(torch.ones_like(heads) if rank == 1 else heads)
        self.relu = relu

    def forward(self, x: Tensor, task: int) -> Tensor:
        """(seeds, n, d) -> predictions (seeds, columns, n)."""
        columns, rank = self.shared.shape[1:3]
        z = torch.bmm(self.shared.flatten(1, 2), x.mT)
        z = z.relu() if self.relu else z
        weighted = z * self.heads[:, :, task].flatten(1)[..., None]
        return weighted if rank == 1 else weighted.unflatten(1, (columns, rank)).sum(2)

    def shared_parameters(self) -> list[nn.Parameter]:
        """B."""
        return [self.shared]

    @torch.no_grad()
    def keep(self, column: Tensor) -> None:
        """Keep only the columns (seeds, kept)."""
        for p in (self.shared, self.heads):
            p.data = p.gather(1, column.view(*column.shape, 1, 1).expand(-1, -1, *p.shape[2:]))


def fit_pairs(
    train: Sequence[Samples],
    validation: Sequence[Samples],
    seeds: Sequence[int],
    *,
    rates: Sequence[float],
    epochs: int,
    rank: int = 1,
    relu: bool = False,
    classify: bool = False,
    size: int = 50,
    choose: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> PairGrid:
    """Train one shared model of the tasks for every seed, pair and rate; return, for every seed and pair, the best by validation.

    train: samples of each task, x: (seeds, m, d), y: (seeds, pairs, m); one task alone is a single-task model. validation: the
    same for the tasks to judge by, the first or all. Mini-batch SGD with batches of one task each, mixed (appendix B.3), on
    the squared or, with `classify`, the logistic loss. Epoch and rate are those with the largest `choose(predictions, labels)`
    (default: least error, highest accuracy) on validation, mean over its tasks. The shuffled sequence of tasks is the same for
    all seeds; each seed has its own start and its own order of samples.
    """
    tasks, pairs = len(train), train[0].y.shape[1]
    x0 = train[0].x
    streams = [generator(s, "fit pairs", tasks) for s in seeds]
    model = PairGrid(x0.shape[-1], rank, tasks, pairs * len(rates), streams, relu, x0.dtype)
    mixing = generator(0, "fit pairs", "mix", tasks)
    at = torch.arange(len(seeds))[:, None]

    def batches(epoch: int) -> Iterator[Batch]:
        del epoch
        orders = [list(minibatches(own.x.shape[1], size, streams)) for own in train]
        for task, rows in mixed(orders, mixing):
            y = train[task].y.mT[at, rows].mT
            yield Batch(train[task].x[at, rows], y.repeat_interleave(len(rates), 1), task)

    loss = logistic_loss if classify else squared_loss
    measure = choose or (accuracy if classify else _negative_error)

    def validate(m: nn.Module) -> Tensor:
        scores = [measure(m(v.x, task).unflatten(1, (pairs, -1)), v.y[:, :, None]) for task, v in enumerate(validation)]
        return torch.stack(scores, -1).flatten(1, 2)

    rate = torch.tensor(rates, dtype=x0.dtype).repeat(pairs).expand(len(seeds), -1)
    fitted = fit(model, batches, loss, optimizer=RunwiseSGD(model.parameters(), rate), epochs=epochs, validate=validate)
    best = fitted.best.unflatten(1, (pairs, len(rates))).argmax(-1)
    model.keep(best + torch.arange(pairs) * len(rates))
    model.rates = torch.tensor(rates)[best]
    return model


def start_pairs(seeds: Sequence[int], d: int, tasks: int, relu: bool = False, dtype: torch.dtype = torch.float64) -> PairGrid:
    """The untrained model of rank 1 that `fit_pairs` starts from, one column per seed."""
    return PairGrid(d, 1, tasks, 1, [generator(s, "fit pairs", tasks) for s in seeds], relu, dtype)


class AlignedStack(Aligned):
    """`Aligned` on a `StackedSharedBottom`, as X (R B) instead of (X R) B: for few units far fewer sums, and the same model."""

    def forward(self, x: Tensor, task: int) -> Tensor:
        z = torch.bmm(x, torch.bmm(self.alignments[task], self.model.bottom.weight))  # type: ignore[union-attr, arg-type]
        z = z.relu() if self.model.relu else z
        predicted: Tensor = torch.bmm(z, self.model.heads[:, task, :, None]).squeeze(-1)  # type: ignore[index]
        return predicted


class AlignedFit(NamedTuple):
    """target: the target's model R_0 B A_0, one column per seed. moved: (seeds,), the largest change of an entry of B."""

    target: PairGrid
    moved: Tensor


def fit_aligned(
    start: PairGrid,
    train: Sequence[Samples],
    validation: Samples,
    seeds: Sequence[int],
    *,
    rates: Sequence[float],
    epochs: int,
    joint: bool = False,
    size: int = 50,
    choose: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> AlignedFit:
    """Algorithm 1 from `start` (one column per seed): alternate SGD steps on A_i and R_i on each batch of task i.

    With B fixed tasks no longer influence each other, so `train` needs the target alone; with `joint` B is trained along with
    A and every task takes part. train: samples of each task as in `fit_pairs`, one pair. validation: of the target, task 0;
    rate and epoch are those with the largest `choose` on it, as in `fit_pairs`.
    """
    runs, d = len(seeds) * len(rates), train[0].x.shape[-1]
    spread = [p.detach().repeat_interleave(len(rates), 0)[:, 0] for p in (start.shared, start.heads)]
    streams = [generator(s, "fit aligned", joint) for s in seeds]
    unused = [generator(0)] * runs  # what they draw is replaced by `start` at once
    inner = StackedSharedBottom(d, spread[0].shape[1], len(train), unused, relu=start.relu, dtype=train[0].x.dtype)
    inner.bottom.weight.data, inner.heads.data = spread[0].mT.contiguous(), spread[1][:, : len(train)].contiguous()
    if not joint:
        inner.bottom.requires_grad_(False)
    model = AlignedStack(inner, d, len(train), runs)
    mixing = generator(0, "fit aligned", "mix")
    at = torch.arange(len(seeds))[:, None]

    def batches(epoch: int) -> Iterator[Batch]:
        del epoch
        orders = [list(minibatches(own.x.shape[1], size, streams)) for own in train]
        for task, rows in mixed(orders, mixing):
            x, y = train[task].x[at, rows], train[task].y[at, 0, rows]
            yield Batch(x.repeat_interleave(len(rates), 0), y.repeat_interleave(len(rates), 0), task)

    def target() -> PairGrid:
        """R_0 B and A_0 as a grid of seeds x rates, on which all rates of a seed share their inputs."""
        grid = start_pairs(seeds, d, 1, start.relu, train[0].x.dtype)
        grid.shared.data = (model.alignments[0] @ inner.bottom.weight).detach().mT.unflatten(0, (len(seeds), -1))
        grid.heads.data = inner.heads.detach()[:, :1].unflatten(0, (len(seeds), -1))
        return grid

    def validate(m: nn.Module) -> Tensor:
        del m
        return (choose or _negative_error)(target()(validation.x, 0), validation.y).flatten()[:, None]

    fitted = fit(
        model,
        lambda epoch: each_turn(batches(epoch), 2),
        squared_loss,
        optimizer=AlternatingSGD(model.turns(joint), torch.tensor(rates, dtype=train[0].x.dtype).repeat(len(seeds))),
        epochs=epochs,
        validate=validate,
    )
    chosen = target()
    chosen.keep(fitted.best.unflatten(0, (len(seeds), -1)).argmax(-1, keepdim=True))
    moved = (inner.bottom.weight.detach() - spread[0].mT).abs().flatten(1).amax(1).unflatten(0, (len(seeds), -1)).amax(1)
    return AlignedFit(chosen, moved)


def squared_loss(model: Call, batch: Batch) -> Tensor:
    """Mean squared error of the batch's task: (seeds, columns, 1)."""
    error: Tensor = model(batch.inputs, batch.task) - batch.targets
    return error.square().mean(-1, keepdim=True)


def logistic_loss(model: Call, batch: Batch) -> Tensor:
    """Mean cross-entropy of the batch's task: (seeds, columns, 1)."""
    logits: Tensor = model(batch.inputs, batch.task)
    return nn.functional.binary_cross_entropy_with_logits(logits, batch.targets, reduction="none").mean(-1, keepdim=True)


def accuracy(logits: Tensor, y: Tensor) -> Tensor:
    """Share of labels y in {0, 1} that the sign of the logit (..., n) tells; a logit of 0 says 0. Returns (...)."""
    return ((logits > 0) == (y > 0.5)).to(logits.dtype).mean(-1)


def _negative_error(predicted: Tensor, y: Tensor) -> Tensor:
    return -(predicted - y).square().mean(-1)


def score(predicted: Tensor, y: Tensor, classify: bool = False) -> Tensor:
    """What the paper reports: accuracy of a classifier, else Spearman's correlation. (..., n) -> (...)."""
    return accuracy(predicted, y) if classify else tied_spearman(predicted, y)


def ridge_predictions(train: Samples, validation: Samples, test: Samples, classify: bool = False) -> Tensor:
    """A tuned linear single-task model: ridge on the labels (classes as +-1), its penalty chosen by `score` on validation.

    x: (seeds, m, d), y: (seeds, pairs, m). Returns predictions on test (seeds, pairs, n).
    """
    values, vectors = torch.linalg.eigh(train.x.mT @ train.x)
    labels: Callable[[Tensor], Tensor] = (lambda y: 2 * y - 1) if classify else (lambda y: y - y.mean(-1, keepdim=True))
    cross = vectors.mT[:, None] @ (train.x.mT[:, None] @ labels(train.y)[..., None])
    penalties = torch.logspace(-3, 5, 33, dtype=train.x.dtype)
    models = (cross / (values.clamp_min(0)[:, None, :, None] + penalties)).mT @ vectors.mT[:, None]
    best = score(models @ validation.x.mT[:, None], validation.y[:, :, None], classify).argmax(-1)
    chosen = models.gather(2, best[..., None, None].expand(-1, -1, 1, models.shape[-1]))[:, :, 0]
    predicted: Tensor = chosen @ test.x.mT
    return predicted
