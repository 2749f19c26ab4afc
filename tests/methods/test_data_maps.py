"""Laws of data maps: streamed equals two-pass, in any order, any batches, any shards; nothing is read on the host."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtlrepro import paths, plots
from mtlrepro.device import generator
from mtlrepro.errors import BadValue, DataCorrupt
from mtlrepro.methods import data_maps
from mtlrepro.methods.data_maps import DataMap, true_label_probability


def _history(seed, tasks=3, points=7, seen=40):
    """A stream of sightings: (seen,) points, of which the last is never seen, and (seen, tasks) confidences."""
    g = generator(seed)
    return torch.randint(0, points - 1, (seen,), generator=g), torch.rand(seen, tasks, generator=g)


def _two_pass(index, confidence, points):
    mean, std = np.zeros((confidence.shape[1], points)), np.zeros((confidence.shape[1], points))
    for point in range(points):
        own = confidence[index == point].double().numpy()
        if len(own):
            mean[:, point] = own.mean(0)
        if len(own) > 1:
            std[:, point] = own.std(0, ddof=1)
    return mean, std


def _agrees(actual, index, confidence):
    mean, std = _two_pass(index, confidence, actual.points)
    np.testing.assert_allclose(actual.mean, mean, atol=1e-6)
    np.testing.assert_allclose(actual.std, std, atol=1e-6)
    assert (actual.count.numpy() == np.bincount(index, minlength=actual.points)).all()


@given(seed=st.integers(0, 10_000), size=st.integers(1, 40))
def test_streamed_equals_two_pass_with_points_seen_different_times_also_within_a_batch(seed, size):
    index, confidence = _history(seed)
    actual = DataMap(3, 7)
    for rows in torch.arange(len(index)).split(size):
        actual.update(confidence[rows], index[rows])
    _agrees(actual, index, confidence)


@given(seed=st.integers(0, 10_000), cut=st.integers(0, 40))
def test_shards_merge_to_the_map_of_all(seed, cut):
    index, confidence = _history(seed)
    parts = []
    for rows in (slice(cut), slice(cut, None)):
        parts.append(DataMap(3, 7))
        parts[-1].update(confidence[rows], index[rows])
    _agrees(parts[0].merge(parts[1]), index, confidence)


def test_far_from_zero_spread_the_variance_keeps_its_digits():
    """Why Welford: the difference of two means of squares has no correct digit here."""
    values = 1 - 1e-5 * torch.rand(50, 1, generator=generator(0), dtype=torch.float64)
    actual = DataMap(1, 1)
    for value in values:
        actual.update(value[None], torch.tensor([0]))
    single = values.float()
    naive = (single.square().mean() - single.mean().square()).clamp_min(0).sqrt() * (50 / 49) ** 0.5
    truth = single.double().std()
    assert abs(actual.std.double() / truth - 1) < 0.01
    assert abs(naive.double() / truth - 1) > 0.1


def test_after_the_first_epoch_the_map_is_finite_with_no_variability():
    actual = DataMap(2, 3)
    actual.update(torch.tensor([[0.2, 0.9], [0.4, 0.1]]), torch.tensor([2, 0]))
    torch.testing.assert_close(actual.mean, torch.tensor([[0.4, 0.0, 0.2], [0.1, 0.0, 0.9]]))
    assert actual.std.tolist() == [[0.0] * 3] * 2
    assert actual.count.tolist() == [1, 0, 1]


def test_an_update_reads_nothing_on_the_host(no_host_reads):
    actual = DataMap(3, 7)
    index, confidence = _history(0)
    with no_host_reads():
        actual.update(confidence, index)


def test_half_precision_confidences_are_added_in_single_precision():
    actual = DataMap(1, 1)
    for _ in range(3000):
        actual.update(torch.full((1, 1), 0.3, dtype=torch.bfloat16), torch.tensor([0]))
    assert actual.mean.item() == pytest.approx(torch.tensor(0.3, dtype=torch.bfloat16).item(), abs=1e-6)


def test_the_true_label_probability_is_the_papers():
    z = torch.linspace(-30, 30, 13, dtype=torch.float64)
    for label in (0.0, 1.0):
        y = torch.full_like(z, label)
        torch.testing.assert_close(true_label_probability(z, y), 1 - (y - z.sigmoid()).abs())
    assert true_label_probability(torch.tensor(-50.0), torch.tensor(1)) > 0  # where 1 - |y - sigmoid| is 0 in float32
    assert not true_label_probability(z.requires_grad_(), torch.ones(13)).requires_grad


@pytest.mark.parametrize(("confidence", "index"), [((4, 2), (4,)), ((4, 3), (5,)), ((4, 3), (4, 1)), ((3,), (1,))])
def test_wrong_shapes_are_refused(confidence, index):
    with pytest.raises(BadValue, match="confidences"):
        DataMap(3, 7).update(torch.zeros(confidence), torch.zeros(index, dtype=torch.long))


def test_a_confidence_that_is_no_number_is_refused_and_its_task_named():
    recorded = DataMap(3, 5)
    recorded.update(torch.tensor([[0.5, torch.nan, 0.5]]), torch.tensor([2]))
    with pytest.raises(BadValue, match=r"tasks \[1\]"):
        recorded.snapshot()


def test_wrong_sizes_and_points_out_of_range_are_refused():
    with pytest.raises(BadValue, match="at least one"):
        DataMap(0, 5)
    with pytest.raises(BadValue, match="cannot take in"):
        DataMap(3, 7).merge(DataMap(3, 8))
    for number in (7, -1):
        with pytest.raises(IndexError):
            DataMap(3, 7).update(torch.zeros(1, 3), torch.tensor([number]))


def test_memory_is_as_stated():
    actual = DataMap(100, 500)
    parts = (actual._mean, actual._squares, actual.count)
    assert sum(part.nbytes for part in parts) == 500 * (100 * 8 + 4)
    snapshot = actual.snapshot()
    assert sum(part.nbytes for part in (snapshot.mean, snapshot.std, snapshot.count)) == 500 * (100 * 4 + 4)


def _snapshots():
    actual, snapshots = DataMap(3, 7), {}
    for epoch in (0, 4):
        index, confidence = _history(epoch)
        actual.update(confidence, index)
        snapshots[epoch] = actual.snapshot()
    return actual, snapshots


def test_snapshots_come_back_as_they_were_and_stand_still(tmp_path):
    actual, snapshots = _snapshots()
    assert (actual.mean - snapshots[4].mean.float()).abs().max() <= 2.5e-4
    assert not torch.equal(snapshots[0].mean, snapshots[4].mean)
    data_maps.save(tmp_path / "maps.npz", snapshots)
    again = data_maps.load(tmp_path / "maps.npz")
    assert list(again) == [0, 4]
    for epoch, snapshot in snapshots.items():
        for part in ("mean", "std", "count"):
            assert torch.equal(getattr(again[epoch], part), getattr(snapshot, part))
    assert data_maps.stacked(list(again.values())).shape == (3, 2, 7, 2)
    assert [file.name for file in tmp_path.iterdir()] == ["maps.npz"]


def test_a_damaged_file_is_refused(tmp_path):
    file = tmp_path / "maps.npz"
    data_maps.save(file, _snapshots()[1])
    content = file.read_bytes()
    place = content.index(b"maps.npy") + 200  # within the array's values
    file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(DataCorrupt, match=r"maps\.npz"):
        data_maps.load(file)
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataCorrupt, match=r"maps\.npz"):
        data_maps.load(file)
    file.write_bytes(content)
    with np.load(file) as z:
        arrays = {name: z[name] for name in z.files}
    arrays["count"][0, 0] += 1
    np.savez(file, **arrays)
    with pytest.raises(DataCorrupt, match="sha256"):
        data_maps.load(file)
    with pytest.raises(BadValue, match="no snapshot"):
        data_maps.save(file, {})
    with pytest.raises(FileNotFoundError):
        data_maps.load(tmp_path / "none.npz")


def test_own_tasks_are_grouped_in_under_ten_lines():
    """The page's snippet as it stands: a task and its complement are learned alike, so their memberships are the same, a task of
    coin tosses is apart from both, and each point is seen once an epoch.
    """
    file = paths.book() / "snippets" / "stgmtl_own_tasks.py"
    assert sum(bool(line) and not line.startswith("#") for line in file.read_text().splitlines()) < 10
    draw = generator(0)
    x = torch.randn(200, 5, generator=draw)
    yes = x @ torch.randn(5, generator=draw) > 0
    y = torch.stack([yes, ~yes, torch.rand(200, generator=draw) < 0.5], 1).float()
    weights = torch.zeros(5, 3, requires_grad=True)
    sgd = torch.optim.SGD([weights], lr=0.5)

    def train_step(inputs, labels):
        sgd.zero_grad()
        logits = inputs @ weights
        torch.nn.functional.binary_cross_entropy_with_logits(logits, labels).backward()
        sgd.step()
        return logits

    loader = [(x[rows], y[rows], rows) for rows in torch.arange(200).split(20)]
    own = {"tasks": 3, "points": 200, "epochs": 4, "loader": loader, "train_step": train_step}
    exec(compile(file.read_text(), str(file), "exec"), own)
    memberships = own["groups"].memberships
    torch.testing.assert_close(memberships[0], memberships[1], atol=1e-3, rtol=0)
    assert own["groups"].labels[0] != own["groups"].labels[2]
    assert (own["maps"].count == 4).all()


def test_confidences_of_any_framework_give_groups_and_their_picture():
    """The page's snippet on arrays alone. Planted: three tasks that are learned late and two that are learned at once."""
    file = paths.book() / "snippets" / "stgmtl_own_confidences.py"
    assert sum(bool(line) and not line.startswith("#") for line in file.read_text().splitlines()) <= 11
    rng, late = np.random.default_rng(0), np.array([1, 0, 1, 1, 0])
    confidences = [rng.uniform(0, 0.1, (300, 5)) + np.where(late, 0.2 * epoch, 0.9) for epoch in range(5)]
    tasks = ["a", "b", "c", "d", "e"]
    own = {"tasks": tasks, "confidences": confidences}
    exec(compile(file.read_text(), str(file), "exec"), own)
    labels = own["groups"].labels.numpy()
    assert ((labels == labels[0]) == (late == 1)).all()
    np.testing.assert_allclose(own["kept"][-1].mean.T, np.mean(confidences, 0), atol=1e-3)
    np.testing.assert_allclose(own["kept"][-1].std.T, np.std(confidences, 0, ddof=1), atol=1e-3)
    *maps, bars = [ax for ax in own["figure"].axes if ax.axison]
    assert [ax.get_title() for ax in maps] == tasks
    assert len({ax.lines[0].get_color() for ax in maps}) == 2
    assert sum(bar.get_height() for bar in bars.patches) == pytest.approx(5)
    with pytest.raises(BadValue, match="names"):
        plots.data_maps(np.zeros((5, 3)), np.zeros((5, 3)), np.ones((5, 1)), tasks[:4])
    plt.close("all")
