"""Trainings of images on a GPU: a step captured as a CUDA graph and replayed, several trainings at once in one process.

A step of a small network is some hundred kernels of microseconds each, and Python takes longer to launch them than the GPU to
compute them. So all that a step reads (its images' numbers, their moves, labels, task, learning rate) lies on the device for a
whole epoch, a counter there says which step it is, and an epoch is so many replays of one captured step. Trainings in threads of
their own, each on a stream of its own, fill what a small kernel leaves of the GPU.

Random streams, settings of determinism and Python's interpreter belong to the process: all but the replays run under one lock.
"""

from __future__ import annotations

import atexit
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from mtlrepro.device import deterministic
from mtlrepro.methods.static import Equal, Static
from mtlrepro.refusals import refuse_logits
from mtlrepro.training import images
from mtlrepro.training.augmentation import Augmentation, Moves, augmented, draw_moves
from mtlrepro.training.image_batches import Epoch, MixedTaskBatches
from mtlrepro.training.loop import train_step
from mtlrepro.training.precision import computing_in
from mtlrepro.training.weighting import Batch, Call, WeightingWrapper

# Steps before the capture: libraries choose their kernels, the optimizer makes its state.
WARM_UP = 3
turn = threading.Lock()
# The settings of the process, since `deterministic` of one thread would end that of another.
_for_good = ExitStack()


def install() -> None:
    """From now on trainings of images in this process take graphs, deterministic kernels and one thread of the processor each.

    They keep no state: a training's name is a digest of all its images, which takes longer than many a training here.
    """
    train_images = images.train_images

    def train(*args: Any, checkpoint: object = None, **options: Any) -> images.Trained:
        return train_images(*args, **options)

    images._Run = GraphedRun  # type: ignore[misc]
    images.train_images = train  # type: ignore[assignment]
    _for_good.enter_context(deterministic(threads=1))
    atexit.register(_for_good.close)


def own_stream() -> AbstractContextManager[object]:
    """Within it, the work of this thread goes to a stream of its own, where there is a GPU."""
    return torch.cuda.stream(torch.cuda.Stream()) if torch.cuda.is_available() else nullcontext()


@contextmanager
def others_turn() -> Iterator[None]:
    """Within it, the other trainings of this process may go on: the caller holds `turn` and only replays graphs meanwhile."""
    held = turn.locked()
    if torch.cuda.is_available():
        torch.cuda.current_stream().synchronize()  # what the next one reads is written
    if held:
        turn.release()
    try:
        yield
        if torch.cuda.is_available():
            torch.cuda.current_stream().synchronize()
    finally:
        if held:
            turn.acquire()


