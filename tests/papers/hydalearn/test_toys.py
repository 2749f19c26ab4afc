"""Laws of HydaLearn's toy problems: Table 5's sizes, equation 11, one random stream an array."""

from __future__ import annotations

import math

import pytest
import torch

from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.papers.hydalearn.data.toys import SIZES, toy


@pytest.mark.parametrize(
    ("kind", "sizes"), [("related", (10_000, 2_000, 2_000, 75, 25)), ("unrelated", (1_000, 200, 200, 25, 5))]
)
def test_sizes_are_those_of_table_5(kind, sizes):
    splits = toy(kind, [3])
    assert SIZES[kind] == sizes
    assert [part.x.shape for part in splits] == [(1, n, sizes[3]) for n in sizes[:3]]
    assert (
        [part.main.shape for part in splits] == [part.auxiliary.shape for part in splits] == [(1, n, sizes[4]) for n in sizes[:3]]
    )


def test_a_seed_draws_the_same_alone_and_beside_others():
    alone, beside = toy("unrelated", [5]), toy("unrelated", [4, 5])
    for a, b in zip(alone, beside, strict=True):
        assert all(torch.equal(x[0], y[1]) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("spread", [0.2, 0.5])
def test_without_noise_what_enters_the_tanh_has_the_spread_asked_for(spread):
    main = toy("related", [0], noise=0.0, spread=spread).train.main.double()
    inside = torch.atanh(main.clamp(-1 + 1e-9, 1 - 1e-9))
    assert inside.std() == pytest.approx(spread, rel=0.1)


def test_as_printed_nearly_every_tanh_is_saturated():
    main = toy("related", [0], noise=0.0).train.main
    assert (main.abs() > 0.99).double().mean() > 0.9
    # What enters has standard deviation sqrt(75 (10 + 3.5)), about 32.
    assert math.sqrt(75 * 13.5) == pytest.approx(31.8, abs=0.05)


def test_related_tasks_share_a_basis_and_unrelated_labels_are_uniform_noise():
    def correlation(kind, **settings):
        train = toy(kind, range(5), noise=0.0, **settings).train
        a, b = train.main.flatten().double(), train.auxiliary.flatten().double()
        return torch.corrcoef(torch.stack([a, b]))[0, 1]

    # The tanh of correlated normal values: shared variance 10 of 13.5.
    assert correlation("related", spread=0.2) == pytest.approx(10 / 13.5, abs=0.06)
    assert abs(correlation("unrelated")) < 0.02
    labels = toy("unrelated", [0]).train
    low, high = labels.main.min(), labels.main.max()
    assert labels.auxiliary.min() >= low - 0.3
    assert labels.auxiliary.max() <= high + 0.3
    assert labels.auxiliary.std() == pytest.approx(
        float(labels.auxiliary.max() - labels.auxiliary.min()) / math.sqrt(12), rel=0.03
    )


def test_noise_and_scale_are_those_asked_for():
    clean, noisy = (toy("related", [1], noise=noise, scales=(2.0, 10.0)).train for noise in (0.0, 0.3))
    assert torch.equal(clean.x, noisy.x)
    assert (noisy.main - clean.main).std() == pytest.approx(0.6, rel=0.02)
    assert (noisy.auxiliary - clean.auxiliary).std() == pytest.approx(3.0, rel=0.02)
    assert clean.auxiliary.abs().max() <= 10


def test_wrong_settings_get_one_clear_line():
    with pytest.raises(UnknownName, match="related"):
        toy("relatd", [0])
    for wrong in ({"noise": -1.0}, {"spread": 0.0}):
        with pytest.raises(BadValue, match="noise must not be negative"):
            toy("related", [0], **wrong)
