"""Figure 6 of STG-MTL: what a hundred tasks cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from mtlrepro.data.binary_tasks import TaskSet
from mtlrepro.papers.stgmtl.training.image_runs import Images, Setup, prepared, train


def seconds_by_tasks(train_set: TaskSet, sizes: Sequence[int], seed: int, setup: Setup) -> list[dict[str, Any]]:
    """CPU seconds of one multi-task training on the first n tasks, for each n of `sizes`, with and without data maps."""
    (data,) = prepared(train_set, setup=setup)
    rows = []
    for n in sizes:
        some = Images(data.images, data.labels[:n], data.positive[:n])
        row: dict[str, Any] = {"n": n}
        for name, record in (("plain", False), ("recorded", True)):
            start = time.process_time()
            train(some, torch.ones(1, n), seed, setup, record=record)
            row[name] = round(time.process_time() - start, 3)
        rows.append(row)
    return rows
