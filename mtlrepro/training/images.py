"""One trainer of image classifiers for many tasks: images on the device as bytes, whole-batch augmentation, bfloat16 by autocast.

A few lines each:
    tasks with images of their own, one task a batch (CO-TASK; auxiliary tasks are further tasks):
        data = image_data(images, training_rows)
        train_images(shared_bottom(resnet34(), [5] * 20), data, tasks, ImageTraining(epochs=400, ...), seed=0)
    binary tasks on the same images (STG-MTL), weighted by a task group's memberships:
        train_images(model, data, BinaryTasks(rows, labels, weights), settings, seed=0, weighting=Static(memberships))

A training is a function of its settings, seed and model: every epoch's order and augmentation follow from (seed, epoch). So one
that was interrupted goes on from its checkpoint, on one thread in float32 bit for bit, and one long training serves several
budgets by snapshots where the schedule does not depend on the budget.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtlrepro import paths
from mtlrepro.data.tasks import Task
from mtlrepro.device import seeded
from mtlrepro.errors import BadValue
from mtlrepro.refusals import refuse_diverged_images, refuse_image_validation, refuse_logits, refuse_no_images
from mtlrepro.training.augmentation import Augmentation, ImageData, augmented, draw_moves
from mtlrepro.training.checkpoints import attributes, load_checkpoint, restore_attributes, save_checkpoint
from mtlrepro.training.image_batches import BinaryTasks, samples_of
from mtlrepro.training.image_settings import ImageTraining
from mtlrepro.training.loop import train_step
from mtlrepro.training.precision import Chosen, computing_in, precision_on
from mtlrepro.training.weighting import Batch, Call, Equal, Weighting


@dataclass(frozen=True)
class Checkpoint:
    """Where a training keeps its state, written when `seconds` have passed since the last time, and at its end."""

    path: Path
    seconds: float = 60.0


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training leaves.

    model: what is to be evaluated, in eval mode: the running mean of the weights where there is one, else the given model.
    losses, weights: (epochs, ..., tasks) means over an epoch's batches, NaN where a task had none. validation: (epochs, ...).
    snapshots: epochs trained -> what `at_snapshot` returned. precision: what was computed in.
    images: trained on, with repeats. seconds: (epochs,) float64 that the steps of each epoch took, without evaluations:
    of the processor, all threads together, and on a GPU of the clock on the wall.
    """

    model: nn.Module = field(repr=False)
    losses: Tensor = field(repr=False)
    weights: Tensor = field(repr=False)
    validation: Tensor = field(repr=False)
    snapshots: dict[int, dict[str, Tensor]] = field(repr=False)
    updates: int
    images: int
    precision: Chosen
    seconds: Tensor

    def seconds_to(self, target: float) -> float:
        """Seconds of training until the mean of `validation` first was at least `target` after an epoch; inf where it never was.

        Raises BadValue where nothing was validated.
        """
        if not len(self.validation):
            raise BadValue("time to a validation value needs a validation function.")
        reached = (self.validation.flatten(1).mean(1) >= target).nonzero()
        return float(self.seconds[: int(reached[0]) + 1].sum()) if len(reached) else float("inf")


