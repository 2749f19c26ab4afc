"""Laws of task grouping: memberships by eq. 3 term by term, fuzzy c-means as a minimum, Gram form equal to the direct one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.cluster import KMeans

from mtlrepro.device import generator
from mtlrepro.errors import BadValue
from mtlrepro.methods import task_grouping as grouping
from mtlrepro.methods.static import Static

seeds = st.integers(0, 10_000)


def _points(seed, n=9, d=4):
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def _clouds(seed, clusters=3, each=4, d=5, apart=4.0):
    g = generator(seed)
    middles = apart * torch.randn(clusters, 1, d, generator=g, dtype=torch.float64)
    return (middles + torch.randn(clusters, each, d, generator=g, dtype=torch.float64)).flatten(0, 1)


def _by_the_letter(points, centers, fuzziness):
    """Eq. 3 in plain Python."""
    return [
        [1 / sum((math.dist(x, c) / math.dist(x, other)) ** (2 / (fuzziness - 1)) for other in centers) for c in centers]
        for x in points
    ]


@given(seed=seeds, fuzziness=st.floats(1.05, 8), k=st.integers(1, 5))
def test_memberships_are_eq_3_and_sum_to_one(seed, fuzziness, k):
    points, centers = _points(seed), _points(seed + 1, n=k)
    actual = grouping.fuzzy_memberships(points, centers, fuzziness)
    torch.testing.assert_close(actual, torch.tensor(_by_the_letter(points.tolist(), centers.tolist(), fuzziness)).double())
    torch.testing.assert_close(actual.sum(-1), torch.ones(9).double())


def test_memberships_worked_by_hand():
    """Distances 1 and 2: with F = 2 the weights are 1 and 1/4; with F = 3, 1 and 1/2."""
    for fuzziness, wanted in ((2.0, [0.8, 0.2]), (3.0, [2 / 3, 1 / 3])):
        actual = grouping.fuzzy_memberships(torch.zeros(1, 1), torch.tensor([[1.0], [-2.0]]), fuzziness)
        assert actual[0].tolist() == pytest.approx(wanted)


@pytest.mark.parametrize("fuzziness", [1.001, 2.0, 500.0])
def test_a_point_on_a_center_belongs_to_it_whatever_the_fuzziness(fuzziness):
    centers = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    actual = grouping.fuzzy_memberships(torch.tensor([[0.0, 0.0], [1.0, 0.0], [1e30, 0.0]]), centers, fuzziness)
    assert actual[:2].tolist() == [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]
    assert actual.isfinite().all()


def test_limits_of_fuzziness_are_hard_and_uniform():
    points, centers = _points(0), _points(1, n=3)
    nearest = torch.cdist(points, centers).argmin(-1)
    hard = grouping.fuzzy_memberships(points, centers, 1.0001)
    assert torch.equal(hard.argmax(-1), nearest)
    assert (hard.max(-1).values > 0.99).all()
    assert (grouping.fuzzy_memberships(points, centers, 1e6) - 1 / 3).abs().max() < 1e-4
    for wrong in (1.0, 0.5, float("nan")):
        with pytest.raises(BadValue, match="above 1"):
            grouping.fuzzy_memberships(points, centers, wrong)


@given(seed=seeds)
def test_memberships_ignore_scale_rotation_and_shift(seed):
    points, centers = _points(seed), _points(seed + 1, n=3)
    turn = torch.linalg.qr(_points(seed + 2, n=4)).Q
    moved = grouping.fuzzy_memberships(3 * points @ turn + 1, 3 * centers @ turn + 1)
    torch.testing.assert_close(moved, grouping.fuzzy_memberships(points, centers))


@settings(max_examples=20)
@given(seed=seeds, k=st.integers(1, 6))
def test_hard_is_scikit_learns_kmeans_with_exact_centers(seed, k):
    points = _clouds(seed)
    actual = grouping.hard(points, k, seed=3)
    reference = KMeans(k, n_init=grouping.RESTARTS, random_state=3).fit(points.numpy())
    assert (actual.labels.numpy() == reference.labels_).all()
    np.testing.assert_allclose(actual.centers, reference.cluster_centers_, atol=1e-12)
    assert set(actual.memberships.flatten().tolist()) <= {0.0, 1.0}


def test_a_task_alone_in_its_cluster_is_wholly_there():
    points = torch.cat([_points(0), 50 + torch.rand(1, 4, generator=generator(1))])
    actual = grouping.soft(points, 2, seed=0, fuzziness=30.0)
    assert actual.memberships[-1].max() == 1
    assert actual.memberships[:-1].max() < 1


def test_soft_is_eq_3_at_the_centers_of_kmeans():
    points = _clouds(1)
    actual = grouping.soft(points, 3, seed=0)
    assert torch.equal(actual.centers, grouping.hard(points, 3, seed=0).centers)
    wanted = _by_the_letter(points.tolist(), actual.centers.tolist(), 2.0)
    torch.testing.assert_close(actual.memberships, torch.tensor(wanted).double())


@pytest.mark.parametrize("fuzziness", [1.3, 2.0])
def test_iterated_is_a_minimum_of_the_fuzzy_objective(fuzziness):
    """Independent: eliminating u from sum u^F d^2 leaves a function of the centres, which scipy minimises by itself."""
    points = _clouds(2, apart=3.0)
    actual = grouping.iterated(points, 3, seed=0, fuzziness=fuzziness)

    def objective(flat):
        square = ((points.numpy()[:, None] - flat.reshape(3, -1)) ** 2).sum(-1)
        return ((square ** (1 / (1 - fuzziness))).sum(-1) ** (1 - fuzziness)).sum()

    best = minimize(objective, actual.centers.numpy().ravel() + 0.05, method="BFGS", options={"gtol": 1e-9})
    square = torch.cdist(points, actual.centers).square()
    own = float((actual.memberships**fuzziness * square).sum())
    assert own == pytest.approx(objective(actual.centers.numpy().ravel()), rel=1e-9)
    assert own == pytest.approx(best.fun, rel=1e-7)
    np.testing.assert_allclose(actual.centers.numpy().ravel(), best.x, atol=1e-3)


def test_iterated_near_one_is_kmeans():
    points = _clouds(3)
    close = grouping.iterated(points, 3, seed=0, fuzziness=1.02)
    torch.testing.assert_close(close.memberships, grouping.hard(points, 3, seed=0).memberships, atol=1e-6, rtol=0)


@settings(max_examples=12)
@given(seed=seeds, columns=st.integers(1, 45))
def test_streamed_gram_gives_the_groupings_of_the_vectors(seed, columns):
    maps = torch.rand(8, 2, 10, 2, generator=generator(seed), dtype=torch.float64)
    maps[4:] += 0.7
    vectors = grouping.task_vectors(maps)
    inner = grouping.gram(grouping.map_chunks(maps, columns))
    torch.testing.assert_close(inner, vectors @ vectors.T)
    for rows in (grouping.coordinates(inner), grouping.coordinates_of_distances(torch.cdist(vectors, vectors))):
        assert rows.shape == (8, 8)
        torch.testing.assert_close(torch.cdist(rows, rows), torch.cdist(vectors, vectors), atol=1e-6, rtol=1e-6)
        for method in (grouping.hard, grouping.soft, grouping.iterated):
            actual, direct = method(rows, 2, seed=0), method(vectors, 2, seed=0)
            same = actual.labels[0] == direct.labels[0]
            memberships = actual.memberships if same else actual.memberships.flip(-1)
            torch.testing.assert_close(memberships, direct.memberships, atol=1e-6, rtol=0)


def test_half_precision_maps_are_multiplied_in_double():
    maps = torch.full((2, 1, 50_000, 2), 0.9, dtype=torch.float16)
    assert grouping.gram(grouping.map_chunks(maps))[0, 1].item() == pytest.approx(100_000 * float(maps[0, 0, 0, 0]) ** 2)
    with pytest.raises(BadValue, match="no chunk"):
        grouping.gram([])


def test_point_based_counts_votes():
    """Two kinds of pairs, far apart: a task's membership is its share of each kind."""
    easy, hard = torch.tensor([0.95, 0.02]), torch.tensor([0.3, 0.4])
    noise = 0.01 * torch.rand(3, 2, 20, 2, generator=generator(0))
    share = torch.tensor([1.0, 0.25, 0.6])
    maps = torch.where(torch.arange(20)[None, None, :, None] < 20 * share[:, None, None, None], easy, hard) + noise
    actual = grouping.point_based(maps, 2, seed=0)
    first = actual.centers[:, 0].argmax()
    assert actual.memberships[:, first].tolist() == pytest.approx(share.tolist())
    torch.testing.assert_close(actual.memberships.sum(-1), torch.ones(3).double())
    sampled = grouping.point_based(maps, 2, seed=0, sample=30)
    assert sampled.memberships[:, sampled.centers[:, 0].argmax()].tolist() == pytest.approx(share.tolist())


