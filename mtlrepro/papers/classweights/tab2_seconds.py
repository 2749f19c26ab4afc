"""Seconds of one training step by method, measured in turns in one process, so that a slow moment meets every method.

Random images and labels, as for Table 2 of Yim and Kim (2020); the number of classes is a parameter, to see which costs grow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mtlrepro.device import choose, generator
from mtlrepro.methods.class_weights import ClassWeights
from mtlrepro.methods.held_out_class_weights import HeldOutClassWeights
from mtlrepro.methods.registry import build
from mtlrepro.papers.classweights.models.unet import DEPTH, UNet
from mtlrepro.papers.classweights.training.scene_losses import as_tasks, by_class, pixel_losses
from mtlrepro.parameters import Params
from mtlrepro.training.loop import train_step
from mtlrepro.training.weighting import Batch, Call, Equal, LossFunction, Step, Weighting, WeightingWrapper

# Turns before the first that counts, at most as many as count.
WARM_UP = 10


def settings(p: Params) -> list[dict[str, Any]]:
    """One per number of classes."""
    same = {"size": p.size, "images": p.images, "width": p.width, "turns": p.turns, "device": p.device}
    return [{"classes": classes} | same for classes in p.classes]


class _BackwardTwice(Equal):
    """Equal weights after one more backward pass of the same losses, which the meter must see."""

    def __call__(self, step: Step) -> Tensor:
        torch.autograd.grad(step.losses.sum(), list((step.shared | step.heads).values()), retain_graph=True)
        return super().__call__(step)


class _SeparatePasses(WeightingWrapper):
    """The same weights from passes as in Pareto MTL's published code: forward and backward once a task, then for the sum."""

    def __call__(self, step: Step) -> Tensor:
        wanted, tasks = step.shared | step.heads, range(step.losses.shape[-1])
        each = [
            torch.autograd.grad(step.loss_function(step.model, step.batch)[i], list(wanted.values()), allow_unused=True)
            for i in tasks
        ]
        rows = dict(zip(wanted, zip(*each, strict=True), strict=True))
        # A step of its own, so that the update takes its own backward pass.
        own = replace(step)
        own.__dict__["_backward"] = tuple({name: rows[name] for name in part} for part in (step.shared, step.heads))
        return self.inner(own)


def batch_of(classes: int, size: tuple[int, int], images: int, device: str = "cpu") -> Batch:
    """Random images with a class, a depth and no invalid pixel."""
    drawn, where = generator(0, "seconds", classes), choose(device)
    x = torch.rand(images, 3, *size, generator=drawn).to(where, memory_format=torch.channels_last)
    labels = torch.randint(0, classes, (images, *size), generator=drawn).to(where)
    depth = torch.rand(images, *size, generator=drawn).to(where)
    return Batch(x, (labels, depth, torch.ones_like(labels, dtype=torch.bool), labels))


def methods(classes: int, held: Batch) -> dict[str, tuple[Weighting, LossFunction]]:
    """Name -> a fresh weighting and its losses; depth is the main task. "two backwards" serves as a control of the meter.

    held: the batch on which held-out weights take the main loss.
    """
    tasks, auxiliary = as_tasks(DEPTH, classes, (1.0, 1.0))

    def plain(call: Call, batch: Batch) -> Tensor:
        return torch.stack([values.mean() for values in pixel_losses(call, batch)])

    return {
        "linear": (Equal(), plain),
        "classes": (ClassWeights(), by_class(DEPTH, classes)),
        "held-out": (HeldOutClassWeights(lambda call: pixel_losses(call, held, DEPTH)[0].mean(), auxiliary=auxiliary), tasks),
        "pareto": (build("pareto_mtl"), plain),
        "pareto, separate passes": (_SeparatePasses(build("pareto_mtl")), plain),
        "two backwards": (_BackwardTwice(), plain),
    }


def seconds(classes: int, size: Sequence[int], images: int, width: int, turns: int, device: str = "cpu") -> list[dict[str, Any]]:
    """A row per turn and method: seconds of one step with Adam, of this process on a CPU, of the clock on a GPU.

    Besides the `methods`, "double batch": equal weights on twice as many images. difference: of `same_updates`, in every row.
    """
    batch, double = (batch_of(classes, (size[0], size[1]), n, device) for n in (images, 2 * images))
    gpu = choose(device).type == "cuda"
    cases = {name: (batch, *case) for name, case in methods(classes, batch).items()} | {
        "double batch": (double, *methods(classes, batch)["linear"])
    }
    calls: dict[str, Callable[[], Any]] = {}
    for name, (own, weighting, losses) in cases.items():
        model = UNet(classes, width).to(choose(device)).to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        calls[name] = _step(model, own, losses, optimizer, weighting)
    difference = same_updates(classes, (32, 32), 2, 8)
    rows = []
    for turn in range(-min(WARM_UP, turns), turns):
        for name, call in calls.items():
            before = time.perf_counter() if gpu else time.process_time()
            call()
            if gpu:
                torch.cuda.synchronize()
            after = time.perf_counter() if gpu else time.process_time()
            if turn >= 0:
                rows.append({"method": name, "turn": turn, "seconds": round(after - before, 5), "difference": difference})
    return rows


def _step(
    model: nn.Module, batch: Batch, losses: LossFunction, optimizer: torch.optim.Optimizer, weighting: Weighting
) -> Callable[[], Any]:
    return lambda: train_step(model, batch, losses, optimizer, weighting)


def same_updates(classes: int, size: Sequence[int], images: int, width: int) -> float:
    """Largest difference between a linear sum's parameters and those of class-wise weights after a first SGD step, over the
    largest change; the linear sum's losses are divided by their values, as eq. 2 to 4 with all weights 1 do."""
    batch = batch_of(classes, (size[0], size[1]), images)
    after = {}
    for name in ("linear", "classes"):
        weighting, losses = methods(classes, batch)[name]
        model = UNet(classes, width).to(memory_format=torch.channels_last)
        start = torch.cat([p.detach().flatten() for p in model.parameters()])
        if name == "linear":

            def scaled(call: Call, b: Batch, plain: LossFunction = losses) -> Tensor:
                values = plain(call, b)
                return values / values.detach()

            losses = scaled
        train_step(model, batch, losses, torch.optim.SGD(model.parameters(), lr=0.1), weighting)
        after[name] = torch.cat([p.detach().flatten() for p in model.parameters()])
    moved = (after["linear"] - start).abs().max()
    return float((after["classes"] - after["linear"]).abs().max() / moved)