def train_images(
    model: nn.Module,
    data: ImageData,
    tasks: Sequence[Task] | BinaryTasks,
    settings: ImageTraining,
    *,
    seed: int,
    weighting: Weighting | None = None,
    validate: Callable[[nn.Module], Tensor] | None = None,
    at_snapshot: Callable[[int, nn.Module], Mapping[str, Tensor]] | None = None,
    observe: Callable[[Tensor, Batch], None] | None = None,
    kept: Sequence[object] = (),
    look_ahead: Callable[[Call], Tensor] | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Train `model` in place, on the device where `data` lies, for `settings.epochs` epochs; the last state counts.

    model: for tasks with images of their own called as (images (n, c, h, w), task) -> (n, classes) with a task () of all or, in
        mixed batches, (n,) of each (`MultiTaskNet`); for binary tasks as (images) -> logits (..., tasks, n).
    seed: of the order, the augmentation and what layers draw; not of the model's initial weights, which it comes with.
    weighting: of the tasks, default 1 each; it is given the losses of a batch and, after an epoch, what `validate` returned.
    validate: model -> (..., tasks), after each epoch in eval mode without gradients. at_snapshot: (epochs trained, model) ->
        tensors to keep, after each epoch of `settings.snapshots`, likewise.
    observe: (logits, batch) of every training step, before its update and without gradient; `batch.targets` are the labels, for
        binary tasks (labels (tasks, n), points (n,)), the images' numbers among the tasks' own (see `DataMap`).
    kept: objects whose tensors and numbers belong to the training, such as a `DataMap`: they go into the checkpoint too.
    look_ahead: as in `fit`. progress: (updates made, of all), after each.
    checkpoint: go on from its file where there is one, and write it. The weighting's own state is part of it. None: within a
        finished run in the making (`results.Runs`), a file of that run; not where `observe` is given and nothing is `kept`, since
        what was observed before an interruption would be missing.
    Raises BadValue for settings that do not fit the tasks or a checkpoint of another training, DataCorrupt for a damaged one.
    """
    run = _Run(model, data, tasks, settings, seed, weighting or Equal(), kept)
    folder = paths.checkpoints() if observe is None or kept else None
    identity = run.identity() if checkpoint or folder else ""
    if checkpoint is None and folder is not None:
        checkpoint = Checkpoint(folder / f"{identity[:24]}.pt")
    if checkpoint is not None and (state := load_checkpoint(checkpoint.path, identity)) is not None:
        run.load(state)
    written = time.monotonic()
    while run.epoch < settings.epochs:
        for _ in run.steps(observe, look_ahead):
            if progress is not None:
                progress(run.update, run.updates)
            if checkpoint is not None and time.monotonic() - written >= checkpoint.seconds:
                save_checkpoint(checkpoint.path, identity, run.state())
                written = time.monotonic()
        run.end_epoch(validate, at_snapshot)
    if checkpoint is not None:
        save_checkpoint(checkpoint.path, identity, run.state())
    evaluated = run.evaluated()
    evaluated.eval()
    history = {name: torch.stack(rows) if rows else torch.empty(0) for name, rows in run.history.items()}
    return Trained(evaluated, **history, snapshots=run.snapshots, updates=run.update, images=run.seen, precision=run.precision)


class _Run:
    """A training under way: all that a checkpoint holds."""

    def __init__(
        self, model: nn.Module, data: ImageData, tasks: Sequence[Task] | BinaryTasks, settings: ImageTraining, seed: int,
        weighting: Weighting, kept: Sequence[object],
    ) -> None:  # fmt: skip
        self.model, self.data, self.settings, self.seed = model.to(data.device), data, settings, seed
        if settings.channels_last and data.device.type == "cuda":
            # oneDNN takes weights in either order and the fused optimizers of a CPU only theirs; cuDNN would reorder each step.
            self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        refuse_no_images(tasks, data)
        self.samples, self.holders = samples_of(tasks, settings, data.device), [weighting, *kept]
        self.weighting, self.precision = weighting, precision_on(data.device, settings.precision)
        self.optimizer = _optimizer(model, settings)
        self.average = copy.deepcopy(model) if settings.ema else None
        self.updates = sum(self.samples.per_epoch(epoch) for epoch in range(settings.epochs))
        self.epoch = self.done = self.update = self.seen = 0  # epochs, batches of this epoch, updates, images
        self.means: dict[str, Tensor] = {}
        self.counts = torch.zeros(self.samples.count, dtype=torch.int64)
        self.history: dict[str, list[Tensor]] = {"losses": [], "weights": [], "validation": [], "seconds": []}
        self.spent = 0.0  # seconds of this epoch's steps
        self.clock = time.process_time if data.device.type == "cpu" else time.perf_counter
        self.snapshots: dict[int, dict[str, Tensor]] = {}
        self.random: list[Tensor] | None = None

    def identity(self) -> str:
        """A name that another training does not have: sha256 of settings, seed, data, labels and initial weights."""
        said = [dataclasses.asdict(self.settings), self.seed, self.precision, self.samples.digest(), self.data.shape]
        found = hashlib.sha256(json.dumps([*said, type(self.weighting).__name__]).encode())
        for name, value in [*self.model.state_dict().items(), ("", self.data.pixels)]:
            found.update(f"{name} {tuple(value.shape)}".encode())
            found.update(value.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    def steps(
        self, observe: Callable[[Tensor, Batch], None] | None, look_ahead: Callable[[Call], Tensor] | None
    ) -> Iterator[None]:
        """The steps of this epoch that are still to be taken; yields after each."""
        begun = self.clock()
        settings, data, how = self.settings, self.data, self.settings.augmentation
        order = self.samples.epoch(self.epoch, self.seed)
        moves = draw_moves(order.rows, len(data), how, self.seed, self.epoch, data.device) if how != Augmentation() else None
        starts = [0]
        for size in order.sizes:
            starts.append(starts[-1] + size)

        def losses(call: Call, batch: Batch) -> Tensor:
            with computing_in(self.precision, data.device):
                logits = self.samples.logits(call, batch)
            refuse_logits(logits, batch)
            logits = logits.float()
            if observe is not None and self.model.training:  # a look-ahead is in eval mode
                observe(logits.detach(), batch)
            return self.samples.losses(logits, batch)

        self.model.train()
        with seeded(self.seed, "layers", self.epoch):
            if self.random is not None:
                _set_random(self.random)
                self.random = None
            for number in range(self.done, len(order.sizes)):
                start, stop = starts[number], starts[number + 1]
                rows = order.rows[start:stop]
                images = augmented(data, rows, None if moves is None else moves.part(start, stop), how)
                images = images if settings.channels_last else images.contiguous()
                task = None if order.tasks is None else order.tasks[number]
                batch = self.samples.batch(images, tuple(each[start:stop] for each in order.points), task)
                rate = settings.rate * settings.schedule.at(self.update, self.updates, settings.epochs)
                for group in self.optimizer.param_groups:
                    group["lr"] = rate
                self._add(task, *train_step(self.model, batch, losses, self.optimizer, self.weighting, look_ahead))
                self.done, self.update, self.seen = number + 1, self.update + 1, self.seen + stop - start
                if self.average is not None:
                    _average(self.average, self.model, min(settings.ema, self.update / (9 + self.update)))
                self.spent += self.clock() - begun
                yield
                begun = self.clock()

    def _add(self, task: int | None, losses: Tensor, weights: Tensor) -> None:
        which = slice(None) if task is None else slice(task, task + 1)
        for name, value in (("losses", losses), ("weights", weights)):
            if name not in self.means:
                self.means[name] = value.new_zeros((*value.shape[:-1], self.samples.count))
            self.means[name][..., which] += value
        self.counts[which] += 1

    def end_epoch(
        self,
        validate: Callable[[nn.Module], Tensor] | None,
        at_snapshot: Callable[[int, nn.Module], Mapping[str, Tensor]] | None,
    ) -> None:
        """Close this epoch: means, validation, what the weighting learns of it, a snapshot."""
        refuse_diverged_images(self)
        for name, total in self.means.items():
            self.history[name].append(total / self.counts.to(total))
        metrics, evaluated = None, self.evaluated()
        self.model.eval()
        evaluated.eval()
        with torch.no_grad():
            if validate is not None:
                metrics = validate(evaluated)
                refuse_image_validation(self, metrics)
                self.history["validation"].append(metrics)
            if at_snapshot is not None and self.epoch + 1 in self.settings.snapshots:
                self.snapshots[self.epoch + 1] = dict(at_snapshot(self.epoch + 1, evaluated))
        if self.history["losses"]:
            self.weighting.end_epoch(self.history["losses"][-1], metrics)
        self.history["seconds"].append(torch.tensor(self.spent, dtype=torch.float64))
        self.means, self.spent = {}, 0.0
        self.counts.zero_()
        self.epoch, self.done = self.epoch + 1, 0

    def evaluated(self) -> nn.Module:
        """The model that is to be evaluated."""
        return self.model if self.average is None else self.average

    def state(self) -> dict[str, Any]:
        """All that changes in a training."""
        average = None if self.average is None else self.average.state_dict()
        return {
            "model": self.model.state_dict(), "average": average, "optimizer": self.optimizer.state_dict(),
            "progress": [self.epoch, self.done, self.update, self.seen], "means": self.means, "counts": self.counts,
            "history": self.history, "snapshots": self.snapshots, "random": _random(self.data.device), "spent": self.spent,
            "holders": [attributes(holder) for holder in self.holders],
        }  # fmt: skip

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        device = self.data.device
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.done, self.update, self.seen = state["progress"]
        self.means = {name: value.to(device) for name, value in state["means"].items()}
        self.counts = state["counts"]
        self.history = {name: [each.to(device) for each in rows] for name, rows in state["history"].items()}
        self.snapshots, self.random, self.spent = state["snapshots"], state["random"], state["spent"]
        for holder, held in zip(self.holders, state["holders"], strict=True):
            restore_attributes(holder, held)


def _optimizer(model: nn.Module, settings: ImageTraining) -> torch.optim.Optimizer:
    parameters = [p for p in model.parameters() if p.requires_grad]
    if settings.optimizer == "sgd":
        nesterov = settings.nesterov and settings.momentum > 0
        return torch.optim.SGD(
            parameters, settings.rate, settings.momentum, nesterov=nesterov, weight_decay=settings.decay, fused=True
        )
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, settings.rate, weight_decay=settings.decay, fused=True)


@torch.no_grad()
def _average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the running mean of the weights; normalisation statistics are means already, and counts are copied."""
    for mean, now in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, 1 - decay)
        else:
            mean.copy_(now)


def _random(device: torch.device) -> list[Tensor]:
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def _set_random(states: Sequence[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state(states[1])