def test_weighted_losses_and_the_weights_of_a_batch_of_models_agree():
    memberships = torch.rand(4, 3, generator=generator(0)).softmax(-1)
    losses = torch.rand(3, 4, generator=generator(1))
    wanted = [sum(memberships[t, j] * losses[j, t] for t in range(4)) for j in range(3)]
    actual = grouping.weighted_loss(losses, memberships)
    torch.testing.assert_close(actual, torch.stack(wanted))
    weights = Static(grouping.loss_weights(memberships)).fixed
    torch.testing.assert_close((weights * losses).sum(-1), actual)


def test_predictions_of_both_averages():
    """One model: its own probability. Two models that disagree: the averages differ."""
    logits = torch.randn(1, 6, 4, generator=generator(0))
    for average in ("logits", "probabilities"):
        actual = grouping.combined_probability(logits, torch.ones(4, 1), average)
        torch.testing.assert_close(actual, logits[0].sigmoid())
    two = torch.tensor([[[8.0]], [[-2.0]]])
    memberships = torch.tensor([[0.4, 0.6]])
    assert grouping.combined_probability(two, memberships).item() == pytest.approx(1 / (1 + math.exp(-2.0)))
    wanted = 0.4 / (1 + math.exp(-8)) + 0.6 / (1 + math.exp(2))
    assert grouping.combined_probability(two, memberships, "probabilities").item() == pytest.approx(wanted)
    with pytest.raises(BadValue, match="average"):
        grouping.combined_probability(two, memberships, "votes")


def test_too_few_tasks_are_refused():
    for method in (grouping.hard, grouping.soft, grouping.iterated):
        with pytest.raises(BadValue, match="clusters"):
            method(_points(0), 10, seed=0)


@pytest.mark.parametrize("method", [grouping.hard, grouping.soft, grouping.point_based])
def test_k_means_without_a_start_is_refused(method):
    points = _points(0)
    with pytest.raises(BadValue, match=r"^task grouping: restarts must be above 0, not 0\.$"):
        method(torch.stack([points, points], -1)[:, None] if method is grouping.point_based else points, 2, 0, restarts=0)
