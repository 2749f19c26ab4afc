"""The image trainer beside a plain float32 loop: images per second of one thread, 32 x 32 pixels, batches of 128 of one task.

The plain loop holds float images, channels first, crops and flips each batch by indexing them, and updates by torch's default
SGD, as the recorded runs did before this trainer. Times are processor time of this process; the contenders take turns, step by
step, and a ratio is that of the least times of a step: other work on the machine only ever adds time.

    pytest tests/benchmarks/test_image_trainer_benchmark.py --benchmark-enable -s
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from ratios import report
from torch import nn
from torch.nn.functional import cross_entropy, pad
from torchvision.models import resnet18

from mtlrepro.data.tasks import Records, Task
from mtlrepro.device import generator, seeded
from mtlrepro.models.resnet import CifarResNet, imagenet_resnet18
from mtlrepro.models.task_heads import MultiTaskNet, TaskHeads
from mtlrepro.training.augmentation import Augmentation, image_data
from mtlrepro.training.image_settings import ImageTraining
from mtlrepro.training.images import train_images
from mtlrepro.training.precision import has_bf16

IMAGES, BATCH, ROUNDS = 2_048, 128, 20
SETTINGS = ImageTraining(epochs=1, batch=BATCH, augmentation=Augmentation(4, "random"))


def torchvision_resnet18() -> nn.Module:
    net = resnet18(weights=None)
    net.fc = nn.Identity()
    return net


# Bottom of the trainer and of the plain loop, features, reach of the ratio with bfloat16 (None: none set).
NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module], int, float | None]] = {
    "16-32-64": (lambda: CifarResNet((1, 1, 1), (16, 32, 64)), lambda: CifarResNet((1, 1, 1), (16, 32, 64)), 64, 2.2),
    "32-64-128": (lambda: CifarResNet((1, 1, 1), (32, 64, 128)), lambda: CifarResNet((1, 1, 1), (32, 64, 128)), 128, None),
    "ResNet-18, ImageNet stem": (imagenet_resnet18, torchvision_resnet18, 512, 1.9),
}


def network(name: str, plain: bool = False) -> MultiTaskNet:
    ours, theirs, features, _ = NETWORKS[name]
    with seeded(0, name):
        return MultiTaskNet(theirs() if plain else ours(), TaskHeads(features, [5, 5]))


def problem() -> tuple[np.ndarray, list[Task]]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8)
    parts = [{"train": Records(rows, rng.integers(0, 5, len(rows)))} for rows in np.arange(IMAGES).reshape(2, -1)]
    return images, [Task(name=str(i), classes=tuple("abcde"), parts=part) for i, part in enumerate(parts)]


def cropped(images: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Crops and flips of float images (n, c, h, w), as the recorded runs took them."""
    n, _, side, _ = images.shape
    places, flips = torch.randint(0, 9, (2, n), generator=draw), torch.rand(n, generator=draw) < 0.5
    wide, span = pad(images, (4,) * 4).permute(0, 2, 3, 1), torch.arange(side)
    columns = torch.where(flips[:, None], side - 1 - span, span) + places[1][:, None]
    down = (places[0][:, None] + span)[:, :, None]
    return wide[torch.arange(n)[:, None, None], down, columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


class PlainLoop:
    """Steps of the plain loop."""

    def __init__(self, name: str) -> None:
        images, self.tasks = problem()
        picture = torch.tensor(images).permute(0, 3, 1, 2).float()
        self.images = ((picture - picture.mean((0, 2, 3), keepdim=True)) / picture.std((0, 2, 3), keepdim=True)).contiguous()
        self.model, self.draw = network(name, plain=True).train(), generator(0)
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.1, 0.9, nesterov=True, weight_decay=5e-4)

    def seconds(self, steps: int) -> list[float]:
        taken = []
        for number in range(steps):
            start = time.process_time()
            rows, labels = (torch.from_numpy(each[:BATCH]) for each in self.tasks[number % 2].parts["train"])
            loss = cross_entropy(self.model(cropped(self.images[rows], self.draw), number % 2), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            taken.append(time.process_time() - start)
        return taken


class Trainer:
    """Steps of `train_images`."""

    def __init__(self, name: str, **settings: object) -> None:
        images, self.tasks = problem()
        self.data, self.model = image_data(images), network(name)
        self.settings = dataclasses.replace(SETTINGS, **settings)  # type: ignore[arg-type]

    def seconds(self, steps: int) -> list[float]:
        marks: list[float] = []
        how = dataclasses.replace(self.settings, batches_per_epoch=(steps, 1))
        train_images(self.model, self.data, self.tasks, how, seed=0, progress=lambda *_: marks.append(time.process_time()))
        return np.diff(marks).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_images_a_second_beside_a_plain_float32_loop(benchmark, name):
    """Reports images per second and ratios beside the reach; what is computed is checked in tests/training/test_images.py."""
    if not benchmark.enabled:
        pytest.skip("a benchmark: run with --benchmark-enable")
    contenders = {
        "plain float32": PlainLoop(name),
        "trainer, float32, channels first": Trainer(name, precision="float32", channels_last=False),
        "trainer, float32": Trainer(name, precision="float32"),
        "trainer, bf16": Trainer(name, precision="bf16"),
    }
    least = {each: [] for each in contenders}
    for turn in range(ROUNDS + 1):
        for each, contender in contenders.items():
            taken = contender.seconds(3)
            if turn:
                least[each] += taken
    rates = {each: BATCH / min(taken) for each, taken in least.items()}
    ratios = {each: rate / rates["plain float32"] for each, rate in rates.items()}
    benchmark.pedantic(contenders["trainer, bf16"].seconds, (2,), rounds=1)
    benchmark.extra_info |= {"images per second": rates, "bf16 in hardware": has_bf16(torch.device("cpu"))}
    reach = NETWORKS[name][3] if has_bf16(torch.device("cpu")) else 1.3
    for each in list(contenders)[1:]:
        line = f"at least {reach}" if reach and each == "trainer, bf16" else ""
        unit = f"times as fast ({rates['plain float32']:,.0f} to {rates[each]:,.0f} images per second)"
        report(benchmark, f"image {each}, {name}, beside a plain float32 loop", ratios[each], line, unit)
