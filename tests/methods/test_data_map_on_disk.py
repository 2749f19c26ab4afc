"""Laws of a data map in files: the numbers of one in memory, bit for bit; a stop loses what came after the last snapshot only."""

from __future__ import annotations

import os

import pytest
import torch

from mtlrepro.device import generator
from mtlrepro.errors import BadValue, DataCorrupt
from mtlrepro.methods import data_map_on_disk, task_grouping
from mtlrepro.methods.data_map_on_disk import DataMapOnDisk
from mtlrepro.methods.data_maps import DataMap, stacked

TASKS, POINTS = 3, 50


@pytest.fixture(autouse=True)
def little_memory(monkeypatch):
    """So little that every map here is worked on in several slices."""
    monkeypatch.setattr(data_map_on_disk, "MAPPED", 16 * 8 * TASKS)


def _record(maps, epoch):
    """One epoch: batches in which points stand twice, and some points that no batch has."""
    draw = generator(epoch)
    for index in torch.randint(0, POINTS - 2, (60,), generator=draw).split(17):
        maps.update(torch.rand(len(index), TASKS, generator=draw), index)


def _same(one, other):
    assert torch.equal(one.mean, other.mean)
    assert torch.equal(one.std, other.std)
    assert torch.equal(one.count, other.count)


def test_everything_is_that_of_the_map_in_memory(tmp_path):
    on_disk, in_memory = DataMapOnDisk(tmp_path, TASKS, POINTS), DataMap(TASKS, POINTS)
    kept = []
    for epoch in range(4):
        for maps in (on_disk, in_memory):
            _record(maps, epoch)
        kept.append(in_memory.snapshot())
        _same(on_disk.snapshot(), kept[-1])
    _same(on_disk, in_memory)
    assert torch.equal(stacked(on_disk.snapshots), stacked(kept))
    for columns in (7, 100, 2 * POINTS, 10_000):
        chunks = list(on_disk.map_chunks(columns))
        assert max(chunk.shape[1] for chunk in chunks) <= columns
        expected = task_grouping.gram(task_grouping.map_chunks(stacked(kept), columns))
        assert torch.equal(task_grouping.gram(chunks), expected)


@pytest.mark.parametrize("from_disk", [True, False])
def test_shards_merge_as_in_memory(tmp_path, from_disk):
    on_disk = [DataMapOnDisk(tmp_path / str(i), TASKS, POINTS) for i in range(2)]
    in_memory = [DataMap(TASKS, POINTS) for _ in range(2)]
    for epoch in range(2):
        _record(on_disk[epoch], epoch)
        _record(in_memory[epoch], epoch)
    other = on_disk[1] if from_disk else in_memory[1]
    _same(on_disk[0].merge(other), in_memory[0].merge(in_memory[1]))
    with pytest.raises(BadValue, match="cannot take in"):
        on_disk[0].merge(DataMap(TASKS, POINTS + 1))


def test_a_stop_loses_nothing_before_the_last_snapshot(tmp_path):
    """Stopped within the third epoch, opened again, and trained on from the second: as if nothing had happened."""
    stopped, through = DataMapOnDisk(tmp_path / "stopped", TASKS, POINTS), DataMapOnDisk(tmp_path / "through", TASKS, POINTS)
    for epoch in range(2):
        for maps in (stopped, through):
            _record(maps, epoch)
            maps.snapshot()
    stopped.update(torch.ones(5, TASKS), torch.arange(5))
    (tmp_path / "stopped" / ".map.bin.half.part").write_bytes(b"half")
    again = DataMapOnDisk(tmp_path / "stopped", TASKS, POINTS)
    _same(again, through)
    assert sorted(file.name for file in again.folder.iterdir()) == ["map.bin", "snapshot-0.bin", "snapshot-1.bin"]
    assert len(again.snapshots) == 2
    for maps in (again, through):
        _record(maps, 2)
        maps.snapshot()
    for one, other in zip(again.snapshots, through.snapshots, strict=True):
        _same(one, other)


@pytest.mark.parametrize("files", [0, 1])
def test_a_stop_while_files_are_replaced_leaves_the_snapshot_before(tmp_path, monkeypatch, files):
    """The process ends before the snapshot's file is in place, or after it and before the map's."""
    maps = DataMapOnDisk(tmp_path, TASKS, POINTS)
    _record(maps, 0)
    first = stacked([maps.snapshot()])
    _record(maps, 1)
    left = iter(range(files))

    def fsync(_):
        if next(left, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(KeyboardInterrupt):
        maps.snapshot()
    monkeypatch.undo()
    again, expected = DataMapOnDisk(tmp_path, TASKS, POINTS), DataMap(TASKS, POINTS)
    _record(expected, 0)
    _same(again, expected)
    assert torch.equal(stacked(again.snapshots), first)


@pytest.mark.parametrize("name", ["map.bin", "snapshot-0.bin"])
def test_a_damaged_file_and_one_of_another_size_are_refused(tmp_path, name):
    maps = DataMapOnDisk(tmp_path, TASKS, POINTS)
    _record(maps, 0)
    maps.snapshot()
    for other in ((TASKS + 1, POINTS), (TASKS, POINTS + 1)):
        with pytest.raises(DataCorrupt, match=r"map\.bin"):
            DataMapOnDisk(tmp_path, *other)
    content = (tmp_path / name).read_bytes()
    for damaged in (content[:100] + bytes([content[100] ^ 1]) + content[101:], content[:-1], content[:50], content + b"x"):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(DataCorrupt, match=name):
            DataMapOnDisk(tmp_path, TASKS, POINTS)


def test_a_confidence_that_is_no_number_leaves_no_snapshot(tmp_path):
    maps = DataMapOnDisk(tmp_path, TASKS, POINTS)
    maps.update(torch.tensor([[0.5, torch.nan, 0.5]]), torch.tensor([POINTS - 1]))
    with pytest.raises(BadValue, match=r"tasks \[1\]"):
        maps.snapshot()
    assert list(tmp_path.iterdir()) == []


def test_no_task_and_points_out_of_range_are_refused(tmp_path):
    with pytest.raises(BadValue, match="at least one"):
        DataMapOnDisk(tmp_path, TASKS, 0)
    with pytest.raises(IndexError):
        DataMapOnDisk(tmp_path, TASKS, POINTS).update(torch.zeros(1, TASKS), torch.tensor([POINTS]))
