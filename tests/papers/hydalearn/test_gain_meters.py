"""Laws of tracing gains: meters measure and are not obeyed; the flip rate of a random order is the mean over all orders."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch

from mtlrepro.errors import BadValue
from mtlrepro.methods.hydalearn import HydaLearn
from mtlrepro.papers.hydalearn.compared_methods import METHODS
from mtlrepro.papers.hydalearn.data.toys import toy
from mtlrepro.papers.hydalearn.fig1_flips import colour_rows, flip_rates
from mtlrepro.papers.hydalearn.training.gain_meters import meter, on_samples, trace
from mtlrepro.papers.hydalearn.training.tuned_runs import TrainingConfig, tune

SEEDS = [0, 1]
POINT = {"learning_rate": 0.05, "beta": 2.0}
CONFIG = TrainingConfig([8], [4], steps=30, check=10, points=60)
METERS = {"unit": meter(), "raw": meter(normalise=False)}


@pytest.fixture(scope="module")
def splits():
    return toy("unrelated", SEEDS, spread=1.0)


@pytest.mark.parametrize("matched", [False, True])
def test_meters_change_nothing_in_the_training(splits, matched):
    build = METHODS["hydalearn"].build
    traced = trace(splits, SEEDS, CONFIG, build, POINT, METERS, matched)
    plain = tune(splits, SEEDS, [POINT], build, CONFIG, matched)
    assert torch.equal(traced.chosen.test, plain.test)
    assert torch.equal(traced.chosen.weights, plain.weights)


def test_a_meter_sees_the_gains_that_the_rule_itself_acts_on(splits):
    held = []

    def build(runs):
        held.append(METHODS["hydalearn"].build(runs))
        return held[0]

    traced = trace(splits, SEEDS, CONFIG, build, POINT, {"unit": METERS["unit"]})
    assert traced.gains["unit"].shape == (CONFIG.steps, len(SEEDS), 2)
    assert torch.equal(traced.gains["unit"][-1], held[0].gains)


def test_unit_steps_do_not_see_the_scale_of_a_gradient_and_raw_steps_do(splits):
    plain, matched = (trace(splits, SEEDS, CONFIG, METHODS["stl"].build, POINT, METERS, m) for m in (False, True))
    # Single-task training is the same either way, so all steps compare.
    torch.testing.assert_close(plain.gains["unit"], matched.gains["unit"], atol=1e-6, rtol=1e-3)
    assert not torch.allclose(plain.gains["raw"][..., 1], matched.gains["raw"][..., 1], atol=1e-6, rtol=1e-3)


def test_small_fake_steps_gain_what_the_gradient_of_the_metric_says(splits):
    steps, slope = (lambda runs, first=first: HydaLearn(runs.loss, maximise=False, first_order=first) for first in (False, True))
    meters = {"steps": steps, "slope": slope}
    gains = trace(splits, SEEDS, CONFIG, METHODS["equal"].build, {"learning_rate": 2e-3}, meters).gains
    torch.testing.assert_close(gains["steps"], gains["slope"], atol=5e-6, rtol=0.02)


def test_a_meter_on_the_same_samples_measures_the_same(splits):
    meters = {"unit": METERS["unit"], "again": on_samples(splits, CONFIG, slice(CONFIG.points))}
    gains = trace(splits, SEEDS, CONFIG, METHODS["equal"].build, {"learning_rate": 0.05}, meters).gains
    torch.testing.assert_close(gains["unit"].double(), gains["again"], atol=1e-6, rtol=0)


def test_a_burst_measures_the_last_steps_of_every_period(splits):
    settings = (splits, SEEDS, CONFIG, METHODS["equal"].build, {"learning_rate": 0.05}, {"unit": METERS["unit"]})
    whole, bursts = trace(*settings).gains["unit"], trace(*settings, every=10, burst=3).gains["unit"]
    assert torch.equal(bursts, whole.unflatten(0, (3, 10))[:, 7:].flatten(0, 1))


@pytest.mark.parametrize("true", range(7))
def test_the_flip_rate_of_a_random_order_is_the_mean_over_all_orders(true):
    orders = torch.tensor(list(permutations([True] * true + [False] * (6 - true)))).T
    found, expected = flip_rates(orders, 1)
    torch.testing.assert_close(found.mean(), expected.mean())
    assert (expected == expected[:, :1]).all()


def test_flips_are_counted_within_windows_alone():
    found, expected = flip_rates(torch.tensor([True] * 4 + [False] * 4 + [True, False] * 2), 3)
    assert found.tolist() == [0, 0, 1]
    assert expected.tolist() == pytest.approx([0, 0, 2 / 3])


@pytest.mark.parametrize("windows", [5, 12])
def test_windows_that_do_not_fit_are_an_error(windows):
    with pytest.raises(BadValue, match="windows"):
        flip_rates(torch.zeros(12, dtype=torch.bool), windows)


def test_rows_of_colours_count_what_is_seen():
    # Two bursts of four steps of one seed: main always green, the auxiliary green, red, green, red; dead in the second burst.
    gains = torch.tensor([[1.0, 1.0], [1.0, -1.0]] * 2 + [[0.0, 0.0]] * 4)[:, None]
    first, second = colour_rows({"unit": gains, "other samples": -gains}, [7], 2)
    assert first["alive"]
    assert (first["seed"], first["main green"], first["auxiliary green"], first["auxiliary flips"]) == (7, 1, 0.5, 1)
    assert first["auxiliary coin"] == pytest.approx(2 / 3, abs=1e-4)
    assert (first["differ"], first["differ by chance"], first["both red"]) == (0.5, 0.5, 0)
    assert (first["main same"], first["main colours"], first["auxiliary colours"]) == (0, "++++", "+-+-")
    assert not second["alive"]
