"""One reporter of progress: what is done, what remains, how long it will take."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], *, total: int, what: str, done: int = 0) -> Iterator[T]:
    """Yield `items`, showing on stderr how many of them remain and the time left; MTLREPRO_PROGRESS=0 silences it.

    done: how many were finished before (resumed runs), shown so that the count stays honest.
    """
    silent = os.environ.get("MTLREPRO_PROGRESS") == "0" or total == 0
    label = f"{what} ({done} kept from before)" if done else what
    return iter(tqdm(items, total=total, desc=label, disable=silent, mininterval=1.0, leave=False))
