"""Device, dtype, threads, determinism and random streams: the one place that decides them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mtlrepro.errors import BadValue, MtlreproError

# Theory and small exact problems run in THEORY, trained networks in NETWORK.
THEORY = torch.float64
NETWORK = torch.float32


def choose(name: str = "auto") -> torch.device:
    """The device called `name`: "cpu", "cuda" (also "cuda:1"), or "auto", a GPU where there is one.

    Raises MtlreproError where a GPU is asked for and none is usable, BadValue for any other name.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.split(":")[0] not in ("cpu", "cuda"):
        raise BadValue(f"device must be auto, cpu or cuda, not {name!r}.")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BadValue(f"device must be auto, cpu or cuda, not {name!r}.") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise MtlreproError(f"device {name!r} was asked for but this PyTorch sees no such GPU: pass device cpu or auto.")
    return device


def generator(seed: int, *stream: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for `seed`; `stream` parts (names or numbers) give independent ones of the same seed."""
    made = torch.Generator(device=device)
    if stream:
        text = "/".join(map(str, (seed, *stream)))
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
    return made.manual_seed(seed)


@contextmanager
def seeded(seed: int, *stream: int | str) -> Iterator[None]:
    """Within it, code that draws from torch's global generator (layers' initial weights, dropout) draws from `seed`.

    The global state is as before afterwards, on the CPU and, where a GPU is in use, there too.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(generator(seed, *stream).initial_seed())
        yield


@contextmanager
def deterministic(threads: int | None = None) -> Iterator[None]:
    """Within it, only deterministic kernels run (an operation that has none raises) and `threads` CPU threads are used.

    Every setting is as before afterwards, also after an error.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    benchmark, count = torch.backends.cudnn.benchmark, torch.get_num_threads()
    workspace = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        torch.use_deterministic_algorithms(True)
        # Filling fresh memory with NaN costs a tenth of the time of small nets and only serves to find reads of it.
        memory.fill_uninitialized_memory = False
        torch.backends.cudnn.benchmark = False
        if threads is not None:
            torch.set_num_threads(threads)
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = fill
        torch.backends.cudnn.benchmark = benchmark
        torch.set_num_threads(count)
        if workspace is None:
            os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