def captured(function: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """`function` as a CUDA graph on the current stream, not the default one; `function` itself where there is no GPU."""
    if device.type != "cuda":
        return function
    graph = torch.cuda.CUDAGraph()
    gc.disable()  # an object of another training that is freed in here would enter the graph
    try:
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            function()
        finally:
            graph.capture_end()
    finally:
        gc.enable()
    return graph.replay  # type: ignore[no-any-return]


class GraphedRun(images._Run):
    """A training under way whose full batches are replays of one captured step; the numbers are those of `images._Run`, with a
    learning rate in float32.

    What is not captured goes on step by step: an epoch's last smaller batch, weightings that compute, look-aheads, running means
    of the weights.
    """

    replay: Callable[[], None] | None = None

    def steps(
        self, observe: Callable[[Tensor, Batch], None] | None, look_ahead: Callable[[Call], Tensor] | None
    ) -> Iterator[None]:
        """The steps of this epoch; yields once after all that are replayed, then after each."""
        order = self.samples.epoch(self.epoch, self.seed)
        full = sum(size == self.settings.batch for size in order.sizes)
        if self.done or look_ahead is not None or not self._captures(order, full):
            yield from super().steps(observe, look_ahead)
            return
        begun = self.clock()
        self._fill(order, full)
        self.model.train()
        early = min(WARM_UP, full) if self.replay is None else 0
        for _ in range(early):
            self._step(observe)
        if self.replay is None:
            self.replay = captured(lambda: self._step(observe), self.data.device)
        with others_turn():
            for _ in range(full - early):
                self.replay()
        self.means = self.sums
        of_tasks = None if order.tasks is None else torch.tensor(order.tasks[:full])
        self.counts += full if of_tasks is None else of_tasks.bincount(minlength=len(self.counts))
        self.done, self.update, self.seen = full, self.update + full, self.seen + full * self.settings.batch
        self.spent += self.clock() - begun
        yield
        if self.done < len(order.sizes):
            yield from super().steps(observe, look_ahead)

    def _captures(self, order: Epoch, full: int) -> bool:
        weighting = self.weighting
        while isinstance(weighting, WeightingWrapper):
            weighting = weighting.inner
        # The number of a batch's task, which weights of several tasks are looked up by, is one of the host.
        fixed = isinstance(weighting, Equal) or (isinstance(weighting, Static) and order.tasks is None)
        mixed = isinstance(self.samples, MixedTaskBatches)
        whole = full >= len(order.sizes) - 1 and full > WARM_UP and set(order.sizes[:full]) == {self.settings.batch}
        return fixed and whole and not mixed and self.average is None

    def _fill(self, order: Epoch, full: int) -> None:
        """Put what the steps of an epoch read where the captured step reads it."""
        how, device, n = self.settings.augmentation, self.data.device, full * self.settings.batch
        values = {"rows": order.rows[:n]} | {f"points {i}": each[:n] for i, each in enumerate(order.points)}
        if how != Augmentation():
            moves = draw_moves(order.rows, len(self.data), how, self.seed, self.epoch, device)
            values |= {name: each[:n] for name, each in vars(moves).items()}
        if order.tasks is not None:
            values["tasks"] = torch.tensor(order.tasks[:full], device=device)
        settings, numbers = self.settings, range(self.update, self.update + full)
        factors = [settings.schedule.at(number, self.updates, settings.epochs) for number in numbers]
        values["rates"] = torch.tensor([settings.rate * factor for factor in factors], device=device)
        if self.replay is None:
            self.inputs = {name: torch.empty_like(value) for name, value in values.items()}
            self.number, self.places = (torch.arange(k, device=device) for k in (1, settings.batch))
            self.sums = {name: torch.zeros(self.samples.count, device=device) for name in ("losses", "weights")}
            self.rate = torch.zeros((), device=device)
            for group in self.optimizer.param_groups:
                group["capturable"] = device.type == "cuda"
        for name, value in values.items():
            self.inputs[name].copy_(value)
        for each in (self.number, *self.sums.values()):
            each.zero_()

    def _step(self, observe: Callable[[Tensor, Batch], None] | None) -> None:
        """One step, of the number that the counter on the device says; nothing of it is decided on the host."""
        inputs, how, settings = self.inputs, self.settings.augmentation, self.settings
        places = self.number * settings.batch + self.places
        each = {name: value.index_select(0, places) for name, value in inputs.items() if name not in ("tasks", "rates")}
        moves = None if how == Augmentation() else Moves(*(each[name] for name in ("down", "right", "flipped", "turn")))
        pictures = augmented(self.data, each["rows"], moves, how)
        pictures = pictures if settings.channels_last else pictures.contiguous()
        points = tuple(value for name, value in each.items() if name.startswith("points"))
        task = inputs["tasks"].index_select(0, self.number) if "tasks" in inputs else None
        batch = self.samples.batch(pictures, points, None) if task is None else Batch((pictures, task[0]), points[0], 0)
        self.rate.copy_(inputs["rates"].index_select(0, self.number)[0])
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate

        def losses(call: Call, batch: Batch) -> Tensor:
            with computing_in(self.precision, self.data.device):
                logits = self.samples.logits(call, batch)
            refuse_logits(logits, batch)
            logits = logits.float()
            if observe is not None:
                observe(logits.detach(), batch)
            return self.samples.losses(logits, batch)

        found = train_step(self.model, batch, losses, self.optimizer, self.weighting)
        for name, value in zip(("losses", "weights"), found, strict=True):
            if task is None:
                self.sums[name] += value
            else:
                self.sums[name].index_add_(0, task, value)
        self.number += 1
