"""A data map that lies in files, for more tasks x points than memory holds; its numbers are those of `DataMap`, bit for bit.

What is being recorded is mapped from a file that has no name: a stop leaves nothing of it behind. Each snapshot is
written as a file, and with it the whole map: the folder, opened again after a stop of any kind, goes on from the last snapshot.
Files appear in one step and end with a sha256 that is checked when they are opened.

Disk: 16 bytes a task and point, and 4 for each snapshot. Memory of its own, however large the map is: a few times `MAPPED`, a
batch, and a chunk of `map_chunks`. Pages of a file that a batch uses, and those that the system maps around them, count as
resident until they are given back, at the latest after the batch; the system may take them whenever it needs memory.
"""

from __future__ import annotations

import hashlib
import mmap
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from mtlrepro.errors import BadValue, DataCorrupt
from mtlrepro.files import replacing
from mtlrepro.methods.data_maps import DataMap, Snapshot

# At most so many bytes of a file are mapped, or read, before they are given back.
MAPPED = 32 * 2**20
# Reading one page of a file, Linux maps those around it too, this many bytes or more.
_AROUND = 2**16


class DataMapOnDisk(DataMap):
    """`DataMap` in `folder`; `snapshots` are those taken so far, mapped from their files.

    After a stop, the map is what it was at the last snapshot: the training goes on from there too. Raises DataCorrupt where the
    folder's files are damaged, or of a map of another size. One process at a time records in a folder.
    """

    def __init__(self, folder: Path, tasks: int, points: int) -> None:
        super().__init__(tasks, min(points, 1))  # which refuses sizes below 1
        self.folder, self._size = folder, points * (8 * tasks + 4)
        self._about = f"data map of {tasks} tasks and {points} points"
        self._used = 0
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".*.part"):  # of a stop while it was written
            left.unlink()
        with tempfile.TemporaryFile(dir=folder) as file:
            if self._file().exists():
                for part in self._verified(self._file(), self._size + 8):
                    file.write(part)
            file.seek(self._size)
            taken = int.from_bytes(file.read(8), "little")
            file.truncate(self._size)
            self._mapped = mmap.mmap(file.fileno(), self._size)
        state, self.count = _tensors(self._mapped, torch.float32, tasks, points)
        self._mean, self._squares = state.unbind(1)
        self.snapshots: list[Snapshot] = []
        self._kept: list[tuple[mmap.mmap, Tensor]] = []
        for number in range(taken):
            for _ in self._verified(self._file(number), points * (4 * tasks + 4)):
                pass
            self._open(number)

    def update(self, confidence: Tensor, index: Tensor) -> None:
        """As `DataMap.update`, on the CPU, whatever device the batch is on."""
        super().update(confidence.cpu(), index.cpu())
        self._used += len(index) * (8 * self.tasks + _AROUND)
        if self._used > MAPPED:
            self._give_back(self._mapped)

    def merge(self, other: DataMap) -> DataMapOnDisk:
        """As `DataMap.merge`."""
        if (self.tasks, self.points) != (other.tasks, other.points):
            raise BadValue(f"a {self._about} cannot take in one of {other.tasks} and {other.points}.")
        for rows in self._slices():
            part = _rows(self, rows).merge(_rows(other, rows))
            self.count[rows], self._mean[rows], self._squares[rows] = part.count, part._mean, part._squares
            self._give_back(self._mapped)
        return self

    def snapshot(self) -> Snapshot:
        """As `DataMap.snapshot`, mapped from a file of its own; the folder goes on from here after a stop."""
        number = len(self.snapshots)
        self._write(self._file(number), self._halves())
        self._write(self._file(), self._whole(number + 1))
        self._open(number)
        return self.snapshots[-1]

    def map_chunks(self, columns: int = 100_000) -> Iterator[Tensor]:
        """Chunks for `task_grouping.gram` of all snapshots, as of `task_grouping.map_chunks`: (tasks, at most `columns`)."""
        width = 2 * self.points
        for start in range(0, width * len(self._kept), columns):
            parts = []
            for number, (_, numbers) in enumerate(self._kept):
                low, high = (min(max(at - width * number, 0), width) for at in (start, start + columns))
                parts.append(numbers.flatten(0, 1)[low:high].T)
            yield torch.cat(parts, 1).contiguous()
            for mapped, _ in self._kept:
                self._give_back(mapped)

    def _file(self, number: int | None = None) -> Path:
        """Of a snapshot, or of the whole map."""
        return self.folder / ("map.bin" if number is None else f"snapshot-{number}.bin")

    def _slices(self) -> Iterator[slice]:
        step = max(MAPPED // (8 * self.tasks), 1)
        return (slice(start, start + step) for start in range(0, self.points, step))

    def _halves(self) -> Iterator[bytes]:
        """The content of a snapshot's file: float16 (points, 2, tasks), then the counts."""
        for rows in self._slices():
            part = _rows(self, rows).snapshot()
            yield torch.stack([part.mean.T, part.std.T], 1).numpy().tobytes()
            self._give_back(self._mapped)
        yield self.count.numpy().tobytes()

    def _whole(self, taken: int) -> Iterator[bytes]:
        """The content of the map's file: all that is mapped, and how many snapshots were taken."""
        for start in range(0, self._size, MAPPED):
            yield self._mapped[start : start + MAPPED]
            self._give_back(self._mapped)
        yield taken.to_bytes(8, "little")

    def _write(self, target: Path, parts: Iterable[bytes]) -> None:
        digest = hashlib.sha256(self._about.encode())
        with replacing(target) as file, file.open("wb") as content:
            for part in parts:
                digest.update(part)
                content.write(part)
            content.write(digest.digest())

    def _verified(self, source: Path, size: int) -> Iterator[bytes]:
        """The `size` bytes that `_write` wrote, in parts; raises DataCorrupt at the latest after the last."""
        digest, read = hashlib.sha256(self._about.encode()), 0
        with source.open("rb") as content:
            while part := content.read(min(MAPPED, size - read)):
                digest.update(part)
                read += len(part)
                yield part
            if content.read() != digest.digest():
                raise DataCorrupt(f"{source} is damaged, or no {self._about}: delete its folder and record it again.")

    def _open(self, number: int) -> None:
        with self._file(number).open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        numbers, count = _tensors(mapped, torch.float16, self.tasks, self.points)
        self._kept.append((mapped, numbers))
        self.snapshots.append(Snapshot(numbers[:, 0].T, numbers[:, 1].T, count))

    def _give_back(self, mapped: mmap.mmap) -> None:
        """Unmap the pages in use; what is in them stays in the file."""
        mapped.madvise(mmap.MADV_DONTNEED)
        self._used = 0


def _tensors(mapped: mmap.mmap, dtype: torch.dtype, tasks: int, points: int) -> tuple[Tensor, Tensor]:
    """(points, 2, tasks) numbers, mean and sum of squares or standard deviation, and (points,) counts."""
    numbers = torch.frombuffer(mapped, dtype=dtype, count=points * 2 * tasks).view(points, 2, tasks)
    return numbers, torch.frombuffer(mapped, dtype=torch.int32, offset=numbers.nbytes, count=points)


def _rows(whole: DataMap, rows: slice) -> DataMap:
    """These points of a map alone."""
    part = DataMap(whole.tasks, 1)
    part.count, part._mean, part._squares = whole.count[rows], whole._mean[rows], whole._squares[rows]
    return part
