"""Images per second of the image trainer on a GPU: step by step as everywhere, as CUDA graphs, and several trainings at once."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from mtlrepro.data.tasks import Task
from mtlrepro.device import deterministic, seeded
from mtlrepro.gpu import graphs
from mtlrepro.models.resnet import CifarResNet, imagenet_resnet18, shared_bottom
from mtlrepro.models.task_heads import MultiTaskNet, TaskHeads
from mtlrepro.training import images
from mtlrepro.training.augmentation import Augmentation, ImageData, augmented, image_data
from mtlrepro.training.image_settings import ImageTraining

IMAGES, TASKS, CLASSES = 8192, 8, 5
COLUMNS = ["Network", "How", "Images per second", "Share of peak", "Hardware", "Date"]
# Dense bfloat16 products of one card as its maker states them, in 10^12 floating-point operations per second.
PEAK = {"NVIDIA H100 80GB HBM3": 989.0, "NVIDIA H200": 989.0}


@dataclass(frozen=True)
class Case:
    """A network with the settings that papers here train it with, on images of `side` pixels."""

    title: str
    side: int
    net: Callable[[], MultiTaskNet]
    how: Mapping[str, Any]


def _cotask(widths: Sequence[int]) -> Callable[[], MultiTaskNet]:
    return lambda: shared_bottom(CifarResNet((1,) * len(widths), widths), [CLASSES] * TASKS)


def _resnet18() -> MultiTaskNet:
    return MultiTaskNet(imagenet_resnet18(), TaskHeads(512, [CLASSES] * TASKS))


SGD = {"augmentation": Augmentation(crop=4, flip="random", rotation=15.0)}
CASES = (
    Case("16-32-64, 16 pixels", 16, _cotask((16, 32, 64)), SGD),
    Case("16-32-64, 32 pixels", 32, _cotask((16, 32, 64)), SGD),
    Case("32-64-128, 32 pixels", 32, _cotask((32, 64, 128)), SGD),
    Case("64-128-256, 32 pixels", 32, _cotask((64, 128, 256)), SGD),
    Case("ResNet-18, 32 pixels", 32, _resnet18, {"optimizer": "adam", "rate": 1e-3, "decay": 0.0}),
)


@dataclass(frozen=True)
class Speed:
    """graphed: as CUDA graphs. at_once: trainings, in threads. a_second: images of all of them together. peak: share of the
    card's bfloat16 products; NaN where its peak is not known.
    """

    network: str
    graphed: bool
    at_once: int
    a_second: float
    peak: float


def measure(case: Case, graphed: bool, at_once: int, device: torch.device, epochs: int = 12) -> Speed:
    """Train `at_once` networks for `epochs` epochs of noise; the last two thirds of the epochs count."""
    random = np.random.default_rng(0)
    data = image_data(random.integers(0, 256, (IMAGES, case.side, case.side, 3), dtype=np.uint8), device=device)
    labels = random.integers(0, CLASSES, IMAGES)
    tasks = [Task.of(f"task {i}", rows, labels[rows]) for i, rows in enumerate(np.split(np.arange(IMAGES), TASKS))]
    how = ImageTraining(epochs=epochs, **case.how)
    plain = images._Run
    images._Run = graphs.GraphedRun if graphed else plain  # type: ignore[misc]

    def train(seed: int) -> float:
        with graphs.own_stream(), graphs.turn:
            with seeded(seed):
                net = case.net()
            trained = images.train_images(net, data, tasks, how, seed=seed)
        return trained.images * 2 / 3 / float(trained.seconds[epochs // 3 :].sum())

    try:
        with deterministic(threads=1), ThreadPoolExecutor(at_once) as pool:
            a_second = sum(pool.map(train, range(at_once)))
    finally:
        images._Run = plain  # type: ignore[misc]
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    return Speed(
        case.title, graphed, at_once, a_second, a_second * operations(case, data) / (1e12 * PEAK.get(name, float("nan")))
    )


def operations(case: Case, data: ImageData) -> float:
    """Floating-point operations of one image's forward and backward pass."""
    with seeded(0):
        net, rows = case.net().to(data.device), torch.arange(128, device=data.device)
    with FlopCounterMode(display=False) as counter:
        net(augmented(data, rows), 0).sum().backward()
    return float(counter.get_total_flops()) / len(rows)


def record(target: Path, together: Sequence[int] = (1, 4, 8)) -> None:
    """Measure all cases on the GPU, print them, and write them to `target` (CSV) with the card, the version and the date."""
    device, lines = torch.device("cuda"), []
    said = [f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}", datetime.now(UTC).date().isoformat()]
    for case in CASES:
        for graphed, at_once in ((False, 1), *((True, count) for count in together)):
            speed = measure(case, graphed, at_once, device)
            how = f"CUDA graphs, {at_once} at once" if graphed else "step by step"
            lines.append([case.title, how, f"{float(f'{speed.a_second:.3g}'):,.0f}", f"{speed.peak:.2%}", *said])
            print(*lines[-1], sep=" | ", flush=True)
    with target.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *lines])
