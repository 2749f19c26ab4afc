"""Laws of Algorithm 2: a numpy reference, invariances, the streamed form, what rank k means."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from mtlrepro.errors import BadValue
from mtlrepro.methods.svd_reweighting import StreamedWeights, svd_weights

sizes = st.tuples(st.integers(1, 6), st.integers(1, 30), st.integers(1, 8), st.integers(0, 10_000))


def _draw(k, m, d, seed, offset=0.0):
    draw = np.random.default_rng(seed)
    return torch.from_numpy(draw.normal(size=(m, d)) + offset), torch.from_numpy(draw.normal(size=(k, m)) + offset)


def _reference(x, ys, rank):
    """The three lines of the printed algorithm, by numpy."""
    thetas = np.stack([x.numpy().T @ y for y in ys.numpy()], 1)
    left = np.linalg.svd(thetas, full_matrices=False)[0][:, :rank]
    return [np.linalg.norm(thetas[:, i] @ left) for i in range(len(ys))]


@given(sizes, st.data())
def test_weights_are_those_of_the_printed_lines(size, data):
    x, ys = _draw(*size)
    rank = data.draw(st.integers(1, size[0]))
    np.testing.assert_allclose(svd_weights(x, ys, rank), _reference(x, ys, rank), atol=1e-10 * float(x.norm() * ys.norm()))


@given(sizes)
def test_at_full_rank_a_weight_is_the_length_of_its_own_theta(size):
    x, ys = _draw(*size)
    torch.testing.assert_close(svd_weights(x, ys, len(ys)), (ys @ x).norm(dim=-1))


@given(sizes, st.data())
def test_a_higher_rank_never_lowers_a_total_and_no_weight_exceeds_its_theta(size, data):
    x, ys = _draw(*size)
    rank = data.draw(st.integers(1, size[0]))
    weights = svd_weights(x, ys, rank)
    assert (weights <= (ys @ x).norm(dim=-1) * (1 + 1e-9)).all()
    if rank < size[0]:
        assert svd_weights(x, ys, rank + 1).square().sum() >= weights.square().sum() * (1 - 1e-9)


@given(sizes, st.floats(0.1, 10))
def test_rotating_inputs_and_permuting_tasks_change_nothing_but_the_order_and_scale_goes_through(size, scale):
    x, ys = _draw(*size)
    turn = torch.linalg.qr(_draw(1, size[2], size[2], 1)[0])[0]
    weights = svd_weights(x, ys, 1)
    torch.testing.assert_close(svd_weights(x @ turn, ys, 1), weights)
    torch.testing.assert_close(svd_weights(x, ys.flip(0), 1), weights.flip(0))
    torch.testing.assert_close(svd_weights(scale * x, ys, 1), scale * weights)


@given(sizes, st.floats(0.1, 10))
def test_normalised_weights_do_not_change_with_the_scale_of_a_task(size, scale):
    x, ys = _draw(*size)
    louder = ys.clone()
    louder[0] *= scale
    weights = svd_weights(x, ys, 1, normalise=True)
    torch.testing.assert_close(svd_weights(x, louder, 1, normalise=True), weights)
    assert (weights <= 1 + 1e-12).all()


def test_noise_raises_the_printed_weight_and_lowers_the_normalised_one():
    """Two tasks, y_2 = y_1 plus noise, many directions: the case the algorithm is meant for."""
    draw = np.random.default_rng(0)
    x = torch.from_numpy(draw.normal(size=(200, 50)))
    clean = x @ torch.from_numpy(draw.normal(size=50))
    noisy = clean + 40 * torch.from_numpy(draw.normal(size=200))
    ys = torch.stack([clean, clean, noisy])
    printed, normalised = (svd_weights(x, ys, 1, normalise=flag) for flag in (False, True))
    assert printed[2] > printed[0]
    assert normalised[2] < normalised[0]


@given(sizes, st.integers(1, 7), st.booleans(), st.booleans())
def test_batches_in_two_places_give_what_all_samples_give(size, cut, centre, normalise):
    x, ys = _draw(*size, offset=2.0)
    first, second = StreamedWeights(), StreamedWeights()
    for number, (a, b) in enumerate(zip(x.split(cut), ys.mT.split(cut), strict=True)):
        (second if number % 2 else first).update(a, b)
    first.merge(second)
    expected = svd_weights(x, ys, 1, centre=centre, normalise=normalise)
    if normalise and centre and size[1] == 1:
        return  # one centred sample is zero but for rounding
    torch.testing.assert_close(first.weights(1, centre=centre, normalise=normalise), expected, atol=1e-9, rtol=1e-9)


def test_a_batch_of_problems_is_each_problem():
    problems = [_draw(3, 9, 4, seed) for seed in range(5)]
    together = svd_weights(*(torch.stack(part) for part in zip(*problems, strict=True)), 2)
    torch.testing.assert_close(together, torch.stack([svd_weights(x, ys, 2) for x, ys in problems]))


def test_wrong_input_gets_one_clear_line():
    x, ys = _draw(3, 9, 4, 0)
    for rank in (0, 4):
        with pytest.raises(BadValue, match="rank must be from 1"):
            svd_weights(x, ys, rank)
    with pytest.raises(BadValue, match="labels"):
        svd_weights(x, ys.mT, 1)
    streamed = StreamedWeights()
    with pytest.raises(BadValue, match="no batch"):
        streamed.weights(1)
    streamed.update(x, ys.mT)
    with pytest.raises(BadValue, match="after"):
        streamed.update(x[:, :2], ys.mT)
