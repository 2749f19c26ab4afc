"""Law of a training over several processes: its losses and its model are those of one process, within rounding."""

from __future__ import annotations

import copy
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from mtlrepro.device import seeded
from mtlrepro.errors import BadValue
from mtlrepro.training.distributed import SharedOut

# Both kinds of tasks, with batches of 16 and 15 images; the last ones of an epoch may be smaller. Losses, then the parameters; of
# one process, and of two forked off before it, as they are then spared what takes long to import.
SCRIPT = """
    import dataclasses, os, sys
    import numpy as np, torch
    from torch import distributed, nn

    from mtlrepro.data.digits import load_digits
    from mtlrepro.data.tasks import Records, Task
    from mtlrepro.device import seeded
    from mtlrepro.methods.dwa import DynamicWeightAverage
    from mtlrepro.models.resnet import CifarResNet, group_norm, shared_bottom
    from mtlrepro.training.augmentation import Augmentation, image_data
    from mtlrepro.training.distributed import SharedOut
    from mtlrepro.training.image_batches import BinaryTasks
    from mtlrepro.training.image_settings import ImageTraining
    from mtlrepro.training.images import train_images

    torch.set_num_threads(1)
    folder, processes = sys.argv[1], 2
    children = []
    for rank in range(processes):
        children.append(os.fork())
        if not children[-1]:
            distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=processes)
            break
    wrap = SharedOut if distributed.is_initialized() else lambda model: model
    digits = load_digits()
    rows = np.arange(60)
    data = image_data(digits.images[..., None] * 15, rows)
    how = ImageTraining(epochs=3, batch=16, rate=0.02, precision="float32", augmentation=Augmentation(1, "random"))
    tasks = [
        Task(name=f"{n}", classes=tuple("abcde"), parts={"train": Records(own[:40], labels[:40])})
        for n, (own, labels) in enumerate(digits.groups())
    ]
    left = {}
    with seeded(0, "network"):
        bottom, head = CifarResNet((1, 1), (8, 16), 1, norm=group_norm), nn.Linear(16, 10)
        both = shared_bottom(CifarResNet((1, 1), (8, 16), 1, norm=group_norm), (5, 5))

    class Answers(nn.Module):
        def __init__(self):
            super().__init__()
            self.bottom, self.head = bottom, head

        def forward(self, images):
            return self.head(self.bottom(images)).T

    same = BinaryTasks(rows, digits.binary_tasks()[rows])
    for name, model, task, settings in (
        ("own", both, tasks, how),
        ("mixed", both, tasks, dataclasses.replace(how, batches="mixed tasks")),
        ("same", Answers(), same, dataclasses.replace(how, batch=15)),
    ):
        trained = train_images(
            wrap(model), data, task, settings, seed=1, weighting=DynamicWeightAverage() if name != "own" else None,
            validate=lambda model: torch.zeros(len(task)),
        )
        left |= {f"{name} losses": trained.losses, **{f"{name} {i}": p.detach() for i, p in enumerate(model.parameters())}}
    if wrap is not SharedOut or distributed.get_rank() == 0:
        torch.save(left, f"{folder}/{'two' if wrap is SharedOut else 'one'}.pt")
    if wrap is SharedOut:
        distributed.destroy_process_group()
    elif any(os.waitpid(child, 0)[1] for child in children):
        sys.exit("a process failed")
"""


@pytest.mark.xdist_group("processes")
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", textwrap.dedent(SCRIPT), tmp_path], check=True, capture_output=True, timeout=280)
    one, two = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5)


def test_what_cannot_be_shared_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="start the processes with torchrun"):
        SharedOut(nn.Identity())
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    try:
        with pytest.raises(BadValue, match="use group normalisation"):
            SharedOut(nn.BatchNorm2d(8))
        with seeded(0):
            model = SharedOut(nn.Linear(2, 2))
        with pytest.raises(BadValue, match="too small for 1 processes"):
            model(torch.zeros(0, 2))
        with pytest.raises(BadValue, match="set ema to 0"):
            copy.deepcopy(model)
    finally:
        distributed.destroy_process_group()
